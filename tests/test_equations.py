"""The equations of the page "The method", written out once more and compared with the code."""

import math

import numpy as np
import pytest
import torch

import neuromask as nm
from neuromask.nn.batch_reading import completed, standardised
from neuromask.nn.neuron_encoder import NeuronEncoder
from neuromask.nn.neuron_statistics import PopulationStatistics
from neuromask.nn.session_weights import SessionStatistics, Stitch, TrialGroup
from neuromask.nn.trial_batch import TrialBatch

WIDTH = 3.0


@pytest.fixture(scope="module")
def counts():
    session = nm.simulate(120, n_neurons=30, n_time=40, mean_rate=15.0, random_state=0)
    return torch.tensor(session.counts.astype(np.int32))


@pytest.fixture(scope="module")
def population(counts):
    return PopulationStatistics(
        counts, ["CA1"] * 30, known_regions=("CA1",), n_factors=12, smoothing=WIDTH
    )


def smoothed(counts):
    """Return y of the page, with mu, sigma and the strength of slow variation."""
    x = counts.double().numpy()
    bins = np.arange(x.shape[1])
    smoother = np.exp(-0.5 * ((bins[:, None] - bins) / WIDTH) ** 2)
    smoother /= smoother.sum(1, keepdims=True)
    mean, scale = x.mean((0, 1)), x.std((0, 1))
    z = (np.einsum("ts,ksn->ktn", smoother, x) - mean) / scale
    slow = np.sqrt((z**2).mean((0, 1)))
    return z / slow, z, mean, scale, slow


def correlations(y):
    matrix = np.einsum("ktn,ktm->nm", y, y) / (y.shape[0] * y.shape[1])
    np.fill_diagonal(matrix, 0)
    return matrix


def test_factors_are_leading_eigenvectors_above_the_threshold(counts, population):
    correlation = correlations(smoothed(counts)[0])
    values = np.linalg.eigvalsh(correlation)[::-1][:12]
    q = 30 * math.sqrt(2 * math.pi) * WIDTH / (120 * 40)
    counted = values > max(0.5, 0.6 * (q + 2 * math.sqrt(q)))
    assert 0 < counted.sum() < 12
    np.testing.assert_allclose(population.strength, values * counted, rtol=0.01)
    vectors = population.loading.double().numpy()
    np.testing.assert_allclose(vectors.T @ vectors, np.diag(counted), atol=1e-4)


@pytest.mark.parametrize("first", [0, 20])
def test_loadings_evidence_and_factors_are_those_of_the_page(counts, population, first):
    _, z, mean, scale, slow = smoothed(counts)
    correlation = correlations((z / slow)[first:])
    found = population.without(torch.arange(first)) if first else population.whole()
    np.testing.assert_allclose(found.correlation, correlation, atol=1e-4)
    values, vectors = population.strength.double().numpy(), population.loading.double().numpy()
    loading = correlation @ vectors / np.where(values > 0, values, 1)
    evidence = loading * values / np.sqrt(1 + values)
    np.testing.assert_allclose(found.evidence, evidence, atol=1e-4)
    factor_in = loading / (slow[:, None] * np.sqrt(1 + values))
    np.testing.assert_allclose(found.factor_in, factor_in, atol=1e-4)
    relative = slow * scale / np.maximum(mean, 0.005)
    np.testing.assert_allclose(found.factor_out, evidence * relative[:, None], atol=1e-4)
    if not first:
        factors = z @ factor_in[:, values > 0]
        np.testing.assert_allclose((factors**2).mean((0, 1)), 1, rtol=0.02)


@pytest.mark.parametrize("first", [0, 20])
def test_descriptors_are_those_of_the_page(counts, population, first):
    _, z, mean, scale, slow = smoothed(counts)
    found = population.without(torch.arange(first)) if first else population.whole()
    z = z[first:]
    phase = (np.arange(40) + 0.5) / 40
    response = [(np.cos(math.pi * j * phase)[:, None] * z.mean(0)).mean(0) for j in range(8)]
    columns = [np.log(mean) / 1.5 + 1.5, np.log(scale**2 / mean), 4 * slow - 1]
    columns += [np.full(30, math.log(len(z) / 100)), *(3 * a for a in response)]
    values, vectors = population.strength.double().numpy(), population.loading.double().numpy()
    loading = correlations(z / slow) @ vectors / np.where(values > 0, values, 1)
    expected = np.concatenate([np.stack(columns, 1), math.sqrt(30) / 2 * loading], 1)
    np.testing.assert_allclose(found.descriptors, expected, atol=1e-3)


def test_a_hidden_neuron_is_read_as_the_posterior_mean_says(counts, population):
    generator = torch.Generator().manual_seed(0)
    sizes = {"n_in": 8, "n_linear": 12, "n_features": 20, "n_spike_history": 2, "dim": 8}
    encoder = NeuronEncoder(**sizes, n_regions=1, generator=generator)
    weights = encoder(population.whole())
    hidden = torch.zeros(3, 40, 30, dtype=torch.bool)
    hidden[:, :, 4:] = True
    group = TrialGroup("s", counts[:3].float(), hidden, torch.zeros(3).int(), torch.zeros(3).bool())
    batch = TrialBatch.of([group])
    inputs = standardised(batch, [weights])
    evidence = weights.evidence.double().numpy()
    visible, identity = evidence[:4], np.eye(12)
    correction = np.linalg.inv(identity + visible.T @ visible) @ (identity + evidence.T @ evidence)
    read = (inputs @ weights.linear_in.T).detach().double().numpy()
    found = completed(batch, [weights], inputs @ weights.linear_in.T).detach()
    np.testing.assert_allclose(found, read @ correction.T, atol=1e-4)


def test_log_rates_are_bounded_by_three_times_the_shrinkage():
    statistics = SessionStatistics("s", np.full(5, 0.1, np.float32), np.ones(5, np.float32), 4)
    sizes = {"n_in": 2, "n_linear": 2, "n_features": 3, "n_spike_history": 1, "dim": 2}
    stitch = Stitch(statistics, **sizes, generator=torch.Generator().manual_seed(0))
    for shrinkage in (0.5, 1.0, 2.0):
        stitch.shrinkage.fill_(shrinkage)
        log_rates = stitch.weights().read_rates(torch.full((1, 1, 3), 1e6))
        change = (log_rates - math.log(0.1)).abs()
        torch.testing.assert_close(change, torch.full_like(change, 3 * shrinkage))
