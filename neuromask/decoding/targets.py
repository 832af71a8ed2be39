"""Turn what users pass as ``y`` into outputs to learn, checked before any work."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

import numpy as np
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from .._checks import as_array, check_choice, is_missing
from .._observed import values_observed
from ..errors import InvalidInputError, current_call

__all__ = [
    "Classes",
    "Signals",
    "Units",
    "check_class_weight",
    "observed_bins",
    "observed_trials",
    "read_groups",
    "read_labels",
    "read_target",
    "read_values",
    "values_where_observed",
    "whole_signal",
]


@dataclass(frozen=True)
class Classes:
    """One class a trial.

    Attributes
    ----------
    labels : ndarray, (classes,)
        What users call the classes, sorted.
    codes : ndarray of int, (trials,)
        Each trial's position in `labels`.
    """

    labels: np.ndarray
    codes: np.ndarray

    per_bin = False

    @property
    def outputs(self) -> np.ndarray:
        """1 for a trial's class and -1 for the others, (trials, 1, classes)."""
        return np.where(self.codes[:, None] == np.arange(len(self.labels)), 1.0, -1.0)[:, None]

    def take(self, trials: np.ndarray) -> Classes:
        """Return some trials, with all labels."""
        return replace(self, codes=self.codes[trials])

    def trial_weights(self, class_weight: Any) -> np.ndarray:
        """Weigh trials by their class.

        Raises
        ------
        InvalidInputError
            For weights of unknown classes, while some class has none.
        """
        labels = self.labels.tolist()
        if isinstance(class_weight, Mapping):
            strangers = [name for name in class_weight if name not in labels]
            if strangers and not all(name in class_weight for name in labels):
                raise InvalidInputError(
                    f"class_weight names {strangers}, which are no classes of y; expected weights "
                    f"of {labels}. A class that is not named weighs 1."
                )
        return compute_sample_weight(class_weight, self.labels[self.codes])


@dataclass(frozen=True)
class Units:
    """Units and shape of numbers, so that standardised ones can be turned back.

    Attributes
    ----------
    shape : tuple of int
        Shape of one trial's target, as users gave it.
    mean, scale : ndarray of float, (variables,)
        Over trials and bins.
    """

    shape: tuple[int, ...]
    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray, shape: tuple[int, ...], known: np.ndarray | None) -> Units:
        """Measure values (trials, time or 1, variables) in the bins that count."""
        rows = values.reshape(-1, values.shape[2]) if known is None else values[known]
        scale = rows.std(0)
        return cls(shape, rows.mean(0), np.where(scale > 0, scale, 1.0))

    def restore(self, outputs: np.ndarray) -> np.ndarray:
        """Turn outputs (trials, time or 1, variables) into what users gave, of as many bins."""
        shape = (outputs.shape[1], *self.shape[1:]) if self.shape else ()
        return (outputs * self.scale + self.mean).reshape(len(outputs), *shape)


@dataclass(frozen=True)
class Signals:
    """One number a trial, or one or several in every bin of a trial.

    Attributes
    ----------
    values : ndarray of float, (trials, time or 1, variables)
        The numbers.
    units : Units
        Their units and shape.
    known : ndarray of bool, (trials, time), or None
        Bins that count, the others being those in which no neuron was observed; None where all do.
    """

    values: np.ndarray
    units: Units
    known: np.ndarray | None = None

    @property
    def per_bin(self) -> bool:
        """Whether there is a value in every bin."""
        return len(self.units.shape) > 0

    @property
    def outputs(self) -> np.ndarray:
        """Values with mean zero and variance one, (trials, time or 1, variables)."""
        return (self.values - self.units.mean) / self.units.scale

    def take(self, trials: np.ndarray) -> Signals:
        """Return some trials, in the same units."""
        known = None if self.known is None else self.known[trials]
        return replace(self, values=self.values[trials], known=known)

    def trial_weights(self, class_weight: Any) -> np.ndarray:
        """Weigh all trials alike."""
        return np.ones(len(self.values))


