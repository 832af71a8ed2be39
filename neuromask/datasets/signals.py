"""Signals over a recording, in the bins of its trials."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import InvalidInputError
from .binning import sample_signal
from .clock import warn_of_signal
from .report import Report
from .samples import SORTED, in_order
from .times import values_of

__all__ = ["read_signals"]


def read_signals(
    signals: Any, at: np.ndarray, bin_width: float, seconds: float, report: Report
) -> dict[str, np.ndarray]:
    """Read signals and give their values at the end of each bin; NaN where no sample is near.

    Parameters
    ----------
    signals : mapping of str to (times, values), or None
        See :func:`neuromask.from_spike_times`.
    at : array (trials, bins)
        Seconds.
    bin_width : float
        Seconds.
    seconds : float
        How long the recording lasted, by which times in another unit are noticed.
    report : Report
        Gets rows for samples that are left out, and for trials without a signal.

    Raises
    ------
    InvalidInputError
        If one is no pair of times and values of the same length, or its clock starts again.
    """
    if not isinstance(signals, Mapping | None):
        raise InvalidInputError(
            f"signals is a {type(signals).__name__}; expected a mapping from names to pairs of times "
            "and values, such as signals={'wheel': (times, values)}."
        )
    sampled = {
        str(name): _read_signal(name, signal, at, bin_width, seconds, report)
        for name, signal in (signals or {}).items()
    }
    for name, values in sampled.items():
        gaps = ~np.isfinite(values).reshape(len(values), -1).all(1)
        report.dropped(
            f"signal {name}",
            "trials with bins that have no sample nearby (NaN)",
            gaps.sum(),
            (~gaps).sum(),
        )
    return sampled


def _read_signal(
    name: str, signal: Any, at: np.ndarray, bin_width: float, seconds: float, report: Report
) -> np.ndarray:
    read = values_of(signal)
    try:
        times, values = (np.asarray(part, dtype=float) for part in read or ())
    except (TypeError, ValueError):
        raise InvalidInputError(
            f"signal {name!r} is no pair of times and values; expected two arrays of numbers."
        ) from None
    if (
        times.ndim != 1
        or values.ndim not in (1, 2)
        or 0 in values.shape[1:]
        or len(times) != len(values)
    ):
        raise InvalidInputError(
            f"signal {name!r} has times of shape {times.shape} and values of shape "
            f"{values.shape}; expected (samples,) and (samples,) or (samples, variables)."
        )
    ordered = in_order(times)
    if isinstance(ordered, str):
        raise InvalidInputError(
            f"signal {name!r} cannot be put in order: {ordered}. Make one session of each recording, or "
            "add to each part the time at which it began."
        )
    index, faults = ordered
    for fault, n in faults.items():
        if fault == SORTED:
            report.noted(f"signal {name}", fault, n)
        else:
            report.dropped(f"signal {name}", fault, n, len(times) - n)
    if len(times) and not len(index):
        raise InvalidInputError(f"no sample of signal {name!r} has a time; expected seconds.")
    warn_of_signal(name, times[index], seconds)
    return sample_signal(times[index], values[index], at, bin_width)
