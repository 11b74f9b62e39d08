"""Values of a table's columns as Python's own: what is null, and what a value is to a column of some type.

`demands.py` says what the states mean; this is that list up to its fourth point, for one value. `arrays.py` brings values here.
"""

import datetime
from typing import Any, Literal

from jupyter_mlprod.core.contract import ColumnType
from jupyter_mlprod.core.demands import FLOAT_EXACT, INT_LEAST, INT_MOST

EPOCH = datetime.datetime(1970, 1, 1)
EPOCH_UTC = EPOCH.replace(tzinfo=datetime.UTC)
MICROSECOND = datetime.timedelta(microseconds=1)

NO_VALUE = ("NAType", "NaTType")
"""Types of pandas whose one value is null."""
NUMPY_NULLABLE = ("float", "longdouble", "datetime64", "timedelta64")
"""How the names of numpy's scalars begin of which one value is null."""

State = Literal["", "null", "type", "exact", "unicode"]
"""Empty for a value that is one of the column's type."""


def is_null(value: object) -> bool:
    """None, NaN of a float, NaT and pandas.NA; by its type, because what an object of any other says of itself may be anything."""
    if value is None or type(value).__name__ in NO_VALUE:
        return True
    kind = type(value)
    is_known = isinstance(value, float) or (kind.__module__ == "numpy" and kind.__name__.startswith(NUMPY_NULLABLE))
    return is_known and bool(value != value)


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


def since_epoch(value: datetime.datetime) -> int:
    """Microseconds since 1970; of a moment with a zone in UTC, else as it is written."""
    return (value - (EPOCH_UTC if value.tzinfo else EPOCH)) // MICROSECOND
