"""An .onnx file as a capture. The original's answers are ONNX Runtime's on the file as given, so that stripping it can be caught out."""

import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from google.protobuf.message import DecodeError

from jupyter_mlprod.core.answer import Ends, final_outputs, graph_inputs
from jupyter_mlprod.core.capture import Capture, write_capture
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.graph import bare_bytes
from jupyter_mlprod.core.raw import Raw, part, rows
from jupyter_mlprod.core.remeasure import batch_sizes
from jupyter_mlprod.core.subject import names_file

NUMPY_TYPES = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
}


class OnnxCapture:
    """The port `Models` for .onnx files; external data is taken in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def capture(self, source: Any, example: Raw, ends: Ends, *, shapes: Mapping[str, tuple[int | str, ...]]) -> Path:  # noqa: ARG002
        file = Path(str(source))
        if not names_file(str(source)):
            raise MlprodError(Code.BAD_MODEL, f"no model file {str(source)!r}")
        try:
            model = onnx.load(str(file))
            onnx.checker.check_model(str(file))
            session = ort.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        except (DecodeError, onnx.checker.ValidationError, OSError, ValueError, RuntimeError) as error:
            raise MlprodError(Code.BAD_MODEL, f"{file.name} is no valid ONNX model: {' '.join(str(error).split())[:200]}") from None
        kinds = {entry.name: NUMPY_TYPES.get(entry.type, np.float32) for entry in session.get_inputs()}
        given = [entry.name for entry in session.get_outputs()]
        outputs: tuple[str, ...] = ()
        reference = {}
        for batch in batch_sizes(rows(example)):
            raw = part(example, 0, batch)
            prepared = graph_inputs(ends, raw, list(kinds), tell=True)
            try:
                answers = session.run(None, {name: np.asarray(prepared[name], dtype=kind) for name, kind in kinds.items()})
            except Exception as error:  # noqa: BLE001  onnxruntime raises C++ classes without a public common base
                raise MlprodError(
                    Code.BAD_MODEL, f"{file.name} does not take {batch} prepared rows: {' '.join(str(error).split())[:200]}"
                ) from None
            finished = final_outputs(ends, dict(zip(given, answers, strict=True)), tell=True)
            outputs = tuple(finished)
            reference.update({f"{batch}/{name}": array for name, array in finished.items()})
        capture = Capture(original="onnx", versions={"onnx": onnx.__version__}, inputs=tuple(kinds), outputs=outputs)
        return write_capture(self.folder / uuid.uuid4().hex[:12], capture, graph=bare_bytes(model), reference=reference)
