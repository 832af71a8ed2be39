"""Baselines that a model must beat, scored by the same evaluator.

Each has ``fit(X, regions=None, X_val=None)`` and ``predict_rates(counts, hidden, task)`` for
:func:`neuromask.evaluate`.
"""

from .glm import PoissonGLM
from .rates import PSTH, MeanRate

__all__ = ["PSTH", "MeanRate", "PoissonGLM"]
