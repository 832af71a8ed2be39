"""MtMDecoder: behaviour from spikes, on top of a pretrained model."""

from __future__ import annotations

import copy
import os
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, clone
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import accuracy_score
from sklearn.utils import ClassifierTags, RegressorTags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from ._base import SpikesEstimator
from ._errors import InvalidInputError, NeuromaskWarning
from ._finetuning import STRATEGIES, finetune_readout
from ._interpretation import importance_of_regions, scores_over_time
from ._progress import fit_progress
from ._random import random_streams
from ._readout import Readout, fit_readout, make_folds
from ._recordings import Recording, is_session_list, read_known, region_members
from ._targets import Classes, read_labels, read_target
from ._training import TrainingConfig
from ._validation import (
    check_choice,
    check_fraction,
    check_positive_int,
    check_spikes,
    resolve_regions,
)
from .decoding import TASKS, compare_decoders, decoding_baselines, pooled_r2, summarise_decoders
from .persistence import load
from .pretrainer import MtMPretrainer
from .schemes import Scheme
from .session import Session

__all__ = ["MtMDecoder"]

# Parameters of a fitted pretrainer that still mean something.
LATE_PARAMETERS = {"device", "precision", "pooling", "verbose", "ignore_regions"}


def _decodes_classes(decoder: MtMDecoder) -> bool:
    return decoder.task == "classification"


