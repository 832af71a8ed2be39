"""Files of a BrainWideBench submission: where they lie, whether they are whole, and whose they are.

The only module that imports ``ibl_bwb_eval``, the benchmark's own package of formats and scorers.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from .._files import whole_file
from ..errors import InvalidInputError, current_call
from .tasks import Task

__all__ = [
    "check_label",
    "check_written",
    "contract",
    "holds",
    "place",
    "read_metadata",
    "save_predictions",
    "save_tensors",
]


def contract(name: str) -> ModuleType:
    """Import a module of the benchmark's package."""
    try:
        return importlib.import_module(f"ibl_bwb_eval.{name}")
    except ImportError as error:
        raise ImportError(
            f"{current_call()} needs the benchmark's own package ({error}): run `pip install --no-deps "
            "ibl-bwb-eval torchmetrics lightning-utilities`. Without --no-deps it would replace "
            "your torch, numpy and scikit-learn by the versions it pins."
        ) from error


def check_label(out: Path, label: str) -> None:
    """Refuse a label that names no folder, and a folder that holds another submission."""
    if not isinstance(label, str) or label in ("", ".", "..") or Path(label).name != label:
        raise InvalidInputError(
            f"label={label!r}; expected a name without slashes, which a folder gets."
        )
    if out.exists() and not out.is_dir():
        raise InvalidInputError(f"{out} is a file; choose another folder.")
    others = out.iterdir() if out.exists() else []
    for other in others:
        if other.name != label and other.is_dir() and any(other.glob("ts[123]-*")):
            raise InvalidInputError(
                f"{out} holds the submission {other.name!r}, not {label!r}; choose "
                "another folder or the same label."
            )


def check_written(
    path: Path, task: Task, session_id: str, ids: np.ndarray, *, settings: str
) -> None:
    """Refuse to go on from a file of another model or of other trials."""
    if read_metadata(path).get("estimator") != settings:
        raise InvalidInputError(
            f"{path} was written with another estimator; choose another folder, or the "
            "same parameters to go on."
        )
    with safe_open(str(path), framework="np") as file:
        known = file.get_tensor("trial_id" if task.suite == "ts1" else "window_timestamps")
    if not np.array_equal(known, ids):
        raise InvalidInputError(
            f"{path} was written for other test trials of session {session_id!r}; choose "
            "another folder."
        )


def place(out: Path, label: str, task: Task, session_id: str, seed: int) -> Path:
    """Return a file's place in a submission."""
    return out / label / task.id / session_id / f"seed_{seed}.safetensors"


def read_metadata(path: Path) -> dict[str, str]:
    """Return what a file says of itself."""
    try:
        with safe_open(str(path), framework="np") as file:
            return file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise InvalidInputError(
            f"{path} is not a file of predictions ({error}); delete it and run again."
        ) from error


def save_predictions(
    out: Path,
    tensors: Mapping[str, torch.Tensor],
    *,
    label: str,
    task: Task,
    session_id: str,
    seed: int,
    metadata: Mapping[str, object],
) -> None:
    """Write one file with the benchmark's own writer; it is there whole or not at all."""
    path = place(out, label, task, session_id, seed)
    # Beside `out`: inside it, a scorer would find files half written.
    with whole_file(path, beside=out) as partial:
        writer = contract("predictions").PredictionsWriter(
            enable=True,
            base_path=partial.parent,
            task=task.id,
            seed=seed,
            label=label,
            metadata={"recording_id": session_id, **metadata},
            path_fn=lambda base, found: base / found["recording_id"],
        )
        for name, values in tensors.items():
            # Times in single precision could collapse, and then match nothing.
            writer.set(dtype=torch.float64 if "time" in name else None, **{name: values})
        writer.save()
        os.replace(place(partial.parent, label, task, session_id, seed), partial)


def save_tensors(tensors: Mapping[str, torch.Tensor], path: Path, *, out: Path) -> None:
    """Write a file somewhere below `out`, whole or not at all."""
    with whole_file(path, beside=out) as partial:
        save_file(dict(tensors), partial)


def holds(path: Path, tensors: Mapping[str, torch.Tensor]) -> bool:
    """Whether a file holds just these tensors."""
    known = load_file(str(path))
    return known.keys() == tensors.keys() and all(torch.equal(known[n], tensors[n]) for n in known)
