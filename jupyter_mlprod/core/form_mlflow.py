"""A contract as the signature of an MLflow model, and such a signature as a contract.

A signature knows names, types and shapes, so most of a contract is told as left out on the way there, and little is known on the way back.
"""

import json
from collections.abc import Iterable
from typing import Any

from msgspec import UNSET

from jupyter_mlprod.core.contract import DTYPES, Column, ColumnType, Contract, Input, Tensor, Text
from jupyter_mlprod.core.contract_toml import Read
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.infer import TENSOR, TEXT
from jupyter_mlprod.core.mlmodel import signature_fields, signature_tensor

TYPES: dict[str, ColumnType] = {
    "boolean": "bool", "integer": "int", "long": "int", "float": "float", "double": "float", "string": "string", "datetime": "time",
}  # fmt: skip
NUMPY = {"boolean": "bool", "integer": "int32", "long": "int64", "float": "float32", "double": "float64"}
UNSAID = (
    "low", "high", "categories", "pattern", "shortest", "longest", "unique", "unit", "pii", "max_age", "mostly", "expected", "on_violation",
    "unknown_category", "default", "layout", "channels", "sum_to", "labels", "nullable",
)  # fmt: skip


def mlflow_signature(contract: Contract) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What ``ModelSignature.from_dict`` reads, and one line for each thing that it leaves unsaid."""
    outputs = json.dumps([signature_tensor(output) for output in contract.outputs]) if contract.outputs else None
    signature = {"inputs": json.dumps(signature_fields(contract)), "outputs": outputs, "params": None}
    lines = []
    for field in (*contract.inputs, *contract.outputs):
        lost = [key for key in UNSAID if _is_said(getattr(field, key, None))]
        lines += [f"{field.name}: a signature has no {', '.join(lost)}"] if lost else []
    lines += [f"rule {name!r}: a signature has no rules" for name in contract.rules or {}]
    lines += [f"{name}: a signature has none" for name in ("rows", "freshness") if getattr(contract, name)]
    zoned = [field.name for field in contract.inputs if isinstance(field, Column) and field.type == "time_utc"]
    lines += [f"time zones: a signature has none ({', '.join(zoned)})"] if zoned else []
    lines += ["the training view: a signature is of what is asked"] if contract.training_only else []
    return signature, tuple(lines)


def _is_said(value: object) -> bool:
    return value is not False and value not in (None, UNSET, (), "")


def contract_of_signature(signature: Any, *, name: str) -> Read:
    """The contract that a signature shows.

    Parameters
    ----------
    signature : the part ``signature`` of an ``MLmodel`` file: ``inputs``, ``outputs`` and ``params`` as JSON texts

    Raises
    ------
    MlprodError : ``bad-contract`` when it has no inputs that a contract could hold.
    """
    if not isinstance(signature, dict):
        raise MlprodError(Code.BAD_CONTRACT, f"{name} has no signature", hint="log the model with one: mlflow.models.infer_signature")
    left: list[str] = []
    inputs = list(_inputs(_listed(signature, "inputs", name), left))
    outputs = list(_outputs(_listed(signature, "outputs", name), left))
    params = [str(one.get("name")) for one in _listed(signature, "params", name)]
    left += [f"parameters of inference are no part of a contract: {', '.join(params[:10])}"] if params else []
    if not inputs:
        raise MlprodError(Code.BAD_CONTRACT, "\n".join([f"{name}: its signature has no inputs that a contract could hold", *left]))
    try:
        contract = Contract(inputs=tuple(inputs), outputs=tuple(outputs))
        contract.__post_init__()
    except ValueError as error:
        raise MlprodError(Code.BAD_CONTRACT, f"{name}: {error}") from None
    return Read(contract=contract, left_out=tuple(left))


def _listed(signature: dict[str, Any], part: str, name: str) -> list[dict[str, Any]]:
    text = signature.get(part)
    if text is None:
        return []
    try:
        found = json.loads(text) if isinstance(text, str) else text
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise MlprodError(Code.BAD_CONTRACT, f"{name}: {part} of its signature cannot be read")
    return found


def _inputs(listed: list[dict[str, Any]], left: list[str]) -> Iterable[Input]:
    for place, one in enumerate(listed):
        kind = one.get("type")
        unnamed = TENSOR if kind == "tensor" else TEXT if kind == "string" else f"column{place}"
        name = str(one.get("name") or (unnamed if len(listed) == 1 else f"{unnamed}{place}" if kind == "tensor" else f"column{place}"))
        if kind == "tensor":
            tensor = _tensor(name, one, left)
            yield from [tensor] if tensor is not None else []
        elif kind == "string" and len(listed) == 1 and not one.get("name"):
            yield Text(name=TEXT)
        elif isinstance(kind, str) and kind in TYPES:
            optional = one.get("required") is False or one.get("optional") is True
            if optional:
                left.append(
                    f"{name} may be left out of a request there; here it is nullable, and a default with on_violation = 'impute' does that"
                )
            if kind == "integer":
                left.append(f"{name} is an integer of 32 bits there; here it is int, of 64, so that low and high have to say more")
            yield Column(name=name, type=TYPES[kind], nullable=optional)
        else:
            left.append(f"{name} is left out: a contract has no {str(kind)[:40]}")


def _outputs(listed: list[dict[str, Any]], left: list[str]) -> Iterable[Tensor]:
    for place, one in enumerate(listed):
        name = str(one.get("name") or ("output" if len(listed) == 1 else f"output{place}"))
        kind = one.get("type")
        if kind == "tensor":
            tensor = _tensor(name, one, left)
            yield from [tensor] if tensor is not None else []
        elif isinstance(kind, str) and kind in NUMPY:
            yield Tensor(name=name, dtype=NUMPY[kind], shape=("batch",))
        else:
            left.append(f"output {name} is left out: outputs are numbers, and this is {str(kind)[:40]}")


def _tensor(name: str, one: dict[str, Any], left: list[str]) -> Tensor | None:
    spec = one.get("tensor-spec")
    dtype, shape = (spec.get("dtype"), spec.get("shape")) if isinstance(spec, dict) else (None, None)
    sizes = shape if isinstance(shape, list) and shape and all(type(size) is int and size >= -1 for size in shape) else None
    if dtype not in DTYPES or sizes is None:
        left.append(f"{name} is left out: a contract has no tensor of {str(dtype)[:40]} with the shape {str(shape)[:60]}")
        return None
    if sizes[0] != -1:
        left.append(f"{name} has {sizes[0]} rows there; here the first dimension is the batch, of any size")
    rest = tuple(size if size >= 0 else f"{name}_{axis}" for axis, size in enumerate(sizes[1:], start=1))
    return Tensor(name=name, dtype=str(dtype), shape=("batch", *rest))
