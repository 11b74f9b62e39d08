"""What a contract demands, one demand for each thing that can be broken, and what every word of it means.

Two back ends hold data against these demands, `rows.py` a few rows of a request and the frames adapter whole data sets; they must agree on
every row, and this page is what they agree on. Of a column, a value is looked at in this order, and the first that applies ends it:

1. *present*: the row has no such key; a whole table breaks it once, for all of its rows.
2. null: None, NaN of a float, NaT and pandas.NA are null, and no other object is. It breaks *null* unless the column is nullable, and
   nothing else.
3. *type*: float takes numbers, int takes integers, neither takes truth values; bool takes truth values; string takes str; time takes
   datetimes without and time_utc those with a zone, and a date is its midnight without one.
4. *exact*: an integer that is beyond 2^53 in a float column, or beyond 64 bits in an int column. *unicode*: half a surrogate pair.
5. The rest, each by itself: *finite*, *low*, *high* (a float32 is compared as the float64 that it is), *category*, *pattern* (found in the
   text, which has at most `pattern.LONGEST_MATCHED` characters), *shortest*, *longest*, *unique* (this value is that of an earlier row;
   0.0 and -0.0 are one, and so are times of one moment), *stale*.

*stale* holds where the value is null; else its event time must be there and lie at most ``max_age`` before the moment of use. *future* is
about the event time: it lies after ``as_of``, or more than `CLOCK_SKEW_S` after now. The moment of use is ``as_of`` or, where the row has
none, now; an event time without a zone is held against ``as_of`` alone, because nobody knows which moment it is. A *rule* is broken where
its expression is false.
*distribution* is about a whole data set, so `rows.py` does not ask it: a request has none (see `expected.py`).
"""

import re
from typing import Literal

import msgspec
from msgspec import UNSET

from jupyter_mlprod.core.contract import Action, Column, ColumnType, Contract, Input, Rows, Tensor, Text, View, fields_of
from jupyter_mlprod.core.duration import seconds
from jupyter_mlprod.core.expression import Term, columns_in, parse

Check = Literal[
    "present", "unknown", "rows", "dtype", "shape", "layout", "null", "type", "exact", "unicode", "finite", "low", "high", "category",
    "pattern", "shortest", "longest", "unique", "stale", "future", "rule", "sum", "distribution",
    "decode", "run", "prepared", "joined", "skew", "label", "id", "shared", "overlap",
]  # fmt: skip
"""The last nine are not demands of a contract: `check` finds them by other means, and tells them in the same words."""
Kind = Literal["schema", "freshness", "quality", "parity", "skew", "leakage"]
STRUCTURAL: frozenset[Check] = frozenset({"present", "unknown", "rows", "dtype", "shape", "layout", "type", "exact", "unicode"})
"""What cannot be let pass, because nothing could be computed on it; no part of the rows may break it either."""

CLOCK_SKEW_S = 300
FLOAT_EXACT = 2**53
INT_LEAST, INT_MOST = -(2**63), 2**63 - 1
NO = {
    "float": "numbers", "int": "integers", "bool": "truth values", "string": "strings", "time": "times without a zone",
    "time_utc": "times with a zone",
}  # fmt: skip
TOO_LARGE = {"float": "integers beyond 2^53, which float64 rounds", "int": "integers beyond 64 bits"}


