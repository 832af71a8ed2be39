"""Which trials of a recording are kept."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ..errors import InvalidInputError
from .report import Report

__all__ = ["filter_trials", "trials_within"]


def filter_trials(
    trials: pd.DataFrame, rules: dict[str, np.ndarray], report: Report
) -> pd.DataFrame:
    """Keep the trials that pass every rule, one rule after the other, and report what each drops.

    Parameters
    ----------
    trials : DataFrame
        One row a trial.
    rules : mapping of str to array of bool (trials,)
        Why a trial is dropped, and which ones are kept.
    report : Report
        Gets a row a rule that drops any.

    Raises
    ------
    InvalidInputError
        If no trial is left.

    Examples
    --------
    >>> import pandas as pd
    >>> trials, report = pd.DataFrame({"choice": [1, 0, -1]}), Report()
    >>> rules = {"no choice": (trials["choice"] != 0).to_numpy()}
    >>> filter_trials(trials, rules, report)["choice"].tolist()
    [1, -1]
    """
    kept = np.ones(len(trials), bool)
    for reason, passed in rules.items():
        after = kept & passed
        report.dropped("trials", reason, (kept & ~passed).sum(), after.sum())
        kept = after
    if not kept.any():
        raise InvalidInputError(
            f"none of {len(trials)} trials is left. Dropped, one rule after the other: "
            f"{report.summary('trials')}. Choose another event or window, or fewer rules."
        )
    return trials[kept].reset_index(drop=True)


def trials_within(
    events: np.ndarray, edges: np.ndarray, recording: tuple[float, float], name: str
) -> dict[str, np.ndarray]:
    """Give the rules that every recording needs: an event, and a window that lies inside.

    Parameters
    ----------
    events : array of float (trials,)
        Seconds; NaN where a trial has none.
    edges : array (bins + 1,)
        Seconds from the event.
    recording : (float, float)
        Start and stop in seconds.
    name : str
        Name of the event.

    Examples
    --------
    >>> import numpy as np
    >>> events = np.array([np.nan, 0.1, 5.0])
    >>> trials_within(events, np.array([-0.5, 1.5]), (0.0, 9.0), "go cue")
    {'no go cue': array([False,  True,  True]), 'beyond the recording': array([False, False,  True])}
    """
    inside = (events + edges[0] >= recording[0]) & (events + edges[-1] <= recording[1])
    return {f"no {name}": np.isfinite(events), "beyond the recording": inside}
