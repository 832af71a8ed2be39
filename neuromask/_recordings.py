"""Turn what users pass as ``X`` into recordings with an identity, checked before any work."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import torch

from ._axes import axis_of_length
from ._checks import as_names, read_spikes, resolve_regions
from ._plausible import warn_of_implausible
from ._splits import hold_out, hold_out_runs, n_held_out
from ._windows import cut
from .errors import InvalidInputError, UnknownSessionError, suggest, warn
from .schemes import Scheme
from .session import Session, as_session

__all__ = [
    "MANY_TRIALS",
    "Recording",
    "SessionInfo",
    "check_own_names",
    "is_session_list",
    "read_known",
    "read_new_sessions",
    "read_to_fit",
    "rebinned",
    "refuse_another",
    "region_codes",
    "region_members",
    "split_trials",
    "table_exclusions",
]

NO_REGION_GIVEN = "unknown"
# A tenth of fewer trials is a poor judge of weights, and missed by those that train.
MANY_TRIALS = 100
HELD_OUT = 0.1


@dataclass(frozen=True)
class SessionInfo:
    """What a fitted model knows of a session.

    Attributes
    ----------
    session_id : str
        Its name.
    subject : str or None
        The animal.
    n_neurons, n_time : int
        Neurons and bins per trial.
    bin_width : float or None
        Seconds, where known.
    regions : tuple of str or None
        Region of each neuron, where known.
    silent : tuple of int
        Neurons without a spike in training.
    t_start : float or None
        Seconds from a trial's event to its first bin, where known.
    identity : dict of str to tuple of str
        What tells its neurons apart, see :attr:`Session.identity`. Regions here are those that came
        with the recording, even where others were given to fit.
    """

    session_id: str
    subject: str | None
    n_neurons: int
    n_time: int
    bin_width: float | None
    regions: tuple[str, ...] | None
    silent: tuple[int, ...] = ()
    t_start: float | None = None
    identity: dict[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Recording:
    """One session's counts and what is known of it: an `X` that was read and checked."""

    info: SessionInfo
    counts: np.ndarray  # (trials, time, neurons), 0 where not observed
    observed: np.ndarray | None = None  # (trials, time, neurons) bool; None where all was
    start: int = 0  # bin of the fitted trials at which these begin

    def __len__(self) -> int:
        return len(self.counts)

    def take(self, trials: np.ndarray) -> Recording:
        """Return some trials."""
        observed = None if self.observed is None else self.observed[trials]
        return replace(self, counts=self.counts[trials], observed=observed)

    def with_data(self) -> Recording:
        """Return the trials in which something was observed; the others teach nothing, and are warned of."""
        if self.observed is None:
            return self
        there = self.observed.any((1, 2))
        if there.all():
            return self
        warn(
            f"nothing was observed in {int((~there).sum())} of {len(self)} trials of session "
            f"{self.info.session_id!r}; they are left out of the fit."
        )
        return self.take(np.flatnonzero(there))

    def placed(self, n_time: int) -> Recording:
        """Return trials of so many bins, in which these stand at their place and no more is observed."""
        n_given = self.counts.shape[1]
        if (self.start, n_given) == (0, n_time):
            return self
        observed = np.ones(self.counts.shape, bool) if self.observed is None else self.observed
        around = ((0, 0), (self.start, n_time - self.start - n_given), (0, 0))
        counts, observed = (np.pad(x, around) for x in (self.counts, observed))
        return Recording(self.info, counts, observed)

    def windows(self) -> Recording:
        """Cut trials that are longer than the fitted ones into windows as long as these."""
        length, observed = self.info.n_time, self.observed
        observed = None if observed is None else cut(observed, length)
        return replace(self, counts=cut(self.counts, length), observed=observed)


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
    _agree_on_bin_width(found)
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
    _agree_on_bin_width([*found, *(Recording(i, np.empty(0)) for i in known.values())])
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
    info = _which(X, known)
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
    return Recording(info, counts, observed, _place(given, info))


