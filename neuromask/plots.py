"""Pictures of tables and rates; nothing here fits or scores.

Functions take DataFrames or arrays and return the matplotlib Axes or Figure they drew on.
matplotlib is the extra ``plots``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ._errors import InvalidInputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_comparison", "plot_history", "plot_rates", "plot_regions", "plot_scores"]

# Okabe-Ito, which readers with any colour vision tell apart.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000")
LABELS = {
    "co_smoothing": "co-smoothing",
    "forward_prediction": "forward",
    "intra_region": "intra-region",
    "inter_region": "inter-region",
}


def plot_scores(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw each neuron's bits per spike by task, with means.

    Parameters
    ----------
    table : DataFrame
        Of :func:`neuromask.evaluate`.
    ax : Axes, optional
        Where to draw.

    Returns
    -------
    Axes
    """
    _need(table, ("task", "bps"), "plot_scores")
    ax = _axes(ax)
    rng = np.random.default_rng(0)
    tasks = list(dict.fromkeys(table["task"]))
    for i, task in enumerate(tasks):
        bps = table.loc[table["task"] == task, "bps"].dropna().to_numpy()
        colour = COLOURS[i % len(COLOURS)]
        ax.scatter(i + rng.uniform(-0.25, 0.25, len(bps)), bps, s=8, alpha=0.4, color=colour)
        ax.hlines(bps.mean(), i - 0.35, i + 0.35, color="black", lw=2)
        ax.annotate(f"{bps.mean():.3f}", (i + 0.37, bps.mean()), va="center", fontsize=9)
    ax.axhline(0, color="grey", lw=0.8, ls=":")
    ax.set_xticks(range(len(tasks)), [LABELS.get(t, t) for t in tasks])
    ax.set_xlim(-0.6, len(tasks) - 0.1)
    # A few hardly active neurons score far below zero and would flatten all others.
    ax.set_ylim(np.nanpercentile(table["bps"], 1) - 0.1, table["bps"].max() + 0.1)
    ax.set_ylabel("bits per spike")
    ax.set_title("Each dot a neuron, each bar a mean")
    return ax


