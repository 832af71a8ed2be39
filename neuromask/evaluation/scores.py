"""Scores of predicted rates on the four tasks, and a few numbers of the scores of many neurons.

References
----------
Zhang, Y. et al. (2024). Towards a "universal translator" for neural dynamics at single-cell,
single-spike resolution. NeurIPS.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from .._axes import other_order
from .._checks import as_array, check_positive_int
from .._observed import observed_mean
from .._tables import need_columns
from ..errors import InvalidInputError, public
from ..metrics import bits_per_spike, poisson_d2
from ..session import as_session
from .hiding import (
    REGION_TASKS,
    PredictRates,
    Progress,
    Request,
    check_rates,
    chosen_tasks,
    left_out,
    passes_of,
    predict_passes,
)

__all__ = ["MIN_SPIKES", "evaluate", "summarise"]

COLUMNS = ("session", "task", "neuron", "region", "n_spikes", "rate", "bps", "d2")
SUMMARY_COLUMNS = ["session", "task", "bps_weighted", "bps", "bps_median", "bps_1hz", "d2"]
SUMMARY_COLUMNS += ["n_neurons", "n_few", "n_silent"]
#: Fewest scored spikes of a neuron that counts in means over neurons.
MIN_SPIKES = 10
# Spikes per second of the neurons that published means over "active" neurons are made of.
ACTIVE_RATE = 1.0


@public
def evaluate(
    predict_rates: PredictRates | ArrayLike,
    X: Any,
    regions: Any = None,
    *,
    tasks: Sequence[str] | None = None,
    neurons: Any = None,
    groups: Any = None,
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
    group_co_smoothing all other groups, where `groups` are given    a group, all bins
    ================== ============================================= =======================

    Parameters
    ----------
    predict_rates : callable, or array-like (trials, time, neurons)
        ``predict_rates(counts, hidden, task)`` with counts and the boolean `hidden` of shape
        (trials, time, neurons), counts zero where hidden; returns expected counts per bin in the
        same shape. What was not observed is hidden from it too. It is called with stacks of trials, never with a fixed number of them. Or rates
        that are the same whatever is hidden, such as the true ones of a simulation, which are the
        ceiling. Rates of a model that has seen the counts of `X` score too well.
    X : Session or array-like, (trials, time, neurons)
        Test trials. Entries that were not observed are never scored.
    regions : array-like of str, (neurons,), optional
        Region of each neuron, where `X` does not carry them.
    tasks : sequence of str, optional
        Tasks to score; the first four by default, or those possible without regions.
    neurons : array-like of bool or int, optional
        Neurons to score; all are still inputs.
    groups : int or array-like, (neurons,), optional
        Groups of neurons that are hidden together and scored as ``group_co_smoothing``, beside `tasks`:
        a name or number for each neuron, or how many groups to deal neurons to. With 10, a tenth is
        hidden at a time, as in the community's benchmarks, in ten passes. Neurons are dealt like
        cards in the order of ``numpy.random.default_rng(0).permutation(n_neurons)``. None by default.
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
        For unknown tasks, region tasks without regions, bad selections or groups, or rates of a wrong shape,
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
    X = as_session(X)
    request = Request.read(X, regions, neurons, n_forward_bins, ignore_regions, max_bytes, groups)
    counts, labels = request.counts, request.labels
    asked = chosen_tasks("tasks", tasks, labels, request.groups)
    null = _null_rates(null_rates, counts.shape[2])
    if not callable(predict_rates):
        given = _given_rates(predict_rates, counts.shape)
    excluded: list[dict] = []
    plan = {task: list(passes_of(task, request, excluded)) for task in asked}
    if labels is None and tasks is None:
        excluded += [left_out(task, None, 0, "no regions are known") for task in REGION_TASKS]
    total, done, rows = sum(len(p) for passes in plan.values() for p in passes), 0, []

    def tell(n: int) -> None:
        nonlocal done
        done += n
        if progress is not None:
            progress(done, total)

    bin_width = getattr(X, "bin_width", None)
    seen = request.observed
    mean = observed_mean(counts, seen, (0, 1))
    spikes_a_second = mean / (np.nan if bin_width is None else bin_width)
    for task, passes in plan.items():
        scored = np.sort(np.concatenate([p.answers for p in passes] or [np.array([], int)]))
        window = request.window(task)
        if callable(predict_rates):
            rates = predict_passes(predict_rates, request, task, passes, tell)
        else:
            rates = given
        truth, answer = counts[:, window][:, :, scored], rates[:, window][:, :, scored]
        observed = None if seen is None else seen[:, window][:, :, scored]
        if not callable(predict_rates):
            check_rates(answer if observed is None else answer[observed], "rates has entries")
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
                        truth,
                        answer,
                        null_rates=None if null is None else null[scored],
                        observed=observed,
                    ),
                    "d2": poisson_d2(truth, answer, observed=observed),
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


def _given_rates(given: ArrayLike, shape: tuple[int, ...]) -> np.ndarray:
    """Return rates that were given in place of a function."""
    for own, mend in (
        ("evaluate", "Call its evaluate(X)"),
        ("predict_rates", "Pass its predict_rates"),
    ):
        if hasattr(given, own):
            raise InvalidInputError(
                f"predict_rates is a {type(given).__name__}; expected a function or an array of rates. {mend}."
            )
    rates = as_array("rates", given, dtype=np.float32, order="K")
    if rates.shape != shape:
        raise InvalidInputError(
            f"rates has shape {rates.shape}; expected {shape}, that of X, or a function "
            f"predict_rates(counts, hidden, task).{other_order('rates', rates.shape, shape)}"
        )
    return rates


def _null_rates(null_rates: Any, n_neurons: int) -> np.ndarray | None:
    if null_rates is None:
        return None
    null = as_array("null_rates", null_rates, dtype=float)
    if null.shape != (n_neurons,):
        raise InvalidInputError(
            f"null_rates has shape {null.shape}; expected ({n_neurons},), one rate for every "
            "neuron of X, scored or not."
        )
    check_rates(null, "null_rates has entries")
    return null
