"""Windows of a recording that share bins, which must not be parted where some are left out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.model_selection import BaseCrossValidator, StratifiedKFold

from .._splits import Folds, consecutive_folds
from ..errors import warn

__all__ = [
    "BlockFolds",
    "blocks_of_overlapping",
    "warn_of_parted_windows",
    "warn_of_shared_bins",
]


def _starts(X: Any) -> tuple[np.ndarray, float] | None:
    """Return when windows start, and within how many seconds two share a bin, if some of X do."""
    width, trials = getattr(X, "bin_width", None), getattr(X, "trials", None)
    if width is None or trials is None or "start" not in trials:
        return None
    starts = np.asarray(trials["start"])
    if starts.dtype.kind not in "iuf":
        return None
    within = (X.shape[1] - 0.5) * width
    return (starts, within) if (np.diff(np.sort(starts)) < within).any() else None


def blocks_of_overlapping(X: Any, *, fewest: int) -> np.ndarray | None:
    """Return the block of each window, where windows overlap and there are so many blocks."""
    if _starts(X) is None or "block" not in X.trials:
        return None
    blocks = np.unique(X.trials["block"].to_numpy(), return_inverse=True)[1]
    return blocks if blocks.max(initial=-1) + 1 >= fewest else None


def warn_of_parted_windows(X: Any, *, fewest: int) -> None:
    """Warn where windows overlap and a decoder that has no blocks to keep together must part them."""
    if _starts(X) is None:
        return
    n_blocks = X.trials["block"].nunique() if "block" in X.trials else 0
    warn(
        f"windows of X overlap and lie in {n_blocks or 'no'} {'block' if n_blocks == 1 else 'blocks'}, where "
        f"{fewest} are needed to leave whole ones out; windows that share bins are parted, and the strength and "
        "scheme that are chosen suit known bins too well. Pass windows of more blocks "
        "(neuromask.cut_windows(..., n_blocks=10)), or groups=."
    )


def warn_of_shared_bins(X: Any, folds: Folds) -> None:
    """Warn where windows that are left out share bins with windows that train."""
    found = _starts(X)
    if found is None:
        return
    starts, within = found
    n_shared = n_test = 0
    for training, test in folds:
        known = np.sort(starts[training])
        after = np.searchsorted(known, starts[test]).clip(1, len(known) - 1)
        nearest = np.minimum(abs(known[after] - starts[test]), abs(known[after - 1] - starts[test]))
        n_shared += int((nearest < within).sum())
        n_test += len(test)
    if n_shared:
        warn(
            f"{n_shared} of {n_test} test windows share bins with training windows, so that scores are too "
            "high. Keep blocks together: cv=GroupKFold(5), groups=session.trials['block']."
        )


class BlockFolds(BaseCrossValidator):
    """Cut trials as another splitter does or, where they are of groups, into folds of whole groups.

    Parameters
    ----------
    usual : splitter
        What cuts trials without groups. One that stratifies also cuts classes of which one lies in a
        single group, as folds of whole groups would leave that without a trial to train on.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.model_selection import KFold
    >>> folds = BlockFolds(KFold(2))
    >>> [test.tolist() for _, test in folds.split(np.empty(5), groups=[0, 0, 0, 0, 1])]
    [[0, 1, 2, 3], [4]]
    """

    def __init__(self, usual: BaseCrossValidator) -> None:
        self.usual = usual

    def split(
        self, X: Any, y: Any = None, groups: Any = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield training and left-out trials."""
        classes = None
        if groups is not None:
            groups = np.asarray(groups)
            if isinstance(self.usual, StratifiedKFold):
                classes = np.unique(y, return_inverse=True)[1]
                if min(len(np.unique(groups[classes == c])) for c in np.unique(classes)) < 2:
                    groups = None
        if groups is None:
            yield from self.usual.split(X, y)
        else:
            n_folds = self.usual.get_n_splits(X, y)
            yield from consecutive_folds(len(groups), n_folds, classes=classes, groups=groups)

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return how many folds there are."""
        if groups is None:
            return self.usual.get_n_splits(X, y)
        return sum(1 for _ in self.split(X, y, groups))
