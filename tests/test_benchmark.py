"""Submissions to BrainWideBench, scored by its own scorers beside our metrics."""

import hashlib
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file
from sklearn.base import clone
from sklearn.metrics import balanced_accuracy_score, r2_score

import neuromask as nm
from neuromask.benchmark import submission
from neuromask.benchmark.tasks import NOT_SERVED, held_out_neurons
from neuromask.cli import main
from neuromask.metrics import bits_per_spike, poisson_d2

bwb = pytest.importorskip(
    "ibl_bwb_eval",
    reason="ibl-bwb-eval is not installed (pip install --no-deps ibl-bwb-eval torchmetrics "
    "lightning-utilities)",
)
ts1 = pytest.importorskip("ibl_bwb_eval.scoring.ts1", reason="torchmetrics is not installed")
ts2 = pytest.importorskip("ibl_bwb_eval.scoring.ts2", reason="torchmetrics is not installed")

pytestmark = pytest.mark.filterwarnings("ignore:write_submission. good for scoring yourself")
TINY = nm.MtMPretrainer(
    schemes=("neuron", "causal"), dim=16, n_layers=1, n_heads=2, max_epochs=2, device="cpu"
)
SEEDS = (43, 44)
N_TRAIN, N_VALID, N_TEST = 40, 10, 20
SPLIT = np.repeat(["train", "valid", "test"], [N_TRAIN, N_VALID, N_TEST])
MANY = ("choice", "co_smoothing")  # written for all sessions and seeds
N_FILES = len(nm.benchmark.TASKS) + 3 * len(MANY)
# Metrics that a measure of the library or of scikit-learn equals.
PRIMARY = {"choice": "bacc", "wheel_speed": "r2", "co_smoothing": "poisson_d2"}


def prepare(simulated, *, seed=0, **changes):
    """Give a simulated session all that every served task needs."""
    rng = np.random.default_rng(seed)
    n, shape = len(simulated), simulated.shape[:2]
    whisker = simulated.signals["whisker"]
    confident = rng.random(shape) < 0.8
    confident[-1] = False  # one test trial without a confident bin
    fields = {
        "neurons": simulated.neurons.assign(id=[f"unit-{i}" for i in range(simulated.n_neurons)]),
        "trials": pd.DataFrame(
            {
                "split": SPLIT,
                "trial_id": 3 * np.arange(n) + 7,
                "window_start": 100.0 + 0.02 * np.arange(n) + 1e-7,
                "choice": (simulated.trials["choice"] == 1).astype(int),
                "reward": rng.integers(0, 2, n),
                "stimulus_contrast": np.arange(n) % 5,
            }
        ),
        "signals": {
            "whisker_motion_energy": whisker,
            "wheel_speed": np.abs(whisker),
            "right_paw_speed": whisker + rng.normal(size=shape),
            "left_paw_speed": whisker**2,
            "right_paw_confident": confident,
            "left_paw_confident": confident[:, ::-1],
        },
        "bin_width": 0.02,
        "session_id": simulated.session_id,
    }
    return nm.Session(simulated.counts, **(fields | changes))


def without(table, *columns):
    return table.drop(columns=list(columns))


@pytest.fixture(scope="module")
def sessions():
    simulated = nm.simulate(len(SPLIT), n_sessions=2, n_neurons=20, random_state=0)
    return [prepare(s, seed=i) for i, s in enumerate(simulated)]


@pytest.fixture(scope="module")
def folders(sessions, tmp_path_factory):
    """Write every task once, and two tasks of two sessions with two seeds; and the truth."""
    folder = tmp_path_factory.mktemp("benchmark")
    tasks = list(nm.benchmark.TASKS)
    steps = []
    for given, seeds, names in [(sessions[:1], SEEDS[:1], tasks), (sessions, SEEDS, MANY)]:
        with pytest.warns(nm.NeuromaskWarning, match="not for the leaderboard.*at least 3"):
            submission = nm.benchmark.write_submission(
                given,
                folder / "predictions",
                label="MtM",
                tasks=names,
                seeds=seeds,
                estimator=TINY,
                progress=steps.append,
            )
    truth = nm.benchmark.write_ground_truth(sessions, folder / "truth", tasks=tasks)
    assert submission == folder / "predictions" / "MtM"
    assert len(steps) == 1 + len(tasks) + 3 * (1 + len(MANY))
    assert steps[0] == "sim-0, seed 43: fitting"
    return submission, truth


