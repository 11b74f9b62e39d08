"""Columns as arrays: their values as Python's own, their nulls, and what a preprocessing gets of them."""

import datetime
import math
from typing import Any

import numpy as np

from jupyter_mlprod.core.raw import Array
from jupyter_mlprod.core.values import is_null, moment, since_epoch


def plain_values(array: Array) -> list[Any]:
    """(n,) array as a list of Python's own objects; times as datetimes, NaT as None; an array of more axes as rows of whatever they are."""
    if array.dtype.kind in "Mm" and array.ndim == 1:
        held = array.astype(f"{array.dtype.kind}8[us]").tolist()  # nanoseconds would become integers
        return [array[row] if isinstance(value, int) else value for row, value in enumerate(held)]
    return list(map(plain, array)) if array.dtype.kind == "O" or array.ndim != 1 else list(array.tolist())


def plain(value: Any) -> Any:
    """A value as Python's own object; what is none, such as a time beyond the year 9999, stays what it is."""
    if isinstance(value, np.datetime64 | np.timedelta64):
        held = value.astype(f"{value.dtype.kind}8[us]").item()
        return value if isinstance(held, int) else held
    return value.item() if isinstance(value, np.generic) else value


def nulls(array: Array) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """(n,) bool: NaN in floats, NaT in times; None, NaN, NaT or pandas.NA in object arrays."""
    if array.dtype.kind == "f":
        return np.isnan(array)
    if array.dtype.kind in "mM":
        return np.isnat(array)
    if array.dtype.kind == "O":
        return np.array([is_null(value) for value in array], dtype=bool)
    return np.zeros(len(array), dtype=bool)


def timed(array: Array) -> Array:
    """(n,) datetime64[us] of an array of times, those with a zone in UTC, nulls as NaT; any other array as it is.

    Examples
    --------
    >>> timed(np.array([datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC), None])).tolist()
    [datetime.datetime(2026, 1, 1, 0, 0), None]
    """
    if array.dtype.kind == "M":
        return array.astype("M8[us]", copy=False)
    if array.dtype.kind != "O" or array.ndim != 1:
        return array
    if not isinstance(next((value for value in array if not is_null(value)), None), datetime.date):
        return array
    values = plain_values(array)
    if not all(isinstance(value, datetime.date) or is_null(value) for value in values):
        return array
    return np.array([np.datetime64("NaT", "us") if is_null(value) else np.datetime64(since_epoch(moment(value)), "us") for value in values])


def served(array: Array) -> Array:
    """A column as a preprocessing gets it: times as `timed` has them, and object arrays of numbers as numbers, NaN where one is null."""
    if array.dtype.kind != "O" or array.ndim != 1:
        return timed(array)
    if not isinstance(next((value for value in array if not is_null(value)), None), int | float | np.number | np.bool_):
        return timed(array)
    gone, values = nulls(array), plain_values(array)
    if not all(null or isinstance(value, int | float) for null, value in zip(gone, values, strict=True)):
        return array
    if not gone.any():
        return np.array(values)
    return np.array([math.nan if null else float(value) for null, value in zip(gone, values, strict=True)])
