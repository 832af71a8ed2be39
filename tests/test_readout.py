import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax
from sklearn.metrics import log_loss

from neuromask.decoding.features import FINE_WINDOWS, WINDOWS, block_sizes, decoding_features
from neuromask.decoding.readout import N_FOLDS, fit_readout, fit_temperature, make_folds
from neuromask.decoding.targets import Classes, read_target
from neuromask.nn.session_weights import State, TrialGroup


def group(n_trials=3, n_time=10, n_neurons=2, causal=False, hidden=False):
    rng = torch.Generator().manual_seed(0)
    counts = torch.poisson(torch.full((n_trials, n_time, n_neurons), 0.8), generator=rng)
    mask = torch.zeros(counts.shape, dtype=torch.bool)
    mask[..., 0] = hidden
    return TrialGroup(
        "a",
        counts.masked_fill(mask, 0),
        mask,
        torch.zeros(n_trials, dtype=torch.long),
        torch.full((n_trials,), causal),
    )


def state(trials, n_features=4):
    rng = torch.Generator().manual_seed(1)
    n_trials, n_time, _ = trials.counts.shape
    features = torch.randn(n_trials, n_time, n_features, generator=rng)
    return State(features, torch.full(trials.counts.shape, 0.3).log())


SIZES = (50, 100, 50)
SCALE = torch.tensor([0.25, 4.0])


def test_features_are_averages_over_the_trial_its_halves_and_its_quarters():
    trials = group(n_time=8)
    found = decoding_features(state(trials), trials, SCALE, per_bin=False)
    sizes = block_sizes(4, 2, per_bin=False)
    assert sizes == (sum(WINDOWS) * 4, sum(WINDOWS) * 2, FINE_WINDOWS * 2)
    assert found.shape == (3, 1, sum(sizes))
    counts, fine = found[:, 0, 28:42], found[:, 0, 42:]
    np.testing.assert_allclose(counts[:, :2], trials.counts.mean(1), rtol=1e-6)
    np.testing.assert_allclose(counts[:, 2:4], trials.counts[:, :4].mean(1), rtol=1e-6)
    np.testing.assert_allclose(counts[:, -2:], trials.counts[:, 6:].mean(1), rtol=1e-6)
    smoothed = decoding_features(state(trials), trials, SCALE, per_bin=True)[..., 4:]
    np.testing.assert_allclose(fine[:, :2], smoothed[:, 0] / torch.tensor([0.5, 2.0]), rtol=1e-6)


@pytest.mark.parametrize("n_time", [1, 2, 3, 7])
def test_short_trials_have_as_many_features(n_time):
    trials = group(n_time=n_time)
    found = decoding_features(state(trials), trials, SCALE, per_bin=False)
    assert found.shape[2] == 42 + 2 * FINE_WINDOWS
    assert torch.isfinite(found).all()


def test_hidden_counts_stand_in_as_expected_ones():
    trials = group(hidden=True)
    found = decoding_features(state(trials), trials, SCALE, per_bin=False)[:, 0, 28:42]
    np.testing.assert_allclose(found[:, ::2], 0.3, rtol=1e-6)


@pytest.mark.parametrize("causal", [False, True])
def test_smoothed_counts_keep_to_the_past_under_causal_attention(causal):
    trials, changed = group(causal=causal), group(causal=causal)
    changed.counts[:, 6:] += 1
    one, other = (
        decoding_features(state(t), t, SCALE, per_bin=True)[..., 4:] for t in (trials, changed)
    )
    assert torch.equal(one[:, :6], other[:, :6]) is causal
    flat = group(causal=causal)
    flat.counts[:] = 2.0
    even = decoding_features(state(flat), flat, SCALE, per_bin=True)[..., 4:]
    np.testing.assert_allclose(even, 2.0, rtol=1e-6)


def test_calibration_recovers_a_known_temperature_and_offset():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, size=(20000, 3))
    truth = np.array([rng.choice(3, p=p) for p in softmax(logits + [0.3, 0, -0.3], axis=1)])
    temperature, offset = fit_temperature(logits / 5, truth, np.ones(20000))
    assert temperature == pytest.approx(5, rel=0.05)
    np.testing.assert_allclose(offset, [0.3, 0, -0.3], atol=0.06)


def test_calibration_is_careful_with_few_trials():
    outputs = np.array([[-1.0, 1.0], [1.0, -1.0]] * 3)
    temperature, offset = fit_temperature(outputs, np.array([1, 0] * 3), np.ones(6))
    chances = np.exp(log_softmax(temperature * outputs + offset, axis=1))
    assert chances.max() < 0.999
    np.testing.assert_allclose(offset, 0, atol=1e-4)


def test_a_readout_is_linear_in_its_features_and_better_than_chance():
    rng = np.random.default_rng(0)
    codes = np.arange(60) % 3
    features = rng.normal(size=(60, 1, 200))
    features[:, 0, :3] += 3 * np.eye(3)[codes]
    target = Classes(np.array(["a", "b", "c"]), codes)
    readout = fit_readout(
        features, target, block_sizes=SIZES, trial_weights=np.ones(60), folds=make_folds(target, 0)
    )
    np.testing.assert_allclose(
        readout.predict(features), features @ readout.weights + readout.intercept
    )
    left_out = np.exp(readout.log_chances(readout.left_out[:, 0]))
    assert log_loss(codes, left_out) < np.log(3)
    scaled = features * np.repeat([1000.0, 0.01, 7.0], SIZES)
    again = fit_readout(
        scaled, target, block_sizes=SIZES, trial_weights=np.ones(60), folds=make_folds(target, 0)
    )
    np.testing.assert_allclose(again.predict(scaled), readout.predict(features), atol=1e-6)


def test_folds_leave_every_trial_out_once():
    for y, task in ((np.arange(50) % 2, "classification"), (np.arange(50.0), "regression")):
        target = read_target(y, task, n_trials=50, n_time=1)
        folds = make_folds(target, 0)
        assert len(folds) == N_FOLDS
        assert sorted(np.concatenate([test for _, test in folds])) == list(range(50))
    rare = read_target(np.arange(50) < 3, "classification", n_trials=50, n_time=1)
    assert len(make_folds(rare, 0)) == 3
    once = read_target(np.arange(50) < 1, "classification", n_trials=50, n_time=1)
    assert len(make_folds(once, 0)) == N_FOLDS
