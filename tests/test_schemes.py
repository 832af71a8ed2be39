import pytest
import torch

from neuromask import schemes
from neuromask.errors import InvalidInputError
from neuromask.masks import neuron_mask
from neuromask.schemes import MTM_SCHEMES, Scheme, SchemeSampler, resolve_schemes

REGIONS = torch.tensor([0, 0, 1, 1, -1])


def test_mtm_has_its_four_schemes():
    found = resolve_schemes(MTM_SCHEMES)
    assert [s.attention for s in found] == ["full", "causal", "full", "full"]


def test_names_are_forgiving_and_errors_helpful():
    assert resolve_schemes("intra_region")[0].name == "intra-region"
    with pytest.raises(InvalidInputError, match="unknown scheme 'nueron'.*Did you mean 'neuron'"):
        resolve_schemes(["nueron"])
    with pytest.raises(InvalidInputError, match="none twice"):
        resolve_schemes(["neuron", "neuron"])
    with pytest.raises(InvalidInputError, match="expected 'full' or 'causal'"):
        Scheme("x", neuron_mask, attention="backwards")


def test_ratio_reaches_those_that_take_it():
    found = resolve_schemes(["neuron", "inter-region"], mask_ratio=1.0)
    mask = found[0].mask((2, 3, 5), REGIONS, torch.Generator())
    assert mask.hidden.all()


def test_registry(monkeypatch):
    monkeypatch.setattr(schemes, "_REGISTRY", dict(schemes._REGISTRY))
    mine = schemes.register_scheme(Scheme("mine", neuron_mask))
    assert resolve_schemes(["mine"]) == (mine,)
    with pytest.raises(InvalidInputError, match="a scheme named 'mine' exists"):
        schemes.register_scheme(mine)
    schemes.register_scheme(mine, overwrite=True)


def test_sampler_draws_all_schemes_per_trial_or_one_per_batch():
    found = resolve_schemes(MTM_SCHEMES)
    generator = torch.Generator().manual_seed(0)
    index, mask = SchemeSampler(found).sample((400, 6, 5), REGIONS, generator)
    assert set(index.tolist()) == {0, 1, 2, 3}
    assert not (mask.target & ~mask.hidden).any()
    index, mask = SchemeSampler(found, per_batch=True).sample((8, 6, 5), REGIONS, generator)
    assert len(set(index.tolist())) == 1
    assert (mask.hidden == mask.hidden[:1]).all()


def test_sampler_leaves_out_what_a_session_cannot_use():
    found = resolve_schemes(MTM_SCHEMES)
    one_region = torch.zeros(5, dtype=torch.long)
    assert SchemeSampler(found).usable(one_region) == [0, 1, 2]
    assert found[3].reason_against(one_region) == "fewer than 2 regions"
    assert "has 2 neuron" in found[2].reason_against(torch.tensor([0, 1, -1, -1]))
