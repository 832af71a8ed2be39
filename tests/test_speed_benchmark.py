"""The benchmark of speed counts what it says, and its reference path is a model that learns."""

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

FOLDER = Path(__file__).parent / "benchmarks" / "speed"


@pytest.fixture
def load(monkeypatch):
    """Give a function that imports a script of the benchmark, by its own name, for one test."""
    monkeypatch.setattr(sys, "path", [str(FOLDER), *sys.path])
    before = set(sys.modules)
    yield importlib.import_module
    for name in set(sys.modules) - before:
        if (
            getattr(sys.modules[name], "__file__", None)
            and FOLDER in Path(sys.modules[name].__file__).parents
        ):
            del sys.modules[name]


@pytest.fixture
def tiny(load):
    torch.manual_seed(0)
    return load("reference").Reference([6, 9], 8, dim=16, n_layers=2, n_heads=2, dropout=0.1)


@pytest.mark.parametrize("scheme", range(4))
def test_masks_of_the_reference_path_are_those_of_the_method(load, scheme):
    reference = load("reference")
    regions = np.array(list("aaabbbccc"))
    hidden, target = reference.draw(scheme, (64, 50, 9), regions, np.random.default_rng(scheme))
    assert (target <= hidden).all()
    if reference.SCHEMES[scheme] == "neuron":
        assert (hidden == hidden[:, :1]).all()
        assert hidden.mean() == pytest.approx(0.3, abs=0.06)
    elif reference.SCHEMES[scheme] == "causal":
        assert (hidden == hidden[:, :, :1]).all()
        assert hidden.mean() == pytest.approx(0.6, abs=0.03)
    else:
        (region,) = set(regions[target.any((0, 1))])
        inside = regions == region
        if reference.SCHEMES[scheme] == "intra-region":
            assert hidden[:, :, ~inside].all()
            assert target[:, :, inside].mean() == pytest.approx(0.3, abs=0.15)
        else:
            np.testing.assert_array_equal(hidden, np.broadcast_to(inside, hidden.shape))


def test_the_reference_path_learns(load, tiny):
    reference, rng = load("reference"), np.random.default_rng(0)
    counts = rng.poisson(3.0, (32, 8, 9))
    optimiser = torch.optim.AdamW(tiny.parameters(), lr=1e-2)
    regions = np.array(list("aaabbbccc"))
    losses = [
        reference.train_step(tiny, optimiser, counts, regions, 1, rng, "cpu") for _ in range(60)
    ]
    assert np.mean(losses[-10:]) < -0.1  # the least is 3 - 3 log 3, and log-rates of zero have 1
    assert losses[0] > 0.5


def test_the_reference_path_does_not_see_what_it_holds_out_nor_the_future(load, tiny):
    reference, rng = load("reference"), np.random.default_rng(0)
    tiny.eval()
    counts = rng.poisson(1.0, (3, 8, 6))
    other = counts.copy()
    other[:, :, 2] += 3
    rates = [reference.held_out_neuron(tiny, x, 2, "cpu") for x in (counts, other)]
    np.testing.assert_array_equal(*rates)
    assert rates[0].shape == (3, 8)
    later = torch.tensor(counts, dtype=torch.float32)
    changed = later.clone()
    changed[:, 5:] += 1
    causal = reference.SCHEMES.index("causal")
    a, b = (tiny(x, 0, causal) for x in (later, changed))
    torch.testing.assert_close(a[:, :5], b[:, :5])
    assert not torch.allclose(a[:, 5:], b[:, 5:])


def test_arithmetic_and_traffic_are_counted(load):
    flops = load("flops")
    a, b = torch.ones(3, 5), torch.ones(5, 7)
    costs = flops.costs_of(lambda: torch.nn.functional.relu(a @ b))
    assert costs.flops == 2 * 3 * 5 * 7
    assert costs.bytes == 4 * (15 + 35 + 21) + 4 * (21 + 21)
    least = costs.roofline(gflops=1e-9, gbytes=1e-9)
    assert least == {"products": max(210, 284), "others": 168}
    assert flops.costs_of(lambda: a.t().unsqueeze(0).expand(4, 5, 3)).rows == []


