"""Score a recording on a random split of its trials and on its last trials, co-smoothing alone.

    python tests/benchmarks/split_in_time.py 17 [--epochs 200]

Protocol: three quarters of the trials train and the others test, drawn by
``numpy.random.default_rng(0).permutation`` or in the order of time; neurons of at least 0.01 counts
per bin on training trials, 150 of which are scored; pooled bits per spike with the test-mean null.
"""

from __future__ import annotations

import argparse

import numpy as np
from recordings import FOLDER

import neuromask as nm


def main() -> None:
    """Fit the mean rate, the GLM and MtM to both splits and print their scores."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("number", type=int, nargs="?", default=17)
    parser.add_argument("--epochs", type=int, default=200)
    options = parser.parse_args()
    session = nm.load_npz(FOLDER / f"session{options.number:02d}.npz")
    # Rounded up to tens, so that recording 17 trains on 170 of its 224 trials.
    n, n_train = len(session), -(-3 * len(session) // 40) * 10
    drawn = np.random.default_rng(0).permutation(n)
    for name, order in {"random": drawn, "in time": np.arange(n)}.items():
        rows = np.sort(order[:n_train]), np.sort(order[n_train:])
        active = session.select_neurons(session.counts[rows[0]].mean((0, 1)) >= 0.01)
        train, test = active[rows[0]], active[rows[1]]
        scored = np.sort(np.random.default_rng(1).choice(active.n_neurons, 150, replace=False))
        asked = {"tasks": ["co_smoothing"], "neurons": scored}
        mean = nm.baselines.MeanRate().fit(train)
        glm = nm.baselines.PoissonGLM(["co_smoothing"]).fit(train)
        mtm = nm.MtMPretrainer(ignore_regions=(), max_epochs=options.epochs, random_state=0)
        tables = {
            "mean rate": nm.evaluate(mean.predict_rates, test, **asked),
            "Poisson GLM": nm.evaluate(glm.predict_rates, test, **asked),
            "MtM": mtm.fit(train).evaluate(test, **asked),
        }
        for model, table in tables.items():
            (pooled,) = nm.summarise(table)["bps_weighted"]
            print(f"{name}: {model} {pooled:.3f}", flush=True)


if __name__ == "__main__":
    main()
