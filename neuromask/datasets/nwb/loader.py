"""Sessions from files of Neurodata Without Borders (NWB)."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ...errors import InvalidInputError, public, suggest
from ...session import Session
from ..binning import bin_edges
from ..report import Report
from ..spike_times import from_spike_times
from ..trials import filter_trials, trials_within
from .events import read_events
from .files import opened
from .regions import unit_regions
from .signals import find_series, read_signals
from .spikes import find_units, read_trains
from .tables import plain_table

__all__ = ["load_nwb"]


@public
def load_nwb(
    path: str | os.PathLike | Any,
    *,
    units: str | None = None,
    events: Any = None,
    align: str | None = None,
    window: tuple[float, float] = (-0.5, 1.5),
    bin_width: float = 0.02,
    region_column: str | None = None,
    quality: Mapping[str, Any] | None = None,
    min_rate: float = 0.0,
    signals: str | Sequence[str] | None = None,
    session_id: str | None = None,
) -> Session:
    """Read a session from an NWB file: units, regions, trials and signals.

    The file is only read, and closed again. Trials without an event or with a window beyond the
    first or last spike are dropped; `report` counts them, and what was flawed. Units without a
    region get "root", which is never a target by default. Needs pynwb:
    ``pip install 'neuromask[nwb]'``.

    Parameters
    ----------
    path : path-like, address or binary file
        NWB 2 in HDF5, here or at an address (``https://``, ``s3://``, with
        ``neuromask[nwb-remote]``); a Zarr store (with ``neuromask[nwb-zarr]``); or a file that is
        open for reading.
    units : str, optional
        Table of units in the file, by its path or the end of it, such as
        ``"processing/ecephys/units"``. By default that of the file, else the only one elsewhere.
    events : str or array-like of float (trials,), optional
        Where trials are: a table or series in the file, by its path or the end of it, such as
        ``"gabors_presentations"``; or seconds, time 0 of each trial. By default the table of trials.
    align : str, optional
        Column of the table of events that holds time 0 of each, in seconds. By default the first
        present of ``gabor_stimulus_onset_time``, ``visual_stimulus_time``, ``stimOn_times`` and
        similar names, then ``start_time`` or ``timestamp``.
    window : (float, float), default=(-0.5, 1.5)
        Start and stop of a trial, in seconds from its event.
    bin_width : float, default=0.02
        Seconds; the window is a whole number of bins.
    region_column : str, optional
        Column of units, or of electrodes, that names regions. By default a well-known one of units,
        such as ``beryl_location`` or ``brain_area``, else the ``location`` of the unit's electrodes
        (its peak's, where the file says which that is), else that of its electrode group.
    quality : mapping of str to number, str or sequence, optional
        What units must have by column: a number is the least value, text the one, a sequence those
        allowed, as in ``{"ibl_quality_score": 1.0}`` or ``{"kilosort2_label": ["good"]}``.
    min_rate : float, default=0
        Fewest spikes per second, from first to last spike of the file, of a unit that is kept.
    signals : str or sequence of str, optional
        Time series to sample to bins, by name or the end of their path, such as
        ``"PupilTracking/eye_area"``; "all" for every one that is not raw voltage or images.
    session_id : str, optional
        Name of the session; the file's session id, else its identifier, by default.

    Returns
    -------
    Session
        Its `neurons` have the units' plain columns, ``cluster`` (the unit's id) and ``firing_rate``;
        its `trials` the file's plain columns and ``event_time``. Where the file has a column of such
        a name, that is kept as ``file_firing_rate`` and so on.

    Raises
    ------
    ImportError
        If pynwb is not installed, or what a Zarr store or an address needs.
    InvalidInputError
        If the file cannot be read, lacks spikes or trials, or names do not match; no trial or unit
        is left; or the spike times of most units are not ascending from 0.

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
    edges = bin_edges(window, bin_width)
    given = _given_events(events, align)
    report = Report()
    with opened(path) as file:
        source = find_units(file, units, path)
        table = _table_of_units(source)
        regions = unit_regions(source, file.electrodes, region_column, report)
        if regions is not None:
            table["region"] = regions
        trains = read_trains(source, table.index.to_numpy(), path, report)
        table = _choose_units(table[table.index.isin(trains)], quality, report)
        recording = _recording(trains)
        if given is None:
            trials, name = read_events(file, events, align, path, report)
        else:
            trials, name = given, "event"
        rules = trials_within(trials["event_time"].to_numpy(), edges, np.array([recording]), name)
        trials = filter_trials(trials, rules, report)
        sampled = {}
        if signals is not None:
            sampled = read_signals(find_series(file), signals, report)
        session_id = session_id or file.session_id or file.identifier
        subject = None if file.subject is None else file.subject.subject_id
    try:
        session = from_spike_times(
            {unit: trains[unit] for unit in table.index},
            events=trials["event_time"].to_numpy(),
            window=window,
            bin_width=bin_width,
            neurons=table,
            trials=trials.drop(columns="event_time"),
            signals=sampled,
            min_rate=min_rate,
            recording=recording,
            session_id=session_id,
            subject=subject,
        )
    except InvalidInputError as error:
        raise InvalidInputError(f"{path}: {error.reason}") from error
    for row in session.report.itertuples(index=False):
        report.dropped(*row)
    session.report = report.table()
    return session


