"""The benchmark's own recordings: HDF5 files, cut as the protocol cuts them for each task.

Where a task's windows and targets lie in a file is read from the benchmark's package.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from ..datasets.binning import bin_spikes
from ..datasets.brainset.files import columns, opened, part
from ..datasets.brainset.splits import PARTS
from ..datasets.intervals import within
from ..datasets.report import Report
from ..errors import InvalidInputError, public, warn
from ..session import Session
from .files import contract
from .tasks import BIN_WIDTH, N_BINS, Task, check_tasks, held_out_neurons

__all__ = ["find_recordings", "read_recording"]

WINDOW = N_BINS * BIN_WIDTH  # seconds
# Which units a suite's files hold: all of them for behaviour, those that passed for activity.
BUILDS = {"ts1": "all_units", "ts2": "selected_units"}
# Windows of activity begin at every bin where they are scored, and side by side elsewhere.
STRIDES = {"train": WINDOW, "valid": WINDOW, "test": BIN_WIDTH}
REGION = "region_beryl"


@dataclass(frozen=True)
class _Cut:
    """Windows of one task, in order of split and time: starts, splits and columns of trials."""

    starts: np.ndarray
    trials: pd.DataFrame
    signals: dict[str, np.ndarray]


@public
def find_recordings(
    paths: str | os.PathLike | Sequence[str | os.PathLike], tasks: str | Sequence[str]
) -> list[tuple[Path, list[str]]]:
    """Give the files of the benchmark that serve the tasks, and which ones each serves.

    Of a recording in several builds, behaviour is read from ``all_units`` and activity from
    ``selected_units``, as the protocol asks.

    Parameters
    ----------
    paths : path-like or sequence of these
        HDF5 files, or folders of them, such as the benchmark's bucket. Of folders that hold files
        under ``eval``, no others are taken.
    tasks : str or sequence of str
        Some of :data:`neuromask.benchmark.TASKS`.

    Returns
    -------
    list of (Path, list of str)

    Raises
    ------
    ImportError
        If temporaldata is not installed.
    InvalidInputError
        If there is no file, or none whose units serve a task.

    Warns
    -----
    NeuromaskWarning
        If behaviour is read from other units than the benchmark's baselines.

    Examples
    --------
    >>> find_recordings("data", ["choice", "co_smoothing"])  # doctest: +SKIP
    """
    chosen = check_tasks(tasks)
    builds: dict[str, dict[str, Path]] = {}
    for path in _files(paths):
        with opened(path) as data:
            name, build = _name(data, path), str(part(data, "brainset", "unit_filtering"))
        builds.setdefault(name, {})[build] = path
    found: dict[Path, list[str]] = {}
    for name, by_build in builds.items():
        for task in chosen:
            build = BUILDS[task.suite]
            if task.suite == "ts2" and build not in by_build:
                raise InvalidInputError(
                    f"recording {name!r} is there with {sorted(by_build)}; {task.name} is scored on "
                    f"{build!r} alone. Download brainsets/{build} of the benchmark."
                )
            path = by_build.get(build, next(iter(by_build.values())))
            found.setdefault(path, []).append(task.name)
        if any(task.suite == "ts1" for task in chosen) and BUILDS["ts1"] not in by_build:
            warn(
                f"recording {name!r} is there with {sorted(by_build)}; the benchmark's baselines decode "
                "behaviour from 'all_units'. Say so beside your scores."
            )
    return list(found.items())


@public
def read_recording(
    path: str | os.PathLike, tasks: str | Sequence[str]
) -> list[tuple[list[str], Session]]:
    """Read a file of the benchmark as the sessions that its tasks ask for.

    Behaviour is decoded in windows around an event (a second before the first movement for choice,
    a second from it for the signals, ...); activity is predicted in every second of trials. Trials
    have the protocol's own split, signals its z-scores.

    Parameters
    ----------
    path : path-like
        HDF5 file, such as the benchmark's bucket holds.
    tasks : str or sequence of str
        Some of :data:`neuromask.benchmark.TASKS`.

    Returns
    -------
    list of (list of str, Session)
        Tasks of the same windows share a session, which is ready for
        :func:`~neuromask.benchmark.write_submission`.

    Raises
    ------
    ImportError
        If temporaldata or ``ibl_bwb_eval`` are not installed.
    InvalidInputError
        If the file is none of the benchmark, or lacks what a task needs.

    Examples
    --------
    >>> ((tasks, session),) = read_recording("0802ced5.h5", "choice")  # doctest: +SKIP
    """
    chosen = check_tasks(tasks)
    specs, report = contract("tasks"), Report()
    sessions: list[tuple[list[str], Session]] = []
    with opened(path) as data:
        name = _name(data, path)
        groups: dict[bytes, list[tuple[Task, _Cut]]] = {}
        for task in chosen:
            cut = (
                _activity(data, path)
                if task.suite == "ts2"
                else _behaviour(data, specs.get_ts1_readout_spec(task.name), task, path, report)
            )
            groups.setdefault(cut.starts.tobytes(), []).append((task, cut))
        spikes = part(data, "spikes")
        order = np.argsort(np.asarray(spikes.timestamps), kind="stable")
        times = np.asarray(spikes.timestamps, float)[order]
        clusters = np.asarray(spikes.unit_index)[order]
        units = columns(data.units)
        edges = np.arange(N_BINS + 1) * BIN_WIDTH
        for group in groups.values():
            cuts = [cut for _, cut in group]
            session = Session(
                bin_spikes(times, clusters, np.arange(len(units)), cuts[0].starts, edges),
                neurons=units.assign(region=units[REGION]) if REGION in units else units,
                trials=pd.DataFrame({k: v for cut in cuts for k, v in cut.trials.items()}),
                signals={key: values for cut in cuts for key, values in cut.signals.items()},
                bin_width=BIN_WIDTH,
                session_id=name,
                subject=part(data, "subject", "id"),
                report=report.table(),
            )
            _check_held_out(session, [task for task, _ in group], path)
            sessions.append(([task.name for task, _ in group], session))
    return sessions


def _files(paths: Any) -> list[Path]:
    given = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    files: list[Path] = []
    for path in map(Path, given):
        inner = sorted(path.rglob("*.h5")) if path.is_dir() else [path]
        scored = [file for file in inner if "eval" in file.parts]
        files += scored if path.is_dir() and scored else inner
    if not files:
        raise InvalidInputError(
            f"no .h5 file in {', '.join(map(str, given))}. Give the benchmark's."
        )
    return files


def _name(data: Any, path: Any) -> str:
    name = part(data, "session", "id")
    if name is None or part(data, "task_aligned_intervals") is None:
        raise InvalidInputError(
            f"{path} is no recording of BrainWideBench: it holds {sorted(data.keys())}, and no "
            "task_aligned_intervals. Read it with neuromask.load_brainset."
        )
    return str(name)


def _domains(data: Any, suite: str, path: Any) -> dict[str, np.ndarray]:
    """Give the intervals (n, 2) of each split, by its name here."""
    found = {}
    for name in ("train", "val", "test"):
        domain = part(data, f"{suite}_{name}_domain")
        if domain is None:
            raise InvalidInputError(
                f"{path} has no {suite}_{name}_domain. Files for pretraining have none; give those of "
                "the benchmark's folder eval."
            )
        found[PARTS[name]] = _pairs(domain)
    return found


def _pairs(interval: Any) -> np.ndarray:
    pairs = np.stack([np.asarray(interval.start, float), np.asarray(interval.end, float)], 1)
    return pairs[np.argsort(pairs[:, 0])]


def _activity(data: Any, path: Any) -> _Cut:
    """Cut the seconds of trials, within each split."""
    trials = _pairs(data.task_aligned_intervals.domain)
    starts, splits = [], []
    for split, domain in _domains(data, "ts2", path).items():
        for first, last in _shared(trials, domain):
            found = _steps(first, last, STRIDES[split])
            starts += found
            splits += [split] * len(found)
    table = pd.DataFrame({"split": splits, "window_start": starts})
    return _Cut(np.array(starts), table, {})


def _shared(one: np.ndarray, other: np.ndarray) -> list[tuple[float, float]]:
    """Give the time that two sets of intervals share."""
    return [(max(a, c), min(b, d)) for c, d in other for a, b in one if max(a, c) < min(b, d)]


def _steps(first: float, last: float, stride: float) -> list[float]:
    """Give starts of windows as the benchmark's sampler does, to the last bit: scores match by them."""
    at = torch.arange(first, last, stride, dtype=torch.float64).tolist()
    starts = [start for start in at if start + WINDOW <= last]
    if starts and starts[-1] + WINDOW < last:
        starts.append(last - WINDOW)
    return starts


