"""Four tasks that score how well a recording is predicted from parts of itself.

:func:`predict_hidden` hides entries and asks any callable for their rates; :func:`evaluate` scores
these rates, so that a baseline is judged by the very code that judges a model. Hidden entries are
zero in what the callable is given; the true counts never leave this module. :func:`summarise` makes
a few numbers of the scores of many neurons.

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
from numpy.typing import ArrayLike

from ._checks import (
    as_array,
    as_names,
    check_choice,
    check_positive_int,
    check_regions,
    check_spikes,
)
from ._tables import need_columns
from .errors import InvalidInputError, public
from .metrics import bits_per_spike, poisson_d2

if TYPE_CHECKING:
    from .schemes import Scheme

__all__ = [
    "MIN_SPIKES",
    "TASKS",
    "TASK_SCHEMES",
    "PredictRates",
    "evaluate",
    "predict_hidden",
    "summarise",
    "task_scheme",
]

PredictRates = Callable[[np.ndarray, np.ndarray, str], np.ndarray]
Progress = Callable[[int, int], None]

# Schemes whose prompt serves a task, best first.
TASK_SCHEMES = {
    "co_smoothing": ("neuron", "random"),
    "forward_prediction": ("causal", "temporal"),
    "intra_region": ("intra-region", "neuron"),
    "inter_region": ("inter-region", "neuron"),
}
TASKS = tuple(TASK_SCHEMES)
REGION_TASKS = ("intra_region", "inter_region")
COLUMNS = ("session", "task", "neuron", "region", "n_spikes", "rate", "bps", "d2")
SUMMARY_COLUMNS = ["session", "task", "bps_weighted", "bps", "bps_median", "bps_1hz", "d2"]
SUMMARY_COLUMNS += ["n_neurons", "n_few", "n_silent"]
#: Fewest scored spikes of a neuron that counts in means over neurons.
MIN_SPIKES = 10
# Spikes per second of the neurons that published means over "active" neurons are made of.
ACTIVE_RATE = 1.0


@dataclass(frozen=True)
class _Pass:
    """One way of hiding: which entries of every trial, and which neurons' answers count."""

    hidden: np.ndarray  # (time, neurons) bool, or a shape that broadcasts to it
    answers: np.ndarray  # (answers,) neuron indices


@dataclass(frozen=True)
class _Request:
    """Test trials and what is asked of them, checked."""

    counts: np.ndarray  # (trials, time, neurons)
    labels: np.ndarray | None  # (neurons,) regions
    chosen: np.ndarray  # (neurons to predict,) indices
    n_forward: int
    ignored: tuple[str, ...]
    max_bytes: int

    @classmethod
    def read(
        cls,
        X: Any,
        regions: Any,
        neurons: Any,
        n_forward_bins: int | None,
        ignore_regions: Sequence[str],
        max_bytes: int,
    ) -> _Request:
        counts = check_spikes(X)
        _, n_time, n_neurons = counts.shape
        regions = getattr(X, "regions", None) if regions is None else regions
        check_positive_int("max_bytes", max_bytes)
        return cls(
            counts,
            None if regions is None else check_regions(regions, n_neurons),
            _chosen_neurons(neurons, n_neurons),
            _forward_bins(n_forward_bins, n_time),
            as_names("ignore_regions", ignore_regions),
            max_bytes,
        )

    def window(self, task: str) -> slice:
        """Return the bins that a task predicts."""
        ahead = task == "forward_prediction"
        return slice(self.counts.shape[1] - self.n_forward, None) if ahead else slice(None)


