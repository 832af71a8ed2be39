"""A fitted network in use: how many trials at once, and what memory they take."""

import numpy as np
import pytest

import neuromask as nm
from neuromask.nn import fitted

from .conftest import TINY
from .memory import LiveBytes


@pytest.mark.parametrize("scheme", ["neuron", "causal"])
@pytest.mark.parametrize("backbone", ["ndt1", "ndt2"])
def test_long_trials_are_predicted_in_bounded_memory(backbone, scheme, monkeypatch):
    session = nm.simulate(24, n_neurons=10, n_time=250, random_state=0)
    tiny = TINY | {"backbone": backbone, "max_epochs": 1, "precision": "fp32"}
    pre = nm.MtMPretrainer(**tiny).fit(session[:4])
    whole = pre.predict(session, scheme=scheme)
    monkeypatch.setattr(fitted, "BYTES_A_PASS", 2**25, raising=False)
    with LiveBytes() as memory:
        parts = pre.predict(session, scheme=scheme)
    assert memory.peak < 2**25
    assert memory.peak > 2**21  # a trial at least: it does count
    np.testing.assert_allclose(parts, whole, rtol=1e-4)


def test_ordinary_trials_go_in_full_passes():
    session = nm.simulate(4, n_neurons=400, n_time=100, mean_rate=20, random_state=0)
    pre = nm.MtMPretrainer(max_epochs=1, random_state=0, validation_fraction=0.0).fit(session)
    trial = pre.model_.bytes_a_trial("sim-0", 100)
    assert trial * fitted.TRIALS_A_PASS <= fitted.BYTES_A_PASS
