"""Release: a bundle that holds an alias. The ledger is the append-only list of these records; the alias in the registry follows it.

Each record carries the digest of the one before it under the same name, so a change to an old record shows.
"""

import datetime
from collections.abc import Sequence
from typing import Literal

from jupyter_mlprod.core.record import Record, digest

CHAMPION = "champion"


class Release(Record, frozen=True, kw_only=True, tag="release/1"):
    """One move of one alias.

    Attributes
    ----------
    state : ``asked`` inside a gate run that has not ended yet, ``held`` once it stands in the ledger
    version : the registry's version number, 0 while asked
    previous : digest of the bundle that held the alias before, empty for the first
    verdict : digest of the verdict that allowed it; for a rollback, of the one that had allowed the restored release
    seq, chain : place among the moves of this name, from 1; digest of the record before it, empty for the first
    """

    name: str
    alias: str
    bundle: str
    state: Literal["asked", "held"]
    action: Literal["promote", "rollback"]
    actor: str
    at: datetime.datetime
    why: str
    verdict: str
    version: int = 0
    previous: str = ""
    seq: int = 0
    chain: str = ""


def holder(entries: Sequence[Release], alias: str) -> Release | None:
    """The release that holds an alias now, from one name's entries in ledger order."""
    held = [entry for entry in entries if entry.alias == alias]
    return held[-1] if held else None


def former(entries: Sequence[Release], alias: str) -> Release | None:
    """The release that a rollback restores: a stack on which a promotion pushes and a rollback pops."""
    stack: list[Release] = []
    for entry in entries:
        if entry.alias != alias:
            continue
        if entry.action == "promote":
            stack.append(entry)
        elif stack:
            stack.pop()
    return stack[-2] if len(stack) > 1 else None


def chain_breaks(entries: Sequence[Release]) -> int:
    """How many entries of one name do not follow from the entry before them."""
    breaks, last = 0, ""
    for seq, entry in enumerate(entries, start=1):
        breaks += entry.chain != last or entry.seq != seq
        last = digest(entry)
    return breaks
