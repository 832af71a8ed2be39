"""Measure how long a bin of a stream takes, and whether its answers drift.

    python tests/benchmarks/streaming.py [--neurons 700] [--bins 100] [--pushes 5000] [--out FILE]

A model of the default size is fitted for one epoch, as what it has learned takes no time. Each line has the
median, the 99th percentile and the longest of the pushes after the first hundred, in milliseconds, from the
counts of a bin to its answer. The last line compares answers at the end of a stream with those of a new one.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

import neuromask as nm

WARM_UP = 100


def machine(device: str) -> dict[str, Any]:
    """Describe where this runs."""
    return {
        "processor": _processor(),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "torch": torch.__version__,
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def latency(stream: Any, counts: np.ndarray) -> dict[str, float]:
    """Push bins; return milliseconds a bin."""
    took = []
    for x in counts:
        began = time.perf_counter()
        stream.push(x)
        took.append(1e3 * (time.perf_counter() - began))
    late = np.array(took[WARM_UP:])
    return {"p50": float(np.median(late)), "p99": float(np.quantile(late, 0.99)), "max": late.max()}


def drift(pre: nm.MtMPretrainer, counts: np.ndarray, n_time: int) -> float:
    """Return the largest relative difference of the last rates from those of a new stream."""
    old, step, n_answered = pre.stream(), -(-(n_time - 1) // 2), n_time - 1
    for x in counts:
        last = old.push(x)
    first = max(0, -(-(len(counts) - n_answered) // step)) * step
    new = pre.stream()
    for x in counts[first:]:
        again = new.push(x)
    return float(abs(last.rates / again.rates - 1).max())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--neurons", type=int, default=700)
    parser.add_argument("--bins", type=int, default=100, help="bins of a trial")
    parser.add_argument("--ahead", type=int, nargs="+", default=[1, 10], help="bins to predict")
    parser.add_argument("--pushes", type=int, default=5000)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--backbones", nargs="+", default=["ndt1", "ndt2"])
    parser.add_argument("--out", type=Path, help="JSON file for the results")
    options = parser.parse_args()
    where = machine(options.device)
    print(", ".join(f"{name} {value}" for name, value in where.items()))
    session = nm.simulate(
        40, n_neurons=options.neurons, n_time=options.bins, mean_rate=3.0, random_state=0
    )
    n_trials = -(-options.pushes // options.bins)
    counts = np.tile(session.counts, (-(-n_trials // len(session)), 1, 1))
    counts = counts.reshape(-1, options.neurons)[: options.pushes]
    rows: list[dict[str, Any]] = []

    def report(**row: Any) -> None:
        rows.append(row)
        print("  ".join(f"{k} {v:.3g}" if isinstance(v, float) else f"{v}" for k, v in row.items()))

    for backbone in options.backbones:
        pre = nm.MtMPretrainer(
            backbone=backbone, max_epochs=1, device=options.device, random_state=0
        ).fit(session)
        for n_ahead in options.ahead:
            found = latency(pre.stream(n_ahead=n_ahead), counts)
            report(backbone=backbone, stream=f"rates of {n_ahead} bins", **found)
        decoder = nm.MtMDecoder(pre, task="regression", scheme="causal", random_state=0)
        decoder.fit(session, session.signals["whisker"])
        report(backbone=backbone, stream="a signal", **latency(decoder.stream(), counts))
        difference = drift(pre, counts, options.bins)
        report(backbone=backbone, stream=f"difference after {len(counts)} bins", drift=difference)
    if options.out:
        options.out.write_text(json.dumps({"machine": where, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
