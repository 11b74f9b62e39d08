"""The ``.mlprod`` archive: a bundle's files in one zip, and the only form in which it is read back.

Zip lets a file be told in two places, hidden between others, packed and named twice; readers differ in what they believe. So an archive
has exactly one form: the manifest first, then the other paths in order, everything stored as it is, with fixed times and rights, and no
byte in between. The reader takes names, sizes and checksums from the directory at the end, writes down what an archive of these would
look like, and refuses every byte that differs. Any zip tool unpacks it (APPNOTE 6.3: PKWARE's zip, with ZIP64 where a size needs it).
"""

import stat
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NoReturn

import msgspec

from jupyter_mlprod.core.bundle import MANIFEST
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.manifest import paths_fault

SUFFIX = ".mlprod"
CHUNK_BYTES = 1 << 20
MAX_DIRECTORY_BYTES = 8_000_000
LARGE = 0xFFFFFFFF
"""From here on a size or a place stands in a ZIP64 field."""

LOCAL, CENTRAL, END, END64, LOCATOR64 = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
UTF8, ENCRYPTED = 0x0800, 0x2041
"""Flags: names are UTF-8; the content, or the directory, is encrypted."""

STORED, MADE_BY_UNIX, FIRST_DAY = 0, 3 << 8, 0x21
MODE = stat.S_IFREG | 0o644
CENTRAL_HEAD = struct.Struct("<4s6H3L5H2L")
END_RECORD = struct.Struct("<4s4H2LH")
END64_RECORD = struct.Struct("<4sQ2H2L4Q")
LOCATOR64_RECORD = struct.Struct("<4sLQL")


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """One file of an archive."""

    path: str
    bytes: int
    crc: int


def in_order(paths: Sequence[str]) -> list[str]:
    """The order in which an archive holds its files."""
    return sorted(paths, key=lambda path: (path != MANIFEST, path))


def write_archive(stream: BinaryIO, folder: Path, paths: Sequence[str]) -> None:
    """Write files of a folder as an archive; the stream can be sought."""
    members: list[Member] = []
    for path in in_order(paths):
        place = stream.tell()
        size = (folder / path).stat().st_size
        stream.write(local_header(Member(path=path, bytes=size, crc=0)))
        crc = written = 0
        with (folder / path).open("rb") as source:
            while chunk := source.read(CHUNK_BYTES):
                stream.write(chunk)
                crc, written = zlib.crc32(chunk, crc), written + len(chunk)
        members.append(Member(path=path, bytes=written, crc=crc))
        end = stream.tell()
        stream.seek(place)
        stream.write(local_header(members[-1]))
        stream.seek(end)
    stream.write(directory(members))


def read_members(stream: BinaryIO, *, name: str) -> tuple[Member, ...]:
    """What an archive holds, once every byte that is not content has been found to be where it belongs.

    Parameters
    ----------
    name : how the archive is called in a refusal

    Raises
    ------
    MlprodError : ``bundle-broken`` with the reason.
    """
    total = stream.seek(0, 2)
    count, size, start = _end(stream, total, name=name)
    stream.seek(start)
    members = tuple(_parsed(stream.read(size), count, name=name))
    if fault := paths_fault([member.path for member in members]):
        _refuse(name, fault)
    if [member.path for member in members] != in_order([member.path for member in members]):
        _refuse(name, f"its files are not in order, {MANIFEST} first")
    if sum(member.bytes for member in members) > total:
        _refuse(name, f"its files are larger than itself, {total:,} bytes")
    stream.seek(start)
    if stream.read() != directory(members):
        _refuse(name, "its directory is not that of these files alone; times, rights, places or comments differ, or bytes lie in between")
    for member, place in zip(members, places(members), strict=True):
        stream.seek(place)
        if stream.read(len(local_header(member))) != local_header(member):
            _refuse(name, f"what stands before {member.path!r} is not what the directory says of it")
    return members


def content(stream: BinaryIO, member: Member, place: int, *, name: str) -> Iterator[bytes]:
    """The bytes of a member, in pieces; the checksum is known to be right only when the last piece has been taken."""
    stream.seek(place + len(local_header(member)))
    left, crc = member.bytes, 0
    while left:
        chunk = stream.read(min(CHUNK_BYTES, left))
        if not chunk:
            _refuse(name, f"it ends within {member.path!r}")
        left, crc = left - len(chunk), zlib.crc32(chunk, crc)
        yield chunk
    if crc != member.crc:
        _refuse(name, f"{member.path!r} has other bytes than its checksum says")


def local_header(member: Member) -> bytes:
    """What stands before a file's bytes."""
    large = member.bytes >= LARGE
    extra = struct.pack("<2H2Q", 1, 16, member.bytes, member.bytes) if large else b""
    size, path = LARGE if large else member.bytes, member.path.encode()
    version = 45 if large else 20
    return (
        struct.pack("<4s5H3L2H", LOCAL, version, UTF8, STORED, 0, FIRST_DAY, member.crc, size, size, len(path), len(extra)) + path + extra
    )


