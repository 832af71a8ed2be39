"""Spikes and signals in bins around events."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import InvalidInputError
from .intervals import ROUNDING

__all__ = ["bin_edges", "bin_spikes", "sample_signal"]

# A bin's value is known if a sample lies within a bin's width of it, or within twice the usual
# interval of samples, if that is longer.
SAMPLING_INTERVALS = 2.0


def bin_edges(window: Any, bin_width: Any) -> np.ndarray:
    """Give the edges of bins relative to an event, in seconds (bins + 1,)."""
    try:
        start, stop = (float(edge) for edge in window)
        width = float(bin_width)
    except (TypeError, ValueError):
        start = stop = width = np.nan
    if not (np.isfinite([start, stop]).all() and start < stop):
        raise InvalidInputError(
            f"window={window!r}; expected (start, stop) in seconds from the event, such as "
            "(-0.5, 1.5)."
        )
    if not (np.isfinite(width) and 0 < width <= stop - start):
        raise InvalidInputError(
            f"bin_width={bin_width!r}; expected seconds, more than 0 and no more than the "
            f"window's {stop - start:g}."
        )
    n_bins = round((stop - start) / width)
    if not np.isclose(n_bins * width, stop - start, rtol=1e-6):
        raise InvalidInputError(
            f"bins of {width:g} s do not fill the window from {start:g} to {stop:g} s; "
            f"expected a whole number of bins, such as up to {start + n_bins * width:g} s."
        )
    return np.linspace(start, stop, n_bins + 1)


def bin_spikes(
    times: np.ndarray, clusters: np.ndarray, ids: np.ndarray, events: np.ndarray, edges: np.ndarray
) -> np.ndarray:
    """Count spikes in bins around events.

    A spike on an edge, to a nanosecond, belongs to the bin that starts there, as in `numpy.histogram`
    but for its last bin, which is closed. Spikes in windows that overlap count in each.

    Parameters
    ----------
    times : array (spikes,)
        Seconds, ascending.
    clusters : array (spikes,)
        Cluster of each spike.
    ids : array (neurons,)
        Clusters to count, ascending; spikes of others are left out.
    events : array (trials,)
        Seconds.
    edges : array (bins + 1,)
        Seconds from the event, ascending.

    Returns
    -------
    array of uint8, or uint16 or uint32 where counts are larger (trials, bins, neurons)

    Examples
    --------
    >>> import numpy as np
    >>> times, clusters = np.array([0.1, 0.5, 0.9]), np.array([7, 4, 7])
    >>> bin_spikes(times, clusters, np.array([4, 7]), np.array([0.0]), np.array([0, 0.5, 1.0]))
    array([[[0, 1],
            [1, 1]]], dtype=uint8)
    """
    n_time, n_neurons = len(edges) - 1, len(ids)
    counts = np.zeros((len(events), n_time, n_neurons), np.uint8)
    # Sorted spikes of one bin lie side by side: searching for the edges is enough. Sums of floats miss
    # an edge that they are on by less than ROUNDING.
    positions = np.searchsorted(times, events[:, None] + edges - ROUNDING)  # (trials, bins + 1)
    for trial, position in enumerate(positions):
        rows, counted = _rows(clusters[position[0] : position[-1]], ids)
        bins = np.repeat(np.arange(n_time), np.diff(position))
        found = np.bincount((bins * n_neurons + rows)[counted], minlength=n_time * n_neurons)
        if found.size and found.max() > np.iinfo(counts.dtype).max:
            counts = counts.astype(np.min_scalar_type(int(found.max())))
        counts[trial] = found.reshape(n_time, n_neurons)
    return counts


def _rows(clusters: np.ndarray, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give each spike's row among `ids`, and whether it has one."""
    if not len(ids):
        return np.zeros(len(clusters), int), np.zeros(len(clusters), bool)
    rows = np.searchsorted(ids, clusters).clip(max=len(ids) - 1)
    return rows, ids[rows] == clusters


def sample_signal(
    times: np.ndarray, values: np.ndarray, at: np.ndarray, bin_width: float
) -> np.ndarray:
    """Interpolate a signal linearly; NaN where it has no sample nearby.

    Parameters
    ----------
    times : array (samples,)
        Seconds, ascending.
    values : array (samples,) or (samples, variables)
        The signal; samples that are NaN count as absent.
    at : array (trials, bins)
        Seconds at which it is wanted.
    bin_width : float
        Seconds.

    Returns
    -------
    array of float (trials, bins) or (trials, bins, variables)

    Examples
    --------
    >>> import numpy as np
    >>> sample_signal(np.arange(4.0), np.arange(4.0) ** 2, np.array([[0.5, 1.5, 9.0]]), 1.0)
    array([[0.5, 2.5, nan]])
    """
    if values.ndim == 2:
        columns = [sample_signal(times, column, at, bin_width) for column in values.T]
        return np.stack(columns, -1)
    there = np.isfinite(values)
    times, values = times[there], values[there]
    if len(times) < 2:
        return np.full(at.shape, np.nan)
    tolerance = max(bin_width, SAMPLING_INTERVALS * float(np.median(np.diff(times))))
    after = np.searchsorted(times, at).clip(1, len(times) - 1)
    distance = np.minimum(np.abs(times[after] - at), np.abs(times[after - 1] - at))
    return np.where(distance <= tolerance * (1 + 1e-9), np.interp(at, times, values), np.nan)
