"""What a verdict must be to move an alias, and that the registry ends where the ledger does, whoever was faster."""

from collections.abc import Callable

import numpy as np
import pytest

from jupyter_mlprod.adapters.ledger_sql import SqlLedger
from jupyter_mlprod.adapters.memory import MemoryRegistry
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.evidence import Evidence
from jupyter_mlprod.core.release import Release, chain_breaks, holder
from jupyter_mlprod.core.requests import Evaluate, Gate, Promote, Rollback
from jupyter_mlprod.core.verdict import Verdict
from jupyter_mlprod.workspace import Workspace
from tests.project import SETTINGS
from tests.verbs.tiny import Desk

ABSOLUTE = SETTINGS.split('[[policy.release]]\nmeasure = "accuracy"\nrelative')[0]
pytestmark = pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")


class OvertakenRegistry(MemoryRegistry):
    """Somebody else promotes between our entry in the ledger and our alias."""

    def __init__(self, others: Callable[[], object]) -> None:
        super().__init__()
        self.others: Callable[[], object] | None = others

    def set_alias(self, name: str, alias: str, version: int) -> None:
        others, self.others = self.others, None
        if others is not None:
            others()
        super().set_alias(name, alias, version)


class OvertakenLedger(SqlLedger):
    """Somebody else promotes between our look at the champion and our entry."""

    others: Callable[[], object] | None = None

    def append(self, entry: Release, *, after: int) -> Release:
        others, self.others = self.others, None
        if others is not None:
            others()
        return super().append(entry, after=after)


def with_parts(desk: Desk, **parts: object) -> Workspace:
    """A workspace in which these ports are others."""
    workspace = desk.workspace()
    workspace.__dict__.update(parts)
    return workspace


def test_the_promoted_holds_the_alias_with_version_reason_actor_and_verdict(desk: Desk) -> None:
    before, made = desk.champion(), desk.proven(0.02)
    release = desk.run(Promote(subject=made, why="better"), Release)
    assert (release.bundle, release.previous, release.version, release.action) == (made, before, 3, "promote")
    assert (release.actor, release.why, release.state) == ("tester", "better", "held")
    verdict = desk.workspace().records.get(release.verdict)
    assert isinstance(verdict, Verdict)
    assert (verdict.subject, verdict.outcome, verdict.scope) == (made, "pass", "release")
    assert desk.champion() == made


def test_another_alias_moves_on_the_same_verdict_and_leaves_the_champion(desk: Desk) -> None:
    before, made = desk.champion(), desk.proven(0.02)
    assert desk.command("promote", made, "--to", "canary") == 0
    assert desk.champion() == before
    assert desk.command("show", "tiny@canary") == 0


def test_a_newer_verdict_that_is_no_pass_takes_the_right_away(desk: Desk) -> None:
    made = desk.proven(0.02)
    np.save("flipped.npy", 1 - np.load("y.npy"))
    desk.run(Evaluate(subject=made, data="x.npy", target="flipped.npy"), Evidence)
    assert desk.run(Gate(subjects=(made,)), Verdict).outcome == "fail"
    refusal = desk.refused(Promote(subject=made))
    assert refusal.code is Code.NOT_PROVEN
    assert refusal.code.status == 3
    assert "the newest release verdict" in refusal.message
    assert refusal.hint.startswith("mlprod show sha256:")


def test_without_a_verdict_the_hint_names_the_gate(desk: Desk) -> None:
    made = desk.package(0.02)
    refusal = desk.refused(Promote(subject=made))
    assert refusal.code is Code.NOT_PROVEN
    assert f"mlprod gate {made[:19]}" in refusal.hint


def test_promoting_the_holder_again_changes_nothing(desk: Desk) -> None:
    before = desk.workspace().ledger.entries("tiny")
    assert desk.command("promote", "tiny@champion") == 0
    assert desk.workspace().ledger.entries("tiny") == before


