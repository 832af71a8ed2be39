"""What unlabelled trials tell of neurons, and the encoder that reads it."""

import dataclasses

import numpy as np
import pytest
import torch

import neuromask as nm
from neuromask.errors import InvalidInputError
from neuromask.nn.neuron_statistics import (
    N_DESCRIPTORS,
    NOISE,
    NOISE_EDGE,
    NeuronStatistics,
    PopulationStatistics,
)
from neuromask.training.new_sessions import InferredStarts, PretendedNew

from .backbones import backbone_of


def statistics_of(counts, regions=None, n_factors=4):
    return PopulationStatistics(
        torch.as_tensor(counts),
        regions,
        known_regions=("CA1", "TH"),
        n_factors=n_factors,
        smoothing=2.0,
    )


def calibrate(counts, regions=None, n_factors=4):
    return statistics_of(counts, regions, n_factors).whole()


@pytest.fixture(scope="module")
def counts():
    return nm.simulate(60, n_neurons=16, n_time=30, random_state=0).counts


def test_moments_and_correlations_are_numpys(counts):
    found = calibrate(counts)
    np.testing.assert_allclose(found.mean, counts.mean((0, 1)), rtol=1e-5)
    np.testing.assert_allclose(found.scale, counts.std((0, 1)), rtol=1e-4)
    lag = np.arange(30)[:, None] - np.arange(30)
    kernel = np.exp(-0.5 * (lag / 2) ** 2)
    smooth = np.einsum("st,ktn->ksn", kernel / kernel.sum(1, keepdims=True), counts)
    flat = (smooth - counts.mean((0, 1))).reshape(-1, 16)
    expected = flat.T @ flat / np.sqrt(np.outer((flat**2).sum(0), (flat**2).sum(0)))
    np.fill_diagonal(expected, 0)
    np.testing.assert_allclose(found.correlation, expected, atol=1e-3)


def test_factors_are_the_leading_eigenvectors(counts):
    found = calibrate(counts)
    values, vectors = np.linalg.eigh(found.correlation.double().numpy())
    loading = found.descriptors[:, N_DESCRIPTORS:] / (0.5 * 16**0.5)
    overlap = np.abs(vectors[:, ::-1][:, :4].T @ loading.numpy())
    kept = values[::-1][:4] > 0.5
    assert kept.any()
    assert not kept.all()  # the others are noise
    np.testing.assert_allclose(np.diag(overlap), kept, atol=1e-2)
    assert (loading.sum(0) >= 0).all()
    assert (loading.any(0).numpy() == kept).all()


