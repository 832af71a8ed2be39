"""Decode a mouse that was left out, without its labels and with few, beside region means and its own labels.

    python tests/benchmarks/zero_labels.py RECORDINGS FOLDER MOUSE [--labels 0 20 50] [--schemes neuron]

FOLDER holds the model that `pretrained.py make --leave-out MOUSE` made. All trials of a recording are
calibrated on, and none of their labels is used but those that are asked for. Balanced accuracy, on trials
whose labels were not used; means over five draws of labelled trials.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from pretrained import BIN_WIDTH
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score

import neuromask as nm

TARGETS = ("presence", "reward", "side")
WINDOWS = (1, 2, 4)


def read(folder: Path) -> list[tuple[nm.Session, dict[str, np.ndarray]]]:
    """Return each recording with its targets; 0 where a trial has none."""
    found = []
    for path in sorted(folder.glob("session*.npz")):
        with np.load(path, allow_pickle=False) as file:
            f = {name: file[name] for name in file.files}
        n = len(f["spikes"])
        train = np.random.default_rng(0).permutation(n)[: int(0.7 * n)]
        kept = f["spikes"][train].mean((0, 1)) >= BIN_WIDTH
        session = nm.Session(
            f["spikes"][:, :, kept],
            f["regions"][kept],
            bin_width=BIN_WIDTH,
            session_id=path.stem,
            subject=str(f["mouse"]),
        )
        left, right = f["contrast_left"], f["contrast_right"]
        shown = np.where((left > 0) | (right > 0), 1, -1)
        found.append(
            (
                session,
                {
                    "presence": shown,
                    "reward": f["feedback"].astype(int),
                    "side": np.sign(right - left).astype(int),
                },
            )
        )
    return found


def region_means(session: nm.Session, names: list[str]) -> np.ndarray:
    """Return the mean counts of regions over windows, z-scored within the session."""
    columns = []
    for name in names:
        inside = session.regions == name
        course = (
            session.counts[:, :, inside].mean(2) if inside.any() else np.zeros(session.shape[:2])
        )
        for n in WINDOWS:
            columns += [part.mean(1) for part in np.array_split(np.sqrt(course), n, axis=1)]
    x = np.stack(columns, 1)
    spread = x.std(0)
    return (x - x.mean(0)) / np.where(spread > 0, spread, 1)


def main() -> None:
    """Read the command line, and print a row for each recording and target."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recordings", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("mouse")
    parser.add_argument("--labels", type=int, nargs="*", default=[0])
    parser.add_argument("--scheme", default="neuron")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    everything = read(options.recordings)
    known = [(s, y) for s, y in everything if s.subject != options.mouse]
    new = [(s, y) for s, y in everything if s.subject == options.mouse]
    names = sorted({str(name) for s, _ in known for name in s.regions})
    pre = nm.load(options.folder).calibrate([s for s, _ in known])
    rows = []
    for target in TARGETS:
        kept = [(s[y[target] != 0], y[target][y[target] != 0]) for s, y in known]
        decoder = nm.MtMDecoder(pre, scheme=options.scheme, random_state=0)
        decoder.fit([s for s, _ in kept], [y for _, y in kept])
        x = np.concatenate([region_means(s, names) for s, _ in kept])
        baseline = LogisticRegression(C=0.01, class_weight="balanced", max_iter=1000)
        baseline.fit(x, np.concatenate([y for _, y in kept]))
        for session, targets in new:
            there = targets[target] != 0
            trials, y = session[there], targets[target][there]
            adapted = decoder.adapt(session)
            row = {"session": session.session_id, "target": target}
            row["regions"] = balanced_accuracy_score(
                y, baseline.predict(region_means(trials, names))
            )
            row["none"] = balanced_accuracy_score(y, adapted.predict(trials))
            for n in filter(None, options.labels):
                row |= with_labels(adapted, trials, y, n, options.scheme)
            rows.append(row)
            print(pd.DataFrame([row]).round(3).to_string(index=False), flush=True)
    table = pd.DataFrame(rows)
    print(table.groupby("target").mean(numeric_only=True).round(3).to_string())


def with_labels(
    adapted: nm.MtMDecoder, trials: nm.Session, y: np.ndarray, n: int, scheme: str
) -> dict[str, float]:
    """Score decoders of few labels on the other trials: adapted, and fitted to these labels alone."""
    scores = []
    for draw in range(5):
        labelled = np.sort(np.random.default_rng(draw).permutation(len(y))[:n])
        rest = np.setdiff1d(np.arange(len(y)), labelled)
        if np.unique(y[labelled], return_counts=True)[1].min() < 3 or not len(rest):
            continue
        own = nm.MtMDecoder(adapted.pretrainer_, scheme=scheme, random_state=0)
        models = {
            f"none_{n}": adapted,
            f"adapted_{n}": adapted.adapt(trials[labelled], y[labelled]),
            f"own_{n}": own.fit(trials[labelled], y[labelled]),
        }
        scores.append(
            {
                name: balanced_accuracy_score(y[rest], model.predict(trials[rest]))
                for name, model in models.items()
            }
        )
    return dict(pd.DataFrame(scores).mean()) if scores else {}


if __name__ == "__main__":
    main()
