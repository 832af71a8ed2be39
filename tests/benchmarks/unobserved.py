"""Measure what is lost where trials end early, or a unit is lost, on real recordings.

    python tests/benchmarks/unobserved.py 12 13 [--epochs 200] [--subset 150]

Each trial, of training and of test alike, ends at a random 50 to 100 % of its bins. Three fits are
scored on the same observed test entries: one of all training entries, one of the observed ones, and
one of trials cut to the shortest, which predicts longer ones by windows. A fourth fit loses the
busiest unit after half of the training trials, and is compared on the other neurons.
"""

from __future__ import annotations

import argparse
import time
import warnings

import numpy as np
import pandas as pd
from recordings import split

import neuromask as nm


def ending(session: nm.Session, generator: np.random.Generator) -> np.ndarray:
    """Draw the end of each trial; say which bins lie before it (trials, time, 1)."""
    ends = generator.integers(session.n_time // 2, session.n_time + 1, len(session))
    return (np.arange(session.n_time) < ends[:, None])[:, :, None]


def cut(session: nm.Session, n_time: int) -> nm.Session:
    """Keep the first bins of all trials."""
    return nm.Session(
        session.counts[:, :n_time],
        session.regions,
        bin_width=session.bin_width,
        session_id=session.session_id,
    )


def seen(session: nm.Session, observed: np.ndarray) -> nm.Session:
    """Return the session as if no more had been recorded."""
    return nm.Session(
        session.counts,
        session.regions,
        observed=observed,
        bin_width=session.bin_width,
        session_id=session.session_id,
    )


def measure(number: int, options: argparse.Namespace) -> pd.DataFrame:
    """Fit and score one recording in all ways."""
    train, valid, test = split(number)
    generator = np.random.default_rng(number)
    parts = [(s, ending(s, generator)) for s in (train, valid, test)]
    observed_train, observed_valid, observed_test = (seen(*part) for part in parts)
    n = train.n_neurons
    subset = np.sort(np.random.default_rng(1).choice(n, min(n, options.subset), replace=False))
    shortest = train.n_time // 2
    busiest = int(np.argmax(train.counts.sum((0, 1))))
    lost = np.ones(train.shape, bool)
    lost[len(train) // 2 :, :, busiest] = False
    fits = {
        "all entries": (train, valid),
        "observed entries": (observed_train, observed_valid),
        "cut to the shortest": (cut(train, shortest), cut(valid, shortest)),
        "unit lost": (seen(train, lost), valid),
    }
    rows = []
    for name, (X, X_val) in fits.items():
        start = time.perf_counter()
        pre = nm.MtMPretrainer(ignore_regions=(), random_state=0, max_epochs=options.epochs)
        pre.fit(X, X_val=X_val)
        trials = {"observed": observed_test, "first half": cut(test, shortest)}
        if name in ("all entries", "unit lost"):
            trials["whole"] = test
        for scored, session in trials.items():
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message=".*longer than the fitted.*")
                tables = [
                    pre.evaluate(session, tasks=["co_smoothing"], neurons=subset),
                    pre.evaluate(session, tasks=["inter_region"]),
                ]
            table = pd.concat(tables)
            table = table[(table["neuron"] != busiest) & (table["n_spikes"] >= 10)]
            means = {t: p["bps"].mean() for t, p in table.groupby("task", sort=False)}
            rows.append({"recording": number, "fit": name, "scored": scored} | means)
            rows[-1]["fit_s"] = time.perf_counter() - start
            print(pd.DataFrame(rows[-1:]).round(4).to_string(index=False, header=len(rows) == 1))
    return pd.DataFrame(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recordings", type=int, nargs="+")
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--subset", type=int, default=150)
    options = parser.parse_args()
    tables = [measure(number, options) for number in options.recordings]
    print(pd.concat(tables).round(4).to_string(index=False))


if __name__ == "__main__":
    main()
