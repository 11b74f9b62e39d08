"""What differs between two contracts, and whether a caller who keeps to the first is broken by the second.

``no``: whatever keeps the first keeps the second. ``maybe``: it depends on what the caller sends, or on what it does with an answer.
``yes``: nothing that keeps the first will do. The third is said only where it is certain, the first only where it is proven.
"""

from collections.abc import Iterator
from typing import Any, Literal, get_args

import msgspec
import numpy as np
from msgspec import UNSET

from jupyter_mlprod.core.contract import Column, Contract, Input, Tensor, Text
from jupyter_mlprod.core.demands import Check, action_of

Breaks = Literal["no", "maybe", "yes"]
LONGEST = 60
LENIENT = ("pass", "impute")
TIMES = ("time", "time_utc")
"""Which a request of JSON writes as a string."""
SEVERITY = ("no", "maybe", "yes")
CHECKS: tuple[Check, ...] = get_args(Check)
UNSAID = (None, UNSET, "", ())
OF_DATA_SETS = {"expected", "view", "pii"}
"""What no request is refused for."""


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One row: the field, what of it, what either contract says, and whether callers break."""

    field: str
    what: str
    first: str
    second: str
    breaks: Breaks


def contract_diff(first: Contract, second: Contract) -> tuple[Difference, ...]:
    """The differences, in the order of the fields; which of it was declared and which inferred is not compared."""
    return tuple(_differences(first, second))


def _differences(first: Contract, second: Contract) -> Iterator[Difference]:
    yield from _fields(first, second)
    yield from _outputs(first, second)
    yield from _training(first, second)
    yield from _rules(first, second)
    for what in ("at_least", "at_most", "per_request"):
        one, two = (getattr(contract.rows, what) if contract.rows else None for contract in (first, second))
        if one != two:
            narrower = what == "per_request" and two is not None and (one is None or two < one)
            yield _row("rows", what, one, two, "maybe" if narrower else "no")
    one, two = first.freshness or UNSET, second.freshness or UNSET
    if one != two:
        aged = any(isinstance(field, Column) and field.max_age for field in second.inputs)  # by another moment of use
        yield _row("freshness", "", one and _plain(one), two and _plain(two), "maybe" if two or aged else "no")
    if first.on_violation != second.on_violation:
        stricter = first.on_violation in LENIENT  # neither imputing nor passing lets through all that the other does
        yield _row("requests", "on_violation", first.on_violation, second.on_violation, "maybe" if stricter else "no")


def _plain(value: Any) -> Any:
    return msgspec.to_builtins(value)


def _row(field: str, what: str, first: Any, second: Any, breaks: Breaks) -> Difference:
    return Difference(field=field, what=what, first=_told(first), second=_told(second), breaks=breaks)


def _told(value: Any) -> str:
    """A value in a cell; what is not said is empty."""
    if value is None or value is UNSET or value in ((), ""):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        value = ", ".join(map(str, value))
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _kind(field: Input) -> str:
    return type(field).__name__.lower()


def _fields(first: Contract, second: Contract) -> Iterator[Difference]:
    ours, theirs = ({field.name: field for field in contract.inputs} for contract in (first, second))
    for name in [*ours, *(name for name in theirs if name not in ours)]:
        one, two = ours.get(name), theirs.get(name)
        if two is None:  # a table may have columns besides, and other inputs may not
            yield _row(name, "input", _kind(ours[name]), "removed", "no" if isinstance(one, Column) and second.is_table else "yes")
        elif one is None:
            yield _row(name, "input", "", f"added: {_kind(two)}", _added(two, second))
        elif type(one) is not type(two):
            texts = all(isinstance(field, Text) or (isinstance(field, Column) and field.type == "string") for field in (one, two))
            yield _row(name, "input", _kind(one), _kind(two), "maybe" if texts else "yes")
        else:
            yield from _members(one, two, first, second)


def _added(field: Input, second: Contract) -> Breaks:
    """A default stands in for a column that is not sent; a rule may refuse the default."""
    if action_of(field, "present", second.on_violation or "refuse") != "impute":
        return "yes"
    return "maybe" if second.rules else "no"


def _members(one: Input, two: Input, first: Contract, second: Contract) -> Iterator[Difference]:
    for what in one.__struct_fields__:
        a, b = getattr(one, what), getattr(two, what)
        if what in ("name", "declared") or a == b or (a in UNSAID and b in UNSAID):
            continue
        shown = [_plain(value) if isinstance(value, msgspec.Struct) else value for value in (a, b)]
        yield _row(one.name, what, shown[0], shown[1], _by_policy(what, one, two, first, second))


def _by_policy(what: str, one: Input, two: Input, first: Contract, second: Contract) -> Breaks:
    """Whether callers break, with what either contract does about a violation."""
    before, now = ({check: action_of(field, check, contract.on_violation or "refuse") for check in CHECKS}
                   for field, contract in ((one, first), (two, second)))  # fmt: skip
    if what in ("on_violation", "unknown_category"):
        return "maybe" if any(before[check] in LENIENT and now[check] not in (before[check], "impute") for check in CHECKS) else "no"
    if what == "categories" and now["category"] in LENIENT:
        return "maybe" if now["category"] == "impute" and second.rules else "no"
    if what == "shape" and isinstance(one, Tensor) and isinstance(two, Tensor):
        return max(_shape(one.shape, two.shape), _shared(two, first, second), key=SEVERITY.index)
    found = _breaks(what, getattr(one, what), getattr(two, what), two)
    nulls = all(isinstance(field, Column) and (field.nullable or bool(field.mostly) or actions["null"] in LENIENT)
                for field, actions in ((one, before), (two, now)))  # fmt: skip
    spared = nulls or now["type"] == "impute"
    return "maybe" if what == "type" and found == "yes" and spared else found


def _shared(field: Tensor, first: Contract, second: Contract) -> Breaks:
    """Sizes that have one name in the second contract and are not equal, or need not be, by the first."""
    before = {one.name: one.shape for one in first.inputs if isinstance(one, Tensor)}
    places: dict[str, set[int | str]] = {}
    for one in second.inputs:
        shapes = list(enumerate(zip(one.shape, before.get(one.name, ()), strict=False))) if isinstance(one, Tensor) else []
        for axis, (now, was) in shapes:
            if isinstance(now, str):
                places.setdefault(now, set()).add(was if axis else "batch")
    mine = [places[size] for size in field.shape if isinstance(size, str) and size in places]
    if any(sum(isinstance(was, int) for was in sizes) > 1 for sizes in mine):
        return "yes"
    return "maybe" if any(len(sizes) > 1 for sizes in mine) else "no"


def _breaks(what: str, a: Any, b: Any, field: Input) -> Breaks:
    """Whether going from a to b may refuse what was taken; ``field`` is the second."""
    match what:
        case "type":
            return "maybe" if {a, b} in ({"int", "float"}, *({"string", time} for time in TIMES)) else "yes"
        case "dtype":
            return _dtype(a, b)
        case "shape":
            return _shape(a, b)
        case "low":
            return "no" if b is None or (a is not None and b <= a) else "maybe"
        case "high":
            return "no" if b is None or (a is not None and b >= a) else "maybe"
        case "shortest":
            return "no" if b is UNSET or (a is not UNSET and b <= a) else "maybe"
        case "longest":
            return "no" if b in (None, UNSET) or (a not in (None, UNSET) and b >= a) else "maybe"
        case "finite" | "unique":
            return "maybe" if b else "no"
        case "nullable":
            return "no" if b else "maybe"
        case "categories":
            return "no" if not b or (a and set(a) <= set(b)) else "maybe"
        case "mostly":
            return "maybe" if (1.0 if b is UNSET else b) > (1.0 if a is UNSET else a) else "no"
        case "event_time":
            return "maybe" if isinstance(field, Column) and field.max_age else "no"
        case "unit":
            return "yes" if a and b else "no"
        case "layout" | "channels":
            return "yes" if a and b else "maybe" if b else "no"
        case _ if what in OF_DATA_SETS:
            return "no"
    return "maybe" if b not in (None, UNSET, "", ()) or what == "default" else "no"


def _dtype(a: str, b: str) -> Breaks:
    """As requests are held against a dtype: a number may come in another type as long as its value fits."""
    one, two = np.dtype(a), np.dtype(b)
    if np.can_cast(one, two) and one.kind != "b":
        return "no"
    fits = not (two.kind != "f" and one.kind == "f") and (one.kind == "b") == (two.kind == "b")
    return "maybe" if fits else "yes"


def _shape(a: tuple[int | str, ...], b: tuple[int | str, ...]) -> Breaks:
    if len(a) != len(b):
        return "yes"
    pairs = list(zip(a, b, strict=True))
    if any(isinstance(x, int) and isinstance(y, int) and x != y for x, y in pairs):
        return "yes"
    narrower = any(isinstance(x, str) and isinstance(y, int) for x, y in pairs)
    return "maybe" if narrower else "no"


def _outputs(first: Contract, second: Contract) -> Iterator[Difference]:
    ours, theirs = ({field.name: field for field in contract.outputs} for contract in (first, second))
    for name in [*ours, *(name for name in theirs if name not in ours)]:
        if name not in theirs:
            yield _row(name, "output", "tensor", "removed", "yes")
        elif name not in ours:
            yield _row(name, "output", "", "added: tensor", "no")
        else:
            yield from _answer(ours[name], theirs[name])


def _answer(one: Tensor, two: Tensor) -> Iterator[Difference]:
    """What is promised of an answer may become narrower, and not wider."""
    for what in one.__struct_fields__:
        a, b = getattr(one, what), getattr(two, what)
        if what in ("name", "declared") or a == b:
            continue
        breaks: Breaks = "maybe"
        if what in ("dtype", "labels", "unit") and a:
            breaks = "yes"
        elif what == "shape":
            breaks = "yes" if _shape(a, b) == "yes" else "maybe"
        elif (
            a in (None, UNSET, "")
            or (what == "low" and b is not None and b > a)
            or (what == "high" and b is not None and b < a)
            or (what == "finite" and b)
        ):
            breaks = "no"
        yield _row(one.name, what, a, b, breaks)


def _training(first: Contract, second: Contract) -> Iterator[Difference]:
    """What only training data has: it is no caller's business."""
    ours, theirs = ({column.name: column for column in contract.training_only} for contract in (first, second))
    for name in [*ours, *(name for name in theirs if name not in ours)]:
        if name not in theirs or name not in ours:
            yield _row(name, "training", "column" if name in ours else "", "column" if name in theirs else "removed", "no")
            continue
        yield from (msgspec.structs.replace(one, breaks="no") for one in _members(ours[name], theirs[name], first, second))
    if (first.target and first.target.name) != (second.target and second.target.name):
        yield _row("target", "name", first.target and first.target.name, second.target and second.target.name, "no")


def _rules(first: Contract, second: Contract) -> Iterator[Difference]:
    ours, theirs = first.rules or {}, second.rules or {}
    for name in [*ours, *(name for name in theirs if name not in ours)]:
        if ours.get(name) != theirs.get(name):
            yield _row(name, "rule", ours.get(name), theirs.get(name), "maybe" if name in theirs else "no")
