"""The one training loop: schedule, validation, best weights, history."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from .._random import RandomStreams
from ..errors import warn
from .parameters import parameter_groups

__all__ = [
    "Objective",
    "TrainingConfig",
    "train",
    "train_in_stages",
]


@dataclass(frozen=True)
class TrainingConfig:
    """How to train.

    Attributes
    ----------
    learning_rate, weight_decay : float
        Peak rate and decay of AdamW; the decay applies to the weights of linear layers alone, except
        read-outs.
    batch_size : int
        Most trials of a session in a batch.
    batch_share : float
        Most trials of a session in a batch, as a share of all that it trains on.
    max_epochs : int
        Passes over the trials; the schedule spans all of them.
    n_iter_no_change : int
        Epochs without a better validation score before training stops.
    warmup : float
        Share of the steps in which the rate rises; it then falls along a cosine to zero.
    clip : float
        Largest norm of the gradient.
    validate_every : int
        Epochs between validations.
    validate_start : bool
        Whether the weights that training starts from may turn out to be the best ones.
    precision : {"bf16", "fp32"}
        Arithmetic of the network; loss and weights stay in fp32.
    shared_rate : float
        Learning rate of what sessions share, as a fraction of that of their stitches.
    """

    learning_rate: float
    weight_decay: float
    batch_size: int
    max_epochs: int
    n_iter_no_change: int
    batch_share: float = 1.0
    warmup: float = 0.1
    clip: float = 1.0
    validate_every: int = 5
    validate_start: bool = False
    precision: str = "fp32"
    shared_rate: float = 1.0

    def rate(self, step: int, n_steps: int) -> float:
        """Return the learning rate of a step: linear warm-up, then a cosine."""
        done = step / n_steps
        if done < self.warmup:
            return self.learning_rate * (step + 1) / (self.warmup * n_steps + 1)
        rest = (done - self.warmup) / (1 - self.warmup)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * rest))


class Objective(Protocol):
    """What is learned, apart from how."""

    def batches(self, order: np.random.Generator) -> Iterable[Sequence[tuple[int, np.ndarray]]]:
        """Return the batches of an epoch, each a list of a session's index and its trials."""

    def loss(self, batch: Sequence[tuple[int, np.ndarray]]) -> Tensor:
        """Return the loss of a batch: each session's index and its trials."""

    def validate(self) -> tuple[float, dict[str, float]] | None:
        """Return a score, larger is better, and entries of the history; None without trials."""


def train(
    model: nn.Module,
    objective: Objective,
    config: TrainingConfig,
    streams: RandomStreams,
    *,
    on_epoch: Callable[[dict[str, float]], None] = lambda row: None,
) -> pd.DataFrame:
    """Train a network in place and leave it with its best weights.

    Parameters
    ----------
    model : nn.Module
        Network; parameters that need no gradient stay as they are.
    objective : Objective
        Loss of a batch, and score on validation; without validation the last weights are kept.
    config : TrainingConfig
        How to train.
    streams : RandomStreams
        Source of the order of batches.
    on_epoch : callable, optional
        Told of each epoch's row of the history as it is made.

    Returns
    -------
    DataFrame
        One row an epoch: epoch, step, learning_rate, train_loss, and what the objective adds where
        it validated.
    """
    order = streams.numpy("batches")
    optimizer = torch.optim.AdamW(
        parameter_groups(model, weight_decay=config.weight_decay, shared_rate=config.shared_rate),
        fused=True,
    )
    history, best, step = [], _Best(), 0
    if config.validate_start and (found := objective.validate()) is not None:
        best.offer(found[0], 0, model)
    try:
        for epoch in range(1, config.max_epochs + 1):
            total: Tensor | float = 0.0
            n_batches = 0
            batches = list(objective.batches(order))
            for batch in batches:
                done = (epoch - 1) * len(batches) + n_batches
                rate = config.rate(done, len(batches) * config.max_epochs)
                for group in optimizer.param_groups:
                    group["lr"] = rate * group["scale"]
                total += _step(model, optimizer, objective.loss(batch), config.clip)
                n_batches += 1
                step += 1
            row = {"epoch": epoch, "step": step, "learning_rate": rate}
            row["train_loss"] = float(total) / n_batches
            if epoch % config.validate_every == 0 or epoch == config.max_epochs:
                found = objective.validate()
                if found is not None:
                    row |= found[1]
                    best.offer(found[0], epoch, model)
            history.append(row)
            on_epoch(row)
            if best.state and epoch - best.epoch >= config.n_iter_no_change:
                break
    except KeyboardInterrupt:
        kept = f"the best weights, of epoch {best.epoch}," if best.state else "the last weights"
        warn(f"Training was interrupted after {len(history)} epochs; {kept} are kept.")
    best.restore(model)
    return pd.DataFrame(history)


def train_in_stages(
    model: nn.Module,
    objective: Objective,
    config: TrainingConfig,
    streams: RandomStreams,
    stages: Mapping[str, Collection[nn.Parameter]],
    *,
    on_epoch: Callable[[dict[str, float]], None] = lambda row: None,
) -> pd.DataFrame:
    """Train some parameters after others, sharing the epochs among the stages.

    Parameters
    ----------
    model, objective, config, streams, on_epoch
        As in :func:`train`.
    stages : mapping of str to collection of Parameter
        Parameters that each stage trains, by its name.

    Returns
    -------
    DataFrame
        The history, its epochs counted through; `stage` says what was trained.
    """
    config = replace(config, max_epochs=-(-config.max_epochs // len(stages)))
    tables, done = [], 0
    for stage, trained in stages.items():
        chosen = {id(p) for p in trained}
        for p in model.parameters():
            p.requires_grad_(id(p) in chosen)

        def tell(row: dict[str, float], done: int = done) -> None:
            on_epoch(row | {"epoch": row["epoch"] + done})

        history = train(model, objective, config, streams, on_epoch=tell)
        tables.append(history.assign(stage=stage, epoch=history["epoch"] + done))
        done += len(history)
    model.requires_grad_(True)
    return pd.concat(tables, ignore_index=True)


@dataclass
class _Best:
    """The weights with the best validation score so far."""

    score: float = -math.inf
    epoch: int = 0
    state: dict[str, Tensor] = field(default_factory=dict)

    def offer(self, score: float, epoch: int, model: nn.Module) -> None:
        if score > self.score:
            self.score, self.epoch = score, epoch
            self.state = {name: value.clone() for name, value in model.state_dict().items()}

    def restore(self, model: nn.Module) -> None:
        if self.state:
            model.load_state_dict(self.state)


def _step(model: nn.Module, optimizer: torch.optim.Optimizer, loss: Tensor, clip: float) -> Tensor:
    """Take one optimiser step and return its loss, still on the device."""
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), clip)
    optimizer.step()
    return loss.detach()
