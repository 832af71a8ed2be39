"""What each task hides, and the rates that are predicted for it.

Entries are hidden and any callable is asked for their rates, so that a baseline is judged by the very
code that judges a model. Hidden entries are zero in what the callable is given; the true counts never
leave this package. What was not observed is hidden always, and never scored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from .._checks import as_array, as_names, check_choice, check_positive_int, check_regions
from .._counts import read_spikes
from ..errors import InvalidInputError, public
from ..session import as_session
from .groups import GROUP_TASK, neuron_groups, with_group_task

if TYPE_CHECKING:
    from ..schemes import Scheme

__all__ = [
    "REGION_TASKS",
    "TASKS",
    "TASK_SCHEMES",
    "Pass",
    "PredictRates",
    "Progress",
    "Request",
    "check_rates",
    "chosen_tasks",
    "left_out",
    "passes_of",
    "predict_hidden",
    "predict_passes",
    "task_scheme",
]

PredictRates = Callable[[np.ndarray, np.ndarray, str], np.ndarray]


@runtime_checkable
class PredictsOneByOne(Protocol):
    """What may predict neurons one by one at less than the cost of a call for each of them."""

    def one_by_one(
        self,
        counts: np.ndarray,
        observed: np.ndarray | None,
        hidden: np.ndarray,
        neurons: np.ndarray,
        task: str,
        tell: Callable[[int], None],
    ) -> np.ndarray:
        """Return rates (trials, time, n_asked) of neurons that are each hidden while predicted.

        Parameters
        ----------
        counts : ndarray, (trials, time, neurons)
            All counts, of which those of a neuron must have no part in its own prediction.
        observed : ndarray of bool, (trials, time, neurons), or None
            Which of them were observed; None where all were.
        hidden : ndarray of bool, (neurons,)
            Neurons that are hidden beside the one that is predicted.
        neurons : ndarray of int, (n_asked,)
            Neurons to predict.
        task : str
            The task.
        tell : callable
            Told how many neurons are done.
        """


Progress = Callable[[int, int], None]

# Schemes whose prompt serves a task, best first.
TASK_SCHEMES = {
    "co_smoothing": ("neuron", "random"),
    "forward_prediction": ("causal", "temporal"),
    "intra_region": ("intra-region", "neuron"),
    "inter_region": ("inter-region", "neuron"),
    GROUP_TASK: ("neuron", "random"),
}
# What is scored unless tasks are named; held-out groups are a task only where there are groups.
TASKS = tuple(task for task in TASK_SCHEMES if task != GROUP_TASK)
REGION_TASKS = ("intra_region", "inter_region")


@dataclass(frozen=True)
class Pass:
    """One way of hiding: which entries of every trial, and which neurons' answers count."""

    hidden: np.ndarray  # (time, neurons) bool, or a shape that broadcasts to it
    answers: np.ndarray  # (answers,) neuron indices
    one_by_one: bool = False  # whether each of these is hidden in turn, beside `hidden`

    def __len__(self) -> int:
        """Return how many times entries are hidden and asked for."""
        return len(self.answers) if self.one_by_one else 1

    def in_turn(self) -> Iterator[Pass]:
        """Yield passes that hide all their neurons at once."""
        if not self.one_by_one:
            yield self
            return
        everyone = np.arange(self.hidden.shape[1])
        for neuron in self.answers:
            yield Pass(self.hidden | (everyone == neuron), np.array([neuron]))


