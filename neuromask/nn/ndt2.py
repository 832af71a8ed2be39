"""NDT2: a token for each patch of neurons in each time bin.

A patch holds neurons of one region alone, so that attention can route between regions and hiding a
region hides whole tokens. Neurons have read-ins of their own, as in :mod:`.ndt1`, instead of slots
in a patch: which neuron comes first in a patch means nothing, and nothing is padded.

References
----------
Ye, J., Collinger, J., Wehbe, L. & Gaunt, R. (2023). Neural Data Transformer 2: multi-context
pretraining for neural spiking activity. NeurIPS.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .layers import parameter
from .ndt1 import NDT1, NDT1Config
from .session_weights import SessionStatistics, Stitch, Weights
from .trial_batch import Part, TrialBatch

__all__ = ["NDT2", "NDT2Config", "patch_neurons"]


@dataclass(frozen=True)
class NDT2Config(NDT1Config):
    """Sizes of an :class:`NDT2`.

    Attributes
    ----------
    patch_size : int
        Most neurons in a patch.
    """

    patch_size: int = 64


def patch_neurons(regions: Sequence[str], patch_size: int) -> list[np.ndarray]:
    """Share neurons out to patches of one region each, of nearly equal size within a region.

    Examples
    --------
    >>> [p.tolist() for p in patch_neurons(["CA1", "TH", "CA1", "CA1"], 2)]
    [[0, 2], [3], [1]]
    """
    labels = np.asarray(regions)
    patches = []
    for region in np.unique(labels):
        inside = np.flatnonzero(labels == region)
        patches += np.array_split(inside, -(-len(inside) // patch_size))
    return patches


class NDT2(NDT1):
    """Transformer over patches of neurons and time bins; otherwise an :class:`NDT1`.

    Under causal attention a token reads all patches of its own bin and of those before it.
    """

    config: NDT2Config

    def __init__(
        self,
        config: NDT2Config,
        sessions: Sequence[SessionStatistics],
        n_schemes: int,
        generator: torch.Generator,
    ) -> None:
        self.patches: dict[str, list[Tensor]] = {}
        self.patch_regions: dict[str, Tensor] = {}
        super().__init__(config, sessions, n_schemes, generator)
        n_regions = len(config.region_names)
        self.regions = parameter(n_regions + 1, config.dim, generator=generator, std=0.1)
        with torch.no_grad():
            self.regions[0].zero_()  # regions that the model does not know

    def add_session(self, statistics: SessionStatistics, generator: torch.Generator) -> Stitch:
        """Give a session a stitch and share its neurons out to patches."""
        regions = statistics.regions or ("",) * len(statistics.mean)
        patches = patch_neurons(regions, self.config.patch_size)
        number = {name: i + 1 for i, name in enumerate(self.config.region_names)}
        self.patches[statistics.session_id] = [torch.as_tensor(p) for p in patches]
        codes = [number.get(regions[p[0]], 0) for p in patches]
        self.patch_regions[statistics.session_id] = torch.tensor(codes)
        return super().add_session(statistics, generator)

    def patch_of(self, session_id: str) -> Tensor:
        """Say which patch each neuron of a session is in, (neurons,)."""
        patch = super().patch_of(session_id)
        for i, members in enumerate(self._own_patches(session_id)):
            patch[members] = i
        return patch

    def _n_patches(self, session_id: str) -> int:
        return len(self.patches[session_id])

    def _own_patches(self, session_id: str) -> list[Tensor]:
        device = self.hidden_token.device
        return [p.to(device) for p in self.patches[session_id]]

    def read_tokens(
        self, batch: TrialBatch, weights: Sequence[Weights], inputs: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Read each patch by its own neurons' columns; patches that a session lacks are unseen."""
        n_patches = max(self._n_patches(part.session_id) for part in batch.parts)
        read, unseen = [], []
        for part, own in zip(batch.parts, weights, strict=True):
            x, visible = inputs[part.rows], batch.visible[part.rows]
            missing = n_patches - self._n_patches(part.session_id)
            patches = self._own_patches(part.session_id)
            tokens = [F.linear(x[:, :, p], own.read_in[:, p], own.bias) for p in patches]
            hidden = [1 - visible[:, :, p].amax(2, keepdim=True) for p in patches]
            read.append(F.pad(torch.stack(tokens, 2), (0, 0, 0, missing)))
            unseen.append(F.pad(torch.stack(hidden, 2), (0, 0, 0, missing), value=1.0))
        return torch.cat(read), torch.cat(unseen)

    def _mark(self, tokens: Tensor, parts: Sequence[Part]) -> Tensor:
        marks = []
        for part in parts:
            own = self.regions[self.patch_regions[part.session_id].to(tokens.device)]
            own = F.pad(own, (0, 0, 0, tokens.shape[2] - len(own)))
            marks.append(own.expand(part.n_trials, 1, -1, -1))
        return tokens + torch.cat(marks)

    def _pooled(self, features: Tensor, parts: Sequence[Part]) -> Tensor:
        own = [features[p.rows, :, : self._n_patches(p.session_id)].mean(2) for p in parts]
        return torch.cat(own)

    def _read_out(
        self, batch: TrialBatch, weights: Sequence[Weights], features: Tensor, smoothed: Tensor
    ) -> Tensor:
        """Let the neurons of a patch read its features."""
        width, found = batch.counts.shape[2], []
        for part, own in zip(batch.parts, weights, strict=True):
            patches = self._own_patches(part.session_id)
            x, linear = features[part.rows], smoothed[part.rows]
            changes = [
                F.linear(torch.cat([x[:, :, i], linear], -1), own.read_out[p])
                for i, p in enumerate(patches)
            ]
            change = torch.cat(changes, -1)[..., torch.cat(patches).argsort()]
            found.append(F.pad(change, (0, width - change.shape[2])))
        return torch.cat(found)
