"""Trials of several sessions as one batch, and products with the weights of each session.

Sessions differ in their neurons and may differ in their bins. A batch holds them in one array, as wide
as its widest session, so that what is done to every entry is done once. Only products with a session's
own weights are made a session at a time, on the part that is its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function

from .session_weights import TrialGroup, Weights

__all__ = ["Part", "TrialBatch", "read_in", "read_out", "spread"]


class Part(NamedTuple):
    """Where a session's trials are in a batch.

    Attributes
    ----------
    session_id : str
        Name of the session.
    rows : slice
        Its trials.
    n_time, n_neurons : int
        Its bins and neurons; beyond them there is nothing.
    weights : Weights or None
        Weights to use instead of the session's own.
    """

    session_id: str
    rows: slice
    n_time: int
    n_neurons: int
    weights: Weights | None = None

    @property
    def n_trials(self) -> int:
        """How many trials the session has in the batch."""
        return self.rows.stop - self.rows.start

    def own(self, x: Tensor) -> Tensor:
        """Return the session's part of x (trials, time, neurons), as a matrix (bins, neurons)."""
        return x[self.rows, : self.n_time, : self.n_neurons].reshape(-1, self.n_neurons)


@dataclass
class TrialBatch:
    """Masked trials of one session or several, as a backbone reads them.

    Attributes
    ----------
    parts : tuple of Part
        Sessions, in the order of their trials.
    counts : Tensor of float32, (trials, time, neurons)
        Visible counts; hidden entries, and what a session lacks, are zero.
    visible : Tensor of float32, (trials, time, neurons)
        1 where the network may look, 0 elsewhere.
    scheme : Tensor of int, (trials,)
        Index of each trial's scheme, which chooses its prompt.
    causal : Tensor of int, (trials,)
        1 for trials that attend causally, else 0.
    attention : {"mixed", "full", "causal"}, default="mixed"
        Whether all trials are known to attend alike.
    """

    parts: tuple[Part, ...]
    counts: Tensor
    visible: Tensor
    scheme: Tensor
    causal: Tensor
    attention: str = "mixed"

    @classmethod
    def of(cls, groups: Sequence[TrialGroup]) -> TrialBatch:
        """Put groups of trials together."""
        n_time, n_neurons = (max(g.counts.shape[axis] for g in groups) for axis in (1, 2))
        parts, start = [], 0
        for g in groups:
            rows = slice(start, start + len(g.counts))
            parts.append(Part(g.session_id, rows, g.counts.shape[1], g.counts.shape[2], g.weights))
            start = rows.stop
        kinds = {g.attention for g in groups}
        padded = [
            (F.pad(x, (0, n_neurons - x.shape[2], 0, n_time - x.shape[1])) for x in pair)
            for pair in ((g.counts, g.visible) for g in groups)
        ]
        counts, visible = (_joined(tensors) for tensors in zip(*padded, strict=True))
        return cls(
            tuple(parts),
            counts,
            visible,
            _joined([g.scheme for g in groups]),
            _joined([g.causal.long() for g in groups]),
            kinds.pop() if len(kinds) == 1 else "mixed",
        )

    @cached_property
    def groups(self) -> list[TrialGroup]:
        """The trials of each session by themselves."""
        return [
            TrialGroup(
                part.session_id,
                self.counts[part.rows, : part.n_time, : part.n_neurons],
                self.visible[part.rows, : part.n_time, : part.n_neurons] == 0,
                self.scheme[part.rows],
                self.causal[part.rows].bool(),
                part.weights,
                self.attention,
            )
            for part in self.parts
        ]

    @cached_property
    def seen(self) -> Tensor:
        """1 in bins in which some neuron is visible, else 0; float32, (trials, time)."""
        return self.visible.amax(2)


def _joined(tensors: Sequence[Tensor]) -> Tensor:
    return tensors[0] if len(tensors) == 1 else torch.cat(list(tensors))


def spread(parts: Sequence[Part], values: Sequence[Tensor], width: int, fill: float = 0) -> Tensor:
    """Give each trial its session's values (..., neurons), padded to (trials, ..., width)."""
    if len(parts) == 1:
        return values[0][None]
    return _Spread.apply(parts, width, fill, *values)


