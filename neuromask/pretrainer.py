"""MtMPretrainer: the scikit-learn estimator of multi-task-masking models."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn import get_config
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from ._checkpoint import plain, plain_table, read_folder, read_plain_table, write_folder
from ._checks import as_array, as_names, check_choice, check_fraction, check_positive_int
from ._counts import read_spikes
from ._estimator import SpikesEstimator
from ._known import Recording, SessionInfo, TrialShare, refuse_another, region_members
from ._observed import observed_mean
from ._random import RandomStreams, random_streams
from ._recordings import (
    MANY_TRIALS,
    agree_on_bin_width,
    is_session_list,
    read_known,
    read_new_sessions,
    read_to_fit,
    split_trials,
    table_exclusions,
)
from ._splits import VALIDATIONS
from .errors import CheckpointError, InvalidInputError, about, public, warn
from .evaluation import (
    PredictRates,
    evaluate,
    predict_hidden,
    summarise,
    task_scheme,
    translation_matrix,
)
from .nn.backbones import available_backbones, find_backbone
from .nn.device import resolve_device, resolve_precision
from .nn.fitted import FittedNetwork
from .nn.session_network import SessionNetwork
from .nn.session_weights import SessionStatistics
from .schemes import (
    MTM_SCHEMES,
    Scheme,
    describe_scheme,
    described_scheme,
    resolve_schemes,
    scheme_index,
)
from .session import Session, as_session
from .streaming import Stream, named_session
from .training.batches import SessionTensors
from .training.fitting import Masking, fit_network, session_tensors
from .training.loop import TrainingConfig
from .training.new_sessions import (
    add_sessions,
    describe_neurons,
    start_from_factors,
    start_session,
)
from .training.parameters import ADAPTATION_STAGES
from .training.progress import fit_progress, steps

__all__ = ["PAPER_SIZES", "MtMPretrainer", "check_parameters", "fitted_network", "load"]

POOLINGS = ("mean", "none")
POSITIONS = ("learned", "rope")
SAMPLINGS = ("proportional", "balanced")
PRECISIONS = ("auto", "bf16", "fp32")
# Parameters that shape the weights, beside schemes and encode_neurons, which fitted models tell.
ARCHITECTURE = ("backbone", "dim", "n_layers", "n_heads", "dropout", "positions", "prompted")
# Passes over the trials of one session, and of several.
EPOCHS = {"one": 66, "several": 100}
# What a session shares with others was learned from many: it moves slower than what is its own.
SHARED_RATE = 0.3
# What starts from the encoder's inference learns slower than what starts from chance.
ADAPTING_RATE = {"few": 0.17, "many": 1.0}
ADAPTING_EPOCHS = {"few": 120, "many": 66}
# Share of a session's trials that a batch of fine-tuning may hold, so that enough are left to infer its start from.
BATCH_SHARE = 0.2

#: Sizes and training of the published NDT1 models: ``MtMPretrainer(**PAPER_SIZES)``. They want many
#: sessions and a GPU; on a single recording the defaults predict better.
PAPER_SIZES = {
    "dim": 512,
    "n_layers": 5,
    "n_heads": 8,
    "dropout": 0.4,
    "learning_rate": 1e-4,
    "weight_decay": 0.01,
    "batch_size": 16,
    "max_epochs": 1000,
    "n_iter_no_change": 1000,
}


class MtMPretrainer(
    SpikesEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator
):
    """Pretrain a transformer on spike counts by alternating masking schemes.

    The fitted model predicts any neuron, region or future bin from the rest, and embeds trials.

    Parameters
    ----------
    backbone : str, default="ndt1"
        Registered backbone.
    positions : {"learned", "rope"}, default="learned"
        How tokens know their time: an embedding of each bin, or rotary positions in attention.
    schemes : sequence of str or Scheme, default=("neuron", "causal", "intra-region", "inter-region")
        Masking schemes to alternate; each gets its own prompt. ``("temporal",)`` is the usual
        baseline.
    mask_ratio : float or (float, float), default=0.3
        Probability of hiding a neuron in the neuron and intra-region schemes and an entry in the
        temporal and random ones; a pair draws it uniformly for each trial.
    mask_per_batch : bool, default=False
        Draw one scheme and mask for a whole batch, as published, instead of one a trial.
    prompted : bool, default=True
        Give each scheme a prompt of its own, or have all share one.
    neuron_dropout, region_dropout : float, default=0
        Probability of hiding a whole neuron or region beside what a scheme hides, in training.
    session_sampling : {"proportional", "balanced"}, default="proportional"
        Whether an epoch takes each training trial once, or as many trials of every session. Trials
        that calibrate a session which counts as new in an epoch are left out of it.
    encode_neurons : bool or "auto", default="auto"
        Train an encoder that infers a neuron's weights from its statistics and region, which new
        sessions start from; auto does where several sessions are fitted and the backbone can.
    dim, n_layers, n_heads : int, default=128, 2, 4
        Width, depth and attention heads of the trunk.
    dropout : float, default=0.3
        Dropout inside the trunk.
    learning_rate : float, default=3e-3
        Peak learning rate of AdamW.
    weight_decay : float, default=0.3
        Decay of the weights of linear layers, except read-outs, which have a prior instead.
    batch_size : int, default=32
        Most trials of a session in a batch; a batch mixes up to four sessions.
    max_epochs : int or "auto", default="auto"
        Most passes over the trials. Auto is 66 for one session and 100 for several, whose shared
        weights have more to learn.
    n_iter_no_change : int, default=60
        Epochs without a better validation score after which training stops.
    validation_fraction : float or "auto", default="auto"
        Share of each session's trials set aside to choose the best weights, where `X_val` is not
        given. Auto is 0.1 for sessions of at least a hundred trials and 0 for others; where nothing
        is set aside all trials train, and the last weights are kept. Trials set aside also say how
        far a session's log-rates are moved back towards its mean rates: a model is too sure of
        itself on trials that it was not trained on.
    validation : {"blocked", "random"}, default="blocked"
        How these trials are chosen. Blocked takes runs of consecutive trials, one from each fifth of
        a session, and random takes one by one. In a session whose rates drift, a single trial is
        predicted from its neighbours; runs judge more as trials that are yet to come would.
    pooling : {"mean", "none"}, default="mean"
        How `transform` pools over time: averages give (trials, features), none (trials, time,
        features).
    regions : array-like of str, (neurons,), optional
        Regions of the neurons of arrays, which carry none, for use inside pipelines and
        cross-validation. A Session's own regions must be the same, where it has them.
    ignore_regions : str or sequence of str, default=("root", "void")
        Regions that are never targets of the region schemes and tasks; their neurons stay inputs.
    rebin : float, optional
        Seconds of the bins that Sessions are summed into; sessions of several bin widths need it.
    device : str, default="auto"
        ``"cpu"``, ``"cuda"`` or whichever is there.
    precision : {"auto", "bf16", "fp32"}, default="auto"
        Arithmetic of the network; auto takes bf16 where the hardware multiplies it fast: GPUs, CPUs
        with AMX, and AMD's with AVX-512.
    warm_start : bool, default=False
        Go on from the weights of the last fit, if the sessions, their neurons, regions, animals and
        bin widths are the same; other sessions start anew, with a warning. What the weights were made for (`backbone`, sizes,
        `dropout`, `positions`, `prompted`, `schemes`, `encode_neurons`, the longest trial) must be as
        it was. Each fit runs a whole schedule of its own: the learning rate rises and falls again
        over `max_epochs`, the optimiser forgets, and only weights of this fit are candidates for the
        best ones. `history_` goes on, its epochs and steps counted through.
    random_state : int, numpy generator or None, default=None
        Owns initial weights, masks, batches and dropout. The same int gives the same model bit by bit
        on the same CPU with the same number of threads. On CUDA it gives the same masks and batches,
        but some sums (of losses, of prompts' gradients, in attention) add up in an order that varies,
        so that two fits agree to rounding at first and drift apart over many epochs;
        ``torch.use_deterministic_algorithms(True)`` asks torch for fixed orders where it has them.
    verbose : int, default=0
        1 shows progress.

    Attributes
    ----------
    sessions_ : dict of str to SessionInfo
        What is known of each fitted session, by session_id.
    regions_ : ndarray of str
        Region names over all sessions.
    bin_width_ : float or None
        Seconds of the bins; None where no session says.
    history_ : DataFrame
        One row an epoch, with the losses and, where trials were set aside, the bits per spike of
        each scheme on these, before log-rates are moved back towards the mean rates.
    excluded_ : DataFrame
        What was left out: session, item, name and reason.
    n_features_in_ : int
        Neurons, where a single session was fitted.

    References
    ----------
    Zhang, Y. et al. (2024). Towards a "universal translator" for neural dynamics at single-cell,
    single-spike resolution. NeurIPS.

    Examples
    --------
    >>> import neuromask as nm
    >>> session = nm.simulate(40, n_neurons=12, n_time=20, random_state=0)
    >>> pre = nm.MtMPretrainer(dim=16, n_layers=1, max_epochs=2, random_state=0).fit(session)
    >>> pre.predict(session).shape
    (40, 20, 12)
    """

    model_: SessionNetwork
    bin_width_: float | None
    history_: pd.DataFrame
    _architecture: dict[str, Any]

    def __init__(
        self,
        *,
        backbone: str = "ndt1",
        positions: str = "learned",
        schemes: Sequence[str | Scheme] = MTM_SCHEMES,
        mask_ratio: float | tuple[float, float] = 0.3,
        mask_per_batch: bool = False,
        prompted: bool = True,
        neuron_dropout: float = 0.0,
        region_dropout: float = 0.0,
        session_sampling: str = "proportional",
        encode_neurons: bool | str = "auto",
        dim: int = 128,
        n_layers: int = 2,
        n_heads: int = 4,
        dropout: float = 0.3,
        learning_rate: float = 3e-3,
        weight_decay: float = 0.3,
        batch_size: int = 32,
        max_epochs: int | str = "auto",
        n_iter_no_change: int = 60,
        validation_fraction: float | str = "auto",
        validation: str = "blocked",
        pooling: str = "mean",
        regions: Any = None,
        ignore_regions: str | Sequence[str] = ("root", "void"),
        rebin: float | None = None,
        device: str = "auto",
        precision: str = "auto",
        warm_start: bool = False,
        random_state: int | np.random.RandomState | np.random.Generator | None = None,
        verbose: int = 0,
    ) -> None:
        self.backbone = backbone
        self.positions = positions
        self.schemes = schemes
        self.mask_ratio = mask_ratio
        self.mask_per_batch = mask_per_batch
        self.prompted = prompted
        self.neuron_dropout = neuron_dropout
        self.region_dropout = region_dropout
        self.session_sampling = session_sampling
        self.encode_neurons = encode_neurons
        self.dim = dim
        self.n_layers = n_layers
        self.n_heads = n_heads
        self.dropout = dropout
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.n_iter_no_change = n_iter_no_change
        self.validation_fraction = validation_fraction
        self.validation = validation
        self.pooling = pooling
        self.regions = regions
        self.ignore_regions = ignore_regions
        self.rebin = rebin
        self.device = device
        self.precision = precision
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []  # counts in, float32 out
        return tags

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        if "model_" in state and next(self.model_.parameters()).device.type != "cpu":
            state = state | {"model_": copy.deepcopy(self.model_).cpu()}
        return state

    @public
    def fit(
        self, X: Any, y: Any = None, *, regions: Any = None, X_val: Any = None
    ) -> MtMPretrainer:
        """Pretrain on one session or several.

        Parameters
        ----------
        X : Session, array-like of int (trials, time, neurons), or list of either
            Spike counts per bin.
        y : array-like, optional
            Ignored, so that pipelines work; but ``fit(X, regions)`` is understood where the second
            argument can only be regions, that is, has one entry a neuron and not one a trial.
        regions : array-like of str, (neurons,), optional
            Region of each neuron; a list of them for a list of arrays. They count for more than
            those that a Session carries.
        X_val : same as `X`, optional
            Validation trials of the same sessions, instead of a share of `X`.

        Returns
        -------
        MtMPretrainer
            Itself.

        Raises
        ------
        InvalidInputError
            If the counts are not counts, regions do not fit, or a parameter is out of range. Raised
            before any work; a model fitted before is kept.
        DivergedError
            If training diverged before any weights were validated; a model fitted before is kept.
        KeyboardInterrupt
            If it was interrupted where something else made this call: scikit-learn, `compare`, the
            command line. A person's own call returns with the best weights so far, and warns.
        """
        schemes = check_parameters(self)
        recordings = read_to_fit(X, y, regions, self.regions, rebin=self.rebin)
        known = {r.info.session_id: r.info for r in recordings}
        device = resolve_device(self.device)
        config = self._training_config(device, len(recordings))
        streams = random_streams(self.random_state)
        training, held_out = self._hold_out(recordings, X_val, known, streams)
        excluded = table_exclusions(known, schemes, self.ignore_regions)
        goes_on = self.warm_start and hasattr(self, "model_") and self._goes_on(recordings, schemes)
        if goes_on:
            architecture = self._architecture
            model = copy.deepcopy(self.model_).to(device)
        else:
            architecture = self._asked_architecture(recordings)
            model = _new_model(training, architecture, schemes, streams.torch("init")).to(device)
        with fit_progress(self.verbose, config.max_epochs) as on_epoch:
            history = fit_network(
                model,
                training,
                held_out,
                self._masking(schemes),
                config,
                streams,
                on_epoch=on_epoch,
            )
        self.model_ = model
        self.history_ = _continued(self.history_, history) if goes_on else history
        self.schemes_ = schemes
        self._architecture = architecture
        self.excluded_ = excluded
        self.bin_width_ = None
        return self._know(known)

    def fit_transform(self, X: Any, y: Any = None, **fit_params: Any) -> np.ndarray:
        """Fit, then embed the same trials; `y` is a target and ignored, never regions."""
        return self.fit(X, **fit_params).transform(X)

    @public
    def calibrate(self, X: Any) -> MtMPretrainer:
        """Serve new sessions without training, from statistics of some of their trials.

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
            If the model has no encoder, as one fitted on a single session, the sessions do not fit
            it, or a parameter is out of range.

        Examples
        --------
        >>> import neuromask as nm
        >>> *known, new = nm.simulate(20, n_sessions=3, n_neurons=12, n_time=20)
        >>> pre = nm.MtMPretrainer(dim=16, n_layers=1, max_epochs=2, random_state=0).fit(known)
        >>> pre.calibrate(new).predict(new).shape
        (20, 20, 12)
        """
        check_is_fitted(self)
        check_parameters(self)
        self._need_encoder("use finetune, or ")
        recordings = self._read_new_sessions(X)
        new = self._with_sessions(recordings, np.random.default_rng(0))
        device = next(new.model_.parameters()).device
        for session in session_tensors(recordings, self.ignore_regions, device):
            start_session(new.model_, session)
        return new

    @public
    def forget(self, session_ids: str | Sequence[str] | None = None) -> MtMPretrainer:
        """Return a copy that has forgotten sessions, and holds none of their weights and names.

        What all sessions share stays: with an encoder of neurons the copy calibrates to new sessions as
        this model does. It is smaller, and tells nothing of single neurons.

        Parameters
        ----------
        session_ids : str or sequence of str, optional
            Sessions to forget; all by default.

        Returns
        -------
        MtMPretrainer
            The copy; this one is left as it is.

        Raises
        ------
        UnknownSessionError
            If a session is not known.

        Examples
        --------
        >>> import neuromask as nm
        >>> sessions = nm.simulate(30, n_sessions=3, n_neurons=12, n_time=20, random_state=0)
        >>> pre = nm.MtMPretrainer(dim=16, n_layers=1, max_epochs=1, random_state=0).fit(sessions[:2])
        >>> shared = pre.forget()
        >>> list(shared.sessions_), list(shared.calibrate(sessions[2]).sessions_)
        ([], ['sim-2'])
        """
        check_is_fitted(self)
        named = self.sessions_ if session_ids is None else as_names("session_ids", session_ids)
        gone = {named_session(name, self.sessions_).session_id for name in named}
        new = copy.copy(self)
        new.model_ = copy.deepcopy(self.model_)
        new.model_.keep_sessions([name for name in self.sessions_ if name not in gone])
        if len(self.excluded_):
            there = ~self.excluded_["session"].isin(gone)
            new.excluded_ = self.excluded_[there].reset_index(drop=True)
        return new._know({name: i for name, i in self.sessions_.items() if name not in gone})

    @public
    def finetune(
        self,
        X: Any,
        *,
        X_val: Any = None,
        strategy: str = "auto",
        max_epochs: int | None = None,
        learning_rate: float | None = None,
        random_state: int | np.random.RandomState | np.random.Generator | None = None,
    ) -> MtMPretrainer:
        """Go on training on new sessions.

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
            Most passes over the trials; by default 66, or 120 for fewer than a hundred trials.
        learning_rate : float, optional
            Peak learning rate; by default that of pretraining, and 0.17 of it for fewer than a hundred
            trials where the model has an encoder.
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
        DivergedError, KeyboardInterrupt
            As in `fit`.
        """
        check_is_fitted(self)
        check_parameters(self)
        check_choice("strategy", strategy, ("auto", *ADAPTATION_STAGES))
        if max_epochs is not None:
            check_positive_int("max_epochs", max_epochs)
        if learning_rate is not None:
            check_fraction("learning_rate", learning_rate, low=1e-12, high=10.0)
        recordings = self._read_new_sessions(X)
        known = {r.info.session_id: r.info for r in recordings}
        streams = random_streams(self.random_state if random_state is None else random_state)
        encode = self.model_.encoder is not None
        few = min(len(r.counts) for r in recordings) < MANY_TRIALS and encode
        amount = "few" if few else "many"
        training, held_out = self._hold_out(recordings, X_val, known, streams)
        new = self._with_sessions(training, streams.numpy("init"))
        device = resolve_device(self.device)
        if strategy == "auto":
            strategy = "stitch" if few else "full"
        if max_epochs is None:
            max_epochs = ADAPTING_EPOCHS[amount]
        if learning_rate is None:
            learning_rate = self.learning_rate * (ADAPTING_RATE[amount] if encode else 1.0)
        config = replace(
            self._training_config(device, len(recordings)),
            max_epochs=max_epochs,
            learning_rate=learning_rate,
            shared_rate=SHARED_RATE,
            batch_share=BATCH_SHARE,
            validate_start=True,
        )
        new.model_.to(device)
        with fit_progress(self.verbose, max_epochs) as on_epoch:
            new.history_ = fit_network(
                new.model_,
                training,
                held_out,
                self._masking(self.schemes_),
                config,
                streams,
                strategy=strategy,
                on_epoch=on_epoch,
            )
        return new

    @public
    def predict(self, X: Any, *, scheme: str | None = None, hidden: Any = None) -> np.ndarray:
        """Predict the expected count of every entry from all that is visible, itself included.

        Nothing is hidden unless `hidden` says so, and these rates have then seen the counts that
        they predict: do not score them against these counts, and do not draw them as predictions.
        :meth:`predict_hidden` gives rates that have not.

        Parameters
        ----------
        X : Session or array-like, (trials, time, neurons) or (time, neurons)
            Trials of a fitted session, or a whole recording. Trials may be shorter than the fitted
            ones. Of longer ones, and of whole recordings, windows as long as the fitted trials are
            predicted that overlap by half, and each bin is taken from the window whose centre is
            nearest.
        scheme : str, optional
            Fitted scheme whose prompt and attention to use; by default the first one fitted.
        hidden : array-like of bool, broadcast to (trials, time, neurons), optional
            Entries the model may not see; none by default.

        Returns
        -------
        ndarray of float32, (trials, time, neurons) or (time, neurons)
            Expected counts per bin, also where nothing was observed.

        Raises
        ------
        UnknownSessionError
            If the session was not fitted.
        InvalidInputError
            If neurons, bin width, scheme or `hidden` do not fit.

        Warns
        -----
        NeuromaskWarning
            If several trials are longer than the fitted ones, or lie at another time.
        """
        check_is_fitted(self)
        X, is_whole = whole_recording(X)
        recording = read_known(X, self.sessions_, rebin=self.rebin, longer=True)
        index = 0 if scheme is None else scheme_index(self.schemes_, scheme)
        mask = _broadcast(hidden, recording.counts.shape)
        rates = fitted_network(self).rates(recording, mask, index)
        return rates[0] if is_whole else rates

    @public
    def predict_hidden(
        self,
        X: Any,
        *,
        task: str = "co_smoothing",
        neurons: Any = None,
        groups: Any = None,
        n_forward_bins: int | None = None,
    ) -> np.ndarray:
        """Predict every entry while it is hidden: the rates that `evaluate` scores.

        In co-smoothing each neuron is predicted from all others without seeing itself, which takes
        one pass a neuron. These are the rates to draw beside the counts, and to analyse.

        Parameters
        ----------
        X : Session or array-like, (trials, time, neurons)
            Trials of a fitted session.
        task : str, default="co_smoothing"
            What is hidden while an entry is predicted, see :func:`neuromask.evaluate`.
        neurons : array-like of bool or int, optional
            Neurons to predict; all by default, and all are inputs.
        groups : int or array-like, (neurons,), optional
            Groups of neurons that ``group_co_smoothing`` hides together.
        n_forward_bins : int, optional
            Bins that forward prediction hides; the last tenth by default.

        Returns
        -------
        ndarray of float32, (trials, time, neurons)
            Expected counts per bin, NaN where the task predicts nothing: bins that forward
            prediction sees, neurons that were not asked for, regions in `ignore_regions`.

        Examples
        --------
        >>> import neuromask as nm
        >>> import numpy as np
        >>> session = nm.simulate(40, n_neurons=12, n_time=20, random_state=0)
        >>> pre = nm.MtMPretrainer(dim=16, n_layers=1, max_epochs=2, random_state=0).fit(session)
        >>> rates = pre.predict_hidden(session, task="forward_prediction")
        >>> int(np.isnan(rates[0, :, 0]).sum())
        18
        """
        check_is_fitted(self)
        recording = read_known(X, self.sessions_, rebin=self.rebin, longer=True)
        with steps(self.verbose, "pass") as show:
            return predict_hidden(
                self._predict_rates(recording),
                _as_session(recording),
                task=task,
                neurons=neurons,
                groups=groups,
                n_forward_bins=_forward_bins(n_forward_bins, recording),
                ignore_regions=self.ignore_regions,
                progress=show,
            )

    @public
    def translate(
        self, X: Any, *, source: str | Sequence[str], target: str | Sequence[str]
    ) -> np.ndarray:
        """Predict the activity of one region from that of another.

        Parameters
        ----------
        X : Session or array-like, (trials, time, neurons)
            Trials of a fitted session.
        source, target : str or sequence of str
            Regions that are seen, and regions that are predicted.

        Returns
        -------
        ndarray of float32, (trials, time, target neurons)
            Expected counts per bin of the neurons of the target, in the session's order.

        Raises
        ------
        InvalidInputError
            If regions are unknown or in both sets.
        """
        check_is_fitted(self)
        recording = read_known(X, self.sessions_, rebin=self.rebin, longer=True)
        labels = recording.info.regions
        inside = [region_members(labels, names) for names in (source, target)]
        _disjoint(source, target)
        index = task_scheme(self.schemes_, "inter_region")
        hidden = np.broadcast_to(~inside[0], recording.counts.shape)
        rates = fitted_network(self).rates(recording, hidden, index)
        return rates[:, :, inside[1]]

    @public
    def translation_matrix(
        self,
        X: Any,
        *,
        min_neurons: int = 8,
        n_matched: int | str | None = None,
        n_draws: int = 10,
        conditions: Any = None,
        n_shuffles: int = 1000,
        n_bootstrap: int = 1000,
        confidence: float = 0.95,
        random_state: int = 0,
    ) -> pd.DataFrame:
        """Score every region as read from every other one, and from all others.

        Parameters
        ----------
        X : Session or array-like, (trials, time, neurons)
            Test trials of a fitted session.
        min_neurons, n_matched, n_draws, conditions, n_shuffles, n_bootstrap, confidence
            See :func:`neuromask.translation_matrix`.
        random_state : int, default=0
            Draws neurons, shuffles and samples of trials.

        Returns
        -------
        DataFrame
            One row for each pair, see :func:`neuromask.translation_matrix`; regions in
            `ignore_regions` are left out.

        Examples
        --------
        >>> import neuromask as nm
        >>> session = nm.simulate(60, n_neurons=32, n_time=20)
        >>> pre = nm.MtMPretrainer(dim=16, n_layers=1, max_epochs=2, random_state=0).fit(session[:40])
        >>> table = pre.translation_matrix(session[40:], conditions=session[40:].trials["stimulus"])
        >>> table.pivot(index="source", columns="target", values="bps_shared").shape
        (5, 4)
        """
        check_is_fitted(self)
        recording = read_known(X, self.sessions_, rebin=self.rebin, longer=True)
        with steps(self.verbose, "pass") as show:
            return translation_matrix(
                self._predict_rates(recording),
                _as_session(recording),
                min_neurons=min_neurons,
                n_matched=n_matched,
                n_draws=n_draws,
                conditions=conditions,
                n_shuffles=n_shuffles,
                n_bootstrap=n_bootstrap,
                confidence=confidence,
                ignore_regions=self.ignore_regions,
                random_state=random_state,
                progress=show,
            )

    @public
    def stream(self, session_id: str | None = None, *, n_ahead: int = 1) -> Stream:
        """Open a stream, which predicts the next bins and embeds the present one while data come in.

        Only the past is used, by a fitted scheme that attends causally, and a bin costs the same
        however many came before it.

        Parameters
        ----------
        session_id : str, optional
            Fitted session whose neurons will be pushed; the only one by default.
        n_ahead : int, default=1
            Bins to predict after each, at most half of a fitted trial.

        Returns
        -------
        Stream
            Push the counts of one bin after the other to it; see :class:`neuromask.streaming.Stream`
            for what its answers equal.

        Raises
        ------
        UnknownSessionError
            If the session was not fitted, or several were and none is named.
        InvalidInputError
            If no fitted scheme attends causally, the backbone cannot run bin by bin, or `n_ahead` is
            out of range.

        Examples
        --------
        >>> import neuromask as nm
        >>> session = nm.simulate(40, n_neurons=12, n_time=20, random_state=0)
        >>> pre = nm.MtMPretrainer(dim=16, n_layers=1, max_epochs=2, random_state=0).fit(session)
        >>> pre.stream().push(session.counts[0, 0]).rates.shape
        (1, 12)
        """
        check_is_fitted(self)
        info = named_session(session_id, self.sessions_)
        return Stream(fitted_network(self), info, n_ahead=n_ahead)

    @public
    def transform(self, X: Any) -> np.ndarray:
        """Embed trials.

        Parameters
        ----------
        X : Session or array-like, (trials, time, neurons) or (time, neurons)
            Trials of a fitted session, or a whole recording, see `predict`; nothing is hidden.

        Returns
        -------
        ndarray of float32, (trials, features) or (trials, time, features)
            Pooled as `pooling` says, over the bins in which some neuron was observed. Of a whole
            recording (time, features), whatever `pooling` is.

        Raises
        ------
        InvalidInputError
            If the session does not fit, `pooling` is no way to pool, or tables are asked for that
            are not pooled.
        """
        check_is_fitted(self)
        check_choice("pooling", self.pooling, POOLINGS)
        X, is_whole = whole_recording(X)
        recording = read_known(X, self.sessions_, rebin=self.rebin, longer=True)
        if not is_whole and self.pooling == "none" and self._gives_tables():
            raise InvalidInputError(
                'pooling="none" gives (trials, time, features), which no table holds; use '
                'pooling="mean", or arrays by set_output(transform="default").'
            )
        features = fitted_network(self).features(recording)
        if is_whole:
            return features[0]
        if self.pooling == "none":
            return features
        if recording.observed is None:
            return features.mean(1)
        bins: np.ndarray = np.logical_or.reduce(recording.observed, axis=2, keepdims=True)
        bins[~bins.any((1, 2))] = True  # all of a trial in which nothing was observed
        bins = np.broadcast_to(bins, features.shape)
        return observed_mean(features, bins, 1).astype(np.float32)

    @public
    def neuron_embeddings(self, X: Any, *, regions: bool = False) -> np.ndarray:
        """Describe neurons by their activity, in a space that all sessions and animals share.

        The encoder of neurons reads rates, responses over time, and correlations with all others. Its
        description is what it would write a new neuron's weights from. So neurons are near one another
        that the model would use alike, and a classifier of regions or cell types that was fitted on some
        animals can be asked of another.

        Parameters
        ----------
        X : Session or array-like, (trials, time, neurons)
            Trials of any session of the model's bins, fitted or not; at least two.
        regions : bool, default=False
            Whether the encoder is told the regions. Left out by default, so that what is found out about
            regions was in the activity.

        Returns
        -------
        ndarray of float32, (neurons, features)
            In the session's order.

        Raises
        ------
        InvalidInputError
            If the model has no encoder, or trials do not suit it.

        Examples
        --------
        >>> import neuromask as nm
        >>> sessions = nm.simulate(30, n_sessions=3, n_neurons=12, n_time=20, random_state=0)
        >>> pre = nm.MtMPretrainer(dim=16, n_layers=1, max_epochs=1, random_state=0).fit(sessions[:2])
        >>> pre.neuron_embeddings(sessions[2]).shape
        (12, 128)
        """
        check_is_fitted(self)
        check_choice("regions", regions, (True, False))
        self._need_encoder()
        if is_session_list(X):
            raise InvalidInputError(
                f"X is a list of {len(X)} recordings; expected one session. Call it for each of them."
            )
        X, names = as_session(X), None
        if getattr(X, "regions", None) is None:
            if regions:
                raise InvalidInputError(
                    "regions=True, but no region of these neurons is known. Pass a Session that has them, or "
                    "regions=False."
                )
            names = np.full(read_spikes(X)[0].shape[2], "unknown")  # fits alone are told of it
        (recording,) = read_to_fit(X, None, names, None, rebin=self.rebin)
        agree_on_bin_width([recording], self.bin_width_)
        network = fitted_network(self)
        session = SessionTensors.of(recording, self.ignore_regions, network.device)
        if not regions:
            session = replace(session, names=None)
        return describe_neurons(network.model, session).float().cpu().numpy()

    @public
    def evaluate(
        self,
        X: Any,
        *,
        tasks: Sequence[str] | None = None,
        neurons: Any = None,
        groups: Any = None,
        n_forward_bins: int | None = None,
        null_rates: Any = None,
    ) -> pd.DataFrame:
        """Score test trials on the four tasks, and on held-out groups; see :func:`neuromask.evaluate`.

        Parameters
        ----------
        X : Session, array-like (trials, time, neurons), or list of Sessions
            Test trials of fitted sessions.
        tasks : sequence of str, optional
            Tasks to score; all that the sessions allow by default.
        neurons : array-like of bool or int, optional
            Neurons to score.
        groups : int, array-like (neurons,), or a list of these for a list of Sessions, optional
            Groups of neurons that are hidden together and scored as ``group_co_smoothing``, beside
            `tasks`: 10 hides a tenth at a time.
        n_forward_bins : int, optional
            Bins that forward prediction hides; the last tenth by default.
        null_rates : array-like, (neurons,), or a list of these for a list of Sessions, optional
            Constant rates of the null model of bps, in expected counts per bin, such as training
            means; by default each neuron's mean over the scored entries, which favours the null.

        Returns
        -------
        DataFrame
            session, task, neuron, region, n_spikes, rate, bps, d2.
        """
        check_is_fitted(self)
        options = {"tasks": tasks, "neurons": neurons, "n_forward_bins": n_forward_bins}
        if is_session_list(X):
            nulls = _of_each("null_rates", null_rates, len(X))
            grouped = _of_each("groups", groups, len(X))
            tables = [
                self.evaluate(x, null_rates=null, groups=of_x, **options)
                for x, null, of_x in zip(X, nulls, grouped, strict=True)
            ]
            whole = pd.concat(tables, ignore_index=True)
            whole.attrs["excluded"] = [row for t in tables for row in t.attrs["excluded"]]
            return whole
        recording = read_known(X, self.sessions_, rebin=self.rebin, longer=True)
        options["n_forward_bins"] = _forward_bins(n_forward_bins, recording)
        with steps(self.verbose, "pass") as show:
            return evaluate(
                self._predict_rates(recording),
                _as_session(recording),
                ignore_regions=self.ignore_regions,
                null_rates=null_rates,
                groups=groups,
                progress=show,
                **options,
            )

    @public
    def score(self, X: Any, y: Any = None) -> float:
        """Return the bits per spike over all spikes, averaged over the tasks.

        It is `bps_weighted` of :func:`neuromask.summarise`, so that a search picks the model under
        which the test trials are likeliest, and no neuron that was lost, with a spike or two left,
        decides: in a mean over neurons it would.

        Parameters
        ----------
        X : Session or array-like, (trials, time, neurons)
            Test trials.
        y : ignored
            Present for scikit-learn.
        """
        return float(summarise(self.evaluate(X))["bps_weighted"].mean())

    def _need_encoder(self, instead: str = "") -> None:
        """Refuse where there is no encoder of neurons; `instead` is what else may serve."""
        if self.model_.encoder is None:
            name = self._architecture["backbone"]
            backbone = available_backbones().get(name)
            if backbone is not None and not backbone.encodes_neurons:
                raise InvalidInputError(
                    f"the model has no encoder of neurons, which backbone {name!r} cannot have; "
                    f"{instead}fit with one that can: backbone={_encoding_backbones()}."
                )
            raise InvalidInputError(
                "the model has no encoder of neurons, as it was fitted without one, which is the "
                f"default for a single session; {instead}fit on several sessions (with "
                "encode_neurons='auto' or True)."
            )

    def _predict_rates(self, recording: Recording) -> PredictRates:
        """Give the function that answers the tasks' questions about trials of a fitted session."""
        network = fitted_network(self)
        kind = _PredictsOneByOne if network.hides_one_by_one else _PredictsRates
        return kind(network, recording)

    @public
    def save(self, folder: str | os.PathLike, *, overwrite: bool = False) -> Path:
        """Write the fitted model to a folder of safetensors and JSON.

        A loaded model goes on as this one would, but for a generator given as `random_state`, which
        is not kept. Parameters that shape the weights (`backbone`, sizes, `dropout`, `positions`,
        `prompted`) are written as they were in `fit`, all others as they are now. A scheme or
        backbone of your own must be registered where the model is loaded.

        Parameters
        ----------
        folder : path-like
            Folder to make; it is there whole or not at all.
        overwrite : bool, default=False
            Replace a model saved there before.

        Raises
        ------
        CheckpointError
            If the folder exists, or a parameter holds what cannot be kept. Nothing is written then.
        """
        check_is_fitted(self)
        architecture = self._architecture
        shaping = {name: architecture[name] for name in ARCHITECTURE}
        description = {
            "parameters": {
                name: plain(
                    _named_schemes(value) if name == "schemes" else value, f"parameter {name!r}"
                )
                for name, value in (self.get_params(deep=False) | shaping).items()
            },
            "schemes": [plain(describe_scheme(scheme), "schemes_") for scheme in self.schemes_],
            "sessions": [
                plain(dataclasses.asdict(info), "sessions_") for info in self.sessions_.values()
            ],
            "n_time": self.model_.n_time,
            "bin_width": self.bin_width_,
            "encode": architecture["encode"],
            "region_names": list(architecture["region_names"]),
            "history": plain_table(self.history_, "history_"),
            "excluded": plain_table(self.excluded_, "excluded_"),
        }
        return write_folder(folder, self.model_.state_dict(), description, overwrite=overwrite)

    def _asked_architecture(self, recordings: Sequence[Recording]) -> dict[str, Any]:
        """Return all that shapes the weights of a model of these sessions, beside its schemes."""
        encode = len(recordings) > 1 if self.encode_neurons == "auto" else bool(self.encode_neurons)
        regions = sorted({name for r in recordings for name in r.info.regions or ()})
        asked = {name: getattr(self, name) for name in ARCHITECTURE}
        return asked | {"encode": encode, "region_names": tuple(regions)}

    def _goes_on(self, recordings: Sequence[Recording], schemes: Sequence[Scheme]) -> bool:
        """Say whether the last fit's weights are of these sessions, and refuse what does not fit them."""
        fitted = {name: info.n_neurons for name, info in self.sessions_.items()}
        try:
            if fitted != {r.info.session_id: r.info.n_neurons for r in recordings}:
                raise InvalidInputError(
                    "the sessions or their neurons are not those of the last fit."
                )
            for r in recordings:
                refuse_another(r.info, self.sessions_[r.info.session_id])
        except InvalidInputError as error:
            warn(
                f"warm_start=True, but {error.reason} Training starts anew. "
                "Set warm_start=False where that is meant."
            )
            return False
        before = {name: self._architecture[name] for name in ARCHITECTURE}
        asked = {name: getattr(self, name) for name in ARCHITECTURE}
        before["schemes"] = [scheme.name for scheme in self.schemes_]
        asked["schemes"] = [scheme.name for scheme in schemes]
        before["encode_neurons"] = self.model_.encoder is not None
        is_open = self.encode_neurons == "auto"
        asked["encode_neurons"] = before["encode_neurons"] if is_open else self.encode_neurons
        changed = [name for name in asked if asked[name] != before[name]]
        if changed:
            raise InvalidInputError(
                "warm_start=True goes on from weights of "
                f"{', '.join(f'{name}={before[name]!r}' for name in changed)}; "
                f"{', '.join(f'{name}={asked[name]!r}' for name in changed)} was given. "
                "Set these as they were, or warm_start=False to start anew."
            )
        longest = max(r.info.n_time for r in recordings)
        if longest > self.model_.n_time:
            raise InvalidInputError(
                f"X has trials of {longest} bins and warm_start=True goes on from a model of up to "
                f"{self.model_.n_time}. Cut trials to that length, or set warm_start=False to start "
                "anew."
            )
        return True

    def _read_new_sessions(self, X: Any) -> list[Recording]:
        return read_new_sessions(
            X,
            self.sessions_,
            n_time=self.model_.n_time,
            bin_width=self.bin_width_,
            rebin=self.rebin,
        )

    def _with_sessions(
        self,
        recordings: Sequence[Recording | TrialShare],
        chance: np.random.Generator,
    ) -> MtMPretrainer:
        """Copy the estimator and let it know more sessions."""
        infos = {r.info.session_id: r.info for r in recordings}
        excluded = table_exclusions(infos, self.schemes_, self.ignore_regions)
        generator = torch.Generator().manual_seed(int(chance.integers(2**62)))
        new = copy.copy(self)
        new.model_ = add_sessions(self.model_, recordings, generator)
        new.excluded_ = pd.concat([self.excluded_, excluded], ignore_index=True)
        return new._know(self.sessions_ | infos)

    def _know(self, sessions: dict[str, SessionInfo]) -> MtMPretrainer:
        """Set what follows from the sessions that the model knows."""
        self.sessions_ = sessions
        widths = [info.bin_width for info in sessions.values() if info.bin_width is not None]
        if widths:  # else it stays that of sessions that were forgotten
            self.bin_width_ = widths[0]
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
    ) -> tuple[list[Recording | TrialShare], list[Recording | TrialShare]]:
        """Return training and validation trials; those of `X_val` where it is given."""
        seen = [r.with_data() for r in recordings]
        if X_val is None:
            return split_trials(
                seen,
                self.validation_fraction,
                streams.numpy("split"),
                validation=self.validation,
            )
        given = X_val if is_session_list(X_val) else [X_val]
        with about("X_val"):
            read = [read_known(x, known, rebin=self.rebin, require_spikes=True) for x in given]
            # At their own time of the fitted trials, as they are predicted.
            return [*seen], [r.with_data().placed(r.start + r.counts.shape[1]) for r in read]

    def _gives_tables(self) -> bool:
        """Say whether scikit-learn was asked to make tables of what `transform` returns."""
        own = getattr(self, "_sklearn_output_config", {}).get("transform")
        return (own or get_config()["transform_output"]) != "default"

    def _training_config(self, device: torch.device, n_sessions: int) -> TrainingConfig:
        max_epochs = self.max_epochs
        if isinstance(max_epochs, str):
            max_epochs = EPOCHS["one" if n_sessions == 1 else "several"]
        return TrainingConfig(
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            batch_size=self.batch_size,
            max_epochs=max_epochs,
            n_iter_no_change=self.n_iter_no_change,
            precision=resolve_precision(self.precision, device),
        )

    def _masking(self, schemes: tuple[Scheme, ...]) -> Masking:
        return Masking(
            schemes,
            self.ignore_regions,
            per_batch=self.mask_per_batch,
            neuron_dropout=self.neuron_dropout,
            region_dropout=self.region_dropout,
            balanced=self.session_sampling == "balanced",
        )