def _behaviour(data: Any, spec: Any, task: Task, path: Any, report: Report) -> _Cut:
    """Cut the windows of one task of behaviour, with what is decoded in them."""
    windows = part(data, *spec.interval_key.split("."))
    if windows is None:
        raise InvalidInputError(f"{path} has no {spec.interval_key}, which {task.name} needs.")
    starts, stops = (np.asarray(x, float) for x in (windows.start, windows.end))
    split = np.full(len(starts), "", object)
    for name, domain in _domains(data, "ts1", path).items():
        split[within(domain, starts, stops)] = name
    kept = split != ""
    report.dropped(f"trials of {task.name}", "between the splits", (~kept).sum(), kept.sum())
    trials = pd.DataFrame({"split": split, "trial_id": np.asarray(windows.trial_index)})
    signals = {}
    if task.classes:
        trials[task.name] = np.asarray(part(data, *spec.value_key.split(".")))
    else:
        values, there = _sampled(data, spec.value_key, starts, stops, path)
        normal = part(data, "ts1_normalize", *spec.value_key.split("."))
        if normal is not None:  # speeds of the wheel have units of their own, and no z-score
            values = (values - np.asarray(normal.mean)) / np.asarray(normal.std)
        signals[task.name] = values
        report.dropped(
            f"trials of {task.name}", "without a sample a bin", (kept & ~there).sum(), there.sum()
        )
        kept &= there
        if task.confidence is not None:
            signals[task.confidence] = _sampled(data, spec.mask_key, starts, stops, path)[0]
    kept_signals = {name: values[kept] for name, values in signals.items()}
    return _Cut(starts[kept], trials[kept].reset_index(drop=True), kept_signals)


