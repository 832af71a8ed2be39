"""Ridge regression whose strength is chosen on trials left out, in closed form.

With features x of trial i and bin t, outputs y, and weights v of trials that sum to one, it minimises

    sum_it v_i |y_it - b_t - W'x_it|² + p s |W|²,    s = sum_it v_i |x_it - m_t|²

where m_t is the mean of x over trials; bins of which the output is not known are left out of all sums. The strength p is thus free of the features' units, and a bin's
intercept b_t takes the mean course of the outputs, which then needs no feature.

All that is needed of the trials are sums over them: of x, y, xx' and xy'. Sums of the trials outside
a fold are those of all minus those of the fold, so that trials are read a few at a time and never
copied, and one eigendecomposition a fold serves all strengths together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from .._splits import Folds

__all__ = ["PENALTIES", "RidgeFit", "chunks", "fit_ridge"]

#: Strengths to choose from, in units of the features' mean squared norm: from none to no slope.
PENALTIES = tuple(np.logspace(-8, 2, 41).tolist())
# Rows (bins of trials) that are turned into float64 at a time.
ROWS_A_CHUNK = 2048


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
    folds: Folds,
    penalties: Sequence[float] = PENALTIES,
    basis: np.ndarray | None = None,
    strata: np.ndarray | None = None,
    known: np.ndarray | None = None,
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
        Training and left-out trials; every trial is left out once and trains otherwise.
    penalties : sequence of float
        Strengths to choose from, in units of the features' mean squared norm.
    basis : ndarray, (features, inputs), optional
        The penalty is on weights of ``features @ basis``; those that are returned are of features.
    strata : ndarray of int, (trials,), optional
        Kinds of trials, such as classes, that weigh in each fold's training trials as they do among
        all. A fold of consecutive trials that are mostly of one class would leave too few of it to
        train on, and be predicted as the other class for no other reason.
    known : ndarray of bool, (trials, time), optional
        Bins whose output is known; all by default. Outputs are finite in the others too.

    Returns
    -------
    RidgeFit
    """
    problem = _Problem(
        features,
        outputs,
        trial_weights if known is None else trial_weights[:, None] * known,
        # From the mean, so that sums of squares lose no digits to it.
        features.mean((0, 1), dtype=np.float64),
        np.eye(features.shape[2]) if basis is None else basis,
        np.zeros(len(features), dtype=int) if strata is None else strata,
    )
    everything = problem.sums(np.arange(len(features)))
    errors = np.zeros((len(penalties), len(features)))
    solutions = []
    for _, test in folds:
        path = _Path.of(_without(everything, problem.sums(test)))
        solved = [path.solve(penalty) for penalty in penalties]
        solutions.append(solved)
        for trials in problem.chunks(test):
            inputs = problem.inputs(trials)
            for i, (weights, intercept) in enumerate(solved):
                residual = inputs @ weights + intercept - outputs[trials]
                errors[i, trials] = problem.mean_error(residual, trials)
    losses = errors @ trial_weights / trial_weights.sum()
    best = int(losses.argmin())
    left_out = np.empty(outputs.shape)
    for (_, test), solved in zip(folds, solutions, strict=True):
        weights, intercept = solved[best]
        for trials in problem.chunks(test):
            left_out[trials] = problem.inputs(trials) @ weights + intercept
    weights, intercept = _Path.of(sum(everything[1:], everything[0])).solve(penalties[best])
    weights = problem.basis @ weights
    return RidgeFit(
        weights,
        intercept - problem.centre @ weights,
        penalties[best],
        left_out,
        float(losses[best]),
    )


