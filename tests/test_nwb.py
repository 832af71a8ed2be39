"""NWB files of several layouts become sessions, and what cannot is said."""

import h5py
import numpy as np
import pandas as pd
import pytest
from pynwb import TimeSeries
from pynwb.behavior import BehavioralTimeSeries, Position, PupilTracking, SpatialSeries
from pynwb.ecephys import ElectricalSeries
from pynwb.file import Subject

import neuromask as nm
from neuromask.errors import InvalidInputError

from .nwb_files import (
    AT,
    EVENTS,
    N_TRIALS,
    N_UNITS,
    STARTS,
    TRAINS,
    empty,
    made,
    probe,
    trials,
    units,
    written,
)


@pytest.fixture(scope="module")
def steinmetz_like(tmp_path_factory):
    """Write a file laid out like those of DANDI 000017: channels from 1, arrays of (n, 1)."""
    file = empty(identifier="Cori_2016-12-14", subject=Subject(subject_id="Cori"))
    # The peak channel of unit i is electrode 2 i; neighbours on both sides are listed after it.
    probe(file, ["VISp"] * 4 + ["CA1", "CA1", "root", " ", "unknown", "CA1", "CA1", "VISp"])
    units(
        file,
        electrodes=[[2 * i, 2 * i + 1, max(2 * i - 1, 0)] for i in range(N_UNITS)],
        peak_channel=[[2 * i + 1] for i in range(N_UNITS)],
        phy_annotations=[1, 2, 3, 2, 2, 2],
        sampling_rate=[30000.0] * N_UNITS,
        waveform_mean=[np.ones((3, 2))] * N_UNITS,
    )
    times = EVENTS.copy()
    times[3] = np.nan
    trials(
        file,
        visual_stimulus_time=times,
        visual_stimulus_left_contrast=np.tile([0.0, 0.5], 10),
        included=np.arange(N_TRIALS) % 3 > 0,
        go_cue=EVENTS + 0.7,
    )
    behaviour = file.create_processing_module("behavior", "behaviour")
    area = TimeSeries(name="eye_area", data=AT[:, None], unit="pixels", rate=100.0)
    behaviour.add(PupilTracking(time_series=area))
    energy = TimeSeries(name="face_motion_energy", data=AT**2, unit="au", timestamps=AT)
    behaviour.add(BehavioralTimeSeries(time_series=energy))
    wheel = {"unit": "m", "starting_time": 2.0, "rate": 100.0, "conversion": 0.5, "offset": 3.0}
    file.add_acquisition(TimeSeries(name="wheel_position", data=np.arange(9000), **wheel))
    return written(file, tmp_path_factory.mktemp("nwb") / "steinmetz.nwb")


@pytest.fixture(scope="module")
def ibl_like(tmp_path_factory):
    """Write a file laid out like those of DANDI 000409."""
    file = empty(session_id="d23a44ef", subject=Subject(subject_id="DY_016"))
    group = probe(file, ["Primary visual area"] * 3 + ["Field CA1"] * 3, beryl=list("aaabbb"))
    units(
        file,
        id=[0, 1, 2, 0, 1, 2],  # each probe counts its own
        beryl_location=["VISp", "VISp", "VISp", "CA1", "CA1", "void"],
        cosmos_location=["Isocortex"] * 3 + ["HPF"] * 3,
        ibl_quality_score=[1.0, 1.0, 0.33, 1.0, np.nan, 1.0],
        kilosort2_label=["good", "good", "mua", "good", "good", "noise"],
        firing_rate=[9.0] * N_UNITS,
        electrodes=[[i] for i in range(N_UNITS)],
        electrode_group=[group] * N_UNITS,
    )
    trials(
        file,
        gabor_stimulus_onset_time=EVENTS,
        gabor_stimulus_side=["left", "right"] * 10,
        is_mouse_rewarded=np.arange(N_TRIALS) % 2 == 0,
        event_time=np.arange(N_TRIALS),
    )
    file.trials.add_column("licks", "times", data=[[1.0] * (i % 3) for i in range(20)], index=True)
    wheel = file.create_processing_module("wheel", "wheel")
    frame = {"reference_frame": "zero", "unit": "rad"}
    wheel.add(SpatialSeries(name="WheelPosition", data=AT, timestamps=AT, **frame))
    wheel.add(TimeSeries(name="backwards", data=AT, timestamps=AT[::-1], unit="s"))
    wheel.add(TimeSeries(name="cut", data=AT, timestamps=AT, unit="s"))
    wheel.add(TimeSeries(name="cube", data=np.ones((5, 2, 2)), rate=1.0, unit="s"))
    video = file.create_processing_module("video", "video")
    for name in ("left", "right"):
        paw = SpatialSeries(name="paw", data=np.stack([AT, -AT], 1), rate=100.0, **frame)
        video.add(Position(name=name, spatial_series=paw))
    raw = np.zeros((10, 6))
    everywhere = file.create_electrode_table_region(list(range(6)), "all")
    file.add_acquisition(ElectricalSeries(name="raw", data=raw, electrodes=everywhere, rate=1e3))
    path = written(file, tmp_path_factory.mktemp("nwb") / "ibl.nwb")
    with h5py.File(path, "r+") as opened:  # as pynwb would not write it
        del opened["processing/wheel/cut/timestamps"]
        stamps = opened["processing/wheel/cut"].create_dataset("timestamps", data=AT[:-1])
        stamps.attrs.update({"interval": 1, "unit": "seconds"})
    return path


