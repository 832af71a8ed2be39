"""Masking schemes: a mask, an attention pattern and a name that gets its own prompt.

A scheme is one entry of a registry. Register another and it trains, is validated, evaluates and
gets its own prompt with no further change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any, Literal

import torch
from torch import Tensor

from . import masks
from ._mask_rules import Draw, MaskTable, Rule
from .errors import InvalidInputError, public, suggest, warn

__all__ = [
    "MTM_SCHEMES",
    "Scheme",
    "SchemeSampler",
    "available_schemes",
    "check_mask",
    "describe_scheme",
    "described_scheme",
    "register_scheme",
    "resolve_schemes",
    "scheme_index",
]

# Called as mask(shape, regions, generator), and with ratio= where the scheme takes one.
MaskFunction = Callable[..., masks.Mask]
# What stands in a table of rules for a scheme with a function of its own, which is asked instead.
HIDES_NOTHING = (Rule(neurons=0.0),)


@dataclass(frozen=True)
class Scheme:
    """One way of hiding part of a recording and asking for it back.

    Parameters
    ----------
    name : str
        Name in ``schemes=``, in histories and in tables; the scheme's prompt belongs to it.
    mask : callable
        ``mask(shape, regions, generator) -> Mask``, with a keyword ``ratio`` if `takes_ratio`.
    attention : {"full", "causal"}, default="full"
        Whether a bin may attend to later bins.
    min_region_size : int, default=0
        Smallest region that can be a target; 0 for schemes that ignore regions.
    min_regions : int, default=1
        Regions a session needs, counting those that are never targets.
    takes_ratio : bool, default=False
        Whether ``mask_ratio`` applies to this scheme.
    description : str, default=""
        One line for tables and documentation.

    Examples
    --------
    >>> from neuromask.masks import temporal_mask
    >>> Scheme("every other idea", temporal_mask).attention
    'full'
    """

    name: str
    mask: MaskFunction = field(repr=False)
    attention: Literal["full", "causal"] = "full"
    min_region_size: int = 0
    min_regions: int = 1
    takes_ratio: bool = False
    description: str = ""

    @public
    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name or not callable(self.mask):
            raise InvalidInputError(
                f"name is {self.name!r} and mask {self.mask!r}; expected a name that is not empty, and a "
                "function mask(shape, regions, generator)."
            )
        if self.attention not in ("full", "causal"):
            raise InvalidInputError(
                f"attention is {self.attention!r}; expected 'full' or 'causal'."
            )

    def reason_against(self, regions: Tensor) -> str | None:
        """Say why a session with these region codes cannot use the scheme; None if it can."""
        if self.min_region_size == 0:
            return None
        if len(masks.eligible_regions(regions, min_neurons=self.min_region_size)) == 0:
            return f"no region that may be a target has {self.min_region_size} neuron(s)"
        if len(torch.unique(regions)) < self.min_regions:
            return f"fewer than {self.min_regions} regions"
        return None


_REGISTRY: dict[str, Scheme] = {}


@public
def register_scheme(scheme: Scheme, *, overwrite: bool = False) -> Scheme:
    """Add a scheme to the registry, so that ``schemes=`` knows it by name.

    Parameters
    ----------
    scheme : Scheme
        The scheme.
    overwrite : bool, default=False
        Replace a scheme of the same name instead of raising.

    Returns
    -------
    Scheme
        The scheme, unchanged.

    Raises
    ------
    InvalidInputError
        If the name is taken.
    """
    if not isinstance(scheme, Scheme):
        raise InvalidInputError(
            f"given a {type(scheme).__name__}; expected a neuromask.Scheme(name, mask)."
        )
    if scheme.name in _REGISTRY and not overwrite:
        raise InvalidInputError(
            f"a scheme named {scheme.name!r} exists; choose another name or pass overwrite=True."
        )
    _REGISTRY[scheme.name] = scheme
    return scheme


def available_schemes() -> dict[str, Scheme]:
    """Return the registered schemes by name."""
    return dict(_REGISTRY)


def resolve_schemes(
    schemes: Sequence[str | Scheme], *, mask_ratio: masks.Ratio | None = None
) -> tuple[Scheme, ...]:
    """Turn names and schemes into schemes, with `mask_ratio` put in where it applies."""
    if isinstance(schemes, (str, Scheme)):
        schemes = (schemes,)
    if isinstance(schemes, (set, frozenset)) or not isinstance(schemes, Iterable):
        # A set has no order, and the prompts of a model would change with it.
        raise InvalidInputError(
            f"schemes={schemes!r}; expected a name, a Scheme, or a list of them."
        )
    if iter(schemes) is schemes:
        raise InvalidInputError(
            f"schemes is a {type(schemes).__name__}, which is used up when it is read; expected a list or "
            "tuple. Write schemes=tuple(...)."
        )
    found = tuple(_lookup(scheme) for scheme in schemes)
    names = [scheme.name for scheme in found]
    if not names or len(set(names)) < len(names):
        raise InvalidInputError(f"schemes={names}; expected at least one scheme and none twice.")
    if mask_ratio is None:
        return found
    return tuple(
        replace(s, mask=partial(s.mask, ratio=mask_ratio)) if s.takes_ratio else s for s in found
    )


def _lookup(scheme: str | Scheme) -> Scheme:
    if isinstance(scheme, Scheme):
        return scheme
    name = str(scheme).replace("_", "-")
    if name not in _REGISTRY:
        raise InvalidInputError(
            f"unknown scheme {scheme!r}; expected one of {sorted(_REGISTRY)}."
            f"{suggest(name, _REGISTRY)} Register your own with neuromask.register_scheme."
        )
    return _REGISTRY[name]


def describe_scheme(scheme: Scheme) -> dict[str, Any]:
    """Say what a scheme is in words and numbers, so that a saved model can ask for it again."""
    mask: Any = scheme.mask
    settings: dict[str, Any] = {}
    while isinstance(mask, partial):
        settings = {str(i): value for i, value in enumerate(mask.args)} | mask.keywords | settings
        mask = mask.func
    ratio = settings.pop("ratio", None) if scheme.takes_ratio else None
    return {
        "name": scheme.name,
        "mask": _function_name(mask),
        "settings": {name: repr(value) for name, value in sorted(settings.items())},
        "ratio": list(ratio) if isinstance(ratio, tuple) else ratio,
        "attention": scheme.attention,
        "min_region_size": scheme.min_region_size,
        "min_regions": scheme.min_regions,
        "takes_ratio": scheme.takes_ratio,
    }


def described_scheme(description: dict[str, Any]) -> Scheme:
    """Find the registered scheme that `describe_scheme` described; never another of its name.

    Raises
    ------
    InvalidInputError
        If no scheme of that name is registered, or a different one.
    """
    name, ratio = description["name"], description["ratio"]
    if name not in _REGISTRY:
        raise InvalidInputError(
            f"the model was saved with a scheme {name!r}, which is not registered "
            f"({_in_words(description)}). Register it first: "
            f"neuromask.register_scheme(Scheme({name!r}, ...))."
        )
    scheme = _REGISTRY[name]
    if scheme.takes_ratio and ratio is not None:
        ratio = tuple(ratio) if isinstance(ratio, list) else ratio
        scheme = replace(scheme, mask=partial(scheme.mask, ratio=ratio))
    found = describe_scheme(scheme)
    if found != description:
        raise InvalidInputError(
            f"the model was saved with another scheme {name!r} ({_in_words(description)}) than the "
            f"registered one ({_in_words(found)}). Register that of the model first: "
            f"neuromask.register_scheme(Scheme({name!r}, ...), overwrite=True)."
        )
    return scheme


def _in_words(description: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in description.items() if key != "name")


def _function_name(function: Callable[..., Any]) -> str:
    """Name a function; one of a user's own without its module, which may be a script's."""
    if not hasattr(function, "__qualname__"):  # an object that can be called
        kind = type(function)
        return kind.__qualname__ if kind.__repr__ is object.__repr__ else repr(function)
    own = function.__module__.startswith(f"{__package__}.")
    return f"{function.__module__}.{function.__qualname__}" if own else function.__qualname__


def scheme_index(schemes: Sequence[Scheme], asked: str) -> int:
    """Return the number of a scheme by its name, among those that were fitted."""
    names = [s.name for s in schemes]
    name = str(asked).replace("_", "-")
    if name not in names:
        raise InvalidInputError(
            f"scheme {asked!r} was not fitted; fitted schemes are {names}.{suggest(name, names)}"
        )
    return names.index(name)


@dataclass(frozen=True)
class SchemeSampler:
    """Draws a scheme per trial (or per batch) and that scheme's mask.

    Parameters
    ----------
    schemes : tuple of Scheme
        Schemes to alternate, all equally likely.
    per_batch : bool, default=False
        Draw one scheme and one mask for the whole batch, as the published training does, instead of
        one for each trial. Per-trial draws give smoother gradients.
    """

    schemes: tuple[Scheme, ...]
    per_batch: bool = False

    def usable(self, regions: Tensor) -> list[int]:
        """Return the indices of the schemes that a session with these regions can use."""
        return [i for i, s in enumerate(self.schemes) if s.reason_against(regions) is None]

    def table(self, regions: Sequence[Tensor], n_time: Sequence[int]) -> MaskTable:
        """Lay down what the schemes hide in some sessions, for `sample` to draw from.

        Parameters
        ----------
        regions : sequence of Tensor of int, (neurons,)
            Region codes of each session.
        n_time : sequence of int
            Bins of each session's trials.
        """
        return MaskTable(
            [masks.rules_of(s.mask) or HIDES_NOTHING for s in self.schemes],
            [s.attention == "causal" for s in self.schemes],
            [self.usable(own) for own in regions],
            regions,
            n_time,
        )

    @cached_property
    def functions(self) -> dict[int, MaskFunction]:
        """Mask functions of the schemes that no rules describe, by the schemes' numbers."""
        return {i: s.mask for i, s in enumerate(self.schemes) if masks.rules_of(s.mask) is None}

    def sample(
        self,
        table: MaskTable,
        parts: Sequence[tuple[int, int]],
        regions: Sequence[Tensor],
        generator: torch.Generator,
    ) -> Draw:
        """Draw a scheme and a mask for each trial of a batch.

        Parameters
        ----------
        table : MaskTable
            A table of these schemes.
        parts : sequence of (int, int)
            Sessions in the batch, by their numbers in the table, and how many trials of each.
        regions : sequence of Tensor of int, (neurons,)
            Region codes of the sessions of the table.
        generator : torch.Generator
            Source of chance.

        Returns
        -------
        Draw
            As large as the largest of these sessions asks for.
        """
        shape = (max(table.n_time[i] for i, _ in parts), max(table.n_neurons[i] for i, _ in parts))
        if self.per_batch and len(parts) > 1:  # published training knows batches of one session
            drawn = [self._drawn(table, i, n, shape, generator) for i, n in parts]
            draw = _joined(drawn)
        elif len(parts) == 1:
            draw = self._drawn(table, *parts[0], shape, generator)
        else:
            session = table.sessions(parts)
            draw = table.draw(session, len(session), generator, shape=shape)
        return self._by_functions(draw, parts, regions, table, generator)

    def _drawn(
        self,
        table: MaskTable,
        session: int,
        n_trials: int,
        shape: tuple[int, int],
        generator: torch.Generator,
    ) -> Draw:
        return table.draw(session, n_trials, generator, shape=shape, per_batch=self.per_batch)

    def _by_functions(
        self,
        draw: Draw,
        parts: Sequence[tuple[int, int]],
        regions: Sequence[Tensor],
        table: MaskTable,
        generator: torch.Generator,
    ) -> Draw:
        """Put in the masks of schemes that no rules describe."""
        if not self.functions:
            return draw
        visible, target = draw.visible.clone(), draw.target.clone()
        start = 0
        for i, n in parts:
            rows, bins, neurons = slice(start, start + n), table.n_time[i], table.n_neurons[i]
            for scheme in self.functions.keys() & self.usable(regions[i]):
                n_drawn = 1 if self.per_batch else n
                mask = self.functions[scheme]((n_drawn, bins, neurons), regions[i], generator)
                chosen = (draw.scheme[rows] == scheme)[:, None, None]
                for whole, part in ((visible, ~mask.hidden), (target, mask.target)):
                    own = whole[rows, :bins, :neurons]
                    own.copy_(torch.where(chosen, part.to(own.dtype), own))
            start += n
        return draw._replace(visible=visible, target=target)