def places(members: Sequence[Member]) -> list[int]:
    """Where each file's header stands."""
    found, place = [], 0
    for member in members:
        found.append(place)
        place += len(local_header(member)) + member.bytes
    return found


def directory(members: Sequence[Member]) -> bytes:
    """Everything behind the last file's bytes."""
    entries = b"".join(_entry(member, place) for member, place in zip(members, places(members), strict=True))
    start = sum(len(local_header(member)) + member.bytes for member in members)
    end64 = b""
    if start >= LARGE:
        end64 = END64_RECORD.pack(END64, 44, MADE_BY_UNIX | 45, 45, 0, 0, len(members), len(members), len(entries), start)
        end64 += LOCATOR64_RECORD.pack(LOCATOR64, 0, start + len(entries), 1)
    return entries + end64 + END_RECORD.pack(END, 0, 0, len(members), len(members), len(entries), min(start, LARGE), 0)


def _entry(member: Member, place: int) -> bytes:
    """A file in the directory."""
    large = [*([member.bytes] * 2 if member.bytes >= LARGE else ()), *([place] if place >= LARGE else ())]
    extra = struct.pack(f"<2H{len(large)}Q", 1, 8 * len(large), *large) if large else b""
    path, size = member.path.encode(), min(member.bytes, LARGE)
    version = 45 if large else 20
    head = CENTRAL_HEAD.pack(
        CENTRAL, MADE_BY_UNIX | version, version, UTF8, STORED, 0, FIRST_DAY, member.crc, size, size,
        len(path), len(extra), 0, 0, 0, MODE << 16, min(place, LARGE),
    )  # fmt: skip
    return head + path + extra


def _end(stream: BinaryIO, total: int, *, name: str) -> tuple[int, int, int]:
    """Number of files, size of the directory and where it begins, from the record at the very end."""
    if total < END_RECORD.size:
        _refuse(name, "it is too short for an archive")
    stream.seek(total - END_RECORD.size)
    mark, _, _, _, count, size, start, comment = END_RECORD.unpack(stream.read(END_RECORD.size))
    if mark != END or comment:
        _refuse(name, "it does not end as an archive does; it is none, was cut off, or has bytes behind its end")
    tail = total - END_RECORD.size
    if start == LARGE:
        tail -= END64_RECORD.size + LOCATOR64_RECORD.size
        stream.seek(max(0, tail))
        record = stream.read(END64_RECORD.size)
        if tail < 0 or record[:4] != END64:
            _refuse(name, "the ZIP64 record that its end promises is not there")
        *_, count, size, start = END64_RECORD.unpack(record)
    if size > MAX_DIRECTORY_BYTES or start + size != tail:
        _refuse(name, "its directory is not where its end says, or bytes stand before its beginning")
    return count, size, start


def _parsed(data: bytes, count: int, *, name: str) -> Iterator[Member]:
    """The files of a directory. What is not looked at here is held against the one form afterwards."""
    at = found = 0
    while at < len(data):
        if len(data) - at < CENTRAL_HEAD.size or data[at : at + 4] != CENTRAL:
            _refuse(name, "its directory cannot be read")
        head = CENTRAL_HEAD.unpack_from(data, at)
        flags, method, crc, packed, size, name_bytes, extra_bytes, comment_bytes = (head[index] for index in (3, 4, 7, 8, 9, 10, 11, 12))
        at += CENTRAL_HEAD.size
        try:
            path = data[at : at + name_bytes].decode()
        except UnicodeDecodeError:
            _refuse(name, f"a file's name is not UTF-8: {data[at : at + name_bytes][:40]!r}")
        extra = data[at + name_bytes : at + name_bytes + extra_bytes]
        at += name_bytes + extra_bytes + comment_bytes
        found += 1
        _check_kind(path, flags=flags, method=method, mode=head[15] >> 16, name=name)
        if size == LARGE and len(extra) >= 20:
            (size,) = struct.unpack_from("<Q", extra, 4)
        elif packed != size:
            _refuse(name, f"{path[:80]!r} has two sizes, {packed:,} and {size:,}")
        yield Member(path=path, bytes=size, crc=crc)
    if found != count:
        _refuse(name, f"its directory lists {found} files, its end counts {count}")


def _check_kind(path: str, *, flags: int, method: int, mode: int, name: str) -> None:
    if flags & ENCRYPTED:
        _refuse(name, f"{path[:80]!r} is encrypted")
    if method != STORED:
        _refuse(name, f"{path[:80]!r} is compressed; an archive stores its files as they are")
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        _refuse(name, f"{path[:80]!r} is a link, a folder or a device, and no file")


def _refuse(name: str, reason: str) -> NoReturn:
    hint = "mlprod export SUBJECT --to mlprod writes an archive; a bundle's folder can be given as it is"
    raise MlprodError(Code.BUNDLE_BROKEN, f"{name}: {reason}", hint=hint)
