"""An ONNX graph as bytes that depend on the model alone.

The exporter leaves file names, code lines and class names in metadata and doc strings; they differ with every kernel restart and tell
about the author's machine, so they are cleared. Weights beyond what one message should hold go to a second file in one fixed layout: in
the graph's order, each at a multiple of 4096 bytes. Messages are handled by their fields, without importing onnx.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from jupyter_mlprod.core.bundle import GRAPH_DATA
from jupyter_mlprod.core.errors import Code, MlprodError

TRACES = ("metadata_props", "doc_string")
MESSAGE_LIMIT = 1_500_000_000
"""Bytes of weights that stay inside the graph; protobuf ends at 2 GiB, and a message is copied while it is written."""
ALIGNMENT = 4096
SMALLEST_MOVED = 1024
EXTERNAL = 1
GRAPH_TYPES = {
    "tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16, "tensor(int64)": np.int64,
    "tensor(int32)": np.int32, "tensor(int16)": np.int16, "tensor(int8)": np.int8, "tensor(uint64)": np.uint64, "tensor(uint32)": np.uint32,
    "tensor(uint16)": np.uint16, "tensor(uint8)": np.uint8, "tensor(bool)": np.bool_,
}  # fmt: skip
"""What ONNX Runtime calls the types of a graph's inputs."""

BFLOAT16 = 16
"""ONNX's number for a type of which ONNX Runtime's CPU provider has few operators, and numpy has nothing at all."""

Packed = tuple[bytes, Iterable[bytes]]
"""A graph, and piece by piece what the file of its weights holds; no piece when they are inside."""


def input_types(entries: Iterable[Any], *, what: str) -> dict[str, type[np.generic]]:
    """The inputs of a graph as numpy's types, from what ONNX Runtime says of them; ``what`` names the graph.

    Raises
    ------
    MlprodError : ``bad-model`` when there is none, or one that is no tensor of numbers.
    """
    said = {str(entry.name): str(entry.type) for entry in entries}
    if not said:
        raise MlprodError(Code.BAD_MODEL, f"{what} takes no input, so it has nothing to answer to")
    odd = next((name for name, kind in said.items() if kind not in GRAPH_TYPES), None)
    if odd is not None:
        known = ", ".join(dict.fromkeys(kind.__name__.rstrip("_") for kind in GRAPH_TYPES.values()))
        raise MlprodError(Code.BAD_MODEL, f"{what} takes {odd[:80]!r} as {said[odd]}; its inputs may be tensors of {known}")
    return {name: GRAPH_TYPES[kind] for name, kind in said.items()}


def computes_in_bfloat16(model: Any) -> bool:
    """Whether a value, a weight or the aim of a cast in a model is bfloat16."""
    fields = {"TensorProto": "data_type", "Tensor": "elem_type", "AttributeProto": "i"}
    found = (m for m in messages(model) if getattr(m, fields.get(m.DESCRIPTOR.name, ""), 0) == BFLOAT16)
    return any(message.DESCRIPTOR.name != "AttributeProto" or message.name == "to" for message in found)


def bare_bytes(model: Any) -> bytes:
    """The serialised model without traces of where it was made; ``model`` is an ONNX ``ModelProto`` and is changed."""
    _strip(model)
    model.producer_name = ""
    model.producer_version = ""
    return bytes(model.SerializeToString(deterministic=True))


def packed(model: Any, *, limit: int = MESSAGE_LIMIT) -> Packed:
    """The model's bytes, its weights beside it when they are larger than ``limit``; ``model`` is changed."""
    weights = [tensor for tensor in model.graph.initializer if tensor.HasField("raw_data") and tensor.ByteSize() >= SMALLEST_MOVED]
    if sum(tensor.ByteSize() for tensor in weights) <= limit:
        return bare_bytes(model), ()
    contents = []
    for tensor in weights:
        contents.append(tensor.raw_data)
        tensor.ClearField("raw_data")
    sizes = [len(content) for content in contents]
    for tensor, size, offset in zip(weights, sizes, offsets(sizes), strict=True):
        tensor.data_location = EXTERNAL
        for key, value in (("location", GRAPH_DATA), ("offset", offset), ("length", size)):
            entry = tensor.external_data.add()
            entry.key, entry.value = key, str(value)
    return bare_bytes(model), laid_out(contents)


def offsets(sizes: Sequence[int]) -> list[int]:
    """Where contents of these sizes begin in the file."""
    found, end = [], 0
    for size in sizes:
        found.append(end)
        end += size + -size % ALIGNMENT
    return found


def laid_out(contents: Iterable[bytes]) -> Iterator[bytes]:
    """The file, piece by piece."""
    for content in contents:
        yield content
        yield bytes(-len(content) % ALIGNMENT)


def messages(message: Any) -> Iterator[Any]:
    """A message and every message inside it, however deep."""
    yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for item in value if _is_repeated(value) else (value,):
                yield from messages(item)


def prefixed(model: Any, prefix: str) -> None:
    """Put a prefix before every name in a model, its inputs' too, so that it can lie beside another one; ``model`` is changed."""
    own = {(function.domain, function.name) for function in model.functions}
    for message in messages(model):
        match message.DESCRIPTOR.name:
            case "NodeProto":
                if (message.domain, message.op_type) in own:
                    message.op_type = prefix + message.op_type
                _prefix_names(message, prefix)
            case "FunctionProto":
                _prefix_names(message, prefix)
            case "ValueInfoProto" | "TensorProto":
                message.name = prefix + message.name


def _prefix_names(message: Any, prefix: str) -> None:
    """A node's or function's own name, its inputs and its outputs; an empty name means that there is none."""
    message.name = prefix + message.name if message.name else ""
    for names in (message.input, message.output):
        names[:] = [prefix + name if name else "" for name in names]


def _strip(model: Any) -> None:
    for message in messages(model):
        for trace in TRACES:
            if trace in message.DESCRIPTOR.fields_by_name:
                message.ClearField(trace)


def _is_repeated(value: Any) -> bool:
    return hasattr(value, "add")
