"""Serve sessions that a model was not pretrained on: by calibration alone, or by fine-tuning."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import pandas as pd
import torch
from torch import nn

from ._batching import SessionTensors
from ._random import RandomStreams
from ._recordings import Recording, region_codes
from ._training import Objective, TrainingConfig, train_in_stages
from .nn.stitching import SessionStatistics

__all__ = ["STRATEGIES", "adapt", "device_tensors", "with_sessions"]

# Dropout of what read-outs read in fine-tuning: a start that never saw the trials of the batch does
# not overfit as one from chance does.
DROPOUT = {"linear_dropout": 0.1, "trunk_dropout": 0.1}

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
    model: nn.Module, recordings: Sequence[Recording], generator: torch.Generator
) -> nn.Module:
    """Return a copy of a backbone that has room for more sessions, of which it knows nothing yet."""
    model = copy.deepcopy(model)
    for r in recordings:
        model.add_session(
            SessionStatistics.of(r.counts, r.info.session_id, r.info.regions), generator
        )
    return model


def adapt(
    model: nn.Module,
    objective: Objective,
    session_ids: Sequence[str],
    strategy: str,
    config: TrainingConfig,
    streams: RandomStreams,
    *,
    on_epoch: Callable[[dict[str, float]], None] = lambda row: None,
) -> pd.DataFrame:
    """Train a backbone in place on sessions that it has just met.

    Parameters
    ----------
    model : nn.Module
        Backbone that has stitches for the sessions.
    objective : Objective
        What is learned of their trials.
    session_ids : sequence of str
        The new sessions.
    strategy : {"stitch", "gradual", "full"}
        What is trained: the new sessions' stitches, those and then everything, or everything at
        once. The encoder and the stitches of other sessions are left alone.
    config : TrainingConfig
        How to train; its epochs are shared among the stages.
    streams : RandomStreams
        Source of the order of batches.
    on_epoch : callable, optional
        Told of each epoch as it is done.

    Returns
    -------
    DataFrame
        History, whose `stage` says what was trained.
    """
    new = [p for name in session_ids for p in model.stitch(name).parameters()]
    shared = [
        p for name, p in model.named_parameters() if not name.startswith(("stitches.", "encoder."))
    ]
    parts = {"stitch": new, "all": [*new, *shared]}
    stages = {stage: parts[stage] for stage in STRATEGIES[strategy]}
    config = replace(config, validate_start=True)
    with _dropping_less(model):
        return train_in_stages(model, objective, config, streams, stages, on_epoch=on_epoch)


@contextmanager
def _dropping_less(model: nn.Module) -> Iterator[None]:
    if not model.config.encode:
        yield
        return
    usual = {name: getattr(model, name) for name in DROPOUT}
    try:
        for name, probability in DROPOUT.items():
            setattr(model, name, probability)
        yield
    finally:
        for name, probability in usual.items():
            setattr(model, name, probability)
