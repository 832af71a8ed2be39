"""Counts on the device, and batches that mix the trials of several sessions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .masks import apply_mask
from .nn.stitching import TrialGroup
from .schemes import SchemeSampler

__all__ = ["MaskedTrials", "SessionTensors", "mask_trials", "shuffled_batches"]


@dataclass(frozen=True)
class SessionTensors:
    """One session's trials on the device.

    Attributes
    ----------
    session_id : str
        Name of the session.
    counts : Tensor of uint8 or int32, (trials, time, neurons)
        Spike counts, kept compact; a batch is converted when it is drawn.
    regions : Tensor of int, (neurons,)
        Region codes, negative for regions that are never targets.
    """

    session_id: str
    counts: Tensor
    regions: Tensor

    @classmethod
    def of(
        cls, counts: np.ndarray, regions: np.ndarray, session_id: str, device: torch.device
    ) -> SessionTensors:
        """Move counts and integer region codes to the device."""
        compact = counts if counts.dtype == np.uint8 else counts.astype(np.int32)
        return cls(
            session_id,
            torch.tensor(compact, device=device),
            torch.as_tensor(regions, dtype=torch.long, device=device),
        )


@dataclass(frozen=True)
class MaskedTrials:
    """Trials of one session with their masks: what the network sees and what it must answer."""

    group: TrialGroup
    counts: Tensor  # (trials, time, neurons), unmasked
    target: Tensor  # (trials, time, neurons) bool


def mask_trials(
    session: SessionTensors, trials: Tensor, sampler: SchemeSampler, generator: torch.Generator
) -> MaskedTrials:
    """Draw schemes and masks for some trials of a session."""
    counts = session.counts[trials].float()
    scheme, mask = sampler.sample(tuple(counts.shape), session.regions, generator)
    causal = torch.tensor([s.attention == "causal" for s in sampler.schemes], device=scheme.device)
    group = TrialGroup(
        session.session_id, apply_mask(counts, mask.hidden), mask.hidden, scheme, causal[scheme]
    )
    return MaskedTrials(group, counts, mask.target)


def shuffled_batches(
    n_trials: Sequence[int], batch_size: int, generator: np.random.Generator
) -> Iterator[list[tuple[int, np.ndarray]]]:
    """Cut the trials of all sessions, shuffled together, into batches of nearly equal size.

    No trial is dropped and batches differ from epoch to epoch.

    Parameters
    ----------
    n_trials : sequence of int
        Trials per session.
    batch_size : int
        Most trials in a batch.
    generator : numpy.random.Generator
        Source of the order.

    Yields
    ------
    list of (int, ndarray of int)
        Session index and its trials, for each session in the batch.
    """
    session = np.repeat(np.arange(len(n_trials)), n_trials)
    trial = np.concatenate([np.arange(n) for n in n_trials])
    order = generator.permutation(len(session))
    for part in np.array_split(order, -(-len(order) // batch_size)):
        yield [(int(i), trial[part[session[part] == i]]) for i in np.unique(session[part])]
