"""Turn what users pass as ``X`` into recordings with an identity, checked before any work."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch

from ._axes import axis_of_length
from ._checks import as_names, resolve_regions
from ._counts import read_spikes
from ._known import (
    Recording,
    SessionInfo,
    TrialShare,
    find_session,
    place,
    refuse_another,
    region_codes,
)
from ._plausible import warn_of_implausible
from ._splits import hold_out, hold_out_runs, n_held_out
from .errors import InvalidInputError, warn
from .schemes import Scheme
from .session import Session, as_session

__all__ = [
    "MANY_TRIALS",
    "agree_on_bin_width",
    "check_own_names",
    "is_session_list",
    "read_known",
    "read_new_sessions",
    "read_to_fit",
    "rebinned",
    "split_trials",
    "table_exclusions",
]

# A tenth of fewer trials is a poor judge of weights, and missed by those that train.
MANY_TRIALS = 100
HELD_OUT = 0.1


def is_session_list(X: Any) -> bool:
    """Whether X is a list of recordings and not one recording."""
    return isinstance(X, (list, tuple)) and len(X) > 0 and all(np.ndim(x) == 3 for x in X)


def read_to_fit(
    X: Any, y: Any, regions: Any, default: Any, *, rebin: float | None = None
) -> list[Recording]:
    """Check recordings to fit on.

    Parameters
    ----------
    X : Session, array-like (trials, time, neurons), list of either, or Recording
        One recording or several; what was read before is taken as it is.
    y, regions, default
        Where regions may come from, see `resolve_regions`; for a list, `regions` is a list too.
    rebin : float, optional
        Seconds of the bins to sum counts into.
    """
    if isinstance(X, Recording):
        return [X]
    if not is_session_list(X):
        return [_read(rebinned(as_session(X), rebin), y, regions, default, "session")]
    if regions is not None and not isinstance(regions, Iterable):
        raise InvalidInputError(
            f"regions={regions!r} for {len(X)} sessions; expected a list with the regions of each."
        )
    per_session = [None] * len(X) if regions is None else list(regions)
    if len(per_session) != len(X):
        raise InvalidInputError(
            f"regions has {len(per_session)} entries for {len(X)} sessions; expected a "
            "list with the regions of each."
        )
    found = [
        _read(
            rebinned(as_session(x, session_id=f"session-{i}"), rebin),
            None,
            r,
            default,
            f"session-{i}",
        )
        for i, (x, r) in enumerate(zip(X, per_session, strict=True))
    ]
    check_own_names([r.info.session_id for r in found])
    agree_on_bin_width(found)
    return found


def check_own_names(session_ids: Sequence[str]) -> None:
    """Refuse sessions that share a name, as what is known of one would be taken for the other's."""
    twice = sorted({name for name in session_ids if session_ids.count(name) > 1})
    if twice:
        raise InvalidInputError(
            f"sessions share the session_id {', '.join(map(repr, twice))}; expected one "
            "name each. Set session_id when making them."
        )


def rebinned(X: Any, rebin: float | None) -> Any:
    """Sum a Session's counts into bins of `rebin` seconds, if asked to."""
    return X.rebin(rebin) if rebin is not None and isinstance(X, Session) else X


def read_new_sessions(
    X: Any,
    known: dict[str, SessionInfo],
    *,
    n_time: int,
    bin_width: float | None = None,
    rebin: float | None = None,
) -> list[Recording]:
    """Check sessions to adapt to, which a model does not know and whose bins are like its own.

    Raises
    ------
    InvalidInputError
        If they are not Sessions, share a name with a fitted one, or have other or more bins.
    """
    given = list(X) if is_session_list(X) else [X]
    for x in given:
        if not isinstance(x, Session):
            raise InvalidInputError(
                f"X is a {type(x).__name__}; expected a Session, whose session_id tells it "
                "from the fitted ones: neuromask.Session(X, regions, session_id=...)."
            )
        if x.session_id in known:
            raise InvalidInputError(
                f"a session {x.session_id!r} was fitted; expected one that the model does "
                "not know. Give the new one a session_id of its own; warm_start=True and fit goes on "
                "training the same sessions."
            )
    found = read_to_fit(given, None, None, None, rebin=rebin)
    agree_on_bin_width(found, bin_width)
    for r in found:
        if r.info.n_time > n_time:
            raise InvalidInputError(
                f"session {r.info.session_id!r} has {r.info.n_time} bins; the model was "
                f"pretrained on up to {n_time}. Cut its trials to that length."
            )
    return found


