"""When the units of an NWB file were observed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...errors import InvalidInputError, warn
from ..intervals import read_intervals
from ..report import Report
from .tables import lists_of

__all__ = ["observed_intervals"]

NO_INTERVALS = np.zeros((0, 2))


def observed_intervals(
    file: Any, units: Any, trains: Mapping[Any, np.ndarray], ids: np.ndarray, report: Report
) -> tuple[np.ndarray, dict[Any, np.ndarray]]:
    """Read when anything was recorded, and when each unit was observed that was not all that time.

    Parameters
    ----------
    file : pynwb.NWBFile
        Its `invalid_times` were not recorded. Those with a tag that names an electrode group count
        for the units of that group alone.
    units : hdmf.common.DynamicTable
        Its `obs_intervals` are when each unit was observed; from the first to the last spike of the
        file where it has none.
    trains : mapping of array
        Spike times by unit.
    ids : array (units,)
        Name of each unit of the table.
    report : Report
        Gets a row for intervals that cannot be used.

    Returns
    -------
    array (intervals, 2)
        Start and stop, in seconds, of the time in which any unit was observed.
    dict of array (intervals, 2)
        Those of the units that were observed for less, by unit.
    """
    there = [train for train in trains.values() if len(train)]
    spikes = np.concatenate(there) if there else np.zeros(0)
    whole = np.array([[spikes.min(), spikes.max()]]) if len(spikes) else NO_INTERVALS
    stated = _stated(units, ids, report)
    if stated and not _hold(_union(stated.values()), spikes):
        warn(
            "most spikes lie outside the obs_intervals of the units, so that these cannot be right; "
            "they are left out, and all time from the first to the last spike counts as recorded."
        )
        stated = {}
    default = _union(stated.values()) if stated else whole
    bad = _invalid(file, units, ids)
    own = {unit: _without(stated.get(unit, default), bad.get(unit, bad[None])) for unit in trains}
    recorded = _union(own.values())
    return recorded, {
        unit: intervals
        for unit, intervals in own.items()
        if not np.array_equal(intervals, recorded)
    }


def _stated(units: Any, ids: np.ndarray, report: Report) -> dict[Any, np.ndarray]:
    """Give the `obs_intervals` of the units that have any."""
    if "obs_intervals" not in units.colnames:
        return {}
    read: dict[bytes, np.ndarray] = {}  # most often the same for many units
    stated, flawed = {}, []
    for unit, rows in zip(ids, lists_of(units["obs_intervals"]), strict=True):
        rows = np.asarray(rows, float)
        key = rows.tobytes()
        try:
            if key not in read:
                read[key] = read_intervals("obs_intervals", rows.reshape(-1, 2))
            if len(read[key]):
                stated[unit] = read[key]
        except (InvalidInputError, ValueError):
            flawed.append(unit)
    reason = "no pairs of start and stop, so that they count as observed throughout"
    report.dropped("obs_intervals", reason, len(flawed), len(ids) - len(flawed))
    return stated


def _invalid(file: Any, units: Any, ids: np.ndarray) -> dict[Any, np.ndarray]:
    """Give the invalid times of each unit that has its own, and under None those of all others."""
    table = getattr(file, "invalid_times", None)
    if table is None or not len(table):
        return {None: NO_INTERVALS}
    times = np.stack(
        [np.asarray(table[name].data[:], float) for name in ("start_time", "stop_time")], 1
    )
    tags: list[set[str]] = [set() for _ in times]
    if "tags" in table.colnames:
        tags = [{_as_text(tag) for tag in np.ravel(row)} for row in lists_of(table["tags"])]
    groups = [""] * len(ids)
    if "electrode_group" in units.colnames:
        groups = [str(getattr(group, "name", "")) for group in units["electrode_group"].data]
    known = set(groups) - {""}
    of_all = [not row & known for row in tags]
    bad = {None: read_intervals("invalid_times", times[of_all])}
    for unit, group in zip(ids, groups, strict=True):
        of_group = np.array(
            [every or group in row for every, row in zip(of_all, tags, strict=True)]
        )
        if group and of_group.sum() > sum(of_all):
            bad[unit] = read_intervals("invalid_times", times[of_group])
    return bad


def _as_text(tag: Any) -> str:
    return tag.decode() if isinstance(tag, bytes) else str(tag)


def _union(intervals: Any) -> np.ndarray:
    distinct = {part.tobytes(): part for part in intervals}
    return read_intervals("obs_intervals", np.concatenate([NO_INTERVALS, *distinct.values()]))


def _hold(intervals: np.ndarray, spikes: np.ndarray) -> bool:
    """Say whether at least half of the spikes lie in some interval."""
    row = np.searchsorted(intervals[:, 0], spikes, side="right") - 1
    inside = (row >= 0) & (spikes <= intervals[row, 1])
    return bool(2 * inside.sum() >= len(spikes))


def _without(intervals: np.ndarray, holes: np.ndarray) -> np.ndarray:
    """Cut holes out of intervals; both are sorted and do not overlap."""
    pieces = [NO_INTERVALS]
    for start, stop in intervals if len(holes) else ():
        inner = holes[(holes[:, 1] > start) & (holes[:, 0] < stop)]
        piece = np.concatenate([[start], inner.ravel(), [stop]]).reshape(-1, 2)
        pieces.append(piece[piece[:, 1] > piece[:, 0]])
    return np.concatenate(pieces) if len(holes) else intervals
