"""Where and when behaviour can be decoded: scores by region and by time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from sklearn.metrics import balanced_accuracy_score

from .._splits import Folds
from .scores import pooled_r2

__all__ = ["region_importance", "scores_over_time"]


def region_importance(
    decode: Callable[[np.ndarray], np.ndarray],
    regions: np.ndarray,
    hidden: np.ndarray,
    truth: np.ndarray,
    *,
    is_classes: bool,
    n_bootstrap: int,
    generator: np.random.Generator,
) -> pd.DataFrame:
    """Table the drop of a decoder's score when each region is hidden.

    Parameters
    ----------
    decode : callable
        ``decode(hidden)`` gives what is decoded where the neurons of a mask (neurons,) are hidden.
    regions : ndarray of str, (neurons,)
        Region of each neuron.
    hidden : ndarray of bool, (neurons,)
        Neurons that are hidden always.
    truth : ndarray
        What should be decoded.
    is_classes : bool
        Whether these are classes, or numbers.
    n_bootstrap : int
        Resamples of trials for standard errors; both scores are of the same resample.
    generator : numpy.random.Generator
        Source of the resamples.
    """
    score = _metric(is_classes)
    samples = [_resample(truth, generator, is_classes) for _ in range(n_bootstrap)]
    whole = decode(hidden)
    rows = []
    for region in np.unique(regions[~hidden]):
        inside = regions == region
        partial = decode(hidden | inside)
        drops = [score(truth[s], whole[s]) - score(truth[s], partial[s]) for s in samples]
        rows.append(
            {
                "region": str(region),
                "n_neurons": int(inside.sum()),
                "score": score(truth, whole),
                "score_hidden": score(truth, partial),
                "importance": score(truth, whole) - score(truth, partial),
                "importance_se": float(np.std(drops, ddof=1)) if n_bootstrap > 1 else np.nan,
            }
        )
    table = pd.DataFrame(rows).sort_values("importance", ascending=False, kind="stable")
    return table.reset_index(drop=True)


def scores_over_time(
    decode_bins: Callable[[np.ndarray, np.ndarray], np.ndarray],
    y: np.ndarray,
    bins: np.ndarray,
    folds: Folds,
    *,
    is_classes: bool,
    per_bin: bool,
) -> pd.DataFrame:
    """Table the cross-validated score of each bin.

    Parameters
    ----------
    decode_bins : callable
        ``decode_bins(training, test)`` fits on some trials and gives what it decodes in each of
        `bins` of others, (test trials, bins) or (test trials, bins, variables).
    y : ndarray
        What to decode.
    bins : ndarray of int, (bins,)
        Bins to score.
    folds : sequence of (ndarray of int, ndarray of int)
        Training and test trials.
    is_classes, per_bin : bool
        Whether these are classes, and whether there is a value in every bin, or one a trial.
    """
    score, rows = _metric(is_classes), []
    for fold, (training, test) in enumerate(folds):
        answers = decode_bins(training, test)
        for i, column in enumerate(bins):
            if per_bin:
                pair = y[test][:, column : column + 1], answers[:, i : i + 1]
            else:
                pair = y[test], answers[:, i]
            rows.append({"fold": fold, "bin": int(column), "score": float(score(*pair))})
    return pd.DataFrame(rows)


def _metric(is_classes: bool) -> Callable[[np.ndarray, np.ndarray], float]:
    return balanced_accuracy_score if is_classes else pooled_r2


def _resample(truth: np.ndarray, generator: np.random.Generator, is_classes: bool) -> np.ndarray:
    """Draw trials with replacement, within classes so that none gets lost."""
    if not is_classes:
        return generator.integers(len(truth), size=len(truth))
    groups = [np.flatnonzero(truth == label) for label in np.unique(truth)]
    return np.concatenate([generator.choice(group, len(group)) for group in groups])