@pytest.fixture(scope="module")
def table(folders):
    return nm.benchmark.score_submission(*folders)


def score_of(table, task, metric, session="sim-0", seed=43):
    rows = table.query("task == @task and metric == @metric")
    return rows.query("session == @session and seed == @seed")["score"].item()


def parts(session):
    return [session[name == SPLIT] for name in ("train", "valid", "test")]


@pytest.fixture(scope="module")
def refitted(sessions):
    """Fit one of the models again, apart from the code under test."""
    train, valid, _ = parts(sessions[0])
    return clone(TINY).set_params(random_state=43).fit(train, X_val=valid)


def test_the_tasks_are_the_benchmarks_own():
    from ibl_bwb_eval.tasks import TargetResolution, get_ts1_readout_spec

    theirs = {name for names in bwb.SUITE_TASKS.values() for name in names}
    assert set(nm.benchmark.TASKS) | set(NOT_SERVED) == theirs
    for name, task in nm.benchmark.TASKS.items():
        assert task.id == bwb.task_id(task.suite, name)
        if task.suite == "ts1":
            spec = get_ts1_readout_spec(name)
            sequence = spec.target_resolution == TargetResolution.SEQUENCE
            assert sequence == (task.source == "trials") == bool(task.classes)
            assert spec.dim == (len(task.classes) or 1)
            assert spec.num_timesteps in (1, 50)
            assert (spec.mask_key is None) == (task.confidence is None)


def test_every_file_is_where_the_scorers_look_and_says_what_it_is(folders, sessions):
    submission, _ = folders
    files = sorted(submission.rglob("*.*"))
    assert len(files) == N_FILES
    for path in files:
        task, recording, file = path.relative_to(submission).parts
        with safe_open(str(path), framework="np") as opened:
            found = opened.metadata()
        assert found["label"] == "MtM"
        assert found["task"] == task
        assert found["recording_id"] == recording
        assert file == f"seed_{found['seed']}.safetensors"
        assert found["ibl_bwb_eval_version"] == bwb.__version__
        assert found["neuromask_version"] == nm.__version__
    # Nothing half written stays behind.
    assert [p.name for p in sorted(submission.parents[1].iterdir())] == ["predictions", "truth"]


def test_tensors_have_the_formats_of_the_contract(folders, sessions):
    from ibl_bwb_eval.entity_ids import decode_entity_ids
    from safetensors.torch import load_file as load_torch

    submission, truth = folders
    session, test = sessions[0], parts(sessions[0])[2]
    n_hidden = 2
    shapes = {
        "ts1-choice": (N_TEST, 1, 2),
        "ts1-stimulus_contrast": (N_TEST, 1, 5),
        "ts1-wheel_speed": (N_TEST, 50, 1),
        "ts2-co_smoothing": (N_TEST, 50, n_hidden),
        "ts2-forecasting": (N_TEST, 5, 20),
    }
    for task, shape in shapes.items():
        found = load_file(submission / task / "sim-0" / "seed_43.safetensors")
        expected = load_file(truth / task / "sim-0" / "ground_truth.safetensors")
        assert found["predictions"].shape == shape
        assert found["predictions"].dtype == np.float32
        if task.startswith("ts1"):
            assert found["trial_id"].dtype == np.int64
            assert found["trial_id"].tolist() == test.trials["trial_id"].tolist()
            assert expected["values"].shape == (N_TEST, *shape[1:-1], 1)[: 3 if shape[1] > 1 else 2]
        else:
            assert found["window_timestamps"].dtype == np.float64
            assert found["window_timestamps"].tolist() == test.trials["window_start"].tolist()
            assert expected["targets"].shape == shape
    paws = load_file(truth / "ts1-left_paw_speed" / "sim-0" / "ground_truth.safetensors")
    assert paws["mask"].dtype == bool
    assert paws["mask"].shape == (N_TEST - 1, 50)  # one trial has no confident bin
    path = submission / "ts2-co_smoothing" / "sim-0" / "seed_43.safetensors"
    ids = decode_entity_ids(load_torch(str(path))["unit_ids"])
    digests = {i: hashlib.sha256(f"ts2_co_smoothing_test:{i}".encode()).hexdigest() for i in ids}
    others = set(session.neurons["id"]) - set(ids)
    assert len(ids) == n_hidden
    assert all(
        digest < hashlib.sha256(f"ts2_co_smoothing_test:{other}".encode()).hexdigest()
        for digest in digests.values()
        for other in others
    )
    assert ids.tolist() == session.neurons["id"][held_out_neurons(session)].tolist()


