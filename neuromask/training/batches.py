"""Counts on the device, and batches that mix the trials of several sessions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from .._known import Recording, region_codes
from ..nn.session_weights import TrialGroup, Weights
from ..schemes import SchemeSampler

__all__ = ["MaskedTrials", "SessionTensors", "mask_trials", "mixed_batches"]

SESSIONS_PER_BATCH = 4


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
    names : tuple of str or None
        Region of each neuron, where known.
    observed : Tensor of bool, (trials, time, neurons), or None
        Which counts were observed, the others being 0; None where all were.
    """

    session_id: str
    counts: Tensor
    regions: Tensor
    names: tuple[str, ...] | None = None
    observed: Tensor | None = None

    @classmethod
    def of(
        cls, recording: Recording, ignored: Sequence[str], device: torch.device
    ) -> SessionTensors:
        """Move a recording to the device; `ignored` are regions that are never targets."""
        info, counts = recording.info, recording.counts
        compact = counts if counts.dtype == np.uint8 else counts.astype(np.int32)
        codes = region_codes(info, ignored)
        return cls(
            info.session_id,
            torch.tensor(compact, device=device),
            torch.as_tensor(codes, dtype=torch.long, device=device),
            info.regions,
            None if recording.observed is None else torch.tensor(recording.observed, device=device),
        )

    def __len__(self) -> int:
        return len(self.counts)

    @cached_property
    def entries(self) -> np.ndarray:
        """How many entries of each trial were observed, (trials,)."""
        if self.observed is None:
            return np.full(len(self), self.counts[0].numel())
        return self.observed.sum((1, 2)).cpu().numpy()


@dataclass(frozen=True)
class MaskedTrials:
    """Trials of one session with their masks: what the network sees and what it must answer."""

    group: TrialGroup
    counts: Tensor  # (trials, time, neurons), unmasked, 0 where not observed
    target: Tensor  # (trials, time, neurons) bool


def mask_trials(
    session: SessionTensors,
    trials: Tensor,
    sampler: SchemeSampler,
    generator: torch.Generator,
    *,
    neuron_dropout: float = 0.0,
    region_dropout: float = 0.0,
    weights: Weights | None = None,
) -> MaskedTrials:
    """Draw schemes and masks for some trials of a session.

    Parameters
    ----------
    session : SessionTensors
        The session.
    trials : Tensor of int
        Which trials.
    sampler : SchemeSampler
        Source of schemes and masks.
    generator : torch.Generator
        Source of chance.
    neuron_dropout, region_dropout : float, default=0
        Probability of hiding a whole neuron or region beside what the scheme hides. These entries
        are not answered for.
    weights : Weights, optional
        See `TrialGroup`.
    """
    counts = session.counts[trials].float()
    n_trials, n_time, n_neurons = counts.shape
    scheme, mask = sampler.sample((n_trials, n_time, n_neurons), session.regions, generator)
    hidden = mask.hidden
    for probability, unit in (
        (neuron_dropout, torch.arange(counts.shape[2], device=counts.device)),
        (region_dropout, session.regions.unique(return_inverse=True)[1]),
    ):
        if probability:
            shape = (len(counts), int(unit.max()) + 1)
            dropped = torch.rand(shape, generator=generator, device=counts.device) < probability
            hidden = hidden | dropped[:, None, unit]
    target = mask.target
    if session.observed is not None:  # it is hidden like any other entry, and never answered for
        there = session.observed[trials]
        hidden, target = hidden | ~there, target & there
    causal = torch.tensor([s.attention == "causal" for s in sampler.schemes], device=scheme.device)
    group = TrialGroup.masked(session.session_id, counts, hidden, scheme, causal[scheme], weights)
    return MaskedTrials(group, counts, target)


def mixed_batches(
    trials: Sequence[np.ndarray],
    batch_size: int,
    generator: np.random.Generator,
    *,
    share: float = 1.0,
    balanced: bool = False,
) -> Iterator[list[tuple[int, np.ndarray]]]:
    """Cut the trials of all sessions, shuffled, into batches that mix sessions.

    A session is cut into as many parts as if it were alone, and gives a batch one of them at most,
    so that its own weights take as many steps as if it were alone: with fewer trials at a time, and
    more steps, they overfit before the shared weights have learned. A batch mixes up to
    `SESSIONS_PER_BATCH` sessions, and batches mix as many as one another, or one less.

    Parameters
    ----------
    trials : sequence of ndarray of int
        Trials of each session.
    batch_size : int
        Most trials of a session in a batch.
    generator : numpy.random.Generator
        Source of the order.
    share : float, default=1
        Most trials of a session in a batch, as a share of the session's; one trial is always taken.
    balanced : bool, default=False
        Give every session as many trials as they have on average, repeating or leaving out some,
        instead of each trial once.

    Yields
    ------
    list of (int, ndarray of int)
        Session index and its trials, for each session in the batch.
    """
    n_each = round(sum(map(len, trials)) / len(trials))
    parts: list[list[tuple[int, np.ndarray]]] = []
    for i, own in enumerate(trials):
        order = generator.permutation(own)
        while balanced and len(order) < n_each:
            order = np.concatenate([order, generator.permutation(own)])
        order = order[:n_each] if balanced else order
        if len(order):
            most = min(batch_size, max(1, int(share * len(own))))
            cut = np.array_split(order, -(-len(order) // most))
            parts.append([(i, part) for part in cut])
    yield from _dealt(parts, generator) if len(trials) > 1 else ([part] for part in parts[0])


def _dealt(
    parts: list[list[tuple[int, np.ndarray]]], generator: np.random.Generator
) -> list[list[tuple[int, np.ndarray]]]:
    """Deal the parts of all sessions to batches, none of which gets two of the same session."""
    n_parts = sum(map(len, parts))
    # Dealt in turn, a session's parts go to batches that follow one another: none gets two of them,
    # as there are at least as many batches as parts of any session.
    n_batches = max(-(-n_parts // SESSIONS_PER_BATCH), max(map(len, parts)))
    batches: list[list[tuple[int, np.ndarray]]] = [[] for _ in range(n_batches)]
    shuffled = [part for i in generator.permutation(len(parts)) for part in parts[i]]
    for k, part in enumerate(shuffled):
        batches[k % n_batches].append(part)
    return [sorted(batches[i], key=lambda part: part[0]) for i in generator.permutation(n_batches)]
