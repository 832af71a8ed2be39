"""What a fitted model knows of its sessions, and whether a recording is one of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ._checks import as_names
from ._windows import cut
from .errors import InvalidInputError, UnknownSessionError, suggest, warn
from .session import Session

__all__ = [
    "Recording",
    "SessionInfo",
    "find_session",
    "place",
    "refuse_another",
    "region_codes",
    "region_members",
]

NO_REGION_GIVEN = "unknown"


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
    unobserved : tuple of int
        Neurons that were never observed in training.
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
    unobserved: tuple[int, ...] = ()
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

    def share(self, trials: np.ndarray) -> TrialShare:
        """Return some trials without a copy of their counts."""
        return TrialShare(self, trials)

    def observed_trials(self) -> np.ndarray | None:
        """Say in which trials anything was observed (trials,); None where that is so in all."""
        there = None if self.observed is None else np.asarray(self.observed.any((1, 2)))
        return None if there is None or there.all() else there

    def with_data(self) -> Recording:
        """Return the trials in which something was observed; the others teach nothing, and are warned of."""
        there = self.observed_trials()
        if there is None:
            return self
        if not there.any():
            raise InvalidInputError(
                f"nothing was observed in any trial of session {self.info.session_id!r}; expected counts "
                "somewhere. Check observed, or the NaN or masked entries of X."
            )
        warn(
            f"nothing was observed in {int((~there).sum())} of {len(self)} trials of session "
            f"{self.info.session_id!r}; they are left out of the fit."
        )
        return self.take(there)

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


@dataclass(frozen=True)
class TrialShare:
    """Some trials of a recording: a recording that holds no counts of its own.

    Attributes
    ----------
    whole : Recording
        The recording, whose counts may be as large as memory allows.
    rows : ndarray of int, (trials,)
        Which of its trials these are.
    """

    whole: Recording
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def info(self) -> SessionInfo:
        """What is known of the session."""
        return self.whole.info

    @property
    def counts(self) -> np.ndarray:
        """Counts (trials, time, neurons), copied at each look, so that nobody keeps them."""
        return self.whole.counts[self.rows]

    @property
    def observed(self) -> np.ndarray | None:
        """Which of them were observed, copied at each look; None where all were."""
        return None if self.whole.observed is None else self.whole.observed[self.rows]


def need_sessions(known: dict[str, SessionInfo]) -> None:
    """Refuse a model that has forgotten all its sessions."""
    if not known:
        raise UnknownSessionError(
            "the model knows no session. Calibrate or finetune it on trials of yours first, and use the "
            "model that this returns."
        )


def find_session(X: Any, known: dict[str, SessionInfo]) -> SessionInfo:
    """Return what is known of the session that X is of, or refuse one that is not known.

    Raises
    ------
    UnknownSessionError
        If the model does not know the session, or cannot tell which is meant.
    """
    need_sessions(known)
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


def place(given: SessionInfo, fitted: SessionInfo) -> int:
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


def _without_digits(name: str) -> str:
    return "".join(c for c in name if not c.isdigit())


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:5]))
    return f"[{shown}{', ...' if len(names) > 5 else ''}]"
