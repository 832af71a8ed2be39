"""
Where a cue can be decoded
==========================

What one region alone can tell, and what is lost when a region is hidden.
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import cross_val_score

import neuromask as nm

# A cue that the neurons of VISp answer in the second half of the trial, and no others.
simulated = nm.simulate(240, n_neurons=48, n_time=40, random_state=0)
cue = np.random.default_rng(0).choice(["low", "high"], 240)
answer = 0.06 * (cue == "high")[:, None, None] * (simulated.regions == "VISp")
answer = answer * (np.arange(40) >= 20)[:, None]
counts = simulated.counts + np.random.default_rng(1).poisson(answer)
session = nm.Session(counts, simulated.regions, bin_width=0.02)
pre = nm.MtMPretrainer(dim=32, n_layers=1, max_epochs=15, random_state=0).fit(session)

alone = {
    region: cross_val_score(nm.MtMDecoder(pre, regions=region, random_state=0), session, cue, cv=4)
    for region in pre.regions_
}
for region, scores in alone.items():
    print(f"{region} alone: {scores.mean():.3f} ± {scores.std(ddof=1) / 2:.3f}")

decoder = nm.MtMDecoder(pre, random_state=0).fit(session[:160], cue[:160])
table = decoder.region_importance(session[160:], cue[160:])
print(table.round(3).to_string(index=False))

figure, axes = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
axes[0].bar(list(alone), [s.mean() for s in alone.values()], yerr=[s.std() for s in alone.values()])
axes[0].axhline(0.5, color="grey", lw=0.8, ls=":")
axes[0].set_ylabel("accuracy from the region alone")
nm.plots.plot_region_importance(table, ax=axes[1])
folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
figure.savefig(folder / "decode_regions.png", dpi=120)
