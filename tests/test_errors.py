from pathlib import Path

import pytest

import neuromask as nm
from neuromask.errors import (
    CheckpointError,
    InvalidInputError,
    NeuromaskWarning,
    UnknownSessionError,
    suggest,
)


def test_errors_are_value_errors():
    for error in (CheckpointError, InvalidInputError, UnknownSessionError):
        assert issubclass(error, ValueError)


def test_suggest_names_the_nearest():
    assert suggest("VISpp", ["CA1", "VISp"]) == " Did you mean 'VISp'?"
    assert suggest("zzz", ["CA1", "VISp"]) == ""
    assert suggest(3, [3, 14]) == " Did you mean '3'?"
    assert suggest("CA1", []) == ""


def test_the_warning_can_be_filtered_as_a_user_warning():
    assert issubclass(NeuromaskWarning, UserWarning)


@pytest.mark.parametrize("method", ["fit", "fit_transform"])
def test_a_warning_points_at_the_line_that_made_the_call(method):
    counts = nm.simulate(20, n_neurons=6, n_time=8, random_state=0).counts
    pre = nm.MtMPretrainer(dim=16, n_layers=1, max_epochs=1)
    with pytest.warns(NeuromaskWarning, match="no regions are known") as caught:
        getattr(pre, method)(counts)
    assert {Path(w.filename) for w in caught} == {Path(__file__)}
