"""Measure what pretraining on other animals brings to a new one, on real and simulated recordings.

    python tests/benchmarks/animals.py held-out OUT [--mice Cori Forssmann Lederberg]
    python tests/benchmarks/animals.py together OUT
    python tests/benchmarks/animals.py temporal OUT
    python tests/benchmarks/animals.py scaling OUT [--seeds 0 1 2]
    python tests/benchmarks/animals.py show OUT

Protocol of the real recordings: that of recordings.py, on the subset of 150 neurons. *held-out*
pretrains on the sessions of two mice and serves each session of the third: from scratch, calibrated
and fine-tuned, with all training trials (validated on the protocol's validation trials) and with
the first 50 (a tenth of these 50 validates). *together* fits all twelve sessions at once,
*temporal* each alone with temporal masking. *scaling* pretrains on 1, 3, 6 and 12 simulated animals
and serves another. Every fit is a row of OUT/scores.csv that is not made twice, so that a stopped
run goes on.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from recordings import split

import neuromask as nm
from neuromask.comparison import contrast
from neuromask.schemes import MTM_SCHEMES

MICE = {"Cori": (1, 2), "Forssmann": (4, 5, 6, 7), "Lederberg": (12, 13, 14, 15, 17, 18)}
TASKS = ("co_smoothing", "inter_region", "intra_region", "forward_prediction")
FEW = 50
N_SCALING = (1, 3, 6, 12)


class Scores:
    """A table on disk that grows by one model and session at a time."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "scores.csv"

    def table(self) -> pd.DataFrame:
        """Read what is there."""
        return pd.read_csv(self.path) if self.path.exists() else pd.DataFrame({"key": []})

    def add(
        self, key: str, fit: Callable[[], nm.MtMPretrainer], test: nm.Session, **labels: object
    ) -> None:
        """Fit and score, unless the key is there."""
        if key in set(self.table()["key"]):
            return
        start = time.perf_counter()
        pre = fit()
        fitted = time.perf_counter() - start
        means = score(pre, test)
        rows = pd.DataFrame(
            [
                {"key": key, "session": test.session_id, "n_sessions": 0}
                | labels
                | {"task": t, "bps": b, "fit_s": fitted}
                for t, b in means.items()
            ]
        )
        rows.to_csv(self.path, mode="a", header=not self.path.exists(), index=False)
        print(key, means.round(3).to_dict(), f"{fitted:.0f} s", flush=True)


def score(pre: nm.MtMPretrainer, test: nm.Session) -> pd.Series:
    """Mean bits per spike by task: 150 neurons where they are held out, all for forward."""
    n = test.n_neurons
    subset = np.sort(np.random.default_rng(1).choice(n, min(n, 150), replace=False))
    some = pre.evaluate(test, tasks=TASKS[:3], neurons=subset)
    table = pd.concat([some, pre.evaluate(test, tasks=TASKS[3:])])
    return table.groupby("task")["bps"].mean()


def model(epochs: int, **options: object) -> nm.MtMPretrainer:
    """Make an estimator with the protocol's options."""
    return nm.MtMPretrainer(
        **{"ignore_regions": (), "random_state": 0, "max_epochs": epochs} | options
    )


def pretrained(folder: Path, numbers: Sequence[int], epochs: int) -> nm.MtMPretrainer:
    """Fit recordings together, or load what was fitted before."""
    path = folder / ("pretrained-" + "-".join(map(str, numbers)))
    if not path.exists():
        parts = [split(number) for number in numbers]
        start = time.perf_counter()
        pre = model(epochs).fit([p[0] for p in parts], X_val=[p[1] for p in parts])
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        seconds = time.perf_counter() - start
        print(f"pretrained on {numbers}: {seconds:.0f} s, peak memory {peak:.2f} GiB", flush=True)
        pre.save(path)
    return nm.load(path)


def held_out(scores: Scores, options: argparse.Namespace) -> None:
    """Serve each session of a mouse with a model of the other mice's."""
    for mouse in options.mice:
        others = [n for m, numbers in MICE.items() if m != mouse for n in numbers]
        for number in MICE[mouse]:
            if not options.sessions or number in options.sessions:
                serve(scores, others, number, options)


def serve(scores: Scores, others: list[int], number: int, options: argparse.Namespace) -> None:
    """Score a new session without training, fine-tuned and from scratch."""
    train, valid, test = split(number)
    few, tuning = train[:FEW], options.tuning
    fits = {
        ("scratch", "all"): partial(model(tuning).fit, train, X_val=valid),
        ("scratch", FEW): partial(model(200).fit, few),
    }
    if options.models != ["scratch"]:
        pre = pretrained(options.out, others, options.epochs)
        fits |= {
            ("calibrated", "all"): partial(pre.calibrate, train),
            ("fine-tuned", "all"): partial(pre.finetune, train, X_val=valid, max_epochs=tuning),
            ("fine-tuned", FEW): partial(pre.finetune, few),
        }
    for (name, trials), fit in fits.items():
        if not options.models or name in options.models:
            key = f"held-out/{number}/{name}/{trials}"
            scores.add(key, fit, test, model=name, trials=trials, seed=0)


