"""Spike times become counts, exactly, and what does not fit is refused."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import neuromask as nm
from neuromask.datasets.binning import bin_edges, bin_spikes, sample_signal
from neuromask.errors import InvalidInputError

# Times on a grid of the bins' own edges as well as between them.
GRID = st.integers(0, 400).map(lambda i: i * 0.025)
ANY = st.floats(0, 10, allow_nan=False)


def spikes(n=2000, n_clusters=6, seconds=100.0, seed=0):
    rng = np.random.default_rng(seed)
    return np.sort(rng.uniform(0, seconds, n)), rng.integers(0, n_clusters, n)


EVENTS = np.arange(5, 95, 3.0)


@given(
    times=st.lists(st.one_of(GRID, ANY), max_size=60),
    events=st.lists(st.one_of(GRID, ANY), min_size=1, max_size=5),
    bin_width=st.sampled_from([0.01, 0.02, 0.05, 0.1]),
    data=st.data(),
)
def test_counts_equal_those_of_numpy_histogram(times, events, bin_width, data):
    times = np.sort(np.array(times, dtype=float))
    chosen = st.lists(st.integers(0, 3), min_size=len(times), max_size=len(times))
    clusters = np.array(data.draw(chosen), dtype=int)
    edges = bin_edges((-0.2, 0.4), bin_width)
    counts = bin_spikes(times, clusters, np.array([0, 2, 3]), np.array(events), edges)
    for trial, event in enumerate(events):
        for row, cluster in enumerate((0, 2, 3)):
            # numpy closes its last bin; one more bin takes what lies on its edge.
            # And an edge takes what lies a nanosecond before it, as rounding would have it.
            closed = np.append(event + edges - 1e-9, np.inf)
            expected = np.histogram(times[clusters == cluster], closed)[0][:-1]
            np.testing.assert_array_equal(counts[trial, :, row], expected)


def test_a_spike_on_an_edge_belongs_to_the_bin_that_starts_there():
    times = np.array([0.0, 0.5, 0.75, 1.0])
    counts = bin_spikes(
        times, np.zeros(4, int), np.array([0]), np.array([0.5]), np.array([-0.5, 0, 0.5])
    )
    assert counts[0, :, 0].tolist() == [1, 2]


def test_large_counts_get_a_wider_type():
    times = np.full(70_000, 0.5)
    args = (np.array([0.0]), np.array([0.0, 1.0]))
    assert bin_spikes(times[:300], np.zeros(300, int), np.array([0]), *args).dtype == np.uint16
    counts = bin_spikes(times, np.zeros(70_000, int), np.array([0]), *args)
    assert counts.tolist() == [[[70_000]]]


def test_overlapping_trials_count_a_spike_each():
    counts = bin_spikes(
        np.array([1.0]), np.array([0]), np.array([0]), np.array([0.9, 1.0]), np.array([0, 0.2])
    )
    assert counts.ravel().tolist() == [1, 1]


def test_a_session_knows_clusters_rates_events_and_regions():
    times, clusters = spikes()
    clusters = np.array([3, 10, 11, 20, 31, 42])[clusters]
    session = nm.from_spike_times(
        times,
        clusters,
        {3: "CA1", 10: "CA1", 11: "VISp", 20: "VISp", 31: "MOs", 42: "MOs"},
        EVENTS,
        trials={"choice": np.arange(len(EVENTS)) % 2},
        session_id="monday",
        subject="mouse",
    )
    assert session.shape == (30, 100, 6)
    assert session.neurons["cluster"].tolist() == [3, 10, 11, 20, 31, 42]
    assert session.regions.tolist() == ["CA1", "CA1", "VISp", "VISp", "MOs", "MOs"]
    seconds = times[-1] - times[0]
    np.testing.assert_allclose(session.neurons["firing_rate"].sum() * seconds, 2000)
    assert session.trials["event_time"].tolist() == EVENTS.tolist()
    assert session.trials["choice"].sum() == 15
    assert (session.session_id, session.subject, session.bin_width) == ("monday", "mouse", 0.02)
    assert session.report.empty


def test_a_session_knows_when_its_event_is():
    times, clusters = np.arange(0.0, 20, 0.01), np.arange(2000) % 3
    events, regions = np.arange(2, 18, 2.0), ["a"] * 3
    for window in ((-0.2, 0.4), (0.1, 0.5)):
        session = nm.from_spike_times(
            times, clusters, regions, events, window=window, bin_width=0.02
        )
        assert session.t_start == window[0]


def test_inputs_are_left_alone():
    times, clusters = spikes()
    trials = pd.DataFrame({"choice": np.ones(len(EVENTS))})
    neurons = pd.DataFrame({"depth": range(6)}, index=range(5, -1, -1))
    before = times.copy(), clusters.copy(), trials.copy(), neurons.copy()
    nm.from_spike_times(times, clusters, list("abcdef"), EVENTS, trials=trials, neurons=neurons)
    np.testing.assert_array_equal(times, before[0])
    np.testing.assert_array_equal(clusters, before[1])
    pd.testing.assert_frame_equal(trials, before[2])
    pd.testing.assert_frame_equal(neurons, before[3])


class FakeTs:
    """Keeps times in `t`, as a pynapple Ts does."""

    def __init__(self, t):
        self.t = t


def test_times_by_cluster_give_the_same_session():
    times, clusters = spikes()
    regions = list("abcdef")
    usual = nm.from_spike_times(times, clusters, regions, EVENTS)
    trains = [times[clusters == i] for i in range(6)]
    for given_times in (
        trains,
        dict(enumerate(trains)),
        {i: FakeTs(train) for i, train in enumerate(trains)},
    ):
        other = nm.from_spike_times(given_times, None, regions, EVENTS)
        np.testing.assert_array_equal(usual.counts, other.counts)
        pd.testing.assert_frame_equal(usual.neurons, other.neurons)


def test_clusters_may_be_named_by_text():
    times, clusters = spikes()
    names = np.array(["u5", "u1", "u3", "u0", "u2", "u4"])[clusters]
    session = nm.from_spike_times(times, names, None, EVENTS)
    assert session.neurons["cluster"].tolist() == ["u0", "u1", "u2", "u3", "u4", "u5"]
    assert session.regions is None


def test_regions_by_number_skip_silent_clusters():
    times, clusters = spikes()
    kept = clusters != 2
    session = nm.from_spike_times(times[kept], clusters[kept], list("abcdef"), EVENTS)
    assert session.neurons["cluster"].tolist() == [0, 1, 3, 4, 5]
    assert session.regions.tolist() == ["a", "b", "d", "e", "f"]


def test_a_table_of_neurons_chooses_and_describes_them():
    times, clusters = spikes()
    good = pd.DataFrame(
        {"region": ["CA1", "VISp", "CA1"], "depth": [1.0, 2.0, 3.0]}, index=[4, 1, 9]
    )
    session = nm.from_spike_times(times, clusters, None, EVENTS, neurons=good)
    assert session.neurons["cluster"].tolist() == [1, 4]
    assert session.neurons["depth"].tolist() == [2.0, 1.0]
    assert session.regions.tolist() == ["VISp", "CA1"]
    assert session.report.to_dict("list") == {
        "item": ["neurons", "neurons"],
        "reason": ["not in the table of neurons", "no spike in the recording"],
        "dropped": [4, 1],
        "kept": [2, 2],
    }


def test_slow_neurons_are_left_out_and_reported(tmp_path):
    times = np.sort(np.concatenate([np.linspace(0, 100, 1001), [20.0, 30.0]]))
    clusters = np.isin(times, [20.0, 30.0]) & (np.append(np.diff(times), 1) == 0)
    session = nm.from_spike_times(times, clusters.astype(int), list("ab"), EVENTS, min_rate=1.0)
    assert session.neurons["cluster"].tolist() == [0]
    rows = [("neurons", "fewer than 1 spikes/s", 1, 1)]
    assert list(session.report.itertuples(index=False, name=None)) == rows
    again = nm.load_npz(session[:3].save(tmp_path / "session"))
    pd.testing.assert_frame_equal(again.report, session.report)


def test_signals_are_read_at_the_end_of_each_bin():
    times, clusters = spikes()
    at = np.arange(0, 100, 0.01)
    signals = {"wheel": (at, 2 * at), "paws": (at, np.stack([at, -at], 1))}
    session = nm.from_spike_times(times, clusters, None, EVENTS, signals=signals)
    ends = EVENTS[:, None] - 0.5 + 0.02 * np.arange(1, 101)
    np.testing.assert_allclose(session.signals["wheel"], 2 * ends)
    np.testing.assert_allclose(session.signals["paws"], np.stack([ends, -ends], -1))


def test_signals_with_gaps_are_nan_there_and_reported():
    times, clusters = spikes()
    at = np.arange(0, 100, 0.01)
    values = np.where((at > 10) & (at < 11), np.nan, at)
    signals = {"wheel": (at, values), "camera": (at[:0], at[:0])}
    session = nm.from_spike_times(times, clusters, None, EVENTS, signals=signals)
    gaps = np.isnan(session.signals["wheel"])
    assert np.flatnonzero(gaps.any(1)).tolist() == [2]  # the gap lies in trial 2, 10.5 to 12.5 s
    assert np.isnan(session.signals["camera"]).all()
    assert session.report["item"].tolist() == ["signal wheel", "signal camera"]
    assert session.report["dropped"].tolist() == [1, 30]


def test_slow_signals_reach_two_intervals_far():
    at = np.array([[0.05, 0.3, 0.9]])
    values = sample_signal(np.array([0.0, 0.1, 0.2, 0.6]), np.array([0.0, 1.0, 2.0, 6.0]), at, 0.02)
    np.testing.assert_allclose(values, [[0.5, 3.0, np.nan]])


TIMES, CLUSTERS = spikes(200)
REFUSED = [
    ({"clusters": CLUSTERS[:-1]}, r"times has shape \(200,\), clusters \(199,\)"),
    ({"clusters": None}, "clusters is missing"),
    (
        {"clusters": CLUSTERS + 0.5},
        "clusters holds float64 values; expected whole numbers or text. Use clusters.astype",
    ),
    ({"times": [TIMES], "clusters": CLUSTERS}, "times holds one array for each of 1 clusters"),
    ({"times": (TIMES * 30_000).astype(int)}, "holds int64 values .* samples give sampling_rate="),
    (
        {"times": TIMES - 50},
        r"holds \d+ times before 0 among 200 spikes; expected seconds from the start",
    ),
    ({"times": TIMES[::-1]}, "times is not ascending: those of the spikes go back from"),
    ({"times": np.append(TIMES[:-9], [np.nan] * 9)}, "times holds 9 NaN or infinite values"),
    ({"times": [TIMES[::-1]], "clusters": None}, "not ascending: those of cluster 0 go back"),
    ({"times": TIMES[:0], "clusters": CLUSTERS[:0]}, "there is no spike"),
    ({"regions": {0: "a", 1: "b"}}, "regions has no entry for 4 of 6 clusters: 2, 3, 4, 5"),
    ({"regions": ["a", "b"]}, r"regions has shape \(2,\) for 6 clusters"),
    ({"events": None}, "events is missing"),
    ({"events": np.ones((2, 2))}, r"events has shape \(2, 2\)"),
    (
        {"events": EVENTS, "step": 1.0},
        "step=1.0 beside events; expected it only for a recording without",
    ),
    ({"events": [10.0, np.nan, 20.0]}, "1 of 3 events have no time, the first is event 1"),
    ({"events": [10.0, 300.0]}, "1 of 2 trials reach beyond the recording.*the first is event 1"),
    (
        {"events": [200.0], "recording": (0, 300)},
        "no spike lies in any of the 1 trials, which cover 199.5 to 201.5 s",
    ),
    ({"recording": (3, 1)}, r"recording has 1 intervals that do not stop.* from 3 to 1 s"),
    ({"recording": 7}, r"recording is a int that holds no intervals; expected \(start, stop\)"),
    ({"recording": (500, 900)}, r"recording covers 500 to 900 s, in which 0 % of the spikes lie"),
    ({"unrecorded": "keep"}, "unrecorded='keep'; expected one of"),
    ({"ends": [1.0]}, r"ends has shape \(1,\) for 30 events"),
    ({"include": [77]}, r"include has \[77\], which no unit has as its id"),
    ({"exclude": [0, 1, 2, 3, 4, 5]}, "none of 6 units is left"),
    ({"sampling_rate": -3}, "sampling_rate=-3; expected"),
    ({"window": (1, 0)}, r"window=\(1, 0\); expected \(start, stop\)"),
    ({"window": 2}, r"window=2; expected \(start, stop\)"),
    ({"bin_width": 0}, "bin_width=0; expected seconds, more than 0"),
    ({"bin_width": 0.3}, "bins of 0.3 s do not fill the window"),
    ({"min_rate": -1}, "min_rate"),
    ({"min_rate": 1e5}, "no neuron is left"),
    ({"trials": {"choice": [1, 2]}}, "trials has 2 rows; expected 30"),
    ({"neurons": [1, 2]}, "neurons is no DataFrame with a row for each cluster"),
    (
        {"neurons": pd.DataFrame({"a": [1]}, index=[77])},
        r"no cluster of the spikes \(0, 1, 2, 3, 4, ...\) is in the index of neurons \(77\)",
    ),
    ({"signals": {"wheel": TIMES}}, "signal 'wheel' is no pair of times and values"),
    (
        {"signals": {"wheel": (TIMES, TIMES[1:])}},
        r"times of shape \(200,\) and values of shape \(199,\)",
    ),
    (
        {"signals": {"wheel": (np.tile(TIMES, 2), np.tile(TIMES, 2))}},
        "signal 'wheel' cannot be put in order: its clock starts again at sample 200",
    ),
    ({"signals": {"wheel": (TIMES * np.nan, TIMES)}}, "no sample of signal 'wheel' has a time"),
    ({"regions": np.repeat(["a"], len(TIMES))}, r"regions has shape \(200,\) for 6 clusters"),
]


@pytest.mark.parametrize(("change", "message"), REFUSED)
def test_what_does_not_fit_is_refused(change, message):
    usual = {"times": TIMES, "clusters": CLUSTERS, "regions": None, "events": EVENTS}
    usual["recording"] = (0, 100)
    with pytest.raises(InvalidInputError, match=message):
        nm.from_spike_times(**(usual | change))
