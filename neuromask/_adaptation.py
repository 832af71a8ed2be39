"""Serve sessions that a model was not pretrained on: by calibration alone, or by fine-tuning."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace

import pandas as pd
import torch
from torch import nn

from ._batching import SessionTensors
from ._pretraining import MaskedPrediction
from ._random import RandomStreams
from ._recordings import Recording, region_codes
from ._starts import Starts, start_session
from ._training import TrainingConfig, train
from .nn.stitching import SessionStatistics
from .schemes import SchemeSampler

__all__ = ["STRATEGIES", "adapt", "device_tensors", "with_sessions"]

#: Parts of the network that are trained, one stage after the other.
STRATEGIES = {"stitch": ("stitch",), "gradual": ("stitch", "all"), "full": ("all",)}


def device_tensors(
    recordings: Sequence[Recording], ignored: Sequence[str], device: torch.device
) -> list[SessionTensors]:
    """Move recordings to the device."""
    return [
        SessionTensors.of(
            r.counts, region_codes(r.info, ignored), r.info.session_id, device, r.info.regions
        )
        for r in recordings
    ]


def with_sessions(
    model: nn.Module,
    recordings: Sequence[Recording],
    generator: torch.Generator,
) -> nn.Module:
    """Return a copy of a backbone that has room for more sessions.

    Where the backbone has an encoder, they start from what it infers of their neurons; without one
    they start from chance.
    """
    model = copy.deepcopy(model)
    device = next(model.parameters()).device
    for r in recordings:
        info = r.info
        model.add_session(SessionStatistics.of(r.counts, info.session_id, info.regions), generator)
        if model.config.encode:
            (tensors,) = device_tensors([r], (), device)
            start_session(model, tensors)
    return model


def adapt(
    model: nn.Module,
    training: Sequence[SessionTensors],
    validation: Sequence[SessionTensors],
    sampler: SchemeSampler,
    strategy: str,
    config: TrainingConfig,
    streams: RandomStreams,
    *,
    on_epoch: Callable[[dict[str, float]], None] = lambda row: None,
    **options: float,
) -> pd.DataFrame:
    """Train a backbone in place on sessions that it has just met.

    Parameters
    ----------
    model : nn.Module
        Backbone that has stitches for the sessions.
    training, validation : sequence of SessionTensors
        Trials of the new sessions.
    sampler : SchemeSampler
        Schemes of pretraining.
    strategy : {"stitch", "gradual", "full"}
        What is trained: the new sessions' stitches, those and then everything, or everything at
        once. The encoder is left alone.
    config : TrainingConfig
        How to train; its epochs are shared among the stages.
    streams : RandomStreams
        Sources of chance.
    on_epoch : callable, optional
        Told of each epoch as it is done.
    **options
        Augmentation, see :class:`MaskedPrediction`.

    Returns
    -------
    DataFrame
        History, whose `stage` says what was trained.
    """
    starts = Starts(model, training, new=0.0) if model.config.encode else None
    objective = MaskedPrediction(
        model, training, validation, sampler, config, streams, starts=starts, **options
    )
    stages = STRATEGIES[strategy]
    config = replace(config, max_epochs=-(-config.max_epochs // len(stages)), validate_start=True)
    new = {id(p) for s in training for p in model.stitch(s.session_id).parameters()}
    shared = {
        id(p)
        for name, p in model.named_parameters()
        if not name.startswith(("stitches.", "encoder."))
    }
    tables, done = [], 0
    for stage in stages:
        for p in model.parameters():
            p.requires_grad_(id(p) in new or (stage == "all" and id(p) in shared))

        def tell(row: dict[str, float], done: int = done) -> None:
            on_epoch(row | {"epoch": row["epoch"] + done})

        history = train(model, objective, config, streams, on_epoch=tell)
        tables.append(history.assign(stage=stage, epoch=history["epoch"] + done))
        done += len(history)
    model.requires_grad_(True)
    return pd.concat(tables, ignore_index=True)
