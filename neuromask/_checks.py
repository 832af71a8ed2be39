"""Checks of spikes, regions and parameters, done before any work starts."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from numbers import Real
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import numpy as np

from ._axes import axis_of_length
from ._cells import without_cells
from .errors import InvalidInputError, run_by_a_person, suggest, warn

__all__ = [
    "as_array",
    "as_names",
    "check_choice",
    "check_fraction",
    "check_name",
    "check_path",
    "check_positive_int",
    "check_regions",
    "is_missing",
    "resolve_regions",
]

_CURE = "If cross-validation sliced it, set regions in the constructor or use a neuromask.Session."


def check_regions(regions: Any, n_neurons: int, shape: Sequence[int] | None = None) -> np.ndarray:
    """Return one text label per neuron, or raise a clear error.

    Parameters
    ----------
    regions : array-like, (neurons,)
        Labels; ``(1, neurons)`` is taken too, as scikit-learn does not slice it.
    n_neurons : int
        Expected number of labels.
    shape : sequence of int, optional
        That of the counts, to say which of their axes the labels may be for.

    Returns
    -------
    ndarray of str, (neurons,)

    Raises
    ------
    InvalidInputError
        For a wrong length, or labels that are missing or empty.

    Examples
    --------
    >>> check_regions(["CA1", "VISp"], 2).tolist()
    ['CA1', 'VISp']
    """
    try:
        # As objects, for numpy would turn ["CA1", nan] into text, and the gap into a region "nan".
        given = without_cells(np.asarray(regions, dtype=object))
    except ValueError as error:
        raise InvalidInputError(_uneven(n_neurons)) from error
    labels = given[0] if given.ndim == 2 and len(given) == 1 else given
    if labels.shape != (n_neurons,):
        raise InvalidInputError(
            f"regions has shape {given.shape}, X has {n_neurons} neurons; expected "
            f"({n_neurons},).{_axis_or_cure(labels.shape, shape)}"
        )
    if any(isinstance(label, (list, tuple, np.ndarray)) for label in labels):
        raise InvalidInputError(_uneven(n_neurons))
    text = labels.astype(str)
    missing = [
        i
        for i, (label, name) in enumerate(zip(labels, text, strict=True))
        if is_missing(label) or not name.strip()
    ]
    if missing:
        raise InvalidInputError(
            f"regions has {len(missing)} missing label(s), the first at neuron "
            f"{missing[0]}; expected a name for every neuron. Name them, for example 'root', and "
            "list that name in ignore_regions."
        )
    return text


def _axis_or_cure(labels: tuple[int, ...], shape: Sequence[int] | None) -> str:
    """Say how regions of a wrong length come right: by another order of axes, or without slicing."""
    axis = axis_of_length(labels[0], shape) if shape is not None and len(labels) == 1 else ""
    return axis or f" {_CURE}"


def _uneven(n_neurons: int) -> str:
    return (
        f"regions is a nested list; expected one label for each of {n_neurons} neurons. "
        "Give a list of lists only with a list of sessions."
    )


def is_missing(label: Any) -> bool:
    """Whether a label is None, NaN or pandas.NA."""
    try:
        return label is None or bool(label != label)
    except TypeError:  # pandas.NA has no truth value
        return True


def resolve_regions(
    X: Any,
    y: Any,
    regions: Any,
    default: Any,
    *,
    shape: tuple[int, int, int],
) -> np.ndarray | None:
    """Find the region labels among the places where they may have been given.

    The keyword of the call comes first, then those that the recording carries, then the
    constructor's, which are for recordings that carry none: a constructor that contradicts the
    recording is refused. Only when none of these is there is `y` looked at: of length `n_neurons`
    it is taken as regions, of length `n_trials` it is somebody's target and ignored; where both
    lengths agree, text is taken as regions with a warning. Text of length `n_trials` is ignored where
    scikit-learn passes it on. A person who gives it to fit, which has no use for targets, may mean
    regions of neurons on the first axis, and is asked.

    Parameters
    ----------
    X, y, regions, default : Any
        The recording, the second argument, the keyword, and what the constructor was given.
    shape : tuple of int
        (trials, time, neurons) of the counts.

    Returns
    -------
    ndarray of str, (neurons,), or None
        None when no regions are known; the caller warns, once, as it knows the session's name.

    Raises
    ------
    InvalidInputError
        If regions have a wrong length or contradict each other, or `y` has neither length.
    """
    n_trials, _, n_neurons = shape
    if regions is not None:
        return check_regions(regions, n_neurons, shape)
    places = (getattr(X, "regions", None), default)
    own, constructor = (None if p is None else check_regions(p, n_neurons, shape) for p in places)
    if own is not None and constructor is not None and (own != constructor).any():
        first = int(np.flatnonzero(own != constructor)[0])
        raise InvalidInputError(
            f"the constructor's regions are not those that the session carries: neuron {first} is "
            f"in {str(constructor[first])!r} there and in {str(own[first])!r} here. Leave regions "
            "out of the constructor, or make the Session with the regions that you want."
        )
    if own is not None or constructor is not None:
        return constructor if own is None else own
    if y is None:
        return None
    try:
        length = np.asarray(y).shape
    except ValueError:  # rows of unequal length
        length = (len(y),)
    if length == (n_neurons,):
        if n_neurons != n_trials:
            return check_regions(y, n_neurons)
        if _has_text(y):
            warn(
                f"the second argument has one text label for each of {n_neurons} neurons "
                "and as many trials; it is taken as regions. Write regions=... to be sure."
            )
            return check_regions(y, n_neurons)
    if length[:1] != (n_trials,):
        raise InvalidInputError(
            f"the second argument has shape {length}; expected ({n_neurons},) regions or "
            f"({n_trials},) targets, which are ignored.{_axis_or_cure(length, shape)}"
        )
    if n_neurons != n_trials and _has_text(y) and run_by_a_person():
        raise InvalidInputError(
            f"the second argument has a text label for each of {n_trials} trials, and fit uses no "
            f"targets. If they are targets, leave them out. If they are regions:"
            f"{axis_of_length(n_trials, shape)}"
        )
    return None


def _has_text(y: Any) -> bool:
    """Whether labels are text: by value and not by dtype, as numbers may well come as objects."""
    labels = np.asarray(y, dtype=object)
    return labels.ndim == 1 and any(isinstance(label, (str, bytes)) for label in labels)


def check_positive_int(name: str, value: Any, *, minimum: int = 1) -> int:
    """Return a whole number of at least `minimum`, or raise."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise InvalidInputError(f"{name}={value!r}; expected a whole number.")
    if value < minimum:
        raise InvalidInputError(f"{name}={value!r}; expected at least {minimum}.")
    return int(value)


