"""MtMPretrainer: the scikit-learn estimator of multi-task-masking models."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from ._adaptation import device_tensors
from ._checkpoint import write_folder
from ._errors import InvalidInputError
from ._progress import fit_progress
from ._random import random_streams
from ._recordings import (
    is_session_list,
    read_known,
    read_new,
    region_members,
    table_exclusions,
)
from ._shrinkage import shrink
from ._starts import Newcomers
from ._training import resolve_device, train
from ._unseen import Adapting
from .evaluation import evaluate, summarise
from .schemes import MTM_SCHEMES, Scheme

__all__ = ["PAPER_SIZES", "MtMPretrainer"]

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


class MtMPretrainer(Adapting, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
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
        Train an encoder that infers a neuron's weights from its statistics and region, which unseen
        sessions start from; auto does where several sessions are fitted.
    dim, n_layers, n_heads : int, default=128, 2, 4
        Width, depth and attention heads of the trunk.
    dropout : float, default=0.3
        Dropout inside the trunk.
    learning_rate : float, default=2e-3
        Peak learning rate of AdamW.
    weight_decay : float, default=0.3
        Decay of the weights of linear layers, except read-outs, which have a prior instead.
    batch_size : int, default=32
        Most trials of a session in a batch; a batch mixes up to four sessions.
    max_epochs : int, default=200
        Most passes over the trials.
    n_iter_no_change : int, default=60
        Epochs without a better validation score after which training stops.
    validation_fraction : float or "auto", default="auto"
        Share of each session's trials set aside to choose the best weights, where `X_val` is not
        given. Auto is 0.1 for sessions of at least a hundred trials and 0 for others; where nothing
        is set aside all trials train, and the last weights are kept. Trials set aside also say how
        far a session's log-rates are moved back towards its mean rates: a model is too sure of
        itself on trials that it was not trained on.
    pooling : {"mean", "none"}, default="mean"
        How `transform` pools over time: averages give (trials, features), none (trials, time,
        features).
    regions : array-like of str, (neurons,), optional
        Regions of a single recording's neurons, for use inside pipelines and cross-validation.
    ignore_regions : sequence of str, default=("root", "void")
        Regions that are never targets of the region schemes and tasks; their neurons stay inputs.
    rebin : float, optional
        Seconds of the bins that Sessions are summed into; sessions of several bin widths need it.
    device : str, default="auto"
        ``"cpu"``, ``"cuda"`` or whichever is there.
    precision : {"auto", "bf16", "fp32"}, default="auto"
        Arithmetic of the network; auto takes bf16 where the hardware multiplies it fast.
    warm_start : bool, default=False
        Go on from the weights of the last fit, if the sessions are the same.
    random_state : int, numpy generator or None, default=None
        Owns initial weights, masks, batches and dropout. The same int on the same device gives the
        same model.
    verbose : int, default=0
        1 shows progress.

    Attributes
    ----------
    sessions_ : dict of str to SessionInfo
        What is known of each fitted session, by session_id.
    regions_ : ndarray of str
        Region names over all sessions.
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
        learning_rate: float = 2e-3,
        weight_decay: float = 0.3,
        batch_size: int = 32,
        max_epochs: int = 200,
        n_iter_no_change: int = 60,
        validation_fraction: float | str = "auto",
        pooling: str = "mean",
        regions: Any = None,
        ignore_regions: Sequence[str] = ("root", "void"),
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
            Region of each neuron; a list of them for a list of arrays.
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
        """
        caller = "MtMPretrainer.fit"
        schemes = self._check_parameters(caller)
        recordings = read_new(X, y, regions, self.regions, rebin=self.rebin, caller=caller)
        known = {r.info.session_id: r.info for r in recordings}
        device = resolve_device(self.device, caller=caller)
        config = self._training_config(device, caller)
        streams = random_streams(self.random_state)
        recordings, held_out = self._hold_out(recordings, X_val, known, streams, caller)
        excluded = table_exclusions(known, schemes, self.ignore_regions, caller=caller)
        training, validation = (
            device_tensors(part, self.ignore_regions, device) for part in (recordings, held_out)
        )
        model = self._initial_model(recordings, schemes, streams.torch("init")).to(device)
        newcomers = Newcomers(model, training) if model.config.encode else None
        objective = self._objective(
            model, training, validation, schemes, config, streams, newcomers
        )
        with fit_progress(self.verbose, self.max_epochs) as on_epoch:
            history = train(model, objective, config, streams, on_epoch=on_epoch)
        shrink(model, objective)
        self.model_ = model
        self.history_ = history
        self.schemes_ = schemes
        self.excluded_ = excluded
        return self._know(known)

    def fit_transform(self, X: Any, y: Any = None, **fit_params: Any) -> np.ndarray:
        """Fit, then embed the same trials; `y` is a target and ignored, never regions."""
        return self.fit(X, **fit_params).transform(X)

    def predict(self, X: Any, *, scheme: str | None = None, hidden: Any = None) -> np.ndarray:
        """Predict the expected count of every entry.

        Parameters
        ----------
        X : Session or array-like, (trials, time, neurons)
            Trials of a fitted session.
        scheme : str, optional
            Fitted scheme whose prompt and attention to use; by default the first one fitted.
        hidden : array-like of bool, broadcast to (trials, time, neurons), optional
            Entries the model may not see; none by default.

        Returns
        -------
        ndarray of float32, (trials, time, neurons)
            Expected counts per bin.

        Raises
        ------
        UnknownSessionError
            If the session was not fitted.
        InvalidInputError
            If neurons, bins, bin width, scheme or `hidden` do not fit.
        """
        check_is_fitted(self)
        caller = "MtMPretrainer.predict"
        recording = read_known(X, self.sessions_, rebin=self.rebin, caller=caller)
        index = 0 if scheme is None else self._scheme_index(scheme, caller)
        mask = _broadcast(hidden, recording.counts.shape, caller)
        return self._network().rates(recording.info.session_id, recording.counts, mask, index)

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
        caller = "MtMPretrainer.translate"
        recording = read_known(X, self.sessions_, rebin=self.rebin, caller=caller)
        labels = recording.info.regions
        inside = [region_members(labels, names, caller=caller) for names in (source, target)]
        _disjoint(source, target, caller)
        index = self._task_scheme("inter_region")
        hidden = np.broadcast_to(~inside[0], recording.counts.shape)
        rates = self._network().rates(recording.info.session_id, recording.counts, hidden, index)
        return rates[:, :, inside[1]]

    def transform(self, X: Any) -> np.ndarray:
        """Embed trials.

        Parameters
        ----------
        X : Session or array-like, (trials, time, neurons)
            Trials of a fitted session; nothing is hidden.

        Returns
        -------
        ndarray of float32, (trials, features) or (trials, time, features)
            Pooled as `pooling` says.
        """
        check_is_fitted(self)
        recording = read_known(
            X, self.sessions_, rebin=self.rebin, caller="MtMPretrainer.transform"
        )
        features = self._network().features(recording.info.session_id, recording.counts)
        return features.mean(1) if self.pooling == "mean" else features

    def evaluate(
        self,
        X: Any,
        *,
        tasks: Sequence[str] | None = None,
        neurons: Any = None,
        n_forward_bins: int | None = None,
    ) -> pd.DataFrame:
        """Score test trials on the four tasks; see :func:`neuromask.evaluate`.

        Parameters
        ----------
        X : Session, array-like (trials, time, neurons), or list of Sessions
            Test trials of fitted sessions.
        tasks : sequence of str, optional
            Tasks to score; all that the sessions allow by default.
        neurons : array-like of bool or int, optional
            Neurons to score.
        n_forward_bins : int, optional
            Bins that forward prediction holds out; the last tenth by default.

        Returns
        -------
        DataFrame
            session, task, neuron, region, n_spikes, bps, d2.
        """
        check_is_fitted(self)
        if is_session_list(X):
            tables = [
                self.evaluate(x, tasks=tasks, neurons=neurons, n_forward_bins=n_forward_bins)
                for x in X
            ]
            whole = pd.concat(tables, ignore_index=True)
            whole.attrs["excluded"] = [row for t in tables for row in t.attrs["excluded"]]
            return whole
        recording = read_known(X, self.sessions_, rebin=self.rebin, caller="MtMPretrainer.evaluate")
        info, network = recording.info, self._network()

        def predict_rates(counts: np.ndarray, hidden: np.ndarray, task: str) -> np.ndarray:
            return network.rates(info.session_id, counts, hidden, self._task_scheme(task))

        table = evaluate(
            predict_rates,
            recording.counts,
            info.regions,
            tasks=tasks,
            neurons=neurons,
            n_forward_bins=n_forward_bins,
            ignore_regions=self.ignore_regions,
        )
        table["session"] = info.session_id
        return table

    def score(self, X: Any, y: Any = None) -> float:
        """Return the mean bits per spike over the tasks, each a mean over neurons.

        Parameters
        ----------
        X : Session or array-like, (trials, time, neurons)
            Test trials.
        y : ignored
            Present for scikit-learn.
        """
        return float(summarise(self.evaluate(X))["bps"].mean())

    def save(self, folder: str | os.PathLike, *, overwrite: bool = False) -> Path:
        """Write the fitted model to a folder of safetensors and JSON.

        Parameters
        ----------
        folder : path-like
            Folder to make; it is there whole or not at all.
        overwrite : bool, default=False
            Replace a model saved there before.

        Raises
        ------
        CheckpointError
            If the folder exists.
        """
        check_is_fitted(self)
        description = {
            "parameters": self.get_params(deep=False),
            "schemes": [scheme.name for scheme in self.schemes_],
            "sessions": [dataclasses.asdict(info) for info in self.sessions_.values()],
            "encode": self.model_.config.encode,
            "region_names": list(self.model_.config.region_names),
            "history": self.history_.to_dict("list"),
            "excluded": self.excluded_.to_dict("list"),
        }
        return write_folder(
            folder,
            self.model_.state_dict(),
            description,
            caller="MtMPretrainer.save",
            overwrite=overwrite,
        )


def _broadcast(hidden: Any, shape: tuple[int, ...], caller: str) -> np.ndarray:
    mask = np.asarray(False if hidden is None else hidden)
    if mask.dtype != bool:
        raise InvalidInputError(f"{caller}: hidden has dtype {mask.dtype}; expected booleans.")
    try:
        return np.broadcast_to(mask, shape)
    except ValueError as error:
        raise InvalidInputError(
            f"{caller}: hidden has shape {mask.shape}; expected one that broadcasts to {shape}."
        ) from error


def _disjoint(source: Any, target: Any, caller: str) -> None:
    sets = [{names} if isinstance(names, str) else set(names) for names in (source, target)]
    both = sorted(sets[0] & sets[1])
    if both:
        raise InvalidInputError(
            f"{caller}: {both} is both source and target; expected different regions."
        )
