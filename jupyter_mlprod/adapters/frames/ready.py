"""A column made ready for demands: which of its values are of the contract's type, and what is wrong with the others, as `demands.py` says.

A column of one type of polars is asked by expressions, nothing is computed beforehand. A list of objects goes value by value through the
same `state_of` that requests go through, and becomes a column of values and one of states.
"""

from typing import Any

import msgspec
import numpy as np
import polars as pl

from jupyter_mlprod.adapters.frames.columns import DAY_US, LEAST_US, MOST_US, PER_SECOND, Column
from jupyter_mlprod.core.contract import ColumnType
from jupyter_mlprod.core.demands import FLOAT_EXACT, Check
from jupyter_mlprod.core.expression import EPOCH, EPOCH_UTC, MICROSECOND
from jupyter_mlprod.core.values import moment, state_of

KEPT: dict[ColumnType, Any] = {
    "float": pl.Float64, "int": pl.Int64, "bool": pl.Boolean, "string": pl.String, "time": pl.Int64, "time_utc": pl.Int64,
}  # fmt: skip
"""How usable values are kept; times as microseconds since 1970."""
CODES: dict[Check, int] = {"null": 1, "type": 2, "exact": 3, "unicode": 4}
STATES = {"": 0, "null": 1, "type": 2, "exact": 3, "unicode": 4}
SMALL = (pl.Int8, pl.Int16, pl.Int32, pl.UInt8, pl.UInt16, pl.UInt32)


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """Expressions over a frame that holds ``series``.

    Attributes
    ----------
    usable : the values of the contract's type, null for all others
    states : of what is not usable, where it can be: rows that are null, of a wrong type, not exact, no unicode
    column : the column as it is, where nothing but null can be wrong with it
    nulls : how many values of such a column are null, without NaN
    """

    series: tuple[pl.Series, ...]
    usable: pl.Expr
    states: dict[Check, pl.Expr]
    column: pl.Expr | None = None
    nulls: int = 0


def ready(name: str, column: Column, kind: ColumnType) -> Ready:
    """A column under a name of its own in the frame."""
    if isinstance(column, list):
        return _of_objects(name, column, kind)
    series, col = column.alias(name), pl.col(name)
    dtype = series.dtype
    null = col.is_null() if series.null_count() or not dtype.is_float() else col.is_nan()
    null = null | col.is_nan() if series.null_count() and dtype.is_float() else null
    states: dict[Check, pl.Expr] = {"null": null}
    if isinstance(dtype, pl.Null):
        return Ready(series=(series,), usable=col.cast(KEPT[kind]), states=states)
    found = _usable(col, dtype, kind)
    if found is None:
        nothing = pl.repeat(None, pl.len(), dtype=KEPT[kind])
        return Ready(series=(series,), usable=nothing, states={**states, "type": ~null})
    usable, wrong = found
    return Ready(series=(series,), usable=usable, states={**states, **wrong}, column=None if wrong else col, nulls=series.null_count())


def _usable(col: pl.Expr, dtype: pl.DataType, kind: ColumnType) -> tuple[pl.Expr, dict[Check, pl.Expr]] | None:
    """The usable values, and masks of values that are wrong in another way than by being null; None where no value is of the type."""
    if kind == "float" and dtype.is_float():
        return col.cast(pl.Float64).fill_nan(None), {}
    if kind == "float" and dtype.is_integer():
        return _floats(col, dtype)
    if kind == "int" and dtype.is_integer():
        kept = col.cast(pl.Int64, strict=False)
        return kept, {} if isinstance(dtype, (pl.Int64, *SMALL)) else {"exact": kept.is_null() & col.is_not_null()}
    if kind == "bool" and isinstance(dtype, pl.Boolean):
        return col, {}
    if kind == "string" and isinstance(dtype, pl.String | pl.Categorical | pl.Enum):
        return col if isinstance(dtype, pl.String) else col.cast(pl.String), {}
    if kind == "time" and isinstance(dtype, pl.Date):
        return _within(col.to_physical().cast(pl.Int64), us=DAY_US)
    if isinstance(dtype, pl.Datetime) and (kind == "time_utc") == bool(dtype.time_zone) and kind in ("time", "time_utc"):
        if dtype.time_unit == "ns":  # all of which Python can hold
            return col.to_physical().floordiv(1_000), {}
        return _within(col.to_physical(), us=1_000_000 // PER_SECOND[dtype.time_unit])
    return None


def _floats(col: pl.Expr, dtype: pl.DataType) -> tuple[pl.Expr, dict[Check, pl.Expr]]:
    if isinstance(dtype, SMALL):
        return col.cast(pl.Float64), {}
    whole = col.cast(pl.Int64, strict=False)
    exact = col.is_not_null() & ~whole.is_between(-FLOAT_EXACT, FLOAT_EXACT).fill_null(value=False)
    return pl.when(~exact).then(whole.cast(pl.Float64)), {"exact": exact}


def _within(physical: pl.Expr, *, us: int) -> tuple[pl.Expr, dict[Check, pl.Expr]]:
    """Times in units of some microseconds that Python can hold; the others are none that anything could be done with."""
    held = physical.is_between(-(-LEAST_US // us), MOST_US // us)
    return pl.when(held).then(physical * us), {"type": ~held}


def _of_objects(name: str, values: list[Any], kind: ColumnType) -> Ready:
    states = [state_of(kind, value) for value in values]
    usable = [None if state else _kept(kind, value) for state, value in zip(states, values, strict=True)]
    marks = pl.Series(f"{name} state", np.array([STATES[state] for state in states], np.uint8))
    held = pl.Series(name, usable, dtype=KEPT[kind])
    state = pl.col(marks.name)
    return Ready(series=(held, marks), usable=pl.col(name), states={check: state == code for check, code in CODES.items()})


def _kept(kind: ColumnType, value: Any) -> Any:
    match kind:
        case "float":
            return float(value)
        case "int":
            return int(value)
        case "string":
            return str(value)
        case "time" | "time_utc":
            at = moment(value)
            return (at - (EPOCH_UTC if at.tzinfo else EPOCH)) // MICROSECOND
    return value
