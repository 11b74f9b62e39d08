"""Bundles from elsewhere, behind the port `Arrivals`: a folder or an archive becomes a private copy, which is then verified and used.

Whoever can write to the original can change it between the look and the use; nobody can change the copy. What cannot be copied for what
it is (a link, a pipe, a file that has a second name somewhere) is stood for by a link that leads nowhere, so that it is found as a
fault like any other. The workspace's own store is not copied: it is as safe as the rights of its file system.
"""

import contextlib
import os
import re
import shutil
import stat
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from jupyter_mlprod.core.archive import CHUNK_BYTES, SUFFIX, Member, content, places, read_members
from jupyter_mlprod.core.bundle import ATTACHED, MANIFEST, Bundle
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.manifest import MAX_MANIFEST_BYTES, MOST_FILES, parse_manifest
from jupyter_mlprod.core.walk import walked

MOST_BESIDE_BYTES = 256_000_000
"""For what no manifest sizes: ``attached/``, and files that do not belong there."""

DIGEST_NAME = re.compile(r"[0-9a-f]{64}")
NOWHERE = "is-not-a-regular-file"


class DiskArrivals:
    """Port `Arrivals`.

    Parameters
    ----------
    folder : where the copies lie, each in a folder of its own
    own : the workspace's own bundles
    """

    def __init__(self, folder: Path, *, own: Path) -> None:
        self.folder = folder
        self.own = own
        self.rooms: list[Path] = []
        self.made: list[Path] = []

    def admit(self, path: Path) -> Path:
        """A private copy of a bundle, its digests not yet verified.

        Raises
        ------
        MlprodError : ``bundle-broken`` when there is no bundle, or an archive that is not as it must be; nothing is left of it then.
        """
        if os.path.isdir(path):  # noqa: PTH112  Path.is_dir raises on a name that is too long
            if path.resolve().parent == self.own.resolve():
                return path.resolve()
            return self._filled(path, archive=False)
        if os.path.lexists(path):
            return self._filled(path, archive=True)
        what = "archive" if path.name.endswith(SUFFIX) else "folder"
        raise _broken(f"there is no bundle {str(path)[:200]!r}, no {what} of that name", hint="mlprod list shows the workspace's own")

    def leave(self) -> None:
        """Remove the copies, and what was made to hold them where there had been no workspace."""
        while self.rooms:
            shutil.rmtree(self.rooms.pop(), ignore_errors=True)
        with contextlib.suppress(OSError):
            while self.made:
                self.made.pop().rmdir()

    def _filled(self, path: Path, *, archive: bool) -> Path:
        room = self.folder / uuid.uuid4().hex
        self.rooms.append(room)
        self.made += [place for place in (*reversed(self.folder.parents), self.folder) if not place.exists()]
        name = path.resolve().name
        copy = room / (name if DIGEST_NAME.fullmatch(name) else "bundle")  # a folder that is named by a digest is held to it
        try:
            room.mkdir(parents=True, mode=0o700)
            copy.mkdir()
            (_unpack if archive else _copy)(path, copy)
        except OSError as error:
            raise MlprodError(Code.DISK, f"{path} could not be copied to {room}: {error.strerror or error}") from error
        return copy


def _unpack(file: Path, copy: Path) -> None:
    with _regular(file, shown=str(file), links=True) as stream:
        members = read_members(stream, name=str(file))
        where = places(members)
        bundle, data = _manifest_of(stream, members, name=str(file))
        if fault := _sizes_fault(bundle, members):
            raise _broken(f"{file}: {fault}")
        _write(copy / MANIFEST, iter([data]))
        for member, place in zip(members[1:], where[1:], strict=True):
            _write(copy / member.path, content(stream, member, place, name=str(file)))


