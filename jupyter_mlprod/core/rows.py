"""The back end for requests: a few rows of a table or of texts, held against a plan.

A column is first asked one question by compiled code, whether all of its values are surely fine; only a column that is not is gone through
value by value, which finds every demand that is broken, and in which rows. Both say the same, or the question would be wrong.
"""

import datetime
import math
import re
import sys
from collections.abc import Callable, Container, Mapping, Sequence
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import UNSET

from jupyter_mlprod.core.arrays import plain, plain_values
from jupyter_mlprod.core.contract import Column
from jupyter_mlprod.core.demands import (
    CLOCK_SKEW_S,
    FLOAT_EXACT,
    INT_LEAST,
    INT_MOST,
    AgePlan,
    Check,
    ColumnPlan,
    Demand,
    Plan,
    RulePlan,
    compiled,
    whole_limits,
)
from jupyter_mlprod.core.expression import Value, evaluator, microseconds
from jupyter_mlprod.core.pattern import LONGEST_MATCHED, matches
from jupyter_mlprod.core.raw import Array
from jupyter_mlprod.core.values import is_unicode, moment, since_epoch, state_of

Values = Sequence[Any] | Array
NUMBERS = frozenset({float, int, np.float64, type(None)})
"""What may stand in a float column before msgspec is asked, which takes a Decimal for a float."""


class Broken(msgspec.Struct, frozen=True, kw_only=True):
    """A demand, and every row that breaks it, ascending; ``values`` are what stands there in its column or in ``tells``."""

    demand: Demand
    rows: tuple[int, ...]
    values: tuple[Any, ...] = ()
    tells: str = ""


