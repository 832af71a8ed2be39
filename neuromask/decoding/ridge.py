"""Ridge regression whose strength is chosen on trials left out, in closed form.

A few hundred trials and thousands of features are the rule in decoding. There a ridge costs one
eigendecomposition a fold for all strengths together, which an iterative solver pays for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["PENALTIES", "RidgeFit", "fit_ridge"]

#: Strengths to choose from, in units of the features' mean squared norm.
PENALTIES = tuple(np.logspace(-8, 2, 41).tolist())


@dataclass(frozen=True)
class RidgeFit:
    """A fitted ridge regression ``features @ weights + intercept``.

    Attributes
    ----------
    weights : ndarray, (features, outputs)
        Shared by all bins.
    intercept : ndarray, (time, outputs)
        One a bin, so that the mean course of an output needs no feature.
    penalty : float
        Chosen strength, in units of the features' mean squared norm.
    left_out : ndarray, (trials, time, outputs)
        Prediction of each trial by a fit that did not see it.
    loss : float
        Weighted mean squared error of `left_out`.
    """

    weights: np.ndarray
    intercept: np.ndarray
    penalty: float
    left_out: np.ndarray
    loss: float

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Predict outputs (trials, time, outputs) from features (trials, time, features)."""
        return features @ self.weights + self.intercept


def fit_ridge(
    features: np.ndarray,
    outputs: np.ndarray,
    *,
    trial_weights: np.ndarray,
    folds: Sequence[tuple[np.ndarray, np.ndarray]],
    penalties: Sequence[float] = PENALTIES,
) -> RidgeFit:
    """Fit a ridge regression, choosing its strength by cross-validation over trials.

    Parameters
    ----------
    features : ndarray, (trials, time, features)
        Inputs; a single bin where there is one output a trial.
    outputs : ndarray, (trials, time, outputs)
        Targets.
    trial_weights : ndarray, (trials,)
        Weight of each trial.
    folds : sequence of (ndarray of int, ndarray of int)
        Training and left-out trials; every trial is left out once.
    penalties : sequence of float
        Strengths to choose from, in units of the features' mean squared norm.

    Returns
    -------
    RidgeFit
    """
    left_out = np.empty((len(penalties), *outputs.shape))
    for training, test in folds:
        path = _Path.of(features[training], outputs[training], trial_weights[training])
        for i, penalty in enumerate(penalties):
            weights, intercept = path.solve(penalty)
            left_out[i, test] = features[test] @ weights + intercept
    errors = ((left_out - outputs) ** 2).mean((2, 3))  # (penalties, trials)
    losses = errors @ trial_weights / trial_weights.sum()
    best = int(losses.argmin())
    weights, intercept = _Path.of(features, outputs, trial_weights).solve(penalties[best])
    return RidgeFit(weights, intercept, penalties[best], left_out[best], float(losses[best]))


@dataclass(frozen=True)
class _Path:
    """What all strengths share: one eigendecomposition of the centred features."""

    values: np.ndarray  # (features,)
    vectors: np.ndarray  # (features, features)
    projected: np.ndarray  # (features, outputs)
    feature_mean: np.ndarray  # (time, features)
    output_mean: np.ndarray  # (time, outputs)

    @classmethod
    def of(cls, features: np.ndarray, outputs: np.ndarray, weights: np.ndarray) -> _Path:
        share = weights / weights.sum()
        feature_mean = np.tensordot(share, features, 1)
        output_mean = np.tensordot(share, outputs, 1)
        root = np.sqrt(share)[:, None, None]
        x = ((features - feature_mean) * root).reshape(-1, features.shape[2])
        y = ((outputs - output_mean) * root).reshape(-1, outputs.shape[2])
        values, vectors = np.linalg.eigh(x.T @ x)
        return cls(values.clip(min=0), vectors, vectors.T @ (x.T @ y), feature_mean, output_mean)

    def solve(self, penalty: float) -> tuple[np.ndarray, np.ndarray]:
        """Return weights (features, outputs) and intercept (time, outputs)."""
        strength = penalty * max(self.values.sum(), 1e-12)
        weights = self.vectors @ (self.projected / (self.values + strength)[:, None])
        return weights, self.output_mean - self.feature_mean @ weights
