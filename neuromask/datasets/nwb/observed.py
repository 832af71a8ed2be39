"""When the units of an NWB file were observed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ...errors import InvalidInputError, warn
from ..intervals import intersect, read_intervals
from ..report import Report
from .tables import lists_of

__all__ = ["observed_intervals", "spikes_within", "union"]

NO_INTERVALS = np.zeros((0, 2))
ALWAYS = np.array([[-np.inf, np.inf]])


def observed_intervals(
    file: Any, units: Any, trains: Mapping[Any, np.ndarray], ids: np.ndarray, report: Report
) -> dict[Any, np.ndarray]:
    """Read when each unit was observed.

    Parameters
    ----------
    file : pynwb.NWBFile
        Its `invalid_times` were not recorded. Those with a tag that names an electrode group count
        for the units of that group alone.
    units : hdmf.common.DynamicTable
        Its `obs_intervals` are when each unit was observed. Units without any were observed whenever
        another was; from the first to the last spike of the file where none has any.
    trains : mapping of array
        Spike times by unit.
    ids : array (units,)
        Name of each unit of the table.
    report : Report
        Gets a row for intervals that cannot be used.

    Returns
    -------
    dict of array (intervals, 2)
        Start and stop in seconds, by unit.
    """
    there = [train for train in trains.values() if len(train)]
    default = NO_INTERVALS
    if there:
        default = np.array([[min(t[0] for t in there), max(t[-1] for t in there)]])
    stated = _stated(units, ids, report)
    if stated:
        every = union(stated.values())
        n_within = sum(len(spikes_within(every, train)) for train in there)
        if 2 * n_within < sum(len(train) for train in there):
            warn(
                "most spikes lie outside the obs_intervals of the units, so that these cannot be "
                "right; all time from the first to the last spike counts as recorded."
            )
            stated = {}
        else:
            default = every
    valid = _valid(file, units, ids, report)
    return {
        unit: intersect(stated.get(unit, default), valid.get(unit, valid[None])) for unit in trains
    }


def spikes_within(intervals: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Give the spikes that lie in some interval; they are ascending."""
    first = np.searchsorted(train, intervals[:, 0])
    last = np.searchsorted(train, intervals[:, 1], side="right")
    if (last - first).sum() == len(train):
        return train
    return np.concatenate([train[:0], *(train[a:b] for a, b in zip(first, last, strict=True))])


def union(intervals: Iterable[np.ndarray]) -> np.ndarray:
    """Give the time that any of several sets of intervals holds."""
    distinct = {part.tobytes(): part for part in intervals}  # most often the same for many units
    return read_intervals("obs_intervals", np.concatenate([NO_INTERVALS, *distinct.values()]))


def _stated(units: Any, ids: np.ndarray, report: Report) -> dict[Any, np.ndarray]:
    """Give the `obs_intervals` of the units that have any."""
    if "obs_intervals" not in units.colnames:
        return {}
    read: dict[bytes, np.ndarray | None] = {}
    for rows in (lists := [np.asarray(x, float) for x in lists_of(units["obs_intervals"])]):
        if rows.tobytes() not in read:
            read[rows.tobytes()] = _pairs(rows)
    found = {unit: read[rows.tobytes()] for unit, rows in zip(ids, lists, strict=True)}
    flawed = [unit for unit, pairs in found.items() if pairs is None]
    reason = "no pairs of start and stop, so that the unit counts as observed throughout"
    report.dropped("obs_intervals", reason, len(flawed), len(ids) - len(flawed))
    return {unit: pairs for unit, pairs in found.items() if pairs is not None and len(pairs)}


def _pairs(rows: np.ndarray) -> np.ndarray | None:
    try:
        return read_intervals("obs_intervals", rows.reshape(-1, 2))
    except (InvalidInputError, ValueError):
        return None


def _valid(file: Any, units: Any, ids: np.ndarray, report: Report) -> dict[Any, np.ndarray]:
    """Give the time outside invalid times, of each unit that has its own, and of others under None."""
    table = getattr(file, "invalid_times", None)
    if table is None or not len(table):
        return {None: ALWAYS}
    times = np.stack([np.asarray(table[x].data[:], float) for x in ("start_time", "stop_time")], 1)
    known = times[:, 0] <= times[:, 1]
    report.dropped("invalid_times", "no start before its stop", (~known).sum(), known.sum())
    tags: list[set[str]] = [set() for _ in times]
    if "tags" in table.colnames:
        tags = [{_as_text(tag) for tag in np.ravel(row)} for row in lists_of(table["tags"])]
    groups = [""] * len(ids)
    if "electrode_group" in units.colnames:
        groups = [str(getattr(group, "name", "")) for group in units["electrode_group"].data]
    of_all = known & [not row & set(groups) for row in tags]
    valid = {None: _outside(times[of_all])}
    for unit, group in zip(ids, groups, strict=True):
        rows = of_all | (known & [group in row for row in tags])
        if rows.sum() > of_all.sum():
            valid[unit] = _outside(times[rows])
    return valid


def _outside(times: np.ndarray) -> np.ndarray:
    holes = read_intervals("invalid_times", times)
    return np.stack([np.append(-np.inf, holes[:, 1]), np.append(holes[:, 0], np.inf)], 1)


def _as_text(tag: Any) -> str:
    return tag.decode() if isinstance(tag, bytes) else str(tag)
