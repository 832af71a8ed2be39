"""Sessions from spike times."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from .._checks import check_fraction
from .._tables import read_table
from ..errors import InvalidInputError, public, warn
from ..session import Session
from .binning import bin_edges, bin_spikes
from .clock import refuse_late_events, warn_of_recording, warn_of_units
from .intervals import ROUNDING, read_intervals
from .neurons import neurons_table, renamed
from .report import Report
from .signals import read_signals
from .times import known_of, time_support, times_of
from .trains import read_spikes
from .trials import (
    check_unrecorded,
    filter_trials,
    read_ends,
    recorded_bins,
    refuse_unrecorded,
    trials_within,
    warn_of_overlap,
)
from .units import choose_by_rate, choose_units
from .windows import check_window, window_events

__all__ = ["NOT_LISTED", "from_spike_times"]

# A recording that holds a smaller share of the spikes is of another clock or unit; that of sleep alone
# may hold a few in a hundred.
LEAST_SHARE = 0.01
#: Why clusters are left out that a table of neurons does not have, in the report.
NOT_LISTED = "not in the table of neurons"


@public
def from_spike_times(
    times: Any,
    clusters: Any = None,
    regions: Any = None,
    events: Any = None,
    *,
    window: tuple[float, float] | float = (-0.5, 1.5),
    step: float | None = None,
    bin_width: float = 0.02,
    ends: Any = None,
    neurons: pd.DataFrame | None = None,
    trials: pd.DataFrame | Mapping[str, Any] | None = None,
    signals: Mapping[str, tuple[Any, Any]] | None = None,
    min_rate: float = 0.0,
    quality: Mapping[str, Any] | None = None,
    include: Any = None,
    exclude: Any = None,
    recording: Any = None,
    unrecorded: str | None = None,
    sampling_rate: float | None = None,
    session_id: str = "session",
    subject: str | None = None,
) -> Session:
    """Make a session from spike times, as sorters give them, and the events that trials align to.

    A spike on the edge of a bin belongs to the bin that starts there, to a nanosecond.

    Parameters
    ----------
    times : array-like of float (spikes,), or mapping or list of one such array a cluster
        Seconds from the start of the recording. A mapping has clusters as keys, such as a pynapple
        ``TsGroup``; those of a list, or of a cell array of MATLAB, are 0, 1, ... Times that are out
        of order by less than 0.1 s are sorted; those that start again are refused, or cost their
        cluster where they are given by cluster.
    clusters : array-like (spikes,), optional
        Cluster of each spike, a number or text; only where `times` is one array.
    regions : mapping, Series or array-like of str, optional
        Brain region by cluster. An array has one entry for each cluster in ascending order or, like
        tables of sorters, an entry for each number from 0 up.
    events : array-like of float (trials,), optional
        Seconds; time 0 of each trial, such as stimulus onsets; of a pynapple ``IntervalSet`` its
        starts. None for a recording without trials,
        which is then cut into windows.
    window : (float, float) or float, default=(-0.5, 1.5)
        Start and stop of a trial, in seconds from its event. Without events one number: the length of
        windows, in seconds.
    step : float, optional
        Seconds from the start of a window to that of the next; a window's length by default.
    bin_width : float, default=0.02
        Seconds; the window is a whole number of bins.
    ends : array-like of float (trials,), optional
        Seconds at which each trial ended, on the clock of the events; later bins count as not observed.
    neurons : DataFrame, optional
        One row a cluster, indexed by cluster: depth, quality, ... Clusters without a row are left
        out, so that a table cut to good units keeps these alone. By default the metadata of a
        pynapple ``TsGroup``.
    trials : DataFrame or mapping, optional
        One row an event: choice, contrast, ...
    signals : mapping of str to (times, values), optional
        Signals over the recording: seconds (samples,) and values (samples,) or (samples,
        variables); or a pynapple Tsd, or a Series or DataFrame indexed by seconds. They are interpolated linearly at the end of each bin, and NaN where the nearest
        sample is further than a bin, or than two usual intervals between samples.
    min_rate : float, default=0
        Fewest spikes per second, over the recording, of a neuron that is kept. One without a spike
        never is.
    quality : mapping of str to number, str or collection, optional
        What columns of `neurons` must hold: a number is the least value, ``"< 0.5"`` (or ``<=``,
        ``>``, ``>=``) a bound, other text the one value, a collection those allowed, or bounds that
        all must hold, as in ``["> 0.1", "< 0.5"]``.
    include, exclude : sequence, optional
        Clusters to keep, and clusters to leave out.
    recording : (float, float), or array-like (intervals, 2), optional
        Start and stop of the recording in seconds, or of each of its parts; a pynapple
        ``IntervalSet`` too. By default the time support of a pynapple object, else first to last
        spike.
    unrecorded : {"refuse", "drop", "mark"}, optional
        What becomes of trials that reach into time that was not recorded: an error, the default with
        events; they are left out, the default of windows; or these bins count as not observed.
    sampling_rate : float, optional
        Samples a second; spike times, and they alone, are then samples.
    session_id : str, default="session"
        Name of the session; models know sessions by it.
    subject : str, optional
        Name of the animal.

    Returns
    -------
    Session
        Its `neurons` have the columns ``cluster`` and ``firing_rate`` (Hz); its `trials`
        ``event_time``, or ``start`` and ``block`` where it was cut into windows; its `report` says
        what was left out.

    Raises
    ------
    InvalidInputError
        If lengths do not match, times start again or are no seconds, a cluster has no region, a trial
        reaches into time that was not recorded, or no spike lies in any trial.

    Warns
    -----
    NeuromaskWarning
        If rates say that times are in another unit, or trials share time.

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
    is_cut = events is None and np.ndim(window) == 0
    if is_cut:
        check_window(window, step, bin_width)
    edges = bin_edges((0.0, window) if is_cut else window, bin_width)
    check_fraction("min_rate", min_rate, low=0.0, high=1e6)
    if unrecorded is None:
        unrecorded = "drop" if is_cut else "refuse"
    check_unrecorded(unrecorded)
    report, support = Report(), time_support(times)
    neurons = known_of(times) if neurons is None else neurons
    trials = known_of(events) if trials is None else trials
    times, clusters, ids = read_spikes(times, clusters, sampling_rate=sampling_rate, report=report)
    recorded = _read_recording(recording, support, times)
    blocks: np.ndarray | None = None
    if is_cut:
        _report_gaps(recorded, bin_width, unrecorded, report)
        whole = np.array([[recorded[0, 0], recorded[-1, 1]]])
        stretches = whole if unrecorded == "mark" else recorded
        events, blocks = window_events(
            stretches, edges[-1], step, bin_width=bin_width, report=report
        )
    else:
        _refuse_step(step)
        events = _read_events(events)
        refuse_late_events(events, recorded)
    ends = read_ends(ends, len(events))
    if ends is not None and (ends > events + edges[-1]).all():
        warn(
            "every trial ends after its window, so that `ends` changes nothing. Check that ends are seconds on "
            "the clock of the events, and that the window is long enough."
        )
    found = pd.Series(clusters).value_counts(sort=False).sort_index()
    warn_of_units(times, len(found), events, edges)
    if len(ids):
        found = found.reindex(np.sort(ids), fill_value=0)
    table_of_trials = read_table(trials, len(events), "trials", "trial")
    kept = _choose_trials(events, edges, recorded, ends, "mark" if is_cut else unrecorded, report)
    events, table_of_trials = events[kept], table_of_trials.iloc[kept].reset_index(drop=True)
    ends = None if ends is None else ends[kept]
    if not is_cut:
        warn_of_overlap(events, edges, ends)
    seconds = float(np.diff(recorded, axis=1).sum())
    rates = _spikes_within(recorded, times, clusters, found) / max(seconds, 1e-12)
    table = neurons_table(found, regions, neurons, rates)
    n_known = int(found.index.isin(table.index).sum())
    report.dropped("neurons", NOT_LISTED, len(found) - n_known, n_known)
    table = choose_units(table, quality, include, exclude, report, ids=None)
    table = choose_by_rate(table, min_rate, report)
    counts = bin_spikes(times, clusters, table.index.to_numpy(), events, edges)
    if not counts.any():
        raise InvalidInputError(
            f"no spike lies in any of the {len(events)} trials, which cover "
            f"{events.min() + edges[0]:g} to {events.max() + edges[-1]:g} s; spikes cover "
            f"{times[0]:g} to {times[-1]:g} s. Give both in seconds of the same clock."
        )
    there = recorded_bins(events, edges, recorded, ends)
    made = ("event_time",) if blocks is None else ("start", "block")
    table_of_trials = renamed(table_of_trials, made)
    if blocks is None:
        table_of_trials["event_time"] = events
    else:
        block = np.unique(blocks[kept], return_inverse=True)[1]
        table_of_trials["start"], table_of_trials["block"] = events, block
    at = events[:, None] + edges[1:]
    sampled = read_signals(signals, at, bin_width, seconds, report)
    return Session(
        counts,
        neurons=table.reset_index(names="cluster"),
        trials=table_of_trials,
        signals=sampled,
        bin_width=bin_width,
        t_start=float(edges[0]),
        observed=None if there is None else there[:, :, None],
        session_id=session_id,
        subject=subject,
        report=report.table(),
    )


