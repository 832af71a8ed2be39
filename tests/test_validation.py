import itertools
import re

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.model_selection import cross_val_score

import neuromask as nm
from neuromask._axes import axis_of_length
from neuromask._checks import (
    as_names,
    check_choice,
    check_fraction,
    check_path,
    check_positive_int,
    check_regions,
    resolve_regions,
)
from neuromask._counts import read_spikes
from neuromask.errors import InvalidInputError, NeuromaskWarning

GOOD = np.ones((4, 5, 3))


def altered(value, where=(1, 2, 0)):
    X = GOOD.copy()
    X[where] = value
    return X


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (altered(np.inf), r"1 infinite values.*\(1, 2, 0\).*drop trials"),
        (GOOD * np.nan, "nothing of X was observed"),
        (altered(-1), "negative values"),
        (altered(0.5), "fractional values.*Pass raw counts"),
        (altered(70000), "a count of 70000.*at most 65535"),
        (np.ones((4, 5)), r"shape \(4, 5\); expected three axes"),
        (np.ones((4, 5, 0)), "at least one trial, bin and neuron"),
        (np.full((2, 2, 2), "a"), "expected numbers"),
        ([[[1, 2]], [[1]]], "equally long trials"),
        (GOOD[:1], r"1 trial\(s\); expected at least 2"),
        (GOOD * 0, "holds no spikes"),
        (GOOD.astype(int) * -3, r"60 negative values, the first -3 at .* \(0, 0, 0\)"),
        (GOOD.astype(np.float16) + np.inf, "60 infinite values"),
        (GOOD.astype(int) * 10**12, "a count of 1000000000000; expected at most 65535"),
        (GOOD.astype(complex), "dtype complex128; expected numbers"),
        (np.ma.masked_array(GOOD, mask=True), "nothing of X was observed"),
        (torch.ones(2, 2, 2, requires_grad=True), "cannot be read as one array"),
    ],
)
def test_bad_spikes_are_refused(X, message):
    with pytest.raises(InvalidInputError, match=message):
        read_spikes(X, min_trials=2, require_spikes=True)


@given(hnp.arrays(np.int64, hnp.array_shapes(min_dims=3, max_dims=3), elements=st.integers(0, 999)))
def test_counts_keep_their_values_and_are_compact(X):
    before = X.copy()
    counts = read_spikes(X)[0]
    assert counts.dtype == (np.uint8 if X.max() < 256 else np.uint16)
    np.testing.assert_array_equal(counts, before)
    np.testing.assert_array_equal(X, before)


@given(
    hnp.arrays(
        st.sampled_from([np.float32, np.float64, np.bool_, np.uint16, np.dtype(">i4")]),
        hnp.array_shapes(min_dims=3, max_dims=3),
        elements=st.sampled_from([0, 1]),
    ),
    st.sampled_from([1, 255, 256, 65535]),
)
def test_whole_numbers_of_any_type_are_counts(X, scale):
    X = X if X.dtype == bool else X * X.dtype.type(scale)
    counts = read_spikes(X)[0]
    assert counts.dtype in (np.uint8, np.uint16)
    assert counts.dtype.isnative
    np.testing.assert_array_equal(counts, X)


@given(st.data(), hnp.array_shapes(min_dims=3, max_dims=3))
def test_one_bad_value_is_found_where_it_is(data, shape):
    where = tuple(data.draw(st.integers(0, n - 1)) for n in shape)
    bad = data.draw(st.sampled_from([np.inf, -np.inf, -1.0, 0.5, 1e-9, 255.5]))
    X = np.ones(shape)
    X[where] = bad
    with pytest.raises(InvalidInputError) as caught:
        read_spikes(X)
    assert f"at (trial, bin, neuron) {where};" in str(caught.value)


def test_lists_and_tensors_are_read():
    assert read_spikes([[[1, 2]]])[0].shape == (1, 1, 2)
    assert read_spikes(torch.ones(1, 2, 3))[0].dtype == np.uint8


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_compact_counts_are_not_copied(dtype):
    X = GOOD.astype(dtype)
    assert read_spikes(X)[0] is X


