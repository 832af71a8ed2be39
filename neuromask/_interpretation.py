"""Where and when behaviour can be decoded: scores by region and by time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import check_cv

from .decoding import pooled_r2

__all__ = ["importance_of_regions", "scores_over_time"]


def importance_of_regions(
    answers: Callable[[np.ndarray], np.ndarray],
    truth: np.ndarray,
    regions: np.ndarray,
    hidden: np.ndarray,
    *,
    classes: bool,
    n_bootstrap: int,
    seed: int,
) -> pd.DataFrame:
    """Table the drop of the score when each region is hidden.

    Parameters
    ----------
    answers : callable
        Decodes all trials with a mask over neurons hidden.
    truth : ndarray
        What should be decoded.
    regions : ndarray of str, (neurons,)
        Region of each neuron.
    hidden : ndarray of bool, (neurons,)
        Neurons that are hidden anyway; their regions are left out.
    classes : bool
        Whether the score is balanced accuracy, or R².
    n_bootstrap : int
        Resamples of trials for standard errors; both scores are of the same resample.
    seed : int
        Source of the resamples.
    """
    score = _metric(classes)
    chance = np.random.default_rng(seed)
    samples = [_resample(truth, chance, classes) for _ in range(n_bootstrap)]
    whole = answers(hidden)
    rows = []
    for region in np.unique(regions[~hidden]):
        partial = answers(hidden | (regions == region))
        drops = [score(truth[s], whole[s]) - score(truth[s], partial[s]) for s in samples]
        rows.append(
            {
                "region": str(region),
                "n_neurons": int((regions == region).sum()),
                "score": score(truth, whole),
                "score_hidden": score(truth, partial),
                "importance": score(truth, whole) - score(truth, partial),
                "importance_se": float(np.std(drops, ddof=1)) if n_bootstrap > 1 else np.nan,
            }
        )
    table = pd.DataFrame(rows).sort_values("importance", ascending=False, kind="stable")
    return table.reset_index(drop=True)


def scores_over_time(
    answers: Callable[[np.ndarray, np.ndarray], np.ndarray],
    truth: np.ndarray,
    bins: np.ndarray,
    *,
    cv: Any,
    classes: bool,
) -> pd.DataFrame:
    """Table the cross-validated score of each bin.

    Parameters
    ----------
    answers : callable
        ``answers(training, test)`` fits on some trials and decodes others, (test trials, bins, ...).
    truth : ndarray, (trials,) or (trials, bins, ...)
        What should be decoded.
    bins : ndarray of int, (bins,)
        Bins that answers are for.
    cv : int, splitter or iterable
        As in scikit-learn.
    classes : bool
        Whether the score is balanced accuracy, or R².
    """
    score, rows = _metric(classes), []
    for fold, (training, test) in enumerate(
        check_cv(cv, truth, classifier=classes).split(np.empty(len(truth)), truth)
    ):
        answer = answers(training, test)
        for i, number in enumerate(bins):
            expected = truth[test][:, i : i + 1] if truth.ndim > 1 else truth[test]
            given = answer[:, i : i + 1] if truth.ndim > 1 else answer[:, i]
            rows.append({"fold": fold, "bin": int(number), "score": score(expected, given)})
    return pd.DataFrame(rows)


def _metric(classes: bool) -> Callable[[np.ndarray, np.ndarray], float]:
    return balanced_accuracy_score if classes else pooled_r2


def _resample(truth: np.ndarray, chance: np.random.Generator, classes: bool) -> np.ndarray:
    """Draw trials with replacement, within classes so that none gets lost."""
    if not classes:
        return chance.integers(len(truth), size=len(truth))
    groups = [np.flatnonzero(truth == label) for label in np.unique(truth)]
    return np.concatenate([chance.choice(group, len(group)) for group in groups])
