"""IBL sessions through the real ONE-api, offline, from a small tree of files."""

import shutil
import sys

import numpy as np
import pandas as pd
import pytest

import neuromask as nm
from neuromask.datasets.ibl.behaviour import (
    camera_times,
    paw_speeds,
    trial_rules,
    trials_table,
    wheel_velocity,
)
from neuromask.datasets.ibl.loader import USUAL_SIGNALS
from neuromask.datasets.report import Report
from neuromask.errors import InvalidInputError, NeuromaskWarning

from . import alf

pytest.importorskip("one.api", reason="ONE-api is not installed (extra 'ibl')")
pytest.importorskip("iblatlas", reason="iblatlas is not installed (extra 'ibl')")
pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword")  # ONE's use of pandas

PUPIL_AND_PAWS = ("pupil_left", "pupil_right", "paws_left", "paws_right")


@pytest.fixture(scope="session")
def tree(tmp_path_factory):
    """Write sessions of three animals: usual, with a revision, and with all that goes wrong."""
    root = tmp_path_factory.mktemp("one")
    sessions = {
        "usual": alf.write_session(root, "usual", "2020-01-02"),
        "revised": alf.write_session(
            root, "revised", "2021-03-04", seed=1, revision="2024-01-06", cameras=("right",)
        ),
        "lacking": alf.write_session(root, "lacking", "2022-05-06", seed=2, cameras=("right",)),
    }
    lacking = sessions["lacking"]
    (alf.probe_folder(lacking, "probe01") / "channels.brainLocationIds_ccf_2017.npy").unlink()
    trials = pd.read_parquet(lacking / "alf" / "_ibl_trials.table.pqt")
    trials.loc[[0, 1], "choice"] = np.nan
    trials.loc[2, "stimOn_times"] = np.nan
    trials.loc[3, "choice"] = 0.0
    trials.loc[4, "firstMovement_times"] = trials.loc[4, "stimOn_times"] + 0.01
    trials.loc[5, "feedback_times"] += 20
    trials.loc[6, ["stimOn_times", "firstMovement_times"]] += alf.SECONDS
    trials.to_parquet(lacking / "alf" / "_ibl_trials.table.pqt")
    rng = np.random.default_rng(3)
    alf.write_camera(lacking / "alf", "right", 150.0, rng, n_extra=30)
    np.save(lacking / "alf" / "_ibl_leftCamera.times.npy", np.arange(10.0))
    np.save(lacking / "alf" / "leftCamera.ROIMotionEnergy.npy", np.arange(500.0))
    return root, sessions, *alf.connect(root)


@pytest.fixture
def load(tree, tmp_path):
    """Load by the animal's name, with a cache of the test's own."""
    *_, one, eids = tree

    def load(name, **options):
        names = [name] if isinstance(name, str) else name
        chosen = [eids[n] for n in names]
        usual = {"one": one, "cache": tmp_path / "cache"}
        return nm.load_ibl(chosen[0] if isinstance(name, str) else chosen, **(usual | options))

    return load


@pytest.fixture
def broken(tmp_path):
    """Write one more session, for a test to break before it is indexed."""
    return alf.write_alone(tmp_path / "one", "broken", n_units=(5,), n_trials=10)


def test_counts_are_those_of_the_spikes_of_all_probes(load, tree):
    session = load("usual", min_label=0)
    assert session.shape == (40, 100, 23)
    assert session.neurons["probe"].value_counts().to_dict() == {"probe00": 14, "probe01": 9}
    for row in (0, 13, 14, 22):
        neuron = session.neurons.iloc[row]
        folder = alf.probe_folder(tree[1]["usual"], neuron["probe"])
        times = np.load(folder / "spikes.times.npy")
        times = times[np.load(folder / "spikes.clusters.npy") == neuron["probe_cluster"]]
        edges = session.trials["stimOn_times"][7] + np.linspace(-0.5, 1.5, 101)
        expected = np.histogram(times, np.append(edges, np.inf))[0][:-1]
        np.testing.assert_array_equal(session.counts[7, :, row], expected)
        assert neuron["uuid"] == f"0-{int(neuron['probe'][-1])}-{neuron['probe_cluster']}"
    assert (session.session_id, session.subject) == (tree[3]["usual"], "usual")
    assert session.report.empty


