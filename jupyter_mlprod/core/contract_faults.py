"""What in a contract cannot be meant: limits that nothing could keep, names that are not there, expressions that say nothing.

A contract comes from TOML or from a bundle of somebody else's, so this is asked before a plan is made of it.
"""

import math
from collections.abc import Iterator
from itertools import pairwise

from msgspec import UNSET

from jupyter_mlprod.core.contract import Column, Contract, Expected, Freshness, Input, Rows, Tensor, Text, View, fields_of
from jupyter_mlprod.core.demands import INT_LEAST, INT_MOST, column_types, of_column, whole_limits
from jupyter_mlprod.core.document import did_you_mean
from jupyter_mlprod.core.expression import RuleError, parse
from jupyter_mlprod.core.pattern import pattern_fault
from jupyter_mlprod.core.rows import broken_by
from jupyter_mlprod.core.values import state_of

SHARES_SLACK = 1e-6
LONGEST_TEXT = 1_000_000_000


def contract_faults(contract: Contract) -> tuple[str, ...]:
    """All faults, each in the words of the TOML that declares it."""
    return tuple(_faults(contract))


def _faults(contract: Contract) -> Iterator[str]:
    kinds = {type(field) for field in contract.inputs}
    if len(kinds) > 1:
        yield "the inputs are of different kinds: all of them are tensors, or columns of a table, or one text"
    for field in contract.inputs:
        yield from (f"[inputs.{field.name}] {what}" for what in _of_input(field, contract))
    for column in contract.training_only:
        where = "target" if column is contract.target else f"data.{column.name}"
        yield from (f"[{where}] {what}" for what in _of_column(column, contract, view="training"))
    for output in contract.outputs:
        yield from (f"[outputs.{output.name}] {what}" for what in _of_output(output))
    if not fields_of(contract, "training"):
        yield "every input is of the serving view alone, so that training data have nothing that could be checked"
    types = column_types(contract)
    for name, text in (contract.rules or {}).items():
        try:
            parse(text, types)
        except RuleError as error:
            yield f"[rules] {name}: {error}"
    if contract.freshness:
        yield from _of_freshness(contract.freshness, contract)
    if contract.rows:
        yield from _of_rows(contract.rows)
    if contract.on_violation == "impute":
        yield "on_violation 'impute' needs a default, so it is said of a column"


def _of_input(field: Input, contract: Contract) -> Iterator[str]:
    match field:
        case Tensor():
            if not (field.shape and isinstance(field.shape[0], str)):
                yield 'shape must begin with the name of the batch dimension, such as "batch"'
            if field.sum_to is not UNSET or field.labels is not UNSET:
                yield "sum_to and labels are said of an output"
            yield from _of_tensor(field)
        case Text():
            if field.longest is not None and not 1 <= field.longest <= LONGEST_TEXT:
                yield f"longest is {field.longest}; it lies within 1 and {LONGEST_TEXT:,}"
            yield from _of_action(field.on_violation)
        case Column():
            yield from _of_column(field, contract, view="serving")


def _of_tensor(tensor: Tensor) -> Iterator[str]:
    yield from _of_limits(tensor.low, tensor.high)
    yield from _of_action(tensor.on_violation)
    if tensor.layout and len(tensor.shape) != 4:
        yield f"layout {tensor.layout!r} is of 4 axes, and the shape has {len(tensor.shape)}"
    elif tensor.layout and tensor.channels:
        axis = tensor.layout.index("C")
        if isinstance(tensor.shape[axis], int) and tensor.shape[axis] != len(tensor.channels):
            yield f"channels {tensor.channels!r} are {len(tensor.channels)}, and the shape has {tensor.shape[axis]} on axis {axis}"
    elif tensor.channels:
        yield "channels need a layout, which says on which axis they are"


def _of_action(action: object) -> Iterator[str]:
    if action == "impute":
        yield "on_violation 'impute' is for columns, which can have a default"


