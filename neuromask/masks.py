"""Masks: which counts are hidden from the model and which of them it is asked to predict.

Every function is pure: it reads a shape, the neurons' region codes and a generator, and returns a
new :class:`Mask`. Masks act on counts, before any network, so that every backbone gets them
unchanged. Region codes are integers; a negative code marks a neuron whose region is never a target
(ignored regions such as ``root``), though it stays visible as input.

References
----------
Zhang, Y. et al. (2024). Towards a "universal translator" for neural dynamics at single-cell,
single-spike resolution. NeurIPS.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .errors import InvalidInputError

__all__ = [
    "Mask",
    "apply_mask",
    "causal_mask",
    "eligible_regions",
    "inter_region_mask",
    "intra_region_mask",
    "neuron_mask",
    "random_mask",
    "temporal_mask",
]

Shape = tuple[int, int, int]
Ratio = float | tuple[float, float]


class Mask(NamedTuple):
    """A mask over counts of shape (trials, time, neurons).

    Attributes
    ----------
    hidden : Tensor of bool, (trials, time, neurons)
        Entries set to zero before the model sees them. May be a broadcast view.
    target : Tensor of bool, (trials, time, neurons)
        Entries that enter the loss; always a subset of `hidden`.
    """

    hidden: Tensor
    target: Tensor


def apply_mask(counts: Tensor, hidden: Tensor) -> Tensor:
    """Return the counts with hidden entries set to zero; the input is left as it was."""
    return counts * ~hidden


def eligible_regions(regions: Tensor, *, min_neurons: int = 1) -> Tensor:
    """Return the codes of regions that may be a target.

    Parameters
    ----------
    regions : Tensor of int, (neurons,)
        Region code per neuron; negative codes are never eligible.
    min_neurons : int, default=1
        Smallest size of an eligible region.

    Returns
    -------
    Tensor of int, (n_eligible,)
        Sorted codes.
    """
    codes, sizes = torch.unique(regions, return_counts=True)
    return codes[(codes >= 0) & (sizes >= min_neurons)]


def neuron_mask(
    shape: Shape, regions: Tensor, generator: torch.Generator, *, ratio: Ratio = 0.3
) -> Mask:
    """Hide whole neurons: each (trial, neuron) with probability `ratio`, in all bins.

    Parameters
    ----------
    shape : tuple of int
        (trials, time, neurons).
    regions : Tensor of int, (neurons,)
        Region codes; only their device is used here.
    generator : torch.Generator
        Source of chance, on the device of `regions`.
    ratio : float or (float, float), default=0.3
        Probability of hiding a neuron; a pair draws each trial's probability uniformly between.

    Returns
    -------
    Mask

    Examples
    --------
    >>> import torch
    >>> mask = neuron_mask((2, 5, 3), torch.zeros(3), torch.Generator().manual_seed(0))
    >>> mask.hidden.shape
    torch.Size([2, 5, 3])
    """
    n_trials, _, n_neurons = shape
    chosen = _bernoulli((n_trials, 1, n_neurons), ratio, regions, generator).expand(shape)
    return Mask(chosen, chosen)


def temporal_mask(
    shape: Shape, regions: Tensor, generator: torch.Generator, *, ratio: Ratio = 0.3
) -> Mask:
    """Hide whole bins: each (trial, bin) with probability `ratio`, for all neurons.

    Parameters and returns are those of :func:`neuron_mask`. This is the baseline that the
    multi-task schemes are compared with.
    """
    n_trials, n_time, _ = shape
    chosen = _bernoulli((n_trials, n_time, 1), ratio, regions, generator).expand(shape)
    return Mask(chosen, chosen)


def causal_mask(
    shape: Shape,
    regions: Tensor,
    generator: torch.Generator,
    *,
    ratio: Ratio = 0.6,
    suffix: float = 0.5,
    max_suffix: float = 0.25,
) -> Mask:
    """Hide bins for a model that attends to the past alone.

    Random bins teach one-step prediction; hiding the end of a trial teaches to bridge several
    missing bins, which is what forward prediction asks for.

    Parameters
    ----------
    shape, regions, generator
        As in :func:`neuron_mask`.
    ratio : float or (float, float), default=0.6
        Probability of hiding a bin, in trials with random bins.
    suffix : float, default=0.5
        Share of the trials in which the last bins are hidden instead of random ones.
    max_suffix : float, default=0.25
        Longest hidden end as a share of the trial; its length is uniform from one bin upwards.

    Returns
    -------
    Mask
    """
    n_trials, n_time, _ = shape
    device = regions.device
    random_bins = _bernoulli((n_trials, n_time, 1), ratio, regions, generator)
    longest = max(1, round(max_suffix * n_time))
    length = torch.randint(1, longest + 1, (n_trials, 1, 1), generator=generator, device=device)
    last_bins = torch.arange(n_time, device=device)[None, :, None] >= n_time - length
    use_suffix = torch.rand((n_trials, 1, 1), generator=generator, device=device) < suffix
    chosen = torch.where(use_suffix, last_bins, random_bins).expand(shape)
    return Mask(chosen, chosen)


def intra_region_mask(
    shape: Shape, regions: Tensor, generator: torch.Generator, *, ratio: Ratio = 0.3
) -> Mask:
    """Predict some neurons of a region from the rest of the same region alone.

    A region of at least two neurons is drawn per trial; everything outside it is hidden, and inside
    it each neuron with probability `ratio`. Only the hidden neurons of the region are targets.

    Parameters and returns are those of :func:`neuron_mask`.

    Raises
    ------
    InvalidInputError
        If no eligible region has two neurons.
    """
    n_trials, _, n_neurons = shape
    inside = _draw_region(n_trials, regions, generator, min_neurons=2)
    chosen = inside & _bernoulli((n_trials, 1, n_neurons), ratio, regions, generator)
    return Mask((~inside | chosen).expand(shape), chosen.expand(shape))


def inter_region_mask(shape: Shape, regions: Tensor, generator: torch.Generator) -> Mask:
    """Predict a whole region from all the others; the region is drawn per trial.

    Parameters and returns are those of :func:`neuron_mask`, without a ratio.

    Raises
    ------
    InvalidInputError
        If no region is eligible.
    """
    inside = _draw_region(shape[0], regions, generator, min_neurons=1).expand(shape)
    return Mask(inside, inside)


def random_mask(
    shape: Shape, regions: Tensor, generator: torch.Generator, *, ratio: Ratio = 0.3
) -> Mask:
    """Hide single entries: each (trial, bin, neuron) with probability `ratio`.

    Parameters and returns are those of :func:`neuron_mask`.
    """
    chosen = _bernoulli(shape, ratio, regions, generator)
    return Mask(chosen, chosen)


def _bernoulli(shape: Shape, ratio: Ratio, regions: Tensor, generator: torch.Generator) -> Tensor:
    """Draw booleans of a shape; a pair of ratios draws the probability per trial."""
    device = regions.device
    low, high = ratio if isinstance(ratio, tuple) else (ratio, ratio)
    probability: float | Tensor = low
    if high > low:
        probability = low + (high - low) * torch.rand(
            (shape[0], 1, 1), generator=generator, device=device
        )
    return torch.rand(shape, generator=generator, device=device) < probability


def _draw_region(
    n_trials: int, regions: Tensor, generator: torch.Generator, *, min_neurons: int
) -> Tensor:
    """Draw one eligible region per trial, uniformly over labels; True inside, (trials, 1, N)."""
    codes = eligible_regions(regions, min_neurons=min_neurons)
    if len(codes) == 0:
        raise InvalidInputError(
            f"no region with at least {min_neurons} neuron(s) can be a target; give regions with "
            "more neurons, ignore fewer regions, or leave this scheme out."
        )
    drawn = torch.randint(len(codes), (n_trials,), generator=generator, device=regions.device)
    return (regions[None, :] == codes[drawn, None])[:, None, :]