def test_regions_are_those_of_the_channels(load, tree):
    names = {382: "CA1", 385: "VISp", 672: "CP", 1020: "PO", 997: "root"}
    session = load("usual", min_label=0)
    folder = alf.probe_folder(tree[1]["usual"])
    places = np.load(folder / "channels.brainLocationIds_ccf_2017.npy")
    expected = [names[i] for i in places[np.load(folder / "clusters.channels.npy")]]
    assert session.regions[:14].tolist() == expected
    cosmos = load("usual", min_label=0, atlas="Cosmos").regions
    assert set(cosmos) <= {"HPF", "Isocortex", "CNU", "TH", "root"}
    assert load("usual", min_label=0, atlas="Allen").regions[:14].tolist() == expected


def test_electrode_sites_go_before_channels(broken):
    session, load = broken
    n = alf.N_CHANNELS
    folder = session / "alf" / "probe00"
    np.save(folder / "electrodeSites.brainLocationIds_ccf_2017.npy", np.full(n, 382))
    assert set(load(min_label=0).regions) == {"CA1"}


def test_units_in_the_left_hemisphere_have_the_same_regions(broken):
    session, load = broken
    path = alf.probe_folder(session) / "channels.brainLocationIds_ccf_2017.npy"
    right = load(min_label=0).regions
    np.save(path, -np.load(path))
    assert load(min_label=0).regions.tolist() == right.tolist()


def test_labels_are_found_by_the_id_they_carry(load, tree):
    session = load("usual", min_label=2 / 3)
    labels = {}
    for name in ("probe00", "probe01"):
        metrics = pd.read_parquet(alf.probe_folder(tree[1]["usual"], name) / "clusters.metrics.pqt")
        chosen = metrics[metrics["label"] > 0.6]
        labels |= {(name, i): v for i, v in zip(chosen["cluster_id"], chosen["label"], strict=True)}
    found = session.neurons.set_index(["probe", "probe_cluster"])["label"].to_dict()
    assert found == pytest.approx(labels)
    rows = session.report.set_index("reason")["dropped"].to_dict()
    assert rows == {"no quality label": 2, "quality label below 0.667": 21 - len(labels)}


def test_trials_carry_contrast_with_its_side_block_and_reward(load):
    trials = load("usual").trials
    left = trials["contrastRight"].isna()
    np.testing.assert_array_equal(trials["contrast"][left], -trials["contrastLeft"][left])
    np.testing.assert_array_equal(trials["contrast"][~left], trials["contrastRight"][~left])
    assert trials["block"].tolist() == trials["probabilityLeft"].tolist()
    assert trials["reward"].tolist() == (trials["feedbackType"] > 0).astype(float).tolist()
    np.testing.assert_allclose(trials["intervals_1"] - trials["intervals_0"], 2.5)


def test_alignment_window_and_bins(load):
    session = load("usual", align="firstMovement", window=(-0.2, 0.8), bin_width=0.05)
    assert session.t_start == -0.2
    assert session.shape[1] == 20
    assert session.bin_width == 0.05
    assert (session.trials["event_time"] == session.trials["firstMovement_times"]).all()
    by_name = load("usual", align="intervals_0", window=(0, 1))
    assert (by_name.trials["event_time"] == by_name.trials["intervals_0"]).all()


def test_every_dropped_trial_is_counted(load):
    session = load("lacking")
    rows = session.report[session.report["item"] == "trials"]
    assert dict(zip(rows["reason"], rows["dropped"], strict=True)) == {
        "no stimOn_times": 1,
        "no choice": 2,
        "no choice was made": 1,
        "reaction time outside of 0.08 to 2 s": 1,
        "feedback more than 10 s after the go cue": 1,
        "beyond the recording": 1,
    }
    assert rows["kept"].tolist()[-1] == len(session) == 33


def test_filters_can_be_turned_off(load):
    session = load("lacking", complete=(), no_choice=True, reaction_time=None, feedback_delay=None)
    rows = session.report[session.report["item"] == "trials"]
    assert rows["reason"].tolist() == ["no stimOn_times", "beyond the recording"]
    assert len(session) == 38