def read_known(
    X: Any,
    known: dict[str, SessionInfo],
    *,
    rebin: float | None = None,
    require_spikes: bool = False,
    longer: bool = False,
) -> Recording:
    """Check trials of a session that the model was fitted on, and find their place in the fitted ones.

    Trials may be shorter than the fitted ones. Where both say when they begin they stand at their own
    time, else at the start. `longer` allows longer ones, which are predicted by windows.

    Raises
    ------
    UnknownSessionError
        If the model does not know the session, or cannot tell which is meant.
    InvalidInputError
        If neurons or their order, the animal, bins or bin width differ from what the model was
        fitted on, or there is not a single spike where one is required.

    Warns
    -----
    NeuromaskWarning
        If several trials are longer, or trials lie at another time than the fitted ones.
    """
    if isinstance(X, Recording):
        return X
    X = as_session(X, **({"session_id": next(iter(known))} if len(known) == 1 else {}))
    X = rebinned(X, rebin)
    counts, observed = read_spikes(X, require_spikes=require_spikes)
    info = find_session(X, known)
    n_time, n_neurons = counts.shape[1:]
    if n_neurons != info.n_neurons:
        raise InvalidInputError(
            f"X has {n_neurons} features (neurons), but MtMPretrainer is expecting "
            f"{info.n_neurons} features as input, the neurons of session {info.session_id!r} in "
            f"the order of fit.{axis_of_length(info.n_neurons, counts.shape)}"
        )
    given = _describe(X, counts, info.session_id)
    refuse_another(given, info)
    if n_time > info.n_time and not longer:
        raise InvalidInputError(
            f"X has {n_time} bins; session {info.session_id!r} was fitted with "
            f"{info.n_time}. Cut trials to the fitted length."
        )
    if n_time > info.n_time and len(counts) > 1:  # one long trial is a recording, and meant so
        warn(
            f"trials of {n_time} bins are longer than the fitted {info.n_time}; they are predicted in "
            f"windows of {info.n_time} that overlap by half, so that nothing is seen from further away."
        )
    return Recording(info, counts, observed, place(given, info))


def split_trials(
    recordings: list[Recording],
    fraction: float | str,
    generator: np.random.Generator,
    *,
    validation: str,
) -> tuple[list[Recording | TrialShare], list[Recording | TrialShare]]:
    """Set a share of every session's trials aside, as runs ("blocked") or one by one ("random").

    ``"auto"`` takes a tenth of sessions of many trials, and nothing of others.
    """
    training: list[Recording | TrialShare] = []
    held_out: list[Recording | TrialShare] = []
    for r in recordings:
        n = len(r.counts)
        share = fraction
        if isinstance(share, str):
            share = HELD_OUT if n >= MANY_TRIALS else 0.0
        if share == 0:
            training.append(r)
            continue
        if validation == "random":
            rows = hold_out(n, n_held_out(n, share), generator)
        else:
            rows = hold_out_runs(n, share, generator)
        for part, chosen in zip((training, held_out), rows, strict=True):
            part.append(r.share(chosen))
    return training, held_out