@dataclass(frozen=True)
class _PredictsRates:
    """Answers the tasks' questions about trials of a fitted session."""

    network: FittedNetwork
    recording: Recording

    def __call__(self, counts: np.ndarray, hidden: np.ndarray, task: str) -> np.ndarray:
        """Predict trials in which entries are hidden, among them all that was not observed."""
        asked = replace(self.recording, counts=counts, observed=None)
        return self.network.rates(asked, hidden, task_scheme(self.network.schemes, task))


class _PredictsOneByOne(_PredictsRates):
    """Hides neurons one by one at less than the cost of a pass for each."""

    def one_by_one(
        self,
        counts: np.ndarray,
        observed: np.ndarray | None,
        hidden: np.ndarray,
        neurons: np.ndarray,
        task: str,
        tell: Callable[[int], None],
    ) -> np.ndarray:
        """See :class:`neuromask.evaluation.hiding.PredictsOneByOne`."""
        asked = replace(self.recording, counts=counts, observed=observed)
        scheme = task_scheme(self.network.schemes, task)
        return self.network.one_by_one(asked, hidden, neurons, scheme, tell)


def fitted_network(pretrainer: MtMPretrainer) -> FittedNetwork:
    """Return the network of a fitted pretrainer, on the device that it asks for."""
    device = resolve_device(pretrainer.device)
    precision = resolve_precision(pretrainer.precision, device)
    return FittedNetwork(pretrainer.model_.to(device), pretrainer.schemes_, device, precision)


