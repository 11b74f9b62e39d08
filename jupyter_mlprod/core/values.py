"""Values of a table's columns as Python's own: what is null, and what a value is to a column of some type.

`demands.py` says what the states mean; this is that list up to its fourth point, for one value.
"""

import datetime
import math
from typing import Any, Literal

import numpy as np

from jupyter_mlprod.core.contract import ColumnType
from jupyter_mlprod.core.demands import FLOAT_EXACT, INT_LEAST, INT_MOST
from jupyter_mlprod.core.raw import Array

EPOCH = datetime.datetime(1970, 1, 1)
EPOCH_UTC = EPOCH.replace(tzinfo=datetime.UTC)
MICROSECOND = datetime.timedelta(microseconds=1)

State = Literal["", "null", "type", "exact", "unicode"]
"""Empty for a value that is one of the column's type."""


def plain_values(array: Array) -> list[Any]:
    """(n,) array as a list of Python's own objects; times as datetimes, NaT as None; an array of more axes as rows of whatever they are."""
    if array.dtype.kind == "M":
        array = array.astype("M8[us]")
    return list(map(plain, array)) if array.dtype.kind == "O" or array.ndim != 1 else list(array.tolist())


def plain(value: Any) -> Any:
    """A value as Python's own object; what is none stays what it is."""
    if isinstance(value, np.datetime64):
        return value.astype("M8[us]").item()
    return value.item() if isinstance(value, np.generic) else value


def is_null(value: object) -> bool:
    """None, NaN, NaT and pandas.NA."""
    try:
        return value is None or bool(value != value)
    except TypeError:  # pandas.NA does not say whether it equals itself
        return True
    except ValueError:  # an array inside an object array
        return False


def state_of(kind: ColumnType, value: Any) -> State:
    """What a plain value is to a column of a type."""
    if is_null(value):
        return "null"
    match kind:
        case "float":
            if isinstance(value, int) and not isinstance(value, bool):
                return "" if -FLOAT_EXACT <= value <= FLOAT_EXACT else "exact"
            return "" if isinstance(value, float) else "type"
        case "int":
            if not isinstance(value, int) or isinstance(value, bool):
                return "type"
            return "" if INT_LEAST <= value <= INT_MOST else "exact"
        case "bool":
            return "" if isinstance(value, bool) else "type"
        case "string":
            if not isinstance(value, str):
                return "type"
            return "" if is_unicode(value) else "unicode"
        case "time":
            naive = value.tzinfo is None if isinstance(value, datetime.datetime) else isinstance(value, datetime.date)
            return "" if naive else "type"
        case "time_utc":
            return "" if isinstance(value, datetime.datetime) and value.tzinfo is not None else "type"


def is_unicode(text: str) -> bool:
    """Whether a text holds characters alone: half a surrogate pair is none."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def moment(value: datetime.date) -> datetime.datetime:
    """A date as its midnight; a datetime as it is."""
    return value if isinstance(value, datetime.datetime) else datetime.datetime(value.year, value.month, value.day)


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


def since_epoch(value: datetime.datetime) -> int:
    """Microseconds since 1970; of a moment with a zone in UTC, else as it is written."""
    return (value - (EPOCH_UTC if value.tzinfo else EPOCH)) // MICROSECOND