def check_class_weight(class_weight: Any) -> None:
    """Refuse what is no "balanced", None or mapping of classes to finite, positive weights."""
    if class_weight is None:
        return
    if isinstance(class_weight, str):
        check_choice("class_weight", class_weight, ["balanced"])
        return
    if not isinstance(class_weight, Mapping):
        raise InvalidInputError(
            f"class_weight={class_weight!r}; expected 'balanced', None or a mapping of classes to "
            "weights."
        )
    for name, weight in class_weight.items():
        is_number = isinstance(weight, Real) and not isinstance(weight, (bool, np.bool_))
        if not is_number or not 0 < float(weight) < np.inf:
            raise InvalidInputError(
                f"class_weight gives class {name!r} the weight {weight!r}; expected a finite number "
                "above 0. Leave a class out by leaving out its trials."
            )


def read_target(
    y: Any,
    task: str,
    *,
    n_trials: int,
    n_time: int,
    rebin: float | None = None,
    observed: np.ndarray | None = None,
) -> Classes | Signals:
    """Check a target.

    Parameters
    ----------
    y : array-like
        What is to be decoded.
    task : {"classification", "regression"}
        Whether these are classes or numbers.
    n_trials, n_time : int
        Trials and bins, after counts were summed into wider bins.
    rebin : float, optional
        Seconds of these wider bins, which a signal must have too.
    observed : ndarray of bool, (trials, time, neurons), optional
        Which counts were observed. In bins without any a signal may have any value, or NaN.

    Raises
    ------
    InvalidInputError
        For a missing target, a wrong length or shape, missing values, a single class, or values
        that do not suit the task.
    """
    if task == "regression":
        known = observed_bins(observed)
        return _signals(read_values(y, n_trials=n_trials, known=known), n_time, rebin, known)
    values = read_labels(y, n_trials=n_trials)
    labels, codes = np.unique(values, return_inverse=True)
    if len(labels) < 2:
        raise InvalidInputError(
            f"y has one class, {labels.tolist()[0]!r}, in all {n_trials} trials; "
            "expected at least two classes. Pass more trials, or stratify the split."
        )
    return Classes(labels, codes)


def read_labels(y: Any, *, n_trials: int, known: np.ndarray | None = None) -> np.ndarray:
    """Check class labels, one a trial and all of them `known`; see :func:`read_target`."""
    values = read_values(y, n_trials=n_trials)
    if values.ndim > 1 and values.size != n_trials:
        raise InvalidInputError(
            f"y has shape {values.shape}; expected ({n_trials},), one class a trial. For "
            "a value in every bin use task='regression'."
        )
    values = column_or_1d(values, warn=True)
    try:
        check_classification_targets(values)
    except ValueError as error:
        raise InvalidInputError(
            f"{error} y holds numbers such as {values.tolist()[0]!r}; expected classes. Use "
            "task='regression' to decode numbers, or bin them into classes."
        ) from error
    fitted = values.tolist() if known is None else known.tolist()
    strangers = set(values.tolist()) - set(fitted)
    if strangers:
        raise InvalidInputError(
            f"y holds {sorted(strangers, key=str)}, which fit has not seen; fitted "
            f"classes are {fitted}. Fit on trials of every class, for example with a "
            "stratified split, or leave those trials out."
        )
    return values


def read_groups(groups: Any, *, n_trials: int) -> np.ndarray:
    """Check the groups of trials, one a trial; return their numbers, in sorted order."""
    values = as_array("groups", groups, order="K")
    if values.shape != (n_trials,):
        raise InvalidInputError(
            f"groups has shape {values.shape} and X has {n_trials} trials; expected ({n_trials},), "
            "the name of each trial's group."
        )
    missing = _missing(groups, values)
    if missing.any():
        raise InvalidInputError(
            f"groups has {int(missing.sum())} missing values, the first at "
            f"{int(np.flatnonzero(missing)[0])}; expected a group for every trial."
        )
    return np.unique(values, return_inverse=True)[1]


def observed_bins(observed: np.ndarray | None) -> np.ndarray | None:
    """Return the bins (trials, time) in which some neuron was observed; None for all of them."""
    if observed is None:
        return None
    known = np.asarray(observed.any(2))
    return None if known.all() else known


