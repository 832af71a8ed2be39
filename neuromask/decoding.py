"""Score decoders of behaviour against each other, on the same folds.

Baselines are scikit-learn pipelines on the same ``X`` (trials, time, neurons), so that whatever is
compared is fitted and scored by the same code.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter1d
from scipy.stats import t as student_t
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, clone, is_classifier
from sklearn.cross_decomposition import PLSRegression
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, Ridge, RidgeCV
from sklearn.metrics import balanced_accuracy_score, make_scorer
from sklearn.model_selection import GridSearchCV, check_cv, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from ._errors import InvalidInputError, NeuromaskWarning
from ._validation import check_choice

__all__ = [
    "ArgmaxClassifier",
    "PerBinRegressor",
    "ReducedRankRegressor",
    "compare_decoders",
    "decoding_baselines",
    "pooled_r2",
    "summarise_decoders",
]

TASKS = ("classification", "regression")
STRENGTHS = tuple(np.logspace(-4, 2, 7).tolist())
RANKS = (1, 2, 5, 10)


def pooled_r2(y_true: Any, y_pred: Any) -> float:
    """R² over all trials and bins together, averaged over variables.

    Parameters
    ----------
    y_true, y_pred : array-like, (trials,), (trials, time) or (trials, time, variables)
        Signals; a variable that does not vary counts as zero.

    Returns
    -------
    float
        1 is perfect, 0 the mean.

    Examples
    --------
    >>> pooled_r2([[0.0, 2.0], [4.0, 6.0]], [[0.0, 2.0], [4.0, 6.0]])
    1.0
    """
    truth, answer = np.asarray(y_true, dtype=float), np.asarray(y_pred, dtype=float)
    if truth.shape != answer.shape:
        raise InvalidInputError(
            f"pooled_r2: y_true has shape {truth.shape} and y_pred {answer.shape}; expected the "
            "same."
        )
    n_variables = truth.shape[2] if truth.ndim == 3 else 1
    truth, answer = truth.reshape(-1, n_variables), answer.reshape(-1, n_variables)
    residual = ((truth - answer) ** 2).sum(0)
    variation = ((truth - truth.mean(0)) ** 2).sum(0)
    ratio = np.divide(residual, variation, out=np.ones(n_variables), where=variation > 0)
    return float((1 - ratio).mean())


def decoding_baselines(task: str, *, per_bin: bool = False) -> dict[str, BaseEstimator]:
    """Give the decoders that a laboratory would reach for first, unfitted.

    Parameters
    ----------
    task : {"classification", "regression"}
        What is decoded.
    per_bin : bool, default=False
        Whether there is a value in every bin, (trials, time), instead of one a trial.

    Returns
    -------
    dict of str to estimator
        Ridge or logistic regression on the trial mean, on three windows and on smoothed counts, and
        reduced-rank (partial least squares) regression; strengths and ranks are chosen inside.

    Examples
    --------
    >>> list(decoding_baselines("classification"))
    ['trial mean', 'three windows', 'smoothed counts', 'reduced rank']
    """
    check_choice("task", task, TASKS, caller="decoding_baselines")
    if per_bin and task == "regression":
        model = make_pipeline(StandardScaler(), RidgeCV(alphas=[10.0**k for k in range(-1, 6)]))
        return {
            "smoothed counts": make_pipeline(FunctionTransformer(_smooth), PerBinRegressor(model)),
            "reduced rank": _reduced_rank(task),
        }
    inputs = {"trial mean": _mean, "three windows": _thirds, "smoothed counts": _smooth_flat}
    found = {}
    for name, function in inputs.items():
        if task == "classification":
            model = LogisticRegression(class_weight="balanced", max_iter=2000)
            search = GridSearchCV(model, {"C": STRENGTHS}, scoring="neg_log_loss", cv=5)
        else:
            search = GridSearchCV(Ridge(), {"alpha": [10.0**k for k in range(-1, 7)]}, cv=5)
        # All principal components: a rotation that spares the solver features it cannot use.
        found[name] = make_pipeline(FunctionTransformer(function), StandardScaler(), PCA(), search)
    found["reduced rank"] = _reduced_rank(task)
    return found


def compare_decoders(
    models: Mapping[str, Any],
    X: Any,
    y: Any,
    *,
    cv: Any = 5,
    scoring: Any = None,
    n_jobs: int | None = None,
) -> pd.DataFrame:
    """Cross-validate several decoders on the same folds.

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
    scoring : str or callable, optional
        As in scikit-learn; balanced accuracy or the pooled R² by default.
    n_jobs : int, optional
        Folds fitted at a time.

    Returns
    -------
    DataFrame
        model, fold, n_train, n_test, score.
    """
    if not models:
        raise InvalidInputError("compare_decoders: models is empty; expected at least one decoder.")
    kinds = {name: is_classifier(model) for name, model in models.items()}
    if len(set(kinds.values())) > 1:
        raise InvalidInputError(
            f"compare_decoders: classifiers and regressors are mixed ({kinds}); expected one kind."
        )
    is_classes = kinds[next(iter(kinds))]
    splits = list(check_cv(cv, y, classifier=is_classes).split(np.empty(len(y)), y))
    scoring = default_scoring(is_classes) if scoring is None else scoring
    rows = []
    for name, model in models.items():
        scores = cross_validate(
            model, X, y, cv=splits, scoring=scoring, n_jobs=n_jobs, error_score="raise"
        )["test_score"]
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


def summarise_decoders(table: pd.DataFrame, *, confidence: float = 0.95) -> pd.DataFrame:
    """Summarise the folds of :func:`compare_decoders`, the first model against each other.

    Parameters
    ----------
    table : DataFrame
        A table of :func:`compare_decoders`.
    confidence : float, default=0.95
        Coverage of the intervals, from Student's t over folds. Folds share training trials, so that
        true intervals are somewhat wider.

    Returns
    -------
    DataFrame
        Per model: score (mean over folds), se, ci_low, ci_high, and `difference` of the first model
        from it on the same folds with its `difference_se`.
    """
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


def warn_of_losses(table: pd.DataFrame, *, caller: str) -> None:
    """Warn where the first model of a summary does worse by more than a standard error."""
    better = table[table["difference"] < -table["difference_se"]]
    if len(better):
        shown = ", ".join(f"{r.model} by {-r.difference:.3f}" for r in better.itertuples())
        warnings.warn(
            f"{caller}: baselines do better than {table['model'].iloc[0]} on the same folds: "
            f"{shown}.",
            NeuromaskWarning,
            stacklevel=3,
        )


def default_scoring(classes: bool) -> Any:
    """Return the scorer of balanced accuracy, or of the pooled R²."""
    return make_scorer(balanced_accuracy_score if classes else pooled_r2)


class PerBinRegressor(RegressorMixin, BaseEstimator):
    """Fit a regressor with every bin of every trial as a sample.

    Parameters
    ----------
    estimator : regressor
        Any scikit-learn regressor on two axes.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import Ridge
    >>> X = np.random.default_rng(0).normal(size=(20, 10, 3))
    >>> PerBinRegressor(Ridge()).fit(X, X[..., 0]).predict(X).shape
    (20, 10)
    """

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator

    def fit(self, X: np.ndarray, y: np.ndarray) -> PerBinRegressor:
        """Fit on X (trials, time, features) and y (trials, time) or (trials, time, variables)."""
        X, y = np.asarray(X), np.asarray(y)
        self.shape_ = y.shape[1:]
        rows = y.reshape(len(y) * y.shape[1], *y.shape[2:])
        self.estimator_ = clone(self.estimator).fit(X.reshape(-1, X.shape[2]), rows)
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Predict in the shape of the fitted y."""
        X = np.asarray(X)
        return self.estimator_.predict(X.reshape(-1, X.shape[2])).reshape(len(X), *self.shape_)


