"""Sessions from ``.npz`` files."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

import numpy as np

from .._errors import InvalidInputError, suggest
from ..session import FORMAT_VERSION, Session

__all__ = ["load_npz"]

# The taught subset of Steinmetz et al. (2019), Nature 576, 266-273, has bins of 10 ms.
STEINMETZ_BIN_WIDTH = 0.01
STEINMETZ_TRIALS = ("contrast_left", "contrast_right", "feedback")


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
    path = Path(path)
    if not path.is_file():
        near = suggest(path.name, [p.name for p in path.parent.glob("*.npz")])
        raise InvalidInputError(f"load_npz: there is no file {path}.{near}")
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
    except (zipfile.BadZipFile, ValueError, OSError, EOFError, AttributeError) as error:
        raise InvalidInputError(
            f"load_npz: {path} cannot be read ({error}); expected an .npz file without pickled "
            "objects. Copy or make the file again."
        ) from error
    if "header" in arrays:
        return _own_layout(arrays, path)
    if "spikes" in arrays and "regions" in arrays:
        return _steinmetz_layout(arrays, path)
    raise InvalidInputError(
        f"load_npz: {path} has the keys {sorted(arrays)}; expected a file of Session.save, or the "
        "keys 'spikes' and 'regions'. Build a neuromask.Session from the arrays instead."
    )


def _own_layout(arrays: dict[str, np.ndarray], path: Path) -> Session:
    header = json.loads(str(arrays["header"]))
    if header["version"] > FORMAT_VERSION:
        raise InvalidInputError(
            f"load_npz: {path} has format version {header['version']}; this neuromask reads up to "
            f"{FORMAT_VERSION}. Upgrade neuromask."
        )
    parts: dict[str, dict[str, np.ndarray]] = {"neurons": {}, "trials": {}, "signals": {}}
    for key, values in arrays.items():
        kind, _, name = key.partition("/")
        if name:
            parts[kind][name] = values
    return Session(
        arrays["counts"],
        neurons=parts["neurons"] or None,
        trials=parts["trials"] or None,
        signals=parts["signals"],
        bin_width=header["bin_width"],
        session_id=header["session_id"],
        subject=header["subject"],
        rates=arrays.get("rates"),
    )


def _steinmetz_layout(arrays: dict[str, np.ndarray], path: Path) -> Session:
    subject = str(arrays["mouse"]) if "mouse" in arrays else None
    named = [str(arrays[key]) for key in ("mouse", "date") if key in arrays]
    return Session(
        arrays["spikes"],
        arrays["regions"],
        trials={key: arrays[key] for key in STEINMETZ_TRIALS if key in arrays} or None,
        bin_width=STEINMETZ_BIN_WIDTH,
        session_id="_".join(named) or path.stem,
        subject=subject,
    )
