"""Intervals of time: when something was recorded."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ..errors import InvalidInputError
from .times import times_of

__all__ = ["bins_within", "intersect", "read_intervals", "within"]

#: Seconds that rounding may move a time by: clocks of 30 kHz are summed in floats.
ROUNDING = 1e-9
_STARTS, _STOPS = ("start", "start_time"), ("end", "stop", "stop_time", "end_time")


def read_intervals(name: str, given: Any) -> np.ndarray:
    """Read intervals, sort them, and join those that touch or overlap.

    Parameters
    ----------
    name : str
        What errors call them.
    given : array-like (intervals, 2), pair of starts and stops, DataFrame, or pynapple IntervalSet
        Starts and stops in seconds. One interval may be (start, stop). A table has columns ``start``
        and ``end``, or ``start_time`` and ``stop_time``.

    Returns
    -------
    array of float (intervals, 2)
        Ascending, none of length 0.

    Raises
    ------
    InvalidInputError
        If these are no intervals, or one of them stops before it starts.

    Examples
    --------
    >>> read_intervals("recording", [(5.0, 9.0), (0.0, 2.0), (1.0, 3.0)]).tolist()
    [[0.0, 3.0], [5.0, 9.0]]
    """
    starts, stops = _starts_and_stops(name, given)
    bad = np.flatnonzero(~(starts <= stops))
    if len(bad):
        i = bad[0]
        raise InvalidInputError(
            f"{name} has {len(bad)} intervals that do not stop after they start, the first from "
            f"{starts[i]:g} to {stops[i]:g} s; expected start and stop in seconds."
        )
    order = np.argsort(starts, kind="stable")
    starts, stops = starts[order], np.maximum.accumulate(stops[order])
    # An interval begins a new one where it starts after all before it have stopped.
    first = np.r_[True, starts[1:] > stops[:-1] + ROUNDING][: len(starts)]
    last = np.r_[first[1:], True][: len(starts)]
    joined = np.stack([starts[first], stops[last]], axis=1)
    return joined[joined[:, 1] > joined[:, 0]]


def _starts_and_stops(name: str, given: Any) -> tuple[np.ndarray, np.ndarray]:
    columns = [
        next((getattr(given, c) for c in names if hasattr(given, c)), None)
        for names in (_STARTS, _STOPS)
    ]
    if isinstance(given, np.ndarray) or columns[0] is None or columns[1] is None:
        columns = [None, None]
        is_pair = isinstance(given, (tuple, list)) and len(given) == 2
        if is_pair and all(isinstance(part, (np.ndarray, pd.Series)) for part in given):
            return _floats(name, given, given)  # starts, and beside them stops
        try:
            values = np.asarray(given, dtype=float)
        except (TypeError, ValueError):
            values = np.zeros(0)
        if values.ndim == 1 and len(values) == 2:
            columns = [values[:1], values[1:]]
        elif values.ndim == 2 and values.shape[1] == 2:
            columns = [values[:, 0], values[:, 1]]
        elif values.ndim == 2 and values.shape[0] == 2 and is_pair:
            columns = [values[0], values[1]]
    return _floats(name, given, columns)


def _floats(name: str, given: Any, columns: Any) -> tuple[np.ndarray, np.ndarray]:
    try:
        starts, stops = (np.atleast_1d(times_of(c).astype(float)) for c in columns)
    except InvalidInputError:
        raise
    except (TypeError, ValueError):
        starts = stops = np.full((1, 1), np.nan)
    if starts.ndim != 1 or starts.shape != stops.shape or np.isnan([*starts, *stops]).any():
        raise InvalidInputError(
            f"{name} is a {type(given).__name__} that holds no intervals; expected (start, stop) in "
            "seconds, an array (intervals, 2) of them, a table with columns 'start' and 'end', or a "
            "pynapple IntervalSet."
        )
    if np.isinf([*starts, *stops]).any():
        raise InvalidInputError(f"{name} reaches to infinity; expected seconds that are finite.")
    return starts, stops


def within(intervals: np.ndarray, first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Say whether the time from `first` to `last`, of any shape, lies in one of the intervals."""
    if not len(intervals):
        return np.zeros(np.shape(first), bool)
    row = np.searchsorted(intervals[:, 0], np.asarray(first) + ROUNDING, side="right") - 1
    return (row >= 0) & (last <= intervals[row.clip(0), 1] + ROUNDING)


def bins_within(intervals: np.ndarray, events: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Say which bins lie wholly within an interval.

    Parameters
    ----------
    intervals : array (intervals, 2)
        Of :func:`read_intervals`.
    events : array (trials,)
        Seconds.
    edges : array (bins + 1,)
        Seconds from the event.

    Returns
    -------
    array of bool (trials, bins)

    Examples
    --------
    >>> recorded = np.array([[0.0, 1.0], [1.5, 9.0]])
    >>> bins_within(recorded, np.array([0.0, 1.0]), np.array([0.0, 0.5, 1.0])).tolist()
    [[True, True], [False, True]]
    """
    at = np.asarray(events)[:, None] + edges
    return within(intervals, at[:, :-1], at[:, 1:])


def intersect(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Give the time that lies in both of two sets of intervals, each of :func:`read_intervals`.

    Examples
    --------
    >>> intersect(np.array([[0.0, 4.0], [6.0, 9.0]]), np.array([[3.0, 7.0]])).tolist()
    [[3.0, 4.0], [6.0, 7.0]]
    """
    starts = np.maximum(one[:, None, 0], other[None, :, 0])
    stops = np.minimum(one[:, None, 1], other[None, :, 1])
    both = np.stack([starts, stops], axis=-1)[stops - starts > ROUNDING]
    return both[np.argsort(both[:, 0], kind="stable")]