@dataclass(frozen=True)
class Request:
    """Test trials and what is asked of them, checked."""

    counts: np.ndarray  # (trials, time, neurons), 0 where not observed
    observed: np.ndarray | None  # (trials, time, neurons) bool; None where all was
    labels: np.ndarray | None  # (neurons,) regions
    chosen: np.ndarray  # (neurons to predict,) indices
    n_forward: int
    ignored: tuple[str, ...]
    max_bytes: int
    groups: np.ndarray | None = None  # (neurons,) numbers of groups that are hidden together

    @classmethod
    def read(
        cls,
        X: Any,
        regions: Any,
        neurons: Any,
        n_forward_bins: int | None,
        ignore_regions: Sequence[str],
        max_bytes: int,
        groups: Any = None,
    ) -> Request:
        """Check what users pass; see :func:`neuromask.evaluate`."""
        counts, observed = read_spikes(X)
        _, n_time, n_neurons = counts.shape
        regions = getattr(X, "regions", None) if regions is None else regions
        check_positive_int("max_bytes", max_bytes)
        return cls(
            counts,
            observed,
            None if regions is None else check_regions(regions, n_neurons, counts.shape),
            _chosen_neurons(neurons, n_neurons),
            _forward_bins(n_forward_bins, n_time),
            as_names("ignore_regions", ignore_regions),
            max_bytes,
            None if groups is None else neuron_groups(groups, n_neurons),
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
    groups: Any = None,
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
    groups : int or array-like, (neurons,), optional
        Groups of neurons that are hidden together, as in :func:`evaluate`; for ``group_co_smoothing``.

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
    X = as_session(X)
    if groups is not None and task != GROUP_TASK:
        raise InvalidInputError(
            f"groups are given for task={task!r}, which hides none; expected task={GROUP_TASK!r}."
        )
    request = Request.read(X, regions, neurons, n_forward_bins, ignore_regions, max_bytes, groups)
    (name,) = chosen_tasks("task", [task], request.labels, request.groups)
    if not callable(predict_rates):
        raise InvalidInputError(
            f"predict_rates is a {type(predict_rates).__name__}; expected a function "
            "predict_rates(counts, hidden, task), as rates that are given hide nothing. Score "
            "them with neuromask.evaluate."
        )
    passes = list(passes_of(name, request, []))
    done = 0

    def tell(n: int) -> None:
        nonlocal done
        done += n
        if progress is not None:
            progress(done, sum(map(len, passes)))

    return predict_passes(predict_rates, request, name, passes, tell)


def task_scheme(schemes: Sequence[Scheme], task: str) -> int:
    """Return the number of the scheme whose prompt serves a task best, of those that were fitted."""
    names = [s.name for s in schemes]
    return next((names.index(name) for name in TASK_SCHEMES[task] if name in names), 0)


def passes_of(task: str, request: Request, excluded: list[dict]) -> Iterator[Pass]:
    """Enumerate what a task hides, noting what it leaves out."""
    _, n_time, n_neurons = request.counts.shape
    labels, chosen = request.labels, request.chosen
    if task == "co_smoothing":
        yield Pass(np.zeros((1, n_neurons), dtype=bool), chosen, one_by_one=True)
        return
    if task == GROUP_TASK and request.groups is not None:
        for group in np.unique(request.groups[chosen]):
            inside = request.groups == group
            yield Pass(inside[None], chosen[inside[chosen]])
        return
    if task == "forward_prediction":
        if n_time < 2:
            excluded.append(left_out(task, None, n_neurons, "a single bin a trial"))
        else:
            yield Pass((np.arange(n_time) >= n_time - request.n_forward)[:, None], chosen)
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
            excluded.append(left_out(task, str(region), int(inside.sum()), reason))
        elif task == "inter_region" and len(answers):
            yield Pass(inside[None], answers)
        elif task == "intra_region" and len(answers):
            yield Pass(~inside[None], answers, one_by_one=True)


def left_out(task: str, region: str | None, n_neurons: int, reason: str) -> dict:
    """Note what a task leaves out, and why."""
    return {"task": task, "region": region, "n_neurons": n_neurons, "reason": reason}


def predict_passes(
    predict_rates: PredictRates,
    request: Request,
    task: str,
    passes: Sequence[Pass],
    tell: Callable[[int], None],
) -> np.ndarray:
    """Return a task's rates (trials, time, neurons), NaN where it predicts nothing.

    `tell` hears how many passes are done after each call.
    """
    counts = request.counts
    rates = np.full(counts.shape, np.nan, dtype=np.float32)
    if isinstance(predict_rates, PredictsOneByOne):
        asked = [p for p in passes if p.one_by_one]
        passes = [p for p in passes if not p.one_by_one]
        for p in asked:
            answer = predict_rates.one_by_one(
                counts, request.observed, p.hidden[0], p.answers, task, tell
            )
            check_rates(answer, "one_by_one returned rates")
            rates[:, :, p.answers] = answer
    passes = [single for p in passes for single in p.in_turn()]
    for stack in _stacks(passes, counts, request.max_bytes):
        _fill(rates, predict_rates, request, stack, task)
        tell(sum(rows.stop in (None, len(counts)) for _, rows in stack))
    return rates


def chosen_tasks(
    argument: str,
    tasks: Sequence[str] | None,
    labels: np.ndarray | None,
    groups: np.ndarray | None = None,
) -> tuple[str, ...]:
    """Check the names of tasks, all that regions allow where none are named; `argument` is theirs."""
    if tasks is None:
        allowed = TASKS if labels is not None else tuple(t for t in TASKS if t not in REGION_TASKS)
        return with_group_task(argument, allowed, groups)
    names = as_names(argument, tasks)
    for name in names:
        check_choice(argument, name, tuple(TASK_SCHEMES))
        if name in REGION_TASKS and labels is None:
            raise InvalidInputError(
                f"task {name!r} needs a region for each neuron and none are known; pass "
                "regions or a Session that has them."
            )
    return with_group_task(argument, tuple(dict.fromkeys(names)), groups)


def check_rates(rates: np.ndarray, what: str) -> None:
    """Refuse rates that are negative or not finite; `what` begins the error."""
    if not np.isfinite(rates).all() or (rates < 0).any():
        raise InvalidInputError(
            f"{what} that are negative or not finite; expected expected counts per bin, not log-rates."
        )


def _stacks(
    passes: Sequence[Pass], counts: np.ndarray, max_bytes: int
) -> Iterator[list[tuple[Pass, slice]]]:
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
    request: Request,
    stack: list[tuple[Pass, slice]],
    task: str,
) -> None:
    """Ask for one stack of masked trials and keep the answers that count."""
    counts, observed = request.counts, request.observed
    shape = counts.shape[1:]
    hidden = np.concatenate(
        [
            np.broadcast_to(p.hidden, (len(range(*rows.indices(len(counts)))), *shape))
            for p, rows in stack
        ]
    )
    if observed is not None:
        hidden |= ~np.concatenate([observed[rows] for _, rows in stack])
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
        check_rates(block, "predict_rates returned rates")
        hidden = np.broadcast_to(p.hidden, shape)[:, p.answers]
        rates[rows][:, :, p.answers] = np.where(hidden, block, np.nan)
        start += len(part)


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
