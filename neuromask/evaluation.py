"""Four tasks that score how well a recording is predicted from parts of itself.

The evaluator hides entries, asks any callable for rates and scores the hidden entries, so that a
baseline is judged by the very code that judges a model. Hidden entries are zero in what the
callable is given; the true counts never leave this module.

References
----------
Zhang, Y. et al. (2024). Towards a "universal translator" for neural dynamics at single-cell,
single-spike resolution. NeurIPS.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ._checks import as_names, check_choice, check_positive_int, check_regions, check_spikes
from .errors import InvalidInputError, public
from .metrics import bits_per_spike, poisson_d2

if TYPE_CHECKING:
    from .schemes import Scheme

__all__ = ["TASKS", "TASK_SCHEMES", "PredictRates", "evaluate", "summarise", "task_scheme"]

PredictRates = Callable[[np.ndarray, np.ndarray, str], np.ndarray]

# Schemes whose prompt serves a task, best first.
TASK_SCHEMES = {
    "co_smoothing": ("neuron", "random"),
    "forward_prediction": ("causal", "temporal"),
    "intra_region": ("intra-region", "neuron"),
    "inter_region": ("inter-region", "neuron"),
}
TASKS = tuple(TASK_SCHEMES)
REGION_TASKS = ("intra_region", "inter_region")
COLUMNS = ("session", "task", "neuron", "region", "n_spikes", "bps", "d2")
SUMMARY_COLUMNS = ["session", "task", "bps", "bps_median", "bps_weighted", "d2"]
SUMMARY_COLUMNS += ["n_neurons", "n_silent"]


@dataclass(frozen=True)
class _Pass:
    """One way of hiding: which entries of every trial, and which neurons' answers count."""

    hidden: np.ndarray  # (time, neurons) bool, or a shape that broadcasts to it
    answers: np.ndarray  # (answers,) neuron indices


