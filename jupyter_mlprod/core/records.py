"""Records: a request as JSON, one object or a list of them, against a contract's view.

What is surely fine is said by one decoder, generated from the contract, and nothing else is computed then. What it refuses is read again
by Python's own strict reader and gone through value by value, so that every demand that is broken is told at once; and there a key that
stands twice in one object, NaN, Infinity and a number too large for a float make it no JSON. (Of a key that is there twice in a request
that is fine, the last counts: to look for it would cost as much as the whole decoding.) Half a surrogate pair breaks *unicode*, a time
is a string of ISO 8601, and keys that the contract does not name are not looked at.
"""

import datetime
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import msgspec
import numpy as np
from msgspec import UNSET

from jupyter_mlprod.core.contract import Column, Contract
from jupyter_mlprod.core.demands import ColumnPlan, Plan, compiled
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.live_values import kept
from jupyter_mlprod.core.raw import Array, object_array
from jupyter_mlprod.core.rows import Broken, RowChecker, broken_by, type_of
from jupyter_mlprod.core.strict_json import strict_json
from jupyter_mlprod.core.values import is_unicode

MOST_LITERALS = 1_000
"""Of so many categories the decoder knows each; more are looked up afterwards."""
LARGEST_BYTES = 64 << 20
MOST_ROWS = 100_000
"""Of a request, where the contract does not say how many: a row that is three bytes of JSON takes a thousand times that when it is read."""
TIMES = ("time", "time_utc")
REFUSED = (msgspec.DecodeError, RecursionError)
SINGLE = (str, bytes, bool, int, float, np.generic, datetime.date, type(None))
PLAIN = frozenset({str, bool, int, float, datetime.datetime, type(None), type(UNSET)})
"""Types of values that need no second look."""
MANY = ("__len__", "__iter__", "__array__", "__array_interface__")
"""What a value of several rows has, and a single one of no class that is seen here."""
NUMPY = {"float": np.float64, "int": np.int64, "bool": np.bool_}
SPACE = re.compile(r"[ \t\n\r]*")
FORM = 'send one record, {"age": 41}, or a list of them'


class Records(msgspec.Struct, frozen=True, kw_only=True):
    """A request, read.

    Attributes
    ----------
    columns : column → a value a row, UNSET where a row does not have it; a column that no row has is not there
    broken : every demand on the rows that is broken
    over : what is to be said of more rows than are read; nothing else is known of them then, and ``rows`` is one too many
    """

    rows: int
    columns: dict[str, list[Any]]
    broken: tuple[Broken, ...] = ()
    over: str = ""


