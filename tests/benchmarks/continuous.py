"""Measure a continuous recording: windows, fit, prediction of the whole, a wheel decoded.

    python tests/benchmarks/continuous.py [--minutes 30] [--neurons 200] [--epochs 40] [--picture FILE]

A simulated recording without trials has two gaps. Windows of 1 s are fitted on four fifths of its
blocks. The bits per spike of the others are compared between windows and the whole recording, and so
is the loss at each place in a window, where a seam would show.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter1d
from sklearn.model_selection import GroupKFold

import neuromask as nm

BIN_WIDTH = 0.02
WINDOW = 1.0


def simulate(minutes: float, n_neurons: int, seed: int = 0) -> tuple[np.ndarray, ...]:
    """Return counts (time, neurons), NaN in two gaps, regions, and the wheel's speed (time,)."""
    chance = np.random.default_rng(seed)
    n_time = round(minutes * 60 / BIN_WIDTH)
    latents = gaussian_filter1d(chance.normal(size=(n_time, 8)), 8.0, axis=0)
    latents /= latents.std(0)
    loadings = chance.normal(size=(8, n_neurons)) * 0.25
    rates = np.exp(latents @ loadings + np.log(chance.gamma(2.0, 3.0, n_neurons) * BIN_WIDTH))
    counts = chance.poisson(rates).astype(float)
    for first, last in ((0.31, 0.36), (0.72, 0.75)):
        counts[round(first * n_time) : round(last * n_time)] = np.nan
    wheel = latents[:, 0] + 0.5 * latents[:, 1] + 0.3 * chance.normal(size=n_time)
    return counts, np.array(["VISp", "CA1", "LP", "MOs"])[np.arange(n_neurons) % 4], wheel


def nll(counts: np.ndarray, rates: np.ndarray) -> np.ndarray:
    """Return the Poisson loss of every entry."""
    return rates - counts * np.log(rates)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--neurons", type=int, default=200)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--scored", type=int, default=40, help="neurons that are scored")
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    counts, regions, wheel = simulate(options.minutes, options.neurons)
    session = nm.cut_windows(
        counts, regions, bin_width=BIN_WIDTH, window=WINDOW, signals={"wheel": wheel}
    )
    print(session)
    print(session.report)
    blocks = session.trials["block"].to_numpy()
    is_test = np.isin(blocks, np.unique(blocks)[2::5])
    train, test = session[~is_test], session[is_test]
    start = time.perf_counter()
    pre = nm.MtMPretrainer(max_epochs=options.epochs, random_state=0).fit(train)
    print(f"fit of {len(train)} windows: {time.perf_counter() - start:.0f} s")
    neurons = np.arange(options.scored)
    windowed = pre.predict_hidden(test, neurons=neurons)[:, :, neurons]
    start = time.perf_counter()
    rates = pre.predict(counts)
    print(f"predict of the whole, {rates.shape}: {time.perf_counter() - start:.1f} s")
    whole = pre.predict_hidden(counts[None], neurons=neurons)[0][:, neurons]
    first = np.round(test.trials["start"].to_numpy() / BIN_WIDTH).astype(int)
    bins = first[:, None] + np.arange(test.n_time)
    truth = test.counts[:, :, neurons]
    assert np.array_equal(truth, counts[bins][:, :, neurons])
    scores = [nm.metrics.bits_per_spike(truth, r, pooled=True) for r in (windowed, whole[bins])]
    print(f"bits per spike of windows {scores[0]:.4f}, of the whole {scores[1]:.4f}")
    print(f"ratio {scores[1] / scores[0]:.4f}")
    quarter = test.n_time // 4
    middle = slice(quarter, test.n_time - quarter)  # bins that have context on both sides in either
    scores = [
        nm.metrics.bits_per_spike(truth[:, middle], r[:, middle], pooled=True)
        for r in (windowed, whole[bins])
    ]
    print(f"in the middle half of windows: {scores[0]:.4f} and {scores[1]:.4f}")
    losses = [nll(truth, r).mean((0, 2)) for r in (windowed, whole[bins])]
    for name, loss in zip(("windows", "whole"), losses, strict=True):
        edge = loss[[0, 1, -2, -1]].mean() - loss[10:-10].mean()
        error = loss[10:-10].std()
        print(f"{name}: loss at the edges less that of the middle {edge:.5f} +- {error:.5f}")
    decoder = nm.MtMDecoder(pre, task="regression", random_state=0)
    table = decoder.evaluate(
        session, session.signals["wheel"], cv=GroupKFold(5), groups=blocks, baselines=False
    )
    print(table.round(3).to_string(index=False))
    if options.picture:
        import matplotlib

        matplotlib.use("Agg")
        import matplotlib.pyplot as plt

        figure, axes = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
        for name, loss in zip(("windows by themselves", "whole recording"), losses, strict=True):
            axes[0].plot(np.arange(len(loss)) * BIN_WIDTH, loss, label=name)
        axes[0].set(xlabel="place in the window (s)", ylabel="mean Poisson loss")
        axes[0].legend()
        shown = slice(bins[0, 0], bins[0, 0] + 400)
        axes[1].plot(np.arange(400) * BIN_WIDTH, whole[shown, 0], label="whole recording")
        axes[1].plot(
            np.arange(len(windowed[:8, :, 0].ravel())) * BIN_WIDTH,
            windowed[:8, :, 0].ravel(),
            label="windows",
            alpha=0.6,
        )
        axes[1].set(xlabel="time (s)", ylabel="expected count of a neuron")
        axes[1].legend()
        figure.savefig(options.picture, dpi=110)


if __name__ == "__main__":
    main()