@pytest.mark.parametrize("n_trials", [10, 40])
def test_factors_must_rise_above_the_noise_of_that_many_trials(n_trials):
    counts = np.random.default_rng(0).poisson(0.3, (n_trials, 100, 150))
    found = statistics_of(counts)
    largest = np.linalg.eigvalsh(found.whole().correlation.double().numpy())[-1]
    assert found.noise == pytest.approx(NOISE_EDGE * largest, rel=0.1)
    assert found.strength.max() > found.noise  # the edge itself would leave out weak factors too
    assert statistics_of(np.tile(counts, (400 // n_trials, 1, 1))).noise == NOISE


def test_statistics_of_neurons_do_not_depend_on_their_order(counts):
    order = np.random.default_rng(1).permutation(16)
    one, other = (calibrate(c, n_factors=3) for c in (counts, counts[:, :, order]))
    torch.testing.assert_close(
        one.descriptors[order, :N_DESCRIPTORS], other.descriptors[:, :N_DESCRIPTORS]
    )
    coupling = [c.factor_out @ c.factor_in.T for c in (one, other)]
    torch.testing.assert_close(coupling[0][order][:, order], coupling[1], atol=2e-3, rtol=2e-2)


def test_regions_that_are_not_known_have_number_zero(counts):
    found = calibrate(counts, ["TH", "CA1", "SNr", "TH"] * 4)
    assert found.region.tolist() == [2, 1, 0, 2] * 4
    assert calibrate(counts).region.tolist() == [0] * 16


@pytest.mark.parametrize("shape", [(1, 2, 1), (3, 30, 2), (2, 1, 9)])
def test_few_neurons_or_bins_and_silent_neurons_give_finite_statistics(shape):
    counts = np.zeros(shape, int)
    counts[0, 0] = 1
    counts[:, :, 0] = 0
    found = calibrate(counts, n_factors=6)
    assert found.factor_in.shape == (shape[2], 6)
    for value in vars(found).values():
        assert torch.isfinite(value.float()).all()


def test_factors_predict_a_neuron_from_the_others_without_training():
    session = nm.simulate(200, n_neurons=60, n_time=40, random_state=1)
    found = calibrate(session.counts[:150], n_factors=6)
    test = torch.as_tensor(session.counts[150:]).float()
    lag = torch.arange(40)[:, None] - torch.arange(40)
    kernel = torch.exp(-0.5 * (lag / 2.0) ** 2)
    kernel = kernel / kernel.sum(1, keepdim=True)
    z = kernel @ ((test - found.mean) / found.scale)
    coupling = (found.factor_out @ found.factor_in.T).fill_diagonal_(0)
    answer = (z @ coupling.T).numpy()
    truth = np.log(session.rates[150:])
    truth = truth - truth.mean((0, 1))
    agreement = [
        np.corrcoef(answer[..., i].ravel(), truth[..., i].ravel())[0, 1] for i in range(60)
    ]
    assert np.mean(agreement) > 0.6


def sessions_of_a_backbone(n_sessions=3):
    sessions = nm.simulate(30, n_sessions=n_sessions, n_neurons=8, n_time=10)
    return backbone_of(sessions, encode=True, region_names=("CA1",))


def test_new_sessions_never_train_on_the_trials_that_calibrate_them():
    model, tensors = sessions_of_a_backbone()
    newcomers = PretendedNew(model, tensors)
    rng = np.random.default_rng(0)
    seen, shares = set(), []
    for _ in range(40):
        trials = newcomers.draw(rng)
        for i, rows in enumerate(trials):
            seen.add((i, i in newcomers.drawn))
            if i not in newcomers.drawn:
                assert sorted(rows.tolist()) == list(range(30))
                assert newcomers.weights(i, rows, None) is None
                continue
            rest = np.setdiff1d(np.arange(30), rows)
            shares.append(len(rest) / 30)
            expected = tensors[i].counts[torch.as_tensor(rest)].float().mean((0, 1))
            torch.testing.assert_close(newcomers.weights(i, rows, None).mean, expected)
    assert seen == {(i, new) for i in range(3) for new in (True, False)}
    assert 0.06 < min(shares) < 0.2  # few trials too, so that it learns how far to trust them
    assert 0.7 < max(shares) <= 0.8


@pytest.mark.parametrize(("n_sessions", "expected"), [(2, 0.5), (6, 1.0), (15, 1.5)])
def test_about_one_session_an_epoch_is_new(n_sessions, expected):
    newcomers = PretendedNew(*sessions_of_a_backbone(n_sessions))
    rng = np.random.default_rng(0)
    drawn = []
    for _ in range(200):
        newcomers.draw(rng)
        drawn.append(len(newcomers.drawn))
    assert np.mean(drawn) == pytest.approx(expected, abs=0.25)


def test_only_new_sessions_train_the_encoder():
    model, tensors = sessions_of_a_backbone()
    newcomers = PretendedNew(model, tensors)
    rng = np.random.default_rng(0)
    while not 0 < len(newcomers.drawn) < 3:
        newcomers.draw(rng)
    for i in range(3):
        model.zero_grad()
        stitch = model.stitch(f"sim-{i}")
        weights = newcomers.weights(i, torch.arange(5), None) or stitch.weights()
        weights.read_in.sum().backward()
        assert (model.encoder.read.weight.grad is not None) is (i in newcomers.drawn)
        assert (stitch.read_in.weight.grad is None) is (i in newcomers.drawn)


def test_leaving_trials_out_is_calibrating_on_the_rest():
    counts = nm.simulate(60, n_neurons=40, n_time=30, random_state=0).counts
    whole = statistics_of(counts, n_factors=3)
    left, rest = whole.without(torch.arange(12)), calibrate(counts[12:], n_factors=3)
    # Moments stay those of all trials, correlations are those of the rest.
    pairs = torch.stack([left.correlation.flatten(), rest.correlation.flatten()])
    assert torch.corrcoef(pairs)[0, 1] > 0.99
    # Signs of factors are a convention, what they predict is not.
    a, b = (x.factor_out @ x.factor_in.T for x in (left, rest))
    assert (a - b).norm() < 0.2 * b.norm()
    with pytest.raises(InvalidInputError, match="60 of 60 trials.*something is left"):
        whole.without(torch.arange(60))


def test_counts_of_the_trials_left_out_have_no_part_in_correlations():
    counts = nm.simulate(40, n_neurons=10, n_time=20, random_state=0).counts.astype(int)
    changed = counts.copy()
    for i in range(10):  # the same rates, other correlations
        changed[:4, :, i] = np.roll(changed[:4, :, i], i, axis=0)
    one, other = (statistics_of(c).without(torch.arange(4)) for c in (counts, changed))
    torch.testing.assert_close(one.correlation, other.correlation, atol=2e-3, rtol=0)
    assert not torch.allclose(calibrate(counts).correlation, calibrate(changed).correlation)


def test_trials_that_are_repeated_tell_the_same_but_count():
    counts = nm.simulate(60, n_neurons=16, n_time=30, random_state=0).counts
    once, again = (calibrate(np.tile(counts, (n, 1, 1)), n_factors=1) for n in (1, 4))
    torch.testing.assert_close(once.correlation, again.correlation, atol=1e-4, rtol=0)
    gain = (again.descriptors - once.descriptors).mean(0)
    expected = np.zeros(N_DESCRIPTORS + 1)
    expected[3] = np.log(4)
    np.testing.assert_allclose(gain, expected, atol=1e-3)


def test_how_far_factors_are_trusted_depends_on_the_number_of_trials():
    model, tensors = sessions_of_a_backbone()
    one = model.population_statistics(tensors[0].counts, None).whole()
    more = one.descriptors.clone()
    more[:, 3] += np.log(4)
    with torch.no_grad():
        model.encoder.write.weight.zero_()  # factors are all that is left of the read-outs
        few, many = (
            model.encoder(c).read_out for c in (one, dataclasses.replace(one, descriptors=more))
        )
    factors = one.factor_out.any(0)
    assert factors.any()
    gain = (many / few)[:, -len(factors) :][:, factors]
    assert gain.std() > 1e-3


def test_what_a_session_learned_is_added_to_what_is_inferred():
    model, tensors = sessions_of_a_backbone()
    starts, stitch = InferredStarts(model, tensors), model.stitch("sim-0")
    with torch.no_grad():
        stitch.read_in.weight.add_(1.0)
    inferred = model.encoder(starts.statistics[0].without(torch.arange(5)))
    found = starts.weights(0, torch.arange(5), None)
    torch.testing.assert_close(found.read_in, 1 + inferred.read_in)
    whole = model.encoder(model.population_statistics(tensors[0].counts, None).whole())
    torch.testing.assert_close(stitch.weights().read_in, 1 + whole.read_in)


def test_an_encoder_ignores_the_order_of_neurons():
    model, tensors = sessions_of_a_backbone()
    calibration = model.population_statistics(tensors[0].counts, None).whole()
    order = torch.randperm(8, generator=torch.Generator().manual_seed(0))
    moved = NeuronStatistics(
        mean=calibration.mean[order],
        scale=calibration.scale[order],
        region=calibration.region[order],
        descriptors=calibration.descriptors[order],
        correlation=calibration.correlation[order][:, order],
        factor_in=calibration.factor_in[order],
        factor_out=calibration.factor_out[order],
        evidence=calibration.evidence[order],
    )
    with torch.no_grad():
        one, other = model.encoder(calibration), model.encoder(moved)
    torch.testing.assert_close(one.read_in[:, order], other.read_in)
    torch.testing.assert_close(one.read_out[order], other.read_out)
