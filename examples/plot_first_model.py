"""
A first model
=============

Fit a simulated recording, score it on test trials and predict one region from the others.
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt

import neuromask as nm

session = nm.simulate(260, n_neurons=60, n_time=30, random_state=0)
train, test = session[:200], session[200:]
pre = nm.MtMPretrainer(dim=64, max_epochs=30, random_state=0).fit(train)

table = pre.evaluate(test)
scores = nm.summarise(table)
print(scores[["task", "bps_weighted", "bps", "d2", "n_neurons"]].round(3).to_string(index=False))

others = [region for region in pre.regions_ if region != "CA1"]
rates = pre.translate(test, source=others, target="CA1")
inside = test.select_regions("CA1")

folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
nm.plots.plot_scores(table).figure.savefig(folder / "first_model_scores.png", dpi=120)
figure = nm.plots.plot_rates(
    inside.counts, rates, true_rates=inside.rates, bin_width=inside.bin_width
)
figure.savefig(folder / "first_model_translation.png", dpi=120)
plt.close("all")
