"""A file as its first reading found it: whoever looks at it afterwards sees those very bytes, or nothing.

A digest that is taken before or after the look can be of other bytes than were looked at. Here one reading takes the digest of the whole
and of each block, and a block that is read later is held to its own; so gigabytes need not be copied to be sure of them.
"""

import hashlib
import io
import os
import stat
from typing import BinaryIO

from jupyter_mlprod.core.record import DIGEST_PREFIX

BLOCK = 1 << 18


class ChangedError(Exception):
    """A block is not what it was."""


class Pinned(io.RawIOBase):
    """An open file whose content is fixed.

    Parameters
    ----------
    file : regular, opened for reading without a buffer

    Attributes
    ----------
    digest, size : of all its bytes
    """

    def __init__(self, file: io.FileIO) -> None:
        super().__init__()
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError("it is no regular file")
        self.file, self.at, self.size = file, 0, 0
        self.blocks: list[bytes] = []
        whole = hashlib.sha256()
        while data := _filled(file, BLOCK):
            whole.update(data)
            self.blocks.append(hashlib.sha256(data).digest())
            self.size += len(data)
        self.digest = DIGEST_PREFIX + whole.hexdigest()

    def buffered(self) -> BinaryIO:
        """The file to look at; a read that hits one block again does not read it again."""
        return io.BufferedReader(self, BLOCK)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self.at = max(0, {io.SEEK_SET: 0, io.SEEK_CUR: self.at, io.SEEK_END: self.size}[whence] + offset)
        return self.at

    def tell(self) -> int:
        return self.at

    def readinto(self, buffer: "memoryview | bytearray") -> int:  # type: ignore[override]  # typeshed's own name for a buffer
        number, within = divmod(self.at, BLOCK)
        if self.at >= self.size:
            return 0
        self.file.seek(number * BLOCK)
        data = _filled(self.file, min(BLOCK, self.size - number * BLOCK))
        if hashlib.sha256(data).digest() != self.blocks[number]:
            raise ChangedError
        data = data[within : within + len(buffer)]
        buffer[: len(data)] = data
        self.at += len(data)
        return len(data)


def _filled(file: io.FileIO, size: int) -> bytes:
    """Up to ``size`` bytes, fewer at the end of the file only."""
    pieces: list[bytes] = []
    while size > 0 and (piece := file.read(size)):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)
