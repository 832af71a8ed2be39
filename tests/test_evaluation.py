import pickle

import numpy as np
import pandas as pd
import pytest

import neuromask as nm
from neuromask.errors import InvalidInputError
from neuromask.evaluation import TASKS, evaluate, predict_hidden, summarise
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
    columns = ["session", "task", "neuron", "region", "n_spikes", "rate", "bps", "d2"]
    assert list(table.columns) == columns


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
    summary = summarise(evaluate(Spy(), silent, REGIONS), min_spikes=1).set_index("task")
    assert summary["n_silent"].tolist() == [1, 1, 1, 1]
    assert summary.loc["co_smoothing", "n_neurons"] == 6
    assert np.isfinite(summary[["bps", "bps_weighted"]]).all(axis=None)
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


def lost(session, n_spikes):
    """Take away all but some spikes of the busiest neuron; give the session and the neuron."""
    busiest = int(session.counts.sum((0, 1)).argmax())
    counts = session.counts.copy()
    trials, bins = np.nonzero(counts[:, :, busiest])
    counts[:, :, busiest] = 0
    counts[trials[:n_spikes], bins[:n_spikes], busiest] = 1
    return nm.Session(counts, session.regions, bin_width=session.bin_width), busiest


@pytest.fixture(scope="module")
def simulated():
    return nm.simulate(40, n_neurons=40, n_time=50, mean_rate=10, random_state=0)


@pytest.mark.parametrize("n_spikes", [1, 9])
def test_a_neuron_that_is_lost_decides_no_mean_and_is_counted(simulated, n_spikes):
    session, neuron = lost(simulated, n_spikes)
    table = evaluate(simulated.rates, session, tasks=["co_smoothing"])
    assert table["bps"].mean() < 0
    summary = summarise(table).iloc[0]
    others = table[(table["neuron"] != neuron) & (table["n_spikes"] >= 10)]
    for name in ("bps", "d2"):
        assert summary[name] == pytest.approx(others[name].mean())
    assert summary["bps_median"] == pytest.approx(others["bps"].median())
    assert summary["n_few"] == ((table["n_spikes"] > 0) & (table["n_spikes"] < 10)).sum() > 0
    assert summary["n_neurons"] == len(others)
    assert summary[["n_neurons", "n_few", "n_silent"]].sum() == 40


@pytest.mark.parametrize("n_spikes", [1, 12, 30])
def test_a_neuron_that_is_lost_does_not_decide_the_weighted_mean(simulated, n_spikes):
    session, _ = lost(simulated, n_spikes)
    whole, part = (
        summarise(evaluate(simulated.rates, s, tasks=["co_smoothing"]))["bps_weighted"].item()
        for s in (simulated, session)
    )
    share = simulated.counts.sum((0, 1)).max() / session.counts.sum()
    assert part > 0
    # At most its expected spikes, in nats, over the spikes of all others.
    assert whole - part < 1.6 * share / np.log(2)


def test_min_spikes_is_the_users_and_checked(simulated):
    table = evaluate(simulated.rates, simulated, tasks=["co_smoothing"])
    strict = summarise(table, min_spikes=200)
    assert strict["n_neurons"].item() == (table["n_spikes"] >= 200).sum() < 40
    assert summarise(table, min_spikes=1)["n_few"].item() == 0
    with pytest.raises(InvalidInputError, match="summarise: min_spikes=0"):
        summarise(table, min_spikes=0)
    with pytest.raises(InvalidInputError, match=r"summarise: the table lacks \['bps'\]"):
        summarise(table.drop(columns="bps"))


def test_rates_are_in_hertz_and_choose_the_active_neurons(simulated):
    table = evaluate(simulated.rates, simulated, tasks=["co_smoothing", "forward_prediction"])
    hertz = simulated.counts.mean((0, 1)) / simulated.bin_width
    for _, part in table.groupby("task"):
        np.testing.assert_allclose(part["rate"], hertz)
    slow = simulated.counts.copy()
    slow[:, :, 3] = 0
    slow[:20, 7, 3] = 1  # 20 spikes in 40 s: enough to count, half a spike a second
    session = nm.Session(slow, simulated.regions, bin_width=simulated.bin_width)
    table = evaluate(simulated.rates, session, tasks=["co_smoothing"])
    assert table["rate"][3] == pytest.approx(0.5)
    active = table[(table["rate"] >= 1) & (table["n_spikes"] >= 10)]
    summary = summarise(table)
    assert summary["bps_1hz"].item() == pytest.approx(active["bps"].mean())
    assert summary["bps_1hz"].item() != pytest.approx(summary["bps"].item())
    unknown = summarise(evaluate(simulated.rates, simulated.counts, tasks=["co_smoothing"]))
    assert np.isnan(unknown["bps_1hz"].item())


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("max_bytes", [1, 2**26])
def test_hidden_predictions_are_the_rates_that_are_scored(task, max_bytes):
    def predict_rates(counts, hidden, task):  # reads everything it is shown
        return counts.mean((1, 2), keepdims=True) + 0.1 * counts + 0.01 * np.arange(7)

    options = {"n_forward_bins": 3, "neurons": [0, 2, 5, 6], "max_bytes": max_bytes}
    rates = predict_hidden(predict_rates, X, REGIONS, task=task, **options)
    table = evaluate(predict_rates, X, REGIONS, tasks=[task], **options)
    again = evaluate(rates, X, REGIONS, tasks=[task], **options)
    pd.testing.assert_frame_equal(again, table)
    expected = np.zeros((10, 7), dtype=bool)  # bins and neurons that the task predicts
    expected[slice(7, None) if task == "forward_prediction" else slice(None), table["neuron"]] = (
        True
    )
    np.testing.assert_array_equal(np.isfinite(rates), np.broadcast_to(expected, X.shape))


