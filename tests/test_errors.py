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
