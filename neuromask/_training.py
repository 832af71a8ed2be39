"""The one training loop: loss, schedule, validation, best weights, history."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import pandas as pd
import torch
from torch import Tensor, nn

from ._batching import MaskedTrials, SessionTensors, mask_trials, shuffled_batches
from ._errors import InvalidInputError, NeuromaskWarning
from ._random import RandomStreams
from .schemes import SchemeSampler

__all__ = ["TrainingConfig", "autocast", "resolve_device", "resolve_precision", "train"]

# Validation repeats its trials under fresh masks until it has about this many masked trials, so
# that the choice of weights is not a matter of a few masks.
VALIDATION_TRIALS = 256


@dataclass(frozen=True)
class TrainingConfig:
    """How to train.

    Attributes
    ----------
    learning_rate, weight_decay : float
        Peak rate and decay of AdamW; the decay applies to the weights of linear layers alone.
    batch_size : int
        Most trials in a batch.
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
    precision : {"bf16", "fp32"}
        Arithmetic of the network; loss and weights stay in fp32.
    """

    learning_rate: float
    weight_decay: float
    batch_size: int
    max_epochs: int
    n_iter_no_change: int
    warmup: float = 0.1
    clip: float = 1.0
    validate_every: int = 5
    precision: str = "fp32"

    def rate(self, step: int, n_steps: int) -> float:
        """Return the learning rate of a step: linear warm-up, then a cosine."""
        done = step / n_steps
        if done < self.warmup:
            return self.learning_rate * (step + 1) / (self.warmup * n_steps + 1)
        rest = (done - self.warmup) / (1 - self.warmup)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * rest))


@dataclass
class _Totals:
    """Sums over target entries, per scheme."""

    loss: Tensor
    null_loss: Tensor
    entries: Tensor
    spikes: Tensor

    @classmethod
    def zeros(cls, n_schemes: int, device: torch.device) -> _Totals:
        return cls(*(torch.zeros(n_schemes, device=device) for _ in range(4)))

    def add(self, masked: MaskedTrials, log_rates: Tensor, null_log_rates: Tensor | None) -> None:
        target, counts, scheme = masked.target, masked.counts, masked.group.scheme
        loss = (log_rates.exp() - counts * log_rates) * target
        self.loss = self.loss.index_add(0, scheme, loss.sum((1, 2)))
        self.entries = self.entries.index_add(0, scheme, target.sum((1, 2)).float())
        if null_log_rates is not None:
            null = (null_log_rates.exp() - counts * null_log_rates) * target
            self.null_loss = self.null_loss.index_add(0, scheme, null.sum((1, 2)))
            self.spikes = self.spikes.index_add(0, scheme, (counts * target).sum((1, 2)))

    def mean_loss(self) -> Tensor:
        """Mean over schemes of each one's mean loss per entry, so that none dominates."""
        present = self.entries > 0
        return (self.loss / self.entries.clamp_min(1)).sum() / present.sum().clamp_min(1)

    def bits_per_spike(self) -> Tensor:
        return (self.null_loss - self.loss) / (math.log(2) * self.spikes.clamp_min(1))


