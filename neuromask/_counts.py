"""Spike counts, and which of them were observed, from whatever users pass as ``X``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ._axes import how_to_cut
from ._checks import as_array
from .errors import InvalidInputError

__all__ = ["read_spikes", "where_observed"]

_LARGEST_COUNT = np.iinfo(np.uint16).max


def read_spikes(
    X: Any, observed: Any = None, *, min_trials: int = 1, require_spikes: bool = False
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return spike counts as a compact array and which of them were observed, or raise a clear error.

    What was not observed is said by `observed`, by a Session's own, by the mask of a masked array or
    by NaN among floats. The count there is 0 in what is returned, whatever it was in `X`, so that it
    can have a say in nothing.

    Parameters
    ----------
    X : array-like, (trials, time, neurons)
        Whole, non-negative spike counts per bin; a Session or anything numpy can read.
    observed : array-like of bool, broadcast to (trials, time, neurons), optional
        False where nothing was recorded.
    min_trials : int, default=1
        Fewest trials allowed.
    require_spikes : bool, default=False
        Whether an array without a single spike is refused.

    Returns
    -------
    ndarray of uint8 or uint16, (trials, time, neurons)
        In the order of C; the input itself if it is compact, in that order and all observed.
    ndarray of bool, (trials, time, neurons), or None
        None where everything was observed.

    Raises
    ------
    InvalidInputError
        For a list of sessions, a wrong rank, an empty axis, too few trials, values that are not
        counts, `observed` that does not fit, or no spikes where some are required.

    Examples
    --------
    >>> counts, observed = read_spikes([[[0.0, 2.0], [float("nan"), 1.0]]])
    >>> counts.tolist(), observed.tolist()
    ([[[0, 2], [0, 1]]], [[[True, True], [False, True]]])
    """
    if isinstance(X, (list, tuple)) and any(getattr(x, "ndim", 0) == 3 for x in X):
        raise InvalidInputError(
            f"X is a list of {len(X)} session{'s' * (len(X) > 1)}; expected one. Pass each by itself."
        )
    # A Session says itself what was observed, and its counts are zero elsewhere.
    seen = [observed, getattr(X, "observed", None)]
    given = X if seen[1] is None else X.counts
    try:
        counts = np.asarray(given)
    except (ValueError, TypeError, RuntimeError) as error:
        raise InvalidInputError(
            f"X cannot be read as one array ({error}); expected (trials, time, neurons) "
            "with equally long trials. Pass sessions of different shapes as a list of Sessions; fill "
            "trials that end early with NaN, which means not observed."
        ) from error
    if counts.ndim != 3:
        kind = "" if isinstance(given, np.ndarray) else f"is a {type(given).__name__} and "
        raise InvalidInputError(
            f"X {kind}has shape {counts.shape}; expected three axes, (trials, time, neurons)."
            f"{how_to_cut(counts.shape, one_is_enough=min_trials == 1)}"
        )
    if 0 in counts.shape:
        raise InvalidInputError(
            f"X has shape {counts.shape}; expected at least one trial, bin and neuron."
        )
    if len(counts) < min_trials:
        raise InvalidInputError(
            f"X has {len(counts)} trial(s); expected at least {min_trials}."
            f"{how_to_cut(counts.shape[1:], 'X[0]')}"
        )
    if isinstance(given, (list, tuple)) and any(np.ma.is_masked(trial) for trial in given):
        seen.append(~np.stack([np.ma.getmaskarray(trial) for trial in given]))
    if np.ma.is_masked(given):
        seen.append(~np.ma.getmaskarray(given))
    # The least of all is NaN where any is, at the price of one reduction.
    if counts.dtype.kind == "f" and np.isnan(counts.min()):
        seen.append(~np.isnan(counts))
    where = where_observed(seen, counts.shape)
    if where is not None:
        counts = np.where(where, counts, np.zeros((), counts.dtype))
    counts = _as_counts(counts)
    if require_spikes and where is not None and not where.any():
        raise InvalidInputError(
            "nothing of X was observed; expected counts somewhere. Check observed, or the NaN or "
            "masked entries of X."
        )
    if require_spikes and not counts.any():
        raise InvalidInputError(
            "X holds no spikes; expected at least one. Check the binning window and "
            "that counts were not rescaled."
        )
    # In one order in memory, so that sums are rounded alike and the same counts give the same fit.
    return np.ascontiguousarray(counts), where