def check_fraction(
    name: str,
    value: Any,
    *,
    low: float = 0.0,
    high: float = 1.0,
    or_auto: bool = False,
) -> float | str:
    """Return a number in ``[low, high)``, or ``"auto"`` where that is allowed, or raise."""
    if or_auto and isinstance(value, str) and value == "auto":
        return value
    if not isinstance(value, Real) or not low <= float(value) < high:
        auto = "'auto' or " if or_auto else ""
        raise InvalidInputError(
            f"{name}={value!r}; expected {auto}a number from {low} up to, not including, {high}."
        )
    return float(value)


def check_choice(name: str, value: Any, choices: Sequence[Any]) -> Any:
    """Return one of `choices`, or raise with the nearest."""
    # An array is in no list, and cannot even be asked.
    if not isinstance(value, (str, int, np.bool_)) or value not in choices:
        raise InvalidInputError(
            f"{name}={value!r}; expected one of {list(choices)}.{suggest(str(value), choices)}"
        )
    return value


def as_names(name: str, given: str | Iterable[Any] | None) -> tuple[str, ...]:
    """Return names as a tuple, whether none, one or several are given, or raise.

    Examples
    --------
    >>> as_names("ignore_regions", "root")
    ('root',)
    """
    if given is None or isinstance(given, str):
        return () if given is None else (given,)
    if not isinstance(given, Iterable):
        raise InvalidInputError(f"{name}={given!r}; expected a name or several.")
    return tuple(str(entry) for entry in given)


def as_array(
    name: str, given: Any, *, dtype: Any = None, order: Literal["C", "K"] = "C"
) -> np.ndarray:
    """Return an array, or raise.

    By default it is one that torch can read, that is, one that runs forwards; order "K" leaves it
    as it lies in memory, so that sums over it are rounded alike.
    """
    if np.ma.is_masked(given):
        raise InvalidInputError(
            f"{name} has masked entries; expected a value in every place. Drop what is missing, "
            "or fill it."
        )
    try:
        return np.asarray(given, dtype=dtype, order=order)
    except (ValueError, TypeError) as error:
        raise InvalidInputError(
            f"{name} is a {type(given).__name__} that cannot be read as an array ({error}); expected "
            "rows of equal length, of one kind."
        ) from error


def check_name(name: str, value: Any) -> str:
    """Return a name as text, or raise where text, a whole number or a UUID is expected and not given."""
    is_number = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not isinstance(value, (str, UUID)) and not is_number:
        raise InvalidInputError(
            f"{name}={value!r}; expected a name, as text. Write {name}='mouse-1'."
        )
    return str(value)


def check_path(name: str, value: Any) -> Path:
    """Return a path, or raise."""
    if not isinstance(value, (str, os.PathLike)):
        raise InvalidInputError(f"{name}={value!r}; expected a path.")
    return Path(value)
