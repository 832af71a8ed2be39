"""Sessions that are new to a network: room for them, and what their weights start from."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from .._known import Recording, TrialShare
from ..errors import InvalidInputError
from ..nn.neuron_encoder import NeuronEncoder
from ..nn.neuron_statistics import NeuronStatistics, PopulationStatistics
from ..nn.session_network import SessionNetwork
from ..nn.session_weights import SessionStatistics, Weights
from .batches import SessionTensors

__all__ = [
    "InferredStarts",
    "PretendedNew",
    "add_sessions",
    "describe_neurons",
    "dropping_less",
    "start_from_factors",
    "start_session",
]

# About one session is new in an epoch of pretraining, within these bounds on a session's chance of
# being new; and the range of the share of its trials that calibrates it.
NEW_SHARE = (0.1, 0.25)
CALIBRATION_SHARE = (0.1, 0.8)
# Share of batches in which the encoder is not told where a new session's neurons are, so that it learns
# what activity alone says of them.
UNTOLD = 0.3
# Dropout of what read-outs read in fine-tuning of stitches alone: a start that never saw the trials of the batch does
# not overfit as one from chance does.
ADAPTING_DROPOUT = {"linear_dropout": 0.1, "trunk_dropout": 0.1}


def add_sessions(
    model: SessionNetwork, recordings: Sequence[Recording | TrialShare], generator: torch.Generator
) -> SessionNetwork:
    """Return a copy of a backbone that has room for more sessions, of which it knows nothing yet."""
    model = copy.deepcopy(model)
    for r in recordings:
        model.add_session(
            SessionStatistics.of(r.counts, r.info.session_id, r.info.regions, r.observed),
            generator,
        )
    return model


@torch.no_grad()
def start_from_factors(model: SessionNetwork, session: SessionTensors) -> None:
    """Let a session's linear path start from the factors of its population, where it has one.

    Factors are a linear model of the population that no gradient has touched; see
    :mod:`neuromask.nn.neuron_statistics`. Those that noise would show too stay as chance made them.
    """
    n_linear = model.sizes["n_linear"]
    if not (n_linear and model.smoothing):
        return
    counts, observed = session.everything()
    found = model.population_statistics(counts, session.names, observed).whole()
    stitch = model.stitch(session.session_id)
    known = found.factor_in.abs().sum(0) > 0
    stitch.linear_in.weight[known] = found.factor_in.T[known]
    stitch.read_out.weight[:, -n_linear:][:, known] = found.factor_out[:, known]


class PretendedNew:
    """In pretraining, lets some sessions of each epoch count as new.

    They have nothing but what the encoder infers from a share of their trials, and train on the
    others, so that encoder and trunk learn to serve sessions that they have never seen. In other
    epochs a session has its own weights, which start from chance and owe the encoder nothing: a
    start that moves with the encoder would slow both.

    Parameters
    ----------
    model : SessionNetwork
        Backbone with an encoder.
    sessions : sequence of SessionTensors
        Training trials.
    """

    def __init__(self, model: SessionNetwork, sessions: Sequence[SessionTensors]) -> None:
        self.model = model
        self.sessions = sessions
        self.share = float(np.clip(1 / len(sessions), *NEW_SHARE))
        self.drawn: dict[int, NeuronStatistics] = {}

    def draw(self, generator: np.random.Generator) -> list[np.ndarray]:
        """Draw the new sessions of an epoch; return the trials of each session to train on."""
        self.drawn = {}
        trials = []
        for i, session in enumerate(self.sessions):
            n_trials = len(session)
            order = generator.permutation(n_trials)
            n_calibration = int(n_trials * generator.uniform(*CALIBRATION_SHARE))
            if generator.random() < self.share and 0 < n_calibration < n_trials:
                rows = torch.as_tensor(np.sort(order[:n_calibration]))
                rows = rows.to(session.counts.device)
                self.drawn[i] = self.model.population_statistics(
                    session.take(rows),
                    session.names,
                    None if session.observed is None else session.take(rows, observed=True),
                ).whole()
                order = order[n_calibration:]
            trials.append(order)
        return trials

    def learns(self, i: int) -> bool:
        """Say whether a session learns weights of its own in this epoch."""
        return i not in self.drawn

    def weights(self, i: int, trials: Tensor, dropout: torch.Generator) -> Weights | None:
        """Return the weights of a session if it is new, or None for its own."""
        if i not in self.drawn:
            return None
        statistics = self.drawn[i]
        told = torch.rand((), generator=dropout, device=trials.device) >= UNTOLD
        statistics = replace(statistics, region=statistics.region * told)
        return _encoder(self.model)(statistics, generator=dropout)


@torch.no_grad()
def start_session(model: SessionNetwork, session: SessionTensors) -> PopulationStatistics:
    """Let a session start from what the encoder infers of its neurons from all its trials."""
    counts, observed = session.everything()
    statistics = model.population_statistics(counts, session.names, observed)
    model.stitch(session.session_id).start_from(_encoder(model)(statistics.whole()))
    return statistics


@torch.no_grad()
def describe_neurons(model: SessionNetwork, session: SessionTensors) -> Tensor:
    """Return what the encoder makes of a session's neurons from all its trials, (neurons, features)."""
    counts, observed = session.everything()
    statistics = model.population_statistics(counts, session.names, observed)
    return _encoder(model).embed(statistics.whole())


