"""Measure what pretraining on other animals brings to a new one, on real and simulated recordings.

    python tests/benchmarks/animals.py held-out OUT [--mice Cori Forssmann Lederberg]
    python tests/benchmarks/animals.py together OUT [--no-encoder]
    python tests/benchmarks/animals.py temporal OUT
    python tests/benchmarks/animals.py forgetting OUT
    python tests/benchmarks/animals.py variants OUT [--sessions 12 14 17]
    python tests/benchmarks/animals.py scaling OUT [--seeds 0 1 2]
    python tests/benchmarks/animals.py scaling-real OUT [--seeds 0 1 2]
    python tests/benchmarks/animals.py show OUT

Protocol of the real recordings: that of recordings.py, on the subset of 150 neurons. *held-out*
pretrains on the sessions of two mice and serves each session of the third: from scratch, calibrated
and fine-tuned, with all training trials (validated on the protocol's validation trials) and with
the first 50 (which all train; from scratch for 200 epochs, and for 120 and 60 as in fine-tuning).
*together* fits all twelve sessions at once, with an encoder of neurons or without, *temporal* each alone
with temporal masking. *forgetting* scores the pretraining sessions before and after fine-tuning on the
first session of each mouse. *variants* fits each session alone with one option changed and scores the
validation trials. *scaling* pretrains on 1, 3, 6 and 12 simulated animals and serves another;
*scaling-real* on 1, 3 and 6 recordings of mice Cori and Forssmann, in an order drawn by the seed, and
serves three of Lederberg. Every fit is a row of OUT/scores.csv that is not made twice, so that a stopped
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
        self,
        key: str,
        fit: Callable[[], nm.MtMPretrainer],
        test: nm.Session,
        *,
        by_spike: bool = False,
        **labels: object,
    ) -> None:
        """Fit and score, unless the key is there."""
        if key in set(self.table()["key"]):
            return
        start = time.perf_counter()
        pre = fit()
        fitted = time.perf_counter() - start
        means = score(pre, test, by_spike=by_spike)
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


def score(pre: nm.MtMPretrainer, test: nm.Session, *, by_spike: bool = False) -> pd.Series:
    """Bits per spike by task: 150 neurons where they are held out, all for forward.

    Mean over neurons, or over spikes: of few trials a neuron with a spike or two decides the former.
    """
    n = test.n_neurons
    subset = np.sort(np.random.default_rng(1).choice(n, min(n, 150), replace=False))
    some = pre.evaluate(test, tasks=TASKS[:3], neurons=subset)
    table = pd.concat([some, pre.evaluate(test, tasks=TASKS[3:])])
    if not by_spike:
        return table.groupby("task")["bps"].mean()
    spikes = table["n_spikes"].where(table["bps"].notna())
    sums = table.assign(bits=table["bps"] * spikes, spikes=spikes).groupby("task")
    return sums["bits"].sum() / sums["spikes"].sum()


def model(epochs: int, **options: object) -> nm.MtMPretrainer:
    """Make an estimator with the protocol's options."""
    return nm.MtMPretrainer(
        **{"ignore_regions": (), "random_state": 0, "max_epochs": epochs} | options
    )


def pretrained(
    folder: Path, numbers: Sequence[int], epochs: int, **options: object
) -> nm.MtMPretrainer:
    """Fit recordings together, or load what was fitted before."""
    path = folder / "-".join(["pretrained", *map(str, [*numbers, *options])])
    if not path.exists():
        parts = [split(number) for number in numbers]
        start = time.perf_counter()
        pre = model(epochs, **options).fit([p[0] for p in parts], X_val=[p[1] for p in parts])
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
        ("scratch-120", FEW): partial(model(120).fit, few),
        ("scratch-60", FEW): partial(model(60).fit, few),
    }
    if options.models != ["scratch"]:
        pre = pretrained(options.out, others, options.epochs)
        fits |= {
            ("calibrated", "all"): partial(pre.calibrate, train),
            ("fine-tuned", "all"): partial(pre.finetune, train, X_val=valid, max_epochs=tuning),
            ("calibrated", FEW): partial(pre.calibrate, few),
            ("fine-tuned", FEW): partial(pre.finetune, few),
            ("fine-tuned-60", FEW): partial(pre.finetune, few, max_epochs=60),
        }
    for (name, trials), fit in fits.items():
        if not options.models or name in options.models:
            key = f"held-out/{number}/{name}/{trials}"
            scores.add(key, fit, test, model=name, trials=trials, seed=0)


