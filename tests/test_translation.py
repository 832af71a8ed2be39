"""Every region is read from every other one: what is shown, how it is scored, and what is shared by chance."""

import itertools

import numpy as np
import pandas as pd
import pytest

import neuromask as nm
from neuromask.evaluation import OTHERS

REGIONS = np.array(["A"] * 9 + ["B"] * 8 + ["C"] * 12 + ["root"] * 8 + ["D"] * 3)
NAMES = ("A", "B", "C")


def trials(n_trials=30, n_time=12, seed=0, regions=REGIONS, rate=0.5):
    return np.random.default_rng(seed).poisson(rate, (n_trials, n_time, len(regions)))


X = trials()


class Spy:
    """Says the same rate everywhere and remembers what it was shown."""

    def __init__(self, rate=0.5):
        self.rate, self.shown = rate, []

    def __call__(self, counts, hidden, task):
        assert task == "inter_region"
        assert not counts[hidden].any()
        for one in hidden:
            assert (one == one[:1]).all()
            self.shown.append(~one[0])
        return np.full(counts.shape, self.rate)


def follows(strength=0.5):
    """Rates of all that is hidden follow the mean of what is visible."""

    def predict_rates(counts, hidden, task):
        n_visible = (~hidden).sum(2, keepdims=True).clip(1)
        drive = counts.sum(2, keepdims=True) / n_visible
        return np.broadcast_to(np.exp(strength * (drive - 0.5)) * 0.5, counts.shape)

    return predict_rates


def test_a_region_is_seen_alone_and_all_others_are_seen_together():
    spy = Spy()
    table = nm.translation_matrix(spy, X, REGIONS)
    views = {tuple(shown) for shown in spy.shown}
    expected = {tuple(name == REGIONS) for name in NAMES}
    assert views == expected | {tuple(name != REGIONS) for name in NAMES}
    pairs = [*itertools.permutations(NAMES, 2), *((OTHERS, name) for name in NAMES)]
    assert sorted(zip(table["source"], table["target"], strict=True)) == sorted(pairs)
    sizes = table.set_index(["source", "target"])
    assert sizes.loc[("A", "B"), ["n_source", "n_target"]].tolist() == [9, 8]
    assert sizes.loc[(OTHERS, "C"), "n_source"] == len(REGIONS) - 12
    assert [tuple(row.values()) for row in table.attrs["excluded"]] == [
        ("D", 3, "fewer than 8 neurons"),
        ("root", 8, "in ignore_regions"),
    ]


def test_scores_are_means_over_neurons_of_the_metrics():
    table = nm.translation_matrix(follows(), X, REGIONS).set_index(["source", "target"])
    hidden = np.broadcast_to(REGIONS != "A", X.shape)
    rates = follows()(X * ~hidden, hidden, "inter_region")
    target = REGIONS == "C"
    for name, metric in (("bps", nm.metrics.bits_per_spike), ("d2", nm.metrics.poisson_d2)):
        expected = metric(X[..., target], rates[..., target]).mean()
        assert table.loc[("A", "C"), name] == pytest.approx(expected, rel=1e-6)


def test_neurons_with_few_spikes_are_not_scored():
    quiet = X.copy()
    quiet[:, :, :5] = 0
    quiet[:9, 0, 0] = 1
    table = nm.translation_matrix(Spy(), quiet, REGIONS).set_index(["source", "target"])
    assert table.loc[("B", "A"), ["n_source", "n_target"]].tolist() == [8, 4]
    quiet[:, :, :9] = 0
    table = nm.translation_matrix(Spy(), quiet, REGIONS).set_index(["source", "target"])
    assert table.loc[("B", "A")].drop(["session", "n_source", "n_target"]).isna().all()
    assert table.loc[("A", "B"), "bps"] < 0.01


def test_numbers_of_neurons_are_matched_on_both_sides():
    spy = Spy()
    table = nm.translation_matrix(spy, X, REGIONS, n_matched=5, n_draws=4)
    assert {int(shown.sum()) for shown in spy.shown} == {5}
    assert (table[["n_source", "n_target"]] == 5).all(axis=None)
    views = {tuple(shown) for shown in spy.shown if not (shown & (REGIONS != "A")).any()}
    assert len(views) == 4
    smallest = nm.translation_matrix(spy, X, REGIONS, n_matched="smallest", n_draws=1)
    assert (smallest[["n_source", "n_target"]] == 8).all(axis=None)


