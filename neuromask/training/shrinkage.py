"""Shrinkage: predictions are moved back to the mean rates as far as validation trials ask for.

A network that has seen its training trials many times finds more in them than there is, so that its
predictions vary too much on others. With a neuron's base log-rate b, an entry's distance d from it and
its count x, one factor s a session minimises the sum of ``w (exp(b + s d) - x (b + s d))`` over the
targets of validation trials, where w gives every scheme the same weight. That is convex in s, and
Newton's method takes s to ``s - sum(w (rate - x) d) / sum(w rate d**2)``.

References
----------
Copas, J. B. (1983). Regression, prediction and shrinkage. Journal of the Royal Statistical Society B.
"""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter

import torch
from torch import Tensor

from ..nn.session_network import SessionNetwork
from ..nn.session_weights import Stitch
from .batches import MaskedTrials
from .masked_prediction import VALIDATION_TRIALS, MaskedPrediction

__all__ = ["shrink"]

# Newton's method on a convex function of one number is exact to four digits after so many steps.
N_STEPS = 5
# A few validation trials may ask for anything; they are not believed beyond these factors.
BOUNDS = (0.2, 2.0)


@torch.no_grad()
def shrink(model: SessionNetwork, objective: MaskedPrediction) -> None:
    """Scale each session's predictions, in place, as is best on its validation trials.

    One factor a session multiplies the distance of its log-rates from the neurons' base rates, and
    minimises the loss of training. Sessions without validation trials keep theirs.

    Parameters
    ----------
    model : SessionNetwork
        Trained backbone.
    objective : MaskedPrediction
        What it was trained on, with validation trials.
    """
    if not objective.validation:
        return
    predicted = objective.predictions(
        objective.validation, VALIDATION_TRIALS * len(objective.validation)
    )
    for session_id, parts in groupby(predicted, key=itemgetter(0)):
        stitch = model.stitch(session_id)
        targets = [_targets(stitch, masked, log_rates) for _, masked, log_rates in parts]
        base, change, counts, scheme = (torch.cat(t) for t in zip(*targets, strict=True))
        weight = (1 / scheme.bincount())[scheme]  # every scheme counts the same
        for _ in range(N_STEPS):
            rates = (base + stitch.shrinkage * change).exp()
            slope = (weight * (rates - counts) * change).sum()
            curvature = (weight * rates * change.square()).sum()
            stitch.shrinkage.sub_(slope / curvature.clamp_min(1e-12)).clamp_(*BOUNDS)


def _targets(stitch: Stitch, masked: MaskedTrials, log_rates: Tensor) -> tuple[Tensor, ...]:
    """Return base rates, distances from them, counts and schemes of the entries asked for."""
    change = (log_rates - stitch.base) / stitch.shrinkage
    base = stitch.base.expand_as(log_rates)
    scheme = masked.batch.scheme[:, None, None].expand_as(masked.target)
    asked = masked.target > 0
    return tuple(x[asked] for x in (base, change, masked.counts, scheme))
