"""Measure the binning of many spikes: time, memory and agreement with numpy.histogram.

    python tests/benchmarks/binning.py [--spikes 100000000]

1000 neurons, an hour, 1000 trials of 100 bins of 20 ms; spikes are drawn as they would be found in
memory, so that the peak holds them too.
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np

import neuromask as nm


def main() -> None:
    """Bin spikes and compare random trials and neurons with numpy.histogram."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--spikes", type=int, default=100_000_000)
    n_spikes = parser.parse_args().spikes
    rng = np.random.default_rng(0)
    # Ascending without a sort: gaps between spikes add up.
    times = rng.exponential(3600 / n_spikes, n_spikes)
    np.cumsum(times, out=times)
    clusters = rng.integers(0, 1000, n_spikes, dtype=np.int16)
    events = np.linspace(5, times[-1] - 5, 1000)
    start = time.perf_counter()
    session = nm.from_spike_times(times, clusters, ["CA1"] * 1000, events)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # GiB
    print(f"{session}\n{seconds:.1f} s, peak memory {peak:.2f} GiB")
    for trial, neuron in rng.integers(0, 1000, (200, 2)):
        edges = np.append(events[trial] + np.linspace(-0.5, 1.5, 101), np.inf)
        first, last = np.searchsorted(times, edges[[0, -2]] + [0, 1])
        part = times[first:last][clusters[first:last] == neuron]
        expected = np.histogram(part, edges)[0][:-1]
        np.testing.assert_array_equal(session.counts[trial, :, neuron], expected)
    print("200 random trials of a neuron equal numpy.histogram")


if __name__ == "__main__":
    main()
