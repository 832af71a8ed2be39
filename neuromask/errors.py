"""Errors and warnings that say what was given, what was expected and how to mend it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "CheckpointError",
    "InvalidInputError",
    "NeuromaskWarning",
    "UnknownSessionError",
    "suggest",
]


class InvalidInputError(ValueError):
    """Input that cannot be used as given."""


class UnknownSessionError(InvalidInputError):
    """A session that the model was not fitted on."""


class CheckpointError(InvalidInputError):
    """A model folder that cannot be written or read."""


class NeuromaskWarning(UserWarning):
    """Something a user should know that does not stop the work."""


def suggest(name: str, known: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` for the nearest known name, or an empty string.

    Examples
    --------
    >>> suggest("nueron", ["neuron", "causal"])
    " Did you mean 'neuron'?"
    """
    near = difflib.get_close_matches(str(name), [str(k) for k in known], n=1)
    return f" Did you mean {near[0]!r}?" if near else ""
