"""
A scheme of your own
====================

Register a scheme that hides every other bin; it trains and is validated with its own prompt.
"""

import sys
from pathlib import Path

import torch

import neuromask as nm
from neuromask.masks import Mask


def every_other_bin(shape, regions, generator):
    """Hide odd or even bins, drawn per trial."""
    n_trials, n_time, _ = shape
    odd = torch.randint(2, (n_trials, 1, 1), generator=generator, device=regions.device)
    bins = torch.arange(n_time, device=regions.device)[None, :, None]
    hidden = (bins % 2 == odd).expand(shape)
    return Mask(hidden, hidden)


scheme = nm.Scheme("every other bin", every_other_bin)
session = nm.simulate(150, n_neurons=40, n_time=30, random_state=0)
pre = nm.MtMPretrainer(dim=32, schemes=["neuron", scheme], max_epochs=15, random_state=0)
pre.fit(session)
print(pre.history_.dropna().tail(3).round(3).to_string(index=False))

folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
nm.plots.plot_history(pre.history_).figure.savefig(folder / "your_own_scheme.png", dpi=120)
