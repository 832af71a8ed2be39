"""MtMPretrainer: the scikit-learn estimator of multi-task-masking models."""

from __future__ import annotations

import dataclasses
import inspect
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from ._batching import SessionTensors
from ._checkpoint import read_folder, write_folder
from ._errors import CheckpointError, InvalidInputError, suggest
from ._progress import fit_progress
from ._random import random_streams
from ._recordings import Recording, SessionInfo, is_session_list, read_known, read_new, region_codes
from ._training import TrainingConfig, autocast, resolve_device, resolve_precision, train
from ._validation import check_choice, check_fraction, check_positive_int
from .evaluation import TASK_SCHEMES, evaluate, summarise
from .masks import apply_mask
from .nn.registry import find_backbone
from .nn.stitching import SessionStatistics, TrialGroup
from .schemes import MTM_SCHEMES, Scheme, SchemeSampler, resolve_schemes

__all__ = ["PAPER_SIZES", "MtMPretrainer", "load"]

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

POOLINGS = ("mean", "none")
# Trials in one pass of inference: enough to fill two cores, few enough for their caches.
INFERENCE_TRIALS = 128


class MtMPretrainer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Pretrain a transformer on spike counts by alternating masking schemes.

    The fitted model predicts any neuron, region or future bin from the rest, and embeds trials.

    Parameters
    ----------
    backbone : str, default="ndt1"
        Registered backbone.
    schemes : sequence of str or Scheme, default=("neuron", "causal", "intra-region", "inter-region")
        Masking schemes to alternate; each gets its own prompt. ``("temporal",)`` is the usual
        baseline.
    mask_ratio : float or (float, float), default=0.3
        Probability of hiding a neuron in the neuron and intra-region schemes and an entry in the
        temporal and random ones; a pair draws it uniformly for each trial.
    mask_per_batch : bool, default=False
        Draw one scheme and mask for a whole batch, as published, instead of one a trial.
    dim, n_layers, n_heads : int, default=128, 2, 4
        Width, depth and attention heads of the trunk.
    dropout : float, default=0.3
        Dropout inside the trunk.
    learning_rate : float, default=2e-3
        Peak learning rate of AdamW.
    weight_decay : float, default=0.3
        Decay of the weights of linear layers.
    batch_size : int, default=32
        Most trials in a batch.
    max_epochs : int, default=200
        Most passes over the trials.
    n_iter_no_change : int, default=60
        Epochs without a better validation score after which training stops.
    validation_fraction : float, default=0.1
        Share of the trials set aside to choose the best weights, where `X_val` is not given; 0
        trains on all trials and keeps the last weights.
    pooling : {"mean", "none"}, default="mean"
        How `transform` pools over time: averages give (trials, features), none (trials, time,
        features).
    regions : array-like of str, (neurons,), optional
        Regions of a single recording's neurons, for use inside pipelines and cross-validation.
    ignore_regions : sequence of str, default=("root", "void")
        Regions that are never targets of the region schemes and tasks; their neurons stay inputs.
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
        One row an epoch, with the losses and the bits per spike of each scheme on validation.
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
        schemes: Sequence[str | Scheme] = MTM_SCHEMES,
        mask_ratio: float | tuple[float, float] = 0.3,
        mask_per_batch: bool = False,
        dim: int = 128,
        n_layers: int = 2,
        n_heads: int = 4,
        dropout: float = 0.3,
        learning_rate: float = 2e-3,
        weight_decay: float = 0.3,
        batch_size: int = 32,
        max_epochs: int = 200,
        n_iter_no_change: int = 60,
        validation_fraction: float = 0.1,
        pooling: str = "mean",
        regions: Any = None,
        ignore_regions: Sequence[str] = ("root", "void"),
        device: str = "auto",
        precision: str = "auto",
        warm_start: bool = False,
        random_state: int | np.random.RandomState | np.random.Generator | None = None,
        verbose: int = 0,
    ) -> None:
        self.backbone = backbone
        self.schemes = schemes
        self.mask_ratio = mask_ratio
        self.mask_per_batch = mask_per_batch
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
        self.device = device
        self.precision = precision
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    # ------------------------------------------------------------------ fitting

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
        recordings = read_new(X, y, regions, self.regions, caller=caller)
        known = {r.info.session_id: r.info for r in recordings}
        given_validation = [] if X_val is None else X_val if is_session_list(X_val) else [X_val]
        held_out = [read_known(x, known, caller=f"{caller} (X_val)") for x in given_validation]
        device = resolve_device(self.device, caller=caller)
        precision = resolve_precision(self.precision, device, caller=caller)
        streams = random_streams(self.random_state)
        if X_val is None:
            recordings, held_out = _split(
                recordings, self.validation_fraction, streams.numpy("split")
            )
        sampler = SchemeSampler(schemes, per_batch=self.mask_per_batch)
        training, validation = (
            [
                SessionTensors.of(r.counts, region_codes(r.info, self.ignore_regions), r.info.session_id, device)
                for r in part
            ]
            for part in (recordings, held_out)
        )
        excluded = _excluded(known, training, schemes, self.ignore_regions, caller)
        model = self._initial_model(recordings, known, schemes, streams).to(device)
        config = TrainingConfig(
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            batch_size=self.batch_size,
            max_epochs=self.max_epochs,
            n_iter_no_change=self.n_iter_no_change,
            precision=precision,
        )
        with fit_progress(self.verbose, self.max_epochs) as on_epoch:
            history = train(
                model, training, validation, sampler, config, streams, on_epoch=on_epoch
            )
        self.model_ = model
        self.history_ = history
        self.sessions_ = known
        self.schemes_ = schemes
        self.excluded_ = excluded
        names = {name for info in known.values() for name in info.regions or ()}
        self.regions_ = np.array(sorted(names), dtype=str)
        self._n_features_out = model.n_features
        if len(known) == 1:
            self.n_features_in_ = recordings[0].info.n_neurons
        elif hasattr(self, "n_features_in_"):
            del self.n_features_in_
        return self

    def fit_transform(self, X: Any, y: Any = None, **fit_params: Any) -> np.ndarray:
        """Fit, then embed the same trials; `y` is a target and ignored, never regions."""
        if y is not None and fit_params.get("regions") is None and self.regions is None:
            # Without this a target as long as there are neurons would be read as regions.
            y = None
        return self.fit(X, y, **fit_params).transform(X)

    # ------------------------------------------------------------------ using

    def predict(
        self, X: Any, *, scheme: str | None = None, hidden: Any = None
    ) -> np.ndarray:
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
        recording = read_known(X, self.sessions_, caller=caller)
        index = 0 if scheme is None else self._scheme_index(scheme, caller)
        mask = _broadcast(hidden, recording.counts.shape, caller)
        return self._rates(recording.info.session_id, recording.counts, mask, index)

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
        recording = read_known(X, self.sessions_, caller=caller)
        inside = _region_members(recording.info, source, target, caller)
        index = self._task_scheme("inter_region")
        hidden = np.broadcast_to(~inside[0], recording.counts.shape)
        rates = self._rates(recording.info.session_id, recording.counts, hidden, index)
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
        recording = read_known(X, self.sessions_, caller="MtMPretrainer.transform")
        hidden = np.broadcast_to(False, recording.counts.shape)
        features = self._run(
            recording.info.session_id, recording.counts, hidden, 0, lambda m, g: m.features([g])[0]
        )
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
        recording = read_known(X, self.sessions_, caller="MtMPretrainer.evaluate")
        info = recording.info

        def predict_rates(counts: np.ndarray, hidden: np.ndarray, task: str) -> np.ndarray:
            return self._rates(info.session_id, counts, hidden, self._task_scheme(task))

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

    # ------------------------------------------------------------------ persistence

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
        parameters = {k: _to_json(v) for k, v in self.get_params().items()}
        description = {
            "parameters": parameters,
            "schemes": [scheme.name for scheme in self.schemes_],
            "sessions": [dataclasses.asdict(info) for info in self.sessions_.values()],
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

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        if "model_" in state and next(self.model_.parameters()).device.type != "cpu":
            import copy

            state = state | {"model_": copy.deepcopy(self.model_).cpu()}
        return state

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.input_tags.positive_only = True
        return tags

    # ------------------------------------------------------------------ private

    def _check_parameters(self, caller: str) -> tuple[Scheme, ...]:
        for name in ("dim", "n_layers", "n_heads", "batch_size", "max_epochs", "n_iter_no_change"):
            check_positive_int(name, getattr(self, name), caller=caller)
        if self.dim % self.n_heads:
            raise InvalidInputError(
                f"{caller}: dim={self.dim} is not a multiple of n_heads={self.n_heads}; choose "
                "sizes that divide."
            )
        check_fraction("dropout", self.dropout, caller=caller)
        check_fraction("validation_fraction", self.validation_fraction, caller=caller)
        check_fraction("learning_rate", self.learning_rate, caller=caller, low=1e-12, high=10.0)
        check_fraction("weight_decay", self.weight_decay, caller=caller, high=1000.0)
        check_choice("pooling", self.pooling, POOLINGS, caller=caller)
        ratios = self.mask_ratio if isinstance(self.mask_ratio, (tuple, list)) else [self.mask_ratio]
        for ratio in ratios:
            check_fraction("mask_ratio", ratio, caller=caller, high=1.0)
        if len(ratios) > 2 or max(ratios) <= 0 or list(ratios) != sorted(ratios):
            raise InvalidInputError(
                f"{caller}: mask_ratio={self.mask_ratio!r}; expected a number between 0 and 1, or "
                "a pair (low, high)."
            )
        find_backbone(self.backbone, caller=caller)
        ratio = tuple(ratios) if len(ratios) == 2 else ratios[0]
        return resolve_schemes(self.schemes, mask_ratio=ratio, caller=caller)

    def _initial_model(self, recordings, known, schemes, streams):
        if self.warm_start and getattr(self, "sessions_", None) is not None:
            if {i: s.n_neurons for i, s in self.sessions_.items()} == {
                i: s.n_neurons for i, s in known.items()
            } and [s.name for s in schemes] == [s.name for s in self.schemes_]:
                return self.model_
        statistics = [SessionStatistics.of(r.counts, r.info.session_id) for r in recordings]
        return self._build(statistics, schemes, streams.torch("init"))

    def _build(self, statistics, schemes, generator):
        backbone = find_backbone(self.backbone, caller="MtMPretrainer")
        config = backbone.configure(
            dim=self.dim, n_layers=self.n_layers, n_heads=self.n_heads, dropout=self.dropout
        )
        return backbone.build(config, statistics, len(schemes), generator)

    def _scheme_index(self, scheme: str, caller: str) -> int:
        names = [s.name for s in self.schemes_]
        name = str(scheme).replace("_", "-")
        if name not in names:
            raise InvalidInputError(
                f"{caller}: scheme {scheme!r} was not fitted; fitted schemes are {names}."
                f"{suggest(name, names)}"
            )
        return names.index(name)

    def _task_scheme(self, task: str) -> int:
        names = [s.name for s in self.schemes_]
        return next((names.index(name) for name in TASK_SCHEMES[task] if name in names), 0)

    def _rates(
        self, session_id: str, counts: np.ndarray, hidden: np.ndarray, scheme: int
    ) -> np.ndarray:
        return self._run(session_id, counts, hidden, scheme, lambda m, g: m([g])[0].exp())

    @torch.no_grad()
    def _run(self, session_id, counts, hidden, scheme, compute) -> np.ndarray:
        """Run the network over trials in portions, hiding before it sees anything."""
        device = resolve_device(self.device, caller="MtMPretrainer")
        precision = resolve_precision(self.precision, device, caller="MtMPretrainer")
        model = self.model_.to(device)
        causal = self.schemes_[scheme].attention == "causal"
        out = []
        for start in range(0, len(counts), INFERENCE_TRIALS):
            rows = slice(start, start + INFERENCE_TRIALS)
            mask = torch.as_tensor(np.ascontiguousarray(hidden[rows]), device=device)
            visible = apply_mask(
                torch.as_tensor(counts[rows].astype(np.float32), device=device), mask
            )
            n = len(visible)
            group = TrialGroup(
                session_id,
                visible,
                mask,
                torch.full((n,), scheme, device=device),
                torch.full((n,), causal, device=device),
            )
            with autocast(device, precision):
                out.append(compute(model, group).float().cpu().numpy())
        return np.concatenate(out)


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
    """
    tensors, description = read_folder(folder, caller="load")
    try:
        return _rebuild(tensors, description)
    except InvalidInputError:
        raise
    except (KeyError, TypeError, RuntimeError, ValueError) as error:
        raise CheckpointError(
            f"load: {folder} does not hold a whole model ({error}). Save or copy the model again."
        ) from error


def _rebuild(tensors: dict[str, torch.Tensor], description: dict[str, Any]) -> MtMPretrainer:
    known = set(inspect.signature(MtMPretrainer).parameters)
    parameters = {k: _from_json(v) for k, v in description["parameters"].items() if k in known}
    pre = MtMPretrainer(**parameters)
    pre.schemes_ = resolve_schemes(description["schemes"], caller="load")
    infos = [
        SessionInfo(
            **{
                name: tuple(value) if isinstance(value, list) else value
                for name, value in entry.items()
            }
        )
        for entry in description["sessions"]
    ]
    blank = [
        SessionStatistics(
            i.session_id,
            np.ones(i.n_neurons, np.float32),
            np.ones(i.n_neurons, np.float32),
            i.n_time,
        )
        for i in infos
    ]
    pre.model_ = pre._build(blank, pre.schemes_, torch.Generator().manual_seed(0))
    pre.model_.load_state_dict(tensors)
    pre.sessions_ = {i.session_id: i for i in infos}
    pre.history_ = pd.DataFrame(description["history"])
    pre.excluded_ = pd.DataFrame(description["excluded"])
    pre.regions_ = np.array(sorted({n for i in infos for n in i.regions or ()}), dtype=str)
    pre._n_features_out = pre.model_.n_features
    if len(infos) == 1:
        pre.n_features_in_ = infos[0].n_neurons
    return pre


def _split(
    recordings: list[Recording], fraction: float, generator: np.random.Generator
) -> tuple[list[Recording], list[Recording]]:
    """Set trials of every session aside for validation."""
    if fraction == 0:
        return recordings, []
    training, validation = [], []
    for r in recordings:
        n = len(r.counts)
        order = generator.permutation(n)
        n_held_out = min(max(1, round(fraction * n)), n - 1)
        training.append(Recording(r.info, r.counts[np.sort(order[n_held_out:])]))
        validation.append(Recording(r.info, r.counts[np.sort(order[:n_held_out])]))
    return training, validation


def _excluded(known, training, schemes, ignored, caller) -> pd.DataFrame:
    """Table what is left out: silent neurons, ignored regions, schemes a session cannot use."""
    rows = []
    for tensors in training:
        info = known[tensors.session_id]
        rows += [(info.session_id, "neuron", str(i), "no spikes") for i in info.silent]
        names, sizes = np.unique(np.array(info.regions or ()), return_counts=True)
        for name, size in zip(names.tolist(), sizes.tolist(), strict=True):
            if name in tuple(ignored):
                rows.append((info.session_id, "region", name, "in ignore_regions"))
            elif size < 2:
                rows.append((info.session_id, "region", name, "one neuron: never intra-region"))
        reasons = {s.name: s.reason_against(tensors.regions) for s in schemes}
        rows += [(info.session_id, "scheme", n, why) for n, why in reasons.items() if why]
        if all(reasons.values()):
            raise InvalidInputError(
                f"{caller}: session {info.session_id!r} can use none of the schemes ({reasons}). "
                "Add a scheme that needs no regions, such as 'neuron', or check regions."
            )
    return pd.DataFrame(rows, columns=["session", "item", "name", "reason"])


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


def _region_members(info, source, target, caller) -> list[np.ndarray]:
    """Return masks over neurons of the source and of the target."""
    labels = np.array(info.regions or ())
    sets = [[s] if isinstance(s, str) else list(s) for s in (source, target)]
    for name in sets[0] + sets[1]:
        if name not in labels:
            known = sorted(set(labels.tolist()))
            raise InvalidInputError(
                f"{caller}: session {info.session_id!r} has no region {name!r}; its regions are "
                f"{known}.{suggest(name, known)}"
            )
    both = set(sets[0]) & set(sets[1])
    if both:
        raise InvalidInputError(
            f"{caller}: {sorted(both)} is both source and target; expected different regions."
        )
    return [np.isin(labels, names) for names in sets]


def _to_json(value: Any) -> Any:
    if isinstance(value, Scheme):
        return value.name
    if isinstance(value, (tuple, list, np.ndarray)):
        return [_to_json(v) for v in value]
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (np.random.RandomState, np.random.Generator)):
        return None
    return value


def _from_json(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
