"""Which trials of a recording are kept, and which of their bins were recorded."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from .._checks import check_choice
from ..errors import InvalidInputError, warn
from .intervals import ROUNDING, bins_within
from .report import Report
from .times import times_of

__all__ = [
    "UNRECORDED",
    "check_unrecorded",
    "filter_trials",
    "read_ends",
    "recorded_bins",
    "refuse_unrecorded",
    "trials_within",
    "warn_of_overlap",
]

#: What becomes of trials that reach into time that was not recorded.
UNRECORDED = ("drop", "mark", "refuse")
BEYOND, IN_A_GAP = "beyond the recording", "in time that was not recorded"
NO_END = "no end, or one before the window's first bin is over"


def filter_trials(
    trials: pd.DataFrame, rules: dict[str, np.ndarray], report: Report
) -> pd.DataFrame:
    """Keep the trials that pass every rule, one rule after the other, and report what each drops.

    Parameters
    ----------
    trials : DataFrame
        One row a trial.
    rules : mapping of str to array of bool (trials,)
        Why a trial is dropped, and which ones are kept.
    report : Report
        Gets a row a rule that drops any.

    Raises
    ------
    InvalidInputError
        If no trial is left.

    Examples
    --------
    >>> import pandas as pd
    >>> trials, report = pd.DataFrame({"choice": [1, 0, -1]}), Report()
    >>> rules = {"no choice": (trials["choice"] != 0).to_numpy()}
    >>> filter_trials(trials, rules, report)["choice"].tolist()
    [1, -1]
    """
    kept = np.ones(len(trials), bool)
    for reason, passed in rules.items():
        after = kept & passed
        report.dropped("trials", reason, (kept & ~passed).sum(), after.sum())
        kept = after
    if not kept.any():
        raise InvalidInputError(
            f"none of {len(trials)} trials is left. Dropped, one rule after the other: "
            f"{report.summary('trials')}. Choose another event or window, or fewer rules."
        )
    return trials[kept].reset_index(drop=True)


def trials_within(
    events: np.ndarray,
    edges: np.ndarray,
    recorded: np.ndarray,
    name: str,
    *,
    unrecorded: str = "drop",
    ends: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Give the rules that every recording needs: an event, and a window in time that was recorded.

    Parameters
    ----------
    events : array of float (trials,)
        Seconds; NaN where a trial has none.
    edges : array (bins + 1,)
        Seconds from the event.
    recorded : array (intervals, 2)
        When the recording ran, in seconds; see :func:`neuromask.datasets.intervals.read_intervals`.
    name : str
        Name of the event.
    unrecorded : {"drop", "mark", "refuse"}, default="drop"
        With "mark" a trial need only have one bin that was recorded.
    ends : array of float (trials,), optional
        Seconds at which each trial ends; what comes after need not have been recorded.

    Examples
    --------
    >>> import numpy as np
    >>> events, recorded = np.array([np.nan, 0.1, 5.0]), np.array([[0.0, 9.0]])
    >>> trials_within(events, np.array([-0.5, 1.5]), recorded, "go cue")
    {'no go cue': array([False,  True,  True]), 'beyond the recording': array([ True, False,  True])}
    """
    there = np.isfinite(events)
    rules = {f"no {name}": there}
    if ends is not None:
        rules[NO_END] = ~there | (ends >= events + edges[1] - ROUNDING)
    wanted = _before(ends, events, edges)
    missing = wanted & ~bins_within(recorded, events, edges)
    if unrecorded == "mark":
        missing &= ~(wanted & ~missing).any(1, keepdims=True)
    at = events[:, None] + edges
    outside = (at[:, :-1] < recorded[:1, :1] - ROUNDING) | (
        at[:, 1:] > recorded[-1:, 1:] + ROUNDING
    )
    for reason, bad in ((BEYOND, missing & outside), (IN_A_GAP, missing & ~outside)):
        rules[reason] = ~there | ~bad.any(1)
    return {k: passed for k, passed in rules.items() if k != IN_A_GAP or not passed.all()}


