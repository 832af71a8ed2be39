"""A session from its files: units, trials and behaviour, put together."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ...errors import InvalidInputError, suggest, warn
from ...session import Session
from ..intervals import read_intervals
from ..marking import mark_units
from ..report import Report
from ..spike_times import NOT_LISTED, from_spike_times
from ..trials import (
    filter_trials,
    refuse_unrecorded,
    trials_within,
)
from ..units import choose_by_rate, choose_units
from .behaviour import trial_rules, trials_table
from .files import DamagedFileError, SessionFiles, region_names
from .signals import read_signals
from .units import Probe, merge_probes, recorded_spans

__all__ = ["read_session"]

# Sorters from best to worst; the last is a collection without one.
SORTERS = ("iblsorter", "pykilosort", "")


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
    quality: Mapping[str, Any] | None,
    include: Sequence[Any] | None,
    exclude: Sequence[Any] | None,
    signals: Sequence[str],
    complete: Sequence[str],
    no_choice: bool,
    reaction_time: Sequence[float] | None,
    feedback_delay: float | None,
    ends: str | None,
    unrecorded: str,
    revision: str | None,
) -> Session:
    """Read one session; the parameters are those of `load_ibl`, resolved."""
    files, report, borders = SessionFiles(one, eid, revision), Report(), np.asarray(edges)
    probes = _read_probes(files, report, quality or {})
    spans = recorded_spans(probes)
    times, clusters, units = merge_probes(probes)
    units = _listed_units(units, include, exclude, report)
    units = _good_units(units, min_label, report)
    units = choose_units(units, quality, None, None, report)
    units = _placed_units(units, atlas, report)
    units = _active_units(units, clusters, spans, min_rate, report)
    recorded = read_intervals("recording", np.concatenate(list(spans.values())))
    trials = _read_trials(files, report)
    at, until = (
        _column(trials, "align", align),
        None if ends is None else _column(trials, "ends", ends),
    )
    rules = trial_rules(
        trials,
        complete=complete,
        no_choice=no_choice,
        reaction_time=reaction_time,
        feedback_delay=feedback_delay,
    )
    within = trials_within(at, borders, recorded, align, unrecorded=unrecorded, ends=until)
    if unrecorded == "refuse":
        _refuse(rules, within, at, borders, recorded)
    trials = filter_trials(trials, rules | within, report)
    at, until = (
        trials[align].to_numpy(float),
        None if ends is None else trials[ends].to_numpy(float),
    )
    behaviour = read_signals(
        files,
        signals,
        recording=(recorded[0, 0], recorded[-1, 1]),
        bin_width=bin_width,
        n_trials=len(trials),
        report=report,
    )
    try:
        session = from_spike_times(
            times,
            clusters,
            events=at,
            window=(edges[0], edges[-1]),
            bin_width=bin_width,
            ends=until,
            neurons=units.drop(columns="firing_rate"),
            trials=trials,
            signals=behaviour,
            recording=recorded,
            unrecorded="mark",
            session_id=eid,
            subject=files.subject,
        )
    except InvalidInputError as error:
        raise InvalidInputError(f"session {eid}: {error.reason}") from error
    session.neurons["firing_rate"] = units["firing_rate"].to_numpy()
    if files.damaged:
        warn(f"session {eid} is read without what is damaged. {' '.join(files.damaged)}")
    found = session.report[session.report["reason"] != NOT_LISTED]
    report.add_table(found)
    of_units = {unit: spans[probe] for unit, probe in units["probe"].items()}
    session = mark_units(session, of_units, borders, report)
    session.report = report.table()
    return session


def _refuse(
    rules: Mapping[str, np.ndarray],
    within: Mapping[str, np.ndarray],
    at: np.ndarray,
    edges: np.ndarray,
    recorded: np.ndarray,
) -> None:
    """Refuse trials in time that was not recorded, among those that pass all other rules."""
    passed = np.isfinite(at) & np.logical_and.reduce([np.ones(len(at), bool), *rules.values()])
    kept = {reason: value[passed] for reason, value in within.items()}
    refuse_unrecorded(kept, at[passed], edges, recorded)


def _column(trials: pd.DataFrame, option: str, name: str) -> np.ndarray:
    if name not in trials:
        raise InvalidInputError(
            f"{option}={name!r} is no column of trials, which has {sorted(trials)}."
            f"{suggest(name, trials)}"
        )
    return trials[name].to_numpy(float)


def _listed_units(
    units: pd.DataFrame,
    include: Sequence[Any] | None,
    exclude: Sequence[Any] | None,
    report: Report,
) -> pd.DataFrame:
    """Choose units by their uuid, or by their number over all probes."""
    for chosen in ({"include": include, "exclude": None}, {"include": None, "exclude": exclude}):
        listed = next((ids for ids in chosen.values() if ids is not None), None)
        if listed is None:
            continue
        by_uuid = "uuid" in units and all(isinstance(unit, str) for unit in listed)
        table = units.assign(id=units["uuid"]) if by_uuid else units
        kept = choose_units(table, None, chosen["include"], chosen["exclude"], report)
        units = units.loc[kept.index]
    return units


def _active_units(
    units: pd.DataFrame,
    clusters: np.ndarray,
    spans: Mapping[str, np.ndarray],
    min_rate: float,
    report: Report,
) -> pd.DataFrame:
    """Keep units that fire, by their rate while their probe was recorded."""
    n_spikes = np.bincount(clusters, minlength=int(units.index.max()) + 1)[units.index]
    seconds = units["probe"].map({name: float(np.ptp(span)) for name, span in spans.items()})
    units = units.assign(firing_rate=n_spikes / np.maximum(seconds, 1e-12))
    return choose_by_rate(units, min_rate, report)


def _read_probes(files: SessionFiles, report: Report, quality: Collection[str]) -> list[Probe]:
    """Read each probe from its best sorting; one that cannot be used is left out."""
    collections = [c for c in files.collections("spikes.times*") if c.startswith("alf/probe")]
    names = sorted({collection.split("/")[1] for collection in collections})
    if not names:
        raise InvalidInputError(
            f"session {files.eid} has no sorted spikes (alf/probe*/spikes.times). It has: "
            f"{', '.join(files.names) or 'nothing'}. Choose another session or revision."
        )
    found = {
        name: _read_probe(files, name, _best(name, collections), report, quality) for name in names
    }
    probes = [probe for probe in found.values() if isinstance(probe, Probe)]
    reasons = [reason for reason in found.values() if isinstance(reason, str)]
    if not probes:
        raise InvalidInputError(
            f"no probe of session {files.eid} can be used: {'; '.join(reasons)}. Choose another "
            f"session, or pin another revision than {files.revision}."
        )
    for reason in reasons:
        report.dropped("probes", reason, 1, len(probes))
    return probes


def _read_probe(
    files: SessionFiles, name: str, collection: str, report: Report, quality: Collection[str]
) -> Probe | str:
    """Read one probe, or say why it cannot be used."""
    read = {}
    try:
        locations = _read_locations(files, name, collection)
        for kind, attributes in {
            "spikes": ("times", "clusters"),
            "clusters": ("channels", "metrics", "depths", "uuids"),
        }.items():
            values = {a: files.read(kind, a, collection) for a in attributes}
            read[kind] = {a: value for a, value in values.items() if value is not None}
    except DamagedFileError as error:
        files.damaged.append(error.reason)
        return f"{name}: {error.reason}"
    lacking = [
        f"{kind}.{attribute}"
        for kind, attribute in (
            ("spikes", "times"),
            ("spikes", "clusters"),
            ("clusters", "channels"),
        )
        if attribute not in read[kind]
    ]
    if lacking:
        return f"{name} has no {' and no '.join(lacking)} in {collection!r}"
    if locations is None:
        return f"{name} has no places in the brain"
    return Probe.of(name, read["spikes"], read["clusters"], locations, report, quality)


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


def _placed_units(units: pd.DataFrame, atlas: str, report: Report) -> pd.DataFrame:
    """Name regions; units at an unknown place are left out."""
    names = region_names(units["atlas_id"].to_numpy(), atlas)
    known = names != ""
    if not known.any():
        raise InvalidInputError(
            f"{len(units)} units have atlas ids that Allen's atlas does not have, such as "
            f"{units['atlas_id'].iloc[0]}. Pin another revision."
        )
    report.dropped(
        "neurons", "atlas id that Allen's atlas does not have", (~known).sum(), known.sum()
    )
    return units[known].assign(region=names[known])


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


def _read_trials(files: SessionFiles, report: Report) -> pd.DataFrame:
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
    return trials_table(files.read_all("trials", collections[0]), report)
