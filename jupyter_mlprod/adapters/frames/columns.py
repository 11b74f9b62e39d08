"""One column, of whatever library, as a polars Series where polars can hold its values as they are, else as a list of Python's objects.

Nothing is converted that a check should see: numbers do not become text, and a list of mixed types stays one. Numbers of numpy, Arrow and
pandas are not copied; pyarrow, which takes as long to import as polars, is imported where they come.
"""

import datetime
import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from jupyter_mlprod.core.arrays import plain, plain_values
from jupyter_mlprod.core.expression import EPOCH, EPOCH_UTC, MICROSECOND
from jupyter_mlprod.core.raw import Array, object_array

Column = pl.Series | list[Any]

NATIVE: dict[type, Any] = {float: pl.Float64, bool: pl.Boolean, str: pl.String, int: pl.Int64}
LEAST_US, MOST_US = (datetime.datetime.min - EPOCH) // MICROSECOND, (datetime.datetime.max - EPOCH) // MICROSECOND
DAY_US = 86_400_000_000
PER_SECOND = {"ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
NOT_PYTHON = (OverflowError, ValueError, pl.exceptions.PolarsError, pl.exceptions.PanicException)
"""What polars raises for values that Python has no object for."""


def column_of(value: Any) -> Column:
    """A column of a frame, an array, a tensor or a list."""
    if isinstance(value, pl.Series):
        return value.to_list() if value.dtype == pl.Object else value
    if hasattr(value, "iloc"):
        return _of_pandas(value)
    if type(value).__module__.partition(".")[0] == "pyarrow":
        return _by_arrow("of_arrow", value)
    if hasattr(value, "__arrow_array__"):
        return _by_arrow("of_pandas", value)
    array = array_of(value)
    return of_objects([value] if isinstance(value, str) or not hasattr(value, "__iter__") else value) if array is None else _of_numpy(array)


def array_of(value: Any) -> Array | None:
    """A numpy array, or a tensor of any device and layout as one; None for a list, whose values are looked at first."""
    if hasattr(value, "detach") and hasattr(value, "cpu"):
        array = _of_torch(value)
    elif isinstance(value, np.ma.MaskedArray):
        array = object_array([None if gone else one for gone, one in zip(np.ma.getmaskarray(value), value.data, strict=True)])
    elif isinstance(value, np.ndarray | np.generic) or hasattr(value, "__array_interface__"):
        array = np.asarray(value)
    elif hasattr(value, "to_numpy"):
        array = np.asarray(value.to_numpy(), dtype=object)
    else:
        return None
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _of_torch(tensor: Any) -> Array:
    tensor = tensor.detach().cpu().resolve_conj().resolve_neg()
    tensor = tensor if str(tensor.layout) == "torch.strided" else tensor.to_dense()
    return np.asarray((tensor.float() if str(tensor.dtype).startswith(("torch.bfloat", "torch.float8")) else tensor).numpy())


def _by_arrow(function: str, value: Any) -> Column:
    """A function of `arrow.py`, which imports pyarrow."""
    column: Column = getattr(importlib.import_module("jupyter_mlprod.adapters.frames.arrow"), function)(value)
    return column


def _of_pandas(value: Any) -> Column:
    """A Series: through numpy where that is what holds it, through Arrow where that says the same, else as objects."""
    if isinstance(value.dtype, np.dtype):
        return _of_numpy(value.to_numpy())
    return _by_arrow("of_pandas", value)


def _of_numpy(array: Array) -> Column:
    if array.ndim != 1:
        return [array.item()] if array.ndim == 0 else plain_values(array)
    kind, size = array.dtype.kind, array.dtype.itemsize
    if kind == "f" and size == 2:
        array, size = array.astype(np.float32), 4
    if kind in "iub" or (kind == "f" and size <= 8):
        return _held(np.ascontiguousarray(array))
    if kind in "Mm":
        return _held(array.astype(f"{kind}8[us]"))
    return of_objects(array.tolist() if kind == "O" else plain_values(array))


def _held(array: Array) -> pl.Series:
    """Without a copy, but for truth values, which polars keeps in bits."""
    series = _by_arrow("of_array", array)
    assert isinstance(series, pl.Series)
    return series


def of_objects(values: Any) -> Column:
    """Python's objects: as a Series where all are of one type, as they mostly are."""
    listed = values if isinstance(values, list) else list(values)
    kinds = set(map(type, listed)) - {type(None)}
    native = NATIVE.get(next(iter(kinds))) if len(kinds) == 1 else None
    if native is not None:
        try:
            return pl.Series(listed, dtype=native, strict=True)
        except (OverflowError, UnicodeEncodeError, TypeError):  # integers beyond 64 bits, half a surrogate pair
            pass
    return list(map(plain, listed)) if any(issubclass(kind, np.generic) for kind in kinds) else listed


def part_of(column: Column, start: int, stop: int) -> Column:
    """Rows ``start`` to ``stop``, without a copy of a Series."""
    return column[start:stop] if isinstance(column, list) else column.slice(start, stop - start)


def values_at(column: Column, rows: Sequence[int]) -> tuple[Any, ...]:
    """What stands in some rows, as Python's own objects."""
    return tuple(_value(column, row) for row in rows)


def _value(column: Column, row: int) -> Any:
    if isinstance(column, list):
        return plain(column[row])
    one = column.slice(row, 1)
    if isinstance(one.dtype, pl.Datetime | pl.Date) and one.null_count() == 0:
        return _moment(one)
    try:
        return one.to_list()[0]
    except NOT_PYTHON:
        return None


def _moment(one: pl.Series) -> Any:
    """A date or time; one that Python cannot hold is one of numpy."""
    physical = int(one.to_physical()[0])
    if isinstance(one.dtype, pl.Date):
        us = physical * DAY_US
    else:
        assert isinstance(one.dtype, pl.Datetime)
        us = physical * 1_000_000 // PER_SECOND[one.dtype.time_unit]
    zone = getattr(one.dtype, "time_zone", None)
    if zone and not LEAST_US + DAY_US <= us <= MOST_US - DAY_US:
        return EPOCH_UTC + us * MICROSECOND if LEAST_US <= us <= MOST_US else np.datetime64(us, "us")
    return one.to_list()[0] if LEAST_US <= us <= MOST_US else np.datetime64(us, "us")
