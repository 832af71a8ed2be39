"""Every region read from every other one, and how much of that is more than a shared response.

A region can be read from another for two reasons: both answer the same event, trial after trial, or
they vary together from one trial to the next. Predictions from the source's activity in *another* trial
of the same condition keep the first and lose the second, and so tell the two apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from .._checks import as_array, check_choice, check_fraction, check_positive_int
from ..errors import InvalidInputError, public
from ..session import as_session
from .hiding import Pass, PredictRates, Progress, Request, predict_passes
from .scores import MIN_SPIKES
from .shuffling import Score, ScoredTrials

__all__ = ["OTHERS", "translation_matrix"]

#: What the source is called where a region is read from all other neurons.
OTHERS = "all others"
# Whose prompt is used.
TASK = "inter_region"
COLUMNS = ["session", "source", "target", "n_source", "n_target", "bps", "bps_low", "bps_high"]
COLUMNS += ["d2", "bps_shuffled", "bps_shared", "p_value"]
# Differences of bits per spike below this are rounding.
ROUNDING = 1e-9


@public
def translation_matrix(
    predict_rates: PredictRates,
    X: Any,
    regions: Any = None,
    *,
    min_neurons: int = 8,
    n_matched: int | str | None = None,
    n_draws: int = 10,
    conditions: Any = None,
    n_shuffles: int = 1000,
    n_bootstrap: int = 1000,
    confidence: float = 0.95,
    ignore_regions: Sequence[str] = ("root", "void"),
    random_state: int = 0,
    max_bytes: int = 2**26,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Score every region as read from every other one, and from all others.

    Parameters
    ----------
    predict_rates : callable
        ``predict_rates(counts, hidden, task)``, as in :func:`evaluate`; the task is ``inter_region``.
    X : Session or array-like, (trials, time, neurons)
        Test trials.
    regions : array-like of str, (neurons,), optional
        Region of each neuron, where `X` does not carry them.
    min_neurons : int, default=8
        Smallest region to read or to read from.
    n_matched : int, "smallest" or None, default=None
        Show only so many neurons of a source and score only so many of a target, drawn `n_draws` times,
        since a region of 300 neurons tells more than one of 10. "smallest" takes as many as the smallest
        region has. None takes all.
    n_draws : int, default=10
        Draws of neurons that scores are averaged over, where their numbers are matched.
    conditions : array-like, (trials,), optional
        Condition of each trial; trials are shuffled within it. By default all are of one condition.
    n_shuffles : int, default=1000
        Shuffles that `p_value` is made of; it is at least ``1 / (n_shuffles + 1)``.
    n_bootstrap : int, default=1000
        Bootstrap samples of trials, the same for all pairs, that intervals are made of.
    confidence : float, default=0.95
        Coverage of the intervals.
    ignore_regions : sequence of str, default=("root", "void")
        Regions that are neither read nor read from on their own; their neurons are among all others.
    random_state : int, default=0
        Draws neurons, shuffles and samples of trials.
    max_bytes : int, default=2**26
        Bound on the float32 counts given to one call.
    progress : callable, optional
        Called as ``progress(done, total)`` with passes done and passes in all.

    Returns
    -------
    DataFrame
        One row for each ordered pair of regions, and for each region from all others:

        ============ ==============================================================================
        session      name of the session, where `X` has one
        source       region that is seen, or ``"all others"``
        target       region that is read
        n_source     neurons that are seen
        n_target     neurons that are scored, those with at least ten spikes
        bps          bits per spike over each neuron's mean in `X`, mean over neurons
        bps_low/high ends of the bootstrap interval over trials
        d2           Poisson D², mean over neurons
        bps_shuffled `bps` from the source in the other trials of the same condition: what is shared with
                     the condition alone
        bps_shared   what the trial itself adds, ``bps - bps_shuffled``
        p_value      share of shuffles, counting the one that happened, with at least this `bps`; for many
                     pairs correct it, as by ``scipy.stats.false_discovery_control``
        ============ ==============================================================================

        ``attrs["excluded"]`` lists regions that were left out and why.

    Raises
    ------
    InvalidInputError
        If fewer than two regions are left, `conditions` does not suit the trials, or a parameter is out
        of range.

    Warns
    -----
    NeuromaskWarning
        If trials are alone in their condition, so that they cannot be shuffled; where they all are,
        `bps_shuffled`, `bps_shared` and `p_value` are NaN.

    Notes
    -----
    Trials are shuffled within their condition, and among those in which the same was observed of the
    source.

    The model was fitted to other trials, and `p_value` is about what the two regions share in these
    trials. It says nothing of the direction of an influence, nor that it is direct: both regions may
    follow a third, and rates of both may drift over a session.

    Examples
    --------
    >>> import neuromask as nm
    >>> session = nm.simulate(60, n_neurons=32, n_time=20)
    >>> pre = nm.MtMPretrainer(dim=16, n_layers=1, max_epochs=2, random_state=0).fit(session[:40])
    >>> table = pre.translation_matrix(session[40:])
    >>> table.pivot(index="source", columns="target", values="bps").shape
    (5, 4)
    """
    X = as_session(X)
    request = Request.read(X, regions, None, None, ignore_regions, max_bytes)
    for name, value, least in (
        ("min_neurons", min_neurons, 1),
        ("n_draws", n_draws, 1),
        ("n_shuffles", n_shuffles, 0),
        ("n_bootstrap", n_bootstrap, 0),
        ("random_state", random_state, 0),
    ):
        check_positive_int(name, value, minimum=least)
    check_fraction("confidence", confidence, low=1e-6, high=1 - 1e-6)
    if not callable(predict_rates):
        raise InvalidInputError(
            f"predict_rates is a {type(predict_rates).__name__}; expected a function "
            "predict_rates(counts, hidden, task)."
        )
    members, excluded = _regions(request, min_neurons)
    group = _group_numbers(conditions, len(request.counts))
    rng = np.random.default_rng(random_state)
    trials = ScoredTrials.of(request.counts, request.observed, group, n_shuffles, n_bootstrap, rng)
    active = {
        name: neurons[trials.spikes(neurons).sum(0) >= MIN_SPIKES]
        for name, neurons in members.items()
    }
    n_matched = _matched(n_matched, active)
    views = list(_views(members, active, n_matched, n_draws, request.counts.shape[2], rng))
    total, done = len(views), 0

    def tell(n: int) -> None:
        nonlocal done
        done += n
        if progress is not None:
            progress(done, total)

    scores: dict[tuple[str, str], list[Score]] = {}
    for view in views:
        answers = np.concatenate(list(view.scored.values()))
        shown = Pass(~view.shown[None], answers)
        rates = predict_passes(predict_rates, request, TASK, [shown], tell)
        for target, neurons in view.scored.items():
            score = trials.score(rates[:, :, neurons], neurons, view.shown)
            scores.setdefault((view.source, target), []).append(score)
    rows = [
        {"session": getattr(X, "session_id", None), "source": source, "target": target}
        | _row(of_pair, confidence)
        for (source, target), of_pair in scores.items()
    ]
    table = pd.DataFrame(rows, columns=COLUMNS)
    table.attrs["excluded"] = excluded
    trials.warn_of_the_lonely()
    return table


