"""Whether times can be of the clock, and in the unit, that they are taken to be."""

from __future__ import annotations

import numpy as np

from ..errors import InvalidInputError, warn

__all__ = ["refuse_late_events", "warn_of_recording", "warn_of_signal", "warn_of_units"]

# Spikes a second of the average neuron, which no recording of sorted units comes near.
FEWEST = 0.05
# Trials are at most a few times further apart than they are long, and most of a recording has trials.
LONGER, FURTHER = 30.0, 200.0
# A signal that goes on for so many recordings is of another unit.
MUCH_LONGER = 100.0
# Fewer spikes may well lie close together in a long recording.
ENOUGH = 1000


def warn_of_units(times: np.ndarray, n_neurons: int, events: np.ndarray, edges: np.ndarray) -> None:
    """Warn of times that are of another unit than seconds, by rates that cannot be.

    Neither sign is enough by itself: a recording may go on long after its trials, and neurons may be
    silent. Together they are a file in milliseconds or samples.

    Parameters
    ----------
    times : array (spikes,)
        Ascending, taken for seconds.
    n_neurons : int
        Neurons that they are of.
    events : array (trials,)
        Taken for seconds.
    edges : array (bins + 1,)
        Seconds from the event.
    """
    span = float(times[-1] - times[0])
    rate = len(times) / max(n_neurons, 1) / max(span, 1e-12)
    trials = float(events.max() + edges[-1] - min(times[0], events.min() + edges[0]))
    told = f"neurons fire {rate:.2g} spikes/s on average over {span:,.0f} s"
    if rate < FEWEST and span > LONGER * trials:
        warn(
            f"{told}, but trials cover {trials:,.0f} s: spike times are {span / trials:,.0f} times longer. "
            f"They seem to be in {_unit(span / trials)}, and are read as seconds. Divide them, or give "
            "samples with sampling_rate=."
        )
    elif rate < FEWEST and np.median(np.diff(np.sort(events)) if len(events) > 1 else 0) > (
        FURTHER * (edges[-1] - edges[0])
    ):
        warn(
            f"{told}, and trials of {edges[-1] - edges[0]:g} s are {np.median(np.diff(np.sort(events))):,.0f} s "
            "apart. Spike times and events seem to be in milliseconds or samples, and are read as "
            "seconds. Divide both by 1000, or by the sampling rate."
        )


def refuse_late_events(events: np.ndarray, recorded: np.ndarray) -> None:
    """Refuse events most of which come so long after the recording that they are of another unit.

    To drop them, as trials beyond the recording, would leave a few at its start and say nothing of the
    unit.
    """
    stop = float(recorded[-1, 1])
    # Twice as long after the recording is no trial of it. The largest event says the factor.
    factor = float(events.max()) / max(stop, 1e-12)
    if np.mean(events > 2 * stop) > 0.5 and factor > LONGER:
        raise InvalidInputError(
            f"events last until {events.max():,.0f} s, {factor:,.0f} times longer than the recording, "
            f"which stops at {stop:,.0f} s. They seem to be in {_unit(factor)}; expected seconds. Divide "
            "events by 1000, or by the sampling rate."
        )


def warn_of_recording(recorded: np.ndarray, times: np.ndarray) -> None:
    """Warn of a recording that lasts far longer than its spikes, and so is of another unit."""
    seconds, span = float(np.diff(recorded, axis=1).sum()), float(times[-1] - times[0])
    if len(times) >= ENOUGH and seconds > MUCH_LONGER * span:
        factor = seconds / max(span, 1e-12)
        warn(
            f"the recording lasts {seconds:,.0f} s, {factor:,.0f} times longer than its spikes, which last "
            f"{span:,.0f} s. If it is given in {_unit(factor)}, divide it by 1000, or by the sampling rate: "
            "rates are of the time that it says."
        )


def warn_of_signal(name: str, times: np.ndarray, seconds: float) -> None:
    """Warn of a signal that lasts far longer than the recording, which is of another unit."""
    factor = float(times[-1] - times[0]) / max(seconds, 1e-12) if len(times) else 0.0
    if factor > MUCH_LONGER:
        warn(
            f"signal {name!r} lasts {times[-1] - times[0]:,.0f} s, {factor:,.0f} times longer than the "
            f"recording. Its times seem to be in {_unit(factor)}, and are read as seconds. Divide them by "
            "1000, or by the sampling rate."
        )


def _unit(factor: float) -> str:
    return "samples" if factor > 8000 else "milliseconds"