def _joined(drawn: Sequence[Draw]) -> Draw:
    """Put the draws of several sessions behind one another."""
    columns = [list(column) for column in zip(*drawn, strict=True)]
    if all(beside is None for beside in columns[-1]):
        columns.pop()
    return Draw(*(torch.cat(column) for column in columns))


def check_mask(scheme: Scheme, shape: tuple[int, int, int], regions: Tensor) -> None:
    """Draw a mask for a look at what a scheme makes of trials, before anything trains on it.

    Parameters
    ----------
    scheme : Scheme
        The scheme; a user's function may return anything.
    shape : tuple of int
        (trials, time, neurons) of the mask to draw.
    regions : Tensor of int, (neurons,)
        Region codes.

    Raises
    ------
    InvalidInputError
        If it is no pair of boolean tensors of that shape, or asks for entries that are not hidden.

    Warns
    -----
    NeuromaskWarning
        If it asks for nothing.
    """
    generator = torch.Generator(regions.device).manual_seed(0)
    expected = "expected neuromask.masks.Mask(hidden, target), two boolean tensors"
    try:
        mask = scheme.mask(shape, regions, generator)
    except InvalidInputError:
        raise
    except Exception as error:
        raise InvalidInputError(
            f"the mask of scheme {scheme.name!r} fails ({type(error).__name__}: {error}). It is called "
            "as mask(shape, regions, generator), with (trials, time, neurons), a tensor of whole "
            "numbers and a torch.Generator."
        ) from error
    for part in ("hidden", "target"):
        tensor = getattr(mask, part, None)
        if not isinstance(tensor, Tensor) or tensor.dtype != torch.bool or tensor.shape != shape:
            given = f"a {type(mask).__name__}" if tensor is None else f"{part} of another kind"
            if isinstance(tensor, Tensor):
                given = f"{part} of {tensor.dtype} and shape {tuple(tensor.shape)}"
            raise InvalidInputError(
                f"the mask of scheme {scheme.name!r} is {given}; {expected} of shape {shape}."
            )
    if bool((mask.target & ~mask.hidden).any()):
        raise InvalidInputError(
            f"the mask of scheme {scheme.name!r} asks for entries that the network sees; expected every "
            "target to be hidden, else the model learns to copy."
        )
    if not bool(mask.target.any()):
        warn(
            f"the mask of scheme {scheme.name!r} asks for no entry in {shape[0]} trials, so that nothing "
            "is learned of it. Hide more, or leave the scheme out."
        )


register_scheme(
    Scheme(
        "neuron",
        masks.neuron_mask,
        takes_ratio=True,
        description="whole neurons from the other neurons",
    )
)
register_scheme(
    Scheme(
        "causal",
        masks.causal_mask,
        attention="causal",
        description="bins from earlier bins",
    )
)
register_scheme(
    Scheme(
        "intra-region",
        masks.intra_region_mask,
        min_region_size=2,
        takes_ratio=True,
        description="neurons of a region from the rest of that region",
    )
)
register_scheme(
    Scheme(
        "inter-region",
        masks.inter_region_mask,
        min_region_size=1,
        min_regions=2,
        description="a whole region from all other regions",
    )
)
register_scheme(
    Scheme(
        "temporal",
        masks.temporal_mask,
        takes_ratio=True,
        description="bins from all other bins (the usual baseline)",
    )
)
register_scheme(
    Scheme(
        "random",
        masks.random_mask,
        takes_ratio=True,
        description="single entries from all others",
    )
)

MTM_SCHEMES = ("neuron", "causal", "intra-region", "inter-region")
