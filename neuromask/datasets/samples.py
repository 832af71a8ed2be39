"""Samples in order of time."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

__all__ = ["SORTED", "find_restart", "in_order"]

#: The one fault that loses no sample.
SORTED = "samples out of order, sorted"

# A buffer that was written late leaves three breaks in the order of samples, and one step back in
# time. Two recordings that are sorted into each other leave a break at almost every sample.
BREAKS_A_STEP = 3
MORE_BREAKS = 10


def find_restart(times: np.ndarray) -> int | None:
    """Give the sample at which a clock starts again, or None where there is one clock alone.

    Buffers that were written in another order, or samples that jitter, belong to one clock and may be
    sorted. Sorting two recordings that each count from their own start would mix them.

    Parameters
    ----------
    times : array (samples,)
        Seconds, as they were written; no NaN.

    Examples
    --------
    >>> import numpy as np
    >>> times = np.arange(100.0)
    >>> find_restart(np.concatenate([times[:40], times[60:], times[40:60]]))
    >>> find_restart(np.concatenate([times, times]))
    100
    """
    steps = np.diff(times)
    back = int((steps < 0).sum())
    if not back:
        return None
    breaks = int((np.diff(np.argsort(times, kind="stable")) != 1).sum())
    return None if breaks <= BREAKS_A_STEP * back + MORE_BREAKS else int(np.argmin(steps)) + 1


def in_order(times: np.ndarray) -> tuple[np.ndarray, Mapping[str, int]] | str:
    """Give samples with a time of their own, in order, and how many had none; or why that fails.

    Parameters
    ----------
    times : array (samples,)
        Seconds, in any order; NaN where a sample has no time.

    Returns
    -------
    index : array of int
        The samples to keep, in order of time. Of several at one time the first is kept.
    faults : mapping of str to int
        What was wrong, and with how many samples.

    Examples
    --------
    >>> import numpy as np
    >>> index, faults = in_order(np.array([0.0, 2.0, 1.0, np.nan, 2.0]))
    >>> index.tolist()
    [0, 2, 1]
    >>> faults
    {'samples without a time': 1, 'samples at the time of another': 1, 'samples out of order, sorted': 1}
    """
    index = np.flatnonzero(np.isfinite(times))
    written = times[index]
    if (restart := find_restart(written)) is not None:
        return f"its clock starts again at sample {index[restart]}"
    late = int((written < np.maximum.accumulate(written)).sum())
    index = index[np.argsort(written, kind="stable")]
    twice = np.diff(times[index], prepend=-np.inf) == 0
    faults = {
        "samples without a time": len(times) - len(index),
        "samples at the time of another": int(twice.sum()),
        SORTED: late,
    }
    return index[~twice], {fault: n for fault, n in faults.items() if n}
