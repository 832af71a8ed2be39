"""Spike times as laboratories have them: other forms, other clocks, gaps, and a flaw here and there."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import neuromask as nm
from neuromask.datasets.binning import bin_edges, bin_spikes
from neuromask.errors import InvalidInputError, NeuromaskWarning

RATE, SECONDS, N = 8.0, 200.0, 6
EVENTS = np.arange(5, 190, 3.0)


def trains(seed=0):
    chance = np.random.default_rng(seed)
    return [np.sort(chance.uniform(0, SECONDS, int(RATE * SECONDS))) for _ in range(N)]


TRAINS = trains()
CLUSTERS = np.repeat(np.arange(N), [len(t) for t in TRAINS])
ORDER = np.argsort(np.concatenate(TRAINS), kind="stable")
TIMES, CLUSTERS = np.concatenate(TRAINS)[ORDER], CLUSTERS[ORDER]
RIGHT = nm.from_spike_times(TIMES, CLUSTERS, None, EVENTS).counts


class Ts:
    """What pynapple's Ts has."""

    def __init__(self, t):
        self.t = self.index = np.asarray(t)
        self.shape = self.t.shape

    def __len__(self):
        return len(self.t)


class Tsd(Ts):
    """What pynapple's Tsd and TsdFrame have."""

    def __init__(self, t, d):
        super().__init__(t)
        self.d = self.values = np.asarray(d)


class SpikeTrain:
    """What neo's SpikeTrain in milliseconds has."""

    def __init__(self, seconds):
        self.magnitude = np.asarray(seconds) * 1000

    def rescale(self, unit):
        assert unit == "s"
        return type(self)._in(self.magnitude / 1000)

    @classmethod
    def _in(cls, values):
        new = cls.__new__(cls)
        new.magnitude = values
        return new

    def __array__(self, dtype=None, copy=None):
        return self.magnitude


def cells(shape, column):
    array = np.empty(shape, object)
    for i, train in enumerate(TRAINS):
        array.ravel()[i] = train[:, None] if column else train
    return array


def nested():
    outer = np.empty((1, 1), object)
    outer[0, 0] = cells((N, 1), column=True)
    return outer


@pytest.mark.parametrize(
    ("times", "clusters"),
    [
        (TIMES[:, None], CLUSTERS[:, None]),
        (TIMES[None], CLUSTERS),
        (TIMES, CLUSTERS.astype(float)),
        (pd.Series(TIMES), pd.Series(CLUSTERS)),
        (pd.to_timedelta(TIMES, unit="s"), CLUSTERS),
        (cells((N,), column=False), None),
        (cells((N, 1), column=True), None),
        (cells((1, N), column=True), None),
        (nested(), None),
        ([t[:, None] for t in TRAINS], None),
        (tuple(TRAINS), None),
        ([Ts(t) for t in TRAINS], None),
        ({i: Ts(t) for i, t in enumerate(TRAINS)}, None),
        ([SpikeTrain(t) for t in TRAINS], None),
        (np.concatenate(TRAINS), np.repeat(np.arange(N), [len(t) for t in TRAINS])),
    ],
)
def test_every_form_of_spike_times_gives_the_same_counts(times, clusters):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        session = nm.from_spike_times(times, clusters, None, EVENTS)
    np.testing.assert_allclose(
        session.counts, RIGHT, atol=0 if "pandas" not in str(type(times)) else 1
    )


@pytest.mark.parametrize(
    "events", [EVENTS[:, None], EVENTS[None], Ts(EVENTS), pd.Series(EVENTS), EVENTS.tolist()]
)
def test_every_form_of_events_gives_the_same_counts(events):
    np.testing.assert_array_equal(nm.from_spike_times(TIMES, CLUSTERS, None, events).counts, RIGHT)


GRID = np.arange(0, SECONDS, 0.01)


