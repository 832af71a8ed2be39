"""Read saved models."""

from __future__ import annotations

import inspect
import os
from typing import Any

import numpy as np
import pandas as pd
import torch

from ._checkpoint import read_folder
from ._errors import CheckpointError, InvalidInputError
from ._recordings import SessionInfo
from .nn.stitching import SessionStatistics
from .pretrainer import MtMPretrainer
from .schemes import resolve_schemes

__all__ = ["load"]


def load(folder: str | os.PathLike) -> MtMPretrainer:
    """Read a model written by :meth:`MtMPretrainer.save`.

    Parameters
    ----------
    folder : path-like
        The folder. No pickle is read and no code in it is run.

    Returns
    -------
    MtMPretrainer
        Fitted.

    Raises
    ------
    CheckpointError
        If the folder is not a model, is damaged, or was written by a later version.
    """
    tensors, description = read_folder(folder, caller="load")
    try:
        return _rebuild(tensors, description)
    except InvalidInputError:
        raise
    except (KeyError, TypeError, RuntimeError, ValueError) as error:
        raise CheckpointError(
            f"load: {folder} does not hold a whole model ({error}). Save or copy the model again."
        ) from error


def _rebuild(tensors: dict[str, torch.Tensor], description: dict[str, Any]) -> MtMPretrainer:
    known = set(inspect.signature(MtMPretrainer).parameters)
    parameters = {
        k: tuple(v) if isinstance(v, list) else v
        for k, v in description["parameters"].items()
        if k in known
    }
    pre = MtMPretrainer(**parameters)
    pre.schemes_ = resolve_schemes(description["schemes"], caller="load")
    infos = [
        SessionInfo(
            **{
                name: tuple(value) if isinstance(value, list) else value
                for name, value in entry.items()
            }
        )
        for entry in description["sessions"]
    ]
    blank = [
        SessionStatistics(
            i.session_id,
            np.ones(i.n_neurons, np.float32),
            np.ones(i.n_neurons, np.float32),
            i.n_time,
            i.regions,
        )
        for i in infos
    ]
    pre.model_ = pre._build(
        blank,
        pre.schemes_,
        torch.Generator().manual_seed(0),
        encode=description.get("encode", False),
        region_names=description.get("region_names", ()),
    )
    pre.model_.load_state_dict(tensors)
    pre.history_ = pd.DataFrame(description["history"])
    pre.excluded_ = pd.DataFrame(description["excluded"])
    return pre._know({i.session_id: i for i in infos})
