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
from torch import Tensor

from .layers import parameter
from .ndt1 import NDT1, NDT1Config
from .session_weights import SessionStatistics, Stitch

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

    def _patches(self, session_id: str) -> list[Tensor]:
        device = self.hidden_token.device
        return [p.to(device) for p in self.patches[session_id]]

    def _mark(self, tokens: Tensor, session_id: str) -> Tensor:
        return tokens + self.regions[self.patch_regions[session_id].to(tokens.device)]
