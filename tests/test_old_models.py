"""Models that earlier releases saved load and predict as they did."""

from pathlib import Path

import numpy as np
import pytest

import neuromask as nm

FOLDER = Path(__file__).parent / "data" / "format_1"


@pytest.fixture(scope="module")
def expected():
    with np.load(FOLDER / "expected.npz") as file:
        return dict(file)


def test_a_model_of_format_1_predicts_its_sessions_old_and_calibrated(expected):
    pre = nm.load(FOLDER / "ndt1")
    assert list(pre.sessions_) == ["sim-0", "sim-1", "sim-2"]
    known = nm.Session(expected["known_counts"], session_id="sim-0")
    np.testing.assert_allclose(pre.predict(known), expected["ndt1"], rtol=1e-4)
    new = nm.Session(expected["counts"], session_id="sim-2")
    np.testing.assert_allclose(pre.predict(new), expected["calibrated"], rtol=1e-4)


def test_a_model_of_format_1_with_another_backbone_predicts_and_embeds(expected):
    pre = nm.load(FOLDER / "ndt2")
    known = nm.Session(expected["known_counts"], session_id="sim-0")
    np.testing.assert_allclose(pre.predict(known), expected["ndt2"], rtol=1e-4)
    np.testing.assert_allclose(pre.transform(known), expected["ndt2_transform"], atol=1e-4)


def test_a_model_of_format_1_still_learns(expected):
    pre = nm.load(FOLDER / "ndt1")
    new = nm.Session(expected["counts"], expected["regions"], session_id="another")
    assert pre.finetune(new, max_epochs=2).predict(new).shape == new.shape