class InferredStarts:
    """In fine-tuning, infers what sessions start from without looking at a batch's own activity.

    A session adds what it learns to what the encoder infers from correlations and mean responses in
    all its trials but those of the batch: an inference from the very trials that it is judged on
    would look better than it is, and be trusted too much. Mean rates, and the factors that loadings
    refer to, stay those of all training trials.

    Parameters
    ----------
    model : SessionNetwork
        Backbone with an encoder, which stays as it is.
    sessions : sequence of SessionTensors
        Training trials of sessions that the backbone has just met.
    """

    def __init__(self, model: SessionNetwork, sessions: Sequence[SessionTensors]) -> None:
        for session in sessions:
            if len(session) < 2:
                raise InvalidInputError(
                    f"session {session.session_id!r} has a single trial to train on; expected at "
                    "least two, as a trial's neurons are inferred from the others. Give more "
                    "trials; where validation_fraction sets some aside, set it to 0."
                )
        self.model = model
        self.sessions = sessions
        self.statistics = [start_session(model, session) for session in sessions]

    def draw(self, generator: np.random.Generator) -> list[np.ndarray]:
        """Return the trials of each session to train on, which are all of them."""
        return [np.arange(len(session)) for session in self.sessions]

    def learns(self, i: int) -> bool:
        """Say whether a session learns weights of its own, which they all do."""
        return True

    def weights(self, i: int, trials: Tensor, dropout: torch.Generator) -> Weights:
        """Return the weights of a session for some of its trials."""
        with torch.no_grad():
            # Balanced sampling may draw a trial twice, which is to be left out once.
            inferred = _encoder(self.model)(self.statistics[i].without(trials.unique()))
        return self.model.stitch(self.sessions[i].session_id).weights(inferred)


@contextmanager
def dropping_less(model: SessionNetwork) -> Iterator[None]:
    """Let a backbone with an encoder drop less of what read-outs read, for as long as this lasts."""
    names = [] if model.encoder is None else [n for n in ADAPTING_DROPOUT if hasattr(model, n)]
    usual = {name: getattr(model, name) for name in names}
    try:
        for name in usual:
            setattr(model, name, ADAPTING_DROPOUT[name])
        yield
    finally:
        for name, probability in usual.items():
            setattr(model, name, probability)


def _encoder(model: SessionNetwork) -> NeuronEncoder:
    if model.encoder is None:
        raise TypeError("this network has no encoder of neurons to infer weights with.")
    return model.encoder
