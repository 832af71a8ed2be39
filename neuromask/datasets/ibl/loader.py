"""The loader: parameters checked, lists, cache and progress."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import joblib
import numpy as np
import pandas as pd

from ..._checks import check_choice, check_fraction, check_positive_int
from ...errors import InvalidInputError, public, suggest
from ...session import Session
from ..binning import bin_edges
from ..cache import cache_folder, cached
from ..trials import check_unrecorded
from .assembly import read_session
from .files import DAMAGED, Connection, need_one
from .lists import IBL_SESSIONS, RELEASE_TAGS
from .signals import SIGNALS

__all__ = ["ibl_sessions", "load_ibl"]

# The revision that the BrainWideBench suite reads; later ones do not change what is loaded.
REVISION = "2024-05-06"
ATLASES = ("Beryl", "Allen", "Cosmos", "Swanson")
EVENTS = {
    "stimOn": "stimOn_times",
    "firstMovement": "firstMovement_times",
    "feedback": "feedback_times",
    "goCue": "goCue_times",
    "response": "response_times",
}
COMPLETE = (
    "stimOn_times",
    "choice",
    "feedback_times",
    "probabilityLeft",
    "firstMovement_times",
    "feedbackType",
)
USUAL_SIGNALS = ("wheel_velocity", "wheel_speed", "whisker_left", "whisker_right")


@public
def load_ibl(
    eid: Any,
    *,
    align: str = "stimOn",
    window: tuple[float, float] = (-0.5, 1.5),
    bin_width: float = 0.02,
    atlas: str = "Beryl",
    min_label: float = 1.0,
    min_rate: float = 0.0,
    quality: Mapping[str, Any] | None = None,
    include: Sequence[Any] | None = None,
    exclude: Sequence[Any] | None = None,
    signals: Sequence[str] = USUAL_SIGNALS,
    complete: Sequence[str] = COMPLETE,
    no_choice: bool = False,
    reaction_time: tuple[float, float] | None = (0.08, 2.0),
    feedback_delay: float | None = 10.0,
    ends: str | None = None,
    unrecorded: str = "drop",
    revision: str | None = REVISION,
    one: Any = None,
    mode: str = "auto",
    cache: bool | str | os.PathLike = True,
    n_jobs: int = 1,
    verbose: int = 0,
) -> Session | list[Session]:
    """Load sessions of the IBL: all probes, trials and behaviour, in bins around an event.

    Needs the extra ``ibl``. What was left out, and why, is in the session's `report`.

    Parameters
    ----------
    eid : str, UUID, or list of these
        Session of the database, or several: then a list of Sessions comes back. `ibl_sessions`
        gives lists by name.
    align : str, default="stimOn"
        Event at time 0: stimOn, firstMovement, feedback, goCue or response, or a column of trials
        that holds seconds.
    window : (float, float), default=(-0.5, 1.5)
        Start and stop of a trial, in seconds from the event.
    bin_width : float, default=0.02
        Seconds.
    atlas : {"Beryl", "Allen", "Cosmos", "Swanson"}, default="Beryl"
        Parcellation that names the regions; ``root`` and ``void`` are outside of it.
    min_label : float, default=1
        Least share of IBL's three quality criteria that a unit passes; 0 takes all units.
    min_rate : float, default=0
        Fewest spikes per second over the recording.
    quality : mapping of str to number, str or collection, optional
        What units must have, by column of IBL's metrics: a number is the least value, text such as
        ``"< 0.1"`` a bound, other text the one value, a collection those allowed; for example
        ``{"contamination": "< 0.1", "amp_median": 5e-5}``.
    include, exclude : sequence of str or int, optional
        Units to keep, and units to leave out, by uuid or by number over all probes, ``cluster``.
    signals : sequence of str
        Of ``wheel_velocity``, ``wheel_speed`` (rad/s), ``whisker_left``, ``whisker_right`` (motion
        energy), ``pupil_left``, ``pupil_right`` (diameter, pixels), ``paws_left``, ``paws_right``
        (speed of the left and the right paw, pixels/s); left and right are the camera. By default
        wheel and whisker. One that a session lacks is reported, and never taken from the other
        camera.
    complete : sequence of str
        Columns of trials that must have a value: by default stimulus, choice, feedback, block and
        first movement.
    no_choice : bool, default=False
        Whether to keep trials without a choice.
    reaction_time : (float, float) or None, default=(0.08, 2.0)
        Least and most seconds from stimulus to first movement.
    feedback_delay : float or None, default=10
        Most seconds from go cue to feedback.
    ends : str, optional
        Column of trials that holds when each ends, such as ``"feedback_times"``; bins after it are
        marked as not observed.
    unrecorded : {"drop", "mark", "refuse"}, default="drop"
        What becomes of trials that reach beyond the recording: left out, kept with these bins marked
        as not observed, or an error. Where one probe was recorded for less time than another, its
        units are marked as not observed for the rest.
    revision : str or None, default="2024-05-06"
        Data as they were at this date, so that later changes in the database change no result; None
        is the latest.
    one : ONE, optional
        Connection to use; by default the one that ``ONE()`` gives.
    mode : {"auto", "remote", "local"}, default="auto"
        Where `one` is not given: ask the database, read what was downloaded before, or the first
        and where that fails the second.
    cache : bool or path-like, default=True
        Folder where sessions are kept by all of these parameters; True is ``$NEUROMASK_CACHE`` or
        ``~/.cache/neuromask``, False keeps none.
    n_jobs : int, default=1
        Sessions that are loaded at once, in threads.
    verbose : int, default=0
        1 shows progress over sessions.

    Returns
    -------
    Session or list of Session
        `neurons` has cluster (numbered over all probes), probe, probe_cluster, label, depth (µm),
        uuid, x, y, z (µm), atlas_id, region and firing_rate (Hz); `trials` all columns of the
        database's, and contrast (positive on the right), block and reward.

    Raises
    ------
    InvalidInputError
        If a parameter or the session is unknown, data are missing or damaged, or no trial or unit
        is left. Of several sessions, all others are loaded, and kept in the cache, first.
    ImportError
        If ONE-api or iblatlas are not installed.

    Examples
    --------
    >>> session = load_ibl("5dcee0eb-b34d-4652-acc3-d10afc6eae68")  # doctest: +SKIP
    """
    edges = bin_edges(window, bin_width)
    check_choice("atlas", atlas, ATLASES)
    check_choice("mode", mode, ("auto", "remote", "local"))
    if not (isinstance(min_label, (int, float)) and 0 <= min_label <= 1):
        raise InvalidInputError(
            f"min_label={min_label!r}; expected the share of criteria that a unit passes, "
            "from 0 to 1."
        )
    check_fraction("min_rate", min_rate, low=0.0, high=1e6)
    check_positive_int("n_jobs", n_jobs)
    check_unrecorded(unrecorded)
    signals = [signals] if isinstance(signals, str) else list(signals)
    for name in signals:
        check_choice("signals", name, SIGNALS)
    several = isinstance(eid, (list, tuple, np.ndarray, pd.Series))
    eids = [_check_eid(e) for e in (eid if several else [eid])]
    need_one()
    options = {
        "align": EVENTS.get(align, align),
        "edges": edges.tolist(),
        "bin_width": float(bin_width),
        "atlas": atlas,
        "min_label": float(min_label),
        "min_rate": float(min_rate),
        "quality": None if quality is None else _plain(quality),
        "include": None if include is None else _plain(include),
        "exclude": None if exclude is None else _plain(exclude),
        "signals": signals,
        "complete": list(complete),
        "no_choice": bool(no_choice),
        "reaction_time": None if reaction_time is None else [float(x) for x in reaction_time],
        "feedback_delay": None if feedback_delay is None else float(feedback_delay),
        "ends": None if ends is None else EVENTS.get(ends, ends),
        "unrecorded": unrecorded,
        "revision": revision,
    }
    connection = Connection(one, mode)
    folder = cache_folder(cache, "ibl")

    def load(eid: str) -> Session:
        return cached(
            folder, eid, options, lambda: read_session(connection(), eid, **options), keep=_is_whole
        )

    if several:
        return _load_all(load, eids, kept=folder is not None, n_jobs=n_jobs, verbose=verbose)
    return load(eids[0])


@public
def ibl_sessions(name: str, *, one: Any = None) -> list[str]:
    """Give the eids of a list of sessions by its name.

    Parameters
    ----------
    name : str
        ``"repeated-site"``, the 40 sessions of the multi-task-masking paper, ``"repeated-site
        pretraining"`` (35) or ``"repeated-site held-out"`` (5), which need no network; or
        ``"brain-wide-map"``, ``"brain-wide-map 2022"``, ``"brain-wide-map 2025"`` or any release
        tag of the database, which ask it.
    one : ONE, optional
        Connection to use for the latter.

    Returns
    -------
    list of str

    Raises
    ------
    InvalidInputError
        If the database does not know the tag, or cannot be reached.

    Examples
    --------
    >>> len(ibl_sessions("repeated-site"))
    40
    """
    if name in IBL_SESSIONS:
        return list(IBL_SESSIONS[name])
    need_one()
    connection = Connection(one, "remote")()
    if getattr(connection, "offline", False):
        raise InvalidInputError(
            f"{name!r} is a tag of the database, and the connection is offline. Known "
            f"without it are {sorted(IBL_SESSIONS)}.{suggest(name, IBL_SESSIONS)}"
        )
    tag = RELEASE_TAGS.get(name, name)
    _, insertions = connection.search_insertions(django=f"datasets__tags__name,{tag}", details=True)
    eids = list(dict.fromkeys(str(insertion["session"]) for insertion in insertions))
    if not eids:
        known = [*IBL_SESSIONS, *RELEASE_TAGS]
        raise InvalidInputError(
            f"the database has no session of tag {tag!r}. Known names are {known}."
            f"{suggest(name, known)}"
        )
    return eids


def _plain(given: Any) -> Any:
    """Give ids or rules as JSON can hold them, for the name of the session in the cache."""
    if isinstance(given, Mapping):
        return {str(key): _plain(value) for key, value in given.items()}
    if isinstance(given, (str, bool, int, float)):
        return given
    if isinstance(given, np.generic):
        return given.item()
    if isinstance(given, Iterable):
        return [_plain(value) for value in given]
    return str(given)


def _is_whole(session: Session) -> bool:
    """Whether no file was damaged; another download may mend one."""
    return not session.report["reason"].str.contains(DAMAGED, regex=False).any()


def _check_eid(eid: Any) -> str:
    try:
        return str(uuid.UUID(str(eid)))
    except ValueError:
        raise InvalidInputError(
            f"eid {eid!r} is no session's id; expected 32 hexadecimal digits, such as "
            "'5dcee0eb-b34d-4652-acc3-d10afc6eae68'. ONE's search gives them; "
            "neuromask.ibl_sessions gives lists by name."
        ) from None


def _load_all(
    load: Callable[[str], Session], eids: Sequence[str], *, kept: bool, n_jobs: int, verbose: int
) -> list[Session]:
    """Load sessions in threads; one that fails does not stop the others."""

    def attempt(eid: str) -> Session | Exception:
        try:
            return load(eid)
        except (InvalidInputError, OSError) as error:
            return error

    jobs = joblib.Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")(
        joblib.delayed(attempt)(eid) for eid in eids
    )
    loaded = list(_shown(jobs, len(eids), verbose))
    failed = {e: r for e, r in zip(eids, loaded, strict=True) if isinstance(r, Exception)}
    if failed:
        reasons = "\n".join(f"- {eid}: {error}" for eid, error in failed.items())
        raise InvalidInputError(
            f"{len(failed)} of {len(eids)} sessions cannot be loaded"
            f"{'; the others are in the cache' if kept else ''}. Leave these out, or mend them:\n"
            f"{reasons}"
        )
    return loaded


def _shown(jobs: Any, total: int, verbose: int) -> Any:
    if not verbose:
        return jobs
    from rich.console import Console
    from rich.progress import track

    return track(jobs, "sessions", total=total, console=Console(stderr=True))
