"""What to say of arrays whose axes are not (trials, time, neurons): the call that puts them right."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

__all__ = ["axis_of_length", "how_to_cut", "other_order"]

# Bins of a trial in advice on how to cut a recording, as in the method's publication.
USUAL_BINS = 100


def axis_of_length(length: int, shape: Sequence[int]) -> str:
    """Say which axis of counts has the length that neurons should have, and how to put it last.

    Parameters
    ----------
    length : int
        How many neurons are known of.
    shape : sequence of int
        That of the counts, meant to be (trials, time, neurons).

    Returns
    -------
    str
        A sentence with a space before it, or nothing where no other axis is as long.

    Examples
    --------
    >>> axis_of_length(10, (10, 40, 50))
    ' X has that length on axis 0 of 3: X.transpose(1, 2, 0) puts (neurons, trials, time) into the order (trials, time, neurons), and X.transpose(2, 1, 0) does (neurons, time, trials).'
    """
    orders = {
        0: ("(1, 2, 0)", "(neurons, trials, time)", "(2, 1, 0)", "(neurons, time, trials)"),
        1: ("(0, 2, 1)", "(trials, neurons, time)", "(2, 0, 1)", "(time, neurons, trials)"),
    }
    for axis, (likely, had, other, else_had) in orders.items():
        if length == shape[axis] != shape[2]:
            return (
                f" X has that length on axis {axis} of 3: X.transpose{likely} puts {had} into the "
                f"order (trials, time, neurons), and X.transpose{other} does {else_had}."
            )
    return ""


def other_order(name: str, given: tuple[int, ...], expected: tuple[int, ...]) -> str:
    """Say which transpose gives an array the expected shape, where just one order of its axes does.

    Examples
    --------
    >>> other_order("rates", (12, 40, 20), (40, 20, 12))
    ' Its axes are in another order: rates.transpose(1, 2, 0) has that shape.'
    """
    orders = [
        order
        for order in itertools.permutations(range(len(given)))
        if tuple(given[axis] for axis in order) == expected
    ]
    if len(given) > 3 or len(orders) != 1:
        return ""
    return f" Its axes are in another order: {name}.transpose{orders[0]} has that shape."


def how_to_cut(shape: tuple[int, ...], name: str = "X", *, one_is_enough: bool = False) -> str:
    """Say how counts of a continuous recording (time, neurons) become trials.

    Parameters
    ----------
    shape : tuple of int
        That of the counts; of other than two axes nothing but their source is known.
    name : str, default="X"
        What the user calls them.
    one_is_enough : bool, default=False
        Whether a single trial would do.

    Examples
    --------
    >>> how_to_cut((3050, 10))
    ' Counts of a continuous recording (time, neurons) become trials by X[:3000].reshape(30, 100, 10), which are 30 windows of 100 bins, or, with gaps, signals and blocks for folds, by neuromask.cut_windows(X, bin_width=...).'
    """
    if len(shape) != 2 or shape[0] < 2:
        return " Bin spike times into counts per trial first, for example by from_spike_times."
    n_time, n_neurons = shape
    n_bins = min(USUAL_BINS, n_time // 2)
    n_trials = n_time // n_bins
    text = (
        f" Counts of a continuous recording (time, neurons) become trials by {name}[:{n_trials * n_bins}]"
        f".reshape({n_trials}, {n_bins}, {n_neurons}), which are {n_trials} windows of {n_bins} bins, or, with gaps, signals and blocks for folds, by "
        f"neuromask.cut_windows({name}, bin_width=...)."
    )
    return text + f" A single trial (time, neurons) is {name}[None]." * one_is_enough
