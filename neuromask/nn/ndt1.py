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

from .layers import TransformerBlock, attention_mask, drop, linear, parameter
from .smoothing import KernelBank, average
from .stitching import SessionStatistics, State, Stitch, TrialGroup

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
    history_widths : tuple of float
        Standard deviations, in bins, of the averages of a neuron's own visible counts.
    dropout, input_dropout, linear_dropout : float
        Dropout inside blocks, on the tokens that enter them and on the linear path.
    """

    dim: int = 128
    n_layers: int = 2
    n_heads: int = 4
    expansion: int = 2
    n_linear: int = 48
    smoothing: float = 3.0
    lags: tuple[float, ...] = (0.0, -5.0, 5.0)
    history_widths: tuple[float, ...] = (2.0, 5.0, 15.0)
    dropout: float = 0.3
    input_dropout: float = 0.2
    linear_dropout: float = 0.3


class _ReadIn(NamedTuple):
    """One session's part of a batch before the trunk."""

    tokens: Tensor  # (trials, special + time, dim)
    smoothed: Tensor  # (trials, time, n_linear)
    own: Tensor  # (trials, n_history, time, neurons), each neuron's own visible counts, averaged


class NDT1(nn.Module):
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
        super().__init__()
        self.config = config
        dim = config.dim
        self.n_time = max(s.n_time for s in sessions)
        widths = (config.smoothing,) * len(config.lags)
        self.smooth = KernelBank(widths, self.n_time, config.lags)
        # Each linear feature learns its own lag, starting from none.
        centre = torch.tensor(config.lags) == 0
        self.lag_weights = nn.Parameter(centre[:, None].float().repeat(1, config.n_linear))
        self.history = KernelBank(config.history_widths, self.n_time)
        self.positions = parameter(self.n_time, dim, generator=generator, std=0.1)
        self.prompts = parameter(n_schemes, dim, generator=generator, std=0.1)
        self.unseen = nn.Parameter(torch.zeros(dim))
        self.to_token = linear(2 * dim, dim, generator)
        self.mix_smoothed = linear(dim, dim, generator)
        self.blocks = nn.ModuleList(
            TransformerBlock(dim, config.n_heads, config.expansion, config.dropout, generator)
            for _ in range(config.n_layers)
        )
        self.final_norm = nn.LayerNorm(dim)
        self.gates = nn.Parameter(torch.ones(n_schemes, config.n_linear))
        self.n_features = dim + config.n_linear
        self.session_index = {s.session_id: i for i, s in enumerate(sessions)}
        self.stitches = nn.ModuleList(
            Stitch(
                s,
                n_in=2 * dim,
                n_linear=config.n_linear,
                n_features=self.n_features,
                n_history=len(config.history_widths),
                dim=dim,
                generator=generator,
            )
            for s in sessions
        )

    def stitch(self, session_id: str) -> Stitch:
        """Return a session's stitch."""
        return self.stitches[self.session_index[session_id]]

    def forward(
        self, groups: Sequence[TrialGroup], *, generator: torch.Generator | None = None
    ) -> list[Tensor]:
        """Predict log-rates of every entry of every group.

        Parameters
        ----------
        groups : sequence of TrialGroup
            Masked trials, one group a session; the trunk sees them all in one pass.
        generator : torch.Generator, optional
            Source of dropout; None for inference.

        Returns
        -------
        list of Tensor, (trials, time, neurons)
            Log of the expected count per bin, float32.
        """
        return [state.log_rates for state in self.states(groups, generator=generator)]

    def states(
        self, groups: Sequence[TrialGroup], *, generator: torch.Generator | None = None
    ) -> list[State]:
        """Return log-rates as `forward` does, with the features that they are read from."""
        read = [self._read_in(group) for group in groups]
        features = self._features(read, groups, generator)
        return [
            State(f, self.stitch(group.session_id).log_rates(f, own=r.own))
            for group, f, r in zip(groups, features, read, strict=True)
        ]

    def _read_in(self, group: TrialGroup) -> _ReadIn:
        """Turn one session's counts into tokens and the linear path's features."""
        stitch = self.stitch(group.session_id)
        n_trials, n_time, _ = group.counts.shape
        inputs = stitch.standardise(group)
        seen = ~group.hidden.all(2)  # (trials, time)
        averaging = self.smooth.averaging(seen, group.causal)
        tokens = self.to_token(F.softsign(stitch.read_in(inputs)))  # (trials, time, dim)
        tokens = tokens + self.mix_smoothed(average(averaging, tokens)[:, 0])
        tokens = tokens + self.positions[:n_time] + ~seen[..., None] * self.unseen
        special = torch.stack(
            [stitch.embedding.expand(n_trials, -1), self.prompts[group.scheme]], 1
        )
        # The logarithm of population activity predicts log-rates, also where it bursts.
        lagged = average(averaging, stitch.linear_in(inputs))  # (trials, lags, time, n_linear)
        smoothed = torch.asinh(torch.einsum("bktf,kf->btf", lagged, self.lag_weights))
        smoothed = smoothed * self.gates[group.scheme, None]  # (trials, time, n_linear)
        own = average(self.history.averaging(seen, group.causal), inputs)
        return _ReadIn(torch.cat([special, tokens], 1), smoothed, own)

    def _features(
        self,
        read: Sequence[_ReadIn],
        groups: Sequence[TrialGroup],
        generator: torch.Generator | None,
    ) -> list[Tensor]:
        """Run the trunk over all groups at once and join it with the linear path."""
        n_tokens = max(r.tokens.shape[1] for r in read)
        x = torch.cat([F.pad(r.tokens, (0, 0, 0, n_tokens - r.tokens.shape[1])) for r in read])
        lengths = torch.cat(
            [
                r.tokens.new_full((len(r.tokens),), r.smoothed.shape[1], dtype=torch.long)
                for r in read
            ]
        )
        valid = torch.arange(n_tokens - N_SPECIAL, device=x.device) < lengths[:, None]
        mask = attention_mask(N_SPECIAL, torch.cat([g.causal for g in groups]), valid)
        x = drop(x, self.config.input_dropout, generator)
        for block in self.blocks:
            x = block(x, mask=mask, generator=generator)
        x = self.final_norm(x)[:, N_SPECIAL:]
        parts = x.split([len(r.tokens) for r in read])
        linear_path = [drop(r.smoothed, self.config.linear_dropout, generator) for r in read]
        return [
            torch.cat([part[:, : r.smoothed.shape[1]], smoothed], -1)
            for part, r, smoothed in zip(parts, read, linear_path, strict=True)
        ]
