"""A small backbone and the tensors of its sessions."""

import torch

from neuromask.nn.ndt1 import NDT1, NDT1Config
from neuromask.nn.session_weights import SessionStatistics
from neuromask.training.batches import SessionTensors


def backbone_of(sessions, **options):
    """Make an NDT1 that has learned nothing, and the tensors of the sessions it has stitches for."""
    config = NDT1Config(dim=16, n_heads=2, n_linear=4, **options)
    statistics = [SessionStatistics.of(s.counts, s.session_id) for s in sessions]
    model = NDT1(config, statistics, 4, torch.Generator().manual_seed(0))
    tensors = [
        SessionTensors(
            s.session_id, torch.tensor(s.counts), torch.zeros(s.n_neurons, dtype=torch.long)
        )
        for s in sessions
    ]
    return model, tensors
