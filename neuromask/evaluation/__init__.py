"""Four tasks that score how well a recording is predicted from parts of itself.

:func:`predict_hidden` hides entries and asks any callable for their rates; :func:`evaluate` scores
these rates; :func:`summarise` makes a few numbers of the scores of many neurons.
"""

from .hiding import REGION_TASKS, TASK_SCHEMES, TASKS, PredictRates, predict_hidden, task_scheme
from .scores import MIN_SPIKES, evaluate, summarise

__all__ = [
    "MIN_SPIKES",
    "REGION_TASKS",
    "TASKS",
    "TASK_SCHEMES",
    "PredictRates",
    "evaluate",
    "predict_hidden",
    "summarise",
    "task_scheme",
]
