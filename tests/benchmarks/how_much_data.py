"""Measure scores against the number of training trials, of neurons and of epochs, beside a GLM.

    python tests/benchmarks/how_much_data.py OUT.csv 12 13 [--table]

One thing changes at a time, from 100 trials, 100 neurons and 200 epochs. Trials and neurons are the
first of a fixed random order, test trials those of the protocol. Scores are bits over all spikes
(`bps_weighted`). Rows are kept as they are made, so that a run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from recordings import split

import neuromask as nm

USUAL = {"trials": 100, "neurons": 100, "epochs": 200}
GRID = {"trials": (20, 50, 100, 200), "neurons": (10, 25, 50, 100, 200, 400), "epochs": (20, 60)}
TASKS = ["co_smoothing", "inter_region"]


def cells() -> list[dict[str, int]]:
    """List the sizes to measure, the usual ones first."""
    changed = [USUAL | {name: value} for name, values in GRID.items() for value in values]
    return [dict(t) for t in dict.fromkeys(tuple(c.items()) for c in [USUAL, *changed])]


def measure(number: int, cell: dict[str, int]) -> list[dict] | None:
    """Fit and score one size; None where the recording has not so much."""
    train, valid, test = split(number)
    both = np.concatenate([train.counts, valid.counts])
    n_trials, _, n_neurons = both.shape
    if cell["trials"] > n_trials or cell["neurons"] > n_neurons:
        return None
    chosen = np.sort(np.random.default_rng(2).permutation(n_neurons)[: cell["neurons"]])
    counts = both[: cell["trials"]]
    session = nm.Session(
        counts[:, :, chosen],
        train.regions[chosen],
        bin_width=train.bin_width,
        session_id=train.session_id,
    )
    test = test.select_neurons(chosen)
    rows = []

    def add(model: str, fit) -> None:
        start = time.perf_counter()
        table = nm.summarise(fit())
        scores = dict(zip(table["task"], table["bps_weighted"], strict=True))
        seconds = time.perf_counter() - start
        rows.append({"recording": number, "model": model} | cell | scores | {"seconds": seconds})

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", nm.NeuromaskWarning)
        if cell["epochs"] == USUAL["epochs"]:
            for name, baseline in (
                ("mean rate", nm.baselines.MeanRate()),
                ("PSTH", nm.baselines.PSTH()),
                ("Poisson GLM", nm.baselines.PoissonGLM(TASKS)),
            ):
                add(
                    name,
                    lambda b=baseline: nm.evaluate(
                        b.fit(session).predict_rates, test, tasks=TASKS, ignore_regions=()
                    ),
                )
        pre = nm.MtMPretrainer(ignore_regions=(), random_state=0, max_epochs=cell["epochs"])
        add("MtM", lambda: pre.fit(session).evaluate(test, tasks=TASKS))
    return rows


def table_of(found: pd.DataFrame) -> pd.DataFrame:
    """Average over recordings, and count where MtM is above the GLM."""
    rows = []
    for name in GRID:
        others = [other for other in USUAL if other != name]
        part = found[(found[others] == [USUAL[o] for o in others]).all(axis=1)]
        for value, cell in part.groupby(name):
            models = cell.pivot(index="recording", columns="model", values="co_smoothing")
            if name == "epochs":  # which baselines do not have
                usual = part[part["epochs"] == USUAL["epochs"]]
                usual = usual.pivot(index="recording", columns="model", values="co_smoothing")
                models = models.combine_first(usual.drop(columns="MtM")).dropna()
            glm = models.get("Poisson GLM", pd.Series(np.nan, models.index))
            means = models.mean().round(3).to_dict()
            won = int((models["MtM"] > glm).sum()) if "MtM" in models else 0
            rows.append(
                {"changed": name, "value": value} | means | {"above GLM": won, "of": len(models)}
            )
    return pd.DataFrame(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("recordings", type=int, nargs="*")
    parser.add_argument("--table", action="store_true", help="print what there is, and stop")
    options = parser.parse_args()
    found = pd.read_csv(options.out) if options.out.exists() else pd.DataFrame()
    if not options.table:
        for cell in cells():
            for number in options.recordings:
                if len(found):
                    same = (found[["recording", *cell]] == [number, *cell.values()]).all(axis=1)
                    if same.any():
                        continue
                rows = measure(number, cell)
                if rows is not None:
                    found = pd.concat([found, pd.DataFrame(rows)], ignore_index=True)
                    found.to_csv(options.out, index=False)
                    print(
                        pd.DataFrame(rows).round(3).to_string(index=False, header=False), flush=True
                    )
    print(table_of(found).to_string(index=False))


if __name__ == "__main__":
    main()