def _spikes_within(
    recorded: np.ndarray, times: np.ndarray, clusters: np.ndarray, found: pd.Series
) -> pd.Series:
    """Count each cluster's spikes in the time that was recorded; `found` are those of all time."""
    first = np.searchsorted(times, recorded[:, 0])
    last = np.searchsorted(times, recorded[:, 1], "right")
    if (first[0], last[-1]) == (0, len(times)) and len(recorded) == 1:
        return found
    parts = [clusters[a:b] for a, b in zip(first, last, strict=True)]
    return pd.Series(np.concatenate(parts)).value_counts(sort=False)


def _report_gaps(recorded: np.ndarray, bin_width: float, unrecorded: str, report: Report) -> None:
    """Report the time between the parts of a recording that is cut into windows, or refuse it."""
    gaps = recorded[1:, 0] - recorded[:-1, 1]
    if unrecorded == "refuse" and len(gaps):
        raise InvalidInputError(
            f"recording has {len(gaps)} gaps, the first from {recorded[0, 1]:g} to {recorded[1, 0]:g} s; "
            "expected none with unrecorded='refuse'. Leave it out to have windows between gaps, or set "
            "'mark' to have windows across them."
        )
    whole = recorded[-1, 1] - recorded[0, 0]
    n_bins, n_gap = (round(float(t) / float(bin_width)) for t in (whole, gaps.sum()))
    if unrecorded == "mark":
        report.noted("bins", "in time that was not recorded, marked", n_gap)
    else:
        report.dropped("bins", "in time that was not recorded", n_gap, n_bins - n_gap)