@pytest.mark.parametrize(
    "signal",
    [
        (GRID, np.sin(GRID)),
        (GRID[:, None], np.sin(GRID)[:, None]),
        Tsd(GRID, np.sin(GRID)),
        pd.Series(np.sin(GRID), index=GRID),
        (Ts(GRID), np.sin(GRID)),
    ],
)
def test_every_form_of_a_signal_gives_the_same_values(signal):
    session = nm.from_spike_times(TIMES, CLUSTERS, None, EVENTS, signals={"x": signal})
    at = EVENTS[:, None] + np.linspace(-0.48, 1.5, 100)
    np.testing.assert_allclose(session.signals["x"], np.sin(at), atol=1e-4)


def test_signals_of_several_variables_are_read_of_frames():
    values = np.stack([np.sin(GRID), np.cos(GRID)], 1)
    for signal in (Tsd(GRID, values), pd.DataFrame(values, index=GRID)):
        session = nm.from_spike_times(TIMES, CLUSTERS, None, EVENTS, signals={"x": signal})
        assert session.signals["x"].shape == (len(EVENTS), 100, 2)


def test_pynapple_itself():
    nap = pytest.importorskip("pynapple", reason="pynapple is not installed")
    group = nap.TsGroup({i: nap.Ts(t) for i, t in enumerate(TRAINS)})
    signal = nap.Tsd(GRID, np.sin(GRID))
    session = nm.from_spike_times(
        group, None, None, nap.Ts(EVENTS), signals={"x": signal}, recording=nap.IntervalSet(0, 200)
    )
    np.testing.assert_array_equal(session.counts, RIGHT)


def test_samples_are_read_with_their_sampling_rate():
    samples = np.round(TIMES * 30_000).astype(np.int64)
    session = nm.from_spike_times(samples, CLUSTERS, None, EVENTS, sampling_rate=30_000)
    direct = nm.from_spike_times(samples / 30_000, CLUSTERS, None, EVENTS)
    np.testing.assert_array_equal(session.counts, direct.counts)


