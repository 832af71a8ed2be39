"""What is measured: one function a section, which returns rows of figures."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from machine import in_a_process, spread
from work import SIZES, STEINMETZ

WORK = Path(__file__).resolve().parent / "work.py"
# Bits per spike of a Poisson GLM on test trials of recording 12, which a model has to reach.
FLOORS = {
    "co_smoothing": 0.186,
    "inter_region": 0.168,
    "intra_region": 0.119,
    "forward_prediction": -0.031,
}
TASKS = ["co_smoothing", "forward_prediction", "intra_region", "inter_region"]
Row = dict[str, Any]


@dataclass(frozen=True)
class Bench:
    """Runs work in processes of its own."""

    device: str
    threads: int
    repeats: int
    quick: bool

    def work(self, name: str, **asked: Any) -> Row:
        """Run one piece of work."""
        given = {"device": self.device, "threads": self.threads} | asked
        return json.loads(in_a_process(WORK, name, json.dumps(given)))

    def in_turns(self, *asked: tuple[str, Row]) -> list[Row]:
        """Time works in turns, so that what disturbs the machine disturbs them all alike.

        Each gets the times of its turns, the peak that was measured next to each, and what else it says.
        """
        found: list[Row] = [{"seconds": [], "peak_gflops": []} for _ in asked]
        for _ in range(self.repeats):
            for row, (name, given) in zip(found, asked, strict=True):
                once = self.work(name, repeats=1, beside_peak=True, **given)
                row["seconds"] += once.pop("seconds")
                row["peak_gflops"].append(once.pop("peak_gflops"))
                once.pop("cpu_seconds", None)
                row |= once
        return found


def main_line(bench: Bench) -> Row:
    """Say what the main figures are of: recording 12, or the like of it; on a GPU trials of the paper's size."""
    trials = 64 if bench.quick else 320
    if bench.device == "cuda":
        return {"neurons": 700, "bins": 100, "trials": 2 * trials}
    if STEINMETZ.is_dir():
        return {"recording": 12, "trials": trials}
    return {"neurons": 399, "bins": 40, "trials": trials}


def named(line: Row) -> str:
    """Name what was measured on."""
    if "recording" in line:
        return f"recording {line['recording']} (399 neurons of 40 bins)"
    return f"{line['neurons']} neurons of {line['bins']} bins"


def beside(found: Row, flops: float, plain: Row | None = None, unit: str = "trials_a_step") -> Row:
    """Set times beside the peak of the same turns, and beside the reference path in the same turns."""
    gflops = [flops / s / 1e9 for s in found["seconds"]]
    row: Row = {"gflops": spread(gflops), "peak_gflops": spread(found["peak_gflops"])}
    row["share_of_peak"] = spread(
        [g / p for g, p in zip(gflops, found["peak_gflops"], strict=True)]
    )
    if plain is not None:
        each = [[s / x[unit] for s in x["seconds"]] for x in (found, plain)]
        row["over_reference"] = spread([b / a for a, b in zip(*each, strict=True)])
    return row


def training(bench: Bench) -> list[Row]:
    """Time a step of both sizes in both arithmetics, beside the reference path and the roofline."""
    rows = []
    cases: list[tuple[str, Row]] = [(size, {"size": size}) for size in SIZES]
    if bench.device == "cuda":  # a GPU is not filled by the published batch of 16 trials
        many = {"size": "published", "options": {"batch_size": 256}}
        cases.append(("published, 256 trials a batch", many))
    for name, case in cases:
        line = main_line(bench) | case
        if case["size"] == "published" and bench.device == "cpu":
            line |= {"trials": 32, "steps": 2 if bench.quick else 6}
        counted = bench.work("step-counts", **line | {"trials": 64})
        both = [line | {"precision": precision} for precision in ("fp32", "bf16")]
        plain, *ours = bench.in_turns(("reference-step", line), *(("step", x) for x in both))
        for asked, found in zip(both, ours, strict=True):
            costs = bench.work("step-costs", **asked | {"trials": 32})
            row: Row = {"of": named(line), "size": name, "precision": asked["precision"]}
            row["step"] = spread(found["seconds"])
            row["trials_per_s"] = found["trials_a_step"] / row["step"]["median"]
            row |= beside(found, costs["flops"], plain) | counted | {"costs": costs}
            rows.append(report(row))
    return rows


def evaluation(bench: Bench) -> list[Row]:
    """Time held-out neurons beside a whole pass of the reference path for each, and four tasks."""
    rows = []
    line, few = main_line(bench), 8 if bench.quick else 24
    wide: Row = {"neurons": 2000, "bins": 40, "trials": 32 if bench.quick else 100, "held_out": 8}
    cases = [
        line | {"held_out": few},
        line | {"held_out": few, "precision": "auto"},
        wide,
        line | {"size": "published", "trials": 32, "held_out": 4},
    ]
    for asked in cases[: 3 if bench.quick else None]:
        ours, plain = bench.in_turns(("evaluate", asked), ("reference-evaluate", asked))
        row: Row = {"of": named(asked), "size": asked.get("size", "default")}
        row["precision"] = asked.get("precision", "fp32")
        row["masked_trial"] = spread([s / ours["masked_trials"] for s in ours["seconds"]])
        flops = ours["flops_a_masked_trial"]
        row |= beside(ours, flops * ours["masked_trials"], plain, "masked_trials")
        rows.append(report(row | {"flops": flops}))
    for asked in () if bench.quick else (line, wide):
        whole = asked | {"tasks": TASKS, "precision": "auto", "held_out": 10**6}
        found = bench.work("evaluate", **whole, repeats=bench.repeats if asked is line else 1)
        name = f"Four tasks, all neurons, {asked['trials']} trials, {named(asked)}"
        rows.append(report({"of": name, "whole": spread(found["seconds"])}))
    return rows


