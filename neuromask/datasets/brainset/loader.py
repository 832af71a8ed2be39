"""Sessions from HDF5 files of torch_brain and brainsets."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from ...errors import InvalidInputError, public, suggest
from ...session import Session
from ..binning import bin_edges
from ..report import Report
from ..spike_times import from_spike_times
from ..trials import filter_trials, trials_within
from .files import columns, find, named, opened, part
from .splits import inside, read_splits, splits_of_masks, splits_of_windows

__all__ = ["load_brainset"]

# Columns of units that name regions, the first that is there.
REGION_COLUMNS = (
    *(
        "region",
        "brain_region",
        "brain_area",
        "area",
        "region_beryl",
        "region_allen",
        "region_cosmos",
    ),
    *("location", "structure", "acronym"),
)
SORTED_SPIKES = "out of order, sorted"
SERIES = ("IrregularTimeSeries", "RegularTimeSeries")


@public
def load_brainset(
    path: str | os.PathLike,
    *,
    events: Any = "trials",
    align: str = "start",
    window: tuple[float, float] = (-0.5, 1.5),
    bin_width: float = 0.02,
    region_column: str | None = None,
    min_rate: float = 0.0,
    signals: str | Sequence[str] | None = None,
    session_id: str | None = None,
) -> Session:
    """Read a session from an HDF5 file of torch_brain, as brainsets and BrainWideBench give them.

    Trials without an event, or with a window that reaches into time that was not recorded (beyond
    the domain of the spikes, or into a gap of it), are dropped, and `report` counts them. Needs
    temporaldata: ``pip install 'neuromask[brainset]'``.

    Parameters
    ----------
    path : path-like
        The file. It is only read, and closed again.
    events : str or array-like of float (trials,), default="trials"
        Where trials are: intervals in the file, by their path with dots or the end of it, such as
        ``"task_aligned_intervals.choice"``; or seconds, time 0 of each trial.
    align : str, default="start"
        Column of these intervals that holds time 0 of each, such as ``"go_cue_time"`` or ``"end"``.
    window : (float, float), default=(-0.5, 1.5)
        Start and stop of a trial, in seconds from its event.
    bin_width : float, default=0.02
        Seconds; the window is a whole number of bins.
    region_column : str, optional
        Column of units that names regions. By default the first present of ``region``,
        ``brain_region``, ``brain_area``, ``area``, ``region_beryl`` and similar names.
    min_rate : float, default=0
        Fewest spikes per second of a unit that is kept.
    signals : str or sequence of str, optional
        Variables of time series, by their path with dots, such as ``"cursor.vel"``; "all" for every
        one but those of spikes. They are sampled at the end of each bin.
    session_id : str, optional
        Name of the session; that of the file by default.

    Returns
    -------
    Session
        Its `neurons` have the columns of the file's units; its `trials` those of the intervals, and
        ``event_time``. Where the file splits time into train, valid and test, ``split`` says which
        one a trial belongs to; it is empty where the trial's window reaches into another part. A file
        of several splits has a column for each, such as ``ts1_split``.

    Raises
    ------
    ImportError
        If temporaldata is not installed.
    InvalidInputError
        If the file cannot be read, lacks spikes or the intervals, or names do not match; or no trial
        or unit is left.

    See Also
    --------
    from_spike_times : Sessions from spikes of any other source.

    Examples
    --------
    >>> session = load_brainset("c_20131003_center_out.h5", align="go_cue_time")  # doctest: +SKIP
    """
    edges = bin_edges(window, bin_width)
    report = Report()
    with opened(path) as data:
        times, unit_index, recorded = _read_spikes(data, path, report)
        units = _read_units(data, unit_index, region_column)
        trials, name = _read_events(data, events, align)
        at = trials.pop("event_time").to_numpy(float)
        for split, domains in read_splits(data).items():
            trials[f"{split}_split" if split else "split"] = splits_of_windows(domains, at, edges)
        masks = splits_of_masks(trials)
        if masks is not None and "split" not in trials:
            trials["split"] = masks
        trials["event_time"] = at
        rules = trials_within(at, edges, (recorded[0, 0], recorded[-1, 1]), name)
        rules["in time that was not recorded"] = inside(recorded, at + edges[0], at + edges[-1])
        trials = filter_trials(trials, rules, report)
        sampled = _read_signals(data, signals, report)
        subject = part(data, "subject", "id")
        named_id = part(data, "session", "id")
    try:
        session = from_spike_times(
            times,
            unit_index,
            events=trials["event_time"].to_numpy(float),
            window=window,
            bin_width=bin_width,
            neurons=units,
            trials=trials.drop(columns="event_time"),
            signals=sampled,
            min_rate=min_rate,
            recording=(recorded[0, 0], recorded[-1, 1]),
            session_id=str(session_id or named_id or "session"),
            subject=None if subject is None else str(subject),
        )
    except InvalidInputError as error:
        raise InvalidInputError(f"{path}: {error.reason}") from error
    session.report = pd.concat([report.table(), session.report], ignore_index=True)
    return session


def _read_spikes(data: Any, path: Any, report: Report) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give times and units of spikes in order, and the intervals (n, 2) that were recorded."""
    spikes = part(data, "spikes")
    if spikes is None or "unit_index" not in spikes.keys():  # noqa: SIM118
        raise InvalidInputError(
            f"{path} has no spikes with a unit_index; it has {sorted(data.keys())}. Expected spikes: "
            "imaging and field potentials are no spike counts."
        )
    times, unit_index = np.asarray(spikes.timestamps, float), np.asarray(spikes.unit_index)
    domain = spikes.domain
    recorded = np.stack([np.asarray(domain.start, float), np.asarray(domain.end, float)], 1)
    recorded = recorded[np.argsort(recorded[:, 0])]
    if not len(times):
        raise InvalidInputError(f"{path} has no spike; expected one or more. Make the file again.")
    report.noted("spikes", SORTED_SPIKES, int((times < np.maximum.accumulate(times)).sum()))
    order = np.argsort(times, kind="stable")
    return times[order], unit_index[order].astype(np.int64), recorded


