"""Time series of NWB files, by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...errors import InvalidInputError
from ..report import Report
from ..samples import in_order
from .contents import contents, is_kind, named, short_names

__all__ = ["find_series", "read_signals"]

# Raw voltages, images, and intervals or notes are no signals.
NO_SIGNALS = ("ElectricalSeries", "ImageSeries", "IntervalSeries", "AnnotationSeries")


def find_series(file: Any) -> dict[str, Any]:
    """Find the time series of acquisition and processing modules, by path without "processing"."""
    return {
        path.removeprefix("processing/"): part
        for path, part in contents(file).items()
        if path.startswith(("processing/", "acquisition/"))
        and is_kind(part, "TimeSeries")
        and not is_kind(part, *NO_SIGNALS)
    }


def read_signals(
    found: Mapping[str, Any], wanted: str | Sequence[str], report: Report
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Read time series: seconds, and values in the unit that the file states.

    Parameters
    ----------
    found : mapping of str to pynwb.TimeSeries
        All series of a file that is open, by their path in it.
    wanted : str or sequence of str
        Names, or ends of paths where several series have one name; "all" takes every series.
    report : Report
        Gets a row for the series that cannot be read.

    Returns
    -------
    dict of str to (times, values)
        By the names wanted; with "all", by the shortest ends of paths that differ.

    Raises
    ------
    InvalidInputError
        If a name fits no series or several, or none of those named can be read.
    """
    if isinstance(wanted, str) and wanted == "all":
        chosen = {name: path for path, name in short_names(found).items()}
    else:
        names = [wanted] if isinstance(wanted, str) else wanted
        if not isinstance(names, Sequence) or not all(isinstance(name, str) for name in names):
            raise InvalidInputError(
                f"signals={wanted!r}; expected names of time series, 'all' or None."
            )
        chosen = {name: named(name.removeprefix("processing/"), found, "signal") for name in names}
    flaws = {path: _flaw(found[path]) for path in chosen.values()}
    flawed = [path for path, flaw in flaws.items() if flaw]
    if flawed and len(flawed) == len(flaws) and wanted != "all":
        raise InvalidInputError(
            f"the series {flawed[0]} has {flaws[flawed[0]]}; expected numbers of shape (samples,) or "
            "(samples, variables), with a time each. Leave it out of signals."
        )
    for flaw in sorted({flaws[path] for path in flawed}):
        left_out = [path for path in flawed if flaws[path] == flaw]
        reason = f"{flaw}: {', '.join(left_out)}"
        report.dropped("signals", reason, len(left_out), len(flaws) - len(left_out))
    return {
        name: (_times(found[path]), _values(found[path]))
        for name, path in chosen.items()
        if not flaws[path]
    }


def _flaw(series: Any) -> str:
    """Say why a series cannot be a signal; nothing where it can."""
    data = series.data
    if getattr(data, "dtype", np.dtype(object)).kind not in "biuf" or np.ndim(data) not in (1, 2):
        return "no numbers in one or two dimensions"
    times = _times(series)
    if len(times) not in np.shape(data) or not len(times):
        return "times and values of unequal number"
    if not np.isfinite(times).any():
        return "no times"
    return "times that start again" if isinstance(in_order(times), str) else ""


def _times(series: Any) -> np.ndarray:
    if series.timestamps is not None:
        return np.asarray(series.timestamps[:], float).reshape(-1)
    if not series.rate:
        return np.zeros(0)
    return (series.starting_time or 0.0) + np.arange(len(series.data)) / series.rate


def _values(series: Any) -> np.ndarray:
    """Give the values in their unit (samples,) or (samples, variables); one variable as (samples,)."""
    values = np.asarray(series.data[:], float)
    if values.ndim == 2 and series.timestamps is not None and len(series.timestamps) != len(values):
        values = values.T  # samples come second in the file
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    # Files of NWB 2.0 to 2.3 have no offset.
    return values * series.conversion + (getattr(series, "offset", None) or 0.0)
