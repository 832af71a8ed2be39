"""One read-out for many sessions, and for animals of which no label is known.

The trunk's features mean the same in every session, as all sessions pass the same blocks. Two things are
needed for that. First, neurons must come into the trunk by the same way: what the encoder of neurons
infers, also in sessions whose own weights were trained. On three mice of Steinmetz et al. (2019) a
read-out of stimulus presence had a balanced accuracy of 0.70 on the mouse left out so, and of 0.49 where
the sessions of the fit kept weights of their own. Second, each feature is set to mean zero and variance
one over a session's own trials, for which no label is needed. (The linear path's features do not mean the
same: they are factors of one session's population, of any order and sign.)

One ridge regression then serves all sessions. Its strength is chosen on animals left out, which is what
it is for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from .._known import Recording
from .._splits import Folds
from ..errors import InvalidInputError
from ..nn.fitted import FittedNetwork
from ..nn.session_weights import State, TrialGroup
from .features import WINDOWS, pooled, read_placed
from .readout import Readout, fit_readout, make_folds
from .targets import Classes, Signals, Units

__all__ = [
    "Correction",
    "Standard",
    "join_targets",
    "session_folds",
    "shared_features",
]

# Below this share of the largest a standard deviation is rounding.
LEAST_SPREAD = 1e-6
# Factors on shared outputs to choose from where there are labels.
TRUSTS = (1.0, 0.5, 0.0)
# With fewer animals, leaving one out leaves too few to learn from.
FEWEST_ANIMALS = 3


class Standard(NamedTuple):
    """Mean and standard deviation of a session's features, (features,); 0 where they do not vary."""

    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, features: np.ndarray) -> Standard:
        """Measure features (trials, time or 1, features)."""
        return cls(features.mean((0, 1), dtype=float), features.std((0, 1), dtype=float))

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Bring features to mean zero and variance one."""
        varies = self.scale > LEAST_SPREAD * max(self.scale.max(), 1e-300)
        factor = np.divide(1.0, self.scale, out=np.zeros(len(varies)), where=varies)
        return ((features - self.mean) * factor).astype(np.float32)


def shared_features(
    network: FittedNetwork, recording: Recording, hidden: np.ndarray, scheme: str, *, per_bin: bool
) -> np.ndarray:
    """Return what is read of trials of any session, float32 (trials, time or 1, features).

    Parameters
    ----------
    network : FittedNetwork
        Network that was calibrated on the session.
    recording : Recording
        Trials.
    hidden : ndarray of bool, (neurons,)
        Neurons that are not seen.
    scheme : str
        Scheme whose prompt to use.
    per_bin : bool
        Whether behaviour has a value in every bin, or one a trial.
    """
    # The linear path's features, which are not shared, are the last.
    n_trunk = network.model.n_features - network.model.sizes["n_linear"]

    def compute(state: State, group: TrialGroup) -> Tensor:
        trunk = state.features[:, :, :n_trunk].float()
        return trunk if per_bin else torch.cat([pooled(trunk, n) for n in WINDOWS], -1)[:, None]

    return read_placed(network, recording, hidden, scheme, compute)


def join_targets(targets: Sequence[Classes | Signals]) -> Classes | Signals:
    """Put the targets of several sessions behind one another.

    Raises
    ------
    InvalidInputError
        If signals have other bins or variables from session to session.
    """
    classes = [target for target in targets if isinstance(target, Classes)]
    if classes:
        kinds = {"text" if target.labels.dtype.kind in "OUS" else "numbers" for target in classes}
        if len(kinds) > 1:
            raise InvalidInputError(
                "labels are text in some sessions and numbers in others; expected the same labels in all. Use "
                f"one kind, such as {classes[0].labels.tolist()}."
            )
        labels = np.unique(np.concatenate([target.labels for target in classes]))
        codes = [np.searchsorted(labels, target.labels)[target.codes] for target in classes]
        return Classes(labels, np.concatenate(codes))
    signals = [target for target in targets if isinstance(target, Signals)]
    shapes = [target.units.shape for target in signals]
    if len(set(shapes)) > 1:
        raise InvalidInputError(
            f"signals have the shapes {sorted(set(shapes))} in a trial; expected one shape in all "
            "sessions. Cut their trials alike."
        )
    values = np.concatenate([target.values for target in signals])
    known = None
    if any(target.known is not None for target in signals):
        known = np.concatenate(
            [
                np.ones(target.values.shape[:2], bool) if target.known is None else target.known
                for target in signals
            ]
        )
    return Signals(values, Units.of(values, shapes[0], known), known)


def session_folds(n_trials: Sequence[int], subjects: Sequence[str | None]) -> Folds:
    """Leave out one animal at a time, or one session where fewer than three animals are known."""
    names = [name for name in subjects if name is not None]
    of_sessions = np.arange(len(n_trials))
    if len(names) == len(subjects) and len(set(names)) >= FEWEST_ANIMALS:
        of_sessions = np.unique(names, return_inverse=True)[1]
    groups = np.repeat(of_sessions, n_trials)
    trials = np.arange(len(groups))
    return [(trials[groups != g], trials[groups == g]) for g in np.unique(groups)]


class Correction(NamedTuple):
    """What a session's own labels tell: how far to trust a shared read-out, and what to add to it.

    Attributes
    ----------
    trust : float
        Factor on the shared outputs.
    own : Readout
        Read-out of the session's own features; its temperature and offset are those of the sum.
    """

    trust: float
    own: Readout

    @classmethod
    def fit(
        cls,
        features: np.ndarray,
        outputs: np.ndarray,
        target: Classes | Signals,
        *,
        block_sizes: Sequence[int],
        trial_weights: np.ndarray,
    ) -> Correction:
        """Fit what shared outputs miss, trusting them as far as is best on trials left out.

        Parameters
        ----------
        features : ndarray, (trials, time or 1, features)
            Of :func:`neuromask.decoding.features.read_features`.
        outputs : ndarray, (trials, time or 1, outputs)
            What the shared read-out makes of these trials.
        target : Classes or Signals
            Of these trials, in the classes or units of the shared read-out.
        block_sizes, trial_weights
            As in :func:`neuromask.decoding.readout.fit_readout`.
        """
        n_outputs = outputs.shape[2]
        units = Units(outputs.shape[1:2], np.zeros(n_outputs), np.ones(n_outputs))
        known = target.known if isinstance(target, Signals) else None
        found = []
        for trust in TRUSTS:
            readout = fit_readout(
                features,
                Signals(target.outputs - trust * outputs, units, known),
                block_sizes=block_sizes,
                trial_weights=trial_weights,
                folds=make_folds(target),
            )
            found.append(cls(trust, readout))
        best = min(found, key=lambda correction: correction.own.loss)
        whole = replace(best.own, left_out=best.own.left_out + best.trust * outputs)
        return best._replace(own=whole.with_temperature(target, trial_weights))

    def __call__(self, outputs: np.ndarray, features: np.ndarray) -> np.ndarray:
        """Correct shared outputs by a session's own features."""
        return self.trust * outputs + self.own.predict(features)
