import copy
import json
import os
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch

import neuromask as nm
from neuromask.errors import CheckpointError
from neuromask.masks import Mask, neuron_mask
from neuromask.schemes import describe_scheme

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
    pre = nm.MtMPretrainer(**odd, schemes=(nm.available_schemes()["neuron"], "causal"))
    again = nm.load(pre.fit(sessions).save(tmp_path / "m"))
    for s in sessions:
        np.testing.assert_array_equal(again.predict(s), pre.predict(s))
    assert again.get_params() == pre.get_params() | {"random_state": None}
    assert list(map(describe_scheme, again.schemes_)) == list(map(describe_scheme, pre.schemes_))
    assert [s.mask.keywords["ratio"] for s in again.schemes_ if s.takes_ratio] == [(0.1, 0.5)]


@pytest.mark.parametrize("encode", [False, True])
@pytest.mark.parametrize("backbone", sorted(nm.available_backbones()))
def test_every_backbone_comes_back_with_and_without_an_encoder(backbone, encode, tmp_path):
    first, second = nm.simulate(20, n_sessions=2, n_neurons=8, n_time=10, random_state=0)
    elsewhere = nm.Session(second.counts, ["LP", "CA1"] * 4, session_id="elsewhere")
    pre = nm.MtMPretrainer(backbone=backbone, encode_neurons=encode, **TINY).fit(first)
    tuned = pre.finetune(elsewhere, max_epochs=1)
    for model, trials in ((pre, first), (tuned, first), (tuned, elsewhere)):
        again = nm.load(model.save(tmp_path / "model", overwrite=True))
        np.testing.assert_array_equal(again.predict(trials), model.predict(trials))
        np.testing.assert_array_equal(again.transform(trials), model.transform(trials))


@pytest.mark.parametrize(
    "later",
    [
        {"n_heads": 1},
        {"dim": 32},
        {"n_layers": 2},
        {"dropout": 0.1},
        {"backbone": "ndt2"},
        {"prompted": False},
        {"positions": "rope"},
        {"schemes": ("causal", "neuron")},
        {"encode_neurons": True},
    ],
    ids=lambda later: "-".join(later),
)
def test_weights_are_saved_with_what_they_were_made_with(pre, session, later, tmp_path):
    changed = copy.deepcopy(pre).set_params(**later, batch_size=7)
    again = nm.load(changed.save(tmp_path / "model"))
    for scheme in ("neuron", "causal"):
        rates = again.predict(session, scheme=scheme)
        np.testing.assert_array_equal(rates, pre.predict(session, scheme=scheme))
    assert again.batch_size == 7  # which shapes no weights, and stays as it was set
    twice = nm.load(again.save(tmp_path / "model", overwrite=True))
    np.testing.assert_array_equal(twice.predict(session), pre.predict(session))


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


MISSING = object()


@pytest.mark.parametrize(
    ("part", "value"),
    [
        *[("version", value) for value in (MISSING, "2", None, 0, 1.5, True, [])],
        *[("parameters", value) for value in (MISSING, [], None, {})],
        *[("schemes", value) for value in (MISSING, None, [], [None], [{}], ["neuron"])],
        *[("sessions", value) for value in (MISSING, None, [], [None], [{}], ["s"], {})],
        *[("history", value) for value in (MISSING, [], None, {"a": 1}, {"a": [1], "b": [1, 2]})],
        *[("excluded", value) for value in (MISSING, "x", [], {"a": None})],
        *[("encode", value) for value in ("x", True)],
        ("region_names", 3),
    ],
)
def test_a_damaged_description_is_refused(saved, part, value):
    path = saved / "model.json"
    description = json.loads(path.read_text())
    if value is MISSING:
        del description[part]
    else:
        description[part] = value
    path.write_text(json.dumps(description))
    with pytest.raises(CheckpointError, match=r"^load: .*(whole model|format version)"):
        nm.load(saved)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("n_heads", value) for value in (0, None, "4", 3, -1)],
        *[("dim", value) for value in (0, 17, [16])],
        *[("backbone", value) for value in (None, [], 5)],
        *[("dropout", value) for value in ("x", 2.0)],
        *[("positions", value) for value in ("x", None)],
        ("n_layers", "1"),
    ],
)
def test_damaged_sizes_are_refused(saved, name, value):
    parameters = json.loads((saved / "model.json").read_text())["parameters"]
    edit(saved, parameters=parameters | {name: value})
    with pytest.raises(CheckpointError, match=r"^load: .*does not hold a whole model"):
        nm.load(saved)


