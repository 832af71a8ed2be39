"""Find the pretrainer that a decoder was given, and what can be decoded from it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from .._checks import check_choice
from .._known import Recording, SessionInfo, region_codes, region_members
from .._recordings import check_own_names, is_session_list, read_known, read_to_fit
from ..errors import InvalidInputError
from ..pretrainer import MtMPretrainer, check_parameters, load
from ..schemes import Scheme, available_schemes
from ..session import Session

__all__ = [
    "check_scheme",
    "fitted_schemes",
    "hidden_neurons",
    "is_fitted",
    "pretrain_copy",
    "read_sessions",
    "read_trials",
    "resolve_pretrainer",
    "scheme_names",
]


def is_fitted(pretrainer: Any) -> bool:
    """Whether it is a pretrainer that holds a network."""
    return isinstance(pretrainer, MtMPretrainer) and hasattr(pretrainer, "model_")


def resolve_pretrainer(given: Any) -> MtMPretrainer:
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
                "pretrainer is frozen but not fitted, so that it would never be. Fit it "
                "first, or pass it without FrozenEstimator to pretrain on the trials of each fit."
            )
        return given.estimator
    if not isinstance(given, MtMPretrainer):
        raise InvalidInputError(
            f"pretrainer is a {type(given).__name__}; expected an MtMPretrainer, the "
            "path of a saved one, or None."
        )
    return given


def read_trials(X: Any, given: MtMPretrainer) -> Recording:
    """Read trials of one session, which a fitted pretrainer knows and an unfitted one will."""
    if is_session_list(X):
        raise InvalidInputError(
            f"X is a list of {len(X)} recordings; expected one session, as only fit takes several. Pass one "
            "at a time."
        )
    if is_fitted(given):
        recording = read_known(X, given.sessions_, rebin=given.rebin)
        if len(recording) < 2:  # as an unfitted one is told by read_to_fit
            raise InvalidInputError("X has 1 trial(s); expected at least 2. Pass more trials.")
        return recording
    (recording,) = read_to_fit(X, None, None, given.regions, rebin=given.rebin)
    return recording


def read_sessions(X: Sequence[Any], given: MtMPretrainer) -> list[Recording]:
    """Read trials of several sessions, which a fitted pretrainer knows and an unfitted one will."""
    if len(X) < 2:
        raise InvalidInputError(
            "X is a list of 1 recording; expected several, or the session itself. Pass X[0]."
        )
    for x in X:
        if not isinstance(x, Session):
            raise InvalidInputError(
                f"X holds a {type(x).__name__}; expected Sessions, which say whose neurons they hold: "
                "neuromask.Session(X, regions, session_id=...)."
            )
    if is_fitted(given):
        check_own_names([x.session_id for x in X])
        return [read_known(x, given.sessions_, rebin=given.rebin) for x in X]
    if given.encode_neurons is False:
        raise InvalidInputError(
            "encode_neurons=False; a decoder of several sessions reads them by what an encoder of neurons "
            "infers. Set it to 'auto'."
        )
    return read_to_fit(list(X), None, None, given.regions, rebin=given.rebin)


def pretrain_copy(
    given: MtMPretrainer, recording: Recording | Sequence[Any], seed: int
) -> MtMPretrainer:
    """Pretrain a copy on these trials; `seed` is its chance where it has none of its own."""
    fresh = clone(given)
    if fresh.random_state is None:
        fresh.set_params(random_state=seed)
    return fresh.fit(recording)


def fitted_schemes(given: MtMPretrainer) -> Sequence[Scheme]:
    """Return the schemes that it was, or will be, fitted with."""
    return given.schemes_ if is_fitted(given) else check_parameters(given)


def check_scheme(given: MtMPretrainer, asked: str) -> None:
    """Refuse a scheme that it was not, or will not be, fitted with."""
    names = [scheme.name for scheme in fitted_schemes(given)]
    asked = str(asked).replace("_", "-")
    if asked not in names and asked in available_schemes():
        raise InvalidInputError(
            f"scheme={asked!r} is not among the pretrainer's schemes, {names}. Fit a pretrainer with "
            f"schemes={[*names, asked]}, or decode under one of its own."
        )
    check_choice("scheme", asked, ["auto", *names])


def scheme_names(pre: MtMPretrainer, asked: str, info: SessionInfo) -> list[str]:
    """Return the schemes to choose from: the one asked for, or all that a session was fitted with."""
    if asked != "auto":
        return [str(asked).replace("_", "-")]
    codes = torch.as_tensor(region_codes(info, pre.ignore_regions))
    return [s.name for s in pre.schemes_ if s.reason_against(codes) is None]


def hidden_neurons(recording: Recording, regions: Any) -> np.ndarray:
    """Return a mask of the neurons outside `regions`, None meaning everywhere."""
    if regions is None:
        return np.zeros(recording.info.n_neurons, dtype=bool)
    return ~region_members(recording.info.regions, regions)
