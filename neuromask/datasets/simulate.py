"""Simulated recordings with known rates, so that every score has a known ceiling."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.ndimage import gaussian_filter1d

from .._checks import as_array, check_fraction, check_positive_int
from .._random import random_streams
from ..errors import InvalidInputError, public
from ..session import Session

__all__ = ["simulate"]

RATE_RANGE = (0.5, 30.0)  # Hz, of neurons' mean rates


@public
def simulate(
    n_trials: int = 400,
    *,
    n_sessions: int | None = None,
    n_time: int = 50,
    n_neurons: int = 160,
    regions: Sequence[str] = ("VISp", "CA1", "MOs", "TH"),
    n_latents: int = 3,
    private: float = 0.05,
    delay: int = 2,
    couplings: ArrayLike | None = None,
    timescale: float = 5.0,
    strength: float = 1.0,
    mean_rate: float = 6.0,
    bin_width: float = 0.02,
    random_state: int | np.random.RandomState | np.random.Generator | None = 0,
) -> Session | list[Session]:
    """Simulate multi-region recordings from shared and region-specific latent dynamics.

    Shared latents, smooth in time and partly driven by a stimulus, reach each region with its own
    delay and mixing; each region adds latents of its own. Neurons read their region's latents
    through an exponential and spike as Poisson processes. A binary choice and a whisker signal
    follow from the shared latents.

    Parameters
    ----------
    n_trials : int, default=400
        Trials per session.
    n_sessions : int, optional
        Number of sessions in a list, each of another animal with its own neurons and trials but the same
        dynamics and couplings between regions. By default one session is returned, not a list.
    n_time : int, default=50
        Bins per trial.
    n_neurons : int, default=160
        Neurons per session, spread evenly over the regions.
    regions : sequence of str
        Names of the regions, ordered by delay.
    n_latents : int, default=3
        Shared latents, and as many private ones in each region.
    private : float, default=0.05
        Share of a region's latent variance that no other region has, in [0, 1).
    delay : int, default=2
        Bins by which each region lags behind the one before it, or behind those that it is coupled to.
    couplings : array-like, (regions, regions), optional
        Entry [i, j] is the correlation, from 0 to 1, of region j's latents with what is region i's own
        `delay` bins before; what region i takes over from others is not passed on. Regions then share
        nothing else but that all answer the stimulus, and `private` counts for nothing. Squares of a
        column may add up to 1. By default all regions are coupled by latents that they share.
    timescale : float, default=5
        Standard deviation, in bins, of the kernel that smooths the latents.
    strength : float, default=1
        Standard deviation of the neurons' log-rates over time.
    mean_rate : float, default=6
        Median over neurons of the mean rate in Hz; mean rates are log-normal, clipped to 0.5-30 Hz.
    bin_width : float, default=0.02
        Seconds per bin.
    random_state : int, numpy generator or None, default=0
        The same int gives the same recordings.

    Returns
    -------
    Session or list of Session
        Named ``"sim-0"``, ``"sim-1"``, ... of subjects ``"mouse-0"``, ``"mouse-1"``, ..., with true expected counts in `rates`, ``trials["stimulus"]`` and ``trials["choice"]`` (-1 or
        1), and ``signals["whisker"]`` (trials, time).

    Raises
    ------
    InvalidInputError
        If a parameter is out of range.

    Examples
    --------
    >>> session = simulate(20, n_neurons=8, n_time=30)
    >>> session.shape, session.rates.shape
    ((20, 30, 8), (20, 30, 8))
    """
    _check_parameters(
        n_trials, n_sessions, n_time, n_neurons, regions, n_latents, private, delay, timescale
    )
    for name, value, low, high in (
        ("strength", strength, 1e-3, 5),
        ("mean_rate", mean_rate, *RATE_RANGE),
        ("bin_width", bin_width, 1e-4, 1),
    ):
        check_fraction(name, value, low=low, high=high)
    strengths = None if couplings is None else _check_couplings(couplings, len(regions))
    rng = random_streams(random_state).numpy("init")
    n_regions = len(regions)
    # One animal's couplings hold for all, which is what pretraining on many can learn.
    mixing = np.stack([np.linalg.qr(rng.normal(size=(n_latents,) * 2))[0] for _ in regions])
    response = rng.normal(size=(2, n_latents))  # to a stimulus at all, and to its sign
    readout = rng.normal(size=(2, n_latents)) / np.sqrt(n_latents)
    sessions = []
    for i in range(n_sessions or 1):
        if strengths is None:
            latents, stimulus = _latents(
                rng, n_trials, n_time, n_latents, response, timescale, delay * (n_regions - 1)
            )
            first = latents[:, delay * (n_regions - 1) :]
        else:
            coupled, stimulus = _coupled(
                rng, n_trials, n_time, mixing, response, timescale, delay, strengths
            )
            first = coupled[0]
        region = np.sort(np.arange(n_neurons) % n_regions)
        weights = rng.normal(size=(n_neurons, n_latents))
        weights /= np.linalg.norm(weights, axis=1, keepdims=True)
        drive = np.empty((n_trials, n_time, n_neurons))
        for r in range(n_regions):
            if strengths is None:
                start = delay * (n_regions - 1 - r)  # later regions see the latents' past
                shared = latents[:, start : start + n_time] @ mixing[r]
                own = _smooth_noise(rng, n_trials, n_time, n_latents, timescale)
                activity = np.sqrt(1 - private) * shared + np.sqrt(private) * own
            else:
                activity = coupled[r]
            drive[:, :, region == r] = activity @ weights[region == r].T
        drive *= strength / drive.std((0, 1))
        hertz = np.exp(np.log(mean_rate) + 0.8 * rng.normal(size=n_neurons)).clip(*RATE_RANGE)
        rates = np.exp(drive)
        rates *= hertz * bin_width / rates.mean((0, 1))
        evidence = (first[:, -max(1, n_time // 3) :] @ readout[0]).mean(1)
        whisker = first @ readout[1]
        sessions.append(
            Session(
                rng.poisson(rates),
                np.array(regions)[region],
                trials={
                    "stimulus": stimulus,
                    "choice": np.where(evidence > np.median(evidence), 1, -1),
                },
                signals={"whisker": whisker},
                bin_width=bin_width,
                t_start=0.0,
                session_id=f"sim-{i}",
                subject=f"mouse-{i}",
                rates=rates,
            )
        )
    return sessions[0] if n_sessions is None else sessions


def _check_parameters(
    n_trials: int,
    n_sessions: int | None,
    n_time: int,
    n_neurons: int,
    regions: Sequence[str],
    n_latents: int,
    private: float,
    delay: int,
    timescale: float,
) -> None:
    for name, value, minimum in (
        ("n_trials", n_trials, 1),
        ("n_sessions", 1 if n_sessions is None else n_sessions, 1),
        ("n_time", n_time, 2),  # one bin alone has no dynamics
        ("n_neurons", n_neurons, 1),
        ("n_latents", n_latents, 1),
        ("delay", delay, 0),
    ):
        check_positive_int(name, value, minimum=minimum)
    check_fraction("private", private)
    # Below half a bin the kernel is a single bin, whatever its width.
    check_fraction("timescale", timescale, low=0.5, high=1000)
    is_several = isinstance(regions, Iterable) and not isinstance(regions, (str, bytes))
    names = list(regions) if is_several else []
    if not names or not all(isinstance(n, str) and n for n in names):
        raise InvalidInputError(
            f'regions={regions!r}; expected a sequence of names. Write regions=("VISp", "CA1").'
        )
    if len(set(names)) < len(names) or n_neurons < len(names):
        raise InvalidInputError(
            f"regions={names!r} for {n_neurons} neurons; expected different names and "
            "at least one neuron in each."
        )


def _latents(
    rng: np.random.Generator,
    n_trials: int,
    n_time: int,
    n_latents: int,
    response: np.ndarray,
    timescale: float,
    extra: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw shared latents (trials, extra + time, latents) that answer a stimulus of either sign."""
    length = n_time + extra
    noise = _smooth_noise(rng, n_trials, length, n_latents, timescale)
    stimulus = rng.choice([-1, 1], n_trials)
    course = _course(n_time, timescale, extra)
    return noise + course * (response[0] + stimulus[:, None, None] * response[1]), stimulus


