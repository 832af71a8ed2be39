"""Files of a session, through ONE: the only module that imports ONE-api."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from ...errors import InvalidInputError, current_call, suggest, warn

__all__ = ["DAMAGED", "Connection", "DamagedFileError", "SessionFiles", "need_one", "region_names"]

#: What is said of a damaged file, in errors and in the report.
DAMAGED = "cannot be read"
SIGN_UP = "https://openalyx.internationalbrainlab.org"


def need_one() -> None:
    """Say which extra brings ONE-api, where it is not installed."""
    try:
        import iblatlas.regions  # noqa: F401
        import one.api  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f"{current_call()}: {error.name} is not installed. Run: pip install 'neuromask[ibl]'"
        ) from error


class DamagedFileError(InvalidInputError):
    """A file that is here and cannot be read."""


class Connection:
    """A connection that is made when it is first needed: sessions in the cache need none.

    Parameters
    ----------
    one : ONE or None
        The connection, if there is one already.
    mode : {"auto", "remote", "local"}
        How to make it otherwise.
    """

    def __init__(self, one: Any, mode: str) -> None:
        self._one = one
        self._mode = mode
        self._lock = threading.Lock()

    def __call__(self) -> Any:
        """Give the connection."""
        with self._lock:
            if self._one is None:
                self._one = self._connect()
        return self._one

    def _connect(self) -> Any:
        from one.api import ONE

        if self._mode == "local":
            return ONE(mode="local", silent=True)
        try:
            return ONE(mode="remote", silent=True)
        except Exception as error:  # no network, no account, or a server that does not answer
            reason = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
            if self._mode == "remote":
                raise InvalidInputError(
                    f"the database cannot be reached ({reason}). Store a login once with "
                    f"one.api.ONE.setup(base_url='{SIGN_UP}', username=...), pass one=ONE(...), or "
                    "use mode='local' for what was downloaded before."
                ) from error
            warn(f"the database cannot be reached ({reason}); reading what was downloaded before.")
            return ONE(mode="local", silent=True)


class SessionFiles:
    """Datasets of one session, at a pinned revision.

    Parameters
    ----------
    one : ONE
        A connection, remote or local.
    eid : str
        The session.
    revision : str or None
        Latest revision that is read.

    Raises
    ------
    InvalidInputError
        If the database, or what was downloaded of it, does not have the session.
    """

    def __init__(self, one: Any, eid: str, revision: str | None) -> None:
        self.one, self.eid, self.revision = one, eid, revision
        path = self._path()
        if path is None:
            known = [str(other) for other in one.search(query_type="local")]
            raise InvalidInputError(
                f"no session {eid!r} is known to {one!r}, which has {len(known)} sessions "
                f"at hand.{suggest(eid, known)} Check the eid, or ask the database with "
                "mode='remote'."
            )
        self.path = path
        self.names = sorted(str(name) for name in one.list_datasets(eid))
        self.damaged: list[str] = []

    def _path(self) -> Any:
        from one.alf.exceptions import ALFError

        try:
            return self.one.eid2path(self.eid)
        except (ALFError, ValueError):
            return None

    @property
    def subject(self) -> str:
        """The animal."""
        return str(self.one.eid2ref(self.eid)["subject"])

    def collections(self, filename: str) -> list[str]:
        """Give the collections that have a file, in order."""
        found = self.one.list_collections(self.eid, filename=filename)
        return sorted(str(name) for name in found)

    def read(self, name: str, attribute: str, collection: str) -> Any:
        """Read one attribute of an ALF object; None where the session does not have it.

        Raises
        ------
        InvalidInputError
            If the database has it and it is not here.
        DamagedFileError
            If the file is damaged.
        """
        found = self._load(name, collection, attribute=attribute)
        return None if found is None else found.get(attribute)

    def read_all(self, name: str, collection: str) -> Any:
        """Read all attributes of an ALF object; None where the session does not have it."""
        return self._load(name, collection)

    def _load(self, name: str, collection: str, **filters: str) -> Any:
        from one.alf.exceptions import ALFObjectNotFound

        what = ".".join([name, *filters.values()])
        try:
            return self.one.load_object(
                self.eid, name, collection=collection, revision=self.revision, **filters
            )
        except ALFObjectNotFound as error:
            if "not found on disk" in str(error):
                raise self._not_here(what, collection) from error
            return None
        except Exception as error:  # damage shows in numpy, pyarrow, pandas or the network alike
            # Of a network or a disk, which may answer the next time, nothing follows for the data.
            kind = InvalidInputError if isinstance(error, OSError) else DamagedFileError
            raise kind(
                f"{what} in {self.path / collection} {DAMAGED} "
                f"({type(error).__name__}: {error}). Delete the file and load it again with a "
                "network."
            ) from error

    def _not_here(self, what: str, collection: str) -> InvalidInputError:
        here = [name for name in self.names if (self.path / name).exists()]
        missing = [name for name in self.names if name not in here]
        return InvalidInputError(
            f"{what} in {collection!r} of session {self.eid} was not downloaded, and there "
            f"is no connection to the database. Here are: {', '.join(here) or 'none'}. Missing are: "
            f"{', '.join(missing)}. Use mode='remote' once with a network."
        )


def region_names(atlas_ids: np.ndarray, atlas: str) -> np.ndarray:
    """Name Allen's regions in a parcellation; empty where Allen's atlas has no such id.

    Parameters
    ----------
    atlas_ids : array of int (neurons,)
        Allen's ids; negative ones lie in the left hemisphere.
    atlas : str
        Beryl, Allen, Cosmos or Swanson.
    """
    from iblatlas.regions import BrainRegions

    regions = BrainRegions()
    known = np.isin(np.abs(atlas_ids), np.abs(regions.id))
    names = np.full(len(atlas_ids), "", object)
    names[known] = regions.id2acronym(np.abs(atlas_ids[known]), mapping=atlas)
    return names.astype(str)
