"""Find the pretrainer that a decoder was given, and what can be decoded from it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from ._errors import InvalidInputError
from ._recordings import read_known, region_members
from ._validation import check_choice, resolve_regions
from .persistence import load
from .pretrainer import MtMPretrainer
from .schemes import Scheme

__all__ = [
    "fitted_schemes",
    "hidden_neurons",
    "is_fitted",
    "pretrain_copy",
    "resolve_pretrainer",
    "scheme_names",
]


def is_fitted(pretrainer: Any) -> bool:
    """Whether it is a pretrainer that holds a network."""
    return isinstance(pretrainer, MtMPretrainer) and hasattr(pretrainer, "model_")


def resolve_pretrainer(given: Any, *, caller: str) -> MtMPretrainer:
    """Turn a pretrainer, a frozen one, a path or None into a pretrainer, fitted or to be fitted.

    Raises
    ------
    InvalidInputError
        If it is none of these, or frozen but not fitted.
    CheckpointError
        If the path does not hold a saved model.
    """
    if given is None:
        return MtMPretrainer()
    if isinstance(given, (str, os.PathLike)):
        return load(given)
    if isinstance(given, FrozenEstimator):
        if not is_fitted(given.estimator):
            raise InvalidInputError(
                f"{caller}: pretrainer is frozen but not fitted, so that it would never be. Fit it "
                "first, or pass it without FrozenEstimator to pretrain on the trials of each fit."
            )
        return given.estimator
    if not isinstance(given, MtMPretrainer):
        raise InvalidInputError(
            f"{caller}: pretrainer is a {type(given).__name__}; expected an MtMPretrainer, the "
            "path of a saved one, or None."
        )
    return given


def pretrain_copy(given: MtMPretrainer, X: Any, seed: int) -> MtMPretrainer:
    """Pretrain a copy on these trials; `seed` is its chance where it has none of its own."""
    fresh = clone(given)
    if fresh.random_state is None:
        fresh.set_params(random_state=seed)
    return fresh.fit(X)


def fitted_schemes(given: MtMPretrainer, *, caller: str) -> Sequence[Scheme]:
    """Return the schemes that it was, or will be, fitted with."""
    return given.schemes_ if is_fitted(given) else given._check_parameters(caller)


def scheme_names(given: MtMPretrainer, asked: str, *, caller: str) -> list[str]:
    """Return the schemes to choose from: the one asked for, or all for "auto"."""
    names = [scheme.name for scheme in fitted_schemes(given, caller=caller)]
    name = str(asked).replace("_", "-")
    if name == "auto":
        return names
    check_choice("scheme", name, ["auto", *names], caller=caller)
    return [name]


def hidden_neurons(
    X: Any, given: MtMPretrainer, regions: Any, n_neurons: int, *, caller: str
) -> np.ndarray:
    """Return a mask of the neurons outside `regions`, None meaning everywhere."""
    if regions is None:
        return np.zeros(n_neurons, dtype=bool)
    if is_fitted(given):
        labels = read_known(X, given.sessions_, caller=caller).info.regions
    else:
        labels = resolve_regions(
            X, None, None, given.regions, n_trials=0, n_neurons=n_neurons, caller=caller
        )
    return ~region_members(labels, regions, caller=caller)
