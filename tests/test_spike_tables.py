"""Tables beside spike times: whose row is which, what is chosen, and what was recorded."""

import numpy as np
import pandas as pd
import pytest
from scipy.io import loadmat, savemat

import neuromask as nm
from neuromask.errors import InvalidInputError, NeuromaskWarning

from .test_spike_forms import CLUSTERS, EVENTS, TIMES, N, reported


def session(**options):
    return nm.from_spike_times(TIMES, CLUSTERS, options.pop("regions", None), EVENTS, **options)


INFO = pd.DataFrame({"cluster_id": [5, 3, 0, 1, 2, 4], "depth": [50.0, 30, 0, 10, 20, 40]})
INFO["region"] = [f"area{i}" for i in INFO["cluster_id"]]


@pytest.mark.parametrize("name", ["cluster_id", "cluster", "unit_id", "id"])
def test_a_table_that_only_counts_its_rows_is_read_by_its_column_of_clusters(name):
    table = INFO.rename(columns={"cluster_id": name})
    for given in (table, table.set_index(name)):
        found = session(neurons=given)
        assert found.neurons["cluster"].tolist() == list(range(N))
        assert found.neurons["depth"].tolist() == [10.0 * i for i in range(N)]
        assert found.regions.tolist() == [f"area{i}" for i in range(N)]
    regions = table["region"].to_numpy()
    found = session(neurons=table.drop(columns="region"), regions=regions)
    assert found.regions.tolist() == [f"area{i}" for i in range(N)]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (INFO[:0], "neurons has no row; expected one for each cluster to keep.*KSLabel"),
        (INFO.set_index(["cluster_id", "depth"]), "neurons has an index of 2 levels"),
        (
            pd.concat([INFO, INFO], ignore_index=True),
            "names clusters twice in its column 'cluster_id'",
        ),
    ],
)
def test_a_table_that_names_no_cluster_a_row_is_refused(table, message):
    with pytest.raises(InvalidInputError, match=message):
        session(neurons=table)


def test_columns_of_the_user_are_kept_under_another_name():
    table = INFO.set_index("cluster_id").assign(firing_rate=99.0)
    trials = {"event_time": np.arange(len(EVENTS)), "start": 1}
    found = session(neurons=table, trials=pd.DataFrame(trials))
    assert (found.neurons["file_firing_rate"] == 99).all()
    assert (found.neurons["firing_rate"] < 20).all()
    assert found.trials["file_event_time"].tolist() == list(range(len(EVENTS)))
    assert (found.trials["start"] == 1).all()
    np.testing.assert_array_equal(found.trials["event_time"], EVENTS)


def test_rates_are_of_spikes_in_the_recorded_time():
    found = nm.from_spike_times(TIMES, CLUSTERS, None, EVENTS[:10], recording=(0, 50))
    expected = [((TIMES <= 50) & (i == CLUSTERS)).sum() / 50 for i in range(N)]
    np.testing.assert_allclose(found.neurons["firing_rate"], expected)


def test_a_small_part_of_a_recording_may_be_all_that_is_wanted():
    sleep = [(20.0, 24.0), (60.0, 66.0)]
    found = nm.from_spike_times(TIMES, CLUSTERS, None, window=1.0, recording=sleep)
    assert len(found) == 10
    with pytest.raises(InvalidInputError, match="in which 0 % of the spikes lie"):
        nm.from_spike_times(TIMES, CLUSTERS, None, window=1.0, recording=(900, 950))


def test_gaps_between_windows_are_reported_marked_or_refused():
    options = {"window": 1.0, "recording": [(0.0, 80.0), (120.0, 200.0)]}
    found = nm.from_spike_times(TIMES, CLUSTERS, None, **options)
    assert reported(found, "bins")["in time that was not recorded"] == (2000, 8000)
    marked = nm.from_spike_times(TIMES, CLUSTERS, None, unrecorded="mark", **options)
    assert reported(marked, "bins")["in time that was not recorded, marked"] == (0, 2000)
    with pytest.raises(InvalidInputError, match="recording has 1 gaps, the first from 80 to 120 s"):
        nm.from_spike_times(TIMES, CLUSTERS, None, unrecorded="refuse", **options)


def test_clusters_are_chosen_by_masks_and_by_their_names():
    mask = np.arange(N) > 3
    assert session(include=mask).neurons["cluster"].tolist() == [4, 5]
    assert session(exclude=mask.tolist()).neurons["cluster"].tolist() == [0, 1, 2, 3]
    with pytest.raises(
        InvalidInputError, match="include is a mask of 2 units, of which there are 6"
    ):
        session(include=[True, False])
    table = INFO.set_index("cluster_id").assign(id=[0, 1, 2, 3, 4, 5])
    assert session(neurons=table, include=[5]).neurons["cluster"].tolist() == [5]


