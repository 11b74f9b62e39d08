"""A torch module as a capture: exported with dynamo, and its own answers kept beside the graph.

The module is copied first, to the CPU and to eval mode: the user's own stays as it is, on its device, in its mode. What is exported is
the copy inside `Plain`, which takes tensors in order and returns tensors in order, so that the exporter never sees how a module wants
its arguments or packs its results.
"""

import contextlib
import copy
import dataclasses
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

import msgspec
import numpy as np
import onnx_ir
import onnxscript
import torch

from jupyter_mlprod.core.answer import Ends, final_outputs, graph_inputs, preprocessed
from jupyter_mlprod.core.bundle import GRAPH_DATA
from jupyter_mlprod.core.capture import Capture, write_capture
from jupyter_mlprod.core.cast import cast
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.graph import MESSAGE_LIMIT, SMALLEST_MOVED, Packed, bare_bytes, laid_out, offsets, packed
from jupyter_mlprod.core.raw import Array, Raw, part
from jupyter_mlprod.core.tracing import Bound, bounds_of, one_line, refusal
from jupyter_mlprod.core.trial import Shapes, Trial, ask_further, beyond, size_or_name, taken, trials, varying_sizes

Tensors = dict[str, "torch.Tensor"]
LIBRARIES = (*(str(Path(str(module.__file__)).parent) for module in (torch, contextlib, onnx_ir, onnxscript)), __file__)
"""Frames from here are never the line that a user would change; what is installed beside torch may be."""


class TorchCapture:
    """Captures torch modules and ``module:object``; ``limit`` is how many bytes of weights stay inside the graph."""

    def __init__(self, folder: Path, *, limit: int = MESSAGE_LIMIT) -> None:
        self.folder = folder
        self.limit = limit

    def capture(self, source: Any, example: Raw, ends: Ends, *, shapes: Shapes) -> Path:
        """Export and let the original answer.

        Parameters
        ----------
        source : an ``nn.Module``, or ``module:object`` naming one or a function without arguments that returns one
        example : raw rows, two or more
        ends : what stands before and behind the module
        shapes : declared by name of an input; a name in it is a dimension that may vary

        Raises
        ------
        MlprodError : ``bad-model`` with the exporter's reason, the operator or the line of the source.
        """
        module = _copied(imported(source) if isinstance(source, str) else source)
        calling = calling_of(module, preprocessed(ends, part(example, 0, 1), tell=True))
        plain = Plain(module, calling)
        asked = Asked(plain, example, ends, shapes)
        inputs = {trial: asked.prepared(trial) for trial in trials(example, shapes)}
        answers = {trial: plain.arrays(given) for trial, given in inputs.items()}
        whole = list(inputs)[-1]
        dynamic = _dynamic_shapes(inputs, varying_sizes(example, shapes))
        program = _exported(plain, inputs[whole], tuple(answers[whole]), dynamic)
        ended = [asked.demand_end(bound, inputs) for bound in bounds_of(program.exported_program, dynamic, libraries=LIBRARIES)]
        further, refused = ask_further(example, shapes, lambda trial: asked.final(plain.arrays(asked.prepared(trial))))
        final = {**further, **{trial: asked.final(named) for trial, named in answers.items()}}
        capture = Capture(
            original="torch",
            versions={"torch": str(torch.__version__)},
            inputs=calling.names,
            outputs=tuple(final[whole]),
            shapes=dynamic,
            further=tuple(further),
            refused=(*refused, *(trial for trial in ended if trial is not None)),
        )
        reference = {f"{trial.key}/{name}": array for trial, named in final.items() for name, array in named.items()}
        graph, data = _packed(program, limit=self.limit)
        return write_capture(self.folder / uuid.uuid4().hex[:12], capture, graph=graph, reference=reference, data=data)


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
        raise MlprodError(Code.BAD_MODEL, f"{spec!r} cannot be imported: {type(error).__name__}: {one_line(error)}") from error


