"""What lies inside a file: pickles, arrays, archives in archives, told by their bytes and never by their names.

A file may be several things at once (a pickle with a zip behind it), so every reading that some loader would take is looked into.
Whatever cannot be looked into, encrypted, damaged, nested too deep or unpacking to too much, is not known to be clean and is a
finding. Nothing is written; stored members are read in place, so a checkpoint of gigabytes is never held in memory.
"""

import ast
import bz2
import gzip
import io
import lzma
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from typing import BinaryIO

from jupyter_mlprod.core.scan_look import Notes
from jupyter_mlprod.core.scan_pickle import harm, programs

DEEPEST = 5
MOST_MEMBERS = 100_000
MOST_UNPACKED = 1 << 30
CHUNK = 1 << 20
TAR_BLOCK = 512
NUMPY_HEAD = b"\x93NUMPY"
PLAIN_TYPE = re.compile(r"[<>|=]?[biufcmMSUV?]\d*(\[[\w/]+\])?")
TEXT_TYPE = re.compile(r"[<>|=]?[SU]\d+")
OTHER_PACKERS = {
    b"7z\xbc\xaf\x27\x1c": "7z", b"Rar!\x1a\x07": "rar", b"\x28\xb5\x2f\xfd": "zstd", b"\x04\x22\x4d\x18": "lz4",
    b"\x5d\x00\x00\x80\x00": "lzma", b"\x1f\x9d": "compress",
}  # fmt: skip
DAMAGED = (
    zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, lzma.LZMAError, zlib.error, EOFError, RuntimeError, NotImplementedError,
    OSError, ValueError, KeyError, IndexError, OverflowError, struct.error, MemoryError,
)  # fmt: skip
"""All that the readers of archives raise on bytes that are none; RuntimeError is an encrypted member."""

Leaf = Callable[[BinaryIO, str], None]
"""What looks at a file that is no container: its bytes and its place."""


