"""Measure speed and memory, beside a plain reference path and the machine's own peak, in one run.

    python tests/benchmarks/speed/run.py [--quick] [--device cuda] [--threads 2] [--out results.json]
                                         [--only training evaluation latency memory scaling quality]

Every figure of time is a median of five with its spread, those of a ratio taken in turns. `page.py` makes
the page of the documentation from the JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import describe, in_a_process, peak, spread
from torch.utils.flop_counter import FlopCounterMode
from work import SIZES, STEINMETZ, estimator, sessions

import neuromask as nm

sys.path.append(str(Path(__file__).resolve().parents[2]))
from operations import count_step

WORK = Path(__file__).resolve().parent / "work.py"
FLOORS = {"co_smoothing": 0.186, "intra_region": 0.119, "inter_region": 0.168}  # of a Poisson GLM


class Bench:
    """Runs work in processes of its own and reports as it goes."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.common = {"device": options.device, "threads": options.threads}
        self.peaks = {p: peak(p, options.device) for p in ("fp32", "bf16")}
        print(f"peak of matrix products: {self.peaks['fp32']:.0f} GFLOP/s in fp32, "
              f"{self.peaks['bf16']:.0f} in bf16", flush=True)  # fmt: skip

    def work(self, name: str, path: Path | None = None, **asked: Any) -> dict[str, Any]:
        """Run one piece of work in a process of its own."""
        given = json.dumps(self.common | asked)
        return json.loads(in_a_process(WORK, name, given, path=path))

    def in_turns(self, names: list[str], asked: dict[str, Any]) -> list[dict[str, Any]]:
        """Time works in turns, so that what disturbs the machine disturbs them all alike."""
        found: list[dict[str, Any]] = [{} for _ in names]
        for _ in range(self.options.repeats):
            for i, name in enumerate(names):
                once = self.work(name, repeats=1, **asked)
                once["seconds"] = found[i].get("seconds", []) + once["seconds"]
                found[i] = once
        return found