def inner_of(live: Any) -> "torch.nn.Module":
    """The module itself; of a compiled or parallel one the one inside it."""
    inner = live.module if isinstance(live, torch.nn.DataParallel | torch.nn.parallel.DistributedDataParallel) else live
    inner = getattr(inner, "_orig_mod", inner)
    if not isinstance(inner, torch.nn.Module):
        hint = "give an nn.Module, an .onnx file or module:object"
        if isinstance(inner, Mapping):
            hint = "is it a state dict? make the module, net.load_state_dict(…), and package net"
        elif isinstance(inner, type) and issubclass(inner, torch.nn.Module):
            raise MlprodError(
                Code.BAD_MODEL, f"{inner.__name__} is a class and no module yet", hint=f"package a module of it: net = {inner.__name__}(…)"
            )
        raise MlprodError(Code.BAD_MODEL, f"a {type(live).__name__} is no torch module", hint=hint)
    if isinstance(inner, torch.jit.ScriptModule):
        raise MlprodError(Code.BAD_MODEL, "a ScriptModule has no source to export", hint="give the nn.Module that it was made of")
    return inner


def _copied(live: Any) -> "torch.nn.Module":
    """A copy on the CPU in eval mode."""
    inner = inner_of(live)
    try:
        return copy.deepcopy(inner).cpu().eval()
    except (RuntimeError, TypeError, AttributeError, NotImplementedError) as error:
        what = f"{type(inner).__name__} cannot be copied: {one_line(error)}"
        raise MlprodError(Code.BAD_MODEL, what, hint="keep what is no parameter, buffer or plain value out of the module") from error


class Calling(msgspec.Struct, frozen=True, kw_only=True):
    """How ``forward`` is called: with an argument of each name, or with one dict of them."""

    names: tuple[str, ...]
    as_dict: bool = False


def calling_of(module: "torch.nn.Module", prepared: Any) -> Calling:
    """The arguments of ``forward``: those without a default, and those with one that are given.

    Parameters
    ----------
    prepared : what the preprocessing makes of a row

    Raises
    ------
    MlprodError : ``bad-model`` when it takes none, or not all that is given.
    """
    parameters = inspect.signature(module.forward).parameters.values()
    named = [p for p in parameters if p.kind not in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)]
    given = list(prepared) if isinstance(prepared, Mapping) else []
    required = [p for p in named if p.default is inspect.Parameter.empty]
    if given and len(required) == 1 and required[0].name not in given and _wants_dict(required[0], prepared):
        return Calling(names=tuple(given), as_dict=True)
    names = [p.name for p in named if p in required or p.name in given]
    if not names and given and any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters) and not named:
        names = given
    names = names or [p.name for p in named[:1]]
    if not names:
        raise MlprodError(Code.BAD_MODEL, f"{type(module).__name__}.forward takes no argument by name")
    over = [name for name in given if name not in names]
    if over and set(given) & set(names):
        what = f"{type(module).__name__}.forward takes no argument {str(over[0])[:80]!r}, which is prepared for it"
        raise MlprodError(Code.BAD_MODEL, what, hint=f"it takes {', '.join(p.name for p in named)[:200]}")
    return Calling(names=tuple(names))


def answered(module: "torch.nn.Module", prepared: Mapping[str, Array]) -> dict[str, Array]:
    """What a module answers to arrays by name, named as in its capture."""
    plain = Plain(module, calling_of(module, prepared))
    return plain.arrays({name: _tensor(name, array) for name, array in prepared.items()})


def _wants_dict(parameter: inspect.Parameter, prepared: Mapping[str, Any]) -> bool:
    """Whether one argument means all that is prepared, and not its columns side by side: by annotation, else by their shape."""
    said = "" if parameter.annotation is inspect.Parameter.empty else str(parameter.annotation).lower()
    if "dict" in said or "mapping" in said:
        return True
    return "tensor" not in said and any(np.ndim(array) > 1 for array in prepared.values())


class Plain(torch.nn.Module):
    """A module as the exporter sees it: tensors in order, tensors out in order."""

    def __init__(self, module: "torch.nn.Module", calling: Calling) -> None:
        super().__init__()
        self.module = module
        self.calling = calling

    def forward(self, *tensors: "torch.Tensor") -> tuple["torch.Tensor", ...]:
        return tuple(self.named(dict(zip(self.calling.names, tensors, strict=True))).values())

    def named(self, inputs: Tensors) -> Tensors:
        """The outputs by name; one that is called like an input gets another name, since a graph cannot tell them apart."""
        result = self.module(inputs) if self.calling.as_dict else self.module(**inputs)
        return {f"{name}_output" if name in inputs else name: tensor for name, tensor in outputs_of(result).items()}

    def answer(self, inputs: Tensors) -> Tensors:
        """The outputs, or one line that says why there are none; the inputs stay as they are."""
        try:
            return self.named({name: tensor.clone() for name, tensor in inputs.items()})
        except MlprodError:
            raise
        except Exception as error:
            shapes = ", ".join(f"{name} {tuple(tensor.shape)}" for name, tensor in inputs.items())
            raise MlprodError(Code.BAD_MODEL, f"the module does not take the prepared example ({shapes}): {one_line(error)}") from error

    def arrays(self, inputs: Tensors) -> dict[str, Array]:
        """The outputs' values."""
        with torch.inference_mode():
            return {name: _numpy(tensor) for name, tensor in self.answer(inputs).items()}


