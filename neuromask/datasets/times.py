"""Times as laboratories keep them, as plain arrays of seconds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ..errors import InvalidInputError

__all__ = ["known_of", "plain", "time_support", "times_of", "values_of"]


def plain(x: Any) -> np.ndarray:
    """Return an array, of one axis where all others have length 1, as MATLAB writes columns.

    Masked entries are NaN.

    Examples
    --------
    >>> plain([[1.0], [2.0]]).tolist()
    [1.0, 2.0]
    """
    masked = isinstance(x, np.ma.MaskedArray) and x.dtype.kind in "biuf" and np.ma.is_masked(x)
    array = x.astype(float).filled(np.nan) if masked else np.asarray(x)
    while array.dtype == object and array.size == 1 and np.ndim(array.ravel()[0]) > 0:
        array = np.asarray(array.ravel()[0])  # a cell in a cell
    if array.ndim > 1 and array.size == max(array.shape):
        array = array.ravel()
    if array.dtype == object and array.size and all(np.ndim(entry) == 0 for entry in array.ravel()):
        try:
            array = array.astype(float)
        except (TypeError, ValueError):
            return array
    return array


def times_of(x: Any) -> np.ndarray:
    """Return the times of what has any: pynapple's Ts and Tsd, a neo SpikeTrain, or an array.

    Those of intervals are their starts. Quantities are turned into seconds, as are numpy's and pandas'
    time differences.
    """
    if hasattr(x, "start") and hasattr(x, "end") and hasattr(x, "tot_length"):  # an IntervalSet
        return plain(x.start)
    if hasattr(x, "t") and not isinstance(x, np.ndarray):  # pynapple
        return plain(x.t)
    if hasattr(x, "rescale"):  # neo and quantities
        return plain(np.asarray(x.rescale("s").magnitude))
    times = plain(x)
    if times.dtype.kind == "M":
        raise InvalidInputError(
            "times are dates; expected seconds. Subtract the date at which the recording began."
        )
    return times / np.timedelta64(1, "s") if times.dtype.kind == "m" else times


def values_of(signal: Any) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the times and values of a signal; None where it is no signal.

    A signal is a pair of times and values, a pynapple Tsd or TsdFrame, or a pandas Series or
    DataFrame indexed by time.
    """
    if hasattr(signal, "t") and hasattr(signal, "values"):  # pynapple
        return times_of(signal), plain(signal.values)
    if hasattr(signal, "index") and hasattr(signal, "to_numpy"):  # pandas
        return times_of(signal.index), plain(signal.to_numpy())
    try:
        times, values = signal
    except (TypeError, ValueError):
        return None
    return times_of(times), plain(values)


def known_of(x: Any) -> pd.DataFrame | None:
    """Return what a pynapple TsGroup or IntervalSet knows of its rows, or None.

    Its rates are left out, which are of its time support.
    """
    known = getattr(x, "metadata", None)
    if not isinstance(known, pd.DataFrame):
        return None
    known = known.drop(columns="rate", errors="ignore")
    return known if len(known.columns) else None


def time_support(x: Any) -> Any:
    """Return when a pynapple object was recorded, or None."""
    support = getattr(x, "time_support", None)
    if support is None and isinstance(x, (list, tuple)) and len(x):
        support = getattr(x[0], "time_support", None)
    return support
