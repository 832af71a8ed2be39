"""Every example runs and draws: in `make test` with fits of two epochs, and whole among the slow."""

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


@pytest.mark.parametrize(
    "python", [["-c", SHORTLY], pytest.param([], marks=pytest.mark.slow)], ids=["shortly", "whole"]
)
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs_and_makes_a_picture(example, python, tmp_path):
    environment = {"MPLBACKEND": "agg", "OMP_NUM_THREADS": "1", "PATH": ""}
    subprocess.run(
        [sys.executable, *python, example, str(tmp_path)],
        check=True,
        capture_output=True,
        env=environment,
    )
    assert list(tmp_path.glob("*.png"))
