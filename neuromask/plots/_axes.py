"""What all pictures share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import current_call

if TYPE_CHECKING:
    from types import ModuleType

    from matplotlib.axes import Axes

__all__ = ["COLOURS", "LABELS", "need_axes", "need_matplotlib"]

# Okabe-Ito, which readers with any colour vision tell apart.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000")
LABELS = {
    "co_smoothing": "co-smoothing",
    "forward_prediction": "forward",
    "intra_region": "intra-region",
    "inter_region": "inter-region",
}


def need_axes(ax: Axes | None) -> Axes:
    """Return the axes given, or new ones."""
    if ax is not None:
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
