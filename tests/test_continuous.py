"""Recordings without trials: windows and their blocks, and the whole put together again."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import xarray
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import GroupKFold

import neuromask as nm
from neuromask.datasets.intervals import within
from neuromask.datasets.report import Report
from neuromask.datasets.windows import window_events
from neuromask.errors import InvalidInputError, NeuromaskWarning

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
        ({"window": (0.0, 1.0)}, r"window=\(0.0, 1.0\); expected a positive number, the seconds"),
        ({"window": -1.0}, "window=-1.0; expected a positive number"),
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


COUNTS = np.random.default_rng(0).poisson(0.5, (400, 6))
REGIONS = ["CA1", "CA1", "LP", "LP", "VISp", "VISp"]
SIGNALS = {"wheel": np.arange(400.0), "paws": np.arange(800.0).reshape(400, 2)}
TINY = {"dim": 16, "n_layers": 1, "n_heads": 2, "max_epochs": 1, "random_state": 0}


def with_gap(first=103, last=131):
    counts = COUNTS.astype(float)
    counts[first:last] = np.nan
    return counts


def cut(counts=COUNTS, regions=REGIONS, **options):
    return nm.cut_windows(counts, regions, **({"bin_width": 0.05, "signals": SIGNALS} | options))


def bins_of(session):
    first = np.round(session.trials["start"].to_numpy() / session.bin_width).astype(int)
    return first[:, None] + np.arange(session.n_time)


def test_a_recording_is_cut_into_windows_with_all_that_belongs_to_them():
    session = cut(subject="mouse", session_id="sleep", t_first=7.0)
    assert session.shape == (20, 20, 6)
    assert session.observed is None
    assert (session.bin_width, session.t_start) == (0.05, 0.0)
    assert (session.session_id, session.subject) == ("sleep", "mouse")
    assert session.regions.tolist() == REGIONS
    np.testing.assert_array_equal(session.counts, COUNTS.reshape(20, 20, 6))
    np.testing.assert_array_equal(session.trials["start"], 7.0 + np.arange(0, 400, 20) * 0.05)
    assert session.trials["block"].tolist() == np.repeat(np.arange(10), 2).tolist()
    np.testing.assert_array_equal(session.signals["wheel"], SIGNALS["wheel"].reshape(20, 20))
    np.testing.assert_array_equal(session.signals["paws"], SIGNALS["paws"].reshape(20, 20, 2))
    assert not len(session.report)


GAPS = st.lists(st.tuples(st.integers(0, 390), st.integers(1, 40)), max_size=5)


@given(GAPS, st.integers(1, 25), st.integers(1, 25), st.booleans())
def test_no_window_touches_a_gap_and_the_whole_is_found_again(gaps, length, step, is_partial):
    counts = COUNTS.astype(float)
    for at, n in gaps:
        counts[at : at + n] = np.nan
    if is_partial:
        counts[50:90, 2] = np.nan
    options = {"window": length * 0.05, "step": step * 0.05, "n_blocks": 4}
    session = cut(counts, **options)
    bins = bins_of(session)
    assert np.isfinite(counts[bins]).any(2).all()
    np.testing.assert_array_equal(np.asarray(session), counts[bins])
    whole = nm.join_windows(session)
    assert whole.n_trials == 1
    assert whole.trials["start"].tolist() == [bins.min() * 0.05]
    expected, wheel = np.full((400, 6), np.nan), np.full(400, np.nan)
    expected[bins] = counts[bins]
    wheel[bins] = SIGNALS["wheel"][bins]
    covered = slice(bins.min(), bins.max() + 1)
    np.testing.assert_array_equal(np.asarray(whole[:], float)[0], expected[covered])
    np.testing.assert_array_equal(whole.signals["wheel"][0], wheel[covered])
    for a in np.unique(session.trials["block"]):
        inside = (session.trials["block"] == a).to_numpy()
        assert not np.intersect1d(bins[inside], bins[~inside]).size


@pytest.mark.parametrize("way", ["nan", "masked", "rows", "entries"])
def test_gaps_are_given_in_every_way(way):
    seen = np.isfinite(with_gap())
    given = {
        "nan": (with_gap(), None),
        "masked": (np.ma.MaskedArray(COUNTS, ~seen), None),
        "rows": (COUNTS, seen[:, 0]),
        "entries": (COUNTS, seen),
    }[way]
    session = cut(given[0], observed=given[1])
    starts = np.r_[np.arange(0, 100, 20), np.arange(131, 391 - 20 + 1, 20)]
    np.testing.assert_array_equal(session.trials["start"], starts * 0.05)
    assert session.observed is None
    assert session.report.to_numpy().tolist() == [
        ["bins", "in time that was not recorded", 28, 372],
        ["bins", "too few for a window, at the end of a stretch", 12, 360],
    ]


def test_gaps_can_be_marked_instead():
    session = cut(with_gap(103, 165), unrecorded="mark", n_blocks=3)
    # The windows from bin 120 and 140 have nothing, and are left out.
    np.testing.assert_array_equal(
        bins_of(session)[:, 0], np.setdiff1d(np.arange(0, 400, 20), [120, 140])
    )
    np.testing.assert_array_equal(np.asarray(session), with_gap(103, 165)[bins_of(session)])
    np.testing.assert_array_equal(session.signals["wheel"], SIGNALS["wheel"][bins_of(session)])
    assert np.unique(session.trials["block"]).tolist() == [0, 1, 2]
    assert session.report.to_numpy().tolist() == [
        ["bins", "in time that was not recorded", 62, 338],
        ["windows", "in time that was not recorded", 2, 18],
        ["windows", "with bins in time that was not recorded, marked", 0, 2],
    ]


def test_neurons_that_were_there_for_a_part_are_marked_and_others_left_out():
    counts = with_gap()
    counts[200:, 1] = np.nan
    counts[:395, 4] = np.nan
    session = cut(counts)
    assert session.regions.tolist() == ["CA1", "CA1", "LP", "LP", "VISp"]
    np.testing.assert_array_equal(
        np.asarray(session), counts[bins_of(session)][:, :, [0, 1, 2, 3, 5]]
    )
    assert session.report.to_numpy().tolist()[2:] == [
        ["neurons", "recorded in no window", 1, 5],
        ["neurons", "recorded for a part of the time, marked", 0, 1],
    ]


def test_times_that_jump_are_gaps():
    time = np.r_[np.arange(100), np.arange(150, 450)] * 0.05 + 1000.0
    tsd = SimpleNamespace(t=time, values=COUNTS, shape=COUNTS.shape, columns=np.arange(6) + 40)
    session = cut(tsd, bin_width=None)
    assert session.bin_width == pytest.approx(0.05)
    assert session.neurons["id"].tolist() == [40, 41, 42, 43, 44, 45]
    np.testing.assert_array_equal(session.counts, COUNTS.reshape(20, 20, 6))
    np.testing.assert_array_equal(session.signals["wheel"], SIGNALS["wheel"].reshape(20, 20))
    starts = np.r_[np.arange(0, 100, 20), np.arange(150, 450, 20)]
    np.testing.assert_allclose(session.trials["start"], starts * 0.05)
    assert session.report.to_numpy().tolist() == [
        ["bins", "in time that was not recorded", 50, 400]
    ]
    marked = cut(tsd, bin_width=0.05, unrecorded="mark")
    whole = nm.join_windows(marked)
    np.testing.assert_array_equal(
        whole.observed[0].any(1), ~np.isin(np.arange(440), range(100, 150))
    )
    assert np.isnan(whole.signals["wheel"][0, 100:150]).all()
    shifted = SimpleNamespace(**(vars(tsd) | {"t": time + 0.02 * (np.arange(400) >= 100)}))
    with pytest.warns(NeuromaskWarning, match="1 of 1 gaps are no whole number of bins of 0.05 s"):
        np.testing.assert_allclose(cut(shifted).trials["start"], session.trials["start"])


def test_arrays_of_other_packages_tell_their_bins_and_neurons():
    array = xarray.DataArray(
        COUNTS,
        dims=("time", "unit"),
        coords={
            "time": np.arange(400) * 0.05,
            "unit": np.arange(6) + 40,
            "region": ("unit", REGIONS),
        },
    )
    frame = pd.DataFrame(COUNTS, index=np.arange(400) * 0.05, columns=list("abcdef"))
    for recording, name, names in ((array, "id", range(40, 46)), (frame, "id", "abcdef")):
        session = nm.cut_windows(recording)
        assert session.bin_width == pytest.approx(0.05)
        assert session.neurons[name].tolist() == list(names)
        np.testing.assert_array_equal(session.counts, COUNTS.reshape(20, 20, 6))
    assert nm.cut_windows(array).regions.tolist() == REGIONS
    counted = array.assign_coords(time=np.arange(400))
    assert nm.cut_windows(counted, bin_width=0.05).bin_width == 0.05
    gappy = frame.astype("Int64").mask(frame.index.to_series().between(5.1, 6.5))
    assert nm.cut_windows(gappy).n_trials == 18
    with pytest.raises(InvalidInputError, match=r"counts.transpose\('time', 'unit'\)"):
        nm.cut_windows(array.T)


@pytest.mark.parametrize(
    ("counts", "options", "message"),
    [
        (COUNTS[None], {}, r"shape \(1, 400, 6\), three axes.*neuromask.Session.*counts\[0\]"),
        (COUNTS[:, 0], {}, r"shape \(400,\); expected \(time, neurons\).*counts\[:, None\]"),
        (COUNTS.T, {}, r"shape \(6, 400\) and there are 6 neurons.*give counts.T"),
        (COUNTS.T, {"regions": None}, r"counts has 6 bins of 0.05 s and 400 neurons.*counts.T"),
        (COUNTS - 0.5, {}, r" \(counts\): X holds .* negative values"),
        (COUNTS, {"bin_width": None}, "bin_width is missing, and counts has no times"),
        (COUNTS, {"bin_width": "20 ms"}, "bin_width='20 ms'; expected a positive number"),
        (COUNTS, {"bin_width": 0.3}, "do not fill the window.*whole number of bins"),
        (COUNTS, {"window": 30.0}, "counts has 400 bins of 0.05 s.*has 600 bins.*shorter window"),
        (with_gap(190, 210), {"window": 10.0}, "no window of 10 s fits.*lasts 9.5 s"),
        (with_gap(), {"unrecorded": "refuse"}, "28 of 400 bins are in time.*the first at 5.15 s"),
        (COUNTS, {"observed": np.zeros(400, bool)}, "nothing was recorded in any of 400 bins"),
        (COUNTS, {"unrecorded": "keep"}, "unrecorded='keep'; expected one of"),
        (COUNTS, {"t_first": None}, "t_first=None; expected the seconds"),
        (COUNTS, {"signals": np.zeros(400)}, "signals is a ndarray; expected a mapping"),
        (COUNTS, {"signals": {"x": np.zeros(399)}}, r"'x' has .* shape \(399,\).*\(400,\) or"),
        (COUNTS, {"observed": np.ones(6, bool)}, r"observed has shape \(6,\).*\(400,\), one a bin"),
        (COUNTS, {"observed": np.ones(400)}, "observed holds float64 values; expected booleans"),
        (COUNTS, {"regions": REGIONS[:5]}, r"regions has shape \(5,\), X has 6 neurons"),
    ],
)
def test_recordings_that_cannot_be_cut_are_refused(counts, options, message):
    with pytest.raises(InvalidInputError, match=f"^cut_windows.*{message}"):
        cut(counts, **options)


def test_times_that_are_no_bins_are_refused():
    frame = pd.DataFrame(COUNTS, index=np.arange(400) * 0.05)
    with pytest.raises(
        InvalidInputError, match=r"are 0.05 s apart by their times, and bin_width is 0.02 s"
    ):
        cut(frame, bin_width=0.02)
    with pytest.raises(InvalidInputError, match="1 rows that do not follow.*row 7, 0 s later"):
        cut(frame.set_axis(np.insert(np.arange(399), 7, 6) * 0.05))


def test_what_cannot_be_joined_is_refused():
    session = cut(step=0.5)
    for change, message in (
        ({"trials": None}, r"trials has the columns \[\].*expected 'start'"),
        ({"bin_width": None}, "bin width of the session is not known"),
        (
            {"trials": {"start": session.trials["start"] + 0.01 * np.arange(30)}},
            "start between the",
        ),
        (
            {"trials": {"start": session.trials["start"].where(lambda s: s > 1)}},
            "start of 3 windows",
        ),
        ({"trials": {"start": session.trials["start"] * 0.5}}, "window 1, from 0.25 s, has other"),
    ):
        changed = session._with(**change)
        with pytest.raises(InvalidInputError, match=f"^join_windows: .*{message}"):
            nm.join_windows(changed)
    with pytest.raises(InvalidInputError, match="expected a Session of windows.*given ndarray"):
        nm.join_windows(COUNTS)


def test_a_joined_recording_is_predicted_and_decoded_as_the_array_is():
    counts = with_gap()
    session = cut(counts, unrecorded="mark")
    pre = nm.MtMPretrainer(**TINY).fit(session)
    whole = nm.join_windows(session)
    np.testing.assert_array_equal(pre.predict(whole)[0], pre.predict(counts))
    decoder = nm.MtMDecoder(pre, task="regression", random_state=0)
    y, groups = session.signals["wheel"], session.trials["block"]
    decoder.fit(session, np.where(session.observed.any(2), y, np.nan))
    assert decoder.predict(whole).shape == (1, 400)
    folds = GroupKFold(5).split(session.counts, groups=groups)
    for train, test in folds:
        assert not np.intersect1d(bins_of(session[train]), bins_of(session[test])).size


def test_windows_of_spike_times_are_joined_too():
    chance = np.random.default_rng(0)
    times, clusters = np.sort(chance.uniform(0, 60, 3000)), chance.integers(0, 5, 3000)
    recording = [(0.0, 20.33), (30.007, 60.0)]
    times, clusters = (x[(times < 20.33) | (times >= 30.007)] for x in (times, clusters))
    session = nm.from_spike_times(
        times, clusters, window=1.0, step=0.5, recording=recording, bin_width=0.1, unrecorded="drop"
    )
    whole = nm.join_windows(session)
    edges = np.linspace(0, 0.1 * whole.n_time, whole.n_time + 1)
    expected = np.stack([np.histogram(times[clusters == c], edges)[0] for c in range(5)], 1)
    there = whole.observed[0, :, 0]
    assert there.sum() > 490
    np.testing.assert_array_equal(whole.counts[0][there], expected[there])


def test_a_labelled_array_says_its_regions_names_and_unit_of_time():
    counts = np.random.default_rng(0).poisson(0.5, (200, 3))
    array = xarray.DataArray(
        counts,
        dims=("time", "unit"),
        coords={
            "time": ("time", np.arange(200) * 20.0, {"units": "ms"}),
            "unit": [7, 5, 9],
            "brain_area": ("unit", ["CA1", "CA1", "VISp"]),
        },
    )
    session = nm.cut_windows(array, window=1.0)
    assert session.bin_width == pytest.approx(0.02)
    assert session.regions.tolist() == ["CA1", "CA1", "VISp"]
    assert session.identity["id"] == ("7", "5", "9")
    array["time"].attrs["units"] = "fortnights"
    with pytest.raises(InvalidInputError, match="'time' is in 'fortnights'; expected a unit"):
        nm.cut_windows(array, window=1.0)


def test_windows_that_start_far_beyond_one_another_are_refused():
    session = nm.cut_windows(np.ones((200, 300), int), bin_width=0.02, window=1.0)
    session.trials.loc[3, "start"] = 1e10
    with pytest.raises(InvalidInputError, match="so that they fill 200 of .* bins"):
        nm.join_windows(session)
