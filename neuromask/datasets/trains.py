"""Spike times and the cluster of each, read from every form that they come in, and mended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from .._checks import check_fraction
from ..errors import InvalidInputError, warn
from .report import Report
from .samples import SORTED
from .times import plain, times_of

__all__ = ["JITTER", "falls_back", "read_spikes"]

# A spike this much earlier than one before it, in seconds, comes of a clock that started again, not of
# jitter between buffers.
JITTER = 0.1
# Rounding of times, in seconds, that moves spikes to other bins.
COARSE = 1e-3
# A larger share of spikes that have no time, or lie before 0, is no accident.
FEW = 0.01
# A time so many times later than 999 of 1000 others is that of no spike, such as a counter's overflow.
FAR, LAST = 30.0, 0.001


def read_spikes(
    times: Any, clusters: Any, *, sampling_rate: float | None, report: Report
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give spike times in seconds, ascending, the cluster of each, and all clusters.

    A cluster without spikes is among the last where times are given by cluster.

    Parameters
    ----------
    times : array-like (spikes,), or mapping or sequence of one such array a cluster
        Seconds, or samples where `sampling_rate` says so.
    clusters : array-like (spikes,), optional
        Where `times` is one array.
    sampling_rate : float, optional
        Samples a second; `times` are then samples.
    report : Report
        Gets rows for what is mended or left out.

    Raises
    ------
    InvalidInputError
        If shapes or kinds do not fit, clocks start again, or more than a few spikes have no time.
    """
    if sampling_rate is not None:
        check_fraction("sampling_rate", sampling_rate, low=1.0, high=1e7)
    trains, ids = _trains(times), np.zeros(0, int)
    if trains is not None:
        if clusters is not None:
            raise InvalidInputError(
                f"times holds one array for each of {len(trains)} clusters; expected "
                "clusters=None beside it. Give clusters only with one array of all spikes."
            )
        odd = [name for name in trains if not isinstance(name, str | int | np.integer | np.str_)]
        if odd:
            raise InvalidInputError(
                f"times has clusters that are no whole numbers or text, such as {odd[0]!r}; expected a "
                "number or a name for each, such as 'probe 0, unit 7'."
            )
        trains = _readable(trains, sampling_rate, report)
        ids = np.array(list(trains))
        clusters = np.repeat(ids, [len(t) for t in trains.values()])
        times = np.concatenate([np.zeros(0), *trains.values()])
        order = np.argsort(times, kind="stable")
        times, clusters = times[order], clusters[order]
        times, clusters = _with_times(times, clusters, report)
    elif clusters is None:
        raise InvalidInputError(
            "clusters is missing; expected the cluster of each spike, or times as a mapping "
            "from cluster to its spike times."
        )
    else:
        times, clusters = times_of(times), plain(clusters)
        if times.shape != clusters.shape or times.ndim != 1:
            raise InvalidInputError(
                f"times has shape {times.shape}, clusters {clusters.shape}; expected one time and "
                "one cluster a spike."
            )
        if clusters.dtype.kind == "f" and (clusters == np.floor(clusters)).all():
            clusters = clusters.astype(np.int64)  # as MATLAB keeps whole numbers
        lacking = int(pd.isna(clusters).sum()) if clusters.dtype.kind in "fO" else 0
        if lacking:
            raise InvalidInputError(
                f"{lacking} of {len(clusters)} spikes have no cluster (None, NaN or masked); expected a "
                "number or text for each. Leave these spikes out of times and clusters."
            )
        if clusters.dtype.kind not in "iuUOT":
            raise InvalidInputError(
                f"clusters holds {clusters.dtype} values; expected whole numbers or text. "
                "Use clusters.astype(int)."
            )
        times = _seconds(times, "times", sampling_rate)
        # One comparison serves two ends, for NaN is not in order either.
        if len(times) and not (times[1:] >= times[:-1]).all():
            times, clusters = _with_times(times, clusters, report)
            times, clusters = _in_order(times, clusters, report)
        elif len(times) and not (times[0] >= 0 and np.isfinite(times[-1])):
            times, clusters = _with_times(times, clusters, report)
    if not len(times):
        raise InvalidInputError("there is no spike; expected one or more. Check the file.")
    n_near = _near(times)
    report.dropped("spikes", "far later than all others", len(times) - n_near, n_near)
    return times[:n_near], clusters[:n_near], ids


def _near(times: np.ndarray) -> int:
    """Say how many spikes there are before those few that are far later than all others."""
    before = float(times[-1 - int(LAST * len(times))])
    return int(np.searchsorted(times, FAR * before)) if 0 < before < times[-1] / FAR else len(times)


def _trains(times: Any) -> dict[Any, Any] | None:
    """Give each cluster's times where they are given by cluster; None where they are not."""
    if isinstance(times, Mapping):  # as are dictionaries and pynapple's TsGroup
        return {key: times[key] for key in times.keys()}  # noqa: SIM118
    if isinstance(times, pd.Series) and times.dtype == object:
        return dict(times.items())
    if isinstance(times, np.ndarray) and times.dtype == object:  # a cell array
        while times.size == 1 and np.asarray(times.ravel()[0]).dtype == object:
            times = np.asarray(times.ravel()[0])
        times = list(times.ravel())
    if not isinstance(times, (list, tuple)):
        return None
    is_train = [np.ndim(times_of(train)) > 0 for train in times]
    return dict(enumerate(times)) if any(is_train) else None


