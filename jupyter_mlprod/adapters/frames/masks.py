"""A column's demands as expressions: one quick question whether all is well, and for each demand the rows that break it.

Quick is what a column costs that keeps its contract: one comparison with both limits. Of texts the distinct values are asked, which are few
where there are categories; patterns are Python's on both back ends.
"""

import functools
import itertools
import math
import operator
import re
import sys
from collections.abc import Sequence

import polars as pl
from msgspec import UNSET

from jupyter_mlprod.adapters.frames.ready import Ready
from jupyter_mlprod.core.contract import Column
from jupyter_mlprod.core.demands import INT_LEAST, INT_MOST, Check, ColumnPlan, whole_limits
from jupyter_mlprod.core.pattern import matches

FEW = 12
"""Up to so many texts, comparing with each is faster than looking values up."""
ON_TEXT: tuple[Check, ...] = ("category", "pattern", "shortest", "longest")


def is_suspect(plan: ColumnPlan, ready: Ready) -> bool:
    """Whether a quick question could not say that no value is null, of a wrong type or beyond a limit."""
    return ready.column is None or bool("null" in plan.demands and ready.nulls)


def quick(plan: ColumnPlan, ready: Ready) -> pl.Expr | None:
    """Whether no value is beyond a limit or NaN, for a column that is no suspect; None where that is known already."""
    column, col = plan.column, ready.column
    assert col is not None
    low, high = _limits(column)
    if column.type == "float":
        least = pl.lit(-sys.float_info.max if low is None else low, dtype=pl.Float64)
        most = pl.lit(sys.float_info.max if high is None else high, dtype=pl.Float64)
        return col.cast(pl.Float64).is_between(least, most).all()
    whole = ready.usable
    inside = [] if low is None else [whole >= pl.lit(low, dtype=pl.Int64)]
    inside += [] if high is None else [whole <= pl.lit(high, dtype=pl.Int64)]
    return functools.reduce(operator.and_, inside).all() if inside else None


def asks_texts(plan: ColumnPlan) -> bool:
    """Whether there are demands on texts, which their distinct values are asked."""
    return any(check in plan.demands for check in ON_TEXT)


def bad_texts(column: Column, distinct: pl.Series) -> dict[Check, pl.Series]:
    """The distinct values that break each demand on texts; only what is broken is there."""
    lengths = distinct.str.len_chars()
    found: dict[Check, pl.Series] = {}
    if column.categories:
        found["category"] = distinct.filter(~distinct.is_in(pl.Series(column.categories, dtype=pl.String).implode()))
    if column.pattern:
        pattern = re.compile(column.pattern)
        found["pattern"] = distinct.filter(pl.Series([not matches(pattern, value) for value in distinct], dtype=pl.Boolean))
    if column.shortest is not UNSET:
        found["shortest"] = distinct.filter(lengths < column.shortest)
    if column.longest is not UNSET:
        found["longest"] = distinct.filter(lengths > column.longest)
    return {check: values for check, values in found.items() if len(values)}


def is_one_of(usable: pl.Expr, values: pl.Series) -> pl.Expr:
    """(rows,) whether a text is one of some."""
    if len(values) <= FEW:
        return functools.reduce(operator.or_, (usable == pl.lit(value) for value in values))
    return usable.is_in(values.implode())


def counts_of(usable: pl.Expr, values: pl.Series) -> list[pl.Expr] | pl.Expr:
    """How many rows have each of a few texts; of many, one expression that counts them all."""
    if len(values) <= FEW:
        return [(usable == pl.lit(value)).sum() for value in values]
    return usable.filter(is_one_of(usable, values)).value_counts().implode()


def _limits(column: Column) -> tuple[int | float | None, int | float | None]:
    """Those that a value of 64 bits can break."""
    low, high = whole_limits(column)
    if column.type == "int":
        return None if low is None or low <= INT_LEAST else low, None if high is None or high >= INT_MOST else high
    return low, high


def masks(plan: ColumnPlan, ready: Ready) -> dict[Check, pl.Expr]:
    """(rows,) of each demand but those on texts, whether a value breaks it; null is no."""
    column, usable = plan.column, ready.usable
    found = {check: mask for check, mask in ready.states.items() if check in plan.demands}
    low, high = _limits(column)
    if column.type != "float":
        found.update({} if low is None else {"low": usable < pl.lit(low, dtype=pl.Int64)})
        found.update({} if high is None else {"high": usable > pl.lit(high, dtype=pl.Int64)})
        return found
    values = usable if ready.column is None else ready.column.cast(pl.Float64)
    found["finite"] = values.is_infinite()
    found.update({} if low is None else {"low": values < pl.lit(low, dtype=pl.Float64)})
    if high is not None:  # NaN lies above infinity for polars, and is null
        found["high"] = values.is_between(pl.lit(high, dtype=pl.Float64), math.inf, closed="right")
    return found


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
