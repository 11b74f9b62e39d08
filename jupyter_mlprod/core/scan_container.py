"""What lies inside a file: pickles, arrays, archives in archives, told by their bytes and never by their names.

A file may be several things at once (a pickle with a zip behind it), so every reading that some loader would take is looked into.
Whatever cannot be looked into, encrypted, damaged, nested too deep or unpacking to too much, is not known to be clean and is a
finding. Nothing is written; stored members are read in place, so a checkpoint of gigabytes is never held in memory.
"""

import bz2
import io
import lzma
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Container, Sequence
from typing import BinaryIO

from jupyter_mlprod.core.npy import ENDS, NO_HEADER, NUMPY_HEAD, UTF8, ends_in, header_at, holds_text, texts_of
from jupyter_mlprod.core.scan_inflate import GZIP, ZLIB, Inflated
from jupyter_mlprod.core.scan_look import Notes
from jupyter_mlprod.core.scan_pickle import harm, programs

DEEPEST = 5
MOST_MEMBERS = 100_000
MOST_UNPACKED = 1 << 30
CHUNK = 1 << 20
TAR_BLOCK = 512
FEW = 512
"""Bytes that random numbers behind a mark of two may unpack to before they break."""
GZIP_HEAD = re.compile(rb"\x1f\x8b\x08[\x00-\x1f]", re.DOTALL)
ZLIB_HEAD = re.compile(rb"\x78[\x01\x5e\x9c\xda]")
BZIP2_HEAD = re.compile(rb"BZh[1-9](?:1AY&|\x17\x72E8)")
OTHER_PACKERS = {
    re.compile(mark, re.DOTALL): name
    for mark, name in (
        (rb"7z\xbc\xaf\x27\x1c", "7z"), (rb"Rar!\x1a\x07", "rar"), (rb"\x28\xb5\x2f\xfd", "zstd"), (rb"\x04\x22\x4d\x18", "lz4"),
        (rb"\x5d\x00\x00\x80\x00", "lzma"), (rb"\x1f\x9d[\x09-\x10\x89-\x90]", "compress"),
    )
}  # fmt: skip
WEAK = frozenset({"compress"})
"""Those whose mark is short enough to be the first bytes of a number."""
DAMAGED = (
    zipfile.BadZipFile, tarfile.TarError, lzma.LZMAError, zlib.error, EOFError, RuntimeError, NotImplementedError,
    OSError, ValueError, KeyError, IndexError, OverflowError, struct.error, MemoryError,
)  # fmt: skip
"""All that the readers of archives raise on bytes that are none; RuntimeError is an encrypted member."""

Leaf = Callable[[BinaryIO, str], bool]
"""What looks at a file that is no container, its bytes and its place; whether they were of a kind that it reads."""


