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
from ..errors import DivergedError, run_by_a_person, warn
from .optimiser import FlatAdamW

__all__ = [
    "Objective",
    "TrainingConfig",
    "train",
    "train_in_stages",
]

# Epochs in a row in which most steps are skipped, after which training is taken to have diverged.
PATIENCE = 3


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


@torch.enable_grad()  # also where a caller has turned gradients off
def train(
    model: nn.Module,
    objective: Objective,
    config: TrainingConfig,
    streams: RandomStreams,
    *,
    keep_start: bool = False,
    on_epoch: Callable[[dict[str, float]], None] = lambda row: None,
) -> pd.DataFrame:
    """Train a network in place and leave it with its best weights.

    A step whose loss or gradient is not finite is skipped: weights and the optimiser's state stay as
    they are. Training ends where that happens again and again.

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
    keep_start : bool, default=False
        Whether the weights that training starts from are worth keeping where it is interrupted before
        an epoch is done.
    on_epoch : callable, optional
        Told of each epoch's row of the history as it is made.

    Returns
    -------
    DataFrame
        One row an epoch: epoch, step, learning_rate, train_loss, what the objective adds where it
        validated, and skipped_steps. ``attrs["stopped"]`` says whether nothing may follow, as
        training was interrupted or diverged.

    Raises
    ------
    DivergedError
        If training diverged before any weights were validated.
    KeyboardInterrupt
        If it was interrupted, and not by a person who waits for this very fit, or before there was
        anything to keep.

    Warns
    -----
    NeuromaskWarning
        If a person interrupted it, or if it diverged. The best weights so far are kept.
    """
    order = streams.numpy("batches")
    history, best = _History(), _Best()
    interrupted = False
    if config.validate_start and (found := objective.validate()) is not None:
        best.offer(found[0], 0, model)
    optimiser = FlatAdamW(
        model,
        weight_decay=config.weight_decay,
        shared_rate=config.shared_rate,
        clip=config.clip,
    )
    try:
        for epoch in range(1, config.max_epochs + 1):
            batches = list(objective.batches(order))
            tally = _Tally()
            for i, batch in enumerate(batches):
                done = (epoch - 1) * len(batches) + i
                rate = config.rate(done, len(batches) * config.max_epochs)
                tally.add(*optimiser.step(objective.loss(batch), rate))
            row = history.add(epoch, rate, tally)
            if epoch % config.validate_every == 0 or epoch == config.max_epochs:
                found = objective.validate()
                if found is not None:
                    row |= found[1]
                    if not history.took_no_step:
                        best.offer(found[0], epoch, model)
            on_epoch(row)
            if history.failing >= PATIENCE:
                break
            if best.state and epoch - best.epoch >= config.n_iter_no_change:
                break
    except KeyboardInterrupt:
        if not run_by_a_person() or not (history.rows or keep_start):
            raise
        interrupted = True
        warn(f"Training was interrupted after {len(history.rows)} epochs; {best.kept} are kept.")
    finally:
        optimiser.release()
    diverged = history.failed(model)
    if diverged:
        cure = (
            f"Lower learning_rate (it was {config.learning_rate:g}) or weight_decay "
            f"({config.weight_decay:g})"
        )
        if not best.state:  # the last weights are those that the loss is not finite with
            raise DivergedError(f"training diverged: {diverged}. Nothing is kept. {cure}.")
        warn(f"Training diverged: {diverged}; {best.kept} are kept. {cure}.")
    best.restore(model)
    table = history.table()
    table.attrs["stopped"] = interrupted or bool(diverged)
    return table


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

        history = train(model, objective, config, streams, keep_start=True, on_epoch=tell)
        stopped = history.attrs.pop("stopped", False)
        tables.append(history.assign(stage=stage, epoch=history["epoch"] + done))
        done += len(history)
        if stopped:
            break
    model.requires_grad_(True)
    # An interrupted epoch has no row; a stage without a row says nothing.
    return pd.concat([t for t in tables if len(t)] or tables, ignore_index=True)


@dataclass
class _Tally:
    """Losses of the steps of an epoch, and whether each was taken, still on the device."""

    losses: list[Tensor] = field(default_factory=list)
    taken: list[Tensor] = field(default_factory=list)

    def add(self, loss: Tensor, taken: Tensor) -> None:
        self.losses.append(loss)
        self.taken.append(taken)

    def read(self) -> tuple[float, int]:
        """Return the mean loss of the steps that were taken, and how many these are."""
        losses, taken = (torch.stack(x).cpu().numpy() for x in (self.losses, self.taken))
        kept = losses[taken > 0]
        return float(kept.mean(dtype=np.float64)) if len(kept) else math.nan, len(kept)


@dataclass
class _History:
    """Rows of the epochs so far, and how often steps were skipped."""

    rows: list[dict[str, float]] = field(default_factory=list)
    n_steps: int = 0
    n_skipped: int = 0
    failing: int = 0  # epochs in a row in which most steps were skipped

    def add(self, epoch: int, rate: float, tally: _Tally) -> dict[str, float]:
        """Add an epoch's row and return it."""
        loss, taken = tally.read()
        skipped = len(tally.taken) - taken
        self.n_steps += len(tally.taken)
        self.n_skipped += skipped
        self.failing = self.failing + 1 if skipped > taken else 0
        row = {"epoch": epoch, "step": self.n_steps, "learning_rate": rate}
        row["train_loss"] = loss
        row["skipped_steps"] = skipped
        self.rows.append(row)
        return row

    @property
    def took_no_step(self) -> bool:
        return 0 < self.n_steps == self.n_skipped

    def failed(self, model: nn.Module) -> str:
        """Say in what training failed, or nothing where it did not."""
        if self.failing >= PATIENCE or self.took_no_step:
            return (
                f"the loss or its gradient was not finite in {self.n_skipped} of "
                f"{self.n_steps} steps"
            )
        return "" if _is_finite(model) else "weights grew beyond all bounds"

    def table(self) -> pd.DataFrame:
        """Table the epochs, with what an objective added before the skipped steps."""
        columns = ["epoch", "step", "learning_rate", "train_loss", "skipped_steps"]
        table = pd.DataFrame(self.rows) if self.rows else pd.DataFrame(columns=columns)
        return table.assign(skipped_steps=table.pop("skipped_steps"))


@dataclass
class _Best:
    """The finite weights with the best validation score so far."""

    score: float = -math.inf
    epoch: int = 0
    state: dict[str, Tensor] = field(default_factory=dict)

    def offer(self, score: float, epoch: int, model: nn.Module) -> None:
        if score > self.score and _is_finite(model):
            self.score, self.epoch = score, epoch
            self.state = {name: value.clone() for name, value in model.state_dict().items()}

    @property
    def kept(self) -> str:
        """Say in words which weights `restore` leaves."""
        return f"the best weights, of epoch {self.epoch}," if self.state else "the last weights"

    def restore(self, model: nn.Module) -> None:
        if self.state:
            model.load_state_dict(self.state)


def _is_finite(model: nn.Module) -> bool:
    """Say whether all weights are finite, with one look at the device."""
    return bool(torch.stack([p.isfinite().all() for p in model.parameters()]).all())
