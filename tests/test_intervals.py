"""When something was recorded, and what becomes of trials that reach beyond."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuromask.datasets.intervals import bins_within, intersect, read_intervals, within
from neuromask.datasets.trials import (
    read_ends,
    recorded_bins,
    refuse_unrecorded,
    trials_within,
    warn_of_overlap,
)
from neuromask.errors import InvalidInputError, NeuromaskWarning

RECORDED = np.array([[0.0, 80.0], [120.0, 200.0]])
EDGES = np.linspace(-0.5, 1.5, 5)


class IntervalSet:
    start, end = np.array([120.0, 0.0]), np.array([200.0, 80.0])


@pytest.mark.parametrize(
    "given",
    [
        RECORDED,
        RECORDED[::-1].tolist(),
        (np.array([0.0, 100.0, 120.0]), np.array([80.0, 100.0, 200.0])),
        pd.DataFrame({"start": [0.0, 120.0], "end": [80.0, 200.0]}),
        pd.DataFrame({"start_time": [0.0, 50.0, 120.0], "stop_time": [60.0, 80.0, 200.0]}),
        IntervalSet(),
    ],
)
def test_intervals_are_read_in_every_form(given):
    np.testing.assert_array_equal(read_intervals("recording", given), RECORDED)


def test_one_interval_may_be_a_pair():
    np.testing.assert_array_equal(read_intervals("recording", (0, 5)), [[0.0, 5.0]])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((5, 2), "recording has 1 intervals that do not stop after they start.*5 to 2 s"),
        ("all", "recording is a str that holds no intervals; expected"),
        (np.zeros((4, 3)), "is a ndarray that holds no intervals"),
        ([(0.0, np.nan)], "holds no intervals"),
        (7, "is a int that holds no intervals"),
    ],
)
def test_what_is_no_interval_is_refused(given, message):
    with pytest.raises(InvalidInputError, match=message):
        read_intervals("recording", given)


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 12)), max_size=8), st.integers(0, 50))
def test_a_time_lies_within_the_intervals_that_were_given(pairs, second):
    intervals = read_intervals("recording", np.array([(a, a + b) for a, b in pairs]).reshape(-1, 2))
    expected = any(a <= second and second + 1 <= a + b for a, b in pairs) or all(
        any(a <= t <= a + b and b > 0 for a, b in pairs)
        for t in (second + 0.001, second + 0.5, second + 0.999)
    )
    assert within(intervals, np.array(second), np.array(second + 1)) == expected
    assert (np.diff(intervals.ravel()) > 0).all()


def test_two_sets_of_intervals_share_what_lies_in_both():
    both = intersect(RECORDED, np.array([[70.0, 130.0], [150.0, 160.0]]))
    np.testing.assert_array_equal(both, [[70.0, 80.0], [120.0, 130.0], [150.0, 160.0]])
    assert intersect(RECORDED, np.zeros((0, 2))).shape == (0, 2)


def test_a_bin_at_the_edge_of_a_recording_is_within_it_whatever_rounding_does():
    events = 0.1 + 0.2 * np.arange(3)  # 0.1 + 0.2 is more than 0.3
    assert bins_within(np.array([[0.1, 0.7]]), events, np.array([0.0, 0.1, 0.2])).all()


EVENTS = np.array([10.0, 79.0, 100.0, 121.0, 199.0, np.nan])


def test_trials_that_reach_into_a_gap_are_told_from_those_beyond_the_recording():
    rules = trials_within(EVENTS, EDGES, RECORDED, "cue")
    assert {k: np.flatnonzero(~v).tolist() for k, v in rules.items()} == {
        "no cue": [5],
        "beyond the recording": [4],
        "in time that was not recorded": [1, 2],
    }


def test_marked_trials_need_one_recorded_bin():
    rules = trials_within(EVENTS, EDGES, RECORDED, "cue", unrecorded="mark")
    assert np.flatnonzero(~rules["in time that was not recorded"]).tolist() == [2]
    assert rules["beyond the recording"].all()
    there = recorded_bins(EVENTS[:2], EDGES, RECORDED)
    assert there.tolist() == [[True] * 4, [True, True, True, False]]
    assert recorded_bins(EVENTS[:1], EDGES, RECORDED) is None


def test_what_comes_after_a_trials_end_need_not_have_been_recorded():
    ends = EVENTS + 0.6
    rules = trials_within(EVENTS[:5], EDGES, RECORDED, "cue", ends=ends[:5])
    assert np.flatnonzero(~rules["in time that was not recorded"]).tolist() == [2]
    there = recorded_bins(EVENTS[:1], EDGES, RECORDED, ends[:1])
    assert there.tolist() == [[True, True, False, False]]
    ends = np.array([EVENTS[0] - 0.4])
    rules = trials_within(EVENTS[:1], EDGES, RECORDED, "cue", ends=ends)
    assert not rules["no end, or one before the window's first bin is over"].any()


def test_refused_trials_are_named_with_the_ways_to_have_them():
    rules = trials_within(EVENTS[:3], EDGES, RECORDED, "cue")
    message = (
        "2 of 3 trials reach into time that was not recorded, 0 to 80, 120 to 200 s; the first is event "
        "1, whose trial covers 78.5 to 80.5 s. Set unrecorded='drop'.*'mark'"
    )
    with pytest.raises(InvalidInputError, match=message):
        refuse_unrecorded(rules, EVENTS[:3], EDGES, RECORDED)


def test_ends_are_one_a_trial():
    with pytest.raises(InvalidInputError, match=r"ends has shape \(2,\) for 3 events"):
        read_ends([1.0, 2.0], 3)


def test_trials_that_share_time_are_warned_of():
    with pytest.warns(NeuromaskWarning, match="1 of 3 events are there more than once"):
        warn_of_overlap(np.array([1.0, 9.0, 1.0]), EDGES)
    with pytest.warns(
        NeuromaskWarning, match="1 of 3 trials begin before the one before them is over"
    ):
        warn_of_overlap(np.array([1.0, 2.5, 9.0]), EDGES)
    warn_of_overlap(np.array([1.0, 3.0, 5.0]), EDGES)
