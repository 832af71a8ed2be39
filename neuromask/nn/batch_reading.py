"""What the weights of a batch's sessions make of its trials: inputs, factors and log-rates."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .functions import bounded
from .hidden_neurons import complete_factors
from .session_weights import MAX_LOG_CHANGE, Weights
from .trial_batch import Part, TrialBatch, spread

__all__ = ["bounded_log_rates", "completed", "standardised"]


def standardised(batch: TrialBatch, weights: Sequence[Weights]) -> Tensor:
    """Return z-scored counts (trials, time, neurons), zero where hidden, in the network's arithmetic."""
    width = batch.counts.shape[2]
    mean = spread(batch.parts, [w.mean for w in weights], width)[:, None]
    scale = spread(batch.parts, [w.scale for w in weights], width, fill=1.0)[:, None]
    inputs = (batch.counts - mean).div_(scale).mul_(batch.visible)
    kind = inputs.device.type
    if torch.is_autocast_enabled(kind):
        inputs = inputs.to(torch.get_autocast_dtype(kind))
    return inputs


def completed(batch: TrialBatch, weights: Sequence[Weights], linear: Tensor) -> Tensor:
    """Correct the factors (trials, time, n_linear) of sessions that know what their neurons share.

    See :func:`neuromask.nn.hidden_neurons.complete_factors`.
    """
    found = []
    for part, own in zip(batch.parts, weights, strict=True):
        factors = linear[part.rows]
        if own.evidence is not None:
            visible = batch.visible[part.rows, : part.n_time, : part.n_neurons].sum(1)
            share = visible / batch.seen[part.rows].sum(1, keepdim=True).clamp_min(1)
            factors = complete_factors(factors, own.evidence, share)
        found.append(factors)
    return torch.cat(found)


def bounded_log_rates(
    parts: Sequence[Part], weights: Sequence[Weights], change: Tensor, own: Tensor
) -> Tensor:
    """Turn changes of log-rates into log-rates, float32 (trials, time, neurons).

    Log-rates are within `MAX_LOG_CHANGE` times the shrinkage of each neuron's base: an exponential of
    a sum over hundreds of neurons would otherwise explode on a rare burst.

    Parameters
    ----------
    parts : sequence of Part
        Sessions of the batch.
    weights : sequence of Weights
        Their weights.
    change : Tensor, (trials, time, neurons)
        What was read out of features.
    own : Tensor, (trials, n_spike_history, time, neurons)
        Each neuron's own visible counts, averaged over time at several widths.
    """
    width = change.shape[2]
    shrinkage = [torch.as_tensor(w.shrinkage, device=change.device).reshape(1) for w in weights]
    return bounded(
        change,
        own,
        spread(parts, [w.spike_history for w in weights], width),
        spread(parts, [w.base for w in weights], width),
        spread(parts, shrinkage, 1),
        MAX_LOG_CHANGE,
    )
