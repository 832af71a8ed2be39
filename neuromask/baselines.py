"""Baselines that a model must beat, scored by the same evaluator.

Each has ``fit(X, regions=None, X_val=None)`` and ``predict_rates(counts, hidden, task)`` for
:func:`neuromask.evaluate`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.optimize import minimize

from ._checks import check_choice, check_regions, check_spikes
from ._splits import every_tenth
from .errors import InvalidInputError, public
from .evaluation import REGION_TASKS, TASKS

__all__ = ["PSTH", "MeanRate", "PoissonGLM"]

LEAST_BASELINE_RATE = 1e-4


class MeanRate:
    """Each neuron's mean training rate.

    Examples
    --------
    >>> import neuromask as nm
    >>> session = nm.simulate(20, n_neurons=8, n_time=20)
    >>> table = nm.evaluate(MeanRate().fit(session).predict_rates, session)
    """

    @public
    def fit(self, X: Any, regions: Any = None, X_val: Any = None) -> MeanRate:
        """Measure the mean count per bin of trials (trials, time, neurons)."""
        self.rates_ = check_spikes(X).mean((0, 1)).clip(LEAST_BASELINE_RATE)
        return self

    @public
    def predict_rates(self, counts: np.ndarray, hidden: np.ndarray, task: str) -> np.ndarray:
        """Return the mean rates, whatever is visible."""
        _check_alike(self, counts, "rates_", neurons_only=True)
        return np.broadcast_to(self.rates_, counts.shape)


class PSTH:
    """Each neuron's mean training response over time, smoothed.

    Parameters
    ----------
    smoothing : float, default=2
        Standard deviation of the gaussian kernel in bins.
    """

    def __init__(self, smoothing: float = 2.0) -> None:
        self.smoothing = smoothing

    @public
    def fit(self, X: Any, regions: Any = None, X_val: Any = None) -> PSTH:
        """Measure the smoothed mean response (time, neurons)."""
        counts = check_spikes(X)
        self.rates_ = _psth(counts, self.smoothing)
        return self

    @public
    def predict_rates(self, counts: np.ndarray, hidden: np.ndarray, task: str) -> np.ndarray:
        """Return the mean responses, whatever is visible."""
        _check_alike(self, counts, "rates_")
        return np.broadcast_to(self.rates_, counts.shape)


class PoissonGLM:
    """A Poisson regression of each neuron on the smoothed activity of those it may see.

    The log-rate is the log of the neuron's smoothed PSTH plus a linear read of the visible neurons'
    counts, smoothed over time and standardised. One ridge strength a task is chosen on validation.
    Forward prediction reads the principal components of the population's last visible bins and the
    neuron's own counts over three windows instead.

    Parameters
    ----------
    tasks : sequence of str, optional
        Tasks to fit; all four by default.
    ridges : sequence of float, default=(1e4, 3e3, 1e3, 300, 100)
        Ridge strengths to choose from, on the sum of squared weights.
    smoothing : float, default=3
        Standard deviation in bins of the kernel that smooths inputs.
    n_components : int, default=50
        Principal components of forward prediction.
    n_forward_bins : int, optional
        Bins that forward prediction hides; a tenth of the trial by default.

    Attributes
    ----------
    weights_ : dict of str to ndarray
        Weights by task, (inputs + 1, neurons); the last row is the bias.
    ridge_ : dict of str to float
        Ridge chosen by task.

    Examples
    --------
    >>> import neuromask as nm
    >>> session = nm.simulate(30, n_neurons=8, n_time=20)
    >>> glm = PoissonGLM(["co_smoothing"]).fit(session)
    >>> table = nm.evaluate(glm.predict_rates, session, tasks=["co_smoothing"])
    """

    def __init__(
        self,
        tasks: Sequence[str] | None = None,
        *,
        ridges: Sequence[float] = (1e4, 3e3, 1e3, 300.0, 100.0),
        smoothing: float = 3.0,
        n_components: int = 50,
        n_forward_bins: int | None = None,
    ) -> None:
        self.tasks = tasks
        self.ridges = ridges
        self.smoothing = smoothing
        self.n_components = n_components
        self.n_forward_bins = n_forward_bins

    @public
    def fit(self, X: Any, regions: Any = None, X_val: Any = None) -> PoissonGLM:
        """Fit one regression a neuron and task.

        Parameters
        ----------
        X : Session or array-like, (trials, time, neurons)
            Training trials.
        regions : array-like of str, (neurons,), optional
            Regions, where `X` does not carry them.
        X_val : same as `X`, optional
            Trials that choose the ridge; every tenth of `X` by default.

        Raises
        ------
        InvalidInputError
            For unknown tasks, ridges that are not positive, region tasks without regions, or
            validation trials of another shape.
        """
        counts = check_spikes(X, min_trials=2)
        if X_val is None:
            training, held_out = every_tenth(len(counts))
            counts, validation = counts[training], counts[held_out]
        else:
            validation = check_spikes(X_val)
            if validation.shape[1:] != counts.shape[1:]:
                raise InvalidInputError(
                    f"X_val has shape {validation.shape}; expected trials of "
                    f"{counts.shape[1:]} (bins, neurons), as X. Select the same neurons in both."
                )
        if not len(self.ridges) or min(self.ridges) <= 0:
            raise InvalidInputError(
                f"ridges={self.ridges!r}; expected positive numbers, at least one."
            )
        regions = getattr(X, "regions", None) if regions is None else regions
        n_neurons = counts.shape[2]
        labels = None if regions is None else check_regions(regions, n_neurons)
        given = TASKS if self.tasks is None else self.tasks
        tasks = (given,) if isinstance(given, str) else tuple(given)
        for task in tasks:
            check_choice("tasks", task, TASKS)
        if labels is None:
            if self.tasks is not None and set(tasks) & set(REGION_TASKS):
                raise InvalidInputError("region tasks need regions; pass regions=...")
            tasks = tuple(t for t in tasks if t not in REGION_TASKS)
        self.offset_ = np.log(_psth(counts, 2.0))
        smooth = self._smooth(counts)
        self.mean_, self.scale_ = smooth.mean((0, 1)), smooth.std((0, 1)).clip(1e-6)
        self.weights_: dict[str, np.ndarray] = {}
        self.ridge_: dict[str, float] = {}
        for task in tasks:
            if task == "forward_prediction":
                self._fit_forward(counts, validation)
            else:
                self._fit_neighbours(task, counts, validation, labels)
        return self

    @public
    def predict_rates(self, counts: np.ndarray, hidden: np.ndarray, task: str) -> np.ndarray:
        """Return rates from what is visible.

        Raises
        ------
        InvalidInputError
            Before `fit`, for a task that was not fitted, or for trials of another shape.
        """
        _check_alike(self, counts, "offset_")
        if task not in self.weights_:
            raise InvalidInputError(
                f"task {task!r} was not fitted; fitted are "
                f"{list(self.weights_)}. Name it in tasks and fit again."
            )
        offset = self.offset_
        if task == "forward_prediction":
            n_visible = int((~hidden[0].all(1)).sum())
            change = np.zeros(counts.shape, dtype=np.float32)
            change[:, n_visible:] = self._forward_change(counts[:, :n_visible])[:, None]
            return np.exp(np.minimum(offset + change, 3.0))
        inputs = self._standardise(counts) * ~hidden
        return np.exp(
            np.minimum(offset + inputs @ self.weights_[task][:-1] + self.weights_[task][-1], 3.0)
        )

    def _fit_neighbours(
        self, task: str, counts: np.ndarray, validation: np.ndarray, labels: np.ndarray | None
    ) -> None:
        allowed = ~np.eye(counts.shape[2], dtype=bool)  # (inputs, neurons)
        if task in REGION_TASKS and labels is not None:
            same = labels[:, None] == labels[None]
            allowed &= same if task == "intra_region" else ~same
        n_neurons = counts.shape[2]
        design = self._standardise(counts).reshape(-1, n_neurons)
        test = self._standardise(validation).reshape(-1, n_neurons)
        offsets = [np.tile(self.offset_, (len(c), 1)) for c in (counts, validation)]
        targets = [c.reshape(-1, n_neurons) for c in (counts, validation)]
        self.weights_[task], self.ridge_[task] = _choose_ridge(
            (design, test), targets, offsets, allowed, self.ridges
        )

    def _fit_forward(self, counts: np.ndarray, validation: np.ndarray) -> None:
        n_time, n_neurons = counts.shape[1:]
        n_ahead = self.n_forward_bins or max(1, round(0.1 * n_time))
        if n_ahead >= n_time:
            raise InvalidInputError(
                f"forward prediction of {n_ahead} of {n_time} bins; expected fewer, "
                "so that something is visible."
            )
        ends = np.unique(np.linspace(max(1, n_time // 2), n_time - n_ahead, 6).round().astype(int))
        population = np.concatenate([_last(counts, end, 10) for end in ends])
        self.population_mean_ = population.mean(0)
        _, _, basis = np.linalg.svd(population - self.population_mean_, full_matrices=False)
        self.basis_ = basis[: self.n_components].T.astype(np.float32)
        scores = (population - self.population_mean_) @ self.basis_
        # One scale for all components: the ridge then shrinks the small, noisy ones most.
        self.basis_ /= scores.std(0).max().clip(1e-6)
        own = np.concatenate([_own(counts, end) for end in ends])  # (windows, 3, neurons)
        self.own_mean_, self.own_scale_ = own.mean(0), own.std(0).clip(1e-3)
        sets = []
        for part in (counts, validation):
            blocks = [self._forward_inputs(part[:, :end]) for end in ends]
            truth = [part[:, end : end + n_ahead].sum(1) for end in ends]
            base = [np.exp(self.offset_[end : end + n_ahead]).sum(0) for end in ends]
            offset = np.concatenate([np.log(np.tile(b, (len(part), 1))) for b in base])
            shared = np.concatenate([b[0] for b in blocks])
            owned = np.concatenate([b[1] for b in blocks])
            sets.append(((shared, owned), np.concatenate(truth), offset))
        self.weights_["forward_prediction"], self.ridge_["forward_prediction"] = _choose_ridge(
            [s[0] for s in sets],
            [s[1] for s in sets],
            [s[2] for s in sets],
            np.ones((self.basis_.shape[1] + 3, n_neurons), dtype=bool),
            [r / 10 for r in self.ridges],
        )

    def _forward_inputs(self, visible: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return shared inputs (trials, components) and each neuron's own (trials, 3, neurons)."""
        end = visible.shape[1]
        shared = (_last(visible, end, 10) - self.population_mean_) @ self.basis_
        own = (_own(visible, end) - self.own_mean_) / self.own_scale_
        return shared.astype(np.float32), own.astype(np.float32)

    def _forward_change(self, visible: np.ndarray) -> np.ndarray:
        weights = self.weights_["forward_prediction"]
        return _linear(self._forward_inputs(visible), weights)

    def _smooth(self, counts: np.ndarray) -> np.ndarray:
        return gaussian_filter1d(counts.astype(np.float32), self.smoothing, axis=1, mode="reflect")

    def _standardise(self, counts: np.ndarray) -> np.ndarray:
        return ((self._smooth(counts) - self.mean_) / self.scale_).astype(np.float32)


