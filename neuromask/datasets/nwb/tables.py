"""Tables of NWB files: columns that are plain, and the region of each unit."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pandas as pd

from ..._checks import is_missing
from ...errors import InvalidInputError, suggest
from ..report import Report

__all__ = ["REGION_OF_NO_ENTRY", "plain_columns", "unit_regions"]

# Columns of units that name a region, the first present one is taken. Of the atlases in files of
# the International Brain Laboratory, Beryl's regions are those that its papers count by.
REGION_COLUMNS = (
    "beryl_location",
    "region",
    "regions",
    "brain_region",
    "brain_area",
    "location",
    "anatomical_location",
    "allen_location",
    "cosmos_location",
    "area",
    "structure",
    "acronym",
)
PEAK_COLUMNS = ("peak_channel_id", "peak_channel", "peak_electrode", "max_electrode")
# NWB asks for "unknown" where a location is not known, and writers put much else.
MISSING = ("", "nan", "none", "null", "n/a", "unknown")
# In atlases the whole brain, hence no region in particular: it is never a target by default.
REGION_OF_NO_ENTRY = "root"


def plain_columns(table: Any) -> tuple[pd.DataFrame, list[str]]:
    """Read the columns of an NWB table that have one number or text a row.

    Parameters
    ----------
    table : hdmf.common.DynamicTable
        Such as trials or units of a file that is open.

    Returns
    -------
    DataFrame
        Columns of numbers or text; one of shape (rows, 1) counts as such.
    list of str
        Names of the others: ragged, of several dimensions, or references.
    """
    columns, others = {}, []
    for name in table.colnames:
        values = _plain(table[name], len(table))
        if values is None:
            others.append(name)
        else:
            columns[name] = values
    return pd.DataFrame(columns, index=pd.RangeIndex(len(table))), others


def _plain(column: Any, length: int) -> np.ndarray | None:
    # An index makes a column ragged; codes of other tables or of labels only look like numbers.
    if any(hasattr(column, name) for name in ("target", "table", "elements")):
        return None
    # The shape is known without reading: waveforms can be large.
    if np.shape(column.data) not in ((length,), (length, 1)):
        return None
    values = np.asarray(column.data[:]).reshape(-1)
    if values.dtype.kind in "SO":
        texts = [v.decode() if isinstance(v, bytes) else v for v in values]
        values = np.array(texts, dtype=object)
        return values if all(isinstance(v, str) for v in texts) else None
    return values if values.dtype.kind in "biufUmM" else None


def unit_regions(
    units: Any, electrodes: Any, column: str | None, report: Report
) -> np.ndarray | None:
    """Find the region of each unit: in a column of units, or where its electrodes are.

    Parameters
    ----------
    units, electrodes : hdmf.common.DynamicTable
        Tables of a file that is open; `electrodes` may be None.
    column : str or None
        Column of units, or else of electrodes, that names regions; well-known ones by default.
    report : Report
        Gets rows of units without a region, and of those with electrodes in several.

    Returns
    -------
    ndarray of str (units,), or None
        `REGION_OF_NO_ENTRY` where a unit has none; None where no unit has one.
    """
    labels = _named_regions(units, electrodes, column, report)
    known = np.array([not _is_unknown(label) for label in labels], bool)
    reason = f"no region in the file, so {REGION_OF_NO_ENTRY!r}" if known.any() else "no region"
    report.dropped("regions", reason, (~known).sum(), known.sum())
    if not known.any():
        return None
    return np.array(
        [str(x).strip() if k else REGION_OF_NO_ENTRY for x, k in zip(labels, known, strict=True)]
    )


def _is_unknown(label: Any) -> bool:
    return is_missing(label) or str(label).strip().lower() in MISSING


def _named_regions(units: Any, electrodes: Any, column: str | None, report: Report) -> list[Any]:
    there = [] if electrodes is None else list(electrodes.colnames)
    if column is not None and column not in units.colnames and column not in there:
        raise InvalidInputError(
            f"region_column={column!r} is in neither table of the file; expected a column "
            f"of units, {list(units.colnames)}, or of electrodes, {there}."
            f"{suggest(column, [*units.colnames, *there])}"
        )
    simple = {name.lower().replace(" ", "_"): name for name in units.colnames}
    names = [simple.get(name) for name in REGION_COLUMNS] if column is None else [column]
    for name in names:
        if name not in units.colnames:
            continue
        labels = _plain(units[name], len(units))
        # SpikeInterface writes coordinates as "location": only text names a region.
        if labels is not None and labels.dtype.kind in "OU":
            return list(labels)
        if column is not None:
            raise InvalidInputError(
                f"region_column={column!r} holds no text; expected the name of a region for "
                "each unit. Choose another column."
            )
    places = _plain(electrodes[column or "location"], len(electrodes)) if there else None
    rows = _electrode_rows(units, electrodes) if places is not None else None
    if rows is not None and places is not None:
        return _regions_of_rows(rows, places, report)
    if column is not None:
        raise InvalidInputError(
            f"region_column={column!r} is a column of electrodes, but units do not say which "
            "electrodes are theirs; expected a column of units. Choose one of those, or None."
        )
    if "electrode_group" in units.colnames:
        return [group.location for group in units["electrode_group"].data]
    return [None] * len(units)


def _regions_of_rows(rows: list[np.ndarray], places: np.ndarray, report: Report) -> list[Any]:
    """Name each unit after most of its electrodes; the earlier of two regions with equally many."""
    labels: list[Any] = []
    n_several = 0
    for chosen in rows:
        found = Counter(str(x).strip() for x in places[chosen] if not _is_unknown(x))
        n_several += len(found) > 1
        labels.append(found.most_common(1)[0][0] if found else None)
    reason = "electrodes in several regions, so that of most of them"
    report.dropped("regions", reason, n_several, len(rows) - n_several)
    return labels


def _electrode_rows(units: Any, electrodes: Any) -> list[np.ndarray] | None:
    """Give rows of electrodes for each unit: its peak's alone, where the file says which that is."""
    lists = None
    if "electrodes" in units.colnames:
        lists = _lists(units["electrodes"], len(electrodes))
    for name in PEAK_COLUMNS:
        if name not in units.colnames:
            continue
        if hasattr(units[name], "table"):  # a reference into the table of electrodes
            return _lists(units[name], len(electrodes))
        peaks = _plain(units[name], len(units))
        rows = None if peaks is None else _peak_rows(peaks, electrodes.id.data[:], lists)
        if rows is not None:
            return list(rows[:, None])
    return lists


