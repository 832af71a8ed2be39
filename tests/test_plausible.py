"""What is hardly a count, or hardly in seconds, is warned of; what real recordings hold is not."""

import time
import warnings

import numpy as np
import pytest

import neuromask as nm
from neuromask._plausible import common_factor, warn_of_implausible
from neuromask.errors import InvalidInputError, NeuromaskWarning

RNG = np.random.default_rng(0)
COUNTS = RNG.poisson(0.2, (20, 10, 6))
SCALED = "all counts are multiples of"


@pytest.mark.parametrize("bin_width", [0.02, 0.05, 0.1])
@pytest.mark.parametrize("dtype", [float, np.float32, int, np.uint16])
def test_rates_in_spikes_per_second_are_told_with_their_factor(bin_width, dtype):
    rates = np.rint(COUNTS / bin_width).astype(dtype)
    factor = round(1 / bin_width)
    with pytest.warns(
        NeuromaskWarning, match=f"{SCALED} {factor}, which is 1 / bin_width.*// {factor}"
    ):
        nm.Session(rates, bin_width=bin_width)
    with pytest.warns(
        NeuromaskWarning, match=f"{SCALED} {factor}. They may be rates in spikes/s of bins"
    ):
        nm.Session(rates)


@pytest.mark.filterwarnings("ignore:.*no regions are known")
@pytest.mark.parametrize("factor", [2, 3, 50])
def test_scaled_arrays_are_told_by_fit(factor):
    pre = nm.MtMPretrainer(dim=8, n_layers=1, max_epochs=1, random_state=0)
    with pytest.warns(NeuromaskWarning, match=f"MtMPretrainer.fit: {SCALED} {factor}"):
        pre.fit(COUNTS * factor)


def test_rates_of_other_bins_are_refused_with_their_counts():
    with pytest.raises(InvalidInputError, match=r"All are multiples of 33.3333.*0.03 s.*np.rint"):
        nm.Session(COUNTS / 0.03)
    with pytest.raises(InvalidInputError, match=r"drop trials with missing data\.$"):
        nm.Session(RNG.gamma(1.0, size=(3, 4, 5)))


@pytest.mark.parametrize("mean", [0.001, 0.05, 1.0, 30.0])
def test_counts_are_not_taken_for_rates(mean):
    for seed in range(20):
        counts = np.random.default_rng(seed).poisson(mean, (10, 8, 5))
        assert common_factor(counts) == 1
    assert common_factor(np.array([[[0] + [2] * 29]])) == 1
    assert common_factor(np.array([[[0] + [2] * 30]])) == 2
    assert common_factor(np.full((9, 9, 9), 2)) == 1


@pytest.mark.parametrize("milliseconds", [5, 10, 20, 50, 100])
def test_a_bin_width_in_milliseconds_is_told(milliseconds):
    counts = RNG.poisson(5 * milliseconds / 1000, (40, 20, 30))
    with pytest.warns(NeuromaskWarning, match=f"pass bin_width={milliseconds / 1000:g}."):
        nm.Session(counts, bin_width=milliseconds)


def test_rates_beyond_any_neuron_are_told():
    counts = RNG.poisson(0.2, (90, 20, 3))
    with pytest.warns(
        NeuromaskWarning, match="no neuron fires above 1000. bin_width is in seconds"
    ):
        nm.Session(counts, bin_width=2e-5)


@pytest.mark.parametrize(
    ("rate", "bin_width"),
    [(0.01, 0.02), (5, 0.001), (200, 0.001), (800, 0.01), (2, 1.0), (0.5, 30.0)],
)
def test_rates_and_widths_of_real_recordings_are_not_told(rate, bin_width):
    counts = RNG.poisson(rate * bin_width, (40, 20, 10))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        session = nm.Session(counts, bin_width=bin_width)
        session[:3].select_neurons([1])


def test_what_was_not_observed_has_no_rate():
    counts = RNG.poisson(0.9, (40, 20, 3))
    observed = np.zeros((40, 20, 1), bool)
    observed[:, :10] = True
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nm.Session(counts, observed=observed, bin_width=1.0)


def test_looking_costs_next_to_nothing():
    counts = RNG.poisson(0.1, (200, 100, 100)).astype(np.uint8)
    before = time.process_time()
    warn_of_implausible(counts, None, 0.02)
    assert time.process_time() - before < 0.1
