from neuromask._errors import CheckpointError, InvalidInputError, UnknownSessionError, suggest


def test_errors_are_value_errors():
    for error in (CheckpointError, InvalidInputError, UnknownSessionError):
        assert issubclass(error, ValueError)


def test_suggest_names_the_nearest():
    assert suggest("VISpp", ["CA1", "VISp"]) == " Did you mean 'VISp'?"
    assert suggest("zzz", ["CA1", "VISp"]) == ""
