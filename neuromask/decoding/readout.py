"""Linear read-outs of behaviour from a trial's features, with every choice made on trials left out.

**Metric.** A ridge regression shrinks directions by how little features vary along them, so that the
units of features decide what it finds. Let x be the features of a row (a trial, or a bin of one) minus
their mean. They come in blocks b, the trunk's features and each view of the counts, of total variance
V_b. Blocks are brought to a set size, and turned to the principal axes u_k of the result, along which
rows have the variances v_k:

    z_b = a_b x_b / sqrt(V_b)
    s_k = u_k'z / sqrt(v_k + w mean(v))

The ridge is on s. The "whitening" w goes from all directions alike (w = 0) to z as it is (w infinite,
but for a factor): directions of much more than w times the mean variance are scaled down to about one,
others stay in proportion. It is chosen, like the strength of the ridge, on trials left out.

**Trials left out** are folds of consecutive trials, and no fold parts a block of one class: where rates
drift, a trial is told from others of its block, and all choices would trust what later trials do not
have. Classes weigh in a fold's training trials as they do among all.

**Probabilities.** Outputs o_c of classes are fitted to 1 for a trial's class and -1 for others. Then

    p_c = softmax(t o_c + d_c)

whose temperature t and offsets d are the likeliest on the outputs of trials left out, under the prior
log t ~ N(USUAL_LOG_FACTOR, LOG_FACTOR_SD²), d_c ~ N(0, OFFSET_SD²). So where a read-out fails on them,
t is small and probabilities are even.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax

from .._known import Recording
from .._splits import Folds, blocks_of, consecutive_folds
from ..nn.fitted import FittedNetwork
from .features import block_sizes, read_features
from .ridge import chunks, fit_ridge
from .targets import Classes, Signals

__all__ = ["Readout", "fit_readout", "fit_temperature", "make_folds", "read_scheme"]

# With ten folds each fit has nine tenths of the trials, so that the strength that suits it suits all of
# them. Where classes come in blocks, folds hold two blocks or more, so that most have both of two classes.
MOST_FOLDS, FEWEST_FOLDS, BLOCKS_A_FOLD = 10, 3, 2
# Whitenings w to choose from. What varies most between trials, arousal say, would otherwise drown what
# a variable depends on (1 scales it down), but may also be what it depends on (10 keeps most of it).
WHITENINGS = (10.0, 1.0)
# a_b of the trunk's features; that of counts is 1. At a half of the amplitude the many directions of
# counts, whose noise is independent, are averaged before the few smooth ones of the trunk are trusted.
LATENT_AMPLITUDE = 0.5
# The prior of temperature and offsets, as few trials left out are mostly noise: outputs of -1 and 1,
# which are two apart, are worth four nats (t = 2), give or take a factor of e, and offsets tell one class
# from another by half a nat.
USUAL_LOG_FACTOR, LOG_FACTOR_SD, OFFSET_SD = 0.7, 1.0, 0.35
# Axes of less than this share of the largest variance are rounding.
LEAST_VARIANCE = 1e-10


@dataclass(frozen=True)
class Readout:
    """Weights from features to outputs, and how they came to be.

    Attributes
    ----------
    weights : ndarray, (features, outputs)
        Shared by all bins.
    intercept : ndarray, (time or 1, outputs)
        One a bin.
    loss : float
        Weighted mean squared error on trials left out.
    left_out : ndarray, (trials, time or 1, outputs)
        Predictions of trials left out.
    temperature : float
        Factor on outputs before a softmax turns them into probabilities.
    offset : ndarray, (outputs,), or float
        Added to outputs after the factor.
    """

    weights: np.ndarray
    intercept: np.ndarray
    loss: float
    left_out: np.ndarray
    temperature: float = 1.0
    offset: np.ndarray | float = 0.0

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Predict outputs (trials, time or 1, outputs)."""
        rows = features.reshape(-1, features.shape[2])
        found = np.concatenate([rows[c] @ self.weights for c in chunks(np.arange(len(rows)))])
        return found.reshape(*features.shape[:2], -1) + self.intercept

    def with_temperature(self, target: Classes | Signals, trial_weights: np.ndarray) -> Readout:
        """Return it with the temperature and offset that suit the trials left out."""
        if not isinstance(target, Classes):
            return self
        temperature, offset = fit_temperature(self.left_out[:, 0], target.codes, trial_weights)
        return replace(self, temperature=temperature, offset=offset)

    def losses(self, outputs: np.ndarray, target: Classes | Signals) -> np.ndarray:
        """Return each trial's surprise at its class, or squared error of its signals, (trials,)."""
        if isinstance(target, Classes):
            trials = np.arange(len(target.codes))
            return -self.log_chances(outputs[:, 0])[trials, target.codes]
        squares = ((outputs - target.outputs) ** 2).mean(2)
        if target.known is None:
            return squares.mean(1)
        return (squares * target.known).mean(1) / target.known.mean()

    def log_chances(self, outputs: np.ndarray) -> np.ndarray:
        """Turn outputs (trials, classes) into log-probabilities that hold on trials left out."""
        return log_softmax(self.temperature * outputs + self.offset, axis=1)


