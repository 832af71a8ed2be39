"""Predictions are scaled as validation trials ask for."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

import neuromask as nm
from neuromask._random import random_streams
from neuromask._recordings import read_known
from neuromask.schemes import SchemeSampler
from neuromask.training.fitting import session_tensors
from neuromask.training.loop import TrainingConfig
from neuromask.training.masked_prediction import MaskedPrediction
from neuromask.training.shrinkage import BOUNDS, shrink


class Overconfident:
    """Network and objective at once: changes of log-rates, of which a known share is true."""

    def __init__(self, shares, n_schemes=2):
        rng = np.random.default_rng(0)
        self.validation = list(shares)
        self.sampler = SimpleNamespace(schemes=range(n_schemes))
        self.stitches, self.trials = {}, {}
        for name, share in shares.items():
            base, change = rng.normal(-1, 0.5, 30), rng.normal(0, 0.8, (200, 20, 30))
            counts = rng.poisson(np.exp(base + share * change))
            self.trials[name] = torch.tensor(change), torch.tensor(counts)
            shrinkage = torch.ones((), dtype=torch.float64)
            self.stitches[name] = SimpleNamespace(base=torch.tensor(base), shrinkage=shrinkage)

    def stitch(self, name):
        return self.stitches[name]

    def predictions(self, sessions, n_trials):
        for name, (change, counts) in self.trials.items():
            stitch = self.stitch(name)
            scheme = torch.arange(len(counts)) % 2
            target = torch.zeros(counts.shape, dtype=torch.bool)
            target[:, :, ::3] = True
            masked = SimpleNamespace(
                counts=counts, target=target, batch=SimpleNamespace(scheme=scheme)
            )
            yield name, masked, stitch.base + stitch.shrinkage * change


@pytest.mark.parametrize("start", [1.0, 0.4])
def test_the_true_share_of_each_session_is_found(start):
    shares = {"a": 0.6, "b": 1.0, "c": 1.3}
    both = Overconfident(shares)
    for stitch in both.stitches.values():
        stitch.shrinkage.fill_(start)
    shrink(both, both)
    found = {name: stitch.shrinkage.item() for name, stitch in both.stitches.items()}
    assert found == pytest.approx(shares, abs=0.03)


def test_a_scheme_without_trials_and_a_wrong_sign_do_no_harm():
    both = Overconfident({"a": 0.6, "b": -0.5}, n_schemes=5)
    shrink(both, both)
    assert both.stitch("a").shrinkage.item() == pytest.approx(0.6, abs=0.03)
    assert both.stitch("b").shrinkage.item() == pytest.approx(BOUNDS[0])


@pytest.fixture(scope="module")
def sessions():
    return nm.simulate(60, n_sessions=3, n_neurons=20, n_time=20, random_state=0)


@pytest.fixture(scope="module")
def fitted(sessions):
    """A model of few trials, and as many to validate on."""
    *known, _ = sessions
    pre = nm.MtMPretrainer(dim=32, n_layers=1, max_epochs=40, random_state=0)
    return pre.fit([s[:15] for s in known], X_val=[s[15:30] for s in known])


def shrinkages(pre):
    return [stitch.shrinkage.item() for stitch in pre.model_.stitches]


def test_other_trials_are_predicted_better(sessions, fitted, tmp_path):
    assert min(abs(s - 1) for s in shrinkages(fitted)) > 0.1
    test = [s[30:] for s in sessions[:2]]
    bold = nm.load(fitted.save(tmp_path / "model"))
    assert shrinkages(bold) == shrinkages(fitted)
    with torch.no_grad():
        for stitch in bold.model_.stitches:
            stitch.shrinkage.fill_(1)
            stitch.read_out.weight.mul_(3)
    before = bold.evaluate(test)["bps"].mean()
    validation = [read_known(s[15:30], bold.sessions_) for s in sessions[:2]]
    tensors = session_tensors(validation, (), torch.device("cpu"))
    config = TrainingConfig(1e-3, 0.0, 32, max_epochs=1, n_iter_no_change=1)
    sampler = SchemeSampler(bold.schemes_)
    shrink(
        bold.model_,
        MaskedPrediction(bold.model_, tensors, tensors, sampler, config, random_streams(0)),
    )
    assert max(shrinkages(bold)) < 0.9
    assert bold.evaluate(test)["bps"].mean() > before + 0.01


def test_without_validation_trials_nothing_is_scaled(sessions):
    pre = nm.MtMPretrainer(dim=16, n_layers=1, max_epochs=2, random_state=0).fit(sessions[0])
    assert shrinkages(pre) == [1.0]


def test_fine_tuning_scales_the_new_session_alone(sessions, fitted):
    new = sessions[2]
    before = shrinkages(fitted)
    tuned = fitted.finetune(new[:15], X_val=new[15:30], max_epochs=2)
    assert shrinkages(tuned)[:2] == before == shrinkages(fitted)
    assert shrinkages(tuned)[2] != 1.0
    assert shrinkages(fitted.calibrate(new[:15])) == [*before, 1.0]
