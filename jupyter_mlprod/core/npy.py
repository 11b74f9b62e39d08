"""An ``.npy`` file by its bytes: what its header says of the type, where its values end, and the texts among them.

The header is a literal. A type that is not known to be plain is taken to be objects, which are a pickle; and since `numpy.load` reads
several arrays from one open file, where one ends is worked out, so that what lies behind it is looked at as well.
"""

import ast
import io
import itertools
import re
import struct
from array import array
from collections.abc import Iterable
from typing import BinaryIO

import msgspec

NUMPY_HEAD = b"\x93NUMPY"
LONGEST_HEADER = 1 << 20
PLAIN_TYPE = re.compile(r"[<>|=]?([biufcmMSUV?])(\d+)(?:\[[\w/]+\])?")
TEXT_TYPE = re.compile(r"[<>|=]?[SU]\d+")
BYTE_TYPE = re.compile(r"[<>|=]?[iuV]1")
ENDS_TYPE = "<i8"
UTF8, ENDS = "utf8/", "ends/"
"""Arrays of these prefixes are a column of strings as one run of bytes, and where each string ends in it: numpy gives every string the room
of the longest."""
NO_HEADER = (struct.error, SyntaxError, ValueError, TypeError, KeyError, RecursionError, MemoryError)
"""What reading a header that is none raises."""


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """Type as written, where the values begin, and where they end; ``end`` is None when they are, or may be, objects."""

    kind: object
    start: int
    end: int | None


def header_at(stream: BinaryIO, at: int) -> Header:
    """The header of the array that begins at ``at``; what is none raises one of `NO_HEADER`."""
    stream.seek(at + len(NUMPY_HEAD))
    form = "<H" if stream.read(2)[:1] == b"\x01" else "<I"
    (length,) = struct.unpack(form, stream.read(struct.calcsize(form)))
    written = ast.literal_eval(stream.read(min(length, LONGEST_HEADER)).decode("latin-1").strip())
    start, kind, shape = stream.tell(), written["descr"], written["shape"]
    width = _width(kind)
    return Header(kind=kind, start=start, end=None if width is None else start + width * _count(shape))


def _width(kind: object) -> int | None:
    """Bytes of one value of a dtype as a header writes it: a string, (dtype, shape), or (name, dtype[, shape]) for each field."""
    if isinstance(kind, str):
        found = PLAIN_TYPE.fullmatch(kind)
        return int(found[2]) * (4 if found[1] == "U" else 1) if found else None
    if isinstance(kind, tuple):
        inner = _width(kind[0]) if len(kind) == 2 else None
        return None if inner is None else inner * _count(kind[1])
    if not isinstance(kind, list) or not all(isinstance(field, tuple) and len(field) in (2, 3) for field in kind):
        return None
    widths = [_width(field[1] if len(field) == 2 else field[1:]) for field in kind]
    known = [width for width in widths if width is not None]
    return sum(known) if len(known) == len(widths) else None


def _count(shape: object) -> int:
    count = 1
    for length in shape if isinstance(shape, tuple) else (shape,):
        if not isinstance(length, int) or length < 0:
            raise ValueError(f"a shape of {length!r}")
        count *= length
    return count


def holds_text(kind: object) -> bool:
    """Whether texts are among the fields of a type, where :func:`texts_of` does not look for them."""
    return not isinstance(kind, str) and re.search(r"'[<>|=]?[SU]\d", repr(kind)) is not None


def texts_of(stream: BinaryIO, header: Header, ends: Iterable[int]) -> BinaryIO | None:
    """The texts of an array of strings, a line each, or single bytes, which may be text; None when its values are numbers.

    Parameters
    ----------
    ends : where each text ends, for texts that are kept as one run of bytes
    """
    if not isinstance(header.kind, str) or header.end is None:
        return None
    part = Part(stream, header.start, header.end)
    if TEXT_TYPE.fullmatch(header.kind):
        return io.BytesIO(_lines(part.read(), header.kind))
    if not BYTE_TYPE.fullmatch(header.kind):
        return None
    stops = [0, *ends]
    if len(stops) == 1:
        return io.BufferedReader(part)
    whole = part.read()
    return io.BytesIO(b"\n".join(whole[start:stop] for start, stop in itertools.pairwise([*stops, len(whole)])))


def ends_in(data: bytes) -> tuple[int, ...]:
    """The numbers of a stored array of ends, or none when they are not in order."""
    stream = io.BytesIO(data)
    try:
        header = header_at(stream, 0)
    except NO_HEADER:
        return ()
    if header.kind != ENDS_TYPE or header.end != len(data) or not data.startswith(NUMPY_HEAD):
        return ()
    ends = array("q", data[header.start :])
    return tuple(ends) if all(0 <= low <= high for low, high in itertools.pairwise([0, *ends])) else ()


def _lines(data: bytes, kind: str) -> bytes:
    """An array of strings as lines of UTF-8."""
    width = int(kind.lstrip("<>|=SU")) * (4 if "U" in kind else 1)
    code = "latin-1" if "S" in kind else "utf-32-be" if kind.startswith(">") else "utf-32-le"
    items = (data[start : start + width] for start in range(0, len(data), width)) if width else ()
    return "\n".join(item.decode(code, "replace").rstrip("\0") for item in items).encode("utf-8", "replace")


class Part(io.RawIOBase):
    """Some bytes of a file as a file of their own, which are not copied."""

    def __init__(self, stream: BinaryIO, start: int, end: int) -> None:
        super().__init__()
        self.stream, self.start, self.end, self.at = stream, start, end, start

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self.at = max(self.start, {io.SEEK_SET: self.start, io.SEEK_CUR: self.at, io.SEEK_END: self.end}[whence] + offset)
        return self.at - self.start

    def readinto(self, buffer: "memoryview | bytearray") -> int:  # type: ignore[override]  # typeshed's own name for a buffer
        self.stream.seek(self.at)
        data = self.stream.read(max(0, min(len(buffer), self.end - self.at)))
        buffer[: len(data)] = data
        self.at += len(data)
        return len(data)
