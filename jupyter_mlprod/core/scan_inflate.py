"""gzip and zlib, unpacked as far as anything comes out, one stream behind the other.

The standard library's readers lose what a broken piece held before the break, while a loader that reads in smaller pieces has run it by
then. So a piece that breaks is fed again byte by byte. Readers such as joblib's go on with a stream behind the first, and so is done here.
"""

import contextlib
import zlib
from typing import BinaryIO

PIECE = 1 << 16
GZIP, ZLIB = 31, 15
"""The ``wbits`` of zlib that stand for each format."""


class Inflated:
    """A packed file, read in pieces.

    Attributes
    ----------
    whole : streams that came to their end with the right checksum
    """

    def __init__(self, stream: BinaryIO, *, wbits: int) -> None:
        self.stream = stream
        self.wbits = wbits
        self.inflate = zlib.decompressobj(wbits)
        self.left = b""
        self.fault: zlib.error | None = None
        self.whole = 0

    def read(self, size: int) -> bytes:
        """The next bytes; none at the end.

        Raises
        ------
        zlib.error, EOFError : no more come out, and it is not the end.
        """
        while True:
            if self.fault:
                raise self.fault
            if self.inflate.eof and not self._follows():
                return b""
            data = self.left or self.stream.read(PIECE)
            if not data:
                raise EOFError("it is cut off")
            if piece := self._piece(data, size):
                return piece

    def _follows(self) -> bool:
        """Whether anything but padding lies behind a stream that has come to its end."""
        rest = self.inflate.unused_data.lstrip(b"\0")
        while not rest:
            data = self.stream.read(PIECE)
            if not data:
                return False
            rest = data.lstrip(b"\0")
        self.inflate, self.left = zlib.decompressobj(self.wbits), rest
        return True

    def _piece(self, data: bytes, size: int) -> bytes:
        before = self.inflate.copy()
        try:
            piece = self.inflate.decompress(data, size)
        except zlib.error as error:
            self.fault = error
            return _until_it_breaks(before, data)
        self.left = self.inflate.unconsumed_tail
        self.whole += self.inflate.eof
        return piece


def _until_it_breaks(inflate: "zlib._Decompress", data: bytes) -> bytes:
    pieces: list[bytes] = []
    with contextlib.suppress(zlib.error):
        pieces.extend(inflate.decompress(data[place : place + 1]) for place in range(len(data)))
    return b"".join(pieces)