def _of_output(output: Tensor) -> Iterator[str]:
    yield from _of_limits(output.low, output.high)
    if output.layout or output.channels or output.on_violation:
        yield "layout, channels and on_violation are said of an input"
    if output.sum_to is not UNSET and not math.isfinite(output.sum_to):
        yield f"sum_to is {output.sum_to}"
    last = output.shape[-1]
    if output.labels is not UNSET and isinstance(last, int) and len(output.shape) > 1 and last not in (len(output.labels), 1):
        yield f"there are {len(output.labels)} labels, and the last axis has {last}"


def _of_limits(low: float | None, high: float | None) -> Iterator[str]:
    limits = {side: limit for side, limit in (("low", low), ("high", high)) if limit is not None}
    yield from (f"{side} is {limit}" for side, limit in limits.items() if not math.isfinite(limit))
    if len(limits) == 2 and limits["low"] > limits["high"]:
        yield f"low {limits['low']:g} is above high {limits['high']:g}"


def _of_column(column: Column, contract: Contract, *, view: View) -> Iterator[str]:
    of_values = (*_of_number_column(column), *_of_text_column(column))
    yield from of_values
    if column.mostly is not UNSET and not 0 < column.mostly <= 1:
        yield f"mostly is {column.mostly:g}; it is a share above 0 and at most 1"
    if column.view and view == "training":
        yield "view 'serving' is for what training data has not"
    yield from _of_actions(column, usable=not of_values)
    yield from _of_age(column, contract, view=view)
    if column.expected:
        yield from (f"expected: {what}" for what in _of_expected(column.expected, column))


def _of_number_column(column: Column) -> Iterator[str]:
    if column.type not in ("float", "int"):
        sides = (side for side, limit in (("low", column.low), ("high", column.high)) if limit is not None)
        yield from (f"{side} does not apply to a column of type {column.type}" for side in sides)
        return
    faults = tuple(_of_limits(column.low, column.high))
    yield from faults
    if column.type == "int" and not faults:
        low, high = whole_limits(column)
        if max(INT_LEAST, INT_LEAST if low is None else low) > min(INT_MOST, INT_MOST if high is None else high):
            yield "no integer of 64 bits lies within low and high"


def _of_text_column(column: Column) -> Iterator[str]:
    said = {
        "categories": bool(column.categories), "pattern": bool(column.pattern), "shortest": column.shortest is not UNSET,
        "longest": column.longest is not UNSET, "unknown_category": bool(column.unknown_category),
    }  # fmt: skip
    if column.type != "string":
        yield from (f"{key} does not apply to a column of type {column.type}" for key, is_said in said.items() if is_said)
        return
    if column.pattern and (fault := pattern_fault(column.pattern)):
        yield f"pattern {fault}"
    shortest, longest = column.shortest or 0, column.longest
    if shortest < 0 or (longest is not UNSET and longest < max(shortest, 1)):
        yield f"shortest is {shortest} and longest {longest}"
    if max(shortest, longest or 0) > LONGEST_TEXT:
        yield f"a length is beyond {LONGEST_TEXT:,} characters, which no text has"
    if column.unknown_category and not column.categories:
        yield "unknown_category needs categories"
    if len(set(column.categories)) < len(column.categories):
        yield "a category is named twice"


def _of_actions(column: Column, *, usable: bool) -> Iterator[str]:
    """``usable`` where the demands on values can be asked of the default."""
    wanted: list[str] = [name for name in ("on_violation", "unknown_category") if getattr(column, name) == "impute"]
    if column.default is UNSET:
        yield from (f"{name} 'impute' needs a default" for name in wanted)
        return
    if not wanted:
        yield "a default is used where on_violation or unknown_category is 'impute'"
    if column.type in ("time", "time_utc") or state_of(column.type, column.default):
        yield f"default {column.default!r} is no value of a column of type {column.type}"
    elif usable and (broken := broken_by(column, column.default)):
        said = of_column(column, "refuse")
        yield f"the default itself breaks the contract: {said[broken[0]].what}"


