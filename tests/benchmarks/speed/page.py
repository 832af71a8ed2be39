"""Make the page of the documentation from what `run.py` wrote, one file for each machine.

python tests/benchmarks/speed/page.py cpu.json [gpu.json ...] > docs/speed.md
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

HEAD = """# How fast, and what limits it

This page is made by `tests/benchmarks/speed/page.py` from what `make bench` measured. Times are medians of five, ratios those of works that were
run in turns, as a shared machine is never the same twice. Arithmetic is counted in products of matrices alone. Its peak is that of large
square products on the same machine in the same run.

The *reference path* is the published structure written the obvious way (`tests/benchmarks/speed/reference.py`): fp32, one session a batch,
masks drawn on the CPU, attention by whole matrices, and a whole pass of the network for each neuron that is held out. It has the sizes of the
model that it stands beside, and no linear path, spike history or smoothing of tokens, so that it does less for a token.
"""

LIMITS = """## What limits it

**Training on a CPU** is products of matrices. At the published size they take nine tenths of a step, so that only a machine that multiplies
faster, or fewer steps, make it shorter. At the default size matrices are small. About half of a step goes to
what reads and writes every entry once: standardising, averages over time, attention of 40 bins, the exponential of the loss.

**Training on a GPU** launches about one kernel for each operation. A step of the default model is about 190 of them on one session and 290 on four,
whatever the number of regions and schemes, and waits for nothing. Small models are limited by these launches, large ones by arithmetic.

**Held-out neurons** are limited by the trunk. Hiding a neuron changes one column of the read-in, and one neuron is read out. The cost of these no longer
grows with the number of neurons, but the trunk runs once for each neuron and trial. Where that is too much, `groups=10` holds out a tenth at a time, in ten
passes in all ({doc}`numbers`).

**Memory** of a fit is that of the counts, which are not copied, and a few arrays of one batch. Predictions run in passes of at most about a quarter of a GiB beside what
they return.

**Long trials.** Smoothing and masks cost the same a bin at any length. Attention does not: a bin reads all others, which at the default size is as much as
everything else from about 800 bins on. Cut long recordings into windows ({doc}`continuous`).

## What to buy

- A laptop will do for one recording. More cores help less than wide vectors: a CPU with `avx512_bf16` or `amx_bf16` multiplies two to four times as fast in bf16, which
  `precision="auto"` then takes.
- A GPU pays off from some tens of sessions on, or at the published size.
- Memory: the counts as bytes (trials x bins x neurons), and 2 GB.
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
        f"torch {about['torch']}. Peak: {peaks['fp32']:.0f} GFLOP/s in fp32, {peaks['bf16']:.0f} in bf16.",
        "",
    ]
    for title, section in (
        ("training", training),
        ("evaluation", evaluation),
        ("latency", latency),
        ("memory", memory),
        ("scaling", scaling),
        ("quality", quality),
    ):
        if found.get(title):
            lines += [*section(found[title]), ""]
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


def time_of(found: dict[str, float], unit: float = 1e3, name: str = "ms") -> str:
    """Write a median and its spread."""
    median, least, most = (found[key] * unit for key in ("median", "least", "most"))
    return f"{median:.3g} {name} ({least:.3g} to {most:.3g})"


def training(rows: list[dict[str, Any]]) -> list[str]:
    """Tell of steps of training."""
    columns = ["model", "arithmetic", "a step", "trials a second", "GFLOP/s", "of the peak"]
    columns += ["over the reference path", "operations", "synchronisations"]
    cells = [
        [
            row["size"],
            row["precision"],
            time_of(row["step"]),
            f"{row['trials_per_s']:.0f}",
            f"{row['gflops']:.0f}",
            f"{row['share_of_peak']:.0%}",
            f"{row['over_reference']:.2f}",
            f"{row['operations']:.0f}",
            f"{row['synchronisations']:.0f}",
        ]
        for row in rows
    ]
    return table("A step of training, recording 12 (399 neurons, 40 bins)", columns, cells)


def evaluation(rows: list[dict[str, Any]]) -> list[str]:
    """Tell of held-out neurons."""
    cells = [
        [row["of"], time_of(row["seconds_a_masked_trial"]), f"{row['over_reference']:.1f}"]
        for row in rows
        if "over_reference" in row
    ]
    lines = table(
        "Held-out neurons, fp32", ["", "a neuron and trial", "over the reference path"], cells
    )
    lines += [f"\n{row['of']}: {time_of(row['whole'], 1, 's')}." for row in rows if "whole" in row]
    return lines


def latency(rows: list[dict[str, Any]]) -> list[str]:
    """Tell of predictions of one trial."""
    cells = [
        [str(row["neurons"]), f"{row['p50'] * 1e3:.1f} ms", f"{row['p99'] * 1e3:.1f} ms"]
        for row in rows
    ]
    return table(
        "`predict` of one trial of 100 bins", ["neurons", "median", "99th percentile"], cells
    )


def memory(rows: list[dict[str, Any]]) -> list[str]:
    """Tell of the most memory that was held."""
    cells = [
        [
            row["of"],
            f"{row['counts_mb']:.0f} MB",
            f"{row['process_mb']:.0f} MB in all"
            if "process_mb" in row
            else f"{row['more_mb']:.0f} MB more",
        ]
        for row in rows
    ]
    return table("Memory", ["", "counts", "most that the process held"], cells)


def scaling(rows: list[dict[str, Any]]) -> list[str]:
    """Tell how the time of an epoch grows."""
    cells = [
        [
            row["axis"],
            f"{row['values'][0]} to {row['values'][-1]}",
            ", ".join(f"{s:.3g}" for s in row["seconds_an_epoch"]),
            f"{row['slope']:.2f}",
            f"{row['steepest']:.2f}",
        ]
        for row in rows
    ]
    columns = ["along", "from, to", "seconds an epoch", "slope", "steepest part"]
    return table("Growth: slopes on logarithmic axes (1 is linear)", columns, cells)


def quality(rows: list[dict[str, Any]]) -> list[str]:
    """Tell of a whole fit."""
    (row,) = rows
    tasks = ", ".join(
        f"{name} {row[name]:.3f} (GLM {floor})" for name, floor in row["floors"].items()
    )
    return [
        f"**A default fit of recording 12** takes {row['seconds']:.0f} s. Bits per spike of test trials: {tasks}."
    ]


if __name__ == "__main__":
    main()