def read_in(
    parts: Sequence[Part], x: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor] = ()
) -> Tensor:
    """Multiply what belongs to neurons by each session's weights (features, neurons).

    Parameters
    ----------
    parts : sequence of Part
        Sessions of the batch.
    x : Tensor, (trials, time, neurons)
        Values of neurons, which need no gradient, in the arithmetic of the products.
    weights : sequence of Tensor, (features, neurons)
        A matrix for each session.
    biases : sequence of Tensor, (features,), optional
        What is added, for each session.

    Returns
    -------
    Tensor, (trials, time, features)
    """
    if len(parts) == 1:
        bias = biases[0].to(x.dtype) if biases else None
        return F.linear(x, weights[0].to(x.dtype), bias)
    return _ReadIn.apply(parts, x, *weights, *biases)


def read_out(
    parts: Sequence[Part], features: Tensor, weights: Sequence[Tensor], width: int
) -> Tensor:
    """Read neurons, zero beyond a session's own, out of features by weights (neurons, features).

    Parameters
    ----------
    parts : sequence of Part
        Sessions of the batch.
    features : Tensor, (trials, time, features)
        Features, in the arithmetic of the products.
    weights : sequence of Tensor, (neurons, features)
        A matrix for each session.
    width : int
        Neurons of the result.

    Returns
    -------
    Tensor, (trials, time, width)
    """
    if len(parts) == 1:
        return F.linear(features, weights[0].to(features.dtype))
    return _ReadOut.apply(parts, features, width, *weights)


class _Spread(Function):
    @staticmethod
    def forward(
        ctx: Any, parts: Sequence[Part], width: int, fill: float, *values: Tensor
    ) -> Tensor:
        first = values[0]
        shape = (parts[-1].rows.stop, *first.shape[:-1], width)
        out = torch.full(shape, fill, dtype=first.dtype, device=first.device)
        for part, value in zip(parts, values, strict=True):
            out[part.rows, ..., : value.shape[-1]] = value
        ctx.parts, ctx.sizes = parts, [value.shape[-1] for value in values]
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        own = [
            grad[part.rows, ..., :size].sum(0)
            for part, size in zip(ctx.parts, ctx.sizes, strict=True)
        ]
        return None, None, None, *own


class _ReadIn(Function):
    @staticmethod
    def forward(ctx: Any, parts: Sequence[Part], x: Tensor, *tensors: Tensor) -> Tensor:
        weights, biases = tensors[: len(parts)], tensors[len(parts) :]
        n_trials, n_time, _ = x.shape
        out = x.new_zeros(n_trials, n_time, len(weights[0]))
        for i, part in enumerate(parts):
            own, weight = part.own(x), weights[i].to(x.dtype)
            if biases:
                product = torch.addmm(biases[i].to(x.dtype), own, weight.T)
            else:
                product = own @ weight.T
            out[part.rows, : part.n_time] = product.view(part.n_trials, part.n_time, -1)
        ctx.save_for_backward(x, *tensors)
        ctx.parts = parts
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        x, *tensors = ctx.saved_tensors
        parts = ctx.parts
        of_weights, of_biases = [], []
        for i, part in enumerate(parts):
            own = grad[part.rows, : part.n_time].reshape(-1, grad.shape[2])
            of_weights.append((own.T @ part.own(x)).to(tensors[i].dtype))
            if len(tensors) > len(parts):
                of_biases.append(own.sum(0, dtype=tensors[-1].dtype))
        return None, None, *of_weights, *of_biases


class _ReadOut(Function):
    @staticmethod
    def forward(
        ctx: Any, parts: Sequence[Part], features: Tensor, width: int, *weights: Tensor
    ) -> Tensor:
        out = features.new_zeros(*features.shape[:2], width)
        for part, weight in zip(parts, weights, strict=True):
            own = features[part.rows, : part.n_time] @ weight.T.to(features.dtype)
            out[part.rows, : part.n_time, : part.n_neurons] = own
        ctx.save_for_backward(features, *weights)
        ctx.parts = parts
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        features, *weights = ctx.saved_tensors
        of_features, of_weights = torch.zeros_like(features), []
        for part, weight in zip(ctx.parts, weights, strict=True):
            own = part.own(grad)
            product = own @ weight.to(own.dtype)
            of_features[part.rows, : part.n_time] = product.view(part.n_trials, part.n_time, -1)
            used = features[part.rows, : part.n_time].reshape(-1, features.shape[2])
            of_weights.append((own.T @ used).to(weight.dtype))
        return None, of_features, None, *of_weights
