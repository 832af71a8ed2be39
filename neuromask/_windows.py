"""Windows that cover a longer trial, and one course put together of what was computed in each."""

from __future__ import annotations

import numpy as np

__all__ = ["cut", "stitch"]


def _starts(n_time: int, length: int) -> np.ndarray:
    """Return where windows begin that overlap by half, the last ending where the trial ends."""
    step = max(1, length // 2)
    return np.append(np.arange(0, n_time - length, step), n_time - length)


def cut(x: np.ndarray, length: int) -> np.ndarray:
    """Cut trials into windows that overlap by half.

    Parameters
    ----------
    x : ndarray, (trials, time, ...)
        What has a value in every bin.
    length : int
        Bins of a window, no more than a trial's.

    Returns
    -------
    ndarray, (trials * windows, length, ...)
        The windows of the first trial, then those of the next.

    Examples
    --------
    >>> cut(np.arange(7)[None], 4).tolist()
    [[0, 1, 2, 3], [2, 3, 4, 5], [3, 4, 5, 6]]
    """
    starts = _starts(x.shape[1], length)
    windows = x[:, starts[:, None] + np.arange(length)]
    return windows.reshape(-1, *windows.shape[2:])


def stitch(parts: np.ndarray, n_trials: int, n_time: int) -> np.ndarray:
    """Put together what was computed in windows, each bin from the window whose centre is nearest.

    Parameters
    ----------
    parts : ndarray, (trials * windows, length, ...)
        Computed of what :func:`cut` gave.
    n_trials, n_time : int
        Trials, and bins of each.

    Returns
    -------
    ndarray, (trials, time, ...)

    Examples
    --------
    >>> stitch(np.array([[0, 1, 2, 9], [9, 3, 9, 9], [9, 4, 5, 6]]), 1, 7).tolist()
    [[0, 1, 2, 3, 4, 5, 6]]
    """
    length = parts.shape[1]
    starts = _starts(n_time, length)
    # Two windows meet in the middle of their overlap.
    meets = (starts[:-1] + length + starts[1:]) // 2
    window = np.searchsorted(meets, np.arange(n_time), side="right")
    windows = parts.reshape(n_trials, len(starts), *parts.shape[1:])
    return windows[:, window, np.arange(n_time) - starts[window]]
