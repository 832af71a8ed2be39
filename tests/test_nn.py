import numpy as np
import pytest
import torch

from neuromask._errors import InvalidInputError
from neuromask._training import autocast
from neuromask.nn import registry
from neuromask.nn.layers import SPECIAL, attention_mask, drop
from neuromask.nn.ndt1 import NDT1, NDT1Config
from neuromask.nn.smoothing import KernelBank
from neuromask.nn.stitching import SessionStatistics, TrialGroup

N_TIME, SIZES = 10, {"a": 6, "b": 6, "c": 3}


def statistics(name, n_time=N_TIME):
    counts = np.random.default_rng(0).poisson(0.5, (20, n_time, SIZES[name]))
    return SessionStatistics.of(counts, name)


def model(names="abc", seed=0, **config):
    sizes = NDT1Config(**{"dim": 16, "n_heads": 2, "n_linear": 5} | config)
    generator = torch.Generator().manual_seed(seed)
    net = NDT1(sizes, [statistics(n) for n in names], 4, generator)
    with torch.no_grad():  # leave nothing at its quiet starting value
        for p in net.parameters():
            p.add_(0.3 * torch.randn(p.shape, generator=generator))
    return net


def group(name="a", n_trials=4, causal=False, seed=0, n_time=N_TIME):
    rng = torch.Generator().manual_seed(seed)
    shape = (n_trials, n_time, SIZES[name])
    counts = torch.poisson(torch.full(shape, 0.5), generator=rng)
    hidden = torch.rand(shape, generator=rng) < 0.3
    scheme = torch.arange(n_trials) % 4
    counts = counts.masked_fill(hidden, 0)
    return TrialGroup(name, counts, hidden, scheme, torch.full((n_trials,), causal))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("cut", [1, 5, 9])
def test_no_leak_the_future_leaves_the_past_bitwise_unchanged(precision, cut):
    net, one, other = model(n_layers=3), group(causal=True), group(causal=True, seed=1)
    other.counts[:, :cut], other.hidden[:, :cut] = one.counts[:, :cut], one.hidden[:, :cut]
    with torch.no_grad(), autocast(torch.device("cpu"), precision):
        before, after = net([one])[0], net([other])[0]
    assert torch.equal(before[:, :cut], after[:, :cut])
    assert not torch.equal(before[:, cut:], after[:, cut:])


def test_the_same_change_is_seen_under_full_attention():
    net, one, other = model(), group(), group(seed=1)
    other.counts[:, :5], other.hidden[:, :5] = one.counts[:, :5], one.hidden[:, :5]
    with torch.no_grad():
        assert not torch.equal(net([one])[0][:, :5], net([other])[0][:, :5])


def test_hidden_counts_never_reach_the_network():
    net, one = model(), group()
    other = group()
    other.counts = torch.where(other.hidden, torch.tensor(9.0), other.counts)
    with torch.no_grad():
        assert torch.equal(net([one])[0], net([other])[0])


def test_special_tokens_never_read_bins_under_causal_attention():
    times = torch.tensor([[SPECIAL, SPECIAL, 0, 1, 2]] * 2)
    mask = attention_mask(times, torch.tensor([True, False]))
    causal, full = mask[:, 0]
    assert causal.tolist() == [
        [True, True, False, False, False],
        [True, True, False, False, False],
        [True, True, True, False, False],
        [True, True, True, True, False],
        [True, True, True, True, True],
    ]
    assert full.all()
    assert attention_mask(times[:1], torch.tensor([False])) is None


def test_starts_at_the_mean_rates():
    stats = statistics("a")
    net = NDT1(NDT1Config(), [stats], 4, torch.Generator().manual_seed(0))
    with torch.no_grad():
        rates = net([group()])[0].exp().mean((0, 1)).numpy()
    np.testing.assert_allclose(rates, stats.mean, rtol=0.1)


def test_a_batch_of_sessions_is_the_sessions_apart():
    net = model()
    groups = [group("a"), group("c", causal=True), group("b", n_time=7)]
    with torch.no_grad():
        together = net(groups)
        for part, whole in zip(groups, together, strict=True):
            torch.testing.assert_close(net([part])[0], whole, atol=1e-5, rtol=1e-4)
            assert whole.shape == part.counts.shape


def test_sessions_of_equal_size_share_no_stitch():
    net = model()
    a, b = net.stitch("a"), net.stitch("b")
    assert {id(p) for p in a.parameters()}.isdisjoint(id(p) for p in b.parameters())
    loss = net([group("a")])[0].sum()
    loss.backward()
    assert a.read_in.weight.grad is not None
    assert b.read_in.weight.grad is None


def test_prompts_matter_and_are_the_schemes_own():
    net, one, other = model(), group(), group()
    other.scheme = (one.scheme + 1) % 4
    with torch.no_grad():
        assert not torch.equal(net([one])[0], net([other])[0])


def test_initial_weights_and_dropout_come_from_the_generator():
    before = torch.get_rng_state()
    pairs = zip(model(seed=3).parameters(), model(seed=3).parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    x = torch.ones(50, 40)
    dropped = [drop(x, 0.3, torch.Generator().manual_seed(1)) for _ in range(2)]
    assert torch.equal(*dropped)
    assert dropped[0].mean() == pytest.approx(1, abs=0.05)
    assert drop(x, 0.3, None) is x
    assert torch.equal(torch.get_rng_state(), before)


def test_kernels_reach_for_what_is_seen():
    bank = KernelBank((2.0,), 8)
    seen = torch.tensor([[True] * 5 + [False] * 3])
    full = bank.averaging(seen, torch.tensor([False]))[0, 0]
    causal = bank.averaging(seen, torch.tensor([True]))[0, 0]
    assert (full[:, 5:] == 0).all()
    assert (causal.triu(1) == 0).all()
    torch.testing.assert_close(full.sum(1)[:5], torch.ones(5), atol=1e-2, rtol=0)


def test_kernels_look_back_by_their_lag():
    seen, full = torch.ones(1, 12, dtype=torch.bool), torch.tensor([False])
    back, ahead = KernelBank((2.0, 2.0), 12, (3.0, -3.0)).averaging(seen, full)[0]
    assert back[6].argmax() == 3
    assert ahead[6].argmax() == 9
    causal = KernelBank((2.0, 2.0), 12, (3.0, -3.0)).averaging(seen, ~full)[0]
    assert (causal.triu(1) == 0).all()


def test_statistics_are_numpys():
    counts = np.random.default_rng(0).poisson(2, (30, 5, 4)).astype(np.uint8)
    found = SessionStatistics.of(counts, "x")
    np.testing.assert_allclose(found.mean, counts.mean((0, 1)), rtol=1e-6)
    np.testing.assert_allclose(found.scale, counts.std((0, 1)), rtol=1e-5)


def test_registry(monkeypatch):
    monkeypatch.setattr(registry, "_REGISTRY", dict(registry._REGISTRY))
    entry = registry.find_backbone("ndt1", caller="here")
    assert entry.configure(dim=8, unknown=1).dim == 8
    with pytest.raises(InvalidInputError, match="unknown backbone 'ndt11'.*Did you mean 'ndt1'"):
        registry.find_backbone("ndt11", caller="here")
    with pytest.raises(InvalidInputError, match="exists"):
        registry.register_backbone(entry)