@pytest.mark.parametrize("grad", [False, True])
def test_attention_is_counted_with_its_gradient(load, grad):
    q = torch.ones(2, 4, 10, 8, requires_grad=grad)

    def attend():
        out = torch.nn.functional.scaled_dot_product_attention(q, q, q)
        if grad:
            out.sum().backward()

    product = 2 * (2 * 4 * 10 * 10 * 8)
    # Backwards computes the weights anew, and gradients of weights, values, queries and keys.
    assert load("flops").costs_of(attend).flops == product * (2 + 5 * grad)


def test_memory_is_that_of_the_process_from_here_on(load):
    memory = load("machine").Memory("cpu")
    held = np.ones(5 * 10**6)
    found = memory.most()
    del held
    assert found["more_mb"] >= 39
    assert found["process_mb"] > found["more_mb"]


TOY = {"neurons": 8, "bins": 10, "trials": 16, "repeats": 1, "steps": 1, "held_out": 2}
SMALL = {"options": {"dim": 8, "n_layers": 1, "n_heads": 1, "batch_size": 8}}


@pytest.mark.parametrize("work", ["step", "evaluate", "predict"])
def test_works_give_times(load, work):
    found = load("work").WORK[work](TOY | SMALL)
    assert len(found["seconds"]) == 1
    if work == "step":
        assert found["trials_a_step"] == 8
        assert found["steps_an_epoch"] == 2
    if work == "evaluate":
        assert found["masked_trials"] == 2 * 16
        assert found["flops_a_masked_trial"] > 0


def test_a_stream_is_timed(load):
    found = load("work").WORK["stream"](TOY | SMALL | {"repeats": 20})
    assert 0 < found["p50"] <= found["p99"]


def test_a_larger_network_costs_more_of_everything(load, monkeypatch):
    monkeypatch.setattr(load("machine"), "SIZES", {"cpu": (64,)})
    monkeypatch.setattr(load("machine"), "LENGTHS", {"cpu": (64,)})
    small, large = (
        load("work").WORK["step-costs"](TOY | {"options": SMALL["options"] | {"dim": dim}})
        for dim in (8, 32)
    )
    assert large["flops"] > 4 * small["flops"] > 0
    assert large["bytes"] > small["bytes"] > 0


def test_the_page_says_what_was_measured(load):
    page = load("page")
    times = {"median": 0.0712, "least": 0.07, "most": 0.08}
    share = {"median": 0.61, "least": 0.5, "most": 0.7}
    row = {
        "of": "a recording",
        "size": "default",
        "precision": "fp32",
        "step": times,
        "trials_per_s": 449.4,
        "gflops": {"median": 61.0, "least": 50.0, "most": 70.0},
        "peak_gflops": {"median": 100.0, "least": 90.0, "most": 110.0},
        "share_of_peak": share,
        "over_reference": {"median": 1.234, "least": 1.1, "most": 1.3},
        "operations": 194.0,
        "synchronisations": 0.0,
        "costs": {
            "flops": 4e9,
            "bytes": 5e8,
            "products": 0.04,
            "others": 0.005,
            "launches": 0.001,
            "gflops": 100.0,
            "gbytes": 80.0,
        },
    }
    machine = {"cpu": "a CPU", "gpu": None, "threads": 2, "torch": "2", "cores": 2}
    found = {
        "machine": machine | {"memory_gib": 8, "load": [0.1, 1.9]},
        "quick": False,
        "peak_gflops": {"fp32": 100.0, "bf16": 200.0},
        "bandwidth_gbytes": 80.0,
        "training": [row],
    }
    text = page.machine(json.loads(json.dumps(found)))
    assert "## a CPU, 2 threads" in text
    assert "| default | fp32 | 71.2 ms (70 to 80) | 449 | 61 of 100 | 61 % (50 to 70) |" in text
    assert "| 1.23 (1.1 to 1.3) | 194 | 0 |" in text
    assert "| 4 | 500 | 8.0 | 40 ms | 5 ms | 1 ms | 63% |" in text
