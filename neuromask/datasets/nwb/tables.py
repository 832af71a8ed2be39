"""Columns of NWB tables that have one number or text a row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ..._checks import is_missing
from ...errors import InvalidInputError
from ..report import Report

__all__ = ["lists_of", "plain_column", "plain_table"]


def plain_table(
    source: Any, item: str, report: Report, taken: tuple[str, ...] = ()
) -> pd.DataFrame:
    """Read the columns of an NWB table that have one number or text a row.

    Parameters
    ----------
    source : hdmf.common.DynamicTable
        Such as trials or units of a file that is open.
    item : str
        What its rows are, for the report.
    report : Report
        Gets a row for the columns that are left out: ragged, of several dimensions, or references.
    taken : tuple of str
        Names that the session has itself; a column of such a name gets ``file_`` in front.

    Returns
    -------
    DataFrame
        Numbers or text; text that is missing is None.
    """
    columns, others = {}, []
    for name in source.colnames:
        values = plain_column(source[name], len(source))
        if values is None:
            others.append(name)
        else:
            columns[f"file_{name}" if name in taken else name] = values
    reason = f"ragged, of several dimensions or references: {', '.join(others)}"
    report.dropped(f"columns of {item}", reason, len(others), len(columns))
    return pd.DataFrame(columns, index=pd.RangeIndex(len(source)))


def plain_column(column: Any, length: int) -> np.ndarray | None:
    """Give a column as an array (rows,) of numbers or text; None where it is neither."""
    # An index makes a column ragged; rows of another table only look like numbers.
    if any(hasattr(column, name) for name in ("target", "table")):
        return None
    # The shape is known without reading: waveforms can be large.
    if np.shape(column.data) not in ((length,), (length, 1)):
        return None
    values = np.asarray(column.data[:]).reshape(-1)
    if hasattr(column, "elements"):  # codes of labels
        labels = np.asarray(column.elements.data[:])
        known = values.dtype.kind in "iu" and (not length or values.max() < len(labels))
        values = labels[values] if known else values.astype("V")
    return _text(values) if values.dtype.kind in "SUTO" else _numbers(values)


def _numbers(values: np.ndarray) -> np.ndarray | None:
    return values if values.dtype.kind in "biufmM" else None


def _text(values: np.ndarray) -> np.ndarray | None:
    """Give text, where a row may have none, or numbers that were kept as objects."""
    texts = [v.decode("utf-8", "replace") if isinstance(v, bytes) else v for v in values.tolist()]
    texts = [None if is_missing(v) else v for v in texts]
    there = [v for v in texts if v is not None]
    if all(isinstance(v, str) for v in there):
        return np.array(texts, dtype=object)
    if all(isinstance(v, (bool, int, float, np.number, np.bool_)) for v in there):
        whole = len(there) == len(texts)
        return np.asarray(texts) if whole else np.array(texts, dtype=float)
    return None


def lists_of(column: Any) -> list[np.ndarray]:
    """Give the values of each row of a column, ragged or not."""
    if not hasattr(column, "target"):
        values = np.asarray(column.data[:])
        return list(values.reshape(len(values), -1))
    values, ends = np.asarray(column.target.data[:]), np.asarray(column.data[:], int)
    starts = np.concatenate([[0], ends])[:-1]
    if (ends < starts).any() or ends.max(initial=0) > len(values):
        raise InvalidInputError(
            f"the index of column {column.target.name!r} does not fit its {len(values)} values; "
            "expected ascending ends of rows. Copy or download the file again."
        )
    return [values[start:end] for start, end in zip(starts, ends, strict=True)]
