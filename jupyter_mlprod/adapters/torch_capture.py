"""A torch module as a capture: exported with dynamo, and its own answers kept beside the graph.

The module is copied first, to the CPU and to eval mode: the user's own stays as it is, on its device, in its mode.
"""

import contextlib
import copy
import importlib
import inspect
import io
import logging
import sys
import uuid
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from jupyter_mlprod.core.answer import Ends, final_outputs, graph_inputs
from jupyter_mlprod.core.capture import Capture, write_capture
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.graph import bare_bytes
from jupyter_mlprod.core.raw import Array, Raw, part, rows
from jupyter_mlprod.core.remeasure import batch_sizes

Tensors = dict[str, "torch.Tensor"]


class TorchCapture:
    """The port `Models` for torch modules and ``module:object``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def capture(self, source: Any, example: Raw, ends: Ends, *, shapes: Mapping[str, tuple[int | str, ...]]) -> Path:  # noqa: ARG002
        """Export and let the original answer.

        Parameters
        ----------
        source : an ``nn.Module``, or ``module:object`` naming one or a function without arguments that returns one
        example : raw rows, two or more
        ends : what stands before and behind the module
        shapes : declared by name of an input; a name in it is a dimension that may vary

        Raises
        ------
        MlprodError : ``bad-model`` with the exporter's reason.
        """
        live = imported(source) if isinstance(source, str) else source
        if not isinstance(live, torch.nn.Module):
            raise MlprodError(
                Code.BAD_MODEL, f"a {type(live).__name__} is no torch module", hint="give an nn.Module, an .onnx file or module:object"
            )
        module = copy.deepcopy(live).cpu().eval()
        names = input_names(module)

        def inputs_of(raw: Raw) -> Tensors:
            return {name: _tensor(array) for name, array in graph_inputs(ends, raw, names, tell=True).items()}

        whole = inputs_of(example)
        with torch.inference_mode():
            given = tuple(_named_outputs(_call(module, whole)))
            answers = {
                batch: final_outputs(ends, _named_outputs(_call(module, inputs_of(part(example, 0, batch)))), tell=True)
                for batch in batch_sizes(rows(example))
            }
        reference = {f"{batch}/{name}": array for batch, named in answers.items() for name, array in named.items()}
        graph = _export(module, whole, given)
        outputs = tuple(answers[rows(example)])
        capture = Capture(original="torch", versions={"torch": str(torch.__version__)}, inputs=tuple(whole), outputs=outputs)
        return write_capture(self.folder / uuid.uuid4().hex[:12], capture, graph=graph, reference=reference)


def imported(spec: str) -> Any:
    """The object that ``module:object`` names, called if it is a plain function."""
    module_name, colon, attribute = spec.partition(":")
    if not colon or not module_name or not attribute:
        raise MlprodError(Code.BAD_MODEL, f"{spec!r} is no model", hint="give an .onnx file or module:object")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        value = getattr(importlib.import_module(module_name), attribute)
        return value() if inspect.isfunction(value) else value
    except (Exception, SystemExit) as error:
        raise MlprodError(Code.BAD_MODEL, f"{spec!r} cannot be imported: {type(error).__name__}: {_one_line(error)}") from error


def input_names(module: "torch.nn.Module") -> list[str]:
    """The names of ``forward``'s arguments that have no default."""
    parameters = inspect.signature(module.forward).parameters.values()
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    names = [p.name for p in parameters if p.kind in positional and p.default is inspect.Parameter.empty]
    if not names:
        raise MlprodError(Code.BAD_MODEL, f"{type(module).__name__}.forward takes no argument by name")
    return names


def answered(module: "torch.nn.Module", prepared: Mapping[str, Array]) -> dict[str, Array]:
    """What a module answers to arrays by name, named as in its capture."""
    with torch.inference_mode():
        return _named_outputs(_call(module, {name: _tensor(array) for name, array in prepared.items()}))


def _call(module: "torch.nn.Module", inputs: Tensors) -> Any:
    try:
        return module(**inputs)
    except Exception as error:
        shapes = ", ".join(f"{name} {tuple(tensor.shape)}" for name, tensor in inputs.items())
        raise MlprodError(Code.BAD_MODEL, f"the module does not take the prepared example ({shapes}): {_one_line(error)}") from error


def _tensor(array: Array) -> "torch.Tensor":
    if array.dtype.kind == "f":
        return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
    if array.dtype.kind in "iu":
        return torch.from_numpy(np.ascontiguousarray(array, dtype=np.int64))
    if array.dtype.kind == "b":
        return torch.from_numpy(np.ascontiguousarray(array))
    raise MlprodError(Code.BAD_MODEL, f"the module would get an array of {array.dtype}", hint="let --preprocess turn it into numbers")


def _named_outputs(result: Any) -> dict[str, Array]:
    if isinstance(result, torch.Tensor):
        return {"output": _numpy(result)}
    if isinstance(result, Mapping) and all(isinstance(value, torch.Tensor) for value in result.values()):
        return {str(name): _numpy(value) for name, value in result.items()}
    if isinstance(result, tuple | list) and all(isinstance(value, torch.Tensor) for value in result):
        return {f"output_{index}": _numpy(value) for index, value in enumerate(result)}
    raise MlprodError(
        Code.BAD_MODEL, f"the module returns a {type(result).__name__}; tensors, a tuple or a dict of tensors can be exported"
    )


def _numpy(tensor: "torch.Tensor") -> Array:
    """The tensor's values; numpy has no bfloat16, and float32 holds it exactly."""
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()


def _export(module: "torch.nn.Module", inputs: Tensors, outputs: tuple[str, ...]) -> bytes:
    batch = torch.export.Dim("batch")
    try:
        with _quiet():
            program = torch.onnx.export(
                module,
                (),
                kwargs=inputs,
                dynamo=True,
                dynamic_shapes={name: {0: batch} for name in inputs},
                input_names=list(inputs),
                output_names=list(outputs),
                verbose=False,
            )
    except Exception as error:
        raise MlprodError(
            Code.BAD_MODEL, f"torch.onnx.export: {_one_line(error)}", hint="the message names the operator; move it out of forward"
        ) from error
    assert program is not None
    return bare_bytes(program.model_proto)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporter speaks on stdout, in warnings and in logs; none of it is about the user's model."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir", "torch.export")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _one_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:300]
