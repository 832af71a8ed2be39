"""Trials and events of an NWB file: its table of trials, or any other table or series of times."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from ...errors import InvalidInputError, suggest
from ..report import Report
from .contents import contents, is_kind, named
from .tables import lists_of, plain_table

__all__ = ["read_events", "with_labels"]

# What trials are aligned to, the first present one is taken: onsets of stimuli by the names that
# public files give them (those of DANDI 000409 and 000017 come first), then the start of the trial.
EVENT_COLUMNS = (
    "gabor_stimulus_onset_time",
    "visual_stimulus_time",
    "stimOn_times",
    "stim_on_time",
    "stimulus_onset_time",
    "stimulus_on_time",
    "stim_onset_time",
    "stimulus_time",
    "start_time",
    "timestamp",
)
# Series that are sampled; their times are no events.
SAMPLED = ("ElectricalSeries", "ImageSeries", "IndexSeries", "SpatialSeries", "RoiResponseSeries")
NO_EVENTS = ("electrodes", "invalid_times")  # tables


def read_events(
    file: Any, name: str | None, align: str | None, path: Any, report: Report
) -> tuple[pd.DataFrame, str]:
    """Read a row for each event, by default of the table of trials.

    Parameters
    ----------
    file : pynwb.NWBFile
    name : str or None
        Path of a table or series in the file, or its end, such as "gabors_presentations".
    align : str or None
        Column with the time of each event; the first well-known one by default.
    path : object
        Of the file, for errors.
    report : Report
        Gets a row for the columns that are left out.

    Returns
    -------
    DataFrame
        The plain columns and ``event_time``.
    str
        Name of the event.
    """
    found = {at: part for at, part in contents(file).items() if _has_times(part)}
    place = _trials(found, path) if name is None else named(name, found, "events")
    table = _table(found[place], report)
    where = "the table of trials" if name is None else place
    numbers = [column for column in table if pd.api.types.is_numeric_dtype(table[column])]
    event = align or next((column for column in EVENT_COLUMNS if column in numbers), None)
    if event is None:
        raise InvalidInputError(
            f"{where} of {path} does not say when events are; expected a column of times. Name it, "
            f"align=..., among its columns of numbers: {numbers}."
        )
    if event not in numbers:
        raise InvalidInputError(
            f"align={event!r} is no column of numbers in {where} of {path}; those "
            f"are {numbers}.{suggest(event, numbers)}"
        )
    return table.assign(event_time=table[event].astype(float)), event


def _has_times(part: Any) -> bool:
    """Say whether a table or series tells times of events."""
    if is_kind(part, "DynamicTable"):
        return part.name not in NO_EVENTS and not is_kind(part, "Units", "PlaneSegmentation")
    return getattr(part, "timestamps", None) is not None and not is_kind(part, *SAMPLED)


def _trials(found: Mapping[str, Any], path: Any) -> str:
    """Give the path of the file's trials, which a few files keep in a processing module."""
    tables = {at: part for at, part in found.items() if is_kind(part, "DynamicTable")}
    places = [at for at, part in tables.items() if at.endswith("/trials") and len(part)]
    if "intervals/trials" in places or len(places) == 1:
        return "intervals/trials" if "intervals/trials" in places else places[0]
    others = [at for at in found if at != "intervals/trials"]
    shown = f"{others[:20]}" + (f" and {len(others) - 20} more" if len(others) > 20 else "")
    raise InvalidInputError(
        f"{path} has no table of trials; it has times of events in {shown if others else 'no place'}."
        " Name one, events=name, pass the time of each trial's event in seconds, events=array, or cut "
        "the whole recording into windows, window=1.0."
    )


def _table(part: Any, report: Report) -> pd.DataFrame:
    if is_kind(part, "DynamicTable"):
        table = plain_table(part, "trials", report, taken=("event_time",))
        return _exploded(part, table) if "event_times" in part.colnames else table
    times = np.asarray(part.timestamps[:], float).reshape(-1)
    columns: dict[str, Any] = {"timestamp": times}
    data = getattr(part, "data", None)
    if data is not None and np.shape(data) == times.shape:
        columns["value"] = with_labels(part, np.asarray(data[:]))
    table = pd.DataFrame(columns)
    if is_kind(part, "IntervalSeries") and "value" in table:  # above 0 where one starts
        starts = (table["value"] > 0).to_numpy()
        stops = times[~starts]
        table = table[starts].reset_index(drop=True)
        return table.assign(stop_time=stops) if len(stops) == len(table) else table
    return table


def _exploded(part: Any, table: pd.DataFrame) -> pd.DataFrame:
    """Give a row for each time of a table that lists the times of each kind of event."""
    lists = lists_of(part["event_times"])
    rows = np.repeat(np.arange(len(lists)), [len(times) for times in lists])
    times = np.concatenate([np.zeros(0), *lists])
    order = np.argsort(times, kind="stable")
    return table.iloc[rows[order]].reset_index(drop=True).assign(timestamp=times[order])


def with_labels(part: Any, values: np.ndarray) -> Any:
    """Give text for bytes, and for the numbers of events that have labels."""
    # Where its package is not installed, ndx-events' labels go by the second name.
    labels = getattr(part, "labels", getattr(part, "data__labels", None))
    if (
        labels is not None
        and values.dtype.kind in "iu"
        and np.isin(values, range(len(labels))).all()
    ):
        values = np.asarray(labels[:], dtype=object)[values]
    if values.dtype.kind in "SO":
        return [v.decode() if isinstance(v, bytes) else str(v) for v in values]
    return values
