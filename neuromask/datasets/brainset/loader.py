"""Sessions from HDF5 files of torch_brain and brainsets."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ...errors import InvalidInputError, public, suggest
from ...session import Session
from ..binning import bin_edges
from ..intervals import read_intervals
from ..report import Report
from ..spike_times import NOT_LISTED, from_spike_times
from ..trials import (
    check_unrecorded,
    filter_trials,
    refuse_unrecorded,
    trials_within,
)
from ..units import choose_by_rate, choose_units
from .files import columns, find, named, opened, part
from .splits import read_splits, splits_of_masks, splits_of_windows

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
    quality: Mapping[str, Any] | None = None,
    min_rate: float = 0.0,
    include: Collection[Any] | None = None,
    exclude: Collection[Any] | None = None,
    ends: str | None = None,
    unrecorded: str = "drop",
    signals: str | Sequence[str] | None = None,
    session_id: str | None = None,
) -> Session:
    """Read a session from an HDF5 file of torch_brain, as brainsets and BrainWideBench give them.

    Recorded time is the domain of the spikes, with its gaps. What is left out is in `report`. Needs
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
    quality : mapping of str to number, str or collection, optional
        What units must have by column: a number is the least value, text such as ``"< 0.1"`` a
        bound, other text the one value, a collection those allowed; for example ``{"label": 1.0}``.
    min_rate : float, default=0
        Fewest spikes per second of recorded time of a unit that is kept.
    include, exclude : collection, optional
        Units to keep, and units to leave out, by the column ``id`` of the file's units, or by row
        where there is none.
    ends : str, optional
        Column of the intervals that holds when each trial ends, such as ``"end"``; bins after it are
        marked as not observed.
    unrecorded : {"drop", "mark", "refuse"}, default="drop"
        What becomes of trials that reach into time that was not recorded: left out, kept with these
        bins marked as not observed, or an error.
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
    check_unrecorded(unrecorded)
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
        until = None if ends is None else _column(trials, "ends", ends)
        rules = trials_within(at, edges, recorded, name, unrecorded=unrecorded, ends=until)
        if unrecorded == "refuse":
            refuse_unrecorded(rules, at, edges, recorded)
        trials = filter_trials(trials.assign(event_time=at), rules, report)
        at = trials.pop("event_time").to_numpy(float)
        until = None if ends is None else _column(trials, "ends", ends)
        sampled = _read_signals(data, signals, report)
        subject = part(data, "subject", "id")
        named_id = part(data, "session", "id")
    try:
        units = choose_units(units, quality, include, exclude, report)
        n_spikes = pd.Series(unit_index).value_counts()
        rates = n_spikes.reindex(units.index, fill_value=0) / float(np.diff(recorded).sum())
        rates = choose_by_rate(units.assign(firing_rate=rates), min_rate, report)["firing_rate"]
        session = from_spike_times(
            times,
            unit_index,
            events=at,
            window=window,
            bin_width=bin_width,
            ends=until,
            neurons=units.loc[rates.index],
            trials=trials,
            signals=sampled,
            recording=recorded,
            unrecorded="mark",
            session_id=str(session_id or named_id or "session"),
            subject=None if subject is None else str(subject),
        )
    except InvalidInputError as error:
        raise InvalidInputError(f"{path}: {error.reason}") from error
    session.neurons["firing_rate"] = rates.to_numpy()
    found = session.report["reason"] != NOT_LISTED  # in the report already, as what they are
    report.add_table(session.report[found])
    session.report = report.table()
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
    recorded = read_intervals("the domain of spikes", np.stack([domain.start, domain.end], 1))
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
    at = _column(trials, "align", align)
    if "event_time" in trials and align != "event_time":
        trials = trials.rename(columns={"event_time": "file_event_time"})
    return trials.assign(event_time=at), f"{events}.{align}"


def _column(trials: pd.DataFrame, option: str, name: str) -> np.ndarray:
    if name not in trials:
        raise InvalidInputError(
            f"{option}={name!r} is no column of the intervals, which have {list(trials.columns)}."
            f"{suggest(name, trials.columns)}"
        )
    return trials[name].to_numpy(float)


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
