"""How far a recording can be predicted, and how well a score is known, against what is known."""

import numpy as np
import pandas as pd
import pytest

import neuromask as nm
from neuromask.errors import InvalidInputError, NeuromaskWarning
from neuromask.evaluation import bits_interval, psth_reliability

RESPONSE = np.exp(np.sin(np.arange(40)[:, None] / np.array([3.0, 6.0, 9.0])))
RESPONSE = np.concatenate([RESPONSE, np.ones((40, 1))], axis=1)  # the last one does not respond


def counts(n_trials, seed=0, rate=0.2):
    return np.random.default_rng(seed).poisson(rate * RESPONSE, (n_trials, 40, 4))


@pytest.mark.parametrize("n_trials", [40, 200])
def test_reliability_is_what_the_true_response_explains_of_the_psth(n_trials):
    found, truth = [], []
    for seed in range(10):
        x = counts(n_trials, seed)
        found.append(psth_reliability(x, n_splits=30))
        rates = np.broadcast_to(0.2 * RESPONSE, x.shape)
        truth.append(nm.metrics.psth_r2(x, rates, np.zeros(n_trials)))
    np.testing.assert_allclose(np.mean(found, 0)[:3], np.mean(truth, 0)[:3], atol=0.06)
    assert abs(np.mean(found, 0)[3]) < 0.3


def test_responses_to_conditions_count_where_these_are_named():
    conditions = np.arange(80) % 2
    x = counts(80)
    x[conditions == 0, :, 3] = np.random.default_rng(1).poisson(2.0, (40, 40))
    assert psth_reliability(x, conditions)[3] > 0.9
    assert psth_reliability(x)[3] < 0.5


def test_reliability_is_of_what_was_observed():
    x = counts(60).astype(float)
    more = np.concatenate([x, np.full((6, 40, 4), np.nan)])
    np.testing.assert_allclose(psth_reliability(more)[:3], psth_reliability(x)[:3], atol=0.03)


def test_a_constant_psth_has_no_reliability():
    x = counts(20)
    x[:, :, 0] = 1
    assert np.isnan(psth_reliability(x)[0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"conditions": [1, 2]}, "expected one for each trial"),
        ({"conditions": np.arange(20)}, "the fewest of one condition 1"),
        ({"n_splits": 0}, "n_splits=0"),
        ({"random_state": -1}, "random_state=-1"),
    ],
)
def test_what_halves_cannot_be_made_of_is_refused(options, message):
    with pytest.raises(InvalidInputError, match=message):
        psth_reliability(counts(20), **options)


def test_the_score_is_that_of_summarise():
    session = nm.simulate(40, n_neurons=8, n_time=20, mean_rate=10, random_state=0)
    table = nm.summarise(nm.evaluate(session.rates, session, tasks=["co_smoothing"]))
    row = bits_interval(session, session.rates).iloc[0]
    np.testing.assert_allclose(row["bps_weighted"], table["bps_weighted"].iloc[0], rtol=1e-5)
    assert row["low"] < row["bps_weighted"] < row["high"]


def test_intervals_cover_the_score_of_many_other_trials():
    rates = np.broadcast_to(0.2 * RESPONSE, (2000, 40, 4))
    truth = bits_interval(counts(2000, seed=99), rates, n_bootstrap=10)["bps_weighted"][0]
    covered = 0
    for seed in range(60):
        row = bits_interval(counts(50, seed), rates[:50], n_bootstrap=300).iloc[0]
        covered += row["low"] <= truth <= row["high"]
    assert covered >= 50  # of 60, where 57 are expected


def test_the_same_draws_judge_both_models():
    x, chance = counts(60), np.random.default_rng(5)
    rates = 0.2 * RESPONSE * chance.lognormal(0, 0.05, (60, 1, 1))
    row = bits_interval(x, rates, np.broadcast_to(x.mean((0, 1)), x.shape)).iloc[0]
    np.testing.assert_allclose(row["difference"], row["bps_weighted"], rtol=1e-6)
    np.testing.assert_allclose(row["difference_low"], row["low"], rtol=1e-6)
    close = bits_interval(x, rates, rates * 1.01).iloc[0]
    assert close["difference_high"] - close["difference_low"] < 0.2 * (close["high"] - close["low"])


def test_groups_that_are_alike_widen_the_interval():
    gain = np.repeat(np.random.default_rng(0).lognormal(0, 0.5, 8), 10)[:, None, None]
    x = np.random.default_rng(1).poisson(0.3 * gain * RESPONSE, (80, 40, 4))
    rates = 0.3 * gain * RESPONSE
    alone = bits_interval(x, rates).iloc[0]
    together = bits_interval(x, rates, groups=np.repeat(np.arange(8), 10)).iloc[0]
    assert together["high"] - together["low"] > 1.3 * (alone["high"] - alone["low"])


def test_entries_that_were_not_predicted_or_observed_do_not_count():
    x = counts(30).astype(float)
    rates = np.array(np.broadcast_to(0.2 * RESPONSE, x.shape))
    expected = bits_interval(x[:, 10:], rates[:, 10:])
    rates[:, :10] = np.nan
    pd.testing.assert_frame_equal(bits_interval(x, rates), expected)
    x[:, :10] = np.nan
    rates[:, :10] = 7.0
    pd.testing.assert_frame_equal(bits_interval(x, rates), expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rates": np.ones((2, 2, 2))}, r"rates has shape \(2, 2, 2\); expected \(30, 40, 4\)"),
        ({"rates": -np.ones((30, 40, 4))}, "rates has entries that are negative"),
        ({"groups": [1, 2]}, r"groups has shape \(2,\)"),
        ({"confidence": 2}, "confidence=2"),
        ({"X": np.zeros((30, 40, 4))}, "no spike is among the scored entries"),
    ],
)
def test_what_cannot_be_bounded_is_refused(change, message):
    usual = {"X": counts(30), "rates": np.ones((30, 40, 4))}
    with pytest.raises(InvalidInputError, match=message):
        bits_interval(**(usual | change))


def test_a_model_below_the_psth_is_told_and_one_above_is_not(recwarn):
    session = nm.Session(counts(120, rate=0.5), ["a", "a", "b", "b"])
    tiny = {"dim": 16, "n_layers": 1, "n_heads": 2, "random_state": 0}
    with pytest.warns(
        NeuromaskWarning, match="bits per spike less well than by the mean responses"
    ):
        nm.MtMPretrainer(**tiny, max_epochs=1, validation_fraction=0.2).fit(session)
    flat = nm.Session(
        np.random.default_rng(0).poisson(0.5, (120, 40, 4)), ["a", "a", "b", "b"], session_id="flat"
    )
    recwarn.clear()
    nm.MtMPretrainer(**tiny, max_epochs=2, validation_fraction=0.2).fit(flat)
    assert not [w for w in recwarn if "mean responses" in str(w.message)]
