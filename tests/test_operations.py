"""A training step stays within what a GPU can launch while it computes, and waits for nothing."""

import numpy as np
import pytest

import neuromask as nm
from neuromask.schemes import MTM_SCHEMES

from .operations import count_step


def simulated(n_sessions=1, n_regions=4):
    sessions = nm.simulate(
        64,
        n_sessions=n_sessions,
        n_neurons=24,
        n_time=10,
        regions=tuple(f"region {i}" for i in range(n_regions)),
        random_state=0,
    )
    return sessions[0] if n_sessions == 1 else sessions


@pytest.fixture(scope="module")
def default():
    return count_step(simulated())


def test_one_session_of_the_default_size(default):
    assert default.operations <= 200
    assert default.waits == 0


def test_four_sessions_of_different_sizes():
    sessions = [
        nm.Session(
            s.counts[: 64 - 8 * i, :, : 24 - 4 * i], s.regions[: 24 - 4 * i], session_id=str(i)
        )
        for i, s in enumerate(simulated(4))
    ]
    step = count_step(sessions, encode_neurons=False)
    assert step.operations <= 350
    assert step.waits == 0


@pytest.mark.parametrize(
    "options",
    [{"schemes": MTM_SCHEMES[:1]}, {"schemes": (*MTM_SCHEMES, "temporal")}],
    ids=["one scheme", "five schemes"],
)
def test_schemes_cost_no_operations(options, default):
    step = count_step(simulated(), **options)
    assert step.operations <= default.operations + 3
    assert step.waits == 0


def test_regions_cost_no_operations(default):
    many = count_step(simulated(n_regions=12))
    assert many.operations == pytest.approx(default.operations, abs=3)
    assert many.waits == 0


def test_sizes_of_the_trunk_cost_operations_by_layers_alone(default):
    deep_and_wide = count_step(simulated(), n_layers=3, dim=256, n_heads=8)
    assert 0 < deep_and_wide.operations - default.operations <= 50


@pytest.mark.parametrize(
    "options",
    [
        {"neuron_dropout": 0.1, "region_dropout": 0.1},
        {"positions": "rope"},
        {"mask_per_batch": True},
        {"mask_ratio": (0.1, 0.5)},
        {"precision": "bf16"},
    ],
    ids=lambda options: next(iter(options)),
)
def test_no_option_waits(options):
    assert count_step(simulated(), **options).waits == 0


def test_gaps_wait_for_nothing():
    session = simulated()
    observed = np.ones(session.shape, bool)
    observed[:10, :, 3] = False
    gaps = nm.Session(session.counts, session.regions, observed=observed)
    assert count_step(gaps).waits == 0
