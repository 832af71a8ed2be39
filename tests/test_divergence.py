"""Training whose loss is not finite, or whose rate is too high, says so and keeps nothing useless."""

import copy

import numpy as np
import pytest
import torch

import neuromask as nm
from neuromask._random import random_streams
from neuromask.errors import DivergedError, InvalidInputError, NeuromaskWarning
from neuromask.training import loop
from neuromask.training.loop import PATIENCE, TrainingConfig, train
from neuromask.training.masked_prediction import MaskedPrediction

from .conftest import TINY

N_STEPS = 2  # an epoch, of 43 trials in batches of 32


def state(pre):
    return copy.deepcopy(pre.model_.state_dict())


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def finite(pre):
    return all(torch.isfinite(value).all() for value in state(pre).values())


@pytest.fixture
def spoil(monkeypatch):
    """Let the losses of some steps, counted from 0, be something else."""
    real = MaskedPrediction.loss

    def where(is_spoilt, value=np.nan):
        steps = []

        def loss(self, batch):
            found = real(self, batch)
            steps.append(1)
            return found * value if is_spoilt(len(steps) - 1) else found

        monkeypatch.setattr(MaskedPrediction, "loss", loss)

    return where


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_step_that_is_not_finite_is_skipped_and_counted(session, spoil, value):
    spoil(lambda i: i in (2, 7, 8), value)
    pre = nm.MtMPretrainer(**TINY | {"max_epochs": 5}).fit(session)
    assert pre.history_["skipped_steps"].tolist() == [0, 1, 0, 1, 1]
    assert pre.history_["train_loss"].notna().all()
    assert finite(pre)


class Line:
    """Pulls one weight along; some gradients are not finite though the loss is."""

    def __init__(self, weight, spoilt):
        self.weight, self.spoilt, self.seen = weight, spoilt, []

    def batches(self, order):
        return [[(0, np.arange(2))] for _ in range(3)]

    def loss(self, batch):
        self.seen.append(self.weight.item())
        loss = self.weight.sum()
        if len(self.seen) - 1 in self.spoilt:
            loss.register_hook(lambda gradient: gradient * np.inf)
        return loss

    def validate(self):
        return None


def test_a_skipped_step_changes_neither_weights_nor_the_optimisers_state(monkeypatch):
    def run(spoilt):
        torch.manual_seed(0)
        model = torch.nn.Linear(1, 1, bias=False)
        made = []
        release = loop.FlatAdamW.release

        def kept(self):
            made.append((self.mean[0].item(), self.square[0].item()))
            release(self)

        monkeypatch.setattr(loop.FlatAdamW, "release", kept)
        line = Line(model.weight, spoilt)
        config = TrainingConfig(0.1, 0.0, 2, max_epochs=2, n_iter_no_change=9)
        history = train(model, line, config, random_streams(0))
        monkeypatch.setattr(loop.FlatAdamW, "release", release)
        (moments,) = made
        return line.seen, history, moments

    seen, history, moments = run({1, 4})
    assert seen[1] == seen[2]
    assert seen[4] == seen[5]
    assert len(set(seen)) == 4
    assert history["skipped_steps"].tolist() == [1, 1]
    # Gradients are one, so that moments are those of the steps that were taken.
    assert moments == pytest.approx((1 - 0.9**4, 1 - 0.999**4))
    assert run(set())[2] == pytest.approx((1 - 0.9**6, 1 - 0.999**6))


def test_training_that_fails_for_good_stops_and_keeps_the_best_weights(session, spoil):
    options = TINY | {"max_epochs": 30}
    spoil(lambda i: i >= 6 * N_STEPS)
    with pytest.warns(
        NeuromaskWarning, match=r"diverged: .* not finite in 6 of 18 steps; the best"
    ) as found:
        pre = nm.MtMPretrainer(**options).fit(session)
    assert f"Lower learning_rate (it was {pre.learning_rate:g})" in str(found[0].message)
    assert len(pre.history_) == 6 + PATIENCE
    spoil(lambda i: i >= 5 * N_STEPS)
    with pytest.warns(NeuromaskWarning, match="diverged"):
        fifth = nm.MtMPretrainer(**options).fit(session)
    assert same(state(pre), state(fifth))
    assert finite(pre)