def test_activity_scores_equal_our_own(table, refitted, sessions):
    test = parts(sessions[0])[2]
    held = held_out_neurons(sessions[0])
    hidden = np.broadcast_to(held, test.shape)
    rates = refitted.predict(test, scheme="neuron", hidden=hidden)[:, :, held]
    counts = test.counts[:, :, held]
    assert score_of(table, "co_smoothing", "bps") == pytest.approx(
        bits_per_spike(counts, rates, pooled=True), abs=1e-4
    )
    assert score_of(table, "co_smoothing", "poisson_d2") == pytest.approx(
        np.nanmean(poisson_d2(counts, rates)), abs=1e-4
    )
    late = np.broadcast_to((np.arange(50) >= 45)[:, None], test.shape)
    rates = refitted.predict(test, scheme="causal", hidden=late)[:, -5:]
    counts = test.counts[:, -5:]
    assert score_of(table, "forecasting", "bps") == pytest.approx(
        bits_per_spike(counts, rates, pooled=True), abs=1e-4
    )
    assert score_of(table, "forecasting", "poisson_d2") == pytest.approx(
        np.nanmean(poisson_d2(counts, rates)), abs=1e-4
    )


@pytest.mark.parametrize("task", ["choice", "stimulus_contrast"])
def test_class_scores_equal_scikit_learns(task, table, refitted, sessions):
    train, _, test = parts(sessions[0])
    decoder = nm.MtMDecoder(refitted, random_state=43).fit(train, train.trials[task])
    ours = balanced_accuracy_score(test.trials[task], decoder.predict(test))
    assert score_of(table, task, "bacc") == pytest.approx(ours, abs=1e-4)


@pytest.mark.parametrize("task", ["whisker_motion_energy", "wheel_speed", "right_paw_speed"])
def test_signal_scores_equal_scikit_learns(task, table, refitted, sessions):
    train, _, test = parts(sessions[0])
    decoder = nm.MtMDecoder(refitted, task="regression", random_state=43)
    answers = decoder.fit(train, train.signals[task]).predict(test)
    mask = test.signals.get(nm.benchmark.TASKS[task].confidence, np.ones(answers.shape)) > 0
    ours = r2_score(test.signals[task][mask], answers[mask])
    assert score_of(table, task, "r2") == pytest.approx(ours, abs=1e-4)
    assert (0 < mask.mean() < 1) == ("paw" in task)


def test_the_table_says_what_the_official_scorers_say(table, folders):
    official = ts1.score_dir(*folders) | ts2.score_dir(*folders)
    assert len(official) == N_FILES
    for (label, task, session, seed), scores in official.items():
        assert label == "MtM"
        for metric, value in scores.items():
            ours = score_of(table, task.partition("-")[2], metric, session, seed)
            assert ours == value
    primary = table[table["primary"]].groupby("task")["metric"].unique()
    assert primary.map(len).eq(1).all()
    for task, metric in PRIMARY.items():
        assert primary[task] == [metric]


