"""Backbones by name, so that another is added in one place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from ..errors import InvalidInputError, public, suggest
from .ndt1 import NDT1, NDT1Config
from .ndt2 import NDT2, NDT2Config

__all__ = ["Backbone", "available_backbones", "find_backbone", "register_backbone"]


@dataclass(frozen=True)
class Backbone:
    """A network that turns groups of masked trials into log-rates.

    Attributes
    ----------
    name : str
        Name in ``backbone=``.
    config : type
        Dataclass of its sizes; its field names are checked against the estimator's parameters.
    build : callable
        ``build(config, sessions, n_schemes, generator) -> nn.Module`` whose ``forward(groups, *,
        generator)`` gives log-rates, whose ``states(groups, *, generator)`` gives those with the
        features that embeddings pool, whose ``stitch(session_id)`` holds what is one session's, and
        whose ``add_session(statistics, generator)`` makes room for another. With
        ``config.encode`` it also has ``calibrator(counts, regions)``, ``encoder``, and
        ``linear_dropout`` and ``trunk_dropout``, which fine-tuning lowers.
    description : str
        One line for documentation.
    """

    name: str
    config: type
    build: Callable[..., nn.Module]
    description: str = ""

    def configure(self, **sizes: Any) -> Any:
        """Make the config from those sizes that the backbone has."""
        known = self.config.__dataclass_fields__
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
    if name not in _REGISTRY:
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