def check_architecture(pretrainer: MtMPretrainer) -> None:
    """Refuse parameters that shape no weights that there can be."""
    for name in ("dim", "n_layers", "n_heads"):
        check_positive_int(name, getattr(pretrainer, name))
    if pretrainer.dim % pretrainer.n_heads:
        raise InvalidInputError(
            f"dim={pretrainer.dim} is not a multiple of n_heads={pretrainer.n_heads}; choose "
            "sizes that divide."
        )
    check_fraction("dropout", pretrainer.dropout)
    check_choice("positions", pretrainer.positions, POSITIONS)
    check_choice("prompted", pretrainer.prompted, (True, False))
    if pretrainer.positions == "rope" and pretrainer.dim // pretrainer.n_heads % 2:
        raise InvalidInputError(
            f"positions='rope' turns pairs of features, and dim={pretrainer.dim} gives each "
            f"of n_heads={pretrainer.n_heads} an odd number; choose sizes that give an even one."
        )
    find_backbone(pretrainer.backbone)


def check_parameters(pretrainer: MtMPretrainer) -> tuple[Scheme, ...]:
    """Refuse parameters out of range; return the schemes, with `mask_ratio` put in."""
    check_architecture(pretrainer)
    for name in ("batch_size", "n_iter_no_change"):
        check_positive_int(name, getattr(pretrainer, name))
    if not (isinstance(pretrainer.max_epochs, str) and pretrainer.max_epochs == "auto"):
        check_positive_int("max_epochs", pretrainer.max_epochs)
    check_fraction("validation_fraction", pretrainer.validation_fraction, or_auto=True)
    check_fraction("learning_rate", pretrainer.learning_rate, low=1e-12, high=10.0)
    check_fraction("weight_decay", pretrainer.weight_decay, high=1000.0)
    check_choice("pooling", pretrainer.pooling, POOLINGS)
    check_choice("validation", pretrainer.validation, VALIDATIONS)
    check_choice("session_sampling", pretrainer.session_sampling, SAMPLINGS)
    check_choice("encode_neurons", pretrainer.encode_neurons, ("auto", True, False))
    check_choice("precision", pretrainer.precision, PRECISIONS)
    for name in ("mask_per_batch", "warm_start"):
        check_choice(name, getattr(pretrainer, name), (True, False))
    check_fraction("verbose", pretrainer.verbose, high=100.0)
    as_names("ignore_regions", pretrainer.ignore_regions)
    for name in ("neuron_dropout", "region_dropout"):
        check_fraction(name, getattr(pretrainer, name))
    if pretrainer.rebin is not None:
        check_fraction("rebin", pretrainer.rebin, low=1e-6, high=1000.0)
    ratios = (
        pretrainer.mask_ratio
        if isinstance(pretrainer.mask_ratio, (tuple, list))
        else [pretrainer.mask_ratio]
    )
    for value in ratios:
        check_fraction("mask_ratio", value, high=1.0)
    if not 1 <= len(ratios) <= 2 or max(ratios) <= 0 or list(ratios) != sorted(ratios):
        raise InvalidInputError(
            f"mask_ratio={pretrainer.mask_ratio!r}; expected a number between 0 and 1, or "
            "a pair (low, high)."
        )
    backbone = find_backbone(pretrainer.backbone)
    asks_to_encode = pretrainer.encode_neurons != "auto" and pretrainer.encode_neurons
    if asks_to_encode and not backbone.encodes_neurons:
        raise InvalidInputError(
            f"encode_neurons=True, but backbone {backbone.name!r} cannot have an encoder of neurons, "
            "as its config has no field 'encode'. Set encode_neurons='auto' or False, or one that "
            f"can: backbone={_encoding_backbones()}."
        )
    ratio = (ratios[0], ratios[1]) if len(ratios) == 2 else ratios[0]
    return resolve_schemes(pretrainer.schemes, mask_ratio=ratio)