def chunks(rows: np.ndarray, n_bins: int = 1) -> Iterator[np.ndarray]:
    """Cut rows, or trials of so many bins each, into chunks that are cheap to turn into float64."""
    size = max(1, ROWS_A_CHUNK // n_bins)
    return (rows[i : i + size] for i in range(0, len(rows), size))


@dataclass(frozen=True)
class _Sums:
    """Weighted sums over trials, from which a ridge regression follows."""

    weight: float | np.ndarray  # of all bins alike, or of each, (time,)
    inputs: np.ndarray  # (time, inputs)
    outputs: np.ndarray  # (time, outputs)
    gram: np.ndarray  # (inputs, inputs)
    cross: np.ndarray  # (inputs, outputs)

    def __add__(self, other: _Sums) -> _Sums:
        return _Sums(*(a + b for a, b in zip(self.parts, other.parts, strict=True)))

    def __rmul__(self, factor: float) -> _Sums:
        return _Sums(*(factor * part for part in self.parts))

    @property
    def parts(self) -> tuple:
        return self.weight, self.inputs, self.outputs, self.gram, self.cross


def _without(everything: Sequence[_Sums], fold: Sequence[_Sums]) -> _Sums:
    """Return the sums of the trials outside a fold, each stratum weighing as it does among all."""
    found = []
    for whole, part in zip(everything, fold, strict=True):
        rest = whole + -1.0 * part
        left, all_ = np.sum(rest.weight), np.sum(whole.weight)
        if left > 1e-12 * all_:  # else the fold holds the stratum's only trials
            found.append((all_ / left) * rest)
    return sum(found[1:], found[0])


@dataclass(frozen=True)
class _Problem:
    """Features and outputs that are read a few trials at a time."""

    features: np.ndarray
    outputs: np.ndarray
    weights: np.ndarray  # (trials,), or (trials, time) where bins differ
    centre: np.ndarray  # (features,)
    basis: np.ndarray  # (features, inputs)
    strata: np.ndarray  # (trials,)

    def chunks(self, trials: np.ndarray) -> Iterator[np.ndarray]:
        return chunks(trials, self.features.shape[1])

    def inputs(self, trials: np.ndarray) -> np.ndarray:
        """Return what the ridge is on, float64 (trials, time, inputs)."""
        return (self.features[trials] - self.centre) @ self.basis

    def mean_error(self, residual: np.ndarray, trials: np.ndarray) -> np.ndarray:
        """Return each trial's mean squared error, over the bins that count in it."""
        squares = residual**2
        if self.weights.ndim == 1:
            return squares.mean((1, 2))
        known = self.weights[trials] > 0
        share = (self.weights > 0).mean()  # so that trials with more known bins have more of a say
        return (squares.mean(2) * known).mean(1) / share

    def sums(self, trials: np.ndarray) -> list[_Sums]:
        """Sum over some trials, by stratum."""
        return [self._sums(trials[self.strata[trials] == s]) for s in np.unique(self.strata)]

    def _sums(self, trials: np.ndarray) -> _Sums:
        n_time, n_outputs = self.outputs.shape[1:]
        n_inputs = self.basis.shape[1]
        inputs, outputs = np.zeros((n_time, n_inputs)), np.zeros((n_time, n_outputs))
        gram, cross = np.zeros((n_inputs, n_inputs)), np.zeros((n_inputs, n_outputs))
        for chunk in self.chunks(trials):
            weights = self.weights[chunk]
            x, y = self.inputs(chunk), self.outputs[chunk]
            if weights.ndim == 1:
                inputs += np.tensordot(weights, x, 1)
                outputs += np.tensordot(weights, y, 1)
                root = np.sqrt(weights)[:, None, None]
            else:
                inputs += np.einsum("kt,ktf->tf", weights, x)
                outputs += np.einsum("kt,ktf->tf", weights, y)
                root = np.sqrt(weights)[:, :, None]
            x, y = ((root * a).reshape(-1, a.shape[2]) for a in (x, y))
            gram += x.T @ x
            cross += x.T @ y
        return _Sums(self.weights[trials].sum(0), inputs, outputs, gram, cross)


@dataclass(frozen=True)
class _Path:
    """What all strengths share: one eigendecomposition of the centred features."""

    values: np.ndarray  # (inputs,)
    vectors: np.ndarray  # (inputs, inputs)
    projected: np.ndarray  # (inputs, outputs)
    input_mean: np.ndarray  # (time, inputs)
    output_mean: np.ndarray  # (time, outputs)

    @classmethod
    def of(cls, sums: _Sums) -> _Path:
        share = (1 / np.max(sums.weight)) * sums
        means = share.inputs, share.outputs
        if np.ndim(share.weight):  # of each bin by itself, zero where it is never known
            weight = np.asarray(share.weight)[:, None]
            means = tuple(m / np.where(weight > 1e-12, weight, 1.0) for m in means)
        gram = share.gram - means[0].T @ share.inputs
        cross = share.cross - means[0].T @ share.outputs
        values, vectors = np.linalg.eigh(gram)
        return cls(values.clip(min=0), vectors, vectors.T @ cross, *means)

    def solve(self, penalty: float) -> tuple[np.ndarray, np.ndarray]:
        """Return weights (inputs, outputs) and intercept (time, outputs)."""
        strength = penalty * max(self.values.sum(), 1e-12)
        weights = self.vectors @ (self.projected / (self.values + strength)[:, None])
        return weights, self.output_mean - self.input_mean @ weights
