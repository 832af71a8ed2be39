"""Time series of NWB files, by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...errors import InvalidInputError, suggest
from ..report import Report

__all__ = ["read_signals"]


def read_signals(
    found: Mapping[str, Any], wanted: str | Sequence[str], report: Report
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Read time series: seconds, and values in the unit that the file states.

    Parameters
    ----------
    found : mapping of str to pynwb.TimeSeries
        All series of a file that is open, by their path in it.
    wanted : str or sequence of str
        Names, or ends of paths where several series have one name; "all" takes every series that
        can be read.
    report : Report
        Gets a row for what "all" leaves out.

    Returns
    -------
    dict of str to (times, values)
        By the names wanted; with "all", by the shortest ends of paths that differ.
    """
    if isinstance(wanted, str) and wanted == "all":
        flaws = {path: _flaw(series) for path, series in found.items()}
        for flaw in sorted({flaw for flaw in flaws.values() if flaw}):
            left_out = [path for path in found if flaws[path] == flaw]
            reason = f"{flaw}: {', '.join(left_out)}"
            report.dropped("signals", reason, len(left_out), len(found) - len(left_out))
        chosen = {_short(path, found): path for path in found if not flaws[path]}
    else:
        names = [wanted] if isinstance(wanted, str) else wanted
        if not isinstance(names, Sequence) or not all(isinstance(name, str) for name in names):
            raise InvalidInputError(
                f"signals={wanted!r}; expected names of time series, 'all' or None."
            )
        chosen = {name: _find(name, found) for name in names}
        for path in chosen.values():
            flaw = _flaw(found[path])
            if flaw:
                raise InvalidInputError(
                    f"the series {path} has {flaw}; expected numbers of shape (samples,) or "
                    "(samples, variables), with a time each. Leave it out of signals."
                )
    return {name: (_times(found[path]), _values(found[path])) for name, path in chosen.items()}


def _ends(path: str) -> list[str]:
    """Give the ends of a path, the shortest first."""
    parts = path.split("/")
    return ["/".join(parts[i:]) for i in range(len(parts) - 1, -1, -1)]


def _short(path: str, found: Mapping[str, Any]) -> str:
    return next((e for e in _ends(path) if sum(e in _ends(p) for p in found) == 1), path)


def _find(name: str, found: Mapping[str, Any]) -> str:
    if name in found:
        return name
    near = [path for path in found if name in _ends(path)]
    if len(near) > 1:
        raise InvalidInputError(
            f"signal {name!r} names {len(near)} series, {near}; expected one. Give more of "
            f"its path, such as {_short(near[0], found)!r}."
        )
    if not near:
        names = sorted(_short(path, found) for path in found)
        raise InvalidInputError(
            f"signal {name!r} is not in the file; its series are {names}.{suggest(name, names)}"
        )
    return near[0]


def _flaw(series: Any) -> str:
    """Say why a series cannot be a signal; nothing where it can."""
    data = series.data
    if getattr(data, "dtype", np.dtype(object)).kind not in "biuf" or np.ndim(data) not in (1, 2):
        return "no numbers in one or two dimensions"
    times = _times(series)
    if len(times) != len(data):
        return "times and values of unequal number"
    if not np.isfinite(times).all() or not (times[1:] >= times[:-1]).all():
        return "times that are not ascending"
    return ""


def _times(series: Any) -> np.ndarray:
    if series.timestamps is not None:
        return np.asarray(series.timestamps[:], float)
    if not series.rate:
        return np.zeros(0)
    return (series.starting_time or 0.0) + np.arange(len(series.data)) / series.rate


def _values(series: Any) -> np.ndarray:
    """Give the values in their unit; one variable as (samples,)."""
    values = np.asarray(series.data[:], float)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    # Files of NWB 2.0 to 2.3 have no offset.
    return values * series.conversion + (getattr(series, "offset", None) or 0.0)