class Demand(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that can be broken.

    Attributes
    ----------
    field : name of the column, tensor or rule; empty for the rows as a whole
    what : the beginning of a sentence, such as "column 'age' is above 120 years"
    mostly : share of the rows of a data set that must keep it
    action : what happens to a request that breaks it
    """

    field: str
    check: Check
    what: str
    kind: Kind = "schema"
    mostly: float = 1.0
    action: Action = "refuse"


class ColumnPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A column and its demands, in the order of the list above; `AgePlan` holds *stale* and *future*."""

    column: Column
    demands: dict[Check, Demand]


class AgePlan(msgspec.Struct, frozen=True, kw_only=True):
    """How old a value may be, or, without ``max_age_s``, that an event time may not lie ahead.

    Attributes
    ----------
    as_of : the column that says when the row is used; empty for now
    by_clock : whether the event time can be compared with now
    """

    column: str
    event_time: str
    as_of: str
    by_clock: bool
    demand: Demand
    max_age_s: int | None = None


class RulePlan(msgspec.Struct, frozen=True, kw_only=True):
    """A rule, read, and the columns that it looks at."""

    term: Term
    columns: tuple[str, ...]
    demand: Demand


class TensorPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A tensor and its demands; those after *dtype* and *shape* are looked at where the two hold."""

    tensor: Tensor
    demands: dict[Check, Demand]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """All demands of one view of a contract; a text is a column of strings here."""

    view: View
    columns: tuple[ColumnPlan, ...]
    tensors: tuple[TensorPlan, ...]
    ages: tuple[AgePlan, ...]
    rules: tuple[RulePlan, ...]
    rows: Rows
    action: Action


def plan_of(contract: Contract, view: View = "serving", *, clock: bool) -> Plan:
    """The demands of a view.

    Parameters
    ----------
    clock : whether there is a now; without one, age is demanded only where the rows say when they were used

    Raises
    ------
    expression.RuleError : a rule that cannot be read, which `contract_faults` tells beforehand.
    """
    fields = fields_of(contract, view)
    columns = [field for field in map(_as_column, fields) if isinstance(field, Column)]
    action = contract.on_violation or "refuse"
    word = "input" if contract.is_text else "column"
    return Plan(
        view=view,
        columns=tuple(ColumnPlan(column=column, demands=of_column(column, action, word=word)) for column in columns),
        tensors=tuple(TensorPlan(tensor=field, demands=of_tensor(field, action)) for field in fields if isinstance(field, Tensor)),
        ages=_ages(contract, columns, action, clock=clock),
        rules=_rules(contract, columns, action),
        rows=contract.rows or Rows(),
        action=action,
    )


def action_of(field: Input, check: Check, default: Action) -> Action:
    """What happens to a request that breaks a demand on a field."""
    action = field.on_violation or default
    if isinstance(field, Column) and check == "category":
        action = field.unknown_category or action
    if action == "impute" and not (isinstance(field, Column) and field.default is not UNSET):
        return "refuse"
    return "refuse" if action == "pass" and check in STRUCTURAL else action


def _as_column(field: Input) -> Input:
    """A text as the column that it is."""
    if not isinstance(field, Text):
        return field
    longest = UNSET if field.longest is None else field.longest
    return Column(name=field.name, type="string", longest=longest, pii=field.pii, on_violation=field.on_violation)


def of_column(column: Column, default: Action, *, word: str = "column") -> dict[Check, Demand]:
    """The demands of one column, but for those on ages."""
    name, unit = f"{word} {column.name!r}", f" {column.unit}" if column.unit else ""
    said: dict[Check, str] = {"present": f"{name} is missing"}
    if not column.nullable:
        said["null"] = f"{name} is null"
    said["type"] = f"{name} holds values that are no {NO[column.type]}"
    if column.type in TOO_LARGE:
        said["exact"] = f"{name} holds {TOO_LARGE[column.type]}"
    if column.type == "string":
        said["unicode"] = f"{name} holds half of a surrogate pair, which is no character"
    if column.type == "float":
        said["finite"] = f"{name} is infinite"
    low, high = whole_limits(column)
    if low is not None:
        said["low"] = f"{name} is below {column.low:g}{unit}"
    if high is not None:
        said["high"] = f"{name} is above {column.high:g}{unit}"
    if column.categories:
        said["category"] = f"{name} is none of its {len(column.categories):,} categories"
    if column.pattern:
        said["pattern"] = f"{name} does not match {column.pattern!r}"
    if column.shortest is not UNSET:
        said["shortest"] = f"{name} is shorter than {column.shortest:,} characters"
    if column.longest is not UNSET:
        said["longest"] = f"{name} is longer than {column.longest:,} characters"
    if column.unique:
        said["unique"] = f"{name} repeats a value of an earlier row"
    return {check: demand_on(column, check, what, default) for check, what in said.items()}


def of_tensor(tensor: Tensor, default: Action, *, word: str = "input") -> dict[Check, Demand]:
    """The demands of one tensor."""
    name, unit = f"{word} {tensor.name!r}", f" {tensor.unit}" if tensor.unit else ""
    said: dict[Check, str] = {
        "present": f"{name} is missing",
        "dtype": f"{name} does not fit {tensor.dtype}",
        "shape": f"{name} does not have the shape ({', '.join(map(str, tensor.shape))})",
    }
    if tensor.layout:
        colors = f"{len(tensor.channels)} channels ({tensor.channels})" if tensor.channels else "1, 3 or 4 channels"
        said["layout"] = f"{name} does not have {colors} on axis {tensor.layout.index('C')}, as {tensor.layout} says"
    if tensor.finite and tensor.dtype.startswith("float"):
        said["finite"] = f"{name} holds NaN or infinity"
    if tensor.low is not None:
        said["low"] = f"{name} is below {tensor.low:g}{unit}"
    if tensor.high is not None:
        said["high"] = f"{name} is above {tensor.high:g}{unit}"
    if tensor.sum_to is not UNSET:
        said["sum"] = f"{name} does not sum to {tensor.sum_to:g}"
    return {check: demand_on(tensor, check, what, default) for check, what in said.items()}


def demand_on(field: Input, check: Check, what: str, default: Action, *, kind: Kind = "schema") -> Demand:
    """A demand on a field, with the field's own tolerance and action."""
    mostly = field.mostly if isinstance(field, Column) and field.mostly is not UNSET and check not in STRUCTURAL else 1.0
    return Demand(field=field.name, check=check, what=what, kind=kind, mostly=mostly, action=action_of(field, check, default))


def _ages(contract: Contract, columns: list[Column], default: Action, *, clock: bool) -> tuple[AgePlan, ...]:
    """Ages first, then the event times; an ``as_of`` that the view lacks is now."""
    known = {column.name: column for column in columns}
    given = contract.freshness
    as_of = given.as_of if given and given.as_of in known else ""
    if not as_of and not clock:
        return ()
    plans = []
    events = [given.event_time] if given and given.event_time in known else []
    for column in columns:
        event = column.event_time or (given.event_time if given else "")
        if column.max_age and event in known:
            what = f"column {column.name!r} is older than {column.max_age}, or of unknown age,"
            demand = demand_on(column, "stale", what, default, kind="freshness")
            plans.append(_age(column.name, known[event], as_of, demand=demand, max_age_s=seconds(column.max_age)))
            events += [event] if event not in events else []
    for event in events:
        what = f"column {event!r} lies after {as_of!r}" if as_of else f"column {event!r} lies in the future"
        plans.append(_age(event, known[event], as_of, demand=demand_on(known[event], "future", what, default, kind="freshness")))
    return tuple(plan for plan in plans if plan.as_of or plan.by_clock)


def _age(column: str, event: Column, as_of: str, *, demand: Demand, max_age_s: int | None = None) -> AgePlan:
    return AgePlan(column=column, event_time=event.name, as_of=as_of, by_clock=event.type == "time_utc", demand=demand, max_age_s=max_age_s)


def _rules(contract: Contract, columns: list[Column], default: Action) -> tuple[RulePlan, ...]:
    """The rules whose columns the view has."""
    types = column_types(contract)
    here = {column.name for column in columns}
    plans = []
    for name, text in (contract.rules or {}).items():
        term = parse(text, types)
        if columns_in(term) <= here:
            action: Action = "refuse" if default == "impute" else default
            demand = Demand(field=name, check="rule", what=f"rule {name!r} is broken ({text.strip()})", action=action)
            plans.append(RulePlan(term=term, columns=tuple(sorted(columns_in(term))), demand=demand))
    return tuple(plans)


def column_types(contract: Contract) -> dict[str, ColumnType]:
    """Type by name of every column of either view."""
    return {field.name: field.type for field in (*contract.inputs, *contract.training_only) if isinstance(field, Column)}


def types_read(contract: Contract) -> dict[str, ColumnType]:
    """What the columns of a file of texts alone are read as, which are a text as well."""
    return column_types(contract) | {field.name: "string" for field in contract.inputs if isinstance(field, Text)}


def compiled(column: Column) -> re.Pattern[str] | None:
    """The pattern of a column."""
    return re.compile(column.pattern) if column.pattern else None


def whole_limits(column: Column) -> tuple[int | float | None, int | float | None]:
    """The limits as what values are compared with: of an int column the nearest integers within them, so that no integer is rounded; none
    of a column that holds no numbers.
    """
    if column.type == "float":
        return None if column.low is None else float(column.low), None if column.high is None else float(column.high)
    if column.type != "int":
        return None, None
    low = None if column.low is None else -int(-column.low // 1)
    high = None if column.high is None else int(column.high // 1)
    return low, high