@public
def evaluate(
    predict_rates: PredictRates,
    X: Any,
    regions: Any = None,
    *,
    tasks: Sequence[str] | None = None,
    neurons: Any = None,
    n_forward_bins: int | None = None,
    ignore_regions: Sequence[str] = ("root", "void"),
    null_rates: Any = None,
    max_bytes: int = 2**26,
    progress: Callable[[int, int], None] | None = None,
) -> pd.DataFrame:
    """Score predicted rates on co-smoothing, forward, intra- and inter-region prediction.

    ================== ============================================= =======================
    task               visible                                       predicted
    ================== ============================================= =======================
    co_smoothing       all other neurons                             one neuron, all bins
    forward_prediction all neurons, bins before the last             the last bins
    intra_region       the other neurons of the neuron's own region  one neuron, all bins
    inter_region       all other regions                             a whole region
    ================== ============================================= =======================

    Parameters
    ----------
    predict_rates : callable
        ``predict_rates(counts, hidden, task)`` with counts and the boolean `hidden` of shape
        (trials, time, neurons), counts zero where hidden; returns expected counts per bin in the
        same shape. It is called with stacks of trials, never with a fixed number of them.
    X : Session or array-like, (trials, time, neurons)
        Test trials.
    regions : array-like of str, (neurons,), optional
        Region of each neuron, where `X` does not carry them.
    tasks : sequence of str, optional
        Tasks to score; all four by default, or those possible without regions.
    neurons : array-like of bool or int, optional
        Neurons to score; all are still inputs.
    n_forward_bins : int, optional
        Bins held out by forward prediction; a tenth of the trial by default.
    ignore_regions : sequence of str, default=("root", "void")
        Regions that are not targets of intra- and inter-region prediction.
    null_rates : array-like, (neurons,), optional
        Constant rates of the null model of bps, such as training means; by default each neuron's
        mean over the scored entries, which favours the null.
    max_bytes : int, default=2**26
        Bound on the float32 counts given to one call.
    progress : callable, optional
        Called as ``progress(done, total)`` with passes done and passes in all.

    Returns
    -------
    DataFrame
        Tidy: session, task, neuron, region, n_spikes, bps (bits per spike), d2 (Poisson D²). Scores
        of silent neurons are NaN. ``attrs["excluded"]`` lists what was left out and why.

    Raises
    ------
    InvalidInputError
        For unknown tasks, region tasks without regions, bad selections, or rates of a wrong shape,
        negative or not finite.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).poisson(0.5, (20, 10, 4))
    >>> table = evaluate(lambda counts, hidden, task: np.full(counts.shape, 0.5), X)
    >>> sorted(set(table["task"]))
    ['co_smoothing', 'forward_prediction']
    """
    counts = check_spikes(X)
    _, n_time, n_neurons = counts.shape
    regions = getattr(X, "regions", None) if regions is None else regions
    labels = None if regions is None else check_regions(regions, n_neurons)
    chosen = _chosen_neurons(neurons, n_neurons)
    chosen_tasks = _chosen_tasks(tasks, labels)
    n_forward = _forward_bins(n_forward_bins, n_time)
    ignored = as_names("ignore_regions", ignore_regions)
    null = _null_rates(null_rates, n_neurons)
    check_positive_int("max_bytes", max_bytes)
    excluded: list[dict] = []
    plan = [
        (task, list(_passes(task, counts.shape, labels, chosen, n_forward, ignored, excluded)))
        for task in chosen_tasks
    ]
    if labels is None and tasks is None:
        excluded += [_left_out(task, None, 0, "no regions are known") for task in REGION_TASKS]
    total, done, rows = sum(len(passes) for _, passes in plan), 0, []
    for task, passes in plan:
        window = slice(n_time - n_forward, None) if task == "forward_prediction" else slice(None)
        rates = np.full((len(counts), n_time, n_neurons), np.nan, dtype=np.float32)
        scored = np.concatenate([p.answers for p in passes]) if passes else np.array([], int)
        for stack in _stacks(passes, counts, max_bytes):
            _fill(rates, predict_rates, counts, stack, task)
            done += sum(rows.stop in (None, len(counts)) for _, rows in stack)
            if progress is not None:
                progress(done, total)
        scored = np.sort(scored)
        truth, answer = counts[:, window][:, :, scored], rates[:, window][:, :, scored]
        rows.append(
            pd.DataFrame(
                {
                    "session": getattr(X, "session_id", "session"),
                    "task": task,
                    "neuron": scored,
                    "region": None if labels is None else labels[scored],
                    "n_spikes": truth.sum((0, 1), dtype=np.int64),
                    "bps": bits_per_spike(
                        truth, answer, null_rates=None if null is None else null[scored]
                    ),
                    "d2": poisson_d2(truth, answer),
                }
            )
        )
    table = pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=COLUMNS)
    table.attrs["excluded"] = excluded
    return table


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """Summarise a table of :func:`evaluate` by session and task.

    Parameters
    ----------
    table : DataFrame
        A table of :func:`evaluate`, or several below one another.

    Returns
    -------
    DataFrame
        Per session and task: bps (mean over neurons), bps_median, bps_weighted (by spikes, which is
        the pooled ratio of the Neural Latents Benchmark), d2 (mean), n_neurons scored and n_silent
        left out of the means.
    """
    rows = []
    for (session, task), part in table.groupby(["session", "task"], sort=False):
        known = part[part["bps"].notna()]
        weights = known["n_spikes"]
        rows.append(
            {
                "session": session,
                "task": task,
                "bps": known["bps"].mean(),
                "bps_median": known["bps"].median(),
                "bps_weighted": np.average(known["bps"], weights=weights) if len(known) else np.nan,
                "d2": known["d2"].mean(),
                "n_neurons": len(known),
                "n_silent": len(part) - len(known),
            }
        )
    return pd.DataFrame(rows, columns=SUMMARY_COLUMNS)


def task_scheme(schemes: Sequence[Scheme], task: str) -> int:
    """Return the number of the scheme whose prompt serves a task best, of those that were fitted."""
    names = [s.name for s in schemes]
    return next((names.index(name) for name in TASK_SCHEMES[task] if name in names), 0)


def _passes(
    task: str,
    shape: tuple[int, int, int],
    labels: np.ndarray | None,
    chosen: np.ndarray,
    n_forward: int,
    ignored: tuple[str, ...],
    excluded: list[dict],
) -> Iterator[_Pass]:
    """Enumerate what a task hides, noting what it leaves out."""
    _, n_time, n_neurons = shape
    everyone = np.arange(n_neurons)
    if task == "co_smoothing":
        for neuron in chosen:
            yield _Pass((everyone == neuron)[None], np.array([neuron]))
        return
    if task == "forward_prediction":
        if n_time < 2:
            excluded.append(_left_out(task, None, n_neurons, "a single bin a trial"))
        else:
            yield _Pass((np.arange(n_time) >= n_time - n_forward)[:, None], chosen)
        return
    for region in [] if labels is None else np.unique(labels):
        inside = labels == region
        answers = chosen[inside[chosen]]
        reason = None
        if region in ignored:
            reason = "in ignore_regions"
        elif task == "intra_region" and inside.sum() < 2:
            reason = "fewer than two neurons"
        elif task == "inter_region" and inside.all():
            reason = "no other region"
        if reason is not None:
            excluded.append(_left_out(task, str(region), int(inside.sum()), reason))
        elif task == "inter_region" and len(answers):
            yield _Pass(inside[None], answers)
        elif task == "intra_region":
            for neuron in answers:
                yield _Pass((~inside | (everyone == neuron))[None], np.array([neuron]))


