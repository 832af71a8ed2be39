"""How trials are held out and cut into folds, by everything that does so.

The trials of a session are in the order of time. Neighbours are alike for reasons of their own: rates
drift, animals tire, and a variable such as the block of a task stays as it is for minutes. A trial
whose neighbours train is therefore predicted better than one that is yet to come. What chooses or
judges a model is for this reason held out as runs of consecutive trials, unless chance is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .errors import InvalidInputError

__all__ = [
    "VALIDATIONS",
    "Folds",
    "blocks_of",
    "consecutive_folds",
    "every_tenth",
    "hold_out",
    "hold_out_groups",
    "hold_out_runs",
    "n_held_out",
]

#: How validation trials can be chosen: as runs of consecutive trials, or one by one.
VALIDATIONS = ("blocked", "random")
# Runs that a session's held-out trials are made of. One at its end would tell the most of what is yet
# to come, but not of the rest of the session; many short ones would be all neighbours.
N_RUNS = 5

Folds = Sequence[tuple[np.ndarray, np.ndarray]]


def n_held_out(n_trials: int, fraction: float) -> int:
    """Return how many trials a share is: at least one, and never all."""
    return min(max(1, round(fraction * n_trials)), n_trials - 1)


def hold_out(
    n_trials: int, n_out: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw `n_out` trials one by one; return the others and these, both in order."""
    order = generator.permutation(n_trials)
    return np.sort(order[n_out:]), np.sort(order[:n_out])


def hold_out_runs(
    n_trials: int,
    fraction: float,
    generator: np.random.Generator,
    *,
    classes: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw runs of consecutive trials, one from each stretch of a session.

    Parameters
    ----------
    n_trials : int
        Trials, in the order of time.
    fraction : float
        Share to hold out; at least one trial, and never all.
    generator : numpy.random.Generator
        Says where in its stretch a run lies.
    classes : ndarray of int, (trials,), optional
        Class of each trial. The trials of each class are then cut as if there were no others, at the
        same places, so that some of every class are on both sides.

    Returns
    -------
    ndarray of int, ndarray of int
        The other trials and the held-out ones, both in order.
    """
    places = generator.random(N_RUNS)
    is_out = np.zeros(n_trials, dtype=bool)
    codes = np.zeros(n_trials, dtype=int) if classes is None else classes
    for code in np.unique(codes):
        members = np.flatnonzero(codes == code)
        n_out = n_held_out(len(members), fraction)
        n_runs = min(N_RUNS, n_out)
        ends = np.linspace(0, len(members), n_runs + 1).round().astype(int)
        # A stretch gives its part of what is held out; cumulative rounding makes them add up.
        parts = np.diff(np.linspace(0, n_out, n_runs + 1).round().astype(int))
        for start, end, part, place in zip(ends, ends[1:], parts, places, strict=False):
            first = start + round(place * (end - start - part))
            is_out[members[first : first + part]] = True
    return np.flatnonzero(~is_out), np.flatnonzero(is_out)


def hold_out_groups(
    groups: np.ndarray, fraction: float, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw whole groups until they hold a share of the trials; return the others and these trials."""
    names, codes = np.unique(groups, return_inverse=True)
    order = generator.permutation(len(names))
    reached = np.cumsum(np.bincount(codes)[order])
    n_groups = int(np.searchsorted(reached, n_held_out(len(groups), fraction))) + 1
    is_out = np.isin(codes, order[: min(n_groups, len(names) - 1)])
    return np.flatnonzero(~is_out), np.flatnonzero(is_out)


def every_tenth(n_trials: int) -> tuple[np.ndarray, np.ndarray]:
    """Hold out every tenth trial, or the first where there are fewer than ten."""
    is_out = np.arange(n_trials) % 10 == 9 if n_trials >= 10 else np.arange(n_trials) == 0
    return np.flatnonzero(~is_out), np.flatnonzero(is_out)


def consecutive_folds(
    n_trials: int,
    n_folds: int,
    *,
    classes: np.ndarray | None = None,
    groups: np.ndarray | None = None,
) -> Folds:
    """Cut trials into folds of consecutive ones, of about equal size.

    Parameters
    ----------
    n_trials : int
        Trials, in the order of time.
    n_folds : int
        Folds; fewer where trials or groups are fewer.
    classes : ndarray of int, (trials,), optional
        Class of each trial. A fold that would leave no trial of a class to train on is cut in two in
        the middle of that class's trials; nothing can be done for a class of one trial or group.
    groups : ndarray, (trials,), optional
        Trials of one group are never parted. Groups are in the order of their first trials.

    Returns
    -------
    sequence of (ndarray of int, ndarray of int)
        Training and left-out trials; every trial is left out once.

    Raises
    ------
    InvalidInputError
        If all trials are of one group.
    """
    unit = np.arange(n_trials) if groups is None else _by_appearance(groups)
    sizes = np.bincount(unit)
    if len(sizes) < 2:
        raise InvalidInputError(
            "groups has one group for all trials; expected at least two, so that some are left out."
        )
    centres = (np.cumsum(sizes) - sizes / 2) / n_trials
    begins = np.diff((centres * n_folds).astype(int), prepend=-1) > 0
    for code in () if classes is None else np.unique(classes):
        holders = np.unique(unit[classes == code])
        if len(holders) > 1 and not begins[holders[0] + 1 : holders[-1] + 1].any():
            begins[holders[len(holders) // 2]] = True
    fold = np.cumsum(begins)[unit]
    return [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in np.unique(fold)]


def blocks_of(classes: np.ndarray) -> np.ndarray | None:
    """Tell the blocks of a variable that stays as it is for many trials.

    Parameters
    ----------
    classes : ndarray of int, (trials,)
        Class of each trial, in the order of time.

    Returns
    -------
    ndarray of int, (trials,), or None
        Each trial's block, counted from 0. None where classes change at least half as often as they
        would if the same trials were shuffled, or where a class has but one block, which could not be
        left out whole.
    """
    changes = np.diff(classes) != 0
    blocks = np.concatenate([[0], np.cumsum(changes)])
    share = np.bincount(classes) / len(classes)
    if changes.sum() >= len(changes) * (1 - (share**2).sum()) / 2:
        return None
    firsts = classes[np.concatenate([[True], changes])]
    return None if np.bincount(firsts).min() < 2 else blocks


def _by_appearance(groups: np.ndarray) -> np.ndarray:
    """Count groups in the order of their first trials."""
    _, first, codes = np.unique(groups, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[codes]
