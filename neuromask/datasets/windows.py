"""Windows of recordings without trials, and the recording put together of them again."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np

from .._checks import check_positive_int
from ..errors import InvalidInputError
from .binning import bin_edges
from .intervals import ROUNDING
from .report import Report

__all__ = ["window_events"]

#: How many blocks a recording is cut into, so that folds of 5 or 10 have one or two each.
N_BLOCKS = 10


def window_events(
    recorded: np.ndarray,
    window: float = 1.0,
    step: float | None = None,
    *,
    bin_width: float,
    n_blocks: int = N_BLOCKS,
    report: Report | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Place windows that tile each stretch of recorded time, and say which block each is of.

    All bins lie on one grid from the first stretch's start, so that a later stretch may lose a part of
    a bin. Windows of different blocks share no bin: of windows that overlap, those that reach into the
    block before are left out. A block reaches across a gap only where a stretch is shorter than half a
    block.

    Parameters
    ----------
    recorded : array (intervals, 2)
        When the recording ran, in seconds; see :func:`neuromask.datasets.intervals.read_intervals`.
    window : float, default=1.0
        Seconds, a whole number of bins.
    step : float, optional
        Seconds from the start of a window to that of the next, a whole number of bins; the window by
        default.
    bin_width : float
        Seconds.
    n_blocks : int, default=10
        About how many blocks there are in all.
    report : Report, optional
        Gets what is left out.

    Returns
    -------
    events : array of float (windows,)
        Start of each window in seconds, ascending.
    block : array of int (windows,)
        Ascending from 0.

    Raises
    ------
    InvalidInputError
        If window or step are no whole number of bins, or no stretch is as long as a window.

    Examples
    --------
    >>> recorded = np.array([[10.0, 13.5], [20.0, 22.0]])
    >>> events, block = window_events(recorded, 1.0, bin_width=0.1, n_blocks=2)
    >>> events.tolist(), block.tolist()
    ([10.0, 11.0, 12.0, 20.0, 21.0], [0, 0, 0, 1, 1])
    """
    length, pace = check_window(window, step, bin_width)
    origin = recorded[0, 0] if len(recorded) else 0.0
    bins = (recorded - origin) / bin_width
    first = np.ceil(bins[:, 0] - ROUNDING / bin_width).astype(int)
    last = np.floor(bins[:, 1] + ROUNDING / bin_width).astype(int)
    starts, block = place_windows(
        first, (last - first).clip(0), length, pace, bin_width, n_blocks, report or Report()
    )
    return origin + starts * bin_width, block


def check_window(window: Any, step: Any, bin_width: Any) -> tuple[int, int]:
    """Return bins of a window, and from the start of one to that of the next."""
    if not isinstance(window, Real) or isinstance(window, bool) or not 0 < float(window) < np.inf:
        raise InvalidInputError(
            f"window={window!r}; expected a positive number, the seconds that a window lasts."
        )
    length = len(bin_edges((0.0, float(window)), bin_width)) - 1
    if step is None:
        return length, length
    pace = step / bin_width if isinstance(step, Real) and not isinstance(step, bool) else np.nan
    if not (np.isfinite(pace) and round(pace) >= 1 and abs(pace - round(pace)) < 1e-6 * pace):
        raise InvalidInputError(
            f"step={step!r} with bins of {bin_width:g} s; expected seconds, a whole number of bins."
        )
    return length, round(pace)


def place_windows(
    first: np.ndarray,
    n_bins: np.ndarray,
    length: int,
    step: int,
    bin_width: float,
    n_blocks: int,
    report: Report,
) -> tuple[np.ndarray, np.ndarray]:
    """Tile stretches, of which the first bins and the numbers of bins are given.

    Returns the first bin of each window and its block; see :func:`window_events`.
    """
    check_positive_int("n_blocks", n_blocks)
    n_windows = np.where(n_bins >= length, (n_bins - length) // step + 1, 0)
    if not n_windows.any():
        longest = n_bins.max(initial=0) * bin_width
        raise InvalidInputError(
            f"no window of {length * bin_width:g} s fits: the longest stretch without a gap lasts "
            f"{longest:g} s. Choose a shorter window, or unrecorded='mark' for windows with gaps."
        )
    starts = np.concatenate(
        [a + step * np.arange(n) for a, n in zip(first, n_windows, strict=True)]
    )
    stretch = np.repeat(np.arange(len(first)), n_windows)
    covered = np.where(n_windows, (n_windows - 1) * step + length, 0)
    between = ((n_windows - 1).clip(0) * max(0, step - length)).sum()
    in_windows = int(covered.sum() - between)
    report.dropped(
        "bins",
        "too few for a window, at the end of a stretch",
        (n_bins - covered).sum(),
        covered.sum(),
    )
    report.dropped("bins", "between windows, as step is longer than window", between, in_windows)
    shared = -(-length // step) - 1  # windows that begin before one is over
    block = _blocks(n_windows, n_blocks, 2 * shared + 1)
    # The first windows of a block are left out while they reach into the block before.
    opens = np.flatnonzero(np.diff(block)) + 1
    kept = np.ones(len(starts), bool)
    for at in opens:
        reach = slice(at, at + shared)
        overlaps = (starts[reach] < starts[at - 1] + length) & (stretch[reach] == stretch[at - 1])
        kept[reach] &= ~overlaps
    report.dropped("windows", "overlap with the block before", (~kept).sum(), kept.sum())
    return starts[kept], block[kept]


def _blocks(n_windows: np.ndarray, n_blocks: int, smallest: int) -> np.ndarray:
    """Give the block of each window, of stretches of so many windows each."""
    usual = max(n_windows.sum() / n_blocks, smallest)
    # Stretches shorter than half a block go with the next, and the last with those before.
    runs = [0]
    for n in n_windows:
        if runs[-1] >= usual / 2:
            runs.append(0)
        runs[-1] += int(n)
    if len(runs) > 1 and runs[-1] < usual / 2:
        tail = runs.pop()
        runs[-1] += tail
    sizes: list[int] = []
    for n in runs:
        parts = max(1, round(n / usual))
        sizes += np.diff(np.arange(parts + 1) * n // parts).tolist()
    return np.repeat(np.arange(len(sizes)), sizes)