class Asked:
    """The original, asked at trials of an example, between its preprocessing and its postprocessing."""

    def __init__(self, plain: Plain, example: Raw, ends: Ends, shapes: Shapes) -> None:
        self.plain = plain
        self.example = example
        self.ends = ends
        self.shapes = shapes

    def prepared(self, trial: Trial) -> Tensors:
        """What the module gets, in memory of its own: a forward that works in place must not reach the user's rows."""
        try:
            raw = taken(trial, self.example, self.shapes)
            arrays = graph_inputs(self.ends, raw, list(self.plain.calling.names), tell=True)
        except MlprodError as error:
            if not trial.dimension:
                raise
            what = f"{error.message} (with the example cut to {trial.dimension} {trial.size})"
            raise MlprodError(error.code, what, hint="what varies by contract may have any size") from error
        for name, array in arrays.items():
            if not array.ndim or len(array) != trial.batch:
                raise MlprodError(
                    Code.PREPROCESS, f"{name!r} is prepared with shape {array.shape} for {trial.batch} rows; the first axis is the batch"
                )
        return {name: _tensor(name, array) for name, array in arrays.items()}

    def final(self, named: dict[str, Array]) -> dict[str, Array]:
        return final_outputs(self.ends, named, tell=True)

    def demand_end(self, bound: Bound, inputs: Mapping[Trial, Tensors]) -> Trial | None:
        """Refuse a bound behind which the original goes on answering, by another path than the one that was traced.

        Returns
        -------
        The trial behind the bound, at which it does not answer. None where that cannot be tried, or no batch is prepared so; then a bound
        of an operator is one that both keep.
        """
        trial = beyond(bound.dimension, bound.beyond, self.example, self.shapes, seen=_smallest(inputs, bound))
        answers = bool(bound.place)
        if trial is not None:
            try:
                given = self.prepared(trial)
                size = given[bound.input].shape[bound.axis]
                if size < bound.beyond if bound.beyond > bound.limit else size > bound.beyond:
                    return None
                self.final(self.plain.arrays(given))
                answers = True
            except MlprodError:
                return trial
        if answers:
            place = f", at {bound.place}" if bound.place else ""
            what = f"forward takes another path for {bound.words}{place}; a graph has the path of the example alone"
            raise MlprodError(Code.BAD_MODEL, what, hint="remove the branch, or let --preprocess refuse what lies behind that size")
        return None


def _smallest(inputs: Mapping[Trial, Tensors], bound: Bound) -> int:
    """The least size that was prepared along a bound's axis."""
    return min(given[bound.input].shape[bound.axis] for given in inputs.values())


def outputs_of(result: Any, name: str = "") -> Tensors:
    """Every tensor of a result by name: of mappings and dataclasses by key, of tuples by place; what is None is left out.

    Raises
    ------
    MlprodError : ``bad-model`` when something else is in it, or nothing at all.
    """
    if isinstance(result, torch.Tensor):
        return {name or "output": result}
    found: Tensors = {}
    for key, value in _items(result, name):
        inner = outputs_of(value, f"{name}_{key}" if name else key) if value is not None else {}
        if found.keys() & inner.keys():
            raise MlprodError(
                Code.BAD_MODEL, f"the module returns two outputs that would be named {next(iter(found.keys() & inner.keys()))!r}"
            )
        found |= inner
    if not found and not name:
        raise MlprodError(Code.BAD_MODEL, f"the module returns a {type(result).__name__} without a tensor")
    return found


