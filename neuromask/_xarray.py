"""What an ``xarray.DataArray`` says of its axes, bins, neurons and trials; xarray itself is not imported."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd

from ._tables import NAME_COLUMNS
from .errors import InvalidInputError, warn

__all__ = ["is_labelled", "neuron_columns", "read_labelled", "seconds_of_unit"]

ORDER = ("trials", "time", "neurons")
# Words in names of dimensions, in the singular.
WORDS = {
    "trials": {"trial", "epoch", "presentation", "sweep", "repetition", "repeat"},
    "time": {"time", "bin", "timebin", "timepoint", "t"},
    "neurons": {"neuron", "unit", "cell", "cluster", "neuroid", "channel", "electrode", "roi"},
}
# What coordinates of regions are called, the surest first.
REGIONS = tuple(
    [
        "region",
        "regions",
        "brain_region",
        "brain_regions",
        "brain_area",
        "brain_areas",
        "area",
        "areas",
        "location",
        "locations",
        "structure",
        "acronym",
        "ecephys_structure_acronym",
    ]
)
SECONDS = {1.0: "s sec secs second seconds", 1e-3: "ms msec msecs millisecond milliseconds"}
SECONDS |= {1e-6: "us µs usec microsecond microseconds", 60.0: "min minute minutes"}
UNITS = {unit: factor for factor, units in SECONDS.items() for unit in units.split()}
# Steps of a time coordinate differ by less than this share where bins are equal but for rounding.
EVEN = 1e-3


def is_labelled(X: Any) -> bool:
    """Whether X is an ``xarray.DataArray`` or ``Dataset``."""
    return hasattr(X, "dims") and hasattr(X, "coords")


def read_labelled(data: Any, *, with_time: bool = True) -> tuple[np.ndarray, dict[str, Any]]:
    """Return counts in the order (trials, time, neurons) and what coordinates say of them.

    Parameters
    ----------
    data : xarray.DataArray
        Counts of three dimensions.
    with_time : bool, default=True
        Whether to read the coordinate of time, which is refused where bins are not equal.

    Returns
    -------
    ndarray, (trials, time, neurons)
        The counts.
    dict
        Fields of a Session: neurons, trials, bin_width, t_start; those that coordinates tell.

    Raises
    ------
    InvalidInputError
        If it is no DataArray of three dimensions, names leave a doubt which axis is which, or bins are
        not equal.
    """
    if hasattr(data, "data_vars"):
        names = [str(name) for name in data.data_vars]
        raise InvalidInputError(
            f"X is an xarray.Dataset, which holds {names}; expected one DataArray of counts. Choose it: "
            f"X[{names[0] if names else 'counts'!r}]."
        )
    if not is_labelled(data) or len(data.dims) != 3:
        dims = f" with dims {tuple(data.dims)}" if is_labelled(data) else ""
        raise InvalidInputError(
            "expected an xarray.DataArray of three dimensions, (trials, time, neurons); given "
            f"{type(data).__name__}{dims}."
        )
    roles = _roles(tuple(data.dims))
    data = data.transpose(*(roles[role] for role in ORDER))
    fields: dict[str, Any] = {}
    for field in ("trials", "neurons"):
        columns = _columns(data, roles[field])
        if field == "neurons":
            columns = _named(columns, str(roles[field]))
        if columns:
            fields[field] = pd.DataFrame(columns)
    if with_time:
        fields |= _time(data, roles["time"])
    return np.asarray(data.values), fields


def _roles(dims: tuple[Any, ...]) -> dict[str, Any]:
    """Find which dimension is which by its name; two known ones tell the third."""
    if all(str(dim) == f"dim_{axis}" for axis, dim in enumerate(dims)):  # never named
        return dict(zip(ORDER, dims, strict=True))
    found = {dim: _role(str(dim)) for dim in dims}
    known = [role for role in found.values() if role is not None]
    if len(known) == 2 and len(set(known)) == 2:
        (last,) = set(ORDER) - set(known)
        found = {dim: role or last for dim, role in found.items()}
    roles = {role: dim for dim, role in found.items() if role is not None}
    if len(roles) < 3:
        raise InvalidInputError(
            f"dims are {dims}, which do not say which are trials, time and neurons. Rename them: "
            "data.rename({...: 'trial', ...: 'time', ...: 'neuron'})."
        )
    return roles


def neuron_columns(data: Any, dim: Any) -> dict[str, np.ndarray]:
    """Return what coordinates say of the neurons along a dimension, as columns of a table."""
    return _named(_columns(data, dim), str(dim))


def seconds_of_unit(coordinate: Any) -> float:
    """Return how many seconds the unit of a time coordinate is, one where it says none."""
    unit = coordinate.attrs.get("units")
    if unit is None:
        return 1.0
    if str(unit).strip().lower() not in UNITS:
        raise InvalidInputError(
            f"coordinate {coordinate.name!r} is in {unit!r}; expected a unit such as 's' or 'ms'. Convert "
            "it to seconds."
        )
    return UNITS[str(unit).strip().lower()]


def _role(dim: str) -> str | None:
    words = {word.removesuffix("s") for word in re.split(r"[^a-z]+", dim.lower())}
    if dim.lower().startswith("time_"):  # such as time_relative_to_stimulus_onset, time_in_trial
        return "time"
    roles = [role for role, known in WORDS.items() if words & known]
    return roles[0] if len(roles) == 1 else None


def _columns(data: Any, dim: Any) -> dict[str, np.ndarray]:
    """Return the coordinates along a dimension, but for the tuples that stand for several."""
    columns = {}
    for name, coordinate in data.coords.items():
        values = np.asarray(coordinate.values)
        if coordinate.dims == (dim,) and not isinstance(values.flat[0], tuple):
            columns[str(name)] = values
    return columns


def _named(columns: dict[str, np.ndarray], dim: str) -> dict[str, np.ndarray]:
    """Name the columns that tell neurons apart as a Session does: ``region``, and ``id`` for the index."""
    if "region" not in columns:
        for name in REGIONS:
            found = next((column for column in columns if column.lower() == name), None)
            if found is not None and columns[found].dtype.kind in "OSU":
                columns["region"] = columns.pop(found)
                break
    if dim in columns and not any(name in columns for name in NAME_COLUMNS):
        columns["id"] = columns.pop(dim)
    return columns


def _time(data: Any, dim: Any) -> dict[str, float]:
    """Read the width of bins and the start of the first in seconds, where a coordinate tells."""
    names = [name for name in data.coords if data.coords[name].dims == (dim,)]
    likely = sorted(names, key=lambda name: (name != dim, "start" not in str(name)))
    found = [name for name in likely if data.coords[name].dtype.kind in "iufmM"]
    found = [name for name in found if _role(str(name)) == "time"]
    if not found or data.coords[found[0]].size < 2:
        return {}
    name = found[0]
    times, unit = data.coords[name].values, data.coords[name].attrs.get("units")
    if times.dtype.kind in "mM":
        offset = times if times.dtype.kind == "m" else times - times[0]
        seconds, factor = offset / np.timedelta64(1, "ns") * 1e-9, UNITS["s"]
    else:
        seconds, factor = times.astype(float), UNITS.get(str(unit).strip().lower(), 0.0)
    if unit is not None and not factor:
        raise InvalidInputError(
            f"coordinate {name!r} is in {unit!r}; expected a unit such as 's' or 'ms'. Convert it, or "
            "give bin_width=... in seconds."
        )
    steps = np.diff(seconds)
    step = float(steps.mean())
    # Beside large numbers a step is known to their rounding alone.
    eps = np.finfo(times.dtype if times.dtype.kind == "f" else float).eps
    rounding = float(4 * eps * np.abs(seconds).max())
    slack = EVEN * abs(step) + rounding
    is_lost = rounding / len(steps) > 0.1 * abs(step)
    if not np.isfinite(step) or step <= 0 or is_lost or np.abs(steps - step).max() > slack:
        raise InvalidInputError(
            f"coordinate {name!r} has steps from {steps.min():g} to {steps.max():g}; expected bins of "
            "equal width, one after the other. Bin the spikes again, or, if the coordinate is no time, "
            f"drop it: data.drop_vars({name!r}), and give bin_width=... in seconds."
        )
    if not factor and step >= 1:
        if not (times.dtype.kind in "iu" and step == 1):  # the numbers of bins
            warn(
                f"coordinate {name!r} goes in steps of {step:g} and says no unit, so that the bin width "
                f"stays unknown. Say it: data.{name}.attrs['units'] = 'ms', or bin_width=... in seconds."
            )
        return {}
    step, first = _shortest(step, rounding / len(steps)), _shortest(float(seconds[0]), rounding)
    width, first = step * (factor or 1.0), first * (factor or 1.0)
    if times.dtype.kind == "M":  # of the day, not of an event
        return {"bin_width": width}
    # Centres lie half a bin from edges, which are multiples of the width as a rule.
    is_centre = abs((first / width) % 1 - 0.5) < 0.01
    return {"bin_width": width, "t_start": first - is_centre * width / 2}


def _shortest(value: float, accuracy: float) -> float:
    """Return the number of fewest digits that is as good as a value known to some accuracy."""
    accuracy = max(accuracy, 1e-12 * abs(value))
    rounded = (float(f"{value:.{digits}g}") for digits in range(1, 18))
    return next(number for number in rounded if abs(number - value) <= accuracy)
