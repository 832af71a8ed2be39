"""Smoothing over time that knows which bins are hidden and which lie in the future."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["KernelBank", "average"]


class KernelBank(nn.Module):
    """Weighted averages over time at several widths.

    Each kernel is a gaussian. Hidden bins get no weight and
    the others share it, so that an average reaches as far as it must to find data. Under causal
    attention only the present and past bins have weight.

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
        bins = torch.arange(n_time, dtype=torch.float32)
        lag = bins[:, None] - bins[None, :]  # (to, from)
        lags = (0.0,) * len(widths) if lags is None else lags
        pairs = zip(widths, lags, strict=True)
        weights = [torch.exp(-0.5 * ((lag - centre) / width) ** 2) for width, centre in pairs]
        self.register_buffer("weights", torch.stack(weights), persistent=False)
        self.register_buffer("past", lag >= 0, persistent=False)

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
            Rows sum to (nearly) one, or to zero where nothing is in reach.
        """
        n_time = seen.shape[1]
        allowed = self.past[:n_time, :n_time] | ~causal[:, None, None]  # (trials, to, from)
        allowed = allowed & seen[:, None, :]
        weights = self.weights[:, :n_time, :n_time] * allowed[:, None]
        return weights / (weights.sum(-1, keepdim=True) + 1e-3)


def average(averaging: Tensor, x: Tensor) -> Tensor:
    """Average x (trials, time, features) by each kernel, to (trials, kernels, time, features)."""
    n_kernels = averaging.shape[1]
    flat = averaging.to(x.dtype).flatten(1, 2) @ x  # one product a trial, without copies of x
    return flat.unflatten(1, (n_kernels, -1))
