"""Masks: which counts are hidden from the model and which of them it is asked to predict.

Every function is pure: it reads a shape, the neurons' region codes and a generator, and returns a
new :class:`Mask`. Masks act on counts, before any network, so that every backbone gets them
unchanged. Region codes are integers; a negative code marks a neuron whose region is never a target
(ignored regions such as ``root``), though it is an input.

References
----------
Zhang, Y. et al. (2024). Towards a "universal translator" for neural dynamics at single-cell,
single-spike resolution. NeurIPS.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from numbers import Real
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ._mask_rules import MaskTable, Ratio, Rule
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
    "rules_of",
    "temporal_mask",
]

Shape = tuple[int, int, int]


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
    return _draw(_neuron_rules(ratio=ratio), shape, regions, generator)


def temporal_mask(
    shape: Shape, regions: Tensor, generator: torch.Generator, *, ratio: Ratio = 0.3
) -> Mask:
    """Hide whole bins: each (trial, bin) with probability `ratio`, for all neurons.

    Parameters and returns are those of :func:`neuron_mask`. This is the baseline that the
    multi-task schemes are compared with.
    """
    return _draw(_temporal_rules(ratio=ratio), shape, regions, generator)


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
    rules = _causal_rules(ratio=ratio, suffix=suffix, max_suffix=max_suffix)
    return _draw(rules, shape, regions, generator)


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
    return _draw(_intra_region_rules(ratio=ratio), shape, regions, generator)


def inter_region_mask(
    shape: Shape,
    regions: Tensor,
    generator: torch.Generator,
    *,
    sources: Ratio = (0.0, 1.0),
    subsets: float = 0.5,
) -> Mask:
    """Predict a whole region from all the others, or from some of them; it is drawn per trial.

    Sets of source regions of all sizes teach to read one region from any other, which
    :meth:`neuromask.MtMPretrainer.translate` asks for.

    Parameters
    ----------
    shape, regions, generator
        As in :func:`neuron_mask`.
    sources : float or (float, float), default=(0, 1)
        Probability of showing each other region, at least one of which is, in trials with some of
        them; a pair draws each trial's probability uniformly between.
    subsets : float, default=0.5
        Share of the trials in which some of the other regions are shown instead of all.

    Returns
    -------
    Mask

    Raises
    ------
    InvalidInputError
        If no region is eligible, or `sources` or `subsets` are no probabilities.
    """
    rules = _inter_region_rules(sources=sources, subsets=subsets)
    return _draw(rules, shape, regions, generator)


def random_mask(
    shape: Shape, regions: Tensor, generator: torch.Generator, *, ratio: Ratio = 0.3
) -> Mask:
    """Hide single entries: each (trial, bin, neuron) with probability `ratio`.

    Parameters and returns are those of :func:`neuron_mask`.
    """
    return _draw(_random_rules(ratio=ratio), shape, regions, generator)


def rules_of(mask: Callable[..., Any]) -> tuple[Rule, ...] | None:
    """Return the rules that a mask function of this module draws by; None for any other function."""
    settings: dict[str, Any] = {}
    while isinstance(mask, partial) and not mask.args:
        settings = mask.keywords | settings
        mask = mask.func
    known = not isinstance(mask, partial) and mask in _RULES
    return _RULES[mask](**settings) if known else None


def _neuron_rules(*, ratio: Ratio = 0.3) -> tuple[Rule, ...]:
    return (Rule(neurons=ratio),)


def _temporal_rules(*, ratio: Ratio = 0.3) -> tuple[Rule, ...]:
    return (Rule(bins=ratio),)


def _causal_rules(
    *, ratio: Ratio = 0.6, suffix: float = 0.5, max_suffix: float = 0.25
) -> tuple[Rule, ...]:
    # A rule's end is never of no share at all: one bin at least is hidden.
    end = Rule(longest_end=max(max_suffix, 1e-9), share=suffix)
    rules = (Rule(bins=ratio, share=1.0 - suffix), end)
    return tuple(rule for rule in rules if rule.share > 0)


def _intra_region_rules(*, ratio: Ratio = 0.3) -> tuple[Rule, ...]:
    return (Rule(neurons=ratio, region_size=2, alone=True),)


def _inter_region_rules(*, sources: Ratio = (0.0, 1.0), subsets: float = 0.5) -> tuple[Rule, ...]:
    pair = sources if isinstance(sources, tuple) else (sources, sources)
    if (
        len(pair) != 2
        or not all(isinstance(p, Real) and 0 <= p <= 1 for p in pair)
        or pair[0] > pair[1]
    ):
        raise InvalidInputError(
            f"sources={sources!r}; expected a probability, or a pair (low, high) of them."
        )
    if not isinstance(subsets, Real) or not 0 <= subsets <= 1:
        raise InvalidInputError(
            f"subsets={subsets!r}; expected a share of the trials, from 0 to 1."
        )
    some = Rule(region_size=1, sources=sources, share=subsets)
    rules = (Rule(region_size=1, share=1.0 - subsets), some)
    return tuple(rule for rule in rules if rule.share > 0)


def _random_rules(*, ratio: Ratio = 0.3) -> tuple[Rule, ...]:
    return (Rule(entries=ratio),)


_RULES: dict[Callable[..., Any], Callable[..., tuple[Rule, ...]]] = {
    neuron_mask: _neuron_rules,
    temporal_mask: _temporal_rules,
    causal_mask: _causal_rules,
    intra_region_mask: _intra_region_rules,
    inter_region_mask: _inter_region_rules,
    random_mask: _random_rules,
}


def _draw(rules: Sequence[Rule], shape: Shape, regions: Tensor, generator: torch.Generator) -> Mask:
    """Draw the mask of one scheme."""
    smallest = max(rule.region_size for rule in rules)
    if smallest and not len(eligible_regions(regions, min_neurons=smallest)):
        raise InvalidInputError(
            f"no region with at least {smallest} neuron(s) can be a target; give regions with "
            "more neurons, ignore fewer regions, or leave this scheme out."
        )
    table = MaskTable([rules], [False], [[0]], [regions], [shape[1]])
    drawn = table.draw(0, shape[0], generator)
    return Mask(drawn.visible == 0, drawn.target > 0)
