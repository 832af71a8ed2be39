"""Measure quality and cost on real recordings against baselines, in one run.

    python tests/benchmarks/recordings.py 12 13 [--seeds 0 1] [--temporal] [--subset 150]

Protocol: trials split 70/10/20 by ``numpy.random.default_rng(0).permutation``; neurons of at least
0.01 counts per bin on training trials; bits per spike with the test-mean null, mean over neurons;
the last four of 40 bins held out for forward prediction; no region ignored.
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path

import numpy as np
import pandas as pd

import neuromask as nm

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "data" / "steinmetz"


def split(number: int) -> tuple[nm.Session, nm.Session, nm.Session]:
    """Return training, validation and test trials of one recording."""
    session = nm.load_npz(FOLDER / f"session{number:02d}.npz")
    n = len(session)
    order = np.random.default_rng(0).permutation(n)
    train, valid, test = np.split(order, [int(0.7 * n), int(0.7 * n) + int(0.1 * n)])
    session = session.select_neurons(session.counts[train].mean((0, 1)) >= 0.01)
    return session[train], session[valid], session[test]


def scores(table: pd.DataFrame, subset: np.ndarray) -> dict[str, float]:
    """Mean bits per spike by task: on the subset of neurons where single neurons are held out."""
    chosen = table["neuron"].isin(subset) | (table["task"] == "forward_prediction")
    means = {t: p["bps"].mean() for t, p in table[chosen].groupby("task", sort=False)}
    everyone = table.loc[table["task"] == "inter_region", "bps"].mean()
    return means | {"inter_region (all)": everyone}


def measure(number: int, options: argparse.Namespace) -> list[dict]:
    """Fit and score one recording with every model asked for."""
    train, valid, test = split(number)
    n = train.n_neurons
    subset = np.sort(np.random.default_rng(1).choice(n, min(n, options.subset), replace=False))
    rows = []

    def add(model: str, seed: int | None, fit, predictor) -> None:
        start = time.perf_counter()
        fitted = fit()
        fitted_at = time.perf_counter()
        table = predictor(fitted)
        rows.append(
            {"session": number, "model": model, "seed": seed}
            | scores(table, subset)
            | {"fit_s": fitted_at - start, "evaluate_s": time.perf_counter() - fitted_at}
        )
        print(pd.DataFrame(rows[-1:]).round(3).to_string(index=False), flush=True)

    def baseline(fitted):
        return nm.evaluate(fitted.predict_rates, test, ignore_regions=())

    if not options.models_only:
        add("mean rate", None, lambda: nm.baselines.MeanRate().fit(train), baseline)
        add("PSTH", None, lambda: nm.baselines.PSTH().fit(train), baseline)
        glm = nm.baselines.PoissonGLM
        add("Poisson GLM", None, lambda: glm().fit(train, X_val=valid), baseline)
    schemes = {"MtM": ("neuron", "causal", "intra-region", "inter-region")}
    if options.temporal:
        schemes["temporal"] = ("temporal",)
    for seed in options.seeds:
        for name, chosen in schemes.items():
            pre = nm.MtMPretrainer(
                schemes=chosen,
                ignore_regions=(),
                random_state=seed,
                max_epochs=options.epochs,
                device=options.device,
            )
            add(name, seed, lambda p=pre: p.fit(train, X_val=valid), lambda f: f.evaluate(test))
    return rows


def main() -> None:
    """Measure the recordings named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("numbers", nargs="*", type=int, default=[12, 13])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--subset", type=int, default=150)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--temporal", action="store_true", help="the temporal-masking baseline too")
    parser.add_argument("--models-only", action="store_true", help="leave the baselines out")
    options = parser.parse_args()
    rows = [row for number in options.numbers for row in measure(number, options)]
    print(pd.DataFrame(rows).round(3).to_string(index=False))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"peak memory of this run: {peak:.2f} GiB")


if __name__ == "__main__":
    main()
