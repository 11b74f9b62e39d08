"""``verify --rebuild``: an environment out of the bundle's lock, the golden samples in it, and what each way to fail ends in.

One bundle is locked with the real index and rebuilt for real; what a replay may come to beyond that is told by a fake of the port.
"""

import io
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import msgspec
import numpy as np
import pytest

from jupyter_mlprod.core.attach import attach
from jupyter_mlprod.core.bundle import ATTACHED_SIGNATURE, GOLDEN_ANSWERS, LOCK
from jupyter_mlprod.core.errors import Code
from jupyter_mlprod.core.evidence import Evidence
from jupyter_mlprod.core.lock import Lock, LockedPackage, PackageTool, Pin, Source, attach_locks, bundle_lock, lock_text
from jupyter_mlprod.core.ports import Locks
from jupyter_mlprod.core.raw import Array
from jupyter_mlprod.core.rebuild import Rebuilt
from jupyter_mlprod.core.record import digest
from jupyter_mlprod.core.requests import Verify
from jupyter_mlprod.core.resolve import Found, find_bundle
from jupyter_mlprod.core.statement import attached_statement
from jupyter_mlprod.core.verdict import Verdict, exit_status
from jupyter_mlprod.verbs import verify
from tests.verbs.tiny import Desk, measure_of

pytestmark = pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")
NOWHERE = {"UV_DEFAULT_INDEX": "http://127.0.0.1:9/simple", "UV_NO_CACHE": "1", "UV_HTTP_RETRIES": "0"}


