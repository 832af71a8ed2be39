"""
Decode choice, beside the baselines
===================================

Pretrain inside each training fold and compare with logistic regression on the same folds.
"""

import sys
import warnings
from pathlib import Path

import neuromask as nm

session = nm.simulate(160, n_neurons=40, n_time=30, random_state=0)
choice = session.trials["choice"]

# An unfitted pretrainer is pretrained on the training trials of each fold: nothing leaks.
pre = nm.MtMPretrainer(dim=32, n_layers=1, max_epochs=15, random_state=0)
decoder = nm.MtMDecoder(pre, task="classification", random_state=0)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # a baseline that wins on so few trials is reported
    table = decoder.evaluate(session, choice, cv=4)
print(table.round(3).to_string(index=False))

# A fitted pretrainer is used as it is; it has seen no label, and the read-out takes a second.
fitted = nm.MtMDecoder(pre.fit(session[:120]), task="classification", random_state=0)
fitted.fit(session[:120], choice[:120])
print(f"accuracy of the last 40 trials: {fitted.score(session[120:], choice[120:]):.2f}")
print(f"chances of the first of them:   {fitted.predict_proba(session[120:121]).round(2)}")

folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
nm.plots.plot_decoders(table).figure.savefig(folder / "decode_choice.png", dpi=120)
