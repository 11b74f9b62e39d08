"""Whoever can write to a bundle's folder, and holds no key, does not choose what ``verify --rebuild`` installs."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest

from jupyter_mlprod.core.bundle import ATTACHED_SIGNATURE, LOCK
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.evidence import Evidence
from jupyter_mlprod.core.lock import Hashes, Lock, LockedFile, Pin, bundle_lock, lock_text
from jupyter_mlprod.core.rebuild import Rebuilt
from jupyter_mlprod.core.requests import Verify
from jupyter_mlprod.core.verdict import Verdict
from tests.verbs.tiny import Desk, measure_of

pytestmark = pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")
EVIL = LockedFile(name="numpy-9-py3-none-any.whl", hashes=Hashes(sha256="e" * 64), path="wheels/numpy-9-py3-none-any.whl")


def another_file(folder: Path) -> None:
    """One more file that would pass for numpy."""
    lock = bundle_lock(folder)
    packages = (msgspec.structs.replace(one, wheels=(*one.wheels, EVIL)) if one.name == "numpy" else one for one in lock.packages)
    (folder / LOCK).write_text(lock_text(msgspec.structs.replace(lock, packages=tuple(packages))))


def no_lock(folder: Path) -> None:
    """Without hashes any file of that name and version would do."""
    (folder / LOCK).unlink()


def nobody_signed(folder: Path) -> None:
    another_file(folder)
    (folder / ATTACHED_SIGNATURE).unlink()


def the_statement_of_another(folder: Path) -> None:
    """That of the former release, with its files."""
    another_file(folder)
    (other,) = (beside for beside in folder.parent.iterdir() if beside != folder)
    shutil.copyfile(other / ATTACHED_SIGNATURE, folder / ATTACHED_SIGNATURE)


class Installing:
    """Port `Locks`: notes what would be installed."""

    def __init__(self) -> None:
        self.installed: list[Lock] = []

    def lock(self, wanted: Sequence[Sequence[Pin]]) -> tuple[Lock, ...]:
        raise AssertionError(f"nobody asked to lock {wanted}")

    def rebuild(self, lock: Lock, folder: Path, digest: str) -> Rebuilt:
        self.installed.append(lock)
        return Rebuilt(installed={}, fault=f"{digest} in {folder} is not asked")


ATTACKS = [another_file, no_lock, nobody_signed, the_statement_of_another]


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_lock_that_no_trusted_key_covers_is_not_installed_without_a_reason(desk: Desk, attack: Callable[[Path], None]) -> None:
    attack(desk.bundle_folder(desk.champion()))
    workspace, locks = desk.workspace(), Installing()
    workspace.__dict__["locks"] = locks
    with pytest.raises(MlprodError) as refused:
        workspace.run(Verify(subject="tiny", rebuild=True))
    assert (refused.value.code, refused.value.code.status) == (Code.NOT_TRUSTED, 2)
    assert "pins packages that --rebuild would install" in refused.value.message
    assert "\n" not in refused.value.message
    assert "mlprod sign" in refused.value.hint
    assert locks.installed == []


def test_a_reason_installs_it_and_stands_in_the_records(desk: Desk) -> None:
    another_file(desk.bundle_folder(desk.champion()))
    workspace, locks = desk.workspace(), Installing()
    workspace.__dict__["locks"] = locks
    verdict = workspace.run(Verify(subject="tiny", rebuild=True, trust="I have read it"))
    assert len(locks.installed) == 1
    assert isinstance(verdict, Verdict)
    assert "attached_faults" in [finding.rule.measure for finding in verdict.findings if finding.outcome == "fail"]
    (given,) = (record for record in workspace.records.about(Evidence, desk.champion()) if "trust" in record.context)
    assert given.context == {"trust": "I have read it"}
    assert measure_of(given, "attached_faults").note.startswith(LOCK)


def test_the_covered_lock_is_installed(desk: Desk) -> None:
    workspace, locks = desk.workspace(), Installing()
    workspace.__dict__["locks"] = locks
    workspace.run(Verify(subject="tiny", rebuild=True))
    assert locks.installed == [bundle_lock(desk.bundle_folder(desk.champion()))]


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_image_is_made_all_the_same_and_says_that_nobody_vouches_for_hashes(desk: Desk, attack: Callable[[Path], None]) -> None:
    folder = desk.bundle_folder(desk.champion())
    attack(folder)
    assert desk.command("export", "tiny", "--to", "docker", "--out", "image") == 0
    hashed = any(package.files for package in bundle_lock(folder).packages)
    assert ("No key that was trusted at the export covers the hashes" in Path("image/README.md").read_text()) == hashed
