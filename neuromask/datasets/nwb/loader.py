"""Sessions from files of Neurodata Without Borders (NWB)."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..._checks import check_fraction
from ...errors import InvalidInputError, public, suggest
from ...session import Session
from ..binning import bin_edges
from ..marking import mark_units
from ..report import Report
from ..spike_times import from_spike_times
from ..times import times_of
from ..trials import BEYOND, IN_A_GAP, check_unrecorded, filter_trials
from ..units import choose_units
from .events import read_events
from .files import opened
from .observed import observed_intervals, spikes_within, union
from .regions import unit_regions
from .signals import find_series, read_signals
from .spikes import find_units, read_trains
from .tables import plain_table

__all__ = ["load_nwb"]

# Events that lie this many times later than the last spike, or spikes than events, are no seconds.
FAR = 100.0


@public
def load_nwb(
    path: str | os.PathLike | Any,
    *,
    units: str | None = None,
    events: Any = None,
    align: str | None = None,
    ends: str | None = None,
    unrecorded: str = "drop",
    window: tuple[float, float] | float = (-0.5, 1.5),
    step: float | None = None,
    bin_width: float = 0.02,
    region_column: str | None = None,
    quality: Mapping[str, Any] | None = None,
    include: Collection[Any] | None = None,
    exclude: Collection[Any] | None = None,
    min_rate: float = 0.0,
    signals: str | Sequence[str] | None = None,
    session_id: str | None = None,
) -> Session:
    """Read a session from an NWB file: units, regions, trials and signals.

    The file is only read, and closed again. Trials without an event, or with a window that was not
    recorded, are dropped; `report` counts them, and what was flawed. Units without a region get
    "root", which is never a target by default. Needs pynwb: ``pip install 'neuromask[nwb]'``.

    Parameters
    ----------
    path : path-like, address or binary file
        NWB 2 in HDF5, here or at an address (``https://``, ``s3://``, with
        ``neuromask[nwb-remote]``); a Zarr store (with ``neuromask[nwb-zarr]``); or a file that is
        open for reading.
    units : str, optional
        Table of units in the file, by its path or the end of it, such as
        ``"processing/ecephys/units"``. By default that of the file, else the only one elsewhere.
    events : str, array-like of float (trials,) or False, optional
        Where trials are: a table or series in the file, by its path or the end of it, such as
        ``"gabors_presentations"``; or seconds, time 0 of each trial. By default the table of trials.
        False cuts the whole recording into windows, as does None where a file has no trials.
    align : str, optional
        Column of the table of events that holds time 0 of each, in seconds. By default the first
        present of ``gabor_stimulus_onset_time``, ``visual_stimulus_time``, ``stimOn_times`` and
        similar names, then ``start_time`` or ``timestamp``.
    ends : str, optional
        Column of the table of events with the time at which each trial ends, such as
        ``"stop_time"``: bins that go on after it are not observed. By default trials have no end.
    unrecorded : {"drop", "mark", "refuse"}, default="drop"
        What becomes of trials that reach into time that was not recorded: they are left out, kept
        with those bins marked as not observed, or refused. Not recorded is what lies outside the
        ``obs_intervals`` of all units, by default first to last spike, or in ``invalid_times``. A
        unit that was observed for less time than others is kept and marked.
    window : (float, float) or float, default=(-0.5, 1.5)
        Start and stop of a trial, in seconds from its event; without trials one number, the seconds
        that a window lasts.
    step : float, optional
        Seconds from the start of a window to that of the next; a window's length by default.
    bin_width : float, default=0.02
        Seconds; the window is a whole number of bins.
    region_column : str, optional
        Column of units, or of electrodes, that names regions. By default a well-known one of units,
        such as ``beryl_location`` or ``brain_area``, else the ``location`` of the unit's electrodes
        (its peak's, where the file says which that is), else that of its electrode group.
    quality : mapping of str to number, str or sequence, optional
        What units must have by column: a number is the least value, ``"< 0.5"`` a bound (or ``<=``,
        ``>``, ``>=``), other text the one, a sequence those allowed, as in
        ``{"ibl_quality_score": 1.0}`` or ``{"kilosort2_label": ["good"]}``.
    include, exclude : collection of ids, optional
        Units to keep, or to leave out.
    min_rate : float, default=0
        Fewest spikes per second, while it was observed, of a unit that is kept.
    signals : str or sequence of str, optional
        Time series to sample to bins, by name or the end of their path, such as
        ``"PupilTracking/eye_area"``; "all" for every one that is not raw voltage or images.
    session_id : str, optional
        Name of the session; the file's session id, else its identifier, by default.

    Returns
    -------
    Session
        Its `neurons` have the units' plain columns, ``cluster`` (the unit's id) and ``firing_rate``;
        its `trials` the file's plain columns and ``event_time``, or ``start`` and ``block`` of
        windows. Where the file has a column of such a name, that is kept as ``file_firing_rate`` and
        so on.

    Raises
    ------
    ImportError
        If pynwb is not installed, or what a Zarr store or an address needs.
    InvalidInputError
        If the file cannot be read, lacks spikes or trials, or names do not match; no trial or unit
        is left; the spike times of most units are not ascending from 0; or times cannot be seconds.

    Warns
    -----
    NeuromaskWarning
        If trials overlap, or most spikes lie outside the ``obs_intervals`` of the file.

    See Also
    --------
    from_spike_times : Sessions from spikes of any other source.

    Examples
    --------
    >>> import datetime, tempfile
    >>> import numpy as np, pynwb
    >>> start = datetime.datetime(2025, 1, 1, tzinfo=datetime.UTC)
    >>> file = pynwb.NWBFile("a task", "monday", start)
    >>> file.add_unit_column("brain_area", "region of the unit")
    >>> for area in ("CA1", "VISp"):
    ...     file.add_unit(spike_times=np.arange(0, 60, 0.1), brain_area=area)
    >>> for onset in (5.0, 15.0, 25.0):
    ...     file.add_trial(start_time=onset, stop_time=onset + 5)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with pynwb.NWBHDF5IO(f"{folder}/monday.nwb", "w") as io:
    ...         io.write(file)
    ...     session = load_nwb(f"{folder}/monday.nwb")
    >>> session.shape, session.regions.tolist()
    ((3, 100, 2), ['CA1', 'VISp'])
    """
    check_fraction("min_rate", min_rate, low=0.0, high=1e6)
    check_unrecorded(unrecorded)
    is_cut = np.ndim(window) == 0
    edges = bin_edges((0.0, window) if is_cut else window, bin_width)
    given = _given_events(events, is_cut, align=align, ends=ends)
    report, marked = Report(), Report()
    with opened(path) as file:
        source = find_units(file, units, path)
        table = _table_of_units(source)
        regions = unit_regions(source, file.electrodes, region_column, report)
        if regions is not None:
            table["region"] = regions
        ids = table.index.to_numpy()
        trains = read_trains(source, ids, path, report)
        observed = observed_intervals(file, source, trains, ids, report)
        table = table[table.index.isin(trains)]
        table = choose_units(table, quality, include, exclude, report)
        trials, name = given, "event"
        if is_cut:
            _refuse_trials(file, events, window, path)
        elif given is None:
            trials, name = read_events(file, events, align, path, report)
        sampled = {}
        if signals is not None:
            sampled = read_signals(find_series(file), signals, report)
        session_id = session_id or file.session_id or file.identifier
        subject = None if file.subject is None else file.subject.subject_id
    trains = {unit: spikes_within(observed[unit], trains[unit]) for unit in table.index}
    at, until = None, None
    try:
        rates = {unit: _rate(train, observed[unit]) for unit, train in trains.items()}
        table = _choose_rates(table, rates, min_rate, report)
        recorded = union(observed[unit] for unit in table.index)
        if not len(recorded):
            raise InvalidInputError(
                "obs_intervals and invalid_times leave no time that was recorded; expected some. Read the "
                "spikes yourself, and use from_spike_times."
            )
        if trials is not None:
            rules = {f"no {name}": np.isfinite(trials["event_time"].to_numpy())}
            trials = filter_trials(trials, rules, report)
            at = trials.pop("event_time").to_numpy()
            until = None if ends is None else _ends(trials, ends)
        session = from_spike_times(
            {unit: trains[unit] for unit in table.index},
            events=at,
            window=window,
            step=step,
            bin_width=bin_width,
            ends=until,
            neurons=table,
            trials=trials,
            signals=sampled,
            recording=recorded,
            unrecorded=unrecorded,
            session_id=session_id,
            subject=subject,
        )
    except InvalidInputError as error:
        hint = _hint(error.reason, at, trains)
        raise InvalidInputError(f"{path}: {error.reason}{hint}") from error
    session.neurons["firing_rate"] = session.neurons["cluster"].map(rates)
    session = mark_units(session, observed, edges, marked)
    reports = [part for part in (report.table(), session.report, marked.table()) if len(part)]
    session.report = pd.concat(reports, ignore_index=True) if reports else report.table()
    return session


def _given_events(events: Any, is_cut: bool, **columns: str | None) -> pd.DataFrame | None:
    """Give the times of events that are given as such; None where the file has them, or none."""
    if is_cut is not (events is False) and events is not None:
        raise InvalidInputError(
            "events=False is for recordings without trials, and window is then one number, the seconds "
            "that a window lasts, such as 1.0; around events it is (start, stop)."
        )
    named = events is None or isinstance(events, str)
    for name, column in columns.items():
        if column is not None and (is_cut or not named):
            raise InvalidInputError(
                f"given both {name}={column!r} and {'windows' if is_cut else 'events'}; expected one. "
                "Leave one out."
            )
    if is_cut or named:
        return None
    try:
        times = times_of(events).astype(float)
    except (TypeError, ValueError):
        times = np.zeros(0)
    if times.ndim != 1 or not len(times):
        raise InvalidInputError(
            f"events has shape {np.shape(events)}; expected one time a trial, in seconds."
        )
    return pd.DataFrame({"event_time": times})


def _refuse_trials(file: Any, events: Any, window: Any, path: Any) -> None:
    """Refuse windows that nobody asked for in so many words, of a file that has trials."""
    if events is None and file.trials is not None and len(file.trials):
        raise InvalidInputError(
            f"window={window!r}, but {path} has {len(file.trials)} trials; expected (start, stop) in "
            "seconds from the event. Set events=False to cut the whole recording into windows."
        )


def _ends(trials: pd.DataFrame, name: str) -> np.ndarray:
    """Give when each trial ends, by the column that says so."""
    numbers = [column for column in trials if pd.api.types.is_numeric_dtype(trials[column])]
    if name not in numbers:
        raise InvalidInputError(
            f"ends={name!r} is no column of numbers of the trials; those are {numbers}."
            f"{suggest(name, numbers)}"
        )
    return trials[name].to_numpy(float)


def _rate(train: np.ndarray, intervals: np.ndarray) -> float:
    """Give spikes a second while a unit was observed."""
    return len(train) / max(np.diff(intervals, axis=1).sum(), 1e-12)


def _choose_rates(
    table: pd.DataFrame, rates: Mapping[Any, float], min_rate: float, report: Report
) -> pd.DataFrame:
    keep = np.array([rates[unit] >= min_rate for unit in table.index], bool)
    report.dropped("neurons", f"fewer than {min_rate:g} spikes/s", (~keep).sum(), keep.sum())
    if not keep.any():
        raise InvalidInputError(
            f"no neuron is left; expected at least one that fires {min_rate:g} spikes/s. Lower min_rate."
        )
    return table[keep]


def _hint(reason: str, at: np.ndarray | None, trains: Mapping[Any, np.ndarray]) -> str:
    """Say what may mend an error of trials that were not recorded."""
    if IN_A_GAP in reason:
        return " unrecorded='mark' keeps those recorded in part."
    if BEYOND not in reason or at is None:
        return ""
    last = max(1.0, max((train[-1] for train in trains.values() if len(train)), default=0.0))
    ratio = last / max(1.0, at.max())
    if ratio <= FAR:
        return ""
    return (
        f" Most times lie {ratio:,.0f} times later than the last event, as where times are in "
        "milliseconds or samples. Give events=array in seconds, or use from_spike_times."
    )


def _table_of_units(units: Any) -> pd.DataFrame:
    """Read the plain columns of units, by their ids; by rows where an id comes twice."""
    table = plain_table(units, "units", Report(), taken=("cluster", "firing_rate", "region"))
    ids = np.asarray(units.id.data[:])
    if len(set(ids)) < len(ids):  # as where each probe counts its own
        table["id"], ids = ids, np.arange(len(ids))
    return table.set_axis(ids)