def main() -> None:
    """Measure what is asked for and write it down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, some minutes")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=sorted(SECTIONS), default=list(SECTIONS))
    parser.add_argument("--out", type=Path, default=Path("speed.json"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    bench = Bench(options)
    results: dict[str, Any] = {"machine": describe(options.device), "peak_gflops": bench.peaks}
    for name in options.only:
        print(f"-- {name}", flush=True)
        results[name] = SECTIONS[name](bench)
        options.out.write_text(json.dumps(results, indent=1))
    print(f"written to {options.out}")


def main_line(bench: Bench) -> dict[str, Any]:
    """Say what the main figures are measured on: recording 12 where it is, else the like of it."""
    if STEINMETZ.is_dir():
        return {"recording": 12, "trials": 64 if bench.options.quick else 320}
    return {"neurons": 399, "bins": 40, "trials": 64 if bench.options.quick else 320}


def training(bench: Bench) -> list[dict[str, Any]]:
    """Time a step of both sizes in both arithmetics, beside the reference path."""
    rows = []
    for size in SIZES:
        line = main_line(bench) | {"size": size}
        if size == "published" and bench.options.device == "cpu":
            line["trials"] = 64
        ours, plain = bench.in_turns(["step", "reference-step"], line | {"precision": "fp32"})
        (mixed,) = bench.in_turns(["step"], line | {"precision": "bf16"})
        flops = step_flops(line)
        counted = count_step(sessions(line)[0], **SIZES[size])
        for precision, found in (("fp32", ours), ("bf16", mixed)):
            row = {"size": size, "precision": precision, "step": spread(found["seconds"])}
            row["trials_per_s"] = found["trials_a_step"] / row["step"]["median"]
            row["gflops"] = flops / row["step"]["median"] / 1e9
            row["share_of_peak"] = row["gflops"] / bench.peaks[precision]
            row["over_reference"] = row["trials_per_s"] / (
                plain["trials_a_step"] / spread(plain["seconds"])["median"]
            )
            row |= {"operations": counted.operations, "synchronisations": counted.waits}
            report(row)
            rows.append(row)
    return rows


def step_flops(asked: dict[str, Any]) -> float:
    """Count the floating-point operations of the matrix products of a step, forwards and back."""
    totals = []
    for epochs in (1, 2):
        with FlopCounterMode(display=False) as counter:
            pre = estimator(asked | {"precision": "fp32"}, max_epochs=epochs).fit(
                sessions(asked)[0]
            )
        totals.append((counter.get_total_flops(), int(pre.history_["step"].iloc[-1])))
    (few, a), (many, b) = totals
    return (many - few) / (b - a)


def evaluation(bench: Bench) -> list[dict[str, Any]]:
    """Time held-out neurons beside a whole pass of the reference path for each, and four tasks."""
    rows = []
    wide = {"neurons": 2000, "bins": 40, "trials": 100}
    for name, line in (("recording 12", main_line(bench)), ("2000 neurons", wide)):
        asked = line | {"held_out": 8 if bench.options.quick else 32, "precision": "fp32"}
        ours, plain = bench.in_turns(["evaluate", "reference-evaluate"], asked)
        each, other = (
            spread([s / found["masked_trials"] for s in found["seconds"]])
            for found in (ours, plain)
        )
        row = {"of": name, "seconds_a_masked_trial": each}
        row["over_reference"] = other["median"] / each["median"]
        report(row)
        rows.append(row)
    if not bench.options.quick:
        tasks = ["co_smoothing", "forward_prediction", "intra_region", "inter_region"]
        found = bench.work("evaluate", **main_line(bench), tasks=tasks, precision="auto", repeats=3)
        rows.append(
            {"of": "recording 12, four tasks, all neurons", "whole": spread(found["seconds"])}
        )
        report(rows[-1])
    return rows


def latency(bench: Bench) -> list[dict[str, Any]]:
    """Time a prediction of one trial."""
    rows = []
    for n_neurons in (100, 700):
        line = {"neurons": n_neurons, "bins": 100, "trials": 32, "precision": "auto"}
        found = bench.work("predict", **line, repeats=50 if bench.options.quick else 300)
        rows.append({"neurons": n_neurons, "p50": found["p50"], "p99": found["p99"]})
        report(rows[-1])
    return rows


def memory(bench: Bench) -> list[dict[str, Any]]:
    """Measure the most memory of a fit of many sessions, and of predictions of many trials."""
    rows = []
    sessions_of = {"trials": 500, "bins": 100, "neurons": 700}
    for n in (4, 12) if bench.options.quick else (4, 20, 100):
        found = bench.work("fit-memory", sessions=n, **sessions_of, precision="auto")
        rows.append({"of": f"fit of {n} sessions of 500 x 100 x 700", **found})
        report(rows[-1])
    for call, sizes in (
        ("predict", {"trials": 128, "bins": 800, "neurons": 10}),
        ("predict", {"trials": 512, "bins": 100, "neurons": 700}),
        ("transform", {"trials": 512, "bins": 100, "neurons": 700}),
        ("evaluate", {"trials": 128, "bins": 100, "neurons": 2000}),
    ):
        found = bench.work("predict-memory", call=call, **sizes)
        rows.append({"of": f"{call}, {sizes}", **found})
        report(rows[-1])
    return rows


def scaling(bench: Bench) -> list[dict[str, Any]]:
    """Fit slopes of the time of an epoch to trials, bins, neurons and sessions, on logarithmic axes."""
    quick = bench.options.quick
    axes: dict[str, tuple[dict[str, Any], list[int]]] = {
        "trials": ({"neurons": 200, "bins": 40}, [64, 128, 256, 512]),
        "bins": ({"neurons": 200, "trials": 32}, [40, 100, 200, 400, 800]),
        "neurons": ({"bins": 40, "trials": 64}, [100, 300, 1000, 3000, 5000]),
        "sessions": ({"neurons": 100, "bins": 40, "trials": 32}, [1, 4, 16, 100]),
    }
    rows = []
    for name, (fixed, values) in axes.items():
        used = values[:-1] if quick else values
        times = []
        for value in used:
            asked = fixed | {name: value, "options": {"encode_neurons": False}, "epochs": 2}
            found = bench.work("step", **asked, precision="fp32", repeats=3)
            n_trials = asked["trials"] * asked.get("sessions", 1)
            epoch = spread(found["seconds"])["least"] * n_trials / found["trials_a_step"]
            times.append(epoch)
        slope = float(np.polyfit(np.log(used), np.log(times), 1)[0])
        steepest = float(np.max(np.diff(np.log(times)) / np.diff(np.log(used))))
        rows.append({"axis": name, "values": used, "seconds_an_epoch": times, "slope": slope})
        rows[-1]["steepest"] = steepest
        report(rows[-1])
    return rows


def quality(bench: Bench) -> list[dict[str, Any]]:
    """Time a default fit of recording 12, with its scores beside those of a Poisson GLM."""
    if not STEINMETZ.is_dir() or bench.options.quick:
        return []
    sys.path.append(str(Path(__file__).resolve().parents[1]))
    from recordings import scores, split

    train, valid, test = split(12)
    subset = np.sort(np.random.default_rng(1).choice(train.n_neurons, 150, replace=False))
    import time

    start = time.perf_counter()
    pre = nm.MtMPretrainer(random_state=0, ignore_regions=(), device=bench.options.device)
    pre.fit(train, X_val=valid)
    row = {"seconds": time.perf_counter() - start, **scores(pre.evaluate(test), subset)}
    row["floors"] = FLOORS
    report(row)
    return [row]


def report(row: dict[str, Any]) -> None:
    """Print a row in a line."""
    print("  " + json.dumps(row, default=lambda x: round(float(x), 4)), flush=True)


SECTIONS: dict[str, Callable[[Bench], list[dict[str, Any]]]] = {
    "training": training,
    "evaluation": evaluation,
    "latency": latency,
    "memory": memory,
    "scaling": scaling,
    "quality": quality,
}

if __name__ == "__main__":
    main()