def test_what_a_condition_tells_is_not_shared_activity():
    condition = np.arange(len(X)) % 3
    gain = np.exp(np.array([-1.0, 0.0, 1.0]))[condition, None, None]
    counts = np.random.default_rng(0).poisson(0.5 * gain, X.shape)
    calls = []

    def knows_the_condition(counts, hidden, task):
        calls.append(len(counts))
        rows = np.resize(condition, len(counts))  # stacks of whole passes
        return np.broadcast_to(0.5 * gain[rows], counts.shape)

    table = nm.translation_matrix(knows_the_condition, counts, REGIONS, conditions=condition)
    assert all(n % len(X) == 0 for n in calls)
    assert (table["bps"] > 0.1).all()
    np.testing.assert_allclose(table["bps_shuffled"], table["bps"], atol=1e-9)
    assert (table["p_value"] > 0.5).all()
    blind = nm.translation_matrix(knows_the_condition, counts, REGIONS)
    assert (blind["p_value"] < 0.01).all()
    assert (blind["bps_shared"] > 0.1).all()


def test_a_link_from_trial_to_trial_is_found_and_no_other():
    names = np.repeat([f"r{i}" for i in range(16)], 8)
    rng = np.random.default_rng(1)
    state = rng.normal(size=(60, 1, 16))
    state[..., 1] = state[..., 0]  # the one link there is
    counts = rng.poisson(0.5 * np.exp(0.5 * np.repeat(state, 8, axis=2)), (60, 10, 128))
    table = nm.translation_matrix(follows(), counts, names, n_bootstrap=0)
    table = table[table["source"] != OTHERS].set_index(["source", "target"])["p_value"]
    links = [("r0", "r1"), ("r1", "r0")]
    assert (table.loc[links] < 0.002).all()
    # 238 pairs without a link, of which a twentieth is expected, within four standard deviations.
    rest = table.drop(links)
    assert 0.0 < (rest < 0.05).mean() < 0.05 + 4 * np.sqrt(0.05 * 0.95 / len(rest))
    assert rest.min() >= 1 / 1001


def test_intervals_hold_the_score_and_shrink_with_the_root_of_trials():
    widths = []
    for n_trials in (25, 400):
        table = nm.translation_matrix(follows(), trials(n_trials), REGIONS, n_shuffles=0)
        assert (table["bps_low"] < table["bps"]).all()
        assert (table["bps"] < table["bps_high"]).all()
        assert table["p_value"].isna().all()
        widths.append((table["bps_high"] - table["bps_low"]).mean())
    assert widths[0] / widths[1] == pytest.approx(4, rel=0.4)
    narrow = nm.translation_matrix(follows(), trials(400), REGIONS, confidence=0.5)
    assert (narrow["bps_high"] - narrow["bps_low"]).mean() < 0.5 * widths[1]


@pytest.mark.filterwarnings("ignore:.*alone in their condition")
def test_what_was_not_observed_counts_for_nothing():
    observed = np.random.default_rng(3).random(X.shape) < 0.8
    tables = []
    for counts in (X, np.where(observed, X, 7)):
        session = nm.Session(np.where(observed, counts, 0), REGIONS, observed=observed)
        tables.append(nm.translation_matrix(follows(), session))
    pd.testing.assert_frame_equal(*tables)
    hidden = np.broadcast_to(REGIONS != "A", X.shape) | ~observed
    rates = follows()(X * ~hidden, hidden, "inter_region")
    target = REGIONS == "C"
    expected = nm.metrics.bits_per_spike(
        X[..., target], rates[..., target], observed=observed[..., target]
    )
    row = tables[0].set_index(["source", "target"]).loc[("A", "C")]
    assert row["bps"] == pytest.approx(expected.mean(), rel=1e-6)


