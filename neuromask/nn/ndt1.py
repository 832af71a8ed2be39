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
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .layers import (
    PADDING,
    SPECIAL,
    TransformerBlock,
    attention_mask,
    drop,
    linear,
    parameter,
    rotation,
)
from .session_network import COPIES_OF_FEATURES, SessionNetwork
from .session_weights import SessionStatistics, State, TrialGroup, Weights
from .smoothing import KernelBank, average

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


class _ReadIn(NamedTuple):
    """One session's part of a batch before the trunk."""

    weights: Weights
    patches: list[Tensor]  # neurons of each patch
    tokens: Tensor  # (trials, special + time * patches, dim)
    times: Tensor  # (special + time * patches,), time bin of each token
    smoothed: Tensor  # (trials, time, n_linear)
    own: Tensor  # (trials, n_spike_history, time, neurons), each neuron's own visible counts, averaged


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
        self.linear_dropout = config.linear_dropout
        self.trunk_dropout = config.trunk_dropout
        widths = (config.smoothing,) * len(config.lags)
        self.smooth = KernelBank(widths, self.n_time, config.lags)
        # Each linear feature learns its own lag, starting from none.
        centre = torch.tensor(config.lags) == 0
        self.lag_weights = nn.Parameter(centre[:, None].float().repeat(1, n_linear))
        self.spike_history = KernelBank(config.spike_history_widths, self.n_time)
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
        read = [self._read_in(group) for group in groups]
        trunk = self._trunk(read, torch.cat([g.causal for g in groups]), generator)
        # Features that fit other sessions are noise that a read-out can learn trials by; those of
        # a trunk that serves one session alone are not.
        trunk_dropout = self.trunk_dropout if len(self.stitches) > 1 else 0.0
        states = []
        for r, features in zip(read, trunk, strict=True):
            smoothed = drop(r.smoothed, self.linear_dropout, generator)
            # For read-outs alone: a decoder in training reads the trunk's features whole.
            read_out = drop(features, trunk_dropout, generator)
            log_rates = r.weights.log_rates(read_out, smoothed, r.patches, own=r.own)
            states.append(State(torch.cat([features.mean(2), smoothed], -1), log_rates))
        return states

    def bytes_a_trial(self, session_id: str, n_time: int) -> int:
        """Add what grows with the square of time: averaging matrices and masks of attention."""
        n_patches = len(self._patches(session_id))
        n_kernels = len(self.smooth.weights) + len(self.spike_history.weights)
        kernels = 4 * (1 + n_kernels) * n_time**2
        attention = 5 * (n_time * n_patches) ** 2  # a mask of booleans, and its copy in float32
        tokens = 4 * COPIES_OF_FEATURES * n_time * (n_patches - 1) * self.config.dim
        return super().bytes_a_trial(session_id, n_time) + kernels + attention + tokens

    def _patches(self, session_id: str) -> list[Tensor]:
        """Return the neurons of each patch; here one patch holds them all."""
        n_neurons = len(self.stitch(session_id).mean)
        return [torch.arange(n_neurons, device=self.hidden_token.device)]

    def _mark(self, tokens: Tensor, session_id: str) -> Tensor:
        """Tell tokens (trials, time, patches, dim) apart that differ in more than their time."""
        return tokens

    def _read_in(self, group: TrialGroup) -> _ReadIn:
        """Turn one session's counts into tokens and the linear path's features."""
        weights = self.weights(group)
        patches = self._patches(group.session_id)
        n_trials, n_time, _ = group.counts.shape
        inputs = weights.standardise(group)
        averaging = self.smooth.averaging(group.seen, group.causal)
        tokens = torch.stack(
            [self._tokens(inputs, group, weights, averaging, p, len(patches)) for p in patches], 2
        )  # (trials, time, patches, dim)
        if self.config.positions == "learned":
            tokens = tokens + self.positions[:n_time, None]
        tokens = self._mark(tokens, group.session_id).flatten(1, 2)
        prompt = group.scheme if self.config.prompted else torch.zeros_like(group.scheme)
        special = torch.stack([weights.embedding.expand(n_trials, -1), self.prompts[prompt]], 1)
        times = torch.arange(n_time, device=tokens.device).repeat_interleave(len(patches))
        # The logarithm of population activity predicts log-rates, also where it bursts.
        linear = weights.read_linear(inputs, group)
        lagged = average(averaging, linear)  # (trials, lags, time, n_linear)
        smoothed = torch.asinh(torch.einsum("bktf,kf->btf", lagged, self.lag_weights))
        smoothed = smoothed * self.gates[prompt, None]  # (trials, time, n_linear)
        own = average(self.spike_history.averaging(group.seen, group.causal), inputs)
        tokens = torch.cat([special, tokens], 1)
        return _ReadIn(
            weights, patches, tokens, F.pad(times, (N_SPECIAL, 0), value=SPECIAL), smoothed, own
        )

    def _tokens(
        self,
        inputs: Tensor,
        group: TrialGroup,
        weights: Weights,
        averaging: Tensor,
        neurons: Tensor,
        n_patches: int,
    ) -> Tensor:
        """Turn standardised counts of a patch's neurons into its tokens (trials, time, dim)."""
        seen, read_in = group.seen, weights.read_in
        if n_patches > 1:
            seen = group.visible[:, :, neurons].amax(2) > 0
            inputs, read_in = inputs[:, :, neurons], read_in[:, neurons]
        tokens = self.to_token(F.softsign(F.linear(inputs, read_in, weights.bias)))
        tokens = tokens + self.mix_smoothed(average(averaging, tokens)[:, 0])
        return tokens + ~seen[..., None] * self.hidden_token

    def _trunk(
        self, read: Sequence[_ReadIn], causal: Tensor, generator: torch.Generator | None
    ) -> list[Tensor]:
        """Run all groups through the blocks at once; give each (trials, time, patches, dim)."""
        n_tokens = max(r.tokens.shape[1] for r in read)
        missing = [n_tokens - r.tokens.shape[1] for r in read]
        x = torch.cat([F.pad(r.tokens, (0, 0, 0, n)) for r, n in zip(read, missing, strict=True)])
        times = torch.cat(
            [
                F.pad(r.times, (0, n), value=PADDING).expand(len(r.tokens), -1)
                for r, n in zip(read, missing, strict=True)
            ]
        )
        mask, turn = attention_mask(times, causal), None
        if self.config.positions == "rope":
            turn = rotation(times, self.config.dim // self.config.n_heads)
        x = drop(x, self.config.input_dropout, generator)
        for block in self.blocks:
            x = block(x, mask=mask, turn=turn, generator=generator)
        parts = self.final_norm(x)[:, N_SPECIAL:].split([len(r.tokens) for r in read])
        return [
            part[:, : len(r.times) - N_SPECIAL].unflatten(1, (-1, len(r.patches)))
            for part, r in zip(parts, read, strict=True)
        ]
