"""IBL sessions with one flaw or another, which costs what is flawed alone."""

import numpy as np
import pandas as pd
import pytest

from neuromask.errors import InvalidInputError, NeuromaskWarning

from . import alf

pytest.importorskip("one.api", reason="ONE-api is not installed (extra 'ibl')")
pytest.importorskip("iblatlas", reason="iblatlas is not installed (extra 'ibl')")
pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword")  # ONE's use of pandas


@pytest.fixture
def broken(tmp_path):
    """Write a session for a test to break before it is indexed."""
    return alf.write_alone(tmp_path / "one", "broken", n_units=(5,), n_trials=10)


@pytest.fixture
def two_probes(tmp_path):
    """Write one of two probes; it is loaded with all units and no signals."""
    session, load = alf.write_alone(tmp_path / "two", "two", n_units=(5, 6), n_trials=10)
    return session, lambda **options: load(**({"min_label": 0, "signals": ()} | options))


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
    damage(alf.probe_folder(session))
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
    folder = alf.probe_folder(session)
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
    channels = alf.probe_folder(session) / "clusters.channels.npy"
    values = np.load(channels)
    values[1] = 9999
    np.save(channels, values)
    places = alf.probe_folder(session, "probe01") / "channels.brainLocationIds_ccf_2017.npy"
    ids = np.load(places)
    ids[np.load(alf.probe_folder(session, "probe01") / "clusters.channels.npy")[0]] = 12345678
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
    folder = alf.probe_folder(session)
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


# Units and time.
def test_units_are_chosen_by_uuid_or_number(two_probes):
    _, load = two_probes
    assert load(include=["0-0-1", "0-1-5"]).neurons["uuid"].tolist() == ["0-0-1", "0-1-5"]
    assert load(include=[1, 10]).neurons["uuid"].tolist() == ["0-0-1", "0-1-5"]
    left = load(exclude=np.array([0, 10]))
    assert left.neurons["cluster"].tolist() == list(range(1, 10))
    assert left.report.to_dict("records") == [
        {"item": "neurons", "reason": "in exclude", "dropped": 2, "kept": 9}
    ]
    with pytest.raises(InvalidInputError, match=r"include has \['0-0-9'\].*Did you mean"):
        load(include=["0-0-9"])


def test_quality_has_lower_and_upper_bounds_on_the_metrics(two_probes):
    session, load = two_probes
    for name in ("probe00", "probe01"):
        path = alf.probe_folder(session, name) / "clusters.metrics.pqt"
        metrics = pd.read_parquet(path)
        metrics["contamination"] = metrics["cluster_id"] / 10
        metrics.to_parquet(path)
    got = load(quality={"contamination": "< 0.2"})
    assert got.neurons["probe_cluster"].tolist() == [0, 1, 0, 1]
    assert got.neurons["contamination"].tolist() == [0, 0.1, 0, 0.1]
    assert got.report["reason"].tolist() == ["contamination not < 0.2"]
    assert load(quality={"contamination": 0.3}).neurons["probe_cluster"].tolist() == [3, 3, 4]
    assert "contamination" not in load().neurons
    with pytest.raises(InvalidInputError, match="quality names 'contamnation'; expected one of"):
        load(quality={"contamnation": 1})


def test_a_probe_that_stops_early_is_marked_not_silent(two_probes):
    session, load = two_probes
    right = load()
    folder = alf.probe_folder(session, "probe01")
    early = np.load(folder / "spikes.times.npy") < alf.SECONDS / 2
    rewrite(folder, early, "spikes.times.npy", "spikes.clusters.npy")
    got = load()
    late = (got.trials["event_time"] > alf.SECONDS / 2 + 1).to_numpy()
    second = (got.neurons["probe"] == "probe01").to_numpy()
    assert len(got) == len(right)
    assert not got.observed[np.ix_(late, range(100), second)].any()
    assert got.observed[:, :, ~second].all()
    assert got.observed[np.ix_(~late, range(100), second)].any()
    rates = right.neurons["firing_rate"][second]
    np.testing.assert_allclose(got.neurons["firing_rate"][second], rates, rtol=0.2)
    (row,) = got.report.to_dict("records")
    assert row["reason"].startswith("observed for a part of the session")
    assert (row["item"], row["dropped"], row["kept"]) == ("neurons", 0, 6)


def test_trials_beyond_the_recording_are_dropped_marked_or_refused(two_probes):
    session, load = two_probes
    path = session / "alf" / "_ibl_trials.table.pqt"
    trials = pd.read_parquet(path)
    trials.loc[9, ["stimOn_times", "firstMovement_times"]] += 4.0  # 0.5 s of it was recorded
    trials.to_parquet(path)
    dropped = load()
    assert len(dropped) == 9
    assert dropped.observed is None
    assert dropped.report["reason"].tolist() == ["beyond the recording"]
    marked = load(unrecorded="mark")
    assert len(marked) == 10
    assert marked.observed[:9].all()
    n_seen = marked.observed[9].sum(0)
    assert (n_seen == n_seen[0]).all()
    assert 70 <= n_seen[0] <= 75
    with pytest.raises(InvalidInputError, match="1 of 10 trials reach beyond the recording"):
        load(unrecorded="refuse")
    with pytest.raises(InvalidInputError, match="unrecorded='keep'"):
        load(unrecorded="keep")


def test_trials_end_where_a_column_says(two_probes):
    _, load = two_probes
    got = load(ends="feedback")
    length = got.trials["feedback_times"] - got.trials["stimOn_times"] + 0.5
    expected = np.floor(length / 0.02 + 1e-6).astype(int)
    np.testing.assert_array_equal(got.observed.sum(1)[:, 0], expected)
    with pytest.raises(InvalidInputError, match="ends='the end' is no column of trials"):
        load(ends="the end")


def test_trials_that_come_twice_are_warned_of(two_probes):
    session, load = two_probes
    path = session / "alf" / "_ibl_trials.table.pqt"
    trials = pd.read_parquet(path)
    pd.concat([trials, trials[:1]]).to_parquet(path)
    with pytest.warns(NeuromaskWarning, match="1 of 11 events are there more than once"):
        load()