def test_truth_values_and_numbers_of_quality_mean_what_they_say():
    table = INFO.set_index("cluster_id").assign(bad=[True, False] * 3, snr=np.arange(6.0))
    good = table.index[~table["bad"]].sort_values().tolist()
    assert session(neurons=table, quality={"bad": False}).neurons["cluster"].tolist() == good
    with pytest.raises(InvalidInputError, match="'1'} is a text, but the column holds numbers"):
        session(neurons=table, quality={"snr": "1"})


@pytest.mark.parametrize(
    "recording",
    [
        pd.DataFrame(
            {
                "start": pd.to_timedelta([0, 120], unit="s"),
                "end": pd.to_timedelta([80, 200], unit="s"),
            }
        ),
        (np.array([0.0, 120.0]), np.array([80.0, 200.0])),
        [(0, 80), (120, 200)],
    ],
)
def test_every_form_of_a_recording_with_a_gap_is_read_alike(recording):
    found = session(recording=recording, unrecorded="drop")
    touch = (EVENTS + 1.5 > 80) & (EVENTS - 0.5 < 120)
    np.testing.assert_array_equal(found.trials["event_time"], EVENTS[~touch])


def test_time_differences_are_seconds_and_dates_are_refused():
    ends = pd.to_timedelta(EVENTS + 0.5, unit="s")
    np.testing.assert_array_equal(session(ends=ends).observed, session(ends=EVENTS + 0.5).observed)
    with pytest.raises(InvalidInputError, match="times are dates; expected seconds. Subtract"):
        nm.from_spike_times(TIMES, CLUSTERS, None, pd.to_datetime(EVENTS, unit="s"))
    with pytest.raises(InvalidInputError, match="recording reaches to infinity"):
        session(recording=(0, np.inf))


def test_columns_and_cells_of_matlab_are_read_in_tables_and_regions(tmp_path):
    regions, choice = [f"area{i % 2}" for i in range(N)], np.arange(len(EVENTS)) % 2
    file = {
        "regions": np.array(regions, dtype=object)[:, None],
        "choice": choice[:, None],
        "side": np.array(["left", "right"] * (len(EVENTS) // 2), dtype=object)[:, None],
        "stop": EVENTS[:, None] + 1,
    }
    savemat(tmp_path / "a.mat", file)
    m = loadmat(tmp_path / "a.mat")
    trials = {"choice": m["choice"], "side": m["side"]}
    found = session(regions=m["regions"], trials=trials, ends=m["stop"])
    assert found.regions.tolist() == regions
    assert found.trials["choice"].tolist() == choice.tolist()
    assert found.trials["side"].tolist()[:2] == ["left", "right"]
    assert found.observed is not None
    again = nm.Session(found.counts, m["regions"], trials=trials)
    assert again.regions.tolist() == regions
    assert nm.load_npz(again.save(tmp_path / "b")).trials["side"][0] == "left"


def test_regions_by_number_that_may_count_from_1_are_told():
    clusters = CLUSTERS + 1
    with pytest.warns(
        NeuromaskWarning, match="first entry is of no cluster. If clusters count from 1"
    ):
        nm.from_spike_times(TIMES, clusters, [f"area{i}" for i in range(N + 1)], EVENTS)


def test_a_bound_that_is_no_number_is_refused():
    table = INFO.set_index("cluster_id").assign(snr=np.arange(6.0))
    with pytest.raises(InvalidInputError, match="'>...'} is a text, but the column holds numbers"):
        session(neurons=table, quality={"snr": ">..."})


def test_ends_that_change_nothing_are_told():
    with pytest.warns(NeuromaskWarning, match="every trial ends after its window"):
        session(ends=(EVENTS + 1) * 1000)


def test_clusters_that_are_numbers_in_text_need_a_mapping_of_regions():
    names = (CLUSTERS + 7).astype(str)  # "10", "11", "12", "7", "8", "9"
    with pytest.raises(InvalidInputError, match="clusters are numbers written as text"):
        nm.from_spike_times(TIMES, names, [f"area{i}" for i in range(N)], EVENTS)
    mapping = {str(i + 7): f"area{i}" for i in range(N)}
    found = nm.from_spike_times(TIMES, names, mapping, EVENTS)
    assert found.regions.tolist() == [mapping[name] for name in found.neurons["cluster"]]


def test_a_signal_without_a_variable_is_refused():
    with pytest.raises(InvalidInputError, match="signal 'x' has times of shape .* expected"):
        session(signals={"x": (TIMES, np.zeros((len(TIMES), 0)))})