def test_counts_equal_those_of_the_same_spikes(steinmetz_like):
    session = nm.load_nwb(steinmetz_like)
    kept = np.delete(EVENTS, 3)
    same = nm.from_spike_times(TRAINS, None, None, kept)
    np.testing.assert_array_equal(session.counts, same.counts)
    np.testing.assert_allclose(session.neurons["firing_rate"], same.neurons["firing_rate"])
    assert session.trials["event_time"].tolist() == kept.tolist()
    assert (session.session_id, session.subject) == ("Cori_2016-12-14", "Cori")
    assert session.neurons["cluster"].tolist() == list(range(N_UNITS))
    assert session.signals == {}


def test_steinmetz_regions_are_those_of_peak_channels_counted_from_one(steinmetz_like):
    session = nm.load_nwb(steinmetz_like)
    assert session.regions.tolist() == ["VISp", "VISp", "CA1", "root", "root", "CA1"]
    rows = list(session.report.itertuples(index=False, name=None))
    assert rows == [
        ("regions", "no region in the file, so 'root'", 1, 5),
        ("trials", "no visual_stimulus_time", 1, 19),
    ]
    assert session.trials["included"].dtype == bool
    assert {"peak_channel", "sampling_rate", "phy_annotations"} <= set(session.neurons)
    assert "waveform_mean" not in session.neurons


def test_ibl_regions_are_those_of_the_units(ibl_like):
    session = nm.load_nwb(ibl_like)
    assert session.regions.tolist() == ["VISp", "VISp", "VISp", "CA1", "CA1", "void"]
    assert (session.session_id, session.subject) == ("d23a44ef", "DY_016")
    assert session.trials["event_time"].tolist() == EVENTS.tolist()
    assert session.trials["gabor_stimulus_side"].tolist() == ["left", "right"] * 10
    assert session.trials["file_event_time"].tolist() == list(range(N_TRIALS))
    # Ids that come twice stay beside rows that do not.
    assert session.neurons["cluster"].tolist() == list(range(N_UNITS))
    assert session.neurons["id"].tolist() == [0, 1, 2, 0, 1, 2]
    assert session.neurons["file_firing_rate"].tolist() == [9.0] * N_UNITS
    assert session.report.to_dict("list") == {
        "item": ["columns of trials"],
        "reason": ["ragged, of several dimensions or references: licks"],
        "dropped": [1],
        "kept": [6],
    }
    assert nm.load_nwb(ibl_like, session_id="mine").session_id == "mine"


def test_sessions_are_saved_and_read_again(ibl_like, tmp_path):
    session = nm.load_nwb(ibl_like, signals=["WheelPosition", "left/paw"])
    again = nm.load_npz(session.save(tmp_path / "ibl"))
    np.testing.assert_array_equal(again.counts, session.counts)
    assert again.regions.tolist() == session.regions.tolist()
    assert set(again.signals) == {"WheelPosition", "left/paw"}
    pd.testing.assert_frame_equal(again.report, session.report)