def test_a_probe_without_places_is_left_out_and_said(load):
    session = load("lacking", min_label=0)
    assert set(session.neurons["probe"]) == {"probe00"}
    (row,) = session.report[session.report["item"] == "probes"].to_dict("records")
    assert row["reason"] == "probe01 has no places in the brain"
    assert (row["dropped"], row["kept"]) == (1, 1)


def test_a_camera_that_is_missing_is_never_the_other_one(load):
    session = load("revised", signals=(*USUAL_SIGNALS, *PUPIL_AND_PAWS))
    assert set(session.signals) == {
        *("wheel_velocity", "wheel_speed", "whisker_right", "pupil_right", "paws_right")
    }
    rows = session.report.set_index("item")["reason"].to_dict()
    assert rows["signal whisker_left"] == "no leftCamera.ROIMotionEnergy"
    assert rows["signal pupil_left"] == "no leftCamera.features"
    assert rows["signal paws_left"] == "no leftCamera.dlc"


def test_a_camera_longer_than_its_data_keeps_its_last_times(load):
    session = load("lacking")
    ends = session.trials["event_time"].to_numpy()[:, None] - 0.5 + 0.02 * np.arange(1, 101)
    np.testing.assert_allclose(session.signals["whisker_right"], 2 * ends, atol=1e-6)
    rows = session.report.set_index("item")["reason"].to_dict()
    assert rows["signal whisker_left"] == "10 times for 500 frames of the leftCamera"


def test_signals_are_what_the_files_say(load):
    session = load("usual", signals=(*USUAL_SIGNALS, *PUPIL_AND_PAWS))
    ends = session.trials["event_time"].to_numpy()[:, None] - 0.5 + 0.02 * np.arange(1, 101)
    # Position is the sine of time, sampled here and there.
    np.testing.assert_allclose(session.signals["wheel_velocity"], np.cos(ends), atol=0.1)
    np.testing.assert_allclose(
        session.signals["wheel_speed"], np.abs(session.signals["wheel_velocity"]), atol=0.05
    )
    np.testing.assert_allclose(session.signals["whisker_left"], 2 * ends, atol=1e-6)
    np.testing.assert_allclose(session.signals["pupil_left"], 5.0)
    assert session.signals["paws_right"].shape == (40, 100, 2)
    np.testing.assert_allclose(session.signals["paws_right"], np.hypot(3, 3), rtol=1e-6)


def test_loading_twice_is_the_same_and_the_second_time_from_the_cache(load, monkeypatch):
    first = load("usual")

    def read(*args, **options):
        raise RuntimeError("the files are read again")

    monkeypatch.setattr("neuromask.datasets.ibl.loader.read_session", read)
    again = load("usual", one=None, mode="remote")  # no connection is made
    np.testing.assert_array_equal(first.counts, again.counts)
    pd.testing.assert_frame_equal(first.neurons, again.neurons)
    pd.testing.assert_frame_equal(first.trials, again.trials)
    pd.testing.assert_frame_equal(first.report, again.report)
    for name, values in first.signals.items():
        np.testing.assert_array_equal(values, again.signals[name])
    for change in (
        {"min_label": 0.5},
        {"align": "feedback"},
        {"bin_width": 0.04},
        {"atlas": "Allen"},
    ):
        with pytest.raises(RuntimeError, match="read again"):
            load("usual", **change)


def test_a_half_written_cache_is_made_again(load, tmp_path):
    first = load("usual")
    (file,) = (tmp_path / "cache" / "ibl").iterdir()
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.warns(NeuromaskWarning, match="A cached session is damaged and is made again"):
        again = load("usual")
    np.testing.assert_array_equal(first.counts, again.counts)
    np.testing.assert_array_equal(load("usual").counts, first.counts)


def test_without_a_cache_nothing_is_written(load, tmp_path):
    load("usual", cache=False)
    assert not (tmp_path / "cache").exists()


def test_the_usual_cache_is_where_the_environment_says(load, tmp_path, monkeypatch):
    monkeypatch.setenv("NEUROMASK_CACHE", str(tmp_path / "mine"))
    load("usual", cache=True)
    assert len(list((tmp_path / "mine" / "ibl").iterdir())) == 1


