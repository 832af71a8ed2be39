"""Which units of a recording are kept."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd

from ..errors import InvalidInputError, suggest
from .report import Report

__all__ = ["choose_by_rate", "choose_units"]

_BOUND = re.compile(r"\s*(<=|>=|<|>)\s*([-+.\deE]+)\s*")
_COMPARE = {"<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal}
#: Names that mean the id of a unit, whether or not the table has such a column.
IDS = ("id", "cluster")


def choose_units(
    table: pd.DataFrame,
    quality: Any,
    include: Any,
    exclude: Any,
    report: Report,
    *,
    ids: str | None = "id",
) -> pd.DataFrame:
    """Choose units by their ids and by what their columns hold.

    Parameters
    ----------
    table : DataFrame
        One row a unit, indexed by id; a column ``file_x`` stands for x.
    quality : mapping of str to number, str or collection, or None
        By column: a number is the least value, ``"< 0.5"`` (or ``<=``, ``>``, ``>=``) a bound, other
        text the one value, a collection those allowed, or bounds that all must hold.
    include, exclude : collection of ids, or None
        Units that are kept, and units that are left out.
    report : Report
        Gets a row a rule that drops any.
    ids : str or None, default="id"
        Column that `include` and `exclude` name units by, where it is there; None for the index.

    Raises
    ------
    InvalidInputError
        If a column or id is not there, a rule does not fit its column, or no unit is left.

    Examples
    --------
    >>> table = pd.DataFrame({"snr": [1.0, 3.0, 9.0]}, index=[10, 11, 12])
    >>> choose_units(table, {"snr": "< 5"}, None, [10], Report()).index.tolist()
    [11]
    """
    n_all = len(table)
    names = table[ids] if ids in table else pd.Series(table.index, table.index)
    for name, chosen in (("include", include), ("exclude", exclude)):
        if chosen is not None:
            keep = _listed(name, chosen, names) == (name == "include")
            reason = "not in include" if name == "include" else "in exclude"
            table, names = _kept(table, keep, reason, report), names[keep]
    for name, wanted in _rules(quality).items():
        values, known = _column(table, name)
        if values is None:
            raise InvalidInputError(
                f"quality names {name!r}; expected one of the units' columns of numbers or "
                f"text, {known}.{suggest(name, known)}"
            )
        keep, reason = _passing(name, wanted, values)
        table = _kept(table, keep, reason, report)
    if not len(table):
        raise InvalidInputError(
            f"none of {n_all} units is left. Dropped, one rule after the other: "
            f"{report.summary('neurons')}. Lower what quality asks for."
        )
    return table


def choose_by_rate(table: pd.DataFrame, min_rate: float, report: Report) -> pd.DataFrame:
    """Keep the units that fire, and that fire `min_rate` spikes/s by the column ``firing_rate``."""
    for reason, keep in (
        ("no spike in the recording", table["firing_rate"] > 0),
        (f"fewer than {min_rate:g} spikes/s", table["firing_rate"] >= min_rate),
    ):
        keep = keep.reindex(table.index)
        report.dropped("neurons", reason, (~keep).sum(), keep.sum())
        table = table[keep]
    if not len(table):
        raise InvalidInputError(
            f"no neuron is left; expected at least one that fires {min_rate:g} spikes/s. "
            "Lower min_rate."
        )
    return table


def _kept(table: pd.DataFrame, keep: Any, reason: str, report: Report) -> pd.DataFrame:
    report.dropped("neurons", reason, (~keep).sum(), keep.sum())
    return table[keep]


def _rules(quality: Any) -> Mapping[str, Any]:
    if not isinstance(quality, Mapping | None):
        raise InvalidInputError(
            f"quality={quality!r}; expected a mapping from columns of units to what they "
            "must hold, such as {'ibl_quality_score': 1.0}."
        )
    return quality or {}


def _listed(name: str, chosen: Any, ids: pd.Series) -> pd.Series:
    if isinstance(chosen, str) or not isinstance(chosen, Collection):
        raise InvalidInputError(f"{name}={chosen!r}; expected a list of ids of units.")
    if len(chosen) and all(isinstance(unit, (bool, np.bool_)) for unit in chosen):
        if len(chosen) != len(ids):
            raise InvalidInputError(
                f"{name} is a mask of {len(chosen)} units, of which there are {len(ids)}; expected one "
                "entry for each in order, or a list of ids."
            )
        return pd.Series(list(chosen), ids.index)
    unknown = [unit for unit in chosen if unit not in set(ids)]
    if unknown:
        raise InvalidInputError(
            f"{name} has {unknown[:5]}, which no unit has as its id; those are "
            f"{ids.tolist()[:20]}.{suggest(unknown[0], ids)}"
        )
    return ids.isin(list(chosen))


def _column(table: pd.DataFrame, name: str) -> tuple[pd.Series | None, list[str]]:
    known = sorted({*(column.removeprefix("file_") for column in table.columns), *IDS})
    values = table.get(f"file_{name}", table.get(name))
    if values is None and name in IDS:
        values = pd.Series(table.index, table.index)
    return values, known


def _passing(name: str, wanted: Any, values: pd.Series) -> tuple[pd.Series, str]:
    """Give which units pass a rule, and why the others are dropped."""
    if isinstance(wanted, (bool, np.bool_)):
        return values == wanted, f"{name} not {wanted}"
    is_number = isinstance(wanted, (int, float, np.number))
    bound = _bound(wanted)
    if (is_number or bound) and not pd.api.types.is_numeric_dtype(values):
        raise InvalidInputError(
            f"quality={{{name!r}: {wanted!r}}} is a least value or a bound, but the column holds "
            f"text, {sorted(set(map(str, values)))[:5]}. Give the text allowed."
        )
    if is_number:
        return values >= wanted, f"{name} below {wanted:g}"
    if bound:
        return _COMPARE[bound[0]](values, bound[1]), f"{name} not {wanted.strip()}"
    if isinstance(wanted, str) and pd.api.types.is_numeric_dtype(values):
        raise InvalidInputError(
            f"quality={{{name!r}: {wanted!r}}} is a text, but the column holds numbers; expected a least "
            "value, a bound such as '< 0.5', or a list of the numbers allowed."
        )
    allowed = [wanted] if isinstance(wanted, str) else wanted
    if isinstance(wanted, list | tuple) and wanted and all(map(_bound, wanted)):
        passed = [_passing(name, rule, values)[0] for rule in wanted]
        return pd.concat(passed, axis=1).all(axis=1), f"{name} not {' and '.join(wanted)}"
    if not isinstance(allowed, Collection) or isinstance(allowed, Mapping):
        raise InvalidInputError(
            f"quality={{{name!r}: {wanted!r}}}; expected a least value, a bound such as '< 0.5', a "
            "text or a list of what is allowed, or two bounds such as ['> 0.1', '< 0.5']."
        )
    return values.isin(list(allowed)), f"{name} not {wanted!r}"


def _bound(rule: Any) -> tuple[str, float] | None:
    """Read a bound such as "< 0.5"; None where it is none."""
    found = _BOUND.fullmatch(rule) if isinstance(rule, str) else None
    try:
        return None if found is None else (found[1], float(found[2]))
    except ValueError:
        return None
