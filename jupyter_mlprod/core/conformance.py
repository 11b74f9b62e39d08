"""What holding data against a contract came to: how many checks ran on how many rows, and every demand that is broken.

Nothing checked must never read as nothing wrong, so the number of checks is part of the result, and data without rows break a demand. A
sentence says where and how many; values stand in ``examples`` alone, and only those of which the contract does not say that they are
personal (see `example`).
"""

import datetime
import math
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from jupyter_mlprod.core.contract import NOT_PERSONAL, Column, Input, Rows, Text, is_personal
from jupyter_mlprod.core.demands import Check, Demand, Kind
from jupyter_mlprod.core.mixed import LONG_INTEGER_BITS, type_name
from jupyter_mlprod.core.values import is_null

MOST_EXAMPLES = 3
LONGEST_EXAMPLE = 40
ALL_ROWS: frozenset[Check] = frozenset({"present", "unknown", "rows", "dtype", "shape", "layout", "distribution"})
"""Demands on all rows at once, whose sentence tells of no single one."""


class Violation(msgspec.Struct, frozen=True, kw_only=True):
    """One broken demand: which field, which check, how many rows, the sentence a person reads, and up to three places with their values."""

    field: str
    check: Check
    rows: int
    what: str
    kind: Kind = "schema"
    examples: tuple[str, ...] = ()


class Conformance(msgspec.Struct, frozen=True, kw_only=True):
    """How many checks ran on how many rows, and what they found; what ``mostly`` allows stands apart, and is told all the same."""

    checks: int
    rows: int
    violations: tuple[Violation, ...]
    tolerated: tuple[Violation, ...] = ()


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What a back end found of a demand that is broken.

    Attributes
    ----------
    rows : how many rows break it
    first : the first of them, at most three, ascending; none for a demand on all rows at once
    values : what stands there, as Python's own objects; as many as ``first``, or none where values say nothing
    places : of a tensor, the index of that value in its row
    tells : the field whose values they are; empty for that of the demand
    note : what the sentence ends with
    """

    demand: Demand
    rows: int
    first: tuple[int, ...] = ()
    values: tuple[Any, ...] = ()
    places: tuple[tuple[int, ...], ...] = ()
    tells: str = ""
    note: str = ""


def conformance(*, checks: int, rows: int, found: Iterable[Found], fields: Sequence[Input]) -> Conformance:
    """The result, out of what a back end found; ``fields`` say of whose values examples may be told."""
    known = {field.name: field for field in fields}
    broken: list[Violation] = []
    tolerated: list[Violation] = []
    for one in found:
        violation = _violation(one, rows, known)
        (tolerated if one.rows <= allowed(one.demand, rows) else broken).append(violation)
    return Conformance(checks=checks, rows=rows, violations=tuple(broken), tolerated=tuple(tolerated))


def allowed(demand: Demand, rows: int) -> int:
    """How many rows may break a demand: not one, or what ``mostly`` leaves, in which a rounding error of the product does not count."""
    if demand.check in ALL_ROWS or demand.mostly >= 1:
        return -1 if demand.check in ALL_ROWS else 0
    return rows - math.ceil(round(demand.mostly * rows, 9))


def row_faults(rows: int, limits: Rows, *, request: bool) -> list[Found]:
    """What is wrong with the number of rows; of a request, there are limits of its own."""
    unit = "row" if rows == 1 else "rows"
    if not rows:
        said = "the request has no rows" if request else "the data have no rows"
    elif request and limits.per_request is not None and rows > limits.per_request:
        said = f"the request has {rows:,} {unit}, at most {limits.per_request:,} are answered at once"
    elif not request and limits.at_least is not None and rows < limits.at_least:
        said = f"the data have {rows:,} {unit}, at least {limits.at_least:,} are wanted"
    elif not request and limits.at_most is not None and rows > limits.at_most:
        said = f"the data have {rows:,} {unit}, at most {limits.at_most:,} are wanted"
    else:
        return []
    return [Found(demand=Demand(field="", check="rows", what=said), rows=rows)]


def _violation(found: Found, rows: int, known: Mapping[str, Input]) -> Violation:
    demand = found.demand
    what = demand.what
    if demand.check not in ALL_ROWS:
        what += f" in {found.rows:,} of {rows:,} rows"
        what += f", first at row {found.first[0]:,}" if found.first else ""
    what += found.note
    field = known.get(found.tells or demand.field)
    examples = tuple(
        example(demand, field, place, found.values[i : i + 1]) for i, place in enumerate(_places(found.first[:MOST_EXAMPLES], found.places))
    )
    return Violation(field=demand.field, check=demand.check, rows=found.rows, what=what, kind=demand.kind, examples=examples)


def _places(rows: Sequence[int], inside: Sequence[tuple[int, ...]]) -> list[str]:
    """``row 3``, or ``row 3 at (0, 12, 5)``."""
    return [f"row {row:,}" + (f" at {inside[i]}" if i < len(inside) and inside[i] else "") for i, row in enumerate(rows)]


def example(demand: Demand, field: Input | None, place: str, value: Sequence[Any]) -> str:
    """One place, and what stands there as far as it may be told.

    Of what the contract calls personal nothing is told, and of a wrong type its name alone. Numbers, times and truth values are told; a
    string is told as its shape (``Xx-99``) unless the contract says that the column holds nothing personal (``pii = "none"``).
    """
    if not value or field is None or demand.check in ("null", "unicode"):
        return place
    if demand.check == "type":
        return f"{place}: {type_name(value[0])}"
    if is_personal(field):
        return f"{place}: personal, withheld"
    return f"{place}: {_shown(field, value[0])}"


def told(field: Input | None, value: Any) -> str:
    """A value as far as it may be told; of a column that no contract names, strings are told as their shape."""
    if is_null(value):
        return "null"
    return "personal, withheld" if field is not None and is_personal(field) else _shown(field, value)


def _shown(field: Input | None, value: Any) -> str:
    if isinstance(value, str):
        text = value if isinstance(field, Column | Text) and field.pii == NOT_PERSONAL else shape_of(value)
        return repr(text if len(text) <= LONGEST_EXAMPLE else f"{text[: LONGEST_EXAMPLE - 1]}…")
    if isinstance(value, datetime.datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, int) and value.bit_length() >= LONG_INTEGER_BITS:  # Python refuses to write out thousands of digits
        return f"an integer of {value.bit_length():,} bits"
    return f"{value:.6g}" if isinstance(value, float) else str(value)[:LONGEST_EXAMPLE]


def shape_of(text: str) -> str:
    """A text with its letters and digits made all alike: what is wrong with it can mostly be seen, and who it is about cannot.

    >>> shape_of("Ada 1815")
    'Xxx 9999'
    """
    return "".join(map(_shape, text[: LONGEST_EXAMPLE + 1]))


def _shape(character: str) -> str:
    """Marks that belong to a letter are one of it, and numbers of any kind are digits."""
    kind = unicodedata.category(character)[0]
    return "9" if kind == "N" else "X" if character.isupper() else "x" if kind in "LM" else character