def _lists(column: Any, n_electrodes: int) -> list[np.ndarray]:
    if not hasattr(column, "target"):
        lists = list(np.asarray(column.data[:]).reshape(len(column.data), -1))
    else:
        lists = np.split(np.asarray(column.target.data[:]), np.asarray(column.data[:-1], int))
    return [rows[(rows >= 0) & (rows < n_electrodes)].astype(int) for rows in lists]


def _peak_rows(
    peaks: np.ndarray, ids: np.ndarray, lists: list[np.ndarray] | None
) -> np.ndarray | None:
    """Turn numbers of peak channels into rows of electrodes (units,); None where none fits.

    They may be ids of electrodes, or rows that are counted from 0 or, as in the files of Steinmetz
    et al. (2019), from 1. A unit's own electrodes tell: these hold its peak, often as the first.
    """
    row_of = {int(i): row for row, i in enumerate(ids)}
    if peaks.dtype.kind not in "iuf" or not np.isfinite(peaks).all():
        return None
    readings = [
        np.array([row_of.get(int(p), -1) for p in peaks]),
        *(peaks.astype(int) - [[0], [1]]),
    ]
    readings = [rows for rows in readings if ((rows >= 0) & (rows < len(ids))).all()]
    if lists is not None:
        readings = [
            rows for rows in readings if all(r in own for r, own in zip(rows, lists, strict=True))
        ]
        readings.sort(
            key=lambda rows: -sum(r == own[0] for r, own in zip(rows, lists, strict=True))
        )
    return readings[0] if readings else None
