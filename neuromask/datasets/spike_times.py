"""Sessions from spike times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from .._checks import check_fraction
from .._tables import read_table
from ..errors import InvalidInputError, public
from ..session import Session
from .binning import bin_edges, bin_spikes, sample_signal
from .report import Report

__all__ = ["NOT_LISTED", "from_spike_times"]

#: Why clusters are left out that a table of neurons does not have, in the report.
NOT_LISTED = "not in the table of neurons"


@public
def from_spike_times(
    times: Any,
    clusters: Any = None,
    regions: Any = None,
    events: Any = None,
    *,
    window: tuple[float, float] = (-0.5, 1.5),
    bin_width: float = 0.02,
    neurons: pd.DataFrame | None = None,
    trials: pd.DataFrame | Mapping[str, Any] | None = None,
    signals: Mapping[str, tuple[Any, Any]] | None = None,
    min_rate: float = 0.0,
    recording: tuple[float, float] | None = None,
    session_id: str = "session",
    subject: str | None = None,
) -> Session:
    """Make a session from spike times, as sorters give them, and the events that trials align to.

    A spike on the edge of a bin belongs to the bin that starts there.

    Parameters
    ----------
    times : array-like of float (spikes,), or mapping or list of one such array a cluster
        Seconds from the start of the recording, ascending. A mapping has clusters as keys, such as
        a pynapple ``TsGroup``; those of a list are 0, 1, ...
    clusters : array-like (spikes,), optional
        Cluster of each spike, a number or text; only where `times` is one array.
    regions : mapping, Series or array-like of str, optional
        Brain region by cluster. An array has one entry for each cluster in ascending order or, like
        tables of sorters, an entry for each number from 0 up.
    events : array-like of float (trials,)
        Seconds; time 0 of each trial, such as stimulus onsets.
    window : (float, float), default=(-0.5, 1.5)
        Start and stop of a trial, in seconds from its event.
    bin_width : float, default=0.02
        Seconds; the window is a whole number of bins.
    neurons : DataFrame, optional
        One row a cluster, indexed by cluster: depth, quality, ... Clusters without a row are left
        out, so that a table cut to good units keeps these alone.
    trials : DataFrame or mapping, optional
        One row an event: choice, contrast, ...
    signals : mapping of str to (times, values), optional
        Signals over the recording: seconds (samples,) and values (samples,) or (samples,
        variables). They are interpolated linearly at the end of each bin, and NaN where the nearest
        sample is further than a bin, or than two usual intervals between samples.
    min_rate : float, default=0
        Fewest spikes per second, over the recording, of a neuron that is kept. One without a spike
        never is.
    recording : (float, float), optional
        Start and stop of the recording in seconds; first to last spike by default.
    session_id : str, default="session"
        Name of the session; models know sessions by it.
    subject : str, optional
        Name of the animal.

    Returns
    -------
    Session
        Its `neurons` have the columns ``cluster`` and ``firing_rate`` (Hz); its `trials`
        ``event_time``; its `report` says what was left out.

    Raises
    ------
    InvalidInputError
        If lengths do not match, times are not ascending seconds, a cluster has no region, a trial
        reaches beyond the recording, or no spike lies in any trial.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> times = np.sort(rng.uniform(0, 100, 5000))
    >>> clusters = rng.integers(0, 8, 5000)
    >>> regions = ["CA1"] * 4 + ["VISp"] * 4
    >>> from_spike_times(times, clusters, regions, np.arange(5, 95, 3.0)).shape
    (30, 100, 8)
    """
    edges = bin_edges(window, bin_width)
    check_fraction("min_rate", min_rate, low=0.0, high=1e6)
    times, clusters = _read_spikes(times, clusters)
    events = _read_events(events)
    first, last = _read_recording(recording, times)
    _check_windows(events, edges, first, last)
    found = pd.Series(clusters).value_counts(sort=False).sort_index()
    table = _neurons_table(found, regions, neurons, last - first)
    report = Report()
    n_known = int(found.index.isin(table.index).sum())
    report.dropped("neurons", NOT_LISTED, len(found) - n_known, n_known)
    table = _choose_neurons(table, min_rate, report)
    counts = bin_spikes(times, clusters, table.index.to_numpy(), events, edges)
    if not counts.any():
        raise InvalidInputError(
            f"no spike lies in any of the {len(events)} trials, which cover "
            f"{events.min() + edges[0]:g} to {events.max() + edges[-1]:g} s; spikes cover "
            f"{times[0]:g} to {times[-1]:g} s. Give both in seconds of the same clock."
        )
    table_of_trials = read_table(trials, len(events), "trials", "trial")
    table_of_trials["event_time"] = events
    at = events[:, None] + edges[1:]
    sampled = {
        name: _read_signal(name, signal, at, bin_width) for name, signal in (signals or {}).items()
    }
    for name, values in sampled.items():
        gaps = ~np.isfinite(values).reshape(len(values), -1).all(1)
        report.dropped(
            f"signal {name}",
            "trials with bins that have no sample nearby (NaN)",
            gaps.sum(),
            (~gaps).sum(),
        )
    return Session(
        counts,
        neurons=table.reset_index(names="cluster"),
        trials=table_of_trials,
        signals=sampled,
        bin_width=bin_width,
        t_start=float(edges[0]),
        session_id=session_id,
        subject=subject,
        report=report.table(),
    )


def _read_spikes(times: Any, clusters: Any) -> tuple[np.ndarray, np.ndarray]:
    """Give spike times, ascending, and the cluster of each."""
    trains = _trains(times)
    if trains is not None:
        if clusters is not None:
            raise InvalidInputError(
                f"times holds one array for each of {len(trains)} clusters; expected "
                "clusters=None beside it. Give clusters only with one array of all spikes."
            )
        for name, train in trains.items():
            _check_times(train, f"times of cluster {name!r}")
        clusters = np.repeat(np.array(list(trains)), [len(t) for t in trains.values()])
        times = np.concatenate([np.zeros(0), *trains.values()])
        order = np.argsort(times, kind="stable")
        times, clusters = times[order], clusters[order]
    elif clusters is None:
        raise InvalidInputError(
            "clusters is missing; expected the cluster of each spike, or times as a mapping "
            "from cluster to its spike times."
        )
    else:
        times, clusters = np.asarray(times), np.asarray(clusters)
        if times.shape != clusters.shape or times.ndim != 1:
            raise InvalidInputError(
                f"times has shape {times.shape}, clusters {clusters.shape}; expected one time and "
                "one cluster a spike."
            )
        if clusters.dtype.kind not in "iuUOT":
            raise InvalidInputError(
                f"clusters holds {clusters.dtype} values; expected whole numbers or text. "
                "Use clusters.astype(int)."
            )
        _check_times(times, "times")
    if not len(times):
        raise InvalidInputError("there is no spike; expected one or more. Check the file.")
    return times, clusters


def _trains(times: Any) -> dict[Any, np.ndarray] | None:
    """Give each cluster's times where they are given by cluster; None where they are not."""
    if isinstance(times, Mapping):
        # A pynapple Ts keeps its times in `t`.
        return {key: np.asarray(getattr(times[key], "t", times[key])) for key in times.keys()}  # noqa: SIM118
    by_cluster = isinstance(times, Sequence) and any(np.ndim(train) == 1 for train in times)
    return {i: np.asarray(train) for i, train in enumerate(times)} if by_cluster else None