def _place(given: SessionInfo, fitted: SessionInfo) -> int:
    """Return the bin of the fitted trials at which others begin."""
    width, begins, began = fitted.bin_width or given.bin_width, given.t_start, fitted.t_start
    if given.n_time > fitted.n_time or width is None or begins is None or began is None:
        return 0
    exact = (begins - began) / width
    start = round(exact)
    if not 0 <= start <= fitted.n_time - given.n_time:
        spans = [
            f"{t:g} to {t + i.n_time * width:g} s" for t, i in ((begins, given), (began, fitted))
        ]
        warn(
            f"trials cover {spans[0]} from their event and the fitted ones {spans[1]}; they are "
            "predicted as if they began where the fitted ones do. Fit on the same window for more than "
            "a rough answer."
        )
        return 0
    if abs(exact - start) > 0.01:
        warn(
            f"trials begin at {begins:g} s, which is no edge of the fitted bins ({began:g} s and on "
            f"by {width:g} s); the nearest edge is taken. Bin the spikes again to have them agree."
        )
    return start


def refuse_another(given: SessionInfo, fitted: SessionInfo) -> None:
    """Refuse a recording that is not the fitted session of its name; what is not known is not compared.

    Raises
    ------
    InvalidInputError
        If its neurons or their order, its animal or its bin width differ.
    """
    _refuse_other_neurons(given, fitted)
    name = fitted.session_id
    if given.regions is not None and given.regions != fitted.regions:
        raise InvalidInputError(
            f"the neurons of session {name!r} are in other regions than in fit. Give the regions of fit, "
            "or, if it is another recording, a session_id of its own."
        )
    if given.subject and fitted.subject and given.subject != fitted.subject:
        raise InvalidInputError(
            f"X is of subject {given.subject!r} and session {name!r} was of {fitted.subject!r} in "
            "fit: another animal under a fitted session_id. Give it a session_id of its own and "
            "calibrate or finetune the model on it."
        )
    width, usual = given.bin_width, fitted.bin_width
    if width is not None and usual is not None and not np.isclose(width, usual):
        raise InvalidInputError(
            f"X has bins of {width:g} s; session {name!r} was fitted with {usual:g} s. Bin the spikes "
            "again at the fitted width."
        )


def region_codes(info: SessionInfo, ignored: str | Iterable[str]) -> np.ndarray:
    """Give each neuron its region's number, -1 where regions are never targets."""
    labels = np.array(info.regions or (NO_REGION_GIVEN,) * info.n_neurons)
    codes = np.unique(labels, return_inverse=True)[1]
    return np.where(np.isin(labels, as_names("ignore_regions", ignored)), -1, codes)


def region_members(labels: Sequence[str] | None, regions: str | Sequence[str]) -> np.ndarray:
    """Return a mask over neurons with these labels, True in the named regions.

    Raises
    ------
    InvalidInputError
        If no region is named, or no neuron is in one of them.
    """
    names = as_names("regions", regions)
    of_neurons = np.array([] if labels is None else labels, dtype=str)
    known = sorted(set(of_neurons.tolist()))
    for name in names:
        if name not in known:
            raise InvalidInputError(
                f"no region {name!r} in this session; its regions are {known}."
                f"{suggest(str(name), known)}"
            )
    if not names:
        raise InvalidInputError(f"no region is named; expected some of {known}.")
    return np.isin(of_neurons, names)


def split_trials(
    recordings: list[Recording],
    fraction: float | str,
    generator: np.random.Generator,
    *,
    validation: str,
) -> tuple[list[Recording], list[Recording]]:
    """Set a share of every session's trials aside, as runs ("blocked") or one by one ("random").

    ``"auto"`` takes a tenth of sessions of many trials, and nothing of others.
    """
    training: list[Recording] = []
    held_out: list[Recording] = []
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
            part.append(r.take(chosen))
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
    silent = tuple(np.flatnonzero(~counts.any((0, 1))).tolist())
    if silent:
        warn(
            f"{len(silent)} of {n_neurons} neurons of session {session_id!r} have no "
            "spikes; they stay silent in predictions and have no score. excluded_ lists them."
        )
    return Recording(_describe(X, counts, session_id, labels, silent), counts, observed)