@dataclass(frozen=True)
class _View:
    """What is shown of a source, and which neurons of each target are scored."""

    source: str
    shown: np.ndarray  # (neurons,) bool
    scored: dict[str, np.ndarray]  # indices of neurons by target


def _row(scores: Sequence[Score], confidence: float) -> dict[str, Any]:
    """Average the scores of a pair over draws of neurons."""
    mean = {
        name: np.mean([getattr(score, name) for score in scores], 0)
        for name in ("bps", "d2", "resampled", "permuted", "shuffled")
    }
    tails = (0.5 - confidence / 2, 0.5 + confidence / 2)
    low, high = np.quantile(mean["resampled"], tails) if mean["resampled"].size else (np.nan,) * 2
    p_value = np.nan
    if mean["permuted"].size and np.isfinite(mean["permuted"]).all():
        # Shuffles that change nothing are the same but for rounding.
        as_good = mean["permuted"] >= mean["bps"] - ROUNDING
        p_value = (1 + as_good.sum()) / (1 + mean["permuted"].size)
    return {
        "n_source": scores[0].n_source,
        "n_target": round(np.mean([score.n_target for score in scores])),
        "bps": mean["bps"],
        "bps_low": low,
        "bps_high": high,
        "d2": mean["d2"],
        "bps_shuffled": mean["shuffled"],
        "bps_shared": mean["bps"] - mean["shuffled"],
        "p_value": p_value,
    }


