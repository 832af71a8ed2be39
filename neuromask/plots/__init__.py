"""Pictures of tables and rates; nothing here fits or scores.

Functions take DataFrames or arrays and return the matplotlib Axes or Figure they drew on.
matplotlib is the extra ``plots``.
"""

from ._axes import COLOURS, LABELS, need_matplotlib
from .behaviour import plot_decoders, plot_region_importance, plot_time_course
from .comparisons import plot_comparison, plot_paired, plot_scaling
from .scores import plot_history, plot_rates, plot_regions, plot_scores

__all__ = [
    "COLOURS",
    "LABELS",
    "need_matplotlib",
    "plot_comparison",
    "plot_decoders",
    "plot_history",
    "plot_paired",
    "plot_rates",
    "plot_region_importance",
    "plot_regions",
    "plot_scaling",
    "plot_scores",
    "plot_time_course",
]
