"""Read the region of neurons of a mouse that was left out, from embeddings and from simple statistics.

    python tests/benchmarks/neuron_regions.py RECORDINGS FOLDER MOUSE

FOLDER holds the model that `pretrained.py make --leave-out MOUSE` made. Macro F1 over the coarse groups
that the mouse has; a logistic regression is fitted on the neurons of the other mice.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from pretrained import BIN_WIDTH, read
from scipy.ndimage import gaussian_filter1d
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import neuromask as nm

GROUPS = {
    "visual cortex": "VISp VISl VISpm VISa VISam",
    "other cortex": "MOs ACA PL ORB RSP SSp AUD",
    "hippocampus": "CA1 CA3 DG SUB POST",
    "thalamus": "LGd LD TH VPL VPM MD RT",
    "midbrain": "SCm SCs MRN PAG RN MB SNr",
    "basal ganglia and septum": "CP GPe ACB SI OT LS LSr MS",
    "other": "PIR EPd BLA MEA OLF ZI LH",
}
GROUP_OF = {region: group for group, regions in GROUPS.items() for region in regions.split()}
LAGS = (1, 2, 3, 4, 6, 8, 12, 16)


def rates_and_autocorrelations(counts: np.ndarray) -> np.ndarray:
    """Describe neurons by rate, dispersion and autocorrelation, (neurons, features)."""
    x = counts.astype(float)
    mean, total = x.mean((0, 1)), x.sum(1)
    apart = x - mean
    variance = (apart**2).mean((0, 1))
    correlation = [(apart[:, :-k] * apart[:, k:]).mean((0, 1)) / variance.clip(1e-9) for k in LAGS]
    fano = total.var(0) / total.mean(0).clip(1e-9)
    return np.stack([np.log(mean), variance / mean, np.log(fano + 0.01), *correlation], 1)


def rates_and_psths(counts: np.ndarray) -> np.ndarray:
    """Describe neurons by rate and mean course, (neurons, features)."""
    course = gaussian_filter1d(counts.astype(float).mean(0), 2, axis=0)
    mean = course.mean(0)
    return np.concatenate([np.log(mean)[None], (course / mean)[::2]]).T


def main() -> None:
    """Print the score of each description."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recordings", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("mouse")
    options = parser.parse_args()
    pre = nm.load(options.folder)
    sessions = []
    for parts in read(options.recordings):
        counts = np.concatenate([part.counts for part in parts])
        first = parts[0]
        whole = nm.Session(counts, first.regions, bin_width=BIN_WIDTH, subject=first.subject)
        sessions.append(whole)
    described = {
        "neuron_embeddings": pre.neuron_embeddings,
        "rates and autocorrelations": lambda s: rates_and_autocorrelations(s.counts),
        "rates and PSTHs": lambda s: rates_and_psths(s.counts),
    }
    groups = [np.array([GROUP_OF.get(name, "") for name in s.regions]) for s in sessions]
    y = np.concatenate([group[group != ""] for group in groups])
    subjects = [np.full((g != "").sum(), s.subject) for s, g in zip(sessions, groups, strict=True)]
    left_out = np.concatenate(subjects) == options.mouse
    for name, describe in described.items():
        features = [describe(s)[g != ""] for s, g in zip(sessions, groups, strict=True)]
        x = np.concatenate(features)
        model = make_pipeline(
            StandardScaler(), LogisticRegression(C=0.03, class_weight="balanced", max_iter=500)
        )
        found = model.fit(x[~left_out], y[~left_out]).predict(x[left_out])
        labels = sorted(set(y[left_out]))
        score = f1_score(y[left_out], found, labels=labels, average="macro")
        print(f"{options.mouse}, {name}: macro F1 {score:.3f} of {len(labels)} groups", flush=True)


if __name__ == "__main__":
    main()