def read_values(y: Any, *, n_trials: int, known: np.ndarray | None = None) -> np.ndarray:
    """Check a target of any kind: an entry a trial, and none missing; see :func:`read_target`.

    Of a signal only the bins count that are `known`, (trials, time); others may be missing.
    """
    if y is None:
        raise InvalidInputError(
            f"{current_call()} requires y to be passed, but the target y is None; expected one entry a "
            "trial."
        )
    values = as_array("y", y, order="K")
    if values.ndim == 0 or len(values) != n_trials:
        given = f"{len(values)} entries" if values.ndim else "a single value"
        raise InvalidInputError(
            f"y has {given} and X has {n_trials} trials; expected one a trial. "
            "Select the same trials in both."
        )
    if values.dtype.kind == "c":
        raise InvalidInputError(f"Complex data not supported: y has {values.dtype}.")
    missing = _missing(y, values)
    if known is not None and missing.shape[:2] == known.shape:
        missing &= known.reshape(known.shape + (1,) * (missing.ndim - 2))
    if missing.any():
        where = tuple(int(i) for i in np.argwhere(missing)[0])
        raise InvalidInputError(
            f"Input y contains NaN, infinity or missing labels ({int(missing.sum())}), "
            f"the first at {where if len(where) > 1 else where[0]}; expected a value for every "
            "trial. Drop those trials from X and y, for example X[known], y[known]."
        )
    return values


def observed_trials(X: Any) -> np.ndarray | None:
    """Say in which trials anything was observed (trials,); None where that is so in all."""
    observed = values_observed(X)[1] if np.ndim(X) == 3 else None
    if observed is None:
        return None
    there = np.asarray(observed.any((1, 2)))
    return None if there.all() else there


def values_where_observed(X: Any, y: Any) -> np.ndarray:
    """Check a target, and set a signal to NaN in the bins of X in which no neuron was observed."""
    known = observed_bins(values_observed(X)[1]) if np.ndim(X) == 3 else None
    values = read_values(y, n_trials=len(X), known=known)
    if known is None or values.shape[:2] != known.shape or values.dtype.kind not in "iuf":
        return values
    where = known.reshape(known.shape + (1,) * (values.ndim - 2))
    return np.where(where, values, np.nan)


def whole_signal(y: Any, *, n_time: int) -> np.ndarray:
    """Return a signal of a whole recording as that of one trial, (1, time) or (1, time, variables)."""
    values = as_array("y", y, order="K")
    if values.ndim not in (1, 2) or len(values) != n_time:
        raise InvalidInputError(
            f"y has shape {values.shape} and X is a whole recording of {n_time} bins; expected ({n_time},) "
            f"or ({n_time}, variables), a value in every bin."
        )
    return values[None]


def _missing(y: Any, values: np.ndarray) -> np.ndarray:
    if values.dtype.kind == "f":
        return ~np.isfinite(values)
    if values.dtype.kind in "OU":
        # As objects, for numpy turns ["left", nan] into text, and the gap into a class "nan".
        return np.frompyfunc(is_missing, 1, 1)(np.asarray(y, dtype=object)).astype(bool)
    return np.zeros(values.shape, dtype=bool)


def _signals(
    values: np.ndarray, n_time: int, rebin: float | None, known: np.ndarray | None
) -> Signals:
    if values.dtype.kind == "O":
        with contextlib.suppress(TypeError, ValueError):
            values = values.astype(float)
    if values.dtype.kind not in "iuf":
        raise InvalidInputError(
            f"y holds {values.dtype} values such as {values.tolist()[0]!r}; expected "
            "numbers for task='regression'. Use task='classification' to decode classes."
        )
    if values.ndim == 2 and values.shape[1] == 1:  # a column, as scikit-learn takes it
        values = column_or_1d(values, warn=True)
    n_trials, *shape = values.shape
    if len(shape) > 2 or (shape and shape[0] != n_time) or 0 in shape:
        wider, cure = "", "Bin the signal as the spikes are binned"
        if rebin is not None:
            wider = f" of {rebin:g} s, into which the pretrainer sums counts"
            cure = f"Take X and y from X.rebin({rebin:g}), which averages its signals along"
        raise InvalidInputError(
            f"y has shape {values.shape} and X has {n_time} bins{wider}; expected ({n_trials},), "
            f"({n_trials}, {n_time}) or ({n_trials}, {n_time}, variables). {cure}; "
            "decode several numbers a trial one at a time."
        )
    values = values.astype(float).reshape(n_trials, shape[0] if shape else 1, -1)
    known = known if shape else None
    units = Units.of(values, tuple(shape), known)
    if known is not None:
        values = np.where(known[:, :, None], values, units.mean)
    return Signals(values, units, known)
