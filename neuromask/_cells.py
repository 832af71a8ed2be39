"""Columns and cell arrays of MATLAB."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["without_cells"]


def without_cells(x: Any) -> Any:
    """Return a column or cell array of MATLAB as one axis of plain values; all else as it is.

    Examples
    --------
    >>> cells = np.empty((2, 1), dtype=object)
    >>> cells[0, 0], cells[1, 0] = np.array(["CA1"]), np.array(["VISp"])
    >>> without_cells(cells).tolist()
    ['CA1', 'VISp']
    """
    if not isinstance(x, np.ndarray):
        return x
    if x.ndim == 2 and x.size == max(x.shape):
        x = x.ravel()
    if x.dtype != object or not any(isinstance(entry, np.ndarray) for entry in x.ravel()):
        return x
    if any(isinstance(entry, np.ndarray) and entry.size > 1 for entry in x.ravel()):
        return x
    plain = np.empty(x.shape, dtype=object)
    for where, entry in np.ndenumerate(x):
        is_cell = isinstance(entry, np.ndarray)
        plain[where] = (entry.item() if entry.size else np.nan) if is_cell else entry
    return plain
