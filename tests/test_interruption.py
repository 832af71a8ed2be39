"""Ctrl-C keeps the best weights of a fit that a person waits for, and stops whatever made others."""

import copy

import numpy as np
import pytest
import torch
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline

import neuromask as nm
from neuromask.cli import main
from neuromask.errors import NeuromaskWarning
from neuromask.training import loop

from .conftest import TINY


@pytest.fixture
def interrupt(monkeypatch):
    """Let Ctrl-C be pressed in the step after so many; gives a list of the steps taken."""
    real = loop.FlatAdamW.step

    def after(n_steps):
        taken = []

        def step(*args, **kwargs):
            if len(taken) == n_steps:
                raise KeyboardInterrupt
            taken.append(1)
            return real(*args, **kwargs)

        monkeypatch.setattr(loop.FlatAdamW, "step", step)
        return taken

    return after


def weights(pre):
    return copy.deepcopy(pre.model_.state_dict())


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def test_a_persons_fit_keeps_the_best_weights(session, interrupt):
    options = TINY | {"max_epochs": 12}
    whole = nm.MtMPretrainer(**options).fit(session)
    interrupt(13)  # in the seventh epoch of two steps
    with pytest.warns(NeuromaskWarning, match=r"^MtMPretrainer.fit: .*after 6 epochs; the best w"):
        pre = nm.MtMPretrainer(**options).fit(session)
    assert pre.history_["epoch"].tolist() == [1, 2, 3, 4, 5, 6]
    assert pre.history_["val_bps"].iloc[4] == whole.history_["val_bps"].iloc[4]
    interrupt(10)  # when the fifth epoch's weights, the best ones, are the last ones
    with pytest.warns(NeuromaskWarning, match="after 5 epochs"):
        last = nm.MtMPretrainer(**options).fit(session)
    assert same(weights(pre), weights(last))


def test_without_a_validation_the_last_weights_are_kept(session, interrupt):
    interrupt(4)
    with pytest.warns(NeuromaskWarning, match="interrupted after 2 epochs; the last weights"):
        pre = nm.MtMPretrainer(**TINY).fit(session)
    assert np.isfinite(pre.predict(session)).all()
    assert len(pre.history_) == 2


def test_where_no_epoch_was_done_the_earlier_fit_is_kept(session, interrupt):
    pre = nm.MtMPretrainer(**TINY).fit(session)
    before, history = weights(pre), pre.history_
    interrupt(1)
    with pytest.raises(KeyboardInterrupt):
        pre.fit(session)
    assert same(weights(pre), before)
    assert pre.history_ is history


def fit_a_pipeline(pre, session, y):
    make_pipeline(pre, LogisticRegression()).fit(session, y)


def cross_validate(pre, session, y):
    cross_val_score(pre, session, cv=2)


def search(pre, session, y):
    GridSearchCV(pre, {"mask_ratio": [0.2, 0.4]}, cv=2).fit(session)


def run_by_joblib(pre, session, y):
    def users_own_function(part):
        return clone(pre).fit(part)

    Parallel(n_jobs=1)(delayed(users_own_function)(session) for _ in range(2))


def compare(pre, session, y):
    nm.compare(session, variants=["MtM", "temporal"], estimator=pre)


def pretrain_a_decoder(pre, session, y):
    nm.MtMDecoder(pre).fit(session, y)


def evaluate_a_decoder(pre, session, y):
    nm.MtMDecoder(pre).evaluate(session, y, cv=2, baselines=False)


@pytest.mark.parametrize(
    "call",
    [
        fit_a_pipeline,
        cross_validate,
        search,
        run_by_joblib,
        compare,
        pretrain_a_decoder,
        evaluate_a_decoder,
    ],
)
def test_whatever_calls_fits_stops(session, interrupt, call):
    y = np.arange(len(session)) % 2
    taken = interrupt(3)
    with pytest.raises(KeyboardInterrupt):
        call(nm.MtMPretrainer(**TINY), session, y)
    assert len(taken) == 3


def test_a_call_that_stops_keeps_what_was_fitted_before(session, interrupt):
    y = np.arange(len(session)) % 2
    pipe = make_pipeline(nm.MtMPretrainer(**TINY, warm_start=True), LogisticRegression())
    pre = pipe.fit(session, y)[0]
    decoder = nm.MtMDecoder(nm.MtMPretrainer(**TINY), random_state=0).fit(session, y)
    before = weights(pre), pre.history_, decoder.pretrainer_, decoder.predict_proba(session)
    interrupt(3)
    for model in (pipe, decoder):
        with pytest.raises(KeyboardInterrupt):
            model.fit(session, y)
    assert same(weights(pre), before[0])
    assert pre.history_ is before[1]
    assert decoder.pretrainer_ is before[2]
    np.testing.assert_array_equal(decoder.predict_proba(session), before[3])


