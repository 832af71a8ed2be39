import pickle

import numpy as np
import pandas as pd
import pytest

import neuromask as nm
from neuromask.errors import InvalidInputError
from neuromask.evaluation import TASKS, evaluate, summarise
from neuromask.metrics import bits_per_spike, poisson_d2

RNG = np.random.default_rng(0)
RATES = RNG.uniform(0.2, 2, (9, 10, 7))
X = RNG.poisson(RATES)
REGIONS = np.array(["A", "A", "B", "B", "B", "root", "C"])


class Spy:
    """Answers with a constant and remembers what it was shown."""

    def __init__(self):
        self.calls = []

    def __call__(self, counts, hidden, task):
        assert counts.shape == hidden.shape
        self.calls.append((counts.copy(), hidden.copy(), task))
        return np.full(counts.shape, 0.7)


def seen(spy, task):
    for counts, hidden, name in spy.calls:
        if name == task:
            yield from zip(counts, hidden, strict=True)


@pytest.mark.parametrize("max_bytes", [1, 1000, 4000, 2**26])
def test_hidden_counts_are_never_shown_whatever_the_memory(max_bytes):
    before, spy = X.copy(), Spy()
    table = evaluate(spy, X, REGIONS, max_bytes=max_bytes)
    np.testing.assert_array_equal(X, before)
    for counts, hidden, _ in spy.calls:
        assert (counts[hidden] == 0).all()
        assert counts.nbytes * 4 <= max(max_bytes, 4 * 10 * 7) * counts.itemsize
    whole = evaluate(Spy(), X, REGIONS)
    np.testing.assert_allclose(table["bps"], whole["bps"])


def test_what_each_task_hides():
    spy = Spy()
    evaluate(spy, X, REGIONS, max_bytes=1)
    for _, hidden in seen(spy, "co_smoothing"):
        assert hidden.all(0).sum() == hidden.any(0).sum() == 1
    for _, hidden in seen(spy, "forward_prediction"):
        assert hidden[-1:].all()
        assert not hidden[:-1].any()
    for _, hidden in seen(spy, "intra_region"):
        visible = REGIONS[~hidden.any(0)]
        assert len(set(visible)) == 1
        assert len(visible) == (visible[0] == REGIONS).sum() - 1
    for _, hidden in seen(spy, "inter_region"):
        inside = REGIONS[hidden.all(0)]
        assert len(set(inside)) == 1
        assert hidden.all(0).sum() == (inside[0] == REGIONS).sum()


def test_a_predictor_that_copies_what_it_sees_gains_nothing():
    table = evaluate(lambda counts, hidden, task: counts, X, REGIONS)
    assert (table["bps"] < -1).all()


