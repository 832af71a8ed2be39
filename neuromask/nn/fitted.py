"""Run a fitted network over trials, hiding entries before it sees anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .._known import Recording
from .._windows import cut, stitch
from ..schemes import Scheme
from .device import autocast
from .ndt1 import NDT1
from .ndt2 import NDT2
from .one_by_one import rates_one_by_one
from .session_network import SessionNetwork
from .session_weights import TrialGroup

__all__ = ["FittedNetwork"]

# Trials in one pass: enough to fill two cores, few enough for their caches; fewer of long trials, so
# that a pass takes no more than this.
TRIALS_A_PASS = 64
BYTES_A_PASS = 2**28


@dataclass(frozen=True)
class FittedNetwork:
    """A fitted backbone on its device.

    Attributes
    ----------
    model : SessionNetwork
        The backbone.
    schemes : tuple of Scheme
        Fitted schemes, in the order of their prompts.
    device : torch.device
        Where the model is.
    precision : {"bf16", "fp32"}
        Arithmetic of the network.
    """

    model: SessionNetwork
    schemes: tuple[Scheme, ...]
    device: torch.device
    precision: str

    def rates(self, recording: Recording, hidden: np.ndarray, scheme: int) -> np.ndarray:
        """Return expected counts, float32 (trials, time, neurons), under a scheme's prompt."""
        return self._courses(
            recording, hidden, scheme, lambda group: self.model.states([group])[0].log_rates.exp()
        )

    def features(self, recording: Recording) -> np.ndarray:
        """Return features, float32 (trials, time, features), with nothing hidden."""
        hidden = np.broadcast_to(False, recording.counts.shape)
        return self._courses(
            recording, hidden, 0, lambda group: self.model.states([group])[0].features
        )

    def _courses(
        self,
        recording: Recording,
        hidden: np.ndarray,
        scheme: int,
        compute: Callable[[TrialGroup], Tensor],
    ) -> np.ndarray:
        """Compute what has a value in every bin, of trials as short or long as they are."""
        n_trials, n_time, _ = recording.counts.shape
        longest = recording.info.n_time
        if n_time > longest:
            parts = self.run(recording.windows(), cut(hidden, longest), scheme, compute)
            return stitch(parts, n_trials, n_time)
        start = recording.start
        if start == 0:
            return self.run(recording, hidden, scheme, compute)
        hidden = np.pad(hidden, ((0, 0), (start, 0), (0, 0)), constant_values=True)
        return self.run(recording.placed(start + n_time), hidden, scheme, compute)[:, start:]

    def index(self, scheme: str) -> int:
        """Return a fitted scheme's number by its name."""
        return [s.name for s in self.schemes].index(scheme)

    @torch.no_grad()
    def run(
        self,
        recording: Recording,
        hidden: np.ndarray,
        scheme: int,
        compute: Callable[[TrialGroup], Tensor],
    ) -> np.ndarray:
        """Compute something of all trials under a scheme's prompt, some trials at a time.

        Parameters
        ----------
        recording : Recording
            Trials of a fitted session.
        hidden : ndarray of bool, (trials, time, neurons)
            Entries that the network may not see.
        scheme : int
            Number of the scheme.
        compute : callable
            Gives a tensor, (trials, ...), of a group of trials.

        Returns
        -------
        ndarray of float32, (trials, ...)
        """
        shape = recording.counts.shape
        n_at_once = self._trials_a_pass(recording.info.session_id, shape[1])
        hidden = np.broadcast_to(hidden, shape)
        out = np.empty(0, dtype=np.float32)
        for rows, group in self._groups(recording, hidden, scheme, n_at_once):
            with autocast(self.device, self.precision):
                part = compute(group).float().cpu().numpy()
            if rows.start == 0:  # only now is it known what comes out
                out = np.empty((shape[0], *part.shape[1:]), dtype=np.float32)
            out[rows] = part
        return out

    @property
    def hides_one_by_one(self) -> bool:
        """Whether `one_by_one` knows the network; one that derives from it may do anything else."""
        return type(self.model) in (NDT1, NDT2)

    def one_by_one(
        self,
        recording: Recording,
        hidden: np.ndarray,
        neurons: np.ndarray,
        scheme: int,
        tell: Callable[[int], None] = lambda n: None,
    ) -> np.ndarray:
        """Predict neurons, each while it is hidden in all bins beside those that are hidden already.

        Parameters
        ----------
        recording : Recording
            Trials of a fitted session.
        hidden : ndarray of bool, (neurons,)
            Neurons that are never seen.
        neurons : ndarray of int, (n_asked,)
            Neurons to predict.
        scheme : int
            Number of the scheme whose prompt and attention to use.
        tell : callable, optional
            Told how many of the neurons are done after each pass of the last trials.

        Returns
        -------
        ndarray of float32, (trials, time, n_asked)
            Expected counts per bin.
        """
        n_trials, n_time, _ = recording.counts.shape
        longest, start = recording.info.n_time, recording.start
        if n_time > longest:
            parts = self._one_by_one(recording.windows(), hidden, neurons, scheme, tell)
            return stitch(parts, n_trials, n_time)
        placed = recording.placed(start + n_time)
        return self._one_by_one(placed, hidden, neurons, scheme, tell)[:, start:]

    @torch.no_grad()
    def _one_by_one(
        self,
        recording: Recording,
        hidden: np.ndarray,
        neurons: np.ndarray,
        scheme: int,
        tell: Callable[[int], None],
    ) -> np.ndarray:
        model = self.model
        if not isinstance(model, NDT1):
            raise TypeError(f"{type(model).__name__} cannot hide neurons one by one.")
        n_trials, n_time, _ = recording.counts.shape
        masked = self._trials_a_pass(recording.info.session_id, n_time)
        n_at_once = max(1, masked // n_trials)
        chosen = torch.as_tensor(neurons, device=self.device)
        out = np.empty((n_trials, n_time, len(neurons)), dtype=np.float32)
        hidden = np.broadcast_to(hidden, recording.counts.shape)
        for rows, group in self._groups(recording, hidden, scheme, masked):
            report = tell if rows.stop == n_trials else lambda n: None
            with autocast(self.device, self.precision):
                rates = rates_one_by_one(model, group, chosen, n_at_once=n_at_once, tell=report)
            out[rows] = rates.float().cpu().numpy()
        return out

    def _trials_a_pass(self, session_id: str, n_time: int) -> int:
        """Say how many masked trials one pass takes, within `BYTES_A_PASS`."""
        trial = self.model.bytes_a_trial(session_id, n_time)
        return min(TRIALS_A_PASS, max(1, BYTES_A_PASS // trial))

    def _groups(
        self, recording: Recording, hidden: np.ndarray, scheme: int, n_at_once: int
    ) -> Iterator[tuple[slice, TrialGroup]]:
        """Yield trials, some at a time, on the device and masked under a scheme's prompt."""
        counts = recording.counts
        causal = self.schemes[scheme].attention == "causal"
        for start in range(0, len(counts), n_at_once):
            rows = slice(start, min(start + n_at_once, len(counts)))
            unseen = hidden[rows]
            if recording.observed is not None:
                unseen = unseen | ~recording.observed[rows]
            mask = torch.tensor(unseen, device=self.device)
            visible = torch.tensor(counts[rows].astype(np.float32), device=self.device)
            yield rows, TrialGroup.masked(recording.info.session_id, visible, mask, scheme, causal)