class RecordDecoder:
    """A plan of columns made ready for JSON; made once for a contract.

    Attributes
    ----------
    checked : the bytes of one record → a struct of its values in the contract's order; it raises one of `REFUSED` where it is not sure
        that the record is fine. Times, *unique*, more than `MOST_LITERALS` categories, ages and rules are not looked at
    one : the same of a record that keeps every demand, for no more than `LARGEST_BYTES`; it is never sure where a contract has times, ages,
        rules or so many categories, which `decode` looks at. What is *unique* is so among the rows of one request
    """

    checked: Callable[[bytes], Any]
    one: Callable[[bytes], Any]

    def __init__(self, plan: Plan, rows: RowChecker | None = None) -> None:
        self.checker = rows or RowChecker(plan)
        self.names = [one.column.name for one in plan.columns]
        self.times = [one.column.name for one in plan.columns if one.column.type in TIMES]
        self.closer = [one for one in self.checker.columns if _needs_a_look(one.plan)]
        self.most = plan.rows.per_request or MOST_ROWS
        self.checked, self._checked_list = _decoders(plan)
        later = [one for one in self.closer if one.plan.column.type in TIMES or not _says_categories(one.plan.column)]
        self.one = _unsure if later or plan.ages or plan.rules else self.checked
        self._blocks = _blocks(plan)

    def decode(self, data: bytes, *, now: datetime.datetime | None = None) -> Records:
        """Read a request, and hold it against the plan.

        Parameters
        ----------
        data : UTF-8
        now : aware; None judges no age for which the rows do not say when they were used

        Raises
        ------
        MlprodError : ``bad-data`` for what is no JSON, or no record and no list of records.
        """
        if len(data) > LARGEST_BYTES:
            raise MlprodError(Code.BAD_DATA, f"the request has {len(data):,} bytes, at most {LARGEST_BYTES:,} are read")
        if data.count(b"{") > self.most and more_rows_than(data, self.most):
            return self._over()
        rows = self._fast(data)
        if rows is not None:
            columns = dict(zip(self.names, map(list, zip(*rows, strict=True)), strict=True)) if rows else {}
            if not self.times or all(_revive(columns[name]) for name in self.times if name in columns):
                return self._closer(columns, len(rows), now=now)
        if data.count(b",") >= self.most and more_rows_than(data, self.most):  # rows that are no objects
            return self._over()
        return self._slow(data, now=now)

    def arrays(self, row: Any) -> dict[str, Array]:
        """What `one` has given as columns of one row; those of a type lie in one block."""
        values = msgspec.structs.astuple(row)
        arrays: dict[str, Array] = {}
        for kind, places in self._blocks:
            block = column_array([values[place] for place in places], kind)
            for at, place in enumerate(places):
                arrays[self.names[place]] = block[at : at + 1]
        return arrays

    def _over(self) -> Records:
        unit = "row" if self.most == 1 else "rows"
        what = f"the request has more than {self.most:,} {unit}, at most {self.most:,} are answered at once"
        return Records(rows=self.most + 1, columns={}, over=what)

    def _fast(self, data: bytes) -> list[tuple[Any, ...]] | None:
        try:
            if data[:1] == b"{" or data.lstrip()[:1] == b"{":
                return [msgspec.structs.astuple(self.checked(data))]
            return list(map(msgspec.structs.astuple, self._checked_list(data)))
        except REFUSED:
            return None

    def _closer(self, columns: dict[str, list[Any]], rows: int, *, now: datetime.datetime | None) -> Records:
        """What the decoder cannot say, of rows of which it has said that the rest is fine."""
        found: list[Broken] = []
        for one in self.closer if rows else ():
            values = columns[one.plan.column.name]
            found += () if one.surely_fine(values) else one.broken(values)
        found += self.checker.aged(columns, rows=rows, now=now)
        found += self.checker.ruled(columns, rows=rows)
        return Records(rows=rows, columns=columns, broken=tuple(found))

    def _slow(self, data: bytes, *, now: datetime.datetime | None) -> Records:
        rows = _rows(data)
        columns = columns_of(rows, self.names)
        for name in self.times:
            _revive(columns.get(name, []))
        return Records(rows=len(rows), columns=columns, broken=tuple(self.checker.broken(columns, rows=len(rows), now=now)))


def more_rows_than(data: bytes, most: int) -> bool:
    """Whether JSON is a list of more than so many values, found out by reading no more of them than that; False for what is no JSON."""
    read = json.JSONDecoder().raw_decode
    try:
        text = data.decode()
        at = _after_space(text, 0)
        if text[at : at + 1] != "[":
            return False
        for _ in range(most):
            at = _after_space(text, read(text, _after_space(text, at + 1))[1])
            if text[at : at + 1] != ",":
                return False
        read(text, _after_space(text, at + 1))
    except (ValueError, RecursionError):
        return False
    return True


def _after_space(text: str, at: int) -> int:
    found = SPACE.match(text, at)
    return found.end() if found else at


def column_array(values: Sequence[Any], kind: str) -> Array:
    """(n,) array of values of a column's type: numbers as numbers where none of them is null, all others as objects."""
    if kind not in NUMPY or None in values:
        return object_array(values)
    return np.array(values, NUMPY[kind])


