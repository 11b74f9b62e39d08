"""``contract.toml``: what a person declares, laid over what was read off an example or off data.

    rules.stay = "discharge >= admission"

    [inputs.age]
    low = 0
    high = 120
    unit = "years"

    [target]
    name = "ill"
    type = "bool"

Every key of a section counts as declared, but for those that ``inferred`` lists: `contract infer` writes them there, and a person who has
looked at one takes its name out.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

import msgspec
from msgspec import UNSET

from jupyter_mlprod.core.contract import (
    NOT_PERSONAL,
    Action,
    Column,
    ColumnType,
    Contract,
    Dtype,
    Expected,
    Freshness,
    Input,
    Rows,
    Scalar,
    Tensor,
)
from jupyter_mlprod.core.contract_faults import contract_faults
from jupyter_mlprod.core.document import did_you_mean
from jupyter_mlprod.core.duration import Duration


class FieldEdit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a person may declare about one input; the members are those of `Tensor`, `Column` and `Text`."""

    type: ColumnType | None = None
    dtype: Dtype | None = None
    low: float | None = None
    high: float | None = None
    finite: bool | None = None
    nullable: bool | None = None
    categories: tuple[str, ...] | None = None
    unit: str | None = None
    shape: tuple[int | str, ...] | None = None
    longest: int | None = None
    pii: str | None = None
    pattern: str | None = None
    shortest: int | None = None
    unique: bool | None = None
    mostly: float | None = None
    max_age: Duration | None = None
    event_time: str | None = None
    view: Literal["serving"] | None = None
    on_violation: Action | None = None
    unknown_category: Action | None = None
    default: Scalar | None = None
    expected: Expected | None = None
    layout: Literal["NCHW", "NHWC"] | None = None
    channels: str | None = None
    inferred: tuple[str, ...] = ()


class OutputEdit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a person may declare about one output; dtype and shape are those of the model, where there is one."""

    dtype: Dtype | None = None
    shape: tuple[int | str, ...] | None = None
    low: float | None = None
    high: float | None = None
    finite: bool | None = None
    unit: str | None = None
    sum_to: float | None = None
    labels: tuple[str, ...] | None = None
    inferred: tuple[str, ...] = ()


class DataEdit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a person may declare about a column that training data has and a request has not; ``name`` is that of the target."""

    name: str | None = None
    type: ColumnType | None = None
    low: float | None = None
    high: float | None = None
    nullable: bool | None = None
    categories: tuple[str, ...] | None = None
    unit: str | None = None
    pattern: str | None = None
    shortest: int | None = None
    longest: int | None = None
    unique: bool | None = None
    mostly: float | None = None
    max_age: Duration | None = None
    event_time: str | None = None
    expected: Expected | None = None
    pii: str | None = None
    inferred: tuple[str, ...] = ()


