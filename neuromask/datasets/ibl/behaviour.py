"""Trials, wheel and cameras of IBL sessions, from arrays that are already read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.signal import butter, sosfiltfilt

from ...errors import InvalidInputError, suggest
from ..report import Report

__all__ = ["camera_times", "paw_speeds", "trial_rules", "trials_table", "wheel_velocity"]

WHEEL_RATE = 1000.0  # Hz
WHEEL_CUTOFF = 20.0  # Hz
SHORTEST = 100  # samples that the filter needs, at its ends
LIKELIHOOD = 0.9  # of a tracked point, below which its place is not known


def trials_table(trials: Mapping[str, Any], report: Report) -> pd.DataFrame:
    """Make one table of the columns of the ALF object ``trials``.

    Adds ``contrast``, signed: that on the right, or minus that on the left; ``block``, the
    probability of a stimulus on the left; and ``reward``, whether water was given.

    Parameters
    ----------
    trials : mapping of str to array (trials,) or (trials, 2)
        As ONE gives them; the columns of ``intervals`` become ``intervals_0`` and ``intervals_1``.
    report : Report
        Gets columns that are left out, as they do not have a value a trial.
    """
    columns: dict[str, np.ndarray] = {}
    for name, values in trials.items():
        values = np.asarray(values)
        if values.ndim == 2:
            columns |= {f"{name}_{i}": column for i, column in enumerate(values.T)}
        elif values.ndim == 1 and values.dtype.kind in "biuf":
            columns[str(name)] = values
    lengths = {name: len(values) for name, values in columns.items()}
    usual = max(set(lengths.values()), key=[*lengths.values()].count, default=0)
    others = [name for name, length in lengths.items() if length != usual]
    if len(others) * 2 >= len(lengths) > 0:
        raise InvalidInputError(
            f"the columns of trials differ in length, {lengths}; expected one value a "
            "trial. Pin a revision in which they fit together."
        )
    for name in others:
        values = columns.pop(name)
        report.dropped(f"column {name} of trials", f"{len(values)} values", usual, 0)
    table = pd.DataFrame(columns)
    if {"contrastLeft", "contrastRight"} <= set(table):
        table["contrast"] = table["contrastRight"].fillna(0) - table["contrastLeft"].fillna(0)
    if "probabilityLeft" in table:
        table["block"] = table["probabilityLeft"]
    if "feedbackType" in table:
        table["reward"] = (table["feedbackType"] > 0).astype(float)
    return table


def trial_rules(
    trials: pd.DataFrame,
    *,
    complete: Sequence[str],
    no_choice: bool,
    reaction_time: Sequence[float] | None,
    feedback_delay: float | None,
) -> dict[str, np.ndarray]:
    """Give which trials pass each rule.

    Parameters
    ----------
    trials : DataFrame
        Of `trials_table`.
    complete : sequence of str
        Columns that must have a value.
    no_choice : bool
        Whether trials in which the wheel was not turned far enough pass.
    reaction_time : (float, float) or None
        Least and most seconds from stimulus to first movement.
    feedback_delay : float or None
        Most seconds from go cue to feedback.

    Raises
    ------
    InvalidInputError
        If a column that a rule needs is missing.
    """
    needed = {"complete": list(complete), "no_choice": [] if no_choice else ["choice"]}
    needed["reaction_time"] = ["firstMovement_times", "stimOn_times"] if reaction_time else []
    needed["feedback_delay"] = ["feedback_times", "goCue_times"] if feedback_delay else []
    for option, columns in needed.items():
        for column in columns:
            if column not in trials:
                raise InvalidInputError(
                    f"{option} needs the column {column!r} of trials, which has "
                    f"{sorted(trials)}.{suggest(column, trials)} Change {option}."
                )
    rules = {f"no {column}": trials[column].notna().to_numpy() for column in complete}
    if not no_choice:
        rules["no choice was made"] = (trials["choice"] != 0).to_numpy()
    if reaction_time:
        least, most = reaction_time
        reaction = (trials["firstMovement_times"] - trials["stimOn_times"]).to_numpy()
        rules[f"reaction time outside of {least:g} to {most:g} s"] = (reaction >= least) & (
            reaction <= most
        )
    if feedback_delay:
        delay = (trials["feedback_times"] - trials["goCue_times"]).to_numpy()
        rules[f"feedback more than {feedback_delay:g} s after the go cue"] = delay <= feedback_delay
    return rules


def wheel_velocity(timestamps: np.ndarray, position: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give the wheel's velocity at 1 kHz, in rad/s, low-pass filtered at 20 Hz.

    The wheel is sampled when it moves, so that its position is interpolated first. The filter is
    Butterworth of order 8, run forwards and backwards, as in IBL's own analyses.

    Parameters
    ----------
    timestamps : array (samples,)
        Seconds.
    position : array (samples,)
        Radians.

    Returns
    -------
    times, velocity : arrays (samples at 1 kHz,)
    """
    times = np.arange(timestamps[0], timestamps[-1], 1 / WHEEL_RATE)
    if len(times) <= SHORTEST:
        return times, np.full(len(times), np.nan)
    even = np.interp(times, timestamps, position)
    low_pass = butter(8, WHEEL_CUTOFF, fs=WHEEL_RATE, output="sos")
    smooth = sosfiltfilt(low_pass, even)
    return times, np.diff(smooth, prepend=smooth[:1]) * WHEEL_RATE


def camera_times(times: np.ndarray, n_frames: int, most_lacking: float) -> np.ndarray | None:
    """Give the time of each frame, NaN where it has none, or None where that cannot be known.

    Cameras may start before the frames that were kept; then the last times belong to the frames. A
    few times may lack at the end, as long as no time is wrong by more than `most_lacking` seconds,
    whichever frames they are.
    """
    lacking = n_frames - len(times)
    if n_frames == 0 or len(times) < 2:
        return None
    if lacking <= 0:
        return times[-lacking:]
    if not 0 < lacking * np.nanmedian(np.diff(times)) <= most_lacking:
        return None
    return np.append(times, np.full(lacking, np.nan))


def paw_speeds(times: np.ndarray, tracked: pd.DataFrame) -> np.ndarray:
    """Give the speeds of the left and the right paw in pixels/s (frames, 2); NaN where not seen.

    Parameters
    ----------
    times : array (frames,)
        Seconds.
    tracked : DataFrame
        Columns ``paw_l_x``, ``paw_l_y``, ``paw_l_likelihood``, and those of ``paw_r``.
    """
    speeds = []
    for paw in ("paw_l", "paw_r"):
        seen = tracked[f"{paw}_likelihood"].to_numpy() >= LIKELIHOOD
        steps = [
            np.diff(np.where(seen, tracked[f"{paw}_{axis}"].to_numpy(float), np.nan))
            for axis in "xy"
        ]
        speed = np.hypot(*steps) / np.diff(times)
        speeds.append(np.append(np.nan, speed))
    return np.stack(speeds, 1)
