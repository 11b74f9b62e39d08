"""What breaks a contract, row by row and as plainly as it can be said: written from the page of `core/demands.py`, not from any back end.

Nothing here is fast, shared or clever. It knows Python's own values alone, and of rules what the module of expressions says they mean.
"""

import ast
import datetime
import math
import re
from typing import Any

from msgspec import UNSET

from jupyter_mlprod.core.contract import Column, Contract, View, fields_of

Broken = dict[tuple[str, str], list[int]]
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def broken_rows(contract: Contract, data: dict[str, list[Any]], *, view: View, now: datetime.datetime | None) -> Broken:
    """(field, check) → the rows that break it, ascending; only what is broken is there."""
    rows = max((len(values) for values in data.values()), default=0)
    found: Broken = {}
    columns = {field.name: field for field in fields_of(contract, view) if isinstance(field, Column)}
    for name, column in columns.items():
        if name not in data:
            found.update({(name, "present"): list(range(rows))} if rows else {})
            continue
        for row in range(rows):
            for check in broken_by(column, data[name][row]):
                found.setdefault((name, check), []).append(row)
        if column.unique is True:
            for row in range(rows):
                if usable(column, data[name][row]) and any(
                    usable(column, data[name][before]) and same(data[name][before], data[name][row]) for before in range(row)
                ):
                    found.setdefault((name, "unique"), []).append(row)
    ages(contract, columns, data, rows, now, found)
    for rule, text in (contract.rules or {}).items():
        tree = ast.parse(text.strip(), mode="eval").body
        if columns_named(tree) <= set(columns):
            for row in range(rows):
                if meaning(tree, values_of(columns, data, row)) is False:
                    found.setdefault((rule, "rule"), []).append(row)
    return found


def far_off(contract: Contract, data: dict[str, list[Any]], *, view: View) -> set[str]:
    """The columns whose distribution lies further from what is expected than the limit and chance allow."""
    found = set()
    for column in fields_of(contract, view):
        if not isinstance(column, Column) or column.expected is UNSET or column.name not in data:
            continue
        wanted, values = column.expected, [value for value in data[column.name] if usable(column, value)]
        if wanted.edges:
            at = [sum(value >= edge for edge in wanted.edges) for value in values]
            shares = list(wanted.shares)
        else:
            texts = [str(value).lower() if column.type == "bool" else value for value in values]
            at = [wanted.values.index(text) if text in wanted.values else len(wanted.values) for text in texts]
            shares = [*wanted.shares, 1 - sum(wanted.shares)]
        n = len(values)
        if n:
            distance = sum(abs(at.count(k) / n - share) for k, share in enumerate(shares)) / 2
            chance = math.sqrt((len(shares) * math.log(2) + math.log(20)) / (2 * n))
            found |= {column.name} if distance - chance > wanted.at_most + 1e-9 else set()
    return found


def same(one: Any, other: Any) -> bool:
    """Whether two values are one; of times, whether they are one moment, whatever a clock showed."""
    return bool(as_utc(one) == as_utc(other)) if isinstance(one, datetime.date) else bool(one == other)


def as_utc(value: datetime.date) -> datetime.datetime:
    if not isinstance(value, datetime.datetime):
        value = datetime.datetime(value.year, value.month, value.day)
    return value.astimezone(datetime.UTC) if value.tzinfo else value.replace(tzinfo=datetime.UTC)


