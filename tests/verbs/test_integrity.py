"""Scan and verify: every way in which a bundle, the ledger or the registry can stand otherwise than it should."""

import pickle
import shutil
import sqlite3
from pathlib import Path

import pytest

from jupyter_mlprod.core.bundle import SIGNATURE
from jupyter_mlprod.core.errors import Code
from jupyter_mlprod.core.evidence import Evidence
from jupyter_mlprod.core.requests import Package, Predict, Scan, Show, Verify
from jupyter_mlprod.core.verdict import Verdict, exit_status
from tests.verbs.tiny import PACKAGED, Desk, linear, measure_of

pytestmark = pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")


def edit_ledger(desk: Desk, statement: str) -> None:
    """Change the ledger as somebody would who means it: without the triggers."""
    database = sqlite3.connect(desk.folder / ".mlprod" / "ledger.db", isolation_level=None)
    for (trigger,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        database.execute(f"DROP TRIGGER {trigger}")
    database.execute(statement)
    database.close()


def failed(desk: Desk) -> list[str]:
    verdict = desk.run(Verify(subject="tiny"), Verdict)
    assert exit_status(verdict) == (1 if verdict.outcome == "fail" else 0)
    return [finding.rule.measure for finding in verdict.findings if finding.outcome == "fail"]


def test_an_untouched_bundle_passes_and_says_how_much_was_looked_at(desk: Desk) -> None:
    evidence = desk.run(Scan(subject="tiny"), Evidence)
    assert exit_status(evidence) == 0
    files = [path for path in desk.bundle_folder(desk.champion()).rglob("*") if path.is_file()]
    assert measure_of(evidence, "pickle_files").n == len(files)
    assert failed(desk) == []


@pytest.mark.parametrize("place", ["weights.pkl", "golden/more.bin", "attached/notes.bin", "registered_model_meta"])
def test_a_pickle_is_found_wherever_it_lies(desk: Desk, place: str) -> None:
    (desk.bundle_folder(desk.champion()) / place).write_bytes(pickle.dumps({"a": 1}))
    evidence = desk.run(Scan(subject="tiny"), Evidence)
    assert measure_of(evidence, "pickle_files").value == 1
    assert place in measure_of(evidence, "pickle_files").note
    assert exit_status(evidence) == 1


@pytest.mark.parametrize("harm", ["swapped", "renamed"])
def test_a_bundle_in_the_folder_of_another_is_refused_though_whole_in_itself(bare_desk: Desk, harm: str) -> None:
    linear(bare_desk.folder / "model.onnx", shift=0.0)
    plain = {**PACKAGED, "preprocess": "", "example": "x8.npy"}
    bare_desk.workspace().run(Package(**plain))
    (victim,) = (bare_desk.folder / ".mlprod" / "bundles").iterdir()
    linear(bare_desk.folder / "model.onnx", shift=100.0)
    bare_desk.workspace().run(Package(**plain))
    (evil,) = [path for path in victim.parent.iterdir() if path != victim]
    shutil.rmtree(victim)
    if harm == "swapped":
        shutil.copytree(evil, victim)
    else:
        evil.rename(victim)
    subject = f"sha256:{victim.name}"
    refusal = bare_desk.refused(Predict(subject=subject, data="x.npy"))
    assert refusal.code is Code.BUNDLE_BROKEN
    assert "other than the folder's name says" in refusal.message
    assert exit_status(bare_desk.run(Scan(subject=subject), Evidence)) == 1


def test_a_folder_anywhere_is_a_subject_when_it_holds_a_bundle(desk: Desk, tmp_path: Path) -> None:
    shutil.copytree(desk.bundle_folder(desk.champion()), tmp_path / "sent")
    assert desk.command("predict", str(tmp_path / "sent"), "x.npy") == 0
    assert desk.command("verify", str(tmp_path / "sent")) == 0
    assert desk.refused(Show(subject=str(tmp_path))).code is Code.BUNDLE_BROKEN


@pytest.mark.parametrize("row", [1, 2])
@pytest.mark.parametrize("edit", ["'tester', 'nobody'", "'shift', 'shaft'"])
def test_an_edited_row_of_the_ledger_is_found_the_newest_too(desk: Desk, row: int, edit: str) -> None:
    edit_ledger(desk, f"UPDATE ledger SET record = replace(CAST(record AS TEXT), {edit}) WHERE seq = {row}")
    assert failed(desk) == ["ledger_breaks"]


def test_a_row_that_was_taken_out_is_found(desk: Desk) -> None:
    edit_ledger(desk, "DELETE FROM ledger WHERE seq = 1")
    assert failed(desk) == ["ledger_breaks"]


def test_the_newest_row_taken_out_is_found_by_the_alias(desk: Desk) -> None:
    edit_ledger(desk, "DELETE FROM ledger WHERE seq = 2")
    assert failed(desk) == ["alias_mismatches"]


def test_history_says_that_the_chain_is_broken(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    edit_ledger(desk, "UPDATE ledger SET record = replace(CAST(record AS TEXT), 'shift', 'shaft') WHERE seq = 2")
    assert desk.command("history", "tiny") == 0
    assert "chain is broken in 1 place" in capsys.readouterr().out


def test_an_alias_that_mlflow_lost_is_found_and_promoting_the_holder_mends_it(desk: Desk) -> None:
    from mlflow import MlflowClient

    MlflowClient(tracking_uri=desk.workspace().tracking_uri, registry_uri=desk.workspace().tracking_uri).delete_registered_model_alias(
        "tiny", "champion"
    )
    assert failed(desk) == ["alias_mismatches"]
    assert desk.command("promote", "tiny@champion", "--to", "champion") == 0
    assert failed(desk) == []


@pytest.mark.parametrize("text", [None, b"", b"{}", b"[" * 100_000])
def test_a_signature_that_is_gone_or_no_envelope_is_a_finding(desk: Desk, text: bytes | None) -> None:
    path = desk.bundle_folder(desk.champion()) / SIGNATURE
    if text is None:
        path.unlink()
    else:
        path.write_bytes(text)
    assert failed(desk) == ["signature_faults", "attached_faults"]


def test_the_signature_of_another_bundle_does_not_vouch_for_this_one(desk: Desk) -> None:
    other = desk.package(0.7)
    shutil.copy(desk.bundle_folder(other) / SIGNATURE, desk.bundle_folder(desk.champion()) / SIGNATURE)
    assert failed(desk) == ["signature_faults", "attached_faults"]
    assert desk.refused(Predict(subject="tiny", data="x.npy")).code is Code.NOT_TRUSTED