class Walk:
    """One file and all that lies in it."""

    def __init__(self, notes: Notes, leaf: Leaf) -> None:
        self.notes = notes
        self.leaf = leaf
        self.left = MOST_UNPACKED
        self.members = 0

    def into(
        self, stream: BinaryIO, size: int, *, place: str = "", depth: int = 0, storage: bool = False, ends: Sequence[int] = ()
    ) -> None:
        """Look at bytes, and at whatever they hold.

        Parameters
        ----------
        storage : these are a tensor's numbers by their place in an archive, so that a mark of two bytes says nothing
        ends : where the texts end, if these are an array of texts in one run
        """
        if depth > DEEPEST:
            self._cannot(f"it is nested more than {DEEPEST} deep", place)
            return
        stream.seek(0)
        head = stream.read(8)
        packer = next((name for mark, name in OTHER_PACKERS.items() if mark.match(head)), "")
        packer = "" if storage and packer in WEAK else packer
        if packer:
            self._cannot(f"it is packed by {packer}", place)
        elif head.startswith(NUMPY_HEAD):
            self._arrays(stream, size, place, ends)
            self._zip(stream, head, place, depth)
        elif not any([
            self._pickles(stream, size, place), self._zip(stream, head, place, depth),
            self._tar(stream, place, depth), not storage and self._packed(stream, head, place, depth),
        ]):  # fmt: skip
            stream.seek(0)
            if not storage and not self.leaf(stream, place) and size:
                self.notes.unread.append(place)

    def _cannot(self, why: str, place: str) -> None:
        self.notes.add("hostile", f"cannot be looked into: {why}", place=place)

    def _pickles(self, stream: BinaryIO, size: int, place: str, *, start: int = 0) -> bool:
        found = list(programs(stream, size, start=start))
        for what in dict.fromkeys(filter(None, map(harm, found))):
            self.notes.add("hostile", what, place=place)
        if texts := [text for program in found for text in program.texts]:
            self.leaf(io.BytesIO("\n".join(texts).encode("utf-8", "replace")), place)
        if found:
            self.notes.add("pickle", "a pickle of tensors and plain values only", place=place)
        return bool(found)

    def _arrays(self, stream: BinaryIO, size: int, place: str, ends: Sequence[int]) -> None:
        """An .npy file, and what a second `numpy.load` would read behind its first array."""
        at = 0
        while at < size:
            stream.seek(at)
            if stream.read(len(NUMPY_HEAD)) != NUMPY_HEAD:
                self._pickles(stream, size, place, start=at)
                self.notes.add("hostile", f"is an array with {size - at:,} bytes behind its end that are none", place=place)
                return
            try:
                header = header_at(stream, at)
            except NO_HEADER as error:
                self.notes.add("hostile", f"is an array whose header cannot be read: {type(error).__name__}", place=place)
                return
            if header.end is None:
                if not self._pickles(stream, size, place, start=header.start):
                    self.notes.add("hostile", "is an array of objects whose pickle cannot be read", place=place)
                return
            if header.end > size:
                self._cannot(f"it is an array that is {header.end - size:,} bytes short", place)
                return
            if texts := texts_of(stream, header, ends):
                self.leaf(texts, place)
            elif holds_text(header.kind):
                self.notes.unread.append(place)
            at = header.end

    def _zip(self, stream: BinaryIO, head: bytes, place: str, depth: int) -> bool:
        if not zipfile.is_zipfile(stream):  # it looks at the end, where torch looks too
            if head.startswith(b"PK\x03\x04"):
                self._cannot("it begins as a zip and does not end as one", place)
                return True
            return False
        try:
            with zipfile.ZipFile(stream) as archive:
                names = frozenset(archive.namelist())
                for entry in archive.infolist():
                    self._zip_member(archive, entry, place, depth, names)
        except DAMAGED as error:
            self._cannot(str(error)[:200], place)
        return True

    def _zip_member(self, archive: zipfile.ZipFile, entry: zipfile.ZipInfo, place: str, depth: int, names: frozenset[str]) -> None:
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
                self.into(
                    whole, entry.file_size, place=inner, depth=depth + 1,  # type: ignore[arg-type]  # an IO[bytes] is one
                    storage=_is_storage(entry.filename, names), ends=self._ends(archive, entry, names),
                )  # fmt: skip
        except DAMAGED as error:
            self._cannot(str(error)[:200], inner)

    def _ends(self, archive: zipfile.ZipFile, entry: zipfile.ZipInfo, names: frozenset[str]) -> tuple[int, ...]:
        """Where the texts end that a member holds as one run of bytes, as `raw.as_bytes` gives them."""
        other = ENDS + entry.filename.removeprefix(UTF8)
        if not entry.filename.startswith(UTF8) or other not in names or not self._affordable(archive.getinfo(other).file_size, other):
            return ()
        return ends_in(archive.read(other))

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
        """gzip, bzip2, xz or zlib around something; a mark of two or three bytes proves nothing until something comes out."""
        stream.seek(0)
        if GZIP_HEAD.match(head) or ZLIB_HEAD.match(head):
            inflated = Inflated(stream, wbits=GZIP if GZIP_HEAD.match(head) else ZLIB)
            data, fault = self._unpacked(inflated.read)
            if fault and self.left >= 0 and not inflated.whole and not _is_something(data):
                return False
        elif BZIP2_HEAD.match(head):
            data, fault = self._unpacked(bz2.BZ2File(stream).read)
        elif head.startswith(b"\xfd7zXZ\x00"):
            data, fault = self._unpacked(lzma.LZMAFile(stream).read)  # noqa: SIM115  the stream is not its own to close
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


def _inside(place: str, name: str) -> str:
    return f"{place}/{name}" if place else name


def _is_something(data: bytes) -> bool:
    """Whether what came out of a packed file before it broke is more than comes out of random numbers."""
    return len(data) >= FEW or any(programs(io.BytesIO(data), len(data)))


def _is_storage(name: str, names: Container[str]) -> bool:
    """Whether a member of a zip is the bytes of a tensor, by the layout of ``torch.save`` or of ``torch.export.save``."""
    root, _, rest = name.partition("/data/")
    saved, exported = f"{root}/data.pkl" in names, f"{root}/archive_format" in names
    return (saved and rest.isdigit()) or (exported and rest.startswith(("weights/", "constants/")))
