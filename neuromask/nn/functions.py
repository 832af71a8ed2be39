"""Functions of large arrays whose usual forms are slow: several times fewer passes over memory.

Each is checked against its plain form, with its gradient, by the tests.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

__all__ = ["asinh", "bounded", "half_square", "poisson_sums", "softsign"]


def asinh(x: Tensor) -> Tensor:
    """Return the inverse hyperbolic sine, which torch computes one number at a time on a CPU."""
    return _Asinh.apply(x)


def softsign(x: Tensor) -> Tensor:
    """Return x / (1 + |x|)."""
    return _Softsign.apply(x)


def bounded(
    change: Tensor, own: Tensor, history: Tensor, base: Tensor, shrinkage: Tensor, limit: float
) -> Tensor:
    """Add what a neuron's own counts tell to changes of log-rates, and keep these within bounds.

    The result is ``base + shrinkage * limit * tanh(c / limit)``, where c is `change` and the sum over
    averages of ``own * history``.

    Parameters
    ----------
    change : Tensor, (trials, time, neurons)
        Changes of log-rates that were read out of features.
    own : Tensor, (trials, n_spike_history, time, neurons)
        Averages of neurons' own visible counts.
    history : Tensor, (trials or 1, n_spike_history, neurons)
        Their weights.
    base : Tensor, (trials or 1, neurons)
        Log-rates where nothing is known.
    shrinkage : Tensor, (trials or 1, 1)
        Factor on the distance from `base`; no gradient reaches it.
    limit : float
        Largest change before shrinkage.

    Returns
    -------
    Tensor of float32, (trials, time, neurons)
    """
    return _Bounded.apply(change, own, history, base, shrinkage, limit)


def half_square(x: Tensor, factor: float) -> Tensor:
    """Return half of the sum of squares, times a factor."""
    return _HalfSquare.apply(x, factor)


def poisson_sums(log_rates: Tensor, counts: Tensor, target: Tensor) -> Tensor:
    """Sum ``exp(log_rates) - counts * log_rates`` over the targets of each trial, (trials,).

    Parameters
    ----------
    log_rates, counts, target : Tensor of float32, (trials, time, neurons)
        Logs of expected counts, counts, and 1 for entries that are asked for, 0 for others.
    """
    return _PoissonSums.apply(log_rates, counts, target)


class _Asinh(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        root = torch.hypot(x, x.new_ones(()))
        ctx.save_for_backward(root)
        # Of the absolute value: a sum of large numbers of different signs has no digits left.
        return torch.copysign((x.abs() + root).log_(), x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (root,) = ctx.saved_tensors
        return grad / root


class _Softsign(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        scale = x.abs().add_(1)
        ctx.save_for_backward(scale)
        return x / scale

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (scale,) = ctx.saved_tensors
        return (grad / scale).div_(scale)


class _Bounded(Function):
    @staticmethod
    def forward(
        ctx: Any,
        change: Tensor,
        own: Tensor,
        history: Tensor,
        base: Tensor,
        shrinkage: Tensor,
        limit: float,
    ) -> Tensor:
        # tanh(x) is 2 sigmoid(2 x) - 1, and several times faster so on a CPU.
        share = change * (2 / limit)
        share = share.float() if share.dtype != torch.float32 else share
        for average, weight in zip(own.unbind(1), history.unbind(1), strict=True):
            share.addcmul_(average, weight[:, None], value=2 / limit)
        share.sigmoid_()
        ctx.save_for_backward(share, own, shrinkage)
        ctx.shapes = change.dtype, history.shape, base.shape
        floor = torch.sub(base, shrinkage, alpha=limit)
        return torch.addcmul(floor[:, None], share, shrinkage[:, None], value=2 * limit)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        share, own, shrinkage = ctx.saved_tensors
        dtype, of_history, of_base = ctx.shapes
        of_total = torch.ops.aten.sigmoid_backward(grad, share).mul_(4 * shrinkage[:, None])
        history = base = None
        if ctx.needs_input_grad[2]:
            history = torch.stack(
                [
                    (of_total * average).sum_to_size(of_history[0], 1, of_history[2])[:, 0]
                    for average in own.unbind(1)
                ],
                1,
            )
        if ctx.needs_input_grad[3]:
            base = grad.sum_to_size(of_base[0], 1, of_base[1])[:, 0]
        return of_total.to(dtype), None, history, base, None, None


class _HalfSquare(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, factor: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.factor = factor
        flat = x.flatten()
        return flat.dot(flat).mul_(0.5 * factor)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        (x,) = ctx.saved_tensors
        return x * (grad * ctx.factor), None


class _PoissonSums(Function):
    @staticmethod
    def forward(ctx: Any, log_rates: Tensor, counts: Tensor, target: Tensor) -> Tensor:
        rates = log_rates.exp()
        ctx.save_for_backward(rates, counts, target)
        return torch.addcmul(rates, counts, log_rates, value=-1).mul_(target).sum((1, 2))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        rates, counts, target = ctx.saved_tensors
        return (rates - counts).mul_(target).mul_(grad[:, None, None]), None, None
