"""What was left out while a recording was read, and why."""

from __future__ import annotations

import pandas as pd

from ..session import REPORT_COLUMNS

__all__ = ["Report"]


class Report:
    """Rows of what was dropped, in the order of the steps that dropped it.

    Examples
    --------
    >>> report = Report()
    >>> report.dropped("trials", "no choice", 3, 97)
    >>> report.table()
         item     reason  dropped  kept
    0  trials  no choice        3    97
    """

    def __init__(self) -> None:
        self._rows: list[tuple[str, str, int, int]] = []

    def dropped(self, item: str, reason: str, dropped: int, kept: int) -> None:
        """Add a row, unless nothing was dropped."""
        if dropped:
            self._rows.append((item, reason, int(dropped), int(kept)))

    def noted(self, item: str, reason: str, kept: int) -> None:
        """Add a row of what was mended and kept, unless there is nothing."""
        if kept:
            self._rows.append((item, reason, 0, int(kept)))

    def add(self, other: Report) -> None:
        """Add the rows of another report."""
        self._rows += other._rows

    def add_table(self, rows: pd.DataFrame) -> None:
        """Add the rows of a table of :meth:`table`."""
        self._rows += list(rows.itertuples(index=False, name=None))

    def table(self) -> pd.DataFrame:
        """Give the rows: item, reason, dropped, kept."""
        return pd.DataFrame(self._rows, columns=REPORT_COLUMNS)

    def summary(self, item: str) -> str:
        """Say in one line what was dropped of an item."""
        rows = [f"{n} ({reason})" for name, reason, n, _ in self._rows if name == item]
        return ", ".join(rows) or "none"