def _check_times(times: np.ndarray, name: str) -> None:
    if times.ndim != 1 or (len(times) and times.dtype.kind != "f"):
        given = f"{times.dtype} values of shape {times.shape}"
        raise InvalidInputError(
            f"{name} holds {given}; expected one time a spike, in seconds as floats. "
            "Divide samples by the sampling rate, as in samples / 30_000."
        )
    if not len(times):
        return
    # One comparison serves two ends, for NaN is not in order either.
    if not (times[1:] >= times[:-1]).all() or not np.isfinite(times[[0, -1]]).all():
        if not np.isfinite(times).all():
            raise InvalidInputError(
                f"{name} holds {int((~np.isfinite(times)).sum())} NaN or infinite values; "
                "expected seconds. Leave these spikes out."
            )
        raise InvalidInputError(
            f"{name} is not ascending, first at spike {int(np.argmax(np.diff(times) < 0)) + 1}. "
            "Sort times and clusters together: order = np.argsort(times, kind='stable')."
        )
    if times[0] < 0:
        raise InvalidInputError(
            f"{name} starts at {times[0]:g} s; expected seconds from the start of the "
            "recording, 0 or more. Shift spikes, events and signals together."
        )


def _read_events(events: Any) -> np.ndarray:
    if events is None:
        raise InvalidInputError(
            "events is missing; expected the time of each trial's event in seconds."
        )
    try:
        events = np.asarray(events, dtype=float)
    except (TypeError, ValueError):
        events = np.zeros((0, 0))
    if events.ndim != 1 or not len(events):
        raise InvalidInputError(
            f"events has shape {events.shape}; expected one time a trial, in seconds."
        )
    lacking = np.flatnonzero(~np.isfinite(events))
    if len(lacking):
        raise InvalidInputError(
            f"{len(lacking)} of {len(events)} events have no time, the first is event "
            f"{lacking[0]}; expected seconds. Leave these trials out of events and trials."
        )
    return events


