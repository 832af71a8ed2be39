"""What a network reads in place of the counts of a hidden neuron."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["complete_factors", "standardise"]


def standardise(counts: Tensor, visible: Tensor, mean: Tensor, scale: Tensor) -> Tensor:
    """Return z-scored counts, zero where hidden: a hidden neuron reads as an average one.

    Parameters
    ----------
    counts : Tensor, (trials, time, neurons)
        Spike counts.
    visible : Tensor, (trials, time, neurons)
        1 where the network may look, 0 elsewhere.
    mean, scale : Tensor, (neurons,)
        Mean and standard deviation of each neuron's counts in training.
    """
    return (counts - mean) / scale * visible


def complete_factors(factors: Tensor, evidence: Tensor, visible: Tensor) -> Tensor:
    """Correct factors of the population for the neurons that were hidden from those that read them.

    Smoothed counts y depend on factors f: ``y = E f + noise``, with `evidence` E, noise of unit
    variance and a standard normal prior of f. Given the visible neurons, whose rows of E are V, the
    posterior mean of f is ``(1 + V'V)^-1 V'y``. What is read with all neurons visible is taken for the
    posterior mean, whose scale training has set. It is corrected for hidden neurons by
    ``(1 + V'V)^-1 (1 + E'E)``, so that a few visible neurons are not taken for many quiet ones.

    Parameters
    ----------
    factors : Tensor, (trials, time, factors)
        What was read of the visible neurons, hidden ones counting as zero.
    evidence : Tensor, (neurons, factors)
        What each factor moves a neuron by, in standard deviations of its noise.
    visible : Tensor, (trials, neurons)
        Share of bins in which each neuron is visible.

    Returns
    -------
    Tensor, (trials, time, factors)
    """
    evidence = evidence.float()
    with torch.autocast(evidence.device.type, enabled=False):
        identity = torch.eye(evidence.shape[1], device=evidence.device)
        known = torch.einsum("bn,nf,ng->bfg", visible, evidence, evidence)
        correction = torch.linalg.solve(
            identity + known, (identity + evidence.T @ evidence).expand_as(known)
        )
    return factors @ correction.mT.to(factors.dtype)
