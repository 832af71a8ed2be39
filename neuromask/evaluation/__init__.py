"""Four tasks, and held-out groups, that score how well a recording is predicted from parts of itself.

:func:`predict_hidden` hides entries and asks any callable for their rates; :func:`evaluate` scores
these rates; :func:`summarise` makes a few numbers of the scores of many neurons.
:func:`translation_matrix` reads every region from every other one.
:func:`bits_interval` and :func:`psth_reliability` say how well a score is known, and how far a recording
can be predicted.
"""

from .groups import GROUP_TASK, neuron_groups, with_group_task
from .hiding import REGION_TASKS, TASK_SCHEMES, TASKS, PredictRates, predict_hidden, task_scheme
from .reliability import bits_interval, psth_reliability
from .scores import MIN_SPIKES, evaluate, summarise
from .translation import OTHERS, translation_matrix

__all__ = [
    "GROUP_TASK",
    "MIN_SPIKES",
    "OTHERS",
    "REGION_TASKS",
    "TASKS",
    "TASK_SCHEMES",
    "PredictRates",
    "bits_interval",
    "evaluate",
    "neuron_groups",
    "predict_hidden",
    "psth_reliability",
    "summarise",
    "task_scheme",
    "translation_matrix",
    "with_group_task",
]
