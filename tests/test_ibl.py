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


def probe(session, name="probe00"):
    (folder,) = [p.parent for p in (session / "alf" / name).rglob("spikes.times.npy")]
    return folder


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
    (probe(lacking, "probe01") / "channels.brainLocationIds_ccf_2017.npy").unlink()
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
    root = tmp_path / "one"
    session = alf.write_session(root, "broken", "2020-01-02", n_units=(5,), n_trials=10)

    def load(**options):
        one, eids = alf.connect(root)
        return nm.load_ibl(eids["broken"], one=one, cache=False, **options)

    return session, load


def test_counts_are_those_of_the_spikes_of_all_probes(load, tree):
    session = load("usual", min_label=0)
    assert session.shape == (40, 100, 23)
    assert session.neurons["probe"].value_counts().to_dict() == {"probe00": 14, "probe01": 9}
    for row in (0, 13, 14, 22):
        neuron = session.neurons.iloc[row]
        folder = probe(tree[1]["usual"], neuron["probe"])
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
    folder = probe(tree[1]["usual"])
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
    path = probe(session) / "channels.brainLocationIds_ccf_2017.npy"
    right = load(min_label=0).regions
    np.save(path, -np.load(path))
    assert load(min_label=0).regions.tolist() == right.tolist()


def test_labels_are_found_by_the_id_they_carry(load, tree):
    session = load("usual", min_label=2 / 3)
    labels = {}
    for name in ("probe00", "probe01"):
        metrics = pd.read_parquet(probe(tree[1]["usual"], name) / "clusters.metrics.pqt")
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
    newer = probe(session).parent / "#2025-03-03#"
    shutil.copytree(probe(session), newer)
    np.save(newer / "clusters.depths.npy", np.full(5, 7.0))
    one, eids = alf.connect(root)
    options = {"one": one, "cache": False, "min_label": 0}
    assert nm.load_ibl(eids["mouse"], **options).neurons["depth"].max() > 7
    latest = nm.load_ibl(eids["mouse"], revision="2025-12-31", **options)
    assert latest.neurons["depth"].tolist() == [7.0] * 5


def test_spikes_before_the_start_are_left_out(broken):
    session, load = broken
    path = probe(session) / "spikes.times.npy"
    times = np.load(path)
    times[:3] = [-0.2, -0.1, -0.05]
    np.save(path, times)
    (row,) = load(min_label=0).report.to_dict("records")
    assert (row["item"], row["dropped"]) == ("spikes", 3)


def test_slow_units_are_left_out(broken):
    _, load = broken
    report = load(min_label=0, min_rate=2.0).report
    assert report["reason"].tolist() == ["fewer than 2 spikes/s"]


# Signals whose samples are not in order.
def rewrite(session, order, *names):
    for name in names:
        path = next(session.rglob(name))
        np.save(path, np.load(path)[order])


WHEEL = ("_ibl_wheel.timestamps.npy", "_ibl_wheel.position.npy")
FRAMES = ("_ibl_leftCamera.times.npy", "leftCamera.ROIMotionEnergy.npy")
ORDERS = {
    "buffers swapped": lambda n: np.r_[
        : n // 2, n // 2 + 500 : n // 2 + 900, n // 2 : n // 2 + 500, n // 2 + 900 : n
    ],
    "shuffled": lambda n: np.random.default_rng(0).permutation(n),
    "reversed": lambda n: np.arange(n)[::-1],
}


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
@pytest.mark.parametrize(("files", "name"), [(WHEEL, "wheel_velocity"), (FRAMES, "whisker_left")])
def test_samples_out_of_order_are_sorted_and_said(broken, order, files, name):
    session, load = broken
    right = load(min_label=0, signals=name)
    rewrite(session, order(len(np.load(next(session.rglob(files[0]))))), *files)
    got = load(min_label=0, signals=name)
    np.testing.assert_allclose(got.signals[name], right.signals[name], atol=1e-9)
    (row,) = got.report.to_dict("records")
    assert row["item"] == f"signal {name}"
    assert row["reason"] == "samples out of order, sorted"
    assert (row["dropped"], row["kept"] > 0) == (0, True)


