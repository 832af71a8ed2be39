"""A user's network as a backbone, and what the library asks of every one."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import neuromask as nm
from neuromask.nn import backbones
from neuromask.pretrainer import fitted_network

from .conftest import TINY


@dataclass(frozen=True)
class FilterConfig:
    dim: int = 16


class Filter(nm.nn.SessionNetwork):
    """A convolution over the bins so far, of counts that each session reads in for itself."""

    def __init__(self, config, sessions, n_schemes, generator):
        super().__init__(max(s.n_time for s in sessions), n_in=config.dim, n_features=config.dim)
        self.prompts = nm.nn.parameter(n_schemes, config.dim, generator=generator, std=0.1)
        self.mix = nm.nn.linear(5 * config.dim, config.dim, generator)
        for session in sessions:
            self.add_session(session, generator)

    def states(self, groups, *, generator=None):
        found = []
        for group in groups:
            weights = self.weights(group)
            x = F.linear(weights.standardise(group), weights.read_in, weights.bias)
            x = F.softsign(x + self.prompts[group.scheme, None])
            windows = F.pad(x, (0, 0, 4, 0)).unfold(1, 5, 1).flatten(2)  # the past alone
            features = torch.tanh(self.mix(windows))
            found.append(nm.nn.State(features, weights.read_rates(features)))
        return found


@pytest.fixture
def registered(monkeypatch):
    monkeypatch.setattr(backbones, "_REGISTRY", dict(backbones._REGISTRY))
    nm.register_backbone(nm.Backbone("filter", FilterConfig, Filter, "five bins, causally"))


def test_a_users_network_fits_adapts_saves_and_loads(registered, tmp_path):
    *known, new = nm.simulate(120, n_sessions=3, n_neurons=12, n_time=16, random_state=0)
    options = TINY | {"max_epochs": 20, "learning_rate": 1e-2}
    pre = nm.MtMPretrainer(backbone="filter", **options).fit(known)
    assert pre.history_["val_bps"].iloc[-1] > 0.03  # of trials that it did not train on
    assert pre.transform(known[0]).shape == (120, 16)
    assert not fitted_network(pre).hides_one_by_one
    assert len(pre.evaluate(known[0], tasks=["co_smoothing"])) == 12
    tuned = pre.finetune(new, max_epochs=3)
    before = tuned.predict(new)
    loaded = nm.load(tuned.save(tmp_path / "model"))
    np.testing.assert_array_equal(loaded.predict(new), before)
    assert set(loaded.sessions_) == {"sim-0", "sim-1", "sim-2"}
    decoder = nm.MtMDecoder(pre, random_state=0).fit(known[0], known[0].trials["stimulus"])
    assert decoder.predict(known[0]).shape == (120,)


def test_a_network_without_an_encoder_cannot_calibrate_and_says_so(registered):
    known, new = nm.simulate(20, n_sessions=2, n_neurons=8, n_time=12, random_state=0)
    pre = nm.MtMPretrainer(backbone="filter", **TINY).fit(known)
    cause = r"which backbone 'filter' cannot have; use finetune, .*backbone='ndt1' or 'ndt2'"
    with pytest.raises(nm.InvalidInputError, match=f"calibrate: .*no encoder of neurons, {cause}"):
        pre.calibrate(new)


def test_an_encoder_that_a_network_cannot_have_is_refused(registered):
    session = nm.simulate(20, n_neurons=8, n_time=12, random_state=0)
    pre = nm.MtMPretrainer(backbone="filter", encode_neurons=True, **TINY)
    with pytest.raises(
        nm.InvalidInputError, match="fit: encode_neurons=True, but .*'filter' cannot"
    ):
        pre.fit(session)
    assert pre.set_params(encode_neurons=False).fit(session).model_.encoder is None


def test_a_model_with_a_network_that_is_not_registered_says_how_to_load_it(registered, tmp_path):
    session = nm.simulate(20, n_neurons=8, n_time=12, random_state=0)
    folder = nm.MtMPretrainer(backbone="filter", **TINY).fit(session).save(tmp_path / "model")
    del backbones._REGISTRY["filter"]
    with pytest.raises(
        nm.InvalidInputError,
        match=r"load: .*'filter'.*Register it first: neuromask\.register_backbone",
    ):
        nm.load(folder)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("ndt1", r"backbone is 'ndt1'; expected a neuromask\.Backbone\(name"),
        (None, "backbone is None; expected"),
        (nm.Backbone(None, FilterConfig, Filter), "name is None; expected text"),
        (nm.Backbone("own", {"dim": 16}, Filter), r"config of backbone 'own' is .*a dataclass"),
        (nm.Backbone("own", FilterConfig(), Filter), r"config of backbone 'own' is .*a dataclass"),
        (nm.Backbone("own", FilterConfig, None), "build of backbone 'own' is None; expected"),
    ],
)
def test_what_is_no_backbone_is_not_registered(registered, given, message):
    with pytest.raises(nm.InvalidInputError, match=f"^register_backbone: .*{message}"):
        nm.register_backbone(given)


@pytest.mark.parametrize("name", sorted(nm.available_backbones()))
def test_every_backbone_offers_what_the_library_asks(name):
    session = nm.simulate(10, n_neurons=8, n_time=12, random_state=0)
    pre = nm.MtMPretrainer(backbone=name, **TINY).fit(session)
    assert isinstance(pre.model_, nm.nn.SessionNetwork)


def test_a_network_that_forgets_its_states_is_told():
    with pytest.raises(TypeError, match="SessionNetwork has no method states"):
        nm.nn.SessionNetwork(4, n_in=2, n_features=2)([])


def test_a_network_of_another_kind_is_refused_before_it_trains(registered):
    nm.register_backbone(nm.Backbone("plain", FilterConfig, lambda *_: torch.nn.Linear(2, 2)))
    session = nm.simulate(10, n_neurons=8, n_time=12, random_state=0)
    with pytest.raises(
        nm.InvalidInputError, match="fit: backbone 'plain' built a Linear; expected"
    ):
        nm.MtMPretrainer(backbone="plain", **TINY).fit(session)
