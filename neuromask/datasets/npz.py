"""Sessions from ``.npz`` files."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from .._checks import check_path
from ..errors import InvalidInputError, public, suggest
from ..session import SESSION_FORMAT, Session

__all__ = ["load_npz", "read_npz"]

# The taught subset of Steinmetz et al. (2019), Nature 576, 266-273, has bins of 10 ms.
STEINMETZ_BIN_WIDTH = 0.01
STEINMETZ_TRIALS = ("contrast_left", "contrast_right", "feedback")


@public
def load_npz(path: str | os.PathLike) -> Session:
    """Read a session from a file of :meth:`Session.save` or of the Steinmetz layout.

    The Steinmetz layout has the keys ``spikes``, ``regions``, ``contrast_left``,
    ``contrast_right``, ``feedback``, ``mouse`` and ``date``.

    Parameters
    ----------
    path : path-like
        File to read; no pickle is ever loaded.

    Returns
    -------
    Session

    Raises
    ------
    InvalidInputError
        If the file is missing, damaged, of an unknown layout or of a later version.
    """
    return read_npz(check_path("path", path))[0]


def read_npz(path: Path) -> tuple[Session, str | None]:
    """Read a session, and what the file says that it was made from."""
    if not path.is_file():
        near = suggest(path.name, [p.name for p in path.parent.glob("*.npz")])
        raise InvalidInputError(f"there is no file {path}.{near}")
    if not zipfile.is_zipfile(path):
        raise InvalidInputError(
            f"{path} cannot be read, as it is not an .npz file or lacks its end; "
            "expected a file of Session.save or numpy.savez. Copy or make the file again."
        )
    try:
        # Opened here, for numpy leaves a damaged file open.
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
    except Exception as error:  # damage shows in the zip, zlib, a header or its text alike
        raise InvalidInputError(
            f"{path} cannot be read ({type(error).__name__}: {error}); expected an .npz "
            "file without pickled objects. Copy or make the file again."
        ) from error
    header = _header(arrays)
    if header is not None:
        return _own_layout(arrays, header, path), header.get("made_from")
    if "spikes" in arrays and "regions" in arrays:
        return _steinmetz_layout(arrays, path), None
    raise _unknown_layout(arrays, path)


def _header(arrays: dict[str, np.ndarray]) -> dict[str, Any] | None:
    """Read the header of Session.save; None if this is some other file's or absent."""
    try:
        header = json.loads(str(arrays["header"]))
    except (KeyError, ValueError):
        return None
    return header if isinstance(header, dict) and "version" in header else None


def _unknown_layout(arrays: dict[str, np.ndarray], path: Path) -> InvalidInputError:
    return InvalidInputError(
        f"{path} has the keys {sorted(arrays)}; expected a file of Session.save, or the "
        "keys 'spikes' and 'regions'. Build a neuromask.Session from the arrays instead."
    )


def _own_layout(arrays: dict[str, np.ndarray], header: dict[str, Any], path: Path) -> Session:
    if header["version"] > SESSION_FORMAT:
        raise InvalidInputError(
            f"{path} has format version {header['version']}; this neuromask reads up to "
            f"{SESSION_FORMAT}. Upgrade neuromask."
        )
    parts: dict[str, dict[str, np.ndarray]]
    parts = {"neurons": {}, "trials": {}, "signals": {}, "gaps": {}}
    for key, values in arrays.items():
        kind, slash, name = key.partition("/")
        if slash and kind in parts:
            parts[kind][name] = values
        elif key not in ("header", "counts", "rates", "observed"):
            raise _unknown_layout(arrays, path)
    for key, gaps in parts["gaps"].items():
        kind, _, name = key.partition("/")
        text = parts.get(kind, {}).get(name)
        if text is None or gaps.dtype != bool or gaps.shape != text.shape:
            raise _unknown_layout(arrays, path)
        parts[kind][name] = np.where(gaps, np.nan, text.astype(object))
    if "counts" not in arrays:
        raise _unknown_layout(arrays, path)
    return _session(
        path,
        arrays["counts"],
        neurons=parts["neurons"] or None,
        trials=parts["trials"] or None,
        signals=parts["signals"],
        bin_width=header.get("bin_width"),
        t_start=header.get("t_start"),
        observed=arrays.get("observed"),
        session_id=header.get("session_id", path.stem),
        subject=header.get("subject"),
        rates=arrays.get("rates"),
        report=header.get("report"),
    )


def _steinmetz_layout(arrays: dict[str, np.ndarray], path: Path) -> Session:
    subject = str(arrays["mouse"]) if "mouse" in arrays else None
    named = [str(arrays[key]) for key in ("mouse", "date") if key in arrays]
    return _session(
        path,
        arrays["spikes"],
        regions=arrays["regions"],
        trials={key: arrays[key] for key in STEINMETZ_TRIALS if key in arrays} or None,
        bin_width=STEINMETZ_BIN_WIDTH,
        session_id="_".join(named) or path.stem,
        subject=subject,
    )


def _session(path: Path, counts: np.ndarray, **fields: Any) -> Session:
    """Make the session, naming the file where its contents do not fit together."""
    try:
        return Session(counts, **fields)
    except InvalidInputError as error:
        raise InvalidInputError(f"{path}: {error.reason}") from error
