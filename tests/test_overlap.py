"""Windows that share bins are not parted where a decoder makes its choices, or is judged."""

import warnings

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, StratifiedKFold

import neuromask as nm
from neuromask.decoding import baselines, decoding_baselines
from neuromask.decoding.overlap import BlockFolds, blocks_of_overlapping, warn_of_shared_bins
from neuromask.decoding.readout import fit_readout
from neuromask.errors import NeuromaskWarning

from .conftest import TINY


@pytest.fixture(scope="module")
def windows():
    chance = np.random.default_rng(0)
    latent = gaussian_filter1d(chance.normal(size=1600), 8.0)
    latent /= latent.std()
    counts = chance.poisson(0.4 * np.exp(0.6 * latent[:, None] * chance.normal(size=10)))

    def make(step):
        return nm.cut_windows(
            counts,
            ["CA1", "VISp"] * 5,
            bin_width=0.05,
            window=1.0,
            step=step,
            signals={"wheel": latent},
            n_blocks=5,
        )

    return make


def test_blocks_are_taken_where_windows_overlap_and_nowhere_else(windows):
    assert blocks_of_overlapping(windows(None), fewest=2) is None
    overlapping = windows(0.5)
    np.testing.assert_array_equal(
        blocks_of_overlapping(overlapping, fewest=2), overlapping.trials["block"]
    )
    assert blocks_of_overlapping(overlapping, fewest=9) is None
    assert blocks_of_overlapping(overlapping.counts, fewest=2) is None


def test_a_decoder_keeps_the_blocks_of_overlapping_windows_together(windows):
    session = windows(0.5)
    pre = nm.MtMPretrainer(**TINY).fit(session)
    options = {"task": "regression", "random_state": 0}
    wheel, block = session.signals["wheel"], session.trials["block"]
    own = nm.MtMDecoder(pre, **options).fit(session, wheel)
    told = nm.MtMDecoder(pre, **options).fit(session, wheel, groups=block)
    np.testing.assert_array_equal(own.predict(session), told.predict(session))


def test_test_windows_that_share_bins_with_training_windows_are_told(windows):
    session = windows(0.5)
    pre = nm.MtMPretrainer(**TINY).fit(session)
    decoder = nm.MtMDecoder(pre, task="regression", random_state=0)
    wheel, block = session.signals["wheel"], session.trials["block"]
    shuffled = KFold(3, shuffle=True, random_state=0)
    with pytest.warns(NeuromaskWarning, match="test windows share bins with training windows"):
        decoder.evaluate(session, wheel, cv=shuffled, baselines=False)
    with pytest.warns(NeuromaskWarning, match="share bins"):
        decoder.time_resolved(session, wheel, cv=shuffled, step=10)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_shared_bins(session, list(GroupKFold(3).split(wheel, groups=block)))
        warn_of_shared_bins(windows(None), list(shuffled.split(np.empty(80))))


def test_a_fold_far_below_the_mean_is_told():
    chance = np.random.default_rng(0)
    session = nm.Session(chance.poisson(1.0, (40, 6, 4)), ["a", "a", "b", "b"])
    pre = nm.MtMPretrainer(**TINY).fit(session)
    y = chance.normal(size=(40, 6)) * 0.1
    y[30:] += 100.0
    decoder = nm.MtMDecoder(pre, task="regression", random_state=0)
    with pytest.warns(NeuromaskWarning, match="MtM has an R² of -.* in fold 3, far below the mean"):
        decoder.evaluate(session, y, cv=KFold(4), baselines=False)


def test_folds_that_are_given_once_are_used_for_the_warning_and_the_scores(windows):
    session = windows(0.5)
    pre = nm.MtMPretrainer(**TINY).fit(session)
    decoder = nm.MtMDecoder(pre, task="regression", random_state=0)
    wheel, block = session.signals["wheel"], session.trials["block"]
    folds = GroupKFold(3).split(wheel, groups=block)  # a generator
    table = decoder.time_resolved(session, wheel, cv=folds, step=10)
    assert set(table["fold"]) == {0, 1, 2}


