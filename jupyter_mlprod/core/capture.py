"""A capture: a folder with a model's graph and the original's answers on the example, taken where the live model is.

    graph.onnx      the graph, weights inside
    reference.npz   "<batch>/<output>": what the original answered at each batch size
    capture.json    what the original was

It is the only thing that `package` reads of a model, so a live module, a file and an import path are packaged alike.
"""

import msgspec

GRAPH_FILE = "graph.onnx"
REFERENCE_FILE = "reference.npz"
CAPTURE_FILE = "capture.json"


class Capture(msgspec.Struct, frozen=True, kw_only=True):
    """What the original was: ``torch`` or ``onnx``, the versions at work, its inputs and outputs in order."""

    original: str
    versions: dict[str, str]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
