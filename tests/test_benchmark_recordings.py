"""The benchmark's own files, from a folder to scores, against its protocol written out here."""

import hashlib
from functools import partial

import numpy as np
import pytest
import torch
from safetensors import safe_open

import neuromask as nm
from neuromask.cli import main
from neuromask.errors import InvalidInputError, NeuromaskWarning

pytest.importorskip("temporaldata", reason="temporaldata is not installed (extra 'brainset')")
pytest.importorskip("ibl_bwb_eval.scoring.ts1", reason="ibl-bwb-eval or torchmetrics is missing")
from temporaldata import Data

from . import brainsets

NAMES = ("0802ced5-33a3-405e-8336-b65ebc5cb07c", "09394481-8dd2-4d5c-9327-f2753ede92d7")
MOVEMENT = ["whisker_motion_energy", "wheel_speed", "right_paw_speed", "left_paw_speed"]
ACTIVITY = ["co_smoothing", "forecasting"]


@pytest.fixture(scope="module")
def bucket(tmp_path_factory):
    """Write two recordings in both builds, and one for pretraining, where the bucket has them."""
    root = tmp_path_factory.mktemp("data")
    for build, n_units in (("all_units", 12), ("selected_units", 10)):
        folder = root / build / "ibl_brain_wide_bench_2026" / "eval"
        folder.mkdir(parents=True)
        for seed, name in enumerate(NAMES):
            data = brainsets.benchmark(name, build, n_units=n_units, seed=seed)
            brainsets.save(data, folder / f"{name}.h5")
        (folder.parent / "pretrain").mkdir()
        brainsets.save(brainsets.reaching(), folder.parent / "pretrain" / "other.h5")
    return root


def file_of(bucket, build="all_units", name=NAMES[0]):
    return bucket / build / "ibl_brain_wide_bench_2026" / "eval" / f"{name}.h5"


def counts_in(data, start, end):
    """Bin as the benchmark does, for a window without a remainder."""
    spikes = data.slice(start, end).spikes
    counts = np.zeros((50, len(data.units)))
    np.add.at(counts, (np.floor(spikes.timestamps * 50).astype(int), spikes.unit_index), 1)
    return counts


def test_each_suite_is_read_from_its_build(bucket):
    found = nm.benchmark.find_recordings(bucket, ["choice", "co_smoothing"])
    assert found == [
        (file_of(bucket, build, name), [task])
        for name in NAMES
        for build, task in (("all_units", "choice"), ("selected_units", "co_smoothing"))
    ]


def test_files_of_one_build_alone_are_refused_or_said(bucket, tmp_path):
    only = file_of(bucket, "selected_units")
    with pytest.warns(NeuromaskWarning, match="baselines decode behaviour from 'all_units'"):
        assert nm.benchmark.find_recordings(only, "choice") == [(only, ["choice"])]
    with pytest.raises(InvalidInputError, match="co_smoothing is scored on 'selected_units' alone"):
        nm.benchmark.find_recordings([file_of(bucket)], "co_smoothing")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InvalidInputError, match=r"no .h5 file in .*empty"):
        nm.benchmark.find_recordings(empty, "choice")


def test_tasks_of_the_same_windows_share_a_session(bucket):
    read = nm.benchmark.read_recording(file_of(bucket), ["choice", "reward", *MOVEMENT])
    assert [tasks for tasks, _ in read] == [["choice"], ["reward"], MOVEMENT]
    assert {session.session_id for _, session in read} == {NAMES[0]}
    assert read[0][1].subject == "mouse_0"
    assert read[0][1].regions.tolist() == ["VISp", "CA1"] * 6


@pytest.mark.parametrize(
    ("task", "interval"),
    [("choice", "choice"), ("reward", "reward"), ("stimulus_contrast", "stimulus_contrast")],
)
def test_classes_and_counts_are_those_of_the_task_s_windows(bucket, task, interval):
    ((_, session),) = nm.benchmark.read_recording(file_of(bucket), task)
    with Data.load(file_of(bucket)) as data:
        windows = getattr(data.task_aligned_intervals, interval)
        for split, scope in (("train", "train"), ("valid", "val"), ("test", "test")):
            domain = getattr(data, f"ts1_{scope}_domain")
            mine = (windows.start >= domain.start[0]) & (windows.end <= domain.end[0])
            rows = (session.trials["split"] == split).to_numpy()
            np.testing.assert_array_equal(
                session.trials["trial_id"][rows], windows.trial_index[mine]
            )
            np.testing.assert_array_equal(session.trials[task][rows], getattr(windows, task)[mine])
            row = int(np.flatnonzero(rows)[0])
            start, end = windows.start[mine][0], windows.end[mine][0]
            np.testing.assert_array_equal(session.counts[row], counts_in(data, start, end))
    assert session.trials["trial_id"].min() == 1
    assert session.report.empty


def test_signals_are_the_samples_of_each_window_in_the_protocol_s_units(bucket):
    ((_, session),) = nm.benchmark.read_recording(file_of(bucket), MOVEMENT)
    with Data.load(file_of(bucket)) as data:
        windows = data.task_aligned_intervals.movement_window
        for row, trial in enumerate(session.trials["trial_id"]):
            (which,) = np.flatnonzero(windows.trial_index == trial)
            part = data.slice(windows.start[which], windows.end[which])
            for name in MOVEMENT:
                series = {"wheel": part.wheel, "whisker": part.whisker}.get(name.split("_")[0])
                expected = getattr(part.paws if series is None else series, name)
                if name != "wheel_speed":
                    place = "whisker" if "whisker" in name else "paws"
                    normal = getattr(getattr(data.ts1_normalize, place), name)
                    expected = (expected - normal.mean) / normal.std
                np.testing.assert_array_equal(session.signals[name][row], expected)
            np.testing.assert_array_equal(
                session.signals["left_paw_confident"][row], part.paws.is_left_paw_confident
            )