def test_hidden_predictions_never_see_what_they_predict():
    other = X.copy()
    other[..., 3] = np.random.default_rng(9).poisson(1, other[..., 3].shape) + 1
    one, two = (predict_hidden(lambda counts, *_: counts, x, REGIONS) for x in (X, other))
    np.testing.assert_array_equal(one[..., 3], two[..., 3])
    np.testing.assert_array_equal(one, 0)
    steps = []
    predict_hidden(Spy(), X, progress=lambda done, total: steps.append((done, total)))
    assert steps == [(7, 7)]


def test_rates_in_place_of_a_function_are_checked():
    with pytest.raises(InvalidInputError, match=r"rates has shape \(2,\); expected \(9, 10, 7\)"):
        evaluate(np.ones(2), X)
    with pytest.raises(InvalidInputError, match="rates has entries that are negative"):
        evaluate(np.log(RATES), X)
    for given, mended in (
        (nm.MtMPretrainer(), r"is a MtMPretrainer; .* Call its evaluate\(X\)"),
        (nm.baselines.MeanRate(), "is a MeanRate; .* Pass its predict_rates"),
    ):
        with pytest.raises(InvalidInputError, match=mended):
            evaluate(given, X)
    with pytest.raises(InvalidInputError, match="predict_hidden: task='smoothing'"):
        predict_hidden(Spy(), X, task="smoothing")


def test_a_fitted_model_predicts_hidden_entries_and_scores_them_against_any_null(pre, session):
    rates = pre.predict_hidden(session)
    table = pre.evaluate(session, tasks=["co_smoothing"])
    np.testing.assert_allclose(table["bps"], bits_per_spike(session.counts, rates), rtol=1e-9)
    np.testing.assert_allclose(table["rate"], session.counts.mean((0, 1)) / session.bin_width)
    changed = session.counts.copy()
    changed[..., 4] = 1
    np.testing.assert_array_equal(pre.predict_hidden(changed)[..., 4], rates[..., 4])
    assert not np.array_equal(pre.predict(changed)[..., 4], pre.predict(session)[..., 4])
    ahead = pre.predict_hidden(session, task="forward_prediction", n_forward_bins=5)
    assert np.isnan(ahead[:, :15]).all()
    assert np.isfinite(ahead[:, 15:]).all()
    null = np.full(15, 0.3)
    table = pre.evaluate(session, tasks=["co_smoothing"], null_rates=null)
    expected = bits_per_spike(session.counts, rates, null_rates=null)
    np.testing.assert_allclose(table["bps"], expected, rtol=1e-9)
    both = pre.evaluate([session, session], tasks=["co_smoothing"], null_rates=[null, null])
    np.testing.assert_allclose(both["bps"][15:], expected, rtol=1e-9)
    with pytest.raises(InvalidInputError, match="evaluate: null_rates has 15 entries for 2 sess"):
        pre.evaluate([session, session], null_rates=null)


@pytest.mark.parametrize("given", [None, [1, 2], {"bps": [1.0]}, "scores.csv"])
def test_summarise_refuses_what_is_no_table(given):
    with pytest.raises(InvalidInputError, match="summarise: the table is a .*expected a DataFrame"):
        summarise(given)


def test_summarise_keeps_rows_without_a_session():
    scores = {"session": None, "task": "co_smoothing", "n_spikes": [50, 50], "d2": 0.1}
    found = summarise(pd.DataFrame(scores | {"bps": [0.2, 0.4]}))
    assert len(found) == 1
    assert found["bps"].item() == pytest.approx(0.3)


def test_given_rates_hide_nothing():
    with pytest.raises(InvalidInputError, match="predict_hidden: predict_rates is a ndarray"):
        predict_hidden(RATES, X)


@pytest.mark.parametrize(
    ("null", "message"),
    [
        (np.full(7, -1.0), "null_rates has entries that are negative"),
        (np.full(7, np.nan), "null_rates has entries that are negative or not finite"),
        (np.ones(3), r"null_rates has shape \(3,\)"),
        (["a"] * 7, "null_rates is a list that cannot be read"),
        (np.ma.masked_equal(np.arange(7.0), 3), "null_rates has masked entries"),
    ],
)
def test_null_rates_that_cannot_be_used_are_explained(null, message):
    with pytest.raises(InvalidInputError, match=f"evaluate: {message}"):
        evaluate(Spy(), X, REGIONS, null_rates=null)


def test_masked_rates_are_refused():
    masked = np.ma.masked_greater(RATES, 1.0)
    with pytest.raises(InvalidInputError, match="evaluate: rates has masked entries"):
        evaluate(masked, X, REGIONS)
    with pytest.raises(InvalidInputError, match="what predict_rates returned has masked entries"):
        evaluate(lambda counts, hidden, task: np.ma.masked_equal(counts, 0), X, REGIONS)
