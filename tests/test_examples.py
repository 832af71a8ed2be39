"""Every example runs and draws: shortly in `make test`, and whole among the slow tests."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).resolve().parents[1] / "examples").glob("plot_*.py"))
# Runs a script in which no fit takes more than two epochs, whatever it asks for.
SHORTLY = """
import dataclasses, runpy, sys
from neuromask.training import fitting, loop

train = loop.train
def train_shortly(model, objective, config, streams, **options):
    config = dataclasses.replace(config, max_epochs=min(config.max_epochs, 2))
    return train(model, objective, config, streams, **options)
loop.train = fitting.train = train_shortly

sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


# Read-outs of decoders take as long after a short fit: those examples run whole or not at all.
CASES = [
    *(pytest.param(path, [], marks=pytest.mark.slow, id=f"{path.stem}-whole") for path in EXAMPLES),
    *(
        pytest.param(path, ["-c", SHORTLY], id=f"{path.stem}-shortly")
        for path in EXAMPLES
        if "decode" not in path.stem
    ),
]


@pytest.mark.parametrize(("example", "python"), CASES)
def test_example_runs_and_makes_a_picture(example, python, tmp_path):
    environment = {"MPLBACKEND": "agg", "OMP_NUM_THREADS": "1", "PATH": ""}
    run = subprocess.run(
        [sys.executable, *python, example, str(tmp_path)],
        check=True,
        capture_output=True,
        env=environment,
        encoding="utf-8",
    )
    assert list(tmp_path.glob("*.png"))
    # How pandas shows that it leaves out columns of a table.
    assert " ... " not in run.stdout
