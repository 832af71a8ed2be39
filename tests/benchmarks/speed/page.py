"""Make the page of the documentation from what `run.py` wrote, one file for each machine.

python tests/benchmarks/speed/page.py cpu.json [gpu.json ...] > docs/speed.md
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

HEAD = """# How fast, and what limits it

This page is made by `tests/benchmarks/speed/page.py` from what `make bench` measured. Times are medians of repeats in turns,
with the least and the most. Each piece of work ran in a process of its own, and next to it the peak was measured: the fastest of large products
of square matrices. On a shared machine both go up and down together. Arithmetic is counted in products of matrices and attention alone.

The *reference path* is the published structure written the obvious way (`tests/benchmarks/speed/reference.py`): fp32, one session a batch,
masks drawn on the CPU, attention by whole matrices, and a whole pass of the network for each neuron that is held out. It has the sizes of the
model that it stands beside, and no linear path, spike history or smoothing of tokens, so that it does less for a token.

The *roofline* is the least that the same operations could take. Each takes at least the time of its arithmetic at the peak, and at
least that of what it reads and writes at the machine's best bandwidth. What a step takes beyond it is operations that are slower than both, and the time between
them.
"""

LIMITS = """## What limits it

**Training on a CPU** is products of matrices. At the published size they are most of a step, so that only a machine that multiplies
faster, or fewer steps, make it shorter. At the default size matrices are small and far from the peak. About half of a step goes to
what reads and writes every entry once: standardising, averages over time, attention of 40 bins, the exponential of the loss.

**Training on a GPU** launches about one kernel for each operation. Their number does not depend on the sizes of data, nor on the number of regions and schemes,
and none of them waits. Small models are limited by these launches, large ones by arithmetic.

**Held-out neurons** are limited by the trunk. Hiding a neuron changes one column of the read-in, and one neuron is read out. The cost of these
does not grow with the number of neurons, but the trunk runs once for each neuron and trial. Where that is too much, `groups=10` holds out a tenth
at a time, in ten passes in all ({doc}`numbers`).

**A bin of a stream** is some hundred small operations one after the other, on one core. More cores do not help it, nor does a GPU.

**Memory** of a fit is that of the counts, which are not copied, and a few arrays of one batch. Predictions run in passes of at most about a quarter of a GiB beside what
they return.

**Long trials.** Smoothing and masks cost the same a bin at any length. Attention does not: a bin reads all others, which at the default size is as much as
everything else from about 800 bins on. Cut long recordings into windows ({doc}`continuous`).

## What to buy

- A laptop will do for one recording. More cores help less than wide vectors: an Intel CPU with `amx_bf16`, or one of AMD's with `avx512_bf16`, multiplies two to four times as fast in bf16, which
  `precision="auto"` then takes.