def test_windows_of_activity_are_those_of_the_sampler_to_the_last_bit(bucket):
    path = file_of(bucket, "selected_units")
    ((tasks, session),) = nm.benchmark.read_recording(path, ACTIVITY)
    assert tasks == ACTIVITY
    with Data.load(path) as data:
        test = data.task_aligned_intervals.domain & data.ts2_test_domain
        expected = []
        for start, end in zip(test.start, test.end, strict=True):
            at = torch.arange(start, end, 0.02, dtype=torch.float64)
            at = [t.item() for t in at if t + 1.0 <= end]
            expected += at + ([end - 1.0] if at[-1] + 1.0 < end else [])
        rows = (session.trials["split"] == "test").to_numpy()
        assert session.trials["window_start"][rows].tolist() == expected
        train = session.trials[session.trials["split"] == "train"]
        inner = data.task_aligned_intervals.domain & data.ts2_train_domain
        assert len(train) == 3 * len(inner)  # 2.8 s hold two whole seconds, and the last one
        for row in np.flatnonzero(rows)[::100]:
            start = session.trials["window_start"][row]
            np.testing.assert_array_equal(session.counts[row], counts_in(data, start, start + 1.0))


def test_trials_without_a_sample_a_bin_are_left_out_and_said(tmp_path):
    data = brainsets.benchmark(NAMES[0])
    kept = np.abs(data.whisker.timestamps - data.task_aligned_intervals.choice.end[3]) > 0.03
    data.whisker = data.whisker.select_by_mask(kept)
    path = brainsets.save(data, tmp_path / "a.h5")
    read = nm.benchmark.read_recording(path, ["whisker_motion_energy", "wheel_speed"])
    assert [tasks for tasks, _ in read] == [["whisker_motion_energy"], ["wheel_speed"]]
    assert [len(session) for _, session in read] == [28, 29]
    (row,) = read[0][1].report.to_dict("records")
    assert (row["reason"], row["dropped"], row["kept"]) == ("without a sample a bin", 1, 28)


WRONG = [
    (
        lambda d: delattr(d, "whisker"),
        "whisker_motion_energy",
        "has no whisker.whisker_motion_energy",
    ),
    (
        lambda d: delattr(d, "ts1_val_domain"),
        "choice",
        "has no ts1_val_domain. Files for pretraining",
    ),
    (lambda d: delattr(d, "task_aligned_intervals"), "choice", "is no recording of BrainWideBench"),
    (
        lambda d: setattr(d.units, "ts2_co_smoothing_is_held_out_test", np.arange(10) == 20),
        "co_smoothing",
        "hides other neurons for co-smoothing than their ids say",
    ),
]


@pytest.mark.parametrize(("change", "task", "message"), WRONG)
def test_files_that_lack_what_a_task_needs_are_refused(tmp_path, change, task, message):
    data = brainsets.benchmark(NAMES[0])
    change(data)
    path = brainsets.save(data, tmp_path / "a.h5")
    with pytest.raises(InvalidInputError, match=f"read_recording: .*{message}"):
        nm.benchmark.read_recording(path, task)


def test_the_file_s_own_held_out_neurons_are_those_of_the_protocol(tmp_path):
    data = brainsets.benchmark(NAMES[0], "selected_units")
    ids = [str(i) for i in data.units.id]
    ranks = [hashlib.sha256(f"ts2_co_smoothing_test:{i}".encode()).hexdigest() for i in ids]
    data.units.ts2_co_smoothing_is_held_out_test = np.arange(10) == int(np.argmin(ranks))
    path = brainsets.save(data, tmp_path / "a.h5")
    ((tasks, _),) = nm.benchmark.read_recording(path, "co_smoothing")
    assert tasks == ["co_smoothing"]


@pytest.mark.filterwarnings("ignore:write_submission. good for scoring yourself")
def test_one_command_leads_from_the_benchmark_s_files_to_scores(
    bucket, tmp_path, capsys, monkeypatch
):
    small = partial(nm.MtMPretrainer, schemes=("neuron",), dim=8, n_layers=1, n_heads=1)
    monkeypatch.setattr("neuromask.pretrainer.MtMPretrainer", small)
    tasks = ["choice", "left_paw_speed", "co_smoothing"]
    files = [str(file_of(bucket, build)) for build in ("all_units", "selected_units")]
    command = ["benchmark", *files, "--out", str(tmp_path / "p"), "--label", "MtM"]
    options = ["--seeds", "43", "--epochs", "1", "--device", "cpu"]
    truth = ["--ground-truth", str(tmp_path / "truth")]
    assert main([*command, "--tasks", *tasks, *options, *truth]) == 0
    said = capsys.readouterr().out
    for task in ("ts1-choice", "ts1-left_paw_speed", "ts2-co_smoothing"):
        file = tmp_path / "p" / "MtM" / task / NAMES[0] / "seed_43.safetensors"
        with safe_open(str(file), framework="np") as opened:
            assert opened.metadata()["recording_id"] == NAMES[0]
    scores = nm.benchmark.score_submission(tmp_path / "p", tmp_path / "truth")
    primary = scores[scores["primary"]]
    assert len(primary) == 3
    assert np.isfinite(primary["score"]).all()
    assert set(primary["metric"]) == {"bacc", "r2", "poisson_d2"}
    assert all(task in said for task in tasks)