def _sampled(
    data: Any, key: str, starts: np.ndarray, stops: np.ndarray, path: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Give a signal's samples in each window (windows, bins), and which windows have one a bin."""
    place, _, variable = key.rpartition(".")
    series = part(data, *place.split("."))
    if series is None or variable not in series.keys():  # noqa: SIM118
        raise InvalidInputError(
            f"{path} has no {key}: that camera or wheel did not pass. Leave the task out."
        )
    times, values = np.asarray(series.timestamps, float), np.asarray(getattr(series, variable))
    first = np.searchsorted(times, starts - 1e-9)
    there = np.searchsorted(times, stops - 1e-9) - first == N_BINS
    rows = (first[:, None] + np.arange(N_BINS)).clip(max=len(times) - 1)
    sampled = values[rows].astype(float)
    return sampled, there & np.isfinite(sampled).all(1)


def _check_held_out(session: Session, tasks: Sequence[Task], path: Any) -> None:
    """Refuse a file that hides other neurons than the protocol."""
    hidden = session.neurons.get("ts2_co_smoothing_is_held_out_test")
    if hidden is None or all(task.name != "co_smoothing" for task in tasks):
        return
    if not np.array_equal(hidden.to_numpy(bool), held_out_neurons(session)):
        raise InvalidInputError(
            f"{path} hides other neurons for co-smoothing than their ids say. Download it again, or "
            "install the neuromask of its version."
        )
