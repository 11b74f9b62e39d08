"""The texts of a .csv as values of the types that a contract declares; a text that is no such value stays a text, so that a check can tell
of it.
"""

import datetime
import re
from typing import Any

from jupyter_mlprod.core.contract import ColumnType
from jupyter_mlprod.core.demands import FLOAT_EXACT

TRUTH = {"True": True, "TRUE": True, "true": True, "False": False, "FALSE": False, "false": False}
INTEGER = re.compile(r"\s*[+-]?[0-9]{1,4000}\s*")
NUMBER = re.compile(r"\s*[+-]?(?:[0-9]+\.?[0-9]*(?:[eE][+-]?[0-9]+)?|\.[0-9]+(?:[eE][+-]?[0-9]+)?|(?i:inf|infinity|nan))\s*")


def value_of(text: str | None, kind: ColumnType) -> Any:
    """One text; an integer that float64 may have rounded is that integer, so that it can be told.

    >>> value_of("01", "string"), value_of("01", "int"), value_of("9007199254740993", "float"), value_of("soon", "time")
    ('01', 1, 9007199254740993, 'soon')
    """
    if text is None:
        return None
    match kind:
        case "string":
            return text
        case "bool":
            return TRUTH.get(text, text)
        case "int":
            return int(text) if INTEGER.fullmatch(text) else text
        case "float":
            number = float(text) if NUMBER.fullmatch(text) else None
            if number is None:
                return text
            return int(text) if abs(number) >= FLOAT_EXACT and INTEGER.fullmatch(text) else number
        case "time" | "time_utc":
            try:
                return datetime.datetime.fromisoformat(text)
            except ValueError:
                return text
