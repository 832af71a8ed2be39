"""Units of IBL probes, from arrays that are already read."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..report import Report
from ..samples import find_restart

__all__ = ["Probe", "merge_probes", "recorded_spans"]

# Share of spikes or units that may point at what does not exist: with more, files are of two sortings.
FEW = 0.1
# A probe that is silent at an end of the session for longer than this was not recorded there. In as many
# usual intervals between its spikes nothing would come by chance.
SILENCE, USUAL_INTERVALS = 1.0, 30.0  # seconds


@dataclass(frozen=True)
class Probe:
    """Spikes of one probe and a table of its clusters.

    Parameters
    ----------
    name : str
        Such as ``"probe00"``.
    times, clusters : arrays (spikes,)
        Seconds, and the cluster of each spike.
    table : DataFrame
        A row a cluster, indexed by its number: probe, probe_cluster, label, depth, uuid, and where it
        lies. Damaged ones have none.
    n_clusters : int
        Clusters of the sorting, with and without a row.
    """

    name: str
    times: np.ndarray
    clusters: np.ndarray
    table: pd.DataFrame
    n_clusters: int

    @classmethod
    def of(
        cls,
        name: str,
        spikes: Mapping[str, np.ndarray],
        clusters: Mapping[str, Any],
        locations: Mapping[str, np.ndarray],
        report: Report,
        quality: Collection[str] = (),
    ) -> Probe | str:
        """Make a probe from ALF objects, or say why they make none.

        Single spikes and units that are damaged are left out.

        Parameters
        ----------
        name : str
            Of the probe.
        spikes : mapping
            ``times`` and ``clusters``.
        clusters : mapping
            ``channels``, and where present ``metrics``, ``depths`` and ``uuids``.
        locations : mapping
            ``brainLocationIds_ccf_2017`` of each channel and, where present, ``mlapdv``.
        report : Report
            Gets what is left out.
        quality : collection of str
            Further columns of the metrics that the table is to have.
        """
        channels = np.asarray(clusters["channels"], float).ravel()
        ids = np.asarray(locations["brainLocationIds_ccf_2017"], float).ravel()
        times = np.asarray(spikes["times"], float).ravel()
        of_spike = np.asarray(spikes["clusters"]).ravel()
        n = len(channels)
        placed = np.isin(channels, np.arange(len(ids)))
        placed[placed] = np.isfinite(ids[channels[placed].astype(int)])
        known = np.isin(of_spike, np.arange(n))
        if len(times) != len(of_spike):
            return f"{name} has {len(times)} spike times and {len(of_spike)} clusters of spikes"
        if (~known).sum() > FEW * len(known):
            return (
                f"{name} has spikes of clusters up to {of_spike.max()} and a table of {n} clusters"
            )
        if (~placed).sum() > max(1, FEW * n):
            return (
                f"{name} has clusters on channels up to {channels.max():g} and places of "
                f"{len(ids)} channels"
            )
        there = np.isfinite(times) & (times >= 0)
        if not (there & known).any():
            return f"{name} has no spike after the start of the recording"
        for reason, kept in (
            (f"no time, or before the start, in {name}", there),
            (f"of clusters that the table of {name} lacks", known),
        ):
            report.dropped("spikes", reason, (~kept).sum(), kept.sum())
        whole = there & known
        times, of_spike = times[whole], of_spike[whole].astype(np.int64)
        steady = _steady(times, of_spike, n)
        if (~steady).sum() > max(1, FEW * n):
            return f"the clock of {name} starts again in {(~steady).sum()} of {n} units"
        sure = placed & steady
        report.dropped("neurons", f"on no channel of {name}", (~placed).sum(), placed.sum())
        report.dropped(
            "neurons", f"clock starts again, in {name}", (placed & ~steady).sum(), sure.sum()
        )
        times, of_spike = times[steady[of_spike]], of_spike[steady[of_spike]]
        late = (times < np.maximum.accumulate(times)).sum()
        report.noted("spikes", f"out of order in {name}, sorted", late)
        table = pd.DataFrame({"probe": name, "probe_cluster": np.arange(n)})
        metrics = clusters.get("metrics")
        table["label"] = np.nan
        if metrics is not None:
            # Rows are found by the id they carry: clusters without metrics have none.
            rows = metrics.set_index("cluster_id") if "cluster_id" in metrics else metrics
            rows = rows[~rows.index.duplicated()].reindex(range(n))
            for column in rows.columns.intersection(["label", *quality]):
                table[column] = rows[column].to_numpy()
            table["label"] = table["label"].astype(float)
        if len(clusters.get("depths", ())) == n:
            table["depth"] = np.asarray(clusters["depths"], float)
        if len(clusters.get("uuids", ())) == n:
            table["uuid"] = np.asarray(clusters["uuids"]).astype(str).ravel()
        table = table[sure].copy()
        at = channels[sure].astype(int)
        table["atlas_id"] = ids[at].astype(int)
        if len(locations.get("mlapdv", ())) == len(ids):
            table[["x", "y", "z"]] = np.asarray(locations["mlapdv"], float)[at]
        return cls(name, times, of_spike, table, n)


def _steady(times: np.ndarray, clusters: np.ndarray, n_clusters: int) -> np.ndarray:
    """Give which units have one clock; a unit's spikes may be out of order all the same."""
    steady = np.ones(n_clusters, bool)
    if (times[1:] >= times[:-1]).all():
        return steady
    order = np.argsort(clusters, kind="stable")
    trains = np.split(times[order], np.cumsum(np.bincount(clusters, minlength=n_clusters))[:-1])
    return np.array([find_restart(train) is None for train in trains])


def merge_probes(probes: Sequence[Probe]) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
    """Merge probes: spikes in order of time, with clusters numbered on from probe to probe.

    Returns
    -------
    times, clusters : arrays (spikes,)
    table : DataFrame
        A row a cluster; its index is the number that `clusters` has.
    """
    first = np.cumsum([0, *(probe.n_clusters for probe in probes[:-1])])
    times = np.concatenate([probe.times for probe in probes])
    clusters = np.concatenate([p.clusters + n for p, n in zip(probes, first, strict=True)])
    order = np.argsort(times, kind="stable")
    tables = [p.table.set_index(p.table.index + n) for p, n in zip(probes, first, strict=True)]
    return times[order], clusters[order], pd.concat(tables)


def recorded_spans(probes: Sequence[Probe]) -> dict[str, np.ndarray]:
    """Give when each probe was recorded (1, 2), in seconds: from the first to the last spike of all.

    A probe that begins later or stops earlier than the others is given its own first and last spike.
    """
    ends = {p.name: (float(p.times.min()), float(p.times.max())) for p in probes}
    first, last = min(a for a, _ in ends.values()), max(b for _, b in ends.values())
    spans = {}
    for probe in probes:
        start, stop = ends[probe.name]
        usual = max(SILENCE, USUAL_INTERVALS * (stop - start) / len(probe.times))
        span = (start if start - first > usual else first, stop if last - stop > usual else last)
        spans[probe.name] = np.array([span])
    return spans
