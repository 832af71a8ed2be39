import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import poisson
from sklearn.metrics import d2_tweedie_score, r2_score

from neuromask.errors import InvalidInputError
from neuromask.metrics import bits_per_spike, poisson_d2, poisson_nll, psth_r2, trial_r2

RNG = np.random.default_rng(0)
RATES = RNG.uniform(0.1, 3, (20, 10, 4))
COUNTS = RNG.poisson(RATES)


def test_nll_is_scipys():
    expected = -poisson.logpmf(COUNTS, RATES).sum((0, 1))
    np.testing.assert_allclose(poisson_nll(COUNTS, RATES), expected)


def test_golden_bits_per_spike():
    # One spike in two bins, predicted with certainty, against a rate of a half: exactly one bit.
    assert bits_per_spike([[1], [0]], [[1], [0]])[0] == pytest.approx(1)
    # A rate of 1 in both bins costs (2 - 0) - (1 + log 2) nats more than the null.
    assert bits_per_spike([[1], [0]], [[1], [1]])[0] == pytest.approx(1 - 1 / np.log(2))


def test_null_is_zero_and_silent_is_nan():
    counts = COUNTS.copy()
    counts[..., 2] = 0
    null = np.broadcast_to(counts.mean((0, 1)), counts.shape)
    bps = bits_per_spike(counts, null)
    np.testing.assert_allclose(bps[[0, 1, 3]], 0, atol=1e-12)
    assert np.isnan(bps[2])
    assert np.isnan(poisson_d2(counts, null)[2])
    assert bits_per_spike(counts, null, pooled=True) == pytest.approx(0)
    assert np.isnan(bits_per_spike(counts * 0, null, pooled=True))


def test_a_training_null_is_easier_to_beat():
    away = COUNTS.mean((0, 1)) * 1.3
    assert (bits_per_spike(COUNTS, RATES, null_rates=away) > bits_per_spike(COUNTS, RATES)).all()
    with pytest.raises(InvalidInputError, match="null_rates has shape"):
        bits_per_spike(COUNTS, RATES, null_rates=[1.0])


def test_pooled_weighs_neurons_by_spikes():
    weights = COUNTS.sum((0, 1))
    expected = np.average(bits_per_spike(COUNTS, RATES), weights=weights)
    assert bits_per_spike(COUNTS, RATES, pooled=True) == pytest.approx(expected)


def test_agreement_with_scikit_learn():
    for n in range(4):
        truth, rates = COUNTS[..., n].ravel(), RATES[..., n].ravel()
        assert poisson_d2(COUNTS, RATES)[n] == pytest.approx(
            d2_tweedie_score(truth, rates, power=1)
        )
        assert trial_r2(COUNTS, RATES)[n] == pytest.approx(r2_score(truth, rates))


def test_psth_r2_averages_conditions_first():
    conditions = np.arange(20) % 2
    averages = [
        np.concatenate([x[conditions == c].mean(0) for c in (0, 1)]) for x in (COUNTS, RATES)
    ]
    expected = [r2_score(averages[0][:, n], averages[1][:, n]) for n in range(4)]
    np.testing.assert_allclose(psth_r2(COUNTS, RATES, conditions), expected)
    pairs = np.stack([conditions, conditions], 1)
    np.testing.assert_allclose(psth_r2(COUNTS, RATES, pairs), expected)
    with pytest.raises(InvalidInputError, match="one row a trial"):
        psth_r2(COUNTS, RATES, [1, 2])


@given(st.permutations(range(4)), st.integers(1, 5))
def test_neurons_are_scored_one_by_one(order, repeats):
    bps = bits_per_spike(COUNTS, RATES)
    np.testing.assert_allclose(bits_per_spike(COUNTS[..., order], RATES[..., order]), bps[order])
    tiled = [np.tile(x, (repeats, 1, 1)) for x in (COUNTS, RATES)]
    np.testing.assert_allclose(bits_per_spike(*tiled), bps)


@given(st.floats(0.2, 5).filter(lambda x: abs(x - 1) > 0.05))
def test_true_rates_beat_scaled_ones_on_average(factor):
    counts = np.random.default_rng(1).poisson(np.tile(RATES, (50, 1, 1)))
    rates = np.tile(RATES, (50, 1, 1))
    truth = bits_per_spike(counts, rates, pooled=True)
    assert truth > bits_per_spike(counts, rates * factor, pooled=True)


