"""What pretraining asks of a network: hidden counts back, scored per masking scheme."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .._random import RandomStreams
from ..nn.device import autocast
from ..nn.functions import poisson_sums
from ..nn.session_network import SessionNetwork
from ..nn.session_weights import LEAST_BASE_RATE
from ..schemes import SchemeSampler
from .batches import MaskedTrials, Masker, SessionTensors, mixed_batches
from .loop import TrainingConfig
from .new_sessions import InferredStarts, PretendedNew

__all__ = ["VALIDATION_TRIALS", "MaskedPrediction", "poisson_loss"]

# Validation repeats its trials under fresh masks until it has about this many masked trials, so
# that the choice of weights is not a matter of a few masks.
VALIDATION_TRIALS = 256

# How much an entry counts in training that a scheme hides and does not ask for, as intra-region does
# all other regions. It costs nothing to answer, and a small batch then tells much more.
BESIDE = 0.2


def poisson_loss(log_rates: Tensor, counts: Tensor) -> Tensor:
    """Return the negative log-likelihood of counts in nats, but for what depends on counts alone."""
    return log_rates.exp() - counts * log_rates


class MaskedPrediction:
    """Poisson loss of hidden counts, averaged within each scheme and then over schemes.

    A scheme's share in a batch grows with the root of the entries that it asks for: those that ask
    for few would else bring most of the noise. To the loss comes the prior of read-outs, weighed
    against the counts of all training trials.

    Parameters
    ----------
    model : SessionNetwork
        Network of a backbone.
    training, validation : sequence of SessionTensors
        Sessions' trials; `validation` may be empty.
    sampler : SchemeSampler
        Schemes to alternate.
    config : TrainingConfig
        How to train.
    streams : RandomStreams
        Sources of masks and dropout.
    neuron_dropout, region_dropout : float, default=0
        Probability of hiding a whole neuron or region beside what a scheme hides.
    balanced : bool, default=False
        Whether every session gives an epoch as many trials, or each trial comes once.
    starts : PretendedNew or InferredStarts, optional
        Weights of sessions that are, or count as, new to an encoder of neurons.
    """

    def __init__(
        self,
        model: SessionNetwork,
        training: Sequence[SessionTensors],
        validation: Sequence[SessionTensors],
        sampler: SchemeSampler,
        config: TrainingConfig,
        streams: RandomStreams,
        *,
        neuron_dropout: float = 0.0,
        region_dropout: float = 0.0,
        balanced: bool = False,
        starts: PretendedNew | InferredStarts | None = None,
    ) -> None:
        self.model = model
        self.training = training
        self.validation = validation
        self.sampler = sampler
        self.config = config
        self.streams = streams
        self.device = training[0].counts.device
        self.is_scheme = torch.eye(len(sampler.schemes), device=self.device)
        self.mask = Masker(
            training, sampler, neuron_dropout=neuron_dropout, region_dropout=region_dropout
        )
        self.balanced = balanced
        self.starts = starts
        self.masks = streams.torch("masks", self.device.type)
        self.dropout = streams.torch("dropout", self.device.type)

    def batches(self, order: np.random.Generator) -> Iterator[list[tuple[int, np.ndarray]]]:
        """Draw the batches of an epoch, and the sessions that count as new in it."""
        trials = [np.arange(len(session)) for session in self.training]
        if self.starts is not None:
            trials = self.starts.draw(order)
        config = self.config
        return mixed_batches(
            trials, config.batch_size, order, share=config.batch_share, balanced=self.balanced
        )

    def loss(self, batch: Sequence[tuple[int, np.ndarray]]) -> Tensor:
        """Mask a batch's trials, predict, score what was hidden and add the prior."""
        chosen = [(i, torch.as_tensor(rows, device=self.device)) for i, rows in batch]
        starts, weights = self.starts, None
        if starts is not None:
            weights = [starts.weights(i, trials, self.dropout) for i, trials in chosen]
        masked = self.mask(chosen, self.masks, weights)
        with autocast(self.device, self.config.precision):
            log_rates = self.model.batch_log_rates(masked.batch, generator=self.dropout)
        return self._mean_loss(masked, log_rates) + self.prior(batch)

    def _mean_loss(self, masked: MaskedTrials, log_rates: Tensor) -> Tensor:
        """Average each scheme's mean loss per entry, weighted by the root of its entries."""
        asked = masked.target
        if masked.beside is not None:
            asked = torch.add(asked, masked.beside, alpha=BESIDE)
        of_trials = poisson_sums(log_rates, masked.counts, asked)
        chosen = self.is_scheme[masked.batch.scheme]  # (trials, schemes)
        entries = asked.sum((1, 2)) @ chosen
        root = entries.sqrt()
        weight = chosen @ (root * root.sum().clamp_min_(1)).clamp_min_(1).reciprocal_()
        return weight.dot(of_trials)

    def prior(self, batch: Sequence[tuple[int, np.ndarray]]) -> Tensor | float:
        """Return the read-outs' prior, per entry: an epoch counts it once, as it does each trial."""
        chosen, n_entries = [], 0
        for i, rows in batch:
            session = self.training[i]
            n_entries += int(session.entries[rows].sum())
            if self.starts is None or self.starts.learns(i):
                chosen.append((self.model.stitch(session.session_id), len(rows) / len(session)))
        return sum(stitch.prior(share / max(n_entries, 1)) for stitch, share in chosen)

    @torch.no_grad()
    def validate(self) -> tuple[float, dict[str, float]] | None:
        """Score the validation trials under masks that are the same at every call.

        Returns
        -------
        (float, dict) or None
            Bits per spike over the training mean rate, averaged over schemes, and val_loss, val_bps
            and val_bps_<scheme> for the history.
        """
        return self.score(self.validation) if self.validation else None

    @torch.no_grad()
    def score(self, sessions: Sequence[SessionTensors]) -> tuple[float, dict[str, float]]:
        """Score trials of some sessions, as `validate` does those that were set aside."""
        totals = _Totals.zeros(len(self.sampler.schemes), self.device)
        for session_id, masked, log_rates in self.predictions(sessions, VALIDATION_TRIALS):
            # The floor of the model's own base rates: a neuron that was silent in training and spikes
            # now surprises both alike. A lower one would count every such spike as known beforehand,
            # by the logarithm of the ratio of two floors.
            null = self.model.stitch(session_id).mean.clamp_min(LEAST_BASE_RATE).log()
            totals.add(masked, log_rates, null)
        bits = totals.bits_per_spike()
        score = float(bits[totals.entries > 0].mean())
        row = {"val_loss": float(totals.mean_loss()), "val_bps": score}
        for scheme, value in zip(self.sampler.schemes, bits.tolist(), strict=True):
            row[f"val_bps_{scheme.name}"] = value
        return score, row

    @torch.no_grad()
    def gain_over(
        self, sessions: Sequence[SessionTensors], nulls: dict[str, np.ndarray]
    ) -> tuple[float, float]:
        """Compare predictions of trials with constant courses, such as PSTHs.

        Parameters
        ----------
        sessions : sequence of SessionTensors
            The trials.
        nulls : dict of str to ndarray, (time, neurons)
            Expected counts per bin of each session.

        Returns
        -------
        (float, float)
            Bits per spike above the courses, and their standard error over trials.
        """
        n_trials = {session.session_id: len(session) for session in sessions}
        gains: dict[str, list[Tensor]] = {name: [] for name in n_trials}
        spikes = 0.0
        for name, masked, log_rates in self.predictions(sessions, VALIDATION_TRIALS):
            course = torch.as_tensor(nulls[name], dtype=log_rates.dtype, device=self.device)
            null = course[: masked.counts.shape[1]].log()
            loss = poisson_loss(log_rates, masked.counts)
            gain = (poisson_loss(null, masked.counts) - loss) * masked.target
            gains[name].append(gain.sum((1, 2)))
            spikes += float((masked.counts * masked.target).sum())
        # Trials come again and again under other masks, which are no new trials.
        parts = [torch.cat(g).reshape(-1, n_trials[name]).sum(0) for name, g in gains.items()]
        of_trials = torch.cat(parts).double().cpu().numpy() / (math.log(2) * max(spikes, 1.0))
        return float(of_trials.sum()), float(of_trials.std() * math.sqrt(len(of_trials)))

    def predictions(
        self, sessions: Sequence[SessionTensors], n_trials: int
    ) -> Iterator[tuple[str, MaskedTrials, Tensor]]:
        """Predict trials under masks that are the same at every call.

        Parameters
        ----------
        sessions : sequence of SessionTensors
            The trials.
        n_trials : int
            About how many masked trials to make of them all, but at least one of each.

        Yields
        ------
        (str, MaskedTrials, Tensor)
            Session, some of its trials, and their log-rates.
        """
        device = self.device
        generator = self.streams.torch("validation", device.type)
        n_repeats = max(1, round(n_trials / sum(map(len, sessions))))
        for session in sessions:
            mask = Masker([session], self.sampler)
            trials = torch.arange(len(session), device=device).repeat(n_repeats)
            for rows in trials.split(self.config.batch_size):
                masked = mask([(0, rows)], generator)
                with autocast(device, self.config.precision):
                    log_rates = self.model.batch_log_rates(masked.batch)
                yield session.session_id, masked, log_rates


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

    def add(self, masked: MaskedTrials, log_rates: Tensor, null_log_rates: Tensor) -> None:
        counts, target, scheme = masked.counts, masked.target, masked.batch.scheme
        null = null_log_rates.expand_as(counts)
        sums = {
            "loss": poisson_sums(log_rates, counts, target),
            "null_loss": poisson_sums(null, counts, target),
            "entries": target.sum((1, 2)),
            "spikes": (counts * target).sum((1, 2)),
        }
        for name, values in sums.items():
            setattr(self, name, getattr(self, name).index_add(0, scheme, values))

    def mean_loss(self) -> Tensor:
        """Mean over schemes of each one's mean loss per entry."""
        present = self.entries > 0
        return (self.loss / self.entries.clamp_min(1)).sum() / present.sum().clamp_min(1)

    def bits_per_spike(self) -> Tensor:
        return (self.null_loss - self.loss) / (math.log(2) * self.spikes.clamp_min(1))
