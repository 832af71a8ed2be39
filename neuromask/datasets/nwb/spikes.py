"""Spike times of the units of an NWB file, and when each unit was observed."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import InvalidInputError
from ..report import Report
from ..trains import JITTER, falls_back
from .contents import contents, is_kind, named
from .tables import lists_of

__all__ = ["find_units", "read_trains"]


def find_units(file: Any, name: str | None, path: Any) -> Any:
    """Give the table of sorted units: by its name, else the file's own, else the only one elsewhere.

    Parameters
    ----------
    file : pynwb.NWBFile
    name : str or None
        Path in the file, or its end, such as "processing/ecephys/units".
    path : object
        Of the file, for errors.
    """
    found = {at: table for at, table in contents(file).items() if _has_spikes(table)}
    if name is not None:
        return found[named(name, found, "the table of units")]
    if "units" in found:
        return found["units"]
    if len(found) == 1:
        return next(iter(found.values()))
    if found:
        raise InvalidInputError(
            f"{path} has several tables of units, {sorted(found)}; expected one. Name it, as in "
            f"units={next(iter(found))!r}."
        )
    raise InvalidInputError(
        f"{path} has no units with spike times; expected sorted spikes. Choose the file "
        "of the session that holds them."
    )


def _has_spikes(table: Any) -> bool:
    return is_kind(table, "DynamicTable") and "spike_times" in table.colnames and len(table) > 0


def read_trains(units: Any, ids: np.ndarray, path: Any, report: Report) -> dict[Any, np.ndarray]:
    """Read the spike times of each unit, mend what can be mended and leave out what cannot.

    Times that are no numbers or before 0 are left out. Those out of order by jitter are sorted. A
    unit whose times fall back further is left out, for its clock was started again, or the spikes of
    several recordings stand one after the other.

    Parameters
    ----------
    units : hdmf.common.DynamicTable
        Of a file that is open.
    ids : array (units,)
        Name of each unit.
    path : object
        Of the file, for errors.
    report : Report
        Gets a row for each kind of flaw.

    Returns
    -------
    dict of array
        Seconds, ascending, by unit; without the units that are left out.

    Raises
    ------
    InvalidInputError
        If most units are to be left out.
    """
    # At once: a read for each of a thousand units takes long.
    lists = lists_of(units["spike_times"])
    trains = {unit: np.asarray(t, float).reshape(-1) for unit, t in zip(ids, lists, strict=True)}
    n_all = sum(len(train) for train in trains.values())
    for reason, keep in (
        ("NaN or infinite", np.isfinite),
        ("before 0 s", lambda t: ~(t < 0)),
    ):
        kept = {unit: keep(train) for unit, train in trains.items()}
        flawed = {unit: trains[unit][k] for unit, k in kept.items() if not k.all()}
        n_left = n_all - sum(len(trains[unit]) - len(left) for unit, left in flawed.items())
        report.dropped("spikes", reason, n_all - n_left, n_left)
        if "before" in reason and 2 * n_left < n_all:
            raise InvalidInputError(
                f"{n_all - n_left} of {n_all} spikes in {path} lie before 0 s; expected seconds from "
                "the start of the recording. Add what the clock lacks to spikes and events, and use "
                "from_spike_times."
            )
        trains, n_all = trains | flawed, n_left
    back = {unit: falls_back(train) for unit, train in trains.items()}
    restarted = [unit for unit in trains if back[unit] > JITTER]
    jittered = [unit for unit in trains if 0 < back[unit] <= JITTER]
    n_left = len(trains) - len(restarted)
    if 2 * len(restarted) > len(trains):
        unit = restarted[0]
        raise InvalidInputError(
            f"the spike times of {len(restarted)} of {len(trains)} units in {path} fall back, those "
            f"of unit {unit} by {back[unit]:g} s; expected ascending seconds. Where they are "
            "counted from the start of each trial or recording, add these starts and use "
            "from_spike_times."
        )
    reason = f"times that fall back by more than {JITTER:g} s: {_some(restarted)}"
    report.dropped("neurons", reason, len(restarted), n_left)
    reason = f"out of order by up to {JITTER:g} s, sorted: {_some(jittered)}"
    report.dropped("spike times", reason, len(jittered), n_left)
    return {
        unit: np.sort(train) if back[unit] else train
        for unit, train in trains.items()
        if unit not in set(restarted)
    }


def _some(ids: list[Any]) -> str:
    return ", ".join(str(i) for i in ids[:5]) + (", ..." if len(ids) > 5 else "")
