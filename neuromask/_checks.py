"""Checks of spikes, regions and parameters, done before any work starts."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from numbers import Real
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import numpy as np

from ._axes import axis_of_length, how_to_cut
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
    "read_spikes",
    "resolve_regions",
    "where_observed",
]

_LARGEST_COUNT = np.iinfo(np.uint16).max
_CURE = "If cross-validation sliced it, set regions in the constructor or use a neuromask.Session."


def read_spikes(
    X: Any, observed: Any = None, *, min_trials: int = 1, require_spikes: bool = False
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return spike counts as a compact array and which of them were observed, or raise a clear error.

    What was not observed is said by `observed`, by a Session's own, by the mask of a masked array or
    by NaN among floats. The count there is 0 in what is returned, whatever it was in `X`, so that it
    can have a say in nothing.

    Parameters
    ----------
    X : array-like, (trials, time, neurons)
        Whole, non-negative spike counts per bin; a Session or anything numpy can read.
    observed : array-like of bool, broadcast to (trials, time, neurons), optional
        False where nothing was recorded.
    min_trials : int, default=1
        Fewest trials allowed.
    require_spikes : bool, default=False
        Whether an array without a single spike is refused.

    Returns
    -------
    ndarray of uint8 or uint16, (trials, time, neurons)
        In the order of C; the input itself if it is compact, in that order and all observed.
    ndarray of bool, (trials, time, neurons), or None
        None where everything was observed.

    Raises
    ------
    InvalidInputError
        For a list of sessions, a wrong rank, an empty axis, too few trials, values that are not
        counts, `observed` that does not fit, or no spikes where some are required.

    Examples
    --------
    >>> counts, observed = read_spikes([[[0.0, 2.0], [float("nan"), 1.0]]])
    >>> counts.tolist(), observed.tolist()
    ([[[0, 2], [0, 1]]], [[[True, True], [False, True]]])
    """
    if isinstance(X, (list, tuple)) and any(getattr(x, "ndim", 0) == 3 for x in X):
        raise InvalidInputError(
            f"X is a list of {len(X)} session{'s' * (len(X) > 1)}; expected one. Pass each by itself."
        )
    # A Session says itself what was observed, and its counts are zero elsewhere.
    seen = [observed, getattr(X, "observed", None)]
    given = X if seen[1] is None else X.counts
    try:
        counts = np.asarray(given)
    except (ValueError, TypeError, RuntimeError) as error:
        raise InvalidInputError(
            f"X cannot be read as one array ({error}); expected (trials, time, neurons) "
            "with equally long trials. Pass sessions of different shapes as a list of Sessions; fill "
            "trials that end early with NaN, which means not observed."
        ) from error
    if counts.ndim != 3:
        kind = "" if isinstance(given, np.ndarray) else f"is a {type(given).__name__} and "
        raise InvalidInputError(
            f"X {kind}has shape {counts.shape}; expected three axes, (trials, time, neurons)."
            f"{how_to_cut(counts.shape, one_is_enough=min_trials == 1)}"
        )
    if 0 in counts.shape:
        raise InvalidInputError(
            f"X has shape {counts.shape}; expected at least one trial, bin and neuron."
        )
    if len(counts) < min_trials:
        raise InvalidInputError(
            f"X has {len(counts)} trial(s); expected at least {min_trials}."
            f"{how_to_cut(counts.shape[1:], 'X[0]')}"
        )
    if np.ma.is_masked(given):
        seen.append(~np.ma.getmaskarray(given))
    # The least of all is NaN where any is, at the price of one reduction.
    if counts.dtype.kind == "f" and np.isnan(counts.min()):
        seen.append(~np.isnan(counts))
    where = where_observed(seen, counts.shape)
    if where is not None:
        counts = np.where(where, counts, np.zeros((), counts.dtype))
    counts = _as_counts(counts)
    if require_spikes and where is not None and not where.any():
        raise InvalidInputError(
            "nothing of X was observed; expected counts somewhere. Check observed, or the NaN or "
            "masked entries of X."
        )
    if require_spikes and not counts.any():
        raise InvalidInputError(
            "X holds no spikes; expected at least one. Check the binning window and "
            "that counts were not rescaled."
        )
    # In one order in memory, so that sums are rounded alike and the same counts give the same fit.
    return np.ascontiguousarray(counts), where