def test_windows_without_enough_blocks_are_parted_and_it_is_said(windows):
    session = windows(0.5)
    pre = nm.MtMPretrainer(**TINY).fit(session)
    decoder = nm.MtMDecoder(pre, task="regression", random_state=0)
    wheel, block = session.signals["wheel"], session.trials["block"].to_numpy()
    one = block == block[0]
    said = "fit: windows of X overlap and lie in 1 block, where 2 are needed.*cut_windows.*groups="
    with pytest.warns(NeuromaskWarning, match=said):
        decoder.fit(session[one], wheel[one])
    two = np.isin(block, np.unique(block)[:2])
    tuned = nm.MtMDecoder(pre, task="regression", finetune="full", max_epochs=1, random_state=0)
    with pytest.warns(NeuromaskWarning, match="lie in 2 blocks, where 3 are needed"):
        tuned.fit(session[two], wheel[two])
    nameless = nm.Session(
        session.counts,
        session.regions,
        trials=session.trials[["start"]],
        bin_width=session.bin_width,
        session_id=session.session_id,
    )
    with pytest.warns(NeuromaskWarning, match="lie in no blocks"):
        decoder.fit(nameless, wheel)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        decoder.fit(session[two], wheel[two])
        decoder.fit(nameless, wheel, groups=block)
        plain = windows(None)
        decoder.fit(plain, plain.signals["wheel"])


def test_a_time_course_of_one_value_a_window_keeps_blocks_together(windows, monkeypatch):
    session = windows(0.5)
    pre = nm.MtMPretrainer(**TINY).fit(session)
    decoder = nm.MtMDecoder(pre, task="regression", random_state=0)
    block = session.trials["block"].to_numpy()
    seen = []

    def watched(*arguments, folds, **options):
        seen.append(folds)
        return fit_readout(*arguments, folds=folds, **options)

    monkeypatch.setattr("neuromask.decoder.fit_readout", watched)
    (outer,) = list(GroupKFold(5).split(block, groups=block))[:1]
    decoder.time_resolved(session, session.signals["wheel"].mean(1), cv=[outer], step=10)
    assert len(seen) == 2
    for folds in seen:
        for training, test in folds:
            assert not set(block[outer[0]][training]) & set(block[outer[0]][test])


@pytest.mark.parametrize("task", ["classification", "regression", "signal"])
def test_baselines_keep_the_blocks_of_overlapping_windows_together(windows, task, monkeypatch):
    session = windows(0.5)[7:]  # blocks that differ in size, which folds of windows part
    wheel, block = session.signals["wheel"], session.trials["block"].to_numpy()
    y = {"classification": np.arange(len(wheel)) % 3, "regression": wheel.mean(1)}.get(task, wheel)
    parted = []

    class Watched(GridSearchCV):
        def fit(self, X, y, **params):
            super().fit(X, y, **params)
            parted.extend(
                set(block[training]) & set(block[test])
                for training, test in self.cv.split(X, y, params.get("groups"))
            )
            return self

    monkeypatch.setattr(baselines, "GridSearchCV", Watched)
    kind = "classification" if task == "classification" else "regression"
    for name, model in decoding_baselines(kind, per_bin=task == "signal").items():
        parted.clear()
        clone(model).fit(session, y)
        assert parted, name
        assert not any(parted), name
        found = model.fit(session.counts, y)[-1]  # counts alone are cut as ever
        assert any(parted), name
        assert found.n_splits_ == 5


def test_folds_of_blocks_leave_every_class_some_trials_to_train_on():
    groups = np.repeat(np.arange(6), 4)
    classes = np.where(groups < 3, "wake", "sleep")
    folds = list(BlockFolds(StratifiedKFold(2)).split(groups, classes, groups))
    for training, test in folds:
        assert set(classes[training]) == {"wake", "sleep"}
        assert not set(groups[training]) & set(groups[test])
    lone = np.where(groups < 1, "rare", "common")  # of one block, which cannot be left out whole
    usual = StratifiedKFold(2)
    for (_, ours), (_, theirs) in zip(
        BlockFolds(usual).split(groups, lone, groups), usual.split(groups, lone), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


def test_a_classifier_of_windows_meets_folds_that_lack_a_class(windows):
    session = windows(0.5)
    block = session.trials["block"].to_numpy()
    y = np.where(np.isin(block, [0, 1, 4]), "wake", "sleep")
    for name, model in decoding_baselines("classification").items():
        search = model.fit(session, y)[-1]
        assert np.isfinite(search.cv_results_["mean_test_score"]).all(), name
