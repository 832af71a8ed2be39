import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from neuromask._errors import InvalidInputError, NeuromaskWarning
from neuromask._validation import (
    check_choice,
    check_fraction,
    check_positive_int,
    check_regions,
    check_spikes,
    resolve_regions,
)

GOOD = np.ones((4, 5, 3))


def altered(value, where=(1, 2, 0)):
    X = GOOD.copy()
    X[where] = value
    return X


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (altered(np.nan), r"1 NaN or infinite values.*\(1, 2, 0\).*drop trials"),
        (altered(np.inf), "NaN or infinite"),
        (altered(-1), "negative values"),
        (altered(0.5), "fractional values.*Pass raw counts"),
        (altered(70000), "a count of 70000.*at most 65535"),
        (np.ones((4, 5)), r"shape \(4, 5\); expected three axes"),
        (np.ones((4, 5, 0)), "at least one trial, bin and neuron"),
        (np.full((2, 2, 2), "a"), "expected numbers"),
        ([[[1, 2]], [[1]]], "equally long trials"),
        (GOOD[:1], r"1 trial\(s\); expected at least 2"),
        (GOOD * 0, "holds no spikes"),
    ],
)
def test_bad_spikes_are_refused(X, message):
    with pytest.raises(InvalidInputError, match=message):
        check_spikes(X, caller="here", min_trials=2, require_spikes=True)


@given(hnp.arrays(np.int64, hnp.array_shapes(min_dims=3, max_dims=3), elements=st.integers(0, 999)))
def test_counts_keep_their_values_and_are_compact(X):
    before = X.copy()
    counts = check_spikes(X, caller="here")
    assert counts.dtype == (np.uint8 if X.max() < 256 else np.uint16)
    np.testing.assert_array_equal(counts, before)
    np.testing.assert_array_equal(X, before)


def test_compact_counts_are_not_copied():
    X = GOOD.astype(np.uint8)
    assert check_spikes(X, caller="here") is X


def test_regions():
    assert check_regions([["a", "b"]], 2, caller="here").tolist() == ["a", "b"]
    with pytest.raises(InvalidInputError, match=r"\(8,\), X has 12 neurons; expected \(12,\). If"):
        check_regions(["a"] * 8, 12, caller="here")
    with pytest.raises(InvalidInputError, match="1 missing label.*neuron 1"):
        check_regions(np.array(["a", None], dtype=object), 2, caller="here")
    with pytest.raises(InvalidInputError, match="missing label"):
        check_regions(["a", " "], 2, caller="here")


class Carrier:
    regions = np.array(["x", "y", "z"])


def resolve(y=None, *, X=GOOD, regions=None, default=None, n_trials=4, n_neurons=3):
    return resolve_regions(
        X, y, regions, default, n_trials=n_trials, n_neurons=n_neurons, caller="fit"
    )


def test_where_regions_come_from():
    abc = ["a", "b", "c"]
    assert resolve(abc).tolist() == abc
    assert resolve(np.zeros(4)) is None
    assert resolve() is None
    assert resolve(abc, X=Carrier()).tolist() == ["x", "y", "z"]
    assert resolve(X=Carrier(), default=abc).tolist() == abc
    assert resolve(default=abc, regions=["q"] * 3).tolist() == ["q"] * 3
    with pytest.raises(InvalidInputError, match="second argument has shape"):
        resolve(np.zeros(7))


def test_square_case_takes_text_with_a_warning_and_ignores_numbers():
    with pytest.warns(NeuromaskWarning, match="taken as regions"):
        assert resolve(["a", "b", "c"], n_trials=3).tolist() == ["a", "b", "c"]
    assert resolve(np.zeros(3), n_trials=3) is None


def test_parameter_checks():
    with pytest.raises(InvalidInputError, match="expected a whole number"):
        check_positive_int("dim", 2.5, caller="here")
    with pytest.raises(InvalidInputError, match="at least 1"):
        check_positive_int("dim", 0, caller="here")
    with pytest.raises(InvalidInputError, match="from 0.0 up to"):
        check_fraction("dropout", 1.0, caller="here")
    with pytest.raises(InvalidInputError, match="Did you mean 'mean'"):
        check_choice("pooling", "meen", ["mean", "none"], caller="here")
