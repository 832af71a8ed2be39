"""Sessions from files that temporaldata writes, in the layouts of brainsets' pipelines."""

import sys

import numpy as np
import pytest

import neuromask as nm
from neuromask.datasets.brainset.splits import splits_of_windows
from neuromask.errors import InvalidInputError

pytest.importorskip("temporaldata", reason="temporaldata is not installed (extra 'brainset')")
from temporaldata import ArrayDict, Data, Interval, IrregularTimeSeries

from . import brainsets

SHORT = {"window": (0.0, 1.0), "bin_width": 0.05}


@pytest.fixture
def path(tmp_path):
    return brainsets.save(brainsets.reaching(), tmp_path / "monday.h5")


def test_counts_are_those_of_the_spikes(path):
    session = nm.load_brainset(path, align="go_cue_time", **SHORT)
    data = brainsets.reaching()
    assert session.shape == (24, 20, 6)
    edges = data.trials.go_cue_time[3] + np.arange(21) * 0.05
    for unit in range(6):
        times = data.spikes.timestamps[data.spikes.unit_index == unit]
        np.testing.assert_array_equal(session.counts[3, :, unit], np.histogram(times, edges)[0])
    assert (session.session_id, session.subject) == ("monday", "Mihi")
    assert session.report.empty


def test_tables_are_those_of_the_file(path):
    session = nm.load_brainset(path, **SHORT)
    assert session.regions.tolist() == ["M1", "PMd"] * 3
    assert session.neurons["id"][2] == "group_M1/elec2/unit_2"
    assert session.neurons["file_firing_rate"].tolist() == [5.0] * 6
    assert session.identity["id"][0] == "group_M1/elec0/unit_0"
    assert session.trials["result"].tolist()[:6] == ["F", "R", "R", "R", "R", "F"]
    np.testing.assert_array_equal(session.trials["event_time"], session.trials["start"])
    assert session.trials["target_id"].tolist()[:9] == [0, 1, 2, 3, 4, 5, 6, 7, 0]
    by_area = nm.load_brainset(path, region_column="unit_number", **SHORT)
    assert by_area.regions.tolist() == list("012345")


def test_trials_carry_the_split_of_the_file(path):
    split = nm.load_brainset(path, **SHORT).trials["split"].tolist()
    assert split == (["train", "train", "valid", "test"] * 6)
    with pytest.warns(nm.NeuromaskWarning, match="22 of 23 trials begin before"):
        wide = nm.load_brainset(path, window=(-3.0, 3.0), bin_width=0.1).trials["split"]
    # The first begins before the recording; the next reaches into a trial of its own part.
    assert wide[:4].fillna("").tolist() == ["train", "", "", ""]


def test_a_file_of_several_splits_has_a_column_for_each(tmp_path):
    data = brainsets.reaching()
    for name in ("train", "valid", "test"):
        delattr(data, f"{name}_domain")
    data.ts1_train_domain, data.ts1_val_domain = Interval(0.0, 30.0), Interval(50.0, 90.0)
    data.ts2_train_domain, data.ts2_test_domain = Interval(0.0, 70.0), Interval(70.0, 100.0)
    session = nm.load_brainset(brainsets.save(data, tmp_path / "a.h5"), **SHORT)
    assert session.trials["ts1_split"].value_counts().to_dict() == {"train": 7, "valid": 10}
    assert session.trials["ts2_split"].value_counts().to_dict() == {"train": 17, "test": 7}
    assert "split" not in session.trials


def test_masks_of_trials_are_a_split_too(tmp_path):
    data = brainsets.reaching()
    for name in ("train", "valid", "test"):
        delattr(data, f"{name}_domain")
    data.trials.train_mask = np.arange(24) < 20
    data.trials.test_mask = np.arange(24) >= 22
    session = nm.load_brainset(brainsets.save(data, tmp_path / "a.h5"), **SHORT)
    assert session.trials["split"].value_counts().to_dict() == {"train": 20, "test": 2}


def test_windows_are_placed_by_their_event_and_touch_no_other_part():
    domains = {"train": np.array([[20.0, 30.0], [0.0, 10.0]]), "test": np.array([[10.0, 20.0]])}
    events = np.array([0.5, 9.0, 9.5, 10.0, 10.5, 19.5, 25.0, 30.0, 31.0])
    of_trial = splits_of_windows(domains, events, np.array([-0.5, 1.0]))
    assert of_trial.fillna("").tolist() == [
        *("train", "train", "", "", "test", "", "train", "train", "")
    ]


