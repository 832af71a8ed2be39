"""Backbones by name, so that another is added in one place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Protocol, runtime_checkable

import torch

from ..errors import InvalidInputError, public, suggest
from .ndt1 import NDT1, NDT1Config
from .ndt2 import NDT2, NDT2Config
from .neuron_encoder import NeuronEncoder
from .session_network import SessionNetwork
from .session_weights import SessionStatistics, State, Stitch, TrialGroup

__all__ = [
    "Backbone",
    "BackboneNetwork",
    "available_backbones",
    "find_backbone",
    "register_backbone",
]


@runtime_checkable
class BackboneNetwork(Protocol):
    """What the library asks of a backbone's network.

    :class:`neuromask.nn.SessionNetwork` offers all of it but `states`, so that a network which
    derives from it defines that method alone.

    Attributes
    ----------
    n_time : int
        Bins of the longest trial that it can read.
    n_features : int
        Features of a bin, of which embeddings are made.
    encoder : NeuronEncoder or None
        Infers the weights of new sessions; None where these start from chance.
    """

    n_time: int
    n_features: int
    encoder: NeuronEncoder | None

    def states(
        self, groups: Sequence[TrialGroup], *, generator: torch.Generator | None = None
    ) -> list[State]:
        """Give the features and log-rates of masked trials; `generator` is the source of dropout."""

    def stitch(self, session_id: str) -> Stitch:
        """Return what belongs to one session: its weights and its base rates."""

    def bytes_a_trial(self, session_id: str, n_time: int) -> int:
        """Say about how much memory a trial of prediction takes."""

    def add_session(self, statistics: SessionStatistics, generator: torch.Generator) -> Stitch:
        """Make room for one more session."""


@dataclass(frozen=True)
class Backbone:
    """A network that turns groups of masked trials into log-rates, by name.

    Attributes
    ----------
    name : str
        Name in ``backbone=``.
    config : type
        Dataclass of its sizes. Those of its fields that the estimator has parameters for (`dim`,
        `n_layers`, `n_heads`, `dropout`, `positions`, `prompted`) are set from these; `encode` and
        `region_names` say whether to add an encoder of neurons, and for which regions.
    build : callable
        ``build(config, sessions, n_schemes, generator)`` makes a torch module that is a
        :class:`BackboneNetwork`, from a list of `SessionStatistics`.
    description : str
        One line for documentation.
    """

    name: str
    config: type
    build: Callable[..., SessionNetwork]
    description: str = ""

    def configure(self, **sizes: Any) -> Any:
        """Make the config from those sizes that the backbone has."""
        known = {field.name for field in fields(self.config)}
        return self.config(**{name: value for name, value in sizes.items() if name in known})


_REGISTRY: dict[str, Backbone] = {}


@public
def register_backbone(backbone: Backbone, *, overwrite: bool = False) -> Backbone:
    """Add a backbone to the registry, so that ``backbone=`` knows it by name.

    Raises
    ------
    InvalidInputError
        If the name is taken and `overwrite` is False.
    """
    if backbone.name in _REGISTRY and not overwrite:
        raise InvalidInputError(
            f"a backbone named {backbone.name!r} exists; choose another name or "
            "pass overwrite=True."
        )
    _REGISTRY[backbone.name] = backbone
    return backbone


def available_backbones() -> dict[str, Backbone]:
    """Return the registered backbones by name."""
    return dict(_REGISTRY)


def find_backbone(name: str) -> Backbone:
    """Return a backbone by name, or raise naming those that exist."""
    if not isinstance(name, str) or name not in _REGISTRY:
        raise InvalidInputError(
            f"unknown backbone {name!r}; expected one of {sorted(_REGISTRY)}."
            f"{suggest(str(name), _REGISTRY)}"
        )
    return _REGISTRY[name]


register_backbone(
    Backbone("ndt1", NDT1Config, NDT1, "transformer over time bins, stitched across sessions")
)
register_backbone(
    Backbone("ndt2", NDT2Config, NDT2, "transformer over patches of neurons and time bins")
)
