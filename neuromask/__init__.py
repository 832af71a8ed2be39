"""Multi-task-masking foundation models of neural spiking activity, for scikit-learn users."""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

# Where each public name lives. They are imported on first use, so that ``import neuromask`` is
# light: torch is loaded when a model is.
_PUBLIC = {
    "MtMPretrainer": "pretrainer",
    "PAPER_SIZES": "pretrainer",
    "MtMDecoder": "decoder",
    "compare": "comparison",
    "load": "pretrainer",
    "available_pretrained": "pretrained",
    "load_pretrained": "pretrained",
    "InvalidInputError": "errors",
    "UnknownSessionError": "errors",
    "CheckpointError": "errors",
    "DivergedError": "errors",
    "NeuromaskWarning": "errors",
    "Session": "session",
    "simulate": "datasets.simulate",
    "load_npz": "datasets.npz",
    "load_ibl": "datasets.ibl.loader",
    "ibl_sessions": "datasets.ibl.loader",
    "from_spike_times": "datasets.spike_times",
    "load_nwb": "datasets.nwb",
    "cut_windows": "datasets.continuous",
    "join_windows": "datasets.continuous",
    "load_brainset": "datasets.brainset",
    "evaluate": "evaluation",
    "predict_hidden": "evaluation",
    "summarise": "evaluation",
    "translation_matrix": "evaluation",
    "bits_per_spike": "metrics",
    "Scheme": "schemes",
    "available_schemes": "schemes",
    "register_scheme": "schemes",
    "Backbone": "nn.backbones",
    "available_backbones": "nn.backbones",
    "register_backbone": "nn.backbones",
}
_SUBMODULES = (
    "baselines",
    "benchmark",
    "comparison",
    "datasets",
    "decoding",
    "evaluation",
    "masks",
    "metrics",
    "nn",
    "pretrained",
    "plots",
    "streaming",
)

__all__ = [*_PUBLIC, *_SUBMODULES, "__version__"]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        value = getattr(importlib.import_module(f".{_PUBLIC[name]}", __name__), name)
    elif name in _SUBMODULES:
        value = importlib.import_module(f".{name}", __name__)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
