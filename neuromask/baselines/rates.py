"""Baselines that look at nothing: mean rates, and mean responses over time."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._checks import check_fraction
from .._counts import read_spikes
from .._observed import LEAST_MEAN_RATE, average_where_unknown, observed_mean, smoothed_psth
from ..errors import InvalidInputError, public
from ..session import as_session

__all__ = ["PSTH", "MeanRate", "check_alike", "read_with_data"]


class MeanRate:
    """Each neuron's mean training rate.

    Examples
    --------
    >>> import neuromask as nm
    >>> session = nm.simulate(20, n_neurons=8, n_time=20)
    >>> table = nm.evaluate(MeanRate().fit(session).predict_rates, session)
    """

    @public
    def fit(self, X: Any, regions: Any = None, X_val: Any = None) -> MeanRate:
        """Measure the mean count per bin of trials (trials, time, neurons)."""
        counts, observed = read_with_data(X)
        rates = average_where_unknown(observed_mean(counts, observed, (0, 1)), observed)
        self.rates_ = rates.clip(LEAST_MEAN_RATE)
        return self

    @public
    def predict_rates(self, counts: np.ndarray, hidden: np.ndarray, task: str) -> np.ndarray:
        """Return the mean rates, whatever is visible."""
        check_alike(self, counts, "rates_", neurons_only=True)
        return np.broadcast_to(self.rates_, counts.shape)


class PSTH:
    """Each neuron's mean training response over time, smoothed.

    Parameters
    ----------
    smoothing : float, default=2
        Standard deviation of the gaussian kernel in bins.
    """

    def __init__(self, smoothing: float = 2.0) -> None:
        self.smoothing = smoothing

    @public
    def fit(self, X: Any, regions: Any = None, X_val: Any = None) -> PSTH:
        """Measure the smoothed mean response (time, neurons)."""
        check_fraction("smoothing", self.smoothing, low=1e-3, high=1e6)
        self.rates_ = smoothed_psth(*read_with_data(X), self.smoothing)
        return self

    @public
    def predict_rates(self, counts: np.ndarray, hidden: np.ndarray, task: str) -> np.ndarray:
        """Return the mean responses, whatever is visible."""
        check_alike(self, counts, "rates_")
        return np.broadcast_to(self.rates_, counts.shape)


def check_alike(
    baseline: Any, counts: np.ndarray, fitted: str, *, neurons_only: bool = False
) -> None:
    """Refuse to predict before `fit`, or trials unlike the fitted ones."""
    name = type(baseline).__name__
    if not hasattr(baseline, fitted):
        raise InvalidInputError(f"{name}.predict_rates: not fitted yet; call fit first.")
    expected = getattr(baseline, fitted).shape
    given = counts.shape[2:] if neurons_only else counts.shape[1:]
    if counts.ndim != 3 or given != expected:
        axes = "(neurons,)" if neurons_only else "(bins, neurons)"
        raise InvalidInputError(
            f"{name}.predict_rates: counts has shape {counts.shape}; expected trials of {expected} "
            f"{axes}, as fitted. Fit on the same bins and neurons."
        )


def read_with_data(X: Any, **options: Any) -> tuple[np.ndarray, np.ndarray | None]:
    """Read trials, and leave out those in which nothing was observed; `options` are of `read_spikes`."""
    counts, observed = read_spikes(as_session(X), **options)
    if observed is None:
        return counts, None
    there = observed.any((1, 2))
    if not there.any():
        raise InvalidInputError("nothing of X was observed; expected counts somewhere.")
    return counts[there], observed[there]
