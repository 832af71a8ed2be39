"""Counts on the device, and batches that mix the trials of several sessions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from .._known import Recording, TrialShare, region_codes
from ..nn.session_weights import Weights
from ..nn.trial_batch import Part, TrialBatch
from ..schemes import SchemeSampler

__all__ = ["MaskedTrials", "Masker", "SessionTensors", "mixed_batches"]

SESSIONS_PER_BATCH = 4


@dataclass(frozen=True)
class SessionTensors:
    """One session's trials on the device.

    Attributes
    ----------
    session_id : str
        Name of the session.
    counts : Tensor of uint8 or int32, (trials of the recording, time, neurons)
        Spike counts, kept compact; a batch is converted when it is drawn. On a CPU they are the very
        memory of the counts that were given, of which there may be as much as fits.
    regions : Tensor of int, (neurons,)
        Region codes, negative for regions that are never targets.
    names : tuple of str or None
        Region of each neuron, where known.
    observed : Tensor of bool, (trials, time, neurons), or None
        Which counts were observed, the others being 0; None where all were.
    rows : Tensor of int, (trials,), or None
        Which trials of the recording these are; None for all of them.
    """

    session_id: str
    counts: Tensor
    regions: Tensor
    names: tuple[str, ...] | None = None
    observed: Tensor | None = None
    rows: Tensor | None = None

    @classmethod
    def of(
        cls, trials: Recording | TrialShare, ignored: Sequence[str], device: torch.device
    ) -> SessionTensors:
        """Move trials to the device; `ignored` are regions that are never targets."""
        (session,) = cls.of_parts([trials], ignored, device)
        return session

    @classmethod
    def of_parts(
        cls, parts: Sequence[Recording | TrialShare], ignored: Sequence[str], device: torch.device
    ) -> list[SessionTensors]:
        """Move trials to the device, those of one recording to the same memory."""
        moved: dict[int, tuple[Tensor, Tensor | None]] = {}
        found = []
        for part in parts:
            whole = part.whole if isinstance(part, TrialShare) else part
            if id(whole) not in moved:
                counts = whole.counts
                compact = counts if counts.dtype == np.uint8 else counts.astype(np.int32)
                observed = None if whole.observed is None else _shared(whole.observed, device)
                moved[id(whole)] = _shared(compact, device), observed
            codes = torch.as_tensor(region_codes(part.info, ignored), dtype=torch.long)
            found.append(
                cls(
                    part.info.session_id,
                    moved[id(whole)][0],
                    codes.to(device),
                    part.info.regions,
                    moved[id(whole)][1],
                    torch.as_tensor(part.rows, device=device)
                    if isinstance(part, TrialShare)
                    else None,
                )
            )
        return found

    def __len__(self) -> int:
        return len(self.counts if self.rows is None else self.rows)

    def take(self, trials: Tensor, *, observed: bool = False) -> Tensor:
        """Return the counts of some trials, or 1 where these were observed and 0 elsewhere."""
        if self.rows is not None:
            trials = self.rows[trials]
        if not observed:
            return self.counts[trials]
        if self.observed is None:
            return self.counts.new_ones(()).expand(len(trials), *self.counts.shape[1:])
        return self.observed[trials]

    def everything(self) -> tuple[Tensor, Tensor | None]:
        """Return the counts of all trials, and whether they were observed; None where all were."""
        trials = torch.arange(len(self), device=self.counts.device)
        observed = None if self.observed is None else self.take(trials, observed=True)
        return self.take(trials), observed

    @cached_property
    def entries(self) -> np.ndarray:
        """How many entries of each trial were observed, (trials,)."""
        if self.observed is None:
            return np.full(len(self), self.counts.shape[1] * self.counts.shape[2])
        own = self.observed if self.rows is None else self.observed[self.rows]
        return own.sum((1, 2)).cpu().numpy()


@dataclass(frozen=True)
class MaskedTrials:
    """Trials of a batch with their masks: what the network sees and what it must answer.

    Attributes
    ----------
    batch : TrialBatch
        What it sees.
    counts : Tensor of float32, (trials, time, neurons)
        Counts, unmasked; 0 where not observed.
    target : Tensor of float32, (trials, time, neurons)
        1 for entries that are asked for, 0 for others.
    beside : Tensor of float32, (trials, time or 1, neurons), or None
        1 for entries that a scheme hides and does not ask for; None where there are none.
    """

    batch: TrialBatch
    counts: Tensor
    target: Tensor
    beside: Tensor | None = None


class Masker:
    """Makes masked batches of some sessions' trials.

    Parameters
    ----------
    sessions : sequence of SessionTensors
        The sessions.
    sampler : SchemeSampler
        Schemes to alternate.
    neuron_dropout, region_dropout : float, default=0
        Probability of hiding a whole neuron or region beside what a scheme hides. These entries are
        not answered for.
    """

    def __init__(
        self,
        sessions: Sequence[SessionTensors],
        sampler: SchemeSampler,
        *,
        neuron_dropout: float = 0.0,
        region_dropout: float = 0.0,
    ) -> None:
        self.sessions = sessions
        self.sampler = sampler
        self.regions = [session.regions for session in sessions]
        self.table = sampler.table(self.regions, [s.counts.shape[1] for s in sessions])
        attentions = {scheme.attention for scheme in sampler.schemes}
        self.attention = attentions.pop() if len(attentions) == 1 else "mixed"
        # Units that are dropped as a whole: neurons, and regions by their numbers.
        self.dropped = [
            (probability, units)
            for probability, units in (
                (neuron_dropout, [torch.arange(len(r), device=r.device) for r in self.regions]),
                (region_dropout, [r.unique(return_inverse=True)[1] for r in self.regions]),
            )
            if probability
        ]

    def __call__(
        self,
        chosen: Sequence[tuple[int, Tensor]],
        generator: torch.Generator,
        weights: Sequence[Weights | None] | None = None,
    ) -> MaskedTrials:
        """Draw schemes and masks for some trials.

        Parameters
        ----------
        chosen : sequence of (int, Tensor of int)
            Sessions by their numbers, and which of their trials.
        generator : torch.Generator
            Source of chance.
        weights : sequence of Weights or None, optional
            See `TrialGroup`, for each session in `chosen`.
        """
        sizes = [(i, len(rows)) for i, rows in chosen]
        draw = self.sampler.sample(self.table, sizes, self.regions, generator)
        visible, target, beside = draw.visible, draw.target, draw.beside
        parts, start = [], 0
        for (i, n), own in zip(sizes, weights or [None] * len(sizes), strict=True):
            session = self.sessions[i]
            n_time, n_neurons = session.counts.shape[1:]
            rows = slice(start, start + n)
            parts.append(Part(session.session_id, rows, n_time, n_neurons, own))
            start = rows.stop
        if self.dropped:
            visible = visible * self._undropped(parts, sizes, visible, generator)
        counts = self._gathered(parts, chosen, visible.shape)
        if any(self.sessions[i].observed is not None for i, _ in chosen):
            # What was not observed is hidden like any other entry, and never answered for.
            there = self._gathered(parts, chosen, visible.shape, observed=True)
            visible, target = visible * there, target * there
            beside = None if beside is None else beside * there
        batch = TrialBatch(
            tuple(parts), counts * visible, visible, draw.scheme, draw.causal, self.attention
        )
        return MaskedTrials(batch, counts, target, beside)

    def _gathered(
        self,
        parts: Sequence[Part],
        chosen: Sequence[tuple[int, Tensor]],
        shape: torch.Size,
        *,
        observed: bool = False,
    ) -> Tensor:
        """Take counts of trials, or whether they were observed, as float32, padded by zeros."""
        device = self.regions[0].device
        if len(parts) == 1:
            i, rows = chosen[0]
            return self.sessions[i].take(rows, observed=observed).float()
        out = torch.zeros(shape, device=device)
        for part, (i, rows) in zip(parts, chosen, strict=True):
            own = self.sessions[i].take(rows, observed=observed)
            out[part.rows, : part.n_time, : part.n_neurons] = own
        return out

    def _undropped(
        self,
        parts: Sequence[Part],
        sizes: Sequence[tuple[int, int]],
        visible: Tensor,
        generator: torch.Generator,
    ) -> Tensor:
        """Return 0 for neurons that are dropped and 1 for others, (trials, 1, neurons)."""
        stays = torch.ones(len(visible), 1, visible.shape[2], device=visible.device)
        for probability, units in self.dropped:
            for part, (i, n) in zip(parts, sizes, strict=True):
                n_units = len(units[i])
                drawn = torch.rand((n, n_units), generator=generator, device=visible.device)
                own = stays[part.rows, 0, : part.n_neurons]
                own.mul_((drawn >= probability).float()[:, units[i]])
        return stays


def _shared(x: np.ndarray, device: torch.device) -> Tensor:
    """Return a tensor of an array, in the same memory where the device is a CPU.

    Nothing writes to it. That must not be said to torch, which would warn of arrays that refuse it.
    """
    if device.type != "cpu":
        return torch.tensor(x, device=device)
    return torch.from_numpy(np.asarray(_Writable(np.ascontiguousarray(x))))


class _Writable:
    """Shows an array's memory as one that can be written to."""

    def __init__(self, x: np.ndarray) -> None:
        self.x = x  # kept as long as what is made of it
        self.__array_interface__ = x.__array_interface__ | {
            "data": (x.__array_interface__["data"][0], False)
        }


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
