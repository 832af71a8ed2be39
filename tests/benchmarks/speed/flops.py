"""Count what work asks of a machine, and how long it must at least take: the roofline.

An operation takes at least the time of its arithmetic at the machine's peak, and at least that of moving what it
reads and writes at the machine's bandwidth. The sum over operations is what the same operations could at best
take; what is measured beyond it is launching, waiting, and operations slower than both.

Williams, S., Waterman, A. & Patterson, D. (2009). Roofline: an insightful visual performance model.
Communications of the ACM.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

sys.path.append(str(Path(__file__).resolve().parents[2]))
from operations import NO_WORK

aten = torch.ops.aten
# Attention as torch runs it on a CPU, which FlopCounterMode of torch 2.13 does not know.
ATTENTION: dict[Any, Any] = {
    aten._scaled_dot_product_flash_attention_for_cpu: (
        lambda query, key, value, *a, out_shape=None, **k: sdpa_flop_count(query, key, value)
    ),
    aten._scaled_dot_product_flash_attention_for_cpu_backward: (
        lambda grad, query, key, value, *a, out_shape=None, **k: sdpa_backward_flop_count(
            grad, query, key, value
        )
    ),
}


@dataclass
class Costs:
    """Operations by name, each with its arithmetic in FLOP and what it moves in bytes."""

    rows: list[tuple[str, float, float]] = field(default_factory=list)

    @property
    def flops(self) -> float:
        """Floating-point operations of products of matrices and attention."""
        return sum(flops for _, flops, _ in self.rows)

    @property
    def bytes(self) -> float:
        """Bytes read and written, were nothing kept in caches from one operation to the next."""
        return sum(moved for _, _, moved in self.rows)

    def roofline(self, gflops: float, gbytes: float) -> dict[str, float]:
        """Return seconds that products, and all other operations, take at least.

        Parameters
        ----------
        gflops, gbytes : float
            Peak of arithmetic and of moving memory, in 1e9 a second.
        """
        found = {"products": 0.0, "others": 0.0}
        for _, flops, moved in self.rows:
            kind = "products" if flops else "others"
            found[kind] += max(flops / gflops, moved / gbytes) / 1e9
        return found


class _Recorder(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.costs = Costs()
        self.formulas = FlopCounterMode(display=False, custom_mapping=ATTENTION).flop_registry

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        formula = self.formulas.get(func.overloadpacket)
        if formula is None:  # what is made of simpler operations is counted as these
            with self:
                out = func.decompose(*args, **kwargs)
            if out is not NotImplemented:
                return out
        out = func(*args, **kwargs)
        if f"aten::{func.overloadpacket.__name__}" not in NO_WORK:
            moved = sum(map(_bytes, tree_leaves((args, kwargs, out))))
            flops = formula(*args, **kwargs, out_val=out) if formula else 0
            self.costs.rows.append((func.overloadpacket.__name__, flops, moved))
        return out


def _bytes(x: Any) -> int:
    """Count the bytes of a tensor; what is repeated by a view is there once."""
    if not isinstance(x, torch.Tensor):
        return 0
    return min(x.numel() * x.element_size(), x.untyped_storage().nbytes())


def costs_of(work: Callable[[], object]) -> Costs:
    """Run some work and list its operations."""
    recorder = _Recorder()
    with recorder:
        work()
    return recorder.costs
