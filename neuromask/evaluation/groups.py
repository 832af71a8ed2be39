"""Groups of neurons that are hidden together, as a task of its own.

Single-neuron co-smoothing shows a neuron its nearest relatives: units that a sorter split in two, and
neighbours on the probe. Where a group is hidden as a whole, fewer of these are left, and a recording
of any size takes as many passes as there are groups.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from .._checks import as_array, check_positive_int
from ..errors import InvalidInputError

__all__ = ["GROUP_TASK", "neuron_groups", "with_group_task"]

#: The task that hides a group of neurons at a time, and is only scored where there are groups.
GROUP_TASK = "group_co_smoothing"


def neuron_groups(groups: Any, n_neurons: int) -> np.ndarray:
    """Give each neuron the number of its group.

    Parameters
    ----------
    groups : int, or array-like, (neurons,)
        How many groups neurons are dealt to, or the name of each neuron's group. They are dealt as
        cards are, in the order of ``numpy.random.default_rng(0).permutation(n_neurons)``: sizes
        differ by one at most, and the same number of neurons is always dealt alike.
    n_neurons : int
        Neurons of the recording.

    Returns
    -------
    ndarray of int, (neurons,)
        From 0.

    Raises
    ------
    InvalidInputError
        For fewer than two groups or more than neurons, another shape, or neurons without a group.

    Examples
    --------
    >>> neuron_groups(2, 6).tolist()
    [0, 1, 1, 0, 1, 0]
    >>> neuron_groups(["CA1", "CA1", "VISp"], 3).tolist()
    [0, 0, 1]
    """
    expected = f"a number of groups or ({n_neurons},), the group of each neuron"
    if as_array("groups", groups).ndim == 0:
        n_groups = check_positive_int("groups", groups, minimum=2)
        if n_groups > n_neurons:
            raise InvalidInputError(
                f"groups={n_groups} and X has {n_neurons} neurons; expected as many groups at most."
            )
        dealt = np.empty(n_neurons, dtype=int)
        dealt[np.random.default_rng(0).permutation(n_neurons)] = np.arange(n_neurons) % n_groups
        return dealt
    # As objects, for numpy turns ["a", nan] into text, and the gap into a group "nan".
    names = np.asarray(groups, dtype=object)
    if names.shape != (n_neurons,):
        raise InvalidInputError(f"groups has shape {names.shape}; expected {expected}.")
    numbers, found = pd.factorize(names)
    if (numbers < 0).any():
        raise InvalidInputError(
            f"groups has {int((numbers < 0).sum())} missing values, the first at neuron "
            f"{int(np.argmin(numbers))}; expected a group for every neuron. Score some of the neurons by "
            "neurons=."
        )
    if len(found) < 2:
        raise InvalidInputError(
            f"groups puts all {n_neurons} neurons into one group; expected two groups at least, so that "
            "one is predicted from the others."
        )
    return numbers


def with_group_task(argument: str, tasks: tuple[str, ...], groups: Any) -> tuple[str, ...]:
    """Add the task of groups to others where there are groups; refuse it where there are none."""
    if groups is not None:
        return tuple(dict.fromkeys((*tasks, GROUP_TASK)))
    if GROUP_TASK in tasks:
        raise InvalidInputError(
            f"{argument} asks for {GROUP_TASK!r} and there are no groups; expected groups=10 for a tenth "
            "of the neurons at a time, or the group of each neuron."
        )
    return tasks
