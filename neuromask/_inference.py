"""Run a fitted network over trials, hiding entries before it sees anything."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ._recordings import Recording
from ._training import autocast
from .masks import apply_mask
from .nn.pooling import block_sizes, decoding_features
from .nn.stitching import TrialGroup
from .schemes import Scheme

__all__ = ["Network"]

# Trials in one pass: enough to fill two cores, few enough for their caches.
PORTION = 128


@dataclass(frozen=True)
class Network:
    """A fitted backbone on its device.

    Attributes
    ----------
    model : nn.Module
        The backbone.
    schemes : tuple of Scheme
        Fitted schemes, in the order of their prompts.
    device : torch.device
        Where the model is.
    precision : {"bf16", "fp32"}
        Arithmetic of the network.
    """

    model: nn.Module
    schemes: tuple[Scheme, ...]
    device: torch.device
    precision: str

    def rates(
        self, session_id: str, counts: np.ndarray, hidden: np.ndarray, scheme: int
    ) -> np.ndarray:
        """Return expected counts, float32 (trials, time, neurons), under a scheme's prompt."""
        return self._run(
            session_id, counts, hidden, scheme, lambda group: self.model([group])[0].exp()
        )

    def features(self, session_id: str, counts: np.ndarray) -> np.ndarray:
        """Return features, float32 (trials, time, features), with nothing hidden."""
        hidden = np.broadcast_to(False, counts.shape)
        return self._run(
            session_id, counts, hidden, 0, lambda group: self.model.states([group])[0].features
        )

    def decoding_features(
        self, recording: Recording, hidden: np.ndarray, scheme: str, *, per_bin: bool
    ) -> np.ndarray:
        """Return what behaviour is read from, float32 (trials, time or 1, features).

        Parameters
        ----------
        recording : Recording
            Trials of a fitted session.
        hidden : ndarray of bool, (neurons,)
            Neurons that are not seen.
        scheme : str
            Scheme whose prompt to use.
        per_bin : bool
            Whether behaviour has a value in every bin, or one a trial.
        """
        scale = self.model.stitch(recording.info.session_id).scale
        return self._run(
            recording.info.session_id,
            recording.counts,
            np.broadcast_to(hidden, recording.counts.shape),
            self.index(scheme),
            lambda g: decoding_features(self.model.states([g])[0], g, scale, per_bin=per_bin),
        )

    def block_sizes(self, recording: Recording, *, per_bin: bool) -> tuple[int, ...]:
        """Return the sizes of the blocks of `decoding_features`, the trunk's in front."""
        return block_sizes(self.model.n_features, recording.info.n_neurons, per_bin=per_bin)

    def index(self, scheme: str) -> int:
        """Return a fitted scheme's number by its name."""
        return [s.name for s in self.schemes].index(scheme)

    @torch.no_grad()
    def _run(
        self,
        session_id: str,
        counts: np.ndarray,
        hidden: np.ndarray,
        scheme: int,
        compute: Callable[[TrialGroup], Tensor],
    ) -> np.ndarray:
        causal = self.schemes[scheme].attention == "causal"
        out = []
        for start in range(0, len(counts), PORTION):
            rows = slice(start, start + PORTION)
            mask = torch.tensor(hidden[rows], device=self.device)
            visible = torch.tensor(counts[rows].astype(np.float32), device=self.device)
            group = TrialGroup(
                session_id,
                apply_mask(visible, mask),
                mask,
                torch.full((len(visible),), scheme, device=self.device),
                torch.full((len(visible),), causal, device=self.device),
            )
            with autocast(self.device, self.precision):
                out.append(compute(group).float().cpu().numpy())
        return np.concatenate(out)
