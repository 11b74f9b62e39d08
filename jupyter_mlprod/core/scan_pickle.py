"""What a pickle would import, found by running it in unpicklers that import nothing.

The decision a reader would question: the pickle *is* run, by both of CPython's own unpicklers, C and Python, since a file can be written
that any re-implementation reads otherwise than they do. Each name that it asks for is noted and answered by a stub on which every
operation succeeds, so nothing is imported and nothing is called. What is harmless is a short list of exact names, those that tensors
need; a list of what is harmful could never be complete. It runs in the child process of `adapters/scan_child.py` and nowhere else.
"""

import pickle
import re
import struct
import sys
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, ClassVar

import msgspec

HEADS = tuple(bytes([0x80, protocol]) for protocol in range(2, 6))
LEGACY_TORCH = 0x1950A86A20F9469CFC6C
"""The first of the five pickles of a file by ``torch.save`` without its zip format; the bytes of the tensors come after them."""
LEGACY_PROGRAMS = 5
MOST_PROGRAMS = 10_000
MOST_NAMES = 10_000
LONGEST_LINE = 1 << 26
IMPORTABLE = re.compile(r"[A-Za-z_][\w.]*")
EXTENSION = "copyreg.extension"
TEXTS = (
    pickle.STRING, pickle.BINSTRING, pickle.SHORT_BINSTRING, pickle.UNICODE, pickle.BINUNICODE, pickle.SHORT_BINUNICODE, pickle.BINUNICODE8,
)  # fmt: skip
"""Opcodes of strings."""

_TYPES = "BFloat16 Bool Byte Char ComplexDouble ComplexFloat Double Float Half Int Long Short"
_PLACES = ("", "cuda.", "sparse.", "cuda.sparse.")
_QUANTIZED = "QInt32 QInt8 QUInt2x4 QUInt4x2 QUInt8"
_DTYPES = (
    "bfloat16 bits16 bits1x8 bits2x4 bits4x2 bits8 bool complex32 complex64 complex128 float16 float32 float64 float4_e2m1fn_x2 "
    "float8_e4m3fn float8_e4m3fnuz float8_e5m2 float8_e5m2fnuz float8_e8m0fnu qint32 qint8 quint2x4 quint4x2 quint8 "
    "int1 int2 int3 int4 int5 int6 int7 int8 int16 int32 int64 uint1 uint2 uint3 uint4 uint5 uint6 uint7 uint8 uint16 uint32 uint64 "
    "per_channel_affine per_channel_affine_float_qparams per_channel_symmetric per_tensor_affine per_tensor_symmetric "
    "Size Tensor device"
)
_REBUILD = (
    "device_tensor_from_cpu_tensor device_tensor_from_numpy meta_tensor_no_storage nested_tensor parameter parameter_with_state qtensor "
    "sparse_csr_tensor sparse_tensor tensor tensor_v2 tensor_v3 wrapper_subclass"
)
_BUILTINS = "bool bytearray bytes complex dict float frozenset int list set str tuple unicode long"
_NUMPY = "_reconstruct scalar"

TENSOR_NAMES = frozenset(
    [
        *(f"torch.{place}{kind}{what}" for place in _PLACES for kind in _TYPES.split() for what in ("Storage", "Tensor")),
        *(f"torch.{kind}Storage" for kind in _QUANTIZED.split()),
        *(f"torch.{name}" for name in _DTYPES.split()),
        *(f"torch._utils._rebuild_{name}" for name in _REBUILD.split()),
        "torch._tensor._rebuild_from_type_v2", "torch.nn.parameter.Parameter", "torch.nn.parameter.Buffer",
        "torch.serialization._get_layout", "torch.storage.TypedStorage", "torch.storage.UntypedStorage", "torch.torch_version.TorchVersion",
        *(f"{module}.{name}" for module in ("builtins", "__builtin__") for name in _BUILTINS.split()),
        *(f"{module}.{name}" for module in ("numpy.core.multiarray", "numpy._core.multiarray") for name in _NUMPY.split()),
        "numpy.core.numeric._frombuffer", "numpy._core.numeric._frombuffer", "numpy.dtype", "numpy.ndarray",
        "collections.Counter", "collections.OrderedDict", "collections.defaultdict", "_codecs.encode",
    ]
)  # fmt: skip
"""Every name that a pickle of tensors, arrays and plain values may hold."""

