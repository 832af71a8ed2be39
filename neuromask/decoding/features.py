"""What a behavioural read-out sees of a trial: the trunk's features beside the counts themselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .._known import Recording
from ..nn.fitted import FittedNetwork
from ..nn.session_weights import State, TrialGroup
from ..nn.smoothing import smooth

__all__ = [
    "FINE_WINDOWS",
    "WINDOWS",
    "block_sizes",
    "decoding_features",
    "from_bin",
    "pooled",
    "read_features",
    "read_placed",
]

#: Equal windows that a trial is averaged over: the whole, its halves and its quarters. Ridge then
#: prefers what lasts, and takes what changes where the data ask for it.
WINDOWS = (1, 2, 4)
#: Windows of smoothed counts, for what changes faster.
FINE_WINDOWS = 20
# Standard deviation, in bins, of the gaussian that smooths counts.
SMOOTHING = 3.0


def decoding_features(state: State, group: TrialGroup, scale: Tensor, *, per_bin: bool) -> Tensor:
    """Gather the features that behaviour is read from.

    Hidden counts stand in as the model's expectation of them, so that a read-out fitted on whole
    trials keeps its meaning when regions are hidden.

    Parameters
    ----------
    state : State
        What a backbone made of the trials.
    group : TrialGroup
        The trials.
    scale : Tensor, (neurons,)
        Standard deviation of each neuron's counts in pretraining.
    per_bin : bool
        Whether behaviour has a value in every bin, or one a trial.

    Returns
    -------
    Tensor of float32, (trials, time or 1, features)
        Blocks of the sizes that `block_sizes` gives: the trunk's features and the smoothed counts
        of every bin; or, for one value a trial, averages of the trunk's features and of the counts
        over `WINDOWS`, and of smoothed counts over `FINE_WINDOWS`.
    """
    counts = torch.where(group.hidden, state.log_rates.exp(), group.counts)
    features, smoothed = state.features.float(), smooth(counts, SMOOTHING, group.causal)
    if per_bin:
        return torch.cat([features, smoothed], -1)
    views = [pooled(x, n) for x in (features, counts) for n in WINDOWS]
    # Between counts, which the busiest neurons dominate, and z-scores, which the quietest do.
    views.append(pooled(smoothed / scale.sqrt(), FINE_WINDOWS))
    return torch.cat(views, -1)[:, None]


def read_features(
    network: FittedNetwork, recording: Recording, hidden: np.ndarray, scheme: str, *, per_bin: bool
) -> np.ndarray:
    """Return what behaviour is read from, float32 (trials, time or 1, features).

    Parameters
    ----------
    network : FittedNetwork
        Network that knows the session.
    recording : Recording
        Trials of a fitted session.
    hidden : ndarray of bool, (neurons,)
        Neurons that are not seen.
    scheme : str
        Scheme whose prompt to use.
    per_bin : bool
        Whether behaviour has a value in every bin, or one a trial.
    """
    scale = network.model.stitch(recording.info.session_id).scale
    return read_placed(
        network,
        recording,
        hidden,
        scheme,
        lambda state, group: decoding_features(state, group, scale, per_bin=per_bin),
    )


def read_placed(
    network: FittedNetwork,
    recording: Recording,
    hidden: np.ndarray,
    scheme: str,
    compute: Callable[[State, TrialGroup], Tensor],
) -> np.ndarray:
    """Compute something of what a backbone makes of trials, which stand at their place in the fitted ones.

    Parameters
    ----------
    network, recording, hidden, scheme
        As in `read_features`.
    compute : callable
        Gives a tensor, (trials, ...), of a state and its trials.
    """
    start = recording.start
    recording = recording.placed(start + recording.counts.shape[1])
    return network.run(
        recording,
        np.broadcast_to(hidden, recording.counts.shape),
        network.index(scheme),
        lambda group: compute(*from_bin(start, network.model.states([group])[0], group)),
    )


def from_bin(start: int, state: State, group: TrialGroup) -> tuple[State, TrialGroup]:
    """Leave out the bins before `start`, which are there only to put the others at their place."""
    if start == 0:
        return state, group
    counts, hidden = group.counts[:, start:], group.hidden[:, start:]
    return State(*(x[:, start:] for x in state)), replace(group, counts=counts, hidden=hidden)


def block_sizes(n_features: int, n_neurons: int, *, per_bin: bool) -> tuple[int, ...]:
    """Return how many of the `decoding_features` come from the trunk, and from each view of counts."""
    if per_bin:
        return n_features, n_neurons
    return sum(WINDOWS) * n_features, sum(WINDOWS) * n_neurons, FINE_WINDOWS * n_neurons


def pooled(x: Tensor, n_windows: int) -> Tensor:
    """Average x (trials, time, features) over equal windows, to (trials, windows * features)."""
    return F.adaptive_avg_pool1d(x.transpose(1, 2), n_windows).transpose(1, 2).flatten(1)