def _given_events(events: Any, align: str | None) -> pd.DataFrame | None:
    """Give the times of events that are given as such; None where the file has them."""
    if events is None or isinstance(events, str):
        return None
    if align is not None:
        raise InvalidInputError(
            f"given both align={align!r} and events; expected one. Leave one out."
        )
    try:
        times = np.asarray(events, float)
    except (TypeError, ValueError):
        times = np.zeros(0)
    if times.ndim != 1 or not len(times):
        raise InvalidInputError(
            f"events has shape {np.shape(events)}; expected one time a trial, in seconds."
        )
    return pd.DataFrame({"event_time": times})


def _recording(trains: Mapping[Any, np.ndarray]) -> tuple[float, float]:
    """Give the first and last spike."""
    there = [train for train in trains.values() if len(train)]
    if not there:
        return 0.0, 0.0
    return float(min(train[0] for train in there)), float(max(train[-1] for train in there))


def _table_of_units(units: Any) -> pd.DataFrame:
    """Read the plain columns of units, by their ids; by rows where an id comes twice."""
    table = plain_table(units, "units", Report(), taken=("cluster", "firing_rate", "region"))
    ids = np.asarray(units.id.data[:])
    if len(set(ids)) < len(ids):  # as where each probe counts its own
        table["id"], ids = ids, np.arange(len(ids))
    return table.set_axis(ids)


def _choose_units(
    table: pd.DataFrame, quality: Mapping[str, Any] | None, report: Report
) -> pd.DataFrame:
    if not isinstance(quality, Mapping | None):
        raise InvalidInputError(
            f"quality={quality!r}; expected a mapping from columns of units to what they "
            "must hold, such as {'ibl_quality_score': 1.0}."
        )
    n_all = len(table)
    own = {name.removeprefix("file_") for name in table.columns}
    known = sorted({*own, "cluster", "id"})
    for name, wanted in (quality or {}).items():
        values = table.get(f"file_{name}", table.get(name))
        if values is None and name in known:
            values = pd.Series(table.index, table.index)
        if name not in known:
            raise InvalidInputError(
                f"quality names {name!r}; expected one of the units' columns of numbers or "
                f"text, {known}.{suggest(name, known)}"
            )
        is_number = isinstance(wanted, (int, float, np.number))
        if is_number and not pd.api.types.is_numeric_dtype(values):
            raise InvalidInputError(
                f"quality={{{name!r}: {wanted!r}}} is a least value, but the column holds text, "
                f"{sorted(set(values))[:5]}. Give the text allowed."
            )
        allowed = [wanted] if isinstance(wanted, str) else wanted
        if not is_number and not isinstance(allowed, Collection):
            raise InvalidInputError(
                f"quality={{{name!r}: {wanted!r}}}; expected a least value, a text or a list of "
                "what is allowed."
            )
        keep = values >= wanted if is_number else values.isin(list(allowed))
        reason = f"{name} below {wanted:g}" if is_number else f"{name} not {wanted!r}"
        report.dropped("neurons", reason, (~keep).sum(), keep.sum())
        table = table[keep]
    if not len(table):
        raise InvalidInputError(
            f"none of {n_all} units is left. Dropped, one rule after the other: "
            f"{report.summary('neurons')}. Lower what quality asks for."
        )
    return table
