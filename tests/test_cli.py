import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import neuromask as nm
from neuromask.cli import main


@pytest.fixture
def recordings(tmp_path):
    sessions = nm.simulate(40, n_sessions=2, n_neurons=12, n_time=12)
    return [str(s.save(tmp_path / s.session_id)) for s in sessions]


def run(capsys, *arguments):
    status = main([str(a) for a in arguments])
    shown = capsys.readouterr()
    return status, shown.out, shown.err


def test_pretrain_then_evaluate(recordings, tmp_path, capsys):
    model, csv = tmp_path / "model", tmp_path / "scores.csv"
    status, out, _ = run(capsys, "pretrain", *recordings, "--out", model, "--epochs", 2)
    assert status == 0
    assert "Saved the model" in out
    assert "sim-0" in out
    assert "inter_region" in out
    status, out, _ = run(
        capsys, "evaluate", model, recordings[1], "--csv", csv, "--tasks", "co_smoothing"
    )
    assert status == 0
    table = pd.read_csv(csv)
    assert set(table["task"]) == {"co_smoothing"}
    assert set(table["session"]) == {"sim-1"}
    status, _, err = run(capsys, "evaluate", model, recordings[1], "--csv", csv)
    assert (status, err.count("\n")) == (2, 1)
    assert "scores.csv exists" in err


def test_demo_makes_its_table_and_pictures(tmp_path, capsys):
    out_folder = tmp_path / "demo"
    arguments = ("demo", "--out", out_folder, "--trials", 40, "--neurons", 12, "--epochs", 2)
    status, out, _ = run(capsys, *arguments)
    assert status == 0
    for row in ("mean rate", "PSTH", "MtM", "true rates (ceiling)"):
        assert row in out
    names = {p.name for p in out_folder.iterdir()}
    assert {"scores.csv", "scores.png", "regions.png", "history.png", "psth_and_model.png"} <= names
    assert "neurons_from_the_others.png" in names
    assert str(out_folder) in out.replace("\n", "")
    assert any("from_other_regions" in name for name in names)
    status, _, err = run(capsys, *arguments)
    assert status == 2
    assert "choose another --out" in err


