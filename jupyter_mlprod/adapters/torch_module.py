"""The trainable module of a bundle: written down as its structure, its weights and the source of its own classes, and brought back.

It comes back on the CPU and in eval mode, as it was packaged; whether a parameter is trained, and what is tied, is kept. Hooks are not:
a module that computes with one is told to be untrainable, since it would come back as another.
"""

import json
import linecache
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from jupyter_mlprod.core.apart import Extent, demand_apart
from jupyter_mlprod.core.bundle import CLASSES, MODULE, STRUCTURE, WEIGHTS, Bundle
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.execute import run_text
from jupyter_mlprod.core.raw import Array
from jupyter_mlprod.core.source_class import UnwritableError
from jupyter_mlprod.core.structure import Reader, Writer, is_default

Call = Callable[[torch.nn.Module, Mapping[str, Array]], dict[str, Array]]

FORMAT = "module/1"
GROUPS = ("_parameters", "_buffers", "_modules")
"""The parts of a module's state that torch reaches by attribute, so that a path to a tensor is its name in ``state_dict()``."""
OWN_STATE = {*GROUPS, "_non_persistent_buffers_set"}
COMPUTING_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
TENSORS = (torch.Tensor, torch.nn.Parameter, torch.nn.Buffer)
DTYPES = (
    torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.uint16, torch.uint32, torch.uint64,
    torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64, torch.float8_e4m3fn, torch.float8_e5m2,
)  # fmt: skip
"""What safetensors holds."""


UNFIT = (ImportError, AttributeError, LookupError, TypeError, ValueError, RecursionError, OSError, SafetensorError)
"""What a structure of another version of a package, or none at all, ends in."""


class TorchModules:
    """Port `Modules`.

    Parameters
    ----------
    call : how a module is given arrays by name, and its answers are named; the way in which they were named in the capture
    """

    def __init__(self, call: Call) -> None:
        self.call = call

    def describe(self, module: Any, capture: Path) -> str:
        """Write a module beside its capture; the reason when it cannot be brought back, and then nothing is written."""
        if not isinstance(module, torch.nn.Module):
            return f"the original is a {type(module).__name__} and no torch module"
        tensors = _Tensors()
        writer = Writer(tensors.leaf, _state, hidden=GROUPS)
        try:
            tensors.check(module)
            writer.value(module, "")
            demand_apart(tensors.extents)
        except UnwritableError as fault:
            return str(fault)
        except RecursionError:
            return "its attributes hold themselves, or are nested too deep"
        _write(capture, writer, tensors)
        return ""

    def answer(self, module: Any, prepared: Mapping[str, Array]) -> dict[str, Array]:
        return self.call(module, prepared)

    def restore(self, folder: Path, bundle: Bundle) -> Any:
        """The module of a bundle; the caller has established trust, and verified the digests.

        Raises
        ------
        MlprodError : ``bad-model`` with what does not fit this environment.
        """
        try:
            structure = json.loads((folder / STRUCTURE).read_bytes())
            if structure["format"] != FORMAT:
                raise ValueError(f"the format is {structure['format']!r}, known is {FORMAT!r}")
            own = _own_classes(folder / CLASSES, bundle.name) if (folder / CLASSES).is_file() else {}
            return _restored(structure, load_file(folder / WEIGHTS), own)
        except ModuleNotFoundError as error:
            what = f"{bundle.name}'s module needs {error.name}, which is not installed"
            raise MlprodError(Code.BAD_MODEL, what, hint="install the packages that it was trained with") from None
        except UNFIT as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            what = f"{bundle.name}'s module does not fit torch {torch.__version__}: {reason}"
            raise MlprodError(Code.BAD_MODEL, what, hint="use the packages that it was trained with") from error


class _Tensors:
    """Every tensor and array of a module, by path; one that stands in two places is kept once, so that it stays tied."""

    def __init__(self) -> None:
        self.kept: dict[str, torch.Tensor] = {}
        self.notes: dict[str, Any] = {}
        self.names: dict[int, str] = {}
        self.extents: list[Extent] = []

    def check(self, module: torch.nn.Module) -> None:
        """Lazy parameters have no values yet; they are found before anything is written."""
        lazy = next((n for n, p in module.named_parameters() if torch.nn.parameter.is_lazy(p)), None)
        if lazy is not None:
            raise UnwritableError(f"{lazy} has not been initialized; call the module once")

    def leaf(self, value: Any, path: str) -> Any:
        """What torch and numpy hold, as JSON."""
        match value:
            case torch.Tensor():
                return {"tensor": self._key(value, path)}
            case torch.Size():
                return {"size": list(value)}
            case torch.dtype():
                return {"dtype": str(value).removeprefix("torch.")}
            case torch.device():
                return {"device": "cpu"}
            case np.ndarray() if type(value) is np.ndarray and value.dtype.kind in "fiub":
                return {"array": self._array(value, path)}
            case np.generic() if value.dtype.kind in "fiub":
                return {"scalar": [value.dtype.name, self._array(np.asarray(value), path)]}
            case np.dtype():
                return {"numpy": value.str}
            case _:
                return None

    def _key(self, tensor: torch.Tensor, path: str) -> str:
        if id(tensor) in self.names:
            return self.names[id(tensor)]
        if type(tensor) not in TENSORS or tensor.layout is not torch.strided or tensor.is_meta or tensor.dtype not in DTYPES:
            hollow = ", without values" if tensor.is_meta else ""
            kind = f"{type(tensor).__name__} of {str(tensor.dtype).removeprefix('torch.')}, {tensor.layout}{hollow}"
            raise UnwritableError(f"{path} is a {kind}, which safetensors cannot hold")
        self.names[id(tensor)] = path
        self.extents.append(
            Extent(
                path=path, owner=tensor, device=str(tensor.device), start=tensor.data_ptr(), width=tensor.element_size(),
                shape=tuple(tensor.shape), steps=tuple(tensor.element_size() * step for step in tensor.stride()),
            )
        )  # fmt: skip
        note = {"parameter": isinstance(tensor, torch.nn.Parameter), "trained": tensor.requires_grad}
        if any(note.values()):
            self.notes[path] = note
        self.kept[path] = tensor
        return path

    def _array(self, array: np.ndarray[Any, Any], path: str) -> str:
        if id(array) in self.names:
            return self.names[id(array)]
        if array.dtype.name not in {str(dtype).removeprefix("torch.") for dtype in DTYPES}:
            raise UnwritableError(f"{path} is an array of {array.dtype}, which safetensors cannot hold")
        self.names[id(array)] = path
        self.extents.append(
            Extent(
                path=path, owner=array, device="cpu", start=array.ctypes.data, width=array.itemsize, shape=array.shape, steps=array.strides
            )
        )
        self.kept[path] = torch.from_numpy(np.array(array, dtype=array.dtype.newbyteorder("=")))
        return path