@given(
    st.lists(st.integers(0, 2_000), min_size=1, max_size=40),
    st.integers(0, 10**8),
    st.sampled_from([(1000, 20), (1000, 10), (30_000, 600), (30_000, 30)]),
)
def test_spikes_of_a_digital_clock_are_in_the_bin_of_whole_numbers(ticks, start, clock):
    """In a clock of ticks everything is a whole number, and so is the right answer."""
    a_second, a_bin = clock
    start = start // (a_bin) * a_bin
    ticks = np.sort(np.array(ticks))
    edges = bin_edges((0.0, 10 * a_bin / a_second), a_bin / a_second)
    counts = bin_spikes(
        (start + ticks) / a_second,
        np.zeros(len(ticks), int),
        np.array([0]),
        np.array([start / a_second]),
        edges,
    )
    expected = np.bincount(ticks // a_bin, minlength=10)[:10]
    np.testing.assert_array_equal(counts[0, :, 0], expected)


def reported(session, item):
    return {r.reason: (r.dropped, r.kept) for r in session.report.itertuples() if r.item == item}


def test_spikes_that_jitter_are_sorted_with_their_clusters_and_reported():
    order = np.arange(len(TIMES))
    order[100:102] = [101, 100]
    session = nm.from_spike_times(TIMES[order], CLUSTERS[order], None, EVENTS)
    np.testing.assert_array_equal(session.counts, RIGHT)
    assert reported(session, "spikes") == {"samples out of order, sorted": (0, 1)}


def test_a_few_spikes_without_a_time_or_before_0_are_left_out_and_reported():
    times = np.r_[-0.004, TIMES, np.nan]
    session = nm.from_spike_times(times, np.r_[0, CLUSTERS, 1], None, EVENTS)
    np.testing.assert_array_equal(session.counts, RIGHT)
    n = len(TIMES)
    assert reported(session, "spikes") == {
        "NaN or infinite values": (1, n + 1),
        "times before 0": (1, n),
    }


@pytest.mark.parametrize("second", [4000, 30])
def test_a_clock_that_starts_again_is_never_sorted_over(second):
    chance = np.random.default_rng(0)
    times = np.concatenate([np.sort(chance.uniform(0, 100, k)) for k in (4000, second)])
    clusters = chance.integers(0, 8, len(times))
    with pytest.raises(InvalidInputError, match=r"go back from 9\d.* at spike 4000.*starts anew"):
        nm.from_spike_times(times, clusters, None, np.arange(5, 90, 3.0))


def test_a_cluster_whose_times_start_again_costs_itself_alone():
    bad = [*TRAINS[:3], np.r_[TRAINS[3], TRAINS[3][:50]], *TRAINS[4:]]
    session = nm.from_spike_times(bad, None, None, EVENTS)
    np.testing.assert_array_equal(session.counts, np.delete(RIGHT, 3, axis=2))
    assert reported(session, "neurons") == {"times that start again: 3": (1, N - 1)}


@pytest.mark.parametrize(
    ("times", "events", "message"),
    [
        (TIMES * 1000, EVENTS[8:], "1,\\d+ times longer. They seem to be in milliseconds"),
        ((TIMES - TIMES[0]) * 30_000 + 30, EVENTS[8:], "seem to be in samples"),
        (TIMES * 1000, EVENTS * 1000, "Spike times and events seem to be in milliseconds"),
        (TIMES / 3600, np.array([0.0, 0.03]), "no neuron fires above 1000"),
    ],
)
def test_times_that_cannot_be_seconds_are_warned_of(times, events, message):
    window = (0.0, 0.02) if times[-1] < 1 else (-0.5, 1.5)
    with pytest.warns(NeuromaskWarning, match=message):
        nm.from_spike_times(
            times, CLUSTERS, None, events, window=window, recording=(0, times[-1] + 2)
        )


@pytest.mark.parametrize(
    ("times", "events"),
    [
        (np.r_[TIMES, 7200 + TIMES], EVENTS[:5]),  # a few trials early in a long recording
        (TIMES[::100], EVENTS),  # quiet neurons
        (TIMES, [20.0, 180.0]),  # few trials far apart
    ],
)
def test_seconds_are_not_warned_of(times, events):
    clusters = np.resize(CLUSTERS, len(times))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nm.from_spike_times(times, clusters, None, events)


GAP = (80.0, 120.0)
RECORDED = [(0.0, GAP[0]), (GAP[1], SECONDS)]
TOUCH = (GAP[0] < EVENTS + 1.5) & (GAP[1] > EVENTS - 0.5)


def with_gap(**options):
    keep = (GAP[0] > TIMES) | (GAP[1] < TIMES)
    return nm.from_spike_times(TIMES[keep], CLUSTERS[keep], None, EVENTS, **options)


def test_trials_in_a_gap_are_refused_dropped_or_marked():
    with pytest.raises(
        InvalidInputError, match=f"{TOUCH.sum()} of {len(EVENTS)} trials reach into"
    ):
        with_gap(recording=RECORDED)
    dropped = with_gap(recording=RECORDED, unrecorded="drop")
    np.testing.assert_array_equal(dropped.trials["event_time"], EVENTS[~TOUCH])
    assert reported(dropped, "trials")["in time that was not recorded"][0] == TOUCH.sum()
    assert dropped.observed is None
    marked = with_gap(recording=RECORDED, unrecorded="mark")
    partly = [(a, b) for a, b in zip(EVENTS, TOUCH, strict=True) if b]
    assert len(marked) > len(dropped)
    assert len(marked) < len(dropped) + len(partly)
    at = marked.trials["event_time"].to_numpy()[:, None] + np.linspace(-0.5, 1.5, 101)
    there = (at[:, 1:] <= GAP[0] + 1e-9) | (at[:, :-1] >= GAP[1] - 1e-9)
    np.testing.assert_array_equal(marked.observed, np.repeat(there[:, :, None], N, axis=2))


def test_the_time_support_of_a_group_says_what_was_recorded():
    class Group(dict):
        time_support = pd.DataFrame(RECORDED, columns=["start", "end"])

    with pytest.raises(InvalidInputError, match="reach into time that was not recorded"):
        nm.from_spike_times(Group(enumerate(TRAINS)), None, None, EVENTS)


def test_rates_are_of_the_time_that_was_recorded():
    session = with_gap(recording=RECORDED, unrecorded="drop")
    kept = [((t < GAP[0]) | (t > GAP[1])).sum() / 160 for t in TRAINS]
    np.testing.assert_allclose(session.neurons["firing_rate"], kept)


def test_bins_after_a_trials_end_are_not_observed():
    ends = EVENTS + np.linspace(0.2, 1.5, len(EVENTS))
    session = nm.from_spike_times(TIMES, CLUSTERS, None, EVENTS, ends=ends)
    stops = np.linspace(-0.48, 1.5, 100)
    expected = EVENTS[:, None] + stops <= ends[:, None] + 1e-9
    np.testing.assert_array_equal(session.observed[:, :, 0], expected)
    np.testing.assert_array_equal(session.counts, RIGHT * expected[:, :, None])


def test_clusters_are_chosen_by_name():
    kept = nm.from_spike_times(TIMES, CLUSTERS, None, EVENTS, include=[4, 1])
    assert kept.neurons["cluster"].tolist() == [1, 4]
    left = nm.from_spike_times(TIMES, CLUSTERS, None, EVENTS, exclude=[2])
    assert left.neurons["cluster"].tolist() == [0, 1, 3, 4, 5]
    assert reported(left, "neurons") == {"in exclude": (1, 5)}
    table = pd.DataFrame({"snr": np.arange(6.0), "group": ["good", "mua"] * 3})
    options = {"neurons": table, "quality": {"snr": "< 4.5", "group": "good"}}
    chosen = nm.from_spike_times(TIMES, CLUSTERS, None, EVENTS, **options)
    assert chosen.neurons["cluster"].tolist() == [0, 2, 4]


def test_an_array_of_regions_follows_the_rows_of_the_table_beside_it():
    table = pd.DataFrame({"depth": [5.0, 1.0, 3.0, 2.0, 4.0, 0.0]}, index=range(N))
    table["name"] = [f"area{i}" for i in range(N)]
    table = table.sort_values("depth")
    session = nm.from_spike_times(
        TIMES, CLUSTERS, table["name"].to_numpy(), EVENTS, neurons=table[["depth"]]
    )
    assert session.regions.tolist() == [f"area{i}" for i in session.neurons["cluster"]]


def test_a_signal_out_of_order_is_sorted_and_reported():
    order = np.r_[0:4000, 4500:5000, 4000:4500, 5000 : len(GRID)]
    signals = {"x": (GRID[order], np.sin(GRID)[order])}
    session = nm.from_spike_times(TIMES, CLUSTERS, None, EVENTS, signals=signals)
    sorted_ = nm.from_spike_times(
        TIMES, CLUSTERS, None, EVENTS, signals={"x": (GRID, np.sin(GRID))}
    )
    np.testing.assert_array_equal(session.signals["x"], sorted_.signals["x"])
    assert reported(session, "signal x") == {"samples out of order, sorted": (0, 500)}


def test_events_that_repeat_or_overlap_are_warned_of():
    with pytest.warns(NeuromaskWarning, match="1 of 4 events are there more than once"):
        nm.from_spike_times(TIMES, CLUSTERS, None, [10.0, 20.0, 30.0, 20.0])
    with pytest.warns(NeuromaskWarning, match="share spikes"):
        nm.from_spike_times(TIMES, CLUSTERS, None, [10.0, 11.0, 30.0])


def test_a_recording_without_trials_is_cut_into_windows():
    session = nm.from_spike_times(
        TIMES, CLUSTERS, None, window=1.0, recording=RECORDED, signals={"x": (GRID, np.sin(GRID))}
    )
    assert session.shape == (160, 50, N)
    np.testing.assert_array_equal(session.trials["start"], np.r_[0:80, 120:200])
    assert session.t_start == 0.0
    assert session.observed is None
    assert session.signals["x"].shape == (160, 50)
    assert (np.diff(session.trials["block"]) >= 0).all()
    half = nm.from_spike_times(TIMES, CLUSTERS, None, window=1.0, step=0.5, recording=(0, 200))
    assert len(half) > 320
    marked = nm.from_spike_times(
        TIMES, CLUSTERS, None, window=3.0, recording=RECORDED, unrecorded="mark"
    )
    there = marked.observed.all(2)
    assert there.mean() < 1
    assert there.any(1).all()


def test_without_events_or_windows_the_error_names_both():
    with pytest.raises(InvalidInputError, match="events is missing.*window=1.0"):
        nm.from_spike_times(TIMES, CLUSTERS)


@pytest.mark.parametrize(
    ("factor", "unit"), [(1000, "1,000 times .* milliseconds"), (30_000, "30,000 times .* samples")]
)
@pytest.mark.parametrize("unrecorded", ["refuse", "drop", "mark"])
def test_events_of_another_unit_are_named_with_their_factor_whatever_becomes_of_others(
    factor, unit, unrecorded
):
    events = np.append(10.0 / factor, EVENTS) * factor  # one lies in the recording
    options = {"recording": (0, EVENTS.max()), "unrecorded": unrecorded}
    with pytest.raises(nm.InvalidInputError, match=unit):
        nm.from_spike_times(TIMES, CLUSTERS, None, events, **options)


def test_a_few_late_events_are_no_other_unit():
    events = np.append(EVENTS, 1e6)
    session = nm.from_spike_times(TIMES, CLUSTERS, None, events, unrecorded="drop")
    assert len(session) == len(EVENTS)


def test_a_signal_of_another_unit_is_warned_of():
    at = np.arange(0.0, 100.0, 0.1)
    with pytest.warns(nm.NeuromaskWarning, match=r"signal 'x' .* seem to be in milliseconds"):
        nm.from_spike_times(TIMES, CLUSTERS, None, EVENTS, signals={"x": (at * 1000, at)})


@pytest.mark.parametrize("signals", [[(TIMES, TIMES)], pd.DataFrame({"x": TIMES}, index=TIMES)])
def test_signals_are_a_mapping(signals):
    with pytest.raises(nm.InvalidInputError, match="expected a mapping from names to pairs"):
        nm.from_spike_times(TIMES, CLUSTERS, None, EVENTS, signals=signals)


def test_an_array_of_regions_of_all_clusters_is_not_read_by_their_numbers():
    odd = CLUSTERS * 2 + 1  # 1, 3, ... 11
    some = pd.DataFrame({"depth": [30.0, 10.0]}, index=[3, 1])
    session = nm.from_spike_times(TIMES, odd, np.array(list("abcdef")), EVENTS, neurons=some)
    assert session.neurons["cluster"].tolist() == [1, 3]
    assert session.regions.tolist() == ["a", "b"]  # by number they would be b and d


def test_regions_by_number_serve_a_table_of_some_clusters():
    some = pd.DataFrame({"depth": [30.0, 10.0]}, index=[5, 1])
    session = nm.from_spike_times(TIMES, CLUSTERS, list("abcdefgh"), EVENTS, neurons=some)
    assert session.regions.tolist() == ["b", "f"]


def test_regions_are_read_of_a_cell_array():
    cells = np.empty((N, 1), object)
    for i, name in enumerate("abcdef"):
        cells[i, 0] = np.array([name])
    session = nm.from_spike_times(TIMES, CLUSTERS, cells, EVENTS)
    assert session.regions.tolist() == list("abcdef")


@pytest.mark.parametrize(
    ("train", "reason"),
    [
        (np.where(np.arange(1600) % 2, np.nan, TRAINS[3]), "NaN or infinite values: 3"),
        (TRAINS[3] - 500, "times before 0: 3"),
        (np.array(["a", "b"]), "times that are no seconds: 3"),
        (None, "times that are no seconds: 3"),
        ((TRAINS[3] * 30_000).astype(int), "times that are no seconds: 3"),
        (TRAINS[3].reshape(2, -1), "times that are no seconds: 3"),
        (np.full(5, np.nan), "NaN or infinite values: 3"),
        (np.zeros((0, 0)), "no spike in the recording"),
        ([], "no spike in the recording"),
    ],
)
def test_a_cluster_with_any_fault_costs_itself_alone_and_is_reported(train, reason):
    session = nm.from_spike_times(
        [*TRAINS[:3], train, *TRAINS[4:]], None, list("abcdef"), EVENTS, recording=(0, SECONDS)
    )
    np.testing.assert_array_equal(session.counts, np.delete(RIGHT, 3, axis=2))
    assert session.regions.tolist() == list("abcef")
    assert reported(session, "neurons") == {reason: (1, N - 1)}


def test_a_fault_of_most_clusters_is_refused():
    bad = [*TRAINS[:2], *(np.where(np.arange(1600) % 2, np.nan, t) for t in TRAINS[2:])]
    with pytest.raises(InvalidInputError, match="times of cluster 2 holds 800 NaN or infinite val"):
        nm.from_spike_times(bad, None, None, EVENTS)


def test_masked_spikes_are_left_out_and_reported():
    masked = np.ma.masked_array(np.r_[TIMES[:9], 0.5, TIMES[9:]], np.arange(len(TIMES) + 1) == 9)
    session = nm.from_spike_times(masked, np.insert(CLUSTERS, 9, 0), None, EVENTS)
    np.testing.assert_array_equal(session.counts, RIGHT)
    assert reported(session, "spikes") == {"NaN or infinite values": (1, len(TIMES))}


def test_masked_samples_of_a_signal_are_absent():
    at = np.arange(0.0, 200.0, 0.1)
    values = np.ma.masked_array(at, (at > 10) & (at < 20))
    session = nm.from_spike_times(TIMES, CLUSTERS, None, EVENTS, signals={"x": (at, values)})
    assert np.isnan(session.signals["x"][3]).all()  # 13.5 to 15.5 s
    assert np.isfinite(session.signals["x"][8:]).all()


def test_a_series_with_a_train_a_cluster_is_taken():
    session = nm.from_spike_times(pd.Series(TRAINS, index=list("fedcba")), None, None, EVENTS)
    assert session.neurons["cluster"].tolist() == list("abcdef")
    np.testing.assert_array_equal(session.counts, RIGHT[:, :, ::-1])


@pytest.mark.parametrize(
    "clusters",
    [
        [None if c == 2 else f"u{c}" for c in CLUSTERS],
        np.where(CLUSTERS == 2, np.nan, CLUSTERS),
        np.ma.masked_equal(CLUSTERS, 2),
    ],
)
def test_spikes_without_a_cluster_are_refused(clusters):
    with pytest.raises(InvalidInputError, match="1600 of 9600 spikes have no cluster"):
        nm.from_spike_times(TIMES, clusters, None, EVENTS)


@pytest.mark.parametrize("ends", [Ts(EVENTS + 1), (EVENTS + 1)[:, None], pd.Series(EVENTS + 1)])
def test_every_form_of_ends_is_read(ends):
    session = nm.from_spike_times(TIMES, CLUSTERS, None, EVENTS, ends=ends)
    assert session.observed.all((0, 2)).tolist() == [True] * 75 + [False] * 25


def test_durations_given_as_ends_are_refused_with_the_sum():
    with pytest.raises(
        InvalidInputError, match=r"62 of 62 trials have no end.* events \+ durations"
    ):
        nm.from_spike_times(TIMES, CLUSTERS, None, EVENTS, ends=np.full(len(EVENTS), 1.0))


def test_trials_that_end_before_the_next_share_no_time():
    events = np.arange(5.0, 190.0)
    session = nm.from_spike_times(TIMES, CLUSTERS, None, events, ends=events + 0.5)
    assert len(session) == len(events)
    with pytest.warns(NeuromaskWarning, match="184 of 185 trials begin before"):
        nm.from_spike_times(TIMES, CLUSTERS, None, events, ends=events + 0.6)


def test_a_long_trial_overlaps_all_that_begin_in_it():
    events, ends = np.array([10.0, 11.0, 12.0, 13.0]), np.array([14.0, 11.1, 12.1, 13.1])
    with pytest.warns(NeuromaskWarning, match="3 of 4 trials begin before"):
        nm.from_spike_times(TIMES, CLUSTERS, None, events, ends=ends, window=(0, 4))


def test_what_pynapple_knows_of_neurons_and_trials_is_kept():
    nap = pytest.importorskip("pynapple")
    group = nap.TsGroup(
        {i: nap.Ts(t) for i, t in enumerate(TRAINS)}, metadata={"region": list("aabbcc")}
    )
    trials = nap.IntervalSet(EVENTS, EVENTS + 2, metadata={"choice": np.arange(len(EVENTS)) % 2})
    session = nm.from_spike_times(group, None, None, trials, recording=(0, SECONDS))
    np.testing.assert_array_equal(session.counts, RIGHT)
    assert session.regions.tolist() == list("aabbcc")
    assert list(session.neurons) == ["cluster", "region", "firing_rate"]
    assert session.trials["choice"].sum() == len(EVENTS) // 2


def test_quality_takes_two_bounds_of_one_column():
    table = pd.DataFrame({"snr": np.arange(6.0)})
    session = nm.from_spike_times(
        TIMES, CLUSTERS, None, EVENTS, neurons=table, quality={"snr": ["> 1", "<= 4"]}
    )
    assert session.neurons["snr"].tolist() == [2, 3, 4]
    assert reported(session, "neurons") == {"snr not > 1 and <= 4": (3, 3)}
    with pytest.raises(InvalidInputError, match="or two bounds such as"):
        nm.from_spike_times(
            TIMES, CLUSTERS, None, EVENTS, neurons=table, quality={"snr": {"min": 1}}
        )


def test_a_spike_far_later_than_all_others_is_left_out_and_reported():
    times, clusters = np.append(TIMES, 2.0**32 / 30_000), np.append(CLUSTERS, 0)
    session = nm.from_spike_times(times, clusters, None, EVENTS)
    np.testing.assert_array_equal(session.counts, RIGHT)
    assert reported(session, "spikes") == {"far later than all others": (1, len(TIMES))}
    assert session.neurons["firing_rate"].min() > 7


def test_a_recording_of_another_unit_is_warned_of():
    with pytest.warns(NeuromaskWarning, match="1,000 times longer than its spikes.*milliseconds"):
        nm.from_spike_times(TIMES, CLUSTERS, None, EVENTS, recording=(0, SECONDS * 1000))


def test_times_in_too_few_digits_are_warned_of():
    late = (TIMES + 50_000).astype(np.float32)
    with pytest.warns(
        NeuromaskWarning, match="float32 values, which keep the last spikes to 3.9 ms"
    ):
        nm.from_spike_times(late, CLUSTERS, None, EVENTS + 50_000)
    nm.from_spike_times(TIMES.astype(np.float32), CLUSTERS, None, EVENTS)  # to 15 microseconds


def test_blocks_of_windows_are_counted_without_a_gap():
    session = nm.from_spike_times(
        TIMES,
        CLUSTERS,
        recording=[(0, 80.5), (120, SECONDS)],
        unrecorded="mark",
        window=1.0,
    )
    assert np.unique(session.trials["block"]).tolist() == list(
        range(session.trials["block"].max() + 1)
    )


def test_a_window_of_no_length_is_refused_by_what_was_given():
    with pytest.raises(
        InvalidInputError, match="window=0; expected a positive number, the seconds"
    ):
        nm.from_spike_times(TIMES, CLUSTERS, window=0)


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ({}, "there is no spike"),
        ({(0, 1): TRAINS[0], (0, 2): TRAINS[1]}, r"no whole numbers or text, such as \(0, 1\)"),
        ({0.5: TRAINS[0]}, "no whole numbers or text, such as 0.5"),
    ],
)
def test_clusters_of_a_mapping_are_numbers_or_text(times, message):
    with pytest.raises(InvalidInputError, match=message):
        nm.from_spike_times(times, None, None, EVENTS)
