"""Rules and ages as expressions of polars that mean what `core/expression.py` and `core/demands.py` say."""

import datetime
import functools
import operator
from collections.abc import Callable, Mapping

import polars as pl

from jupyter_mlprod.core.demands import CLOCK_SKEW_S, AgePlan
from jupyter_mlprod.core.expression import Op, Term, microseconds

TYPES = {"number": pl.Float64, "bool": pl.Boolean, "string": pl.String, "time": pl.Float64, "time_utc": pl.Float64}
NUMBERS = (pl.Float64, pl.Int64)


def operand(usable: pl.Expr, kind: str) -> pl.Expr:
    """Usable values as a rule takes them: numbers and times as float64."""
    return usable.cast(pl.Float64) if kind not in ("bool", "string") else usable


def expression(term: Term, columns: Mapping[str, pl.Expr]) -> pl.Expr:
    """A term over operands by name of their column; a column that is not there is null."""
    if term.op == "value":
        return pl.lit(term.value, dtype=TYPES[term.kind])
    if term.op == "column":
        return columns.get(str(term.value), pl.lit(None, dtype=TYPES[term.kind]))
    args = [expression(arg, columns) for arg in term.args]
    if term.op == "and":
        return functools.reduce(operator.and_, args)
    if term.op == "or":
        return functools.reduce(operator.or_, args)
    result = POLARS[term.op](*args)
    return result.fill_nan(None) if term.kind == "number" else result


def broken_rule(term: Term, columns: Mapping[str, pl.Expr]) -> pl.Expr:
    """(rows,) whether the rule is false; a rule without columns is as long as the frame, too."""
    return pl.repeat(value=True, n=pl.len(), dtype=pl.Boolean) & ~expression(term, columns)


def broken_age(
    plan: AgePlan, *, value: pl.Expr | None, event: pl.Expr | None, use: pl.Expr | None, now: datetime.datetime | None
) -> pl.Expr:
    """(rows,) whether a value is too old, or an event time lies ahead; what is None is no column of the data."""
    nothing = pl.lit(None, dtype=pl.Float64)
    given = nothing if use is None else use.cast(pl.Float64)
    used = pl.coalesce(given, nothing if now is None else pl.lit(microseconds(now), dtype=pl.Float64))
    elapsed = (used - (nothing if event is None else event.cast(pl.Float64))) / 1e6
    if plan.max_age_s is None:
        broken = elapsed < pl.when(given.is_not_null()).then(0.0).otherwise(-float(CLOCK_SKEW_S))
    else:
        there = pl.lit(value=False) if value is None else value.is_not_null()
        broken = there & used.is_not_null() & (elapsed > plan.max_age_s).fill_null(value=True)
    return pl.repeat(value=True, n=pl.len(), dtype=pl.Boolean) & broken


def _least(*args: pl.Expr) -> pl.Expr:
    return pl.when(pl.all_horizontal(one.is_not_null() for one in args)).then(pl.min_horizontal(*args))


def _most(*args: pl.Expr) -> pl.Expr:
    return pl.when(pl.all_horizontal(one.is_not_null() for one in args)).then(pl.max_horizontal(*args))


POLARS: dict[Op, Callable[..., pl.Expr]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": lambda a, b: pl.when(b != 0).then(a / b),
    "neg": lambda a: -a,
    "abs": lambda a: a.abs(),
    "min": _least,
    "max": _most,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
    "eq": operator.eq,
    "ne": operator.ne,
    "in": lambda a, *members: pl.any_horizontal(a == member for member in members),
    "not": lambda a: ~a,
    "is_null": lambda a: a.is_null(),
    "length": lambda a: a.str.len_chars().cast(pl.Float64),
    "seconds": lambda a, b: (a - b) / 1e6,
}
