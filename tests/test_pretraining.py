"""What pretraining asks of a network: the loss and the prior of read-outs."""

import warnings

import numpy as np
import pytest
import torch
from scipy import stats

import neuromask as nm
from neuromask._random import random_streams
from neuromask.nn import session_weights as stitching
from neuromask.nn.session_weights import READ_OUT_STD
from neuromask.schemes import SchemeSampler, resolve_schemes
from neuromask.training.batches import SessionTensors, mixed_batches
from neuromask.training.loop import TrainingConfig, train
from neuromask.training.masked_prediction import MaskedPrediction, poisson_loss

from .backbones import backbone_of


class OneIsNew:
    """Lets the second session count as new."""

    def learns(self, i):
        return i != 1


@pytest.fixture
def sessions():
    first, *others = nm.simulate(20, n_sessions=3, n_neurons=8, n_time=10, random_state=0)
    return [first[:14], *others]


def objective(sessions, starts=None):
    """Make the objective of a backbone that has learned nothing yet."""
    model, tensors = backbone_of(sessions)
    sampler = SchemeSampler(resolve_schemes(("neuron",), mask_ratio=0.3))
    training = TrainingConfig(
        learning_rate=1e-3, weight_decay=0.0, batch_size=6, max_epochs=1, n_iter_no_change=1
    )
    return MaskedPrediction(model, tensors, [], sampler, training, random_streams(0), starts=starts)


def test_the_prior_is_a_normal_one(sessions):
    stitch = objective(sessions).model.stitch("sim-0")
    weights = stitch.read_out.weight.detach().numpy()
    nats = stats.norm.logpdf(0, scale=READ_OUT_STD) - stats.norm.logpdf(weights, scale=READ_OUT_STD)
    assert stitch.prior().item() == pytest.approx(nats.sum(), rel=1e-5)


@pytest.mark.parametrize("starts", [None, OneIsNew()])
def test_an_epoch_counts_the_prior_of_every_session_that_learns_once(sessions, starts):
    found = objective(sessions, starts)
    trials = [np.arange(len(s)) for s in sessions]
    batches = list(mixed_batches(trials, 6, np.random.default_rng(0)))
    assert len(batches) > 1
    entries = [sum(len(r) * 10 * sessions[i].n_neurons for i, r in batch) for batch in batches]
    cost = sum(found.prior(b).item() * n for b, n in zip(batches, entries, strict=True))
    learning = [0, 1, 2] if starts is None else [0, 2]
    expected = sum(found.model.stitch(f"sim-{i}").prior().item() for i in learning)
    assert cost == pytest.approx(expected, rel=1e-5)


def test_read_outs_do_not_decay_beside_their_prior(sessions):
    class NothingToLearn:
        def batches(self, order):
            return [[]]

        def loss(self, batch):
            return 0 * sum(p.sum() for p in model.parameters())

        def validate(self):
            return None

    model = objective(sessions).model
    stitch = model.stitch("sim-0")
    before = [w.detach().clone() for w in (stitch.read_out.weight, stitch.read_in.weight)]
    decaying = TrainingConfig(
        learning_rate=0.1, weight_decay=1.0, batch_size=6, max_epochs=3, n_iter_no_change=3
    )
    train(model, NothingToLearn(), decaying, random_streams(0))
    torch.testing.assert_close(stitch.read_out.weight, before[0])
    assert stitch.read_in.weight.norm() < 0.95 * before[1].norm()


def test_the_prior_keeps_quiet_neurons_close_and_lets_busy_ones_go(monkeypatch):
    session = nm.simulate(60, n_neurons=60, n_time=30, random_state=0)
    rates = session.counts.mean((0, 1))
    quiet, busy = rates < np.quantile(rates, 0.3), rates > np.quantile(rates, 0.7)

    def spread(std):
        monkeypatch.setattr(stitching, "READ_OUT_STD", std)
        pre = nm.MtMPretrainer(dim=16, n_layers=1, max_epochs=30, random_state=0).fit(session)
        # Of the trunk's features: weights of the linear path start from the population's factors.
        weights = pre.model_.stitch(session.session_id).read_out.weight[:, :16]
        lengths = weights.norm(dim=1).detach().numpy()
        return lengths[quiet].mean(), lengths[busy].mean()

    free, held = spread(1e6), spread(READ_OUT_STD)
    assert held[0] / free[0] < 0.93 * held[1] / free[1]


def silenced(session, n_neurons, n_trials):
    """Give the session and its training trials, in which some neurons say nothing."""
    counts = session.counts.copy()
    counts[:n_trials, :, :n_neurons] = 0
    counts[n_trials:, :, :n_neurons] += 1
    whole = nm.Session(counts, session.regions, session_id=session.session_id)
    return whole[:n_trials], whole[n_trials:]


@pytest.mark.filterwarnings("ignore:.*have no\\s+spikes")
@pytest.mark.parametrize("max_epochs", [1, 30])
def test_spikes_of_neurons_that_were_silent_in_training_earn_nothing(max_epochs):
    session = nm.simulate(60, n_neurons=12, n_time=20, mean_rate=10, random_state=0)
    training, validation = silenced(session, 3, 40)
    options = {"dim": 16, "n_layers": 1, "max_epochs": max_epochs, "random_state": 0}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*bits per spike below")
        pre = nm.MtMPretrainer(**options).fit(training, X_val=validation)
    assert pre.history_["val_bps"].max() < 0.1


@pytest.mark.filterwarnings("ignore:.*have no\\s+spikes")
def test_a_floor_is_neither_rewarded_nor_punished():
    """A network that answers with its base rates is worth as much as the mean rates."""
    session = nm.simulate(60, n_neurons=12, n_time=20, mean_rate=10, random_state=0)
    training, validation = silenced(session, 3, 40)
    found = objective([training])
    found.validation = [
        SessionTensors("sim-0", torch.tensor(validation.counts), torch.zeros(12, dtype=torch.long))
    ]
    with torch.no_grad():
        stitch = found.model.stitch("sim-0")
        stitch.shrinkage.zero_()
    assert (stitch.mean == 0).sum() == 3
    assert found.validate()[0] == pytest.approx(0, abs=1e-3)


def test_the_loss_is_that_of_a_poisson_distribution():
    rates, counts = torch.tensor([0.2, 1.5, 4.0]), torch.tensor([0.0, 2.0, 3.0])
    expected = -torch.distributions.Poisson(rates).log_prob(counts) - torch.lgamma(counts + 1)
    torch.testing.assert_close(poisson_loss(rates.log(), counts), expected)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device is here")
def test_the_same_seed_gives_nearly_the_same_model_on_cuda():
    session = nm.simulate(48, n_neurons=15, n_time=20, random_state=1)
    options = {"dim": 16, "n_layers": 1, "max_epochs": 3, "precision": "fp32", "device": "cuda"}
    a, b, other = (
        nm.MtMPretrainer(**options, random_state=seed).fit(session).predict(session)
        for seed in (0, 0, 1)
    )
    np.testing.assert_allclose(a, b, rtol=1e-2)
    assert not np.allclose(a, other, rtol=1e-2)