_RUNS = (
    "__builtin__ _io _posixsubprocess _pickle aiohttp asyncio bdb builtins code codeop commands ctypes functools http httplib idlelib "
    "importlib io lib2to3 marshal multiprocessing nt operator os pathlib pdb pip pickle pkgutil platform posix profile pty pydoc requests "
    "runpy shutil smtplib socket ssl subprocess sys tempfile timeit trace types urllib urllib2 uuid venv webbrowser"
)
RUNS = frozenset(_RUNS.split())
"""Top-level modules whose names in a pickle are there to do something; for the wording of a finding, never for the decision."""

KNOWN = RUNS | sys.stdlib_module_names | {"numpy", "scipy", "pandas", "sklearn", "joblib", "torch", "torchvision", "transformers"}
"""Packages that there are; a pickle that asks for a module inside one imports it, and that acts, even when the pickle then breaks off."""
GREETS = frozenset({"antigravity", "this"})
"""Modules of the standard library that act by being imported and lie in no package."""

BROKEN = (
    pickle.UnpicklingError, EOFError, AttributeError, ImportError, IndexError, KeyError, TypeError, ValueError, ArithmeticError,
    AssertionError, NameError, OSError, MemoryError, RecursionError, struct.error,
)  # fmt: skip
"""All that the two unpicklers raise on bytes that are no pickle, or half of one."""


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """One pickle of a file.

    Attributes
    ----------
    names : what it asks for, in order, ``module.name``
    texts : the strings in it
    fault : why it could not be followed to its end, or empty
    start, end : where it lies; ``end`` is where its reader stopped
    legacy : whether it opens a file in torch's old format
    changes : whether it puts something into what it asks for, instead of into what it makes
    proves : whether it is one beyond doubt; else it is bytes that may be read as one, such as ``N.``
    """

    names: tuple[str, ...]
    fault: str
    start: int
    end: int
    texts: tuple[str, ...] = ()
    legacy: bool = False
    changes: bool = False
    proves: bool = True


class Asked:
    """What the pickles of one place asked for, and whether anything was done with it."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.texts: list[str] = []
        self.acted = False
        self.changed = False

    def stub(self, module: Any, name: Any) -> "StubType":
        if not IMPORTABLE.fullmatch(str(module)) or not IMPORTABLE.fullmatch(str(name)):
            raise pickle.UnpicklingError("asks for what cannot be a name")
        if len(self.names) < MOST_NAMES:
            self.names.append(f"{module}.{name}")
        return StubType("Stub", (Stub,), {"asked": self})

    def change(self, what: Any) -> None:
        """Something is put into what was asked for; a state of a class, a mapping, is as good as a call."""
        self.changed = True
        self.acted = self.acted or (isinstance(what, dict | tuple) and bool(what))

    @property
    def acts(self) -> bool:
        """Whether something is called, or a module that is known to exist is reached into: imported from a package, or changed."""
        modules = [name.rpartition(".")[0] for name in self.names]
        known = [module for module in modules if module.split(".")[0] in KNOWN]
        return self.acted or any(self.changed or "." in module or module in GREETS for module in known)


class StubType(type):
    """Makes a class that can be filled as a mapping can, since a pickle may ask for a mapping that is there already."""

    asked: Asked

    def __setitem__(cls, key: Any, value: Any) -> None:
        cls.asked.changed = True


class Filling:
    """A method by which a pickle fills an object: of no account for one that it made, noted for what it asked for itself."""

    def __get__(self, made: object | None, kind: StubType) -> Callable[[Any], None]:
        return kind.asked.change if made is None else lambda _: None


class Stub(metaclass=StubType):
    """Stands for whatever was asked for: can be called, filled and set, and does nothing but note that."""

    append = extend = add = __setstate__ = Filling()

    def __new__(cls, *_args: Any, **_named: Any) -> "Stub":
        cls.asked.acted = True
        return object.__new__(cls)

    def __init__(self, *_args: Any, **_named: Any) -> None:
        pass

    def __call__(self, *_args: Any, **_named: Any) -> "Stub":
        return self

    def __setitem__(self, key: Any, value: Any) -> None:
        pass


class Held:
    """Stands for a tensor's bytes, which torch keeps elsewhere."""