def test_errors_are_one_line_and_nothing_is_written(recordings, tmp_path, capsys):
    before = sorted(tmp_path.iterdir())
    for arguments, message in [
        (("pretrain", tmp_path / "none.npz", "--out", tmp_path / "m"), "there is no file"),
        (("pretrain", recordings[0], "--out", tmp_path), "exists; choose another --out"),
        (("pretrain", recordings[0], recordings[0], "--out", tmp_path / "m"), "share the session"),
        (("pretrain", recordings[0], "--out", tmp_path / "m", "--test-fraction", 1), "test-fract"),
        (("pretrain", recordings[0], "--out", tmp_path / "m", "--device", "abacus"), "device="),
        (
            ("pretrain", recordings[0], "--out", tmp_path / "m", "--test-fraction", 0.99),
            "leaves no",
        ),
        (("pretrain", recordings[0], "--out", tmp_path / "m", "--epochs", 0), "max_epochs=0"),
        (("pretrain", recordings[0], "--out", Path(recordings[0]) / "m"), "cannot be written to"),
        (("evaluate", tmp_path, recordings[0]), "there is no model.json"),
        (("evaluate", tmp_path, recordings[0], "--tasks", "cosmoothing"), "Did you mean 'co_smo"),
        (("demo", "--out", tmp_path / "d", "--trials", 3), "at least 20"),
        (("demo", "--out", recordings[0], "--overwrite"), "exists; choose another --out."),
    ]:
        status, _, err = run(capsys, *arguments)
        assert status == 2
        assert err.startswith("neuromask: error: ")
        assert message in err
        assert err.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before
    with pytest.raises(ValueError, match="there is no file"):
        main(["--debug", "pretrain", "none.npz", "--out", str(tmp_path / "m")])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "COMMAND. See neuromask --help."),
        (["pretrian"], "invalid choice: 'pretrian'"),
        (["pretrain"], "FILE, --out. See neuromask pretrain --help."),
        (["demo", "--epochs", "many"], "invalid int value: 'many'"),
    ],
)
def test_wrong_arguments_are_one_line_too(arguments, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    err = capsys.readouterr().err
    assert stopped.value.code == 2
    assert err.startswith("neuromask: error: ")
    assert message in err
    assert err.count("\n") == 1


def test_unexpected_errors_show_their_trace_only_when_asked(tmp_path, capsys, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("out of\nmemory")

    monkeypatch.setattr("neuromask.datasets.simulate.simulate", fail)
    status, _, err = run(capsys, "demo", "--out", tmp_path / "d")
    assert status == 2
    assert err == ("neuromask: error: RuntimeError: out of memory. Add --debug to see where.\n")
    with pytest.raises(RuntimeError, match="out of"):
        main(["demo", "--out", str(tmp_path / "d"), "--debug"])
    monkeypatch.setattr("neuromask.datasets.simulate.simulate", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(["--debug", "demo", "--out", str(tmp_path / "d")])


def test_an_interrupted_command_stops_quietly(tmp_path, capsys, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("neuromask.datasets.simulate.simulate", interrupt)
    status, _, err = run(capsys, "demo", "--out", tmp_path / "d")
    assert (status, err) == (130, "neuromask: stopped\n")


def test_demo_asks_for_matplotlib_before_any_work(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    status, out, err = run(capsys, "demo", "--out", tmp_path / "d")
    assert (status, out) == (2, "")
    assert "neuromask[plots]" in err


def test_only_the_trials_that_pretrain_held_out_are_scored(recordings, tmp_path, capsys):
    model, csv = tmp_path / "model", tmp_path / "new" / "scores.csv"
    fit = ("pretrain", recordings[0], "--out", model, "--epochs", 1, "--test-fraction", 0.25)
    _, fitted, _ = run(capsys, *fit)
    score = ("evaluate", model, recordings[0], "--test-fraction", 0.25)
    _, scored, _ = run(capsys, *score, "--csv", csv)
    assert csv.is_file()
    row = [line for line in fitted.splitlines() if "MtM" in line]
    assert len(row) == 1
    assert row[0] in scored
    status, _, err = run(capsys, "evaluate", model, recordings[0], "--test-fraction", 0)
    assert status == 2
    assert "holds out no trial" in err


def test_pretrain_on_all_trials_scores_none(recordings, tmp_path, capsys):
    arguments = ("--out", tmp_path / "m", "--epochs", 1, "--test-fraction", 0)
    status, out, _ = run(capsys, "pretrain", recordings[0], *arguments)
    assert status == 0
    assert "held-out" not in out


def test_the_ids_of_sessions_are_no_markup(tmp_path, capsys):
    sessions = [nm.simulate(20, n_neurons=8, n_time=10, random_state=i) for i in range(2)]
    files = []
    for session, name in zip(sessions, ("[bold]monday[/bold]", "[/red]"), strict=True):
        session.session_id = name
        files.append(str(session.save(tmp_path / f"{len(files)}")))
    status, out, _ = run(capsys, "pretrain", *files, "--out", tmp_path / "m", "--epochs", 1)
    assert status == 0
    assert "[bold]monday[/bold]" in out
    assert "[/red]" in out


def test_the_module_is_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "neuromask", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"neuromask {nm.__version__}\n"


@pytest.mark.parametrize("command", ["demo", "pretrain", "evaluate", "benchmark"])
def test_each_command_shows_examples_and_defaults(command, capsys):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    out = capsys.readouterr().out
    assert f"examples:\n  neuromask {command}" in out
    assert command == "evaluate" or "(default: " in out


def test_help_teaches(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    out = capsys.readouterr().out
    assert "neuromask pretrain monday.npz --out model" in out
    assert "Session(counts, regions" in out


def test_compare_writes_a_table_and_pictures(recordings, tmp_path, capsys):
    out_folder = tmp_path / "comparison"
    arguments = ("compare", *recordings, "--out", out_folder, "--epochs", 2)
    status, out, _ = run(capsys, *arguments, "--variants", "MtM", "temporal")
    assert status == 0
    assert "MtM against temporal" in out
    table = pd.read_csv(out_folder / "scores.csv")
    assert set(table["model"]) == {"MtM", "temporal"}
    assert set(table["session"]) == {"sim-0", "sim-1"}
    assert (out_folder / "MtM_against_temporal.png").stat().st_size > 0
    status, _, err = run(capsys, *arguments)
    assert (status, err.count("\n")) == (2, 1)
    assert "comparison exists" in err
    status, _, err = run(capsys, *arguments, "--resume", "--variants", "MtM", "temporal")
    assert status == 0
    assert "fit 4/4" in err
    assert "epoch" not in err  # all fits were there
    status, _, err = run(
        capsys, "compare", *recordings, "--out", tmp_path / "x", "--variants", "temperal"
    )
    assert status == 2
    assert "Did you mean 'temporal'" in err
    assert not (tmp_path / "x").exists()


def test_compare_refuses_recordings_that_share_a_name(recordings, tmp_path, capsys):
    twice = (recordings[0], recordings[0])
    status, _, err = run(capsys, "compare", *twice, "--out", tmp_path / "x", "--epochs", 2)
    assert status == 2
    assert "sessions share the session_id 'sim-0'" in err
    assert not (tmp_path / "x").exists()