def train(
    model: nn.Module,
    training: Sequence[SessionTensors],
    validation: Sequence[SessionTensors],
    sampler: SchemeSampler,
    config: TrainingConfig,
    streams: RandomStreams,
    *,
    on_epoch: Callable[[dict[str, float]], None] = lambda row: None,
) -> pd.DataFrame:
    """Train a backbone in place and leave it with its best weights.

    Parameters
    ----------
    model : nn.Module
        Backbone; see :class:`neuromask.nn.registry.Backbone` for what it must offer.
    training, validation : sequence of SessionTensors
        Sessions' trials; `validation` may be empty, and then the last weights are kept.
    sampler : SchemeSampler
        Schemes to alternate.
    config : TrainingConfig
        How to train.
    streams : RandomStreams
        Sources of masks, batches and dropout.
    on_epoch : callable, optional
        Told of each epoch's row of the history as it is made.

    Returns
    -------
    DataFrame
        One row an epoch: epoch, step, learning_rate, train_loss, and where validated val_loss,
        val_bps and val_bps_<scheme>, in bits per spike over the training mean rate.
    """
    device = training[0].counts.device
    order = streams.numpy("batches")
    masks = streams.torch("masks", device.type)
    dropout = streams.torch("dropout", device.type)
    optimizer = torch.optim.AdamW(_parameter_groups(model, config.weight_decay), fused=True)
    n_trials = [len(s.counts) for s in training]
    n_steps = -(-sum(n_trials) // config.batch_size) * config.max_epochs
    history, best, step = [], _Best(), 0
    try:
        for epoch in range(1, config.max_epochs + 1):
            total, n_batches = torch.zeros((), device=device), 0
            for batch in shuffled_batches(n_trials, config.batch_size, order):
                rate = config.rate(step, n_steps)
                for group in optimizer.param_groups:
                    group["lr"] = rate
                masked = [
                    mask_trials(training[i], torch.as_tensor(rows, device=device), sampler, masks)
                    for i, rows in batch
                ]
                loss = _step(model, optimizer, masked, config, len(sampler.schemes), dropout)
                total += loss
                n_batches += 1
                step += 1
            row = {"epoch": epoch, "step": step, "learning_rate": rate}
            row["train_loss"] = float(total) / n_batches
            last = epoch == config.max_epochs
            if validation and (epoch % config.validate_every == 0 or last):
                row |= _validate(model, validation, sampler, config, streams)
                best.offer(row["val_bps"], epoch, model)
            history.append(row)
            on_epoch(row)
            if best.epoch and epoch - best.epoch >= config.n_iter_no_change:
                break
    except KeyboardInterrupt:
        kept = f"the best weights, of epoch {best.epoch}," if best.epoch else "the last weights"
        warnings.warn(
            f"Training was interrupted after {len(history)} epochs; {kept} are kept.",
            NeuromaskWarning,
            stacklevel=2,
        )
    best.restore(model)
    return pd.DataFrame(history)


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


def _step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    masked: Sequence[MaskedTrials],
    config: TrainingConfig,
    n_schemes: int,
    dropout: torch.Generator,
) -> Tensor:
    """Take one optimiser step and return its loss, still on the device."""
    device = masked[0].counts.device
    with autocast(device, config.precision):
        log_rates = model([m.group for m in masked], generator=dropout)
    totals = _Totals.zeros(n_schemes, device)
    for part, rates in zip(masked, log_rates, strict=True):
        totals.add(part, rates, None)
    loss = totals.mean_loss()
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), config.clip)
    optimizer.step()
    return loss.detach()


@torch.no_grad()
def _validate(
    model: nn.Module,
    validation: Sequence[SessionTensors],
    sampler: SchemeSampler,
    config: TrainingConfig,
    streams: RandomStreams,
) -> dict[str, float]:
    """Score the validation trials under masks that are the same at every call."""
    device = validation[0].counts.device
    generator = streams.torch("validation", device.type)
    totals = _Totals.zeros(len(sampler.schemes), device)
    n_repeats = max(1, round(VALIDATION_TRIALS / sum(len(s.counts) for s in validation)))
    for session in validation:
        null = model.stitch(session.session_id).mean.clamp_min(1e-9).log()
        trials = torch.arange(len(session.counts), device=device).repeat(n_repeats)
        for rows in trials.split(config.batch_size):
            masked = mask_trials(session, rows, sampler, generator)
            with autocast(device, config.precision):
                (log_rates,) = model([masked.group])
            totals.add(masked, log_rates, null)
    bits = totals.bits_per_spike()
    drawn = totals.entries > 0
    row = {"val_loss": float(totals.mean_loss()), "val_bps": float(bits[drawn].mean())}
    for scheme, value in zip(sampler.schemes, bits.tolist(), strict=True):
        row[f"val_bps_{scheme.name}"] = value
    return row


def _parameter_groups(model: nn.Module, weight_decay: float) -> list[dict]:
    """Decay the weights of linear layers and nothing else."""
    decayed = [m.weight for m in model.modules() if isinstance(m, nn.Linear)]
    known = {id(p) for p in decayed}
    others = [p for p in model.parameters() if id(p) not in known]
    return [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]


def autocast(device: torch.device, precision: str) -> AbstractContextManager:
    """Run the network in bfloat16 where `precision` says so."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


def resolve_device(device: str, *, caller: str) -> torch.device:
    """Turn ``"auto"`` or a device name into a device that is present."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
    except RuntimeError as error:
        raise InvalidInputError(
            f"{caller}: device={device!r}; expected 'auto', 'cpu' or 'cuda'."
        ) from error
    if found.type == "cuda" and not torch.cuda.is_available():
        raise InvalidInputError(
            f"{caller}: device={device!r}, but no GPU is available; use device='auto' or 'cpu'."
        )
    return found


def resolve_precision(precision: str, device: torch.device, *, caller: str) -> str:
    """Turn ``"auto"`` into bf16 where the hardware multiplies it fast, else fp32."""
    if precision in ("bf16", "fp32"):
        return precision
    if precision != "auto":
        raise InvalidInputError(
            f"{caller}: precision={precision!r}; expected 'auto', 'bf16' or 'fp32'."
        )
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    return "bf16" if supported() else "fp32"
