"""Train a backbone and a read-out together on behaviour, starting from the closed-form read-out."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .._known import Recording
from .._random import RandomStreams
from .._splits import hold_out_groups, hold_out_runs
from ..errors import InvalidInputError
from ..nn.device import autocast
from ..nn.fitted import FittedNetwork
from ..nn.session_network import SessionNetwork
from ..nn.session_weights import TrialGroup
from ..schemes import Scheme, SchemeSampler
from ..training.batches import SessionTensors, mixed_batches
from ..training.loop import TrainingConfig, train_in_stages
from .features import decoding_features, from_bin, read_features
from .readout import Readout, read_scheme
from .targets import Classes, Signals

__all__ = ["DECODER_STAGES", "TrialSplit", "finetune_readout", "split_for_finetuning"]

#: Parts of the network that are trained, one stage after the other.
DECODER_STAGES = {"gradual": ("session", "all"), "full": ("all",)}
# Share of the training trials in which the scheme hides counts, as it did in pretraining.
MASKED = 0.5


@dataclass(frozen=True)
class _LabelledTrials:
    """Trials on the device with what is to be read from them.

    Attributes
    ----------
    spikes : SessionTensors
        The trials.
    outputs : Tensor of float32, (trials, time or 1, outputs)
        Targets; for classes 1 and -1.
    classes : Tensor of int, (trials,), or None
        Class of each trial; None for signals.
    weights : Tensor of float32, (trials,)
        Weight of each trial.
    known : Tensor of bool, (trials, time), or None
        Bins whose output is known; None where all are.
    """

    spikes: SessionTensors
    outputs: Tensor
    classes: Tensor | None
    weights: Tensor
    known: Tensor | None

    @classmethod
    def of(
        cls,
        recording: Recording,
        target: Classes | Signals,
        weights: np.ndarray,
        rows: np.ndarray,
        device: torch.device,
        ignored: Sequence[str],
    ) -> _LabelledTrials:
        """Move some trials to the device."""
        return cls(
            SessionTensors.of(recording.take(rows), ignored, device),
            torch.tensor(target.outputs[rows], dtype=torch.float32, device=device),
            torch.tensor(target.codes[rows], device=device)
            if isinstance(target, Classes)
            else None,
            torch.tensor(weights[rows], dtype=torch.float32, device=device),
            None
            if isinstance(target, Classes) or target.known is None
            else torch.tensor(target.known[rows], device=device),
        )


class _Decoding(nn.Module):
    """A backbone with a linear read-out of behaviour."""

    def __init__(
        self, backbone: SessionNetwork, readout: Readout, *, start: int, per_bin: bool
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.start = start
        self.per_bin = per_bin
        # Not a linear layer: weight decay would pull it away from where it starts.
        self.weights = nn.Parameter(torch.tensor(readout.weights, dtype=torch.float32))
        self.intercept = nn.Parameter(torch.tensor(readout.intercept, dtype=torch.float32))

    def forward(self, group: TrialGroup, *, generator: torch.Generator | None = None) -> Tensor:
        """Return outputs (trials, time or 1, outputs)."""
        state = self.backbone.states([group], generator=generator)[0]
        scale = self.backbone.stitch(group.session_id).scale
        state, group = from_bin(self.start, state, group)
        features = decoding_features(state, group, scale, per_bin=self.per_bin)
        return features @ self.weights + self.intercept


class _Supervised:
    """Cross-entropy of classes, or squared error of signals."""

    def __init__(
        self,
        model: _Decoding,
        training: _LabelledTrials,
        validation: _LabelledTrials,
        readout: Readout,
        scheme: tuple[int, Scheme],
        hidden: Tensor,
        config: TrainingConfig,
        streams: RandomStreams,
    ) -> None:
        self.model = model
        self.training = training
        self.validation = validation
        self.readout = readout
        self.index, self.scheme = scheme
        # A scheme that is asked for may find no region to hide, where all of them are ignored.
        self.regions = [training.spikes.regions]
        self.can_mask = self.scheme.reason_against(training.spikes.regions) is None
        if self.can_mask:
            self.sampler = SchemeSampler((self.scheme,))
            n_time = training.spikes.counts.shape[1]
            self.table = self.sampler.table(self.regions, [n_time])
        self.hidden = hidden
        self.config = config
        device = hidden.device
        self.masks = streams.torch("masks", device.type)
        self.dropout = streams.torch("dropout", device.type)
        self.offset = torch.as_tensor(readout.offset, dtype=torch.float32, device=device)

    def batches(self, order: np.random.Generator) -> Iterator[list[tuple[int, np.ndarray]]]:
        """Draw the batches of an epoch."""
        trials = [np.arange(len(self.training.weights))]
        return mixed_batches(trials, self.config.batch_size, order)

    def loss(self, batch: Sequence[tuple[int, np.ndarray]]) -> Tensor:
        """Return the loss of a batch, with counts hidden in some of its trials."""
        ((_, trials),) = batch
        rows = torch.as_tensor(trials, device=self.hidden.device)
        masked = torch.zeros((), dtype=torch.bool, device=rows.device)
        if self.can_mask:
            sizes = [(0, len(rows))]
            drawn = self.sampler.sample(self.table, sizes, self.regions, self.masks).visible == 0
            chance = torch.rand(len(rows), 1, 1, generator=self.masks, device=rows.device)
            masked = drawn & (chance < MASKED)
        outputs = self._outputs(self.training, rows, masked, self.dropout)
        return self._loss(self.training, rows, outputs)

    @torch.no_grad()
    def validate(self) -> tuple[float, dict[str, float]]:
        """Return the negative loss on the validation trials."""
        rows = torch.arange(len(self.validation.weights), device=self.hidden.device)
        loss = float(self._loss(self.validation, rows, self.outputs(self.validation)))
        return -loss, {"val_loss": loss}

    @torch.no_grad()
    def outputs(self, trials: _LabelledTrials) -> Tensor:
        """Return the outputs of all trials, nothing hidden but what is hidden always."""
        rows = torch.arange(len(trials.weights), device=self.hidden.device)
        nothing = torch.zeros((), dtype=torch.bool, device=rows.device)
        parts = rows.split(self.config.batch_size)
        return torch.cat([self._outputs(trials, part, nothing, None) for part in parts])

    def _outputs(
        self, trials: _LabelledTrials, rows: Tensor, drawn: Tensor, dropout: torch.Generator | None
    ) -> Tensor:
        counts, observed = trials.spikes.counts[rows].float(), trials.spikes.observed
        hidden = (self.hidden | drawn).expand(counts.shape)
        if observed is not None:
            hidden = hidden | ~observed[rows]
        causal = self.scheme.attention == "causal"
        group = TrialGroup.masked(trials.spikes.session_id, counts, hidden, self.index, causal)
        with autocast(rows.device, self.config.precision):
            return self.model(group, generator=dropout).float()

    def _loss(self, trials: _LabelledTrials, rows: Tensor, outputs: Tensor) -> Tensor:
        weights = trials.weights[rows]
        if trials.classes is None:
            squares = (outputs - trials.outputs[rows]) ** 2
            if trials.known is None:
                losses = squares.mean((1, 2))
            else:
                losses = (squares * trials.known[rows, :, None]).mean((1, 2))
                losses = losses / trials.known.float().mean()
        else:
            logits = self.readout.temperature * outputs[:, 0] + self.offset
            losses = F.cross_entropy(logits, trials.classes[rows], reduction="none")
        return (weights * losses).sum() / weights.sum()


@dataclass(frozen=True)
class TrialSplit:
    """What each labelled trial is for in fine-tuning: indices, each set in order.

    Attributes
    ----------
    training : ndarray of int
        Trials that the network learns from.
    choosing : ndarray of int
        Trials that stop training and choose the weights.
    judging : ndarray of int
        Trials that say whether fine-tuning did better than the head, and what temperature its
        probabilities need. They had no part in what they judge.
    """

    training: np.ndarray
    choosing: np.ndarray
    judging: np.ndarray

    @property
    def fitting(self) -> np.ndarray:
        """Trials that the head may be fitted to where it is judged too."""
        return np.union1d(self.training, self.choosing)


def finetune_readout(
    network: FittedNetwork,
    recording: Recording,
    hidden: np.ndarray,
    scheme: str,
    target: Classes | Signals,
    trial_weights: np.ndarray,
    split: TrialSplit,
    *,
    strategy: str,
    config: TrainingConfig,
    streams: RandomStreams,
    ignored: Sequence[str] = (),
    groups: np.ndarray | None = None,
    on_epoch: Callable[[dict[str, float]], None] = lambda row: None,
) -> tuple[FittedNetwork, Readout | None, pd.DataFrame]:
    """Train a copy of a network with a read-out, from the closed-form read-out on.

    Parameters
    ----------
    network : FittedNetwork
        Fitted network; it is left as it was.
    recording : Recording
        Labelled trials.
    hidden : ndarray of bool, (neurons,)
        Neurons that are never seen.
    scheme : str
        Scheme whose prompt and masks to use.
    target : Classes or Signals
        What to read out.
    trial_weights : ndarray, (trials,)
        Weight of each trial.
    split : TrialSplit
        What each trial is for.
    strategy : {"gradual", "full"}
        Whether what belongs to the session is trained before the rest, or all at once.
    config : TrainingConfig
        How to train; its epochs are shared among the stages.
    streams : RandomStreams
        Sources of chance.
    ignored : sequence of str
        Regions that are never targets of masks.
    groups : ndarray, (trials,), optional
        Trials of one group are left out together.
    on_epoch : callable, optional
        Told of each epoch as it is done.

    Returns
    -------
    FittedNetwork, Readout or None, DataFrame
        The trained network and read-out, and the history, whose `stage` says what was trained. The
        read-out is None unless it did better on the judging trials, by more than a standard error,
        than a head that was fitted to all other trials.
    """

    def head(rows: np.ndarray) -> Readout:
        return read_scheme(
            network,
            recording.take(rows),
            hidden,
            scheme,
            target.take(rows),
            trial_weights[rows],
            None if groups is None else groups[rows],
        )

    rival, readout = head(split.fitting), head(split.training)
    untrained, network = network, replace(network, model=copy.deepcopy(network.model))
    start = recording.start
    model = _Decoding(network.model, readout, start=start, per_bin=target.per_bin)
    model.to(network.device)
    placed = recording.placed(start + recording.counts.shape[1])
    training, choosing, judging = (
        _LabelledTrials.of(placed, target, trial_weights, rows, network.device, ignored)
        for rows in (split.training, split.choosing, split.judging)
    )
    index = network.index(scheme)
    objective = _Supervised(
        model,
        training,
        choosing,
        readout,
        (index, network.schemes[index]),
        torch.tensor(hidden, device=network.device),
        config,
        streams,
    )
    stitch = network.model.stitch(recording.info.session_id)
    parts = {
        "session": [*stitch.parameters(), model.weights, model.intercept],
        "all": list(model.parameters()),
    }
    stages = {stage: parts[stage] for stage in DECODER_STAGES[strategy]}
    before = objective.validate()[1]
    history = train_in_stages(model, objective, config, streams, stages, on_epoch=on_epoch)
    first = pd.DataFrame([{"epoch": 0, "stage": "head", **before}])
    table = pd.concat([first, history] if len(history) else [first], ignore_index=True)
    if not objective.validate()[1]["val_loss"] < before["val_loss"]:
        return network, None, table
    tuned = replace(
        readout,
        weights=model.weights.detach().double().cpu().numpy(),
        intercept=model.intercept.detach().double().cpu().numpy(),
        left_out=objective.outputs(judging).double().cpu().numpy(),
    )
    rows = split.judging
    truth, weights = target.take(rows), trial_weights[rows]
    features = read_features(
        untrained,
        recording.take(rows),
        hidden,
        scheme,
        per_bin=target.per_bin,
    )
    losses = tuned.losses(tuned.left_out, truth), rival.losses(rival.predict(features), truth)
    if not _is_better(*losses, weights):
        return network, None, table
    tuned = replace(tuned, loss=float(np.average(losses[0], weights=weights)))
    return network, tuned.with_temperature(truth, weights), table


def _is_better(losses: np.ndarray, others: np.ndarray, weights: np.ndarray) -> bool:
    """Say whether losses of the same trials are smaller by more than their standard error."""
    gain = others - losses
    mean = np.average(gain, weights=weights)
    error = np.sqrt((weights**2 * (gain - mean) ** 2).sum()) / weights.sum()
    return bool(mean > error)


def split_for_finetuning(
    target: Classes | Signals, fraction: float, seed: int, groups: np.ndarray | None = None
) -> TrialSplit:
    """Set runs of consecutive trials aside, some of every class: half to choose and half to judge.

    Raises
    ------
    InvalidInputError
        If a class has too few trials for all three.
    """
    n_trials = len(target.outputs)
    classes = target.codes if isinstance(target, Classes) else np.zeros(n_trials, dtype=int)
    fewest = int(np.bincount(classes).min())
    if fewest < 3:
        what = "there are" if isinstance(target, Signals) else "a class has"
        raise InvalidInputError(
            f"{what} {fewest} of {n_trials} trials; expected at least three"
            f"{'' if isinstance(target, Signals) else ' of each class'}, to train, to choose the "
            "weights and to judge them. Use finetune='head'."
        )
    if groups is not None and len(np.unique(groups)) < 3:
        raise InvalidInputError(
            f"groups has {len(np.unique(groups))} groups; expected at least three, to train, to "
            "choose the weights and to judge them. Use finetune='head'."
        )
    chance, share = np.random.default_rng(seed), fraction / 2

    def cut(rows: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray]:
        if groups is not None:
            parts = hold_out_groups(groups[rows], share, chance)
        else:
            parts = hold_out_runs(len(rows), share, chance, classes=classes[rows])
        return rows[parts[0]], rows[parts[1]]

    rest, judging = cut(np.arange(n_trials), share)
    training, choosing = cut(rest, share / (1 - share))
    return TrialSplit(training, choosing, judging)
