"""Turn one ``random_state`` into independent generators for every use of chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .errors import InvalidInputError

__all__ = ["RandomStreams", "random_streams"]

_NAMES = ("split", "init", "masks", "batches", "dropout", "validation")


@dataclass(frozen=True)
class RandomStreams:
    """Seeds of independent streams, one per use of chance.

    Separate streams keep one choice from changing another: a new mask scheme does not alter the
    initial weights, and more layers do not alter the order of the batches.
    """

    split: int
    init: int
    masks: int
    batches: int
    dropout: int
    validation: int

    def numpy(self, name: str) -> np.random.Generator:
        """Return the numpy generator of one stream."""
        return np.random.default_rng(getattr(self, name))

    def torch(self, name: str, device: str = "cpu"):
        """Return the torch generator of one stream on a device."""
        import torch

        return torch.Generator(device=device).manual_seed(getattr(self, name))


def random_streams(random_state: int | np.random.RandomState | np.random.Generator | None):
    """Derive the streams from a scikit-learn style ``random_state``.

    Parameters
    ----------
    random_state : int, numpy.random.RandomState, numpy.random.Generator or None
        An int always gives the same streams; a generator is drawn from once; None takes fresh
        entropy from the operating system. The global numpy state is never read.

    Returns
    -------
    RandomStreams
    """
    if isinstance(random_state, np.random.RandomState):
        entropy = int(random_state.randint(2**31 - 1))
    elif isinstance(random_state, np.random.Generator):
        entropy = int(random_state.integers(2**63 - 1))
    elif random_state is None:
        entropy = None
    elif isinstance(random_state, (int, np.integer)) and random_state >= 0:
        entropy = int(random_state)
    else:
        raise InvalidInputError(
            f"random_state: given {random_state!r}; expected a non-negative int, a numpy generator "
            "or None."
        )
    children = np.random.SeedSequence(entropy).spawn(len(_NAMES))
    seeds = (int(child.generate_state(1, np.uint64)[0] >> np.uint64(1)) for child in children)
    return RandomStreams(*seeds)