def _check_alike(
    baseline: Any, counts: np.ndarray, fitted: str, *, neurons_only: bool = False
) -> None:
    """Refuse to predict before `fit`, or trials unlike the fitted ones."""
    name = type(baseline).__name__
    if not hasattr(baseline, fitted):
        raise InvalidInputError(f"{name}.predict_rates: not fitted yet; call fit first.")
    expected = getattr(baseline, fitted).shape
    given = counts.shape[2:] if neurons_only else counts.shape[1:]
    if counts.ndim != 3 or given != expected:
        axes = "(neurons,)" if neurons_only else "(bins, neurons)"
        raise InvalidInputError(
            f"{name}.predict_rates: counts has shape {counts.shape}; expected trials of {expected} "
            f"{axes}, as fitted. Fit on the same bins and neurons."
        )


def _psth(counts: np.ndarray, smoothing: float) -> np.ndarray:
    """Smoothed mean response, shrunk a little towards the mean so that none is zero."""
    mean = counts.mean((0, 1)).clip(LEAST_BASELINE_RATE)
    psth = gaussian_filter1d(counts.mean(0), smoothing, axis=0, mode="nearest")
    return (psth * len(counts) + mean * 2) / (len(counts) + 2)


def _last(counts: np.ndarray, end: int, width: int) -> np.ndarray:
    return counts[:, max(0, end - width) : end].mean(1)


