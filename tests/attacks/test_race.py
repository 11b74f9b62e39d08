"""Several processes at one workspace: each move is made once, the chain stays whole, and the alias ends where the ledger does."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from jupyter_mlprod.core.release import Release, chain_breaks, holder
from tests.project import SETTINGS
from tests.verbs.tiny import PACKAGE_WORDS, Desk

ABSOLUTE = SETTINGS.split('[[policy.release]]\nmeasure = "accuracy"\nrelative')[0]
CHILD = """
import sys
import jupyter_mlprod.verbs.promote, jupyter_mlprod.verbs.rollback, jupyter_mlprod.verbs.package
import jupyter_mlprod.adapters.mlflow_registry, jupyter_mlprod.adapters.onnx_capture, jupyter_mlprod.adapters.onnx_runtime
from jupyter_mlprod.fronts import cli
print("ready", flush=True)
sys.stdin.readline()
sys.exit(cli.main(sys.argv[1:]))
"""
pytestmark = pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")


def together(folder: Path, commands: Sequence[Sequence[str]]) -> list[tuple[int, str]]:
    """Exit status and complaint of commands that start at the same instant."""
    pipe = subprocess.PIPE
    children = [
        subprocess.Popen([sys.executable, "-c", CHILD, *words], cwd=folder, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        for words in commands
    ]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    printed = [child.communicate(timeout=120)[1] for child in children]
    return [(child.returncode, text) for child, text in zip(children, printed, strict=True)]


def whole(desk: Desk) -> tuple[Release, ...]:
    """The moves of the ledger, whose chain must be whole, and whose last the registry must follow."""
    entries = desk.workspace().ledger.entries("tiny")
    assert chain_breaks(entries) == 0
    assert desk.workspace().ledger.edited("tiny") == 0
    held = holder(entries, "champion")
    assert held is not None
    assert desk.champion() == held.bundle, "the registry stands where the ledger does"
    assert desk.command("verify", "tiny@champion") == 0
    return entries


def test_promotions_at_once_win_one_by_one_or_are_refused(desk: Desk) -> None:
    (desk.folder / "mlprod.toml").write_text(ABSOLUTE)
    made = [desk.proven(shift) for shift in (0.02, 0.03)]
    ended = together(desk.folder, [["promote", bundle] for bundle in made])
    winners = [bundle for bundle, (status, _) in zip(made, ended, strict=True) if status == 0]
    assert winners
    assert all(status == 0 or (status == 2 and text.startswith("ledger-moved:")) for status, text in ended), ended
    moved = [entry.bundle for entry in whole(desk)[2:]]
    assert sorted(moved) == sorted(winners), "exactly the winners stand in the ledger, each once"


def test_of_promotions_at_once_that_were_compared_with_one_champion_only_one_wins(desk: Desk) -> None:
    made = [desk.proven(shift) for shift in (0.02, 0.03)]
    ended = together(desk.folder, [["promote", bundle] for bundle in made])
    assert sorted(status for status, _ in ended) in ([0, 2], [0, 3]), ended
    assert len(whole(desk)) == 3


def test_rollbacks_at_once_go_one_step_back_each_or_are_refused(desk: Desk) -> None:
    for shift in (0.02, 0.03):
        desk.release(shift)
    ended = together(desk.folder, [["rollback", "tiny", "--why", f"hand {hand}"] for hand in (1, 2)])
    done = [status for status, _ in ended if status == 0]
    assert done
    assert all(status == 0 or text.startswith("ledger-moved:") for status, text in ended), ended
    entries = whole(desk)
    assert [entry.action for entry in entries[4:]] == ["rollback"] * len(entries[4:])
    assert 1 <= len(entries[4:]) <= len(done)


def test_packaging_the_same_thing_at_once_makes_one_whole_signed_bundle(desk: Desk) -> None:
    made = desk.package(0.5)
    desk.workspace().bundles.remove(made)
    ended = together(desk.folder, [PACKAGE_WORDS] * 2)
    assert [status for status, _ in ended] == [0, 0], ended
    assert desk.command("verify", made) == 0
    assert not [path for path in desk.files() if "staging" in path]