def together(scores: Scores, options: argparse.Namespace) -> None:
    """Fit all sessions at once."""
    numbers = [n for some in MICE.values() for n in some]
    name = "together without encoder" if options.no_encoder else "together"
    changed = {"encode_neurons": False} if options.no_encoder else {}
    pre = pretrained(options.out, numbers, options.epochs, **changed)
    for number in numbers:
        key = f"{name}/{number}"
        scores.add(key, lambda: pre, split(number)[2], model=name, trials="all", seed=0)


def temporal(scores: Scores, options: argparse.Namespace) -> None:
    """Fit each session alone with temporal masking."""
    for number in [n for some in MICE.values() for n in some]:
        train, valid, test = split(number)
        fit = partial(model(options.tuning, schemes=("temporal",)).fit, train, X_val=valid)
        key = f"temporal/{number}"
        scores.add(key, fit, test, model="temporal", trials="all", seed=0)


def forgetting(scores: Scores, options: argparse.Namespace) -> None:
    """Score what was known before and after fine-tuning."""
    for mouse in options.mice:
        others = [n for m, numbers in MICE.items() if m != mouse for n in numbers]
        pre = pretrained(options.out, others, options.epochs)
        number = MICE[mouse][0]
        train, valid, _ = split(number)
        models = {"before": pre}
        for strategy in ("stitch", "gradual", "full"):
            models[strategy] = pre.finetune(
                train, X_val=valid, strategy=strategy, max_epochs=options.tuning
            )
        for other in others:
            for name, fitted in models.items():
                key = f"forgetting/{mouse}/{other}/{name}"
                scores.add(key, lambda f=fitted: f, split(other)[2], model=name, trials="all")


def variants(scores: Scores, options: argparse.Namespace) -> None:
    """Fit sessions alone with one option changed; score their validation trials."""
    changes = {"MtM": {}, "rope": {"positions": "rope"}, "one prompt": {"prompted": False}}
    changes |= {f"{unit} dropout 0.1": {f"{unit}_dropout": 0.1} for unit in ("neuron", "region")}
    changes |= {f"{name} alone": {"schemes": (name,)} for name in (*MTM_SCHEMES, "temporal")}
    changes["ndt2"] = {"backbone": "ndt2"}
    for number in options.sessions or (12, 14, 17):
        train, valid, _ = split(number)
        for name, change in changes.items():
            for seed in options.seeds:
                chosen = {"random_state": seed} | change
                fit = partial(model(options.tuning, **chosen).fit, train, X_val=valid)
                key = f"variants/{number}/{name}/{seed}"
                labels = {"model": name, "trials": "validation", "seed": seed}
                scores.add(key, fit, valid, by_spike=True, **labels)


def scaling(scores: Scores, options: argparse.Namespace) -> None:
    """Pretrain on more and more simulated animals, then serve another."""
    for seed in options.seeds:
        *known, new = nm.simulate(
            200,
            n_sessions=max(N_SCALING) + 1,
            n_neurons=60,
            n_time=40,
            strength=0.8,
            random_state=seed,
        )
        known = [session[:120] for session in known]
        for name, chosen in {"MtM": MTM_SCHEMES, "temporal": ("temporal",)}.items():
            sizes = {"dim": 64, "schemes": chosen, "random_state": seed}
            for n in (0, *N_SCALING):
                grow(
                    scores,
                    f"scaling/{seed}/{name}/{n}",
                    name,
                    known[:n],
                    [(new[:FEW], new[100:])],
                    sizes,
                )