def _state(value: Any, path: str) -> Mapping[str, Any] | None:
    """A module's state as pickle would ask for it, without what every module has and without the way it is hooked up."""
    if not isinstance(value, torch.nn.Module):
        return None
    kind = type(value)
    if not is_default(kind, "__reduce__", "__reduce_ex__"):
        raise UnwritableError(f"{path or 'the module'} is a {kind.__module__}.{kind.__qualname__}, which is made by code of its own")
    state = value.__getstate__()  # type: ignore[no-untyped-call]
    if not isinstance(state, dict):
        raise UnwritableError(f"{path or 'the module'} is a {kind.__qualname__} with __slots__, which cannot be written down")
    for name in COMPUTING_HOOKS:
        for hook in (state.get(name) or {}).values():
            label = getattr(hook, "__qualname__", type(hook).__qualname__)
            raise UnwritableError(f"{path or 'the module'} has the hook {label}, and hooks are not carried; remove it before packaging")
    every = vars(torch.nn.Module()).keys() - OWN_STATE
    return {key: item for key, item in state.items() if key not in every}


def _write(capture: Path, writer: Writer, tensors: _Tensors) -> None:
    structure = {"format": FORMAT, "tensors": tensors.notes, "objects": writer.objects}
    try:
        (capture / MODULE).mkdir()
        (capture / STRUCTURE).write_text(json.dumps(structure, indent=1, sort_keys=True) + "\n", "utf-8")
        if writer.carried.text:
            (capture / CLASSES).write_text(writer.carried.text, "utf-8")
        save_file({path: _whole(tensor) for path, tensor in tensors.kept.items()}, capture / WEIGHTS)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(capture, ignore_errors=True)
        raise MlprodError(Code.DISK, f"{capture} could not be written: {error}", hint="free space or rights") from error


def _whole(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor as its own memory in order; copied only when it lies elsewhere or is a view."""
    plain = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous()
    return plain if plain.untyped_storage().nbytes() == plain.nbytes else plain.clone()


def _own_classes(file: Path, name: str) -> dict[str, Any]:
    """What the bundle's own text defines, as a module that inspection finds: what is trained on can be packaged again."""
    text = file.read_text("utf-8")
    own = f"mlprod_module_{file.parents[1].name[-12:]}"
    linecache.cache[f"<{own}>"] = (len(text), None, text.splitlines(keepends=True), f"<{own}>")
    try:
        return run_text(text, own, file=f"<{own}>")
    except ModuleNotFoundError:
        raise
    except (Exception, SystemExit) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        what = f"the classes of {name}'s module do not run: {reason}"
        raise MlprodError(Code.BAD_MODEL, what, hint="use the packages that it was trained with") from error


def _restored(structure: dict[str, Any], weights: dict[str, torch.Tensor], own: Mapping[str, Any]) -> torch.nn.Module:
    for path, note in structure["tensors"].items():
        tensor = weights[path]
        weights[path] = torch.nn.Parameter(tensor, note["trained"]) if note["parameter"] else tensor.requires_grad_(note["trained"])

    def leaf(kind: str, body: Any) -> Any:
        match kind:
            case "tensor":
                return weights[body]
            case "array":
                return weights[body].numpy()
            case "scalar":
                return weights[body[1]].numpy().astype(body[0])[()]
            case "size":
                return torch.Size(body)
            case "dtype":
                found = getattr(torch, body)
                if not isinstance(found, torch.dtype):
                    raise TypeError(f"{body!r} is no dtype")
                return found
            case "device":
                return torch.device(body)
            case "numpy":
                return np.dtype(body)
            case _:
                raise ValueError(f"no value of the kind {kind!r} is known")

    def fill(shell: Any, state: dict[str, Any]) -> bool:
        if not isinstance(shell, torch.nn.Module):
            return False
        shell.__setstate__({**vars(torch.nn.Module()), "training": False, **state})  # type: ignore[no-untyped-call]
        return True

    module = Reader(own, leaf, fill).objects(structure["objects"])
    if not isinstance(module, torch.nn.Module):
        raise TypeError(f"it describes a {type(module).__name__} and no module")
    return module
