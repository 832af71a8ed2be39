"""Scores of predicted rates against spike counts, in plain numpy.

Counts and rates have neurons on the last axis; all other axes are summed over. Rates are expected
counts per bin. Where `observed` is False nothing is scored, whatever counts and rates are there.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaln, xlogy

from ._checks import as_array
from ._counts import where_observed
from ._observed import observed_mean
from .errors import InvalidInputError, public

__all__ = ["bits_per_spike", "poisson_d2", "poisson_nll", "psth_r2", "trial_r2"]

# A rate of zero would make a single spike infinitely surprising.
LEAST_SCORED_RATE = 1e-9
# Variation below this share of the total is rounding: the neuron does not vary.
ROUNDING = 1e-12


@public
def poisson_nll(
    counts: ArrayLike, rates: ArrayLike, *, observed: ArrayLike | None = None
) -> np.ndarray:
    """Negative log-likelihood of counts under Poisson rates, summed per neuron.

    Parameters
    ----------
    counts : array-like, (..., neurons)
        Spike counts.
    rates : array-like, (..., neurons)
        Expected counts per bin; broadcast to `counts`, floored at 1e-9.
    observed : array-like of bool, broadcast to `counts`, optional
        False where nothing was recorded.

    Returns
    -------
    ndarray, (neurons,)
        In nats.

    Examples
    --------
    >>> float(poisson_nll([[0.0]], [[2.0]])[0])
    2.0
    """
    counts, rates, observed = _check(counts, rates, observed)
    return _nll(counts, rates, observed)


@public
def bits_per_spike(
    counts: ArrayLike,
    rates: ArrayLike,
    *,
    null_rates: ArrayLike | None = None,
    pooled: bool = False,
    observed: ArrayLike | None = None,
) -> np.ndarray | float:
    """Information gain over a constant rate, in bits for each spike.

    Parameters
    ----------
    counts : array-like, (..., neurons)
        Spike counts.
    rates : array-like, (..., neurons)
        Expected counts per bin.
    null_rates : array-like, (neurons,), optional
        Constant rate of the null model. By default each neuron's mean over these same counts, which
        favours the null; pass the training means for a null that could have been known.
    pooled : bool, default=False
        Give one ratio over all neurons, as the Neural Latents Benchmark does, instead of one each.
    observed : array-like of bool, broadcast to `counts`, optional
        False where nothing was recorded.

    Returns
    -------
    ndarray, (neurons,), or float
        NaN for a neuron without a spike.

    References
    ----------
    Pei, F. et al. (2021). Neural Latents Benchmark '21. NeurIPS Datasets and Benchmarks.

    Examples
    --------
    >>> float(bits_per_spike([[1.0], [0.0]], [[1.0], [0.0]])[0].round(6))
    1.0
    """
    counts, rates, observed = _check(counts, rates, observed)
    null = _mean(counts, observed)
    if null_rates is not None:
        null = as_array("null_rates", null_rates, dtype=float)
    if null.shape != counts.shape[-1:]:
        raise InvalidInputError(
            f"null_rates has shape {null.shape}; expected {counts.shape[-1:]}, one "
            "constant rate a neuron."
        )
    if not np.isfinite(null).all() or (null < 0).any():
        raise InvalidInputError(
            "null_rates must be finite and not negative; pass expected counts per bin."
        )
    constant = np.broadcast_to(null, counts.shape)
    gain = _nll(counts, constant, observed) - _nll(counts, rates, observed)
    spikes = _sum(counts, observed)
    if pooled:
        active = spikes > 0
        gain, spikes = gain[active].sum(), spikes[active].sum()
        return float(gain / spikes / np.log(2)) if spikes else float("nan")
    return _ratio(gain / np.log(2), spikes)


@public
def poisson_d2(
    counts: ArrayLike, rates: ArrayLike, *, observed: ArrayLike | None = None
) -> np.ndarray:
    """Share of the Poisson deviance explained, per neuron; 1 is perfect, 0 the mean rate.

    Parameters
    ----------
    counts, rates : array-like, (..., neurons)
        Spike counts and expected counts per bin.
    observed : array-like of bool, broadcast to `counts`, optional
        False where nothing was recorded.

    Returns
    -------
    ndarray, (neurons,)
        NaN for a neuron without a spike or without variation.
    """
    counts, rates, observed = _check(counts, rates, observed)
    saturated = _sum(counts - xlogy(counts, counts), observed)
    mean = _mean(counts, observed)
    null = _sum(mean - xlogy(counts, mean), observed) - saturated
    rates = np.maximum(rates, LEAST_SCORED_RATE)
    model = _sum(rates - xlogy(counts, rates), observed)
    spikes = _sum(counts, observed)
    return 1 - _ratio(model - saturated, np.where(null > ROUNDING * spikes, null, 0.0))


@public
def psth_r2(
    counts: ArrayLike,
    rates: ArrayLike,
    conditions: ArrayLike,
    *,
    observed: ArrayLike | None = None,
) -> np.ndarray:
    """R² of condition-averaged responses (PSTHs), per neuron.

    Parameters
    ----------
    counts, rates : array-like, (trials, time, neurons)
        Spike counts and expected counts per bin.
    conditions : array-like, (trials,) or (trials, variables)
        Trials with equal rows are averaged together.
    observed : array-like of bool, broadcast to `counts`, optional
        False where nothing was recorded; rates are averaged over the trials that counts are.

    Returns
    -------
    ndarray, (neurons,)
        Conditions and bins are taken together, those that were observed in a trial at least; NaN for
        a constant PSTH.
    """
    counts, rates, observed = _check(counts, rates, observed)
    if counts.ndim != 3:
        raise InvalidInputError(
            f"counts has shape {counts.shape}; expected three axes, (trials, time, neurons)."
        )
    labels = np.asarray(conditions)
    labels = labels.astype(str) if labels.dtype == object else labels  # mixed columns have no order
    if labels.shape[:1] != counts.shape[:1]:
        raise InvalidInputError(
            f"conditions has shape {labels.shape} for {len(counts)} trials; expected one "
            "row a trial."
        )
    group = np.unique(labels.reshape(len(labels), -1), axis=0, return_inverse=True)[1].ravel()
    members = [group == g for g in np.unique(group)]
    there = None if observed is None else np.concatenate([observed[m].any(0) for m in members])
    truth, predicted = (
        np.concatenate([_mean(x[m], None if observed is None else observed[m], 0) for m in members])
        for x in (counts, rates)
    )
    return trial_r2(truth, predicted, observed=there)


@public
def trial_r2(
    counts: ArrayLike, rates: ArrayLike, *, observed: ArrayLike | None = None
) -> np.ndarray:
    """R² over all trials and bins together, per neuron and unclipped.

    Parameters
    ----------
    counts, rates : array-like, (..., neurons)
        Spike counts and expected counts per bin.
    observed : array-like of bool, broadcast to `counts`, optional
        False where nothing was recorded.

    Returns
    -------
    ndarray, (neurons,)
        NaN for a neuron that does not vary.
    """
    counts, rates, observed = _check(counts, rates, observed)
    residual = _sum((counts - rates) ** 2, observed)
    variation = _sum((counts - _mean(counts, observed)) ** 2, observed)
    varies = variation > ROUNDING * _sum(counts**2, observed)
    return 1 - _ratio(residual, np.where(varies, variation, 0.0))


def _nll(counts: np.ndarray, rates: np.ndarray, observed: np.ndarray | None) -> np.ndarray:
    rates = np.maximum(rates, LEAST_SCORED_RATE)
    return _sum(rates - xlogy(counts, rates) + gammaln(counts + 1), observed)


def _sum(x: np.ndarray, observed: np.ndarray | None) -> np.ndarray:
    """Sum over all axes but neurons, and over what was observed."""
    axes = tuple(range(x.ndim - 1))
    return (x if observed is None else np.where(observed, x, 0.0)).sum(axes)


def _mean(
    x: np.ndarray, observed: np.ndarray | None, axes: int | tuple[int, ...] | None = None
) -> np.ndarray:
    """Average over all axes but neurons, or over some, of what was observed; 0 where nothing was."""
    axes = tuple(range(x.ndim - 1)) if axes is None else axes
    return observed_mean(x, observed, axes)


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    out = np.full(np.shape(numerator), np.nan)
    return np.divide(numerator, denominator, out=out, where=denominator > 0)


def _check(
    counts: ArrayLike, rates: ArrayLike, observed: ArrayLike | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    counts = as_array("counts", counts, dtype=float, order="K")
    rates = as_array("rates", rates, dtype=float, order="K")
    if counts.ndim < 2:
        raise InvalidInputError(
            f"counts has shape {counts.shape}; expected (..., neurons), at least two axes."
        )
    try:
        rates = np.broadcast_to(rates, counts.shape)
    except ValueError as error:
        raise InvalidInputError(
            f"rates has shape {rates.shape}; expected {counts.shape}, that of the counts."
        ) from error
    where = where_observed([observed], counts.shape)
    if where is not None:
        counts, rates = np.where(where, counts, 0.0), np.where(where, rates, 0.0)
    for name, values in (("counts", counts), ("rates", rates)):
        if not np.isfinite(values).all() or (values < 0).any():
            raise InvalidInputError(
                f"{name} must be finite and not negative; pass spike counts and expected "
                "counts per bin, not log-rates. Say by observed= where nothing was recorded."
            )
    return counts, rates, where
