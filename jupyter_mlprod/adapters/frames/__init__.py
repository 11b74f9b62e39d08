"""Whole data sets against a contract: frames, Arrow, arrays and tensors where they are, and files of any size in pieces.

The demands are those that requests are held against (`core/demands.py`), evaluated by polars a column at a time. What polars cannot hold
as it is goes value by value through the same functions as a request, so there is no data whose check is left out.
"""

import datetime
from collections.abc import Iterator
from typing import Any

from jupyter_mlprod.adapters.frames.check import FrameChecker
from jupyter_mlprod.adapters.frames.source import BATCH_ROWS, HEAD_ROWS, Piece, Source, opened
from jupyter_mlprod.adapters.frames.tensors import check_tensors
from jupyter_mlprod.core.batch import odd_lengths, readied
from jupyter_mlprod.core.conformance import Conformance, conformance, row_faults
from jupyter_mlprod.core.contract import Contract, View, fields_of
from jupyter_mlprod.core.demands import Plan
from jupyter_mlprod.core.ports import Progress
from jupyter_mlprod.core.rows import RowChecker


class Frames:
    """Port `Frames`; ``head_rows`` and ``batch_rows`` are how many rows of what is in memory are looked at first, and of a file at once."""

    def __init__(self, progress: Progress, *, head_rows: int = HEAD_ROWS, batch_rows: int = BATCH_ROWS) -> None:
        self.progress = progress
        self.head_rows = head_rows
        self.batch_rows = batch_rows

    def check(self, contract: Contract, source: Any, *, view: View = "training", now: datetime.datetime | None = None) -> Conformance:
        """Hold a whole data set against a view.

        Parameters
        ----------
        source : path of a .parquet, .csv or .npy file; a frame of pandas or polars, a table of Arrow; an array or tensor, or a mapping of
            input name to (rows, ...) of anything
        now : aware; without it, age is demanded only where the rows say when they were used

        Raises
        ------
        MlprodError : ``bad-contract`` with all of its faults; ``bad-data`` where no rows can be read.
        """
        plan = readied(contract, view, clock=now is not None)
        if plan.tensors:
            return check_tensors(contract, source, view=view, now=now)
        types = {one.column.name: one.column.type for one in plan.columns}
        given = opened(source, types=types, head_rows=self.head_rows, batch_rows=self.batch_rows)
        checker = FrameChecker(plan, given, now=now)
        odd = list(odd_lengths(given.lengths, plan))
        if not odd:
            for rows, columns in self._shown(given, plan):
                checker.look(rows, columns)
        rows = checker.rows if given.rows is None else given.rows
        checks = 1 if odd else 1 + RowChecker(plan).checks(given.names) + _distributions(plan, given)
        checker.rows = rows
        found = [*row_faults(rows, plan.rows, request=False), *odd, *(() if odd else checker.found())]
        return conformance(checks=checks, rows=rows, found=found, fields=fields_of(contract, view))

    def _shown(self, source: Source, plan: Plan) -> Iterator[Piece]:
        """The pieces with a bar of about their number."""
        pieces = source.pieces([one.column.name for one in plan.columns if one.column.name in source.names])
        for piece in (next(pieces, None) for _ in self.progress("check", range(source.count))):
            if piece is not None:
                yield piece
        yield from pieces


def _distributions(plan: Plan, source: Source) -> int:
    return sum(bool(one.column.expected) and one.column.name in source.names for one in plan.columns)