def _manifest_of(stream: BinaryIO, members: tuple[Member, ...], *, name: str) -> tuple[Bundle, bytes]:
    if not members or members[0].path != MANIFEST or members[0].bytes > MAX_MANIFEST_BYTES:
        raise _broken(f"{name}: {MANIFEST} of at most {MAX_MANIFEST_BYTES:,} bytes is not in it, so this is no bundle")
    data = b"".join(content(stream, members[0], 0, name=name))
    bundle, faults = parse_manifest(data)
    if bundle is None:
        raise _broken(f"{name}: {'; '.join(faults)}")
    return bundle, data


def _sizes_fault(bundle: Bundle, members: tuple[Member, ...]) -> str:
    """Why an archive's files are not those that its manifest lists; empty when they are. Read before any of them is."""
    listed = {entry.path: entry.bytes for entry in bundle.files}
    held = {member.path: member.bytes for member in members[1:]}
    beside = {path: size for path, size in held.items() if path.split("/")[0] == ATTACHED}
    if missing := sorted(listed.keys() - held.keys()):
        return f"{missing[0]!r} is missing"
    if extra := sorted(held.keys() - listed.keys() - beside.keys()):
        return f"{extra[0]!r} is not in the manifest"
    if other := sorted(path for path, size in listed.items() if held[path] != size):
        return f"{other[0]!r} has {held[other[0]]:,} bytes, the manifest says {listed[other[0]]:,}"
    return f"{ATTACHED}/ has more than {MOST_BESIDE_BYTES:,} bytes" if sum(beside.values()) > MOST_BESIDE_BYTES else ""


def _copy(folder: Path, copy: Path) -> None:
    left = MOST_BESIDE_BYTES + _listed_bytes(folder)
    for number, path in enumerate(walked(folder)):
        if number >= 2 * MOST_FILES:
            raise _broken(f"{folder} holds more than {2 * MOST_FILES:,} files")
        relative = path.relative_to(folder)
        status = path.lstat()
        if stat.S_ISDIR(status.st_mode):
            (copy / relative).mkdir()
            continue
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
            if relative.parts[0] == ATTACHED:
                raise _broken(f"{path} is a link, or no regular file")
            (copy / relative).symlink_to(NOWHERE)
            continue
        left -= status.st_size
        if left < 0:
            raise _broken(f"{folder} holds over {MOST_BESIDE_BYTES:,} bytes more than its manifest lists")
        with _regular(path, shown=str(path), links=False) as stream:
            _write(copy / relative, _pieces(stream, status.st_size))


def _listed_bytes(folder: Path) -> int:
    """What a folder's manifest says that its files come to."""
    path = folder / MANIFEST
    if not path.is_file() or path.is_symlink():
        raise _broken(f"{path} is missing, so this is no bundle")
    with _regular(path, shown=str(path), links=False) as stream:
        bundle, faults = parse_manifest(stream.read(MAX_MANIFEST_BYTES + 1))
    if bundle is None:
        raise _broken(f"{folder}: {'; '.join(faults)}")
    return sum(max(0, entry.bytes) for entry in bundle.files) + MAX_MANIFEST_BYTES


def _regular(path: Path, *, shown: str, links: bool) -> BinaryIO:
    """A regular file, opened. A pipe is not waited for, and what has become a link since it was looked at is not followed."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        stream = os.fdopen(os.open(path, flags | (0 if links else getattr(os, "O_NOFOLLOW", 0))), "rb")
    except OSError as error:
        raise _broken(f"{shown} cannot be read: {error.strerror or error}") from None
    status = os.fstat(stream.fileno())
    if not stat.S_ISREG(status.st_mode) or (status.st_nlink > 1 and not links):
        stream.close()
        raise _broken(f"{shown} is a link, or no regular file")
    return stream


def _pieces(stream: BinaryIO, size: int) -> Iterator[bytes]:
    while size > 0 and (chunk := stream.read(min(CHUNK_BYTES, size))):
        size -= len(chunk)
        yield chunk


def _write(path: Path, pieces: Iterator[bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as target:
        target.writelines(pieces)


def _broken(what: str, *, hint: str = "fetch it again from where it came") -> MlprodError:
    return MlprodError(Code.BUNDLE_BROKEN, what, hint=hint)
