import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).resolve().parents[1] / "examples").glob("plot_*.py"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs_and_makes_a_picture(example, tmp_path):
    environment = {"MPLBACKEND": "agg", "OMP_NUM_THREADS": "1", "PATH": ""}
    subprocess.run(
        [sys.executable, example, str(tmp_path)], check=True, capture_output=True, env=environment
    )
    assert list(tmp_path.glob("*.png"))
