"""Fixtures shared by all tests."""

from __future__ import annotations

from pathlib import Path

import hypothesis
import pytest
import torch

import neuromask as nm

torch.set_num_threads(1)
# How long an example takes tells of the machine and of what else runs on it.
hypothesis.settings.register_profile("without deadline", deadline=None)
hypothesis.settings.load_profile("without deadline")

RECORDINGS = Path(__file__).resolve().parents[2] / "shared" / "data" / "steinmetz"
TINY = {
    "dim": 16,
    "n_layers": 1,
    "n_heads": 2,
    "max_epochs": 3,
    "validation_fraction": 0.1,  # tests have few trials, of which the default sets none aside
    "random_state": 0,
}


@pytest.fixture(scope="session")
def steinmetz():
    """Give the file of a real recording by number, or skip where they are not present."""

    def file(number: int) -> Path:
        path = RECORDINGS / f"session{number:02d}.npz"
        if not path.is_file():
            pytest.skip(f"the real recordings are not at {RECORDINGS}")
        return path

    return file


@pytest.fixture(scope="session")
def session():
    """Give a small simulated session of three regions."""
    return nm.simulate(48, n_neurons=15, n_time=20, regions=("VISp", "CA1", "root"), random_state=1)


@pytest.fixture(scope="session")
def pre(session):
    """Give a tiny fitted model of `session`."""
    return nm.MtMPretrainer(**TINY).fit(session)
