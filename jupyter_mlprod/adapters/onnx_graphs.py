"""ONNX files behind the port `Graphs`: what a graph takes and gives, and a copy that says where it comes from. Nothing is computed.

The weights of a large graph stay where they are, in the file beside it: only the graph's own message is read and written.
"""

from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError

from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.graph import computes_in_bfloat16
from jupyter_mlprod.core.ports import GraphEnd

LOCATION = "location"


class OnnxGraphs:
    """Port `Graphs`."""

    def ends(self, file: Path) -> tuple[tuple[GraphEnd, ...], tuple[GraphEnd, ...]]:
        graph = _loaded(file).graph
        weights = {tensor.name for tensor in graph.initializer}
        return tuple(_end(value) for value in graph.input if value.name not in weights), tuple(_end(value) for value in graph.output)

    def copy(self, file: Path, out: Path, *, data: str, metadata: dict[str, str]) -> None:
        """Write the graph with metadata of its own, its weights looked for in ``data`` beside it where they were in a file.

        Raises
        ------
        MlprodError : ``bad-model`` when ONNX's own checker refuses what was written.
        """
        model = _loaded(file)
        for entry in _places(model):
            entry.value = data
        onnx.helper.set_model_props(model, metadata)
        out.write_bytes(model.SerializeToString(deterministic=True))

    def fault(self, file: Path) -> str:
        """Why ONNX's own checker refuses a file; empty when it does not."""
        try:
            onnx.checker.check_model(str(file))
        except (onnx.checker.ValidationError, ValueError, OSError) as error:
            return " ".join(str(error).split())[:300]
        return ""

    def computes_in_bfloat16(self, file: Path) -> bool:
        return computes_in_bfloat16(_loaded(file))


def _loaded(file: Path) -> onnx.ModelProto:
    try:
        return onnx.load(str(file), load_external_data=False)
    except (DecodeError, OSError, ValueError) as error:
        raise MlprodError(Code.BAD_MODEL, f"{file.name} is no ONNX model: {' '.join(str(error).split())[:200]}") from None


def _end(value: Any) -> GraphEnd:
    tensor = value.type.tensor_type
    if value.type.WhichOneof("value") != "tensor_type":
        return GraphEnd(name=value.name, dtype=str(value.type.WhichOneof("value") or "untyped"), shape=None)
    shape = tuple(dim.dim_value if dim.HasField("dim_value") else dim.dim_param for dim in tensor.shape.dim)
    dtype = onnx.TensorProto.DataType.Name(tensor.elem_type)
    return GraphEnd(name=value.name, dtype=dtype, shape=shape if tensor.HasField("shape") else None)


def _places(message: Any) -> list[Any]:
    """Every entry that names the file in which a tensor's values lie, also in graphs within nodes."""
    found = []
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        for item in value if hasattr(value, "add") else (value,):
            outside = isinstance(item, onnx.TensorProto) and item.data_location == onnx.TensorProto.EXTERNAL
            found += [entry for entry in item.external_data if entry.key == LOCATION] if outside else _places(item)
    return found