def where_observed(seen: Sequence[Any], shape: tuple[int, ...]) -> np.ndarray | None:
    """Join what several places say was observed; None where everything was."""
    where = None
    for mask in seen:
        if mask is None:
            continue
        mask = as_array("observed", mask)
        if mask.dtype != bool:
            raise InvalidInputError(
                f"observed holds {mask.dtype} values; expected booleans, True where the recording was "
                "there. Convert it with .astype(bool)."
            )
        try:
            mask = np.broadcast_to(mask, shape)
        except ValueError as error:
            raise InvalidInputError(
                f"observed has shape {mask.shape}; expected one that broadcasts to {shape}. Of "
                "(trials, time, neurons) give observed[:, :, None] for bins of trials, observed[:, None, :] for "
                "neurons in trials, or observed[:, None, None] for whole trials."
            ) from error
        where = mask if where is None else where & mask
    if where is None or where.all():
        return None
    return np.array(where)  # not the caller's own, who may go on to write in it


def _as_counts(counts: np.ndarray) -> np.ndarray:
    """Convert to uint8 or uint16, refusing what is not a count."""
    if counts.dtype in (np.uint8, np.uint16):
        return counts
    if counts.dtype.kind not in "biuf":
        raise InvalidInputError(
            f"X has dtype {counts.dtype}; expected numbers (spike counts per bin)."
        )
    # Two reductions and a cast settle good input; masks are made only to explain bad input. NaN
    # compares as false, so that it falls through to the explanation.
    least, largest = float(counts.min()), float(counts.max())
    if least >= 0 and largest <= _LARGEST_COUNT:
        compact = counts.astype(np.uint8 if largest <= np.iinfo(np.uint8).max else np.uint16)
        if counts.dtype.kind != "f" or np.array_equal(compact, counts):
            return compact
    if counts.dtype.kind == "f":
        _refuse(~np.isfinite(counts), counts, "infinite values")
    if counts.dtype.kind in "if":
        _refuse(counts < 0, counts, "negative values")
    if counts.dtype.kind == "f":
        _refuse(counts != np.floor(counts), counts, "fractional values", _scale(counts))
    raise InvalidInputError(
        f"X holds a count of {largest:.15g}; expected at most {_LARGEST_COUNT} per bin. "
        "Check that X holds counts and not times or identifiers."
    )


def _scale(counts: np.ndarray) -> str:
    """Say which number fractional values are multiples of, as counts over a bin width are, if any."""
    values = np.unique(counts[counts > 0])
    steps = values / values[0]
    # The least value of all is one spike, wherever there is a bin of one spike.
    if len(values) < 2 or not np.allclose(steps, np.rint(steps), rtol=0, atol=1e-3):
        return ""
    return (
        f" All are multiples of {values[0]:.6g}, as rates in spikes/s of bins of {1 / values[0]:.4g} s "
        f"or scaled counts would be: np.rint(X / {values[0]:.6g}) are their counts."
    )


def _refuse(bad: np.ndarray, counts: np.ndarray, what: str, advice: str = "") -> None:
    if bad.any():
        where = tuple(int(i) for i in np.argwhere(bad)[0])
        raise InvalidInputError(
            f"X holds {int(bad.sum())} {what}, the first {counts[where]} at "
            f"(trial, bin, neuron) {where}; expected whole, non-negative spike counts. Pass raw "
            f"counts, not rates or z-scores, and drop trials with missing data.{advice}"
        )
