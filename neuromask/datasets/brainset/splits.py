"""Which split of a file each trial belongs to: train, valid or test."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from ..intervals import ROUNDING, within
from .files import named

__all__ = ["PARTS", "read_splits", "splits_of_masks", "splits_of_windows"]

#: What files call the parts, and what they are called here.
PARTS = {"train": "train", "valid": "valid", "val": "valid", "test": "test"}
_DOMAIN = re.compile(rf"(?:(?P<scope>.+)_)?(?P<part>{'|'.join(PARTS)})_domain")

Domains = dict[str, np.ndarray]


def read_splits(data: Any) -> dict[str, Domains]:
    """Give the intervals (n, 2) of each part, by what the split is for.

    ``train_domain`` is of the split "", ``ts1_train_domain`` of the split "ts1".
    """
    splits: dict[str, Domains] = {}
    for key, interval in named(data, ("Interval",)).items():
        found = _DOMAIN.fullmatch(key)
        if found and len(interval.start):
            domains = splits.setdefault(found["scope"] or "", {})
            domains[PARTS[found["part"]]] = np.stack([interval.start, interval.end], 1).astype(
                float
            )
    return splits


def _touches(intervals: np.ndarray, starts: np.ndarray, stops: np.ndarray) -> np.ndarray:
    """Whether each window shares time with any of the intervals."""
    before = np.searchsorted(np.sort(intervals[:, 1]), starts + ROUNDING, side="right")
    begun = np.searchsorted(np.sort(intervals[:, 0]), stops - ROUNDING)
    return begun > before


def splits_of_windows(
    domains: Mapping[str, np.ndarray], events: np.ndarray, edges: np.ndarray
) -> pd.Series:
    """Give the part of each trial; a gap where its event is in none, or its window reaches into another.

    Parameters
    ----------
    domains : mapping of str to array (n, 2)
        Intervals of each part.
    events : array (trials,)
        Seconds.
    edges : array (bins + 1,)
        Seconds from the event.

    Examples
    --------
    >>> domains = {"train": np.array([[0.0, 10.0]]), "test": np.array([[10.0, 20.0]])}
    >>> splits_of_windows(domains, np.array([2.0, 9.5, 12.0, 30.0]), np.array([0.0, 1.0])).tolist()
    ['train', nan, 'test', nan]
    """
    starts, stops = events + edges[0], events + edges[-1]
    of_trial = np.full(len(events), np.nan, object)
    for name, intervals in domains.items():
        mine = within(intervals[np.argsort(intervals[:, 0])], events, events)
        mine &= _touches(intervals, starts, stops)
        for other in domains.keys() - {name}:
            mine &= ~_touches(domains[other], starts, stops)
        of_trial[mine] = name
    return pd.Series(of_trial)


def splits_of_masks(trials: pd.DataFrame) -> pd.Series | None:
    """Give the part of each trial by columns such as ``train_mask``, where there are any."""
    masks = {PARTS[p]: trials[f"{p}_mask"] for p in PARTS if f"{p}_mask" in trials}
    if not masks:
        return None
    of_trial = np.full(len(trials), np.nan, object)
    for name, mask in masks.items():
        of_trial[mask.to_numpy(bool)] = name
    return pd.Series(of_trial)