def _coupled(
    rng: np.random.Generator,
    n_trials: int,
    n_time: int,
    mixing: np.ndarray,
    response: np.ndarray,
    timescale: float,
    delay: int,
    strengths: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw the latents (regions, trials, time, latents) of coupled regions that answer a stimulus."""
    n_regions, n_latents = mixing.shape[:2]
    own = np.stack(
        [
            _smooth_noise(rng, n_trials, n_time + delay, n_latents, timescale)
            for _ in range(n_regions)
        ]
    )
    before = own[:, :, :n_time] @ mixing[:, None]
    rest = np.sqrt((1 - (strengths**2).sum(0)).clip(0))[:, None, None, None]
    stimulus = rng.choice([-1, 1], n_trials)
    evoked = _course(n_time, timescale, 0) * (response[0] + stimulus[:, None, None] * response[1])
    coupled = np.tensordot(strengths.T, before, 1) + rest * own[:, :, delay:]
    return coupled + evoked @ mixing[:, None], stimulus


def _course(n_time: int, timescale: float, extra: int) -> np.ndarray:
    """Return the course of a response, (extra + time, 1), which begins at a quarter of the trial."""
    bins = np.arange(n_time + extra) - extra - n_time // 4
    course = np.where(bins > 0, bins / timescale * np.exp(1 - bins / (2 * timescale)), 0)
    return (course / max(course.max(), 1e-9))[:, None]


def _check_couplings(couplings: ArrayLike, n_regions: int) -> np.ndarray:
    """Return the strengths (from, to), or raise."""
    strengths = as_array("couplings", couplings, dtype=float)
    if strengths.shape != (n_regions, n_regions):
        raise InvalidInputError(
            f"couplings has shape {strengths.shape}; expected ({n_regions}, {n_regions}), from one region "
            "to another."
        )
    if not ((strengths >= 0) & (strengths <= 1)).all():
        raise InvalidInputError(
            f"couplings={strengths.tolist()!r}; expected strengths between 0 and 1."
        )
    if np.diag(strengths).any() or ((strengths**2).sum(0) > 1 + 1e-9).any():
        raise InvalidInputError(
            f"couplings={strengths.tolist()!r}; expected zeros on the diagonal, and columns whose squares "
            "add up to 1 at most. Lower the strengths of regions that follow several."
        )
    return strengths


def _smooth_noise(
    rng: np.random.Generator, n_trials: int, n_time: int, n_latents: int, timescale: float
) -> np.ndarray:
    """Gaussian noise of unit variance, smooth over time."""
    pad = int(4 * timescale)
    noise = rng.normal(size=(n_trials, n_time + 2 * pad, n_latents))
    smooth = gaussian_filter1d(noise, timescale, axis=1)[:, pad : pad + n_time]
    return smooth * np.sqrt(2 * timescale * np.sqrt(np.pi))