def test_a_comparison_that_only_the_notebook_made_does_not_count(desk: Desk) -> None:
    """The notebook has measured itself against the champion of then; the runner's verdict compares with another."""
    made = desk.package(0.02)
    desk.run(Evaluate(subject=made, data="x.npy", target="y.npy"), Evidence, taken_by="notebook")
    assert desk.run(Gate(subjects=(made,)), Verdict, taken_by="notebook").outcome == "pass"
    desk.release(0.03)
    desk.run(Evaluate(subject=made, data="x.npy", target="y.npy"), Evidence)
    assert desk.run(Gate(subjects=(made,)), Verdict).outcome == "pass"
    desk.run(Rollback(name="tiny", why="the third was no good"), Release)
    refusal = desk.refused(Promote(subject=made))
    assert refusal.code is Code.NOT_PROVEN
    assert "was not compared with today's champion" in refusal.message


def test_whoever_is_overtaken_between_ledger_and_alias_lets_the_alias_follow_the_ledger(desk: Desk) -> None:
    (desk.folder / "mlprod.toml").write_text(ABSOLUTE)
    slow, fast = desk.proven(0.02), desk.proven(0.03)
    registry = OvertakenRegistry(lambda: with_parts(desk, registry=registry).run(Promote(subject=fast)))
    with_parts(desk, registry=registry).run(Promote(subject=slow))
    entries = desk.workspace().ledger.entries("tiny")
    held = holder(entries, "champion")
    assert held is not None
    assert held.bundle == fast
    assert registry.alias("tiny", "champion") == held.version
    assert chain_breaks(entries) == 0


def test_whoever_is_overtaken_after_the_comparison_moves_nothing(desk: Desk) -> None:
    slow, fast = desk.proven(0.02), desk.proven(0.03)
    ledger = OvertakenLedger(desk.folder / ".mlprod" / "ledger.db")
    ledger.others = lambda: desk.run(Promote(subject=fast), Release)
    with pytest.raises(MlprodError, match="tester moved tiny@champion") as refused:
        with_parts(desk, ledger=ledger).run(Promote(subject=slow))
    assert refused.value.code is Code.LEDGER_MOVED
    assert desk.champion() == fast


def test_two_rollbacks_at_once_go_one_step_back_and_not_two(desk: Desk) -> None:
    desk.release(0.02)
    former = desk.workspace().ledger.entries("tiny")[1].bundle
    ledger = OvertakenLedger(desk.folder / ".mlprod" / "ledger.db")
    ledger.others = lambda: desk.run(Rollback(name="tiny", why="mine"), Release)
    with pytest.raises(MlprodError) as refused:
        with_parts(desk, ledger=ledger).run(Rollback(name="tiny", why="mine, too"))
    assert refused.value.code is Code.LEDGER_MOVED
    assert desk.champion() == former


def test_a_rollback_of_what_was_never_promoted_says_so(desk: Desk) -> None:
    refusal = desk.refused(Rollback(name="tiny", alias="canary", why="drill"))
    assert refusal.code is Code.NOTHING_BEFORE
    assert refusal.message == "tiny@canary has never been promoted"
    desk.run(Rollback(name="tiny", why="drill"), Release)
    assert desk.refused(Rollback(name="tiny", why="drill")).message == "tiny@champion has no former release"


def test_a_rollback_carries_the_verdict_that_had_allowed_the_restored_release(desk: Desk) -> None:
    first, second = desk.workspace().ledger.entries("tiny")
    release = desk.run(Rollback(name="tiny", why="drill"), Release)
    assert (release.bundle, release.verdict, release.version) == (first.bundle, first.verdict, first.version)
    assert (release.action, release.previous, release.why) == ("rollback", second.bundle, "drill")


def test_after_a_rollback_a_promotion_counts_from_the_restored_release(desk: Desk) -> None:
    desk.run(Rollback(name="tiny", why="drill"), Release)
    first = desk.champion()
    desk.release(0.04)
    assert desk.run(Rollback(name="tiny", why="drill"), Release).bundle == first
