"""Averages and smooth courses of what was observed."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter1d

__all__ = [
    "LEAST_MEAN_RATE",
    "average_where_unknown",
    "observed_mean",
    "observed_smooth",
    "smoothed_psth",
    "values_observed",
]

#: Expected counts per bin below which a mean rate is not believed.
LEAST_MEAN_RATE = 1e-4


def values_observed(X: Any) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the numbers of a Session, or of any array, 0 where not observed, and where they were.

    Examples
    --------
    >>> values, observed = values_observed([[1.5, float("nan")]])
    >>> values.tolist(), observed.tolist()
    ([[1.5, 0.0]], [[True, False]])
    """
    if getattr(X, "observed", None) is not None:
        return X.counts, X.observed
    values = np.asarray(X)
    if values.dtype.kind != "f" or not values.size or not np.isnan(values.min()):
        return values, None
    observed = ~np.isnan(values)
    return np.where(observed, values, 0), observed


def observed_mean(
    x: np.ndarray, observed: np.ndarray | None, axes: int | tuple[int, ...]
) -> np.ndarray:
    """Average over some axes, of the entries that were observed.

    Parameters
    ----------
    x : ndarray
        Numbers.
    observed : ndarray of bool, in the shape of `x`, or None
        None where all were observed.
    axes : int or tuple of int
        Axes to average over.

    Returns
    -------
    ndarray
        0 where nothing was observed.

    Examples
    --------
    >>> observed_mean(np.array([[1.0, 5.0], [3.0, 7.0]]), np.array([[True, True], [True, False]]), 0)
    array([2., 5.])
    """
    if observed is None:
        return x.mean(axes)
    return np.where(observed, x, 0).sum(axes) / observed.sum(axes).clip(min=1)


def average_where_unknown(of_neurons: np.ndarray, observed: np.ndarray | None) -> np.ndarray:
    """Give neurons that were never observed what the others have on average.

    Parameters
    ----------
    of_neurons : ndarray, (..., neurons)
        Means, which are 0 where nothing was observed.
    observed : ndarray of bool, (trials, time, neurons), or None
        None where everything was observed.

    Examples
    --------
    >>> observed = np.array([[[True, False, True]]])
    >>> average_where_unknown(np.array([1.0, 0.0, 3.0]), observed)
    array([1., 2., 3.])
    """
    if observed is None:
        return of_neurons
    known = observed.any((0, 1))
    if known.all() or not known.any():
        return of_neurons
    return np.where(known, of_neurons, of_neurons[..., known].mean(-1, keepdims=True))


def observed_smooth(
    x: np.ndarray,
    observed: np.ndarray | None,
    width: float,
    axis: int,
    mode: str,
    otherwise: np.ndarray | float = 0.0,
) -> np.ndarray:
    """Smooth by a gaussian over time, by the entries that were observed.

    Parameters
    ----------
    x : ndarray
        Numbers.
    observed : ndarray of bool, in the shape of `x`, or None
        None where all were observed.
    width : float
        Standard deviation in bins.
    axis : int
        The axis of time.
    mode : str
        What lies beyond the ends, as in `scipy.ndimage.gaussian_filter1d`.
    otherwise : ndarray or float, default=0
        What stands where nothing near was observed; it broadcasts to `x`.

    Examples
    --------
    >>> x, seen = np.array([2.0, 2.0, 9.0]), np.array([True, True, False])
    >>> observed_smooth(x, seen, 1.0, 0, "nearest").round(6)
    array([2., 2., 2.])
    """
    if observed is None:
        return gaussian_filter1d(x, width, axis=axis, mode=mode)
    seen = observed.astype(x.dtype)
    weight = gaussian_filter1d(seen, width, axis=axis, mode=mode)
    total = gaussian_filter1d(np.where(observed, x, 0), width, axis=axis, mode=mode)
    near = weight > 1e-3
    return np.where(near, total / np.where(near, weight, 1), otherwise).astype(x.dtype)


def smoothed_psth(counts: np.ndarray, observed: np.ndarray | None, smoothing: float) -> np.ndarray:
    """Return the smoothed mean response (time, neurons), shrunk a little towards the mean.

    So that none is zero. `smoothing` is the standard deviation of a gaussian, in bins.
    """
    mean = average_where_unknown(observed_mean(counts, observed, (0, 1)), observed)
    mean = mean.clip(LEAST_MEAN_RATE)
    response, n_trials = observed_mean(counts, observed, 0), len(counts)
    if observed is None:
        psth = gaussian_filter1d(response, smoothing, axis=0, mode="nearest")
    else:  # each bin has its say by the trials behind it
        n_observed = observed.sum(0).astype(float)
        n_trials = gaussian_filter1d(n_observed, smoothing, axis=0, mode="nearest")
        total = gaussian_filter1d(response * n_observed, smoothing, axis=0, mode="nearest")
        psth = total / n_trials.clip(1e-9)
    return (psth * n_trials + mean * 2) / (n_trials + 2)