def _describe(
    X: Any,
    counts: np.ndarray,
    session_id: str,
    labels: np.ndarray | None = None,
    silent: tuple[int, ...] = (),
) -> SessionInfo:
    """Put together what a recording says of itself, and the regions that its neurons are taken to be in."""
    return SessionInfo(
        session_id=session_id,
        subject=getattr(X, "subject", None),
        n_neurons=counts.shape[2],
        n_time=counts.shape[1],
        bin_width=getattr(X, "bin_width", None),
        regions=None if labels is None else tuple(labels.tolist()),
        silent=silent,
        t_start=getattr(X, "t_start", None),
        identity=_identity(X, labels),
    )


def _identity(X: Any, labels: np.ndarray | None) -> dict[str, tuple[str, ...]]:
    """Give what tells neurons apart: what a Session carries, else the regions given beside X."""
    identity = X.identity if isinstance(X, Session) else {}
    if labels is not None:
        identity.setdefault("region", tuple(labels.tolist()))
    return identity


def _refuse_other_neurons(X: SessionInfo, info: SessionInfo) -> None:
    """Refuse other neurons than the fitted ones, and these in another order."""
    for column, fitted in info.identity.items():
        given = X.identity.get(column, fitted)
        if given == fitted:
            continue
        first = next(i for i in range(len(fitted)) if given[i] != fitted[i])
        where = f"{column} of neuron {first} is {given[first]!r} and was {fitted[first]!r} in fit"
        if sorted(given) != sorted(fitted):
            raise InvalidInputError(
                f"X has other neurons than session {info.session_id!r} had in fit: {where}. If it "
                "is another animal or recording, give it a session_id of its own and calibrate or "
                "finetune the model on it."
            )
        order = ""
        if len(set(fitted)) == len(fitted):
            order = (
                f", which is [X.identity[{column!r}].index(name) for name in "
                f"model.sessions_[{info.session_id!r}].identity[{column!r}]]"
            )
        raise InvalidInputError(
            f"X has the neurons of session {info.session_id!r} in another order than fit: {where}. "
            f"Put them in the order of fit by X.select_neurons(order){order}. If it is another "
            "recording, give it a session_id of its own and calibrate or finetune the model on it."
        )


def _which(X: Any, known: dict[str, SessionInfo]) -> SessionInfo:
    if isinstance(X, Session):
        if X.session_id in known:
            return known[X.session_id]
        # Names that differ in digits alone are those of different recordings, dates or animals.
        misspelt = [n for n in known if _without_digits(n) != _without_digits(X.session_id)]
        raise UnknownSessionError(
            f"session {X.session_id!r} is not among the fitted sessions "
            f"{_some(list(known))}.{suggest(X.session_id, misspelt)} A model predicts sessions that "
            "it knows: calibrate or finetune it on trials of this one, or, only if it is the same "
            "recording, give its trials the fitted session_id."
        )
    if len(known) == 1:
        return next(iter(known.values()))
    raise UnknownSessionError(
        f"X is an array and the model knows {len(known)} sessions {_some(list(known))}; "
        "pass a Session, whose session_id says which is meant."
    )


def _without_digits(name: str) -> str:
    return "".join(c for c in name if not c.isdigit())


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:5]))
    return f"[{shown}{', ...' if len(names) > 5 else ''}]"


def _agree_on_bin_width(recordings: Sequence[Recording]) -> None:
    widths = {r.info.session_id: r.info.bin_width for r in recordings if r.info.bin_width}
    if len({round(width, 9) for width in widths.values()}) > 1:
        listed = ", ".join(f"{name}: {width:g} s" for name, width in widths.items())
        raise InvalidInputError(
            f"sessions have different bin widths ({listed}); expected one. Bin the "
            "spikes of all sessions alike, or set rebin to a width that all divide."
        )
