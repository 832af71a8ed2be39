"""Draw the pictures of the README and the guide from one real recording.

    python tests/benchmarks/pictures.py 12 docs/images

Protocol: that of `recordings.py`, with all neurons scored. The rates drawn are co-smoothed.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from recordings import split

import neuromask as nm


def by_rate(table: pd.DataFrame) -> pd.DataFrame:
    """Summarise co-smoothing of neurons by their mean rate on test trials."""
    part = table[(table["task"] == "co_smoothing") & table["bps"].notna()]
    return part.groupby(pd.cut(part["rate"], [0, 1, 2, 5, 10, 1000]), observed=True).agg(
        neurons=("bps", "size"), mean=("bps", "mean"), lowest=("bps", "min"), d2=("d2", "mean")
    )


def main() -> None:
    """Fit a recording, print its scores and write the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("number", type=int, nargs="?", default=12)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("docs/images"))
    parser.add_argument("--epochs", type=int, default=200)
    options = parser.parse_args()
    train, valid, test = split(options.number)
    start = time.perf_counter()
    pre = nm.MtMPretrainer(ignore_regions=(), max_epochs=options.epochs, random_state=0)
    pre.fit(train, X_val=valid)
    print(f"fitted in {time.perf_counter() - start:.0f} s")
    glm = nm.baselines.PoissonGLM().fit(train, X_val=valid)
    tables = {
        "GLM": nm.evaluate(glm.predict_rates, test, ignore_regions=()),
        "MtM": pre.evaluate(test),
    }
    for name, table in tables.items():
        print(name)
        for min_spikes in (1, 10):
            print(nm.summarise(table, min_spikes=min_spikes).round(3).to_string(index=False))
        print(by_rate(table).round(3).to_string())

    _, axes = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    nm.plots.plot_scores(tables["MtM"], ax=axes[0])
    axes[0].set_title(f"MtM on test trials\n{axes[0].get_title()}", fontsize=10)
    nm.plots.plot_comparison(
        tables["GLM"], tables["MtM"], labels=("Poisson GLM", "MtM"), ax=axes[1]
    )
    axes[1].set_title("Beside a Poisson GLM on the same trials", fontsize=10)
    axes[0].figure.savefig(options.folder / "scores.png", dpi=100)

    busiest = np.argsort(-test.counts.mean((0, 1)))[:4]
    rates = pre.predict_hidden(test, neurons=busiest)
    figure = nm.plots.plot_rates(test.counts, rates, neurons=busiest, bin_width=test.bin_width)
    figure.savefig(options.folder / "rates.png", dpi=100)


if __name__ == "__main__":
    main()
