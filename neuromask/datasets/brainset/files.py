"""Files of torch_brain: opened, and what lies in them. The only module that imports temporaldata.

A file is one object ``Data`` of HDF5 groups: intervals (trials, splits), time series (spikes,
behaviour) and tables (units), which may lie in further ``Data``. torch_brain before 0.2 writes it
with the package ``temporaldata``, from 0.2 on with its own module ``torch_brain.data``.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd

from ..._checks import check_path
from ...errors import InvalidInputError, current_call, suggest

__all__ = ["columns", "find", "named", "opened", "part"]

PACKAGES = ("temporaldata", "torch_brain.data")
KINDS = ("Interval", "IrregularTimeSeries", "RegularTimeSeries", "ArrayDict")


@contextmanager
def opened(path: str | os.PathLike) -> Iterator[Any]:
    """Open a file and give its ``Data``, of which each array is read when it is used."""
    data_class = _data_class()
    import h5py

    path = check_path("path", path)
    if not path.is_file():
        near = suggest(path.name, [p.name for p in path.parent.glob("*.h5")])
        raise InvalidInputError(f"there is no file {path}.{near}")
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise InvalidInputError(
            f"{path} cannot be read ({error}); expected an HDF5 file of torch_brain. Copy or make the "
            "file again."
        ) from error
    with file:
        if "nwb_version" in file.attrs:
            raise InvalidInputError(f"{path} is an NWB file. Use neuromask.load_nwb.")
        if file.attrs.get("object") != "Data":
            raise InvalidInputError(
                f"{path} holds {sorted(file)}, which torch_brain has not written; expected a file of "
                "its Data.to_hdf5."
            )
        yield data_class.from_hdf5(file, lazy=True)


def _data_class() -> Any:
    for package in PACKAGES:
        try:
            return importlib.import_module(package).Data
        except ImportError:
            continue
    raise ImportError(
        f"{current_call()}: temporaldata is not installed. Run: pip install 'neuromask[brainset]'"
    )


def named(data: Any, kinds: tuple[str, ...], within: str = "") -> dict[str, Any]:
    """Give the objects of some kinds in a ``Data``, by their path with dots."""
    found = {}
    for key in data.keys():  # noqa: SIM118
        value = getattr(data, key)
        if type(value).__name__.removeprefix("Lazy") in kinds:
            found[within + key] = value
        elif hasattr(value, "absolute_start"):
            found |= named(value, kinds, f"{within}{key}.")
    return found


def find(data: Any, name: str, kinds: tuple[str, ...], what: str) -> Any:
    """Give one object by its path with dots, or the end of it.

    Parameters
    ----------
    data : Data
        The file.
    name : str
        Such as ``"task_aligned_intervals.choice"`` or ``"choice"``.
    kinds : tuple of str
        Of `KINDS`.
    what : str
        What is looked for, in errors.
    """
    found = named(data, kinds)
    fitting = [path for path in found if path == name] or [
        path for path in found if path.endswith(f".{name}")
    ]
    if len(fitting) != 1:
        problem = f"is several of {fitting}" if fitting else "is not in the file"
        raise InvalidInputError(
            f"{what} {name!r} {problem}; expected one of {sorted(found)}.{suggest(name, found)}"
        )
    return found[fitting[0]]


def part(data: Any, *path: str) -> Any:
    """Give what lies at a path, None where there is nothing."""
    for key in path:
        if data is None or key not in data.keys():  # noqa: SIM118
            return None
        data = getattr(data, key)
    return data


def columns(table: Any) -> pd.DataFrame:
    """Give the columns of an object that have one value a row; text as text."""
    values = {str(key): np.asarray(getattr(table, key)) for key in table.keys()}  # noqa: SIM118
    plain = {key: _text(v) for key, v in values.items() if v.ndim == 1}
    return pd.DataFrame(plain)


def _text(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind == "S":
        return np.char.decode(values, "utf-8")
    if values.dtype.kind != "O":
        return values
    return np.array([v.decode() if isinstance(v, bytes) else v for v in values], object)
