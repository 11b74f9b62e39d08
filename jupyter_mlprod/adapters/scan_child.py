"""Looks at files in a child process of its own, since what is looked at may have been made to break whoever reads it.

The child is isolated (``-I``), may not write a byte to any file, has a limit on memory and time, and ends at once when anything in it
starts a process, opens a connection or imports what is not Python's own. A child that dies over a file leaves a finding, not a pass.
"""

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from jupyter_mlprod.core.scan_container import MOST_UNPACKED
from jupyter_mlprod.core.scan_file import Tables, look_at
from jupyter_mlprod.core.scan_look import Look, Spot

PACKAGE_ROOT = Path(__file__).parents[2]
PROGRAM = "import sys; sys.path.append(sys.argv[1]); from jupyter_mlprod.adapters.scan_child import serve; serve()"
MEMORY_BYTES = 4 << 30
CPU_S = 60
BYTES_PER_CPU_S = 2_000_000
WALL_OVER_CPU = 5
PARQUET = ".parquet"
ROWS = 10_000
FORBIDDEN = ("os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.startfile", "os.system", "pty.spawn", "socket.",
             "subprocess.", "ctypes.", "os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate",
             "shutil.", "winreg.", "code.__new__")  # fmt: skip
CAUGHT = 99
"""Exit status of a child that did what no scan does."""


class ScanChild:
    """Port `Inspector`."""

    def __init__(self, *, cpu_s: int = CPU_S) -> None:
        self.cpu_s = cpu_s

    def look(self, paths: Sequence[Path]) -> Iterator[Look]:
        """What each file holds, in order, each as soon as it is known."""
        left = [str(path) for path in paths]
        while left:
            ending = _Ending()
            for look in self._child(tuple(left), ending):
                left.pop(0)
                yield look
            if left:  # it died over the next one
                what = f"cannot be looked into: the process that looked at it {ending.told}"
                spots = (Spot(kind="hostile", what=what),)
                yield msgspec.structs.replace(
                    ending.begun, path=left.pop(0), spots=spots, counts={"hostile": 1}, unread_parts=("",)
                )  # fmt: skip

    def _child(self, paths: Sequence[str], ending: "_Ending") -> Iterator[Look]:
        cpu_s = self.cpu_s + sum(_size(path) for path in paths) // BYTES_PER_CPU_S
        command = [sys.executable, "-I", "-X", "utf8", "-c", PROGRAM, str(PACKAGE_ROOT), str(cpu_s)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={}, cwd="/") as child:  # noqa: S603
            assert child.stdin is not None
            assert child.stdout is not None
            watch = threading.Timer(WALL_OVER_CPU * cpu_s, child.kill)
            watch.start()
            try:
                with contextlib.suppress(BrokenPipeError):
                    child.stdin.write(msgspec.json.encode([os.path.abspath(path) for path in paths]))  # noqa: PTH100  a link stays a link
                    child.stdin.close()
                told = (msgspec.json.decode(line, type=_Told) for line in child.stdout)
                for path, line in zip(paths, ending.after_begun(told), strict=False):
                    yield msgspec.structs.replace(line, path=path)
                ending.status = child.wait()
            finally:
                watch.cancel()
                child.kill()


class _Told(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the child: the bytes that it is about to look at, or what it found there."""

    look: Look
    begun: bool = False


class _Ending:
    """How a child ended, and over which bytes."""

    status: int = 0
    begun: Look = Look(path="")

    def after_begun(self, told: Iterator[_Told]) -> Iterator[Look]:
        for line in told:
            self.begun = line.look if line.begun else Look(path="")
            if not line.begun:
                yield line.look

    @property
    def told(self) -> str:
        if self.status == CAUGHT:
            return "was made to do something else, and was stopped"
        return "ran out of its time" if self.status in (-9, -24) else f"ended with status {self.status}, perhaps out of memory"


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError:
        return 0


def serve() -> None:
    """The child: paths on standard input, for each a line before and a line after the look on standard output."""
    paths = msgspec.json.decode(sys.stdin.buffer.read(), type=list[str])
    tables = _tables() if any(path.endswith(PARQUET) for path in paths) else _no_tables
    _limit(int(sys.argv[2]))
    for path in paths:
        _tell(_Told(look=look_at(path, lambda look: _tell(_Told(look=look, begun=True)), tables)))


def _no_tables(_stream: BinaryIO) -> None:
    return None


def _tables() -> Tables:
    """How Parquet is read, if pyarrow is there; it is imported before the limits, which forbid it."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        return _no_tables

    def read(stream: BinaryIO) -> Iterator[str] | None:
        try:
            file = pq.ParquetFile(stream)
            texts = [field.name for field in file.schema_arrow if _is_text(pa, field.type)]
            unpacked = sum(file.metadata.row_group(group).total_byte_size for group in range(file.metadata.num_row_groups))
            if unpacked > MOST_UNPACKED or any(
                pa.types.is_nested(field.type) or pa.types.is_binary(field.type) for field in file.schema_arrow
            ):
                return None
            found = [*(f"{key!r}: {value!r}" for key, value in (file.metadata.metadata or {}).items() if key != b"ARROW:schema")]
            batches = file.iter_batches(batch_size=ROWS, columns=texts, use_threads=False) if texts else iter(())
            found += [str(value) for batch in batches for column in batch.columns for value in column.to_pylist()]
        except (pa.ArrowException, OSError, ValueError, MemoryError):
            return None
        return iter(found)

    return read


def _is_text(pa: Any, kind: Any) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _tell(line: _Told) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(line) + b"\n")
    sys.stdout.buffer.flush()


def _limit(cpu_s: int) -> None:
    """From here on nothing is written, and time and memory end; on Windows the clock of the parent is the only limit."""
    for encoding in (
        "cp437",
        "utf-8",
        "utf-16",
        "utf-32-le",
        "utf-32-be",
        "latin-1",
        "ascii",
        "idna",
        "raw_unicode_escape",
        "unicode_escape",
    ):
        "".encode(encoding)  # loads what a reader of archives would import later
    sys.addaudithook(_audit)
    if sys.platform != "win32":
        import resource

        limits = ((resource.RLIMIT_AS, MEMORY_BYTES), (resource.RLIMIT_CPU, cpu_s), (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_CORE, 0))
        for limit, most in limits:
            hard = resource.getrlimit(limit)[1]
            most = most if hard == resource.RLIM_INFINITY else min(most, hard)
            resource.setrlimit(limit, (most, most))


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    """Ends the child when it is made to do what no scan does."""
    foreign = event == "import" and str(arguments[0]).split(".")[0] not in sys.stdlib_module_names
    writes = event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
    if foreign or writes or event.startswith(FORBIDDEN):
        os._exit(CAUGHT)
