import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from neuromask import masks
from neuromask.errors import InvalidInputError
from neuromask.schemes import available_schemes

REGIONS = torch.tensor([0, 0, 1, 1, 1, -1, 2])
SHAPE = (40, 12, 7)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", sorted(available_schemes()))
@given(seed=st.integers(0, 10**6))
def test_every_scheme_targets_what_it_hides(name, seed):
    regions = REGIONS.clone()
    mask = available_schemes()[name].mask(SHAPE, regions, generator(seed))
    assert mask.hidden.shape == mask.target.shape == SHAPE
    assert mask.hidden.dtype == mask.target.dtype == torch.bool
    assert not (mask.target & ~mask.hidden).any()
    assert torch.equal(regions, REGIONS)
    again = available_schemes()[name].mask(SHAPE, regions, generator(seed))
    assert torch.equal(mask.hidden, again.hidden)
    assert torch.equal(mask.target, again.target)


@pytest.mark.parametrize("name", sorted(available_schemes()))
def test_global_random_state_is_left_alone(name):
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    available_schemes()[name].mask(SHAPE, REGIONS, generator())
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()


def test_neuron_masks_whole_neurons_at_the_ratio():
    hidden = masks.neuron_mask((4000, 3, 7), REGIONS, generator(), ratio=0.3).hidden
    assert torch.equal(hidden[:, 0], hidden[:, 2])
    assert hidden.float().mean() == pytest.approx(0.3, abs=0.01)
    spread = masks.neuron_mask((4000, 1, 7), REGIONS, generator(), ratio=(0.1, 0.9)).hidden
    assert spread.float().mean((1, 2)).var() > 2 * hidden.float().mean((1, 2)).var()


def test_temporal_and_random():
    hidden = masks.temporal_mask((4000, 3, 7), REGIONS, generator()).hidden
    assert torch.equal(hidden[..., 0], hidden[..., 6])
    assert hidden.float().mean() == pytest.approx(0.3, abs=0.01)
    assert masks.random_mask((400, 30, 7), REGIONS, generator()).hidden.float().mean() == (
        pytest.approx(0.3, abs=0.01)
    )


def test_causal_mixes_random_bins_and_hidden_ends():
    only_ends = masks.causal_mask((500, 12, 2), REGIONS, generator(), suffix=1.0).hidden[..., 0]
    lengths = only_ends.sum(1)
    assert set(lengths.tolist()) == {1, 2, 3}
    assert torch.equal(only_ends, torch.arange(12) >= 12 - lengths[:, None])
    no_ends = masks.causal_mask((4000, 12, 2), REGIONS, generator(), suffix=0.0).hidden
    assert no_ends.float().mean() == pytest.approx(0.6, abs=0.01)


def test_intra_region_shows_one_region_alone():
    mask = masks.intra_region_mask((500, 2, 7), REGIONS, generator())
    for hidden, target in zip(mask.hidden[:, 0], mask.target[:, 0], strict=True):
        visible = set(REGIONS[~hidden].tolist())
        assert visible <= {0} or visible <= {1}  # never the single neuron, never the ignored
        shown_or_asked = REGIONS[~hidden | target]
        if len(shown_or_asked):
            region = int(shown_or_asked[0])
            assert torch.equal(~hidden | target, region == REGIONS)


def test_inter_region_hides_a_whole_region_and_draws_all_alike():
    mask = masks.inter_region_mask((3000, 2, 7), REGIONS, generator(), subsets=0.0)
    assert torch.equal(mask.hidden, mask.target)
    drawn = [tuple(sorted(set(REGIONS[row].tolist()))) for row in mask.hidden[:, 0]]
    counts = {r: drawn.count(r) / 3000 for r in set(drawn)}
    assert set(counts) == {(0,), (1,), (2,)}
    assert all(abs(share - 1 / 3) < 0.04 for share in counts.values())
    for row in mask.hidden[:50, 0]:
        assert torch.equal(row, REGIONS[row][0] == REGIONS)


@pytest.mark.parametrize("subsets", [0.0, 0.5, 1.0])
def test_inter_region_reads_a_whole_region_from_any_set_of_others(subsets):
    n, others = 3000, {code: {-1, 0, 1, 2} - {code} for code in (0, 1, 2)}
    mask = masks.inter_region_mask((n, 2, 7), REGIONS, generator(), subsets=subsets)
    shown = []
    for hidden, target in zip(mask.hidden, mask.target, strict=True):
        assert torch.equal(hidden[0], hidden[1])
        (code,) = set(REGIONS[target[0]].tolist())
        assert torch.equal(target[0], code == REGIONS)
        sources = set(REGIONS[~hidden[0]].tolist())
        assert sources <= others[code]
        assert all(torch.equal(~hidden[0] & (c == REGIONS), c == REGIONS) for c in sources)
        shown.append((code, frozenset(sources)))
    # All others, or each with a probability that is uniform over trials; one at least is there.
    sizes = np.bincount([len(sources) for _, sources in shown], minlength=4) / n
    sets = np.array([0.0, 0.5, 0.25, 0.25])
    expected = subsets * sets + (1 - subsets) * np.array([0.0, 0.0, 0.0, 1.0])
    np.testing.assert_allclose(sizes, expected, atol=0.03)
    if subsets:
        assert set(shown) == {
            (code, frozenset(some))
            for code, own in others.items()
            for size in (1, 2, 3)
            for some in itertools.combinations(own, size)
        }


@pytest.mark.parametrize(
    "options",
    [
        {"sources": 2.0},
        {"sources": -0.1},
        {"sources": (0.8, 0.2)},
        {"sources": (0.0, 0.5, 1.0)},
        {"sources": float("nan")},
        {"sources": None},
        {"subsets": 1.5},
        {"subsets": float("nan")},
        {"subsets": "half"},
    ],
)
def test_sources_and_subsets_are_shares(options):
    with pytest.raises(InvalidInputError, match=next(iter(options))):
        masks.inter_region_mask(SHAPE, REGIONS, generator(), **options)


@given(st.permutations(range(7)), st.integers(0, 1000))
def test_permuting_neurons_permutes_region_masks(order, seed):
    order = list(order)
    mask = masks.inter_region_mask(SHAPE, REGIONS, generator(seed)).hidden
    permuted = masks.inter_region_mask(SHAPE, REGIONS[order], generator(seed)).hidden
    assert torch.equal(permuted, mask[:, :, order])


def test_no_region_may_be_a_target():
    with pytest.raises(ValueError, match="no region with at least 2 neuron"):
        masks.intra_region_mask(SHAPE, torch.tensor([-1, -1, 0]), generator())
    with pytest.raises(ValueError, match="no region"):
        masks.inter_region_mask((1, 1, 2), torch.tensor([-1, -1]), generator())


def test_applying_a_mask_leaves_the_counts():
    counts = torch.ones(2, 3, 4)
    hidden = torch.zeros(2, 3, 4, dtype=torch.bool)
    hidden[0] = True
    assert masks.apply_mask(counts, hidden).sum() == 12
    assert counts.sum() == 24
