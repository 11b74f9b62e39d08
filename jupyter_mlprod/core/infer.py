"""Reading a contract, and what the scores are, off an example and the original's answers to it.

What a person declares in ``contract.toml`` is laid over what is read, and the example is held against the result.
"""

from collections.abc import Mapping
from typing import Literal

import msgspec
import numpy as np

from jupyter_mlprod.core.arrays import nulls, plain_values
from jupyter_mlprod.core.batch import check_batch, told_of
from jupyter_mlprod.core.bundle import Scores
from jupyter_mlprod.core.contract import DTYPES, Column, ColumnType, Contract, Input, Tensor, Text
from jupyter_mlprod.core.contract_edit import ContractEdit, edited
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.raw import Array, Raw
from jupyter_mlprod.core.trial import Shapes, size_or_name, trials, varying_sizes
from jupyter_mlprod.core.values import is_null, state_of

TENSOR, TEXT = "input", "text"
EDITS = "docs/contract.md lists the keys; %%mlprod contract reads them in a cell of their own"


def infer_contract(
    example: Raw,
    outputs: tuple[str, ...],
    reference: Mapping[str, Array],
    *,
    edit: ContractEdit,
    types: Mapping[str, ColumnType] | None = None,
) -> Contract:
    """The contract of an example, edited.

    Parameters
    ----------
    types : of the columns of the training data, as far as they are known
    reference : ``<trial>/<output>`` → (batch, ...), the original's answers

    Raises
    ------
    MlprodError : ``bad-model``, ``bad-data`` or ``bad-contract``, with what does not fit.
    """
    shapes = {name: field.shape for name, field in edit.inputs.items() if field.shape is not None}
    found = tuple(_output(name, example, shapes, reference) for name in outputs)
    contract, faults = edited(Contract(inputs=_inputs(example), outputs=found), edit, types=types)
    if faults:
        raise MlprodError(Code.BAD_CONTRACT, "\n".join(faults), hint=EDITS)
    broken = check_batch(msgspec.structs.replace(contract, rows=msgspec.UNSET), example).violations
    if broken:
        raise MlprodError(Code.BAD_CONTRACT, f"the example itself breaks the contract: {told_of(broken)}")
    return contract


def _output(name: str, example: Raw, shapes: Shapes, reference: Mapping[str, Array]) -> Tensor:
    """One output as the answers show it; a size that differs between trials has a name in place of a number."""
    tried = trials(example, shapes)
    lost = next((trial for trial in tried if f"{trial.key}/{name}" not in reference), None)
    if lost is not None:
        what = f"the capture holds no answer {name!r} at batch {lost.key}"
        raise MlprodError(Code.BAD_MODEL, what, hint="capture the model with this example and this contract")
    seen = {trial: reference[f"{trial.key}/{name}"].shape for trial in tried}
    whole = seen[tried[-1]]
    for trial, shape in seen.items():
        if not shape or shape[0] != trial.batch or len(shape) != len(whole):
            raise MlprodError(Code.BAD_MODEL, f"output {name!r} has shape {shape} for {trial.batch} rows; outputs hold one answer a row")
    tensor = _tensor(name, reference[f"{tried[-1].key}/{name}"])
    sizes = varying_sizes(example, shapes)
    named = tuple(size_or_name(name, axis, {trial: shape[axis] for trial, shape in seen.items()}, sizes) for axis in range(1, len(whole)))
    return msgspec.structs.replace(tensor, shape=("batch", *named))


def _inputs(example: Raw) -> tuple[Input, ...]:
    if not isinstance(example, Mapping):
        return (Text(name=TEXT) if example.dtype.kind in "UO" and example.ndim == 1 else _tensor(TENSOR, example),)
    if all(array.ndim == 1 for array in example.values()):
        return tuple(_column(name, array) for name, array in example.items())
    return tuple(_tensor(name, array) for name, array in example.items())


def _tensor(name: str, array: Array) -> Tensor:
    if array.dtype.name not in DTYPES:
        what = f"{name!r} has dtype {array.dtype}; a tensor holds real numbers or booleans"
        raise MlprodError(Code.BAD_DATA, what, hint="strings are columns of a table: one value a row, in a mapping or a DataFrame")
    return Tensor(name=name, dtype=array.dtype.name, shape=("batch", *array.shape[1:]))


def _column(name: str, array: Array) -> Column:
    kinds: dict[str, ColumnType] = {"f": "float", "i": "int", "u": "int", "b": "bool", "U": "string", "M": "time"}
    kind = _object_type(array) if array.dtype.kind == "O" else kinds.get(array.dtype.kind)
    if kind is None:
        what = f"column {name!r} has dtype {array.dtype}; numbers, booleans, strings and times can be packaged"
        raise MlprodError(Code.BAD_DATA, what)
    return Column(name=name, type=kind, nullable=bool(nulls(array).any()))


def _object_type(array: Array) -> ColumnType:
    """The one type that all values have which are there; strings where there is none, so that the check tells what is odd."""
    present = [value for value in plain_values(array) if not is_null(value)]
    kinds: tuple[ColumnType, ...] = ("bool", "int", "float", "time", "time_utc")
    return next((kind for kind in kinds if present and all(state_of(kind, value) != "type" for value in present)), "string")


def infer_scores(asked: Scores | Literal["auto"], labels: tuple[str, ...], first: Array) -> Scores:
    """What the first output holds, and whether the labels fit it."""
    if labels:
        classes = 2 if _width(first) == 1 else _width(first)
        if classes != len(labels):
            raise MlprodError(Code.BAD_REQUEST, f"there are {len(labels)} labels, and the model scores {classes} classes")
    return kind_of_scores(asked, first, labelled=bool(labels))


def kind_of_scores(asked: Scores | Literal["auto"], first: Array, *, labelled: bool) -> Scores:
    """What an output holds: as asked; else values where there are no labels, probabilities where they sum to 1, logits.

    Raises
    ------
    MlprodError : ``bad-request`` where labels are given for values, and where a single score may be either.
    """
    if asked == "values" and labelled:
        raise MlprodError(
            Code.BAD_REQUEST, "--scores values says that there are no classes, and --labels names some", hint="leave one away"
        )
    if asked != "auto":
        return asked
    if not labelled:
        return "values"
    width = _width(first)
    flat = first.astype(np.float64).reshape(len(first), -1)
    bounded = bool((flat >= 0).all() and (flat <= 1).all())
    if width == 1 and bounded:
        what = "the model gives one score a row, and those of the example are within 0 and 1: probabilities look so, and logits may"
        raise MlprodError(Code.BAD_REQUEST, what, hint="--scores probabilities, or --scores logits")
    sums_to_one = bool(np.allclose(flat.sum(axis=1), 1, atol=1e-3))
    return "probabilities" if bounded and sums_to_one else "logits"


def _width(first: Array) -> int:
    return int(np.prod(first.shape[1:])) if first.ndim > 1 else 1