def fit_readout(
    features: np.ndarray,
    target: Classes | Signals,
    *,
    block_sizes: Sequence[int],
    trial_weights: np.ndarray,
    folds: Folds,
) -> Readout:
    """Fit a ridge regression in the metric of this module, choosing whitening and strength.

    Parameters
    ----------
    features : ndarray, (trials, time or 1, features)
        Of :func:`neuromask.decoding.features.decoding_features`.
    target : Classes or Signals
        What to read out.
    block_sizes : sequence of int
        Features from the trunk, which are in front, and of each view of the counts.
    trial_weights : ndarray, (trials,)
        Weight of each trial.
    folds : sequence of (ndarray of int, ndarray of int)
        Training and left-out trials; every trial is left out once and trains otherwise.
    """
    inputs, axes, variances = _principal_axes(features, block_sizes)
    mean = features.mean((0, 1), dtype=np.float64)
    strata = target.codes if isinstance(target, Classes) else None
    fits = []
    for whitening in WHITENINGS:
        metric = 1 / np.sqrt(variances + whitening * variances.mean())
        fit = fit_ridge(
            features if inputs is None else inputs,
            target.outputs,
            trial_weights=trial_weights,
            folds=folds,
            basis=axes * metric if inputs is None else np.diag(metric),
            strata=strata,
            known=target.known if isinstance(target, Signals) else None,
        )
        if inputs is not None:  # from weights of places on the axes to those of features
            weights = axes @ fit.weights
            fit = replace(fit, weights=weights, intercept=fit.intercept - mean @ weights)
        fits.append(fit)
    fit = min(fits, key=lambda found: found.loss)
    readout = Readout(fit.weights, fit.intercept, fit.loss, fit.left_out)
    return readout.with_temperature(target, trial_weights)


def read_scheme(
    network: FittedNetwork,
    recording: Recording,
    hidden: np.ndarray,
    scheme: str,
    target: Classes | Signals,
    trial_weights: np.ndarray,
    groups: np.ndarray | None = None,
) -> Readout:
    """Fit a read-out under one scheme's prompt.

    Parameters
    ----------
    network : FittedNetwork
        Fitted network.
    recording : Recording
        Labelled trials.
    hidden : ndarray of bool, (neurons,)
        Neurons that are not seen.
    scheme : str
        The scheme.
    target : Classes or Signals
        What to read out.
    trial_weights : ndarray, (trials,)
        Weight of each trial.
    groups : ndarray, (trials,), optional
        Trials of one group are left out together.
    """
    return fit_readout(
        read_features(network, recording, hidden, scheme, per_bin=target.per_bin),
        target,
        block_sizes=block_sizes(
            network.model.n_features, recording.info.n_neurons, per_bin=target.per_bin
        ),
        trial_weights=trial_weights,
        folds=make_folds(target, groups),
    )


