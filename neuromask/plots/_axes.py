"""What all pictures share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from ..errors import InvalidInputError, current_call

if TYPE_CHECKING:
    from types import ModuleType

    from matplotlib.axes import Axes

__all__ = ["COLOURS", "LABELS", "mark_outside", "need_axes", "need_matplotlib"]

# Okabe-Ito, which readers with any colour vision tell apart.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000")
LABELS = {
    "co_smoothing": "co-smoothing",
    "forward_prediction": "forward",
    "intra_region": "intra-region",
    "inter_region": "inter-region",
    "group_co_smoothing": "group co-smoothing",
}


def mark_outside(ax: Axes, x: ArrayLike, y: ArrayLike, colour: str) -> None:
    """Mark the dots that the limits of the axes leave out, by triangles where they would lie.

    Parameters
    ----------
    ax : Axes
        Axes whose limits are set.
    x, y : array-like, (dots,)
        All dots; those without a number are not drawn.
    colour : str
        Their colour.
    """
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    known = np.isfinite(x) & np.isfinite(y)
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    marked = np.zeros(x.shape, dtype=bool)
    for marker, beyond in (("v", y < bottom), ("^", y > top), ("<", x < left), (">", x > right)):
        shown = known & beyond & ~marked
        marked |= shown
        if shown.any():
            at = np.clip(x[shown], left, right), np.clip(y[shown], bottom, top)
            ax.scatter(*at, s=20, marker=marker, color=colour, clip_on=False, zorder=3)


def need_axes(ax: Axes | None) -> Axes:
    """Return the axes given, or new ones."""
    if ax is not None:
        if not hasattr(ax, "transAxes"):
            raise InvalidInputError(
                f"ax is a {type(ax).__name__}; expected Axes of matplotlib, such as plt.subplots()[1]."
            )
        return ax
    return need_matplotlib().subplots(layout="constrained")[1]


def need_matplotlib() -> ModuleType:
    """Give ``matplotlib.pyplot``, or say which extra brings it."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            f"{current_call()}: matplotlib is not installed. Run: pip install 'neuromask[plots]'"
        ) from error
    return plt
