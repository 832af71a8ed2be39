"""Compare the speed of two versions of the library, in turns on one machine.

    git worktree add /tmp/before d82beda
    python tests/benchmarks/speed/against.py /tmp/before . [--threads 2] [--repeats 5]

What is timed is public: a step of training at both sizes, held-out neurons of recording 12 and of 2000
neurons, and whole default fits of recording 12, each with its own defaults.
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
        times: list[list[float]] = [[], []]
        given = json.dumps(asked | {"threads": options.threads, "repeats": 1})
        for _ in range(options.repeats):
            for found, path in zip(times, (options.before, options.after), strict=True):
                out = in_a_process(FOLDER / "work.py", work, given, path=path.resolve())
                found += json.loads(out)["seconds"]
        before, after = map(spread, times)
        ratios = sorted(a / b for a, b in zip(*times, strict=True))
        print(
            f"{name}: {before['median']:.4f} s ({before['least']:.4f} to {before['most']:.4f}) before, "
            f"{after['median']:.4f} ({after['least']:.4f} to {after['most']:.4f}) after: "
            f"{before['median'] / after['median']:.2f} times as fast (pairs {ratios[0]:.2f} to {ratios[-1]:.2f})",
            flush=True,
        )


if __name__ == "__main__":
    main()