def _encoding_backbones() -> str:
    """List the backbones that can have an encoder of neurons."""
    found = sorted(name for name, b in available_backbones().items() if b.encodes_neurons)
    return " or ".join(map(repr, found))


def _new_model(
    recordings: Sequence[Recording | TrialShare],
    architecture: dict[str, Any],
    schemes: Sequence[Scheme],
    generator: torch.Generator,
) -> SessionNetwork:
    """Make a backbone for these sessions, which start from the factors of their populations."""
    statistics = [
        SessionStatistics.of(r.counts, r.info.session_id, r.info.regions, r.observed)
        for r in recordings
    ]
    model = _build(statistics, architecture, schemes, generator)
    for session in session_tensors(recordings, (), torch.device("cpu")):
        start_from_factors(model, session)
    return model


def _build(
    statistics: Sequence[SessionStatistics],
    architecture: dict[str, Any],
    schemes: Sequence[Scheme],
    generator: torch.Generator,
) -> SessionNetwork:
    """Make a backbone of an architecture, which is the same for the same arguments."""
    backbone = find_backbone(architecture["backbone"])
    network = backbone.build(
        backbone.configure(**architecture), statistics, len(schemes), generator
    )
    if not isinstance(network, SessionNetwork):
        raise InvalidInputError(
            f"backbone {backbone.name!r} built a {type(network).__name__}; expected a network that "
            "derives from neuromask.nn.SessionNetwork, which says what it must define."
        )
    return network


