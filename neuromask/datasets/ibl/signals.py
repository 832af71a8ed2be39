"""Wheel and cameras of a session, from its files."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..report import Report
from ..samples import SORTED, in_order
from .behaviour import camera_times, paw_speeds, wheel_velocity
from .files import DamagedFileError, SessionFiles

__all__ = ["SIGNALS", "read_signals"]

CAMERAS = ("left", "right")
WHEEL = ("wheel_velocity", "wheel_speed")
# Attribute of a camera's ALF object that holds a signal, and its column where it is a table.
FROM_CAMERA = {"whisker": "ROIMotionEnergy", "pupil": "features", "paws": "dlc"}
PUPIL = "pupilDiameter_smooth"
PAWS = tuple(f"paw_{paw}_{column}" for paw in "lr" for column in ("x", "y", "likelihood"))
#: All signals that can be asked for.
SIGNALS = (*WHEEL, *(f"{what}_{side}" for what in FROM_CAMERA for side in CAMERAS))


# A signal may begin before the first spike and end after the last, by seconds.
MARGIN = 600.0

Signal = tuple[np.ndarray, np.ndarray]


def read_signals(
    files: SessionFiles,
    names: Sequence[str],
    *,
    recording: tuple[float, float],
    bin_width: float,
    n_trials: int,
    report: Report,
) -> dict[str, Signal]:
    """Read the times and values of signals; one that cannot be used is left out and reported.

    Parameters
    ----------
    files : SessionFiles
        Of the session.
    names : sequence of str
        Of `SIGNALS`.
    recording : (float, float)
        Seconds of the first and the last spike.
    bin_width : float
        Seconds; a camera's times may be wrong by as much.
    n_trials : int
        Trials that lose a signal which is left out.
    report : Report
        Gets what is left out and what was mended.
    """
    found: dict[str, Signal] = {}
    for name in names:
        notes = Report()
        try:
            signal = (
                _read_wheel(files, recording, notes, name)
                if name in WHEEL
                else _read_camera(files, bin_width, notes, name)
            )
        except DamagedFileError as error:
            files.damaged.append(error.reason)
            signal = error.reason
        if isinstance(signal, str):
            report.dropped(f"signal {name}", signal, n_trials, 0)
        else:
            found[name] = signal
            report.add(notes)
    return found


def _read_wheel(
    files: SessionFiles, recording: tuple[float, float], notes: Report, name: str
) -> Signal | str:
    """Give times and velocity or speed, or why there are none."""
    for collection in files.collections("*wheel.position*"):
        position = files.read("wheel", "position", collection)
        timestamps = files.read("wheel", "timestamps", collection)
        if position is None or timestamps is None or len(position) != len(timestamps):
            return "positions and times of the wheel do not match"
        position, timestamps = (np.asarray(x, float).ravel() for x in (position, timestamps))
        timestamps = np.where(np.isfinite(position), timestamps, np.nan)
        ordered = _ordered(timestamps, notes, name)
        if isinstance(ordered, str):
            return ordered
        at = timestamps[ordered]
        near = (at >= recording[0] - MARGIN) & (at <= recording[1] + MARGIN)
        if near.sum() < max(2, len(at) / 2):
            return (
                f"times from {at[0]:g} to {at[-1]:g} s, spikes from {recording[0]:g} to "
                f"{recording[1]:g} s"
            )
        notes.dropped(f"signal {name}", "samples far from the recording", (~near).sum(), near.sum())
        times, velocity = wheel_velocity(at[near], position[ordered][near])
        return times, np.abs(velocity) if name == "wheel_speed" else velocity
    return "no wheel"


def _read_camera(files: SessionFiles, bin_width: float, notes: Report, name: str) -> Signal | str:
    """Give times and values, or why there are none; the other camera never stands in."""
    what, _, side = name.partition("_")
    camera, attribute = f"{side}Camera", FROM_CAMERA[what]
    collections = files.collections(f"*{camera}.{attribute}*")
    if not collections:
        return f"no {camera}.{attribute}"
    values = files.read(camera, attribute, collections[0])
    times = files.read(camera, "times", collections[0])
    if values is None or times is None:
        return f"no {camera}.{'times' if times is None else attribute} up to the revision"
    columns = {"pupil": (PUPIL,), "paws": PAWS}.get(what, ())
    lacking = [column for column in columns if column not in values]
    if lacking:
        return f"{camera}.{attribute} has no {lacking[0]}"
    times = np.asarray(times, float).ravel()
    frames = camera_times(times, len(values), bin_width)
    if frames is None:
        return f"{len(times)} times for {len(values)} frames of the {camera}"
    notes.dropped(
        f"signal {name}",
        "times before the first frame",
        max(0, len(times) - len(values)),
        len(values),
    )
    ordered = _ordered(frames, notes, name)
    if isinstance(ordered, str):
        return ordered
    frames = frames[ordered]
    if what == "paws":
        return frames, paw_speeds(frames, values.iloc[ordered])
    sampled = values[PUPIL] if what == "pupil" else values
    return frames, np.asarray(sampled, float).reshape(len(values))[ordered]


def _ordered(times: np.ndarray, notes: Report, name: str) -> np.ndarray | str:
    """Give samples in order of time, or why that fails, and note what was wrong with them."""
    found = in_order(times)
    if isinstance(found, str):
        return found
    index, faults = found
    if len(index) < 2:
        return "fewer than two samples with a time"
    for fault, n in faults.items():
        if fault == SORTED:
            notes.noted(f"signal {name}", fault, n)
        else:
            notes.dropped(f"signal {name}", fault, n, len(index))
    return index