def _refuse_step(step: Any) -> None:
    if step is not None:
        raise InvalidInputError(
            f"step={step!r} beside events; expected it only for a recording without trials, where it is "
            "the time from a window to the next: events=None, window=1.0."
        )


def _read_events(events: Any) -> np.ndarray:
    if events is None:
        raise InvalidInputError(
            "events is missing; expected the time of each trial's event in seconds, or, for a recording "
            "without trials, the length of windows that tile it, such as window=1.0."
        )
    try:
        events = times_of(events).astype(float)
    except InvalidInputError:
        raise
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


def _read_recording(recording: Any, support: Any, times: np.ndarray) -> np.ndarray:
    """Give the intervals that were recorded: as told, or as pynapple knows, or first to last spike."""
    if recording is None and support is None:
        return np.array([[times[0], max(times[-1], times[0] + ROUNDING)]])
    name = "recording" if recording is not None else "the time_support of times"
    recorded = read_intervals(name, support if recording is None else recording)
    if not len(recorded):
        raise InvalidInputError(f"{name} holds no time; expected (start, stop) in seconds.")
    first, last = (
        np.searchsorted(times, recorded[:, 0]),
        np.searchsorted(times, recorded[:, 1], "right"),
    )
    share = (last - first).sum() / len(times)
    if share < LEAST_SHARE:
        raise InvalidInputError(
            f"{name} covers {recorded[0, 0]:g} to {recorded[-1, 1]:g} s, in which {100 * share:.2g} % of "
            f"the spikes lie; these cover {times[0]:g} to {times[-1]:g} s. Expected seconds of the same "
            "clock."
        )
    warn_of_recording(recorded, times)
    return recorded


def _choose_trials(
    events: np.ndarray,
    edges: np.ndarray,
    recorded: np.ndarray,
    ends: np.ndarray | None,
    unrecorded: str,
    report: Report,
) -> np.ndarray:
    """Return the trials to keep, and report or refuse the others."""
    rules = trials_within(events, edges, recorded, "event", unrecorded=unrecorded, ends=ends)
    if unrecorded == "refuse":
        refuse_unrecorded(rules, events, edges, recorded)
    rows = pd.DataFrame({"trial": np.arange(len(events))})
    return filter_trials(rows, rules, report)["trial"].to_numpy()
