"""
More animals
============

Pretrain on one, three and six simulated animals and serve another from 30 of its trials.
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

import neuromask as nm

*known, new = nm.simulate(80, n_sessions=7, n_neurons=40, n_time=24, random_state=4)
trials, test = new[:30], new[40:]
tables = []
for n in (1, 3, 6):
    pre = nm.MtMPretrainer(dim=32, n_heads=2, max_epochs=30, encode_neurons=True, random_state=0)
    pre.fit(known[:n])
    for name, model in {
        "calibrated": pre.calibrate(trials),
        "fine-tuned": pre.finetune(trials),
    }.items():
        tables.append(nm.summarise(model.evaluate(test)).assign(model=name, n_sessions=n))
table = pd.concat(tables)
print(table.pivot_table(index=["model", "n_sessions"], columns="task", values="bps").round(3))

folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
nm.plots.plot_scaling(table).savefig(folder / "scaling.png", dpi=120)
plt.close("all")