def test_a_list_gives_a_list_whatever_the_number_of_threads(load, capsys):
    names = ["usual", "revised", "lacking"]
    alone = [load(name, cache=False) for name in names]
    assert capsys.readouterr().out == ""
    together = load(names, n_jobs=2, verbose=1)
    assert [s.subject for s in together] == names
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one.counts, other.counts)
    assert "sessions" in capsys.readouterr().err


def test_one_session_that_fails_costs_no_other(load, tree, tmp_path):
    unknown = "00000000-0000-0000-0000-000000000000"
    *_, one, eids = tree
    with pytest.raises(
        InvalidInputError, match=r"1 of 3 sessions cannot be loaded; the others are"
    ):
        nm.load_ibl([eids["usual"], unknown, eids["revised"]], one=one, cache=tmp_path / "cache")
    kept = [path.name[:36] for path in (tmp_path / "cache" / "ibl").iterdir()]
    assert sorted(kept) == sorted([eids["usual"], eids["revised"]])


def test_a_revision_is_pinned(tmp_path):
    root = tmp_path / "one"
    session = alf.write_session(root, "mouse", "2020-01-02", n_units=(5,), revision="2024-01-06")
    newer = alf.probe_folder(session).parent / "#2025-03-03#"
    shutil.copytree(alf.probe_folder(session), newer)
    np.save(newer / "clusters.depths.npy", np.full(5, 7.0))
    one, eids = alf.connect(root)
    options = {"one": one, "cache": False, "min_label": 0}
    assert nm.load_ibl(eids["mouse"], **options).neurons["depth"].max() > 7
    latest = nm.load_ibl(eids["mouse"], revision="2025-12-31", **options)
    assert latest.neurons["depth"].tolist() == [7.0] * 5


def test_spikes_before_the_start_are_left_out(broken):
    session, load = broken
    path = alf.probe_folder(session) / "spikes.times.npy"
    times = np.load(path)
    times[:3] = [-0.2, -0.1, -0.05]
    np.save(path, times)
    (row,) = load(min_label=0).report.to_dict("records")
    assert (row["item"], row["dropped"]) == ("spikes", 3)


def test_slow_units_are_left_out(broken):
    _, load = broken
    report = load(min_label=0, min_rate=2.0).report
    assert report["reason"].tolist() == ["fewer than 2 spikes/s"]


# What is broken, and what is said.
def unlink(name):
    return lambda session: next(session.rglob(name)).unlink()


def cut(name):
    def damage(session):
        path = next(session.rglob(name))
        path.write_bytes(path.read_bytes()[:200])

    return damage


def resave(name, change):
    def damage(session):
        path = next(session.rglob(name))
        np.save(path, change(np.load(path)))

    return damage


DAMAGE = [
    (cut("spikes.times.npy"), r"spikes.times in .*probe00.* cannot be read"),
    (cut("_ibl_trials.table.pqt"), "trials in .* cannot be read"),
    (
        unlink("spikes.times.npy"),
        r"has no sorted spikes .* It has: alf/_ibl_leftCamera.*Choose another",
    ),
    (
        unlink("clusters.channels.npy"),
        r"probe00 has no clusters.channels in 'alf/probe00/pykilosort'",
    ),
    (unlink("_ibl_trials.table.pqt"), "has no trials. It has: alf/"),
    (
        unlink("channels.brainLocationIds_ccf_2017.npy"),
        "no probe of session .* can be used: probe00 has no places",
    ),
    (
        resave("spikes.clusters.npy", lambda x: x[1:]),
        "2000 spike times and 1999 clusters of spikes",
    ),
    (resave("spikes.clusters.npy", lambda x: x + 3), "spikes of clusters up to 7 and a table of 5"),
    (resave("clusters.channels.npy", lambda x: x + 384), "places of 384 channels"),
    (
        resave("spikes.times.npy", lambda x: x * np.nan),
        "probe00 has no spike after the start .* pin another revision than 2024-05-06",
    ),
    (
        resave("channels.brainLocationIds_ccf_2017.npy", lambda x: x * 0 + 12345678),
        "5 units have atlas ids that Allen's atlas does not have, such as 12345678",
    ),
]