def test_signals_are_sampled_at_the_ends_of_bins(path):
    session = nm.load_brainset(path, signals=["cursor.vel", "eye.pupil"], **SHORT)
    ends = session.trials["event_time"].to_numpy()[:, None] + np.arange(1, 21) * 0.05
    vel = np.stack([np.sin(ends), np.cos(ends)], 2)
    np.testing.assert_allclose(session.signals["cursor.vel"], vel, atol=1e-4)
    np.testing.assert_allclose(session.signals["eye.pupil"], ends * 50, atol=1e-6)
    assert set(nm.load_brainset(path, signals="all", **SHORT).signals) == {
        "cursor.vel",
        "eye.pupil",
    }
    assert set(nm.load_brainset(path, signals="cursor.vel", **SHORT).signals) == {"cursor.vel"}


def test_events_are_any_intervals_of_the_file_or_times(path):
    nested = nm.load_brainset(path, events="reach_period", **SHORT)
    by_path = nm.load_brainset(path, events="movement_phases.reach_period", **SHORT)
    times = nm.load_brainset(path, events=nested.trials["event_time"], **SHORT)
    for session in (by_path, times):
        np.testing.assert_array_equal(session.counts, nested.counts)
    assert list(times.trials) == ["split", "event_time"]


def gapped(path):
    """Write a session whose spikes were not recorded from 40 to 50 s, and from 92.5 s on."""
    spikes = brainsets.reaching().spikes
    there = (spikes.timestamps < 40) | ((spikes.timestamps > 50) & (spikes.timestamps < 92.5))
    parts = IrregularTimeSeries(
        timestamps=spikes.timestamps[there],
        unit_index=spikes.unit_index[there],
        domain=Interval(np.array([0.0, 50.0]), np.array([40.0, 92.5])),
    )
    return brainsets.save(brainsets.reaching(spikes=parts), path)


def test_trials_in_gaps_of_the_recording_are_dropped_and_counted(tmp_path):
    session = nm.load_brainset(gapped(tmp_path / "a.h5"), **SHORT)
    assert not session.trials["start"].between(39.1, 49.9).any()
    assert session.observed is None
    assert session.report[["reason", "dropped"]].to_records(index=False).tolist() == [
        ("beyond the recording", 1),
        ("in time that was not recorded", 2),
    ]
    seconds = 40.0 + 42.5
    rates = np.bincount(brainsets.reaching().spikes.unit_index) / 100.0
    np.testing.assert_allclose(session.neurons["firing_rate"], rates, rtol=0.15)
    n_spikes = session.neurons["firing_rate"] * seconds
    np.testing.assert_allclose(n_spikes, n_spikes.round(), atol=1e-6)


def test_trials_in_gaps_are_marked_or_refused(tmp_path):
    path = gapped(tmp_path / "a.h5")
    options = {"window": (0.0, 3.0), "bin_width": 0.5}
    session = nm.load_brainset(path, unrecorded="mark", **options)
    of_trial = dict(zip(session.trials["start"], session.observed[:, :, 0].tolist(), strict=True))
    assert of_trial[38.0] == [True] * 4 + [False] * 2
    assert 42.0 not in of_trial
    assert of_trial[50.0] == [True] * 6
    assert of_trial[90.0] == [True] * 5 + [False]
    assert not session.counts[~session.observed].any()
    with pytest.raises(InvalidInputError, match="1 of 24 trials reach beyond the recording"):
        nm.load_brainset(path, unrecorded="refuse", **SHORT)


def test_trials_end_where_a_column_says(path):
    session = nm.load_brainset(path, align="go_cue_time", ends="end", window=(0.0, 3.0))
    assert (session.observed.sum(1) == 125).all()  # 2.5 s of bins of 20 ms
    with pytest.raises(InvalidInputError, match="ends='stop' is no column of the intervals"):
        nm.load_brainset(path, ends="stop", **SHORT)


