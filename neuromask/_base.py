"""What an estimator around a fitted network shares: checks, network, prompts and pickling."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from ._errors import InvalidInputError, suggest
from ._inference import Network
from ._recordings import Recording
from ._training import resolve_device, resolve_precision
from ._validation import check_choice, check_fraction, check_positive_int
from .evaluation import TASK_SCHEMES
from .nn.registry import find_backbone
from .nn.stitching import SessionStatistics
from .schemes import Scheme, resolve_schemes

__all__ = ["DOCUMENTATION", "POOLINGS", "ModelHolder", "SpikesEstimator"]

#: Where the documentation of a release is published.
DOCUMENTATION = "https://neuromask.readthedocs.io/en/stable"
POOLINGS = ("mean", "none")
POSITIONS = ("learned", "rope")
SAMPLINGS = ("proportional", "balanced")


class SpikesEstimator:
    """Mixin of estimators whose X is spike counts (trials, time, neurons)."""

    _doc_link_module = "neuromask"
    _doc_link_template = f"{DOCUMENTATION}/generated/neuromask.{{estimator_name}}.html"

    def _doc_link_url_param_generator(self) -> dict[str, str]:
        return {"estimator_name": type(self).__name__}

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.input_tags.positive_only = True
        return tags


class ModelHolder(SpikesEstimator):
    """Mixin of estimators that hold a backbone in ``model_``."""

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        if "model_" in state and next(self.model_.parameters()).device.type != "cpu":
            state = state | {"model_": copy.deepcopy(self.model_).cpu()}
        return state

    def _check_parameters(self, caller: str) -> tuple[Scheme, ...]:
        for name in ("dim", "n_layers", "n_heads", "batch_size", "max_epochs", "n_iter_no_change"):
            check_positive_int(name, getattr(self, name), caller=caller)
        if self.dim % self.n_heads:
            raise InvalidInputError(
                f"{caller}: dim={self.dim} is not a multiple of n_heads={self.n_heads}; choose "
                "sizes that divide."
            )
        check_fraction("dropout", self.dropout, caller=caller)
        check_fraction("validation_fraction", self.validation_fraction, caller=caller, or_auto=True)
        check_fraction("learning_rate", self.learning_rate, caller=caller, low=1e-12, high=10.0)
        check_fraction("weight_decay", self.weight_decay, caller=caller, high=1000.0)
        check_choice("pooling", self.pooling, POOLINGS, caller=caller)
        check_choice("positions", self.positions, POSITIONS, caller=caller)
        check_choice("session_sampling", self.session_sampling, SAMPLINGS, caller=caller)
        check_choice("encode_neurons", self.encode_neurons, ("auto", True, False), caller=caller)
        for name in ("neuron_dropout", "region_dropout"):
            check_fraction(name, getattr(self, name), caller=caller)
        if self.rebin is not None:
            check_fraction("rebin", self.rebin, caller=caller, low=1e-6, high=1000.0)
        if self.positions == "rope" and (self.dim // max(1, self.n_heads)) % 2:
            raise InvalidInputError(
                f"{caller}: positions='rope' turns pairs of features, and dim={self.dim} gives each "
                f"of n_heads={self.n_heads} an odd number; choose sizes that give an even one."
            )
        ratios = (
            self.mask_ratio if isinstance(self.mask_ratio, (tuple, list)) else [self.mask_ratio]
        )
        for ratio in ratios:
            check_fraction("mask_ratio", ratio, caller=caller, high=1.0)
        if len(ratios) > 2 or max(ratios) <= 0 or list(ratios) != sorted(ratios):
            raise InvalidInputError(
                f"{caller}: mask_ratio={self.mask_ratio!r}; expected a number between 0 and 1, or "
                "a pair (low, high)."
            )
        find_backbone(self.backbone, caller=caller)
        ratio = tuple(ratios) if len(ratios) == 2 else ratios[0]
        return resolve_schemes(self.schemes, mask_ratio=ratio, caller=caller)

    def _initial_model(
        self,
        recordings: Sequence[Recording],
        schemes: Sequence[Scheme],
        generator: torch.Generator,
    ) -> nn.Module:
        """Take up the last fit's weights if asked to and if they fit, or start anew."""
        if self.warm_start and hasattr(self, "model_"):
            fitted = {name: info.n_neurons for name, info in self.sessions_.items()}
            asked = {r.info.session_id: r.info.n_neurons for r in recordings}
            names = [[s.name for s in some] for some in (schemes, self.schemes_)]
            if fitted == asked and names[0] == names[1]:
                return copy.deepcopy(self.model_)
        statistics = [
            SessionStatistics.of(r.counts, r.info.session_id, r.info.regions) for r in recordings
        ]
        encode = len(recordings) > 1 if self.encode_neurons == "auto" else self.encode_neurons
        names = sorted({name for r in recordings for name in r.info.regions or ()})
        return self._build(statistics, schemes, generator, encode=encode, region_names=names)

    def _build(
        self,
        statistics: Sequence[SessionStatistics],
        schemes: Sequence[Scheme],
        generator: torch.Generator,
        *,
        encode: bool,
        region_names: Sequence[str],
    ) -> nn.Module:
        backbone = find_backbone(self.backbone, caller="MtMPretrainer")
        config = backbone.configure(
            dim=self.dim,
            n_layers=self.n_layers,
            n_heads=self.n_heads,
            dropout=self.dropout,
            positions=self.positions,
            prompted=self.prompted,
            encode=bool(encode),
            region_names=tuple(region_names),
        )
        return backbone.build(config, statistics, len(schemes), generator)

    def _scheme_index(self, scheme: str, caller: str) -> int:
        names = [s.name for s in self.schemes_]
        name = str(scheme).replace("_", "-")
        if name not in names:
            raise InvalidInputError(
                f"{caller}: scheme {scheme!r} was not fitted; fitted schemes are {names}."
                f"{suggest(name, names)}"
            )
        return names.index(name)

    def _task_scheme(self, task: str) -> int:
        names = [s.name for s in self.schemes_]
        return next((names.index(name) for name in TASK_SCHEMES[task] if name in names), 0)

    def _network(self) -> Network:
        device = resolve_device(self.device, caller="MtMPretrainer")
        precision = resolve_precision(self.precision, device, caller="MtMPretrainer")
        return Network(self.model_.to(device), self.schemes_, device, precision)
