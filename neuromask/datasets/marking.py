"""Bins in which some units of a session were not observed, though others were."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..session import Session
from .intervals import bins_within
from .report import Report

__all__ = ["mark_units"]


def mark_units(
    session: Session, intervals: Mapping[Any, np.ndarray], edges: np.ndarray, report: Report
) -> Session:
    """Mark the bins in which a unit was not observed, and leave out units observed in no trial.

    Parameters
    ----------
    session : Session
        Its neurons have a column ``cluster``, its trials ``event_time`` or ``start``; it is changed.
    intervals : mapping of array (intervals, 2)
        When each unit was observed, in seconds.
    edges : array (bins + 1,)
        Seconds from the event.
    report : Report
        Gets a row for units that were observed for less time than others, or in no trial.
    """
    times = "event_time" if "event_time" in session.trials else "start"
    events = session.trials[times].to_numpy()
    keys = [intervals[unit].tobytes() for unit in session.neurons["cluster"]]
    distinct = {part.tobytes(): part for part in intervals.values()}
    within = {key: bins_within(distinct[key], events, edges) for key in set(keys)}
    recorded = np.any(list(within.values()), axis=0)
    partly = np.array([(recorded & ~within[key]).any() for key in keys])
    if not partly.any():
        return session
    observed = np.ones(session.shape, bool) if session.observed is None else session.observed
    for i in np.flatnonzero(partly):
        observed[:, :, i] &= within[keys[i]]
    session.counts[~observed] = 0
    session.observed = observed
    there = observed.any((0, 1))
    report.dropped("neurons", "observed in none of the trials", (~there).sum(), there.sum())
    reason = "observed for a part of the session, the rest marked as not observed"
    report.noted("neurons", reason, (partly & there).sum())
    return session if there.all() else session.select_neurons(there)
