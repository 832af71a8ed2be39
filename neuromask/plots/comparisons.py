"""Pictures of several models on the same recordings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from .._tables import need_columns
from ..errors import InvalidInputError, public
from ._axes import COLOURS, LABELS, mark_outside, need_axes, need_matplotlib

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_comparison", "plot_paired", "plot_scaling"]


@public
def plot_comparison(
    table_a: pd.DataFrame,
    table_b: pd.DataFrame,
    *,
    labels: tuple[str, str] = ("a", "b"),
    ax: Axes | None = None,
) -> Axes:
    """Scatter the bits per spike of two models, paired by session, task and neuron.

    Parameters
    ----------
    table_a, table_b : DataFrame
        Of :func:`neuromask.evaluate`, for the horizontal and the vertical axis.
    labels : tuple of str, default=("a", "b")
        Names of the two models.
    ax : Axes, optional
        Where to draw.

    Returns
    -------
    Axes
        Dots above the diagonal are neurons that `table_b` predicts better; triangles at the edges are
        neurons that lie beyond them.
    """
    for table in (table_a, table_b):
        need_columns(table, ("session", "task", "neuron", "bps"))
    ax = need_axes(ax)
    both = table_a.merge(table_b, on=["session", "task", "neuron"], suffixes=("_a", "_b"))
    for i, (task, part) in enumerate(both.groupby("task", sort=False)):
        colour = COLOURS[i % len(COLOURS)]
        label = LABELS.get(task, task)
        ax.scatter(part["bps_a"], part["bps_b"], s=8, alpha=0.4, color=colour, label=label)
    known = both[["bps_a", "bps_b"]].dropna()
    if not len(both):
        raise InvalidInputError(
            "the tables have no session, task and neuron in common; expected "
            "scores of the same recordings."
        )
    low, high = np.percentile(known, [1, 99.5]) if len(known) else (0, 1)
    ax.plot([low, high], [low, high], color="grey", lw=0.8, ls=":")
    ax.set_xlim(low, high)
    ax.set_ylim(low, high)
    for i, (_, part) in enumerate(both.groupby("task", sort=False)):
        mark_outside(ax, part["bps_a"], part["bps_b"], COLOURS[i % len(COLOURS)])
    ax.set_xlabel(f"{labels[0]} (bits per spike)")
    ax.set_ylabel(f"{labels[1]} (bits per spike)")
    ax.legend(frameon=False)
    return ax


@public
def plot_paired(
    table: pd.DataFrame,
    *,
    models: tuple[str, str] | None = None,
    metric: str = "bps_weighted",
    axes: Any = None,
) -> Figure:
    """Scatter two models' bits per spike, a panel a task and a dot a session and seed.

    Parameters
    ----------
    table : DataFrame
        Of :func:`neuromask.compare`.
    models : tuple of str, optional
        Models of the horizontal and the vertical axis; by default the second and the first one of
        the table, so that dots above the diagonal speak for the first.
    metric : str, default="bps_weighted"
        Column to draw, see :func:`neuromask.summarise`.
    axes : array of Axes, one a task, optional
        Where to draw.

    Returns
    -------
    Figure
        Dots above the diagonal are fits in which the second model is better.

    References
    ----------
    Zhang, Y. et al. (2024), figure 2C.
    """
    need_columns(table, ("session", "seed", "model", "task", metric))
    present = list(dict.fromkeys(table["model"]))
    if models is None:
        if len(present) < 2:
            raise InvalidInputError(f"the table has the models {present}; expected two to compare.")
        models = (present[1], present[0])
    for name in models:
        if name not in present:
            raise InvalidInputError(f"no model {name!r} in the table; expected two of {present}.")
    tasks = list(dict.fromkeys(table["task"]))
    axes = _panels(axes, len(tasks))
    wide = table.pivot_table(index=["task", "session", "seed"], columns="model", values=metric)
    for ax, task, colour in zip(axes, tasks, COLOURS, strict=False):
        x, y = (wide.loc[task][name] for name in models)
        ax.scatter(x, y, s=22, color=colour, alpha=0.8)
        low, high = np.nanmin([x, y]), np.nanmax([x, y])
        pad = 0.05 * (high - low) or 0.1
        ax.plot([low - pad, high + pad], [low - pad, high + pad], color="grey", lw=0.8, ls=":")
        ax.set_xlim(low - pad, high + pad)
        ax.set_ylim(low - pad, high + pad)
        ax.set_title(f"{LABELS.get(task, task)}\n{(y > x).sum()} of {len(x)} above", fontsize=10)
        ax.set_xlabel(f"{models[0]} (bits per spike)")
    axes[0].set_ylabel(f"{models[1]} (bits per spike)")
    return axes[0].figure


@public
def plot_scaling(
    table: pd.DataFrame,
    *,
    x: str = "n_sessions",
    metric: str = "bps_weighted",
    label: str = "pretraining sessions",
    axes: Any = None,
) -> Figure:
    """Draw scores over the amount of data, a panel a task and a line a model.

    Parameters
    ----------
    table : DataFrame
        Columns task, model, `metric` and `x`; rows that agree in these, such as seeds, are averaged, and
        bars show the standard error of their mean.
    x : str, default="n_sessions"
        Column of the horizontal axis.
    metric : str, default="bps_weighted"
        Column to draw, see :func:`neuromask.summarise`.
    label : str, default="pretraining sessions"
        Its label.
    axes : array of Axes, one a task, optional
        Where to draw.

    Returns
    -------
    Figure
    """
    need_columns(table, ("task", "model", metric, x))
    tasks = list(dict.fromkeys(table["task"]))
    axes = _panels(axes, len(tasks))
    models = list(dict.fromkeys(table["model"]))
    for ax, task in zip(axes, tasks, strict=False):
        for model, colour in zip(models, COLOURS, strict=False):
            part = table[(table["task"] == task) & (table["model"] == model)]
            found = part.groupby(x)[metric].agg(["mean", "sem"])
            ax.errorbar(
                found.index,
                found["mean"],
                found["sem"].fillna(0),
                marker="o",
                color=colour,
                label=model,
                capsize=2,
            )
        ax.set_xticks(sorted(table[x].unique()))
        ax.set_title(LABELS.get(task, task), fontsize=10)
        ax.set_xlabel(label)
    axes[0].set_ylabel("bits per spike")
    axes[0].legend(frameon=False, fontsize=8)
    return axes[0].figure


def _panels(axes: Any, n: int) -> np.ndarray:
    if axes is None:
        plt = need_matplotlib()
        _, axes = plt.subplots(1, n, figsize=(3 * n, 3.2), layout="constrained", squeeze=False)
    return np.ravel(axes)
