"""Pictures of one model's scores, training and rates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from .._checks import check_positive_int
from .._observed import observed_mean, values_observed
from .._tables import need_columns
from ..errors import InvalidInputError, public
from ..evaluation import MIN_SPIKES
from ._axes import COLOURS, LABELS, mark_outside, need_axes, need_matplotlib

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_history", "plot_rates", "plot_regions", "plot_scores"]


@public
def plot_scores(
    table: pd.DataFrame, *, min_spikes: int = MIN_SPIKES, ax: Axes | None = None
) -> Axes:
    """Draw each neuron's bits per spike by task, with the means that `summarise` gives.

    Parameters
    ----------
    table : DataFrame
        Of :func:`neuromask.evaluate`.
    min_spikes : int, default=10
        Fewest scored spikes of a neuron that counts in the means, which are `bps` of
        :func:`neuromask.summarise`; the others are drawn as rings.
    ax : Axes, optional
        Where to draw.

    Returns
    -------
    Axes
        Triangles at its lower edge are neurons that score below it.
    """
    need_columns(table, ("task", "n_spikes", "bps"))
    check_positive_int("min_spikes", min_spikes)
    ax = need_axes(ax)
    rng = np.random.default_rng(0)
    tasks = list(dict.fromkeys(table["task"]))
    scored = table[table["bps"].notna()]
    drawn = []
    for i, task in enumerate(tasks):
        part = scored[scored["task"] == task]
        counts = part["n_spikes"] >= min_spikes
        colour = COLOURS[i % len(COLOURS)]
        x = i + rng.uniform(-0.25, 0.25, len(part))
        rings = ax.scatter(x[~counts], part.loc[~counts, "bps"], s=8, alpha=0.4, color=colour)
        rings.set_facecolor("none")
        ax.scatter(x[counts], part.loc[counts, "bps"], s=8, alpha=0.4, color=colour)
        drawn.append((x, part["bps"], colour))
        if counts.any():
            mean = part.loc[counts, "bps"].mean()
            ax.hlines(mean, i - 0.35, i + 0.35, color="black", lw=2)
            ax.annotate(f"{mean:.3f}", (i + 0.37, mean), va="center", fontsize=9)
    ax.axhline(0, color="grey", lw=0.8, ls=":")
    ax.set_xticks(range(len(tasks)), [LABELS.get(t, t) for t in tasks])
    ax.set_xlim(-0.6, len(tasks) - 0.1)
    # A few hardly active neurons score far below zero and would flatten all others.
    if len(scored):
        ax.set_ylim(np.percentile(scored["bps"], 1) - 0.1, scored["bps"].max() + 0.1)
    for dots in drawn:
        mark_outside(ax, *dots)
    ax.set_ylabel("bits per spike")
    ax.set_title(
        f"Each dot a neuron (a ring: fewer than {min_spikes} spikes),\neach bar the mean of the dots",
        fontsize=10,
    )
    return ax


@public
def plot_regions(
    table: pd.DataFrame, *, min_spikes: int = MIN_SPIKES, ax: Axes | None = None
) -> Axes:
    """Draw mean bits per spike by region and task, with standard errors over neurons.

    Parameters
    ----------
    table : DataFrame
        Of :func:`neuromask.evaluate`.
    min_spikes : int, default=10
        Fewest scored spikes of a neuron that counts, as in :func:`neuromask.summarise`.
    ax : Axes, optional
        Where to draw.

    Returns
    -------
    Axes
    """
    need_columns(table, ("task", "region", "n_spikes", "bps"))
    check_positive_int("min_spikes", min_spikes)
    ax = need_axes(ax)
    tasks = list(dict.fromkeys(table["task"]))
    regions = sorted(table["region"].dropna().unique())
    counted = table[table["n_spikes"] >= min_spikes]
    for i, task in enumerate(tasks):
        part = counted[counted["task"] == task].groupby("region")["bps"]
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
    ax.set_ylabel(f"bits per spike\n(mean over neurons of at least {min_spikes} spikes)")
    ax.legend(frameon=False)
    return ax


@public
def plot_history(history: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the validation bits per spike of each scheme over epochs, or else the training loss.

    Parameters
    ----------
    history : DataFrame
        ``history_`` of a fitted :class:`neuromask.MtMPretrainer`.
    ax : Axes, optional
        Where to draw.

    Returns
    -------
    Axes
        A dotted line marks the epoch whose weights were kept. Without validation trials these are
        the last, and the training loss is drawn.
    """
    need_columns(history, ("epoch", "train_loss"))
    ax = need_axes(ax)
    ax.set_xlabel("epoch")
    if "val_bps" not in history:
        ax.plot(history["epoch"], history["train_loss"], color=COLOURS[0])
        ax.set_ylabel("training loss")
        return ax
    columns = [c for c in history.columns if c.startswith("val_bps_")]
    for i, column in enumerate(columns):
        known = history[history[column].notna()]
        name = column.removeprefix("val_bps_")
        ax.plot(known["epoch"], known[column], color=COLOURS[i % len(COLOURS)], label=name)
    if history["val_bps"].notna().any():
        best = history.loc[history["val_bps"].idxmax(), "epoch"]
        ax.axvline(best, color="grey", lw=0.8, ls=":", label="kept")
    if ax.get_legend_handles_labels()[0]:
        ax.legend(frameon=False)
    ax.set_ylabel("validation bits per spike")
    return ax


