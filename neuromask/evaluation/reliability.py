"""How far a recording can be predicted, and how well a score is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from .._checks import as_array, check_fraction, check_positive_int
from .._counts import read_spikes
from .._observed import observed_mean
from ..errors import InvalidInputError, public
from ..session import as_session

__all__ = ["bits_interval", "psth_reliability"]


@public
def psth_reliability(
    X: Any, conditions: Any = None, *, n_splits: int = 100, random_state: int = 0
) -> np.ndarray:
    """Estimate how much of each neuron's PSTH is response, and not noise of few trials.

    Trials are cut into random halves, and the PSTHs of both correlated. The mean correlation r of
    halves gives that of all trials, 2 r / (1 + r). It is what share of the variance of the measured
    PSTH is response: the best that `metrics.psth_r2` can be on these trials, for any model. It says
    nothing of what varies from trial to trial, which bits per spike count too.

    Parameters
    ----------
    X : Session or array-like, (trials, time, neurons)
        Trials, at least four.
    conditions : array-like, (trials,), optional
        Trials of one condition are averaged together, and the PSTHs of all conditions count; halves
        are of each condition. One condition by default.
    n_splits : int, default=100
        Random halves to average over.
    random_state : int, default=0
        Seed of the halves.

    Returns
    -------
    ndarray, (neurons,)
        1 is no noise, 0 or below no response that these trials could show; NaN where a PSTH is
        constant.

    References
    ----------
    Spearman, C. (1910), Brown, W. (1910). British Journal of Psychology 3. Schoppe, O. et al. (2016).
    Measuring the performance of neural models. Frontiers in Computational Neuroscience 10.

    Examples
    --------
    >>> import neuromask as nm
    >>> chance = np.random.default_rng(0)
    >>> response = np.exp(np.sin(np.arange(40) / 5))[:, None]  # (time, neurons)
    >>> counts = chance.poisson(0.2 * response, (100, 40, 1))
    >>> float(psth_reliability(counts).round(1)[0])
    0.9
    """
    counts, observed = read_spikes(as_session(X), min_trials=4)
    check_positive_int("n_splits", n_splits)
    check_positive_int("random_state", random_state, minimum=0)
    labels = np.zeros(len(counts), int)
    if conditions is not None:
        labels = np.unique(as_array("conditions", conditions, order="K"), return_inverse=True)[1]
    if labels.shape != (len(counts),) or np.bincount(labels).min() < 2:
        raise InvalidInputError(
            f"conditions name {labels.size} trials of {len(counts)}, the fewest of one condition "
            f"{np.bincount(labels.ravel()).min()}; expected one for each trial, and two trials of each."
        )
    groups = [np.flatnonzero(labels == label) for label in range(labels.max() + 1)]
    generator, total = np.random.default_rng(random_state), np.zeros(counts.shape[2])
    for _ in range(n_splits):
        halves: tuple[list, list] = ([], [])
        for group in groups:
            cut = np.array_split(generator.permutation(group), 2)
            for half, rows in zip(halves, cut, strict=True):
                seen = None if observed is None else observed[rows]
                half.append(observed_mean(counts[rows], seen, 0))
        total += _correlation(*(np.concatenate(half) for half in halves))
    r = total / n_splits
    return 2 * r / (1 + r).clip(1e-9)


def _correlation(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Correlate two courses (time, neurons) of each neuron; NaN where one is constant."""
    one, other = one - one.mean(0), other - other.mean(0)
    product = np.sqrt((one**2).sum(0) * (other**2).sum(0))
    out = np.full(product.shape, np.nan)
    return np.divide((one * other).sum(0), product, out=out, where=product > 1e-12)


