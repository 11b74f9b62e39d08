"""Rules over the columns of one row: ``discharge >= admission and (pregnant == False or sex == "f")``.

A rule is read by Python's own parser and turned into a small typed tree, which every back end evaluates by the same few definitions:

* numbers are float64; a time is its microseconds since 1970, and the difference of two times is in seconds;
* a null operand, a value of the wrong type, a division by zero and a result that is no number are null;
* ``and``, ``or`` and ``not`` follow the three-valued logic of SQL, and a rule is broken where it is *false*: null breaks nothing, since
  whether a value may be missing is said by ``nullable``.

Nothing is evaluated by Python itself, so a rule can do nothing but compute.
"""

import ast
import datetime
import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from jupyter_mlprod.core.contract import ColumnType
from jupyter_mlprod.core.document import did_you_mean

Kind = Literal["number", "bool", "string", "time", "time_utc"]
KINDS: dict[ColumnType, Kind] = {
    "float": "number", "int": "number", "bool": "bool", "string": "string", "time": "time", "time_utc": "time_utc",
}  # fmt: skip
Op = Literal[
    "value", "column", "add", "sub", "mul", "div", "neg", "abs", "min", "max", "lt", "le", "gt", "ge", "eq", "ne", "in", "and", "or",
    "not", "is_null", "length", "seconds",
]  # fmt: skip
"""``seconds`` is the difference of two times. ``in`` has the value first, then what it may be."""

DEEPEST = 50
LONGEST = 2_000
EPOCH = datetime.datetime(1970, 1, 1)
EPOCH_UTC = EPOCH.replace(tzinfo=datetime.UTC)
MICROSECOND = datetime.timedelta(microseconds=1)

