"""Sessions that count as new for an epoch, from which the encoder of neurons learns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from ._batching import SessionTensors
from .nn.calibration import Calibration
from .nn.stitching import Weights

__all__ = ["Newcomers", "start_session"]

# Share of the sessions that are new in an epoch, and the range of the share of their trials that
# calibrates them. The rest is what they are judged on, so that an encoder learns how far
# correlations of few trials can be trusted.
SHARE = 0.4
CALIBRATION = (0.3, 0.8)


@torch.no_grad()
def start_session(model: nn.Module, session: SessionTensors, *, factors: bool) -> Calibration:
    """Let a session start from what the encoder infers of its neurons from all its trials.

    For `factors` see :meth:`Stitch.start_from`.
    """
    calibration = model.calibrate(session.counts, session.names)
    weights = model.encoder(calibration)
    model.stitch(session.session_id).start_from(weights, factors=factors)
    return calibration


class Newcomers:
    """Draws, each epoch, which sessions are new to the model.

    A newcomer's weights come from the encoder alone, calibrated on some of its trials, and it
    trains on the others, exactly as an unseen session will be served. A session that is not new
    adds its own weights to what the encoder infers from all its trials, and does not train the
    encoder, which would learn to trust what it has seen.

    Parameters
    ----------
    model : nn.Module
        Backbone with an encoder.
    sessions : sequence of SessionTensors
        Training trials.
    """

    def __init__(self, model: nn.Module, sessions: Sequence[SessionTensors]) -> None:
        self.model = model
        self.sessions = sessions
        self.whole = [start_session(model, session, factors=True) for session in sessions]
        self.drawn: dict[int, Calibration] = {}

    def draw(self, generator: np.random.Generator) -> list[np.ndarray]:
        """Draw the newcomers of an epoch; return the trials of each session to train on."""
        self.drawn = {}
        trials = []
        for i, session in enumerate(self.sessions):
            n_trials = len(session.counts)
            order = generator.permutation(n_trials)
            n_calibration = int(n_trials * generator.uniform(*CALIBRATION))
            if generator.random() < SHARE and 0 < n_calibration < n_trials:
                rows = torch.as_tensor(np.sort(order[:n_calibration]))
                counts = session.counts[rows.to(session.counts.device)]
                self.drawn[i] = self.model.calibrate(counts, session.names)
                order = order[n_calibration:]
            else:
                with torch.no_grad():
                    weights = self.model.encoder(self.whole[i])
                self.model.stitch(session.session_id).restart_from(weights, factors=True)
            trials.append(order)
        return trials

    def weights(self, i: int, dropout: torch.Generator) -> Weights | None:
        """Return a newcomer's weights, or None for a session that is not new."""
        return self.model.encoder(self.drawn[i], generator=dropout) if i in self.drawn else None
