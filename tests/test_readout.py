import tracemalloc

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax
from sklearn.metrics import log_loss

from neuromask.decoding.features import FINE_WINDOWS, WINDOWS, block_sizes, decoding_features
from neuromask.decoding.readout import (
    LATENT_AMPLITUDE,
    MOST_FOLDS,
    WHITENINGS,
    fit_readout,
    fit_temperature,
    make_folds,
)
from neuromask.decoding.ridge import PENALTIES
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


def test_a_known_temperature_and_offset_are_recovered():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, size=(20000, 3))
    truth = np.array([rng.choice(3, p=p) for p in softmax(logits + [0.3, 0, -0.3], axis=1)])
    temperature, offset = fit_temperature(logits / 5, truth, np.ones(20000))
    assert temperature == pytest.approx(5, rel=0.05)
    np.testing.assert_allclose(offset, [0.3, 0, -0.3], atol=0.06)


def test_the_temperature_is_careful_with_few_trials():
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
        features, target, block_sizes=SIZES, trial_weights=np.ones(60), folds=make_folds(target)
    )
    np.testing.assert_allclose(
        readout.predict(features), features @ readout.weights + readout.intercept
    )
    left_out = np.exp(readout.log_chances(readout.left_out[:, 0]))
    assert log_loss(codes, left_out) < np.log(3)
    scaled = features * np.repeat([1000.0, 0.01, 7.0], SIZES)
    again = fit_readout(
        scaled, target, block_sizes=SIZES, trial_weights=np.ones(60), folds=make_folds(target)
    )
    np.testing.assert_allclose(again.predict(scaled), readout.predict(features), atol=1e-6)


def test_folds_leave_every_trial_out_once_as_runs_of_trials():
    rng = np.random.default_rng(0)
    for y, task in ((rng.permutation(50) % 2, "classification"), (np.arange(50.0), "regression")):
        folds = make_folds(read_target(y, task, n_trials=50, n_time=1))
        assert len(folds) == MOST_FOLDS
        assert sorted(np.concatenate([test for _, test in folds])) == list(range(50))
        for training, test in folds:
            assert (np.diff(test) == 1).all()
            assert sorted([*training, *test]) == list(range(50))


def test_folds_keep_blocks_of_a_class_whole():
    y = np.repeat(np.arange(12) % 2, 25)
    folds = make_folds(read_target(y, "classification", n_trials=300, n_time=1))
    assert len(folds) == 6
    for _, test in folds:
        assert set(y[test]) == {0, 1}
        assert test[0] % 25 == 0
        assert len(test) % 25 == 0


def test_folds_never_part_a_group():
    groups = np.repeat([5, 3, 9, 1], 10)
    for y in (np.arange(40) % 2, np.arange(40) // 20):
        target = read_target(y, "classification", n_trials=40, n_time=1)
        folds = make_folds(target, groups)
        assert len(folds) == 4
        assert [sorted(set(groups[test])) for _, test in folds] == [[5], [3], [9], [1]]


@pytest.mark.parametrize("rows", [(30, 200), (40, 3, 50), (300, 5)])
def test_a_readout_is_the_direct_solution_in_its_metric(rows):
    """The ridge of the module's equations, written out with whole matrices."""
    n_trials, *shape = rows
    n_time, n_features = (1, *shape)[-2:]
    rng = np.random.default_rng(0)
    features = rng.normal(size=(n_trials, n_time, n_features)).astype(np.float32) + 5
    y = features[..., 0] + rng.normal(size=(n_trials, n_time))
    y = y if shape[1:] else y[:, 0]  # one number a trial
    target = read_target(y, "regression", n_trials=n_trials, n_time=n_time)
    sizes = (2, n_features - 2)
    found = fit_readout(
        features,
        target,
        block_sizes=sizes,
        trial_weights=np.ones(n_trials),
        folds=make_folds(target),
    )
    x = features.astype(float) - features.astype(float).mean((0, 1))
    for block, amplitude in ((slice(0, 2), LATENT_AMPLITUDE), (slice(2, None), 1.0)):
        x[..., block] *= amplitude / np.sqrt((x[..., block] ** 2).sum(2).mean())
    flat = x.reshape(-1, n_features)
    values, vectors = np.linalg.eigh(flat.T @ flat / len(flat))
    kept = values > values[-1] * 1e-10
    values, z = values[kept], x @ vectors[:, kept]
    best = None
    for whitening in WHITENINGS:
        s = z / np.sqrt(values + whitening * values.mean())
        for penalty in PENALTIES:
            left_out = np.empty(target.outputs.shape)
            for training, test in make_folds(target):
                left_out[test] = direct_ridge(s[training], target.outputs[training], penalty)(
                    s[test]
                )
            loss = ((left_out - target.outputs) ** 2).mean()
            if best is None or loss < best[0]:
                best = loss, left_out, direct_ridge(s, target.outputs, penalty)(s)
    assert found.loss == pytest.approx(best[0], rel=1e-6)
    np.testing.assert_allclose(found.left_out, best[1], atol=1e-6)
    np.testing.assert_allclose(found.predict(features), best[2], atol=1e-6)


def direct_ridge(s, y, penalty):
    x = (s - s.mean(0)).reshape(-1, s.shape[2])
    strength = penalty * (x**2).sum() / len(s)
    right = x.T @ (y - y.mean(0)).reshape(-1, y.shape[2]) / len(s)
    weights = np.linalg.solve(x.T @ x / len(s) + strength * np.eye(x.shape[1]), right)
    return lambda new: (new - s.mean(0)) @ weights + y.mean(0)


def test_a_readout_of_signals_takes_little_memory_beside_its_features():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(250, 100, 200)).astype(np.float32)
    target = read_target(features[..., :2] + 1.0, "regression", n_trials=250, n_time=100)
    folds = make_folds(target)
    tracemalloc.start()
    try:
        readout = fit_readout(
            features, target, block_sizes=(100, 100), trial_weights=np.ones(250), folds=folds
        )
        readout.predict(features)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2 * features.nbytes  # and the features themselves, which were there before