def _read_units(data: Any, unit_index: np.ndarray, region_column: str | None) -> pd.DataFrame:
    """Give a row a unit, by the number that spikes have."""
    table = part(data, "units")
    units = pd.DataFrame(index=np.unique(unit_index)) if table is None else columns(table)
    for column in ("firing_rate", "cluster"):
        if column in units:
            units = units.rename(columns={column: f"file_{column}"})
    if region_column is not None and region_column not in units:
        raise InvalidInputError(
            f"region_column={region_column!r} is no column of units, which have "
            f"{list(units.columns)}.{suggest(region_column, units.columns)}"
        )
    texts = [c for c in REGION_COLUMNS if c in units and units[c].map(type).eq(str).all()]
    named_by = region_column or next(iter(texts), None)
    return units if named_by is None else units.assign(region=units[named_by].astype(str))


def _read_events(data: Any, events: Any, align: str) -> tuple[pd.DataFrame, str]:
    """Give a row a trial, with the time of its event, and the event's name."""
    if not isinstance(events, str):
        try:
            at = np.asarray(events, float)
        except (TypeError, ValueError):
            at = np.zeros((0, 0))
        if at.ndim != 1:
            raise InvalidInputError(
                f"events has shape {at.shape}; expected the name of intervals in the file, or one "
                "time a trial in seconds."
            )
        return pd.DataFrame({"event_time": at}), "event"
    trials = columns(find(data, events, ("Interval",), "events"))
    if align not in trials:
        raise InvalidInputError(
            f"align={align!r} is no column of {events!r}, which has {list(trials.columns)}."
            f"{suggest(align, trials.columns)}"
        )
    if "event_time" in trials and align != "event_time":
        trials = trials.rename(columns={"event_time": "file_event_time"})
    return trials.assign(event_time=trials[align].to_numpy(float)), f"{events}.{align}"


def _read_signals(
    data: Any, names: str | Sequence[str] | None, report: Report
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Give times and values of variables of time series."""
    if names is None:
        return {}
    known = {}
    for place, series in named(data, SERIES).items():
        for key in series.keys():  # noqa: SIM118
            if place != "spikes" and key != "timestamps":
                known[f"{place}.{key}"] = (series, key)
    given = [names] if isinstance(names, str) else list(names)
    found = {}
    for name in known if names == "all" else given:
        if name not in known:
            raise InvalidInputError(
                f"signal {name!r} is not in the file; expected some of {sorted(known)}, or 'all'."
                f"{suggest(name, known)}"
            )
        series, key = known[name]
        values = np.asarray(getattr(series, key))
        if values.ndim not in (1, 2) or values.dtype.kind not in "biuf":
            problem = f"{values.dtype} values of shape {values.shape}"
            if names != "all":
                raise InvalidInputError(
                    f"signal {name!r} holds {problem}; expected numbers by time."
                )
            report.dropped(f"signal {name}", problem, len(values), 0)
            continue
        found[name] = (np.asarray(series.timestamps, float), values.astype(float))
    return found
