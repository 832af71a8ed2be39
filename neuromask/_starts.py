"""What the sessions of a batch start from, where the backbone has an encoder of neurons."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from ._batching import SessionTensors
from .nn.calibration import Calibration, Calibrator
from .nn.stitching import Weights

__all__ = ["NEW_SHARE", "Starts", "start_session"]

# Share of the sessions that are new in an epoch of pretraining, and the range of the share of their
# trials that calibrates them.
NEW_SHARE = 0.4
CALIBRATION = (0.3, 0.8)


@torch.no_grad()
def start_session(model: nn.Module, session: SessionTensors) -> Calibrator:
    """Let a session start from what the encoder infers of its neurons from all its trials."""
    calibrator = model.calibrator(session.counts, session.names)
    model.stitch(session.session_id).start_from(model.encoder(calibrator.whole()))
    return calibrator


class Starts:
    """Gives each session of a batch weights inferred without looking at the batch's own activity.

    A session adds what it has learned to what the encoder infers from correlations and mean
    responses in all its trials but those of the batch: an inference from the very trials that it is
    judged on would look better than it is, and be trusted too much. Mean rates, and the factors
    that loadings refer to, stay those of all training trials. In pretraining some sessions are new in each epoch: they have nothing
    but the inference, from a share of their trials, and train on the others. They alone train the
    encoder, which so learns how far the correlations of few trials can be trusted.

    Parameters
    ----------
    model : nn.Module
        Backbone with an encoder.
    sessions : sequence of SessionTensors
        Training trials.
    new_share : float, default=0.4
        Probability that a session is new in an epoch.
    """

    def __init__(
        self, model: nn.Module, sessions: Sequence[SessionTensors], *, new_share: float = NEW_SHARE
    ) -> None:
        self.model = model
        self.sessions = sessions
        self.new_share = new_share
        self.calibrators = [start_session(model, session) for session in sessions]
        self.drawn: dict[int, Calibration] = {}

    def draw(self, generator: np.random.Generator) -> list[np.ndarray]:
        """Draw the new sessions of an epoch; return the trials of each session to train on."""
        self.drawn = {}
        trials = []
        for i, session in enumerate(self.sessions):
            n_trials = len(session.counts)
            order = generator.permutation(n_trials)
            n_calibration = int(n_trials * generator.uniform(*CALIBRATION))
            if generator.random() < self.new_share and 0 < n_calibration < n_trials:
                rows = torch.as_tensor(np.sort(order[:n_calibration]))
                counts = session.counts[rows.to(session.counts.device)]
                self.drawn[i] = self.model.calibrator(counts, session.names).whole()
                order = order[n_calibration:]
            trials.append(order)
        return trials

    def refresh(self) -> None:
        """Let the sessions' kept starts follow the encoder."""
        for session, calibrator in zip(self.sessions, self.calibrators, strict=True):
            with torch.no_grad():
                inferred = self.model.encoder(calibrator.whole())
            self.model.stitch(session.session_id).start_from(inferred)

    def weights(self, i: int, trials: Tensor, dropout: torch.Generator) -> Weights:
        """Return the weights of a session for some of its trials."""
        if i in self.drawn:
            return self.model.encoder(self.drawn[i], generator=dropout)
        with torch.no_grad():
            inferred = self.model.encoder(self.calibrators[i].without(trials))
        return self.model.stitch(self.sessions[i].session_id).weights(inferred)
