"""
Close a loop
============

A state of the brain that wanders is decoded from spikes bin by bin, and a simulated stimulation pushes it
back. The decoder has learned from a recording without stimulation, and knows the past alone.
"""

import sys
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import neuromask as nm

BIN_WIDTH, N_NEURONS, GAIN = 0.02, 60, 0.1
chance = np.random.default_rng(0)
loadings = chance.normal(0, 0.5, N_NEURONS)
base = np.log(chance.gamma(2.0, 4.0, N_NEURONS) * BIN_WIDTH)


def run(n_bins, stimulation, seed):
    """Let the state wander; what is made of the spikes of a bin moves it in the next."""
    chance, state, states, counts = np.random.default_rng(seed), 0.0, [], []
    for _ in range(n_bins):
        spikes = chance.poisson(np.exp(base + loadings * state))
        states.append(state)
        counts.append(spikes)
        state = 0.98 * state + 0.2 * chance.normal() + stimulation(spikes)
    return np.array(states), np.array(counts)


states, counts = run(6000, lambda spikes: 0.0, seed=1)
regions = np.repeat(["VISp", "CA1"], N_NEURONS // 2)
session = nm.cut_windows(
    counts, regions, bin_width=BIN_WIDTH, window=0.6, signals={"state": states}
)
pre = nm.MtMPretrainer(schemes=("neuron", "causal"), dim=32, max_epochs=20, random_state=0)
decoder = nm.MtMDecoder(pre, task="regression", scheme="causal", random_state=0)
stream = decoder.fit(session, session.signals["state"]).stream()

decoded, took = [], []


def push_back(spikes):
    """Stimulate against the state that the spikes tell of."""
    began = time.perf_counter()
    decoded.append(stream.push(spikes))
    took.append(1e3 * (time.perf_counter() - began))
    return -GAIN * decoded[-1]


alone, _ = run(1500, lambda spikes: 0.0, seed=2)
held, _ = run(1500, push_back, seed=2)
print(f"standard deviation of the state: {alone.std():.2f} alone, {held.std():.2f} in the loop")
print(f"correlation of the decoded state with the true one: {np.corrcoef(decoded, held)[0, 1]:.2f}")
print(f"a bin took {np.median(took):.1f} ms, of {1e3 * BIN_WIDTH:.0f}")

figure, ax = plt.subplots(figsize=(8, 3), layout="constrained")
seconds = np.arange(len(held)) * BIN_WIDTH
ax.plot(seconds, alone, color="grey", label="alone")
ax.plot(seconds, held, color=nm.plots.COLOURS[0], label="in the loop")
ax.plot(seconds, decoded, color=nm.plots.COLOURS[1], linewidth=0.7, label="decoded")
ax.set_xlabel("time (s)")
ax.set_ylabel("state")
ax.legend(frameon=False, ncols=3)
folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
figure.savefig(folder / "closed_loop.png", dpi=120)
