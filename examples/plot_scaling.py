"""
More animals
============

Pretrain on more and more simulated animals, by multi-task or by temporal masking, and serve another
animal from 30 of its trials. A larger study of the same kind, on 1, 3, 6 and 12 animals, is in the
benchmarks.
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

import neuromask as nm

N_ANIMALS, SEEDS = (1, 5), (0, 1)

tables = []
for seed in SEEDS:
    *known, new = nm.simulate(60, n_sessions=6, n_neurons=32, n_time=20, random_state=seed)
    trials, test = new[:30], new[30:]
    for name in ("MtM", "temporal"):
        options = nm.comparison.VARIANTS[name]
        for n in N_ANIMALS:
            pre = nm.MtMPretrainer(
                dim=32, n_heads=2, max_epochs=15, encode_neurons=True, random_state=seed, **options
            ).fit(known[:n])
            scores = nm.summarise(pre.finetune(trials, max_epochs=30).evaluate(test))
            tables.append(scores.assign(model=name, n_sessions=n, seed=seed))
table = pd.concat(tables)
means = table.pivot_table(index=["model", "n_sessions"], columns="task", values="bps_weighted")
print(means.round(3).to_string())

folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
nm.plots.plot_scaling(table).savefig(folder / "scaling.png", dpi=120)
plt.close("all")