@public
def predict_hidden(
    predict_rates: PredictRates,
    X: Any,
    regions: Any = None,
    *,
    task: str = "co_smoothing",
    neurons: Any = None,
    n_forward_bins: int | None = None,
    ignore_regions: Sequence[str] = ("root", "void"),
    max_bytes: int = 2**26,
    progress: Progress | None = None,
) -> np.ndarray:
    """Predict every entry while it is hidden: the rates that :func:`evaluate` scores.

    In co-smoothing, each neuron is predicted from all others without seeing itself. These are the
    rates to draw beside the counts, and to analyse: rates that have seen the counts they are compared
    with flatter the model.

    Parameters
    ----------
    predict_rates : callable
        ``predict_rates(counts, hidden, task)``, as in :func:`evaluate`; rates that do not depend on
        what is hidden are refused.
    X, regions, neurons, n_forward_bins, ignore_regions, max_bytes, progress
        As in :func:`evaluate`.
    task : str, default="co_smoothing"
        What is hidden while an entry is predicted, see :func:`evaluate`.

    Returns
    -------
    ndarray of float32, (trials, time, neurons)
        Expected counts per bin, NaN where the task predicts nothing: bins that forward prediction
        sees, neurons that were not asked for, regions that are left out.

    Raises
    ------
    InvalidInputError
        As :func:`evaluate` does.

    Examples
    --------
    >>> import neuromask as nm
    >>> session = nm.simulate(20, n_neurons=8, n_time=20)
    >>> glm = nm.baselines.PoissonGLM(["co_smoothing"]).fit(session)
    >>> nm.predict_hidden(glm.predict_rates, session).shape
    (20, 20, 8)
    """
    request = _Request.read(X, regions, neurons, n_forward_bins, ignore_regions, max_bytes)
    (name,) = _chosen_tasks("task", [task], request.labels)
    if not callable(predict_rates):
        raise InvalidInputError(
            f"predict_rates is a {type(predict_rates).__name__}; expected a function "
            "predict_rates(counts, hidden, task), as rates that are given hide nothing. Score "
            "them with neuromask.evaluate."
        )
    passes = list(_passes(name, request, []))
    done = 0

    def tell(n: int) -> None:
        nonlocal done
        done += n
        if progress is not None:
            progress(done, len(passes))

    return _predict(predict_rates, request, name, passes, tell)


