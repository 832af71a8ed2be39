import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from neuromask.errors import InvalidInputError
from neuromask.nn import backbones as registry
from neuromask.nn.batch_reading import completed
from neuromask.nn.device import autocast
from neuromask.nn.layers import (
    attend,
    attention_mask,
    attention_masks,
    draw_keeps,
    drop,
    rotate,
    rotation,
    token_times,
)
from neuromask.nn.ndt1 import NDT1, NDT1Config
from neuromask.nn.ndt2 import patch_neurons
from neuromask.nn.session_weights import (
    MAX_LOG_CHANGE,
    SessionStatistics,
    TrialGroup,
    Weights,
)
from neuromask.nn.smoothing import BLOCK, KernelBank, gaussian, smooth
from neuromask.nn.trial_batch import TrialBatch

N_TIME, SIZES = 10, {"a": 6, "b": 6, "c": 3}


def statistics(name, n_time=N_TIME):
    counts = np.random.default_rng(0).poisson(0.5, (20, n_time, SIZES[name]))
    return SessionStatistics.of(counts, name, ("CA1", "TH", "VISp") * (SIZES[name] // 3))


BACKBONES = sorted(registry.available_backbones())


def model(names="abc", seed=0, backbone="ndt1", **config):
    sizes = {"dim": 16, "n_heads": 2, "n_linear": 5, "region_names": ("CA1", "TH"), "patch_size": 1}
    entry = registry.find_backbone(backbone)
    generator = torch.Generator().manual_seed(seed)
    sessions = [statistics(n) for n in names]
    net = entry.build(entry.configure(**sizes | config), sessions, 4, generator)
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


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("positions", ["learned", "rope"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("cut", [1, 5, 9])
def test_no_leak_the_future_leaves_the_past_bitwise_unchanged(backbone, positions, precision, cut):
    net = model(n_layers=3, backbone=backbone, positions=positions)
    one, other = group(causal=True), group(causal=True, seed=1)
    other.counts[:, :cut], other.hidden[:, :cut] = one.counts[:, :cut], one.hidden[:, :cut]
    with torch.no_grad(), autocast(torch.device("cpu"), precision):
        before, after = net([one])[0], net([other])[0]
    assert torch.equal(before[:, :cut], after[:, :cut])
    assert not torch.equal(before[:, cut:], after[:, cut:])


@pytest.mark.parametrize("backbone", BACKBONES)
def test_the_same_change_is_seen_under_full_attention(backbone):
    net, one, other = model(backbone=backbone), group(), group(seed=1)
    other.counts[:, :5], other.hidden[:, :5] = one.counts[:, :5], one.hidden[:, :5]
    with torch.no_grad():
        assert not torch.equal(net([one])[0][:, :5], net([other])[0][:, :5])


@pytest.mark.parametrize("backbone", BACKBONES)
def test_hidden_counts_never_reach_the_network(backbone):
    net, one = model(backbone=backbone), group()
    other = group()
    other.counts = torch.where(other.hidden, torch.tensor(9.0), other.counts)
    with torch.no_grad():
        assert torch.equal(net([one])[0], net([other])[0])


CPU = torch.device("cpu")


def test_special_tokens_never_read_bins_under_causal_attention():
    full, causal = attention_masks(3, 1, 2, CPU) == 0
    assert causal.tolist() == [
        [True, True, False, False, False],
        [True, True, False, False, False],
        [True, True, True, False, False],
        [True, True, True, True, False],
        [True, True, True, True, True],
    ]
    assert full.all()


def test_tokens_of_a_bin_read_each_other_under_causal_attention():
    # Two patches a bin: the mask follows time, not the order of the tokens.
    causal = attention_masks(2, 2, 1, CPU)[1] == 0
    assert causal.tolist() == [
        [True, False, False, False, False],
        [True, True, True, False, False],
        [True, True, True, False, False],
        [True, True, True, True, True],
        [True, True, True, True, True],
    ]


def test_each_trial_gets_the_mask_of_its_attention():
    masks = attention_masks(2, 1, 1, CPU)
    mixed = attention_mask(masks, torch.tensor([1, 0]))
    assert torch.equal(mixed[0, 0], masks[1])
    assert torch.equal(mixed[1, 0], masks[0])
    assert attention_mask(masks, torch.tensor([0, 0]), "full") is None
    assert torch.equal(attention_mask(masks, torch.tensor([1, 1]), "causal")[0, 0], masks[1])


@given(
    n_time=st.integers(1, 12),
    n_patches=st.integers(1, 6),
    n_missing=st.integers(0, 5),
)
def test_block_causal_masks_show_all_of_the_past_and_nothing_of_the_future(
    n_time, n_patches, n_missing
):
    bins = torch.arange(n_time).repeat_interleave(n_patches)
    assert torch.equal(token_times(n_time, n_patches, 2, CPU)[2:], bins)
    masks = attention_masks(n_time, n_patches, 2, CPU)
    absent = torch.arange(2 + len(bins))[None] >= 2 + len(bins) - min(n_missing, len(bins))
    n_there = int((~absent).sum())
    for attention in ("mixed", "causal"):
        mask = attention_mask(masks, torch.tensor([1]), attention, absent)[0, 0] == 0
        inside = mask[2:n_there, 2:n_there]
        assert torch.equal(inside, bins[None, : n_there - 2] <= bins[: n_there - 2, None])
        assert not mask[:, n_there:].any()
    full = attention_mask(masks, torch.tensor([0]), "full", absent)[0, 0] == 0
    assert full[:, :n_there].all()
    assert not full[:, n_there:].any()


def test_what_dropout_keeps_is_scaled_to_the_same_mean():
    generator = torch.Generator().manual_seed(0)
    half, none, tenth = draw_keeps(generator, [((400, 50), 0.5), ((3,), 0.0), ((50, 400), 0.1)])
    assert none is None
    for keep, probability in ((half, 0.5), (tenth, 0.1)):
        assert (keep == 0).float().mean().item() == pytest.approx(probability, abs=0.01)
        assert keep.mean().item() == pytest.approx(1, abs=0.01)
        assert len(keep.unique()) == 2
    assert draw_keeps(None, [((2,), 0.5)]) == [None]


def test_patches_hold_one_region_each():
    regions = np.array(["TH"] * 70 + ["CA1"] * 5 + ["VISp"] * 130)
    patches = patch_neurons(regions, 64)
    assert sorted(np.concatenate(patches).tolist()) == list(range(205))
    assert all(len(set(regions[p])) == 1 and len(p) <= 64 for p in patches)
    assert [len(p) for p in patches] == [5, 35, 35, 44, 43, 43]


def test_neurons_read_their_own_patch():
    # Order of neurons is order of answers, whatever the patches.
    net = model("a", backbone="ndt2", patch_size=2)
    one = group("a")
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    with torch.no_grad():
        rates = net([one])[0]
        weights = net.stitch("a").weights()
        moved = weights._replace(
            mean=weights.mean[order],
            scale=weights.scale[order],
            base=weights.base[order],
            read_in=weights.read_in[:, order],
            linear_in=weights.linear_in[:, order],
            read_out=weights.read_out[order],
            spike_history=weights.spike_history[:, order],
        )
        inverse = order.argsort()
        net.patches["a"] = [inverse[p] for p in net.patches["a"]]
        other = TrialGroup(
            "a", one.counts[..., order], one.hidden[..., order], one.scheme, one.causal, moved
        )
        torch.testing.assert_close(net([other])[0], rates[..., order], atol=1e-5, rtol=1e-4)


def test_rotary_attention_sees_distances_and_not_places():
    generator = torch.Generator().manual_seed(0)
    q, k = torch.randn(2, 1, 1, 6, 8, generator=generator)
    times = torch.arange(6)
    scores = [
        rotate(q, turn) @ rotate(k, turn).transpose(2, 3)
        for turn in (rotation(times, 8), rotation(times + 7, 8))
    ]
    torch.testing.assert_close(*scores)
    still = rotation(token_times(0, 1, 1, CPU), 8)
    assert torch.equal(rotate(q[:, :, :1], still), q[:, :, :1])


def test_starts_at_the_mean_rates():
    stats = statistics("a")
    net = NDT1(NDT1Config(), [stats], 4, torch.Generator().manual_seed(0))
    with torch.no_grad():
        rates = net([group()])[0].exp().mean((0, 1)).numpy()
    np.testing.assert_allclose(rates, stats.mean, rtol=0.1)


@pytest.mark.parametrize("positions", ["learned", "rope"])
@pytest.mark.parametrize("backbone", BACKBONES)
def test_a_batch_of_sessions_is_the_sessions_apart(backbone, positions):
    net = model(backbone=backbone, positions=positions)
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


def test_features_are_dropped_for_read_outs_and_given_whole_to_others():
    net = model(dropout=0.0, input_dropout=0.0, linear_dropout=0.5, trunk_dropout=0.5)
    (whole,) = net.states([group()])
    (dropped,) = net.states([group()], generator=torch.Generator().manual_seed(1))
    dim = net.config.dim
    assert torch.equal(whole.features[..., :dim], dropped.features[..., :dim])
    with torch.no_grad():  # the linear path alone has no say any more
        net.stitch("a").read_out.weight[:, dim:] = 0
    (whole,) = net.states([group()])
    (dropped,) = net.states([group()], generator=torch.Generator().manual_seed(1))
    assert not torch.allclose(whole.log_rates, dropped.log_rates)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_features_of_the_trunk_are_dropped_where_it_serves_several_sessions(backbone):
    still = {"dropout": 0.0, "input_dropout": 0.0, "linear_dropout": 0.0, "trunk_dropout": 0.5}
    for names in ("a", "ab"):
        net = model(names, backbone=backbone, **still)
        (whole,), (dropped,) = (
            net([group()], generator=generator)
            for generator in (None, torch.Generator().manual_seed(1))
        )
        assert torch.equal(whole, dropped) == (len(names) == 1)
    met_later = model("a", backbone=backbone, **still)
    met_later.add_session(statistics("b"), torch.Generator().manual_seed(0))
    (dropped,) = met_later([group()], generator=torch.Generator().manual_seed(1))
    assert not torch.equal(dropped, met_later([group()])[0])


@pytest.mark.parametrize("probability", [0.1, 0.3, 0.9])
def test_dropout_zeroes_its_share_and_keeps_the_mean(probability):
    x = torch.ones(101, 1003)  # not a multiple of eight entries
    dropped = drop(x, probability, torch.Generator().manual_seed(0))
    assert (dropped == 0).float().mean() == pytest.approx(probability, abs=0.005)
    assert dropped.mean() == pytest.approx(1, abs=0.03)
    assert len(dropped.unique()) == 2


def test_dropout_of_nearly_all_stays_finite():
    assert drop(torch.ones(10_000), 0.9999, torch.Generator().manual_seed(0)).isfinite().all()


@pytest.mark.parametrize("masked", [False, True])
def test_attention_on_a_cpu_is_as_exact_under_bf16_autocast(masked):
    generator = torch.Generator().manual_seed(0)
    q, k, v = torch.randn(3, 2, 4, 7, 8, generator=generator)
    mask = torch.ones(2, 1, 7, 7, dtype=torch.bool).tril() if masked else None
    scores = q @ k.transpose(-1, -2) / 8**0.5
    if masked:
        scores = scores.masked_fill(~mask, -torch.inf)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = attend(q, k, v, mask)
    torch.testing.assert_close(mixed, scores.softmax(-1) @ v)


def read_linear(hidden):
    """Read factors of 12 neurons; return them, the counts and what factors move neurons by."""
    generator = torch.Generator().manual_seed(0)
    evidence = torch.randn(12, 3, generator=generator)
    x = torch.randn(2, 5, 12, generator=generator)
    posterior = torch.linalg.solve(torch.eye(3) + evidence.T @ evidence, evidence.T)
    nothing = torch.zeros(0)
    weights = Weights(*[nothing] * 9)._replace(evidence=evidence)
    group = TrialGroup("s", x, hidden, torch.zeros(2), torch.zeros(2))
    batch = TrialBatch.of([group])
    found = completed(batch, [weights], x.masked_fill(hidden, 0) @ posterior.T)
    return found, x, evidence


def test_factors_are_the_posterior_mean_given_the_visible_neurons():
    hidden = torch.zeros(2, 5, 12, dtype=torch.bool)
    hidden[0, :, :9] = True
    hidden[1, :, 4] = True
    found, x, evidence = read_linear(hidden)
    for trial, visible in enumerate((slice(9, 12), [0, 1, 2, 3, *range(5, 12)])):
        e = evidence[visible]
        expected = torch.linalg.solve(torch.eye(3) + e.T @ e, e.T @ x[trial, :, visible].T).T
        torch.testing.assert_close(found[trial], expected)


def test_hidden_bins_leave_the_factors_of_others_as_they_are():
    whole, _, _ = read_linear(torch.zeros(2, 5, 12, dtype=torch.bool))
    hidden = torch.zeros(2, 5, 12, dtype=torch.bool)
    hidden[:, 3:] = True
    found, _, _ = read_linear(hidden)
    torch.testing.assert_close(found[:, :3], whole[:, :3])
    assert (found[:, 3:] == 0).all()


def test_kernels_share_the_weight_of_hidden_bins_among_those_in_reach_and_fade_beyond():
    bank = KernelBank((2.0,), 40)
    seen = (torch.arange(40)[None] < 20).float()
    full = bank.averaging(seen, torch.tensor([0])).matrices()[0, 0]
    assert (full[:, 20:] == 0).all()
    # Up to two standard deviations from the last bin that is seen, it stands in for the hidden ones.
    torch.testing.assert_close(full[:24].sum(1), torch.ones(24), atol=0.01, rtol=0)
    assert full[23].argmax() == 19
    # Beyond four, an average is none of what is seen but nearly zero.
    assert (full[28:].sum(1) < 0.3).all()
    assert (full[30:].sum(1) < 0.01).all()
    causal = bank.averaging(seen, torch.tensor([1])).matrices()[0, 0]
    assert (causal.triu(1) == 0).all()
    torch.testing.assert_close(causal[:20].sum(1), torch.ones(20), atol=0.01, rtol=0)


@pytest.mark.parametrize("attention", ["mixed", "full", "causal"])
def test_averages_of_long_trials_are_those_of_whole_matrices(attention):
    n_time = 2 * BLOCK + 37
    generator = torch.Generator().manual_seed(0)
    seen = (torch.rand(3, n_time, generator=generator) < 0.7).float()
    seen[:, 100:200] = 0
    kinds = {"mixed": [0, 1, 0], "full": [0] * 3, "causal": [1] * 3}
    causal = torch.tensor(kinds[attention])
    x = torch.randn(3, n_time, 5, generator=generator)
    kernels = ((2.0, 0.0), (15.0, 0.0), (3.0, 5.0), (3.0, -5.0))
    bank = KernelBank([w for w, _ in kernels], n_time, [lag for _, lag in kernels])
    found = bank.averaging(seen, causal, attention)(x, slice(1, 4))
    past = torch.ones(n_time, n_time).tril()
    for k, (width, lag) in enumerate(kernels[1:]):
        weights = gaussian(n_time, width, lag=lag) * seen[:, None]
        weights = torch.where(causal[:, None, None] == 1, weights * past, weights)
        expected = weights / (weights.sum(-1, keepdim=True) + 1e-3) @ x
        torch.testing.assert_close(found[:, k], expected, atol=1e-5, rtol=1e-5)


def test_smoothing_of_visible_counts_is_that_of_a_gaussian_cut_at_the_ends():
    counts = torch.rand(2, 30, 3, generator=torch.Generator().manual_seed(0))
    lag = np.arange(30)[:, None] - np.arange(30)
    weights = np.exp(-0.5 * (lag / 2.5) ** 2)
    for causal in (False, True):
        w = weights * (lag >= 0) if causal else weights
        expected = w / w.sum(1, keepdims=True) @ counts.numpy()
        found = smooth(counts, 2.5, torch.tensor([causal] * 2))
        np.testing.assert_allclose(found, expected, rtol=1e-5)
    torch.testing.assert_close(smooth(counts, 2.5), smooth(counts, 2.5, torch.tensor([False] * 2)))


def test_rates_are_bounded_by_the_largest_change_times_shrinkage():
    net = model()
    stitch = net.stitch(group().session_id)
    with torch.no_grad():
        stitch.read_out.weight.mul_(1e4)
        for shrinkage in (1.0, 2.0):
            stitch.shrinkage.fill_(shrinkage)
            change = (net([group()])[0] - stitch.base).abs().max()
            assert change.item() == pytest.approx(MAX_LOG_CHANGE * shrinkage, rel=1e-3)


def test_kernels_look_back_by_their_lag():
    seen, bank = torch.ones(1, 12), KernelBank((2.0, 2.0), 12, (3.0, -3.0))
    back, ahead = bank.averaging(seen, torch.tensor([0])).matrices()[0]
    assert back[6].argmax() == 3
    assert ahead[6].argmax() == 9
    causal = bank.averaging(seen, torch.tensor([1])).matrices()[0]
    assert (causal.triu(1) == 0).all()


def test_statistics_are_numpys():
    counts = np.random.default_rng(0).poisson(2, (30, 5, 4)).astype(np.uint8)
    found = SessionStatistics.of(counts, "x")
    np.testing.assert_allclose(found.mean, counts.mean((0, 1)), rtol=1e-6)
    np.testing.assert_allclose(found.scale, counts.std((0, 1)), rtol=1e-5)


def test_registry(monkeypatch):
    monkeypatch.setattr(registry, "_REGISTRY", dict(registry._REGISTRY))
    entry = registry.find_backbone("ndt1")
    assert entry.configure(dim=8, unknown=1).dim == 8
    with pytest.raises(InvalidInputError, match="unknown backbone 'ndt11'.*Did you mean 'ndt1'"):
        registry.find_backbone("ndt11")
    with pytest.raises(InvalidInputError, match="exists"):
        registry.register_backbone(entry)


@pytest.mark.parametrize("n_tokens", [7, 300])
def test_attention_in_bf16_on_a_cpu_is_that_of_its_formula(n_tokens):
    generator = torch.Generator().manual_seed(0)
    q, k, v = torch.randn(3, 2, 4, n_tokens, 8, generator=generator).bfloat16()
    mask = attention_masks(n_tokens, 1, 0, CPU)[1][None, None]
    expected = (q.float() @ k.float().transpose(-1, -2) / 8**0.5 + mask).softmax(-1) @ v.float()
    torch.testing.assert_close(attend(q, k, v, mask).float(), expected, atol=0.03, rtol=0.03)