class ReducedRankRegressor(RegressorMixin, BaseEstimator):
    """Partial least squares of at most as many components as the data allow.

    Parameters
    ----------
    rank : int, default=1
        Most components.
    """

    def __init__(self, rank: int = 1) -> None:
        self.rank = rank

    def fit(self, X: np.ndarray, y: np.ndarray) -> ReducedRankRegressor:
        """Fit on features (trials, features) and numbers (trials,) or (trials, outputs)."""
        self.estimator_ = PLSRegression(min(self.rank, *X.shape), scale=False).fit(X, y)
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Predict numbers in the shape of the fitted y."""
        return self.estimator_.predict(X)


class ArgmaxClassifier(ClassifierMixin, BaseEstimator):
    """Classify with a regressor of one-hot classes; the largest excess over the mean wins."""

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator

    def fit(self, X: np.ndarray, y: np.ndarray) -> ArgmaxClassifier:
        """Fit on features (trials, features) and classes (trials,)."""
        self.classes_, codes = np.unique(y, return_inverse=True)
        targets = np.eye(len(self.classes_))[codes]
        self.share_ = targets.mean(0)
        self.estimator_ = clone(self.estimator).fit(X, targets)
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Predict classes (trials,)."""
        return self.classes_[(self.estimator_.predict(X) - self.share_).argmax(1)]


def _reduced_rank(task: str) -> BaseEstimator:
    if task == "classification":
        search = GridSearchCV(
            ArgmaxClassifier(ReducedRankRegressor()), {"estimator__rank": RANKS}, cv=5
        )
    else:
        search = GridSearchCV(ReducedRankRegressor(), {"rank": RANKS}, cv=5)
    return make_pipeline(FunctionTransformer(_smooth_flat), StandardScaler(), PCA(), search)


def _mean(X: Any) -> np.ndarray:
    return np.asarray(X).mean(1)


def _thirds(X: Any) -> np.ndarray:
    parts = np.array_split(np.asarray(X), min(3, X.shape[1]), axis=1)
    return np.concatenate([part.mean(1) for part in parts], axis=1)


def _smooth(X: Any) -> np.ndarray:
    return gaussian_filter1d(np.asarray(X, dtype=np.float32), 3.0, axis=1, mode="nearest")


def _smooth_flat(X: Any) -> np.ndarray:
    """Smooth counts and keep every second bin, which loses nothing at this width."""
    return _smooth(X)[:, ::2].reshape(len(X), -1)
