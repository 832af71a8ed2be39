"""What a pretrainer does with sessions that it was not fitted on."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.utils.validation import check_is_fitted
from torch import nn

from ._adaptation import STRATEGIES, adapt, device_tensors, with_sessions
from ._base import ModelHolder
from ._batching import SessionTensors
from ._errors import InvalidInputError
from ._pretraining import MaskedPrediction
from ._progress import fit_progress
from ._random import RandomStreams, random_streams
from ._recordings import (
    MANY_TRIALS,
    Recording,
    SessionInfo,
    is_session_list,
    read_known,
    read_unseen,
    split_trials,
    table_exclusions,
)
from ._shrinkage import shrink
from ._starts import Newcomers, Starts, start_session
from ._training import TrainingConfig, resolve_device, resolve_precision
from ._validation import check_choice, check_fraction, check_positive_int
from .schemes import Scheme, SchemeSampler

__all__ = ["Adapting"]

# What a session shares with others was learned from many: it moves slower than what is its own.
SHARED_RATE = 0.3
# What starts from the encoder's inference learns slower than what starts from chance.
RATE = {"few": 0.25, "many": 0.35}
MAX_EPOCHS = {"few": 120, "many": 60}
# Most of a session's trials in a batch, so that enough are left to infer its start from.
BATCH_SHARE = 0.2


class Adapting(ModelHolder):
    """Mixin of pretrainers that serve unseen sessions."""

    def calibrate(self, X: Any) -> Adapting:
        """Serve unseen sessions without training, from statistics of some of their trials.

        An encoder, trained across the fitted sessions, infers each neuron's read-in and read-out
        from its rate, its mean response, its correlations with other neurons and its region.

        Parameters
        ----------
        X : Session or list of Sessions
            Unlabelled trials of sessions that the model does not know.

        Returns
        -------
        MtMPretrainer
            A new estimator that knows these sessions too; this one is left as it is.

        Raises
        ------
        InvalidInputError
            If the model has no encoder, as one fitted on a single session, or the sessions do not
            fit it.

        Examples
        --------
        >>> import neuromask as nm
        >>> *known, new = nm.simulate(20, n_sessions=3, n_neurons=12, n_time=20)
        >>> pre = nm.MtMPretrainer(dim=16, n_layers=1, max_epochs=2, random_state=0).fit(known)
        >>> pre.calibrate(new).predict(new).shape
        (20, 20, 12)
        """
        check_is_fitted(self)
        caller = "MtMPretrainer.calibrate"
        if not self.model_.config.encode:
            raise InvalidInputError(
                f"{caller}: the model has no encoder of neurons, which is trained across sessions; "
                "fit it on several sessions (or with encode_neurons=True), or use finetune."
            )
        recordings = self._read_unseen(X, caller)
        new = self._with_sessions(recordings, np.random.default_rng(0), caller)
        device = next(new.model_.parameters()).device
        for session in device_tensors(recordings, self.ignore_regions, device):
            start_session(new.model_, session)
        return new

    def finetune(
        self,
        X: Any,
        *,
        X_val: Any = None,
        strategy: str = "auto",
        max_epochs: int | None = None,
        learning_rate: float | None = None,
        random_state: int | np.random.RandomState | np.random.Generator | None = None,
    ) -> Adapting:
        """Adapt to unseen sessions.

        They start as `calibrate` leaves them, or from chance where the model has no encoder, and
        train on the schemes of pretraining.

        Parameters
        ----------
        X : Session or list of Sessions
            Trials of sessions that the model does not know.
        X_val : same as `X`, optional
            Validation trials of the same sessions, instead of a share of `X` of
            `validation_fraction`, by default nothing for fewer than a hundred trials. The weights
            that score best on them are kept; those are the calibrated ones where training does not
            help. The distance of log-rates from the mean rates is then scaled as is best on them.
            Without validation trials the last weights are kept as they are.
        strategy : {"auto", "full", "gradual", "stitch"}, default="auto"
            Full trains everything, what sessions share at a lower rate; gradual trains the
            sessions' own weights for half of the epochs and then everything; stitch trains the
            sessions' own weights alone, which leaves predictions of the sessions fitted before
            exactly as they were. Auto is stitch for fewer than a hundred trials, and full for more
            or where the model has no encoder.
        max_epochs : int, optional
            Most passes over the trials; by default 60, or 120 for fewer than a hundred trials.
        learning_rate : float, optional
            Peak learning rate; by default 0.35 of that of pretraining, 0.25 of it for fewer than a
            hundred trials, and all of it where the model has no encoder.
        random_state : int, numpy generator or None, optional
            Owns chance; that of the constructor by default.

        Returns
        -------
        MtMPretrainer
            A new estimator that knows the fitted sessions and these; this one is left as it is.
            Its `history_` is that of fine-tuning; epochs where nothing was better than calibration
            stay in it.

        Raises
        ------
        InvalidInputError
            If the sessions do not fit the model, or a parameter is out of range.
        """
        check_is_fitted(self)
        caller = "MtMPretrainer.finetune"
        check_choice("strategy", strategy, ("auto", *STRATEGIES), caller=caller)
        if max_epochs is not None:
            check_positive_int("max_epochs", max_epochs, caller=caller)
        if learning_rate is not None:
            check_fraction("learning_rate", learning_rate, caller=caller, low=1e-12, high=10.0)
        recordings = self._read_unseen(X, caller)
        known = {r.info.session_id: r.info for r in recordings}
        streams = random_streams(self.random_state if random_state is None else random_state)
        encode = self.model_.config.encode
        few = min(len(r.counts) for r in recordings) < MANY_TRIALS and encode
        amount = "few" if few else "many"
        recordings, held_out = self._hold_out(recordings, X_val, known, streams, caller)
        n_trials = min(len(r.counts) for r in recordings)
        new = self._with_sessions(recordings, streams.numpy("init"), caller)
        device = resolve_device(self.device, caller=caller)
        if strategy == "auto":
            strategy = "stitch" if few else "full"
        if max_epochs is None:
            max_epochs = MAX_EPOCHS[amount]
        if learning_rate is None:
            learning_rate = self.learning_rate * (RATE[amount] if encode else 1.0)
        config = replace(
            self._training_config(device, caller),
            max_epochs=max_epochs,
            learning_rate=learning_rate,
            shared_rate=SHARED_RATE,
            batch_size=min(self.batch_size, max(8, round(BATCH_SHARE * n_trials))),
        )
        training, validation = (
            device_tensors(part, self.ignore_regions, device) for part in (recordings, held_out)
        )
        new.model_.to(device)
        starts = Starts(new.model_, training) if encode else None
        objective = self._objective(
            new.model_, training, validation, self.schemes_, config, streams, starts
        )
        with fit_progress(self.verbose, max_epochs) as on_epoch:
            new.history_ = adapt(
                new.model_, objective, list(known), strategy, config, streams, on_epoch=on_epoch
            )
        shrink(new.model_, objective)
        return new

    def _read_unseen(self, X: Any, caller: str) -> list[Recording]:
        return read_unseen(
            X, self.sessions_, n_time=self.model_.n_time, rebin=self.rebin, caller=caller
        )

    def _with_sessions(
        self,
        recordings: Sequence[Recording],
        chance: np.random.Generator,
        caller: str,
    ) -> Adapting:
        """Copy the estimator and let it know more sessions."""
        infos = {r.info.session_id: r.info for r in recordings}
        excluded = table_exclusions(infos, self.schemes_, self.ignore_regions, caller=caller)
        generator = torch.Generator().manual_seed(int(chance.integers(2**62)))
        new = copy.copy(self)
        new.model_ = with_sessions(self.model_, recordings, generator)
        new.excluded_ = pd.concat([self.excluded_, excluded], ignore_index=True)
        return new._know(self.sessions_ | infos)

    def _know(self, sessions: dict[str, SessionInfo]) -> Adapting:
        """Set what follows from the sessions that the model knows."""
        self.sessions_ = sessions
        names = {name for info in sessions.values() for name in info.regions or ()}
        self.regions_ = np.array(sorted(names), dtype=str)
        self._n_features_out = self.model_.n_features
        if len(sessions) == 1:
            (info,) = sessions.values()
            self.n_features_in_ = info.n_neurons
        elif hasattr(self, "n_features_in_"):
            del self.n_features_in_
        return self

    def _hold_out(
        self,
        recordings: list[Recording],
        X_val: Any,
        known: dict[str, SessionInfo],
        streams: RandomStreams,
        caller: str,
    ) -> tuple[list[Recording], list[Recording]]:
        """Return training and validation trials; those of `X_val` where it is given."""
        if X_val is None:
            return split_trials(recordings, self.validation_fraction, streams.numpy("split"))
        given = X_val if is_session_list(X_val) else [X_val]
        caller = f"{caller} (X_val)"
        return recordings, [read_known(x, known, rebin=self.rebin, caller=caller) for x in given]

    def _training_config(self, device: torch.device, caller: str) -> TrainingConfig:
        return TrainingConfig(
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            batch_size=self.batch_size,
            max_epochs=self.max_epochs,
            n_iter_no_change=self.n_iter_no_change,
            precision=resolve_precision(self.precision, device, caller=caller),
        )

    def _objective(
        self,
        model: nn.Module,
        training: Sequence[SessionTensors],
        validation: Sequence[SessionTensors],
        schemes: tuple[Scheme, ...],
        config: TrainingConfig,
        streams: RandomStreams,
        starts: Newcomers | Starts | None,
    ) -> MaskedPrediction:
        """Make what is learned of sessions that the backbone has stitches for."""
        return MaskedPrediction(
            model,
            training,
            validation,
            SchemeSampler(schemes, per_batch=self.mask_per_batch),
            config,
            streams,
            neuron_dropout=self.neuron_dropout,
            region_dropout=self.region_dropout,
            balanced=self.session_sampling == "balanced",
            starts=starts,
        )
