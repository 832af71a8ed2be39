"""Shrinkage: predictions are moved back to the mean rates as far as validation trials ask for.

A network that has seen its training trials many times finds more in them than there is, so that its
predictions vary too much on others.

References
----------
Copas, J. B. (1983). Regression, prediction and shrinkage. Journal of the Royal Statistical Society B.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ._pretraining import VALIDATION_TRIALS, MaskedPrediction

__all__ = ["shrink"]

# Newton's method on a convex function of one number is exact to four digits after so many steps.
N_STEPS = 5
# A few validation trials may ask for anything; they are not believed beyond these factors.
BOUNDS = (0.2, 2.0)


@torch.no_grad()
def shrink(model: nn.Module, objective: MaskedPrediction) -> None:
    """Scale each session's predictions, in place, as is best on its validation trials.

    One factor a session multiplies the distance of its log-rates from the neurons' base rates, and
    minimises the loss of training. Sessions without validation trials keep theirs.

    Parameters
    ----------
    model : nn.Module
        Trained backbone.
    objective : MaskedPrediction
        What it was trained on, with validation trials.
    """
    n_trials = VALIDATION_TRIALS * len(objective.validation)
    for _ in range(N_STEPS if n_trials else 0):
        sums: dict[str, Tensor] = {}
        for session_id, masked, log_rates in objective.predictions(n_trials):
            stitch = model.stitch(session_id)
            change = (log_rates - stitch.base) / stitch.shrinkage
            rates, target = log_rates.exp(), masked.target.to(log_rates.dtype)
            slope = ((rates - masked.counts) * change * target).sum((1, 2))
            curvature = (rates * change.square() * target).sum((1, 2))
            found = torch.stack([slope, curvature, target.sum((1, 2))])  # (3, trials)
            if session_id not in sums:
                sums[session_id] = found.new_zeros(3, len(objective.sampler.schemes))
            sums[session_id].index_add_(1, masked.group.scheme, found)
        for session_id, (slope, curvature, entries) in sums.items():
            weight = 1 / entries.clamp_min(1)  # every scheme counts the same
            step = (weight @ slope) / (weight @ curvature).clamp_min(1e-12)
            model.stitch(session_id).shrinkage.sub_(step).clamp_(*BOUNDS)
