"""An .onnx file as a capture. The original's answers are ONNX Runtime's on the file as given, so that stripping it can be caught out.

Where the file's weights lie is looked at before anything reads them: a model may name any file of the machine as its weights, and would
then carry that file's bytes into the bundle.
"""

import os
import stat
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from google.protobuf.message import DecodeError

from jupyter_mlprod.core.answer import Ends, final_outputs, graph_inputs
from jupyter_mlprod.core.capture import Capture, write_capture
from jupyter_mlprod.core.cast import cast
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.graph import MESSAGE_LIMIT, computes_in_bfloat16, input_types, messages, packed
from jupyter_mlprod.core.raw import Array, Raw
from jupyter_mlprod.core.subject import names_file
from jupyter_mlprod.core.trial import Answers, Shapes, Trial, ask_further, taken, trials

OWN_DOMAINS = {"", "ai.onnx", "ai.onnx.ml", "ai.onnx.training", "ai.onnx.preview.training", "com.microsoft", "com.microsoft.nchwc"}
LATER = "ONNX Runtime only *guarantees* support"
"""Where the reason begins when an opset is too new; the place in ONNX Runtime's source stands before it."""
EXTERNAL_KEYS = {"location", "offset", "length", "checksum", "basepath"}


class OnnxCapture:
    """Captures .onnx files; external data is taken in. ``limit`` is how many bytes of weights stay inside the graph."""

    def __init__(self, folder: Path, *, limit: int = MESSAGE_LIMIT) -> None:
        self.folder = folder
        self.limit = limit

    def capture(self, source: Any, example: Raw, ends: Ends, *, shapes: Shapes) -> Path:
        file = Path(str(source))
        if not names_file(str(source)):
            raise MlprodError(Code.BAD_MODEL, f"no model file {str(source)!r}")
        model = read_onnx(file)
        session = _session(file, model)
        kinds = input_types(session.get_inputs(), what=file.name)

        def answer(trial: Trial) -> Answers:
            prepared = graph_inputs(ends, taken(trial, example, shapes), list(kinds), tell=True)
            feed = {name: cast(name, np.asarray(prepared[name]), kind, tell=True) for name, kind in kinds.items()}
            return final_outputs(ends, _answers(session, feed, trial, file), tell=True)

        whole = {trial: answer(trial) for trial in trials(example, shapes)}
        further, refused = ask_further(example, shapes, answer)
        answers = {**further, **whole}
        capture = Capture(
            original="onnx",
            versions={"onnx": onnx.__version__},
            inputs=tuple(kinds),
            outputs=tuple(list(whole.values())[-1]),
            shapes={entry.name: _shape(entry.name, entry.shape) for entry in session.get_inputs()},
            further=tuple(further),
            refused=refused,
        )
        graph, data = packed(model, limit=self.limit)
        reference = {f"{trial.key}/{name}": array for trial, named in answers.items() for name, array in named.items()}
        return write_capture(self.folder / uuid.uuid4().hex[:12], capture, graph=graph, reference=reference, data=data)


def read_onnx(file: Path) -> Any:
    """The model, with its external data inside.

    Raises
    ------
    MlprodError : ``bad-model`` when it is no valid model, or reaches outside its folder.
    """
    try:
        model = onnx.load(str(file), load_external_data=False)
    except (DecodeError, OSError, ValueError) as error:
        raise _invalid(file, str(error)) from None
    for tensor in _tensors(model):
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            _check_external(tensor, file)
    _check_names(model, file)
    try:
        onnx.checker.check_model(str(file))
        onnx.load_external_data_for_model(model, str(file.parent))
    except (onnx.checker.ValidationError, OSError, ValueError, RuntimeError) as error:
        raise _invalid(file, str(error)) from None
    left = next((tensor for tensor in _tensors(model) if tensor.data_location == onnx.TensorProto.EXTERNAL), None)
    if left is not None:
        raise _invalid(file, f"the sparse weights {left.name[:80]!r} lie in another file")
    return model


def _tensors(model: Any) -> Iterator[Any]:
    """Every tensor of a model, wherever it stands."""
    return (message for message in messages(model) if message.DESCRIPTOR.name == "TensorProto")


def _invalid(file: Path, reason: str) -> MlprodError:
    return MlprodError(Code.BAD_MODEL, f"{file.name} is no valid ONNX model: {' '.join(reason.split())[:300]}")


