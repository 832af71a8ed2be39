"""Bins in which a unit was not observed, marked in a session."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..session import Session
from .intervals import bins_within
from .report import Report

__all__ = ["mark_unrecorded"]


def mark_unrecorded(
    session: Session,
    recorded: np.ndarray,
    intervals: Mapping[Any, np.ndarray],
    edges: np.ndarray,
    report: Report,
) -> Session:
    """Mark what was not recorded, and leave out units that were observed in no trial.

    Parameters
    ----------
    session : Session
        Its neurons have a column ``cluster``, its trials ``event_time``; it is changed.
    recorded : array of bool (trials, bins)
        When anything was recorded.
    intervals : mapping of array (intervals, 2)
        When each unit was observed, in seconds.
    edges : array (bins + 1,)
        Seconds from the event.
    report : Report
        Gets a row for units that were observed for a part of that time, or in no trial.
    """
    units = session.neurons["cluster"].tolist()
    events = session.trials["event_time"].to_numpy()
    distinct = {part.tobytes(): part for part in (intervals[unit] for unit in units)}
    within = {key: bins_within(part, events, edges) for key, part in distinct.items()}
    whole = {key: bool((bins | ~recorded).all()) for key, bins in within.items()}
    keys = [intervals[unit].tobytes() for unit in units]
    partly = np.array([not whole[key] for key in keys], bool)
    if recorded.all() and not partly.any():
        return session
    observed = np.repeat(recorded[:, :, None], len(units), axis=2)
    for i in np.flatnonzero(partly):
        observed[:, :, i] &= within[keys[i]]
    session.counts[~observed] = 0
    session.observed = observed
    there = observed.any((0, 1))
    report.dropped("neurons", "observed in none of the trials", (~there).sum(), there.sum())
    reason = "observed for a part of the session, the rest marked as not observed"
    report.dropped("neurons", reason, (partly & there).sum(), (~partly).sum())
    return session if there.all() else session.select_neurons(there)
