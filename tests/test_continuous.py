"""Recordings without trials: windows and their blocks, and the whole put together again."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuromask.datasets.intervals import within
from neuromask.datasets.report import Report
from neuromask.datasets.windows import window_events
from neuromask.errors import InvalidInputError

STRETCHES = st.lists(st.tuples(st.integers(1, 30), st.integers(10, 300)), min_size=1, max_size=8)


@given(STRETCHES, st.integers(1, 9), st.integers(1, 14), st.integers(1, 12))
def test_windows_lie_in_recorded_time_and_share_no_bin_with_another_block(
    stretches, length, step, n_blocks
):
    edges = np.cumsum([n for stretch in stretches for n in stretch]).reshape(-1, 2)
    recorded = 100.0 + edges * 0.1
    events, block = window_events(
        recorded, length * 0.1, step * 0.1, bin_width=0.1, n_blocks=n_blocks
    )
    assert within(recorded, events, events + length * 0.1).all()
    assert (np.diff(events) > 0).all()
    assert set(np.diff(block)) <= {0, 1}
    assert block[0] == 0
    bins = np.round((events - events[0]) / 0.1).astype(int)
    opens = np.flatnonzero(np.diff(block)) + 1
    assert (bins[opens] >= bins[opens - 1] + length).all()


@given(st.integers(20, 400), st.integers(1, 10))
def test_blocks_of_one_stretch_are_as_many_as_asked_for_and_equal(n_windows, n_blocks):
    _, block = window_events(np.array([[0.0, n_windows]]), 1.0, bin_width=0.5, n_blocks=n_blocks)
    sizes = np.bincount(block)
    assert len(sizes) == n_blocks
    assert sizes.sum() == n_windows
    assert sizes.max() - sizes.min() <= 1


def test_a_block_reaches_across_a_gap_only_where_a_stretch_is_short():
    recorded = np.array([[0.0, 40.0], [50.0, 90.0], [100.0, 103.0], [110.0, 127.0]])
    events, block = window_events(recorded, 1.0, bin_width=0.1, n_blocks=10)
    stretch = np.searchsorted(recorded[:, 0], events, side="right")
    assert [np.unique(stretch[block == b]).tolist() for b in np.unique(block)] == [
        *([[1]] * 4),
        *([[2]] * 4),
        *([[3, 4], [4]]),
    ]


def test_what_windows_leave_out_is_reported():
    report = Report()
    recorded = np.array([[0.0, 20.5]])
    events, block = window_events(recorded, 1.0, 0.5, bin_width=0.1, n_blocks=2, report=report)
    assert events.tolist() == [0.5 * i for i in range(40) if i != 20]
    assert np.bincount(block).tolist() == [20, 19]
    assert report.table().to_numpy().tolist() == [
        ["windows", "overlap with the block before", 1, 39]
    ]
    report = Report()
    window_events(recorded, 1.0, 1.5, bin_width=0.1, report=report)
    assert report.table().to_numpy().tolist() == [
        ["bins", "between windows, as step is longer than window", 65, 140]
    ]


def test_starts_are_exact_after_hours():
    events, _ = window_events(np.array([[0.3, 20_000.3]]), 0.7, 0.1, bin_width=0.1)
    bins = np.round((events - 0.3) / 0.1)
    np.testing.assert_array_equal(events, 0.3 + bins * 0.1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": (0.0, 1.0)}, r"window=\(0.0, 1.0\); expected one number, the seconds"),
        ({"window": 0.95}, "whole number of bins"),
        ({"step": 0.25}, r"step=0.25 with bins of 0.1 s; expected seconds, a whole number of bins"),
        ({"step": "half"}, "step='half'"),
        ({"step": 0.0}, r"step=0.0"),
        ({"n_blocks": 0}, "n_blocks=0; expected at least 1"),
        ({"window": 6.0}, r"no window of 6 s fits: the longest stretch without a gap lasts 5 s"),
    ],
)
def test_windows_that_cannot_be_are_refused(options, message):
    with pytest.raises(InvalidInputError, match=message):
        window_events(np.array([[0.0, 5.0], [7.0, 9.0]]), **({"bin_width": 0.1} | options))