class RowChecker:
    """A plan made ready for rows; made once for a contract."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.columns = [_ColumnChecker(one) for one in plan.columns]
        self.rules = [(one, evaluator(one.term)) for one in plan.rules]
        self.types = {one.column.name: one.column.type for one in plan.columns}

    def checks(self, named: Container[str]) -> int:
        """How many demands on columns run: of a column that is missing its presence alone, and a rule wherever it stands."""
        known = sum(len(one.plan.demands) if one.plan.column.name in named else 1 for one in self.columns)
        return known + len(self.plan.ages) + len(self.plan.rules)

    def broken(self, named: Mapping[str, Values], *, rows: int, now: datetime.datetime | None) -> list[Broken]:
        """Every demand that the rows break.

        Parameters
        ----------
        named : column → (rows,) values; what the contract does not name is not looked at
        now : aware; None where the plan was made without a clock
        """
        return [
            *self.in_columns(named, rows=rows),
            *self.aged(named, rows=rows, now=now),
            *self.ruled(named, rows=rows),
        ]

    def in_columns(self, named: Mapping[str, Values], *, rows: int) -> list[Broken]:
        """The demands on single values that are broken; a value that is UNSET is one that its row does not have."""
        found: list[Broken] = []
        for column in self.columns:
            name = column.plan.column.name
            if name not in named:
                found.append(Broken(demand=column.plan.demands["present"], rows=tuple(range(rows))))
            elif not column.surely_fine(named[name]):
                found += column.broken(_plain(named[name]))
        return found

    def aged(self, named: Mapping[str, Values], *, rows: int, now: datetime.datetime | None) -> list[Broken]:
        """The demands on ages that are broken."""
        return [broken for age in self.plan.ages for broken in self._aged(age, named, rows=rows, now=now)]

    def ruled(self, named: Mapping[str, Values], *, rows: int) -> list[Broken]:
        """The rules that are broken."""
        return [broken for rule, evaluate in self.rules for broken in self._ruled(rule, evaluate, named, rows=rows)]

    def _usable(self, name: str, named: Mapping[str, Values], *, rows: int) -> list[Any]:
        """The values of a column that are of its type, None for the others."""
        if name not in named:
            return [None] * rows
        kind = self.types[name]
        return [None if state_of(kind, value) else value for value in _plain(named[name])]

    def _aged(self, age: AgePlan, named: Mapping[str, Values], *, rows: int, now: datetime.datetime | None) -> list[Broken]:
        events = self._usable(age.event_time, named, rows=rows)
        uses = self._usable(age.as_of, named, rows=rows) if age.as_of else [None] * rows
        held = self._usable(age.column, named, rows=rows)
        bad = []
        for row, (value, event, use) in enumerate(zip(held, events, uses, strict=True)):
            used, slack = (use, 0) if use is not None else (now if age.by_clock else None, CLOCK_SKEW_S)
            if used is None:
                continue
            elapsed = None if event is None else (microseconds(moment(used)) - microseconds(moment(event))) / 1e6
            if age.max_age_s is None:
                broken = elapsed is not None and elapsed < -slack
            else:
                broken = value is not None and (elapsed is None or elapsed > age.max_age_s)
            if broken:
                bad.append(row)
        values = tuple(events[row] for row in bad)
        return [Broken(demand=age.demand, rows=tuple(bad), values=values, tells=age.event_time)] if bad else []

    def _ruled(
        self, rule: RulePlan, evaluate: Callable[[Mapping[str, Value]], Value], named: Mapping[str, Values], *, rows: int
    ) -> list[Broken]:
        columns = {name: [_operand(v) for v in self._usable(name, named, rows=rows)] for name in rule.columns}
        bad = tuple(row for row in range(rows) if evaluate({name: values[row] for name, values in columns.items()}) is False)
        return [Broken(demand=rule.demand, rows=bad)] if bad else []


def _operand(value: Any) -> Value:
    """A usable value as an expression takes it."""
    if isinstance(value, datetime.date):
        return microseconds(moment(value))
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _plain(values: Values) -> list[Any]:
    return plain_values(values) if isinstance(values, np.ndarray) else list(map(plain, values))


class _ColumnChecker:
    """One column's demands."""

    def __init__(self, plan: ColumnPlan) -> None:
        self.plan = plan
        self.low, self.high = whole_limits(plan.column)
        self.pattern = compiled(plan.column)
        self.categories = frozenset(plan.column.categories)
        one = type_of(plan.column)
        self.type = list[one | None] if plan.column.nullable else list[one]  # type: ignore[valid-type]

    def surely_fine(self, values: Values) -> bool:
        """Whether no demand is broken; False where it would take a look at each value to know."""
        if "unique" in self.plan.demands:
            return False
        if isinstance(values, np.ndarray):
            if values.ndim != 1:
                return False
            if values.dtype.kind in "fiub":
                return self._fine_numbers(values)
            values = values.tolist() if values.dtype.kind == "O" else plain_values(values)
        if self.plan.column.type == "float" and not NUMBERS.issuperset(map(type, values)):
            return False
        try:
            msgspec.convert(values, self.type, builtin_types=(datetime.datetime,))
        except (msgspec.ValidationError, RecursionError, UnicodeEncodeError):  # half a surrogate pair where a time is wanted
            return False
        if self.plan.column.type != "string":
            return True
        texts = [value for value in values if value is not None]
        return is_unicode("".join(texts)) and (not self.categories or self.categories.issuperset(texts))

    def _fine_numbers(self, array: Array) -> bool:
        column = self.plan.column
        if column.type == "bool":
            return array.dtype.kind == "b"
        if column.nullable and array.dtype.kind == "f":
            array = array[array == array]
            if not len(array):
                return column.type == "float"
        kinds = {"float": "fiu", "int": "iu"}.get(column.type, "")
        if not len(array) or array.dtype.kind not in kinds or array.dtype.itemsize > 8:
            return False
        least, most = array.min().item(), array.max().item()
        exact = FLOAT_EXACT if array.dtype.kind != "f" else sys.float_info.max
        lows = [INT_LEAST if column.type == "int" else -exact, *([] if self.low is None else [self.low])]
        highs = [INT_MOST if column.type == "int" else exact, *([] if self.high is None else [self.high])]
        return bool(max(lows) <= least and most <= min(highs))

    def broken(self, values: list[Any]) -> list[Broken]:
        """Every demand that is broken, by going through the values."""
        bad: dict[Check, list[int]] = {check: [] for check in self.plan.demands}
        known: dict[Any, list[Check]] = {}
        seen: set[Any] = set()
        for row, value in enumerate(values):
            if value is UNSET:
                bad["present"].append(row)
                continue
            state = state_of(self.plan.column.type, value)
            if state:
                if state in bad:
                    bad[state].append(row)
                continue
            if value not in known:
                known[value] = broken_by(self.plan.column, value, self.pattern, categories=self.categories)
            for check in known[value]:
                bad[check].append(row)
            if "unique" in bad:
                key = since_epoch(moment(value)) if isinstance(value, datetime.date) else value
                if key in seen:
                    bad["unique"].append(row)
                seen.add(key)
        found = [
            Broken(demand=self.plan.demands[check], rows=tuple(rows), values=tuple(values[row] for row in rows))
            for check, rows in bad.items()
            if rows
        ]
        return [_some_absent(one, len(values)) if one.demand.check == "present" else one for one in found]


