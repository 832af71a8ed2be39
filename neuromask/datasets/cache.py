"""Sessions kept on disk, by everything that made them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..errors import InvalidInputError, warn
from ..session import Session, write_session
from .npz import read_npz

__all__ = ["cache_folder", "cached"]

# How loaders make sessions of data. Whoever changes what a loader gives for the same data raises this
# by one, and sessions that were kept before are made again.
ASSEMBLY = 2


def cache_folder(cache: bool | str | os.PathLike, source: str) -> Path | None:
    """Give the folder of a source's sessions, or None for no cache.

    True is ``$NEUROMASK_CACHE``, or ``~/.cache/neuromask`` where that is not set.
    """
    if cache is False:
        return None
    home = os.environ.get("NEUROMASK_CACHE") or Path.home() / ".cache" / "neuromask"
    return Path(home if cache is True else cache) / source


def cached(
    folder: Path | None,
    name: str,
    parameters: Mapping[str, Any],
    make: Callable[[], Session],
    *,
    keep: Callable[[Session], bool] = lambda session: True,
) -> Session:
    """Read a session that was made with the same parameters before, or make and keep it.

    Parameters
    ----------
    folder : Path or None
        Where sessions are kept; None makes the session each time.
    name : str
        Start of the file's name.
    parameters : mapping
        All that the session depends on, as JSON can hold it.
    make : callable
        Makes the session.
    keep : callable, optional
        Whether a session that was made is worth keeping; all are by default.

    Warns
    -----
    NeuromaskWarning
        If the file is damaged or of another session, which is made again then, or if the session
        cannot be kept.
    """
    if folder is None:
        return make()
    asked = {"assembly": ASSEMBLY, "name": name, "parameters": dict(parameters)}
    made_from = json.dumps(asked, sort_keys=True)
    path = folder / f"{name}-{hashlib.sha256(made_from.encode()).hexdigest()[:16]}.npz"
    try:
        if path.exists():
            session, its = read_npz(path)
            if its == made_from:
                return session
            warn(f"{path} in the cache holds another session than its name says; it is made again.")
    except (InvalidInputError, OSError) as error:
        warn(f"A cached session is damaged and is made again. {error}")
    session = make()
    if not keep(session):
        return session
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_session(session, path, made_from=made_from)
    except (InvalidInputError, OSError) as error:
        warn(f"session {session.session_id!r} is loaded, but cannot be kept in the cache. {error}")
    return session