def test_the_same_state_gives_the_same_table_and_progress_is_told():
    steps = []
    tables = [
        nm.translation_matrix(
            follows(),
            X,
            REGIONS,
            n_matched=4,
            n_draws=2,
            random_state=seed,
            progress=lambda done, total: steps.append((done, total)),
        )
        for seed in (1, 1, 2)
    ]
    pd.testing.assert_frame_equal(*tables[:2])
    assert not tables[0].equals(tables[2])
    assert steps[-1] == (12, 12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_neurons": 10}, r"only \['C'\].*'A \(fewer than 10 neurons\)'.*Lower min_neurons"),
        ({"min_neurons": 0}, "min_neurons=0"),
        ({"n_matched": 9}, "n_matched=9, but B has 8 neurons"),
        ({"n_matched": "least"}, "n_matched='least'; expected one of"),
        ({"n_matched": 0}, "n_matched=0"),
        ({"n_draws": 0}, "n_draws=0"),
        ({"conditions": [1, 2]}, r"conditions has shape \(2,\); expected \(30,\)"),
        ({"confidence": 1.0}, "confidence=1.0"),
        ({"n_shuffles": -1}, "n_shuffles=-1"),
        ({"n_bootstrap": 1.5}, "n_bootstrap=1.5"),
        ({"random_state": -1}, "random_state=-1"),
        ({"regions": None}, "needs a region for each neuron"),
        ({"conditions": np.zeros((30, 2))}, r"conditions has shape \(30, 2\)"),
    ],
)
def test_bad_requests_are_refused_before_any_pass(options, message):
    spy = Spy()
    with pytest.raises(nm.InvalidInputError, match=f"translation_matrix: .*{message}"):
        nm.translation_matrix(spy, X, **{"regions": REGIONS} | options)
    assert not spy.shown


def test_a_silent_region_cannot_be_matched():
    silent = X * (REGIONS != "A")
    with pytest.raises(nm.InvalidInputError, match="no neuron of A has 10 spikes.*ignore_regions"):
        nm.translation_matrix(Spy(), silent, REGIONS, n_matched="smallest")


def test_rates_in_place_of_a_function_are_refused():
    with pytest.raises(nm.InvalidInputError, match="is a ndarray; expected a function"):
        nm.translation_matrix(np.ones(X.shape), X, REGIONS)


def test_trials_that_are_alone_cannot_be_shuffled():
    with pytest.warns(nm.NeuromaskWarning, match="30 of 30 trials are alone in their condition"):
        table = nm.translation_matrix(follows(), X, REGIONS, conditions=np.arange(len(X)))
    assert table[["p_value", "bps_shuffled", "bps_shared"]].isna().all(axis=None)
    assert table[["bps", "bps_low", "d2"]].notna().all(axis=None)


@pytest.mark.parametrize("missing", ["trials", "ends"])
def test_what_was_not_observed_of_a_source_finds_no_link(missing):
    """A source that was not observed is predicted from less, and is no shuffle of one that was."""
    names = np.repeat(["A", "B"], 10)
    course = np.exp(np.sin(np.arange(12)))[:, None]
    small = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        counts = rng.poisson(0.5 * course, (40, 12, 20))
        observed = np.ones(counts.shape, bool)
        for trial in rng.permutation(40)[:20]:
            observed[trial, 0 if missing == "trials" else 6 :] = False

        def knows_the_course_where_it_sees(counts, hidden, task):
            seen = (~hidden).any(2, keepdims=True)
            return np.broadcast_to(np.where(seen, 0.5 * course, 0.5), counts.shape)

        session = nm.Session(np.where(observed, counts, 0), names, observed=observed)
        table = nm.translation_matrix(
            knows_the_course_where_it_sees, session, n_bootstrap=0, n_shuffles=99
        )
        small += table.loc[table["source"] != OTHERS, "p_value"].tolist()
    assert np.mean(np.array(small) <= 0.05) < 0.05 + 4 * np.sqrt(0.05 * 0.95 / len(small))


def test_some_trials_that_are_alone_are_warned_of():
    conditions = np.r_[0, 0, np.arange(1, 29)]
    with pytest.warns(nm.NeuromaskWarning, match="28 of 30 trials are alone in their condition so"):
        nm.translation_matrix(follows(), X, REGIONS, conditions=conditions)


def test_conditions_may_be_of_any_type_but_not_missing():
    mixed = np.array([1, "1", 2.0] * 10, dtype=object)
    tables = [
        nm.translation_matrix(follows(), X, REGIONS, conditions=conditions)
        for conditions in (mixed, np.arange(30) % 3)
    ]
    pd.testing.assert_frame_equal(*tables)
    for missing in (None, float("nan"), pd.NA):
        with pytest.raises(
            nm.InvalidInputError, match="conditions has 10 missing values, the first at 1"
        ):
            nm.translation_matrix(
                follows(), X, REGIONS, conditions=np.array([1, missing, 2] * 10, dtype=object)
            )


def test_rates_that_are_the_same_in_all_trials_share_nothing():
    rates = np.random.default_rng(0).uniform(0.1, 1, X.shape[1:])
    table = nm.translation_matrix(
        lambda counts, hidden, task: np.broadcast_to(rates, counts.shape), X, REGIONS
    )
    assert (table["p_value"] == 1).all()