@public
def load(folder: str | os.PathLike) -> MtMPretrainer:
    """Read a model written by :meth:`MtMPretrainer.save`.

    Parameters
    ----------
    folder : path-like
        The folder. No pickle is read and no code in it is run.

    Returns
    -------
    MtMPretrainer
        Fitted.

    Raises
    ------
    CheckpointError
        If the folder is not a model, is damaged, or was written by a later version.
    InvalidInputError
        If the model was fitted with a backbone or a scheme that is not registered, or with another
        scheme of that name.
    """
    tensors, description = read_folder(folder)
    try:
        return _rebuild(tensors, description)
    except InvalidInputError:
        raise
    except Exception as error:  # a damaged description fails anywhere, in backbones too
        raise CheckpointError(
            f"{folder} does not hold a whole model ({type(error).__name__}: {error}). Save or copy the model again."
        ) from error


def _rebuild(tensors: dict[str, torch.Tensor], description: dict[str, Any]) -> MtMPretrainer:
    known = set(inspect.signature(MtMPretrainer).parameters)
    backbone = description["parameters"]["backbone"]
    if isinstance(backbone, str) and backbone not in available_backbones():
        raise InvalidInputError(
            f"the model was saved with a backbone {backbone!r}, which is not registered. Register it "
            f"first: neuromask.register_backbone(neuromask.Backbone({backbone!r}, ...))."
        )
    pre = MtMPretrainer(
        **{
            name: _schemes_by_name(value) if name == "schemes" else _tuples(value)
            for name, value in description["parameters"].items()
            if name in known
        }
    )
    try:
        check_architecture(pre)
    except InvalidInputError as error:  # of what is in the folder, not of what the caller gave
        raise ValueError(error.reason) from error
    if description["version"] < 2:  # knew schemes by their name alone
        pre.schemes_ = resolve_schemes(description["schemes"], mask_ratio=pre.mask_ratio)
    else:
        pre.schemes_ = tuple(described_scheme(entry) for entry in description["schemes"])
    infos = [_session_info(entry) for entry in description["sessions"]]
    if description["version"] < 2:  # knew neurons by their regions alone
        infos = [
            replace(i, identity={} if i.regions is None else {"region": i.regions}) for i in infos
        ]
    blank = [
        SessionStatistics(
            i.session_id,
            np.ones(i.n_neurons, np.float32),
            np.ones(i.n_neurons, np.float32),
            i.n_time,
            i.regions,
        )
        for i in infos
    ]
    # The longest sessions may be forgotten.
    n_time = description.get("n_time", max((i.n_time for i in infos), default=1))
    one = np.ones(1, np.float32)
    blank.append(SessionStatistics("", one, one, n_time, None))
    pre._architecture = {name: getattr(pre, name) for name in ARCHITECTURE} | {
        "encode": description.get("encode", False),
        "region_names": tuple(description.get("region_names", ())),
    }
    pre.model_ = _build(blank, pre._architecture, pre.schemes_, torch.Generator().manual_seed(0))
    pre.model_.keep_sessions([i.session_id for i in infos])
    pre.model_.load_state_dict(tensors)
    pre.history_ = read_plain_table(description["history"])
    pre.excluded_ = read_plain_table(description["excluded"])
    pre.bin_width_ = description.get("bin_width")
    return pre._know({i.session_id: i for i in infos})