- A GPU pays off from some tens of sessions on, or at the published size.
- Memory: the counts as bytes (trials x bins x neurons), and 2.5 GB. A fit of 100 sessions of 500 x 100 x 700 counts (3.5 GB) held 5.9 GB.
"""


def main() -> None:
    """Print the page."""
    parts = [HEAD]
    for path in sys.argv[1:]:
        parts.append(machine(json.loads(Path(path).read_text())))
    parts.append(LIMITS)
    print("\n".join(parts).rstrip())


def machine(found: dict[str, Any]) -> str:
    """Write down what one machine measured."""
    about, peaks = found["machine"], found["peak_gflops"]
    name = about["gpu"] or about["cpu"]
    lines = [
        f"## {name}, {about['threads']} threads",
        "",
        f"torch {about['torch']}, {about['cores']} cores, {about['memory_gib']} GiB. Peak of products: "
        f"{peaks['fp32']:.0f} GFLOP/s in fp32, {peaks['bf16']:.0f} in bf16; best bandwidth "
        f"{found['bandwidth_gbytes']:.0f} GB/s, in caches where these hold an array. Mean number of processes that wanted a "
        f"core: {about['load'][0]:.1f} before, {about['load'][-1]:.1f} after.",
        "",
    ]
    if found["quick"]:
        lines += ["A quick look at small sizes, of two repeats.", ""]
    for section in (training, roofline, evaluation, latency, memory, scaling, quality):
        rows = found.get("training" if section is roofline else section.__name__)
        if rows:
            lines += [*section(rows), ""]
    return "\n".join(lines)


def table(title: str, columns: list[str], rows: list[list[str]]) -> list[str]:
    """Lay out a table under a title."""
    head = [
        f"**{title}**",
        "",
        f"| {' | '.join(columns)} |",
        f"| {' | '.join('---' for _ in columns)} |",
    ]
    return head + [f"| {' | '.join(row)} |" for row in rows]


def spread(found: dict[str, float], unit: float = 1.0, name: str = "") -> str:
    """Write a median and, where it was repeated, its spread."""
    median, least, most = (f"{found[key] * unit:.3g}" for key in ("median", "least", "most"))
    return f"{median}{name}" + (f" ({least} to {most})" if least != most else "")


def of_peak(row: dict[str, Any]) -> list[str]:
    """Write the arithmetic that was achieved, its share of the peak, and the ratio to the reference path."""
    return [
        f"{row['gflops']['median']:.0f} of {row['peak_gflops']['median']:.0f}",
        spread(row["share_of_peak"], 100, " %"),
        spread(row["over_reference"]),
    ]


BESIDE_PEAK = ["GFLOP/s of the peak", "share", "times the reference path"]


def training(rows: list[dict[str, Any]]) -> list[str]:
    """Tell of steps of training."""
    columns = ["model", "arithmetic", "a step", "trials a second", *BESIDE_PEAK]
    columns += ["operations", "synchronisations"]
    cells = [
        [
            row["size"],
            row["precision"],
            spread(row["step"], 1e3, " ms"),
            f"{row['trials_per_s']:.0f}",
            *of_peak(row),
            f"{row['operations']:.0f}",
            f"{row['synchronisations']:.0f}",
        ]
        for row in rows
    ]
    return table(f"A step of training, {rows[0]['of']}", columns, cells)


def roofline(rows: list[dict[str, Any]]) -> list[str]:
    """Tell what a step is made of, and what is left beyond the least that it could take."""
    columns = ["model", "arithmetic", "GFLOP", "MB moved", "FLOP a byte", "products at least"]
    columns += ["all else at least", "launches", "roofline of the step's time"]
    cells = []
    for row in rows:
        c = row["costs"]
        least = max(c["products"] + c["others"], c["launches"])
        cells.append(
            [
                row["size"],
                row["precision"],
                f"{c['flops'] / 1e9:.3g}",
                f"{c['bytes'] / 1e6:.0f}",
                f"{c['flops'] / c['bytes']:.1f}",
                *(f"{c[name] * 1e3:.3g} ms" for name in ("products", "others", "launches")),
                f"{least / row['step']['median']:.0%}",
            ]
        )
    c = rows[0]["costs"]
    ridge = c["gflops"] / c["gbytes"]
    lines = table("What a step is made of, beside the roofline", columns, cells)
    return [
        *lines,
        "",
        f"In fp32 this machine computes while it moves from {ridge:.1f} FLOP a byte on, and below that waits for memory. The last column is the share of the "
        "measured time that the roofline explains.",
    ]


def evaluation(rows: list[dict[str, Any]]) -> list[str]:
    """Tell of held-out neurons."""
    cells = [
        [
            row["of"],
            row["size"],
            row["precision"],
            spread(row["masked_trial"], 1e3, " ms"),
            f"{row['flops'] / 1e6:.0f}",
            *of_peak(row),
        ]
        for row in rows
        if "masked_trial" in row
    ]
    columns = ["of", "model", "arithmetic", "a neuron and trial", "MFLOP", *BESIDE_PEAK]
    lines = table("Held-out neurons", columns, cells)
    for row in rows:
        if "whole" in row:
            lines += ["", f"{row['of']}: {spread(row['whole'], 1, ' s')}."]
    return lines


def latency(rows: list[dict[str, Any]]) -> list[str]:
    """Tell of predictions of one trial, and of bins that are pushed to a stream."""
    work = {"predict": "`predict` of one trial of 100 bins", "stream": "a bin, `stream.push`"}
    cells = [
        [work[row["of"]], str(row["neurons"]), *(f"{row[p] * 1e3:.1f} ms" for p in ("p50", "p99"))]
        for row in sorted(rows, key=lambda row: (row["of"], row["neurons"]))
    ]
    return table("Latency", ["", "neurons", "median", "99th percentile"], cells)


def memory(rows: list[dict[str, Any]]) -> list[str]:
    """Tell of the most memory that was held."""
    columns = [
        "call",
        "sessions x trials x bins x neurons",
        "counts",
        "process",
        "more than before",
    ]
    has_gpu = any("gpu_mb" in row for row in rows)
    names = ["counts_mb", "process_mb", "more_mb", *(["gpu_mb"] if has_gpu else [])]
    cells = [
        [
            f"`{row['of']}`",
            " x ".join(str(row[axis]) for axis in ("sessions", "trials", "bins", "neurons")),
            *(f"{row[name]:.0f} MB" for name in names),
        ]
        for row in rows
    ]
    return table("Most memory", columns + (["GPU"] if has_gpu else []), cells)


def scaling(rows: list[dict[str, Any]]) -> list[str]:
    """Tell how the time of an epoch grows, and point by point what it is beside peak and reference."""
    units = {"training": "seconds an epoch", "evaluation": "ms a neuron and trial"}
    factors = {"training": 1, "evaluation": 1e3}
    cells = [
        [
            units[row["of"]],
            f"{row['axis']}: {', '.join(map(str, row['values']))}",
            ", ".join(f"{p['seconds'] * factors[row['of']]:.3g}" for p in row["points"]),
            ", ".join(
                f"{p['share_of_peak']['median']:.0%}" for p in row["points"] if "share_of_peak" in p
            ),
            ", ".join(
                f"{p['over_reference']['median']:.2g}"
                for p in row["points"]
                if "over_reference" in p
            ),
            ", ".join(f"{p['operations']:.0f}" for p in row["points"] if "operations" in p),
            f"{row['slope']:.2f}",
            f"{row['steepest']:.2f}",
        ]
        for row in rows
    ]
    columns = ["of", "along", "time", "of the peak", "times the reference path"]
    columns += ["operations", "slope", "steepest part"]
    return table("Growth: slopes on logarithmic axes (1 is linear), fp32", columns, cells)


def quality(rows: list[dict[str, Any]]) -> list[str]:
    """Tell how long a fit takes to what a Poisson GLM scores."""
    tasks = list(rows[0]["floors"])
    cells = [
        [
            str(row["max_epochs"]),
            f"{row['seconds']:.0f} s",
            *(f"{row['scores'][t]:.3f}" for t in tasks),
        ]
        for row in rows
    ]
    cells.append(["Poisson GLM", "", *(f"{rows[0]['floors'][t]:.3f}" for t in tasks)])
    lines = table(
        "Time to quality: bits per spike of recording 12", ["`max_epochs`", "fit", *tasks], cells
    )
    reached = [row for row in rows if row["reached"]]
    said = (
        f"{min(row['seconds'] for row in reached):.0f} s until all four tasks are at or above the GLM."
        if reached
        else "None of these fits is at or above the GLM on all four tasks."
    )
    return [*lines, "", said]


if __name__ == "__main__":
    main()
