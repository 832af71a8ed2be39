"""NDT1 with stitching: one token per time bin, shared by all sessions.

Beside the transformer runs a low-rank linear path: a neuron's log-rate also reads smoothed
population activity linearly. With a few hundred trials such a read is hard to beat, and a
transformer that holds it as a special case need not lose to it.

References
----------
Ye, J. & Pandarinath, C. (2021). Representation learning for neural population activity with Neural
Data Transformers. Neurons, Behavior, Data analysis, and Theory.
Zhang, Y. et al. (2024). Towards a "universal translator" for neural dynamics at single-cell,
single-spike resolution. NeurIPS.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .batch_reading import bounded_log_rates, completed, standardised
from .functions import asinh, softsign
from .layers import (
    TransformerBlock,
    attention_mask,
    attention_masks,
    draw_keeps,
    kept,
    linear,
    parameter,
    rotation,
    token_times,
)
from .session_network import SessionNetwork
from .session_weights import SessionStatistics, State, TrialGroup, Weights
from .smoothing import BLOCK, Averaging, KernelBank
from .trial_batch import Part, TrialBatch, read_in, read_out, spread

__all__ = ["NDT1", "NDT1Config"]

N_SPECIAL = 2  # session and prompt tokens


@dataclass(frozen=True)
class NDT1Config:
    """Sizes of an :class:`NDT1`.

    Attributes
    ----------
    dim : int
        Width of the trunk.
    n_layers, n_heads : int
        Depth and attention heads of the trunk.
    expansion : int
        Width of each block's hidden layer over `dim`.
    n_linear : int
        Rank of the linear path; 0 leaves it out.
    smoothing : float
        Standard deviation, in bins, of the gaussian that smooths the linear path and the tokens.
    lags : tuple of float
        Bins by which the linear path's kernels look back, the first of them zero.
    spike_history_widths : tuple of float
        Standard deviations, in bins, of the averages of a neuron's own visible counts.
    dropout, input_dropout : float
        Dropout inside blocks and on the tokens that enter them.
    linear_dropout, trunk_dropout : float
        Dropout on what read-outs read: features of the linear path and, in a model of several
        sessions, of the trunk.
    positions : {"learned", "rope"}
        Embeddings of time bins, or rotary positions in attention.
    prompted : bool
        Whether each scheme has a prompt and gates of its own, or all share them.
    encode : bool
        Whether there is a :class:`NeuronEncoder`, for sessions that are met later.
    region_names : tuple of str
        Regions that have an embedding.
    """

    dim: int = 128
    n_layers: int = 2
    n_heads: int = 4
    expansion: int = 2
    n_linear: int = 48
    smoothing: float = 3.0
    lags: tuple[float, ...] = (0.0, -5.0, 5.0)
    spike_history_widths: tuple[float, ...] = (2.0, 5.0, 15.0)
    dropout: float = 0.3
    input_dropout: float = 0.2
    linear_dropout: float = 0.3
    trunk_dropout: float = 0.3
    positions: str = "learned"
    prompted: bool = True
    encode: bool = False
    region_names: tuple[str, ...] = ()


class NDT1(SessionNetwork):
    """Transformer over time bins with a stitch per session and a prompt per scheme.

    Parameters
    ----------
    config : NDT1Config
        Sizes.
    sessions : sequence of SessionStatistics
        Sessions to make stitches for.
    n_schemes : int
        Number of prompts.
    generator : torch.Generator
        Source of the initial weights, on the CPU.
    """

    def __init__(
        self,
        config: NDT1Config,
        sessions: Sequence[SessionStatistics],
        n_schemes: int,
        generator: torch.Generator,
    ) -> None:
        dim, n_linear = config.dim, config.n_linear
        super().__init__(
            max(s.n_time for s in sessions),
            n_in=2 * dim,
            n_features=dim + n_linear,
            n_linear=n_linear,
            n_spike_history=len(config.spike_history_widths),
            dim=dim,
        )
        self.config = config
        self.smoothing = config.smoothing
        self.linear_dropout = config.linear_dropout
        self.trunk_dropout = config.trunk_dropout
        # One bank for all averages: of tokens and the linear path, and of a neuron's own counts.
        n_lags, own_widths = len(config.lags), config.spike_history_widths
        widths = (config.smoothing,) * n_lags + own_widths
        self.kernels = KernelBank(widths, self.n_time, config.lags + (0.0,) * len(own_widths))
        self.of_tokens, self.of_linear = slice(0, 1), slice(0, n_lags)
        self.of_history = slice(n_lags, None)
        # Each linear feature learns its own lag, starting from none.
        centre = torch.tensor(config.lags) == 0
        self.lag_weights = nn.Parameter(centre[:, None].float().repeat(1, n_linear))
        if config.positions == "learned":
            self.positions = parameter(self.n_time, dim, generator=generator, std=0.1)
        n_prompts = n_schemes if config.prompted else 1
        self.prompts = parameter(n_prompts, dim, generator=generator, std=0.1)
        self.hidden_token = nn.Parameter(torch.zeros(dim))
        self.to_token = linear(2 * dim, dim, generator)
        self.mix_smoothed = linear(dim, dim, generator)
        self.blocks = nn.ModuleList(
            TransformerBlock(dim, config.n_heads, config.expansion, config.dropout, generator)
            for _ in range(config.n_layers)
        )
        self.final_norm = nn.LayerNorm(dim)
        self.gates = nn.Parameter(torch.ones(n_prompts, n_linear))
        for statistics in sessions:
            self.add_session(statistics, generator)
        if config.encode:
            self.add_encoder(config.region_names, config.smoothing, generator)

    def states(
        self, groups: Sequence[TrialGroup], *, generator: torch.Generator | None = None
    ) -> list[State]:
        """Return log-rates as `forward` does, with the features that they are read from."""
        batch = TrialBatch.of(groups)
        trunk, smoothed, log_rates = self._run(batch, generator)
        features = torch.cat([self._pooled(trunk, batch.parts), smoothed], -1)
        return [
            State(
                features[part.rows, : part.n_time],
                log_rates[part.rows, : part.n_time, : part.n_neurons],
            )
            for part in batch.parts
        ]

    def batch_log_rates(
        self, batch: TrialBatch, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """Return the log-rates of a batch, float32 (trials, time, neurons), padded as it is."""
        return self._run(batch, generator)[2]

    def _run(
        self, batch: TrialBatch, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return features of the trunk (trials, time, patches, dim) and the linear path, and log-rates."""
        config = self.config
        (n_trials, n_time, _), parts = batch.counts.shape, batch.parts
        n_patches = max(self._n_patches(part.session_id) for part in parts)
        weights = [self.weights(part) for part in parts]
        of_tokens = (n_trials, N_SPECIAL + n_time * n_patches, config.dim)
        # Features that fit other sessions are noise that a read-out can learn trials by; those of
        # a trunk that serves one session alone are not.
        trunk_dropout = self.trunk_dropout if len(self.stitches) > 1 else 0.0
        keep, keep_linear, keep_trunk, *keep_blocks = draw_keeps(
            generator,
            [
                (of_tokens, config.input_dropout),
                ((n_trials, n_time, config.n_linear), self.linear_dropout),
                ((n_trials, n_time, n_patches, config.dim), trunk_dropout),
                *[(of_tokens, config.dropout)] * (2 * config.n_layers),
            ],
        )
        inputs = standardised(batch, weights)
        averaging = self.kernels.averaging(batch.seen, batch.causal, batch.attention)
        linear = read_in(parts, inputs, [w.linear_in for w in weights])
        if any(w.evidence is not None for w in weights):
            linear = completed(batch, weights, linear)
        smoothed = self.linear_path(batch, linear, averaging)
        read, unseen = self.read_tokens(batch, weights, inputs)
        tokens = self.tokens(batch, weights, read, unseen, averaging)
        features = self.trunk(kept(tokens, keep), batch, n_patches, keep_blocks)
        # Dropped for read-outs alone: a decoder in training reads the trunk's features whole.
        change = self._read_out(
            batch, weights, kept(features, keep_trunk), kept(smoothed, keep_linear)
        )
        own = averaging(inputs, self.of_history)
        return features, smoothed, bounded_log_rates(parts, weights, change, own)

    def bytes_a_trial(self, session_id: str, n_time: int) -> int:
        """Add what tokens take, and what grows with the square of time in short trials."""
        n_patches = self._n_patches(session_id)
        n_kernels, size = len(self.kernels.kernels), min(n_time, BLOCK)
        kernels = 4 * (1 + n_kernels) * size**2
        attention = 4 * (n_time * n_patches) ** 2 if n_patches > 1 else 0
        per_token = 3 + 1 + 2 * self.config.expansion
        tokens = 4 * per_token * n_time * n_patches * self.config.dim
        return super().bytes_a_trial(session_id, n_time) + kernels + attention + tokens

    def patch_of(self, session_id: str) -> Tensor:
        """Say which patch each neuron of a session is in, (neurons,)."""
        n_neurons = len(self.stitch(session_id).mean)
        return torch.zeros(n_neurons, dtype=torch.long, device=self.hidden_token.device)

    def _n_patches(self, session_id: str) -> int:
        """Say how many tokens a bin has; here one stands for all neurons."""
        return 1

    def _pooled(self, features: Tensor, parts: Sequence[Part]) -> Tensor:
        """Average features (trials, time, patches, dim) over the patches of each session."""
        return features.mean(2)

    def linear_path(self, batch: TrialBatch, linear: Tensor, averaging: Averaging) -> Tensor:
        """Make features of the linear path (trials, time, n_linear) of what was read for it."""
        lagged = averaging(linear, self.of_linear)  # (trials, lags, time, n_linear)
        smoothed = (lagged * self.lag_weights[:, None]).sum(1)
        # The logarithm of population activity predicts log-rates, also where it bursts.
        return asinh(smoothed) * self._of_scheme(self.gates, batch)[:, None]

    def _of_scheme(self, values: Tensor, batch: TrialBatch) -> Tensor:
        """Take what belongs to each trial's scheme, (trials or 1, features)."""
        return F.embedding(batch.scheme, values) if self.config.prompted else values

    def tokens(
        self,
        batch: TrialBatch,
        weights: Sequence[Weights],
        read: Tensor,
        unseen: Tensor,
        averaging: Averaging,
    ) -> Tensor:
        """Turn what `read_tokens` gives into tokens (trials, special + time * patches, dim)."""
        n_trials, n_time, _ = batch.counts.shape
        tokens = self.to_token(softsign(read))  # (trials, time, patches, dim)
        smooth = averaging(tokens.flatten(2), self.of_tokens).flatten(1, 2)
        tokens = tokens + self.mix_smoothed(smooth.view_as(tokens))
        tokens = tokens + unseen * self.hidden_token
        if self.config.positions == "learned":
            positions = self.positions if n_time == self.n_time else self.positions[:n_time]
            tokens = tokens + positions[:, None]
        tokens = self._mark(tokens, batch.parts).flatten(1, 2)
        embedding = spread(batch.parts, [w.embedding for w in weights], self.config.dim)
        prompt = self._of_scheme(self.prompts, batch)
        special = [x.expand(n_trials, -1)[:, None] for x in (embedding, prompt)]
        return torch.cat([*special, tokens.to(embedding.dtype)], 1)

    def read_tokens(
        self, batch: TrialBatch, weights: Sequence[Weights], inputs: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Read neurons of each patch (trials, time, patches, n_in); say where none is visible."""
        read = read_in(batch.parts, inputs, [w.read_in for w in weights], [w.bias for w in weights])
        return read[:, :, None], (1 - batch.seen)[:, :, None, None]

    def _mark(self, tokens: Tensor, parts: Sequence[Part]) -> Tensor:
        """Tell tokens (trials, time, patches, dim) apart that differ in more than their time."""
        return tokens

    def trunk(
        self, x: Tensor, batch: TrialBatch, n_patches: int, keeps: Sequence[Tensor | None]
    ) -> Tensor:
        """Run tokens through the blocks; give (trials, time, patches, dim)."""
        sizes = (batch.counts.shape[1], n_patches, N_SPECIAL, x.device)
        absent = self._absent(batch, n_patches)
        mask = attention_mask(attention_masks(*sizes), batch.causal, batch.attention, absent)
        turn = None
        if self.config.positions == "rope":
            turn = rotation(token_times(*sizes), self.config.dim // self.config.n_heads)
        for i, block in enumerate(self.blocks):
            x = block(x, mask=mask, turn=turn, keeps=tuple(keeps[2 * i : 2 * i + 2]))
        return self.final_norm(x)[:, N_SPECIAL:].unflatten(1, (-1, n_patches))

    def _absent(self, batch: TrialBatch, n_patches: int) -> Tensor | None:
        """Mark tokens (trials, tokens) that only fill up the batch; None where there are none."""
        parts, n_time = batch.parts, batch.counts.shape[1]
        sizes = [(part.n_time, self._n_patches(part.session_id)) for part in parts]
        if all(size == (n_time, n_patches) for size in sizes):
            return None
        own = [size for part, size in zip(parts, sizes, strict=True) for _ in range(part.n_trials)]
        bins, patches = torch.tensor(own, device=batch.counts.device).T[..., None]
        late = torch.arange(n_time, device=bins.device) >= bins
        beside = torch.arange(n_patches, device=bins.device) >= patches
        return F.pad((late[:, :, None] | beside[:, None]).flatten(1), (N_SPECIAL, 0))

    def _read_out(
        self, batch: TrialBatch, weights: Sequence[Weights], features: Tensor, smoothed: Tensor
    ) -> Tensor:
        """Read changes of log-rates (trials, time, neurons) out of features."""
        both = torch.cat([features.flatten(2).to(smoothed.dtype), smoothed], -1)
        return read_out(batch.parts, both, [w.read_out for w in weights], batch.counts.shape[2])