@pytest.fixture
def locked(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The champion's folder, with a lock that the real index was asked for."""
    monkeypatch.setenv("MLPROD_LOCK", "hashes")
    workspace, champion = desk.workspace(), find_bundle("tiny@champion", desk.workspace())
    attach_locks(champion.folder, workspace)
    attach(champion, workspace)
    return champion.folder


def doctored(desk: Desk, edit: dict[str, str]) -> None:
    """Change the champion's lock, and have the change signed."""
    champion = find_bundle("tiny@champion", desk.workspace())
    text = (champion.folder / LOCK).read_text()
    for old, new in edit.items():
        assert old in text
        text = text.replace(old, new)
    (champion.folder / LOCK).write_text(text)
    statement = attached_statement(champion.folder, champion.bundle.name, champion.digest)
    desk.workspace().signer.sign(champion.folder / ATTACHED_SIGNATURE, statement)


def environment(desk: Desk) -> Evidence:
    (found,) = [record for record in desk.workspace().records.about(Evidence, desk.champion()) if record.kind == "environment"]
    return found


def test_the_environment_of_the_lock_answers_as_the_bundle_did(desk: Desk, locked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lock = bundle_lock(locked)
    assert [package.name for package in lock.unhashed if not package.tool.mlprod.source] == []
    assert desk.command("verify", "tiny", "--rebuild") == 0
    assert "answering the golden samples there" in capsys.readouterr().err
    evidence = environment(desk)
    assert measure_of(evidence, "rebuild_mismatches").n == 8
    assert measure_of(evidence, "packages_differing").value == 0
    assert measure_of(evidence, "unhashed_packages").value == len(lock.unhashed)


def test_another_file_than_the_lock_has_the_hash_of_is_refused_by_name(desk: Desk, locked: Path) -> None:
    (package,) = [package for package in bundle_lock(locked).packages if package.name == "packaging"]
    doctored(desk, {package.wheels[0].hashes.sha256: "0" * 64})
    assert desk.command("verify", "tiny", "--rebuild") == 1
    evidence = environment(desk)
    assert "packaging" in measure_of(evidence, "packages_differing").note
    assert [measure.name for measure in evidence.measures] == ["packages_differing", "unhashed_packages"]


def test_an_index_that_is_away_is_no_verdict_and_leaves_no_environment(desk: Desk, locked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**NOWHERE, "TMPDIR": str(desk.folder / "tmp")}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("tempfile.tempdir", str(desk.folder / "tmp"))
    (desk.folder / "tmp").mkdir()
    assert desk.command("verify", "tiny", "--rebuild") == 4
    assert not list((desk.folder / "tmp").iterdir())


@pytest.mark.usefixtures("locked")
def test_a_lock_that_pins_another_version_than_the_requirements_is_refused(desk: Desk) -> None:
    doctored(desk, {f'name = "numpy"\nversion = "{version("numpy")}"': 'name = "numpy"\nversion = "1.0.0"'})
    refusal = desk.refused(Verify(subject="tiny", rebuild=True))
    assert (refusal.code, refusal.code.status) == (Code.BUNDLE_BROKEN, 2)
    assert "numpy==1.0.0 is not in requirements.txt" in refusal.message


@pytest.mark.usefixtures("locked")
def test_an_environment_for_another_python_is_not_judged_here(desk: Desk) -> None:
    doctored(desk, {f'python = "{sys.version.split()[0]}"': 'python = "3.9.1"'})
    refusal = desk.refused(Verify(subject="tiny", rebuild=True))
    assert (refusal.code, refusal.code.status) == (Code.NOT_REBUILT, 3)
    assert "the lock is for Python 3.9" in refusal.message


def test_a_package_that_was_installed_from_a_file_is_not_sought_by_its_name(desk: Desk, locked: Path) -> None:
    lock = bundle_lock(locked)
    by_file = LockedPackage(name="tqdm", version=version("tqdm"), tool=PackageTool(mlprod=Source(source="file")))
    packages = tuple(by_file if package.name == "tqdm" else package for package in lock.packages)
    doctored(desk, {lock_text(lock): lock_text(msgspec.structs.replace(lock, packages=packages))})
    refusal = desk.refused(Verify(subject="tiny", rebuild=True))
    assert (refusal.code, refusal.code.status) == (Code.NOT_REBUILT, 3)
    assert f"tqdm=={version('tqdm')} (file)" in refusal.message


def test_packages_of_an_untrusted_bundle_are_not_installed_without_a_reason(desk: Desk, locked: Path) -> None:
    shutil.rmtree(locked / "attached")
    refusal = desk.refused(Verify(subject="tiny", rebuild=True))
    assert (refusal.code, refusal.code.status) == (Code.NOT_TRUSTED, 2)
    assert desk.refused(Verify(subject="tiny", trust="why not")).code is Code.BAD_REQUEST
    shutil.copytree(locked, "elsewhere")
    assert "in ./elsewhere and say" in desk.refused(Verify(subject="./elsewhere", rebuild=True)).hint


def test_a_bundle_that_was_tampered_with_is_not_rebuilt(desk: Desk, locked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (locked / "requirements.txt").write_text("evil==1.0\n")
    assert desk.command("verify", "tiny", "--rebuild") == 1
    assert "installing" not in capsys.readouterr().err


# What a replay may come to.


class Answered:
    """Port `Locks`, with a replay that has been made up."""

    def __init__(self, rebuilt: Rebuilt) -> None:
        self.rebuilt = rebuilt

    def lock(self, wanted: Sequence[Sequence[Pin]]) -> tuple[Lock, ...]:
        raise AssertionError(f"nobody asked to lock {wanted}")

    def rebuild(self, lock: Lock, folder: Path, digest: str) -> Rebuilt:
        return self.rebuilt


def golden(folder: Path) -> dict[str, Array]:
    with np.load(io.BytesIO((folder / GOLDEN_ANSWERS).read_bytes()), allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def good(folder: Path) -> Rebuilt:
    return Rebuilt(installed={package.name: package.version for package in bundle_lock(folder).packages}, answers=golden(folder))


def judged(desk: Desk, rebuilt: Rebuilt) -> tuple[int, Evidence]:
    workspace = desk.workspace()
    locks: Locks = Answered(rebuilt)
    workspace.__dict__["locks"] = locks
    verdict = verify.run(Verify(subject="tiny", rebuild=True), workspace)
    assert isinstance(verdict, Verdict)
    return exit_status(verdict), environment(desk)


@pytest.fixture
def champion(desk: Desk) -> Path:
    return desk.bundle_folder(desk.champion())


def test_the_made_up_replay_passes_when_nothing_differs(desk: Desk, champion: Path) -> None:
    status, _ = judged(desk, good(champion))
    assert status == 0


@pytest.mark.parametrize(("by", "rows"), [(5e-5, 0), (2e-4, 8), (np.nan, 8)])
def test_answers_may_differ_by_a_ten_thousandth(desk: Desk, champion: Path, by: float, rows: int) -> None:
    answers = {name: np.asarray(array, np.float32) + np.float32(by) for name, array in golden(champion).items()}
    status, evidence = judged(desk, msgspec.structs.replace(good(champion), answers=answers))
    assert measure_of(evidence, "rebuild_mismatches").value == rows
    assert status == (1 if rows else 0)


def test_another_label_is_a_mismatch_however_near_the_scores_are(desk: Desk, champion: Path) -> None:
    answers = {name: array.copy() for name, array in golden(champion).items()}
    answers["scores"][0] = answers["scores"][0][::-1]
    status, evidence = judged(desk, msgspec.structs.replace(good(champion), answers=answers))
    assert (status, measure_of(evidence, "rebuild_mismatches").value) == (1, 1)
    assert "1 other labels" in measure_of(evidence, "rebuild_mismatches").note


@pytest.mark.parametrize(
    "answers", [{}, {"scores": np.full((8, 2), "much")}, {"scores": np.zeros((8, 3), np.float32)}, {"scores": np.zeros((7, 2), np.float32)}]
)
def test_no_answer_and_another_shape_are_mismatches_of_every_row(desk: Desk, champion: Path, answers: dict[str, Array]) -> None:
    status, evidence = judged(desk, msgspec.structs.replace(good(champion), answers=answers))
    assert (status, measure_of(evidence, "rebuild_mismatches").value) == (1, 8)


def test_a_child_that_fails_is_a_mismatch_and_says_why(desk: Desk, champion: Path) -> None:
    status, evidence = judged(desk, msgspec.structs.replace(good(champion), answers=None, fault="no answer: killed"))
    assert (status, measure_of(evidence, "rebuild_mismatches").note) == (1, "no answer: killed")


@pytest.mark.parametrize(
    ("change", "note"),
    [
        ({"numpy": "1.0"}, "numpy is 1.0, pinned is"),
        ({"numpy": ""}, "numpy is absent, pinned is"),
        ({"torch": "2.13.0"}, "torch 2.13.0 is there and not pinned"),
    ],
)
def test_a_package_that_is_another_absent_or_not_pinned_is_named(desk: Desk, champion: Path, change: dict[str, str], note: str) -> None:
    installed = {name: version for name, version in {**good(champion).installed, **change}.items() if version}
    status, evidence = judged(desk, msgspec.structs.replace(good(champion), installed=installed))
    assert (status, measure_of(evidence, "packages_differing").value) == (1, 1)
    assert note in measure_of(evidence, "packages_differing").note


def test_a_module_that_leaks_in_from_elsewhere_is_found(desk: Desk, champion: Path) -> None:
    status, evidence = judged(desk, msgspec.structs.replace(good(champion), importable=("torch",)))
    assert (status, measure_of(evidence, "packages_differing").note) == (1, "torch can be imported and is not pinned")


# Cancelled.


def test_cancelling_ends_the_installer_and_removes_the_environment(desk: Desk, locked: Path, tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as server:
        index = f"http://127.0.0.1:{server.getsockname()[1]}/simple"
        environ = {**os.environ, "UV_DEFAULT_INDEX": index, "UV_NO_CACHE": "1", "TMPDIR": str(temporary)}
        command = [sys.executable, "-m", "jupyter_mlprod", "verify", "tiny", "--rebuild"]
        with subprocess.Popen(command, cwd=desk.folder, env=environ, stderr=subprocess.PIPE, text=True) as child:
            connection, _ = server.accept()  # an index that never answers: the installer is at work now
            child.send_signal(signal.SIGINT)
            _, errors = child.communicate(timeout=60)
            with connection:
                while connection.recv(4096):
                    pass  # until the installer is gone, who held the other end
    assert child.returncode == 130, errors
    assert not list(temporary.iterdir())


def test_a_lock_with_hashes_stays_when_the_index_is_away_the_next_time(desk: Desk, locked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (locked / LOCK).read_text()
    monkeypatch.setenv("MLPROD_LOCK", "pins")
    attach_locks(locked, desk.workspace())
    assert (locked / LOCK).read_text() == before


def test_a_golden_answer_that_was_doctored_and_signed_again_is_a_mismatch(desk: Desk, champion: Path) -> None:
    true = good(champion)
    workspace, staged = desk.workspace(), desk.folder / "staged"
    shutil.copytree(champion, staged, ignore=shutil.ignore_patterns("bundle.json"))
    shifted = {name: np.asarray(array, np.float32) + np.float32(1) for name, array in golden(champion).items()}
    np.savez(staged / GOLDEN_ANSWERS, allow_pickle=False, **shifted)
    ((_, bundle, origin), *_) = [entry for entry in workspace.bundles.all() if entry[0] == desk.champion()]
    kept = workspace.bundles.add(staged, bundle, origin)
    attach(Found(bundle=kept, digest=digest(kept), folder=workspace.bundles.path(digest(kept))), workspace)
    workspace.__dict__["locks"] = Answered(true)
    verdict = verify.run(Verify(subject=digest(kept), rebuild=True), workspace)
    assert exit_status(verdict) == 1
    assert [finding.rule.measure for finding in verdict.findings if finding.outcome == "fail"] == ["rebuild_mismatches"]