def make_folds(target: Classes | Signals, groups: np.ndarray | None = None) -> Folds:
    """Cut trials into folds of consecutive ones; where classes come in blocks, between these.

    Parameters
    ----------
    target : Classes or Signals
        What is read out.
    groups : ndarray, (trials,), optional
        Trials of one group are left out together.
    """
    n_folds, classes = MOST_FOLDS, target.codes if isinstance(target, Classes) else None
    if groups is None and classes is not None and (blocks := blocks_of(classes)) is not None:
        groups = blocks
        n_folds = min(max((blocks[-1] + 1) // BLOCKS_A_FOLD, FEWEST_FOLDS), MOST_FOLDS)
    return consecutive_folds(len(target.outputs), n_folds, classes=classes, groups=groups)


def fit_temperature(
    outputs: np.ndarray, classes: np.ndarray, trial_weights: np.ndarray
) -> tuple[float, np.ndarray]:
    """Find the factor and offsets whose softmax is the likeliest on trials left out.

    Parameters
    ----------
    outputs : ndarray, (trials, classes)
        Predictions of trials left out.
    classes : ndarray of int, (trials,)
        Their classes.
    trial_weights : ndarray, (trials,)
        Weight of each trial.

    Returns
    -------
    (float, ndarray of shape (classes,))

    References
    ----------
    Platt, J. (1999). Probabilistic outputs for support vector machines. Guo, C. et al. (2017). On
    calibration of modern neural networks. ICML.
    """
    trials = np.arange(len(classes))

    def loss(parameters: np.ndarray) -> float:
        log_factor, offset = parameters[0], parameters[1:]
        chances = log_softmax(np.exp(log_factor) * outputs + offset, axis=1)
        surprise = ((log_factor - USUAL_LOG_FACTOR) / LOG_FACTOR_SD) ** 2
        surprise += (offset**2).sum() / OFFSET_SD**2
        return 0.5 * surprise - float(trial_weights @ chances[trials, classes])

    start = np.zeros(1 + outputs.shape[1])
    bounds = [(-5.0, 5.0)] + [(None, None)] * outputs.shape[1]
    found = minimize(loss, start, method="L-BFGS-B", bounds=bounds).x
    return float(np.exp(found[0])), found[1:]


def _principal_axes(
    features: np.ndarray, block_sizes: Sequence[int]
) -> tuple[np.ndarray | None, np.ndarray, np.ndarray]:
    """Find the principal axes of features, each block of them brought to its amplitude.

    A ridge's weights lie in the span of the rows, so that nothing is lost where features are many.

    Parameters
    ----------
    features : ndarray, (trials, time or 1, features)
        The features.
    block_sizes : sequence of int
        As in :func:`fit_readout`.

    Returns
    -------
    ndarray or None, ndarray, ndarray
        Where features are more than rows, the rows' places on the axes (trials, time, axes), which
        are then few; axes (features, axes), without those of no variance; variances (axes,).
    """
    n_features = features.shape[2]
    rows = features.reshape(-1, n_features)
    n_rows, mean = len(rows), rows.mean(0, dtype=np.float64)
    if n_features > n_rows:
        spread = rows - mean
        scale = _block_scale(np.einsum("rf,rf->f", spread, spread) / n_rows, block_sizes)
        spread *= scale
        values, vectors = np.linalg.eigh(spread @ spread.T)
    else:
        gram = np.zeros((n_features, n_features))
        for chunk in chunks(rows):
            spread = chunk - mean
            gram += spread.T @ spread
        scale = _block_scale(gram.diagonal() / n_rows, block_sizes)
        values, vectors = np.linalg.eigh(gram * np.outer(scale, scale))
    kept = values > max(values[-1] * LEAST_VARIANCE, 1e-300)
    if not kept.any():  # trials do not differ at all
        return None, np.zeros((n_features, 1)), np.ones(1)
    values, vectors = values[kept], vectors[:, kept]
    if n_features > n_rows:
        inputs = (vectors * np.sqrt(values)).reshape(*features.shape[:2], -1)
        axes = spread.T @ (vectors / np.sqrt(values))
    else:
        inputs, axes = None, vectors
    return inputs, axes * scale[:, None], values / n_rows


def _block_scale(energy: np.ndarray, block_sizes: Sequence[int]) -> np.ndarray:
    """Return the factor on each feature, from the features' variances."""
    scale, ends = np.zeros(len(energy)), np.cumsum(block_sizes)
    for size, end in zip(block_sizes, ends, strict=True):
        block = slice(end - size, end)
        amplitude = LATENT_AMPLITUDE if end == ends[0] else 1.0
        if (total := energy[block].sum()) > 0:
            scale[block] = amplitude / np.sqrt(total)
    return scale
