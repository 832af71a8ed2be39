"""Counts that can be read but are hardly counts, and bin widths that are hardly seconds: warned of."""

from __future__ import annotations

import math

import numpy as np

from ._observed import observed_mean
from .errors import warn

__all__ = ["common_factor", "warn_of_implausible"]

# So many counts above 0 are all even by chance in one of 2**30 recordings at most: of Poisson counts
# a half is even where they are large, and fewer where they are small.
ENOUGH_COUNTS = 30
# Trials that rates are judged by, spread over the recording.
JUDGED_TRIALS = 32
# Spikes per second: refractory for a millisecond or so, no neuron fires faster. A hundred spikes tell.
FASTEST, ENOUGH_SPIKES = 1000.0, 100
# A population in bins of a second or more that fires less than this is likelier one in milliseconds.
SLOWEST, WIDE = 0.1, 1.0


def common_factor(counts: np.ndarray) -> int:
    """Return the greatest common divisor of all counts, or 1 where these are too few to tell.

    Real counts hold a 1 in the first trials, which ends the search.

    Examples
    --------
    >>> common_factor(np.array([[0, 50, 150]] * 20)), common_factor(np.array([[0, 50, 1]] * 20))
    (50, 1)
    """
    values: set[int] = set()
    n_above = 0
    for trial in counts:
        if (trial == 1).any():
            return 1
        n_above += int(np.count_nonzero(trial))
        values.update(np.unique(trial).tolist())
    tells = n_above >= ENOUGH_COUNTS and len(values) > 1  # one number everywhere says nothing
    return math.gcd(*values) if tells else 1


def warn_of_implausible(
    counts: np.ndarray, observed: np.ndarray | None = None, bin_width: float | None = None
) -> None:
    """Warn where counts look like rates or scaled counts, or a bin width like milliseconds.

    Parameters
    ----------
    counts : ndarray of int, (trials, time, neurons)
        Spike counts, 0 where not observed.
    observed : ndarray of bool, (trials, time, neurons), or None
        None where everything was observed.
    bin_width : float, optional
        Seconds, where known.
    """
    factor = common_factor(counts)
    if factor > 1:
        is_rate = bin_width is not None and np.isclose(factor * bin_width, 1)
        what = f", which is 1 / bin_width: they are rates in spikes/s. Pass X // {factor}"
        if not is_rate:
            what = (
                f". They may be rates in spikes/s of bins of {1 / factor:.4g} s, counts that were "
                f"scaled, or spikes that are listed {factor} times. If so, pass X // {factor}"
            )
        warn(f"all counts are multiples of {factor}{what}.")
        return
    if bin_width is None:
        return
    step = -(-len(counts) // JUDGED_TRIALS)
    judged, seen = counts[::step], None if observed is None else observed[::step]
    rates = observed_mean(judged, seen, (0, 1)) / bin_width
    spikes = judged.sum((0, 1))
    busy = spikes >= ENOUGH_SPIKES
    if busy.any() and rates[busy].max() > FASTEST:
        neuron = int(np.where(busy, rates, 0).argmax())
        warn(
            f"neuron {neuron} has {rates[neuron]:.4g} spikes/s in bins of {bin_width:g} s, and no neuron "
            f"fires above {FASTEST:g}. bin_width is in seconds, and X holds counts per bin, not rates; "
            "correct whichever is not."
        )
    elif bin_width >= WIDE and spikes.sum() >= ENOUGH_SPIKES and rates.mean() < SLOWEST:
        warn(
            f"neurons have {rates.mean():.2g} spikes/s on average in bins of {bin_width:g} s. bin_width is "
            f"in seconds: if it is in milliseconds, pass bin_width={bin_width / 1000:g}."
        )
