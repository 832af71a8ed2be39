"""What was not observed has no say in anything: it is neither silence nor data."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import neuromask as nm
from neuromask.errors import InvalidInputError

COUNTS = np.arange(24).reshape(2, 4, 3) % 5


def gappy(shape=(2, 4, 3)):
    observed = np.ones(shape, bool)
    observed[0, 2:] = False  # a short trial
    observed[1, :, 1] = False  # a neuron that was lost
    return observed


@pytest.mark.parametrize(
    "make",
    [
        lambda there: nm.Session(COUNTS, observed=there),
        lambda there: nm.Session(np.where(there, COUNTS, np.nan)),
        lambda there: nm.Session(np.ma.masked_array(COUNTS, mask=~there)),
        lambda there: nm.Session(np.ma.masked_array(np.where(there, COUNTS, np.nan), mask=~there)),
        lambda there: nm.Session(np.where(there, COUNTS, 9), observed=there.tolist()),
        lambda there: nm.Session.from_xarray(
            xr.DataArray(np.where(there, COUNTS, np.nan), dims=("trial", "time", "neuron"))
        ),
        lambda there: nm.Session(nm.Session(COUNTS, observed=there)),
    ],
)
def test_all_ways_to_say_what_was_observed_give_the_same_session(make):
    session = make(gappy())
    np.testing.assert_array_equal(session.observed, gappy())
    np.testing.assert_array_equal(session.counts, np.where(gappy(), COUNTS, 0))


def test_what_is_observed_everywhere_says_nothing():
    assert nm.Session(COUNTS).observed is None
    assert nm.Session(COUNTS, observed=True).observed is None
    assert nm.Session(COUNTS, observed=np.ones(3, bool)).observed is None


def test_two_ways_at_once_are_joined():
    counts = COUNTS.astype(float)
    counts[0, 0, 0] = np.nan
    session = nm.Session(counts, observed=gappy())
    expected = gappy()
    expected[0, 0, 0] = False
    np.testing.assert_array_equal(session.observed, expected)


def test_the_given_counts_are_left_as_they_are():
    counts, observed = COUNTS.astype(np.uint8), gappy()
    kept = counts.copy()
    nm.Session(counts, observed=observed)
    np.testing.assert_array_equal(counts, kept)
    np.testing.assert_array_equal(observed, gappy())


@pytest.mark.parametrize(
    ("observed", "message"),
    [
        (
            np.ones((2, 4), bool),
            r"observed has shape \(2, 4\); expected one that broadcasts to \(2, 4, 3\)",
        ),
        (np.ones((2, 4, 3)), "observed holds float64 values; expected booleans.*astype"),
        ([[True], [True, False]], "observed is a list that cannot be read"),
    ],
)
def test_an_observed_that_does_not_fit_is_refused(observed, message):
    with pytest.raises(InvalidInputError, match=message):
        nm.Session(COUNTS, observed=observed)


def test_it_is_sliced_with_trials_and_neurons():
    session = nm.Session(COUNTS, observed=gappy())
    np.testing.assert_array_equal(session[1:].observed, gappy()[1:])
    assert session[[0]].select_neurons([0]).observed.tolist() == [
        [[True], [True], [False], [False]]
    ]
    assert session[1:].select_neurons([0, 2]).observed is None
    assert session[1:].select_neurons([1]).observed.any() == np.False_


def test_an_array_of_a_session_says_nan_where_nothing_was_observed():
    session = nm.Session(COUNTS, observed=gappy())
    expected = np.where(gappy(), COUNTS, np.nan)
    np.testing.assert_array_equal(np.asarray(session), expected)
    np.testing.assert_array_equal(session[0], expected[0])
    np.testing.assert_array_equal(session[:, 1:], expected[:, 1:])
    assert np.asarray(session).dtype == session.dtype
    with pytest.raises(InvalidInputError, match="was not observed everywhere.*session.counts"):
        np.asarray(session, dtype=int)


def test_a_wider_bin_was_observed_if_all_of_its_bins_were():
    observed = np.ones((2, 4, 3), bool)
    observed[0, 1:] = False
    session = nm.Session(np.ones((2, 4, 3), int), observed=observed, bin_width=0.01).rebin(0.02)
    assert session.observed[:, :, 0].tolist() == [[False, False], [True, True]]
    assert session.counts[:, :, 0].tolist() == [[0, 0], [2, 2]]


def test_it_survives_the_disk(tmp_path):
    session = nm.Session(COUNTS, observed=gappy())
    again = nm.load_npz(session.save(tmp_path / "a"))
    np.testing.assert_array_equal(again.observed, gappy())
    np.testing.assert_array_equal(again.counts, session.counts)


def test_a_session_says_how_much_of_it_was_observed():
    session = nm.Session(np.ones((2, 4, 3), int), observed=gappy(), bin_width=0.5)
    assert "58.3 % observed" in repr(session)
    assert "2.0 Hz" in repr(session)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_session_does_not_depend_on_counts_that_were_not_observed(seed):
    chance = np.random.default_rng(seed)
    observed = chance.random((3, 4, 2)) < 0.7
    counts = chance.poisson(1.0, observed.shape)
    others = np.where(observed, counts, chance.poisson(50.0, observed.shape))
    one, other = (nm.Session(c, observed=observed) for c in (counts, others))
    np.testing.assert_array_equal(one.counts, other.counts)
    assert repr(one) == repr(other)