class MtMDecoder(SpikesEstimator, BaseEstimator):
    """Decode behaviour from spikes with a pretrained model.

    The read-out sees the trunk's features and the counts, averaged over the trial, its halves and
    its quarters, or in every bin for signals. Its strength, the scheme whose prompt is used and the
    calibration of probabilities are chosen on training trials left out by cross-validation.

    Parameters
    ----------
    pretrainer : MtMPretrainer, FrozenEstimator, path-like or None, default=None
        A fitted pretrainer keeps its weights through clone, cross-validation, searches and pickling
        (as a candidate in a parameter grid, wrap it in ``sklearn.frozen.FrozenEstimator``). An
        unfitted one is pretrained on the trials of each `fit`, and so inside each training fold,
        which leaks nothing. A path is that of a saved model. None is an unfitted one with default
        parameters.
    task : {"classification", "regression"}, default="classification"
        Classes (choice, block, stimulus side), or numbers: one a trial, or one or several in every
        bin (wheel speed, whisker motion energy).
    regions : str or sequence of str, optional
        Regions to decode from; all others are hidden, as in pretraining. All by default.
    scheme : str, default="auto"
        Pretrained scheme whose prompt to use; auto tries all and takes the best on trials left out.
    finetune : {"head", "gradual", "full"}, default="head"
        What is trained. "head": the read-out alone, in closed form and seconds; right for up to a
        few hundred trials and for cross-validation. "gradual": the session's read-in and the
        read-out first, then everything; for a session unlike the pretrained ones. "full":
        everything at once; for many labelled trials. The last two keep the head where no epoch
        beats it on validation.
    class_weight : "balanced", dict or None, default="balanced"
        Weights of classes. With "balanced", predictions and probabilities are those of equally
        common classes.
    max_epochs : int, default=30
        Most passes over the training trials in fine-tuning.
    learning_rate : float, default=3e-4
        Peak learning rate of fine-tuning.
    weight_decay : float, default=0.3
        Decay of the weights of linear layers in fine-tuning.
    batch_size : int, default=32
        Most trials in a batch of fine-tuning.
    n_iter_no_change : int, default=10
        Epochs without a better validation loss after which a stage of fine-tuning stops.
    validation_fraction : float, default=0.2
        Share of the trials that fine-tuning is validated on.
    random_state : int, numpy generator or None, default=None
        Owns folds, masks, batches and dropout, and a pretrainer's chance where that has none.
    verbose : int, default=0
        1 shows progress.

    Attributes
    ----------
    classes_ : ndarray, (classes,)
        Class labels, sorted; classification only.
    pretrainer_ : MtMPretrainer
        The fitted model that is decoded from; fine-tuning changes a copy.
    scheme_ : str
        Scheme whose prompt is used.
    selection_ : DataFrame
        Each scheme and the squared error of its read-out on trials left out.
    history_ : DataFrame
        Epochs of fine-tuning; empty for "head".
    n_features_in_ : int
        Neurons.

    See Also
    --------
    neuromask.decoding : Baselines, and comparisons on the same folds.

    Examples
    --------
    >>> import neuromask as nm
    >>> session = nm.simulate(60, n_neurons=12, n_time=20, random_state=0)
    >>> pre = nm.MtMPretrainer(dim=16, n_layers=1, max_epochs=2, random_state=0).fit(session)
    >>> decoder = nm.MtMDecoder(pre, task="classification", random_state=0)
    >>> decoder.fit(session, session.trials["stimulus"]).predict(session).shape
    (60,)
    """

    def __init__(
        self,
        pretrainer: Any = None,
        *,
        task: str = "classification",
        regions: str | Sequence[str] | None = None,
        scheme: str = "auto",
        finetune: str = "head",
        class_weight: Any = "balanced",
        max_epochs: int = 30,
        learning_rate: float = 3e-4,
        weight_decay: float = 0.3,
        batch_size: int = 32,
        n_iter_no_change: int = 10,
        validation_fraction: float = 0.2,
        random_state: int | np.random.RandomState | np.random.Generator | None = None,
        verbose: int = 0,
    ) -> None:
        self.pretrainer = pretrainer
        self.task = task
        self.regions = regions
        self.scheme = scheme
        self.finetune = finetune
        self.class_weight = class_weight
        self.max_epochs = max_epochs
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.n_iter_no_change = n_iter_no_change
        self.validation_fraction = validation_fraction
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        if _decodes_classes(self):
            tags.estimator_type = "classifier"
            tags.classifier_tags = ClassifierTags()
        else:
            tags.estimator_type = "regressor"
            tags.regressor_tags = RegressorTags()
            tags.target_tags.multi_output = True
        return tags

    def __sklearn_clone__(self) -> MtMDecoder:
        """Copy the parameters without the fit, but for a fitted pretrainer, which keeps its own."""
        parameters = self.get_params(deep=False)
        given = parameters.pop("pretrainer")
        given = copy.copy(given) if _is_fitted(given) else clone(given, safe=False)
        copied = type(self)(
            given, **{name: clone(value, safe=False) for name, value in parameters.items()}
        )
        for name in ("_metadata_request", "_sklearn_output_config"):
            if hasattr(self, name):
                setattr(copied, name, copy.deepcopy(getattr(self, name)))
        return copied

    def set_params(self, **params: Any) -> MtMDecoder:
        """Set parameters; those of a fitted pretrainer that shaped its weights are refused.

        Raises
        ------
        InvalidInputError
            For ``pretrainer__dim`` and the like of a pretrainer that is fitted.
        """
        names = [k.removeprefix("pretrainer__") for k in params if k.startswith("pretrainer__")]
        late = [name for name in names if name not in LATE_PARAMETERS]
        if late and _is_fitted(params.get("pretrainer", self.pretrainer)):
            raise InvalidInputError(
                f"MtMDecoder.set_params: pretrainer is fitted, so that {late[0]!r} can no longer "
                "change its weights. Pass sklearn.base.clone(pretrainer), which is unfitted, to "
                "pretrain anew with each setting."
            )
        return super().set_params(**params)

    def fit(self, X: Any, y: Any) -> MtMDecoder:
        """Fit the read-out, after pretraining and with fine-tuning where these are asked for.

        Parameters
        ----------
        X : Session or array-like of int, (trials, time, neurons)
            Spike counts of one session, one that a fitted pretrainer knows.
        y : array-like, (trials,), (trials, time) or (trials, time, variables)
            Classes of any type, or numbers.

        Returns
        -------
        MtMDecoder
            Itself.

        Raises
        ------
        InvalidInputError
            For trials or targets that do not suit each other or the task, and parameters out of
            range. Raised before any work.
        UnknownSessionError
            If a fitted pretrainer does not know the session.
        """
        caller = "MtMDecoder.fit"
        self._check_parameters(caller)
        given = self._given_pretrainer(caller)
        counts = _one_session(X, caller)
        target = read_target(
            y, self.task, n_trials=len(counts), n_time=counts.shape[1], caller=caller
        )
        names = self._scheme_names(given, caller)
        hidden = self._hides(X, given, counts.shape[2], caller)
        streams = random_streams(self.random_state)
        pre = given if _is_fitted(given) else _pretrained(given, X, streams.init)
        recording = read_known(X, pre.sessions_, caller=caller)
        weights = target.trial_weights(self.class_weight)
        folds = make_folds(target, streams.split)
        network = pre._network()
        readouts = {}
        for name in names:
            readouts[name] = fit_readout(
                network.decoding_features(recording, hidden, name, per_bin=target.per_bin),
                target,
                n_latent=network.n_latent(per_bin=target.per_bin),
                trial_weights=weights,
                folds=folds,
            )
        losses = {name: readout.loss for name, readout in readouts.items()}
        best = min(losses, key=losses.__getitem__)
        history = pd.DataFrame()
        if self.finetune != "head":
            with fit_progress(self.verbose, self.max_epochs) as on_epoch:
                network, trained, history = finetune_readout(
                    network,
                    recording,
                    hidden,
                    best,
                    target,
                    weights,
                    strategy=self.finetune,
                    validation_fraction=self.validation_fraction,
                    config=self._training_config(network.precision),
                    streams=streams,
                    on_epoch=on_epoch,
                )
            if trained is not None:
                readouts = {best: trained}
                pre = copy.copy(pre)
                pre.model_ = network.model
        self.pretrainer_ = pre
        self.readouts_ = readouts
        self.scheme_ = best
        self.selection_ = pd.DataFrame({"scheme": list(losses), "loss": list(losses.values())})
        self.history_ = history
        self.n_features_in_ = recording.info.n_neurons
        self._info = recording.info
        self._n_time = counts.shape[1]
        self._hidden = hidden
        self._per_bin = target.per_bin
        if isinstance(target, Classes):
            self.classes_ = target.labels
        else:
            self._units = target.units
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Predict classes or numbers.

        Parameters
        ----------
        X : Session or array-like, (trials, time, neurons)
            Trials of the fitted session.

        Returns
        -------
        ndarray, (trials,), (trials, time) or (trials, time, variables)
            Labels of the likeliest classes, or numbers in the shape of the fitted y.
        """
        outputs = self._outputs(X, "MtMDecoder.predict")
        return self._answers(self.readouts_[self.scheme_], outputs)

    @available_if(_decodes_classes)
    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict the probability of each class, calibrated on trials left out of the fit.

        Parameters
        ----------
        X : Session or array-like, (trials, time, neurons)
            Trials of the fitted session.

        Returns
        -------
        ndarray, (trials, classes)
            In the order of `classes_`; of equally common classes if `class_weight` is "balanced".
        """
        outputs = self._outputs(X, "MtMDecoder.predict_proba")
        return np.exp(self.readouts_[self.scheme_].log_chances(outputs[:, 0]))

    def score(self, X: Any, y: Any) -> float:
        """Return the accuracy of classes, or the R² of numbers over all trials and bins.

        Parameters
        ----------
        X : Session or array-like, (trials, time, neurons)
            Trials of the fitted session.
        y : array-like
            True classes or numbers. R² is averaged over variables.

        Raises
        ------
        InvalidInputError
            If `y` holds a class that was not fitted, or does not suit the trials.
        """
        caller = "MtMDecoder.score"
        truth = self._truth(X, y, caller)
        answer = self.predict(X)
        if _decodes_classes(self):
            return float(accuracy_score(truth, answer))
        return pooled_r2(truth, answer)

    def evaluate(
        self,
        X: Any,
        y: Any,
        *,
        cv: Any = 5,
        baselines: bool = True,
        scoring: Any = None,
        n_jobs: int | None = None,
    ) -> pd.DataFrame:
        """Cross-validate this decoder beside the baselines of :mod:`neuromask.decoding`.

        Clones are fitted; this decoder, fitted or not, stays as it is.

        Parameters
        ----------
        X : Session or array-like, (trials, time, neurons)
            Trials of one session.
        y : array-like
            What to decode.
        cv : int, splitter or iterable, default=5
            As in scikit-learn; an int stratifies classes.
        baselines : bool, default=True
            Whether to fit the baselines too.
        scoring : str or callable, optional
            As in scikit-learn; balanced accuracy, or R² over all trials and bins, by default.
        n_jobs : int, optional
            Folds fitted at a time.

        Returns
        -------
        DataFrame
            One row a model: score, se, ci_low, ci_high, and `difference` of MtM from it with its
            standard error over folds. ``attrs["folds"]`` lists the folds' scores.

        Warns
        -----
        NeuromaskWarning
            If a baseline does better by more than a standard error.
        """
        caller = "MtMDecoder.evaluate"
        self._check_parameters(caller)
        counts = _one_session(X, caller)
        target = read_target(
            y, self.task, n_trials=len(counts), n_time=counts.shape[1], caller=caller
        )
        models: dict[str, Any] = {"MtM": self}
        if baselines:
            models |= decoding_baselines(self.task, per_bin=target.per_bin)
        folds = compare_decoders(models, X, np.asarray(y), cv=cv, scoring=scoring, n_jobs=n_jobs)
        table = summarise_decoders(folds)
        table.attrs["folds"] = folds.to_dict("records")
        better = table[table["difference"] < -table["difference_se"]]
        if len(better):
            shown = ", ".join(f"{r.model} by {-r.difference:.3f}" for r in better.itertuples())
            warnings.warn(
                f"{caller}: baselines do better than MtM on the same folds: {shown}.",
                NeuromaskWarning,
                stacklevel=2,
            )
        return table

    def region_importance(self, X: Any, y: Any, *, n_bootstrap: int = 200) -> pd.DataFrame:
        """Measure how much the score drops when a region is hidden.

        A hidden region is filled in as the model expects it from the other regions, under the
        prompt that was pretrained with hidden regions where there is one. What drops is therefore
        what the region alone knows.

        Parameters
        ----------
        X : Session or array-like, (trials, time, neurons)
            Trials of the fitted session, best ones that `fit` has not seen.
        y : array-like
            True classes or numbers.
        n_bootstrap : int, default=200
            Resamples of trials behind the standard errors.

        Returns
        -------
        DataFrame
            region, n_neurons, score (nothing hidden), score_hidden, importance (their difference),
            importance_se; the most important first. Scores are balanced accuracy or R².
        """
        caller = "MtMDecoder.region_importance"
        truth = self._truth(X, y, caller)
        check_positive_int("n_bootstrap", n_bootstrap, caller=caller)
        recording = self._known(X, caller)
        labels = np.array(self._info.regions or (), dtype=str)
        if not len(labels):
            raise InvalidInputError(
                f"{caller}: no regions are known for session {self._info.session_id!r}; expected "
                "one a neuron. Pretrain with a Session that carries them, or with regions=..."
            )
        name = "inter-region" if "inter-region" in self.readouts_ else self.scheme_
        readout, network = self.readouts_[name], self.pretrainer_._network()

        def answers(hidden: np.ndarray) -> np.ndarray:
            features = network.decoding_features(recording, hidden, name, per_bin=self._per_bin)
            return self._answers(readout, readout.predict(features))

        return importance_of_regions(
            answers,
            truth,
            labels,
            self._hidden,
            classes=_decodes_classes(self),
            n_bootstrap=n_bootstrap,
            seed=random_streams(self.random_state).split,
        )

    def time_resolved(self, X: Any, y: Any, *, cv: Any = 5, step: int = 1) -> pd.DataFrame:
        """Cross-validate how well behaviour is decoded at each time.

        One value a trial is read from each bin with causal attention, so that a bin's score is what
        could be known by then. Values in every bin are decoded as `predict` does, and scored bin by
        bin. Clones are fitted; this decoder, fitted or not, stays as it is.

        Parameters
        ----------
        X : Session or array-like, (trials, time, neurons)
            Trials of one session.
        y : array-like
            What to decode.
        cv : int, splitter or iterable, default=5
            As in scikit-learn; an int stratifies classes.
        step : int, default=1
            Bins between those that are scored.

        Returns
        -------
        DataFrame
            fold, bin, time (seconds from the start of the trial to the bin's end, NaN where the
            bin's width is not known) and score: balanced accuracy, or R² over trials.
        """
        caller = "MtMDecoder.time_resolved"
        self._check_parameters(caller)
        counts = _one_session(X, caller)
        target = read_target(
            y, self.task, n_trials=len(counts), n_time=counts.shape[1], caller=caller
        )
        check_positive_int("step", step, caller=caller)
        given = self._given_pretrainer(caller)
        causal = [s.name for s in self._schemes(given, caller) if s.attention == "causal"]
        if not causal and not target.per_bin:
            raise InvalidInputError(
                f"{caller}: no pretrained scheme attends causally; expected one such as 'causal'. "
                "Add it to the pretrainer's schemes."
            )
        trials, labels = (X if isinstance(X, Session) else counts), np.asarray(y)
        bins = np.arange(0, counts.shape[1], step)

        def answers(training: np.ndarray, test: np.ndarray) -> np.ndarray:
            fitted = clone(self)
            if target.per_bin:
                fitted.fit(trials[training], labels[training])
                return fitted.predict(trials[test])[:, bins]
            fitted.set_params(scheme=causal[0]).fit(trials[training], labels[training])
            return fitted._bin_by_bin(trials[training], labels[training], trials[test], bins)

        truth = labels[:, bins] if target.per_bin else labels
        table = scores_over_time(answers, truth, bins, cv=cv, classes=_decodes_classes(self))
        width = getattr(X, "bin_width", None)
        table.insert(2, "time", (table["bin"] + 1) * (np.nan if width is None else width))
        return table

    def _bin_by_bin(self, X: Any, y: np.ndarray, X_test: Any, bins: np.ndarray) -> np.ndarray:
        """Fit a read-out to each bin alone; return answers (test trials, bins)."""
        caller = "MtMDecoder.time_resolved"
        network = self.pretrainer_._network()
        training, test = (
            network.decoding_features(
                read_known(x, self.pretrainer_.sessions_, caller=caller),
                self._hidden,
                self.scheme_,
                per_bin=True,
            )
            for x in (X, X_test)
        )
        target = read_target(y, self.task, n_trials=len(X), n_time=X.shape[1], caller=caller)
        weights = target.trial_weights(self.class_weight)
        folds = make_folds(target, random_streams(self.random_state).split)
        answers = []
        for i in bins:
            readout = fit_readout(
                training[:, i : i + 1],
                target,
                n_latent=network.n_latent(per_bin=True),
                trial_weights=weights,
                folds=folds,
            )
            answers.append(self._answers(readout, readout.predict(test[:, i : i + 1])))
        return np.stack(answers, axis=1)

    def _answers(self, readout: Readout, outputs: np.ndarray) -> np.ndarray:
        """Turn outputs into what users see."""
        if _decodes_classes(self):
            return self.classes_[readout.log_chances(outputs[:, 0]).argmax(1)]
        return self._units.restore(outputs)

    def _outputs(self, X: Any, caller: str) -> np.ndarray:
        """Return outputs (trials, time or 1, outputs) of the chosen scheme's read-out."""
        recording = self._known(X, caller)
        features = self.pretrainer_._network().decoding_features(
            recording, self._hidden, self.scheme_, per_bin=self._per_bin
        )
        return self.readouts_[self.scheme_].predict(features)

    def _known(self, X: Any, caller: str) -> Recording:
        """Check trials of the fitted session."""
        check_is_fitted(self)
        recording = read_known(X, {self._info.session_id: self._info}, caller=caller)
        if recording.counts.shape[1] != self._n_time:
            raise InvalidInputError(
                f"{caller}: X has {recording.counts.shape[1]} bins; the decoder was fitted with "
                f"{self._n_time}. Cut trials to the fitted length."
            )
        return recording

    def _truth(self, X: Any, y: Any, caller: str) -> np.ndarray:
        """Check what is to be scored against."""
        check_is_fitted(self)
        counts = check_spikes(X, caller=caller)
        if not _decodes_classes(self):
            target = read_target(
                y, self.task, n_trials=len(counts), n_time=counts.shape[1], caller=caller
            )
            if target.units.shape != self._units.shape:
                raise InvalidInputError(
                    f"{caller}: y has {target.units.shape or 'one number'} a trial; expected "
                    f"{self._units.shape or 'one number'}, as fitted."
                )
            return target.values.reshape(len(counts), *target.units.shape)
        truth = read_labels(y, n_trials=len(counts), caller=caller)
        strangers = sorted(set(truth.tolist()) - set(self.classes_.tolist()), key=str)
        if strangers:
            raise InvalidInputError(
                f"{caller}: y holds {strangers}, which fit has not seen; fitted classes are "
                f"{self.classes_.tolist()}. Fit on trials of every class, for example with a "
                "stratified split, or leave those trials out."
            )
        return truth

    def _check_parameters(self, caller: str) -> None:
        check_choice("task", self.task, TASKS, caller=caller)
        check_choice("finetune", self.finetune, ("head", *STRATEGIES), caller=caller)
        for name in ("max_epochs", "batch_size", "n_iter_no_change"):
            check_positive_int(name, getattr(self, name), caller=caller)
        check_fraction("learning_rate", self.learning_rate, caller=caller, low=1e-12, high=10.0)
        check_fraction("weight_decay", self.weight_decay, caller=caller, high=1000.0)
        check_fraction("validation_fraction", self.validation_fraction, caller=caller, low=0.01)

    def _training_config(self, precision: str) -> TrainingConfig:
        return TrainingConfig(
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            batch_size=self.batch_size,
            max_epochs=self.max_epochs,
            n_iter_no_change=self.n_iter_no_change,
            validate_every=1,
            validate_start=True,
            precision=precision,
        )

    def _given_pretrainer(self, caller: str) -> MtMPretrainer:
        """Return the pretrainer that was asked for, fitted or to be fitted."""
        given = MtMPretrainer() if self.pretrainer is None else self.pretrainer
        if isinstance(given, (str, os.PathLike)):
            return load(given)
        if isinstance(given, FrozenEstimator):
            given = given.estimator
            if not _is_fitted(given):
                raise InvalidInputError(
                    f"{caller}: pretrainer is frozen but not fitted, so that it would never be. "
                    "Fit it first, or pass it without FrozenEstimator to pretrain on the trials of "
                    "each fit."
                )
        if not isinstance(given, MtMPretrainer):
            raise InvalidInputError(
                f"{caller}: pretrainer is a {type(given).__name__}; expected an MtMPretrainer, the "
                "path of a saved one, or None."
            )
        return given

    def _schemes(self, given: MtMPretrainer, caller: str) -> Sequence[Scheme]:
        return given.schemes_ if _is_fitted(given) else given._check_parameters(caller)

    def _scheme_names(self, given: MtMPretrainer, caller: str) -> list[str]:
        """Return the schemes to choose from."""
        names = [scheme.name for scheme in self._schemes(given, caller)]
        asked = str(self.scheme).replace("_", "-")
        if asked == "auto":
            return names
        check_choice("scheme", asked, ["auto", *names], caller=caller)
        return [asked]

    def _hides(self, X: Any, given: MtMPretrainer, n_neurons: int, caller: str) -> np.ndarray:
        """Return which neurons are never seen."""
        if self.regions is None:
            return np.zeros(n_neurons, dtype=bool)
        if _is_fitted(given):
            labels = read_known(X, given.sessions_, caller=caller).info.regions
        else:
            labels = resolve_regions(
                X, None, None, given.regions, n_trials=0, n_neurons=n_neurons, caller=caller
            )
        return ~region_members(labels, self.regions, caller=caller)


def _is_fitted(pretrainer: Any) -> bool:
    return isinstance(pretrainer, MtMPretrainer) and hasattr(pretrainer, "model_")


def _pretrained(given: MtMPretrainer, X: Any, seed: int) -> MtMPretrainer:
    """Pretrain a copy on these trials; its chance is the decoder's where it has none."""
    fresh = clone(given)
    if fresh.random_state is None:
        fresh.set_params(random_state=seed)
    return fresh.fit(X)


def _one_session(X: Any, caller: str) -> np.ndarray:
    if is_session_list(X):
        raise InvalidInputError(
            f"{caller}: X is a list of {len(X)} recordings; expected one session. Pretrain on all "
            "of them, then fit one decoder a session."
        )
    return check_spikes(X, caller=caller)
