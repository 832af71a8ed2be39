"""What belongs to one session: its read-in, its read-out and its own statistics.

Sessions are known by ``session_id``, never by their number of neurons: two sessions of equal size
have nothing in common.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .._observed import average_where_unknown
from ..masks import apply_mask
from .functions import half_square
from .hidden_neurons import standardise
from .layers import linear, parameter

__all__ = ["SessionStatistics", "State", "Stitch", "TrialGroup", "Weights"]

# A neuron silent in training keeps this expected count per bin, so that its log-rate is finite.
LEAST_BASE_RATE = 1e-4
# Rare spikes would otherwise become outliers of tens of standard deviations.
LEAST_SCALE = 0.05
# Standard deviation of the normal prior of a read-out's weights.
READ_OUT_STD = 0.07
# Log-rates stay within this of the neuron's base, times the session's shrinkage. With a shrinkage of
# one, rates stay within a factor of exp(3), about 20; the largest shrinkage, 2, allows exp(6).
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
    regions : tuple of str or None
        Region of each neuron, where known.
    """

    session_id: str
    mean: np.ndarray
    scale: np.ndarray
    n_time: int
    regions: tuple[str, ...] | None = None

    @classmethod
    def of(
        cls,
        counts: np.ndarray,
        session_id: str,
        regions: tuple[str, ...] | None = None,
        observed: np.ndarray | None = None,
    ) -> SessionStatistics:
        """Measure the statistics of counts (trials, time, neurons), which are 0 where not observed."""
        n_bins = counts.shape[0] * counts.shape[1]
        n_observed = n_bins if observed is None else observed.sum((0, 1)).clip(min=1)
        mean = counts.sum((0, 1), dtype=np.float64) / n_observed
        square = np.einsum("ktn,ktn->n", counts, counts, dtype=np.float64)
        variance = square / n_observed - mean**2
        scale = np.sqrt(variance.clip(min=0)).clip(min=LEAST_SCALE)
        mean, scale = (average_where_unknown(x, observed) for x in (mean, scale))
        mean, scale = mean.astype(np.float32), scale.astype(np.float32)
        return cls(session_id, mean, scale, counts.shape[1], regions)


