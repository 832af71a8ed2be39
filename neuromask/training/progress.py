"""Progress of long work, shown only when asked for."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["fit_progress"]


@contextmanager
def fit_progress(verbose: int, max_epochs: int) -> Iterator[Callable[[dict[str, float]], None]]:
    """Give a function that shows a row of the history: loss, bits per spike and time left.

    Parameters
    ----------
    verbose : int
        0 shows nothing, 1 a progress bar.
    max_epochs : int
        Epochs in all.
    """
    if not verbose:
        yield lambda row: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("epoch {task.completed}/{task.total}"),
        BarColumn(bar_width=20),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
    )
    scores: dict[str, float] = {}
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=max_epochs)

        def show(row: dict[str, float]) -> None:
            for name, value in row.items():
                if name.startswith("val_bps_") and not math.isnan(value):
                    scores[name.removeprefix("val_bps_")] = value
            bits = " ".join(f"{name} {value:.3f}" for name, value in scores.items())
            text = f"loss {row['train_loss']:.4f}" + (f" | bits/spike: {bits}" if bits else "")
            progress.update(task, completed=row["epoch"], description=text)

        yield show