def test_bad_rates():
    with pytest.raises(InvalidInputError, match=r"rates has shape \(3,\)"):
        poisson_nll(COUNTS, np.ones(3))
    with pytest.raises(InvalidInputError, match="not log-rates"):
        poisson_nll(COUNTS, np.log(RATES))
    with pytest.raises(InvalidInputError, match="at least two axes"):
        poisson_nll([1.0], [1.0])


def test_agreement_with_the_benchmarks_scorer():
    metrics = pytest.importorskip(
        "ibl_bwb_eval.metrics", reason="ibl-bwb-eval is installed by `make test` alone"
    )
    import torch

    counts, rates = COUNTS.reshape(-1, 4), RATES.reshape(-1, 4)
    ours = {
        "BPS": bits_per_spike(counts, rates, pooled=True),
        "PoissonD2Score": poisson_d2(counts, rates).mean(),
    }
    for name, value in ours.items():
        metric = getattr(metrics, name)()
        metric.update(torch.tensor(rates).log().float(), torch.tensor(counts).float())
        assert float(metric.compute()) == pytest.approx(value, abs=1e-5)


@given(st.integers(0, 2**32 - 1), st.floats(0.1, 3))
def test_perfect_rates_explain_everything_and_the_mean_nothing(seed, mean):
    counts = np.random.default_rng(seed).poisson(mean, (30, 3))
    counts[0] += 1
    counts[1] = 0  # every neuron fires and varies
    null = np.broadcast_to(counts.mean(0), counts.shape)
    assert (bits_per_spike(counts, counts) > 0).all()
    np.testing.assert_allclose(poisson_d2(counts, counts), 1, atol=1e-6)
    np.testing.assert_allclose(poisson_d2(counts, null), 0, atol=1e-9)
    np.testing.assert_allclose(trial_r2(counts, null), 0, atol=1e-9)


@given(st.floats(0.2, 5))
def test_the_cost_of_scaled_rates_is_closed_form(factor):
    # Scaling rates by f adds (f - 1) sum(rates) - sum(counts) log f nats.
    cost = (factor - 1) * RATES.sum((0, 1)) - COUNTS.sum((0, 1)) * np.log(factor)
    difference = poisson_nll(COUNTS, factor * RATES) - poisson_nll(COUNTS, RATES)
    np.testing.assert_allclose(difference, cost, atol=1e-8)


def test_a_rate_of_zero_is_floored():
    assert poisson_nll([[1.0]], [[0.0]])[0] == pytest.approx(-np.log(1e-9), abs=1e-6)


def test_a_neuron_that_does_not_vary_has_no_share_explained():
    # A third has no exact binary form: rounding must not pass for variation.
    third = np.full((4, 5, 1), 1 / 3)
    assert np.isnan(trial_r2(third, third + 0.1)).all()
    assert np.isnan(poisson_d2(third * 3, third)).all()
    assert np.isnan(poisson_d2(third, third + 0.1)).all()


def test_conditions_may_be_text():
    sides = np.array(["left", "right"] * 10)
    mixed = np.array([[side, 1.0] for side in sides], dtype=object)
    expected = psth_r2(COUNTS, RATES, np.arange(20) % 2)
    np.testing.assert_allclose(psth_r2(COUNTS, RATES, sides), expected)
    np.testing.assert_allclose(psth_r2(COUNTS, RATES, mixed), expected)


def test_bad_counts_and_null():
    with pytest.raises(InvalidInputError, match="poisson_nll: counts must be finite and not neg"):
        poisson_nll(-COUNTS - 1, RATES)
    with pytest.raises(InvalidInputError, match="null_rates must be finite"):
        bits_per_spike(COUNTS, RATES, null_rates=[1.0, np.nan, 1.0, 1.0])
    with pytest.raises(InvalidInputError, match="psth_r2: counts has shape .* three axes"):
        psth_r2(COUNTS[0], RATES[0], np.arange(10))


@pytest.mark.parametrize(
    ("counts", "rates", "message"),
    [
        ([["a", "b"]], [[1.0, 2.0]], "counts is a list that cannot be read"),
        ([[1, 2], [3]], [[1.0, 2.0]], "counts is a list that cannot be read"),
        ([[1, 2]], [[1.0, 2.0], [3.0]], "rates is a list that cannot be read"),
        ([[1, 2]], np.ma.masked_equal([[1.0, 2.0]], 2.0), "rates has masked entries"),
    ],
)
def test_what_is_no_array_of_numbers_is_refused(counts, rates, message):
    with pytest.raises(InvalidInputError, match=f"bits_per_spike: {message}"):
        bits_per_spike(counts, rates)
