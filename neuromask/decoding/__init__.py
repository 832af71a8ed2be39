"""Decoders of behaviour: baselines from scikit-learn, and comparisons on the same folds.

Baselines are scikit-learn pipelines on the same ``X`` (trials, time, neurons), so that whatever is
compared is fitted and scored by the same code.
"""

from .baselines import (
    ArgmaxClassifier,
    PerBinRegressor,
    ReducedRankRegressor,
    decoding_baselines,
)
from .scores import compare_decoders, pooled_r2, summarise_decoders
from .streaming import SignalStream

__all__ = [
    "ArgmaxClassifier",
    "PerBinRegressor",
    "ReducedRankRegressor",
    "SignalStream",
    "compare_decoders",
    "decoding_baselines",
    "pooled_r2",
    "summarise_decoders",
]
