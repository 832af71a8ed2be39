"""
Masking schemes compared
========================

Multi-task masking against temporal masking, fitted to each of three small recordings. Temporal
masking has a single scheme to learn and is quick at it, and does not carry over to whole regions.
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt

import neuromask as nm

sessions = nm.simulate(150, n_sessions=3, n_neurons=48, n_time=24, random_state=2)
small = nm.MtMPretrainer(dim=32, n_heads=2, max_epochs=80)
table = nm.compare(sessions, variants=["MtM", "temporal"], estimator=small)
print(nm.comparison.contrast(table, "MtM", "temporal").round(3).to_string(index=False))

folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
nm.plots.plot_paired(table).savefig(folder / "compare_schemes.png", dpi=120)
plt.close("all")
