"""Who holds an alias, what a rollback restores, and that a changed past shows."""

import datetime
from collections.abc import Sequence
from typing import Literal

import msgspec
import pytest

from jupyter_mlprod.core.record import digest
from jupyter_mlprod.core.release import CHAMPION, Release, chain_breaks, former, holder

AT = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def move(bundle: str, action: Literal["promote", "rollback"] = "promote", *, alias: str = CHAMPION) -> Release:
    return Release(
        name="digits", alias=alias, bundle=bundle, state="held", action=action, actor="ann", at=AT, why="because", verdict="sha256:00"
    )


def chained(*moves: Release) -> list[Release]:
    entries: list[Release] = []
    for seq, entry in enumerate(moves, start=1):
        entries.append(msgspec.structs.replace(entry, seq=seq, chain=digest(entries[-1]) if entries else ""))
    return entries


def bundle_of(entry: Release | None) -> str | None:
    return None if entry is None else entry.bundle


@pytest.mark.parametrize(
    ("moves", "holds", "restores"),
    [
        ([], None, None),
        ([move("a")], "a", None),
        ([move("a"), move("b")], "b", "a"),
        ([move("a"), move("b"), move("c")], "c", "b"),
        ([move("a"), move("b"), move("a", "rollback")], "a", None),
        ([move("a"), move("b"), move("c"), move("b", "rollback")], "b", "a"),
        ([move("a"), move("b"), move("a", "rollback"), move("c")], "c", "a"),
        ([move("a"), move("b"), move("c"), move("b", "rollback"), move("a", "rollback")], "a", None),
        ([move("a"), move("b"), move("a")], "a", "b"),
        ([move("a"), move("x", alias="challenger"), move("b")], "b", "a"),
        ([move("a"), move("a", "rollback", alias="challenger")], "a", None),
    ],
)
def test_a_rollback_restores_what_the_last_promotion_replaced(moves: Sequence[Release], holds: str | None, restores: str | None) -> None:
    entries = chained(*moves)
    assert bundle_of(holder(entries, CHAMPION)) == holds
    assert bundle_of(former(entries, CHAMPION)) == restores


def test_rollbacks_in_a_row_walk_back_one_release_each_and_end() -> None:
    entries = chained(move("a"), move("b"), move("c"), move("d"))
    seen = []
    while (restored := former(entries, CHAMPION)) is not None:
        seen.append(restored.bundle)
        entries = chained(*entries, move(restored.bundle, "rollback"))
        assert bundle_of(holder(entries, CHAMPION)) == restored.bundle
    assert seen == ["c", "b", "a"]


def test_an_untouched_ledger_has_no_break() -> None:
    assert chain_breaks([]) == 0
    assert chain_breaks(chained(move("a"), move("b"), move("a", "rollback"))) == 0


def test_every_change_of_the_past_shows() -> None:
    entries = chained(move("a"), move("b"), move("c"))
    forged = msgspec.structs.replace(entries[0], actor="mallory")
    assert chain_breaks([forged, *entries[1:]]) == 1
    assert chain_breaks(entries[1:]) > 0
    assert chain_breaks([entries[0], entries[2]]) > 0
    assert chain_breaks([entries[1], entries[0], entries[2]]) > 0
    assert chain_breaks([*entries, entries[2]]) > 0