@public
def evaluate(
    predict_rates: PredictRates | ArrayLike,
    X: Any,
    regions: Any = None,
    *,
    tasks: Sequence[str] | None = None,
    neurons: Any = None,
    n_forward_bins: int | None = None,
    ignore_regions: Sequence[str] = ("root", "void"),
    null_rates: Any = None,
    max_bytes: int = 2**26,
    progress: Progress | None = None,
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
    predict_rates : callable, or array-like (trials, time, neurons)
        ``predict_rates(counts, hidden, task)`` with counts and the boolean `hidden` of shape
        (trials, time, neurons), counts zero where hidden; returns expected counts per bin in the
        same shape. It is called with stacks of trials, never with a fixed number of them. Or rates
        that are the same whatever is hidden, such as the true ones of a simulation, which are the
        ceiling. Rates of a model that has seen the counts of `X` score too well.
    X : Session or array-like, (trials, time, neurons)
        Test trials.
    regions : array-like of str, (neurons,), optional
        Region of each neuron, where `X` does not carry them.
    tasks : sequence of str, optional
        Tasks to score; all four by default, or those possible without regions.
    neurons : array-like of bool or int, optional
        Neurons to score; all are still inputs.
    n_forward_bins : int, optional
        Bins that forward prediction hides; a tenth of the trial by default.
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
        Tidy: session, task, neuron, region, n_spikes (scored), rate (spikes per second in all of `X`,
        NaN without a bin width), bps (bits per spike), d2 (Poisson D²). Scores of silent neurons are
        NaN. ``attrs["excluded"]`` lists what was left out and why.

    Raises
    ------
    InvalidInputError
        For unknown tasks, region tasks without regions, bad selections, or rates of a wrong shape,
        negative or not finite.

    Examples
    --------
    >>> import neuromask as nm
    >>> session = nm.simulate(20, n_neurons=8, n_time=20)
    >>> ceiling = nm.evaluate(session.rates, session, tasks=["co_smoothing"])
    >>> table = nm.evaluate(nm.baselines.MeanRate().fit(session).predict_rates, session)
    >>> sorted(set(table["task"]))
    ['co_smoothing', 'forward_prediction', 'inter_region', 'intra_region']
    """
    request = _Request.read(X, regions, neurons, n_forward_bins, ignore_regions, max_bytes)
    counts, labels = request.counts, request.labels
    chosen_tasks = _chosen_tasks("tasks", tasks, labels)
    null = _null_rates(null_rates, counts.shape[2])
    if not callable(predict_rates):
        given = _given_rates(predict_rates, counts.shape)
    excluded: list[dict] = []
    plan = {task: list(_passes(task, request, excluded)) for task in chosen_tasks}
    if labels is None and tasks is None:
        excluded += [_left_out(task, None, 0, "no regions are known") for task in REGION_TASKS]
    total, done, rows = sum(len(passes) for passes in plan.values()), 0, []

    def tell(n: int) -> None:
        nonlocal done
        done += n
        if progress is not None:
            progress(done, total)

    bin_width = getattr(X, "bin_width", None)
    spikes_a_second = counts.mean((0, 1)) / (np.nan if bin_width is None else bin_width)
    for task, passes in plan.items():
        scored = np.sort(np.concatenate([p.answers for p in passes] or [np.array([], int)]))
        window = request.window(task)
        if callable(predict_rates):
            rates = _predict(predict_rates, request, task, passes, tell)
        else:
            rates = given
            _check_rates(rates[:, window][:, :, scored], "rates has entries")
        truth, answer = counts[:, window][:, :, scored], rates[:, window][:, :, scored]
        rows.append(
            pd.DataFrame(
                {
                    "session": getattr(X, "session_id", "session"),
                    "task": task,
                    "neuron": scored,
                    "region": None if labels is None else labels[scored],
                    "n_spikes": truth.sum((0, 1), dtype=np.int64),
                    "rate": spikes_a_second[scored],
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


@public
def summarise(table: pd.DataFrame, *, min_spikes: int = MIN_SPIKES) -> pd.DataFrame:
    """Summarise a table of :func:`evaluate` by session and task.

    A neuron that is lost during a recording may have one spike in the test trials, which a model of
    the training trials is charged hundreds of bits for: a plain mean over neurons is then that
    neuron's. Two kinds of numbers are given. `bps_weighted` is all bits over all spikes. It ranks
    models on the same trials by their likelihood, a neuron's say in it is as large as its share of
    the spikes, and it exists however short the test is: so :meth:`MtMPretrainer.score` and
    comparisons use it. The others are means over neurons, as most papers report, of those neurons
    that have enough spikes to be judged by.

    Parameters
    ----------
    table : DataFrame
        A table of :func:`evaluate`, or several below one another.
    min_spikes : int, default=10
        Fewest scored spikes of a neuron that counts in `bps`, `bps_median`, `bps_1hz` and `d2`.

    Returns
    -------
    DataFrame
        Per session and task:

        - bps_weighted: mean over all spikes, which is the pooled ratio of the Neural Latents
          Benchmark;
        - bps, bps_median, d2: mean or median over the neurons with at least `min_spikes`;
        - bps_1hz: mean over those of them that fire at least once a second; NaN where the table
          knows no rates;
        - n_neurons: how many have at least `min_spikes`; n_few: fewer; n_silent: none.

    Examples
    --------
    >>> import pandas as pd
    >>> scores = {"n_spikes": [50, 50, 1, 0], "bps": [0.2, 0.4, -300.0, float("nan")], "d2": 0.1}
    >>> table = pd.DataFrame({"session": "a", "task": "co_smoothing", **scores})
    >>> summarise(table)[["bps", "n_neurons", "n_few", "n_silent"]].round(3).values.tolist()
    [[0.3, 2.0, 1.0, 1.0]]
    """
    check_positive_int("min_spikes", min_spikes)
    need_columns(table, ("session", "task", "n_spikes", "bps", "d2"), "neuromask.evaluate")
    rows = []
    for (session, task), part in table.groupby(["session", "task"], sort=False, dropna=False):
        known = part[part["bps"].notna()]
        counted = known[known["n_spikes"] >= min_spikes]
        active = counted[counted["rate"] >= ACTIVE_RATE] if "rate" in counted else counted[:0]
        bits, spikes = known["bps"] * known["n_spikes"], known["n_spikes"].sum()
        rows.append(
            {
                "session": session,
                "task": task,
                "bps_weighted": bits.sum() / spikes if spikes else np.nan,
                "bps": counted["bps"].mean(),
                "bps_median": counted["bps"].median(),
                "bps_1hz": active["bps"].mean(),
                "d2": counted["d2"].mean(),
                "n_neurons": len(counted),
                "n_few": len(known) - len(counted),
                "n_silent": len(part) - len(known),
            }
        )
    return pd.DataFrame(rows, columns=SUMMARY_COLUMNS)


def task_scheme(schemes: Sequence[Scheme], task: str) -> int:
    """Return the number of the scheme whose prompt serves a task best, of those that were fitted."""
    names = [s.name for s in schemes]
    return next((names.index(name) for name in TASK_SCHEMES[task] if name in names), 0)


def _passes(task: str, request: _Request, excluded: list[dict]) -> Iterator[_Pass]:
    """Enumerate what a task hides, noting what it leaves out."""
    _, n_time, n_neurons = request.counts.shape
    labels, chosen = request.labels, request.chosen
    everyone = np.arange(n_neurons)
    if task == "co_smoothing":
        for neuron in chosen:
            yield _Pass((everyone == neuron)[None], np.array([neuron]))
        return
    if task == "forward_prediction":
        if n_time < 2:
            excluded.append(_left_out(task, None, n_neurons, "a single bin a trial"))
        else:
            yield _Pass((np.arange(n_time) >= n_time - request.n_forward)[:, None], chosen)
        return
    for region in [] if labels is None else np.unique(labels):
        inside = labels == region
        answers = chosen[inside[chosen]]
        reason = None
        if region in request.ignored:
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


def _predict(
    predict_rates: PredictRates,
    request: _Request,
    task: str,
    passes: Sequence[_Pass],
    tell: Callable[[int], None],
) -> np.ndarray:
    """Return a task's rates (trials, time, neurons), NaN where it predicts nothing.

    `tell` hears how many passes are done after each call.
    """
    counts = request.counts
    rates = np.full(counts.shape, np.nan, dtype=np.float32)
    for stack in _stacks(passes, counts, request.max_bytes):
        _fill(rates, predict_rates, counts, stack, task)
        tell(sum(rows.stop in (None, len(counts)) for _, rows in stack))
    return rates


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
    answer = as_array("what predict_rates returned", predict_rates(visible, hidden, task))
    if answer.shape != visible.shape:
        raise InvalidInputError(
            f"predict_rates returned shape {answer.shape}; expected {visible.shape}, one "
            "expected count for each entry it was given."
        )
    start = 0
    for p, rows in stack:
        part = counts[rows]
        block = answer[start : start + len(part)][:, :, p.answers]
        _check_rates(block, "predict_rates returned rates")
        hidden = np.broadcast_to(p.hidden, shape)[:, p.answers]
        rates[rows][:, :, p.answers] = np.where(hidden, block, np.nan)
        start += len(part)


def _given_rates(given: ArrayLike, shape: tuple[int, ...]) -> np.ndarray:
    """Return rates that were given in place of a function."""
    rates = as_array("rates", given, dtype=np.float32, order="K")
    if rates.shape != shape:
        raise InvalidInputError(
            f"rates has shape {rates.shape}; expected {shape}, that of X, or a function "
            "predict_rates(counts, hidden, task)."
        )
    return rates


def _check_rates(rates: np.ndarray, what: str) -> None:
    if not np.isfinite(rates).all() or (rates < 0).any():
        raise InvalidInputError(
            f"{what} that are negative or not finite; expected expected counts per bin, not log-rates."
        )


def _chosen_neurons(neurons: Any, n_neurons: int) -> np.ndarray:
    if neurons is None:
        return np.arange(n_neurons)
    chosen = as_array("neurons", neurons)
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


def _chosen_tasks(
    argument: str, tasks: Sequence[str] | None, labels: np.ndarray | None
) -> tuple[str, ...]:
    if tasks is None:
        return TASKS if labels is not None else tuple(t for t in TASKS if t not in REGION_TASKS)
    names = as_names(argument, tasks)
    for name in names:
        check_choice(argument, name, TASKS)
        if name in REGION_TASKS and labels is None:
            raise InvalidInputError(
                f"task {name!r} needs a region for each neuron and none are known; pass "
                "regions or a Session that has them."
            )
    return tuple(dict.fromkeys(names))


def _null_rates(null_rates: Any, n_neurons: int) -> np.ndarray | None:
    if null_rates is None:
        return None
    null = as_array("null_rates", null_rates, dtype=float)
    if null.shape != (n_neurons,):
        raise InvalidInputError(
            f"null_rates has shape {null.shape}; expected ({n_neurons},), one rate for every "
            "neuron of X, scored or not."
        )
    _check_rates(null, "null_rates has entries")
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
