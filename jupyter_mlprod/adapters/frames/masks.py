"""A column's demands as expressions: one quick question whether all is well, and for each demand the rows that break it.

Quick is what a column costs that keeps its contract: one comparison with both limits, or its distinct values where it holds text. Patterns
are Python's on both back ends, so they are asked of the distinct values, too.
"""

import functools
import itertools
import operator
import re
import sys
from collections.abc import Callable, Sequence

import polars as pl
from msgspec import UNSET

from jupyter_mlprod.adapters.frames.ready import Ready
from jupyter_mlprod.core.contract import Column
from jupyter_mlprod.core.demands import INT_LEAST, INT_MOST, Check, ColumnPlan, compiled, whole_limits
from jupyter_mlprod.core.pattern import matches
from jupyter_mlprod.core.rows import broken_by

FEW = 12
"""Up to so many categories, comparing with each is faster than looking values up."""
ON_TEXT: tuple[Check, ...] = ("category", "pattern", "shortest", "longest")


def is_suspect(plan: ColumnPlan, ready: Ready) -> bool:
    """Whether a quick question could not say that all is well."""
    return ready.column is None or bool("null" in plan.demands and ready.nulls)


def quick(plan: ColumnPlan, ready: Ready) -> tuple[pl.Expr, Callable[[object], bool]] | None:
    """An expression of one value, and what tells by it that no demand but *unique* is broken; None where that is known already."""
    column, col = plan.column, ready.column
    assert col is not None
    if column.type in ("float", "int"):
        low, high = _limits(column)
        if column.type == "float":
            least = pl.lit(-sys.float_info.max if low is None else low, dtype=pl.Float64)
            most = pl.lit(sys.float_info.max if high is None else high, dtype=pl.Float64)
            return col.cast(pl.Float64).is_between(least, most).all(), bool
        inside = [side for side in (_above(col, low), _below(col, high)) if side is not None]
        return (functools.reduce(operator.and_, inside).all(), bool) if inside else None
    if any(check in plan.demands for check in ON_TEXT):
        pattern = compiled(column)
        return ready.usable.unique().implode(), lambda values: _all_fine(column, pattern, values)
    return None


def _all_fine(column: Column, pattern: re.Pattern[str] | None, values: object) -> bool:
    assert isinstance(values, pl.Series)
    return not any(broken_by(column, value, pattern) for value in values.drop_nulls().to_list())


def _limits(column: Column) -> tuple[int | float | None, int | float | None]:
    """Those that a value of 64 bits can break."""
    low, high = whole_limits(column)
    if column.type == "int":
        return None if low is None or low <= INT_LEAST else low, None if high is None or high >= INT_MOST else high
    return low, high


def _literal(limit: float) -> pl.Expr:
    return pl.lit(limit, dtype=pl.Int64 if isinstance(limit, int) else pl.Float64)


def _above(col: pl.Expr, low: float | None) -> pl.Expr | None:
    return None if low is None else col.cast(pl.Int64) >= _literal(low)


def _below(col: pl.Expr, high: float | None) -> pl.Expr | None:
    return None if high is None else col.cast(pl.Int64) <= _literal(high)


def masks(plan: ColumnPlan, ready: Ready, *, unmatched: Sequence[str] = ()) -> dict[Check, pl.Expr]:
    """(rows,) of each demand that a value can break by itself, whether it does; null is no.

    Parameters
    ----------
    unmatched : the values in which the pattern is not found
    """
    column, usable = plan.column, ready.usable
    found = {check: mask for check, mask in ready.states.items() if check in plan.demands}
    low, high = _limits(column)
    kind = pl.Int64 if column.type == "int" else pl.Float64
    value_masks: dict[Check, pl.Expr] = {}
    if column.type == "float":
        value_masks["finite"] = usable.is_infinite()
    if low is not None:
        value_masks["low"] = usable < pl.lit(low, dtype=kind)
    if high is not None:
        value_masks["high"] = usable > pl.lit(high, dtype=kind)
    if column.categories:
        value_masks["category"] = ~_is_one_of(usable, column.categories)
    if column.pattern:
        value_masks["pattern"] = usable.is_in(pl.Series(unmatched, dtype=pl.String).implode())
    if column.shortest is not UNSET:
        value_masks["shortest"] = usable.str.len_chars() < column.shortest
    if column.longest is not UNSET:
        value_masks["longest"] = usable.str.len_chars() > column.longest
    return {**found, **value_masks}


def _is_one_of(usable: pl.Expr, categories: Sequence[str]) -> pl.Expr:
    if len(categories) <= FEW:
        return functools.reduce(operator.or_, (usable == pl.lit(category) for category in categories))
    return usable.is_in(pl.Series(categories, dtype=pl.String).implode())


def unmatched(plan: ColumnPlan, ready: Ready, frame: pl.DataFrame) -> list[str]:
    """The distinct values in which the pattern is not found."""
    pattern = compiled(plan.column)
    if pattern is None:
        return []
    distinct = frame.select(ready.usable.unique()).to_series().drop_nulls().to_list()
    return [value for value in distinct if not matches(pattern, value)]


def counted_classes(column: Column, usable: pl.Expr) -> list[pl.Expr]:
    """How many usable values there are, then how many lie below each edge or are each named value; none without an expectation."""
    if column.expected is UNSET:
        return []
    if column.expected.edges:
        below = [(usable.cast(pl.Float64) < edge).sum() for edge in column.expected.edges]
        return [usable.count(), *below]
    named = [usable == pl.lit(value) for value in column.expected.values]
    if column.type == "bool":
        named = [usable == pl.lit(value.lower() == "true") for value in column.expected.values]
    return [usable.count(), *(one.sum() for one in named)]


def classes_of(column: Column, counts: Sequence[int]) -> list[int]:
    """Rows in each class, out of what `counted_classes` counted."""
    n, *rest = counts
    if column.expected is not UNSET and column.expected.edges:
        stops = [0, *rest, n]
        return [stop - start for start, stop in itertools.pairwise(stops)]
    return [*rest, n - sum(rest)]