def test_regions():
    assert check_regions([["a", "b"]], 2).tolist() == ["a", "b"]
    with pytest.raises(InvalidInputError, match=r"\(8,\), X has 12 neurons; expected \(12,\). If"):
        check_regions(["a"] * 8, 12)
    with pytest.raises(InvalidInputError, match="1 missing label.*neuron 1"):
        check_regions(np.array(["a", None], dtype=object), 2)
    with pytest.raises(InvalidInputError, match="missing label"):
        check_regions(["a", " "], 2)
    with pytest.raises(InvalidInputError, match=r"shape \(2, 2\), X has 2 neurons"):
        check_regions([["a", "b"], ["c", "d"]], 2)
    with pytest.raises(InvalidInputError, match=r"shape \(\), X has 3 neurons"):
        check_regions("CA1", 3)


@pytest.mark.parametrize(
    "gap", [None, float("nan"), np.float64("nan"), pd.NA, pd.NaT, "", b" "], ids=repr
)
@pytest.mark.parametrize("container", [list, lambda x: np.array(x, object), pd.Series])
def test_a_missing_region_is_never_a_name(container, gap):
    labels = container(["a", gap, "b"])
    with pytest.raises(InvalidInputError, match=r"1 missing label\(s\), the first at neuron 1;"):
        check_regions(labels, 3)


def test_the_first_missing_region_is_named():
    with pytest.raises(InvalidInputError, match=r"2 missing label\(s\), the first at neuron 0;"):
        check_regions(["", None], 2)


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        ([1, 22], ["1", "22"]),
        ([b"CA1", b"VISp"], ["CA1", "VISp"]),
        (np.array([b"CA1", b"VISp"]), ["CA1", "VISp"]),
        (pd.Categorical(["b", "a"]), ["b", "a"]),
        (pd.Series(["b", "a"], index=[7, 3]), ["b", "a"]),
    ],
)
def test_any_labels_become_text(labels, text):
    found = check_regions(labels, 2)
    assert found.dtype.kind == "U"
    assert found.tolist() == text


def test_nested_regions_are_refused():
    ragged = [["a", "b"], ["c"]]
    for nested in (ragged, [np.zeros((2, 2)), np.zeros((2, 3))]):
        with pytest.raises(InvalidInputError, match="nested list.*list of sessions"):
            check_regions(nested, 2)


class Carrier:
    regions = np.array(["x", "y", "z"])


def resolve(y=None, *, X=GOOD, regions=None, default=None, n_trials=4, n_neurons=3):
    return resolve_regions(X, y, regions, default, shape=(n_trials, 5, n_neurons))


def test_where_regions_come_from():
    abc = ["a", "b", "c"]
    assert resolve(abc).tolist() == abc
    assert resolve(np.zeros(4)) is None
    assert resolve() is None
    assert resolve(abc, X=Carrier()).tolist() == ["x", "y", "z"]
    assert resolve(X=Carrier(), regions=abc).tolist() == abc
    assert resolve(X=Carrier(), default=["x", "y", "z"]).tolist() == ["x", "y", "z"]
    assert resolve(default=abc, regions=["q"] * 3).tolist() == ["q"] * 3
    with pytest.raises(InvalidInputError, match="neuron 1 is in 'b' there and in 'y' here. Leave"):
        resolve(X=Carrier(), default=["x", "b", "z"])
    with pytest.raises(InvalidInputError, match="second argument has shape"):
        resolve(np.zeros(7))
    with pytest.raises(InvalidInputError, match="second argument has shape"):
        resolve(3)
    assert resolve(np.zeros((4, 6))) is None
    assert resolve([[1], [1, 2], [1], [1]]) is None


