"""Decoders that a laboratory would reach for first, as scikit-learn pipelines on (trials, time, neurons)."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter1d
from sklearn import get_config
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    RegressorMixin,
    TransformerMixin,
    clone,
)
from sklearn.cross_decomposition import PLSRegression
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss, make_scorer
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from .._checks import check_choice
from .._observed import observed_mean, values_observed
from ..errors import public
from .overlap import BlockFolds, blocks_of_overlapping
from .scores import pooled_r2

__all__ = [
    "DECODING_TASKS",
    "ArgmaxClassifier",
    "FillUnobserved",
    "PerBinRegressor",
    "ReducedRankRegressor",
    "decoding_baselines",
]

#: What can be decoded: classes, or numbers.
DECODING_TASKS = ("classification", "regression")
STRENGTHS = tuple(np.logspace(-4, 2, 7).tolist())
RANKS = (1, 2, 5, 10)
# How the baselines leave trials out for their own choices.
CLASSES, TRIALS = BlockFolds(StratifiedKFold(5)), BlockFolds(KFold(5))


@public
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
        reduced-rank (partial least squares) regression; strengths and ranks are chosen inside, on
        folds that keep blocks of overlapping windows together.

    Examples
    --------
    >>> list(decoding_baselines("classification"))
    ['trial mean', 'three windows', 'smoothed counts', 'reduced rank']
    """
    check_choice("task", task, DECODING_TASKS)
    if per_bin and task == "regression":
        bins = PerBinRegressor(make_pipeline(StandardScaler(), Ridge()))
        # Over trials: a bin whose neighbours train is told from them, by any strength.
        strengths = {"estimator__ridge__alpha": [10.0**k for k in range(-1, 6)]}
        search = GridSearchCV(bins, strengths, cv=TRIALS, scoring=make_scorer(pooled_r2))
        return {
            "smoothed counts": _on_trials(FunctionTransformer(_smooth), search),
            "reduced rank": _reduced_rank(task),
        }
    inputs = {"trial mean": _mean, "three windows": _thirds, "smoothed counts": _smooth_flat}
    found = {}
    for name, function in inputs.items():
        if task == "classification":
            model = LogisticRegression(class_weight="balanced", max_iter=2000)
            search = GridSearchCV(model, {"C": STRENGTHS}, scoring=_log_likelihood, cv=CLASSES)
        else:
            strengths = {"alpha": [10.0**k for k in range(-1, 7)]}
            search = GridSearchCV(Ridge(), strengths, cv=TRIALS)
        # All principal components: a rotation that spares the solver features it cannot use.
        found[name] = _on_trials(FunctionTransformer(function), StandardScaler(), PCA(), search)
    found["reduced rank"] = _reduced_rank(task)
    return found


class FillUnobserved(TransformerMixin, BaseEstimator):
    """Put the mean response of training trials where nothing was observed.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[[1.0], [2.0]], [[3.0], [np.nan]]])
    >>> FillUnobserved().fit_transform(X)[1].tolist()
    [[3.0], [2.0]]
    """

    def fit(self, X: Any, y: Any = None) -> FillUnobserved:
        """Measure the mean response, or where a bin has none a neuron's mean."""
        counts, observed = values_observed(X)
        self.mean_ = observed_mean(counts, observed, 0)
        if observed is not None:
            mean = observed_mean(counts, observed, (0, 1))
            self.mean_ = np.where(observed.any(0), self.mean_, mean)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return counts (trials, time, neurons), filled."""
        counts, observed = values_observed(X)
        return counts if observed is None else np.where(observed, counts, self.mean_)


class _BlockPipeline(Pipeline):
    """A pipeline that tells the search at its end which overlapping windows to keep together."""

    def fit(self, X: Any, y: Any = None, **params: Any) -> _BlockPipeline:
        """Fit on trials; `params` are those of the steps."""
        name = f"{self.steps[-1][0]}__groups"
        # Where metadata is routed, only what users ask for by name may be passed.
        if not get_config()["enable_metadata_routing"] and name not in params:
            blocks = blocks_of_overlapping(X, fewest=2)
            params |= {} if blocks is None else {name: blocks}
        return super().fit(X, y, **params)


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
        """Fit on X (trials, time, features) and y (trials, time) or (trials, time, variables).

        Bins in which y is NaN are left out.
        """
        X, y = np.asarray(X), np.asarray(y)
        self.shape_ = y.shape[1:]
        rows = y.reshape(len(y) * y.shape[1], *y.shape[2:])
        known = ~np.isnan(rows).reshape(len(rows), -1).any(1)
        self.estimator_ = clone(self.estimator).fit(X.reshape(-1, X.shape[2])[known], rows[known])
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
        """Fit on features (trials, features) and numbers (trials,) or (trials, outputs).

        Outputs that are NaN count as average ones.
        """
        y = np.asarray(y)
        if y.dtype.kind == "f" and np.isnan(y).any():
            known = ~np.isnan(y)
            y = np.where(known, y, observed_mean(y, known, 0))
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
            ArgmaxClassifier(ReducedRankRegressor()), {"estimator__rank": RANKS}, cv=CLASSES
        )
    else:
        search = GridSearchCV(ReducedRankRegressor(), {"rank": RANKS}, cv=TRIALS)
    return _on_trials(FunctionTransformer(_smooth_flat), StandardScaler(), PCA(), search)


def _on_trials(*steps: Any) -> Pipeline:
    """Make a pipeline on trials, of which the last step is a search."""
    return _BlockPipeline(make_pipeline(FillUnobserved(), *steps).steps)


def _log_likelihood(model: Any, X: np.ndarray, y: np.ndarray) -> float:
    """Return the mean log-probability of classes, of which a fold of whole blocks may lack some."""
    return -log_loss(y, model.predict_proba(X), labels=model.classes_)


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
