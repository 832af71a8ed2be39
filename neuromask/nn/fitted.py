"""Run a fitted network over trials, hiding entries before it sees anything."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .._known import Recording
from .._windows import cut, stitch
from ..schemes import Scheme
from .device import autocast
from .session_network import SessionNetwork
from .session_weights import TrialGroup

__all__ = ["FittedNetwork"]

# Trials in one pass: enough to fill two cores, few enough for their caches; fewer of long trials,
# whose matrices grow with the square of their bins.
TRIALS_A_PASS = 128
BYTES_A_PASS = 2**30


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
        counts = recording.counts
        causal = self.schemes[scheme].attention == "causal"
        out = []
        trial = self.model.bytes_a_trial(recording.info.session_id, counts.shape[1])
        n_at_once = min(TRIALS_A_PASS, max(1, BYTES_A_PASS // trial))
        for start in range(0, len(counts), n_at_once):
            rows = slice(start, start + n_at_once)
            unseen = hidden[rows]
            if recording.observed is not None:
                unseen = unseen | ~recording.observed[rows]
            mask = torch.tensor(unseen, device=self.device)
            visible = torch.tensor(counts[rows].astype(np.float32), device=self.device)
            group = TrialGroup.masked(recording.info.session_id, visible, mask, scheme, causal)
            with autocast(self.device, self.precision):
                out.append(compute(group).float().cpu().numpy())
        return np.concatenate(out)