def _own(counts: np.ndarray, end: int) -> np.ndarray:
    """Mean counts over the last 4, last 10 and all visible bins, (trials, 3, neurons)."""
    return np.stack([_last(counts, end, width) for width in (4, 10, end)], axis=1)


def _linear(inputs: Any, weights: np.ndarray) -> np.ndarray:
    """Apply weights (inputs + 1, neurons); inputs are shared, or a pair of shared and own."""
    if not isinstance(inputs, tuple):
        return inputs @ weights[:-1] + weights[-1]
    shared, own = inputs
    n_shared = shared.shape[1]
    change = np.einsum("kin,in->kn", own, weights[n_shared:-1])
    return change + shared @ weights[:n_shared] + weights[-1]


def _gradient(inputs: Any, error: np.ndarray) -> np.ndarray:
    if not isinstance(inputs, tuple):
        return np.vstack([inputs.T @ error, error.sum(0)])
    shared, own = inputs
    return np.vstack([shared.T @ error, np.einsum("kin,kn->in", own, error), error.sum(0)])


def _choose_ridge(
    designs: Sequence[Any],
    targets: Sequence[np.ndarray],
    offsets: Sequence[np.ndarray],
    allowed: np.ndarray,
    ridges: Sequence[float],
) -> tuple[np.ndarray, float]:
    """Fit from the strongest ridge down, each from the last, and keep the best on validation."""
    mask = np.vstack([allowed, np.ones((1, allowed.shape[1]), dtype=bool)])
    targets = [t.astype(np.float32) for t in targets]
    offsets = [o.astype(np.float32) for o in offsets]
    weights = np.zeros(mask.shape, dtype=np.float32)
    best = (np.inf, weights, np.nan)
    for ridge in sorted(ridges, reverse=True):
        weights = _fit_poisson(designs[0], targets[0], offsets[0], mask, ridge, weights)
        log_rates = np.minimum(offsets[1] + _linear(designs[1], weights), 5.0)
        loss = float((np.exp(log_rates) - targets[1] * log_rates).sum())
        if loss < best[0]:
            best = (loss, weights, ridge)
        else:
            break
    return best[1], best[2]


def _fit_poisson(
    design: Any,
    target: np.ndarray,
    offset: np.ndarray,
    mask: np.ndarray,
    ridge: float,
    start: np.ndarray,
) -> np.ndarray:
    """Minimise the penalised Poisson loss of all neurons at once."""

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = flat.reshape(mask.shape).astype(np.float32)
        log_rates = np.minimum(offset + _linear(design, weights), 5.0)
        rates = np.exp(log_rates)
        value = float((rates - target * log_rates).sum(dtype=np.float64))
        value += 0.5 * ridge * float((weights[:-1] ** 2).sum(dtype=np.float64))
        gradient = _gradient(design, rates - target)
        gradient[:-1] += ridge * weights[:-1]
        return value, (gradient * mask).ravel().astype(np.float64)

    found = minimize(
        loss, start.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 60, "maxcor": 10}
    )
    return found.x.reshape(mask.shape).astype(np.float32)