def test_scores_are_the_metrics_of_the_hidden_entries():
    def oracle(counts, hidden, task):
        return np.tile(RATES, (len(counts) // len(RATES), 1, 1))

    table = evaluate(oracle, X, REGIONS, n_forward_bins=3)
    co = table[table["task"] == "co_smoothing"]
    np.testing.assert_allclose(co["bps"], bits_per_spike(X, RATES), rtol=1e-5)
    np.testing.assert_allclose(co["d2"], poisson_d2(X, RATES), rtol=1e-4)
    assert co["n_spikes"].tolist() == X.sum((0, 1)).tolist()
    forward = table[table["task"] == "forward_prediction"]
    np.testing.assert_allclose(forward["bps"], bits_per_spike(X[:, 7:], RATES[:, 7:]), rtol=1e-5)
    inter = table[table["task"] == "inter_region"]
    assert inter["neuron"].tolist() == [0, 1, 2, 3, 4, 6]
    intra = table[table["task"] == "intra_region"]
    assert intra["neuron"].tolist() == [0, 1, 2, 3, 4]
    assert list(table.columns) == ["session", "task", "neuron", "region", "n_spikes", "bps", "d2"]


def test_what_is_left_out_is_said():
    excluded = evaluate(Spy(), X, REGIONS).attrs["excluded"]
    assert {(e["task"], e["region"], e["reason"]) for e in excluded} == {
        ("intra_region", "root", "in ignore_regions"),
        ("inter_region", "root", "in ignore_regions"),
        ("intra_region", "C", "fewer than two neurons"),
    }
    table = evaluate(Spy(), X, REGIONS, ignore_regions=())
    assert 5 in set(table.loc[table["task"] == "inter_region", "neuron"])
    excluded = evaluate(Spy(), X).attrs["excluded"]
    assert [e["reason"] for e in excluded] == ["no regions are known"] * 2
    alone = evaluate(Spy(), X, ["A"] * 7)
    assert alone.attrs["excluded"][0]["reason"] == "no other region"


def test_neurons_choose_rows_not_inputs():
    spy = Spy()
    table = evaluate(spy, X, REGIONS, neurons=[4, 0])
    assert set(table["neuron"]) == {0, 4}
    assert all(counts.shape[2] == 7 for counts, _, _ in spy.calls)
    mask = np.arange(7) == 2
    assert set(evaluate(Spy(), X, REGIONS, neurons=mask)["neuron"]) == {2}


def test_session_null_and_progress():
    session = nm.Session(X, REGIONS, session_id="monday")
    steps = []
    table = evaluate(
        Spy(), session, null_rates=np.full(7, 0.7), progress=lambda done, n: steps.append((done, n))
    )
    np.testing.assert_allclose(table["bps"], 0, atol=1e-6)
    assert set(table["session"]) == {"monday"}
    assert steps[-1][0] == steps[-1][1] == 7 + 1 + 5 + 3


def test_silent_neurons_have_no_score_and_are_counted():
    silent = X.copy()
    silent[..., 1] = 0
    summary = summarise(evaluate(Spy(), silent, REGIONS)).set_index("task")
    assert summary["n_silent"].tolist() == [1, 1, 1, 1]
    assert summary.loc["co_smoothing", "n_neurons"] == 6
    assert np.isfinite(summary["bps"]).all()
    assert tuple(summary.index) == TASKS


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tasks": ["co_smothing"]}, "Did you mean 'co_smoothing'"),
        ({"neurons": [7]}, "expected indices below 7"),
        ({"neurons": []}, "at least one neuron"),
        ({"n_forward_bins": 10}, "10 of 10 bins; expected fewer"),
        ({"n_forward_bins": 0}, "at least 1"),
        ({"regions": ["A"]}, "regions has shape"),
        ({"max_bytes": 0}, "max_bytes=0; expected at least 1"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InvalidInputError, match=message):
        evaluate(Spy(), X, **({"regions": REGIONS} | options))


def test_region_tasks_need_regions():
    with pytest.raises(InvalidInputError, match="needs a region for each neuron"):
        evaluate(Spy(), X, tasks=["inter_region"])


def test_bad_predictors():
    with pytest.raises(InvalidInputError, match=r"returned shape \(2,\); expected"):
        evaluate(lambda *_: np.ones(2), X)
    with pytest.raises(InvalidInputError, match="not log-rates"):
        evaluate(lambda counts, hidden, task: np.full(counts.shape, -1.0), X)


@pytest.mark.parametrize("max_bytes", [1, 2000, 2**26])
def test_progress_counts_whole_passes(max_bytes):
    steps = []
    evaluate(
        Spy(), X, REGIONS, max_bytes=max_bytes, progress=lambda done, total: steps.append(done)
    )
    assert steps == sorted(steps)
    assert steps[-1] == 16
    assert steps[:-1].count(16) == 0


def test_passes_share_calls_where_memory_allows():
    spy = Spy()
    evaluate(spy, X, REGIONS)
    assert [task for *_, task in spy.calls] == list(TASKS)


def test_own_counts_cannot_reach_the_predictor():
    # Two recordings that differ only in one neuron look alike wherever that neuron is scored.
    other = X.copy()
    other[..., 3] = np.random.default_rng(9).poisson(1, other[..., 3].shape) + 1
    seen_by = [Spy(), Spy()]
    for spy, recording in zip(seen_by, (X, other), strict=True):
        evaluate(spy, recording, REGIONS, neurons=[3], tasks=["co_smoothing", "intra_region"])
    for (first, *_), (second, *_) in zip(seen_by[0].calls, seen_by[1].calls, strict=True):
        np.testing.assert_array_equal(first, second)


def test_ignored_regions_stay_visible():
    spy = Spy()
    evaluate(spy, X, REGIONS, tasks=["inter_region"], ignore_regions="root")
    assert not np.concatenate([hidden for _, hidden, _ in spy.calls])[..., 5].any()


def test_null_rates_are_of_all_neurons():
    null = np.linspace(0.3, 1.5, 7)
    table = evaluate(Spy(), X, REGIONS, neurons=[1, 6], null_rates=null, tasks=["co_smoothing"])
    expected = bits_per_spike(X, np.full(X.shape, 0.7), null_rates=null)[[1, 6]]
    np.testing.assert_allclose(table["bps"], expected, atol=1e-6)
    for bad in (np.ones(2), np.full(7, np.nan), -null):
        with pytest.raises(InvalidInputError, match=r"evaluate: null_rates has shape .*\(7,\)"):
            evaluate(Spy(), X, null_rates=bad)


def test_degenerate_recordings():
    single_bin = evaluate(Spy(), X[:, :1], REGIONS)
    assert "forward_prediction" not in set(single_bin["task"])
    assert "a single bin a trial" in [e["reason"] for e in single_bin.attrs["excluded"]]
    nothing = evaluate(Spy(), X, ["root"] * 7, tasks=["intra_region"])
    assert len(nothing) == 0
    assert len(summarise(nothing)) == 0
    assert "bps" in summarise(nothing)
    twice = evaluate(Spy(), X, tasks=["co_smoothing", "co_smoothing"])
    assert len(twice) == 7
    all_silent = summarise(evaluate(Spy(), X * 0, tasks=["co_smoothing"]))
    assert np.isnan(all_silent["bps_weighted"].item())
    assert all_silent["n_neurons"].item() == 0


def test_tables_can_be_pickled_and_joined():
    tables = [evaluate(Spy(), X, REGIONS) for _ in range(2)]
    assert pickle.loads(pickle.dumps(tables[0])).attrs == tables[0].attrs
    assert pd.concat(tables).attrs == tables[0].attrs