def _of_age(column: Column, contract: Contract, *, view: View) -> Iterator[str]:
    if column.event_time and not column.max_age:
        yield "event_time needs max_age"
    if not column.max_age:
        return
    event = column.event_time or (contract.freshness.event_time if contract.freshness else "")
    if not event:
        yield "max_age needs to know when the value was measured: say event_time here or in [freshness]"
        return
    yield from _of_moment(event, contract, view=view, what="event_time")
    as_of = contract.freshness.as_of if contract.freshness else ""
    types = column_types(contract)
    if types.get(event) == "time" and not as_of:
        yield f"event_time {event!r} has no time zone, so its age is not known: give it one, or say as_of in [freshness]"
    elif types.get(event) == "time" and view == "serving" and not _always_has(contract, as_of):
        yield (
            f"event_time {event!r} has no time zone, and a request may lack as_of {as_of!r}, so its age is not known: give it one, or make "
            f"{as_of!r} an input that is not nullable"
        )
    if as_of and {types.get(event), types.get(as_of)} == {"time", "time_utc"}:
        yield f"of event_time {event!r} and as_of {as_of!r} one has a time zone and the other has not"


def _always_has(contract: Contract, name: str) -> bool:
    """Whether every request has a value of a column."""
    return any(field.name == name and isinstance(field, Column) and not field.nullable for field in contract.inputs)


def _of_moment(name: str, contract: Contract, *, view: View, what: str) -> Iterator[str]:
    types = {field.name: field.type for field in fields_of(contract, view) if isinstance(field, Column)}
    if name not in types:
        yield f"{what} names no column of the {view} view{did_you_mean(name, list(types)[:20])}"
    elif types[name] not in ("time", "time_utc"):
        yield f"{what} {name!r} is a column of type {types[name]}; a time is wanted"


def _of_freshness(freshness: Freshness, contract: Contract) -> Iterator[str]:
    for what, name in (("event_time", freshness.event_time), ("as_of", freshness.as_of)):
        if name:
            view: View = "serving" if name in {field.name for field in contract.inputs} else "training"
            yield from (f"[freshness] {fault}" for fault in _of_moment(name, contract, view=view, what=what))


def _of_rows(rows: Rows) -> Iterator[str]:
    given = {name: getattr(rows, name) for name in rows.__struct_fields__ if getattr(rows, name) is not None}
    yield from (f"[rows] {name} is {value}" for name, value in given.items() if value < 1)
    if rows.at_least is not None and rows.at_most is not None and rows.at_least > rows.at_most:
        yield f"[rows] at_least {rows.at_least:,} is above at_most {rows.at_most:,}"


def _of_expected(expected: Expected, column: Column) -> Iterator[str]:
    numbers = column.type in ("float", "int")
    if not numbers and column.type not in ("string", "bool"):
        yield f"it does not apply to a column of type {column.type}"
        return
    if numbers != bool(expected.edges) or numbers == bool(expected.values):
        yield "edges are for numbers, values for strings and truth values"
        return
    wanted = len(expected.edges) + 1 if numbers else len(expected.values)
    if len(expected.shares) != wanted:
        yield f"there are {len(expected.shares)} shares, {wanted} are wanted"
    if any(not a < b for a, b in pairwise(expected.edges)) or not all(map(math.isfinite, expected.edges)):
        yield "edges ascend and are finite"
    total = math.fsum(expected.shares)
    if not all(0 <= share <= 1 for share in expected.shares) or total > 1 + SHARES_SLACK or (numbers and total < 1 - SHARES_SLACK):
        yield f"shares lie within 0 and 1 and sum to {'1' if numbers else 'at most 1'}, here to {total:g}"
    if not 0 <= expected.at_most <= 1:
        yield f"at_most is {expected.at_most:g}; it is a distance from 0 to 1"
