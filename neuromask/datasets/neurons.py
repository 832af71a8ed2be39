"""The table of neurons beside spike times: rows by cluster, rates and regions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from .._cells import without_cells
from ..errors import InvalidInputError, warn
from .times import plain

__all__ = ["neurons_table", "renamed"]

# Columns that name the cluster of a row, where the index does not; of several the first counts.
CLUSTER_COLUMNS = ("cluster_id", "cluster", "unit_id", "id")


def renamed(table: pd.DataFrame, taken: tuple[str, ...]) -> pd.DataFrame:
    """Put ``file_`` before the names of columns that are made here, so that none is overwritten."""
    return table.rename(columns={name: f"file_{name}" for name in taken if name in table})


def neurons_table(
    found: pd.Series, regions: Any, neurons: pd.DataFrame | None, rates: pd.Series
) -> pd.DataFrame:
    """Give a row a cluster, in order, with its rate and region; clusters without spikes too.

    Parameters
    ----------
    found : Series
        Spikes of each cluster, in ascending order.
    regions : mapping, Series or array-like, optional
        Region by cluster.
    neurons : DataFrame, optional
        One row a cluster, by the index, or by a column such as ``cluster_id`` where the index only
        counts the rows.
    rates : Series
        Spikes a second of each cluster, over the time that was recorded.
    """
    if neurons is None:
        table = pd.DataFrame(index=found.index)
    elif not isinstance(neurons, pd.DataFrame) or neurons.index.has_duplicates:
        raise InvalidInputError(
            "neurons is no DataFrame with a row for each cluster; expected one, indexed by "
            "cluster. Use neurons.set_index(...) with the column of clusters."
        )
    else:
        if not len(neurons):
            raise InvalidInputError(
                "neurons has no row; expected one for each cluster to keep. Clusters that nobody labelled "
                "have an empty group in phy's table: choose by KSLabel, or leave neurons out."
            )
        neurons = renamed(_by_cluster(neurons, found.index), ("firing_rate", "cluster"))
        regions = _by_row(regions, neurons.index)
        table = neurons.sort_index()
        if not table.index.isin(found.index).any():
            raise InvalidInputError(
                f"no cluster of the spikes ({_some(found.index)}) is in the index of neurons "
                f"({_some(table.index)}). Use neurons.set_index(...) with the column of clusters."
            )
    table["firing_rate"] = rates.reindex(table.index, fill_value=0)
    if regions is not None:
        # One entry for each cluster that spiked, though `neurons` has not all of them.
        regions = regions if len(table) == len(found) else _by_row(regions, found.index)
        table["region"] = _regions_of(table.index, regions, int(found.sum()))
    return table


def _by_cluster(neurons: pd.DataFrame, clusters: pd.Index) -> pd.DataFrame:
    """Index a table by its column of clusters, where its index is nothing but the number of the row."""
    if isinstance(neurons.index, pd.MultiIndex):
        raise InvalidInputError(
            f"neurons has an index of {neurons.index.nlevels} levels; expected one, the cluster. Use "
            "neurons.reset_index().set_index(...) with the column of clusters."
        )
    if not isinstance(neurons.index, pd.RangeIndex):
        return neurons
    for name in CLUSTER_COLUMNS:
        if name in neurons and neurons[name].isin(clusters).any():
            if neurons[name].duplicated().any():
                raise InvalidInputError(
                    f"neurons names clusters twice in its column {name!r}; expected a row for each cluster."
                )
            return neurons.set_index(name)
    return neurons


def _by_row(regions: Any, clusters: pd.Index) -> Any:
    """Give each of `clusters` its region of an array that is as long, whatever their order."""
    if regions is None or isinstance(regions, (Mapping, pd.Series)):
        return regions
    names = _names(regions)
    if names.shape != (len(clusters),):
        return regions
    return dict(zip(clusters, names, strict=True))


def _names(regions: Any) -> np.ndarray:
    """Give an array of regions, also where it is a cell array of MATLAB."""
    return plain(without_cells(np.asarray(regions, dtype=object)))


def _regions_of(ids: pd.Index, regions: Any, n_spikes: int) -> np.ndarray:
    if isinstance(regions, (Mapping, pd.Series)):
        lacking = [i for i in ids if i not in regions]
        if lacking:
            raise InvalidInputError(
                f"regions has no entry for {len(lacking)} of {len(ids)} clusters: "
                f"{_some(lacking)}. Give theirs, or leave the clusters out of neurons."
            )
        return np.array([regions[i] for i in ids], dtype=object)
    names = _names(regions)
    if names.ndim == 1 and len(names) == len(ids):
        numbers = [str(i) for i in ids]
        is_text = ids.dtype.kind not in "iu" and all(number.isdigit() for number in numbers)
        if is_text and sorted(numbers, key=int) != numbers:
            raise InvalidInputError(
                f"clusters are numbers written as text, whose order, {_some(ids)}, is not that of the "
                "numbers; an array of regions could be of either. Give a mapping from cluster to region, "
                "or clusters.astype(int)."
            )
        return names
    numbered = ids.dtype.kind in "iu" and ids.min() >= 0 and ids.max() < names.size
    numbered &= names.size != n_spikes  # a region a spike, which regions by number would misread
    if names.ndim == 1 and numbered:
        if ids.min() >= 1 and ids.max() == names.size - 1:
            warn(
                f"regions has {names.size} entries for clusters {_some(ids)}, and is read by their numbers from "
                "0 on, so that the first entry is of no cluster. If clusters count from 1, give a mapping from "
                "cluster to region."
            )
        return names[ids]
    raise InvalidInputError(
        f"regions has shape {names.shape} for {len(ids)} clusters ({_some(ids)}); expected one "
        "for each, or a mapping from cluster to region."
    )


def _some(ids: Any) -> str:
    shown = [str(i) for i in list(ids)[:5]]
    return ", ".join(shown) + (", ..." if len(ids) > 5 else "")
