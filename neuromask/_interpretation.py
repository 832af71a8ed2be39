"""Where and when behaviour can be decoded: scores by region and by time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import check_cv

from ._errors import InvalidInputError
from ._random import random_streams
from ._readout import fit_readout, make_folds
from ._recordings import Recording
from ._targets import Classes, Signals
from .decoding import pooled_r2

__all__ = ["region_importance", "scores_over_time"]


def region_importance(
    decoder: Any, recording: Recording, truth: np.ndarray, *, n_bootstrap: int, caller: str
) -> pd.DataFrame:
    """Table the drop of a fitted decoder's score when each region is hidden.

    Parameters
    ----------
    decoder : MtMDecoder
        Fitted.
    recording : Recording
        Trials to score.
    truth : ndarray
        What should be decoded.
    n_bootstrap : int
        Resamples of trials for standard errors; both scores are of the same resample.
    caller : str
        Name put in front of errors.
    """
    info = recording.info
    if info.regions is None:
        raise InvalidInputError(
            f"{caller}: no regions are known for session {info.session_id!r}; expected one a "
            "neuron. Pretrain with a Session that carries them, or with regions=..."
        )
    regions, hidden = np.array(info.regions), decoder._hidden
    # The head of the scheme that was pretrained with hidden regions, where there is one.
    scheme = "inter-region" if "inter-region" in decoder.readouts_ else decoder.scheme_
    is_classes = hasattr(decoder, "predict_proba")
    score = _metric(is_classes)
    chance = np.random.default_rng(random_streams(decoder.random_state).split)
    samples = [_resample(truth, chance, is_classes) for _ in range(n_bootstrap)]
    whole = decoder._decode(recording, hidden, scheme)
    rows = []
    for region in np.unique(regions[~hidden]):
        inside = regions == region
        partial = decoder._decode(recording, hidden | inside, scheme)
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
    decoder: Any,
    X: Any,
    y: np.ndarray,
    target: Classes | Signals,
    bins: np.ndarray,
    *,
    cv: Any,
    causal: str | None,
) -> pd.DataFrame:
    """Table the cross-validated score of each bin.

    Parameters
    ----------
    decoder : MtMDecoder
        Clones of it are fitted.
    X : Session or ndarray, (trials, time, neurons)
        Trials.
    y : ndarray
        What to decode, as users gave it.
    target : Classes or Signals
        The same, checked.
    bins : ndarray of int, (bins,)
        Bins to score.
    cv : int, splitter or iterable
        As in scikit-learn.
    causal : str or None
        Scheme with causal attention; used where there is one value a trial.
    """
    is_classes = isinstance(target, Classes)
    score, rows = _metric(is_classes), []
    splits = check_cv(cv, y, classifier=is_classes).split(np.empty(len(y)), y)
    for fold, (training, test) in enumerate(splits):
        fitted = clone(decoder)
        if target.per_bin:
            answer = fitted.fit(X[training], y[training]).predict(X[test])
            pairs = ((y[test][:, i : i + 1], answer[:, i : i + 1]) for i in bins)
        else:
            fitted.set_params(scheme=causal).fit(X[training], y[training])
            answer = _bin_by_bin(fitted, X[training], target.take(training), X[test], bins)
            pairs = ((y[test], answer[:, i]) for i in range(len(bins)))
        rows += [
            {"fold": fold, "bin": int(i), "score": float(score(*pair))}
            for i, pair in zip(bins, pairs, strict=True)
        ]
    return pd.DataFrame(rows)


def _bin_by_bin(
    fitted: Any, X: Any, target: Classes | Signals, X_test: Any, bins: np.ndarray
) -> np.ndarray:
    """Fit a read-out to each bin alone; return answers (test trials, bins)."""
    network = fitted.pretrainer_._network()
    caller = "MtMDecoder.time_resolved"
    known = [fitted._known(x, caller) for x in (X, X_test)]
    training, test = (
        network.decoding_features(x, fitted._hidden, fitted.scheme_, per_bin=True) for x in known
    )
    weights = target.trial_weights(fitted.class_weight)
    folds = make_folds(target, random_streams(fitted.random_state).split)
    answers = []
    for i in bins:
        one = slice(i, i + 1)
        readout = fit_readout(
            training[:, one],
            target,
            block_sizes=network.block_sizes(known[0], per_bin=True),
            trial_weights=weights,
            folds=folds,
        )
        answers.append(fitted._answers(readout, readout.predict(test[:, one])))
    return np.stack(answers, axis=1)


def _metric(classes: bool) -> Callable[[np.ndarray, np.ndarray], float]:
    return balanced_accuracy_score if classes else pooled_r2


def _resample(truth: np.ndarray, chance: np.random.Generator, classes: bool) -> np.ndarray:
    """Draw trials with replacement, within classes so that none gets lost."""
    if not classes:
        return chance.integers(len(truth), size=len(truth))
    groups = [np.flatnonzero(truth == label) for label in np.unique(truth)]
    return np.concatenate([chance.choice(group, len(group)) for group in groups])
