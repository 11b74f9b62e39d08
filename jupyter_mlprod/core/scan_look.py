"""What looking at one file came to: spots, each with its place, and how many there were in all.

Looking happens in a child process (`adapters/scan_child.py`), so this is what crosses the pipe. A value that was found never does: a
secret is told by its class and a masked form.
"""

from typing import Literal

import msgspec

SpotKind = Literal["pickle", "hostile", "code", "secret", "personal"]
MOST_SPOTS = 200


class Spot(msgspec.Struct, frozen=True, kw_only=True):
    """One thing found: where inside the file (``data.pkl``, ``cell 3 output 1``; empty: the file itself), the line from 1, and what."""

    kind: SpotKind
    what: str
    place: str = ""
    line: int = 0

    def __str__(self) -> str:
        where = f"{self.place} line {self.line}".strip() if self.line else self.place
        return f"{where}: {self.what}" if where else self.what


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What one file holds.

    Attributes
    ----------
    counts : how many spots of each kind there are; ``spots`` holds the first 200 of each
    unread_parts : places inside the file, empty for itself, of bytes that are neither text nor of a kind whose texts are read
    images : pictures that were passed over, as nothing is read out of them
    digest, size : sha256 and number of the very bytes that were looked at
    unread : why the file could not be read at all, or empty
    """

    path: str
    spots: tuple[Spot, ...] = ()
    counts: dict[str, int] = {}
    parts: int = 1
    images: int = 0
    unread_parts: tuple[str, ...] = ()
    digest: str = ""
    size: int = 0
    unread: str = ""


class Notes:
    """Collects the spots of one file, without end but not without bound."""

    def __init__(self) -> None:
        self.spots: list[Spot] = []
        self.counts: dict[str, int] = {}
        self.parts = 1
        self.images = 0
        self.unread: list[str] = []

    def add(self, kind: SpotKind, what: str, *, place: str = "", line: int = 0) -> None:
        found = self.counts.get(kind, 0)
        self.counts[kind] = found + 1
        if found < MOST_SPOTS:
            self.spots.append(Spot(kind=kind, what=what[:400], place=place[:200], line=line))

    def look(self, path: str, *, digest: str, size: int) -> Look:
        return Look(
            path=path, spots=tuple(self.spots), counts=self.counts, parts=self.parts, images=self.images,
            unread_parts=tuple(place[:200] for place in self.unread[:MOST_SPOTS]), digest=digest, size=size,
        )  # fmt: skip
