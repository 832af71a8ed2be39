"""What belongs to one session: its read-in, its read-out and its own statistics.

Sessions are known by ``session_id``, never by their number of neurons: two sessions of equal size
have nothing in common.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from .layers import linear, parameter

__all__ = ["SessionStatistics", "State", "Stitch", "TrialGroup"]

# A neuron silent in training keeps this expected count per bin, so that its log-rate is finite.
RATE_FLOOR = 1e-4
# Rare spikes would otherwise become outliers of tens of standard deviations.
SCALE_FLOOR = 0.05
# Rates stay within a factor of exp(3), about 20, of the neuron's base rate.
MAX_LOG_CHANGE = 3.0


@dataclass(frozen=True)
class SessionStatistics:
    """Training statistics that a session's stitch starts from.

    Attributes
    ----------
    session_id : str
        Name of the session.
    mean : ndarray of float32, (neurons,)
        Mean count per bin.
    scale : ndarray of float32, (neurons,)
        Standard deviation of the counts.
    n_time : int
        Bins per trial.
    """

    session_id: str
    mean: np.ndarray
    scale: np.ndarray
    n_time: int

    @classmethod
    def of(cls, counts: np.ndarray, session_id: str) -> SessionStatistics:
        """Measure the statistics of counts (trials, time, neurons)."""
        mean = counts.mean((0, 1), dtype=np.float64)
        square = np.einsum("ktn,ktn->n", counts, counts, dtype=np.float64)
        variance = square / (counts.shape[0] * counts.shape[1]) - mean**2
        scale = np.sqrt(variance.clip(min=0)).clip(min=SCALE_FLOOR)
        return cls(session_id, mean.astype(np.float32), scale.astype(np.float32), counts.shape[1])


@dataclass
class TrialGroup:
    """Trials of one session inside a batch, as a backbone reads them.

    Attributes
    ----------
    session_id : str
        Session the trials belong to.
    counts : Tensor of float, (trials, time, neurons)
        Visible counts, hidden entries zero.
    hidden : Tensor of bool, (trials, time, neurons)
        Which entries are hidden.
    scheme : Tensor of int, (trials,)
        Index of each trial's scheme, which chooses its prompt.
    causal : Tensor of bool, (trials,)
        Whether each trial attends causally.
    """

    session_id: str
    counts: Tensor
    hidden: Tensor
    scheme: Tensor
    causal: Tensor


class State(NamedTuple):
    """What a backbone makes of one group of trials.

    Attributes
    ----------
    features : Tensor, (trials, time, n_features)
        What the read-outs read, and what embeddings pool.
    log_rates : Tensor of float32, (trials, time, neurons)
        Logs of the expected counts per bin.
    """

    features: Tensor
    log_rates: Tensor


class Stitch(nn.Module):
    """One session's way in and out of the shared trunk.

    Counts are standardised, so that a hidden neuron reads as an average one, not as a silent one.
    The read-out starts at each neuron's mean rate.
    """

    def __init__(
        self,
        statistics: SessionStatistics,
        *,
        n_in: int,
        n_linear: int,
        n_features: int,
        n_history: int,
        dim: int,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        n_neurons = len(statistics.mean)
        mean = torch.from_numpy(statistics.mean)
        self.register_buffer("mean", mean.clone())
        self.register_buffer("scale", torch.from_numpy(statistics.scale).clone())
        self.read_in = linear(n_neurons, n_in, generator)
        self.linear_in = linear(n_neurons, n_linear, generator, bias=False, scale=3**0.5)
        self.read_out = linear(n_features, n_neurons, generator, bias=False, scale=0.1)
        self.base = nn.Parameter(mean.clamp_min(RATE_FLOOR).log())
        self.history = nn.Parameter(torch.zeros(n_history, n_neurons))
        self.embedding = parameter(dim, generator=generator, std=0.02)

    def standardise(self, group: TrialGroup) -> Tensor:
        """Return z-scored counts, zero where hidden."""
        return ((group.counts - self.mean) / self.scale).masked_fill(group.hidden, 0)

    def log_rates(self, features: Tensor, *, own: Tensor) -> Tensor:
        """Read log-rates out of the shared features and each neuron's own visible counts.

        Parameters
        ----------
        features : Tensor, (trials, time, n_features)
            What the trunk and the linear path found.
        own : Tensor, (trials, n_history, time, neurons)
            Each neuron's own visible counts, averaged over time at several widths.

        Returns
        -------
        Tensor of float32, (trials, time, neurons)
            Logs of the expected counts, within `MAX_LOG_CHANGE` of each neuron's base rate: an
            exponential of a sum over hundreds of neurons would otherwise explode on a rare burst.
        """
        change = self.read_out(features) + torch.einsum("bhtn,hn->btn", own, self.history)
        bounded = MAX_LOG_CHANGE * torch.tanh(change.float() / MAX_LOG_CHANGE)
        return bounded + self.base