def _regions(request: Request, min_neurons: int) -> tuple[dict[str, np.ndarray], list[dict]]:
    """Return the neurons of each region that takes part, and what was left out."""
    if request.labels is None:
        raise InvalidInputError(
            "a translation needs a region for each neuron and none are known; pass regions or a Session "
            "that has them."
        )
    members: dict[str, np.ndarray] = {}
    excluded = []
    for name in np.unique(request.labels):
        neurons = np.flatnonzero(request.labels == name)
        reason = None
        if name in request.ignored:
            reason = "in ignore_regions"
        elif len(neurons) < min_neurons:
            reason = f"fewer than {min_neurons} neurons"
        if reason is None:
            members[str(name)] = neurons
        else:
            excluded.append({"region": str(name), "n_neurons": len(neurons), "reason": reason})
    if len(members) < 2:
        left = [f"{row['region']} ({row['reason']})" for row in excluded]
        raise InvalidInputError(
            f"only {list(members)} of the regions may be read, and two are needed; left out are "
            f"{left}. Lower min_neurons, or ignore fewer regions."
        )
    return members, excluded


def _group_numbers(conditions: Any, n_trials: int) -> np.ndarray:
    """Give each trial the number of its condition."""
    if conditions is None:
        return np.zeros(n_trials, dtype=int)
    labels = as_array("conditions", conditions, order="K")
    if labels.shape != (n_trials,):
        raise InvalidInputError(
            f"conditions has shape {labels.shape}; expected ({n_trials},), a label for each trial."
        )
    numbers = pd.factorize(labels)[0]
    if (numbers < 0).any():
        raise InvalidInputError(
            f"conditions has {int((numbers < 0).sum())} missing values, the first at "
            f"{int((numbers < 0).argmax())}; expected a condition for each trial. Leave those trials out."
        )
    return numbers


def _matched(asked: int | str | None, active: dict[str, np.ndarray]) -> int | None:
    """Return how many neurons to show and to score of each region."""
    if asked is None:
        return None
    fewest = min(active, key=lambda name: len(active[name]))
    n_fewest = len(active[fewest])
    if n_fewest == 0:
        raise InvalidInputError(
            f"n_matched={asked!r}, but no neuron of {fewest} has {MIN_SPIKES} spikes in these trials. Give "
            "more trials, or name the region in ignore_regions."
        )
    if isinstance(asked, str):
        check_choice("n_matched", asked, ("smallest",))
        asked = n_fewest
    check_positive_int("n_matched", asked)
    if asked > n_fewest:
        raise InvalidInputError(
            f"n_matched={asked}, but {fewest} has {n_fewest} neurons of at least {MIN_SPIKES} spikes. "
            "Ask for fewer, or raise min_neurons to leave small regions out."
        )
    return asked


def _views(
    members: dict[str, np.ndarray],
    active: dict[str, np.ndarray],
    n_matched: int | None,
    n_draws: int,
    n_neurons: int,
    rng: np.random.Generator,
) -> Iterator[_View]:
    """Enumerate what is shown and what is read."""
    everyone = np.arange(n_neurons)
    for _ in range(1 if n_matched is None else n_draws):
        scored = active
        if n_matched is not None:
            scored = {
                name: rng.choice(own, n_matched, replace=False) for name, own in active.items()
            }
        for name in members:
            shown = np.isin(everyone, members[name] if n_matched is None else scored[name])
            yield _View(name, shown, {other: own for other, own in scored.items() if other != name})
        for name, own in members.items():
            outside = np.setdiff1d(everyone, own)
            if n_matched is not None:
                outside = rng.choice(outside, n_matched, replace=False)
            yield _View(OTHERS, np.isin(everyone, outside), {name: scored[name]})
