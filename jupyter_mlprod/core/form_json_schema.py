"""One record of a contract's serving view as JSON Schema (draft 2020-12), and what of the contract that cannot say.

Where both can speak they say the same: a record that this schema refuses breaks the contract. What only mlprod reads stands in
annotations that begin with ``x-``, which every validator passes over.
"""

from typing import Any

import numpy as np
from msgspec import UNSET

from jupyter_mlprod.core.contract import Action, Column, Contract, Input, Tensor, Text
from jupyter_mlprod.core.demands import INT_LEAST, INT_MOST, whole_limits
from jupyter_mlprod.core.pattern import LONGEST_MATCHED
from jupyter_mlprod.core.record import digest

DIALECT = "https://json-schema.org/draft/2020-12/schema"
DAY = r"(?:[0-9]{4}-?(?:0[1-9]|1[0-2])-?(?:0[1-9]|[12][0-9]|3[01])|[0-9]{4}-?W[0-5][0-9](?:-?[1-7])?)"
CLOCK = r"(?:[01][0-9]|2[0-4])(?::?[0-5][0-9](?::?[0-5][0-9](?:[.,][0-9]+)?)?)?"
ZONE = r"(?:Z|[+-](?:[01][0-9]|2[0-3])(?::?[0-5][0-9](?::?[0-5][0-9](?:[.,][0-9]+)?)?)?)"
NAIVE, AWARE = rf"^{DAY}(?:[\s\S]{CLOCK})?$", rf"^{DAY}[\s\S]{CLOCK}{ZONE}$"
"""ISO 8601 as requests are read: never stricter. The format ``date-time`` of JSON Schema would be, which demands seconds."""
ONLY_PYTHON = ("(?P", "(?#", "\\A", "\\Z", "(?i", "(?a", "(?s", "(?m", "(?x", "(?L", "(?u", "(?-", "++", "*+", "?+", "}+", "(?>")
"""Parts of a pattern that ECMA 262, whose patterns JSON Schema has, reads otherwise or not at all."""


