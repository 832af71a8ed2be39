"""
Few labels
==========

Pretrain on trials without labels, then decode from a handful of labelled ones.
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.metrics import accuracy_score
from sklearn.model_selection import train_test_split

import neuromask as nm
from neuromask.decoding import decoding_baselines

session = nm.simulate(300, n_neurons=60, n_time=30, random_state=0)
stimulus = session.trials["stimulus"].to_numpy()
rest, test = np.arange(220), np.arange(220, 300)
pre = nm.MtMPretrainer(dim=32, n_layers=1, max_epochs=40, random_state=0).fit(session[rest])

models = {"MtM": nm.MtMDecoder(pre, random_state=0)}
models |= {k: decoding_baselines("classification")[k] for k in ("trial mean", "three windows")}
sizes, scores = (20, 50, 100), {}
for n_labels in sizes:
    for draw in range(3):
        labelled, _ = train_test_split(
            rest, train_size=n_labels, stratify=stimulus[rest], random_state=draw
        )
        for name, model in models.items():
            fitted = clone(model).fit(session[labelled], stimulus[labelled])
            score = accuracy_score(stimulus[test], fitted.predict(session[test]))
            scores.setdefault((name, n_labels), []).append(score)

figure, ax = plt.subplots(layout="constrained")
for i, name in enumerate(models):
    means = [np.mean(scores[name, n]) for n in sizes]
    print(name, np.round(means, 3))
    ax.plot(sizes, means, "o-", color=nm.plots.COLOURS[i], label=name)
ax.set_xlabel("labelled trials")
ax.set_ylabel("accuracy on test trials")
ax.legend(frameon=False)
folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
figure.savefig(folder / "decode_few_labels.png", dpi=120)