def together(scores: Scores, options: argparse.Namespace) -> None:
    """Fit all sessions at once."""
    numbers = [n for some in MICE.values() for n in some]
    pre = pretrained(options.out, numbers, options.epochs)
    for number in numbers:
        key = f"together/{number}"
        scores.add(key, lambda: pre, split(number)[2], model="together", trials="all", seed=0)


def temporal(scores: Scores, options: argparse.Namespace) -> None:
    """Fit each session alone with temporal masking."""
    for number in [n for some in MICE.values() for n in some]:
        train, valid, test = split(number)
        fit = partial(model(options.tuning, schemes=("temporal",)).fit, train, X_val=valid)
        key = f"temporal/{number}"
        scores.add(key, fit, test, model="temporal", trials="all", seed=0)


def scaling(scores: Scores, options: argparse.Namespace) -> None:
    """Pretrain on more and more simulated animals, then serve another."""
    for seed in options.seeds:
        *known, new = nm.simulate(
            200,
            n_sessions=max(N_SCALING) + 1,
            n_neurons=80,
            n_time=40,
            strength=0.8,
            random_state=seed,
        )
        for name, chosen in {"MtM": MTM_SCHEMES, "temporal": ("temporal",)}.items():
            for n in (0, *N_SCALING):
                grow(scores, name, known[:n], new, seed=seed, schemes=chosen)


def grow(
    scores: Scores,
    name: str,
    known: list[nm.Session],
    new: nm.Session,
    *,
    seed: int,
    schemes: tuple[str, ...],
) -> None:
    """Score one animal with a model of some others, or of none."""
    sizes = {"dim": 64, "schemes": schemes, "random_state": seed}
    few, test, n = new[:FEW], new[100:], len(known)
    hows = ("calibrated", "fine-tuned") if known else ("fine-tuned",)
    keys = [f"scaling/{seed}/{name}/{n}/{how}" for how in hows]
    if set(keys) <= set(scores.table()["key"]):
        return
    if known:
        pre = model(60, encode_neurons=True, **sizes).fit(known)
        fits = [partial(pre.calibrate, few), partial(pre.finetune, few)]
    else:
        fits = [partial(model(200, **sizes).fit, few)]
    for key, how, fit in zip(keys, hows, fits, strict=True):
        labels = {"trials": FEW, "seed": seed, "n_sessions": n}
        scores.add(key, fit, test, model=f"{name}, {how}", **labels)


def show(scores: Scores, options: argparse.Namespace) -> None:
    """Print tables of what was measured."""
    table = scores.table()
    real = table[table["key"].str.startswith(("held-out", "together", "temporal"))]
    for trials, part in real.groupby("trials", sort=False):
        wide = part.pivot_table(index=["session", "model"], columns="task", values="bps")
        print(f"\ntraining trials: {trials}\n{wide[[*TASKS]].round(3).to_string()}")
        names = set(part["model"])
        for name in sorted(names - {"scratch"}):
            if "scratch" in names:
                print(f"\n{name} against scratch, training trials: {trials}")
                print(contrast(part, name, "scratch").round(3).to_string(index=False))
    simulated = table[table["key"].str.startswith("scaling")]
    if len(simulated):
        wide = simulated.pivot_table(
            index=["model", "n_sessions"], columns="task", values="bps", aggfunc=["mean", "sem"]
        )
        print(wide.round(3).to_string())
        if options.picture:
            nm.plots.plot_scaling(simulated).savefig(options.picture, dpi=120)


def main() -> None:
    """Run the parts named on the command line."""
    parts = {"held-out": held_out, "together": together, "temporal": temporal}
    parts |= {"scaling": scaling, "show": show}
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", choices=parts)
    parser.add_argument("out", type=Path)
    parser.add_argument("--mice", nargs="+", default=list(MICE), choices=MICE)
    parser.add_argument("--sessions", nargs="+", type=int)
    parser.add_argument("--models", nargs="+")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=60, help="of pretraining")
    parser.add_argument("--tuning", type=int, default=60, help="of fine-tuning and from scratch")
    parser.add_argument("--picture", help="file for a picture of scaling")
    options = parser.parse_args()
    parts[options.part](Scores(options.out), options)


if __name__ == "__main__":
    main()