def test_regions_of_a_wrong_length_raise_wherever_they_come_from():
    for given_ in ({"regions": ["a"]}, {"default": ["a"]}):
        with pytest.raises(InvalidInputError, match=r"regions has shape \(1,\), X has 3"):
            resolve(X=Carrier(), **given_)
    with pytest.raises(InvalidInputError, match=r"regions has shape \(3,\), X has 5"):
        resolve(X=Carrier(), n_neurons=5)


def test_targets_are_never_read_when_regions_are_known():
    class Unreadable:
        @property
        def shape(self):
            raise AssertionError

    assert resolve(Unreadable(), X=Carrier()).tolist() == ["x", "y", "z"]


def test_square_case_takes_text_with_a_warning_and_ignores_numbers():
    with pytest.warns(NeuromaskWarning, match="taken as regions"):
        assert resolve(["a", "b", "c"], n_trials=3).tolist() == ["a", "b", "c"]
    assert resolve(np.zeros(3), n_trials=3) is None
    assert resolve(np.array([1, 0, 1], dtype=object), n_trials=3) is None
    with (
        pytest.warns(NeuromaskWarning, match="taken as regions"),
        pytest.raises(InvalidInputError, match="1 missing label"),
    ):
        resolve(["a", None, "c"], n_trials=3)


def test_parameter_checks():
    with pytest.raises(InvalidInputError, match="expected a whole number"):
        check_positive_int("dim", 2.5)
    with pytest.raises(InvalidInputError, match="at least 1"):
        check_positive_int("dim", 0)
    with pytest.raises(InvalidInputError, match="from 0.0 up to"):
        check_fraction("dropout", 1.0)
    with pytest.raises(InvalidInputError, match="Did you mean 'mean'"):
        check_choice("pooling", "meen", ["mean", "none"])


@pytest.mark.parametrize(
    "bad", [[2], {}, np.arange(3), object(), None], ids=["list", "dict", "array", "object", "None"]
)
def test_parameter_checks_answer_values_of_any_type(bad):
    for check in (
        lambda: check_positive_int("x", bad),
        lambda: check_fraction("x", bad),
        lambda: check_fraction("x", np.complex64(0.5)),
        lambda: check_choice("x", bad, ["mean", "none"]),
        lambda: check_path("x", bad),
    ):
        with pytest.raises(InvalidInputError, match="^x="):
            check()


def test_names_may_be_none_one_or_several():
    assert as_names("x", None) == ()
    assert as_names("x", "root") == ("root",)
    assert sorted(as_names("x", {"root", "void"})) == ["root", "void"]
    assert as_names("x", pd.Series(["root", "void"])) == ("root", "void")
    assert as_names("x", np.array([1, 22])) == ("1", "22")
    with pytest.raises(InvalidInputError, match="x=3; expected a name or several"):
        as_names("x", 3)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_reversed_counts_are_read_by_torch(axis):
    X = np.flip(np.arange(60, dtype=np.uint8).reshape(4, 5, 3), axis)
    np.testing.assert_array_equal(torch.tensor(read_spikes(X)[0]).numpy(), X)


NEURONS_FIRST, NEURONS_SECOND = np.ones((3, 4, 5), int), np.ones((4, 3, 5), int)


@pytest.mark.parametrize(
    ("X", "axis", "transpose"),
    [(NEURONS_FIRST, 0, r"\(1, 2, 0\)"), (NEURONS_SECOND, 1, r"\(0, 2, 1\)")],
)
def test_axes_in_another_order_are_named_with_their_transpose(X, axis, transpose):
    message = rf"that length on axis {axis} of 3: X.transpose{transpose} puts \("
    pre, labels = nm.MtMPretrainer(), ["a", "b", "c"]
    calls = [
        lambda: nm.Session(X, labels),
        lambda: nm.Session(X, neurons=pd.DataFrame({"region": labels})),
        lambda: pre.fit(X, labels),
        lambda: pre.fit(X, regions=labels),
        lambda: nm.MtMPretrainer(regions=labels).fit(X),
        lambda: nm.evaluate(X, X, labels),
        lambda: nm.baselines.PoissonGLM().fit(X, labels),
    ]
    for call in calls:
        with pytest.raises(InvalidInputError, match=message):
            call()