@pytest.mark.parametrize(("damage", "message"), DAMAGE)
def test_damaged_sessions_are_refused(broken, damage, message):
    session, load = broken
    damage(session)
    with pytest.raises(InvalidInputError, match=message):
        load(min_label=0)


def test_files_that_were_not_downloaded_are_named(broken):
    session, _ = broken
    one, eids = alf.connect(session.parents[4])
    (alf.probe_folder(session) / "spikes.times.npy").unlink()
    message = r"spikes.times in 'alf/probe00/pykilosort' .* not downloaded.*Here are: alf/.*Missing are: alf/probe00/pykilosort/spikes.times.npy"
    with pytest.raises(InvalidInputError, match=message):
        nm.load_ibl(eids["broken"], one=one, cache=False)


def test_several_tasks_are_refused(broken):
    session, load = broken
    (session / "alf" / "task_00").mkdir()
    shutil.copy(session / "alf" / "_ibl_trials.table.pqt", session / "alf" / "task_00")
    with pytest.raises(
        InvalidInputError,
        match=r"trials of several tasks, in \['alf', 'alf/task_00'\].*use from_spike_times",
    ):
        load()


def test_labels_may_be_missing_altogether(broken):
    session, load = broken
    unlink("clusters.metrics.pqt")(session)
    with pytest.raises(InvalidInputError, match="no unit of 5 has a quality label of 1 or more"):
        load()
    assert load(min_label=0).n_neurons == 5


REFUSED = [
    ({"align": "stimOff"}, "align='stimOff' is no column of trials"),
    ({"atlas": "beryl"}, "atlas='beryl'.*Did you mean 'Beryl'"),
    ({"mode": "offline"}, "mode='offline'"),
    ({"min_label": 3}, "min_label=3"),
    ({"min_rate": -1}, "min_rate=-1"),
    ({"n_jobs": 0}, "n_jobs=0"),
    ({"signals": ["whiskers_left"]}, "signals='whiskers_left'.*Did you mean 'whisker_left'"),
    ({"window": (1, 0)}, r"window=\(1, 0\)"),
    ({"bin_width": 0.03}, "do not fill the window"),
    ({"complete": ["stimOn"]}, "complete needs the column 'stimOn' .*Did you mean 'stimOn_times'"),
    ({"reaction_time": (5, 6)}, r"none of 40 trials is left.*40 \(reaction time outside of 5 to 6"),
    ({"min_rate": 1e5}, "load_ibl: no neuron is left.* Lower min_rate"),
    ({"window": (-150, 150)}, r"none of 40 trials is left.*\(beyond the recording\)"),
]


@pytest.mark.parametrize(("change", "message"), REFUSED)
def test_options_that_do_not_fit_are_refused(load, change, message):
    with pytest.raises(InvalidInputError, match=message):
        load("usual", **change)


def test_a_column_of_trials_that_does_not_fit_is_left_out():
    columns = {"stimOn_times": np.arange(5.0), "choice": np.ones(5), "rewardVolume": np.ones(6)}
    report = Report()
    assert list(trials_table(columns, report)) == ["stimOn_times", "choice"]
    assert report.table()["reason"].tolist() == ["6 values"]
    with pytest.raises(InvalidInputError, match="the columns of trials differ in length"):
        trials_table({"stimOn_times": np.arange(5.0), "choice": np.ones(6)}, report)


def test_rules_name_the_option_that_needs_a_column():
    trials = pd.DataFrame({"stimOn_times": [1.0]})
    usual = {"complete": (), "no_choice": True, "reaction_time": None, "feedback_delay": None}
    for option, value in (("no_choice", False), ("reaction_time", (0, 1)), ("feedback_delay", 1)):
        with pytest.raises(InvalidInputError, match=f"{option} needs the column"):
            trial_rules(trials, **(usual | {option: value}))


