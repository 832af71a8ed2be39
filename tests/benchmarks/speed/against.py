"""Compare the speed of two versions of the library, in turns on one machine.

    git worktree add /tmp/before d82beda
    python tests/benchmarks/speed/against.py /tmp/before . [--threads 2] [--repeats 5] [--only step]

What is timed is public: a step of training at both sizes, held-out neurons of recording 12 and of 2000
neurons, and whole default fits of recording 12, each with its own defaults. The ratio of processor time is that of
a machine which others do not disturb, if the number of threads is one.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from machine import in_a_process, spread
from work import STEINMETZ

FOLDER = Path(__file__).resolve().parent


def main() -> None:
    """Time both versions and print medians, spreads and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", default="", help="part of the names of what to time")
    parser.add_argument("--fits", action="store_true", help="whole default fits too; minutes each")
    options = parser.parse_args()
    main_line: dict[str, Any] = {"neurons": 399, "bins": 40, "trials": 128}
    if STEINMETZ.is_dir():
        main_line = {"recording": 12, "trials": 128}
    wide = {"neurons": 2000, "bins": 40, "trials": 100, "held_out": 4}
    plan: dict[str, tuple[str, dict[str, Any]]] = {
        "default step, fp32": ("step", main_line),
        "default step, bf16": ("step", main_line | {"precision": "bf16"}),
        "published step, fp32": ("step", main_line | {"size": "published", "trials": 64}),
        "published step, bf16": (
            "step",
            main_line | {"size": "published", "trials": 64, "precision": "bf16"},
        ),
        "held-out neurons, fp32": ("evaluate", main_line | {"held_out": 24}),
        "held-out neurons, bf16": ("evaluate", main_line | {"held_out": 24, "precision": "bf16"}),
        "held-out of 2000 neurons, fp32": ("evaluate", wide),
    }
    if options.fits:
        plan["default fit"] = ("default-fit", main_line | {"trials": 400})
    for name, (work, asked) in plan.items():
        if options.only not in name:
            continue
        found: list[dict[str, list[float]]] = [{"seconds": [], "cpu_seconds": []} for _ in range(2)]
        given = json.dumps(asked | {"threads": options.threads, "repeats": 1})
        for _ in range(options.repeats):
            for times, path in zip(found, (options.before, options.after), strict=True):
                once = json.loads(
                    in_a_process(FOLDER / "work.py", work, given, path=path.resolve())
                )
                for kind in times:
                    times[kind] += once[kind]
        ratios = [
            spread([a / b for a, b in zip(*(times[kind] for times in found), strict=True)])
            for kind in ("seconds", "cpu_seconds")
        ]
        medians = [spread(times["seconds"]) for times in found]
        print(
            f"{name}: {written(medians[0])} s before, {written(medians[1])} s after; "
            f"{written(ratios[0])} times as fast, by processor time {written(ratios[1])}",
            flush=True,
        )


def written(found: dict[str, float]) -> str:
    """Write a median and its spread."""
    return f"{found['median']:.4g} ({found['least']:.4g} to {found['most']:.4g})"


if __name__ == "__main__":
    main()