def test_the_transpose_that_is_named_is_right():
    counts = np.arange(60).reshape(4, 5, 3)
    for order in itertools.permutations(range(3)):
        given = counts.transpose(order)
        advice = axis_of_length(3, given.shape)
        found = [
            tuple(map(int, t.split(","))) for t in re.findall(r"transpose\(([\d, ]+)\)", advice)
        ]
        if given.shape[2] == 3:
            assert not found
        else:
            assert any(np.array_equal(given.transpose(t), counts) for t in found)
            assert all(given.transpose(t).shape[2] == 3 for t in found)


def test_a_person_is_asked_about_text_for_trials_and_scikit_learn_is_not():
    X = np.random.default_rng(0).poisson(1.0, (8, 4, 3))
    side = ["left", "right"] * 4
    pre = nm.MtMPretrainer(dim=8, n_layers=1, max_epochs=1, random_state=0)
    with pytest.raises(InvalidInputError, match="fit uses no targets.*leave them out"):
        pre.fit(X, side)
    with pytest.warns(NeuromaskWarning, match="no regions are known"):
        assert pre.fit(X, np.arange(8)).sessions_["session"].regions is None
    with pytest.warns(NeuromaskWarning, match="no regions are known"):
        scores = cross_val_score(pre, X, side, cv=2)
    assert np.isfinite(scores).all()


def test_neurons_on_another_axis_are_named_in_prediction():
    X = np.ones((4, 5, 3), int)
    pre = nm.MtMPretrainer(dim=8, n_layers=1, max_epochs=1, regions=list("abc")).fit(X)
    with pytest.raises(InvalidInputError, match=r"X.transpose\(1, 2, 0\) puts"):
        pre.predict(X.transpose(2, 0, 1))


def test_signals_and_rates_in_another_order_are_told_their_transpose():
    X = np.ones((4, 5, 3), int)
    with pytest.raises(InvalidInputError, match=r"signal.transpose\(1, 0\) has that shape"):
        nm.Session(X, signals={"wheel": np.zeros((5, 4))})
    with pytest.raises(InvalidInputError, match=r"rates.transpose\(1, 2, 0\) has that shape"):
        nm.Session(X, rates=np.zeros((3, 4, 5)))
    with pytest.raises(InvalidInputError, match=r"rates.transpose\(1, 2, 0\) has that shape"):
        nm.evaluate(np.zeros((3, 4, 5)), X)
    with pytest.raises(InvalidInputError, match=r"shape \(4, 6\); expected \(4, 5\).*a bin.$"):
        nm.Session(X, signals={"wheel": np.zeros((4, 6))})


def test_a_continuous_recording_is_told_how_to_become_trials():
    X = np.random.default_rng(0).poisson(0.5, (3050, 4))
    pre = nm.MtMPretrainer(dim=8, n_layers=1, max_epochs=1, regions=list("aabb"))
    advice = r"become trials by (X\S*\[:3000\].reshape\(30, 100, 4\)),"
    for given_ in (X, X[None], pd.DataFrame(X)):
        with pytest.raises(InvalidInputError, match=advice) as caught:
            pre.fit(given_)
        assert "X[None]" not in str(caught.value)
    trials = X[:3000].reshape(30, 100, 4)
    np.testing.assert_array_equal(np.concatenate(trials), X[:3000])
    with pytest.raises(InvalidInputError, match=r"A single trial \(time, neurons\) is X\[None\].$"):
        nm.Session(X)
    with pytest.raises(InvalidInputError, match="X is a DataFrame and has shape"):
        nm.Session(pd.DataFrame(X))
    with pytest.raises(InvalidInputError, match="Bin spike times.*from_spike_times"):
        nm.Session(X[:, 0])