def _session_info(entry: dict[str, Any]) -> SessionInfo:
    """Read what a model knows of a session, which says the same of each of its neurons."""
    info = SessionInfo(**{name: _tuples(value) for name, value in entry.items()})
    labels = [*info.identity.values(), *([] if info.regions is None else [info.regions])]
    if not isinstance(info.session_id, str) or any(len(x) != info.n_neurons for x in labels):
        raise ValueError(f"session {info.session_id!r} is not described for each of its neurons")
    return info


def _continued(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """Put a history behind an earlier one, its epochs and steps counted through."""
    if not (len(before) and len(after)):
        return after if len(after) else before
    last = before[["epoch", "step"]].iloc[-1]
    later = after.assign(epoch=after["epoch"] + last["epoch"], step=after["step"] + last["step"])
    return pd.concat([before, later], ignore_index=True)


def _named_schemes(schemes: str | Scheme | Sequence[str | Scheme]) -> Any:
    """Give schemes as they were given to the constructor, with a description for each object."""
    if isinstance(schemes, Scheme):
        return describe_scheme(schemes)
    if isinstance(schemes, str) or not isinstance(schemes, Iterable):
        return schemes
    return [_named_schemes(scheme) for scheme in schemes]


def _schemes_by_name(schemes: Any) -> Any:
    """Undo `_named_schemes`."""
    if isinstance(schemes, dict):
        return described_scheme(schemes)
    return tuple(map(_schemes_by_name, schemes)) if isinstance(schemes, list) else schemes


def _tuples(value: Any) -> Any:
    """Make lists into tuples, which a constructor's parameters and frozen classes hold."""
    if isinstance(value, dict):
        return {name: _tuples(entry) for name, entry in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _as_session(recording: Recording) -> Session:
    """Return the trials as the evaluator reads them, with regions and bin width."""
    info = recording.info
    return Session(
        recording.counts,
        info.regions,
        bin_width=info.bin_width,
        observed=recording.observed,
        session_id=info.session_id,
    )


def _forward_bins(asked: int | None, recording: Recording) -> int | None:
    """Return how many bins forward prediction hides, of longer trials as many as of a fitted one."""
    n_time, longest = recording.counts.shape[1], recording.info.n_time
    if n_time <= longest:
        return asked
    if asked is not None and asked >= longest:
        raise InvalidInputError(
            f"n_forward_bins={asked} of trials that are predicted in windows of {longest} bins; expected "
            "fewer, so that a window sees something."
        )
    return max(1, round(0.1 * longest)) if asked is None else asked


def _of_each(name: str, given: Any, n_sessions: int) -> list:
    """Return an entry for each session of a list: those of a list, or one thing for all of them."""
    if not isinstance(given, Iterable):
        return [given] * n_sessions
    entries = list(given)
    if len(entries) != n_sessions:
        raise InvalidInputError(
            f"{name} has {len(entries)} entries for {n_sessions} sessions; expected a list with the "
            f"{name} of each."
        )
    return entries


def whole_recording(X: Any) -> tuple[Any, bool]:
    """Take counts (time, neurons) for one long trial, and say whether that is what they are."""
    if isinstance(X, Session) or np.ndim(X) != 2:
        return X, False
    if any(hasattr(X, name) for name in ("columns", "dims", "t")):
        raise InvalidInputError(
            f"X is a {type(X).__name__} of (time, neurons), whose labels are not compared with the fitted "
            "neurons and bins. Pass neuromask.join_windows(neuromask.cut_windows(X, ...)), or its values, "
            "in the order of fit."
        )
    return np.asanyarray(X)[None], True


def _broadcast(hidden: Any, shape: tuple[int, ...]) -> np.ndarray:
    mask = as_array("hidden", False if hidden is None else hidden)
    if mask.dtype != bool:
        raise InvalidInputError(f"hidden has dtype {mask.dtype}; expected booleans.")
    try:
        return np.broadcast_to(mask, shape)
    except ValueError as error:
        raise InvalidInputError(
            f"hidden has shape {mask.shape}; expected one that broadcasts to {shape}."
        ) from error


def _disjoint(source: Any, target: Any) -> None:
    sets = [set(as_names("regions", names)) for names in (source, target)]
    both = sorted(sets[0] & sets[1])
    if both:
        raise InvalidInputError(f"{both} is both source and target; expected different regions.")
