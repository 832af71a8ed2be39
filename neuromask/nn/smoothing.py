"""Smoothing over time that knows which bins are hidden and which lie in the future."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["KernelBank", "average", "gaussian", "smooth"]

# Beside weights that sum to one in the middle of a visible trial: it lets an average fade to zero
# where nothing is within about four standard deviations, in place of one over next to nothing.
LEAST_WEIGHT = 1e-3


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
    return torch.exp(-0.5 * ((bins[:, None] - bins - lag) / width) ** 2)


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
    weights = gaussian(counts.shape[1], width, device=counts.device)
    if causal is not None:
        weights = weights * (_past(weights) | ~causal[:, None, None])  # (trials, to, from)
    return weights / weights.sum(-1, keepdim=True) @ counts


class KernelBank(nn.Module):
    """Weighted averages over time at several widths.

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
    """

    weights: Tensor  # (kernels, to, from)
    past: Tensor  # (to, from)

    def __init__(
        self, widths: tuple[float, ...], n_time: int, lags: tuple[float, ...] | None = None
    ) -> None:
        super().__init__()
        lags = (0.0,) * len(widths) if lags is None else lags
        pairs = zip(widths, lags, strict=True)
        weights = torch.stack([gaussian(n_time, width, lag=lag) for width, lag in pairs])
        self.register_buffer("weights", weights, persistent=False)
        self.register_buffer("past", _past(weights[0]), persistent=False)

    def averaging(self, seen: Tensor, causal: Tensor) -> Tensor:
        """Build each trial's averaging matrices.

        Parameters
        ----------
        seen : Tensor of bool, (trials, time)
            Bins with any visible count.
        causal : Tensor of bool, (trials,)
            Which trials may not look ahead.

        Returns
        -------
        Tensor, (trials, kernels, time, time)
            Rows sum to nearly one where something is seen within two standard deviations, and to
            zero where nothing is in reach.
        """
        n_time = seen.shape[1]
        allowed = self.past[:n_time, :n_time] | ~causal[:, None, None]  # (trials, to, from)
        allowed = allowed & seen[:, None, :]
        weights = self.weights[:, :n_time, :n_time] * allowed[:, None]
        weights /= weights.sum(-1, keepdim=True) + LEAST_WEIGHT  # in place: it is large
        return weights


def average(averaging: Tensor, x: Tensor) -> Tensor:
    """Average x (trials, time, features) by each kernel, to (trials, kernels, time, features)."""
    n_kernels = averaging.shape[1]
    flat = averaging.to(x.dtype).flatten(1, 2) @ x  # one product a trial, without copies of x
    return flat.unflatten(1, (n_kernels, -1))


def _past(weights: Tensor) -> Tensor:
    """Say which weights (to, from) are of the present and the past."""
    return torch.ones_like(weights, dtype=torch.bool).tril()