@pytest.mark.parametrize(
    ("name", "value"),
    [("n_neurons", 3), ("n_neurons", -1), ("n_neurons", "x"), ("regions", ["CA1"]), ("regions", 3)]
    + [("session_id", None), ("identity", []), ("identity", {"region": ["CA1"]}), ("n_time", None)],
)
def test_damaged_sessions_are_refused(saved, name, value):
    (session,) = json.loads((saved / "model.json").read_text())["sessions"]
    edit(saved, sessions=[session | {name: value}])
    with pytest.raises(CheckpointError, match=r"^load: .*does not hold a whole model"):
        nm.load(saved)


def test_an_unregistered_scheme_is_named(saved):
    schemes = json.loads((saved / "model.json").read_text())["schemes"]
    edit(saved, schemes=[schemes[0] | {"name": "mine"}, *schemes[1:]])
    with pytest.raises(ValueError, match=r"load: .*scheme 'mine', which is not registered.*first"):
        nm.load(saved)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no file modes")
def test_whoever_may_read_one_file_of_a_model_may_read_all(saved, tmp_path):
    (tmp_path / "usual").touch()
    usual = (tmp_path / "usual").stat().st_mode
    assert {path.name: path.stat().st_mode for path in saved.iterdir()} == {
        "model.json": usual,
        "model.safetensors": usual,
    }


@pytest.fixture
def own_registry(monkeypatch):
    """Let a test register what it likes."""
    monkeypatch.setattr("neuromask.schemes._REGISTRY", nm.available_schemes())


def test_a_loaded_model_goes_on_as_the_saved_one_would(tmp_path):
    *known, new = nm.simulate(30, n_sessions=3, n_neurons=10, n_time=12, random_state=0)
    options = {"mask_ratio": 0.9, "ignore_regions": {"CA1"}, "neuron_dropout": 0.1}
    pre = nm.MtMPretrainer(**TINY, **options).fit(known)
    again = nm.load(pre.save(tmp_path / "m"))
    for strategy in ("stitch", "gradual"):
        tuned = [p.finetune(new, max_epochs=2, strategy=strategy) for p in (pre, again)]
        np.testing.assert_array_equal(tuned[1].predict(new), tuned[0].predict(new))
        pd.testing.assert_frame_equal(tuned[1].history_, tuned[0].history_)
        pd.testing.assert_frame_equal(tuned[1].excluded_, tuned[0].excluded_)
    tables = [p.calibrate(new).evaluate([*known, new]) for p in (pre, again)]
    pd.testing.assert_frame_equal(*tables)
    choice = known[0].trials["choice"]
    decoders = [nm.MtMDecoder(p, random_state=0).fit(known[0], choice) for p in (pre, again)]
    chances = [decoder.predict_proba(known[0]) for decoder in decoders]
    np.testing.assert_array_equal(*chances)


def every_other_neuron(shape, regions, generator):
    hidden = torch.zeros(shape, dtype=torch.bool)
    hidden[:, :, ::2] = True
    return Mask(hidden, hidden)


OWN = nm.Scheme("neuron", every_other_neuron)
HALF = partial(neuron_mask, ratio=0.5)


