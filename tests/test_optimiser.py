"""AdamW on flat buffers takes the steps of torch's own."""

import pytest
import torch
from torch import nn

from neuromask.training.optimiser import FlatAdamW
from neuromask.training.parameters import parameter_groups


class Sessions(nn.Module):
    """What sessions share, and read-ins of three of them."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.shared = nn.Linear(5, 7)
        self.norm = nn.LayerNorm(7)
        self.stitches = nn.ModuleList(nn.Linear(n, 5) for n in (3, 4, 6))
        with torch.no_grad():
            for p in self.parameters():
                p.copy_(torch.randn(p.shape, generator=generator))

    def forward(self, sessions):
        found = 0.0
        for i in sessions:
            x = torch.linspace(-1, 1, self.stitches[i].in_features)
            found = found + self.norm(self.shared(self.stitches[i](x))).exp().sum()
        return found


BATCHES = [(0, 1, 2), (0,), (1, 2), (0, 2), (2,), (0, 1, 2)]


@pytest.mark.parametrize("clip", [0.3, 1.0, 1e6])
@pytest.mark.parametrize("shared_rate", [1.0, 0.3])
def test_steps_are_those_of_torch(shared_rate, clip):
    ours, theirs = Sessions(), Sessions()
    options = {"weight_decay": 0.2, "shared_rate": shared_rate}
    flat = FlatAdamW(ours, clip=clip, **options)
    adam = torch.optim.AdamW(parameter_groups(theirs, **options))
    for step, sessions in enumerate(BATCHES):
        rate = 0.01 * (step + 1)
        loss, taken = flat.step(ours(sessions), rate)
        assert taken == 1
        expected = theirs(sessions)
        torch.testing.assert_close(loss, expected.detach())
        adam.zero_grad(set_to_none=True)
        expected.backward()
        nn.utils.clip_grad_norm_(theirs.parameters(), clip)
        for group in adam.param_groups:
            group["lr"] = rate * group["scale"]
        adam.step()
        for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-5)
    flat.release()


def test_parameters_share_one_buffer_until_it_is_released():
    model = Sessions()
    before = {name: p.clone() for name, p in model.named_parameters()}
    flat = FlatAdamW(model, weight_decay=0.0, shared_rate=1.0, clip=1.0)
    memory = flat.weights.untyped_storage().data_ptr()
    assert {p.untyped_storage().data_ptr() for p in model.parameters()} == {memory}
    flat.release()
    pointers = [p.untyped_storage().data_ptr() for p in model.parameters()]
    assert len(set(pointers)) == len(pointers)
    assert all(torch.equal(before[name], p) for name, p in model.named_parameters())
    assert all(p.grad is None for p in model.parameters())


def test_parameters_that_need_no_gradient_stay():
    model = Sessions()
    model.stitches.requires_grad_(False)
    before = [p.clone() for p in model.stitches.parameters()]
    flat = FlatAdamW(model, weight_decay=0.5, shared_rate=1.0, clip=1.0)
    flat.step(model((0, 1)), 0.1)
    flat.release()
    assert all(torch.equal(a, b) for a, b in zip(before, model.stitches.parameters(), strict=True))