def latency(bench: Bench) -> list[Row]:
    """Time a prediction of one trial, and a bin pushed to a stream, which takes one thread."""
    rows = []
    for n_neurons in (700,) if bench.quick else (100, 700, 2000):
        line = {"neurons": n_neurons, "bins": 100, "trials": 32}
        few, many = (50, 1000) if bench.quick else (300, 10000)
        for of, asked in (
            ("predict", {"precision": "auto", "repeats": few}),
            ("stream", {"threads": 1, "repeats": many}),
        ):
            found = bench.work(of, **line | asked)
            row = {"of": of, "neurons": n_neurons, "p50": found["p50"], "p99": found["p99"]}
            rows.append(report(row))
    return rows


def memory(bench: Bench) -> list[Row]:
    """Measure the most memory of a fit of many sessions, and of predictions of many trials."""
    rows = []
    sessions_of: Row = {"trials": 100 if bench.quick else 500, "bins": 100, "neurons": 700}
    for n in (4,) if bench.quick else (4, 20, 100):
        found = bench.work("fit-memory", sessions=n, **sessions_of, precision="auto")
        rows.append(report({"of": "fit", "sessions": n, **sessions_of, **found}))
    calls: list[tuple[str, Row]] = [
        ("predict", {"trials": 128, "bins": 800, "neurons": 10}),
        ("predict", {"trials": 512, "bins": 100, "neurons": 700}),
        ("transform", {"trials": 512, "bins": 100, "neurons": 700}),
        ("evaluate", {"trials": 128, "bins": 100, "neurons": 2000}),
    ]
    for call, sizes in calls[: 1 if bench.quick else None]:
        found = bench.work("predict-memory", call=call, **sizes)
        rows.append(report({"of": call, "sessions": 1, **sizes, **found}))
    return rows


def scaling(bench: Bench) -> list[Row]:
    """Fit slopes on logarithmic axes: time to trials, bins, neurons and sessions, of training and evaluation."""
    axes: dict[str, tuple[Row, list[int]]] = {
        "trials": ({"neurons": 200, "bins": 40}, [64, 128, 256, 512]),
        "bins": ({"neurons": 200, "trials": 32}, [40, 100, 200, 400, 800]),
        "neurons": ({"bins": 40, "trials": 64}, [100, 300, 1000, 3000, 5000]),
        "sessions": ({"neurons": 100, "bins": 40, "trials": 32}, [1, 4, 16, 100]),
    }
    rows = []
    for axis, (fixed, values) in axes.items():
        used = values[:3:2] if bench.quick else values
        points = [training_point(bench, fixed | {axis: value}) for value in used]
        rows.append(report(growth("training", axis, used, points)))
        if axis in ("bins", "neurons"):
            points = [evaluation_point(bench, fixed | {axis: value}) for value in used]
            rows.append(report(growth("evaluation", axis, used, points)))
    return rows


def training_point(bench: Bench, asked: Row) -> Row:
    """Measure an epoch of training, which is `seconds`."""
    asked = asked | {"options": {"encode_neurons": False}, "steps": 4}
    ours, plain = bench.in_turns(("step", asked), ("reference-step", asked | {"steps": 2}))
    point = beside(ours, bench.work("step-costs", **asked)["flops"], plain)
    point |= bench.work("step-counts", **asked)
    return point | {"seconds": min(ours["seconds"]) * ours["steps_an_epoch"]}


def evaluation_point(bench: Bench, asked: Row) -> Row:
    """Measure a trial in which one neuron is held out, which is `seconds`."""
    asked = asked | {"held_out": 4, "trials": 32}
    ours, plain = bench.in_turns(("evaluate", asked), ("reference-evaluate", asked))
    flops = ours["flops_a_masked_trial"] * ours["masked_trials"]
    point = beside(ours, flops, plain, "masked_trials")
    return point | {"seconds": min(ours["seconds"]) / ours["masked_trials"]}


def growth(of: str, axis: str, values: list[int], points: list[Row]) -> Row:
    """Give the slope of seconds along an axis, both on logarithmic scales, and its steepest part."""
    x, y = np.log(values), np.log([point["seconds"] for point in points])
    row = {"of": of, "axis": axis, "values": values, "points": points}
    row["slope"] = float(np.polyfit(x, y, 1)[0])
    return row | {"steepest": float(np.max(np.diff(y) / np.diff(x)))}


def quality(bench: Bench) -> list[Row]:
    """Time fits of recording 12 of a part of the default epochs, and of all, until one reaches all floors."""
    if not STEINMETZ.is_dir():
        return []
    rows: list[Row] = []
    for share in (0.05,) if bench.quick else (0.125, 0.25, 0.5, 1.0):
        found = bench.work("quality", share=share)
        row = {"max_epochs": found["max_epochs"], "seconds": statistics.median(found["seconds"])}
        row |= {"scores": found["scores"], "floors": FLOORS}
        row["reached"] = all(found["scores"][task] >= floor for task, floor in FLOORS.items())
        rows.append(report(row))
    return rows


def report(row: Row) -> Row:
    """Print a row in a line and return it."""
    print("  " + json.dumps(row, default=float), flush=True)
    return row


SECTIONS: dict[str, Callable[[Bench], list[Row]]] = {
    "training": training,
    "evaluation": evaluation,
    "latency": latency,
    "memory": memory,
    "scaling": scaling,
    "quality": quality,
}
