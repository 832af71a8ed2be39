"""What a release must agree on: versions, bounds, and what goes into the wheel."""

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import neuromask as nm

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_citation_names_this_version():
    (cited,) = re.findall(r"^version: (\S+)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    assert cited == nm.__version__


def test_the_changelog_begins_with_what_is_not_released():
    headings = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", h) for h in headings[1:])


def test_the_oldest_versions_that_are_tested_are_the_bounds():
    lines = (ROOT / "requirements" / "minimum.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    extras = PROJECT["optional-dependencies"]
    bounds = [*PROJECT["dependencies"], *extras["plots"], *extras["nwb"], *extras["test"]]
    bounds = dict(bound.split(">=") for bound in bounds if ">=" in bound)
    assert set(pins) - {"hdmf"} <= set(bounds)  # hdmf is pynwb's
    wanted = {d.split(">=")[0] for d in PROJECT["dependencies"]} - {"torch"}
    assert wanted <= set(pins)
    for name in set(pins) & set(bounds):
        lowest, tested = (tuple(map(int, v.split("."))) for v in (bounds[name], pins[name]))
        assert tested[: len(lowest)] == lowest, name


@pytest.mark.slow
def test_a_wheel_has_the_version_and_says_that_it_is_typed(tmp_path):
    pytest.importorskip("hatchling", reason="hatchling, which builds wheels, is not installed")
    build = f"from hatchling.build import build_wheel; build_wheel({str(tmp_path)!r})"
    subprocess.run([sys.executable, "-c", build], check=True, cwd=ROOT, env=os.environ)
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name.startswith(f"neuromask-{nm.__version__}-")
    files = set(zipfile.ZipFile(wheel).namelist())
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "neuromask").rglob("*.py")}
    assert modules | {"neuromask/py.typed"} <= files