class ContractEdit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The document: ``[inputs.NAME]``, ``[outputs.NAME]``, ``[target]``, ``[data.COLUMN]``, ``[rules]``, ``[rows]``, ``[freshness]``."""

    inputs: dict[str, FieldEdit] = {}
    outputs: dict[str, OutputEdit] = {}
    target: DataEdit | None = None
    data: dict[str, DataEdit] = {}
    rules: dict[str, str] = {}
    rows: Rows | None = None
    freshness: Freshness | None = None
    on_violation: Action | None = None

    @property
    def personal(self) -> tuple[str, ...]:
        """Inputs and columns of the training data that hold personal data."""
        classes = {name: field.pii for fields in (self.inputs, self.data) for name, field in fields.items()}
        if self.target and self.target.name:
            classes[self.target.name] = self.target.pii
        return tuple(name for name, pii in classes.items() if pii and pii != NOT_PERSONAL)

    @property
    def shapes(self) -> dict[str, tuple[int | str, ...]]:
        """The shapes that are declared, by input."""
        return {name: field.shape for name, field in self.inputs.items() if field.shape is not None}


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
        elif name not in columns and field.type is None:
            known = did_you_mean(name, columns[:20]) if columns else ": there is none, --data names it"
            faults.append(f"[data.{name}] names no column of the training data{known}; or say its type")
        elif field.pii == "":
            faults.append(f'[data.{name}] pii is empty; it is the class of personal data, such as "email"')
        if field.name is not None:
            faults.append(f"[data.{name}] name is said of [target] alone")
    if edit.target is not None and not edit.target.name:
        faults.append('[target] needs the name of its column: name = "label"')
    return tuple(faults)


def edited(contract: Contract, edit: ContractEdit, *, types: Mapping[str, ColumnType] | None = None) -> tuple[Contract, tuple[str, ...]]:
    """The contract with a person's declarations laid over it, and the faults found on the way.

    A single tensor or text has no name of its own, so one declared name becomes its name.

    Parameters
    ----------
    types : of the columns of the training data, as far as they are known
    """
    inputs = contract.inputs
    if not contract.is_table and len(inputs) == 1 and len(edit.inputs) == 1:
        inputs = (msgspec.structs.replace(inputs[0], name=next(iter(edit.inputs))),)
    faults = [*_unknown(edit.inputs, inputs, "inputs"), *_unknown(edit.outputs, contract.outputs, "outputs")]
    faults += [fault for field in contract.outputs if field.name in edit.outputs for fault in _unlike(field, edit.outputs[field.name])]
    inputs = tuple(_laid_over(field, edit.inputs.get(field.name), f"inputs.{field.name}", faults) for field in inputs)
    outputs = tuple(_laid_over(field, edit.outputs.get(field.name), f"outputs.{field.name}", faults) for field in contract.outputs)
    known = {column.name: column for column in contract.training_only}
    training = [_training(name, field, known, types or {}, f"data.{name}", faults) for name, field in edit.data.items()]
    target = contract.target
    if edit.target is not None and edit.target.name:
        target = _training(edit.target.name, edit.target, known, types or {}, "target", faults)
    kept = [column for column in contract.training or () if column.name not in edit.data and column.name != (target.name if target else "")]
    try:
        made = msgspec.structs.replace(
            contract,
            inputs=inputs,
            outputs=outputs,
            target=target,
            training=(*kept, *(column for column in training if column is not None)) or UNSET,
            rules={**(contract.rules or {}), **edit.rules} or UNSET,
            rows=edit.rows or contract.rows,
            freshness=edit.freshness or contract.freshness,
            on_violation=edit.on_violation or contract.on_violation,
        )
        made.__post_init__()
    except ValueError as error:
        return contract, (*faults, str(error))
    return made, (*faults, *contract_faults(made))


def _unknown(edits: Mapping[str, object], fields: Iterable[Input], section: str) -> list[str]:
    known = {field.name for field in fields}
    word = section.removesuffix("s")
    return [f"[{section}.{name}] names no {word}; the example has {', '.join(sorted(known))}" for name in edits if name not in known]


def _unlike(output: Tensor, edit: OutputEdit) -> Iterator[str]:
    """Where an output is declared to be other than the model's answers are; the names of its dimensions are free."""
    if edit.dtype is not None and edit.dtype != output.dtype:
        yield f"[outputs.{output.name}] dtype is {edit.dtype}, and the model answers {output.dtype}"
    if edit.shape is not None:
        pairs = zip(edit.shape, output.shape, strict=False)
        if len(edit.shape) != len(output.shape) or any(
            isinstance(a, int) != isinstance(b, int) or (a != b and isinstance(a, int)) for a, b in pairs
        ):
            answered = ", ".join(map(str, output.shape))
            yield f"[outputs.{output.name}] shape is ({', '.join(map(str, edit.shape))}), and the model answers ({answered})"


def _laid_over(field: Any, edit: FieldEdit | OutputEdit | DataEdit | None, where: str, faults: list[str]) -> Any:
    """A field with what is declared of it."""
    given = _given(edit) if edit is not None else {}
    faults += [f"[{where}] {key} does not apply to a {type(field).__name__.lower()}" for key in given if key not in field.__struct_fields__]
    known = {key: value for key, value in given.items() if key in field.__struct_fields__}
    declared = tuple(sorted({*(field.declared or ()), *known} - set(edit.inferred if edit is not None else ())))
    return msgspec.structs.replace(field, **known, declared=declared or UNSET) if known else field


def _given(edit: FieldEdit | OutputEdit | DataEdit) -> dict[str, Any]:
    """What an edit says, without what it says about itself."""
    fields = {name: getattr(edit, name) for name in edit.__struct_fields__ if name not in ("inferred", "name")}
    return {name: value for name, value in fields.items() if value is not None}


def _training(
    name: str, edit: DataEdit, known: Mapping[str, Column], types: Mapping[str, ColumnType], where: str, faults: list[str]
) -> Column | None:
    """A column of the training view; None when nothing says its type, so that it can only be withheld and not be checked."""
    kind = edit.type or (known[name].type if name in known else types.get(name))
    if kind is None:
        if where == "target":
            faults.append("[target] says no type, and there is no training data that would show it")
        return None
    column: Column = _laid_over(known.get(name, Column(name=name, type=kind)), edit, where, faults)
    return column
