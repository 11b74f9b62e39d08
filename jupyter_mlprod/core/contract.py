"""Contract: what inputs and outputs may look like.

An input is a tensor, a table column or a text. The *serving* view is the inputs; the *training* view adds the target. A shape holds
integers and names: a name is a dimension that may vary between requests but is equal wherever it appears.
"""

import math
from collections.abc import Iterable
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from jupyter_mlprod.core.document import did_you_mean
from jupyter_mlprod.core.record import Record

DTYPES = (
    "float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool",
)  # fmt: skip
ColumnType = Literal["float", "int", "bool", "string"]


class Tensor(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="tensor", forbid_unknown_fields=True):
    """One tensor. ``low`` and ``high`` are inclusive and in ``unit``; ``pii`` says which personal data it shows, such as ``face``."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]
    low: float | None = None
    high: float | None = None
    finite: bool = True
    unit: str = ""
    pii: str | UnsetType = UNSET

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise ValueError(f"tensor {self.name!r} has dtype {self.dtype!r}; one of {', '.join(DTYPES)} is expected")


class Column(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="column", forbid_unknown_fields=True):
    """One table column. ``low`` and ``high`` are inclusive and in ``unit``; ``categories`` limits strings.

    ``pii`` is the class of personal data that it holds, such as ``name`` or ``email``; its values are kept out of what lies at rest.
    """

    name: str
    type: ColumnType
    nullable: bool = False
    low: float | None = None
    high: float | None = None
    categories: tuple[str, ...] = ()
    unit: str = ""
    pii: str | UnsetType = UNSET


class Text(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="text", forbid_unknown_fields=True):
    """One string a row, of at most ``longest`` characters."""

    name: str
    longest: int | None = None
    pii: str | UnsetType = UNSET


Input = Tensor | Column | Text


class Contract(Record, frozen=True, kw_only=True, tag="contract/1"):
    """Inputs (tensors, columns of a table, or one text, never mixed), outputs, and the target of the training view."""

    inputs: tuple[Input, ...]
    outputs: tuple[Tensor, ...]
    target: Column | None = None

    def __post_init__(self) -> None:
        names = [field.name for field in self.inputs]
        if not self.inputs or not self.outputs or len(set(names)) < len(names):
            raise ValueError(f"a contract has inputs of different names, and outputs: {names[:20]}, {len(self.outputs)} outputs")

    @property
    def is_text(self) -> bool:
        return any(isinstance(field, Text) for field in self.inputs)

    @property
    def personal(self) -> tuple[str, ...]:
        """The inputs that hold personal data."""
        return tuple(field.name for field in self.inputs if field.pii)

    @property
    def is_table(self) -> bool:
        return any(isinstance(field, Column) for field in self.inputs)


class FieldEdit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a person may declare about one input in ``contract.toml``; the rest is read off the example."""

    low: float | None = None
    high: float | None = None
    finite: bool | None = None
    nullable: bool | None = None
    categories: tuple[str, ...] | None = None
    unit: str | None = None
    shape: tuple[int | str, ...] | None = None
    longest: int | None = None
    pii: str | None = None


class DataEdit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person may declare about a column of the training data that is no input: which personal data it holds."""

    pii: str


class ContractEdit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The document ``contract.toml``: ``[inputs.NAME]`` tables, and ``[data.COLUMN]`` tables.

    The latter are about the snapshot alone: a request has no such column, so the contract that is stored does not name it.
    """

    inputs: dict[str, FieldEdit] = {}
    data: dict[str, DataEdit] = {}

    @property
    def personal(self) -> tuple[str, ...]:
        """Inputs and columns of the training data that hold personal data."""
        return (*(name for name, field in self.inputs.items() if field.pii), *self.data)


def data_faults(edit: ContractEdit, *, inputs: Iterable[str], columns: Iterable[str]) -> tuple[str, ...]:
    """What is declared about columns of the training data and cannot be meant.

    Parameters
    ----------
    inputs : names of the example's columns
    columns : those of the training data; none when none was named
    """
    inputs, columns = set(inputs), tuple(columns)
    faults = []
    for name, field in edit.data.items():
        if name in inputs:
            faults.append(f"[data.{name}] is an input, whose golden samples would stay real: write [inputs.{name}]")
        elif name not in columns:
            known = did_you_mean(name, columns[:20]) if columns else ": there is none, --data names it"
            faults.append(f"[data.{name}] names no column of the training data{known}")
        elif not field.pii:
            faults.append(f'[data.{name}] pii is empty; it is the class of personal data, such as "email"')
    return tuple(faults)


def edited(contract: Contract, edit: ContractEdit) -> tuple[Contract, tuple[str, ...]]:
    """The contract with a person's declarations laid over it, and the faults found on the way.

    A single tensor or text has no name of its own, so one declared name becomes its name.
    """
    inputs = contract.inputs
    if not contract.is_table and len(inputs) == 1 and len(edit.inputs) == 1:
        inputs = (msgspec.structs.replace(inputs[0], name=next(iter(edit.inputs))),)
    known = {field.name for field in inputs}
    faults = [f"[inputs.{name}] names no input; the example has {', '.join(sorted(known))}" for name in edit.inputs if name not in known]
    result: list[Input] = []
    for field in inputs:
        declared = msgspec.to_builtins(edit.inputs.get(field.name, FieldEdit()))
        allowed = set(field.__struct_fields__)
        faults += [
            f"[inputs.{field.name}] {key} does not apply to a {type(field).__name__.lower()}" for key in declared if key not in allowed
        ]
        declared = {key: tuple(value) if isinstance(value, list) else value for key, value in declared.items()}
        result.append(msgspec.structs.replace(field, **{k: v for k, v in declared.items() if k in allowed}))
        faults += _limit_faults(result[-1])
    return msgspec.structs.replace(contract, inputs=tuple(result)), tuple(faults)


def _limit_faults(field: Input) -> list[str]:
    """Limits that no value could break, or that no value could keep."""
    if isinstance(field, Text):
        return [f"[inputs.{field.name}] longest is {field.longest}"] if field.longest is not None and field.longest < 1 else []
    if isinstance(field, Tensor) and not (field.shape and isinstance(field.shape[0], str)):
        return [f'[inputs.{field.name}] shape must begin with the name of the batch dimension, such as "batch"']
    limits = {side: limit for side, limit in (("low", field.low), ("high", field.high)) if limit is not None}
    faults = [f"[inputs.{field.name}] {side} is {limit}" for side, limit in limits.items() if not math.isfinite(limit)]
    if len(limits) == 2 and limits["low"] > limits["high"]:
        faults.append(f"[inputs.{field.name}] low {limits['low']:g} is above high {limits['high']:g}")
    if isinstance(field, Column) and field.type in ("string", "bool"):
        faults += [f"[inputs.{field.name}] {side} does not apply to a column of type {field.type}" for side in limits]
    return faults
