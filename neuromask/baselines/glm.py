"""A Poisson regression of each neuron on the others."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np
from scipy.optimize import minimize

from .._checks import as_names, check_choice, check_fraction, check_positive_int, check_regions
from .._observed import average_where_unknown, observed_mean, observed_smooth, smoothed_psth
from .._splits import every_tenth
from ..errors import InvalidInputError, public
from ..evaluation import GROUP_TASK, REGION_TASKS, TASKS, neuron_groups, with_group_task
from ..session import as_session
from .rates import check_alike, read_with_data

__all__ = ["PoissonGLM"]

# Counts (trials, time, neurons) and which of them were observed, None where all were.
Trials = tuple[np.ndarray, np.ndarray | None]

# The log of a rate that adds nothing to a loss, of entries that were not observed.
NO_LOG_RATE = -1e4


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
    groups : int or array-like, (neurons,), optional
        Groups of neurons, as in :func:`neuromask.evaluate`, which ``group_co_smoothing`` is fitted for
        beside `tasks`: a neuron reads those of other groups. Give `evaluate` the same ones.
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
        groups: Any = None,
        ridges: Sequence[float] = (1e4, 3e3, 1e3, 300.0, 100.0),
        smoothing: float = 3.0,
        n_components: int = 50,
        n_forward_bins: int | None = None,
    ) -> None:
        self.tasks = tasks
        self.groups = groups
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
            For unknown tasks, bad groups, ridges that are not positive, region tasks without regions, or
            validation trials of another shape.
        """
        tasks = self._check_parameters()
        X = as_session(X)
        counts, observed = read_with_data(X, min_trials=2)
        regions = getattr(X, "regions", None) if regions is None else regions
        n_neurons = counts.shape[2]
        labels = None if regions is None else check_regions(regions, n_neurons, counts.shape)
        self._groups = None if self.groups is None else neuron_groups(self.groups, n_neurons)
        if X_val is None:
            rows = every_tenth(len(counts))
            counts, validation = (counts[r] for r in rows)
            observed, seen = (None if observed is None else observed[r] for r in rows)
        else:
            validation, seen = read_with_data(X_val)
            if validation.shape[1:] != counts.shape[1:]:
                raise InvalidInputError(
                    f"X_val has shape {validation.shape}; expected trials of "
                    f"{counts.shape[1:]} (bins, neurons), as X. Select the same neurons in both."
                )
        if labels is None:
            if self.tasks is not None and set(tasks) & set(REGION_TASKS):
                raise InvalidInputError("region tasks need regions; pass regions=...")
            tasks = tuple(t for t in tasks if t not in REGION_TASKS)
        self.offset_ = np.log(smoothed_psth(counts, observed, 2.0))
        self._rate = average_where_unknown(observed_mean(counts, observed, (0, 1)), observed)
        smooth = self._smooth(counts, observed)
        near = None if observed is None else np.isfinite(smooth)
        self.mean_ = observed_mean(smooth, near, (0, 1))
        spread = smooth - self.mean_
        variance = smooth.var((0, 1)) if near is None else observed_mean(spread**2, near, (0, 1))
        self.scale_ = np.sqrt(average_where_unknown(variance, observed)).clip(1e-6)
        self.weights_: dict[str, np.ndarray] = {}
        self.ridge_: dict[str, float] = {}
        for task in tasks:
            if task == "forward_prediction":
                self._fit_forward((counts, observed), (validation, seen))
            else:
                self._fit_neighbours(task, (counts, observed), (validation, seen), labels)
        return self

    @public
    def predict_rates(self, counts: np.ndarray, hidden: np.ndarray, task: str) -> np.ndarray:
        """Return rates from what is visible.

        Raises
        ------
        InvalidInputError
            Before `fit`, for a task that was not fitted, for trials of another shape, or where other
            groups are hidden than those that were fitted.
        """
        check_alike(self, counts, "offset_")
        if task not in self.weights_:
            mend = "Give groups= to PoissonGLM" if task == GROUP_TASK else "Name it in tasks"
            raise InvalidInputError(
                f"task {task!r} was not fitted; fitted are {list(self.weights_)}. {mend} and fit again."
            )
        if task == GROUP_TASK and self._groups is not None:
            _check_hidden(hidden, self._groups)
        offset = self.offset_
        if task == "forward_prediction":
            bins = np.flatnonzero(~hidden.all((0, 2)))
            n_visible = int(bins[-1]) + 1 if len(bins) else 0
            partly = hidden[:, :n_visible].any()
            change = np.zeros(counts.shape, dtype=np.float32)
            if n_visible:
                seen = ~hidden[:, :n_visible] if partly else None
                change[:, n_visible:] = self._forward_change(counts[:, :n_visible], seen)[:, None]
            return np.exp(np.minimum(offset + change, 3.0))
        # Smoothing over time mixes hidden bins into others, but not where neurons are hidden whole.
        if (hidden != hidden[:, :1]).any():
            inputs = self._standardise(counts, ~hidden)
        else:
            inputs = self._standardise(counts) * ~hidden
        return np.exp(
            np.minimum(offset + inputs @ self.weights_[task][:-1] + self.weights_[task][-1], 3.0)
        )

    def _check_parameters(self) -> tuple[str, ...]:
        """Refuse parameters out of range; return the tasks."""
        tasks = TASKS if self.tasks is None else as_names("tasks", self.tasks)
        for task in tasks:
            check_choice("tasks", task, (*TASKS, GROUP_TASK))
        tasks = with_group_task("tasks", tasks, self.groups)
        ridges = self.ridges if isinstance(self.ridges, (Sequence, np.ndarray)) else ()
        if not len(ridges) or not all(isinstance(r, Real) and 0 < r < np.inf for r in ridges):
            raise InvalidInputError(
                f"ridges={self.ridges!r}; expected positive numbers, at least one."
            )
        check_fraction("smoothing", self.smoothing, low=1e-3, high=1e6)
        check_positive_int("n_components", self.n_components)
        if self.n_forward_bins is not None:
            check_positive_int("n_forward_bins", self.n_forward_bins)
        return tasks

    def _fit_neighbours(
        self, task: str, training: Trials, validation: Trials, labels: np.ndarray | None
    ) -> None:
        n_neurons = training[0].shape[2]
        allowed = ~np.eye(n_neurons, dtype=bool)  # (inputs, neurons)
        if task in REGION_TASKS and labels is not None:
            same = labels[:, None] == labels[None]
            allowed &= same if task == "intra_region" else ~same
        elif task == GROUP_TASK and self._groups is not None:
            allowed &= self._groups[:, None] != self._groups[None]
        parts = (training, validation)
        designs = [self._standardise(*part).reshape(-1, n_neurons) for part in parts]
        offsets = [_offset_where(self.offset_, *part).reshape(-1, n_neurons) for part in parts]
        targets = [counts.reshape(-1, n_neurons) for counts, _ in parts]
        self.weights_[task], self.ridge_[task] = _choose_ridge(
            designs, targets, offsets, allowed, self.ridges
        )

    def _fit_forward(self, training: Trials, validation: Trials) -> None:
        counts, observed = training
        n_time, n_neurons = counts.shape[1:]
        n_ahead = self.n_forward_bins or max(1, round(0.1 * n_time))
        if n_ahead >= n_time:
            raise InvalidInputError(
                f"forward prediction of {n_ahead} of {n_time} bins; expected fewer, "
                "so that something is visible."
            )
        ends = np.unique(np.linspace(max(1, n_time // 2), n_time - n_ahead, 6).round().astype(int))
        population = np.concatenate([self._last(counts, observed, end, 10) for end in ends])
        self.population_mean_ = population.mean(0)
        _, _, basis = np.linalg.svd(population - self.population_mean_, full_matrices=False)
        self.basis_ = basis[: self.n_components].T.astype(np.float32)
        scores = (population - self.population_mean_) @ self.basis_
        # One scale for all components: the ridge then shrinks the small, noisy ones most.
        self.basis_ /= scores.std(0).max().clip(1e-6)
        own = np.concatenate([self._own(counts, observed, end) for end in ends])
        self.own_mean_, self.own_scale_ = own.mean(0), own.std(0).clip(1e-3)
        sets = []
        for part in (training, validation):
            blocks = [self._forward_inputs(*_bins(part, slice(end))) for end in ends]
            ahead = [slice(end, end + n_ahead) for end in ends]
            truth = [part[0][:, bins].sum(1) for bins in ahead]
            base = [_offset_where(self.offset_[b], *_bins(part, b)) for b in ahead]
            offset = np.concatenate([np.log(np.exp(o).sum(1).clip(1e-300)) for o in base])
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

    def _forward_inputs(
        self, visible: np.ndarray, observed: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return shared inputs (trials, components) and each neuron's own (trials, 3, neurons)."""
        end = visible.shape[1]
        shared = (self._last(visible, observed, end, 10) - self.population_mean_) @ self.basis_
        own = (self._own(visible, observed, end) - self.own_mean_) / self.own_scale_
        return shared.astype(np.float32), own.astype(np.float32)

    def _forward_change(self, visible: np.ndarray, observed: np.ndarray | None) -> np.ndarray:
        weights = self.weights_["forward_prediction"]
        return _linear(self._forward_inputs(visible, observed), weights)

    def _last(
        self, counts: np.ndarray, observed: np.ndarray | None, end: int, width: int
    ) -> np.ndarray:
        """Mean counts over the last bins before `end`, or a neuron's mean where it has none."""
        bins = slice(max(0, end - width), end)
        if observed is None:
            return counts[:, bins].mean(1)
        mean = observed_mean(counts[:, bins], observed[:, bins], 1)
        return np.where(observed[:, bins].any(1), mean, self._rate)

    def _own(self, counts: np.ndarray, observed: np.ndarray | None, end: int) -> np.ndarray:
        """Mean counts over the last 4, last 10 and all visible bins, (trials, 3, neurons)."""
        return np.stack([self._last(counts, observed, end, width) for width in (4, 10, end)], 1)

    def _smooth(self, counts: np.ndarray, observed: np.ndarray | None = None) -> np.ndarray:
        """Smooth over time; NaN where nothing near was observed."""
        floats = counts.astype(np.float32)
        return observed_smooth(floats, observed, self.smoothing, 1, "reflect", np.nan)

    def _standardise(self, counts: np.ndarray, observed: np.ndarray | None = None) -> np.ndarray:
        inputs = ((self._smooth(counts, observed) - self.mean_) / self.scale_).astype(np.float32)
        return inputs if observed is None else np.nan_to_num(inputs)


def _offset_where(
    offset: np.ndarray, counts: np.ndarray, observed: np.ndarray | None
) -> np.ndarray:
    """Give each trial the log-rates (bins, neurons), or no rate where nothing was observed."""
    offsets = np.broadcast_to(offset, counts.shape)
    return offsets if observed is None else np.where(observed, offsets, NO_LOG_RATE)


def _check_hidden(hidden: np.ndarray, groups: np.ndarray) -> None:
    """Refuse trials in which no group is hidden as a whole, or several always are."""
    whole = np.asarray(hidden.all(1))  # (trials, neurons)
    found = [whole[:, groups == group].all(1) for group in np.unique(groups)]
    # In single trials a second group may be hidden, as nothing of it was observed.
    if not np.any(found, axis=0).all() or np.sum(found, axis=0).min() > 1:
        raise InvalidInputError(
            "the neurons that are hidden together are no group that was fitted; expected the same "
            "groups in both: PoissonGLM(groups=10) and evaluate(..., groups=10)."
        )


def _bins(trials: Trials, bins: slice) -> Trials:
    counts, observed = trials
    return counts[:, bins], None if observed is None else observed[:, bins]


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