def _check_external(tensor: Any, file: Path) -> None:
    """Refuse a tensor whose bytes lie anywhere but in a plain file of the model's folder, which has this name alone."""
    keys = Counter(entry.key for entry in tensor.external_data)
    given = {entry.key: entry.value for entry in tensor.external_data}
    location = given.get("location", "")
    fault = ""
    if tensor.data_location != onnx.TensorProto.EXTERNAL or any(n > 1 for n in keys.values()) or set(keys) - EXTERNAL_KEYS:
        fault = "its entry is ambiguous"
    elif not location or "\0" in location or "\\" in location or PureWindowsPath(location).drive or PurePosixPath(location).is_absolute():
        fault = "it is no relative path"
    elif ".." in PurePosixPath(location).parts or given.get("basepath"):
        fault = "it leads out of the model's folder"
    else:
        fault = _file_fault(file.parent, location, offset=given.get("offset", "0"), length=given.get("length", ""))
    if fault:
        what = f"{file.name}: the weights {tensor.name[:80]!r} lie in {location[:80]!r}: {fault}"
        raise MlprodError(Code.BAD_MODEL, what, hint="weights lie in a plain file beside the model; save it again with onnx.save")


def _file_fault(folder: Path, location: str, *, offset: str, length: str) -> str:
    """What is wrong with a file of weights, or the empty string; nothing is opened."""
    path = folder
    try:
        for name in PurePosixPath(location).parts:
            path = path / name
            found = os.lstat(path)
            if stat.S_ISLNK(found.st_mode):
                return "it is a symbolic link"
    except OSError as error:
        return f"{error.strerror}"
    if not stat.S_ISREG(found.st_mode):
        return "it is no plain file"
    if found.st_nlink > 1:
        return "it is a hard link, to a file that has another name too"
    numbers = [text for text in (offset, length) if text]
    if not all(text.isascii() and text.isdigit() and len(text) < 20 for text in numbers) or sum(map(int, numbers)) > found.st_size:
        return f"offset and length do not fit its {found.st_size:,} bytes"
    return ""


def _check_names(model: Any, file: Path) -> None:
    """Refuse weights of one name in one graph, and operators that no runtime has."""
    functions = {(function.domain, function.name) for function in model.functions}
    for message in messages(model):
        match message.DESCRIPTOR.name:
            case "GraphProto":
                names = [tensor.name for tensor in message.initializer] + [sparse.values.name for sparse in message.sparse_initializer]
                twice = next((name for name, n in Counter(names).items() if n > 1), None)
                if twice is not None:
                    raise _invalid(file, f"two weights are named {twice[:80]!r}")
            case "NodeProto":
                if message.domain not in OWN_DOMAINS and (message.domain, message.op_type) not in functions:
                    what = f"{file.name} uses the operator {message.domain[:80]}.{message.op_type[:80]}, which ONNX Runtime does not have"
                    raise MlprodError(Code.BAD_MODEL, what, hint="export it with standard operators")


def _session(file: Path, model: Any) -> Any:
    options = ort.SessionOptions()
    options.log_severity_level = 4
    try:
        return ort.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001  onnxruntime raises C++ classes without a public common base
        reason = str(error).rpartition("failed:")[2]
        if computes_in_bfloat16(model):
            what = f"{file.name} computes in bfloat16, which ONNX Runtime does not on a CPU: {' '.join(reason.split())[:200]}"
            raise MlprodError(Code.BAD_MODEL, what, hint="export it in float32") from None
        raise _invalid(file, reason[max(0, reason.find(LATER)) :]) from None


def _answers(session: Any, feed: Mapping[str, Array], trial: Trial, file: Path) -> dict[str, Array]:
    try:
        answers = session.run(None, feed)
    except Exception as error:  # noqa: BLE001  onnxruntime raises C++ classes without a public common base
        what = f"{file.name} does not take the prepared rows at batch {trial.key}: {' '.join(str(error).split())[:200]}"
        raise MlprodError(Code.BAD_MODEL, what, hint="export it again with that dimension dynamic") from None
    return dict(zip([entry.name for entry in session.get_outputs()], answers, strict=True))


def _shape(name: str, shape: list[int | str | None]) -> tuple[int | str, ...]:
    """The shape as the file declares it; a dimension without a name gets one."""
    return tuple(f"{name}_{axis}" if size is None else size for axis, size in enumerate(shape))
