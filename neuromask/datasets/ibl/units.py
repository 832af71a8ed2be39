"""Units of IBL probes, from arrays that are already read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ...errors import InvalidInputError

__all__ = ["Probe", "merge_probes"]


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
        A row a cluster, in order: probe, probe_cluster, label, depth, uuid, and where it lies.
    """

    name: str
    times: np.ndarray
    clusters: np.ndarray
    table: pd.DataFrame

    @classmethod
    def of(
        cls,
        name: str,
        spikes: Mapping[str, np.ndarray],
        clusters: Mapping[str, Any],
        locations: Mapping[str, np.ndarray],
    ) -> Probe:
        """Make a probe from ALF objects.

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

        Raises
        ------
        InvalidInputError
            If the arrays do not fit together.
        """
        channels = np.asarray(clusters["channels"]).astype(int)
        ids = np.asarray(locations["brainLocationIds_ccf_2017"]).astype(int)
        times, of_spike = np.asarray(spikes["times"], float), np.asarray(spikes["clusters"])
        n = len(channels)
        problem = None
        if len(times) != len(of_spike):
            problem = f"{len(times)} spike times and {len(of_spike)} clusters of spikes"
        elif len(of_spike) and not 0 <= of_spike.min() <= of_spike.max() < n:
            problem = f"spikes of clusters up to {of_spike.max()} and a table of {n} clusters"
        elif n and not 0 <= channels.min() <= channels.max() < len(ids):
            problem = (
                f"clusters on channels up to {channels.max()} and places of {len(ids)} channels"
            )
        if problem:
            raise InvalidInputError(
                f"{name} has {problem}; they are not of one sorting. Pin another revision."
            )
        table = pd.DataFrame({"probe": name, "probe_cluster": np.arange(n)})
        metrics = clusters.get("metrics")
        table["label"] = np.nan
        if metrics is not None and "label" in metrics:
            # Rows are found by the id they carry: clusters without metrics have none.
            known = metrics.set_index("cluster_id") if "cluster_id" in metrics else metrics
            known = known[~known.index.duplicated()]
            table["label"] = known["label"].reindex(range(n)).to_numpy(float)
        if len(clusters.get("depths", ())) == n:
            table["depth"] = np.asarray(clusters["depths"], float)
        if len(clusters.get("uuids", ())) == n:
            table["uuid"] = np.asarray(clusters["uuids"]).astype(str).ravel()
        table["atlas_id"] = ids[channels]
        if len(locations.get("mlapdv", ())) == len(ids):
            table[["x", "y", "z"]] = np.asarray(locations["mlapdv"], float)[channels]
        return cls(name, times, of_spike.astype(np.int64), table)


def merge_probes(probes: Sequence[Probe]) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
    """Merge probes: spikes in order of time, with clusters numbered on from probe to probe.

    Returns
    -------
    times, clusters : arrays (spikes,)
    table : DataFrame
        A row a cluster; its index is the number that `clusters` has.
    """
    sizes = [len(probe.table) for probe in probes]
    first = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(int)
    times = np.concatenate([probe.times for probe in probes])
    clusters = np.concatenate([p.clusters + n for p, n in zip(probes, first, strict=True)])
    order = np.argsort(times, kind="stable")
    table = pd.concat([probe.table for probe in probes], ignore_index=True)
    return times[order], clusters[order], table