def refuse_unrecorded(
    rules: dict[str, np.ndarray], events: np.ndarray, edges: np.ndarray, recorded: np.ndarray
) -> None:
    """Refuse trials that reach into time that was not recorded, and say how to have them.

    `rules` are those of :func:`trials_within`.
    """
    for reason, passed in rules.items():
        bad = np.flatnonzero(~passed)
        if not len(bad):
            continue
        event = events[bad[0]]
        if reason == NO_END:
            raise InvalidInputError(
                f"{len(bad)} of {len(events)} trials have {reason}; the first is event {bad[0]}, at "
                f"{event:g} s. Expected ends in seconds on the clock of the events; of durations give "
                "events + durations. Set unrecorded='drop' to leave these trials out."
            )
        spans = ", ".join(f"{a:g} to {b:g}" for a, b in recorded[:3])
        more = f" and {len(recorded) - 3} more intervals" if len(recorded) > 3 else ""
        what = "reach beyond the recording" if reason == BEYOND else f"fail a rule ({reason})"
        what = "reach into time that was not recorded" if reason == IN_A_GAP else what
        raise InvalidInputError(
            f"{len(bad)} of {len(events)} trials {what}, {spans}{more} s; the first is event {bad[0]}, "
            f"whose trial covers {event + edges[0]:g} to {event + edges[-1]:g} s. Set "
            "unrecorded='drop' to leave them out, or 'mark' to keep them with these bins marked as "
            "not observed; give recording=(start, stop) if it was longer than its spikes."
        )


def recorded_bins(
    events: np.ndarray, edges: np.ndarray, recorded: np.ndarray, ends: np.ndarray | None = None
) -> np.ndarray | None:
    """Say which bins of trials were recorded, and lie before the trial's end; None where all do."""
    there = bins_within(recorded, events, edges) & _before(ends, events, edges)
    return None if there.all() else there


def read_ends(ends: Any, n_trials: int) -> np.ndarray | None:
    """Check the time at which each trial ends."""
    if ends is None:
        return None
    try:
        values = times_of(ends).astype(float)
    except InvalidInputError:
        raise
    except (TypeError, ValueError):
        values = np.zeros(0)
    if values.shape != (n_trials,):
        raise InvalidInputError(
            f"ends has shape {np.shape(ends)} for {n_trials} events; expected ({n_trials},), the "
            "seconds at which each trial ends, on the clock of the events."
        )
    return values


def warn_of_overlap(events: np.ndarray, edges: np.ndarray, ends: np.ndarray | None = None) -> None:
    """Warn where trials share time, as their spikes are then in the training and the test trials.

    A trial lasts until the end of its window, or until its end of `ends` (trials,) if that is earlier.
    """
    order = np.argsort(events, kind="stable")
    ordered = events[order]
    over = ordered + edges[-1]
    over = np.maximum.accumulate(over if ends is None else np.fmin(over, ends[order]))
    is_twice = np.diff(ordered) <= ROUNDING
    twice = int(is_twice.sum())
    shared = int(((ordered[1:] + edges[0] < over[:-1] - ROUNDING) & ~is_twice).sum())
    if twice:
        warn(
            f"{twice} of {len(events)} events are there more than once, so that their trials hold the "
            "same spikes. A model that trains on one and is tested on the other scores too well. Give "
            "each event once."
        )
    if shared:
        warn(
            f"{shared} of {len(events)} trials begin before the one before them is over, so that they "
            "share spikes, which leak from training to test trials. Choose a shorter window, or "
            "split trials in runs of consecutive ones."
        )


def _before(ends: np.ndarray | None, events: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Say which bins are over when the trial ends (trials, bins)."""
    if ends is None:
        return np.ones((len(events), len(edges) - 1), bool)
    return events[:, None] + edges[1:] <= ends[:, None] + ROUNDING


def check_unrecorded(unrecorded: Any) -> None:
    """Refuse what is no way to treat trials in time that was not recorded."""
    check_choice("unrecorded", unrecorded, UNRECORDED)
