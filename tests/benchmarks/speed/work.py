"""One piece of work, timed in a process of its own: a step of training, or neurons held out.

    python work.py WORK JSON

The JSON says sizes and repeats; what was measured is printed as JSON. Only public calls of the library are
timed, so that the same script measures an earlier version (`against.py`).
"""

from __future__ import annotations

import json
import statistics
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from flops import costs_of
from machine import Memory, bandwidth, both_seconds, launch, peak, seconds

import neuromask as nm
from neuromask.nn.device import resolve_precision
from neuromask.pretrainer import EPOCHS

sys.path.append(str(Path(__file__).resolve().parents[2]))
from operations import count_step

STEINMETZ = Path(__file__).resolve().parents[4] / "shared" / "data" / "steinmetz"
SIZES = {
    "default": {"dim": 128, "n_layers": 2, "n_heads": 4, "dropout": 0.3, "batch_size": 32},
    "published": {"dim": 512, "n_layers": 5, "n_heads": 8, "dropout": 0.4, "batch_size": 16},
}


def sessions(asked: dict[str, Any]) -> list[nm.Session]:
    """Make sessions of the sizes that are asked for, or read a recording."""
    n_trials = asked.get("trials", 64)
    if "recording" in asked:
        session = nm.load_npz(STEINMETZ / f"session{asked['recording']:02d}.npz")[:n_trials]
        return [session.select_neurons(session.counts.mean((0, 1)) >= 0.01)]
    rng = np.random.default_rng(0)
    n_time, n_neurons = asked.get("bins", 40), asked.get("neurons", 400)
    regions = np.array([f"region {i % 8}" for i in range(n_neurons)])
    made = []
    for i in range(asked.get("sessions", 1)):
        counts = np.empty((n_trials, n_time, n_neurons), dtype=np.uint8)
        for part in np.array_split(counts, max(1, n_trials // 20)):  # views: they fill `counts`
            part[...] = rng.random(part.shape, dtype=np.float32) < 0.1
        made.append(nm.Session(counts, regions, session_id=f"s{i}", bin_width=0.02))
    return made


def estimator(asked: dict[str, Any], **more: Any) -> nm.MtMPretrainer:
    """Make the estimator of the size that is asked for."""
    options = dict(SIZES[asked.get("size", "default")]) | {"random_state": 0, "ignore_regions": ()}
    options |= {"validation_fraction": 0.0, "precision": asked.get("precision", "fp32")}
    options |= {"device": asked.get("device", "cpu")}
    return nm.MtMPretrainer(**options | asked.get("options", {}) | more)


def fit(asked: dict[str, Any], X: list[nm.Session], epochs: int) -> int:
    """Fit for some epochs and return how many steps these were."""
    pre = estimator(asked, max_epochs=epochs).fit(X if len(X) > 1 else X[0])
    return int(pre.history_["step"].iloc[-1])


def step(asked: dict[str, Any]) -> dict[str, Any]:
    """Time a step of training: a fit of several epochs less one of a single epoch."""
    X, device = sessions(asked), asked.get("device", "cpu")
    a_epoch = fit(asked, X, 1)
    more = -(-asked.get("steps", 12) // a_epoch)  # epochs that have at least so many steps
    times = []
    for _ in range(asked.get("repeats", 5)):
        long, short = (
            np.array(both_seconds(lambda e=e: fit(asked, X, e), device)) for e in (1 + more, 1)
        )
        times.append((long - short) / (more * a_epoch))
    wall, used = np.array(times).T.tolist()
    trials = sum(map(len, X)) / a_epoch
    return {
        "seconds": wall,
        "cpu_seconds": used,
        "trials_a_step": trials,
        "steps_an_epoch": a_epoch,
    }


def step_costs(asked: dict[str, Any]) -> dict[str, Any]:
    """Count what a step of training asks of the machine, and how long that takes at least."""
    X, device, precision = sessions(asked), asked.get("device", "cpu"), _precision(asked)
    a_epoch = fit(asked, X, 1)  # what is made once and kept belongs to no step
    few, many = (costs_of(lambda e=e: fit(asked, X, e)) for e in (1, 2))
    speeds = {"gflops": peak(precision, device), "gbytes": bandwidth(device)}
    found = {"flops": many.flops - few.flops, "bytes": many.bytes - few.bytes}
    atleast = few.roofline(**speeds)
    found |= {name: value - atleast[name] for name, value in many.roofline(**speeds).items()}
    found["launches"] = (len(many.rows) - len(few.rows)) * launch(device)
    return {name: value / a_epoch for name, value in found.items()} | speeds


def counts_of_step(asked: dict[str, Any]) -> dict[str, Any]:
    """Count operations and synchronisations of a step, as the tests do."""
    X = sessions(asked)
    options = SIZES[asked.get("size", "default")] | asked.get("options", {})
    found = count_step(X if len(X) > 1 else X[0], **options)
    return {"operations": found.operations, "synchronisations": found.waits}


def reference_step(asked: dict[str, Any]) -> dict[str, Any]:
    """Time a step of the reference path."""
    from reference import Reference, train_step

    X, device, rng = sessions(asked), asked.get("device", "cpu"), np.random.default_rng(0)
    size = dict(SIZES[asked.get("size", "default")])
    batch_size = size.pop("batch_size")
    torch.manual_seed(0)
    sizes = [x.n_neurons for x in X]
    model = Reference(sizes, X[0].shape[1], **size).to(device)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4, foreach=False, fused=False)

    def one() -> None:
        i = int(rng.integers(len(X)))
        rows = rng.choice(len(X[i]), batch_size)
        train_step(model, optimiser, X[i].counts[rows], X[i].regions, i, rng, device)

    one()
    steps = asked.get("steps", 6)
    times = [
        seconds(lambda: [one() for _ in range(steps)], device) / steps
        for _ in range(asked.get("repeats", 5))
    ]
    return {"seconds": times, "trials_a_step": batch_size}


def evaluate(asked: dict[str, Any]) -> dict[str, Any]:
    """Time what `evaluate` does for held-out neurons, or for all four tasks; count its arithmetic."""
    (X,) = sessions(asked)
    pre = estimator(asked, max_epochs=1).fit(X[:32])
    n_asked = min(asked.get("held_out", X.n_neurons), X.n_neurons)
    chosen = np.linspace(0, X.n_neurons - 1, n_asked).round().astype(int)
    tasks = asked.get("tasks", ["co_smoothing"])
    pre.evaluate(X[:8], tasks=["co_smoothing"], neurons=chosen[:2])
    device = asked.get("device", "cpu")
    times = [
        both_seconds(lambda: pre.evaluate(X, tasks=tasks, neurons=chosen), device)
        for _ in range(asked.get("repeats", 5))
    ]
    wall, used = np.array(times).T.tolist()
    found: dict[str, Any] = {"seconds": wall, "cpu_seconds": used}
    found["masked_trials"] = len(chosen) * len(X)
    if tasks == ["co_smoothing"]:
        few, many = (
            costs_of(lambda n=n: pre.evaluate(X[:16], tasks=tasks, neurons=chosen[:n])).flops
            for n in (1, 2)
        )
        found["flops_a_masked_trial"] = (many - few) / len(X[:16])
    return found


def reference_evaluate(asked: dict[str, Any]) -> dict[str, Any]:
    """Time a whole pass for each held-out neuron."""
    from reference import Reference, held_out_neuron

    (X,) = sessions(asked)
    device, size = asked.get("device", "cpu"), dict(SIZES[asked.get("size", "default")])
    size.pop("batch_size")
    model = Reference([X.n_neurons], X.shape[1], **size).to(device).eval()
    n_asked = min(asked.get("held_out", X.n_neurons), X.n_neurons)
    held_out_neuron(model, X.counts, 0, device)
    times = [
        seconds(
            lambda: [held_out_neuron(model, X.counts, i, device) for i in range(n_asked)], device
        )
        for _ in range(asked.get("repeats", 5))
    ]
    return {"seconds": times, "masked_trials": n_asked * len(X)}


def predict(asked: dict[str, Any]) -> dict[str, Any]:
    """Time predictions of one trial at a time."""
    (X,) = sessions(asked)
    pre = estimator(asked, max_epochs=1).fit(X[:16])
    device = asked.get("device", "cpu")
    times = [
        seconds(lambda i=i: pre.predict(X[i % len(X) : i % len(X) + 1]), device)
        for i in range(asked.get("repeats", 200) + 5)
    ][5:]
    p50, p99 = np.quantile(times, (0.5, 0.99))
    return {"p50": float(p50), "p99": float(p99), "seconds": [statistics.median(times)]}


def stream(asked: dict[str, Any]) -> dict[str, Any]:
    """Time bins that are pushed one by one to a stream of rates of the next bin."""
    (X,) = sessions(asked)
    if not hasattr(nm.MtMPretrainer, "stream"):
        raise RuntimeError("this version has no streams")
    opened = estimator(asked, max_epochs=1).fit(X[:16]).stream()
    bins = X.counts.reshape(-1, X.n_neurons)
    times = [
        seconds(lambda i=i: opened.push(bins[i % len(bins)]), asked.get("device", "cpu"))
        for i in range(asked.get("repeats", 2000) + 100)
    ][100:]
    p50, p99 = np.quantile(times, (0.5, 0.99))
    return {"p50": float(p50), "p99": float(p99)}


def fit_memory(asked: dict[str, Any]) -> dict[str, Any]:
    """Measure the most memory of a process that fits one epoch, and what its counts take of it."""
    X = sessions(asked)
    memory = Memory(asked.get("device", "cpu"))
    fit(asked | {"options": {"validation_fraction": 0.1} | asked.get("options", {})}, X, 1)
    return {"counts_mb": sum(x.counts.nbytes for x in X) / 1e6, **memory.most()}


def predict_memory(asked: dict[str, Any]) -> dict[str, Any]:
    """Measure how much more memory a process takes that predicts many trials, after having one."""
    (X,) = sessions(asked)
    pre = estimator(asked, max_epochs=1, batch_size=2).fit(X[:4])
    pre.predict(X[:1])
    memory = Memory(asked.get("device", "cpu"))
    call = asked.get("call", "predict")
    if call == "evaluate":
        pre.evaluate(X, tasks=["co_smoothing"], neurons=np.arange(2))
    else:
        getattr(pre, call)(X)
    return {"counts_mb": X.counts.nbytes / 1e6, **memory.most()}


def default_fit(asked: dict[str, Any]) -> dict[str, Any]:
    """Time a whole fit with the defaults of the version at hand."""
    (X,) = sessions(asked)
    options = {"precision": asked["precision"]} if "precision" in asked else {}
    pre = nm.MtMPretrainer(random_state=0, ignore_regions=(), **options)
    times = [both_seconds(lambda: pre.fit(X)) for _ in range(asked.get("repeats", 5))]
    wall, used = np.array(times).T.tolist()
    return {"seconds": wall, "cpu_seconds": used}


def quality(asked: dict[str, Any]) -> dict[str, Any]:
    """Time a fit of recording 12 of a share of the default epochs, and score it on test trials."""
    sys.path.append(str(Path(__file__).resolve().parents[1]))
    from recordings import scores, split

    train, valid, test = split(12)
    subset = np.sort(np.random.default_rng(1).choice(train.n_neurons, 150, replace=False))
    pre = nm.MtMPretrainer(random_state=0, ignore_regions=(), device=asked.get("device", "cpu"))
    pre.set_params(max_epochs=max(1, round(EPOCHS["one"] * asked.get("share", 1))))
    took = seconds(lambda: pre.fit(train, X_val=valid))
    scored = scores(pre.evaluate(test), subset)
    return {"seconds": [took], "max_epochs": pre.max_epochs, "scores": scored}


WORK = {
    "step": step,
    "step-costs": step_costs,
    "step-counts": counts_of_step,
    "default-fit": default_fit,
    "quality": quality,
    "reference-step": reference_step,
    "evaluate": evaluate,
    "reference-evaluate": reference_evaluate,
    "predict": predict,
    "stream": stream,
    "fit-memory": fit_memory,
    "predict-memory": predict_memory,
}


def _precision(asked: dict[str, Any]) -> str:
    """Return the arithmetic that is asked for, where "auto" is what the library takes."""
    device = torch.device(asked.get("device", "cpu"))
    return resolve_precision(str(asked.get("precision", "fp32")), device)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    given = json.loads(sys.argv[2])
    torch.set_num_threads(given.get("threads", torch.get_num_threads()))
    found = WORK[sys.argv[1]](given)
    if given.get(
        "beside_peak"
    ):  # measured next to the work, as a shared machine changes by the minute
        found["peak_gflops"] = peak(_precision(given), given.get("device", "cpu"))
    print(json.dumps(found))
