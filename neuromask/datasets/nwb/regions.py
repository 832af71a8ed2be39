"""The region of each unit of an NWB file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..._checks import is_missing
from ...errors import InvalidInputError, suggest
from ..report import Report
from .tables import lists_of, plain_column

__all__ = ["REGION_OF_NO_ENTRY", "unit_regions"]

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
        labels = plain_column(units[name], len(units))
        # SpikeInterface writes coordinates as "location": only text names a region.
        if labels is not None and labels.dtype.kind in "OU":
            if column is not None or not all(_is_unknown(label) for label in labels):
                return list(labels)
            continue
        if column is not None:
            raise InvalidInputError(
                f"region_column={column!r} holds no text; expected the name of a region for "
                "each unit. Choose another column."
            )
    rows = _electrode_rows(units, electrodes) if there else None
    if column is not None and rows is None:
        raise InvalidInputError(
            f"region_column={column!r} is a column of electrodes, but units do not say which "
            "electrodes are theirs; expected a column of units. Choose one of those, or None."
        )
    if rows is not None:
        for places in _places(electrodes, column):
            if column is not None or not all(_is_unknown(place) for place in places):
                return _regions_of_rows(rows, places, report)
    if "electrode_group" in units.colnames:
        return _locations(units["electrode_group"])
    return [None] * len(units)


def _places(electrodes: Any, column: str | None) -> Iterator[list[Any]]:
    """Give what may say where electrodes are: a column, else the location of their groups."""
    name = column or "location"
    places = (
        plain_column(electrodes[name], len(electrodes)) if name in electrodes.colnames else None
    )
    if places is not None:
        yield list(places)
    if column is None and "group" in electrodes.colnames:
        yield _locations(electrodes["group"])


def _locations(groups: Any) -> list[Any]:
    return [getattr(group, "location", None) for group in groups.data]


def _regions_of_rows(rows: list[np.ndarray], places: list[Any], report: Report) -> list[Any]:
    """Name each unit after most of its electrodes; the earlier of two regions with equally many."""
    labels: list[Any] = []
    n_several = 0
    for chosen in rows:
        found = Counter(str(x).strip() for x in (places[i] for i in chosen) if not _is_unknown(x))
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
        peaks = plain_column(units[name], len(units))
        rows = None if peaks is None else _peak_rows(peaks, electrodes.id.data[:], lists)
        if rows is not None:
            return list(rows[:, None])
    return lists


def _lists(column: Any, n_electrodes: int) -> list[np.ndarray]:
    """Give rows of electrodes for each unit; numbers that are no row are left out."""
    lists = (np.asarray(rows) for rows in lists_of(column))
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
