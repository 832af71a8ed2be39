"""Training in bfloat16 learns what training in float32 learns."""

from pathlib import Path

import numpy as np
import pytest
import torch

import neuromask as nm
from neuromask.nn.device import resolve_precision

from .conftest import TINY

OPTIONS = TINY | {"max_epochs": 30, "dim": 32, "learning_rate": 5e-3}


@pytest.fixture(scope="module")
def fits():
    session = nm.simulate(80, n_neurons=15, n_time=20, random_state=4)
    train, test = session[:60], session[60:]
    fitted = {p: nm.MtMPretrainer(**OPTIONS, precision=p).fit(train) for p in ("fp32", "bf16")}
    return fitted, test


def test_bf16_predicts_as_well_as_fp32(fits):
    fitted, test = fits
    scores = {p: nm.summarise(pre.evaluate(test))["bps"].mean() for p, pre in fitted.items()}
    assert scores["fp32"] > 0.02
    assert scores["bf16"] == pytest.approx(scores["fp32"], abs=0.02)


def test_weights_stay_in_float32(fits):
    fitted, _ = fits
    assert {p.dtype for p in fitted["bf16"].model_.parameters()} == {torch.float32}


def test_a_model_trained_in_bf16_predicts_the_same_in_fp32_to_three_digits(fits):
    fitted, test = fits
    rates = fitted["bf16"].predict(test)
    exact = fitted["bf16"].set_params(precision="fp32").predict(test)
    np.testing.assert_allclose(rates, exact, rtol=0.1, atol=1e-3)
    assert np.abs(rates / exact - 1).mean() < 0.01


def test_another_default_dtype_of_torch_is_refused(fits):
    fitted, test = fits
    torch.set_default_dtype(torch.float64)
    try:
        for work in (lambda: nm.MtMPretrainer(**OPTIONS).fit(test), fitted["fp32"].stream):
            with pytest.raises(nm.InvalidInputError, match="default dtype is torch.float64"):
                work()
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize(
    ("tiles", "vectors", "maker", "expected"),
    [
        (True, True, "GenuineIntel", "bf16"),
        (False, True, "GenuineIntel", "fp32"),  # measured: slower than fp32
        (False, True, "AuthenticAMD", "bf16"),
        (False, False, "AuthenticAMD", "fp32"),
    ],
)
def test_auto_is_bf16_where_a_cpu_multiplies_it_fast(monkeypatch, tiles, vectors, maker, expected):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: tiles, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: vectors, raising=False)
    monkeypatch.setattr(Path, "exists", lambda self: True)
    monkeypatch.setattr(Path, "read_text", lambda self: f"vendor_id : {maker}")
    assert resolve_precision("auto", torch.device("cpu")) == expected