@pytest.mark.parametrize(("files", "name"), [(WHEEL, "wheel_speed"), (FRAMES, "whisker_left")])
def test_a_signal_whose_clock_starts_again_is_left_out(broken, files, name):
    session, load = broken
    n = len(np.load(next(session.rglob(files[0]))))
    times = np.load(next(session.rglob(files[0])))
    times[n // 2 :] -= times[n // 2] - 1.0
    np.save(next(session.rglob(files[0])), times)
    got = load(min_label=0, signals=["whisker_right", name])
    assert set(got.signals) == {"whisker_right"}
    (row,) = got.report.to_dict("records")
    assert row["item"] == f"signal {name}"
    assert row["reason"] == f"its clock starts again at sample {n // 2}"


def test_samples_without_a_time_or_twice_are_left_out_and_counted(broken):
    session, load = broken
    right = load(min_label=0, signals=["wheel_velocity", "whisker_left"])
    for files in (WHEEL, FRAMES):
        times = np.load(next(session.rglob(files[0])))
        times[100:103] = np.nan
        times[201] = times[200]
        np.save(next(session.rglob(files[0])), times)
    got = load(min_label=0, signals=["wheel_velocity", "whisker_left"])
    for name, values in right.signals.items():
        np.testing.assert_allclose(got.signals[name], values, atol=0.05)
    rows = got.report[["item", "reason", "dropped"]].to_records(index=False).tolist()
    assert rows == [
        (f"signal {name}", reason, n)
        for name in right.signals
        for reason, n in [("samples without a time", 3), ("samples at the time of another", 1)]
    ]


def test_wheel_times_of_another_unit_are_not_those_of_the_spikes(broken):
    session, load = broken
    path = next(session.rglob(WHEEL[0]))
    np.save(path, np.load(path) * 30_000)
    got = load(min_label=0, signals="wheel_velocity")
    assert not got.signals
    assert "s, spikes from 0" in got.report["reason"].item()
    assert got.report["reason"].item().startswith("times from")


def test_one_frame_without_a_time_costs_no_signal(broken):
    session, load = broken
    path = next(session.rglob(FRAMES[0]))
    np.save(path, np.load(path)[:-1])
    got = load(min_label=0, signals="whisker_left")
    assert got.signals["whisker_left"].shape == got.shape[:2]
    (row,) = got.report.to_dict("records")
    assert (row["reason"], row["dropped"]) == ("samples without a time", 1)


def test_tables_of_cameras_without_the_column_are_said(broken):
    session, load = broken
    path = next(session.rglob("_ibl_leftCamera.dlc.pqt"))
    pd.read_parquet(path).drop(columns="paw_r_x").to_parquet(path)
    got = load(min_label=0, signals="paws_left")
    assert got.report["reason"].tolist() == ["leftCamera.dlc has no paw_r_x"]


# One bad thing in a session of two probes costs that thing alone.
@pytest.fixture
def two_probes(tmp_path):
    root = tmp_path / "two"
    session = alf.write_session(root, "two", "2020-01-02", n_units=(5, 6), n_trials=10)

    def load(**options):
        one, eids = alf.connect(root)
        options = {"one": one, "cache": False, "min_label": 0, "signals": ()} | options
        return nm.load_ibl(eids["two"], **options)

    return session, load


BAD_PROBE = [
    (lambda f: next(f.glob("clusters.channels.npy")).unlink(), "probe00 has no clusters.channels"),
    (lambda f: next(f.glob("spikes.clusters.npy")).unlink(), "probe00 has no spikes.clusters"),
    (
        lambda f: rewrite(f, slice(1, None), "spikes.clusters.npy"),
        "probe00 has 2000 spike times and 1999",
    ),
    (
        lambda f: np.save(f / "spikes.times.npy", np.full(2000, np.nan)),
        "probe00 has no spike after",
    ),
    (
        lambda f: np.save(f / "spikes.times.npy", np.tile(np.load(f / "spikes.times.npy")[::2], 2)),
        "the clock of probe00 starts again in 5 of 5 units",
    ),
]


@pytest.mark.parametrize(("damage", "reason"), BAD_PROBE)
def test_one_bad_probe_is_left_out_and_said(two_probes, damage, reason):
    session, load = two_probes
    damage(probe(session))
    got = load()
    assert set(got.neurons["probe"]) == {"probe01"}
    assert got.neurons["cluster"].tolist() == list(range(6))
    (row,) = got.report.to_dict("records")
    assert row["reason"].startswith(reason)
    assert (row["item"], row["dropped"], row["kept"]) == ("probes", 1, 1)


def test_a_damaged_file_costs_its_probe_or_signal_and_is_not_kept(two_probes, tmp_path):
    session, load = two_probes
    whole = {n: next(session.rglob(n)).read_bytes() for n in ("spikes.times.npy", WHEEL[1])}
    options = {"signals": ("wheel_speed", "whisker_left"), "cache": tmp_path / "cache"}
    for name in whole:
        path = next(session.rglob(name))
        path.write_bytes(whole[name][:200])
    with pytest.warns(
        NeuromaskWarning, match="read without what is damaged.*spikes.times.*wheel.p"
    ):
        got = load(**options)
    assert set(got.neurons["probe"]) == {"probe01"}
    assert set(got.signals) == {"whisker_left"}
    assert got.report["item"].tolist() == ["probes", "signal wheel_speed"]
    for name, content in whole.items():
        next(session.rglob(name)).write_bytes(content)
    assert set(load(**options).neurons["probe"]) == {"probe00", "probe01"}


def test_one_unit_whose_clock_starts_again_is_left_out(two_probes):
    session, load = two_probes
    folder = probe(session)
    right = load()
    times, clusters = (np.load(folder / f"spikes.{n}.npy") for n in ("times", "clusters"))
    train = times[clusters == 2]
    train[len(train) // 2 :] -= train[len(train) // 2] - 1.0
    times[clusters == 2] = train
    np.save(folder / "spikes.times.npy", times)
    got = load()
    kept = (right.neurons["cluster"] != 2).to_numpy()
    np.testing.assert_array_equal(got.counts, right.counts[:, :, kept])
    assert got.neurons["cluster"].tolist() == right.neurons["cluster"][kept].tolist()
    assert got.report.to_dict("records") == [
        {"item": "neurons", "reason": "clock starts again, in probe00", "dropped": 1, "kept": 4}
    ]


def test_one_unit_on_no_channel_or_at_no_place_is_left_out(two_probes):
    session, load = two_probes
    channels = probe(session) / "clusters.channels.npy"
    values = np.load(channels)
    values[1] = 9999
    np.save(channels, values)
    places = probe(session, "probe01") / "channels.brainLocationIds_ccf_2017.npy"
    ids = np.load(places)
    ids[np.load(probe(session, "probe01") / "clusters.channels.npy")[0]] = 12345678
    np.save(places, ids)
    got = load()
    assert got.neurons["cluster"].tolist() == [0, 2, 3, 4, 6, 7, 8, 9, 10]
    assert got.report[["reason", "dropped"]].to_records(index=False).tolist() == [
        ("on no channel of probe00", 1),
        ("atlas id that Allen's atlas does not have", 1),
    ]


def test_spikes_out_of_order_are_sorted_and_those_of_no_cluster_left_out(two_probes):
    session, load = two_probes
    right = load()
    folder = probe(session)
    order = np.argsort(np.load(folder / "spikes.clusters.npy"), kind="stable")  # as phy may write
    rewrite(folder, order, "spikes.times.npy", "spikes.clusters.npy")
    for name, value in (("times", 0.5), ("clusters", 77)):
        path = folder / f"spikes.{name}.npy"
        np.save(path, np.append(np.load(path), value).astype(np.load(path).dtype))
    got = load()
    np.testing.assert_array_equal(got.counts, right.counts)
    assert got.report["reason"].tolist() == [
        "of clusters that the table of probe00 lacks",
        "out of order in probe00, sorted",
    ]


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
    (probe(session) / "spikes.times.npy").unlink()
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
    ({"min_rate": 1e5}, "load_ibl: session .*: no neuron is left.* Lower min_rate"),
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
