import builtins
import os
import re
import sys
import threading
import time

import pytest

import neuromask as nm
from neuromask.training.progress import fit_progress, steps

from .conftest import TINY

pty = pytest.importorskip("pty", reason="Windows has no pseudo terminals")


class Terminal:
    """A pseudo terminal of 80 columns in place of stderr, whose text is read as it comes."""

    def __enter__(self):
        self.ours, theirs = pty.openpty()
        self.parts = []
        self.reader = threading.Thread(target=self.read)
        self.reader.start()
        self.before, sys.stderr = sys.stderr, os.fdopen(theirs, "w")
        return self

    def read(self):
        try:
            while part := os.read(self.ours, 4096):
                self.parts.append(part)
        except OSError:  # the other end is closed
            pass

    def __exit__(self, *_):
        sys.stderr.close()
        sys.stderr = self.before
        self.reader.join()
        os.close(self.ours)

    def lines(self):
        """Give all that was ever drawn, without colours and movements of the cursor."""
        text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", b"".join(self.parts).decode())
        return [line.rstrip() for line in re.split(r"[\r\n]+", text) if line.strip()]


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    for name in ("FORCE_COLOR", "NO_COLOR", "TTY_INTERACTIVE", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    return Terminal()


def epochs(n, of):
    schemes = ("neuron", "causal", "intra-region", "inter-region")
    with fit_progress(1, of) as on_epoch:
        for epoch in range(1, n + 1):
            row = {"epoch": epoch, "train_loss": 0.12345}
            if epoch % 5 == 0:
                row |= {"val_bps": 0.2149} | {f"val_bps_{name}": 0.1 for name in schemes}
            on_epoch(row)


def test_a_fit_is_one_line_of_eighty_columns_with_loss_and_bits(terminal):
    with terminal:
        epochs(200, 200)
    lines = terminal.lines()
    assert max(map(len, lines)) <= 80
    assert lines[-1].startswith("epoch 200/200")
    assert lines[-1].endswith("loss 0.1235, 0.215 bits/spike")


def test_a_log_file_gets_a_line_now_and_then(capsys):
    epochs(200, 200)
    lines = capsys.readouterr().err.splitlines(keepends=True)
    assert 10 <= len(lines) <= 12
    assert all(line.endswith("\n") and len(line) <= 80 for line in lines)
    assert [line.split(",")[0] for line in lines[:2]] == ["epoch 1/200", "epoch 20/200"]
    assert lines[-1].startswith("epoch 200/200, loss 0.1235, 0.215 bits/spike, 0:00:0")


def test_the_last_line_of_a_log_is_where_work_ended(capsys):
    epochs(73, 200)
    assert capsys.readouterr().err.splitlines()[-1].startswith("epoch 73/200, ")


def test_a_notebook_without_widgets_gets_lines_and_no_warning(capsys, monkeypatch):
    shell = type("ZMQInteractiveShell", (), {})()
    monkeypatch.setattr(builtins, "get_ipython", lambda: shell, raising=False)
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    epochs(20, 20)
    assert capsys.readouterr().err.splitlines()[-1].startswith("epoch 20/20, loss")


def test_work_inside_work_has_a_row_below_it(terminal):
    with terminal, steps(1, "fit") as outer:
        outer(1, 2, "monday: MtM")
        with steps(1, "epoch") as inner:
            inner(5, 5)
            time.sleep(0.5)  # a terminal is drawn ten times a second
        outer(2, 2)
    lines = terminal.lines()
    assert any(line.startswith("fit 1/2") and line.endswith("monday: MtM") for line in lines)
    assert any(line.startswith("epoch 5/5") for line in lines)
    assert lines[-1].startswith("fit 2/2")


def test_evaluate_shows_its_passes_only_when_asked(session, pre, capsys):
    pre.evaluate(session)
    assert capsys.readouterr().err == ""
    loud = nm.MtMPretrainer(**TINY | {"max_epochs": 1}, verbose=1).fit(session)
    capsys.readouterr()
    loud.evaluate(session, tasks=["co_smoothing"])
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1].startswith("pass 15/15")
    assert len(lines) <= 12


def test_compare_shows_each_fit(session, capsys):
    tiny = nm.MtMPretrainer(**TINY | {"max_epochs": 1}, verbose=1)
    nm.compare(session, variants=["MtM", "temporal"], estimator=tiny, tasks=["forward_prediction"])
    lines = capsys.readouterr().err.splitlines()
    fits = [line for line in lines if line.startswith("fit ")]
    assert [line.split(", 0:")[0] for line in fits] == [
        "fit 0/2, sim-0, seed 0: MtM",
        "fit 1/2, sim-0, seed 0: temporal",
        "fit 2/2",
    ]
    assert any(line.startswith("epoch 1/1") for line in lines)