def _items(result: Any, name: str) -> list[tuple[str, Any]]:
    if isinstance(result, Mapping):
        return [(str(key), value) for key, value in result.items()]
    if isinstance(result, tuple | list):
        fields = getattr(result, "_fields", None) or [str(index) if name else f"output_{index}" for index in range(len(result))]
        return list(zip(fields, result, strict=True))
    if dataclasses.is_dataclass(result) and not isinstance(result, type):
        return [(field.name, getattr(result, field.name)) for field in dataclasses.fields(result)]
    place = f" under {name!r}" if name else ""
    what = f"the module returns a {type(result).__name__}{place}; tensors in tuples, dicts and dataclasses can be exported"
    raise MlprodError(Code.BAD_MODEL, what, hint="return what is answered, in eval mode")


def _tensor(name: str, array: Array) -> "torch.Tensor":
    """A tensor of float32, int64 or bool, in memory of its own."""
    kinds = {"f": np.float32, "i": np.int64, "u": np.int64, "b": np.bool_}
    if array.dtype.kind not in kinds:
        raise MlprodError(Code.BAD_MODEL, f"the module would get an array of {array.dtype}", hint="let --preprocess turn it into numbers")
    return torch.from_numpy(np.array(cast(name, array, kinds[array.dtype.kind], tell=True), order="C"))


def _numpy(tensor: "torch.Tensor") -> Array:
    """The tensor's values; numpy has no bfloat16, and float32 holds it exactly."""
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()


def _dynamic_shapes(inputs: Mapping[Trial, Tensors], sizes: Mapping[str, int]) -> dict[str, tuple[int | str, ...]]:
    """The graph's shapes: what differs between the trials gets a name.

    Raises
    ------
    MlprodError : ``bad-model`` when the example shows such a dimension at size 1, where torch would take it for fixed.
    """
    whole = list(inputs.values())[-1]
    shapes: dict[str, tuple[int | str, ...]] = {}
    for name, tensor in whole.items():
        if any(given[name].ndim != tensor.ndim for given in inputs.values()):
            raise MlprodError(Code.PREPROCESS, f"{name!r} is prepared with another number of dimensions for other rows")
        found = [{trial: given[name].shape[axis] for trial, given in inputs.items()} for axis in range(1, tensor.ndim)]
        shapes[name] = ("batch", *(size_or_name(name, axis, at, sizes) for axis, at in enumerate(found, start=1)))
        small = [axis for axis, size in enumerate(shapes[name]) if isinstance(size, str) and tensor.shape[axis] < 2]
        if small:
            what = f"{name!r} is prepared with shape {tuple(tensor.shape)} for the whole example, and axis {small[0]} varies"
            raise MlprodError(Code.BAD_MODEL, what, hint="give an example in which it is 2 or more")
    return shapes


def _exported(
    plain: Plain, inputs: Tensors, outputs: tuple[str, ...], shapes: Mapping[str, tuple[int | str, ...]]
) -> "torch.onnx.ONNXProgram":
    dynamic = tuple({axis: size for axis, size in enumerate(shape) if isinstance(size, str)} for shape in shapes.values())
    try:
        with _quiet():
            program = torch.onnx.export(
                plain,
                tuple(inputs.values()),
                dynamo=True,
                dynamic_shapes={"tensors": dynamic},
                input_names=list(inputs),
                output_names=list(outputs),
                verbose=False,
            )
    except Exception as error:
        raise refusal(error, shapes, libraries=LIBRARIES) from error
    assert program is not None
    return program


def _packed(program: "torch.onnx.ONNXProgram", *, limit: int) -> Packed:
    """The graph's bytes; weights beyond the limit are never copied into a message."""
    values = [value for value in program.model.graph.initializers.values() if value.const_value is not None]
    moved = [(value, tensor) for value in values if (tensor := value.const_value) is not None and tensor.nbytes >= SMALLEST_MOVED]
    if sum(tensor.nbytes for _, tensor in moved) <= limit:
        return packed(program.model_proto, limit=limit)
    places = offsets([tensor.nbytes for _, tensor in moved])
    for (value, tensor), offset in zip(moved, places, strict=True):
        shape = onnx_ir.Shape([int(size) for size in tensor.numpy().shape])
        value.const_value = onnx_ir.ExternalTensor(GRAPH_DATA, offset, tensor.nbytes, tensor.dtype, shape=shape, name=value.name or "")
    return bare_bytes(onnx_ir.to_proto(program.model)), laid_out(tensor.tobytes() for _, tensor in moved)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporter speaks on stdout, in warnings and in logs; none of it is about the user's model."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir", "torch.export", "torch.fx")]
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