def _some_absent(broken: Broken, rows: int) -> Broken:
    """What is said of a column that some rows have; its absence from all of them needs no count."""
    what = f"{broken.demand.what} in {len(broken.rows):,} of {rows:,} rows, first at row {broken.rows[0]:,}"
    return Broken(demand=msgspec.structs.replace(broken.demand, what=what), rows=broken.rows)


def broken_by(
    column: Column, value: Any, pattern: re.Pattern[str] | None = None, *, categories: Container[str] | None = None
) -> list[Check]:
    """The demands that a value of the column's type breaks by itself, in the order of the list in `demands.py`.

    Parameters
    ----------
    pattern, categories : those of the column, made ready by who asks for many values
    """
    found: list[Check] = []
    low, high = whole_limits(column)
    if column.type == "float" and math.isinf(value):
        found.append("finite")
    if low is not None and value < low:
        found.append("low")
    if high is not None and value > high:
        found.append("high")
    if column.categories and value not in (column.categories if categories is None else categories):
        found.append("category")
    if column.pattern and not matches(pattern or re.compile(column.pattern), value):
        found.append("pattern")
    if column.shortest is not UNSET and len(value) < column.shortest:
        found.append("shortest")
    if column.longest is not UNSET and len(value) > column.longest:
        found.append("longest")
    return found


def type_of(column: Column) -> Any:
    """What msgspec takes for a value that keeps type, *exact*, *finite*, limits, *pattern* and length; all else is asked elsewhere.

    It refuses what lies outside; that a value is refused does not yet mean that it breaks something.
    """
    low, high = whole_limits(column)
    match column.type:
        case "float":
            # an integer is rounded before it is compared, so what rounds to 2^53 is left to a closer look
            return Annotated[float, msgspec.Meta(**_within(low, high, 1 - FLOAT_EXACT, FLOAT_EXACT - 1))]
        case "int":
            return Annotated[int, msgspec.Meta(**_within(low, high, INT_LEAST, INT_MOST))]
        case "bool":
            return bool
        case "time" | "time_utc":
            return Annotated[datetime.datetime, msgspec.Meta(tz=column.type == "time_utc")]
        case "string":
            longest = LONGEST_MATCHED if column.pattern else None
            if column.longest is not UNSET:
                longest = min(column.longest, longest or column.longest)
            return Annotated[str, msgspec.Meta(pattern=column.pattern or None, min_length=column.shortest or None, max_length=longest)]


def _within(low: float | None, high: float | None, least: int, most: int) -> dict[str, Any]:
    """Limits as msgspec takes them, which are those of the type where nothing narrower is said."""
    return {"ge": least if low is None else max(low, least), "le": most if high is None else min(high, most)}