def plot_regions(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw mean bits per spike by region and task, with standard errors over neurons."""
    _need(table, ("task", "region", "bps"), "plot_regions")
    ax = _axes(ax)
    tasks = list(dict.fromkeys(table["task"]))
    regions = sorted(table["region"].dropna().unique())
    for i, task in enumerate(tasks):
        part = table[table["task"] == task].groupby("region")["bps"]
        x = np.arange(len(regions)) + (i - (len(tasks) - 1) / 2) * 0.8 / len(tasks)
        ax.errorbar(
            x,
            part.mean().reindex(regions),
            part.sem().reindex(regions),
            fmt="o",
            color=COLOURS[i % len(COLOURS)],
            label=LABELS.get(task, task),
        )
    ax.axhline(0, color="grey", lw=0.8, ls=":")
    ax.set_xticks(range(len(regions)), regions, rotation=45 if len(regions) > 6 else 0)
    ax.set_ylabel("bits per spike")
    ax.legend(frameon=False)
    return ax


def plot_history(history: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the validation bits per spike of each scheme over epochs (``history_``)."""
    _need(history, ("epoch",), "plot_history")
    ax = _axes(ax)
    columns = [c for c in history.columns if c.startswith("val_bps_")]
    for i, column in enumerate(columns):
        known = history[history[column].notna()]
        name = column.removeprefix("val_bps_")
        ax.plot(known["epoch"], known[column], color=COLOURS[i % len(COLOURS)], label=name)
    if columns:
        best = history.loc[history["val_bps"].idxmax(), "epoch"]
        ax.axvline(best, color="grey", lw=0.8, ls=":", label="kept")
        ax.legend(frameon=False)
    ax.set_xlabel("epoch")
    ax.set_ylabel("validation bits per spike")
    return ax


def plot_rates(
    counts: Any,
    rates: Any,
    *,
    true_rates: Any = None,
    neurons: Any = None,
    trial: int = 0,
    bin_width: float | None = None,
) -> Figure:
    """Draw observed counts and predicted rates of some neurons: one trial, and the PSTH.

    Parameters
    ----------
    counts, rates : array-like, (trials, time, neurons)
        Spike counts and expected counts per bin.
    true_rates : array-like, (trials, time, neurons), optional
        True expected counts, where they are known.
    neurons : sequence of int, optional
        Neurons to show; the four most active by default.
    trial : int, default=0
        Trial to show.
    bin_width : float, optional
        Seconds per bin, for axes in seconds and Hz.

    Returns
    -------
    Figure
    """
    import matplotlib.pyplot as plt

    counts, rates = np.asarray(counts), np.asarray(rates)
    if counts.shape != rates.shape or counts.ndim != 3:
        raise InvalidInputError(
            f"plot_rates: counts has shape {counts.shape} and rates {rates.shape}; expected the "
            "same (trials, time, neurons)."
        )
    neurons = np.argsort(-counts.mean((0, 1)))[:4] if neurons is None else neurons
    time = np.arange(counts.shape[1]) * (bin_width or 1)
    scale = 1 / (bin_width or 1)
    figure, axes = plt.subplots(
        2, len(neurons), figsize=(3 * len(neurons), 4.5), sharex=True, squeeze=False
    )
    for column, n in zip(axes.T, neurons, strict=True):
        column[0].bar(time, counts[trial, :, n] * scale, width=time[1], color="lightgrey")
        column[0].plot(time, rates[trial, :, n] * scale, color=COLOURS[0])
        column[1].plot(time, counts[:, :, n].mean(0) * scale, color="grey", label="observed")
        column[1].plot(time, rates[:, :, n].mean(0) * scale, color=COLOURS[0], label="predicted")
        if true_rates is not None:
            truth = np.asarray(true_rates)[trial, :, n]
            column[0].plot(time, truth * scale, color=COLOURS[5], ls="--", label="true rate")
        column[0].set_title(f"neuron {n}")
        column[1].set_xlabel("time (s)" if bin_width else "bin")
    unit = "Hz" if bin_width else "counts"
    axes[0, 0].set_ylabel(f"trial {trial} ({unit})")
    axes[1, 0].set_ylabel(f"PSTH ({unit})")
    axes[1, 0].legend(frameon=False, fontsize=8)
    if true_rates is not None:
        axes[0, 0].legend(frameon=False, fontsize=8)
    figure.tight_layout()
    return figure


def plot_comparison(
    table_a: pd.DataFrame,
    table_b: pd.DataFrame,
    *,
    labels: tuple[str, str] = ("a", "b"),
    ax: Axes | None = None,
) -> Axes:
    """Scatter two tables of :func:`neuromask.evaluate`, paired by session, task and neuron."""
    for table in (table_a, table_b):
        _need(table, ("session", "task", "neuron", "bps"), "plot_comparison")
    ax = _axes(ax)
    both = table_a.merge(table_b, on=["session", "task", "neuron"], suffixes=("_a", "_b"))
    for i, (task, part) in enumerate(both.groupby("task", sort=False)):
        colour = COLOURS[i % len(COLOURS)]
        label = LABELS.get(task, task)
        ax.scatter(part["bps_a"], part["bps_b"], s=8, alpha=0.4, color=colour, label=label)
    known = both[["bps_a", "bps_b"]].dropna()
    low, high = np.percentile(known, [1, 99.5]) if len(known) else (0, 1)
    ax.plot([low, high], [low, high], color="grey", lw=0.8, ls=":")
    ax.set_xlim(low, high)
    ax.set_ylim(low, high)
    ax.set_xlabel(f"{labels[0]} (bits per spike)")
    ax.set_ylabel(f"{labels[1]} (bits per spike)")
    ax.legend(frameon=False)
    return ax


def _axes(ax: Axes | None) -> Axes:
    if ax is not None:
        return ax
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError("Plots need matplotlib: pip install 'neuromask[plots]'.") from error
    return plt.subplots(layout="constrained")[1]


def _need(table: pd.DataFrame, columns: tuple[str, ...], caller: str) -> None:
    missing = [c for c in columns if c not in table.columns]
    if missing:
        raise InvalidInputError(
            f"{caller}: the table lacks {missing}; expected the columns {list(columns)}."
        )
