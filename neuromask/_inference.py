"""Run a fitted network over trials, hiding entries before it sees anything."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ._training import autocast
from .masks import apply_mask
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
