"""
When a stimulus can be decoded
==============================

Causal attention makes each bin's score what could be known by then.
"""

import sys
from pathlib import Path

import neuromask as nm

session = nm.simulate(200, n_neurons=40, n_time=30, random_state=0)
pre = nm.MtMPretrainer(dim=32, n_layers=1, max_epochs=15, random_state=0).fit(session)
decoder = nm.MtMDecoder(pre, task="classification", random_state=0)
table = decoder.time_resolved(session, session.trials["stimulus"], cv=4, step=2)
print(table.groupby("time")["score"].agg(["mean", "sem"]).round(3).T.to_string())

folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
ax = nm.plots.plot_time_course(table, chance=0.5)
ax.axvline(session.n_time // 4 * session.bin_width, color="grey", lw=0.8)  # the stimulus
ax.figure.savefig(folder / "decode_over_time.png", dpi=120)
