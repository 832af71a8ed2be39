"""Pictures of decoders of behaviour."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from .._tables import need_columns
from ..errors import public
from ._axes import COLOURS, need_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_decoders", "plot_region_importance", "plot_time_course"]


@public
def plot_decoders(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the cross-validated scores of decoders with their confidence intervals.

    Parameters
    ----------
    table : DataFrame
        Of :meth:`neuromask.MtMDecoder.evaluate` or
        :func:`neuromask.decoding.summarise_decoders`. The scores of single folds are drawn as small
        dots where ``attrs["folds"]`` has them.
    ax : Axes, optional
        Where to draw.

    Returns
    -------
    Axes
    """
    need_columns(table, ("model", "score", "ci_low", "ci_high"))
    ax = need_axes(ax)
    rows = np.arange(len(table))[::-1]
    folds = pd.DataFrame(table.attrs.get("folds", []), columns=["model", "score"])
    for row, (_, entry) in zip(rows, table.iterrows(), strict=True):
        colour = COLOURS[0] if row == rows[0] else "grey"
        scores = folds.loc[folds["model"] == entry["model"], "score"]
        ax.scatter(scores, np.full(len(scores), row - 0.15), s=10, alpha=0.5, color=colour)
        ax.hlines(row, entry["ci_low"], entry["ci_high"], color=colour, lw=2)
        ax.plot(entry["score"], row, "o", color=colour)
        ax.annotate(
            f"{entry['score']:.3f}",
            (entry["score"], row),
            (0, 7),
            textcoords="offset points",
            ha="center",
            fontsize=9,
        )
    ax.set_yticks(rows, table["model"])
    ax.set_ylim(-0.6, len(table) - 0.3)
    ax.set_xlabel("score (mean and confidence interval over folds)")
    return ax


@public
def plot_region_importance(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw how much a decoder's score drops when each region is hidden.

    Parameters
    ----------
    table : DataFrame
        Of :meth:`neuromask.MtMDecoder.region_importance`.
    ax : Axes, optional
        Where to draw.

    Returns
    -------
    Axes
        Bars are drops, lines their standard errors.
    """
    need_columns(table, ("region", "n_neurons", "importance", "importance_se"))
    ax = need_axes(ax)
    rows = np.arange(len(table))[::-1]
    ax.barh(
        rows,
        table["importance"],
        xerr=table["importance_se"],
        color=COLOURS[0],
        ecolor="grey",
        height=0.7,
    )
    names = [f"{r.region} ({r.n_neurons})" for r in table.itertuples()]
    ax.set_yticks(rows, names)
    ax.axvline(0, color="grey", lw=0.8, ls=":")
    ax.set_xlabel("drop of the score when the region is hidden")
    return ax


@public
def plot_time_course(
    table: pd.DataFrame, *, chance: float | None = None, ax: Axes | None = None
) -> Axes:
    """Draw a decoder's score over time, with standard errors over folds.

    Parameters
    ----------
    table : DataFrame
        Of :meth:`neuromask.MtMDecoder.time_resolved`.
    chance : float, optional
        Score of guessing, drawn as a dotted line.
    ax : Axes, optional
        Where to draw.

    Returns
    -------
    Axes
        Over seconds where they are known, else over bins.
    """
    need_columns(table, ("fold", "bin", "time", "score"))
    ax = need_axes(ax)
    axis = "bin" if table["time"].isna().any() else "time"
    groups = table.groupby(axis)["score"]
    mean, error = groups.mean(), groups.sem()
    ax.plot(mean.index, mean, color=COLOURS[0])
    ax.fill_between(mean.index, mean - error, mean + error, color=COLOURS[0], alpha=0.25, lw=0)
    if chance is not None:
        ax.axhline(chance, color="grey", lw=0.8, ls=":")
    ax.set_xlabel("time (s)" if axis == "time" else "bin")
    ax.set_ylabel("score (mean and s.e. over folds)")
    return ax
