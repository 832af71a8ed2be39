"""A model can be shared without its sessions, and one comes with the library."""

import json

import numpy as np
import pytest

import neuromask as nm
from neuromask.pretrained import FOLDER

from .conftest import TINY


@pytest.fixture(scope="module")
def sessions():
    return nm.simulate(40, n_sessions=4, n_neurons=15, n_time=20, random_state=0)


@pytest.fixture(scope="module")
def fitted(sessions):
    return nm.MtMPretrainer(**TINY | {"precision": "fp32"}).fit(sessions[:3])


@pytest.fixture(scope="module")
def new(sessions):
    return sessions[3]


def test_a_model_without_sessions_calibrates_as_before(fitted, new, tmp_path):
    shared = fitted.forget()
    assert shared.sessions_ == {}
    assert shared.regions_.size == 0
    assert len(fitted.sessions_) == 3
    expected = fitted.calibrate(new).predict(new)
    np.testing.assert_array_equal(shared.calibrate(new).predict(new), expected)
    loaded = nm.load(shared.save(tmp_path / "model"))
    np.testing.assert_array_equal(loaded.calibrate(new).predict(new), expected)
    tuned = loaded.finetune(new, max_epochs=1, random_state=0)
    assert list(tuned.sessions_) == [new.session_id]


def test_what_is_forgotten_is_not_in_the_file(fitted, tmp_path):
    folder = fitted.forget().save(tmp_path / "model")
    text = (folder / "model.json").read_text()
    for name, info in fitted.sessions_.items():
        assert f'"{name}"' not in text
        assert f'"{info.subject}"' not in text
    assert json.loads(text)["sessions"] == []
    whole = fitted.save(tmp_path / "whole")
    sizes = [(path / "model.safetensors").stat().st_size for path in (folder, whole)]
    n_own = sum(p.numel() for p in fitted.model_.stitches.parameters())
    assert sizes[1] - sizes[0] > 4 * n_own


def test_one_session_is_forgotten_and_others_stay(fitted, sessions):
    first, *others = fitted.sessions_
    fewer = fitted.forget(first)
    assert list(fewer.sessions_) == others
    for session in sessions:
        if session.session_id in others:
            np.testing.assert_array_equal(fewer.predict(session), fitted.predict(session))
        else:
            with pytest.raises(nm.UnknownSessionError, match="not among the fitted sessions"):
                fewer.predict(session)
    with pytest.raises(nm.UnknownSessionError, match="'nobody' is not among"):
        fitted.forget("nobody")


def test_a_model_without_sessions_says_what_to_do(fitted, new):
    shared = fitted.forget()
    for ask in (shared.predict, shared.evaluate, shared.transform):
        with pytest.raises(nm.UnknownSessionError, match="knows no session. Calibrate"):
            ask(new)
    with pytest.raises(nm.UnknownSessionError, match="knows no session. Calibrate"):
        shared.stream()


def test_bins_and_lengths_are_remembered_without_sessions(fitted, new):
    shared = fitted.forget()
    assert shared.bin_width_ == new.bin_width
    wide = nm.Session(new.counts, new.regions, bin_width=0.05, session_id="wide")
    with pytest.raises(nm.InvalidInputError, match="different bin widths.*as fitted: 0.02 s"):
        shared.calibrate(wide)
    long = nm.Session(np.tile(new.counts, (1, 2, 1)), new.regions, bin_width=0.02)
    with pytest.raises(nm.InvalidInputError, match="pretrained on up to 20"):
        shared.calibrate(long)


def test_neurons_are_described_by_their_activity_alone(fitted, new):
    found = fitted.neuron_embeddings(new)
    assert found.dtype == np.float32
    assert len(found) == new.counts.shape[2]
    moved = nm.Session(new.counts, np.roll(new.regions, 4), bin_width=new.bin_width)
    np.testing.assert_array_equal(fitted.neuron_embeddings(moved), found)
    told = fitted.neuron_embeddings(new, regions=True)
    assert np.abs(told - found).max() > 1e-3
    order = np.random.default_rng(0).permutation(len(found))
    shuffled = nm.Session(new.counts[:, :, order], bin_width=new.bin_width)
    np.testing.assert_allclose(fitted.neuron_embeddings(shuffled), found[order], atol=1e-3)
    with pytest.raises(nm.InvalidInputError, match="expected one session"):
        fitted.neuron_embeddings([new, new])
    wide = nm.Session(new.counts, new.regions, bin_width=0.05)
    with pytest.raises(nm.InvalidInputError, match="different bin widths"):
        fitted.neuron_embeddings(wide)


def test_neurons_of_arrays_are_described_and_unknown_regions_are_not_told(fitted, new):
    expected = fitted.neuron_embeddings(new)
    np.testing.assert_array_equal(fitted.neuron_embeddings(new.counts), expected)
    bare = nm.Session(new.counts, bin_width=new.bin_width)
    with pytest.raises(nm.InvalidInputError, match="no region of these neurons is known"):
        fitted.neuron_embeddings(bare, regions=True)


def test_forgetting_keeps_the_width_of_bins(sessions):
    unknown = nm.Session(sessions[0].counts, sessions[0].regions, session_id="unknown")
    pre = nm.MtMPretrainer(**TINY).fit([unknown, sessions[1]])
    left = pre.forget("sim-1")
    assert left.bin_width_ == 0.02
    assert left.fit(unknown).bin_width_ is None


def test_a_model_of_one_session_describes_no_neurons(pre, session):
    with pytest.raises(nm.InvalidInputError, match="has no encoder of neurons"):
        pre.neuron_embeddings(session)


@pytest.mark.parametrize("name", sorted(nm.available_pretrained()))
def test_a_model_that_comes_with_the_library_is_small_and_has_a_card(name):
    card = nm.available_pretrained()[name]
    for part in ("Data", "Licence", "Made by", "Bins", "Regions", "Scores", "Not for"):
        assert f"## {part}" in card
    assert sum(path.stat().st_size for path in (FOLDER / name).iterdir()) < 2.5e6
    pre = nm.load_pretrained(name)
    assert pre.sessions_ == {}
    for region in pre.model_.region_names:
        assert region in card


def test_the_model_that_comes_with_the_library_serves_a_session():
    bins = {"n_time": 40, "bin_width": 0.01}
    mine = nm.simulate(60, n_neurons=30, random_state=3, **bins)
    pre = nm.load_pretrained().calibrate(mine[:40])
    table = nm.summarise(pre.evaluate(mine[40:], tasks=["co_smoothing"]))
    assert table["bps"].item() > 0.0
    fine = nm.simulate(20, n_neurons=30, n_time=80, bin_width=0.005, random_state=3)
    wide = nm.load_pretrained().set_params(rebin=0.01).calibrate(fine)
    assert wide.predict(fine).shape == (20, 40, 30)


def test_there_is_no_model_of_another_name():
    with pytest.raises(nm.InvalidInputError, match="Did you mean 'steinmetz2019'"):
        nm.load_pretrained("steinmetz2109")