def columns_of(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> dict[str, list[Any]]:
    """Rows as columns: a value a row, UNSET where a row has none, and no column that no row has."""
    columns = {name: [row.get(name, UNSET) for row in rows] for name in names}
    return {name: values for name, values in columns.items() if any(value is not UNSET for value in values)}


def as_records(value: Any, names: Sequence[str] = ()) -> list[Mapping[str, Any]] | None:
    """A live value as records, where it is a list of mappings, one mapping that holds a single value, or a row of a frame; else None."""
    if isinstance(value, list | tuple) and value and all(isinstance(row, Mapping) for row in value):
        return list(value)
    if isinstance(value, Mapping) and (not value or any(map(_is_single, value.values()))):
        return [value]
    if hasattr(value, "iloc") and hasattr(value, "to_dict") and not hasattr(value, "columns") and set(names) & set(value.index):
        return [value.to_dict()]
    return None


def _is_single(value: object) -> bool:
    return isinstance(value, SINGLE) or not any(hasattr(value, name) for name in MANY)


def raw_records(rows: Sequence[Mapping[str, Any]], contract: Contract) -> dict[str, Array]:
    """Records as the columns that the contract names; of rows that have none of them, the first, in which nothing is."""
    names = [field.name for field in contract.inputs]
    columns = columns_of(rows, names) or {names[0]: [UNSET] * len(rows)}
    return {name: object_array([one if type(one) in PLAIN else kept(one) for one in values]) for name, values in columns.items()}


def _decoders(plan: Plan) -> tuple[Callable[[bytes], Any], Callable[[bytes], Any]]:
    """What reads one record and a list of them; where msgspec takes the name of a column for no key of JSON, nothing is surely fine."""
    names = [one.column.name for one in plan.columns]
    if any(not is_unicode(name) or json.dumps(name, ensure_ascii=False) != f'"{name}"' for name in names):
        return _unsure, _unsure
    fields = [(f"f{index}", _field(one)) for index, one in enumerate(plan.columns)]
    row = msgspec.defstruct("Row", fields, rename={f"f{index}": name for index, name in enumerate(names)}, gc=False)
    return msgspec.json.Decoder(row).decode, msgspec.json.Decoder(list[row]).decode  # type: ignore[valid-type]


def _unsure(data: bytes) -> Any:
    """A decoder that knows nothing."""
    raise msgspec.DecodeError(f"{len(data):,} bytes take a closer look")


def _blocks(plan: Plan) -> list[tuple[str, list[int]]]:
    """The columns of each type, by their places."""
    blocks: dict[str, list[int]] = {}
    for place, one in enumerate(plan.columns):
        blocks.setdefault(one.column.type, []).append(place)
    return list(blocks.items())


def _field(plan: ColumnPlan) -> Any:
    """What msgspec takes for a column; a time is left a string, so that there is one reader of times."""
    column = plan.column
    known = _literals(column)
    kind: Any = str if column.type in TIMES else Literal[known] if known else type_of(column)
    return kind | None if column.nullable else kind


def _literals(column: Column) -> tuple[str, ...]:
    """The categories that break nothing else, where the decoder can know them all."""
    if len(column.categories) > MOST_LITERALS:
        return ()
    pattern = compiled(column)
    return tuple(value for value in column.categories if not broken_by(column, value, pattern))


def _needs_a_look(plan: ColumnPlan) -> bool:
    column = plan.column
    return column.type in TIMES or "unique" in plan.demands or not _says_categories(column)


def _says_categories(column: Column) -> bool:
    """Whether the decoder knows a column's categories."""
    return not column.categories or bool(_literals(column))


def _rows(data: bytes) -> list[dict[str, Any]]:
    try:
        document = strict_json(data)
    except ValueError as error:
        raise MlprodError(Code.BAD_DATA, f"the request is no JSON: {' '.join(str(error).split())[:200]}", hint=FORM) from None
    rows = document if isinstance(document, list) else [document]
    odd = next((index for index, row in enumerate(rows) if not isinstance(row, dict)), None)
    if odd is not None:
        where = f"row {odd:,} of the request" if isinstance(document, list) else "the request"
        raise MlprodError(Code.BAD_DATA, f"{where} is no record, but {_kind(rows[odd])}", hint=FORM)
    return rows


def _kind(value: object) -> str:
    words = {list: "a list", str: "a string", bool: "a truth value", int: "a number", float: "a number", type(None): "null"}
    return words[type(value)]


def _revive(values: list[Any]) -> bool:
    """Put times in place of their texts; whether every text was one. What is none stays, and is of the wrong type."""
    whole = True
    for row, value in enumerate(values):
        if isinstance(value, str):
            try:
                values[row] = datetime.datetime.fromisoformat(value)
            except ValueError:
                whole = False
    return whole
