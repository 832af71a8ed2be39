"""Errors and warnings that say what was given, what was expected and how to mend it.

They begin with the name of the public function or method that was called, whatever deeper part
finds the fault: ``@public`` remembers that name for as long as the call lasts.
"""

from __future__ import annotations

import difflib
import functools
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from types import FrameType
from typing import ParamSpec, TypeVar

__all__ = [
    "CheckpointError",
    "DivergedError",
    "InvalidInputError",
    "NeuromaskWarning",
    "UnknownSessionError",
    "about",
    "calling",
    "current_call",
    "public",
    "run_by_a_person",
    "suggest",
    "warn",
]

P = ParamSpec("P")
R = TypeVar("R")
# Packages that call fits on somebody's behalf, many of them one after the other.
_CALLERS = ("joblib", "sklearn")
# Whose lines a warning does not point at.
_LIBRARIES = ("neuromask", *_CALLERS)


@dataclass(frozen=True)
class _Call:
    """The public call that is running: its name, and how many public calls lead to this point."""

    name: str = ""
    depth: int = 0


_NO_CALL = _Call()
_CALL: ContextVar[_Call] = ContextVar("neuromask_call", default=_NO_CALL)


class InvalidInputError(ValueError):
    """Input that cannot be used as given.

    Attributes
    ----------
    reason : str
        The message without the name of the call in front of it.
    """

    def __init__(self, reason: str) -> None:
        call = current_call()
        super().__init__(f"{call}: {reason}" if call else reason)
        self.reason = reason

    def __reduce__(self):
        # Unpickled, say from a worker of joblib, it keeps the name of the call that it was raised in.
        return _restored, (type(self), str(self), self.reason)


class UnknownSessionError(InvalidInputError):
    """A session that the model was not fitted on."""


class CheckpointError(InvalidInputError):
    """A model folder that cannot be written or read."""


class DivergedError(InvalidInputError):
    """Training that left no finite weights behind; nothing of it is kept."""


class NeuromaskWarning(UserWarning):
    """Something a user should know that does not stop the work."""


@contextmanager
def calling(name: str) -> Iterator[None]:
    """Begin errors and warnings with a name, unless an outer call has given its own."""
    outer = _CALL.get()
    token = _CALL.set(_Call(outer.name or name, outer.depth + 1))
    try:
        yield
    finally:
        _CALL.reset(token)


@contextmanager
def about(what: str) -> Iterator[None]:
    """Say in errors and warnings which argument they are about, beside the name of the call."""
    call = _CALL.get()
    token = _CALL.set(_Call(f"{call.name} ({what})", call.depth))
    try:
        yield
    finally:
        _CALL.reset(token)


def current_call() -> str:
    """Return the name of the public call that is running, or an empty string."""
    return _CALL.get().name


def run_by_a_person() -> bool:
    """Say whether the running public call is the one that a user made, and waits for.

    It is not where another public call made it, as `compare` makes fits, or where scikit-learn or
    joblib did: these go on with the next fit as soon as one returns.
    """
    if _CALL.get().depth != 1:
        return False
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if _package_of(frame) in _CALLERS:
            return False
        frame = frame.f_back
    return True


def public(function: Callable[P, R]) -> Callable[P, R]:
    """Mark what users call, so that errors and warnings from inside begin with its name."""
    name = function.__qualname__.removesuffix(".__init__").removesuffix(".__post_init__")

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        with calling(name):
            return function(*args, **kwargs)

    return call


def warn(message: str) -> None:
    """Warn with the name of the call in front, at the line of the user's that made it."""
    call = current_call()
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and _package_of(frame) in _LIBRARIES:
        level, frame = level + 1, frame.f_back
    text = f"{call}: {message}" if call else message
    warnings.warn(text, NeuromaskWarning, stacklevel=level)


def suggest(name: str, known: Iterable[object]) -> str:
    """Return `` Did you mean 'x'?`` for the nearest known name, or an empty string.

    Examples
    --------
    >>> suggest("nueron", ["neuron", "causal"])
    " Did you mean 'neuron'?"
    """
    near = difflib.get_close_matches(str(name), [str(k) for k in known], n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def _package_of(frame: FrameType) -> str:
    return frame.f_globals.get("__name__", "").partition(".")[0]


def _restored(kind: type[InvalidInputError], message: str, reason: str) -> InvalidInputError:
    error = kind(reason)
    error.args = (message,)
    return error
