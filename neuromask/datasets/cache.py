"""Sessions kept on disk, by everything that made them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .. import __version__
from ..errors import InvalidInputError, warn
from ..session import Session
from .npz import load_npz

__all__ = ["cache_folder", "cached"]


def cache_folder(cache: bool | str | os.PathLike, source: str) -> Path | None:
    """Give the folder of a source's sessions, or None for no cache.

    True is ``$NEUROMASK_CACHE``, or ``~/.cache/neuromask`` where that is not set.
    """
    if cache is False:
        return None
    home = os.environ.get("NEUROMASK_CACHE") or Path.home() / ".cache" / "neuromask"
    return Path(home if cache is True else cache) / source


def cached(
    folder: Path | None, name: str, parameters: Mapping[str, Any], make: Callable[[], Session]
) -> Session:
    """Read a session that was made with the same parameters before, or make and keep it.

    Parameters
    ----------
    folder : Path or None
        Where sessions are kept; None makes the session each time.
    name : str
        Start of the file's name.
    parameters : mapping
        All that the session depends on, as JSON can hold it. The version of the library counts too.
    make : callable
        Makes the session.

    Warns
    -----
    NeuromaskWarning
        If the file is damaged; the session is made again.
    """
    if folder is None:
        return make()
    known = json.dumps({"version": __version__} | dict(parameters), sort_keys=True)
    path = folder / f"{name}-{hashlib.sha256(known.encode()).hexdigest()[:16]}.npz"
    if path.exists():
        try:
            return load_npz(path)
        except InvalidInputError as error:
            warn(f"A cached session is damaged and is made again. {error}")
    session = make()
    folder.mkdir(parents=True, exist_ok=True)
    session.save(path, overwrite=True)  # whole or not at all
    return session
