"""Score decoders of behaviour against each other, on the same folds, by the same code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t as student_t
from sklearn.base import is_classifier
from sklearn.metrics import balanced_accuracy_score, get_scorer, get_scorer_names, make_scorer
from sklearn.model_selection import check_cv, cross_validate

from .._checks import as_array, check_choice, check_fraction
from .._splits import Folds
from .._tables import need_columns
from ..errors import InvalidInputError, public, warn
from .overlap import warn_of_shared_bins
from .targets import observed_trials, read_groups, values_where_observed

__all__ = [
    "compare_decoders",
    "cut_trials",
    "pooled_r2",
    "read_scoring",
    "summarise_decoders",
    "warn_of_failed_folds",
    "warn_of_losses",
]


# A mean has an R² of about 0 on other trials; so far below it a fold has gone wrong.
FAR_BELOW = -0.5


@public
def pooled_r2(y_true: Any, y_pred: Any) -> float:
    """R² over all trials and bins together, averaged over variables.

    Parameters
    ----------
    y_true, y_pred : array-like, (trials,), (trials, time) or (trials, time, variables)
        Signals; a variable that does not vary counts as zero. Bins in which a true signal is NaN,
        which was not observed there, are left out.

    Returns
    -------
    float
        1 is perfect, 0 the mean.

    Examples
    --------
    >>> pooled_r2([[0.0, 2.0], [4.0, 6.0]], [[0.0, 2.0], [4.0, 6.0]])
    1.0
    """
    truth = as_array("y_true", y_true, dtype=float, order="K")
    answer = as_array("y_pred", y_pred, dtype=float, order="K")
    if truth.ndim > 1 and truth.shape == answer.shape and np.isnan(truth).any():
        bins = ~np.isnan(truth).reshape(*truth.shape[:2], -1).any(2)
        truth, answer = truth[bins][:, None], answer[bins][:, None]
    for name, values in (("y_true", truth), ("y_pred", answer)):
        if not values.ndim or not np.isfinite(values).all():
            raise InvalidInputError(
                f"{name} is a single value or has NaN or infinite entries; expected a finite number "
                "for every trial. Drop those trials from both."
            )
    if truth.shape != answer.shape:
        raise InvalidInputError(
            f"y_true has shape {truth.shape} and y_pred {answer.shape}; expected the same."
        )
    n_variables = truth.shape[2] if truth.ndim == 3 else 1
    truth, answer = truth.reshape(-1, n_variables), answer.reshape(-1, n_variables)
    residual = ((truth - answer) ** 2).sum(0)
    variation = ((truth - truth.mean(0)) ** 2).sum(0)
    ratio = np.divide(residual, variation, out=np.ones(n_variables), where=variation > 0)
    return float((1 - ratio).mean())


@public
def compare_decoders(
    models: Mapping[str, Any],
    X: Any,
    y: Any,
    *,
    cv: Any = 5,
    groups: Any = None,
    scoring: Any = None,
    n_jobs: int | None = None,
) -> pd.DataFrame:
    """Cross-validate several decoders on the same folds.

    A decoder that cannot be fitted or scored is warned of and left out, so that the others are not
    lost with it; but for the first, which the others are compared with.

    Parameters
    ----------
    models : mapping of str to estimator
        Decoders by name, all classifiers or all regressors; clones of them are fitted.
    X : Session or array-like, (trials, time, neurons)
        Trials.
    y : array-like
        What to decode.
    cv : int, splitter or iterable, default=5
        As in scikit-learn; an int stratifies classes.
    groups : array-like, (trials,), optional
        Group of each trial, for splitters that keep groups together, such as
        ``GroupKFold(5)``: blocks of a task, or stretches of the session.
    scoring : str or callable, optional
        As in scikit-learn; balanced accuracy or the pooled R² by default.
    n_jobs : int, optional
        Folds fitted at a time.

    Returns
    -------
    DataFrame
        model, fold, n_train, n_test, score.

    Raises
    ------
    InvalidInputError
        For trials, targets, folds or a scoring that cannot be used, before anything is fitted.

    Warns
    -----
    NeuromaskWarning
        If a decoder other than the first fails, with its reason.
    """
    if not isinstance(models, Mapping):
        raise InvalidInputError(
            f"models is a {type(models).__name__}; expected a mapping of names to decoders, as in "
            "{'mine': decoder}."
        )
    if not models:
        raise InvalidInputError("models is empty; expected at least one decoder.")
    for name, model in models.items():
        if not hasattr(model, "fit"):
            raise InvalidInputError(
                f"models[{name!r}] is a {type(model).__name__}; expected a decoder, which has fit."
            )
    kinds = {name: is_classifier(model) for name, model in models.items()}
    if len(set(kinds.values())) > 1:
        raise InvalidInputError(
            f"classifiers and regressors are mixed ({kinds}); expected one kind."
        )
    is_classes = kinds[next(iter(kinds))]
    if not hasattr(X, "__len__"):
        raise InvalidInputError(f"X is a {type(X).__name__}; expected (trials, time, neurons).")
    y = values_where_observed(X, y)
    splits = cut_trials(cv, y, groups, is_classes=is_classes, there=observed_trials(X))
    warn_of_shared_bins(X, splits)
    scoring = read_scoring(scoring, is_classes=is_classes)
    first, rows = next(iter(models)), []
    for name, model in models.items():
        try:
            found = cross_validate(
                model, X, y, cv=splits, scoring=scoring, n_jobs=n_jobs, error_score="raise"
            )
            if "test_score" not in found:
                raise InvalidInputError(
                    "scoring returns several numbers by name; expected one. Choose one of "
                    f"{sorted(key.removeprefix('test_') for key in found if key.startswith('test_'))}."
                )
            scores = found["test_score"]
        except Exception as error:  # whatever it is, the other decoders stand
            if name == first:
                raise
            reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
            warn(f"{name!r} cannot be fitted to these folds and is left out ({reason[:200]}).")
            continue
        rows += [
            {
                "model": name,
                "fold": i,
                "n_train": len(training),
                "n_test": len(test),
                "score": float(score),
            }
            for i, ((training, test), score) in enumerate(zip(splits, scores, strict=True))
        ]
    return pd.DataFrame(rows)


@public
def summarise_decoders(table: pd.DataFrame, *, confidence: float = 0.95) -> pd.DataFrame:
    """Summarise the folds of :func:`compare_decoders`, the first model against each other.

    Parameters
    ----------
    table : DataFrame
        A table of :func:`compare_decoders`.
    confidence : float, default=0.95
        Coverage of the intervals, from Student's t over folds. Folds share training trials, so that
        true intervals are somewhat wider. Intervals are symmetric and know no bounds of a score: with
        few folds that of an accuracy may reach below 0 or above 1.

    Returns
    -------
    DataFrame
        Per model: score (mean over folds), se, ci_low, ci_high, and `difference` of the first model
        from it on the same folds with its `difference_se`.
    """
    need_columns(table, ("model", "fold", "score"), "neuromask.decoding.compare_decoders")
    check_fraction("confidence", confidence, low=1e-6)
    folds = table.pivot(index="fold", columns="model", values="score")
    names = list(dict.fromkeys(table["model"]))
    rows = []
    for name in names:
        scores, difference = folds[name], folds[names[0]] - folds[name]
        n_folds = len(scores)
        reach = student_t.ppf(0.5 + confidence / 2, n_folds - 1) if n_folds > 1 else np.nan
        rows.append(
            {
                "model": name,
                "score": scores.mean(),
                "se": scores.sem(),
                "ci_low": scores.mean() - reach * scores.sem(),
                "ci_high": scores.mean() + reach * scores.sem(),
                "difference": difference.mean(),
                "difference_se": difference.sem(),
                "n_folds": n_folds,
            }
        )
    return pd.DataFrame(rows)


def warn_of_losses(table: pd.DataFrame) -> None:
    """Warn where the first model of a summary does worse by more than a standard error."""
    better = table[table["difference"] < -table["difference_se"]]
    if len(better):
        shown = ", ".join(f"{r.model} by {-r.difference:.3f}" for r in better.itertuples())
        warn(f"baselines do better than {table['model'].iloc[0]} on the same folds: {shown}.")


def warn_of_failed_folds(folds: pd.DataFrame) -> None:
    """Warn where the first model is far below the mean in some fold, whatever its average says."""
    own = folds[folds["model"] == folds["model"].iloc[0]]
    failed = own[own["score"] < FAR_BELOW]
    if len(failed):
        shown = ", ".join(f"{r.score:.2f} in fold {r.fold}" for r in failed.itertuples())
        warn(
            f"{own['model'].iloc[0]} has an R² of {shown}, far below the mean's 0. Test and training trials "
            "are unlike, or trials that share spikes were parted in the fit; average scores say little then."
        )


def cut_trials(
    cv: Any, y: Any, groups: Any, *, is_classes: bool, there: np.ndarray | None = None
) -> Folds:
    """Return the folds that `cv` means, as in scikit-learn; an int stratifies classes.

    Trials that are not `there`, a mask (trials,), as nothing was observed in them, are in no fold.

    Raises
    ------
    InvalidInputError
        If `cv` is nothing that cuts trials, or cannot cut these, or into no fold at all.
    """
    if groups is not None:
        groups = read_groups(groups, n_trials=len(y))
    try:
        splitter = check_cv(cv, y, classifier=is_classes)
        folds = list(splitter.split(np.empty(len(y)), y, groups))
    except (ValueError, TypeError) as error:
        with_groups = "without groups" if groups is None else "with these groups"
        raise InvalidInputError(
            f"cv={cv!r:.80} cannot cut {len(y)} trials {with_groups} ({str(error).rstrip('.')}); expected a number of "
            "folds from 2 on, a splitter of scikit-learn, with groups where it needs them, or pairs "
            "of training and test trials."
        ) from error
    if not folds:
        raise InvalidInputError(
            f"cv={cv!r:.80} gives no folds; expected at least one pair of training and test trials."
        )
    if there is not None:
        folds = [(a[there[a]], b[there[b]]) for a, b in folds]
        folds = [(a, b) for a, b in folds if len(a) and len(b)]
        if not folds:
            raise InvalidInputError(
                "no fold has training and test trials in which anything was observed; expected some. "
                "Leave the other trials out of X and y."
            )
    return folds


def read_scoring(scoring: Any, *, is_classes: bool) -> Any:
    """Return a scorer: by default that of balanced accuracy, or of the pooled R²."""
    if scoring is None:
        return make_scorer(balanced_accuracy_score if is_classes else pooled_r2)
    if isinstance(scoring, str):
        return get_scorer(check_choice("scoring", scoring, get_scorer_names()))
    if not callable(scoring):
        raise InvalidInputError(
            f"scoring={scoring!r}; expected one name of scikit-learn or one function "
            "scoring(decoder, X, y). Score several ways in several calls."
        )
    return scoring
