"""``config.pbtxt`` of a Triton model repository, as text of protobuf's text format.

Triton counts the batch apart: where the first dimension of every input and output may vary it is left out of ``dims`` and
``max_batch_size`` is given; else the graph is served as it is, one request at a time. A row that is a single number has no dimension
left, which Triton does not take, so it is given one and reshaped (Triton's model_configuration.md, "Reshape").
"""

import math
from collections.abc import Sequence

from jupyter_mlprod.core.bundle import GRAPH, Bundle
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.ports import GraphEnd

LARGEST_BATCH = 64
LABELS = "labels.txt"
CONFIG = "config.pbtxt"
GRAPH_PLACE = f"1/{GRAPH}"
DTYPES = {
    "FLOAT": "TYPE_FP32", "DOUBLE": "TYPE_FP64", "FLOAT16": "TYPE_FP16", "BFLOAT16": "TYPE_BF16", "BOOL": "TYPE_BOOL",
    "STRING": "TYPE_STRING", "INT8": "TYPE_INT8", "INT16": "TYPE_INT16", "INT32": "TYPE_INT32", "INT64": "TYPE_INT64",
    "UINT8": "TYPE_UINT8", "UINT16": "TYPE_UINT16", "UINT32": "TYPE_UINT32", "UINT64": "TYPE_UINT64",
}  # fmt: skip
"""ONNX's element type → Triton's."""


def config_text(name: str, digest: str, inputs: Sequence[GraphEnd], outputs: Sequence[GraphEnd], *, labeled: str = "") -> str:
    """The configuration of a model.

    Parameters
    ----------
    labeled : name of the output whose classes ``labels.txt`` names, or empty

    Raises
    ------
    MlprodError : ``bad-model`` when Triton could not serve the graph.
    """
    batched = all(end.shape and isinstance(end.shape[0], str) for end in (*inputs, *outputs))
    blocks = [
        f"name: {quoted(name)}",
        'platform: "onnxruntime_onnx"',
        'backend: "onnxruntime"',
        f"max_batch_size: {LARGEST_BATCH if batched else 0}",
        *(f"input {{\n{_end(end, batched=batched)}}}" for end in inputs),
        *(f"output {{\n{_end(end, batched=batched, label=end.name == labeled)}}}" for end in outputs),
        "version_policy { latest { num_versions: 1 } }",
        "instance_group { count: 1 kind: KIND_AUTO }",
        *(["dynamic_batching { }"] if batched else []),
        f'parameters {{ key: "mlprod.digest" value {{ string_value: {quoted(digest)} }} }}',
    ]
    return "\n".join(blocks) + "\n"


def labeled_output(bundle: Bundle, outputs: Sequence[GraphEnd]) -> str:
    """The output of the graph that has one number a label, and labels that a file of lines can hold; else empty."""
    scores = bundle.contract.outputs[0].name
    writable = all(label.isprintable() and label == label.strip() for label in bundle.labels)
    if not bundle.labels or bundle.postprocess or not writable:
        return ""
    wide = (end.name for end in outputs if end.name == scores and end.shape and _width(end.shape[1:]) == len(bundle.labels))
    return next(wide, "")


def quoted(text: str) -> str:
    """A string of the text format: ASCII as it is, every other byte as an octal escape."""
    return '"' + "".join(chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\{byte:03o}" for byte in text.encode()) + '"'


def _end(end: GraphEnd, *, batched: bool, label: bool = False) -> str:
    if not end.name or not end.name.isprintable():
        raise MlprodError(Code.BAD_MODEL, f"an input or output is named {end.name[:80]!r}, which Triton does not take")
    if end.dtype not in DTYPES or end.shape is None or 0 in end.shape:
        what = f"{end.name[:80]!r} is {end.dtype.lower()} of {'no declared shape' if end.shape is None else f'shape {end.shape}'}"
        raise MlprodError(Code.BAD_MODEL, f"{what}, which Triton does not take", hint="export the model with tensors of declared shape")
    dims = [size if isinstance(size, int) else -1 for size in (end.shape[1:] if batched else end.shape)]
    lines = [
        f"  name: {quoted(end.name)}",
        f"  data_type: {DTYPES[end.dtype]}",
        f"  dims: [ {', '.join(map(str, dims or [1]))} ]",
        *([] if dims else ["  reshape { shape: [ ] }"]),
        *([f"  label_filename: {quoted(LABELS)}"] if label else []),
    ]
    return "".join(f"{line}\n" for line in lines)


def _width(row: Sequence[int | str]) -> int | None:
    """How many numbers a row has; None when that varies."""
    sizes = [size for size in row if isinstance(size, int)]
    return math.prod(sizes) if len(sizes) == len(row) else None
