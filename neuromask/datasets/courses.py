"""Counts over the time of a recording, as arrays, tables and other packages' objects hold them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from .._xarray import neuron_columns, seconds_of_unit
from ..errors import InvalidInputError, warn

__all__ = ["UNEVEN", "Course", "read_course"]

# Names of the axes of xarray, in the singular, that leave no doubt which is meant.
_AXES = {"time": 0, "bin": 0, "neuron": 1, "unit": 1, "cell": 1}
# Part of a bin that rounding may move the times of bins by; a stretch may begin anywhere in a bin.
UNEVEN = 0.01


@dataclass(frozen=True)
class Course:
    """Counts over time.

    Parameters
    ----------
    values : ndarray (time, neurons)
        The counts; a masked array stays one.
    bin_width : float
        Seconds.
    place : array of int (time,)
        The bin of each row, counted from the first; time without rows is a gap.
    neurons : DataFrame or None
        What the object knows of its neurons: names, coordinates.
    """

    values: np.ndarray
    bin_width: float
    place: np.ndarray
    neurons: pd.DataFrame | None


def read_course(counts: Any, bin_width: Any, n_labels: int | None) -> Course:
    """Read counts (time, neurons) and, where the object knows them, times and neurons.

    Parameters
    ----------
    counts : array-like, DataFrame, xarray.DataArray or pynapple TsdFrame
        The counts.
    bin_width : float or None
        Seconds; None takes it from the times.
    n_labels : int or None
        How many neurons regions or a table say there are, so that exchanged axes are noticed.

    Raises
    ------
    InvalidInputError
        If the axes are others, or bins are no regular ones.
    """
    values = _values(counts, n_labels)
    times = _times(counts)
    if bin_width is not None:
        try:
            width = float(bin_width)
        except (TypeError, ValueError):
            width = np.nan
        if not 0 < width < np.inf:
            raise InvalidInputError(
                f"bin_width={bin_width!r}; expected a positive number of seconds."
            )
    elif times is None or len(times) < 2:
        raise InvalidInputError(
            "bin_width is missing, and counts has no times; expected seconds, such as bin_width=0.02."
        )
    else:
        width = float(np.median(np.diff(times)))
    place = np.arange(len(values)) if times is None else _places(times, width)
    return Course(values, width, place, _neurons(counts, values.shape[1]))


def _values(counts: Any, n_labels: int | None) -> np.ndarray:
    try:
        if isinstance(counts, pd.DataFrame):  # whose columns may be of several types, with gaps
            values = counts.to_numpy(dtype=float, na_value=np.nan)
        else:
            values = np.asanyarray(getattr(counts, "values", counts))
    except (TypeError, ValueError, RuntimeError) as error:
        raise InvalidInputError(
            f"counts is a {type(counts).__name__} that cannot be read as an array ({error}); expected "
            "(time, neurons)."
        ) from error
    if values.ndim == 3:
        raise InvalidInputError(
            f"counts has shape {values.shape}, three axes; expected (time, neurons). Trials need no "
            "windows, neuromask.Session takes them; of one long trial give counts[0]."
        )
    if values.ndim != 2 or 0 in values.shape:
        raise InvalidInputError(
            f"counts is a {type(counts).__name__} of shape {values.shape}; expected (time, "
            "neurons), one row a bin. Of one neuron give counts[:, None]; bin spike times first, or use neuromask.from_spike_times."
        )
    axes = [_AXES.get(str(dim).lower().removesuffix("s")) for dim in getattr(counts, "dims", ())]
    if axes in ([1, 0], [1, None], [None, 0]):
        first, second = counts.dims
        raise InvalidInputError(
            f"counts has the dims {(first, second)}; expected the order (time, neurons). Use "
            f"counts.transpose({second!r}, {first!r})."
        )
    if n_labels is not None and n_labels == values.shape[0] != values.shape[1]:
        raise InvalidInputError(
            f"counts has shape {values.shape} and there are {n_labels} neurons by their regions or "
            "table; expected (time, neurons). The axes are exchanged: give counts.T."
        )
    return values


def _times(counts: Any) -> np.ndarray | None:
    """Give the time of each row in seconds from the first, where the object knows it."""
    times, factor = getattr(counts, "t", None), 1.0  # pynapple
    if isinstance(counts, pd.DataFrame):
        times = counts.index
    elif hasattr(counts, "dims") and hasattr(counts, "coords"):
        times = counts.coords.get(counts.dims[0])
        factor = 1.0 if times is None else seconds_of_unit(times)
    if times is None or callable(times):
        return None
    times = np.asarray(times)
    if times.dtype.kind not in "fmM":  # whole numbers count bins
        return None
    if times.dtype.kind in "mM":
        return (times - times[0]) / np.timedelta64(1, "s")
    return (times.astype(float) - float(times[0])) * factor


def _places(times: np.ndarray, width: float) -> np.ndarray:
    """Give the bin of each row by its time; bins between stretches are a gap."""
    steps = np.diff(times) / width
    usual = float(np.median(steps)) if len(steps) else 1.0
    if not abs(usual - 1) <= UNEVEN:
        raise InvalidInputError(
            f"the rows of counts are {usual * width:g} s apart by their times, and bin_width is "
            f"{width:g} s; expected the same. Leave bin_width out to take that of the times."
        )
    jumps = steps > 1.5
    uneven = np.flatnonzero(~jumps & ~(np.abs(steps - 1) <= UNEVEN))
    if len(uneven):
        i = uneven[0]
        raise InvalidInputError(
            f"counts has {len(uneven)} rows that do not follow the one before by a bin of {width:g} s, "
            f"the first is row {i + 1}, {steps[i] * width:g} s later; expected bins of one width, in "
            "order of time. Sort the rows, or bin the spikes again."
        )
    # Within a stretch rows are counted, so that a width that was rounded adds up to nothing.
    moved = np.ones(len(steps), int)
    moved[jumps] = np.rint(steps[jumps]).astype(int)
    off = np.abs(steps[jumps] - moved[jumps]) > UNEVEN
    if off.any():
        warn(
            f"{int(off.sum())} of {len(off)} gaps are no whole number of bins of {width:g} s; what "
            "follows them is placed at the nearest bin, up to half a bin from its own time."
        )
    return np.concatenate([[0], np.cumsum(moved)])


def _neurons(counts: Any, n_neurons: int) -> pd.DataFrame | None:
    """Give what the object knows of its neurons."""
    if hasattr(counts, "dims") and hasattr(counts, "coords"):
        found = neuron_columns(counts, counts.dims[1])
        return pd.DataFrame(found) if found else None
    columns = getattr(counts, "columns", None)
    if columns is None or len(columns) != n_neurons:
        return None
    ids = pd.Index(columns)
    named = list(ids) != list(range(n_neurons))
    known = getattr(counts, "metadata", None)  # pynapple keeps what it knows of its columns there
    table = known.reset_index(drop=True) if isinstance(known, pd.DataFrame) else pd.DataFrame()
    if named and "id" not in table:
        table["id"] = ids.to_numpy()
    return table if len(table) == n_neurons and len(table.columns) else None