class Walk:
    """One file and all that lies in it."""

    def __init__(self, notes: Notes, leaf: Leaf) -> None:
        self.notes = notes
        self.leaf = leaf
        self.left = MOST_UNPACKED
        self.members = 0

    def into(self, stream: BinaryIO, size: int, *, place: str = "", depth: int = 0) -> None:
        """Look at bytes, and at whatever they hold."""
        if depth > DEEPEST:
            self._cannot(f"it is nested more than {DEEPEST} deep", place)
            return
        stream.seek(0)
        head = stream.read(8)
        packer = next((name for mark, name in OTHER_PACKERS.items() if head.startswith(mark)), "")
        if packer:
            self._cannot(f"it is packed by {packer}", place)
        elif head.startswith(NUMPY_HEAD):
            self._array(stream, size, place)
        elif not any([
            self._pickles(stream, size, place), self._zip(stream, head, place, depth),
            self._tar(stream, place, depth), self._packed(stream, head, place, depth),
        ]):  # fmt: skip
            stream.seek(0)
            self.leaf(stream, place)

    def _cannot(self, why: str, place: str) -> None:
        self.notes.add("hostile", f"cannot be looked into: {why}", place=place)

    def _pickles(self, stream: BinaryIO, size: int, place: str, *, start: int = 0) -> bool:
        found = list(programs(stream, size, start=start))
        for what in dict.fromkeys(filter(None, map(harm, found))):
            self.notes.add("hostile", what, place=place)
        if found:
            self.notes.add("pickle", "a pickle of tensors and plain values only", place=place)
        return bool(found)

    def _array(self, stream: BinaryIO, size: int, place: str) -> None:
        """An .npy file; its header is a literal, and a type that is not known to be plain is taken to be objects."""
        stream.seek(6)
        try:
            form = "<H" if stream.read(2)[:1] == b"\x01" else "<I"
            (length,) = struct.unpack(form, stream.read(struct.calcsize(form)))
            kind = ast.literal_eval(stream.read(min(length, CHUNK)).decode("latin-1").strip())["descr"]
            plain = _is_plain(kind)
        except (struct.error, SyntaxError, ValueError, TypeError, KeyError, RecursionError, MemoryError) as error:
            self.notes.add("hostile", f"is an array whose header cannot be read: {type(error).__name__}", place=place)
            return
        start = stream.tell()
        if not plain and not self._pickles(stream, size, place, start=start):
            self.notes.add("hostile", "is an array of objects whose pickle cannot be read", place=place)
        elif isinstance(kind, str) and TEXT_TYPE.fullmatch(kind):
            self.leaf(io.BytesIO(_texts(stream, kind)), place)

    def _zip(self, stream: BinaryIO, head: bytes, place: str, depth: int) -> bool:
        if not zipfile.is_zipfile(stream):  # it looks at the end, where torch looks too
            if head.startswith(b"PK\x03\x04"):
                self._cannot("it begins as a zip and does not end as one", place)
                return True
            return False
        try:
            with zipfile.ZipFile(stream) as archive:
                for entry in archive.infolist():
                    self._zip_member(archive, entry, place, depth)
        except DAMAGED as error:
            self._cannot(str(error)[:200], place)
        return True

    def _zip_member(self, archive: zipfile.ZipFile, entry: zipfile.ZipInfo, place: str, depth: int) -> None:
        inner = _inside(place, entry.filename)
        if not self._counted(entry.filename, inner) or entry.is_dir():
            return
        if stat.S_ISLNK(entry.external_attr >> 16):
            self.notes.add("hostile", "is a link, which leads whoever unpacks it elsewhere", place=inner)
        stored = entry.compress_type == zipfile.ZIP_STORED
        if not stored and not self._affordable(entry.file_size, inner):
            return
        try:
            with archive.open(entry) as member:
                whole = member if stored else io.BytesIO(member.read())
                self.into(whole, entry.file_size, place=inner, depth=depth + 1)  # type: ignore[arg-type]  # an IO[bytes] is one
        except DAMAGED as error:
            self._cannot(str(error)[:200], inner)

    def _tar(self, stream: BinaryIO, place: str, depth: int) -> bool:
        stream.seek(0)
        try:
            tarfile.TarInfo.frombuf(stream.read(TAR_BLOCK), "utf-8", "surrogateescape")
        except tarfile.HeaderError:
            return False
        stream.seek(0)
        try:
            with tarfile.open(fileobj=stream, mode="r:") as archive:
                for entry in archive:
                    self._tar_member(archive, entry, place, depth)
        except DAMAGED as error:
            self._cannot(str(error)[:200], place)
        return True

    def _tar_member(self, archive: tarfile.TarFile, entry: tarfile.TarInfo, place: str, depth: int) -> None:
        inner = _inside(place, entry.name)
        if not self._counted(entry.name, inner) or entry.isdir():
            return
        member = archive.extractfile(entry) if entry.isreg() else None
        if member is None:
            self.notes.add("hostile", "is a link or a device, which leads whoever unpacks it elsewhere", place=inner)
        else:
            self.into(member, entry.size, place=inner, depth=depth + 1)  # type: ignore[arg-type]  # an IO[bytes] is one

    def _packed(self, stream: BinaryIO, head: bytes, place: str, depth: int) -> bool:
        """gzip, bzip2, xz or zlib around something; a zlib mark is two bytes, so alone it proves nothing."""
        stream.seek(0)
        if head.startswith(b"\x1f\x8b"):
            data, fault = self._unpacked(gzip.GzipFile(fileobj=stream).read)
        elif head.startswith(b"BZh"):
            data, fault = self._unpacked(bz2.BZ2File(stream).read)
        elif head.startswith(b"\xfd7zXZ\x00"):
            data, fault = self._unpacked(lzma.LZMAFile(stream).read)  # noqa: SIM115  the stream is not its own to close
        elif head[:1] == b"\x78" and len(head) > 1 and int.from_bytes(head[:2], "big") % 31 == 0:
            data, fault = self._unpacked(_Inflated(stream).read)
            if fault and not data and self.left >= 0:
                return False
        else:
            return False
        if fault:
            self._cannot(fault, place)
        if data or not fault:
            self.into(io.BytesIO(data), len(data), place=_inside(place, "(unpacked)"), depth=depth + 1)
        return True

    def _unpacked(self, read: Callable[[int], bytes]) -> tuple[bytes, str]:
        """What comes out, as far as it does, and why it stops short."""
        pieces: list[bytes] = []
        try:
            while piece := read(CHUNK):
                pieces.append(piece)
                self.left -= len(piece)
                if self.left < 0:
                    return b"", f"it unpacks to more than {MOST_UNPACKED:,} bytes"
        except DAMAGED as error:
            return b"".join(pieces), str(error)[:200]
        return b"".join(pieces), ""

    def _affordable(self, size: int, place: str) -> bool:
        self.left -= size
        if self.left < 0:
            self._cannot(f"with it, more than {MOST_UNPACKED:,} bytes would be unpacked", place)
        return self.left >= 0

    def _counted(self, name: str, place: str) -> bool:
        """Whether a member may be looked at; its name is held against those that lead elsewhere."""
        self.members += 1
        if name.startswith(("/", "\\")) or ".." in re.split(r"[/\\]", name) or re.match(r"[A-Za-z]:", name):
            self.notes.add("hostile", "has a name that leads out of the folder it is unpacked into", place=place)
        if self.members == MOST_MEMBERS:
            self._cannot(f"it holds {MOST_MEMBERS:,} files or more", place)
        return self.members < MOST_MEMBERS


class _Inflated:
    """A zlib stream, read in pieces; with no file format around it, the standard library has no reader for it."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream
        self.inflate = zlib.decompressobj()

    def read(self, size: int) -> bytes:
        while not self.inflate.eof:
            data = self.inflate.unconsumed_tail or self.stream.read(CHUNK)
            if not data:
                raise EOFError("the zlib stream is cut off")
            if piece := self.inflate.decompress(data, size):
                return piece
        return b""


def _inside(place: str, name: str) -> str:
    return f"{place}/{name}" if place else name


def _is_plain(kind: object) -> bool:
    """Whether a dtype as a header writes it holds no objects: a string, or (name, dtype[, shape]) for each field."""
    if isinstance(kind, str):
        return PLAIN_TYPE.fullmatch(kind) is not None
    if isinstance(kind, tuple):  # a sub-array: (dtype, shape)
        return len(kind) == 2 and _is_plain(kind[0])
    return isinstance(kind, list) and all(isinstance(field, tuple) and len(field) in (2, 3) and _is_plain(field[1]) for field in kind)


def _texts(stream: BinaryIO, kind: str) -> bytes:
    """An array of strings as lines of UTF-8."""
    data = stream.read(MOST_UNPACKED)
    width = int(kind.lstrip("<>|=SU")) * (4 if "U" in kind else 1)
    code = "latin-1" if "S" in kind else "utf-32-be" if kind.startswith(">") else "utf-32-le"
    items = (data[start : start + width] for start in range(0, len(data), width)) if width else ()
    return "\n".join(item.decode(code, "replace").rstrip("\0") for item in items).encode("utf-8", "replace")
