"""Tables of neurons and trials: read, indexed and made plain for files."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from ._cells import without_cells
from .errors import InvalidInputError

__all__ = ["NAME_COLUMNS", "need_columns", "plain_column", "read_indices", "read_table"]

# Columns of a table of neurons that name them; of several the first counts.
NAME_COLUMNS = ("uuid", "uuids", "id", "unit_id", "cluster_id", "cluster")


def need_columns(table: Any, columns: Sequence[str], made_by: str = "") -> None:
    """Refuse what is no table or lacks a column.

    Parameters
    ----------
    table : Any
        What was given.
    columns : sequence of str
        Columns that are needed.
    made_by : str, optional
        The function that makes such tables.
    """
    expected = f"a table of {made_by}" if made_by else f"the columns {list(columns)}"
    if not isinstance(table, pd.DataFrame):
        raise InvalidInputError(
            f"the table is a {type(table).__name__}; expected a DataFrame, {expected}."
        )
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise InvalidInputError(f"the table lacks {missing}; expected {expected}.")


def read_table(
    given: Any,
    length: int,
    name: str,
    row: str,
    advice: Callable[[int], str] = lambda n_rows: "",
) -> pd.DataFrame:
    """Copy a table with a fresh index, checking its length; `advice` ends the error of another one."""
    if given is None or (isinstance(given, Mapping) and not given):
        return pd.DataFrame(index=pd.RangeIndex(length))
    if isinstance(given, Mapping):
        given = {column: without_cells(values) for column, values in given.items()}
    try:
        table = pd.DataFrame(given).reset_index(drop=True).copy()
    except (ValueError, TypeError) as error:
        raise InvalidInputError(
            f"{name} is a {type(given).__name__} that is no table ({error}); expected a DataFrame "
            f"or a mapping from columns to {length} values, one a {row}."
        ) from error
    if len(table) != length:
        raise InvalidInputError(
            f"{name} has {len(table)} rows; expected {length}, one a {row}.{advice(len(table))}"
        )
    columns = [str(column) for column in table.columns]
    twice = sorted({column for column in columns if columns.count(column) > 1})
    if twice:
        raise InvalidInputError(
            f"{name} has more than one column {twice[0]!r}; expected distinct names. "
            "Rename or drop one."
        )
    return table


def read_indices(key: Any, length: int, what: str) -> np.ndarray:
    """Turn a mask or indices into indices, refusing what does not fit."""
    try:
        chosen = np.asarray(key)
    except ValueError:  # rows of unequal length
        chosen = np.asarray(key, dtype=object)
    if chosen.size == 0 and chosen.dtype != bool:
        chosen = chosen.astype(int)
    if chosen.dtype == bool:
        if chosen.shape != (length,):
            raise InvalidInputError(
                f"a mask of shape {chosen.shape} for {length} {what}; expected ({length},)."
            )
        return np.flatnonzero(chosen)
    if chosen.dtype.kind not in "iu" or chosen.ndim != 1:
        raise InvalidInputError(
            f"{what} can be chosen by a slice, a boolean mask or a list of indices; given {key!r}."
        )
    if chosen.size and not (-length <= chosen.min() and chosen.max() < length):
        raise IndexError(f"Session: index out of range for {length} {what}.")
    return chosen


def plain_column(column: pd.Series, name: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Return a column as numbers or text, which need no pickle, and where text or truth has gaps."""
    values = column.to_numpy()
    if values.dtype.kind in "biufcUmM":
        return values, None
    gaps = pd.isna(column).to_numpy()
    present = values[~gaps]
    found = gaps if gaps.any() else None
    if all(isinstance(v, (str, bytes, uuid.UUID)) for v in present):
        return np.array([_as_text(v) for v in np.where(gaps, "", values)], str), found
    if all(isinstance(v, (bool, np.bool_)) for v in present):
        return np.where(gaps, False, values).astype(bool), found
    if all(isinstance(v, Real) and not isinstance(v, (bool, np.bool_)) for v in present):
        return np.where(gaps, np.nan, values).astype(float), None
    kinds = pd.Series(present).map(lambda v: type(v).__name__)
    odd = kinds[~kinds.isin(["str", "int", "float", "bool"])]
    row = int(np.flatnonzero(~gaps)[odd.index[0] if len(odd) else kinds.ne(kinds[0]).idxmax()])
    raise InvalidInputError(
        f"{name} holds {' and '.join(kinds.unique()[:3])} values, such as {values[row]!r} in row "
        f"{row}; expected numbers, text or truth values, all of one kind. Convert the column first, "
        "for example with .astype(str), or drop it."
    )


def _as_text(value: str | bytes | uuid.UUID) -> str:
    # Files of HDF5 and MATLAB give text as bytes.
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
