"""Count what a training step asks of a device, on a machine that has none."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

from torch.profiler import ProfilerActivity, profile

import neuromask as nm

# Operations that move no data: views, allocations, and what decides what to call.
NO_WORK = frozenset(
    f"aten::{name}"
    for name in [
        "_reshape_alias",
        "_unsafe_view",
        "alias",
        "as_strided",
        "as_strided_",
        "chunk",
        "contiguous",
        "detach",
        "detach_",
        "empty",
        "empty_like",
        "empty_strided",
        "expand",
        "flatten",
        "is_nonzero",
        "item",
        "lift_fresh",
        "narrow",
        "new_empty",
        "new_empty_strided",
        "permute",
        "reshape",
        "resize_",
        "resolve_conj",
        "resolve_neg",
        "result_type",
        "select",
        "set_",
        "slice",
        "split",
        "split_with_sizes",
        "squeeze",
        "t",
        "to",
        "transpose",
        "unbind",
        "unflatten",
        "unsqueeze",
        "view",
        "view_as",
    ]
)
# Operations that wait until the device has answered.
WAITS = ("aten::_local_scalar_dense", "aten::nonzero")


class Step(NamedTuple):
    """Operations that a GPU would launch kernels for, and synchronisations, of one training step."""

    operations: float
    waits: float


def count_step(X: Any, **options: Any) -> Step:
    """Count those of a step of training, as a fit of three epochs has more of them than one of one.

    A GPU launches about one kernel for each innermost operation that works on data.
    """
    _counted(X, 1, options)  # what is made once and kept belongs to no step
    few, many = (_counted(X, epochs, options) for epochs in (1, 3))
    operations, waits, steps = (b - a for a, b in zip(few, many, strict=True))
    return Step(operations / steps, waits / steps)


def _counted(X: Any, epochs: int, options: dict[str, Any]) -> tuple[int, int, int]:
    usual = {
        "validation_fraction": 0.0,
        "random_state": 0,
        "ignore_regions": (),
        "precision": "fp32",
    }
    with profile(activities=[ProfilerActivity.CPU]) as found:
        pre = nm.MtMPretrainer(**usual | options, max_epochs=epochs).fit(X)
    names = Counter(
        event.name
        for event in found.events()
        if event.name.startswith("aten::")
        and not any(child.name.startswith("aten::") for child in event.cpu_children)
    )
    work = sum(n for name, n in names.items() if name not in NO_WORK)
    return work, sum(names[name] for name in WAITS), int(pre.history_["step"].iloc[-1])
