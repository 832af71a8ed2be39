"""What a behavioural read-out sees of a trial: the trunk's features beside the counts themselves."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .stitching import State, TrialGroup

__all__ = ["WINDOWS", "decoding_features"]

#: Equal windows that a trial is averaged over: the whole, its halves and its quarters. Ridge then
#: prefers what lasts, and takes what changes where the data ask for it.
WINDOWS = (1, 2, 4)
# Standard deviation, in bins, of the gaussian that smooths counts for read-outs of every bin.
SMOOTHING = 3.0


def decoding_features(state: State, group: TrialGroup, *, per_bin: bool) -> Tensor:
    """Gather the features that behaviour is read from.

    Hidden counts stand in as the model's expectation of them, so that a read-out fitted on whole
    trials keeps its meaning when regions are hidden.

    Parameters
    ----------
    state : State
        What a backbone made of the trials.
    group : TrialGroup
        The trials.
    per_bin : bool
        Whether behaviour has a value in every bin, or one a trial.

    Returns
    -------
    Tensor of float32, (trials, time or 1, features)
        The trunk's features first, then counts; `WINDOWS` of both for one value a trial.
    """
    counts = torch.where(group.hidden, state.log_rates.exp(), group.counts)
    features = state.features.float()
    if per_bin:
        return torch.cat([features, _smooth(counts, group.causal)], -1)
    pooled = [_pool(x, n) for x in (features, counts) for n in WINDOWS]
    return torch.cat(pooled, -1)[:, None]


def _pool(x: Tensor, n_windows: int) -> Tensor:
    """Average x (trials, time, features) over equal windows, to (trials, windows * features)."""
    return F.adaptive_avg_pool1d(x.transpose(1, 2), n_windows).transpose(1, 2).flatten(1)


def _smooth(counts: Tensor, causal: Tensor) -> Tensor:
    """Smooth counts over time, over the past alone in trials that attend causally."""
    bins = torch.arange(counts.shape[1], device=counts.device)
    lag = bins[:, None] - bins[None, :]  # (to, from)
    weights = torch.exp(-0.5 * (lag / SMOOTHING) ** 2)
    weights = weights * ((lag >= 0) | ~causal[:, None, None])  # (trials, to, from)
    return weights / weights.sum(-1, keepdim=True) @ counts