@pytest.mark.parametrize(
    "own",
    [
        OWN,
        nm.Scheme("neuron", HALF),
        nm.Scheme("neuron", neuron_mask, takes_ratio=True, attention="causal"),
        nm.Scheme("neuron", neuron_mask, takes_ratio=True, min_region_size=2),
    ],
    ids=["mask", "ratio", "attention", "regions"],
)
def test_a_scheme_of_the_users_is_never_swapped_for_the_registered_one(
    session, tmp_path, own_registry, own
):
    pre = nm.MtMPretrainer(**TINY | {"max_epochs": 1}, schemes=[own, "causal"]).fit(session)
    folder = pre.save(tmp_path / "m")
    with pytest.raises(ValueError, match=r"load: .*another scheme 'neuron'.*Register that of the"):
        nm.load(folder)
    nm.register_scheme(own, overwrite=True)
    again = nm.load(folder)
    assert list(map(describe_scheme, again.schemes_)) == list(map(describe_scheme, pre.schemes_))
    assert again.get_params()["schemes"] == (own, "causal")


def test_a_scheme_that_is_not_registered_must_be_first(session, tmp_path, own_registry):
    mine = nm.Scheme("mine", every_other_neuron)
    folder = (
        nm.MtMPretrainer(**TINY | {"max_epochs": 1}, schemes=[mine])
        .fit(session)
        .save(tmp_path / "m")
    )
    with pytest.raises(ValueError, match=r"'mine', which is not registered.*every_other_neuron"):
        nm.load(folder)
    nm.register_scheme(mine)
    assert nm.load(folder).schemes_ == (mine,)


def refuse(constant):
    raise AssertionError(f"{constant} is not JSON")


def test_a_model_is_described_in_strict_json(session, tmp_path):
    pre = nm.MtMPretrainer(**TINY).fit(session)
    pre.history_.loc[1, "val_bps"] = np.nan
    pre.history_.loc[:, "train_loss"] = np.nan
    pre.history_["stage"] = ["all", "all", "stitch"]
    folder = pre.save(tmp_path / "m")
    json.loads((folder / "model.json").read_text(), parse_constant=refuse)
    pd.testing.assert_frame_equal(nm.load(folder).history_, pre.history_)


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("ignore_regions", {"root", "CA1"}, ("CA1", "root")),
        ("ignore_regions", np.array(["CA1", "root"]), ("CA1", "root")),
        ("ignore_regions", "root", "root"),
        ("regions", pd.Series(["VISp", "CA1", "root"] * 5), ("VISp", "CA1", "root") * 5),
        ("regions", pd.Categorical(["VISp", "CA1", "root"] * 5), ("VISp", "CA1", "root") * 5),
        ("dim", np.int64(16), 16),
        ("dropout", np.float32(0.5), 0.5),
        ("mask_ratio", [0.1, 0.5], (0.1, 0.5)),
        ("mask_ratio", np.float32(0.5), 0.5),
        ("schemes", "neuron", "neuron"),
    ],
)
def test_parameters_come_back_as_they_were(session, tmp_path, name, value, kept):
    options = TINY | {"max_epochs": 1, "regions": session.regions, name: value}
    pre = nm.MtMPretrainer(**options).fit(session.counts)
    again = nm.load(pre.save(tmp_path / "m"))
    assert again.get_params()[name] == kept
    assert type(again.get_params()[name]) is type(kept)
    np.testing.assert_array_equal(again.predict(session.counts), pre.predict(session.counts))


@pytest.mark.parametrize(
    ("name", "value"),
    [("verbose", object()), ("ignore_regions", [object()]), ("rebin", float("nan"))],
)
def test_a_parameter_that_cannot_be_kept_is_named_before_anything_is_written(
    pre, saved, name, value
):
    before = {path.name: path.read_bytes() for path in saved.iterdir()}
    odd = copy.copy(pre).set_params(**{name: value})
    for folder in (saved, saved.parent / "new" / "model"):
        with pytest.raises(CheckpointError, match=f"MtMPretrainer.save: parameter '{name}' holds"):
            odd.save(folder, overwrite=True)
    assert {path.name: path.read_bytes() for path in saved.iterdir()} == before
    assert [path.name for path in saved.parent.iterdir()] == ["model"]
