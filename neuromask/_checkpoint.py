"""Models on disk: tensors in safetensors, everything else in JSON; no pickle is read or written."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from ._checks import check_path
from ._files import whole_folder
from .errors import CheckpointError

__all__ = [
    "MODEL_FORMAT",
    "plain",
    "plain_table",
    "read_folder",
    "read_plain_table",
    "write_folder",
]

FORMAT = "neuromask.MtMPretrainer"
MODEL_FORMAT = 2
TENSORS, DESCRIPTION = "model.safetensors", "model.json"
# What a description must hold, and the type of each.
PARTS = {"parameters": dict, "schemes": list, "sessions": list, "history": dict, "excluded": dict}


def check_new_folder(folder: str | os.PathLike, *, overwrite: bool = False) -> Path:
    """Return the path of a folder that may be written, or raise."""
    folder = check_path("folder", folder)
    if folder.exists() and not overwrite:
        raise CheckpointError(f"{folder} exists; choose another folder or pass overwrite=True.")
    if overwrite and folder.exists() and not (folder / DESCRIPTION).is_file():
        raise CheckpointError(
            f"{folder} exists and is not a saved model; it is left alone. Choose another folder."
        )
    return folder


def write_folder(
    folder: str | os.PathLike,
    tensors: dict[str, Tensor],
    description: dict[str, Any],
    *,
    overwrite: bool = False,
) -> Path:
    """Write a model folder, which is there whole or not at all; `description` is plain already."""
    from safetensors.torch import save_file

    folder = check_new_folder(folder, overwrite=overwrite)
    header = {"format": FORMAT, "version": MODEL_FORMAT}
    text = json.dumps(header | description, indent=1, allow_nan=False)
    with whole_folder(folder) as new:
        save_file({k: v.contiguous().cpu() for k, v in tensors.items()}, new / TENSORS)
        (new / DESCRIPTION).write_text(text, encoding="utf-8")
    return folder


def read_folder(folder: str | os.PathLike) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a model folder, checking format and version first."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    folder = check_path("folder", folder)
    for name in (DESCRIPTION, TENSORS):
        if not (folder / name).is_file():
            raise CheckpointError(
                f"there is no {name} in {folder}; expected a folder of MtMPretrainer.save."
            )
    try:
        description = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise CheckpointError(
            f"{folder / DESCRIPTION} is damaged ({error}). Save or copy the model again."
        ) from error
    if not isinstance(description, dict) or description.get("format") != FORMAT:
        raise CheckpointError(f"{folder / DESCRIPTION} does not describe a {FORMAT}.")
    _check_description(description, folder)
    try:
        tensors = load_file(folder / TENSORS)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{folder / TENSORS} is damaged ({error}). Save or copy the model again."
        ) from error
    if description["version"] < 2:
        tensors = {_renamed(name): tensor for name, tensor in tensors.items()}
    return tensors, description


def _check_description(description: dict[str, Any], folder: Path) -> None:
    """Refuse a version that is none or a later one, and parts that are missing or of another type."""
    version = description.get("version")
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise CheckpointError(
            f"{folder / DESCRIPTION} has format version {version!r}; expected a whole number from 1 "
            f"to {MODEL_FORMAT}. Save or copy the model again."
        )
    if version > MODEL_FORMAT:
        raise CheckpointError(
            f"{folder} has format version {version}; this neuromask reads "
            f"up to {MODEL_FORMAT}. Upgrade neuromask."
        )
    for name, kind in PARTS.items():
        if not isinstance(description.get(name), kind):
            raise CheckpointError(
                f"{folder} does not hold a whole model ({name!r} in {DESCRIPTION} is "
                f"{'missing' if name not in description else f'no {kind.__name__}'}). "
                "Save or copy the model again."
            )


def _renamed(name: str) -> str:
    """Give a tensor of format 1 its name of today."""
    *parents, last = name.split(".")
    new = {"unseen": "hidden_token", "history": "spike_history"}
    new |= {"start_history": "start_spike_history"}
    return ".".join([*parents, new.get(last, last)])


def plain(value: Any, name: str) -> Any:
    """Make a value into what JSON holds: numbers, text, and lists and mappings of these.

    A generator of random numbers becomes None: it has moved on, and its model is what is kept.

    Raises
    ------
    CheckpointError
        If the value would not come back as it is, with `name` in the message.
    """
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return float(value)
    if isinstance(value, torch.device):
        return str(value)
    if isinstance(value, (np.random.RandomState, np.random.Generator)):
        return None
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: plain(entry, name) for key, entry in value.items()}
    if isinstance(value, (set, frozenset)):
        value = sorted(value, key=str)
    if isinstance(value, (list, tuple)):
        return [plain(entry, name) for entry in value]
    if hasattr(value, "tolist") and not isinstance(value, float):  # of numpy, pandas or torch
        return plain(value.tolist(), name)
    raise CheckpointError(
        f"{name} holds {value!r}, which a saved model cannot keep; expected finite numbers, text, "
        "or lists and mappings of these. Set it to such a value before saving."
    )


def plain_table(table: pd.DataFrame, name: str) -> dict[str, list]:
    """Make a table into lists by column, with None where it has no finite number."""
    return {
        str(column): [
            None if isinstance(v, float) and not math.isfinite(v) else plain(v, name)
            for v in table[column].tolist()
        ]
        for column in table
    }


def read_plain_table(columns: dict[str, list]) -> pd.DataFrame:
    """Make a table of lists by column, with NaN where there is None."""
    return pd.DataFrame(
        {name: [np.nan if v is None else v for v in values] for name, values in columns.items()}
    )
