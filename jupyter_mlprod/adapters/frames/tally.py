"""What has been found of a demand so far: how many rows break it, the first three and their values, and which values are no category."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import polars as pl

from jupyter_mlprod.adapters.frames.columns import Column, values_at
from jupyter_mlprod.core.conformance import MOST_EXAMPLES, Found
from jupyter_mlprod.core.demands import Demand
from jupyter_mlprod.core.lookalike import MOST_DISTINCT, Looks

FIRST_ROWS = 1 << 12
WIDER = 16
"""First places are looked for in so many rows, then in so many times as many."""


class Tally:
    """One demand; pieces are added in the order of their rows.

    Parameters
    ----------
    looks : of the categories, where it may be told which of them a value looks like
    tells : the field whose values are told; empty for that of the demand
    """

    def __init__(self, demand: Demand, *, looks: Looks | None = None, tells: str = "") -> None:
        self.demand = demand
        self.looks = looks
        self.tells = tells
        self.rows = 0
        self.first: list[int] = []
        self.values: list[Any] = []
        self.no_category: Counter[str] = Counter()

    def add(self, count: int, *, start: int, frame: pl.DataFrame, mask: pl.Expr, column: Column | None) -> None:
        """The rows of a piece that begins at row ``start`` of all; ``column`` is what stands there, where values are told."""
        missing = min(MOST_EXAMPLES - len(self.first), count)
        self.rows += count
        if missing > 0:
            rows = first_rows(frame, mask, missing)
            self.first += [start + row for row in rows]
            self.values += values_at(column, rows) if column is not None else ()

    def looks_at_values(self) -> bool:
        """Whether values that are no category are still to be counted."""
        return self.looks is not None and len(self.no_category) <= MOST_DISTINCT

    def add_values(self, counts: Mapping[str, int]) -> None:
        """Values that are no category, and the rows that have them."""
        self.no_category.update(counts)

    def found(self) -> Found | None:
        """The demand as it is told; nothing where no row breaks it."""
        if not self.rows:
            return None
        note = self.looks.alike(self.no_category) if self.looks else ""
        first, values = tuple(self.first), tuple(self.values)
        return Found(demand=self.demand, rows=self.rows, first=first, values=values, tells=self.tells, note=note)


def first_rows(frame: pl.DataFrame, mask: pl.Expr, wanted: int) -> list[int]:
    """The first rows of a frame in which a mask holds; it is known that there are as many."""
    found: list[int] = []
    start, rows = 0, FIRST_ROWS
    while len(found) < wanted and start < frame.height:
        part = frame.slice(start, rows).select(mask.arg_true()).to_series()
        found += [start + row for row in part.head(wanted - len(found)).to_list()]
        start, rows = start + rows, rows * WIDER
    return found
