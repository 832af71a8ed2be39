"""A session from its files: units, trials and behaviour, put together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from ...errors import InvalidInputError, suggest
from ...session import Session
from ..report import Report
from ..spike_times import NOT_LISTED, from_spike_times
from ..trials import filter_trials, trials_within
from .behaviour import camera_times, paw_speeds, trial_rules, trials_table, wheel_velocity
from .files import SessionFiles, region_names
from .units import Probe, merge_probes

__all__ = ["SIGNALS", "read_session"]

# Sorters from best to worst; the last is a collection without one.
SORTERS = ("iblsorter", "pykilosort", "")
CAMERAS = ("left", "right")
WHEEL = ("wheel_velocity", "wheel_speed")
# Attribute of a camera's ALF object that holds a signal, and its column where it is a table.
FROM_CAMERA = {"whisker": "ROIMotionEnergy", "pupil": "features", "paws": "dlc"}
PUPIL = "pupilDiameter_smooth"
#: All signals that can be asked for.
SIGNALS = (*WHEEL, *(f"{what}_{side}" for what in FROM_CAMERA for side in CAMERAS))


def read_session(
    one: Any,
    eid: str,
    *,
    align: str,
    edges: Sequence[float],
    bin_width: float,
    atlas: str,
    min_label: float,
    min_rate: float,
    signals: Sequence[str],
    complete: Sequence[str],
    no_choice: bool,
    reaction_time: Sequence[float] | None,
    feedback_delay: float | None,
    revision: str | None,
) -> Session:
    """Read one session; the parameters are those of `load_ibl`, resolved."""
    files, report = SessionFiles(one, eid, revision), Report()
    times, clusters, units = merge_probes(_read_probes(files, report))
    times, clusters = _after_start(times, clusters, report)
    units = _good_units(units, min_label, report)
    units["region"] = region_names(units["atlas_id"].to_numpy(), atlas)
    trials = _read_trials(files)
    if align not in trials:
        raise InvalidInputError(
            f"align={align!r} is no column of trials, which has {sorted(trials)}."
            f"{suggest(align, trials)}"
        )
    rules = trial_rules(
        trials,
        complete=complete,
        no_choice=no_choice,
        reaction_time=reaction_time,
        feedback_delay=feedback_delay,
    )
    recording = (float(times[0]), float(times[-1]))
    rules |= trials_within(trials[align].to_numpy(float), np.asarray(edges), recording, align)
    trials = filter_trials(trials, rules, report)
    behaviour = _read_signals(files, signals, len(trials), report)
    try:
        session = from_spike_times(
            times,
            clusters,
            events=trials[align].to_numpy(float),
            window=(edges[0], edges[-1]),
            bin_width=bin_width,
            neurons=units,
            trials=trials,
            signals=behaviour,
            min_rate=min_rate,
            session_id=eid,
            subject=files.subject,
        )
    except InvalidInputError as error:
        raise InvalidInputError(f"session {eid}: {error.reason}") from error
    # Units below the threshold are in the report already, as what they are.
    found = session.report[session.report["reason"] != NOT_LISTED]
    session.report = pd.concat([report.table(), found], ignore_index=True)
    return session


def _read_probes(files: SessionFiles, report: Report) -> list[Probe]:
    """Read each probe from its best sorting; probes without places in the brain are left out."""
    collections = [c for c in files.collections("spikes.times*") if c.startswith("alf/probe")]
    names = sorted({collection.split("/")[1] for collection in collections})
    if not names:
        raise InvalidInputError(
            f"session {files.eid} has no sorted spikes (alf/probe*/spikes.times). It has: "
            f"{', '.join(files.names) or 'nothing'}. Choose another session or revision."
        )
    probes, unplaced = [], 0
    for name in names:
        collection = _best(name, collections)
        locations = _read_locations(files, name, collection)
        if locations is None:
            unplaced += 1
            report.dropped("probes", f"{name} has no places in the brain", 1, len(names) - unplaced)
            continue
        spikes = {a: files.need("spikes", a, collection) for a in ("times", "clusters")}
        clusters = {"channels": files.need("clusters", "channels", collection)}
        for attribute in ("metrics", "depths", "uuids"):
            values = files.read("clusters", attribute, collection)
            if values is not None:
                clusters[attribute] = values
        probes.append(Probe.of(name, spikes, clusters, locations))
    if not probes:
        raise InvalidInputError(
            f"no probe of session {files.eid} has places in the brain "
            "(channels.brainLocationIds_ccf_2017), so that no neuron has a region. Choose another "
            f"session or revision. Probes: {', '.join(names)}."
        )
    return probes


def _best(name: str, collections: Sequence[str]) -> str:
    for sorter in SORTERS:
        collection = "/".join(["alf", name, *([sorter] if sorter else [])])
        if collection in collections:
            return collection
    return min((c for c in collections if c.split("/")[1] == name), key=len)


def _read_locations(files: SessionFiles, name: str, collection: str) -> dict[str, Any] | None:
    """Give where channels are; electrode sites, aligned by hand, go before channels."""
    ids = "brainLocationIds_ccf_2017"
    for owner, place in (("electrodeSites", f"alf/{name}"), ("channels", collection)):
        found = files.read(owner, ids, place)
        if found is not None:
            position = files.read(owner, "mlapdv", place)
            return {ids: found} | ({} if position is None else {"mlapdv": position})
    return None


def _after_start(
    times: np.ndarray, clusters: np.ndarray, report: Report
) -> tuple[np.ndarray, np.ndarray]:
    """Leave out spikes that synchronisation has moved to before the start, or to nowhere."""
    kept = np.isfinite(times) & (times >= 0)
    report.dropped("spikes", "no time, or before the start", (~kept).sum(), kept.sum())
    if not kept.any():
        raise InvalidInputError(
            "there is no spike after the start of the recording. Pin another revision."
        )
    return (times, clusters) if kept.all() else (times[kept], clusters[kept])


def _good_units(units: pd.DataFrame, min_label: float, report: Report) -> pd.DataFrame:
    if min_label <= 0:
        return units
    # Labels are thirds, stored in one precision or another.
    good = (units["label"] >= min_label - 1e-6).to_numpy()
    unknown = units["label"].isna().to_numpy()
    report.dropped("neurons", "no quality label", unknown.sum(), (~unknown).sum())
    below = ~good & ~unknown
    report.dropped("neurons", f"quality label below {min_label:.3g}", below.sum(), good.sum())
    if not good.any():
        raise InvalidInputError(
            f"no unit of {len(units)} has a quality label of {min_label:.3g} or more. Lower "
            "min_label; 0 takes all."
        )
    return units[good].copy()


def _read_trials(files: SessionFiles) -> pd.DataFrame:
    collections = files.collections("*trials.*")
    if not collections:
        raise InvalidInputError(
            f"session {files.eid} has no trials. It has: {', '.join(files.names)}. "
            "Choose another session or revision."
        )
    if len(collections) > 1:
        raise InvalidInputError(
            f"session {files.eid} has trials of several tasks, in {collections}; expected "
            "one. Read the task's events yourself and use from_spike_times."
        )
    return trials_table(files.read_all("trials", collections[0]))


def _read_signals(
    files: SessionFiles, names: Sequence[str], n_trials: int, report: Report
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    found = {}
    wheel = _read_wheel(files) if set(WHEEL) & set(names) else ""
    for name in names:
        signal = wheel if name in WHEEL else _read_camera(files, name)
        if isinstance(signal, str):
            report.dropped(f"signal {name}", signal, n_trials, 0)
        elif name == "wheel_speed":
            found[name] = (signal[0], np.abs(signal[1]))
        else:
            found[name] = signal
    return found


def _read_wheel(files: SessionFiles) -> tuple[np.ndarray, np.ndarray] | str:
    """Give times and velocity, or why there are none."""
    for collection in files.collections("*wheel.position*"):
        position = files.read("wheel", "position", collection)
        timestamps = files.read("wheel", "timestamps", collection)
        if position is None or timestamps is None or len(position) != len(timestamps):
            return "positions and times of the wheel do not match"
        if len(position) < 2:
            return "fewer than two positions of the wheel"
        return wheel_velocity(timestamps, position)
    return "no wheel"


def _read_camera(files: SessionFiles, name: str) -> tuple[np.ndarray, np.ndarray] | str:
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
    frames = camera_times(np.asarray(times, float), len(values))
    if frames is None:
        return f"{len(times)} times for {len(values)} frames of the {camera}"
    if what == "paws":
        return frames, paw_speeds(frames, values)
    if what == "pupil":
        if PUPIL not in values:
            return f"{camera}.features has no {PUPIL}"
        values = values[PUPIL].to_numpy(float)
    return frames, np.asarray(values, float)