def test_units_are_chosen_by_id_and_by_what_they_are(path):
    ids = [f"group_M1/elec{i}/unit_{i}" for i in range(6)]
    chosen = nm.load_brainset(path, include=ids[:4], exclude=ids[:1], **SHORT)
    assert chosen.neurons["id"].tolist() == ids[1:4]
    assert chosen.report["reason"].tolist() == ["not in include", "in exclude"]
    high = nm.load_brainset(path, quality={"unit_number": "< 3", "brain_area": "M1"}, **SHORT)
    assert high.neurons["id"].tolist() == [ids[0], ids[2]]


def test_files_without_units_or_regions_are_read(tmp_path):
    path = brainsets.save(brainsets.reaching(units=None), tmp_path / "a.h5")
    session = nm.load_brainset(path, **SHORT)
    assert session.neurons["cluster"].tolist() == list(range(6))
    assert session.regions is None


def test_bytes_are_text_and_columns_of_several_values_are_left_out(tmp_path):
    units = ArrayDict(
        id=np.array([b"a", b"b", b"c", b"d", b"e", b"f"]),
        region=np.array([b"CA1", b"CA1", b"VISp", b"VISp", b"CA1", b"CA1"]),
        location=np.zeros((6, 3)),
    )
    path = brainsets.save(brainsets.reaching(units=units), tmp_path / "a.h5")
    session = nm.load_brainset(path, **SHORT)
    assert session.regions.tolist() == ["CA1", "CA1", "VISp", "VISp", "CA1", "CA1"]
    assert "location" not in session.neurons


REFUSED = [
    ({"events": "trails"}, "events 'trails' is not in the file; expected .*'trials'"),
    (
        {"align": "go_cue"},
        "align='go_cue' is no column of the intervals.*Did you mean 'go_cue_time'",
    ),
    ({"signals": ["cursor.vell"]}, "signal 'cursor.vell' is not in .*Did you mean 'cursor.vel'"),
    ({"region_column": "area"}, "region_column='area' is no column of units.*'brain_area'"),
    ({"events": [[1.0]]}, r"events has shape \(1, 1\)"),
    ({"window": (1, 0)}, r"window=\(1, 0\)"),
    ({"min_rate": 1e4}, "monday.h5: no neuron is left"),
]


@pytest.mark.parametrize(("change", "message"), REFUSED)
def test_options_that_do_not_fit_are_refused(path, change, message):
    with pytest.raises(InvalidInputError, match=f"load_brainset: .*{message}"):
        nm.load_brainset(path, **(SHORT | change))


def test_other_files_are_named_for_what_they_are(tmp_path):
    import h5py

    with pytest.raises(InvalidInputError, match="there is no file .*none.h5"):
        nm.load_brainset(tmp_path / "none.h5")
    (tmp_path / "text.h5").write_text("no HDF5")
    with pytest.raises(InvalidInputError, match="cannot be read .* expected an HDF5 file"):
        nm.load_brainset(tmp_path / "text.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = 1
    with pytest.raises(
        InvalidInputError, match=r"holds \['x'\], which torch_brain has not written"
    ):
        nm.load_brainset(tmp_path / "other.h5")
    with h5py.File(tmp_path / "lab.nwb", "w") as file:
        file.attrs["nwb_version"] = "2.7"
    with pytest.raises(InvalidInputError, match=r"is an NWB file. Use neuromask.load_nwb"):
        nm.load_brainset(tmp_path / "lab.nwb")
    imaging = Data(calcium=brainsets.reaching().cursor, domain=Interval(0.0, 1.0))
    with pytest.raises(
        InvalidInputError, match=r"no spikes with a unit_index; it has \['calcium'\]"
    ):
        nm.load_brainset(brainsets.save(imaging, tmp_path / "ophys.h5"))


def test_without_the_extra_it_is_named(monkeypatch, path):
    for package in ("temporaldata", "torch_brain.data"):
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=r"Run: pip install 'neuromask\[brainset\]'"):
        nm.load_brainset(path)


def test_torch_brain_s_own_module_serves_as_well(monkeypatch, path):
    import temporaldata

    right = nm.load_brainset(path, **SHORT)
    monkeypatch.setitem(sys.modules, "temporaldata", None)
    monkeypatch.setitem(sys.modules, "torch_brain.data", temporaldata)
    monkeypatch.setitem(sys.modules, "torch_brain", temporaldata)
    np.testing.assert_array_equal(nm.load_brainset(path, **SHORT).counts, right.counts)
