"""Which units of a recording are kept."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ..errors import InvalidInputError, suggest
from .report import Report
from .times import plain

__all__ = ["choose_ids"]


def choose_ids(table: pd.DataFrame, include: Any, exclude: Any, report: Report) -> pd.DataFrame:
    """Keep the units that are named, or all but those.

    Parameters
    ----------
    table : DataFrame
        One row a unit, indexed by its name.
    include, exclude : array-like, optional
        Names of units.
    report : Report
        Gets a row for each that drops any.

    Raises
    ------
    InvalidInputError
        If a name is of no unit, or no unit is left.

    Examples
    --------
    >>> table, report = pd.DataFrame(index=[3, 5, 8]), Report()
    >>> choose_ids(table, None, [5], report).index.tolist()
    [3, 8]
    """
    for name, wanted in (("include", include), ("exclude", exclude)):
        if wanted is None:
            continue
        ids = np.atleast_1d(plain(wanted)).tolist()
        known = set(table.index)
        strangers = [i for i in ids if i not in known]
        if strangers:
            shown = ", ".join(map(str, table.index[:5])) + (", ..." if len(table) > 5 else "")
            near = suggest(str(strangers[0]), [str(i) for i in table.index])
            raise InvalidInputError(
                f"{name} names {strangers[0]!r}, which is no unit; expected some of {shown}.{near}"
            )
        keep = table.index.isin(ids) == (name == "include")
        reason = "not in include" if name == "include" else "in exclude"
        report.dropped("neurons", reason, (~keep).sum(), keep.sum())
        table = table[keep]
    if not len(table):
        raise InvalidInputError("include and exclude leave no unit; expected at least one.")
    return table
