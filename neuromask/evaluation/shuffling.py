"""Test trials that predictions are scored on, with what chance would make of them.

Resampled trials say how well a score is known. Shuffled ones, in which each is predicted from the source's
activity in another trial of its kind, say what is left of it where the two share no more than their kind.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import xlogy

from .._observed import observed_mean
from ..errors import warn
from ..metrics import LEAST_SCORED_RATE, poisson_d2

__all__ = ["Score", "ScoredTrials"]


@dataclass(frozen=True)
class Score:
    """Scores of one target as read from one view."""

    n_source: int
    n_target: int
    bps: float
    d2: float
    resampled: np.ndarray  # (bootstrap samples,)
    permuted: np.ndarray  # (shuffles,)
    shuffled: float  # mean over all other trials of the condition


@dataclass(frozen=True)
class Shuffles:
    """Other trials that could have been a trial's own, as far as is known beforehand."""

    orders: np.ndarray  # (shuffles, trials), the trial whose source each gets
    others: np.ndarray  # (trials, trials), weights of the other trials of its kind
    n_alone: int  # trials of which there is no other of their kind

    @classmethod
    def of(cls, kinds: np.ndarray, n_shuffles: int, rng: np.random.Generator) -> Shuffles:
        """Draw shuffles of trials within their kind."""
        n = len(kinds)
        others = (kinds[:, None] == kinds) & ~np.eye(n, dtype=bool)
        alone = ~others.any(1)
        others[alone, alone] = True
        orders = np.tile(np.arange(n), (n_shuffles, 1))
        for kind in np.unique(kinds):
            rows = np.flatnonzero(kinds == kind)
            orders[:, rows] = rng.permuted(orders[:, rows], axis=1)
        return cls(orders, others / others.sum(1, keepdims=True), int(alone.sum()))


@dataclass(frozen=True)
class ScoredTrials:
    """Test trials, with the draws of them that all pairs share."""

    counts: np.ndarray  # (trials, time, neurons)
    observed: np.ndarray | None
    null: np.ndarray  # (neurons,) mean counts per bin
    weights: np.ndarray  # (bootstrap samples, trials), how often each is drawn
    conditions: np.ndarray  # (trials,) numbers
    n_shuffles: int
    seed: int
    drawn: dict[bytes, Shuffles]

    @classmethod
    def of(
        cls,
        counts: np.ndarray,
        observed: np.ndarray | None,
        conditions: np.ndarray,
        n_shuffles: int,
        n_bootstrap: int,
        rng: np.random.Generator,
    ) -> ScoredTrials:
        """Draw resampled trials; shuffles are drawn as sources are asked for."""
        n = len(counts)
        weights = rng.multinomial(n, np.full(n, 1 / n), size=n_bootstrap)
        null = observed_mean(counts, observed, (0, 1))
        seed = int(rng.integers(2**31))
        return cls(counts, observed, null, weights, conditions, n_shuffles, seed, {})

    def shuffles(self, shown: np.ndarray) -> Shuffles:
        """Draw shuffles among trials of one condition in which the same was observed of a source.

        A trial whose source was not observed is predicted by its mean course, and in place of one that
        was would look as if the source had told something.
        """
        kinds = self.conditions
        if self.observed is not None:
            seen = np.packbits(self.observed[:, :, shown].reshape(len(kinds), -1), axis=1)
            patterns = np.unique(seen, axis=0, return_inverse=True)[1].ravel()
            pairs = np.stack([kinds, patterns], 1)
            kinds = np.unique(pairs, axis=0, return_inverse=True)[1].ravel()
        key = kinds.tobytes()
        if key not in self.drawn:
            self.drawn[key] = Shuffles.of(kinds, self.n_shuffles, np.random.default_rng(self.seed))
        return self.drawn[key]

    def warn_of_the_lonely(self) -> None:
        """Warn of trials that nothing can be shuffled with."""
        n_alone = max(shuffles.n_alone for shuffles in self.drawn.values())
        if n_alone:
            same = "" if self.observed is None else ", with the same observed of a source,"
            warn(
                f"{n_alone} of {len(self.counts)} trials are alone in their condition{same} so that their "
                "shared activity cannot be told from a shared response: they count as none in bps_shared. Give "
                "conditions that several trials have in common."
            )

    def spikes(self, neurons: np.ndarray) -> np.ndarray:
        """Return the spikes of some neurons in each trial, (trials, neurons)."""
        return self.counts[:, :, neurons].sum(1, dtype=float)

    def score(self, rates: np.ndarray, neurons: np.ndarray, shown: np.ndarray) -> Score:
        """Score rates (trials, time, neurons) of some neurons, each of which spikes."""
        n_trials, n_source = len(self.counts), int(shown.sum())
        shuffles = self.shuffles(shown)
        if not len(neurons):
            resampled, permuted = (np.full(len(x), np.nan) for x in (self.weights, shuffles.orders))
            return Score(n_source, 0, np.nan, np.nan, resampled, permuted, np.nan)
        counts = self.counts[:, :, neurons].astype(float)
        seen = None if self.observed is None else self.observed[:, :, neurons]
        there = np.ones(counts.shape) if seen is None else seen.astype(float)
        rates = np.maximum(rates, LEAST_SCORED_RATE).astype(float)
        log_rates, null = np.log(rates), self.null[neurons]
        spikes = self.spikes(neurons)
        base = (xlogy(counts, null) - there * null).sum(1)
        gains = ((counts * log_rates - there * rates).sum(1) - base) / np.log(2)
        weight = 1 / (spikes.sum(0) * np.log(2) * len(neurons))
        # What each trial gains from the prediction that was made in each other one.
        told = _products(counts * weight, log_rates) - _products(there * weight, rates)
        told -= (base * weight).sum(1)[:, None]
        permuted = told[np.arange(n_trials), shuffles.orders].sum(1)
        shuffled = float((told * shuffles.others).sum())
        if shuffles.n_alone == n_trials:
            permuted, shuffled = np.full(len(permuted), np.nan), np.nan
        return Score(
            n_source,
            len(neurons),
            float(np.trace(told)),
            float(np.nanmean(poisson_d2(counts, rates, observed=seen))),
            _mean_ratio(self.weights @ gains, self.weights @ spikes),
            permuted,
            shuffled,
        )


def _products(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Sum products of all pairs of trials over bins and neurons, (trials, trials)."""
    return one.reshape(len(one), -1) @ other.reshape(len(other), -1).T


def _mean_ratio(gains: np.ndarray, spikes: np.ndarray) -> np.ndarray:
    """Mean over neurons of bits per spike, over those that spike in a sample, (samples,)."""
    ratio = np.divide(gains, spikes, out=np.zeros(gains.shape), where=spikes > 0)
    return ratio.sum(1) / (spikes > 0).sum(1).clip(1)