def test_the_command_saves_nothing(session, interrupt, tmp_path, capsys):
    recording = session.save(tmp_path / "recording")
    interrupt(1)
    arguments = ["pretrain", str(recording), "--out", str(tmp_path / "model"), "--epochs", "2"]
    assert main(arguments) == 130
    assert not (tmp_path / "model").exists()
    assert "neuromask: stopped" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore:write_submission. good for scoring yourself")
def test_a_submission_has_no_file_of_a_model_half_trained(interrupt, tmp_path):
    pytest.importorskip("ibl_bwb_eval", reason="ibl-bwb-eval is not installed")
    simulated = nm.simulate(30, n_neurons=20, n_time=50, random_state=0)
    session = nm.Session(
        simulated.counts,
        simulated.regions,
        neurons=simulated.neurons.assign(id=[f"unit-{i}" for i in range(20)]),
        trials=simulated.trials[[]].assign(
            split=np.repeat(["train", "test"], [20, 10]),
            trial_id=np.arange(30),
            window_start=100.0 + 0.02 * np.arange(30),
        ),
        bin_width=0.02,
        session_id="monday",
    )
    interrupt(1)
    with pytest.raises(KeyboardInterrupt):
        nm.benchmark.write_submission(
            session,
            tmp_path / "out",
            label="MtM",
            tasks="co_smoothing",
            seeds=(1,),
            estimator=nm.MtMPretrainer(**TINY | {"random_state": None}),
        )
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]


@pytest.fixture(scope="module")
def animals():
    return nm.simulate(40, n_sessions=3, n_neurons=14, n_time=16, random_state=2)


@pytest.fixture(scope="module")
def fitted(animals):
    return nm.MtMPretrainer(**TINY).fit(animals[:2])


@pytest.mark.parametrize("strategy", ["stitch", "gradual", "full"])
def test_fine_tuning_in_its_first_epoch(fitted, animals, interrupt, strategy, tmp_path):
    new = animals[2]
    before = weights(fitted)
    interrupt(2)
    with pytest.warns(
        NeuromaskWarning, match=r"finetune: .*0 epochs; the best weights, of epoch 0"
    ):
        tuned = fitted.finetune(new, strategy=strategy)
    assert list(tuned.history_)[:4] == ["epoch", "step", "learning_rate", "train_loss"]
    assert len(tuned.history_) == 0
    assert same(weights(fitted), before)
    assert np.isfinite(nm.load(tuned.save(tmp_path / "model")).predict(new)).all()


def test_an_interrupt_of_the_first_stage_ends_all_stages(fitted, animals, interrupt):
    taken = interrupt(9)  # 36 trials in six steps: in the second epoch
    with pytest.warns(NeuromaskWarning, match="after 1 epochs") as found:
        tuned = fitted.finetune(animals[2], strategy="gradual", max_epochs=8)
    assert len(found) == 1
    assert set(tuned.history_["stage"]) == {"stitch"}
    assert len(taken) == 9
    shared = [k for k in weights(fitted) if not k.startswith("stitches.")]
    assert all(torch.equal(weights(tuned)[k], weights(fitted)[k]) for k in shared)


def test_an_interrupt_of_a_later_stage_keeps_the_rows_of_the_first(fitted, animals, interrupt):
    interrupt(24)  # four epochs of the first stage
    with pytest.warns(NeuromaskWarning, match="after 0 epochs"):
        tuned = fitted.finetune(animals[2], strategy="gradual", max_epochs=8)
    assert tuned.history_["epoch"].tolist() == [1, 2, 3, 4]
    assert set(tuned.history_["stage"]) == {"stitch"}


def test_a_persons_fine_tuning_of_a_decoder_keeps_the_best(pre, session, interrupt):
    y = session.trials["choice"]
    for n_steps in (0, 3):
        interrupt(n_steps)
        with pytest.warns(NeuromaskWarning, match="^MtMDecoder.fit: Training was interrupted"):
            decoder = nm.MtMDecoder(pre, finetune="full", random_state=0).fit(session, y)
        assert decoder.history_["stage"].iloc[0] == "head"
        assert len(decoder.predict(session)) == len(session)
    with pytest.raises(KeyboardInterrupt):
        cross_val_score(nm.MtMDecoder(pre, finetune="full", random_state=0), session, y, cv=2)