def json_schema(contract: Contract) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The schema, and one line for each thing that it leaves unsaid."""
    properties = {field.name: _field(field) for field in contract.inputs}
    schema: dict[str, Any] = {
        "$schema": DIALECT,
        "title": "one row of a request",
        "x-contract": digest(contract),
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": contract.is_table,
    }
    return schema, _unsaid(contract)


def _field(field: Input) -> dict[str, Any]:
    match field:
        case Column():
            said = _column(field)
        case Text():
            said = {"type": "string"} | ({} if field.longest is None else {"maxLength": field.longest})
        case Tensor():
            said = _tensor(field)
    notes = {"unit": getattr(field, "unit", ""), "pii": field.pii, "on-violation": field.on_violation}
    return said | {f"x-{key}": value for key, value in notes.items() if value}


def _column(column: Column) -> dict[str, Any]:
    said = _typed(column)
    if column.nullable:
        said["type"] = [said["type"], "null"]
        if "enum" in said:
            said["enum"] = [*said["enum"], None]
    if column.default is not UNSET:
        said["default"] = column.default
    notes = {"unknown-category": column.unknown_category, "max-age": column.max_age}
    return said | {f"x-{key}": value for key, value in notes.items() if value}


def _typed(column: Column) -> dict[str, Any]:
    low, high = whole_limits(column)
    match column.type:
        case "float":
            limits = {"minimum": low, "maximum": high}
            return {"type": "number"} | {key: value for key, value in limits.items() if value is not None}
        case "int":
            least, most = INT_LEAST if low is None else low, INT_MOST if high is None else high
            return {"type": "integer", "minimum": max(least, INT_LEAST), "maximum": min(most, INT_MOST)}
        case "bool":
            return {"type": "boolean"}
        case "time":
            return {"type": "string", "pattern": NAIVE, "x-type": "time without a zone"}
        case "time_utc":
            return {"type": "string", "pattern": AWARE, "x-type": "moment with a zone"}
        case "string":
            return _string(column)


def _string(column: Column) -> dict[str, Any]:
    said: dict[str, Any] = {"type": "string"}
    longest = [n for n in (column.longest, LONGEST_MATCHED if column.pattern else UNSET) if n is not UNSET]
    said |= {"enum": list(column.categories)} if column.categories else {}
    said |= {"pattern": column.pattern} if column.pattern else {}
    said |= {"minLength": column.shortest} if column.shortest is not UNSET else {}
    return said | ({"maxLength": min(longest)} if longest else {})


def _tensor(tensor: Tensor) -> dict[str, Any]:
    """Nested arrays over the axes after the batch; a size that has a name may be any."""
    kind = np.dtype(tensor.dtype).kind
    said: dict[str, Any] = {"type": {"f": "number", "b": "boolean"}.get(kind, "integer")}
    if kind != "b":
        info = np.finfo(tensor.dtype) if kind == "f" else np.iinfo(tensor.dtype)
        whole = kind != "f"
        if whole or tensor.low is not None:
            said["minimum"] = tensor.low if tensor.low is not None else int(info.min)
        if whole or tensor.high is not None:
            said["maximum"] = tensor.high if tensor.high is not None else int(info.max)
    for size in reversed(tensor.shape[1:]):
        fixed = {"minItems": size, "maxItems": size} if isinstance(size, int) else {"x-dimension": size}
        said = {"type": "array", "items": said, **fixed}
    notes = {"dtype": tensor.dtype, "layout": tensor.layout, "channels": tensor.channels}
    return said | {f"x-{key}": value for key, value in notes.items() if value}


def _unsaid(contract: Contract) -> tuple[str, ...]:
    """One line for each thing that JSON Schema cannot say of one record."""
    columns = [field for field in contract.inputs if isinstance(field, Column)]
    lines = [f"rule {name!r}: JSON Schema compares no two fields" for name in contract.rules or {}]
    lines += ["freshness: JSON Schema knows no time of use"] if contract.freshness or any(column.max_age for column in columns) else []
    lines += [f"{column.name}: unique is about several rows" for column in columns if column.unique]
    lines += [f"{column.name}: mostly is about a data set" for column in columns if column.mostly is not UNSET]
    lines += [f"{column.name}: the expected distribution is about a data set" for column in columns if column.expected]
    python = [column for column in columns if column.pattern and any(part in column.pattern for part in ONLY_PYTHON)]
    lines += [f"{column.name}: the pattern is Python's, and other readers of JSON Schema may read it otherwise" for column in python]
    exact = [column.name for column in columns if column.type == "float"]
    lines += [f"integers beyond 2^53 are no floats here, and JSON Schema lets them pass: {', '.join(exact[:5])}"] if exact else []
    whole = [column.name for column in columns if column.type == "int"]
    lines += [f"JSON Schema takes 1.0 for an integer, and a request may not hold it: {', '.join(whole[:5])}"] if whole else []
    times = [column.name for column in columns if column.type in ("time", "time_utc")]
    lines += [f"JSON Schema knows no calendar, and takes 30 February and 24:00: {', '.join(times[:5])}"] if times else []
    lines += [f"{name}: requests that break it are answered all the same, and refused by this schema" for name in _answered(contract)]
    tensors = [field.name for field in contract.inputs if isinstance(field, Tensor)]
    lines += [f"tensors are sent as arrays, and the schema shows a row of one: {', '.join(tensors[:5])}"] if tensors else []
    lines += ["rows: JSON Schema sees one record"] if contract.rows else []
    lines += ["outputs: the schema is of what is asked"] if contract.outputs else []
    named = {size for field in contract.inputs if isinstance(field, Tensor) for size in field.shape[1:] if isinstance(size, str)}
    lines += [f"dimensions of the same name are equal ({', '.join(sorted(named))}): JSON Schema cannot compare sizes"] if named else []
    return tuple(lines)


def _answered(contract: Contract) -> list[str]:
    """The inputs that are imputed or let pass where a request breaks a demand on them."""
    kind: tuple[Action, ...] = ("impute", "pass")
    default = contract.on_violation or "refuse"
    told = [
        (field.name, {field.on_violation or default, *([field.unknown_category] if isinstance(field, Column) else [])})
        for field in contract.inputs
    ]
    return [name for name, actions in told if actions & set(kind)]