class FastNotes(pickle.Unpickler):
    """CPython's C unpickler with its imports cut."""

    def __init__(self, stream: Any, asked: Asked) -> None:
        super().__init__(stream)
        self.asked = asked

    def find_class(self, module: str, name: str, /) -> Any:
        return self.asked.stub(module, name)

    def persistent_load(self, pid: Any) -> Any:  # noqa: ARG002  torch names its storages so
        return Held()


class SlowNotes(pickle._Unpickler):
    """CPython's Python unpickler with its imports cut; it also tells of extension codes, which have no name in the file."""

    dispatch: ClassVar[dict[int, Any]] = {**pickle._Unpickler.dispatch}

    def __init__(self, stream: Any, asked: Asked) -> None:
        super().__init__(stream)
        self.asked = asked
        self.longest = 0

    def find_class(self, module: str, name: str, /) -> Any:
        return self.asked.stub(module, name)

    def persistent_load(self, pid: Any) -> Any:  # noqa: ARG002  torch names its storages so
        return Held()

    def load_reduce(self) -> None:
        """Takes arguments in a tuple only, as the C unpickler does; a list of towns may put a word there."""
        if not isinstance(self.stack[-1], tuple):  # type: ignore[attr-defined]
            raise pickle.UnpicklingError("argument list must be a tuple")
        super().load_reduce()  # type: ignore[misc]

    def load_long_binput(self) -> None:
        """The C unpickler makes a table as long as the index says; here it is only noted, and the C unpickler left out."""
        (index,) = struct.unpack("<I", self.read(4))  # type: ignore[attr-defined]
        self.memo[index] = self.stack[-1]  # type: ignore[attr-defined]
        self.longest = max(self.longest, index)

    def load_bytearray8(self) -> None:
        """Reads what is there, and makes no room beforehand for what is said to be there."""
        (length,) = struct.unpack("<Q", self.read(8))  # type: ignore[attr-defined]
        self.append(bytearray(self.read(length)))  # type: ignore[attr-defined]

    def get_extension(self, code: int) -> None:
        self.append(self.asked.stub(EXTENSION, f"code_{code}"))  # type: ignore[attr-defined]  # the typeshed knows no stack


def _heard(load: Callable[[SlowNotes], None]) -> Callable[[SlowNotes], None]:
    """The same opcode, whose string is kept, so that a secret in a checkpoint is seen."""

    def heard(notes: SlowNotes) -> None:
        load(notes)
        if isinstance(text := notes.stack[-1], str):  # type: ignore[attr-defined]
            notes.asked.texts.append(text)

    return heard


SlowNotes.dispatch.update({opcode[0]: _heard(SlowNotes.dispatch[opcode[0]]) for opcode in TEXTS})
SlowNotes.dispatch[pickle.REDUCE[0]] = SlowNotes.load_reduce
SlowNotes.dispatch[pickle.LONG_BINPUT[0]] = SlowNotes.load_long_binput
SlowNotes.dispatch[pickle.BYTEARRAY8[0]] = SlowNotes.load_bytearray8


class _Window:
    """A file for an unpickler: never gives more than there is, so memory runs out only over what is really there."""

    def __init__(self, stream: BinaryIO, start: int, size: int) -> None:
        self.stream = stream
        self.left = size - start
        stream.seek(start)

    def read(self, length: int = -1) -> bytes:
        data = self.stream.read(self.left if length < 0 else min(length, self.left))
        self.left -= len(data)
        return data

    def readline(self) -> bytes:
        data = self.stream.readline(min(LONGEST_LINE, self.left))
        self.left -= len(data)
        if len(data) == LONGEST_LINE:
            raise MemoryError(f"a line of more than {LONGEST_LINE:,} bytes")
        return data


class _Run(msgspec.Struct, frozen=True, kw_only=True):
    """How one unpickler fared: its value, where it stopped, why it did before the end, whether its means ran out, its longest index."""

    value: Any = None
    end: int
    fault: str = ""
    worn_out: bool = False
    longest: int = 0


