"""
Decode a signal in every bin
============================

Whisker motion from spikes, beside the decoder that sees the true rates of the simulation.
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import RidgeCV

import neuromask as nm
from neuromask.decoding import PerBinRegressor, pooled_r2

session = nm.simulate(250, n_neurons=60, n_time=30, random_state=0)
train, test = session[:200], session[200:]
pre = nm.MtMPretrainer(dim=32, max_epochs=20, random_state=0).fit(train)

decoder = nm.MtMDecoder(pre, task="regression", random_state=0)
decoder.fit(train, train.signals["whisker"])  # (trials, time), or (trials, time, variables)
answer, truth = decoder.predict(test), test.signals["whisker"]

ceiling = PerBinRegressor(RidgeCV(np.logspace(-2, 4, 7)))
ceiling.fit(np.log(train.rates), train.signals["whisker"])
best = ceiling.predict(np.log(test.rates))
print(f"R² {decoder.score(test, truth):.3f}; from the true rates {pooled_r2(truth, best):.3f}")

figure, axes = plt.subplots(1, 3, figsize=(10, 2.8), sharey=True, layout="constrained")
time = (np.arange(test.n_time) + 0.5) * test.bin_width
for trial, ax in enumerate(axes):
    ax.plot(time, truth[trial], color="grey", label="observed")
    ax.plot(time, answer[trial], color=nm.plots.COLOURS[0], label="decoded")
    ax.set_title(f"test trial {trial}")
    ax.set_xlabel("time (s)")
axes[0].set_ylabel("whisker motion")
axes[0].legend(frameon=False)
folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
figure.savefig(folder / "decode_whisker.png", dpi=120)
