"""Listing: rows to be read. What list, history, compare, predict and gc answer; it measures nothing and decides nothing."""

from jupyter_mlprod.core.record import Record

Cell = str | int | float | bool | None


class Listing(Record, frozen=True, kw_only=True, tag="listing/1"):
    """A titled table.

    Attributes
    ----------
    rows : each as long as ``columns``
    total : how many rows there are in all; more than ``len(rows)`` when only the first are shown
    note : one line under the table
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    total: int
    note: str = ""
