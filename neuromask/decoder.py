"""MtMDecoder: behaviour from spikes, on top of a pretrained model."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, clone, is_classifier
from sklearn.metrics import accuracy_score
from sklearn.utils import ClassifierTags, RegressorTags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from ._checks import check_choice, check_fraction, check_positive_int
from ._estimator import SpikesEstimator
from ._known import Recording, SessionInfo
from ._random import random_streams
from ._recordings import is_session_list, read_known, rebinned
from ._windows import stitch
from .decoding.baselines import DECODING_TASKS, decoding_baselines
from .decoding.features import block_sizes, read_features
from .decoding.finetuning import DECODER_STAGES, finetune_readout, split_for_finetuning
from .decoding.interpretation import region_importance, scores_over_time
from .decoding.overlap import (
    blocks_of_overlapping,
    warn_of_parted_windows,
    warn_of_shared_bins,
)
from .decoding.pretrained import (
    check_scheme,
    fitted_schemes,
    hidden_neurons,
    is_fitted,
    pretrain_copy,
    read_sessions,
    read_trials,
    resolve_pretrainer,
    scheme_names,
)
from .decoding.readout import Readout, fit_readout, make_folds, read_scheme
from .decoding.scores import (
    compare_decoders,
    cut_trials,
    pooled_r2,
    summarise_decoders,
    warn_of_failed_folds,
    warn_of_losses,
)
from .decoding.shared import (
    Correction,
    Standard,
    join_targets,
    session_folds,
    shared_features,
)
from .decoding.streaming import SignalStream
from .decoding.targets import (
    Classes,
    Signals,
    check_class_weight,
    observed_trials,
    read_groups,
    read_labels,
    read_target,
    values_where_observed,
    whole_signal,
)
from .errors import InvalidInputError, about, public, warn
from .pretrainer import MtMPretrainer, fitted_network, whole_recording
from .session import Session
from .training.loop import TrainingConfig
from .training.progress import fit_progress

__all__ = ["MtMDecoder"]

# Fewer trials of a session that a decoder of several has not met are too few to standardise it by.
FEW_TO_STANDARDISE = 20
# Parameters of a fitted pretrainer that still mean something.
LATE_PARAMETERS = {"device", "precision", "pooling", "verbose", "ignore_regions"}


def _decodes_classes(decoder: MtMDecoder) -> bool:
    """Say whether classes are decoded: those that were fitted, or else what the parameter asks for."""
    if hasattr(decoder, "readouts_"):
        return hasattr(decoder, "classes_")
    return decoder.task == "classification"


class MtMDecoder(SpikesEstimator, BaseEstimator):
    """Decode behaviour from spikes with a pretrained model.

    The read-out sees the trunk's features and the counts, averaged over windows of several lengths,
    or in every bin for signals. Its strength, the scheme whose prompt is used and the temperature of
    probabilities are chosen on training trials left out by cross-validation. These are runs of
    consecutive trials, so that where rates drift and a variable comes in blocks, a trial is not told
    from its neighbours: pass trials in the order of time, as sessions are loaded and as the folds of
    scikit-learn leave them.

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
        read-out first, then everything; for one session of many that were pretrained together.
        "full": everything at once; for many labelled trials. The last two keep the head unless
        they beat it, by more than a standard error, on trials that neither of them has seen.
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
        Share of the trials that fine-tuning does not train on: half of them choose its weights, and
        half say whether it did better than the head, and how sure its probabilities may be.
    random_state : int, numpy generator or None, default=None
        Owns validation trials, masks, batches and dropout of fine-tuning, and a pretrainer's chance
        where that has none.
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
    finetuned_ : bool
        Whether fine-tuning was asked for and did better than the head.
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

    # Of a fit to several sessions: the units of those that are known, and what own labels of some add.
    _is_shared: bool = False
    _standards: dict[tuple[str, str], Standard]
    _corrections: dict[tuple[str, str], Correction]

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
        if self.task == "classification":
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
        given = copy.copy(given) if is_fitted(given) else clone(given, safe=False)
        copied = {name: clone(value, safe=False) for name, value in parameters.items()}
        return type(self)(given, **copied)

    @public
    def set_params(self, **params: Any) -> MtMDecoder:
        """Set parameters; those of a fitted pretrainer that shaped its weights are refused.

        Raises
        ------
        InvalidInputError
            For ``pretrainer__dim`` and the like of a pretrainer that is fitted.
        """
        names = [k.removeprefix("pretrainer__") for k in params if k.startswith("pretrainer__")]
        late = [name for name in names if name not in LATE_PARAMETERS]
        if late and is_fitted(params.get("pretrainer", self.pretrainer)):
            raise InvalidInputError(
                f"pretrainer is fitted, so that {late[0]!r} can no longer "
                "change its weights. Pass sklearn.base.clone(pretrainer), which is unfitted, to "
                "pretrain anew with each setting."
            )
        return super().set_params(**params)

    @public
    def fit(self, X: Any, y: Any, *, groups: Any = None) -> MtMDecoder:
        """Fit the read-out, after pretraining and with fine-tuning where these are asked for.

        Parameters
        ----------
        X : Session or array-like of int, (trials, time, neurons), or list of Sessions
            Spike counts of one session, one that a fitted pretrainer knows. A list of several gets one
            read-out of what sessions share, which decodes a session that was only calibrated; they are
            calibrated anew for that in a copy of the pretrainer, which needs an encoder of neurons.
        y : array-like, (trials,), (trials, time) or (trials, time, variables), or list of these
            Classes of any type, or numbers; for a list of Sessions those of each.
        groups : array-like, (trials,), optional
            Trials of one group, such as a block of the task, are never parted where trials are left
            out to make a choice. Without them trials are left out as runs of consecutive ones, or,
            where windows overlap that :func:`neuromask.cut_windows` made, as blocks of these.

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

        Warns
        -----
        NeuromaskWarning
            If windows overlap and there are no groups, nor enough blocks, to keep together.
        """
        if is_session_list(X):
            return self._fit_sessions(X, y, groups)
        given, recording, target = self._read(X, y)
        check_scheme(given, self.scheme)
        if groups is None:
            fewest = 2 if self.finetune == "head" else 3
            groups = blocks_of_overlapping(X, fewest=fewest)
            if groups is None:
                warn_of_parted_windows(X, fewest=fewest)
        else:
            groups = read_groups(groups, n_trials=len(recording))
        if (there := recording.observed_trials()) is not None:
            recording, target = recording.with_data(), target.take(there)
            groups = None if groups is None else groups[there]
        hidden = hidden_neurons(recording, self.regions)
        weights = target.trial_weights(self.class_weight)
        streams = random_streams(self.random_state)
        split = None
        if self.finetune != "head":
            fraction = self.validation_fraction
            split = split_for_finetuning(target, fraction, streams.split, groups)
        pre = given if is_fitted(given) else pretrain_copy(given, recording, streams.init)
        network = fitted_network(pre)
        readouts = {
            name: read_scheme(network, recording, hidden, name, target, weights, groups)
            for name in scheme_names(pre, self.scheme, recording.info)
        }
        losses = {name: readout.loss for name, readout in readouts.items()}
        best = min(losses, key=losses.__getitem__)
        history, trained = pd.DataFrame(), None
        if split is not None:
            with fit_progress(self.verbose, self.max_epochs) as on_epoch:
                network, trained, history = finetune_readout(
                    network,
                    recording,
                    hidden,
                    best,
                    target,
                    weights,
                    split,
                    strategy=self.finetune,
                    config=self._training_config(network.precision),
                    streams=streams,
                    ignored=pre.ignore_regions,
                    groups=groups,
                    on_epoch=on_epoch,
                )
        # A copy, so that what becomes of the given one does not change what was fitted here.
        pre = copy.copy(pre)
        if trained is not None:
            readouts = {best: trained}
            pre.model_ = network.model
        self.pretrainer_ = pre
        self.readouts_ = readouts
        self.scheme_ = best
        self.selection_ = pd.DataFrame({"scheme": list(losses), "loss": list(losses.values())})
        self.history_ = history
        self.finetuned_ = trained is not None
        self.n_features_in_ = recording.info.n_neurons
        self._is_shared, self._standards, self._corrections = False, {}, {}
        self._start = recording.start
        self._info = _info_of(recording)
        self._hidden = hidden
        return self._answer_as(target)

    def _fit_sessions(self, X: Sequence[Any], y: Any, groups: Any) -> MtMDecoder:
        """Fit one read-out to several sessions, of what they share."""
        self._check_parameters()
        given = resolve_pretrainer(self.pretrainer)
        if self.finetune != "head" or groups is not None:
            raise InvalidInputError(
                f"X is a list of {len(X)} sessions, with finetune={self.finetune!r} and groups that are "
                f"{'not ' if groups is None else ''}given; expected finetune='head' and no groups, as whole "
                "sessions are left out."
            )
        recordings = read_sessions(X, given)
        targets = self._read_targets(recordings, y, given.rebin)
        check_scheme(given, self.scheme)
        join_targets(targets)  # refuses what does not go together before anything is pretrained
        hidden = [hidden_neurons(r, self.regions) for r in recordings]
        if is_fitted(given):
            pre = given
        else:
            pre = pretrain_copy(given, X, random_streams(self.random_state).init)
        infos = [r.info for r in recordings]
        # Their neurons come into the trunk as those of a new session do.
        pre = pre.forget([info.session_id for info in infos]).calibrate(list(X))
        recordings = read_sessions(X, pre)
        for i, recording in enumerate(recordings):
            if (there := recording.observed_trials()) is not None:
                recordings[i], targets[i] = recording.with_data(), targets[i].take(there)
        target = join_targets(targets)
        weights = np.concatenate([t.trial_weights(self.class_weight) for t in targets])
        network = fitted_network(pre)
        names = [scheme_names(pre, self.scheme, info) for info in infos]
        folds = session_folds([len(r) for r in recordings], [i.subject for i in infos])
        readouts, standards = {}, {}
        for name in names[0]:
            if not all(name in own for own in names):
                continue
            parts = []
            for recording, unseen in zip(recordings, hidden, strict=True):
                features = shared_features(network, recording, unseen, name, per_bin=target.per_bin)
                standard = Standard.of(features)
                standards[recording.info.session_id, name] = standard
                parts.append(standard(features))
            readouts[name] = fit_readout(
                np.concatenate(parts),
                target,
                block_sizes=(parts[0].shape[2],),
                trial_weights=weights,
                folds=folds,
            )
        losses = {name: readout.loss for name, readout in readouts.items()}
        self.pretrainer_ = pre
        self.readouts_, self._is_shared = readouts, True
        self._standards, self._corrections = standards, {}
        self.scheme_ = min(losses, key=losses.__getitem__)
        self.selection_ = pd.DataFrame({"scheme": list(losses), "loss": list(losses.values())})
        self.history_, self.finetuned_ = pd.DataFrame(), False
        if hasattr(self, "n_features_in_"):  # of an earlier fit to one session
            del self.n_features_in_
        return self._answer_as(target)

    def _answer_as(self, target: Classes | Signals) -> MtMDecoder:
        """Remember what outputs stand for."""
        self._per_bin = target.per_bin
        if isinstance(target, Classes):
            self.classes_ = target.labels
        else:
            self._units = target.units
            if hasattr(self, "classes_"):  # of an earlier fit
                del self.classes_
        return self

    @public
    def adapt(self, X: Any, y: Any = None) -> MtMDecoder:
        """Return a copy that knows one more session, of which few labels are known, or none.

        The decoder must have been fitted to several sessions. Without labels the session's trials tell
        what its usual activity is, which `predict` else takes from the trials that it is given; what was
        known of the session before is replaced, labels too. With labels a read-out of its own neurons
        learns what the shared one misses, and its usual activity stays that of an earlier `adapt`, or of
        the fit, where there was one.

        Parameters
        ----------
        X : Session
            Trials of one session. One that the pretrainer does not know is calibrated on them.
        y : array-like, (trials,), (trials, time) or (trials, time, variables), optional
            What to decode, of these trials.

        Returns
        -------
        MtMDecoder
            The copy; this one is left as it is.

        Raises
        ------
        InvalidInputError
            If the decoder was fitted to one session, or trials or targets do not suit.

        Warns
        -----
        NeuromaskWarning
            If the session's usual activity is taken from fewer than twenty trials.

        Examples
        --------
        >>> import neuromask as nm
        >>> *known, new = nm.simulate(40, n_sessions=3, n_neurons=12, n_time=20, random_state=0)
        >>> pre = nm.MtMPretrainer(dim=16, n_layers=1, max_epochs=2, random_state=0).fit(known)
        >>> decoder = nm.MtMDecoder(pre).fit(known, [s.trials["stimulus"] for s in known])
        >>> decoder.adapt(new).predict(new).shape
        (40,)
        """
        check_is_fitted(self)
        if not self._is_shared:
            raise InvalidInputError(
                "the decoder was fitted to one session, of whose neurons its read-out is; expected one that "
                "was fitted to a list of sessions. Fit another to the new session."
            )
        if not isinstance(X, Session):
            raise InvalidInputError(
                f"X is a {type(X).__name__}; expected a Session, whose session_id says which it is."
            )
        pre, met = self.pretrainer_, (X.session_id, self.scheme_) in self._standards
        if X.session_id not in pre.sessions_:
            pre = pre.calibrate(X)
        elif (met and y is None) or not _is_calibrated(pre, X.session_id):
            pre = pre.forget(X.session_id).calibrate(X)
        if not (met and y is not None):
            _warn_of_few(X.session_id, len(X))
        recording = read_known(X, pre.sessions_, rebin=pre.rebin)
        target = None
        if y is not None:
            target = self._read_like_fitted(recording, y, pre.rebin)
        if (there := recording.observed_trials()) is not None:
            recording = recording.with_data()
            target = None if target is None else target.take(there)
        new, network = copy.copy(self), fitted_network(pre)
        session_id, hidden = recording.info.session_id, hidden_neurons(recording, self.regions)
        new.pretrainer_ = pre
        new._standards, new._corrections = dict(self._standards), dict(self._corrections)
        for name, shared in self.readouts_.items():
            key = session_id, name
            features = shared_features(network, recording, hidden, name, per_bin=self._per_bin)
            if y is None or key not in new._standards:
                new._standards[key] = Standard.of(features)
            new._corrections.pop(key, None)
            if target is not None:
                outputs = shared.predict(new._standards[key](features))
                new._corrections[key] = Correction.fit(
                    read_features(network, recording, hidden, name, per_bin=self._per_bin),
                    outputs,
                    target,
                    block_sizes=block_sizes(
                        network.model.n_features, recording.info.n_neurons, per_bin=self._per_bin
                    ),
                    trial_weights=target.trial_weights(self.class_weight),
                )
        return new

    @public
    def predict(self, X: Any) -> np.ndarray:
        """Predict classes or numbers.

        Parameters
        ----------
        X : Session or array-like, (trials, time, neurons) or (time, neurons)
            Trials of the fitted session; after a fit to several, of any that the pretrainer was calibrated
            on, whose usual activity is taken from these trials unless `adapt` was told. They may be shorter than the fitted ones, the rest then
            counts as not observed; where a signal is decoded they may be longer, or a whole recording,
            and are decoded in windows that overlap by half.

        Returns
        -------
        ndarray, (trials,), (trials, time) or (trials, time, variables)
            Labels of the likeliest classes, or numbers in the shape of the fitted y; (time,) or (time,
            variables) of a whole recording.
        """
        check_is_fitted(self)
        X, is_whole = whole_recording(X) if self._per_bin else (X, False)
        recording = self._known(X)
        answers = self._decode(recording, self._hidden_of(recording), self.scheme_)
        return answers[0] if is_whole else answers

    @public
    def stream(self) -> SignalStream:
        """Open a stream, which decodes the signal of each bin while data come in.

        The decoder must have been fitted on a signal, and on what a scheme that attends causally made
        of the past: ``MtMDecoder(pre, task="regression", scheme="causal")``.

        Returns
        -------
        SignalStream
            Push the counts of one bin after the other to it; see
            :class:`neuromask.decoding.SignalStream` for what its answers equal.

        Raises
        ------
        InvalidInputError
            If what was fitted has one value a trial, if its scheme sees the future, or if the backbone
            cannot run bin by bin.

        Examples
        --------
        >>> import neuromask as nm
        >>> import numpy as np
        >>> session = nm.simulate(40, n_neurons=12, n_time=20, random_state=0)
        >>> pre = nm.MtMPretrainer(dim=16, max_epochs=2, precision="fp32", random_state=0)
        >>> decoder = nm.MtMDecoder(pre, task="regression", scheme="causal", random_state=0)
        >>> stream = decoder.fit(session, session.signals["whisker"]).stream()
        >>> values = [stream.push(counts) for counts in session.counts[0]]
        >>> bool(np.allclose(values, decoder.predict(session[:1])[0], atol=1e-5))
        True
        """
        check_is_fitted(self)
        if self._is_shared:
            raise InvalidInputError(
                "the decoder was fitted to several sessions, and streams decode one. Fit another to the "
                "session alone."
            )
        if not self._per_bin:
            raise InvalidInputError(
                "the decoder was fitted with one value a trial; expected a signal with a value in every "
                "bin. Fit it with task='regression' and y of (trials, time)."
            )
        network = fitted_network(self.pretrainer_)
        if network.schemes[network.index(self.scheme_)].attention != "causal":
            raise InvalidInputError(
                f"the decoder was fitted under scheme {self.scheme_!r}, which sees later bins too; a stream "
                "has the past alone. Fit MtMDecoder(..., scheme='causal')."
            )
        return SignalStream(
            network,
            self._info,
            self.readouts_[self.scheme_],
            self._units,
            scheme=self.scheme_,
            hidden=self._hidden,
            start=self._start,
        )

    @available_if(_decodes_classes)
    @public
    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict the probability of each class, as it held on trials left out of the fit.

        Parameters
        ----------
        X : Session or array-like, (trials, time, neurons)
            Trials of the fitted session.

        Returns
        -------
        ndarray, (trials, classes)
            In the order of `classes_`; of equally common classes if `class_weight` is "balanced".
        """
        recording = self._known(X)
        outputs = self._outputs(recording, self._hidden_of(recording), self.scheme_)
        return np.exp(self._chances_of(recording, self.scheme_).log_chances(outputs[:, 0]))

    @public
    def score(self, X: Any, y: Any) -> float:
        """Return the accuracy of classes, or the R² of numbers over all trials and bins.

        Parameters
        ----------
        X : Session or array-like, (trials, time, neurons) or (time, neurons)
            Trials of the fitted session, or, where a signal is decoded, a whole recording, as in
            `predict`.
        y : array-like
            True classes or numbers; (time,) or (time, variables) of a whole recording. R² is averaged
            over variables.

        Raises
        ------
        InvalidInputError
            If `y` holds a class that was not fitted, or does not suit the trials.
        """
        check_is_fitted(self)
        X, is_whole = whole_recording(X) if self._per_bin else (X, False)
        if is_whole:
            y = whole_signal(y, n_time=X.shape[1])
        recording = self._known(X)
        metric = accuracy_score if _decodes_classes(self) else pooled_r2
        truth, answer = self._truth(recording, y), self.predict(recording)
        if (there := recording.observed_trials()) is not None:
            truth, answer = truth[there], answer[there]
        return float(metric(truth, answer))

    @public
    def evaluate(
        self,
        X: Any,
        y: Any,
        *,
        cv: Any = 5,
        groups: Any = None,
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
        groups : array-like, (trials,), optional
            Group of each trial, for splitters that keep groups together, such as
            ``GroupKFold(5)``: blocks of a task, or stretches of the session.
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
            If a baseline does better by more than a standard error, or cannot be fitted to these
            trials, as where they are all alike, and is left out.
        """
        given, _, target = self._read(X, y)
        models: dict[str, Any] = {"MtM": self}
        if baselines:
            models |= decoding_baselines(self.task, per_bin=target.per_bin)
        folds = compare_decoders(
            models,
            rebinned(X, given.rebin),
            np.asarray(y),
            cv=cv,
            groups=groups,
            scoring=scoring,
            n_jobs=n_jobs,
        )
        table = summarise_decoders(folds)
        if scoring is None and not is_classifier(self):
            warn_of_failed_folds(folds)
        table.attrs["folds"] = folds.to_dict("records")
        warn_of_losses(table)
        return table

    @public
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
        recording = self._known(X)
        truth = self._truth(recording, y)
        if (there := recording.observed_trials()) is not None:
            recording, truth = recording.take(there), truth[there]
        check_positive_int("n_bootstrap", n_bootstrap)
        if recording.info.regions is None:
            raise InvalidInputError(
                f"no regions are known for session {recording.info.session_id!r}; expected "
                "one a neuron. Pretrain with a Session that carries them, or with regions=..."
            )
        # The head of the scheme that was pretrained with hidden regions, where there is one.
        scheme = "inter-region" if "inter-region" in self.readouts_ else self.scheme_
        return region_importance(
            lambda hidden: self._decode(recording, hidden, scheme),
            np.array(recording.info.regions),
            self._hidden_of(recording),
            truth,
            is_classes=_decodes_classes(self),
            n_bootstrap=n_bootstrap,
            generator=np.random.default_rng(random_streams(self.random_state).split),
        )

    @public
    def time_resolved(
        self, X: Any, y: Any, *, cv: Any = 5, groups: Any = None, step: int = 1
    ) -> pd.DataFrame:
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
        groups : array-like, (trials,), optional
            Group of each trial, for splitters that keep groups together, such as
            ``GroupKFold(5)``: blocks of a task, or stretches of the session.
        step : int, default=1
            Bins between those that are scored.

        Returns
        -------
        DataFrame
            fold, bin, time (seconds from the trial's event, or from its start where X does not say
            when that is, to the bin's end; NaN where the bin's width is not known) and score:
            balanced accuracy, or R² over trials.
        """
        given, recording, target = self._read(X, y)
        check_positive_int("step", step)
        schemes = fitted_schemes(given)
        causal = next((s.name for s in schemes if s.attention == "causal"), None)
        if causal is None and not target.per_bin:
            raise InvalidInputError(
                "no pretrained scheme attends causally; expected one such as 'causal'. "
                "Add it to the pretrainer's schemes."
            )
        trials = rebinned(X, given.rebin) if isinstance(X, Session) else np.asarray(X)
        truth = values_where_observed(trials, y)
        bins = np.arange(0, recording.counts.shape[1], step)
        is_classes = isinstance(target, Classes)
        there = observed_trials(trials)
        folds = cut_trials(cv, truth, groups, is_classes=is_classes, there=there)
        warn_of_shared_bins(X, folds)

        def decode_bins(training: np.ndarray, test: np.ndarray) -> np.ndarray:
            fitted = clone(self)
            if target.per_bin:
                return fitted.fit(trials[training], truth[training]).predict(trials[test])[:, bins]
            known = fitted.set_params(scheme=causal).fit(trials[training], truth[training])
            return known._decode_bins(trials[training], target.take(training), trials[test], bins)

        table = scores_over_time(
            decode_bins,
            truth,
            bins,
            folds,
            is_classes=is_classes,
            per_bin=target.per_bin,
        )
        width, start = recording.info.bin_width, getattr(X, "t_start", None) or 0.0
        table.insert(2, "time", start + (table["bin"] + 1) * (np.nan if width is None else width))
        return table

    def _read(self, X: Any, y: Any) -> tuple[MtMPretrainer, Recording, Classes | Signals]:
        """Check parameters, the pretrainer, trials to fit on, and their target."""
        self._check_parameters()
        given = resolve_pretrainer(self.pretrainer)
        recording = read_trials(X, given)
        return given, recording, self._read_target(recording, y, given.rebin)

    def _read_target(self, recording: Recording, y: Any, rebin: float | None) -> Classes | Signals:
        n_trials, n_time, _ = recording.counts.shape
        return read_target(
            y,
            self.task,
            n_trials=n_trials,
            n_time=n_time,
            rebin=rebin,
            observed=recording.observed,
        )

    def _read_like_fitted(
        self, recording: Recording, y: Any, rebin: float | None
    ) -> Classes | Signals:
        """Check a target of another session, in the classes or units of the fit."""
        target = self._read_target(recording, y, rebin)
        if isinstance(target, Classes):
            labels = read_labels(y, n_trials=len(recording), known=self.classes_)
            return Classes(self.classes_, np.searchsorted(self.classes_, labels))
        shape, fitted = target.units.shape, self._units.shape
        if shape != fitted:
            raise InvalidInputError(
                f"y has {shape or 'one number'} a trial; expected {fitted or 'one number'}, as fitted."
            )
        return replace(target, units=self._units)

    def _read_targets(
        self, recordings: Sequence[Recording], y: Any, rebin: float | None
    ) -> list[Classes | Signals]:
        """Check the targets of several sessions."""
        if not isinstance(y, (list, tuple)) or len(y) != len(recordings):
            given = f"{len(y)} entries" if isinstance(y, (list, tuple)) else f"a {type(y).__name__}"
            raise InvalidInputError(
                f"y is {given} and X is a list of {len(recordings)} sessions; expected a list with the "
                "target of each."
            )
        targets = []
        for recording, own in zip(recordings, y, strict=True):
            with about(f"session {recording.info.session_id!r}"):
                targets.append(self._read_target(recording, own, rebin))
        return targets

    def _decode(self, recording: Recording, hidden: np.ndarray, scheme: str) -> np.ndarray:
        """Return what users see, with some neurons hidden and a scheme's prompt."""
        outputs = self._outputs(recording, hidden, scheme)
        return self._answers(self._chances_of(recording, scheme), outputs)

    def _outputs(self, recording: Recording, hidden: np.ndarray, scheme: str) -> np.ndarray:
        """Return outputs (trials, time or 1, outputs)."""
        if self._is_shared:
            return self._shared_outputs(recording, hidden, scheme)
        n_trials, n_time, _ = recording.counts.shape
        is_longer = n_time > self._info.n_time
        trials = recording.windows() if is_longer else recording.placed(self._info.n_time)
        features = read_features(
            fitted_network(self.pretrainer_),
            replace(trials, start=self._start),
            hidden,
            scheme,
            per_bin=self._per_bin,
        )
        outputs = self.readouts_[scheme].predict(features)
        if not self._per_bin:
            return outputs
        if is_longer:
            return stitch(outputs, n_trials, n_time)
        return outputs[:, recording.start : recording.start + n_time]

    def _shared_outputs(self, recording: Recording, hidden: np.ndarray, scheme: str) -> np.ndarray:
        """Return outputs of any session, in the units of the trials that it was made known by."""
        network, session_id = fitted_network(self.pretrainer_), recording.info.session_id
        if not _is_calibrated(self.pretrainer_, session_id):
            raise InvalidInputError(
                f"session {session_id!r} has weights that were trained for it alone, by which the features "
                "that sessions share cannot be read. Call adapt with its trials first; labels are not needed."
            )
        features = shared_features(network, recording, hidden, scheme, per_bin=self._per_bin)
        standard = self._standards.get((session_id, scheme))
        if standard is None:
            _warn_of_few(session_id, len(recording))
            standard = Standard.of(features)
        outputs = self.readouts_[scheme].predict(standard(features))
        if (correct := self._corrections.get((session_id, scheme))) is not None:
            own = read_features(network, recording, hidden, scheme, per_bin=self._per_bin)
            outputs = correct(outputs, own)
        return outputs

    def _chances_of(self, recording: Recording, scheme: str) -> Readout:
        """Return the read-out whose temperature and offset hold for a session."""
        corrected = self._corrections.get((recording.info.session_id, scheme))
        return self.readouts_[scheme] if corrected is None else corrected.own

    def _decode_bins(
        self, X: Any, target: Classes | Signals, X_test: Any, bins: np.ndarray
    ) -> np.ndarray:
        """Fit a read-out to each bin of the fitted trials alone; return answers (test trials, bins)."""
        network = fitted_network(self.pretrainer_)
        known = [replace(self._known(x), start=self._start) for x in (X, X_test)]
        training, test = (
            read_features(network, x, self._hidden, self.scheme_, per_bin=True) for x in known
        )
        blocks = block_sizes(network.model.n_features, known[0].info.n_neurons, per_bin=True)
        weights = target.trial_weights(self.class_weight)
        folds = make_folds(target, blocks_of_overlapping(X, fewest=2))
        answers = []
        for i in bins:
            one = slice(i, i + 1)
            readout = fit_readout(
                training[:, one], target, block_sizes=blocks, trial_weights=weights, folds=folds
            )
            answers.append(self._answers(readout, readout.predict(test[:, one])))
        return np.stack(answers, axis=1)

    def _answers(self, readout: Readout, outputs: np.ndarray) -> np.ndarray:
        """Turn outputs into what users see."""
        if _decodes_classes(self):
            return self.classes_[readout.log_chances(outputs[:, 0]).argmax(1)]
        return self._units.restore(outputs)

    def _known(self, X: Any) -> Recording:
        """Check trials of the fitted session."""
        check_is_fitted(self)
        if self._is_shared:
            return read_known(X, self.pretrainer_.sessions_, rebin=self.pretrainer_.rebin)
        known = {self._info.session_id: self._info}
        return read_known(X, known, rebin=self.pretrainer_.rebin, longer=self._per_bin)

    def _hidden_of(self, recording: Recording) -> np.ndarray:
        """Return a mask of the neurons of a session that are not decoded from."""
        return hidden_neurons(recording, self.regions) if self._is_shared else self._hidden

    def _truth(self, recording: Recording, y: Any) -> np.ndarray:
        """Check what is to be scored against."""
        n_trials, n_time, _ = recording.counts.shape
        if not _decodes_classes(self):
            rebin = self.pretrainer_.rebin
            target = read_target(
                y,
                "regression",
                n_trials=n_trials,
                n_time=n_time,
                rebin=rebin,
                observed=recording.observed,
            )
            target = cast(Signals, target)
            shape, fitted = target.units.shape, self._units.shape
            if (len(shape), shape[1:]) != (len(fitted), fitted[1:]):
                raise InvalidInputError(
                    f"y has {shape or 'one number'} a trial; expected {fitted or 'one number'}, as fitted."
                )
            values = target.values
            if target.known is not None:
                values = np.where(target.known[:, :, None], values, np.nan)
            return values.reshape(n_trials, *shape)
        return read_labels(y, n_trials=n_trials, known=self.classes_)

    def _check_parameters(self) -> None:
        check_choice("task", self.task, DECODING_TASKS)
        check_choice("finetune", self.finetune, ("head", *DECODER_STAGES))
        check_class_weight(self.class_weight)
        for name in ("max_epochs", "batch_size", "n_iter_no_change"):
            check_positive_int(name, getattr(self, name))
        check_fraction("learning_rate", self.learning_rate, low=1e-12, high=10.0)
        check_fraction("weight_decay", self.weight_decay, high=1000.0)
        check_fraction("validation_fraction", self.validation_fraction, low=0.01)

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


def _info_of(recording: Recording) -> SessionInfo:
    """Describe a session by the trials that a decoder was fitted on, which may be some bins of the pretrainer's."""
    info, start = recording.info, recording.start
    t_start = info.t_start
    if t_start is not None and info.bin_width is not None:
        t_start += start * info.bin_width
    return replace(info, n_time=recording.counts.shape[1], t_start=t_start)


def _is_calibrated(pre: MtMPretrainer, session_id: str) -> bool:
    """Whether a session's weights start from what the encoder of neurons infers."""
    return pre.model_.stitch(session_id).has_start


def _warn_of_few(session_id: str, n_trials: int) -> None:
    """Warn where the usual activity of a session is taken from few trials."""
    if n_trials < FEW_TO_STANDARDISE:
        warn(
            f"{n_trials} trials of session {session_id!r} are few to know its usual activity by. Call adapt with "
            "more of its trials first; labels are not needed."
        )