def test_a_named_column_of_regions_may_be_of_units_or_electrodes(ibl_like):
    cosmos = nm.load_nwb(ibl_like, region_column="cosmos_location")
    assert cosmos.regions.tolist() == ["Isocortex"] * 3 + ["HPF"] * 3
    assert nm.load_nwb(ibl_like, region_column="beryl").regions.tolist() == list("aaabbb")
    location = nm.load_nwb(ibl_like, region_column="location")
    assert location.regions.tolist() == ["Primary visual area"] * 3 + ["Field CA1"] * 3


def test_regions_of_groups_are_taken_last(tmp_path):
    file = empty()
    group = probe(file, ["CA1"])
    units(file, electrode_group=[group] * N_UNITS, location=[1.0] * N_UNITS)
    session = nm.load_nwb(written(file, tmp_path / "groups.nwb"), events=EVENTS)
    assert session.regions.tolist() == ["thalamus"] * N_UNITS


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        # Rows from 0: both readings are among the electrodes, and this one comes first.
        (
            {"peak_channel": range(6), "electrodes": [[i, max(i - 1, 0)] for i in range(6)]},
            "ABCDEF",
        ),
        ({"peak_channel": range(1, 7)}, "ABCDEF"),
        ({"peak_channel": range(6)}, "ABCDEF"),
        ({"peak_channel_id": range(6)}, "ABCDEF"),
        ({"peak_channel": [0, 1, 2, 3, 4, 99], "electrodes": [[i] for i in range(6)]}, "ABCDEF"),
        ({"peak_channel": [0.0, np.nan] * 3, "electrodes": [[5 - i] for i in range(6)]}, "FEDCBA"),
    ],
)
def test_peaks_are_ids_or_rows_of_electrodes(tmp_path, columns, expected):
    file = empty()
    probe(file, list("ABCDEF"))
    units(file, **columns)
    session = nm.load_nwb(written(file, tmp_path / "peaks.nwb"), events=EVENTS)
    assert session.regions.tolist() == list(expected)


def test_peaks_may_be_references_to_electrodes(tmp_path):
    file = empty()
    probe(file, list("ABCDEF"))
    units(file, electrodes=[[0, 1, 2]] * N_UNITS)
    peaks = {"data": [5, 4, 3, 2, 1, 0], "table": file.electrodes}
    file.units.add_column("max_electrode", "its peak", **peaks)
    session = nm.load_nwb(written(file, tmp_path / "peaks.nwb"), events=EVENTS)
    assert session.regions.tolist() == list("FEDCBA")


def test_units_across_regions_get_that_of_most_electrodes(tmp_path):
    file = empty()
    probe(file, ["CA1", "CA3", "CA3", "unknown"])
    units(file, electrodes=[[0, 1, 2], [3], [0, 3], [1, 0], [2], []])
    session = nm.load_nwb(written(file, tmp_path / "tetrodes.nwb"), events=EVENTS)
    assert session.regions.tolist() == ["CA3", "root", "CA1", "CA3", "CA3", "root"]
    assert session.report["reason"].tolist() == [
        "electrodes in several regions, so that of most of them",
        "no region in the file, so 'root'",
    ]
    assert session.report["dropped"].tolist() == [2, 2]


def test_a_file_without_regions_gives_a_session_without(tmp_path):
    session = nm.load_nwb(made(tmp_path, regions=False))
    assert session.regions is None
    assert session.report["reason"].tolist() == ["no region"]
    assert nm.load_nwb(made(tmp_path, regions=False, area=["unknown"] * N_UNITS)).regions is None


def test_trials_align_to_the_column_asked_for(steinmetz_like, tmp_path):
    session = nm.load_nwb(steinmetz_like, align="go_cue", window=(-0.2, 0.3), bin_width=0.05)
    assert session.t_start == -0.2
    assert session.shape == (20, 10, 6)
    assert session.trials["event_time"].tolist() == (EVENTS + 0.7).tolist()
    assert nm.load_nwb(made(tmp_path)).trials["event_time"].tolist() == STARTS.tolist()


