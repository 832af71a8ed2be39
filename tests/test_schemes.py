import pytest
import torch

import neuromask as nm
from neuromask import schemes
from neuromask.errors import InvalidInputError, NeuromaskWarning
from neuromask.masks import neuron_mask
from neuromask.schemes import MTM_SCHEMES, Scheme, SchemeSampler, resolve_schemes

from .conftest import TINY

REGIONS = torch.tensor([0, 0, 1, 1, -1])


def sample(sampler, n_trials, generator):
    """Draw trials of 6 bins of one session."""
    table = sampler.table([REGIONS], [6])
    return sampler.sample(table, [(0, n_trials)], [REGIONS], generator)


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
    drawn = sample(SchemeSampler(found), 400, generator)
    assert set(drawn.scheme.tolist()) == {0, 1, 2, 3}
    assert drawn.causal.tolist() == (drawn.scheme == 1).tolist()
    assert not ((drawn.target > 0) & (drawn.visible > 0)).any()
    drawn = sample(SchemeSampler(found, per_batch=True), 8, generator)
    assert len(set(drawn.scheme.tolist())) == 1
    assert (drawn.visible == drawn.visible[:1]).all()


def test_sampler_leaves_out_what_a_session_cannot_use():
    found = resolve_schemes(MTM_SCHEMES)
    one_region = torch.zeros(5, dtype=torch.long)
    assert SchemeSampler(found).usable(one_region) == [0, 1, 2]
    assert found[3].reason_against(one_region) == "fewer than 2 regions"
    assert "has 2 neuron" in found[2].reason_against(torch.tensor([0, 1, -1, -1]))


def _constant(hidden, target):
    def mask(shape, regions, generator):
        found = [torch.zeros(shape, dtype=torch.bool) for _ in range(2)]
        for part, bins in zip(found, (hidden, target), strict=True):
            part[:, bins] = True
        return nm.masks.Mask(*found)

    return mask


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (_constant(slice(0, 2), slice(0, 4)), "'mine' asks for entries that the network sees"),
        (lambda *_: None, "'mine' is a NoneType; expected neuromask.masks.Mask"),
        (lambda shape, *_: torch.ones(shape), "'mine' is a Tensor; expected"),
        (
            lambda shape, *_: nm.masks.Mask(torch.ones(shape), torch.ones(shape)),
            "hidden of torch.fl",
        ),
        (
            lambda shape, *_: nm.masks.Mask(*torch.ones(2, 3, dtype=bool)),
            r"hidden of .* shape \(3,\)",
        ),
        (lambda shape: None, r"the mask of scheme 'mine' fails \(TypeError.*called as mask\(shape"),
    ],
)
def test_a_mask_that_is_none_is_refused_before_training(session, mask, message):
    pre = nm.MtMPretrainer(**TINY | {"schemes": [nm.Scheme("mine", mask)]})
    with pytest.raises(InvalidInputError, match=f"MtMPretrainer.fit: .*{message}"):
        pre.fit(session)
    assert not hasattr(pre, "model_")


def test_a_mask_that_asks_for_nothing_is_warned_of(session):
    mask = _constant(slice(0, 2), slice(0, 0))
    with pytest.warns(NeuromaskWarning, match="'mine' asks for no entry in 32 trials"):
        nm.MtMPretrainer(**TINY | {"schemes": ["neuron", nm.Scheme("mine", mask)]}).fit(session)


@pytest.mark.parametrize("given", [None, "neuron", {"name": "x"}])
def test_only_schemes_are_registered(given):
    with pytest.raises(
        InvalidInputError, match="register_scheme: given a .*; expected a neuromask.S"
    ):
        nm.register_scheme(given)


@pytest.mark.parametrize(("name", "mask"), [("x", None), ("", neuron_mask), (3, neuron_mask)])
def test_a_scheme_needs_a_name_and_a_function(name, mask):
    with pytest.raises(InvalidInputError, match="Scheme: name is .*; expected a name"):
        nm.Scheme(name, mask)
