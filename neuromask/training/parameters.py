"""Which of a network's parameters learn, how fast they do, and which of them decay."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from ..nn.session_network import SessionNetwork

__all__ = ["ADAPTATION_STAGES", "parameter_groups", "stages_of"]

#: Parts of a network that adapt to new sessions, one stage after the other, by strategy.
ADAPTATION_STAGES = {"stitch": ("stitch",), "gradual": ("stitch", "all"), "full": ("all",)}


def parameter_groups(
    model: nn.Module, *, weight_decay: float, shared_rate: float
) -> list[dict[str, Any]]:
    """Group what learns for an optimiser, with each group's decay and share of the learning rate.

    The weights of linear layers decay, but for read-outs, which have a prior instead. What sessions
    share learns at `shared_rate` of the rate of what is one session's.
    """
    linear = {id(m.weight) for m in model.modules() if isinstance(m, nn.Linear)}
    trained = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    decayed = {id(p) for name, p in trained if not name.endswith("read_out.weight")} & linear
    groups = []
    for decays in (True, False):
        for is_own in (True, False):
            chosen = [
                p
                for name, p in trained
                if (id(p) in decayed) is decays and ("stitches." in name) is is_own
            ]
            groups.append(
                {
                    "params": chosen,
                    "weight_decay": weight_decay if decays else 0.0,
                    "scale": 1.0 if is_own else shared_rate,
                }
            )
    return [group for group in groups if group["params"]]


def stages_of(
    model: SessionNetwork, strategy: str, session_ids: Sequence[str]
) -> dict[str, list[nn.Parameter]]:
    """Give the parameters that each stage of adapting to new sessions trains.

    Parameters
    ----------
    model : SessionNetwork
        Backbone that has stitches for the sessions.
    strategy : {"stitch", "gradual", "full"}
        The new sessions' stitches, those and then everything, or everything at once. The encoder
        and the stitches of other sessions are left alone.
    session_ids : sequence of str
        The new sessions.
    """
    own = [p for name in session_ids for p in model.stitch(name).parameters()]
    shared = [
        p for name, p in model.named_parameters() if not name.startswith(("stitches.", "encoder."))
    ]
    parts = {"stitch": own, "all": [*own, *shared]}
    return {stage: parts[stage] for stage in ADAPTATION_STAGES[strategy]}
