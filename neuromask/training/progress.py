"""Progress of long work, shown on stderr only when asked for.

On a terminal it is a bar that fits into 80 columns. Elsewhere, in a log file or a notebook, it is a
plain line now and then, which needs no widgets and leaves nothing to clean up.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress

__all__ = ["fit_progress", "steps"]

# Steps done, steps in all, and a few words.
Show = Callable[..., None]
# Plain lines of one work, but for those after silence of so many seconds.
N_LINES = 10
LONGEST_SILENCE = 300.0
# The bar that is on the terminal, which work inside other work adds a row to.
_BAR: ContextVar[Progress | None] = ContextVar("neuromask_bar", default=None)


@contextmanager
def steps(verbose: int, unit: str, *, every_step: bool = False) -> Iterator[Show]:
    """Give a function ``show(done, total, note="")`` that shows how far some work is.

    Parameters
    ----------
    verbose : int
        0 shows nothing.
    unit : str
        What a step is called.
    every_step : bool, default=False
        Whether each step has a plain line, where there is no terminal, or every tenth of them all.
    """
    if not verbose:
        yield lambda done, total, note="": None
    elif _is_terminal():
        with _bar(unit) as show:
            yield show
    else:
        lines = _Lines(unit, every_step)
        yield lines.show
        lines.close()


@contextmanager
def fit_progress(verbose: int, max_epochs: int) -> Iterator[Callable[[dict[str, float]], None]]:
    """Give a function that shows a row of the history: its loss and mean bits per spike.

    Parameters
    ----------
    verbose : int
        0 shows nothing.
    max_epochs : int
        Epochs in all.
    """
    score = ""
    with steps(verbose, "epoch") as show:

        def on_epoch(row: dict[str, float]) -> None:
            nonlocal score
            if not math.isnan(bits := row.get("val_bps", math.nan)):
                score = f", {bits:.3f} bits/spike"
            show(row["epoch"], max_epochs, f"loss {row['train_loss']:.4f}{score}")

        yield on_epoch


def _is_terminal() -> bool:
    """Whether stderr is a terminal on which a line can be drawn again; a notebook is none."""
    if not getattr(sys.stderr, "isatty", bool)():
        return False
    from rich.console import Console

    return not Console(stderr=True).is_dumb_terminal


@contextmanager
def _bar(unit: str) -> Iterator[Show]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    outer = _BAR.get()
    if outer is not None:
        bar = outer
    else:
        columns = (
            TextColumn("{task.fields[unit]} {task.completed}/{task.total}", markup=False),
            BarColumn(bar_width=12),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.description}", markup=False),
        )
        bar = Progress(*columns, console=Console(stderr=True, force_jupyter=False))
        bar.start()
    token = _BAR.set(bar)
    task = bar.add_task("", total=None, unit=unit, visible=False)

    def show(done: int, total: int, note: str = "") -> None:
        bar.update(task, completed=done, total=total, description=note, visible=True)

    try:
        yield show
    finally:
        _BAR.reset(token)
        if outer is None:
            bar.stop()
        else:
            bar.remove_task(task)


class _Lines:
    """Plain lines: the first step, each tenth of all, the last, and none of the others."""

    def __init__(self, unit: str, every_step: bool) -> None:
        self.unit = unit
        self.every_step = every_step
        self.start = self.told = time.monotonic()
        self.tenth = -1
        self.waiting = ""

    def show(self, done: int, total: int, note: str = "") -> None:
        now = time.monotonic()
        spent = now - self.start
        parts = [f"{self.unit} {done}/{total}", note, _clock(spent)]
        if 0 < done < total:
            parts.append(f"{_clock(spent * (total - done) / done)} left")
        self.waiting = ", ".join(part for part in parts if part)
        tenth = done * N_LINES // max(1, total)
        if self.every_step or tenth > self.tenth or now - self.told > LONGEST_SILENCE:
            self.tenth, self.told = tenth, now
            self.close()

    def close(self) -> None:
        """Print the line that waits, where there is one: work may end before its last step."""
        if self.waiting:
            print(self.waiting, file=sys.stderr, flush=True)
        self.waiting = ""


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
