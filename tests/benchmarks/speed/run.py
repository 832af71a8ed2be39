"""Measure speed and memory, beside a plain reference path and the machine's own peak, in one run.

    python tests/benchmarks/speed/run.py [--quick] [--device cuda] [--threads 2] [--out results.json]
                                         [--only training evaluation latency memory scaling quality]

Every time is a median of five with its spread, those of a ratio taken in turns. `page.py` makes the page of
the documentation from the JSON.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

import torch
from machine import bandwidth, describe, peak
from sections import SECTIONS, Bench


def main() -> None:
    """Measure what is asked for and write it down, section by section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, some minutes")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--repeats", type=int, help="5 by default, or 2 if quick")
    parser.add_argument("--only", nargs="+", choices=sorted(SECTIONS), default=list(SECTIONS))
    parser.add_argument("--out", type=Path, default=Path("speed.json"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device = options.device
    results: dict[str, Any] = {
        "machine": describe(device),
        "quick": options.quick,
        "peak_gflops": {p: peak(p, device) for p in ("fp32", "bf16")},
        "bandwidth_gbytes": bandwidth(device),
    }
    peaks = ", ".join(f"{g:.0f} GFLOP/s in {p}" for p, g in results["peak_gflops"].items())
    print(f"peak of matrix products: {peaks}", flush=True)
    repeats = options.repeats or (2 if options.quick else 5)
    bench = Bench(device, options.threads, repeats, options.quick)
    for name in options.only:
        print(f"-- {name}", flush=True)
        results[name] = SECTIONS[name](bench)
        options.out.write_text(json.dumps(results, indent=1))
    results["machine"]["load"] += [os.getloadavg()[0]]
    options.out.write_text(json.dumps(results, indent=1))
    print(f"written to {options.out}")


if __name__ == "__main__":
    main()