def scaling_real(scores: Scores, options: argparse.Namespace) -> None:
    """Pretrain on more and more recordings of two mice, then serve the third."""
    for seed in options.seeds:
        order = np.random.default_rng(seed).permutation([*MICE["Cori"], *MICE["Forssmann"]])
        known = [split(number)[0] for number in order]
        served = [split(number)[::2] for number in (12, 14, 17)]
        served = [(train[:FEW], test) for train, test in served]
        for name, chosen in {"MtM": MTM_SCHEMES, "temporal": ("temporal",)}.items():
            for n in (0, 1, 3, 6):
                grow(
                    scores,
                    f"scaling-real/{seed}/{name}/{n}",
                    name,
                    known[:n],
                    served,
                    {"schemes": chosen, "random_state": seed},
                )


def grow(
    scores: Scores,
    key: str,
    name: str,
    known: list[nm.Session],
    served: list[tuple[nm.Session, nm.Session]],
    options: dict,
) -> None:
    """Serve sessions, a few trials each, with a model of some others, or of none."""
    hows = ("calibrated", "fine-tuned") if known else ("fine-tuned",)
    keys = {f"{key}/{test.session_id}/{how}" for _, test in served for how in hows}
    if keys <= set(scores.table()["key"]):
        return
    pre = model(60, encode_neurons=True, **options).fit(known) if known else None
    for few, test in served:
        for how in hows:
            if pre is None:
                fit = partial(model(200, **options).fit, few)
            else:
                fit = partial(pre.calibrate if how == "calibrated" else pre.finetune, few)
            labels = {"trials": FEW, "seed": options["random_state"], "n_sessions": len(known)}
            scores.add(
                f"{key}/{test.session_id}/{how}", fit, test, model=f"{name}, {how}", **labels
            )


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
                print(contrast(part, name, "scratch", metric="bps").round(3).to_string(index=False))
    for part in ("forgetting", "variants"):
        chosen = table[table["key"].str.startswith(part)]
        if len(chosen):
            wide = chosen.pivot_table(index=["session", "model"], columns="task", values="bps")
            print(f"\n{part}\n{wide.round(3).to_string()}")
            print(wide.groupby("model").mean().round(3).to_string())
    for part in ("scaling/", "scaling-real/"):
        chosen = table[table["key"].str.startswith(part)]
        if len(chosen):
            columns = ["model", "n_sessions", "task", "seed"]
            seeds = chosen.groupby(columns, sort=False, as_index=False)["bps"].mean()
            wide = seeds.pivot_table(
                index=["model", "n_sessions"], columns="task", values="bps", aggfunc=["mean", "sem"]
            )
            print(f"\n{part}\n{wide.round(3).to_string()}")
            picture = options.out / f"{part[:-1]}.png"
            nm.plots.plot_scaling(seeds, metric="bps").savefig(picture, dpi=120)


def main() -> None:
    """Run the parts named on the command line."""
    parts = {"held-out": held_out, "together": together, "temporal": temporal}
    parts |= {"forgetting": forgetting, "variants": variants}
    parts |= {"scaling": scaling, "scaling-real": scaling_real, "show": show}
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", choices=parts)
    parser.add_argument("out", type=Path)
    parser.add_argument("--mice", nargs="+", default=list(MICE), choices=MICE)
    parser.add_argument("--no-encoder", action="store_true")
    parser.add_argument("--sessions", nargs="+", type=int)
    parser.add_argument("--models", nargs="+")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=60, help="of pretraining")
    parser.add_argument("--tuning", type=int, default=60, help="of fine-tuning and from scratch")
    options = parser.parse_args()
    parts[options.part](Scores(options.out), options)


if __name__ == "__main__":
    main()