def test_events_replace_the_table_of_trials(tmp_path):
    events = [50.0, np.nan, 60.0, 1000.0]
    session = nm.load_nwb(made(tmp_path, with_trials=False), events=events)
    assert session.trials["event_time"].tolist() == [50.0, 60.0]
    assert session.report["reason"].tolist() == ["no event", "beyond the recording"]


def test_quality_and_rate_choose_units_and_are_reported(ibl_like, steinmetz_like):
    chosen = {"ibl_quality_score": 1.0, "kilosort2_label": ["good", "mua"]}
    session = nm.load_nwb(ibl_like, quality=chosen, min_rate=1.2)
    assert session.neurons["cluster"].tolist() == [1, 3]
    rows = list(session.report.itertuples(index=False, name=None))
    assert rows[0] == ("neurons", "ibl_quality_score below 1", 2, 4)
    assert rows[1] == ("neurons", "kilosort2_label not ['good', 'mua']", 1, 3)
    assert rows[-1] == ("neurons", "fewer than 1.2 spikes/s", 1, 2)
    good = nm.load_nwb(steinmetz_like, quality={"phy_annotations": 2})
    assert good.neurons["cluster"].tolist() == [1, 2, 3, 4, 5]
    label = nm.load_nwb(ibl_like, quality={"kilosort2_label": "mua", "firing_rate": 9})
    assert label.neurons["cluster"].tolist() == [2]


def test_units_are_chosen_by_bounds_and_ids(tmp_path):
    path = made(tmp_path, isi=[0.1, 0.2, 0.5, 0.9, np.nan, 0.0], ok=[True, False] * 3)
    for rule, kept in (
        ({"isi": "< 0.5"}, [0, 1, 5]),
        ({"isi": "<=0.5"}, [0, 1, 2, 5]),
        ({"isi": "> 0.5"}, [3]),
        ({"isi": " >= 5e-1"}, [2, 3]),
        ({"ok": True}, [0, 2, 4]),
    ):
        assert nm.load_nwb(path, quality=rule).neurons["cluster"].tolist() == kept
    session = nm.load_nwb(path, include=[0, 1, 4], exclude=[4], quality={"isi": "< 0.2"})
    assert session.neurons["cluster"].tolist() == [0]
    assert session.report["reason"].tolist() == ["not in include", "in exclude", "isi not < 0.2"]
    with pytest.raises(InvalidInputError, match=r"exclude has \[9\], which no unit has as its id"):
        nm.load_nwb(path, exclude=[9])
    with pytest.raises(
        InvalidInputError, match="is a least value or a bound, but the column holds"
    ):
        nm.load_nwb(path, quality={"region": "< 3"})


def test_silent_units_are_reported(tmp_path):
    session = nm.load_nwb(made(tmp_path, [*TRAINS, np.zeros(0)]))
    assert session.n_neurons == N_UNITS
    assert session.report["reason"].tolist() == ["no spike in the recording"]


def test_signals_have_rates_or_timestamps_and_units(steinmetz_like):
    names = ("wheel_position", "eye_area", "BehavioralTimeSeries/face_motion_energy")
    session = nm.load_nwb(steinmetz_like, signals=names, align="go_cue")
    ends = EVENTS[:, None] + 0.7 - 0.5 + 0.02 * np.arange(1, 101)
    assert list(session.signals) == list(names)
    wheel = np.where(ends < 92, (ends - 2) * 100 * 0.5 + 3, np.nan)
    some = ends < 91.9
    np.testing.assert_allclose(session.signals["wheel_position"][some], wheel[some])
    np.testing.assert_allclose(session.signals["eye_area"], ends)
    np.testing.assert_allclose(session.signals[names[2]], ends**2, atol=1e-3)
    assert session.report["item"].tolist() == ["regions", "signal wheel_position"]


def test_one_signal_may_be_given_by_its_name(ibl_like):
    session = nm.load_nwb(ibl_like, signals="right/paw")
    assert session.signals["right/paw"].shape == (20, 100, 2)


