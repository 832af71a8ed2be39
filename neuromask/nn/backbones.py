"""Backbones by name, so that another is added in one place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from ..errors import InvalidInputError, public, suggest
from .ndt1 import NDT1, NDT1Config
from .ndt2 import NDT2, NDT2Config
from .session_network import SessionNetwork

__all__ = [
    "Backbone",
    "available_backbones",
    "find_backbone",
    "register_backbone",
]


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
        ``build(config, sessions, n_schemes, generator)`` makes a network that derives from
        :class:`neuromask.nn.SessionNetwork`, from a list of `SessionStatistics`. What such a network
        must define is said there: its layers, and one method, `states`.
    description : str
        One line for documentation.
    """

    name: str
    config: type
    build: Callable[..., SessionNetwork]
    description: str = ""

    def configure(self, **sizes: Any) -> Any:
        """Make the config from those sizes that the backbone has."""
        known = self._sizes()
        return self.config(**{name: value for name, value in sizes.items() if name in known})

    @property
    def encodes_neurons(self) -> bool:
        """Whether its networks can have an encoder of neurons, which their config is then asked for."""
        return "encode" in self._sizes()

    def _sizes(self) -> set[str]:
        return {field.name for field in fields(self.config)}


_REGISTRY: dict[str, Backbone] = {}


@public
def register_backbone(backbone: Backbone, *, overwrite: bool = False) -> Backbone:
    """Add a backbone to the registry, so that ``backbone=`` knows it by name.

    Raises
    ------
    InvalidInputError
        If it is no backbone, or the name is taken and `overwrite` is False.
    """
    if not isinstance(backbone, Backbone):
        raise InvalidInputError(
            f"backbone is {backbone!r}; expected a neuromask.Backbone(name, config, build)."
        )
    if not (isinstance(backbone.name, str) and backbone.name):
        raise InvalidInputError(f"the backbone's name is {backbone.name!r}; expected text.")
    if not (isinstance(backbone.config, type) and is_dataclass(backbone.config)):
        raise InvalidInputError(
            f"the config of backbone {backbone.name!r} is {backbone.config!r}; expected a dataclass."
        )
    if not callable(backbone.build):
        raise InvalidInputError(
            f"build of backbone {backbone.name!r} is {backbone.build!r}; expected a function or "
            "class, called as build(config, sessions, n_schemes, generator)."
        )
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