@public
def bits_interval(
    X: Any,
    rates: Any,
    other_rates: Any = None,
    *,
    groups: Any = None,
    confidence: float = 0.95,
    n_bootstrap: int = 2000,
    random_state: int = 0,
) -> pd.DataFrame:
    """Bound the bits per spike of predicted rates, or their lead over others, over test trials.

    Trials are drawn again with replacement, all neurons of a trial together, as they share its state.
    The interval says how the score would differ on other trials like these. It knows nothing of
    another seed of the fit, or of another animal. The null rates are those of all trials throughout.

    Parameters
    ----------
    X : Session or array-like, (trials, time, neurons)
        Test trials.
    rates : array-like, (trials, time, neurons)
        Expected counts per bin of :func:`neuromask.predict_hidden`; entries that are NaN do not count.
    other_rates : array-like, (trials, time, neurons), optional
        Rates of another model on the same trials, to compare with.
    groups : array-like, (trials,), optional
        Trials of one group, such as a block, are drawn together: neighbours in time are alike, and
        intervals without groups too narrow.
    confidence : float, default=0.95
        Coverage of the interval.
    n_bootstrap : int, default=2000
        Draws.
    random_state : int, default=0
        Seed of the draws.

    Returns
    -------
    DataFrame
        One row: bps_weighted (bits over all spikes) with `low` and `high`; with `other_rates` also
        `difference`, `difference_low` and `difference_high`, of the same draws.

    Examples
    --------
    >>> import neuromask as nm
    >>> session = nm.simulate(60, n_neurons=8, random_state=0)
    >>> psth = nm.baselines.PSTH().fit(session[:40]).predict_rates(session[40:].counts, None, "")
    >>> table = bits_interval(session[40:], session[40:].rates, psth)
    >>> bool((table["low"] < table["bps_weighted"]).all())
    True
    """
    counts, observed = read_spikes(as_session(X))
    check_fraction("confidence", confidence, low=1e-6)
    check_positive_int("n_bootstrap", n_bootstrap)
    check_positive_int("random_state", random_state, minimum=0)
    models = [_rates("rates", rates, counts.shape)]
    if other_rates is not None:
        models.append(_rates("other_rates", other_rates, counts.shape))
    scored = np.all([np.isfinite(m) for m in models], axis=0)
    if observed is not None:
        scored &= observed
    spikes = np.where(scored, counts, 0).sum((1, 2)).astype(float)
    if not spikes.any():
        raise InvalidInputError("no spike is among the scored entries; expected one at least.")
    null = np.broadcast_to(observed_mean(counts, scored, (0, 1)), counts.shape)
    bits = [_gains(counts, m, null, scored) for m in models]
    of_trial = np.arange(len(counts))
    if groups is not None:
        of_trial = np.unique(as_array("groups", groups, order="K"), return_inverse=True)[1]
        if of_trial.shape != (len(counts),):
            raise InvalidInputError(
                f"groups has shape {of_trial.shape}; expected ({len(counts)},), one a trial."
            )
    n_units = int(of_trial.max()) + 1
    spikes, *bits = (np.bincount(of_trial, x, minlength=n_units) for x in (spikes, *bits))
    draws = np.random.default_rng(random_state).multinomial(
        n_units, np.full(n_units, 1 / n_units), size=n_bootstrap
    )
    drawn = (draws @ spikes).clip(1e-9)
    edges = [0.5 - confidence / 2, 0.5 + confidence / 2]
    row = {"bps_weighted": bits[0].sum() / spikes.sum()}
    row["low"], row["high"] = np.quantile(draws @ bits[0] / drawn, edges)
    if len(bits) > 1:
        lead = bits[0] - bits[1]
        row["difference"] = lead.sum() / spikes.sum()
        bounds = np.quantile(draws @ lead / drawn, edges)
        row["difference_low"], row["difference_high"] = bounds
    return pd.DataFrame([row])


def _rates(name: str, given: Any, shape: tuple[int, ...]) -> np.ndarray:
    rates = as_array(name, given, dtype=float, order="K")
    try:
        rates = np.broadcast_to(rates, shape)
    except ValueError as error:
        raise InvalidInputError(
            f"{name} has shape {rates.shape}; expected {shape}, that of X."
        ) from error
    if (rates < 0).any() or np.isinf(rates).any():
        raise InvalidInputError(
            f"{name} has entries that are negative or infinite; expected expected counts per bin."
        )
    return rates


def _gains(
    counts: np.ndarray, rates: np.ndarray, null: np.ndarray, scored: np.ndarray
) -> np.ndarray:
    """Return how many bits each trial's scored entries are likelier under `rates` than under `null`."""
    rates, null = (np.where(scored, x, 1.0).clip(1e-9) for x in (rates, null))
    gain = counts * (np.log(rates) - np.log(null)) - rates + null
    return np.where(scored, gain, 0.0).sum((1, 2)) / np.log(2)