def table_exclusions(
    known: dict[str, SessionInfo], schemes: Sequence[Scheme], ignored: str | Iterable[str]
) -> pd.DataFrame:
    """Table what is left out: silent neurons, ignored regions, schemes a session cannot use.

    Raises
    ------
    InvalidInputError
        If a session can use none of the schemes.
    """
    rows, ignored = [], as_names("ignore_regions", ignored)
    for info in known.values():
        rows += [(info.session_id, "neuron", str(i), "no spikes") for i in info.silent]
        rows += [(info.session_id, "neuron", str(i), "never observed") for i in info.unobserved]
        names, sizes = np.unique(np.array(info.regions or ()), return_counts=True)
        for name, size in zip(names.tolist(), sizes.tolist(), strict=True):
            if name in ignored:
                rows.append((info.session_id, "region", name, "in ignore_regions"))
            elif size < 2:
                rows.append((info.session_id, "region", name, "one neuron: never intra-region"))
        codes = torch.as_tensor(region_codes(info, ignored))
        reasons = {s.name: s.reason_against(codes) for s in schemes}
        rows += [(info.session_id, "scheme", n, why) for n, why in reasons.items() if why]
        if all(reasons.values()):
            raise InvalidInputError(
                f"session {info.session_id!r} can use none of the schemes ({reasons}). "
                "Add a scheme that needs no regions, such as 'neuron', or check regions."
            )
    return pd.DataFrame(rows, columns=["session", "item", "name", "reason"])


def _read(X: Any, y: Any, regions: Any, default: Any, name: str) -> Recording:
    counts, observed = read_spikes(X, min_trials=2, require_spikes=True)
    n_neurons = counts.shape[2]
    labels = resolve_regions(X, y, regions, default, shape=counts.shape)
    session_id = getattr(X, "session_id", name)
    if not isinstance(X, Session):  # which looked at its counts itself
        warn_of_implausible(counts, observed)
    if labels is None:
        warn(
            f"no regions are known for session {session_id!r}, so all neurons count as "
            "one region and nothing is learned between regions. Pass regions=..., or a Session "
            "that carries them."
        )
    there = np.ones(n_neurons, bool) if observed is None else observed.any((0, 1))
    unobserved = tuple(np.flatnonzero(~there).tolist())
    silent = tuple(np.flatnonzero(there & ~counts.any((0, 1))).tolist())
    if unobserved:
        warn(
            f"{len(unobserved)} of {n_neurons} neurons of session {session_id!r} were never observed; "
            "they are predicted as average ones. excluded_ lists them."
        )
    if silent:
        warn(
            f"{len(silent)} of {n_neurons} neurons of session {session_id!r} have no "
            "spikes; they stay silent in predictions and have no score. excluded_ lists them."
        )
    info = replace(_describe(X, counts, session_id, labels), silent=silent, unobserved=unobserved)
    return Recording(info, counts, observed)


def _describe(
    X: Any,
    counts: np.ndarray,
    session_id: str,
    labels: np.ndarray | None = None,
) -> SessionInfo:
    """Put together what a recording says of itself, and the regions that its neurons are taken to be in."""
    return SessionInfo(
        session_id=session_id,
        subject=getattr(X, "subject", None),
        n_neurons=counts.shape[2],
        n_time=counts.shape[1],
        bin_width=getattr(X, "bin_width", None),
        regions=None if labels is None else tuple(labels.tolist()),
        t_start=getattr(X, "t_start", None),
        identity=_identity(X, labels),
    )


def _identity(X: Any, labels: np.ndarray | None) -> dict[str, tuple[str, ...]]:
    """Give what tells neurons apart: what a Session carries, else the regions given beside X."""
    identity = X.identity if isinstance(X, Session) else {}
    if labels is not None:
        identity.setdefault("region", tuple(labels.tolist()))
    return identity


def agree_on_bin_width(recordings: Sequence[Recording], fitted: float | None = None) -> None:
    """Refuse sessions whose bins differ, from one another or from those of a fit; what is not known may be any."""
    widths = {r.info.session_id: r.info.bin_width for r in recordings if r.info.bin_width}
    if fitted is not None:
        widths["as fitted"] = fitted
    if len({round(width, 9) for width in widths.values()}) > 1:
        listed = ", ".join(f"{name}: {width:g} s" for name, width in widths.items())
        raise InvalidInputError(
            f"sessions have different bin widths ({listed}); expected one. Bin the "
            "spikes of all sessions alike, or set rebin to a width that all divide."
        )