def where_observed(seen: Sequence[Any], shape: tuple[int, ...]) -> np.ndarray | None:
    """Join what several places say was observed; None where everything was."""
    where = None
    for mask in seen:
        if mask is None:
            continue
        mask = as_array("observed", mask)
        if mask.dtype != bool:
            raise InvalidInputError(
                f"observed holds {mask.dtype} values; expected booleans, True where the recording was "
                "there. Convert it with .astype(bool)."
            )
        try:
            mask = np.broadcast_to(mask, shape)
        except ValueError as error:
            raise InvalidInputError(
                f"observed has shape {mask.shape}; expected one that broadcasts to {shape}. Of "
                "(trials, time, neurons) give observed[:, :, None] for bins of trials, observed[:, None, :] for "
                "neurons in trials, or observed[:, None, None] for whole trials."
            ) from error
        where = mask if where is None else where & mask
    if where is None or where.all():
        return None
    return np.ascontiguousarray(where)


def _as_counts(counts: np.ndarray) -> np.ndarray:
    """Convert to uint8 or uint16, refusing what is not a count."""
    if counts.dtype in (np.uint8, np.uint16):
        return counts
    if counts.dtype.kind not in "biuf":
        raise InvalidInputError(
            f"X has dtype {counts.dtype}; expected numbers (spike counts per bin)."
        )
    # Two reductions and a cast settle good input; masks are made only to explain bad input. NaN
    # compares as false, so that it falls through to the explanation.
    least, largest = float(counts.min()), float(counts.max())
    if least >= 0 and largest <= _LARGEST_COUNT:
        compact = counts.astype(np.uint8 if largest <= np.iinfo(np.uint8).max else np.uint16)
        if counts.dtype.kind != "f" or np.array_equal(compact, counts):
            return compact
    if counts.dtype.kind == "f":
        _refuse(~np.isfinite(counts), counts, "infinite values")
    if counts.dtype.kind in "if":
        _refuse(counts < 0, counts, "negative values")
    if counts.dtype.kind == "f":
        _refuse(counts != np.floor(counts), counts, "fractional values", _scale(counts))
    raise InvalidInputError(
        f"X holds a count of {largest:.15g}; expected at most {_LARGEST_COUNT} per bin. "
        "Check that X holds counts and not times or identifiers."
    )


def _scale(counts: np.ndarray) -> str:
    """Say which number fractional values are multiples of, as counts over a bin width are, if any."""
    values = np.unique(counts[counts > 0])
    steps = values / values[0]
    # The least value of all is one spike, wherever there is a bin of one spike.
    if len(values) < 2 or not np.allclose(steps, np.rint(steps), rtol=0, atol=1e-3):
        return ""
    return (
        f" All are multiples of {values[0]:.6g}, as rates in spikes/s of bins of {1 / values[0]:.4g} s "
        f"or scaled counts would be: np.rint(X / {values[0]:.6g}) are their counts."
    )


def _refuse(bad: np.ndarray, counts: np.ndarray, what: str, advice: str = "") -> None:
    if bad.any():
        where = tuple(int(i) for i in np.argwhere(bad)[0])
        raise InvalidInputError(
            f"X holds {int(bad.sum())} {what}, the first {counts[where]} at "
            f"(trial, bin, neuron) {where}; expected whole, non-negative spike counts. Pass raw "
            f"counts, not rates or z-scores, and drop trials with missing data.{advice}"
        )


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
        given = np.asarray(regions, dtype=object)
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
