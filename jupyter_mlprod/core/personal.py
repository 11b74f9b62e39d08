"""What lies at rest in place of personal data: synthesized values that keep the contract and come from no person.

They depend on the contract alone and not on the values they stand for, so that nothing about those can be read off them: no null, no
length, no order.
"""

import datetime
from collections.abc import Iterator, Mapping

import numpy as np

from jupyter_mlprod.core.contract import Column, Contract, Input, Tensor, Text, is_personal
from jupyter_mlprod.core.raw import Array, Raw, object_array, rows

SEED = 0


def at_rest(contract: Contract, raw: Raw) -> Raw:
    """The batch with every input that the contract calls personal synthesized.

    Parameters
    ----------
    raw : (batch, ...) array, or a mapping of input name to (batch, ...) array, that keeps the contract
    """
    fields = {field.name: field for field in contract.inputs}
    if not isinstance(raw, Mapping):
        return _kept(contract.inputs[0], raw, n=len(raw))
    made = {name: _kept(fields[name], array, n=rows(raw)) if name in fields else array for name, array in raw.items()}
    return made | {name: raw[other] for name, other in _as_old_as(contract) if name in raw and other in raw}


def _as_old_as(contract: Contract) -> Iterator[tuple[str, str]]:
    """A personal time, and one that is not personal, at which it may be set: made up by itself, it would be too old or not yet there."""
    as_of = contract.freshness.as_of if contract.freshness else ""
    fields = {field.name: field for field in contract.inputs}
    if as_of not in fields:
        return
    events = {contract.freshness.event_time if contract.freshness else ""}
    events |= {str(field.event_time) for field in contract.inputs if isinstance(field, Column) and field.event_time}
    for event in sorted(events & set(fields)):
        if is_personal(fields[event]) and not is_personal(fields[as_of]):
            yield event, as_of
        elif is_personal(fields[as_of]) and not is_personal(fields[event]):
            yield as_of, event


def _kept(field: Input, array: Array, *, n: int) -> Array:
    if not is_personal(field):
        return array
    match field:
        case Tensor():
            return _numbers(field, array)
        case Column(type="bool"):
            return np.asarray(np.arange(n) % 2 == 1)
        case Column(type="time"):
            return _days(n)
        case Column(type="time_utc"):
            return object_array([day.replace(tzinfo=datetime.UTC) for day in _days(n).tolist()])
        case Column(type="string") | Text():
            return np.array(_words(field, n))
        case Column():
            return _numbers(field, array)


def _days(n: int) -> Array:
    """A day after the other."""
    return np.asarray(np.datetime64("2000-01-01", "us") + np.arange(n) * np.timedelta64(1, "D"))


def _words(field: Column | Text, n: int) -> list[str]:
    """Categories in turn, or the class of data and a number."""
    if isinstance(field, Column) and field.categories:
        return [field.categories[index % len(field.categories)] for index in range(n)]
    longest = field.longest if isinstance(field, Text) else None
    return [f"{index + 1} {field.pii}"[:longest] for index in range(n)]


def _numbers(field: Tensor | Column, array: Array) -> Array:
    """Evenly drawn between the limits; without a limit, over one unit beside the other one."""
    low = field.low if field.low is not None else (field.high - 1 if field.high is not None else 0.0)
    high = field.high if field.high is not None else low + 1
    drawn = np.random.default_rng(SEED).uniform(low, high, size=array.shape)
    if array.dtype.kind == "O":  # numbers among which some are null
        array = np.empty(0, np.int64 if isinstance(field, Column) and field.type == "int" else np.float64)
    if array.dtype.kind in "iu":
        drawn = np.clip(np.round(drawn), np.ceil(low), np.floor(high))
    if array.dtype.kind == "b":
        return drawn > (low + high) / 2
    return drawn.astype(array.dtype)
