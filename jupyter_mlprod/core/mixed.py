"""A column whose values are of several types, as it is held and as it is written down: one JSON text a value, the type beside what JSON
has none for.

What a table cannot hold at all (lists, decimals, objects of any class) is kept as an `Odd`, which says what it was and nothing
more, so that a check can name its row; it is made where the value is met, so that live data and the file made of it break the same demands.
"""

import base64
import datetime
import json
import math
from typing import Any

import msgspec

MIXED = "json/"
"""An array of this prefix holds a column of several types."""
LONG_INTEGER_BITS = 4_096
"""From here on an integer is written in hexadecimal digits, because Python refuses to read thousands of decimal ones."""
LONGEST_KIND = 60


class Odd(msgspec.Struct, frozen=True, kw_only=True):
    """A value that no column holds; ``kind`` is the name of its type."""

    kind: str


def odd(value: object) -> Odd:
    """What is said of a value that no column holds."""
    return Odd(kind=type(value).__name__[:LONGEST_KIND])


def type_name(value: object) -> str:
    """The type of a value as a finding tells it."""
    return value.kind if isinstance(value, Odd) else type(value).__name__


def as_json(value: Any) -> str:
    """One value as a JSON text."""
    match value:
        case None | bool() | str():
            return json.dumps(value)
        case int():
            return json.dumps(value if value.bit_length() < LONG_INTEGER_BITS else {"int": hex(value)})
        case float():
            return json.dumps(value if math.isfinite(value) else {"float": str(value)})
        case bytes():
            return json.dumps({"bytes": base64.b64encode(value).decode()})
        case datetime.datetime():
            return json.dumps({"time": value.isoformat()})
        case datetime.date():
            return json.dumps({"date": value.isoformat()})
        case _:
            return json.dumps({"odd": (value if isinstance(value, Odd) else odd(value)).kind})


def from_json(text: str) -> Any:
    """The value of `as_json`.

    Raises
    ------
    ValueError : it is no such text.
    """
    try:
        plain = json.loads(text)
    except RecursionError:
        raise ValueError("a value is nested too deep") from None
    if not isinstance(plain, dict | list):
        return plain
    tag, said = next(iter(plain.items())) if isinstance(plain, dict) and len(plain) == 1 else ("", "")
    if not isinstance(said, str):
        raise ValueError("a value says no type")
    try:
        return _tagged(str(tag), said)
    except ValueError:  # whose words would quote the value
        raise ValueError("a value is none of the type that it says") from None


def _tagged(tag: str, said: str) -> Any:
    match tag:
        case "int":
            return int(said, 16)
        case "float":
            return float(said)
        case "bytes":
            return base64.b64decode(said, validate=True)
        case "time":
            return datetime.datetime.fromisoformat(said)
        case "date":
            return datetime.date.fromisoformat(said)
        case "odd":
            return Odd(kind=said[:LONGEST_KIND])
        case _:
            raise ValueError("a value says no type that is known")