def test_unknown_sessions_are_refused(tree):
    *_, one, eids = tree
    with pytest.raises(InvalidInputError, match="eid 'monday' is no session's id"):
        nm.load_ibl("monday", one=one)
    wrong = eids["usual"][:-1] + ("0" if eids["usual"][-1] != "0" else "1")
    with pytest.raises(InvalidInputError, match=f"no session '{wrong}' .* Did you mean '"):
        nm.load_ibl(wrong, one=one, cache=False)


def test_without_the_extra_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "one.api", None)
    with pytest.raises(ImportError, match=r"Run: pip install 'neuromask\[ibl\]'"):
        nm.load_ibl("5dcee0eb-b34d-4652-acc3-d10afc6eae68")


def test_without_a_network_what_was_downloaded_is_read(tree, tmp_path, monkeypatch):
    *_, one, eids = tree

    def connect(*, mode, silent):
        if mode == "remote":
            raise ConnectionError("no route to host")
        return one

    monkeypatch.setattr("one.api.ONE", connect)
    options = {"cache": tmp_path}
    with pytest.warns(NeuromaskWarning, match="cannot be reached .*no route to host"):
        session = nm.load_ibl(eids["usual"], **options)
    local = nm.load_ibl(eids["usual"], mode="local", cache=False)
    np.testing.assert_array_equal(session.counts, local.counts)
    with pytest.raises(InvalidInputError, match=r"cannot be reached .*ONE.setup\(base_url="):
        nm.load_ibl(eids["usual"], mode="remote", cache=False)


def test_lists_by_name(tree):
    every, pool = nm.ibl_sessions("repeated-site"), nm.ibl_sessions("repeated-site pretraining")
    held_out = nm.ibl_sessions("repeated-site held-out")
    assert (len(set(every)), len(pool), len(held_out)) == (40, 35, 5)
    assert set(pool) | set(held_out) == set(every)
    one = tree[2]
    with pytest.raises(InvalidInputError, match="'brain-wide-map' is a tag of the database"):
        nm.ibl_sessions("brain-wide-map", one=one)
    with pytest.raises(InvalidInputError, match="Did you mean 'repeated-site'"):
        nm.ibl_sessions("repeted-site", one=one)


class FakeDatabase:
    """Answers a search as the database does."""

    def search_insertions(self, *, django, details):
        assert details
        asked = {"datasets__tags__name,Brainwidemap": ["a", "a", "b"]}.get(django, [])
        return asked, [{"session": eid} for eid in asked]


def test_release_tags_ask_the_database():
    assert nm.ibl_sessions("brain-wide-map", one=FakeDatabase()) == ["a", "b"]
    with pytest.raises(InvalidInputError, match="no session of tag 'nothing'"):
        nm.ibl_sessions("nothing", one=FakeDatabase())


def test_wheel_velocity_of_a_steady_turn():
    at = np.sort(np.random.default_rng(0).uniform(0, 10, 500))
    times, velocity = wheel_velocity(at, 3 * at)
    inner = (times > at[0] + 0.5) & (times < at[-1] - 0.5)
    np.testing.assert_allclose(velocity[inner], 3, atol=1e-3)


def test_camera_times_need_a_time_for_each_frame_or_a_bin_s_doubt():
    assert camera_times(np.arange(5.0), 3, 0.02).tolist() == [2, 3, 4]
    assert camera_times(np.arange(5.0), 6, 0.02) is None
    assert camera_times(np.arange(5.0), 0, 0.02) is None
    np.testing.assert_array_equal(camera_times(np.arange(3.0), 4, 1.0), [0, 1, 2, np.nan])
    assert camera_times(np.zeros(3), 4, 1.0) is None  # whose frame lacks cannot be told


def test_paws_that_are_not_seen_have_no_speed():
    columns = {f"paw_{p}_{a}": [0.0, 3.0, 6.0, 9.0] for p in "lr" for a in "xy"}
    columns |= {"paw_l_likelihood": [1, 1, 0.5, 1], "paw_r_likelihood": [1, 1, 1, 1]}
    speeds = paw_speeds(np.arange(4.0), pd.DataFrame(columns))
    step = np.hypot(3, 3)
    np.testing.assert_allclose(speeds[:, 0], [np.nan, step, np.nan, np.nan])
    np.testing.assert_allclose(speeds[:, 1], [np.nan, step, step, step])
