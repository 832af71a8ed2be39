"""
A new animal
============

Pretrain on four animals and serve a fifth: from statistics of its trials alone, fine-tuned, and from
scratch for comparison, with 20 and 90 of its trials.
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

import neuromask as nm

*known, new = nm.simulate(120, n_sessions=5, n_neurons=40, n_time=30, random_state=1)
test = new[90:]
sizes = {"dim": 32, "n_heads": 2, "random_state": 0}
pre = nm.MtMPretrainer(max_epochs=20, **sizes).fit(known)

tables = []
for n_trials in (20, 90):
    trials = new[:n_trials]
    models = {
        "calibrated": pre.calibrate(trials),
        "fine-tuned": pre.finetune(trials, max_epochs=20),
        "from scratch": nm.MtMPretrainer(max_epochs=40, **sizes).fit(trials),
    }
    for name, model in models.items():
        scores = nm.summarise(model.evaluate(test))
        tables.append(scores.assign(model=name, n_trials=n_trials))
table = pd.concat(tables)
means = table.pivot_table(index=["n_trials", "model"], columns="task", values="bps")
print(means.round(3).to_string())

folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
figure = nm.plots.plot_scaling(table, x="n_trials", label="trials of the new animal")
figure.savefig(folder / "new_animal.png", dpi=120)
plt.close("all")
