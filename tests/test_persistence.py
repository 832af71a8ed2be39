import json
import os

import numpy as np
import pytest

import neuromask as nm
from neuromask.errors import CheckpointError

from .conftest import TINY


def test_round_trip(pre, session, tmp_path):
    folder = pre.save(tmp_path / "model")
    again = nm.load(folder)
    assert again.get_params() == pre.get_params()
    np.testing.assert_array_equal(again.predict(session), pre.predict(session))
    np.testing.assert_array_equal(again.transform(session), pre.transform(session))
    assert again.sessions_ == pre.sessions_
    assert again.regions_.tolist() == pre.regions_.tolist()
    assert again.n_features_in_ == 15
    assert again.history_["val_bps"].iloc[-1] == pre.history_["val_bps"].iloc[-1]
    assert again.excluded_.equals(pre.excluded_)
    assert sorted(p.name for p in folder.iterdir()) == ["model.json", "model.safetensors"]
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_many_sessions_and_odd_parameters(tmp_path):
    sessions = nm.simulate(20, n_sessions=2, n_neurons=8, n_time=10)
    rng = np.random.RandomState(0)
    odd = TINY | {"random_state": rng, "mask_ratio": (0.1, 0.5), "dim": np.int64(16)}
    pre = nm.MtMPretrainer(**odd, schemes=[nm.available_schemes()["neuron"], "causal"])
    again = nm.load(pre.fit(sessions).save(tmp_path / "m"))
    for s in sessions:
        np.testing.assert_array_equal(again.predict(s), pre.predict(s))


def test_an_existing_folder_is_kept(pre, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("precious")
    for overwrite in (False, True):
        with pytest.raises(CheckpointError, match="exists"):
            pre.save(tmp_path / "mine", overwrite=overwrite)
    assert (tmp_path / "mine" / "notes.txt").read_text() == "precious"
    pre.save(tmp_path / "model")
    pre.save(tmp_path / "model", overwrite=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine", "model"]


def test_a_failed_save_leaves_nothing(pre, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr("safetensors.torch.save_file", fail)
    with pytest.raises(OSError, match="disk full"):
        pre.save(tmp_path / "model")
    assert not list(tmp_path.iterdir())


@pytest.fixture
def saved(pre, tmp_path):
    return pre.save(tmp_path / "model")


def edit(folder, **changes):
    path = folder / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_future_version_is_refused(saved):
    edit(saved, version=99)
    with pytest.raises(CheckpointError, match="format version 99.*Upgrade neuromask"):
        nm.load(saved)


def test_damaged_models_are_refused(saved):
    with pytest.raises(CheckpointError, match=r"there is no model\.json"):
        nm.load(saved.parent)
    tensors = saved / "model.safetensors"
    whole = tensors.read_bytes()
    tensors.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match="is damaged"):
        nm.load(saved)
    tensors.write_bytes(whole)
    edit(saved, sessions=[])
    with pytest.raises(CheckpointError, match="does not hold a whole model"):
        nm.load(saved)
    edit(saved, format="something else")
    with pytest.raises(CheckpointError, match="does not describe"):
        nm.load(saved)
    (saved / "model.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"model\.json is damaged"):
        nm.load(saved)


def test_an_unregistered_scheme_is_named(saved):
    edit(saved, schemes=["mine", "causal", "intra-region", "inter-region"])
    with pytest.raises(ValueError, match="load: unknown scheme 'mine'"):
        nm.load(saved)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no file modes")
def test_whoever_may_read_one_file_of_a_model_may_read_all(saved, tmp_path):
    (tmp_path / "usual").touch()
    usual = (tmp_path / "usual").stat().st_mode
    assert {path.name: path.stat().st_mode for path in saved.iterdir()} == {
        "model.json": usual,
        "model.safetensors": usual,
    }
