"""Smoothing over time that knows which bins are hidden and which lie in the future."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import torch
from torch import Tensor, nn

__all__ = ["LEAST_WEIGHT", "Averaging", "KernelBank", "gaussian", "smooth"]

# Beside weights that sum to one in the middle of a visible trial: it lets an average fade to zero
# where nothing is within about four standard deviations, in place of one over next to nothing.
LEAST_WEIGHT = 1e-3
# Standard deviations beyond which a gaussian is nothing: exp(-18) is 1e-5 of the least weight.
REACH = 6.0
# Bins that are averaged by one product. Trials of so many are averaged by matrices of their own; in
# longer ones the same band of weights moves along, so that cost and memory grow with their length.
BLOCK = 128


def gaussian(
    n_time: int, width: float, *, lag: float = 0.0, device: torch.device | None = None
) -> Tensor:
    """Return the weights (to, from) of a gaussian over time, one at its centre.

    Parameters
    ----------
    n_time : int
        Bins.
    width : float
        Standard deviation in bins.
    lag : float, default=0
        Bins by which the centre lies before the present.
    device : torch.device, optional
        Where to make them.
    """
    bins = torch.arange(n_time, dtype=torch.float32, device=device)
    return _bell(bins[:, None] - bins, width, lag)


def _bell(distance: Tensor, width: float, lag: float) -> Tensor:
    return torch.exp(-0.5 * ((distance - lag) / width) ** 2)


def smooth(counts: Tensor, width: float, causal: Tensor | None = None) -> Tensor:
    """Smooth counts (trials, time, neurons), all of them visible, by a gaussian over time.

    Parameters
    ----------
    counts : Tensor, (trials, time, neurons)
        Counts.
    width : float
        Standard deviation in bins.
    causal : Tensor of bool, (trials,), optional
        Trials that are smoothed over the present and the past alone.
    """
    n_trials, n_time, _ = counts.shape
    bank = _bank_of_visible(width, n_time, counts.device)
    seen = counts.new_ones(n_trials, n_time)
    if causal is None:
        causal = torch.zeros(n_trials, dtype=torch.bool, device=counts.device)
    return bank.averaging(seen, causal.long())(counts, slice(0, 1))[:, 0]


class KernelBank(nn.Module):
    """Weighted averages over time by several kernels.

    Each kernel is a gaussian. Hidden bins get no weight and those within reach share it. Beyond
    about four standard deviations there is no reach: an average fades to zero, the mean of
    standardised counts, where nothing is visible so near. Under causal attention only the present
    and past bins have weight.

    Parameters
    ----------
    widths : tuple of float
        Standard deviations in bins.
    n_time : int
        Longest trial in bins.
    lags : tuple of float, optional
        Bins by which each kernel looks back from the present; zero by default.
    least : float, default=LEAST_WEIGHT
        Weight beside those of bins that are seen.
    """

    weights: Tensor  # (2, kernels, to, from), of full and of causal attention; for short trials
    least: Tensor

    def __init__(
        self,
        widths: Sequence[float],
        n_time: int,
        lags: Sequence[float] | None = None,
        *,
        least: float = LEAST_WEIGHT,
    ) -> None:
        super().__init__()
        lags = (0.0,) * len(widths) if lags is None else lags
        self.kernels = tuple(zip(widths, lags, strict=True))
        size = min(n_time, BLOCK)
        full = torch.stack([gaussian(size, width, lag=lag) for width, lag in self.kernels])
        self.register_buffer("weights", torch.stack([full, full.tril()]), persistent=False)
        self.register_buffer("least", torch.tensor(least), persistent=False)
        # (2, BLOCK, BLOCK and what is in reach on both sides) of each kernel, for longer trials.
        self.reach = [math.ceil(REACH * width + abs(lag)) for width, lag in self.kernels]
        if n_time > BLOCK:
            for k, band in enumerate(self._bands()):
                self.register_buffer(f"band_{k}", band, persistent=False)

    def _bands(self) -> list[Tensor]:
        bands = []
        for (width, lag), reach in zip(self.kernels, self.reach, strict=True):
            distance = torch.arange(BLOCK)[:, None] - (torch.arange(BLOCK + 2 * reach) - reach)
            full = _bell(distance.float(), width, lag)
            bands.append(torch.stack([full, full * (distance >= 0)]))
        return bands

    def averaging(self, seen: Tensor, causal: Tensor, attention: str = "mixed") -> Averaging:
        """Prepare to average trials.

        Parameters
        ----------
        seen : Tensor of float, (trials, time)
            1 in bins with any visible count, else 0.
        causal : Tensor of int, (trials,)
            1 for trials that may not look ahead, else 0.
        attention : {"mixed", "full", "causal"}, default="mixed"
            Whether all trials are known to be of one kind.
        """
        return Averaging(self, seen, causal, attention)


@dataclass
class Averaging:
    """Averages of some trials, by the kernels of a bank.

    Weights sum to nearly one where something is seen within two standard deviations, and to zero
    where nothing is in reach.
    """

    bank: KernelBank
    seen: Tensor
    causal: Tensor
    attention: str
    _matrices: dict[torch.dtype, Tensor] = field(default_factory=dict)

    def __call__(self, x: Tensor, kernels: slice) -> Tensor:
        """Average x (trials, time, features) by some kernels, to (trials, kernels, time, features).

        Kernels are those of the bank, in its order.
        """
        if self.seen.shape[1] > BLOCK:
            return self._in_blocks(x, kernels)
        # One product a trial, without copies of x.
        matrices = self.matrices(x.dtype)[:, kernels]
        return (matrices.flatten(1, 2) @ x).unflatten(1, matrices.shape[1:3])

    def matrices(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """Return each trial's weights, (trials, kernels, to, from); of short trials alone."""
        if dtype not in self._matrices:
            n_time = self.seen.shape[1]
            weights = self._kind(self.bank.weights)[:, :, :n_time, :n_time]
            weights = weights * self.seen[:, None, None, :]
            weights = weights / (weights.sum(-1, keepdim=True) + self.bank.least)
            self._matrices[dtype] = weights.to(dtype)
        return self._matrices[dtype]

    def _kind(self, weights: Tensor) -> Tensor:
        """Take the weights of each trial's attention, or those that all trials share."""
        if self.attention == "mixed":
            return weights[self.causal]
        return weights[int(self.attention == "causal"), None]

    def _in_blocks(self, x: Tensor, kernels: slice) -> Tensor:
        """Average long trials, some bins of the result at a time."""
        n_time = x.shape[1]
        seen = self.seen[..., None].to(x.dtype).expand(len(x), -1, -1)
        # The sum of the weights goes with what they sum: one product makes both.
        x = torch.cat([x * seen, seen], -1)
        out = []
        for k in range(len(self.bank.kernels))[kernels]:
            band = self._kind(self.bank.get_buffer(f"band_{k}")).to(x.dtype)
            reach, parts = self.bank.reach[k], []
            for start in range(0, n_time, BLOCK):
                stop = min(start + BLOCK, n_time)
                low, high = max(start - reach, 0), min(stop + reach, n_time)
                shift = reach - start
                weights = band[:, : stop - start, low + shift : high + shift]
                parts.append(weights @ x[:, low:high])
            sums = torch.cat(parts, 1)
            out.append(sums[..., :-1] / (sums[..., -1:] + self.bank.least))
        return torch.stack(out, 1)


@lru_cache(maxsize=8)
def _bank_of_visible(width: float, n_time: int, device: torch.device) -> KernelBank:
    """Make the kernel that smooths trials of which all is visible."""
    with torch.inference_mode(False):
        return KernelBank((width,), n_time, least=0.0).to(device)