def columns_named(tree: ast.expr) -> set[str]:
    """Those that stand there by their names or in ``col()``."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "col"]
    named = {str(one.args[0].value) for one in calls if isinstance(one.args[0], ast.Constant)}
    return named | {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} - FUNCTIONS


def null(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def broken_by(column: Column, value: Any) -> list[str]:
    """The list of the page, from its second point on; *unique* and *stale* need other rows or columns."""
    if null(value):
        return [] if column.nullable else ["null"]
    if not of_type(column.type, value):
        return ["type"]
    if column.type == "float" and isinstance(value, int) and abs(value) > 2**53:
        return ["exact"]
    if column.type == "int" and not -(2**63) <= value < 2**63:
        return ["exact"]
    if column.type == "string" and any(0xD800 <= ord(character) <= 0xDFFF for character in value):
        return ["unicode"]
    found = []
    if column.type == "float" and value in (math.inf, -math.inf):
        found.append("finite")
    if column.type in ("float", "int") and column.low is not None and value < column.low:
        found.append("low")
    if column.type in ("float", "int") and column.high is not None and value > column.high:
        found.append("high")
    if column.categories and value not in column.categories:
        found.append("category")
    if column.pattern and (len(value) > 1000 or re.search(column.pattern, value) is None):
        found.append("pattern")
    if column.shortest is not UNSET and len(value) < column.shortest:
        found.append("shortest")
    if column.longest is not UNSET and len(value) > column.longest:
        found.append("longest")
    return found


def of_type(kind: str, value: Any) -> bool:
    is_truth = isinstance(value, bool)
    is_time = isinstance(value, datetime.datetime)
    return {
        "float": isinstance(value, int | float) and not is_truth,
        "int": isinstance(value, int) and not is_truth,
        "bool": is_truth,
        "string": isinstance(value, str),
        "time": value.tzinfo is None if is_time else isinstance(value, datetime.date),
        "time_utc": is_time and value.tzinfo is not None,
    }[kind]


def usable(column: Column, value: Any) -> bool:
    return not {"null", "type", "exact", "unicode"} & set(broken_by(column, value)) and not null(value)


def ages(contract: Contract, columns: dict[str, Column], data: dict[str, list[Any]], rows: int, now: Any, found: Broken) -> None:
    fresh = contract.freshness or None
    as_of = fresh.as_of if fresh and fresh.as_of in columns else ""
    if not as_of and now is None:
        return
    events = [fresh.event_time] if fresh and fresh.event_time in columns else []
    for column in columns.values():
        event = column.event_time or (fresh.event_time if fresh else "")
        if column.max_age and event in columns:
            events += [event]
            most = datetime.timedelta(seconds=int(column.max_age[:-1]) * UNITS[column.max_age[-1]])
            for row in range(rows):
                used, _ = moment_of_use(columns, data, row, as_of=as_of, event=event, now=now)
                at = moment(columns, data, row, event)
                has_value = column.name in data and usable(column, data[column.name][row])
                if has_value and used is not None and (at is None or used - at > most):
                    found.setdefault((column.name, "stale"), []).append(row)
    for event in set(events):
        for row in range(rows):
            used, slack = moment_of_use(columns, data, row, as_of=as_of, event=event, now=now)
            at = moment(columns, data, row, event)
            if used is not None and at is not None and at - used > slack:
                found.setdefault((event, "future"), []).append(row)


def moment(columns: dict[str, Column], data: dict[str, list[Any]], row: int, name: str) -> datetime.datetime | None:
    """A time as one of UTC, so that all can be compared."""
    if name not in data or not usable(columns[name], data[name][row]):
        return None
    return as_utc(data[name][row])


def moment_of_use(
    columns: dict[str, Column], data: dict[str, list[Any]], row: int, *, as_of: str, event: str, now: Any
) -> tuple[Any, datetime.timedelta]:
    """That of the row, or now where the event time is a moment and not only what some clock showed."""
    at = moment(columns, data, row, as_of) if as_of else None
    clock = now if columns[event].type == "time_utc" else None
    return (clock, datetime.timedelta(seconds=300)) if at is None else (at, datetime.timedelta(0))


def values_of(columns: dict[str, Column], data: dict[str, list[Any]], row: int) -> dict[str, Any]:
    """The row as a rule sees it: numbers are float64, times are moments, what is not usable is null."""
    values: dict[str, Any] = {}
    for name, column in columns.items():
        value = data[name][row] if name in data and usable(column, data[name][row]) else None
        if value is not None and column.type in ("float", "int"):
            value = float(value)
        values[name] = moment(columns, data, row, name) if value is not None and column.type in ("time", "time_utc") else value
    return values


FUNCTIONS = {"abs", "col", "min", "max", "is_null", "length"}


def meaning(node: ast.expr, row: dict[str, Any]) -> Any:
    """The value of an expression; None is null."""
    match node:
        case ast.Constant():
            return float(node.value) if isinstance(node.value, int | float) and not isinstance(node.value, bool) else node.value
        case ast.Name():
            return row[node.id]
        case ast.BoolOp():
            return junction([meaning(value, row) for value in node.values], decided=isinstance(node.op, ast.Or))
        case ast.UnaryOp():
            value = meaning(node.operand, row)
            return None if value is None else (not value) if isinstance(node.op, ast.Not) else -value
        case ast.Compare():
            lefts = [node.left, *node.comparators]
            told = [
                compared(op, meaning(left, row), right, row) for left, op, right in zip(lefts, node.ops, node.comparators, strict=False)
            ]
            return junction(told, decided=False)
        case ast.Call(func=ast.Name(id="col"), args=[ast.Constant(value=str(name))]):
            return row[name]
        case ast.BinOp():
            return arithmetic(node.op, meaning(node.left, row), meaning(node.right, row))
        case ast.Call(func=ast.Name(id="is_null"), args=[one]):
            return meaning(one, row) is None
        case ast.Call(func=ast.Name(id=name)):
            args = [meaning(one, row) for one in node.args]
            return None if None in args else called(name, args)
    raise AssertionError(ast.dump(node))


def called(name: str, args: list[Any]) -> float:
    functions: dict[str, Any] = {"abs": abs, "min": min, "max": max, "length": len}
    return float(functions[name](*args))


def junction(values: list[Any], *, decided: bool) -> Any:
    if decided in values:
        return decided
    return None if None in values else not decided


def compared(op: ast.cmpop, left: Any, right: ast.expr, row: dict[str, Any]) -> Any:
    if isinstance(op, ast.In | ast.NotIn):
        assert isinstance(right, ast.List)
        members = [meaning(one, row) for one in right.elts]
        return None if left is None else (left in members) == isinstance(op, ast.In)
    other = meaning(right, row)
    if left is None or other is None:
        return None
    return {
        "Lt": lambda: left < other, "LtE": lambda: left <= other, "Gt": lambda: left > other, "GtE": lambda: left >= other,
        "Eq": lambda: left == other, "NotEq": lambda: left != other,
    }[type(op).__name__]()  # fmt: skip


def arithmetic(op: ast.operator, left: Any, right: Any) -> Any:
    if left is None or right is None:
        return None
    if isinstance(left, datetime.datetime):
        return (left - right).total_seconds()
    if isinstance(op, ast.Div):
        result = None if right == 0 else left / right
    else:
        result = {"Add": left.__add__, "Sub": left.__sub__, "Mult": left.__mul__}[type(op).__name__](right)
    return None if null(result) else result
