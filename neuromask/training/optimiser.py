"""AdamW on flat buffers: the few operations of a step do not grow with the number of weights' tensors.

References
----------
Loshchilov, I. & Hutter, F. (2019). Decoupled weight decay regularization. ICLR.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .parameters import parameter_groups

__all__ = ["FlatAdamW"]

BETAS = (0.9, 0.999)
EPSILON = 1e-8
# Parts of a buffer begin at multiples of so many numbers, where matrix products read them fastest.
ALIGNMENT = 64


@dataclass
class _Owner:
    """Weights that take a step together: those that sessions share, or those of one session."""

    parameters: list[nn.Parameter]  # those that decay before the others
    start: int
    stop: int
    n_decaying: int  # numbers, from the start on
    rate: float  # factor on the learning rate
    n_steps: int = 0


class FlatAdamW:
    """AdamW with clipped gradients, which skips steps that are not finite.

    All trained weights lie one behind another in one buffer, and so do their gradients and moments:
    a step is some twenty operations, and nobody waits for the device. What belongs to a session
    moves only in steps that the session is part of.

    Parameters
    ----------
    model : nn.Module
        Network; parameters that need no gradient stay as they are.
    weight_decay, shared_rate : float
        See :func:`~neuromask.training.parameters.parameter_groups`.
    clip : float
        Largest norm of the gradient.
    """

    def __init__(
        self, model: nn.Module, *, weight_decay: float, shared_rate: float, clip: float
    ) -> None:
        self.clip = clip
        groups = parameter_groups(model, weight_decay=weight_decay, shared_rate=shared_rate)
        group_of = {id(p): group for group in groups for p in group["params"]}
        own: dict[str, list[nn.Parameter]] = {}
        for name, p in model.named_parameters():
            if id(p) in group_of:
                own.setdefault(_owner_name(name), []).append(p)
        self.owners, size = [], 0
        for parameters in own.values():
            decaying = [p for p in parameters if group_of[id(p)]["weight_decay"] > 0]
            # Large ones first: sizes of matrices keep what follows them aligned.
            parameters.sort(key=lambda p: (all(p is not d for d in decaying), -p.numel()))
            start, size = size, size + sum(p.numel() for p in parameters)
            size += -size % ALIGNMENT
            n_decaying = sum(p.numel() for p in decaying)
            rate = group_of[id(parameters[0])]["scale"]
            self.owners.append(_Owner(parameters, start, size, n_decaying, rate))
        self.weight_decay = weight_decay
        device = self.owners[0].parameters[0].device
        self.weights, self.mean, self.square = (torch.zeros(size, device=device) for _ in range(3))
        # Memory that is new in every step would cost a CPU more than the arithmetic does.
        self.gradient, self.change = (torch.empty(0, device=device) for _ in range(2))
        self.none = torch.zeros(max(p.numel() for p in self._parameters()), device=device)
        for p, view in zip(self._parameters(), self._views(), strict=True):
            self.weights[view] = p.detach().flatten()
            p.data = self.weights[view].view_as(p)
        self.infinity = torch.tensor(torch.inf, device=device)
        self.moves = torch.tensor([1 - beta for beta in BETAS], device=device)

    def _parameters(self) -> Iterator[nn.Parameter]:
        return (p for owner in self.owners for p in owner.parameters)

    def _views(self) -> Iterator[slice]:
        for owner in self.owners:
            start = owner.start
            for p in owner.parameters:
                yield slice(start, start + p.numel())
                start += p.numel()

    def step(self, loss: Tensor, learning_rate: float) -> tuple[Tensor, Tensor]:
        """Take one step.

        Parameters
        ----------
        loss : Tensor
            The loss.
        learning_rate : float
            Rate of weights whose scale is one.

        Returns
        -------
        (Tensor, Tensor)
            The loss, and 1 where the step was taken or 0 where loss or gradient were not finite: then
            neither weights nor moments change. Both are still on the device.
        """
        for p in self._parameters():
            p.grad = None
        loss.backward()
        loss = loss.detach()
        active = [o for o in self.owners if any(p.grad is not None for p in o.parameters)]
        size = sum(owner.stop - owner.start for owner in active)
        if len(self.gradient) < size:
            self.gradient, self.change = torch.empty((2, size), device=loss.device)
        gradient = self.gradient[:size]
        torch.cat([g for owner in active for g in self._gradients(owner)], out=gradient)
        norm = torch.linalg.vector_norm(gradient)
        taken = torch.lt(norm + loss.abs(), self.infinity).float()
        # Divided by `clip` once too often, which takes nothing from a ratio of moments.
        gradient.div_(norm.clamp_min(self.clip)).nan_to_num_(0.0, 0.0, 0.0)
        moves = (self.moves * taken).unbind()
        start = 0
        for owner in active:
            owner.n_steps += 1
        for owners in _neighbours(active):
            size = owners[-1].stop - owners[0].start
            self._move(owners, gradient[start : start + size], moves, taken, learning_rate)
            start += size
        return loss, taken

    def _gradients(self, owner: _Owner) -> Iterator[Tensor]:
        """Yield the gradients of an owner's weights as vectors, and what aligns the next owner's."""
        for p in owner.parameters:
            yield self.none[: p.numel()] if p.grad is None else p.grad.reshape(-1)
        missing = owner.stop - owner.start - sum(p.numel() for p in owner.parameters)
        if missing:
            yield self.none.new_zeros(()).expand(missing)

    def _move(
        self,
        owners: Sequence[_Owner],
        gradient: Tensor,
        moves: Sequence[Tensor],
        taken: Tensor,
        learning_rate: float,
    ) -> None:
        start, n_steps = owners[0].start, owners[0].n_steps
        part = slice(start, owners[-1].stop)
        weights, mean, square = self.weights[part], self.mean[part], self.square[part]
        mean.lerp_(gradient, moves[0])
        square.lerp_(gradient.mul_(gradient), moves[1])
        # Moments start from zero; skipped steps count here, though moments stay.
        of_mean, of_square = (1 - beta**n_steps for beta in BETAS)
        ratio = of_mean / of_square**0.5
        change = self.change[: len(weights)]
        torch.sqrt(square, out=change).add_(EPSILON / self.clip * of_square**0.5)
        torch.div(mean, change, out=change)
        for owner in owners:
            own = slice(owner.start - start, owner.stop - start)
            decaying = slice(own.start, own.start + owner.n_decaying)
            if owner.n_decaying:
                change[decaying].add_(weights[decaying], alpha=ratio * self.weight_decay)
            if owner.rate != 1.0:
                change[own].mul_(owner.rate)
        weights.addcmul_(change, taken, value=-learning_rate / ratio)

    def release(self) -> None:
        """Give each parameter memory of its own again, after the moments have given theirs back."""
        del self.mean, self.square, self.gradient, self.change
        for p in self._parameters():
            p.data = p.data.clone()
            p.grad = None


def _owner_name(name: str) -> str:
    """Name what a parameter moves with: a session's stitch, the encoder, or all that is shared."""
    first, _, rest = name.partition(".")
    if first == "stitches":
        return f"{first}.{rest.partition('.')[0]}"
    return first if first == "encoder" else ""


def _neighbours(owners: Sequence[_Owner]) -> Iterator[list[_Owner]]:
    """Yield owners together that lie side by side and have taken as many steps."""
    found: list[_Owner] = []
    for owner in owners:
        if found and (owner.start, owner.n_steps) != (found[-1].stop, found[-1].n_steps):
            yield found
            found = []
        found.append(owner)
    yield found
