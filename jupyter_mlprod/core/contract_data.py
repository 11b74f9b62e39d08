"""The contract that data shows by itself: names, types, shapes and where nulls are. Nothing else is in force until a person says so.

What has no type in a contract (mixed objects, durations, bytes) is left out and told, rather than taken for something that it is not.
"""

import datetime
from collections.abc import Iterable, Mapping

import msgspec
import numpy as np

from jupyter_mlprod.core.arrays import nulls, plain_values
from jupyter_mlprod.core.contract import DTYPES, Column, ColumnType, Contract, Input, Tensor, Text
from jupyter_mlprod.core.contract_toml import Read
from jupyter_mlprod.core.document import did_you_mean
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.infer import TENSOR, TEXT
from jupyter_mlprod.core.mixed import Odd, type_name
from jupyter_mlprod.core.raw import Array, Raw, object_array
from jupyter_mlprod.core.values import is_null

KINDS: dict[str, ColumnType] = {"f": "float", "i": "int", "u": "int", "b": "bool", "U": "string", "M": "time"}
MOST_TOLD = 20
PLURALS = {"list": "lists", "tuple": "lists", "ndarray": "lists", "dict": "dicts"}


def contract_of_data(raw: Raw, *, target: str = "") -> Read:
    """Names, types and nulls.

    Parameters
    ----------
    raw : (rows, ...) array, or a mapping of name to (rows, ...) array
    target : the column that training data has and a request has not

    Raises
    ------
    MlprodError : ``bad-data`` when there are no rows, or nothing in them has a type; ``bad-request`` for a target that is not there.
    """
    if not isinstance(raw, Mapping):
        if target:
            raise MlprodError(Code.BAD_REQUEST, f"--target {target[:80]!r} names a column, and the data are one array without columns")
        _need_rows([raw])
        return Read(contract=Contract(inputs=(_single(raw),), outputs=()))
    _need_rows(raw.values())
    if target and target not in raw:
        raise MlprodError(Code.BAD_REQUEST, f"--target {target[:80]!r} is no column of the data{did_you_mean(target, list(raw)[:20])}")
    inputs = {name: array for name, array in raw.items() if name != target}
    is_table = all(np.ndim(array) == 1 for array in inputs.values())
    made = {name: column_of(name, array) if is_table else _tensor(name, array) for name, array in inputs.items()}
    label = column_of(target, raw[target]) if target else None
    if isinstance(label, str):
        raise MlprodError(Code.BAD_DATA, f"the target cannot be told: {label}")
    fields = tuple(field for field in made.values() if not isinstance(field, str))
    left = [why for why in made.values() if isinstance(why, str)]
    if not fields:
        raise MlprodError(Code.BAD_DATA, "\n".join(left[:MOST_TOLD]) or "the data have no column besides the target")
    return Read(contract=Contract(inputs=fields, outputs=(), target=label), left_out=tuple(left))


def framed(raw: Raw, *, target: str = "") -> Raw:
    """The columns of a frame, where lists beside single values are no tensor: a column of them holds nothing that a contract has.

    A frame of nothing but lists of one length, besides the target, stays a mapping of tensors.
    """
    if not isinstance(raw, Mapping) or all(np.ndim(array) > 1 for name, array in raw.items() if name != target):
        return raw
    return {name: object_array([Odd(kind="list")] * len(array)) if np.ndim(array) > 1 else array for name, array in raw.items()}


def _need_rows(arrays: Iterable[Array]) -> None:
    sizes = [len(array) if np.ndim(array) else 0 for array in arrays]
    if not sizes or not max(sizes):
        raise MlprodError(Code.BAD_DATA, "the data have no rows, so they show nothing")
    if len(set(sizes)) > 1:
        raise MlprodError(Code.BAD_DATA, f"the columns differ in rows: {', '.join(map(str, sorted(set(sizes))[:5]))}")


def _single(array: Array) -> Input:
    if array.ndim == 1 and array.dtype.kind in "UO":
        column = column_of(TEXT, array)
        if isinstance(column, Column) and column.type == "string":
            return Text(name=TEXT)
    found = _tensor(TENSOR, array)
    if isinstance(found, str):
        raise MlprodError(Code.BAD_DATA, found)
    return found


def _tensor(name: str, array: Array) -> Tensor | str:
    if array.dtype.name not in DTYPES or not array.ndim:
        return f"{name!r} has dtype {array.dtype}; a tensor holds real numbers or truth values"
    return Tensor(name=name, dtype=array.dtype.name, shape=("batch", *array.shape[1:]))


def column_of(name: str, array: Array) -> Column | str:
    """The column that values show, or why they show none; no value is told."""
    kind: ColumnType | str
    if array.dtype.kind == "O":
        kind = _of_objects(plain_values(array))
    else:
        kind = KINDS.get(array.dtype.kind, f"dtype {array.dtype}, which a column of a contract does not have")
    if kind not in ("float", "int", "bool", "string", "time", "time_utc"):
        return f"column {name!r} is left out: it holds {kind}"
    return Column(name=name, type=msgspec.convert(kind, ColumnType), nullable=bool(nulls(array).any()))


def _of_objects(values: list[object]) -> str:
    """The one type of all values that are not null; else their types, in words."""
    found = {_kind(value) for value in values if not is_null(value)}
    if found == {"int", "float"}:
        return "float"
    if len(found) == 1:
        return found.pop()
    return f"a mixture of {', '.join(sorted(found))}" if found else "nothing but nulls"


def _kind(value: object) -> str:
    match value:
        case bool():
            return "bool"
        case int():
            return "int"
        case float():
            return "float"
        case str():
            return "string"
        case datetime.datetime():
            return "time" if value.tzinfo is None else "time_utc"
        case datetime.date():
            return "time"
    kind = type_name(value)
    return PLURALS.get(kind, f"values of type {kind}")
