"""Neurons that are hidden one by one are predicted as by a whole pass for each of them."""

import numpy as np
import pytest
import torch

import neuromask as nm
from neuromask._recordings import read_known
from neuromask.evaluation.hiding import PredictsOneByOne
from neuromask.nn import SessionStatistics, TrialGroup
from neuromask.nn.backbones import find_backbone
from neuromask.nn.one_by_one import rates_one_by_one

from .conftest import TINY

N_TIME = 20


def network(backbone, n_neurons, *, n_time=N_TIME, evidence=False, **config):
    rng = np.random.default_rng(n_neurons)
    mean = rng.uniform(0.01, 0.5, n_neurons).astype(np.float32)
    regions = tuple(rng.choice(["CA1", "TH", "VISp"], n_neurons))
    statistics = SessionStatistics("s", mean, np.sqrt(mean) + 0.05, n_time, regions)
    entry = find_backbone(backbone)
    sizes = {"dim": 16, "n_heads": 2, "n_linear": 5, "region_names": ("CA1", "TH")}
    generator = torch.Generator().manual_seed(0)
    net = entry.build(entry.configure(**sizes | config), [statistics], 3, generator)
    stitch = net.stitch("s")
    if evidence:
        stitch.make_start()
    with torch.no_grad():  # leave nothing at its quiet starting value
        for p in net.parameters():
            p.add_(0.2 * torch.randn(p.shape, generator=generator))
        stitch.shrinkage.fill_(0.7)
        if evidence:
            stitch.evidence.copy_(0.3 * torch.randn(stitch.evidence.shape, generator=generator))
    return net


def masked(hidden, causal=False):
    generator = torch.Generator().manual_seed(1)
    counts = torch.poisson(torch.full(hidden.shape, 0.4), generator=generator)
    return TrialGroup.masked("s", counts, hidden, 1, causal)


def whole_passes(net, hidden, causal):
    n_neurons = hidden.shape[2]
    everyone = torch.arange(n_neurons)
    rates = [net([masked(hidden | (everyone == i), causal)])[0].exp() for i in everyone]
    return torch.stack([rates[i][:, :, i] for i in everyone], -1)


def hiding(kind, n_neurons, n_time):
    hidden = torch.zeros(4, n_time, n_neurons, dtype=torch.bool)
    if kind == "entries":
        hidden = torch.rand(hidden.shape, generator=torch.Generator().manual_seed(2)) < 0.3
        hidden[0, n_time // 2 :] = True
    if kind == "others":
        hidden[:, :, 2:] = True
    return hidden


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("kind", ["nothing", "entries", "others"])
@pytest.mark.parametrize(
    ("backbone", "options"),
    [
        ("ndt1", {}),
        ("ndt1", {"positions": "rope"}),
        ("ndt1", {"evidence": True}),
        ("ndt1", {"n_time": 150}),
        ("ndt2", {"patch_size": 4}),
        ("ndt2", {"patch_size": 1}),
    ],
)
@pytest.mark.parametrize("n_neurons", [1, 2, 11])
def test_rates_are_those_of_a_pass_for_each_neuron(backbone, options, n_neurons, kind, causal):
    net = network(backbone, n_neurons, **options)
    hidden = hiding(kind, n_neurons, options.get("n_time", N_TIME))
    told = []
    with torch.no_grad():
        found = rates_one_by_one(
            net, masked(hidden, causal), torch.arange(n_neurons), n_at_once=4, tell=told.append
        )
        expected = whole_passes(net, hidden, causal)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)
    assert sum(told) == n_neurons


def test_a_neurons_own_counts_have_no_part_in_its_rates():
    net = network("ndt1", 8)
    nothing = torch.zeros(4, N_TIME, 8, dtype=torch.bool)
    one, other = masked(nothing), masked(nothing)
    other.counts[:, :, 3] = 9.0
    chosen = torch.tensor([3, 4])
    with torch.no_grad():
        a, b = (rates_one_by_one(net, g, chosen, n_at_once=2) for g in (one, other))
    torch.testing.assert_close(a[..., 0], b[..., 0], atol=1e-6, rtol=1e-5)
    assert not torch.allclose(a[..., 1], b[..., 1], rtol=1e-3)


@pytest.mark.filterwarnings("ignore:.*are longer than the fitted 20")
@pytest.mark.parametrize("n_time", [12, 20, 50])
def test_evaluation_is_that_of_a_plain_function(n_time):
    """Of trials as long as the fitted ones, shorter, and longer ones that are predicted in windows."""
    session = nm.simulate(30, n_neurons=10, n_time=50, random_state=0)
    fitted = nm.Session(session.counts[:, :20], session.regions, session_id="a", bin_width=0.02)
    test = nm.Session(session.counts[:, :n_time], session.regions, session_id="a", bin_width=0.02)
    observed = np.ones(test.shape, bool)
    observed[3:6, 4:8] = False
    observed[10, :, 2] = False
    test = nm.Session(test.counts, test.regions, session_id="a", bin_width=0.02, observed=observed)
    pre = nm.MtMPretrainer(**TINY | {"precision": "fp32"}).fit(fitted)
    fast = pre._predict_rates(read_known(test, pre.sessions_, longer=True))
    assert isinstance(fast, PredictsOneByOne)
    table = nm.evaluate(fast, test, n_forward_bins=2)
    plain = nm.evaluate(lambda *given: fast(*given), test, n_forward_bins=2)
    np.testing.assert_allclose(table["bps"], plain["bps"], atol=1e-4)
    for task in ("co_smoothing", "intra_region"):
        rates = [nm.predict_hidden(f, test, task=task) for f in (fast, lambda *given: fast(*given))]
        np.testing.assert_allclose(*rates, rtol=1e-4, atol=1e-6)