class Weights(NamedTuple):
    """One session's way in and out of the trunk, as tensors.

    Attributes
    ----------
    mean, scale : Tensor, (neurons,)
        Mean and standard deviation that counts are standardised by.
    read_in, bias : Tensor, (n_in, neurons) and (n_in,)
        From standardised counts to what tokens are made of.
    linear_in : Tensor, (n_linear, neurons)
        From standardised counts to the linear path.
    read_out : Tensor, (neurons, n_features)
        From features to log-rates.
    base : Tensor, (neurons,)
        Log-rates where features say nothing.
    spike_history : Tensor, (n_spike_history, neurons)
        Weights of a neuron's own visible counts.
    embedding : Tensor, (dim,)
        Token of the session.
    evidence : Tensor, (neurons, n_linear), optional
        What each feature of the linear path moves a neuron's smoothed counts by, in standard
        deviations of their noise; None where the session was fitted from chance.
    shrinkage : Tensor or float, default=1
        Factor on the distance of log-rates from `base`, at most 2.
    """

    mean: Tensor
    scale: Tensor
    read_in: Tensor
    bias: Tensor
    linear_in: Tensor
    read_out: Tensor
    base: Tensor
    spike_history: Tensor
    embedding: Tensor
    evidence: Tensor | None = None
    shrinkage: Tensor | float = 1.0

    def standardise(self, group: TrialGroup) -> Tensor:
        """Return z-scored counts (trials, time, neurons), zero where hidden."""
        return standardise(group.counts, group.visible, self.mean, self.scale)

    def read_rates(self, features: Tensor) -> Tensor:
        """Read log-rates, float32 (trials, time, neurons), out of features alone.

        They stay within `MAX_LOG_CHANGE` times the shrinkage of each neuron's base.
        """
        change = F.linear(features, self.read_out).float()
        return self.shrinkage * MAX_LOG_CHANGE * torch.tanh(change / MAX_LOG_CHANGE) + self.base


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
    weights : Weights, optional
        Weights to use instead of the session's own, as if it were a new session.
    attention : {"mixed", "full", "causal"}, default="mixed"
        Whether all trials are known to attend alike, which spares a look at `causal`.
    """

    session_id: str
    counts: Tensor
    hidden: Tensor
    scheme: Tensor
    causal: Tensor
    weights: Weights | None = None
    attention: str = "mixed"

    @classmethod
    def masked(
        cls,
        session_id: str,
        counts: Tensor,
        hidden: Tensor,
        scheme: Tensor | int,
        causal: Tensor | bool,
        weights: Weights | None = None,
    ) -> TrialGroup:
        """Hide entries of trials; one scheme and attention may be said for all of them."""
        (n_trials, *_), device = counts.shape, counts.device
        return cls(
            session_id,
            apply_mask(counts, hidden),
            hidden,
            torch.as_tensor(scheme, device=device).expand(n_trials),
            torch.as_tensor(causal, device=device).expand(n_trials),
            weights,
            ("causal" if causal else "full") if isinstance(causal, bool) else "mixed",
        )

    @cached_property
    def visible(self) -> Tensor:
        """1 where the network may look and 0 where entries are hidden, (trials, time, neurons)."""
        return (~self.hidden).to(self.counts.dtype)

    @cached_property
    def seen(self) -> Tensor:
        """Bins in which some neuron is visible, (trials, time)."""
        return self.visible.amax(2) > 0


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
    """One session's weights: those it learns, added to those it starts from.

    A session that a model is fitted on starts from chance. One that it meets later may start from
    what an encoder of neurons infers, kept in buffers, and learns the difference, so that decay and
    prior pull it towards what neurons like its own are like, and not towards nothing.

    Counts are standardised, so that a hidden neuron reads as an average one, not as a silent one.
    The read-out starts at each neuron's mean rate.
    """

    mean: Tensor
    scale: Tensor
    shrinkage: Tensor
    evidence: Tensor  # only where the session starts from what an encoder infers

    def __init__(
        self,
        statistics: SessionStatistics,
        *,
        n_in: int,
        n_linear: int,
        n_features: int,
        n_spike_history: int,
        dim: int,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        n_neurons = len(statistics.mean)
        mean = torch.from_numpy(statistics.mean)
        self.register_buffer("mean", mean.clone())
        self.register_buffer("scale", torch.from_numpy(statistics.scale).clone())
        self.register_buffer("shrinkage", torch.ones(()))
        self.read_in = linear(n_neurons, n_in, generator)
        self.linear_in = linear(n_neurons, n_linear, generator, bias=False, scale=3**0.5)
        self.read_out = linear(n_features, n_neurons, generator, bias=False, scale=0.1)
        self.base = nn.Parameter(mean.clamp_min(LEAST_BASE_RATE).log())
        self.spike_history = nn.Parameter(torch.zeros(n_spike_history, n_neurons))
        self.embedding = parameter(dim, generator=generator, std=0.02)
        self.has_start = False

    def _own(self) -> dict[str, Tensor]:
        """Return the learned weights that an encoder has a say in, by their names in `Weights`."""
        return {
            "read_in": self.read_in.weight,
            "bias": self.read_in.bias,
            "linear_in": self.linear_in.weight,
            "read_out": self.read_out.weight,
            "spike_history": self.spike_history,
            "embedding": self.embedding,
        }

    @torch.no_grad()
    def make_start(self) -> None:
        """Give up the weights from chance, and make room for others to start from."""
        self.has_start = True
        for name, own in self._own().items():
            own.zero_()
            self.register_buffer(f"start_{name}", torch.zeros_like(own))
        self.register_buffer("evidence", torch.zeros_like(self.linear_in.weight.T))

    @torch.no_grad()
    def start_from(self, inferred: Weights) -> None:
        """Start from what an encoder infers."""
        self.make_start()
        for name in self._own():
            getattr(self, f"start_{name}").copy_(getattr(inferred, name))
        if inferred.evidence is not None:
            self.evidence.copy_(inferred.evidence)

    def prior(self, share: float = 1.0) -> Tensor:
        """Return a share of what the read-outs' normal prior costs, in nats.

        A neuron's weights move away from what it starts from as far as its own spikes pay for it,
        so that quiet neurons stay close and busy ones are free. Decay of weights cannot do that:
        it is the same for all, as are the steps of an optimiser that divides by a gradient's size.
        """
        return half_square(self.read_out.weight, share / READ_OUT_STD**2)

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *rest: Any) -> None:
        if f"{prefix}evidence" in state_dict:
            self.make_start()
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def weights(self, inferred: Weights | None = None) -> Weights:
        """Return what was learned, added to `inferred` or else to what the session started from."""
        own = self._own()
        evidence: Tensor | None = None
        if inferred is not None:
            own = {name: value + getattr(inferred, name) for name, value in own.items()}
            evidence = inferred.evidence
        elif self.has_start:
            own = {name: value + getattr(self, f"start_{name}") for name, value in own.items()}
            evidence = self.evidence
        return Weights(
            mean=self.mean,
            scale=self.scale,
            base=self.base,
            evidence=evidence,
            shrinkage=self.shrinkage,
            **own,
        )