def _seconds(times: Any, name: str, sampling_rate: float | None) -> np.ndarray:
    """Turn times into floats of seconds, refusing whole numbers that nothing says the unit of."""
    times = times_of(times)
    kinds = "f" if sampling_rate is None else "iuf"
    if times.ndim != 1 or (len(times) and times.dtype.kind not in kinds):
        shape = f"{times.dtype} values of shape {times.shape}"
        raise InvalidInputError(
            f"{name} holds {shape}; expected one time a spike, in seconds as floats. Where they are "
            "samples give sampling_rate=, such as 30_000."
        )
    if times.dtype in (np.float16, np.float32) and len(times):
        step = float(np.spacing(np.nanmax(np.abs(times)))) / (sampling_rate or 1.0)
        if np.isfinite(step) and step > COARSE:
            warn(
                f"{name} are {times.dtype} values, which keep the last spikes to {1000 * step:.2g} ms only. "
                "Convert them to float64 where they are made, before the offset of the recording is added."
            )
    return (
        times.astype(float, copy=False) if sampling_rate is None else times / float(sampling_rate)
    )


def _readable(
    trains: Mapping[Any, Any], sampling_rate: float | None, report: Report
) -> dict[Any, np.ndarray]:
    """Read each cluster's times, in order; a cluster that has a fault costs itself alone.

    Where most clusters have one, it is that of them all, and refused.
    """
    kept: dict[Any, np.ndarray] = {}
    faults: dict[str, list[Any]] = {}
    first: InvalidInputError | None = None
    n_sorted = 0
    for name, given in trains.items():
        try:
            train = _seconds(given, f"times of cluster {name!r}", sampling_rate)
            fault = _fault(train, name)
        except InvalidInputError as error:
            fault = ("times that are no seconds", error)
        if fault is not None:
            faults.setdefault(fault[0], []).append(name)
            first = first or fault[1]
            continue
        if not (train[1:] >= train[:-1]).all():
            finite = train[np.isfinite(train)]
            n_sorted += int((finite < np.maximum.accumulate(finite)).sum())
            train = np.sort(train)
        kept[name] = train
    n_kept = len(trains)
    if first is not None and sum(map(len, faults.values())) * 2 > len(trains):
        raise first
    for reason, names in faults.items():
        shown = ", ".join(map(str, names[:5])) + (", ..." if len(names) > 5 else "")
        n_kept -= len(names)
        report.dropped("neurons", f"{reason}: {shown}", len(names), n_kept)
    report.noted("spikes", SORTED, n_sorted)
    return kept


def _fault(train: np.ndarray, name: Any) -> tuple[str, InvalidInputError] | None:
    """Say what makes a cluster's times useless, if anything does."""
    without = int((~np.isfinite(train)).sum())
    early = int((train < 0).sum())
    for n_bad, what, mend in (
        (without, "NaN or infinite values", "Leave these spikes out."),
        (early, "times before 0", "Shift spikes, events and signals together."),
    ):
        if n_bad > max(1, FEW * len(train)):
            return what, InvalidInputError(
                f"times of cluster {name!r} holds {n_bad} {what} among {len(train)} spikes; expected "
                f"seconds from the start of the recording, 0 or more. {mend}"
            )
    finite = train if not without else train[np.isfinite(train)]
    if falls_back(finite) > JITTER:
        return "times that start again", InvalidInputError(_restart(finite, f"cluster {name!r}"))
    return None


def _with_times(
    times: np.ndarray, clusters: np.ndarray, report: Report
) -> tuple[np.ndarray, np.ndarray]:
    """Leave out the few spikes that are NaN, infinite or before 0; refuse more."""
    if not len(times):
        return times, clusters
    for what, keep, mend in (
        ("NaN or infinite values", np.isfinite(times), "Leave these spikes out."),
        ("times before 0", ~(times < 0), "Shift spikes, events and signals together."),
    ):
        keep = keep[: len(times)]
        n_bad = int((~keep).sum())
        if n_bad > max(1, FEW * len(times)) or n_bad == len(times):
            raise InvalidInputError(
                f"times holds {n_bad} {what} among {len(times)} spikes; expected seconds from the start "
                f"of the recording, 0 or more. {mend}"
            )
        report.dropped("spikes", what, n_bad, keep.sum())
        if n_bad:
            return _with_times(times[keep], clusters[keep], report)
    return times, clusters


def _in_order(
    times: np.ndarray, clusters: np.ndarray, report: Report
) -> tuple[np.ndarray, np.ndarray]:
    """Sort spikes where that mixes no clocks."""
    order = np.argsort(times, kind="stable")
    late = int((times < np.maximum.accumulate(times)).sum())
    if not late:
        return times, clusters
    n_clusters = len(np.unique(clusters))
    if (clusters[1:] != clusters[:-1]).sum() < n_clusters:  # one cluster after the other
        late = 0
    # Where each cluster ascends by itself there is one clock, as of two probes that were put together.
    by_cluster = times[np.argsort(clusters, kind="stable")]
    is_mixed = (np.diff(by_cluster) < 0).sum() >= n_clusters
    if is_mixed and falls_back(times) > JITTER:
        raise InvalidInputError(_restart(times, "the spikes"))
    report.noted("spikes", SORTED, late)
    return times[order], clusters[order]


def falls_back(times: np.ndarray) -> float:
    """Give the most by which a time lies before an earlier one; 0 where times are in order."""
    if len(times) < 2 or (times[1:] >= times[:-1]).all():
        return 0.0
    return float((np.maximum.accumulate(times) - times).max())


def _restart(times: np.ndarray, whose: str) -> str:
    at = int(np.argmin(np.diff(times))) + 1
    return (
        f"times is not ascending: those of {whose} go back from {times[at - 1]:g} to {times[at]:g} s at "
        f"spike {at}, as where the clock starts anew in a second segment or recording, or in every "
        "trial. Sorting would lay these over each other. Make one session of each, or add to each the "
        "time at which it began."
    )