def test_without_a_finite_step_nothing_is_kept(session, spoil):
    pre = nm.MtMPretrainer(**TINY)
    spoil(lambda i: True)
    with pytest.raises(
        DivergedError, match=r"fit: training diverged.*in 6 of 6 steps.*Lower learn"
    ):
        pre.fit(session)
    assert not hasattr(pre, "model_")
    assert issubclass(DivergedError, InvalidInputError)


def test_a_model_that_was_fitted_before_is_kept(session, spoil):
    pre = nm.MtMPretrainer(**TINY, warm_start=True).fit(session)
    before, history = state(pre), pre.history_
    spoil(lambda i: True)
    for warm in (True, False):
        with pytest.raises(DivergedError):
            pre.set_params(warm_start=warm).fit(session)
        assert same(state(pre), before)
        assert pre.history_ is history


def test_weights_beyond_all_bounds_are_never_returned(session):
    """Decay of 9.9 times 999 multiplies weights by thousands a step, until they are infinite."""
    options = TINY | {"learning_rate": 9.9, "weight_decay": 999.0, "max_epochs": 15}
    with pytest.raises(
        DivergedError, match=r"learning_rate \(it was 9.9\) or weight_decay \(999\)"
    ):
        nm.MtMPretrainer(**options | {"validation_fraction": 0.0}).fit(session)


@pytest.fixture(scope="module")
def animals():
    return nm.simulate(40, n_sessions=3, n_neurons=14, n_time=16, random_state=2)


@pytest.fixture(scope="module")
def fitted(animals):
    return nm.MtMPretrainer(**TINY).fit(animals[:2])


@pytest.mark.parametrize("strategy", ["stitch", "gradual", "full"])
def test_fine_tuning_that_diverges_keeps_what_was_calibrated(fitted, animals, spoil, strategy):
    new, before = animals[2], state(fitted)
    spoil(lambda i: True)
    with pytest.warns(NeuromaskWarning, match="finetune: Training diverged.*of epoch 0, are kept"):
        tuned = fitted.finetune(new, strategy=strategy, max_epochs=20)
    assert len(tuned.history_) == PATIENCE
    assert finite(tuned)
    assert same(state(fitted), before)
    after = state(tuned)
    assert all(torch.equal(after[k], before[k]) for k in before)
    alone = copy.copy(fitted).set_params(validation_fraction=0.0)
    with pytest.raises(DivergedError, match="Lower learning_rate"):
        alone.finetune(new, strategy=strategy, max_epochs=20)
    assert same(state(fitted), before)


@pytest.mark.parametrize("learning_rate", [5.0, 9.9])
def test_predictions_far_below_the_mean_rates_are_told(session, learning_rate):
    with pytest.warns(NeuromaskWarning, match="bits per spike below.*Lower learning_rate") as found:
        nm.MtMPretrainer(**TINY | {"learning_rate": learning_rate}).fit(session)
    assert f"which was {learning_rate:g}" in str(found[0].message)


def test_a_decoder_whose_training_fails_keeps_its_closed_form(pre, session, monkeypatch):
    real = loop.FlatAdamW.step
    monkeypatch.setattr(
        loop.FlatAdamW, "step", lambda self, loss, rate: real(self, loss * np.nan, rate)
    )
    y = session.trials["choice"]
    with pytest.warns(NeuromaskWarning, match="MtMDecoder.fit: Training diverged"):
        decoder = nm.MtMDecoder(pre, finetune="full", random_state=0).fit(session, y)
    head = nm.MtMDecoder(pre, random_state=0).fit(session, y)
    np.testing.assert_array_equal(decoder.predict_proba(session), head.predict_proba(session))


def test_predictions_far_below_the_mean_rates_are_told_without_validation_trials_too(session):
    pre = nm.MtMPretrainer(**TINY | {"validation_fraction": 0.0, "learning_rate": 5.0})
    with pytest.warns(NeuromaskWarning, match="of the training trials are .* Lower learning_rate"):
        pre.fit(session)
