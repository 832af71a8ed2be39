"""Values of any type are refused by their name, before any work."""

import uuid

import numpy as np
import pytest
import torch

import neuromask as nm
from neuromask.errors import InvalidInputError
from neuromask.nn.device import resolve_device


@pytest.fixture(scope="module")
def tiny():
    return nm.simulate(6, n_neurons=4, n_time=6, regions=["a", "b"], random_state=0)


@pytest.mark.parametrize(
    ("name", "odd"),
    [
        *[("tasks", odd) for odd in (1, 2.5, float("nan"), True, object, "x", ["a"])],
        *[("ridges", odd) for odd in (None, 1, "x", ["a"], [None], [], [0], [np.nan], object)],
        *[("smoothing", odd) for odd in (None, -1, 0, "x", [1], float("nan"))],
        *[("n_components", odd) for odd in (None, 2.5, 0, "x", [1], True)],
        *[("n_forward_bins", odd) for odd in (2.5, 0, "x", [1], True)],
    ],
    ids=repr,
)
def test_the_glm_refuses(tiny, name, odd):
    with pytest.raises(InvalidInputError, match=f"PoissonGLM.fit: {name}="):
        nm.baselines.PoissonGLM(**{name: odd}).fit(tiny)


@pytest.mark.parametrize("odd", [None, "x", -1, 0, [1], float("nan")], ids=repr)
def test_the_psth_refuses(tiny, odd):
    with pytest.raises(InvalidInputError, match="PSTH.fit: smoothing="):
        nm.baselines.PSTH(odd).fit(tiny)


@pytest.mark.parametrize("odd", [None, -1, 2.5, True, "VISp", b"VISp", object, []], ids=repr)
def test_simulate_names_its_regions(odd):
    with pytest.raises(InvalidInputError, match="regions=.*expected a sequence of names"):
        nm.simulate(4, n_neurons=6, n_time=8, regions=odd)


@pytest.mark.parametrize("name", ["session_id", "subject"])
def test_a_session_is_named_by_text_a_number_or_a_uuid(name):
    counts, unique = np.ones((2, 3, 4), int), uuid.UUID(int=5)
    for good in ("s", 7, np.int64(7), np.str_("s"), unique):
        assert getattr(nm.Session(counts, **{name: good}), name) == str(good)
    for odd in (float("nan"), ["s"], object(), True, b"s"):
        with pytest.raises(InvalidInputError, match=f"{name}=.*expected a name, as text"):
            nm.Session(counts, **{name: odd})
    assert nm.Session(counts, subject=None).subject is None
    with pytest.raises(InvalidInputError, match="session_id=None; expected a name"):
        nm.Session(counts, session_id=None)


def test_schemes_that_are_used_up_when_read_are_refused(tiny):
    pre = nm.MtMPretrainer(schemes=(name for name in ("neuron", "causal")))
    with pytest.raises(InvalidInputError, match="schemes is a generator.*schemes=tuple"):
        pre.fit(tiny)


def test_devices_that_are_not_there_are_refused():
    assert resolve_device(torch.device("cpu")).type == resolve_device("cpu:0").type == "cpu"
    for odd in (None, 3, "gpu"):
        with pytest.raises(InvalidInputError, match="device=.*expected 'auto', 'cpu' or 'cuda'"):
            resolve_device(odd)
    with pytest.raises(InvalidInputError, match="device='meta' computes nothing"):
        resolve_device("meta")
    with pytest.raises(InvalidInputError, match="device='xla' is not to be had here"):
        resolve_device("xla")


@pytest.mark.skipif(torch.backends.mps.is_available(), reason="this machine has it")
def test_apples_device_is_refused_elsewhere():
    with pytest.raises(
        InvalidInputError, match="device='mps' is not to be had here.*'auto' or 'cpu'"
    ):
        resolve_device("mps")


def test_a_device_object_is_saved_by_its_name(tiny, tmp_path):
    pre = nm.MtMPretrainer(
        dim=8, n_layers=1, max_epochs=1, device=torch.device("cpu"), random_state=0
    ).fit(tiny)
    again = nm.load(pre.save(tmp_path / "model"))
    assert again.device == "cpu"
    np.testing.assert_array_equal(again.predict(tiny), pre.predict(tiny))


def test_a_scoring_of_several_numbers_is_refused(tiny):
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    flat = FunctionTransformer(lambda X: np.asarray(X).reshape(len(X), -1))
    models = {"a": make_pipeline(flat, LogisticRegression())}
    y = [0, 1] * 3
    with pytest.raises(InvalidInputError, match=r"scoring returns several.*\['one', 'two'\]"):
        nm.decoding.compare_decoders(
            models, tiny, y, cv=2, scoring=lambda model, X, y: {"one": 1.0, "two": 2.0}
        )


def test_axes_of_a_picture_are_named(tiny):
    table = nm.evaluate(tiny.rates, tiny)
    with pytest.raises(InvalidInputError, match="ax is a str; expected Axes of matplotlib"):
        nm.plots.plot_scores(table, ax="left")