BINARY: dict[type[ast.operator], Op] = {ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div"}
COMPARED: dict[type[ast.cmpop], Op] = {
    ast.Lt: "lt", ast.LtE: "le", ast.Gt: "gt", ast.GtE: "ge", ast.Eq: "eq", ast.NotEq: "ne",
}  # fmt: skip
ORDERED = {"number", "time", "time_utc"}
GRAMMAR = "columns, numbers, texts, + - * /, comparisons, in [...], and or not, abs() min() max() is_null() length(), col('a name')"


class Term(msgspec.Struct, frozen=True, kw_only=True):
    """A node: a constant ``value``, a ``column`` whose name is the value, or an operation on ``args``."""

    op: Op
    kind: Kind
    args: "tuple[Term, ...]" = ()
    value: float | bool | str = 0.0


class RuleError(Exception):
    """What is wrong with a rule, in words."""


def parse(text: str, columns: Mapping[str, ColumnType]) -> Term:
    """The tree of a rule.

    Raises
    ------
    RuleError : with what cannot be meant.

    Examples
    --------
    >>> parse("age >= 18", {"age": "int"}).op
    'ge'
    """
    if len(text) > LONGEST:
        raise RuleError(f"it is longer than {LONGEST:,} characters")
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise RuleError(f"it cannot be read: {getattr(error, 'msg', error)}") from None
    term = _term(tree.body, columns, depth=0)
    if term.kind != "bool":
        raise RuleError(f"it comes to a {term.kind}; a rule is true or false")
    return term


def columns_in(term: Term) -> frozenset[str]:
    """The columns that a rule reads."""
    own = {str(term.value)} if term.op == "column" else set()
    return frozenset(own.union(*(columns_in(arg) for arg in term.args)))


def _term(node: ast.expr, columns: Mapping[str, ColumnType], *, depth: int) -> Term:
    if depth > DEEPEST:
        raise RuleError("it is nested too deeply")

    def inner(one: ast.expr) -> Term:
        return _term(one, columns, depth=depth + 1)

    match node:
        case ast.Constant():
            return _constant(node.value)
        case ast.Name():
            return _column(node.id, columns)
        case ast.UnaryOp(op=ast.Not()):
            return Term(op="not", kind="bool", args=(_of(inner(node.operand), "bool", "not"),))
        case ast.UnaryOp(op=ast.USub()):
            return Term(op="neg", kind="number", args=(_of(inner(node.operand), "number", "-"),))
        case ast.BoolOp():
            word: Literal["and", "or"] = "and" if isinstance(node.op, ast.And) else "or"
            return Term(op=word, kind="bool", args=tuple(_of(inner(value), "bool", word) for value in node.values))
        case ast.BinOp() if type(node.op) in BINARY:
            return _arithmetic(BINARY[type(node.op)], inner(node.left), inner(node.right))
        case ast.Compare():
            return _comparison(node, inner)
        case ast.Call(func=ast.Name(id=name), keywords=[]):
            return _call(name, node.args, columns, inner)
    raise RuleError(f"{ast.unparse(node)[:60]!r} is not understood; a rule is made of {GRAMMAR}")


def _constant(value: object) -> Term:
    match value:
        case bool():
            return Term(op="value", kind="bool", value=value)
        case int() | float():
            try:
                number = float(value)
            except OverflowError:
                number = math.inf
            if not math.isfinite(number):
                raise RuleError("a number in it is not finite")
            return Term(op="value", kind="number", value=number)
        case str():
            return Term(op="value", kind="string", value=value)
    raise RuleError(f"{value!r} is no number, text, True or False")


def _column(name: str, columns: Mapping[str, ColumnType]) -> Term:
    if name not in columns:
        raise RuleError(f"there is no column {name!r}{did_you_mean(name, list(columns)[:20])}")
    return Term(op="column", kind=KINDS[columns[name]], value=name)


def _of(term: Term, kind: Kind, where: str) -> Term:
    if term.kind != kind:
        raise RuleError(f"{where!r} takes a {kind}, and got a {term.kind}")
    return term


def _arithmetic(op: Op, left: Term, right: Term) -> Term:
    if op == "sub" and left.kind == right.kind and left.kind in ("time", "time_utc"):
        return Term(op="seconds", kind="number", args=(left, right))
    return Term(op=op, kind="number", args=(_of(left, "number", op), _of(right, "number", op)))


def _comparison(node: ast.Compare, inner: Callable[[ast.expr], Term]) -> Term:
    """``a < b < c`` is ``a < b and b < c``."""
    parts: list[Term] = []
    left = node.left
    for operator, right in zip(node.ops, node.comparators, strict=True):
        if isinstance(operator, ast.In | ast.NotIn):
            found = _membership(inner(left), right, inner)
            parts.append(Term(op="not", kind="bool", args=(found,)) if isinstance(operator, ast.NotIn) else found)
        elif type(operator) in COMPARED:
            parts.append(_compared(COMPARED[type(operator)], inner(left), inner(right)))
        else:
            raise RuleError("'is' compares nothing here: write ==, or is_null(column)")
        left = right
    return parts[0] if len(parts) == 1 else Term(op="and", kind="bool", args=tuple(parts))


def _membership(value: Term, listed: ast.expr, inner: Callable[[ast.expr], Term]) -> Term:
    if not isinstance(listed, ast.List | ast.Tuple | ast.Set) or not listed.elts:
        raise RuleError("'in' takes a list of numbers or texts")
    members = tuple(inner(one) for one in listed.elts)
    if value.kind not in ("number", "string") or any(one.op not in ("value", "neg") or one.kind != value.kind for one in members):
        raise RuleError("'in' takes a list of numbers, or of texts, as what is looked for")
    return Term(op="in", kind="bool", args=(value, *members))


def _compared(op: Op, left: Term, right: Term) -> Term:
    if left.kind != right.kind:
        hint = ": one has a time zone and the other has not" if {left.kind, right.kind} == {"time", "time_utc"} else ""
        raise RuleError(f"a {left.kind} is compared with a {right.kind}{hint}")
    if op not in ("eq", "ne") and left.kind not in ORDERED:
        raise RuleError(f"a {left.kind} is neither more nor less than another")
    return Term(op=op, kind="bool", args=(left, right))


def _call(name: str, given: list[ast.expr], columns: Mapping[str, ColumnType], inner: Callable[[ast.expr], Term]) -> Term:
    if name == "col":
        if len(given) != 1 or not isinstance(given[0], ast.Constant) or not isinstance(given[0].value, str):
            raise RuleError("col() takes the name of a column, in quotes")
        return _column(given[0].value, columns)
    args = tuple(inner(one) for one in given)
    if name in ("min", "max") and len(args) >= 2:
        return Term(op="min" if name == "min" else "max", kind="number", args=tuple(_of(arg, "number", name) for arg in args))
    if name == "abs" and len(args) == 1:
        return Term(op="abs", kind="number", args=(_of(args[0], "number", name),))
    if name == "length" and len(args) == 1:
        return Term(op="length", kind="number", args=(_of(args[0], "string", name),))
    if name == "is_null" and len(args) == 1:
        return Term(op="is_null", kind="bool", args=args)
    raise RuleError(f"{name}() with {len(args)} arguments is not understood; a rule is made of {GRAMMAR}")


def microseconds(moment: datetime.datetime) -> float:
    """Since 1970; of a moment with a zone in UTC, else as it is written."""
    return float((moment - (EPOCH_UTC if moment.tzinfo else EPOCH)) // MICROSECOND)


Value = float | bool | str | None
Row = Mapping[str, Value]


def evaluator(term: Term) -> Callable[[Row], Value]:
    """A function from a row to the value of a term.

    The row holds by name a float for numbers and times, a bool, a str, or None; a column that it lacks is null.
    """
    if term.op == "value":
        return lambda row: term.value  # noqa: ARG005
    if term.op == "column":
        return lambda row: row.get(str(term.value))
    args = [evaluator(arg) for arg in term.args]
    if term.op == "is_null":
        return lambda row: args[0](row) is None
    if term.op in ("and", "or"):
        return _junction(args, decided=term.op == "or")
    apply = PYTHON[term.op]

    def value(row: Row) -> Value:
        given: list[Any] = [arg(row) for arg in args]
        if any(one is None for one in given):
            return None
        result: Value = apply(*given)
        return None if isinstance(result, float) and math.isnan(result) else result

    return value


def _junction(args: list[Callable[[Row], Value]], *, decided: bool) -> Callable[[Row], Value]:
    """``or`` is decided by one true, ``and`` by one false; else null where any is null."""

    def value(row: Row) -> Value:
        values = [arg(row) for arg in args]
        if decided in values:
            return decided
        return None if None in values else not decided

    return value


PYTHON: dict[str, Callable[..., Value]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: None if b == 0 else a / b,
    "neg": lambda a: -a,
    "abs": abs,
    "min": min,
    "max": max,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "in": lambda a, *members: a in members,
    "not": lambda a: not a,
    "length": lambda a: float(len(a)),
    "seconds": lambda a, b: (a - b) / 1e6,
}