def _run(kind: Callable[[Any, Asked], Any], stream: BinaryIO, start: int, size: int, asked: Asked) -> _Run:
    held = _Window(stream, start, size)
    reader = kind(held, asked)
    try:
        value = reader.load()
    except BROKEN as error:
        fault, worn_out = str(error)[:200] or type(error).__name__, isinstance(error, MemoryError | RecursionError)
        return _Run(end=size - held.left, fault=fault, worn_out=worn_out, longest=getattr(reader, "longest", 0))
    return _Run(value=value, end=size - held.left, longest=getattr(reader, "longest", 0))


def _read(stream: BinaryIO, start: int, size: int) -> Program | None:
    """What lies at ``start``, if that may be read as a pickle.

    With a protocol mark it is one when it asks for something, comes to its end, or wears its reader out before. Without, letters may
    be opcodes by chance (``cat``, ``dog``, a line each, ask for ``at.dog``), so it proves itself only when it acts before it breaks
    off, when it ends where the file does, or when both readers are worn out.
    """
    stream.seek(start)
    marked = stream.read(2) in HEADS
    asked = Asked()
    slow = _run(SlowNotes, stream, start, size, asked)
    wild = slow.longest > max(size, MOST_NAMES)
    fast = _Run(end=slow.end, fault=f"it notes a value as number {slow.longest:,}") if wild else _run(FastNotes, stream, start, size, asked)
    ended = slow if fast.fault else fast
    worn_out = (fast.worn_out or slow.worn_out) if marked else (fast.worn_out and slow.worn_out)
    known = [name for name in asked.names if marked or not name.startswith(EXTENSION)]  # one byte of a tensor may be an extension's opcode
    whole = not ended.fault and (marked or ended.end == size or (bool(known) and _blank(stream, ended.end, size)))
    proves = whole or worn_out or (bool(known) and (marked or asked.acts))
    if not proves and ended.fault:
        return None
    legacy = isinstance(ended.value, int) and ended.value == LEGACY_TORCH
    return Program(
        names=tuple(dict.fromkeys(asked.names)), fault=fast.fault or slow.fault, start=start, end=ended.end, legacy=legacy,
        changes=asked.changed, proves=proves, texts=tuple(asked.texts),
    )  # fmt: skip


def _blank(stream: BinaryIO, start: int, size: int) -> bool:
    """Whether nothing but white space follows, as an editor leaves it."""
    stream.seek(start)
    return not stream.read(min(size - start, 1 << 16)).strip()


def programs(stream: BinaryIO, size: int, *, start: int = 0) -> Iterator[Program]:
    """Every pickle of a file that is one, from ``start`` to ``size``; behind a STOP the next begins, as readers of several have it."""
    at, told, legacy = start, 0, False
    waiting: list[Program] = []
    for seen in range(MOST_PROGRAMS):
        if told and at >= size:
            return
        raw = legacy and seen >= LEGACY_PROGRAMS  # bytes of tensors, which may look like anything
        found = _read(stream, at, size)
        if found is None or (raw and not (found.proves and found.names)):
            break
        legacy = legacy or (seen == 0 and found.legacy)
        waiting.append(found)
        if found.proves:
            yield from waiting
            told, waiting, at = told + len(waiting), [], found.end
            if found.fault or raw:
                return
        elif found.end >= size:
            break
        at = found.end
    else:
        yield Program(names=(), fault=f"it is followed by {MOST_PROGRAMS:,} others or more", start=at, end=size)
        return
    left = waiting[0].start if waiting else at
    if told and not raw:
        yield Program(names=(), fault=f"{size - left:,} bytes after its end are no pickle", start=left, end=size)


def harm(program: Program) -> str:
    """What is wrong with a pickle, in words after its file's name; empty when it is tensors and plain values."""
    strange = [name for name in program.names if name not in TENSOR_NAMES]
    acting = [name for name in strange if name.split(".")[0] in RUNS]
    if acting:
        return f"runs {_listed(acting)} when it is loaded"
    if strange:
        return f"asks for {_listed(strange)}, which tensors do not need"
    if program.changes:
        return f"changes {_listed(list(program.names))} when it is loaded"
    return f"is a pickle that cannot be followed to its end: {program.fault}" if program.fault else ""


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(name[:80] for name in names[:3]) + more
