"""Make the model that comes with the library, and measure it on animals that were left out.

    python tests/benchmarks/pretrained.py make RECORDINGS FOLDER [--leave-out MOUSE]
    python tests/benchmarks/pretrained.py measure RECORDINGS FOLDER MOUSE [--trials 50]

RECORDINGS is a folder of npz files `sessionNN.npz`: spikes (trials, bins, neurons) of 10 ms bins, regions
(neurons,) and mouse. Recordings of a mouse that is left out are not looked at by `make`; `measure`
calibrates the model on each of them without a gradient step, and scores test trials. Both use the split
and the neurons of `recordings.py`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

import neuromask as nm

BIN_WIDTH = 0.01


def read(folder: Path) -> list[tuple[nm.Session, nm.Session, nm.Session]]:
    """Return training, validation and test trials of each recording."""
    found = []
    for path in sorted(folder.glob("session*.npz")):
        with np.load(path, allow_pickle=False) as file:
            counts, regions, mouse = file["spikes"], file["regions"], str(file["mouse"])
        n = len(counts)
        order = np.random.default_rng(0).permutation(n)
        parts = np.split(order, [int(0.7 * n), int(0.7 * n) + int(0.1 * n)])
        kept = counts[parts[0]].mean((0, 1)) >= BIN_WIDTH
        session = nm.Session(
            counts[:, :, kept],
            regions[kept],
            bin_width=BIN_WIDTH,
            session_id=path.stem,
            subject=mouse,
        )
        found.append(tuple(session[trials] for trials in parts))
    return found


def make(recordings: Path, folder: Path, left_out: str | None, seed: int) -> None:
    """Pretrain on all recordings but those of one mouse, and save what they share."""
    parts = [p for p in read(recordings) if p[0].subject != left_out]
    train, valid = [p[0] for p in parts], [p[1] for p in parts]
    pre = nm.MtMPretrainer(random_state=seed, verbose=1).fit(train, X_val=valid)
    print(pre.set_params(verbose=0).forget().save(folder, overwrite=True))


def measure(recordings: Path, folder: Path, mouse: str, n_trials: int | None) -> None:
    """Calibrate on trials of each recording of a mouse, and score its test trials."""
    rows = []
    for train, _, test in read(recordings):
        if train.subject != mouse:
            continue
        pre = nm.load(folder).calibrate(train[:n_trials]).set_params(ignore_regions=())
        n = train.n_neurons
        subset = np.sort(np.random.default_rng(1).choice(n, min(n, 150), replace=False))
        few = pre.evaluate(test, tasks=["co_smoothing", "intra_region"], neurons=subset)
        rest = pre.evaluate(test, tasks=["inter_region", "forward_prediction"])
        means = pd.concat([few, rest]).groupby("task", sort=False)["bps"].mean()
        rows.append({"session": train.session_id, "trials": len(train[:n_trials])} | dict(means))
        print(
            pd.DataFrame(rows[-1:]).round(3).to_string(index=False, header=len(rows) == 1),
            flush=True,
        )


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("make", "measure"))
    parser.add_argument("recordings", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("mouse", nargs="?")
    parser.add_argument("--leave-out")
    parser.add_argument("--trials", type=int)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.what == "make":
        make(options.recordings, options.folder, options.leave_out, options.seed)
    else:
        measure(options.recordings, options.folder, options.mouse, options.trials)


if __name__ == "__main__":
    main()
