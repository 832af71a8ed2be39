"""Functions with fewer passes over memory are what their plain forms are, and so are their gradients."""

import pytest
import torch
import torch.nn.functional as F

from neuromask.nn import functions
from neuromask.nn.trial_batch import Part, read_in, read_out, spread


def numbers(*shape, seed=0, scale=2.0):
    return scale * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def compare(fast, plain, *inputs):
    """Compare values and gradients of what needs one, under a gradient that is not one."""
    given = [x.detach().clone().requires_grad_(x.requires_grad) for x in inputs]
    a, b = fast(*inputs), plain(*given)
    torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)
    weight = numbers(*a.shape, seed=9)
    (a * weight).sum().backward()
    (b * weight).sum().backward()
    for x, y in zip(inputs, given, strict=True):
        if x.requires_grad:
            torch.testing.assert_close(x.grad, y.grad, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ["asinh", "softsign"])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_functions_of_one_number(name, scale):
    x = torch.cat([numbers(50, scale=scale), torch.zeros(1)]).requires_grad_()
    plain = {"asinh": torch.asinh, "softsign": F.softsign}[name]
    compare(getattr(functions, name), plain, x)


@pytest.mark.parametrize("n_shared", [1, 4])
def test_bounded_log_rates(n_shared):
    change = numbers(4, 6, 5).requires_grad_()
    own = numbers(4, 3, 6, 5, seed=1)
    history = numbers(n_shared, 3, 5, seed=2).requires_grad_()
    base = numbers(n_shared, 5, seed=3).requires_grad_()
    shrinkage = numbers(n_shared, 1, seed=4).abs()

    def plain(change, own, history, base, shrinkage):
        total = change + (own * history[:, :, None]).sum(1)
        return base[:, None] + shrinkage[:, None] * 3 * torch.tanh(total / 3)

    compare(
        lambda *given: functions.bounded(*given, 3.0), plain, change, own, history, base, shrinkage
    )


def test_poisson_sums():
    log_rates = numbers(3, 6, 5).requires_grad_()
    counts = torch.poisson(torch.full((3, 6, 5), 0.7))
    target = (numbers(3, 6, 5, seed=1) > 0).float()

    def plain(log_rates, counts, target):
        return ((log_rates.exp() - counts * log_rates) * target).sum((1, 2))

    compare(functions.poisson_sums, plain, log_rates, counts, target)


def test_half_of_a_sum_of_squares():
    x = numbers(4, 3).requires_grad_()
    compare(lambda x: functions.half_square(x, 0.3), lambda x: 0.15 * x.square().sum(), x)


# Three sessions of different neurons and bins in one batch of seven trials.
PARTS = (
    Part("a", slice(0, 2), 6, 5),
    Part("b", slice(2, 3), 4, 8),
    Part("c", slice(3, 7), 6, 1),
)


@pytest.mark.parametrize("biased", [False, True])
def test_products_with_each_sessions_way_in(biased):
    x = numbers(7, 6, 8)
    weights = [numbers(3, p.n_neurons, seed=i).requires_grad_() for i, p in enumerate(PARTS)]
    biases = [numbers(3, seed=5 + i).requires_grad_() for i in range(3)] if biased else []

    def fast(*given):
        return read_in(PARTS, x, given[:3], given[3:])

    def plain(*given):
        out = torch.zeros(7, 6, 3)
        for i, part in enumerate(PARTS):
            own = x[part.rows, : part.n_time, : part.n_neurons]
            bias = given[3 + i] if biased else None
            out[part.rows, : part.n_time] = F.linear(own, given[i], bias)
        return out

    compare(fast, plain, *weights, *biases)


def test_products_with_each_sessions_way_out():
    features = numbers(7, 6, 3).requires_grad_()
    weights = [numbers(p.n_neurons, 3, seed=i).requires_grad_() for i, p in enumerate(PARTS)]

    def plain(features, *weights):
        out = torch.zeros(7, 6, 8)
        for part, weight in zip(PARTS, weights, strict=True):
            own = features[part.rows, : part.n_time]
            out[part.rows, : part.n_time, : part.n_neurons] = F.linear(own, weight)
        return out

    compare(lambda f, *w: read_out(PARTS, f, w, 8), plain, features, *weights)


def test_each_trial_gets_its_sessions_values():
    values = [numbers(2, p.n_neurons, seed=i).requires_grad_() for i, p in enumerate(PARTS)]

    def plain(*values):
        rows = [
            F.pad(v, (0, 8 - v.shape[1]), value=1.0).expand(p.n_trials, -1, -1)
            for v, p in zip(values, PARTS, strict=True)
        ]
        return torch.cat(rows)

    compare(lambda *v: spread(PARTS, v, 8, fill=1.0), plain, *values)
