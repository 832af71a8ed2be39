"""Agreement with the scorers of the BrainWideBench benchmark, an independent implementation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuromask.evaluation import evaluate, summarise
from neuromask.metrics import bits_per_spike, poisson_d2

benchmark = pytest.importorskip(
    "ibl_bwb_eval.metrics",
    reason="ibl-bwb-eval is not installed (pip install --no-deps ibl-bwb-eval torchmetrics "
    "lightning-utilities)",
)


def theirs(metric, counts, rates):
    import torch

    scorer = getattr(benchmark, metric)()
    scorer.update(torch.tensor(np.log(rates)).float(), torch.tensor(counts).float())
    return float(scorer.compute())


def draw(seed, n_bins, n_neurons, mean, silent):
    generator = np.random.default_rng(seed)
    truth = mean * generator.gamma(2.0, 0.5, (n_bins, n_neurons))
    counts = generator.poisson(truth)
    counts[:, :silent] = 0
    counts[0, silent:] += 1  # everyone else fires at least once
    return counts, truth * np.exp(0.3 * generator.standard_normal(truth.shape)) + 1e-3


recordings = st.builds(
    draw,
    st.integers(0, 2**32 - 1),
    st.integers(20, 200),
    st.integers(2, 6),
    st.sampled_from([0.05, 0.5, 3.0]),
    st.integers(0, 1),
)


@settings(max_examples=40, deadline=None)
@given(recordings)
def test_pooled_bits_per_spike(recording):
    ours = bits_per_spike(*recording, pooled=True)
    assert ours == pytest.approx(theirs("BPS", *recording), rel=1e-5, abs=1e-5)


@settings(max_examples=40, deadline=None)
@given(recordings)
def test_poisson_d2_of_each_neuron_and_its_mean(recording):
    counts, rates = recording
    ours = poisson_d2(counts, rates)
    for n in np.flatnonzero(counts.sum(0)):
        each = theirs("PoissonD2Score", counts[:, [n]], rates[:, [n]])
        assert ours[n] == pytest.approx(each, rel=1e-5, abs=1e-5)
    assert np.isnan(ours[counts.sum(0) == 0]).all()
    assert np.nanmean(ours) == pytest.approx(
        theirs("PoissonD2Score", counts, rates), rel=1e-5, abs=1e-5
    )


def test_a_neuron_without_variation_has_no_d2_there_either():
    counts = np.ones((7, 1))  # exact in their single precision too
    assert np.isnan(poisson_d2(counts, counts + 0.5)).all()
    assert np.isnan(theirs("PoissonD2Score", counts, counts + 0.5))


def test_the_evaluators_summary():
    counts, rates = draw(0, 200, 5, 0.5, 1)
    trials, answer = counts.reshape(10, 20, 5), rates.reshape(10, 20, 5)

    def oracle(visible, hidden, task):
        return np.tile(answer, (len(visible) // 10, 1, 1))

    table = summarise(evaluate(oracle, trials, tasks=["co_smoothing"]))
    assert table["bps_weighted"].item() == pytest.approx(theirs("BPS", counts, rates), abs=1e-5)
    assert table["d2"].item() == pytest.approx(theirs("PoissonD2Score", counts, rates), abs=1e-5)
