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
    assert {"scores.csv", "scores.png", "regions.png", "history.png"} <= names
    assert any("from_other_regions" in name for name in names)
    status, _, err = run(capsys, *arguments)
    assert status == 2
    assert "choose another --out" in err


def test_errors_are_one_line_and_nothing_is_written(recordings, tmp_path, capsys):
    before = sorted(tmp_path.iterdir())
    for arguments, message in [
        (("pretrain", tmp_path / "none.npz", "--out", tmp_path / "m"), "there is no file"),
        (("pretrain", recordings[0], "--out", tmp_path), "exists; choose another folder"),
        (("pretrain", recordings[0], recordings[0], "--out", tmp_path / "m"), "share the session"),
        (("pretrain", recordings[0], "--out", tmp_path / "m", "--test-fraction", 1), "test-fract"),
        (("pretrain", recordings[0], "--out", tmp_path / "m", "--device", "abacus"), "device="),
        (("evaluate", tmp_path, recordings[0]), "there is no model.json"),
        (("demo", "--out", tmp_path / "d", "--trials", 3), "at least 20"),
    ]:
        status, _, err = run(capsys, *arguments)
        assert status == 2
        assert err.startswith("neuromask: error: ")
        assert message in err
        assert err.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before
    with pytest.raises(ValueError, match="there is no file"):
        main(["--debug", "pretrain", "none.npz", "--out", str(tmp_path / "m")])


def test_help_teaches(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    out = capsys.readouterr().out
    assert "neuromask pretrain monday.npz --out model" in out
    assert "Session(counts, regions" in out