def test_all_signals_are_those_that_can_be_read(ibl_like):
    session = nm.load_nwb(ibl_like, signals="all")
    assert sorted(session.signals) == ["WheelPosition", "backwards", "left/paw", "right/paw"]
    rows = list(session.report.itertuples(index=False, name=None))[1:3]
    assert rows == [
        ("signals", "no numbers in one or two dimensions: wheel/cube", 1, 5),
        ("signals", "times and values of unequal number: wheel/cut", 1, 5),
    ]
    at = session.signals["WheelPosition"]
    np.testing.assert_allclose(session.signals["backwards"], 99.99 - at, atol=1e-9)


REFUSED = [
    ({"align": "gabor_stimulus_onset"}, "Did you mean 'gabor_stimulus_onset_time'"),
    ({"align": "gabor_stimulus_side"}, "align='gabor_stimulus_side' is no column of numbers"),
    ({"align": "start_time", "events": EVENTS}, "given both align='start_time' and events"),
    ({"events": np.ones((2, 2))}, r"events has shape \(2, 2\); expected one time a trial"),
    ({"events": "soon"}, "events 'soon' is not in the file; it has .'trials', 'backwards', 'cut'"),
    ({"events": [np.nan, 1e3]}, "none of 1 trials is left.*1 .beyond the recording"),
    ({"window": (1, 0)}, r"load_nwb: window=\(1, 0\)"),
    ({"region_column": "beril_location"}, "is in neither table.*Did you mean 'beryl_location'"),
    ({"region_column": "firing_rate"}, "region_column='firing_rate' holds no text"),
    ({"quality": {"label": 1.0}}, "quality names 'label'; expected one of the units' columns"),
    ({"quality": {"kilosort_label": "good"}}, "Did you mean 'kilosort2_label'"),
    (
        {"quality": {"kilosort2_label": 1}},
        "is a least value or a bound, but the column holds text, .'good'",
    ),
    (
        {"quality": {"kilosort2_label": None}},
        "expected a least value, a bound such as '< 0.5', a text or",
    ),
    ({"quality": "good"}, "quality='good'; expected a mapping from columns of units"),
    (
        {"quality": {"ibl_quality_score": 2}},
        "none of 6 units is left.*6 .ibl_quality_score below 2",
    ),
    ({"min_rate": 1e5}, "ibl.nwb: no neuron is left"),
    (
        {"signals": "wheel_position"},
        "signal 'wheel_position' is not in the file; it has .'left/paw', 'right/paw', 'W",
    ),
    ({"signals": ["WheelPositon"]}, "Did you mean 'WheelPosition'"),
    ({"signals": "raw"}, "signal 'raw' is not in the file"),
    ({"signals": "paw"}, r"names 2 places, \['video/left/paw', 'video/right/paw'\].*'left/paw'"),
    ({"signals": ["wheel/cube"]}, "wheel/cube has no numbers in one or two dimensions"),
    ({"signals": "cut"}, "wheel/cut has times and values of unequal number"),
    ({"signals": True}, "signals=True; expected names of time series, 'all' or None"),
]


@pytest.mark.parametrize(("change", "message"), REFUSED)
def test_what_does_not_fit_is_refused(ibl_like, change, message):
    with pytest.raises(InvalidInputError, match=message):
        nm.load_nwb(ibl_like, **change)


def test_trials_without_any_event_are_refused(tmp_path):
    file = empty()
    units(file)
    trials(file, visual_stimulus_time=np.full(N_TRIALS, np.nan))
    path = written(file, tmp_path / "no_events.nwb")
    message = (
        "none of 20 trials is left. Dropped.*20 .no visual_stimulus_time.. Choose another event"
    )
    with pytest.raises(InvalidInputError, match=message):
        nm.load_nwb(path)
    assert nm.load_nwb(path, align="start_time").n_trials == N_TRIALS


def test_electrodes_that_no_unit_names_give_no_region(tmp_path):
    file = empty()
    probe(file, ["CA1"], atlas=["HPF"])
    units(file)
    path = written(file, tmp_path / "unlinked.nwb")
    assert nm.load_nwb(path, events=EVENTS).regions is None
    with pytest.raises(InvalidInputError, match="units do not say which electrodes are theirs"):
        nm.load_nwb(path, events=EVENTS, region_column="atlas")