@public
def plot_rates(
    counts: Any,
    rates: Any,
    *,
    true_rates: Any = None,
    neurons: Sequence[int] | np.ndarray | None = None,
    trial: int = 0,
    bin_width: float | None = None,
    t_start: float | None = None,
) -> Figure:
    """Draw observed counts and predicted rates of some neurons.

    The upper row is one trial, the lower row the mean over trials (the PSTH). Rates that have seen
    the counts, as those of :meth:`MtMPretrainer.predict` with nothing hidden, follow them too well:
    draw those of :meth:`MtMPretrainer.predict_hidden`.

    Parameters
    ----------
    counts : Session or array-like, (trials, time, neurons)
        Spike counts. Where nothing was observed, which NaN says too, nothing is drawn, and means
        are over the other trials.
    rates : array-like, (trials, time, neurons)
        Expected counts per bin; where they are NaN nothing is drawn.
    true_rates : array-like, (trials, time, neurons), optional
        True expected counts, where they are known.
    neurons : sequence of int, optional
        Neurons to show; the four most active by default.
    trial : int, default=0
        Trial to show.
    bin_width : float, optional
        Seconds per bin, for axes in seconds and Hz; that of a Session by default.
    t_start : float, optional
        Seconds from the event to the first bin; that of a Session by default, else 0.

    Returns
    -------
    Figure
    """
    plt = need_matplotlib()
    bin_width = getattr(counts, "bin_width", None) if bin_width is None else bin_width
    t_start = getattr(counts, "t_start", None) if t_start is None else t_start
    (counts, observed), rates = values_observed(counts), np.asarray(rates)
    truth = None if true_rates is None else np.asarray(true_rates)
    if truth is not None and truth.shape != counts.shape:
        raise InvalidInputError(
            f"counts has shape {counts.shape} and true_rates {truth.shape}; expected "
            "the same (trials, time, neurons)."
        )
    if counts.shape != rates.shape or counts.ndim != 3:
        raise InvalidInputError(
            f"counts has shape {counts.shape} and rates {rates.shape}; expected the "
            "same (trials, time, neurons)."
        )
    n_trials, n_time, n_neurons = counts.shape
    if not 0 <= trial < n_trials:
        raise InvalidInputError(
            f"trial={trial}; expected one of the {n_trials} trials, 0 to {n_trials - 1}."
        )
    busiest = np.argsort(-observed_mean(counts, observed, (0, 1)))[:4]
    shown = busiest if neurons is None else np.asarray(neurons)
    if not len(shown) or shown.min() < 0 or shown.max() >= n_neurons:
        raise InvalidInputError(
            f"neurons={shown.tolist()}; expected numbers from 0 to {n_neurons - 1}."
        )
    width = bin_width or 1
    start = (t_start or 0.0) if bin_width else 0.0
    time = start + (np.arange(n_time) + 0.5) * width  # centres of bins
    scale = 1 / width
    figure, axes = plt.subplots(
        2, len(shown), figsize=(3 * len(shown), 4.5), sharex=True, squeeze=False
    )
    for column, n in zip(axes.T, shown, strict=True):
        seen = None if observed is None else observed[:, :, n]
        one = (
            counts[trial, :, n] if seen is None else np.where(seen, counts[:, :, n], np.nan)[trial]
        )
        column[0].bar(time, one * scale, width=width, color="lightgrey")
        column[0].plot(time, rates[trial, :, n] * scale, color=COLOURS[0])
        means = [observed_mean(x[:, :, n], seen, 0) * scale for x in (counts, rates)]
        if seen is not None:
            means = [np.where(seen.any(0), mean, np.nan) for mean in means]
        column[1].plot(time, means[0], color="grey", label="observed")
        column[1].plot(time, means[1], color=COLOURS[0], label="predicted")
        if truth is not None:
            column[0].plot(
                time, truth[trial, :, n] * scale, color=COLOURS[5], ls="--", label="true rate"
            )
        column[0].set_title(f"neuron {n}")
        column[1].set_xlabel("time (s)" if bin_width else "bin")
    unit = "Hz" if bin_width else "counts"
    axes[0, 0].set_ylabel(f"trial {trial} ({unit})")
    axes[1, 0].set_ylabel(f"PSTH ({unit})")
    axes[1, 0].legend(frameon=False, fontsize=8)
    if truth is not None:
        axes[0, 0].legend(frameon=False, fontsize=8)
    figure.tight_layout()
    return figure