def _read_recording(recording: Any, times: np.ndarray) -> tuple[float, float]:
    if recording is None:
        return float(times[0]), float(times[-1])
    try:
        first, last = (float(edge) for edge in recording)
    except (TypeError, ValueError):
        first = last = np.nan
    if not first < last:
        raise InvalidInputError(f"recording={recording!r}; expected (start, stop) in seconds.")
    return first, last


def _check_windows(events: np.ndarray, edges: np.ndarray, first: float, last: float) -> None:
    outside = np.flatnonzero((events + edges[0] < first) | (events + edges[-1] > last))
    if len(outside):
        event = events[outside[0]]
        raise InvalidInputError(
            f"{len(outside)} of {len(events)} trials reach beyond the recording, {first:g} "
            f"to {last:g} s; the first is event {outside[0]}, whose trial covers "
            f"{event + edges[0]:g} to {event + edges[-1]:g} s. Leave these events out, or give "
            "recording=(start, stop) if it was longer than its spikes."
        )


def _neurons_table(
    found: pd.Series, regions: Any, neurons: pd.DataFrame | None, seconds: float
) -> pd.DataFrame:
    """Give a row a cluster, in order, with its rate and region; clusters without spikes too."""
    if neurons is None:
        table = pd.DataFrame(index=found.index)
    elif not isinstance(neurons, pd.DataFrame) or neurons.index.has_duplicates:
        raise InvalidInputError(
            "neurons is no DataFrame with a row for each cluster; expected one, indexed by "
            "cluster. Use neurons.set_index(...) with the column of clusters."
        )
    else:
        table = neurons.sort_index()
        if not table.index.isin(found.index).any():
            raise InvalidInputError(
                f"no cluster of the spikes ({_some(found.index)}) is in the index of neurons "
                f"({_some(table.index)}). Use neurons.set_index(...) with the column of clusters."
            )
    table["firing_rate"] = found.reindex(table.index, fill_value=0) / max(seconds, 1e-12)
    if regions is not None:
        table["region"] = _regions_of(table.index, regions)
    return table


def _regions_of(ids: pd.Index, regions: Any) -> np.ndarray:
    if isinstance(regions, (Mapping, pd.Series)):
        lacking = [i for i in ids if i not in regions]
        if lacking:
            raise InvalidInputError(
                f"regions has no entry for {len(lacking)} of {len(ids)} clusters: "
                f"{_some(lacking)}. Give theirs, or leave the clusters out of neurons."
            )
        return np.array([regions[i] for i in ids], dtype=object)
    names = np.asarray(regions, dtype=object)
    if names.ndim == 1 and len(names) == len(ids):
        return names
    numbered = ids.dtype.kind in "iu" and ids.min() >= 0 and ids.max() < names.size
    if names.ndim == 1 and numbered:
        return names[ids]
    raise InvalidInputError(
        f"regions has shape {names.shape} for {len(ids)} clusters ({_some(ids)}); expected one "
        "for each, or a mapping from cluster to region."
    )


def _choose_neurons(table: pd.DataFrame, min_rate: float, report: Report) -> pd.DataFrame:
    for reason, keep in (
        ("no spike in the recording", table["firing_rate"] > 0),
        (f"fewer than {min_rate:g} spikes/s", table["firing_rate"] >= min_rate),
    ):
        keep = keep.reindex(table.index)
        report.dropped("neurons", reason, (~keep).sum(), keep.sum())
        table = table[keep]
    if not len(table):
        raise InvalidInputError(
            f"no neuron is left; expected at least one that fires {min_rate:g} spikes/s. "
            "Lower min_rate."
        )
    return table


def _read_signal(name: str, signal: Any, at: np.ndarray, bin_width: float) -> np.ndarray:
    try:
        times, values = (np.asarray(part, dtype=float) for part in signal)
    except (TypeError, ValueError):
        raise InvalidInputError(
            f"signal {name!r} is no pair of times and values; expected two arrays of numbers."
        ) from None
    if times.ndim != 1 or values.ndim not in (1, 2) or len(times) != len(values):
        raise InvalidInputError(
            f"signal {name!r} has times of shape {times.shape} and values of shape "
            f"{values.shape}; expected (samples,) and (samples,) or (samples, variables)."
        )
    if (
        not (times[1:] >= times[:-1]).all()
        or not np.isfinite(times[[0, -1]] if len(times) else 0).all()
    ):
        raise InvalidInputError(
            f"the times of signal {name!r} are not ascending numbers; expected seconds. Sort "
            "times and values together."
        )
    return sample_signal(times, values, at, bin_width)


def _some(ids: Any) -> str:
    shown = [str(i) for i in list(ids)[:5]]
    return ", ".join(shown) + (", ..." if len(ids) > 5 else "")
