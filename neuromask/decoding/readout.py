"""Linear read-outs of behaviour from a trial's features, with every choice made on trials left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax
from sklearn.model_selection import KFold, StratifiedKFold

from .._recordings import Recording
from ..nn.fitted import FittedNetwork
from .features import block_sizes, read_features
from .ridge import fit_ridge
from .targets import Classes, Signals

__all__ = ["Readout", "fit_readout", "fit_temperature", "make_folds", "read_scheme"]

Folds = Sequence[tuple[np.ndarray, np.ndarray]]

N_FOLDS = 10
# Directions in which trials vary more than this many times the average direction are scaled down:
# what varies most between trials, arousal say, would otherwise drown what a variable depends on. It
# may also be what a variable depends on, so that there is a choice.
WHITENINGS = (10.0, 1.0)
# Amplitude of the trunk's features against that of the counts, which have more independent noise.
LATENT_AMPLITUDE = 0.5
# What calibration expects before it sees a trial, as with few of them it sees mostly noise: outputs
# of -1 and 1 are worth two nats, give or take a factor of e, and an offset is small.
USUAL_LOG_FACTOR, LOG_FACTOR_SD, OFFSET_SD = 0.7, 1.0, 0.35


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
        return features.astype(np.float64) @ self.weights + self.intercept

    def with_temperature(self, target: Classes | Signals, trial_weights: np.ndarray) -> Readout:
        """Return it with the temperature and offset that suit the trials left out."""
        if not isinstance(target, Classes):
            return self
        temperature, offset = fit_temperature(self.left_out[:, 0], target.codes, trial_weights)
        return replace(self, temperature=temperature, offset=offset)

    def log_chances(self, outputs: np.ndarray) -> np.ndarray:
        """Turn outputs (trials, classes) into calibrated log-probabilities."""
        return log_softmax(self.temperature * outputs + self.offset, axis=1)


def fit_readout(
    features: np.ndarray,
    target: Classes | Signals,
    *,
    block_sizes: Sequence[int],
    trial_weights: np.ndarray,
    folds: Folds,
) -> Readout:
    """Fit a ridge regression in a metric that trials themselves suggest.

    The trunk's features and each view of the counts are brought to a set total variance, and
    directions of very large variance are scaled down, more or less as suits the trials left out.

    Parameters
    ----------
    features : ndarray, (trials, time or 1, features)
        Of :func:`neuromask.nn.pooling.decoding_features`.
    target : Classes or Signals
        What to read out; chances of classes are calibrated.
    block_sizes : sequence of int
        Features from the trunk, which are in front, and of each view of the counts.
    trial_weights : ndarray, (trials,)
        Weight of each trial.
    folds : sequence of (ndarray of int, ndarray of int)
        Training and left-out trials.
    """
    rows = features.reshape(-1, features.shape[2]).astype(np.float64)
    centred = rows - rows.mean(0)
    scale, ends = np.empty(rows.shape[1]), np.cumsum(block_sizes)
    for size, end in zip(block_sizes, ends, strict=True):
        block = slice(end - size, end)
        energy = (centred[:, block] ** 2).sum(1).mean()
        amplitude = LATENT_AMPLITUDE if end == ends[0] else 1.0
        scale[block] = amplitude / np.sqrt(energy) if energy > 0 else 0.0
    axes, variances = _principal_axes(centred * scale)
    axes *= scale[:, None]  # (features, axes)
    scores = (rows @ axes).reshape(*features.shape[:2], -1)
    metrics = [1 / np.sqrt(variances + w * variances.mean()) for w in WHITENINGS]
    fits = [
        fit_ridge(scores * metric, target.outputs, trial_weights=trial_weights, folds=folds)
        for metric in metrics
    ]
    fit, metric = min(zip(fits, metrics, strict=True), key=lambda found: found[0].loss)
    readout = Readout(axes @ (metric[:, None] * fit.weights), fit.intercept, fit.loss, fit.left_out)
    return readout.with_temperature(target, trial_weights)


def read_scheme(
    network: FittedNetwork,
    recording: Recording,
    hidden: np.ndarray,
    scheme: str,
    target: Classes | Signals,
    trial_weights: np.ndarray,
    seed: int,
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
    seed : int
        Source of the folds; the same gives the same ones.
    """
    return fit_readout(
        read_features(network, recording, hidden, scheme, per_bin=target.per_bin),
        target,
        block_sizes=block_sizes(
            network.model.n_features, recording.info.n_neurons, per_bin=target.per_bin
        ),
        trial_weights=trial_weights,
        folds=make_folds(target, seed),
    )


def make_folds(target: Classes | Signals, seed: int) -> Folds:
    """Cut trials into at most `N_FOLDS` folds, each with every class where there are enough."""
    chance = np.random.RandomState(seed % 2**32)
    if isinstance(target, Classes):
        fewest = int(np.bincount(target.codes).min())
        if fewest > 1:
            n_splits = min(N_FOLDS, fewest)
            cut = StratifiedKFold(n_splits, shuffle=True, random_state=chance)
            return list(cut.split(target.codes, target.codes))
    n_trials = len(target.outputs)
    cut = KFold(min(N_FOLDS, n_trials), shuffle=True, random_state=chance)
    return list(cut.split(np.arange(n_trials)))


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


def _principal_axes(centred: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return principal axes (features, axes) and variances (axes,), without those of no variance.

    A ridge's weights lie in the span of the rows, so that nothing is lost where features are many.
    """
    n_rows, n_features = centred.shape
    if n_features > n_rows:
        values, vectors = np.linalg.eigh(centred @ centred.T)
        kept = values > max(values[-1] * 1e-10, 1e-300)
        axes = centred.T @ (vectors[:, kept] / np.sqrt(values[kept]))
    else:
        values, vectors = np.linalg.eigh(centred.T @ centred)
        kept = values > max(values[-1] * 1e-10, 1e-300)
        axes = vectors[:, kept]
    if not kept.any():  # trials do not differ at all
        return np.zeros((n_features, 1)), np.ones(1)
    return axes, values[kept] / n_rows