def _left_out(task: str, region: str | None, n_neurons: int, reason: str) -> dict:
    return {"task": task, "region": region, "n_neurons": n_neurons, "reason": reason}


def _stacks(
    passes: Sequence[_Pass], counts: np.ndarray, max_bytes: int
) -> Iterator[list[tuple[_Pass, slice]]]:
    """Group passes, or parts of their trials, so that one call stays within memory."""
    n_trials, n_time, n_neurons = counts.shape
    room = max(1, max_bytes // (4 * n_time * n_neurons))  # trials in one call
    if room >= n_trials:
        step = room // n_trials
        for start in range(0, len(passes), step):
            yield [(p, slice(None)) for p in passes[start : start + step]]
        return
    for p in passes:
        for start in range(0, n_trials, room):
            yield [(p, slice(start, min(start + room, n_trials)))]


def _fill(
    rates: np.ndarray,
    predict_rates: PredictRates,
    counts: np.ndarray,
    stack: list[tuple[_Pass, slice]],
    task: str,
) -> None:
    """Ask for one stack of masked trials and keep the answers that count."""
    shape = counts.shape[1:]
    hidden = np.concatenate(
        [
            np.broadcast_to(p.hidden, (len(range(*rows.indices(len(counts)))), *shape))
            for p, rows in stack
        ]
    )
    visible = np.concatenate([counts[rows] for _, rows in stack])
    visible[hidden] = 0
    answer = np.asarray(predict_rates(visible, hidden, task))
    if answer.shape != visible.shape:
        raise InvalidInputError(
            f"predict_rates returned shape {answer.shape}; expected {visible.shape}, one "
            "expected count for each entry it was given."
        )
    start = 0
    for p, rows in stack:
        part = counts[rows]
        block = answer[start : start + len(part)][:, :, p.answers]
        if not np.isfinite(block).all() or (block < 0).any():
            raise InvalidInputError(
                "predict_rates returned rates that are negative or not finite; expected "
                "expected counts per bin, not log-rates."
            )
        rates[rows][:, :, p.answers] = block
        start += len(part)


def _chosen_neurons(neurons: Any, n_neurons: int) -> np.ndarray:
    if neurons is None:
        return np.arange(n_neurons)
    chosen = np.asarray(neurons)
    if chosen.dtype == bool and chosen.shape == (n_neurons,):
        chosen = np.flatnonzero(chosen)
    if (
        chosen.ndim != 1
        or chosen.dtype.kind not in "iu"
        or not len(chosen)
        or chosen.min() < 0
        or chosen.max() >= n_neurons
    ):
        raise InvalidInputError(
            f"neurons={neurons!r}; expected indices below {n_neurons} or a boolean mask "
            f"of shape ({n_neurons},), at least one neuron."
        )
    return np.unique(chosen)


def _chosen_tasks(tasks: Sequence[str] | None, labels: np.ndarray | None) -> tuple[str, ...]:
    if tasks is None:
        return TASKS if labels is not None else tuple(t for t in TASKS if t not in REGION_TASKS)
    names = (tasks,) if isinstance(tasks, str) else tuple(tasks)
    for name in names:
        check_choice("tasks", name, TASKS)
        if name in REGION_TASKS and labels is None:
            raise InvalidInputError(
                f"task {name!r} needs a region for each neuron and none are known; pass "
                "regions or a Session that has them."
            )
    return tuple(dict.fromkeys(names))


def _null_rates(null_rates: Any, n_neurons: int) -> np.ndarray | None:
    if null_rates is None:
        return None
    null = np.asarray(null_rates, dtype=float)
    if null.shape != (n_neurons,) or not np.isfinite(null).all() or (null < 0).any():
        raise InvalidInputError(
            f"null_rates has shape {null.shape}; expected ({n_neurons},) finite, "
            "non-negative expected counts per bin, one for every neuron of X, scored or not."
        )
    return null


def _forward_bins(n_forward_bins: int | None, n_time: int) -> int:
    if n_forward_bins is None:
        return max(1, round(0.1 * n_time))
    check_positive_int("n_forward_bins", n_forward_bins)
    if n_forward_bins >= n_time:
        raise InvalidInputError(
            f"n_forward_bins={n_forward_bins} of {n_time} bins; expected fewer, so that "
            "something is visible."
        )
    return int(n_forward_bins)