@pytest.mark.slow
@pytest.mark.parametrize(("suite", "task"), [("ts1", "choice"), ("ts2", "co_smoothing")])
def test_the_official_commands_read_it(suite, task, table, folders):
    submission, truth = folders
    command = ["-m", f"ibl_bwb_eval.scoring.{suite}"]
    done = subprocess.run(
        [sys.executable, *command, "--pred_dir", str(submission), "--gt_dir", str(truth)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": "240", "OMP_NUM_THREADS": "1"},
    )
    row = next(r for r in done.stdout.splitlines() if f"{suite}-{task}" in r and "sim-1" in r)
    metric = PRIMARY[task]
    mean = np.mean([score_of(table, task, metric, "sim-1", seed) for seed in SEEDS])
    assert f" {mean:.4f} " in row


def write(sessions, out, tasks=("co_smoothing",), **options):
    given = {"label": "MtM", "seeds": (43,), "estimator": TINY} | options
    return nm.benchmark.write_submission(sessions, out, tasks=tasks, **given)


def test_a_run_goes_on_where_it_stopped(sessions, folders, tmp_path, monkeypatch):
    fits = []
    fit = nm.MtMPretrainer.fit

    def counted(self, *arguments, **options):
        fits.append(self.random_state)
        return fit(self, *arguments, **options)

    monkeypatch.setattr(nm.MtMPretrainer, "fit", counted)
    write(sessions[0], tmp_path)
    path = tmp_path / "MtM" / "ts2-co_smoothing" / "sim-0" / "seed_43.safetensors"
    before = path.stat().st_mtime_ns, path.read_bytes()
    write(sessions[0], tmp_path)
    assert fits == [43]
    write(sessions[0], tmp_path, seeds=(43, 44))
    assert fits == [43, 44]
    assert (path.stat().st_mtime_ns, path.read_bytes()) == before
    # The same figures as where all seeds and tasks were made in one run.
    theirs = load_file(folders[0] / path.relative_to(tmp_path / "MtM"))
    assert np.array_equal(load_file(path)["predictions"], theirs["predictions"])

    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("neuromask._files.os.replace", stop)
    with pytest.raises(KeyboardInterrupt):
        write(sessions[0], tmp_path, seeds=(45,))
    assert len(list(tmp_path.rglob("*.safetensors"))) == 2
    assert not list(tmp_path.parent.glob("*.partial"))


def test_files_of_another_model_or_other_trials_are_not_gone_on_from(sessions, tmp_path):
    write(sessions[0], tmp_path)
    with pytest.raises(ValueError, match="written with another estimator"):
        write(sessions[0], tmp_path, estimator=clone(TINY).set_params(dropout=0.1))
    with pytest.raises(ValueError, match="written for other test trials"):
        write(sessions[0][:-1], tmp_path)
    write(sessions[0], tmp_path, estimator=clone(TINY).set_params(verbose=1))
    with pytest.raises(ValueError, match="holds the submission 'MtM', not 'other'"):
        write(sessions[0], tmp_path, label="other")
    path = next(tmp_path.rglob("*.safetensors"))
    path.write_bytes(b"cut off")
    with pytest.raises(ValueError, match="is not a file of predictions"):
        write(sessions[0], tmp_path)


def test_a_fitted_model_is_finetuned_on_what_it_does_not_know(sessions, tmp_path):
    known, new = sessions
    train, _, test = parts(known)
    pre = clone(TINY).set_params(random_state=0).fit(train)
    out = write([known, new], tmp_path, tasks=["forecasting"], estimator=pre)
    late = np.broadcast_to((np.arange(50) >= 45)[:, None], test.shape)
    rates = pre.predict(test, scheme="causal", hidden=late)[:, -5:]
    found = load_file(out / "ts2-forecasting" / "sim-0" / "seed_43.safetensors")
    assert np.allclose(np.exp(found["predictions"]), rates, rtol=1e-5)
    assert (out / "ts2-forecasting" / "sim-1" / "seed_43.safetensors").is_file()
    assert list(pre.sessions_) == ["sim-0"]


def test_seeds_are_the_protocols_by_default(sessions, tmp_path, monkeypatch):
    monkeypatch.setattr(submission, "_fitted", lambda template, session, seed: seed)
    monkeypatch.setattr(
        submission, "_predict", lambda *_: {"predictions": submission.torch.zeros(2, 1, 2)}
    )
    write(sessions[0], tmp_path, seeds=None, estimator=None)
    names = sorted(p.stem for p in tmp_path.rglob("*.safetensors"))
    assert names == [f"seed_{seed}" for seed in bwb.EVAL_SEEDS]


def test_a_session_of_the_benchmark_needs_no_note(recwarn):
    official = bwb.EVAL_RECORDING_IDS.read_text().split()[0]
    submission._note_unofficial([official], (43, 44, 45), bwb.protocol)
    assert not recwarn


def test_a_class_that_no_training_trial_had_is_possible_but_unlikely(sessions, tmp_path):
    session = sessions[0]
    contrast = np.where(SPLIT == "test", np.arange(len(SPLIT)) % 5, np.arange(len(SPLIT)) % 2)
    session = session._with(trials=session.trials.assign(stimulus_contrast=contrast))
    out = write(session, tmp_path, tasks="stimulus_contrast")
    found = load_file(next(out.rglob("*.safetensors")))["predictions"]
    assert np.isfinite(found).all()
    assert (found[:, 0, :2].min(1) > found[:, 0, 2:].max(1)).mean() > 0.5
    assert np.allclose(found[:, 0, 2:], np.log(submission.CHANCE_FLOOR))


def changed(session, *, trials=None, signals=None, neurons=None, **fields):
    return session._with(
        **{
            "trials": session.trials if trials is None else trials(session.trials),
            "signals": session.signals if signals is None else signals(dict(session.signals)),
            "neurons": session.neurons if neurons is None else neurons(session.neurons),
        },
        **fields,
    )


@pytest.mark.parametrize(
    ("tasks", "change", "message"),
    [
        ("cosmoothing", {}, "Did you mean 'co_smoothing'"),
        ("licking_rate", {}, "'licking_rate' is not served: it is scored as a Poisson"),
        ("unit_cosmos", {}, "'unit_cosmos' is not served: the encoder"),
        ([], {}, "no tasks; expected"),
        ("choice", {"trials": lambda t: without(t, "split")}, "has no column 'split'"),
        ("choice", {"trials": lambda t: without(t, "trial_id")}, "has no column 'trial_id'"),
        ("choice", {"trials": lambda t: t.rename(columns={"choice": "choise"})}, "mean 'choise'"),
        ("forecasting", {"trials": lambda t: without(t, "window_start")}, "column 'window_start'"),
        ("choice", {"trials": lambda t: t.assign(split="tset")}, "holds 'tset'.*mean 'test'"),
        ("choice", {"trials": lambda t: t.assign(split="test")}, "no trial has split 'train'"),
        ("choice", {"trials": lambda t: t.assign(split="val")}, "no trial has split 'train'"),
        ("choice", {"trials": lambda t: t.assign(choice=-1)}, r"holds -1; .*0 \(right\), 1 \(l"),
        ("choice", {"trials": lambda t: t.assign(choice=None)}, "expected the classes 0"),
        ("choice", {"trials": lambda t: t.assign(choice=1)}, "training trials have choice 1"),
        ("choice", {"trials": lambda t: t.assign(trial_id=0)}, "'trial_id'.*whole numbers, each"),
        ("choice", {"trials": lambda t: t.assign(trial_id=t.index / 2)}, "whole numbers"),
        ("forecasting", {"trials": lambda t: t.assign(window_start=None)}, "must be seconds"),
        ("wheel_speed", {"signals": lambda s: {"wheel": s["wheel_speed"]}}, "no signal 'wheel_sp"),
        (
            "wheel_speed",
            {"signals": lambda s: {"wheel_speed": np.where(s["wheel_speed"] > 1, np.nan, 0)}},
            "not finite in",
        ),
        (
            "wheel_speed",
            {"signals": lambda s: {"wheel_speed": np.zeros((70, 50, 2))}},
            "one value a bin",
        ),
        ("co_smoothing", {"neurons": lambda n: without(n, "id")}, "neurons has no column 'id'"),
        ("co_smoothing", {"neurons": lambda n: n.assign(id="a")}, "never empty and each once"),
        ("choice", {"bin_width": 0.01}, "50 bins of 0.01 s; the protocol scores one second"),
        ("choice", {"bin_width": None}, "50 bins of an unknown width"),
        ("choice", {"session_id": "a/b"}, "cannot name a folder"),
    ],
)
def test_what_does_not_fit_is_refused_before_any_work(tasks, change, message, sessions, tmp_path):
    out = tmp_path / "new"
    with pytest.raises(nm.InvalidInputError, match=message):
        write(changed(sessions[0], **change), out, tasks=tasks)
    assert not list(tmp_path.iterdir())


def test_other_arguments_are_checked_too(sessions, tmp_path):
    out = tmp_path / "new"
    for arguments, options, message in [
        ((sessions[0].counts, out), {}, "given a ndarray; expected a neuromask.Session"),
        (([sessions[0], sessions[0]], out), {}, "several sessions are named"),
        ((sessions, out), {"label": "a/b"}, "label='a/b'; expected a name without slashes"),
        ((sessions, out), {"label": ""}, "label=''"),
        ((sessions, out), {"seeds": []}, "no seeds"),
        ((sessions, out), {"estimator": nm.MtMDecoder()}, "estimator is a MtMDecoder"),
        ((sessions, out), {"estimator": nm.MtMPretrainer(rebin=0.04)}, "rebin=0.04"),
        ((sessions, out), {"estimator": nm.MtMPretrainer(max_epochs=0)}, "max_epochs=0"),
        ((sessions, __file__), {}, "is a file"),
    ]:
        with pytest.raises(ValueError, match=message):
            write(*arguments, **options)
    short = sessions[0].counts[:, :40]
    cut = nm.Session(short, trials=sessions[0].trials, bin_width=0.02)
    with pytest.raises(ValueError, match="has trials of 40 bins of 0.02 s"):
        write(cut, out)
    assert not list(tmp_path.iterdir())


def test_without_the_benchmarks_package_it_says_how_to_get_it(sessions, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ibl_bwb_eval.protocol", None)
    monkeypatch.setitem(sys.modules, "ibl_bwb_eval.tasks", None)
    with pytest.raises(ImportError, match="pip install --no-deps ibl-bwb-eval torchmetrics"):
        write(sessions, tmp_path / "new")
    with pytest.raises(ImportError, match="score_submission needs.*the versions it pins"):
        nm.benchmark.score_submission(tmp_path, tmp_path)
    assert not list(tmp_path.iterdir())


def test_ground_truth_is_kept_and_never_replaced(sessions, tmp_path):
    arguments = {"tasks": ["choice", "right_paw_speed"]}
    nm.benchmark.write_ground_truth(sessions, tmp_path / "truth", **arguments)
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.safetensors")}
    assert len(before) == 4
    nm.benchmark.write_ground_truth(sessions, tmp_path / "truth", **arguments)
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.safetensors")} == before
    other = changed(sessions[0], trials=lambda t: t.assign(choice=1 - t["choice"]))
    with pytest.raises(ValueError, match="holds another truth of choice"):
        nm.benchmark.write_ground_truth(other, tmp_path / "truth", **arguments)
    # Training trials are no part of it.
    test = parts(sessions[0])[2]
    nm.benchmark.write_ground_truth(test, tmp_path / "truth", **arguments)
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.safetensors")} == before
    unsure = changed(sessions[0], signals=lambda s: s | {"right_paw_confident": np.zeros((70, 50))})
    with pytest.raises(ValueError, match="is 0 in all test trials"):
        nm.benchmark.write_ground_truth(unsure, tmp_path / "new", **arguments)
    lacks = changed(sessions[0], signals=lambda s: {"right_paw_speed": s["right_paw_speed"]})
    with pytest.raises(ValueError, match="no signal 'right_paw_confident'"):
        nm.benchmark.write_ground_truth(lacks, tmp_path / "new", **arguments)
    assert not (tmp_path / "new").exists()


def test_scoring_misses_nothing_silently(folders, sessions, tmp_path):
    submission, truth = folders
    with pytest.raises(ValueError, match="no predictions to score .*: there are none"):
        nm.benchmark.score_submission(tmp_path, truth)
    with pytest.raises(ValueError, match="the truth of choice of 'sim-0', .* is not in"):
        nm.benchmark.score_submission(submission, tmp_path)
    one = nm.benchmark.write_ground_truth(sessions[0], tmp_path / "one", tasks="choice")
    with pytest.warns(nm.NeuromaskWarning, match="not scored.*: choice of 'sim-1', "):
        table = nm.benchmark.score_submission(submission, one)
    assert set(table["task"]) == {"choice"}
    assert set(table["session"]) == {"sim-0"}
    later = changed(sessions[0], trials=lambda t: t.assign(window_start=t["window_start"] + 1e4))
    other = nm.benchmark.write_ground_truth(later, tmp_path / "other", tasks="forecasting")
    with pytest.raises(ValueError, match="does not fit .*No overlapping windows"):
        nm.benchmark.score_submission(submission / "ts2-forecasting" / "sim-0", other)


def test_the_command(sessions, tmp_path, capsys):
    file = str(sessions[0].save(tmp_path / "monday"))
    folder, truth = tmp_path / "predictions", tmp_path / "truth"
    arguments = ["benchmark", file, "--out", folder, "--label", "MtM", "--epochs", 1]
    arguments = [*map(str, arguments), "--seeds", "43", "--device", "cpu"]
    scored = ["--tasks", "choice", "co_smoothing", "--ground-truth", str(truth)]
    pre = clone(TINY).set_params(random_state=0, max_epochs=1).fit(parts(sessions[1])[0])
    model = str(pre.save(tmp_path / "model"))
    assert main([*arguments, *scored, "--model", model]) == 0
    shown = capsys.readouterr()
    assert "sim-0, seed 43: co_smoothing" in shown.out
    assert f"The submission is {folder / 'MtM'}." in shown.out
    assert "bacc" in shown.out
    assert "poisson_d2" in shown.out
    assert "note: benchmark: good for scoring yourself" in shown.err
    before = sorted(tmp_path.rglob("*"))
    assert main([*arguments, "--tasks", "choise"]) == 2
    shown = capsys.readouterr()
    assert "Did you mean 'choice'" in shown.err
    assert shown.err.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before
