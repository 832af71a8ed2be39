"""Sessions from files of Neurodata Without Borders (NWB)."""

from __future__ import annotations

import os
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd

from ...errors import InvalidInputError, current_call, public, suggest
from ...session import Session
from ..binning import bin_edges
from ..report import Report
from ..spike_times import from_spike_times
from ..trials import filter_trials, trials_within
from .signals import read_signals
from .tables import plain_columns, unit_regions

__all__ = ["load_nwb"]

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
)


@public
def load_nwb(
    path: str | os.PathLike,
    *,
    align: str | None = None,
    events: Any = None,
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
    first or last spike are dropped; `report` counts them. Units without a region get "root", which
    is never a target by default. Needs pynwb: ``pip install 'neuromask[nwb]'``.

    Parameters
    ----------
    path : path-like
        File to read, NWB 2 in HDF5.
    align : str, optional
        Column of trials that holds time 0 of each, in seconds. By default the first present of
        ``gabor_stimulus_onset_time``, ``visual_stimulus_time``, ``stimOn_times`` and similar names,
        then ``start_time``.
    events : array-like of float (trials,), optional
        Seconds; time 0 of each trial, instead of the file's table of trials.
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
        If pynwb is not installed.
    InvalidInputError
        If the file cannot be read, lacks spikes or trials, or names do not match; no trial or unit
        is left; or spike times are not ascending from 0.

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
    pynwb = _need_pynwb()
    edges = bin_edges(window, bin_width)
    report = Report()
    with _opened(Path(path), pynwb) as file:
        units, table, index, times = _read_units(file, path)
        spikes = times[np.isfinite(times)]
        recording = (float(spikes.min()), float(spikes.max())) if len(spikes) else (0.0, 0.0)
        regions = unit_regions(units, file.electrodes, region_column, report)
        if regions is not None:
            table["region"] = regions
        table = _choose_units(table, quality, report)
        trains = _trains(table, index, times, path)
        trials, name = _read_trials(file, align, events, path, report)
        rules = trials_within(trials["event_time"].to_numpy(), edges, recording, name)
        trials = filter_trials(trials, rules, report)
        sampled = {}
        if signals is not None:
            sampled = read_signals(_find_series(file, pynwb), signals, report)
        session_id = session_id or file.session_id or file.identifier
        subject = None if file.subject is None else file.subject.subject_id
    try:
        session = from_spike_times(
            trains,
            events=trials["event_time"].to_numpy(),
            window=window,
            bin_width=bin_width,
            neurons=table.drop(columns="row"),
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


def _need_pynwb() -> ModuleType:
    try:
        import pynwb
    except ImportError as error:
        raise ImportError(
            f"{current_call()}: pynwb is not installed. Run: pip install 'neuromask[nwb]'"
        ) from error
    return pynwb


@contextmanager
def _opened(path: Path, pynwb: ModuleType) -> Iterator[Any]:
    """Open a file for reading, and close it whatever happens."""
    import h5py

    if not path.is_file():
        near = suggest(path.name, [p.name for p in path.parent.glob("*.nwb")])
        raise InvalidInputError(f"there is no file {path}.{near}")
    with ExitStack() as stack:
        try:
            # Opened here, for pynwb leaves a file open that it cannot read.
            opened = stack.enter_context(h5py.File(path, "r"))
            with warnings.catch_warnings():
                # They tell writers of files what to mend, such as older namespaces.
                warnings.simplefilter("ignore", UserWarning)
                io = pynwb.NWBHDF5IO(file=opened, mode="r", load_namespaces=True)
                file = stack.enter_context(io).read()
        except Exception as error:  # of many kinds, from HDF5, its links or pynwb
            raise _damaged(path, error) from error
        try:
            yield file
        except OSError as error:  # data are read late, and damage shows then
            raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> InvalidInputError:
    return InvalidInputError(
        f"{path} cannot be read ({type(error).__name__}: {error}); expected an NWB 2 file "
        "in HDF5, all of it. Copy or download the file again."
    )


def _read_units(file: Any, path: Any) -> tuple[Any, pd.DataFrame, np.ndarray, np.ndarray]:
    """Give units, their plain columns by id with their row, and spikes: where units end, and times."""
    units = file.units
    if units is None or "spike_times" not in units.colnames or not len(units):
        raise InvalidInputError(
            f"{path} has no units with spike times; expected sorted spikes. Choose the file "
            "of the session that holds them."
        )
    column = units["spike_times"]
    # At once: a read for each of a thousand units takes long.
    times, index = np.asarray(column.target.data[:], float), np.asarray(column.data[:], int)
    table = _plain_without(units, "units", ("cluster", "firing_rate", "region", "row"), Report())
    ids = np.asarray(units.id.data[:])
    if len(set(ids)) < len(ids):  # as where each probe counts its own
        table["id"], ids = ids, np.arange(len(ids))
    table["row"] = np.arange(len(ids))
    return units, table.set_axis(ids), index, times


def _plain_without(source: Any, item: str, taken: tuple[str, ...], report: Report) -> pd.DataFrame:
    """Read plain columns; names that the session has itself get ``file_`` in front."""
    table, others = plain_columns(source)
    reason = f"ragged, of several dimensions or references: {', '.join(others)}"
    report.dropped(f"columns of {item}", reason, len(others), len(table.columns))
    return table.rename(columns={name: f"file_{name}" for name in taken})


def _choose_units(
    table: pd.DataFrame, quality: Mapping[str, Any] | None, report: Report
) -> pd.DataFrame:
    if not isinstance(quality, Mapping | None):
        raise InvalidInputError(
            f"quality={quality!r}; expected a mapping from columns of units to what they "
            "must hold, such as {'ibl_quality_score': 1.0}."
        )
    n_all = len(table)
    known = sorted({name.removeprefix("file_") for name in table.columns} - {"row"})
    for name, wanted in (quality or {}).items():
        values = table.get(f"file_{name}", table.get(name))
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


def _trains(
    table: pd.DataFrame, index: np.ndarray, times: np.ndarray, path: Any
) -> dict[Any, np.ndarray]:
    """Cut spike times into those of each unit, which are checked here to name the file and unit."""
    trains = {}
    for unit, row in table["row"].items():
        train = times[index[row - 1] if row else 0 : index[row]]
        flaw = None
        if not np.isfinite(train).all():
            flaw = f"hold {int((~np.isfinite(train)).sum())} NaN or infinite values"
        elif (train[1:] < train[:-1]).any():
            flaw = f"are not ascending, first at spike {int(np.argmax(np.diff(train) < 0)) + 1}"
        elif len(train) and train[0] < 0:
            flaw = f"start at {train[0]:g} s"
        if flaw:
            raise InvalidInputError(
                f"the spike times of unit {unit} in {path} {flaw}; expected ascending "
                "seconds from 0. Mend the file, leave the unit out by quality, or read its spikes "
                "yourself and use from_spike_times."
            )
        trains[unit] = train
    return trains


def _read_trials(
    file: Any, align: str | None, events: Any, path: Any, report: Report
) -> tuple[pd.DataFrame, str]:
    """Give the plain columns of trials with the time of their events, and the event's name."""
    if events is not None:
        if align is not None:
            raise InvalidInputError(
                f"given both align={align!r} and events; expected one. Leave one out."
            )
        try:
            given = np.asarray(events, float)
        except (TypeError, ValueError):
            given = np.zeros(0)
        if given.ndim != 1 or not len(given):
            raise InvalidInputError(
                f"events has shape {np.shape(events)}; expected one time a trial, in seconds."
            )
        return pd.DataFrame({"event_time": given}), "event"
    if file.trials is None or not len(file.trials):
        tables = sorted(set(file.intervals or ()) - {"trials"})
        raise InvalidInputError(
            f"{path} has no table of trials (other tables of intervals: {tables}). Pass the "
            "time of each trial's event in seconds, events=array."
        )
    trials = _plain_without(file.trials, "trials", ("event_time",), report)
    numbers = [name for name in trials if pd.api.types.is_numeric_dtype(trials[name])]
    name = align or next(name for name in EVENT_COLUMNS if name in numbers)
    if name not in numbers:
        raise InvalidInputError(
            f"align={name!r} is no column of numbers in the table of trials of {path}; those "
            f"are {numbers}.{suggest(name, numbers)}"
        )
    return trials.assign(event_time=trials[name].astype(float)), name


def _find_series(file: Any, pynwb: ModuleType) -> dict[str, Any]:
    """Find time series of behaviour, by path; not raw voltages and images, nor intervals."""
    others = (
        pynwb.ecephys.ElectricalSeries,
        pynwb.image.ImageSeries,
        pynwb.misc.IntervalSeries,
        pynwb.misc.AnnotationSeries,
    )
    modules = {"acquisition": file.acquisition} | {
        name: module.data_interfaces for name, module in file.processing.items()
    }
    found = {}

    def visit(container: Any, path: str) -> None:
        if isinstance(container, pynwb.TimeSeries) and not isinstance(container, others):
            found[path] = container
        for child in container.children:
            visit(child, f"{path}/{child.name}")

    for room, containers in modules.items():
        for name, container in containers.items():
            visit(container, f"{room}/{name}")
    return found
