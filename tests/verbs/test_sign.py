"""Signing and what is attached: both statements, co-signing, renewal at a promotion, and crashes between the writes."""

import base64
import json
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest

from jupyter_mlprod.adapters.machine import UNKNOWN
from jupyter_mlprod.core import attach as attaching
from jupyter_mlprod.core.bundle import (
    ATTACHED,
    ATTACHED_SIGNATURE,
    CARD,
    CARD_HTML,
    CARD_WORDS,
    GOLDEN_INPUTS,
    LOCK,
    MANIFEST,
    ORIGIN,
    SBOM,
    SIGNATURE,
    TRAINING_LOCK,
    Bundle,
    Origin,
    Training,
)  # fmt: skip
from jupyter_mlprod.core.dossier import gather
from jupyter_mlprod.core.errors import Code
from jupyter_mlprod.core.evidence import Evidence
from jupyter_mlprod.core.listing import Listing
from jupyter_mlprod.core.provenance import provenance
from jupyter_mlprod.core.release import Release
from jupyter_mlprod.core.requests import Keygen, List, Package, Predict, Rollback, Sign, Verify
from jupyter_mlprod.core.resolve import find_bundle
from jupyter_mlprod.core.verdict import Finding, Verdict
from tests.verbs.tiny import PACKAGED, Desk, cells, furnish, linear, measure_of

pytestmark = pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")


def findings(desk: Desk, subject: str = "tiny") -> dict[str, Finding]:
    return {finding.rule.measure: finding for finding in desk.run(Verify(subject=subject), Verdict).findings}


def failed(desk: Desk, subject: str = "tiny") -> list[str]:
    return [name for name, finding in findings(desk, subject).items() if finding.outcome == "fail"]


def said(path: Path) -> dict[str, Any]:
    """The signed statement of an envelope."""
    statement: dict[str, Any] = json.loads(base64.b64decode(json.loads(path.read_text())["payload"]))
    return statement


@pytest.fixture
def packed(bare_desk: Desk) -> Desk:
    """A workspace with one bundle and no release."""
    bare_desk.package(0.0)
    return bare_desk


def bundle_of(desk: Desk) -> Path:
    return find_bundle("tiny", desk.workspace()).folder


@pytest.fixture
def there(tmp_path: Path) -> Desk:
    """Another workspace, with a key of its own."""
    folder = tmp_path / "there"
    folder.mkdir()
    furnish(folder)
    return Desk(folder)


def trusting(desk: Desk, other: Desk) -> None:
    """Let a workspace trust the key of another one."""
    settings = desk.folder / "mlprod.toml"
    key = other.workspace().signer.key().public
    settings.write_text(settings.read_text().replace("[settings]", f'[settings]\ntrusted_keys = ["{key}"]'))


def test_a_packaged_bundle_carries_provenance_sbom_card_and_a_statement_over_them(bare_desk: Desk) -> None:
    made = bare_desk.package(0.0, data="x.npy", card='intended_use = "tests"')
    folder = bare_desk.bundle_folder(made)
    first, second = said(folder / SIGNATURE), said(folder / ATTACHED_SIGNATURE)
    assert first["subject"] == [{"name": "tiny", "digest": {"sha256": made.removeprefix("sha256:")}}]
    assert first["predicateType"] == "https://slsa.dev/provenance/v1"
    assert {subject["name"] for subject in second["subject"]} == {ORIGIN, LOCK, SBOM, CARD, CARD_HTML, CARD_WORDS, SIGNATURE}
    assert second["predicate"] == {"bundle": {"name": "tiny", "digest": made}}
    assert failed(bare_desk) == []
    assert "signed by" in findings(bare_desk)["signature_faults"].reason


def test_provenance_tells_what_was_recorded_and_leaves_out_what_was_not(bare_desk: Desk) -> None:
    made = bare_desk.package(0.0, data="x.npy", notebook="train.ipynb")
    found = find_bundle(made, bare_desk.workspace())
    dossier = gather(found, bare_desk.workspace())
    origin = Origin(
        created_at="2026-11-25T10:00:00+00:00", actor="ann", python="3.11", platform="Linux", notebook="train.ipynb", run="20261125-1",
        git_commit="ab" * 20, git_dirty="sha256:" + "cd" * 32, notebook_digest="sha256:" + "ef" * 32,
        training=Training(mlflow_run="r1", seeds={"torch": 7}, requirements=("torch==2.13.0+cpu",)),
    )  # fmt: skip
    told = provenance(msgspec.structs.replace(dossier, origin=origin))
    build, run = told["buildDefinition"], told["runDetails"]
    assert build["externalParameters"] == {
        "name": "tiny", "scores": "logits", "labels": ["left", "right"], "preprocess": "prepare", "notebook": "train.ipynb",
    }  # fmt: skip
    assert build["internalParameters"]["seeds"] == {"torch": 7}
    assert build["resolvedDependencies"][:4] == [
        {"name": "git commit", "digest": {"gitCommit": "ab" * 20}, "annotations": {"uncommittedChanges": "sha256:" + "cd" * 32}},
        {"name": "code cells of the notebook", "digest": {"sha256": "ef" * 32}},
        {"name": "training data", "digest": {"sha256": found.bundle.snapshot.removeprefix("sha256:")}},
        {"name": "training run", "uri": "runs:/r1"},
    ]
    assert {"uri": "pkg:pypi/torch@2.13.0%2Bcpu"} in build["resolvedDependencies"]
    assert run["metadata"] == {"invocationId": "20261125-1", "finishedOn": "2026-11-25T10:00:00Z"}
    slow = provenance(msgspec.structs.replace(dossier, origin=msgspec.structs.replace(origin, git_commit=UNKNOWN, git_dirty=UNKNOWN)))
    assert "git" not in str(slow["buildDefinition"]["resolvedDependencies"][0]), "words of the machine are no digest of a commit"
    bare = provenance(msgspec.structs.replace(dossier, origin=None))
    assert "metadata" not in bare["runDetails"]
    assert bare["buildDefinition"]["internalParameters"] == {}


@pytest.mark.parametrize("harm", ["origin", "card", "missing", "extra", "folder", "link", "hidden", "first"])
def test_whatever_changes_in_attached_is_a_fault_and_the_code_stays_trusted(packed: Desk, harm: str) -> None:
    folder = bundle_of(packed)
    match harm:
        case "origin":
            (folder / ORIGIN).write_text((folder / ORIGIN).read_text().replace("tester", "nobody"))
        case "card":
            (folder / CARD).write_text("the best model\n")
        case "missing":
            (folder / SBOM).unlink()
        case "extra":
            (folder / ATTACHED / "notes.txt").write_text("x")
        case "folder":
            (folder / ATTACHED / "more").mkdir()
        case "link":
            (folder / CARD).rename(folder.parent.parent / "card.md")
            (folder / CARD).symlink_to(folder.parent.parent / "card.md")
        case "hidden":
            (folder / ATTACHED / ".hooks").write_text("x")
        case "first":
            envelope = json.loads((folder / SIGNATURE).read_text())
            (folder / SIGNATURE).write_text(json.dumps(envelope))
    assert failed(packed) == ["attached_faults"]
    finding = findings(packed)["attached_faults"]
    assert finding.measured is not None
    assert finding.measured.value == 1
    assert packed.run(Predict(subject="tiny", data="x.npy"), Listing).total == 400


@pytest.mark.parametrize("old", ["no second statement", "no statement of today"])
def test_an_older_bundle_is_not_covered_and_signing_mends_it(packed: Desk, old: str) -> None:
    folder = bundle_of(packed)
    (folder / ATTACHED_SIGNATURE).unlink()
    if old == "no statement of today":
        for path in (SBOM, CARD, CARD_HTML):
            (folder / path).unlink()
    present = len(list((folder / ATTACHED).iterdir()))
    finding = findings(packed)["attached_faults"]
    assert finding.measured is not None
    assert (finding.measured.value, finding.measured.n) == (present, present)
    assert "is not covered: there is no signature" in finding.reason
    assert "mlprod sign" in finding.reason
    evidence = packed.run(Sign(subject="tiny", why="adopted"), Evidence)
    assert evidence.context == {"why": "adopted"}
    assert measure_of(evidence, "attached_faults").value == 0
    assert failed(packed) == []
    assert (folder / CARD).is_file()


@pytest.mark.parametrize("path", [ORIGIN, CARD_WORDS, LOCK, TRAINING_LOCK])
def test_an_attached_file_that_leads_elsewhere_is_never_read(packed: Desk, path: str) -> None:
    linked = bundle_of(packed) / path
    linked.unlink(missing_ok=True)
    linked.symlink_to("/dev/zero")
    assert failed(packed) == ["attached_faults"]
    assert packed.run(List(), Listing).total == 1
    before = (linked.parent / "attached.dsse.json").read_bytes()
    refusal = packed.refused(Sign(subject="tiny"))
    assert refusal.code is Code.BUNDLE_BROKEN
    assert f"{path} is no regular file" in refusal.message
    assert refusal.hint.startswith("remove it")
    assert (linked.parent / "attached.dsse.json").read_bytes() == before


def test_list_says_that_nobody_vouches_for_who_packaged_it(desk: Desk) -> None:
    folder = desk.bundle_folder(desk.champion())
    assert set(cells(desk.run(List(), Listing), "by")) == {"tester"}
    (folder / ORIGIN).write_text((folder / ORIGIN).read_text().replace("tester", "the director"))
    listing = desk.run(List(), Listing)
    assert sorted(cells(listing, "by")) == ["tester", "the director (not signed)"]
    assert "no trusted key covers" in listing.note


def test_the_second_statement_of_another_bundle_covers_nothing_here(desk: Desk) -> None:
    other = desk.package(0.7)
    shutil.copy(desk.bundle_folder(other) / ATTACHED_SIGNATURE, desk.bundle_folder(desk.champion()) / ATTACHED_SIGNATURE)
    assert failed(desk, "tiny@champion") == ["attached_faults"]
    assert "about another bundle" in findings(desk, "tiny@champion")["attached_faults"].reason


def test_the_first_statement_is_none_for_what_is_attached_and_the_other_way_round(packed: Desk) -> None:
    folder = bundle_of(packed)
    first, second = (folder / SIGNATURE).read_bytes(), (folder / ATTACHED_SIGNATURE).read_bytes()
    (folder / SIGNATURE).write_bytes(second)
    (folder / ATTACHED_SIGNATURE).write_bytes(first)
    assert failed(packed) == ["signature_faults", "attached_faults"]
    assert packed.refused(Predict(subject="tiny", data="x.npy")).code is Code.NOT_TRUSTED


def test_two_workspaces_sign_one_bundle_and_each_trusts_its_own(desk: Desk, there: Desk, tmp_path: Path) -> None:
    sent = tmp_path / "sent"
    shutil.copytree(desk.bundle_folder(desk.champion()), sent)
    assert there.refused(Predict(subject=str(sent), data="x.npy")).code is Code.NOT_TRUSTED
    assert failed(there, str(sent)) == ["signature_faults", "attached_faults"]
    trusting(there, desk)
    there.run(Sign(subject=str(sent)), Evidence)
    sent = there.bundle_folder(desk.champion())
    assert failed(there, str(sent)) == []
    own, other = (each.workspace().signer.key().id[:12] for each in (there, desk))
    assert findings(there, str(sent))["signature_faults"].reason == f"signed by {other} (trusted), {own} (this workspace)"
    assert failed(desk, str(sent)) == ["attached_faults"], "the attached files are as the other workspace has signed them"
    reason = f"signed by {other} (this workspace); not checked, for want of the key: '{own}'"
    assert findings(desk, str(sent))["signature_faults"].reason == reason
    trusting(desk, there)
    assert failed(desk, str(sent)) == []
    assert findings(desk, str(sent))["signature_faults"].reason == f"signed by {other} (this workspace), {own} (trusted)"


def test_a_bundle_whose_digests_do_not_hold_is_not_signed(packed: Desk) -> None:
    folder = bundle_of(packed)
    before = (folder / SIGNATURE).read_bytes()
    (folder / GOLDEN_INPUTS).write_bytes(b"other")
    assert packed.refused(Sign(subject="tiny")).code is Code.BUNDLE_BROKEN
    assert (folder / SIGNATURE).read_bytes() == before


def test_a_file_that_somebody_added_is_not_signed_for(packed: Desk) -> None:
    folder = bundle_of(packed)
    (folder / ATTACHED / "notes.txt").write_text("x")
    before = (folder / ATTACHED_SIGNATURE).read_bytes()
    refusal = packed.refused(Sign(subject="tiny"))
    assert refusal.code is Code.BUNDLE_BROKEN
    assert "attached/notes.txt" in refusal.message
    assert (folder / ATTACHED_SIGNATURE).read_bytes() == before


def test_words_for_the_card_stay_until_others_are_said_and_an_unknown_key_is_named(packed: Desk) -> None:
    folder = bundle_of(packed)
    packed.run(Sign(subject="tiny", card='intended_use = "Sorting left from right."'), Evidence)
    packed.run(Sign(subject="tiny"), Evidence)
    assert "## Intended use\n\nSorting left from right." in (folder / CARD).read_text()
    before = {path: path.read_bytes() for path in (folder / ATTACHED).iterdir()}
    refusal = packed.refused(Sign(subject="tiny", card='intended_uses = "x"'))
    assert refusal.code is Code.BAD_REQUEST
    assert refusal.message == "card:1: unknown key 'intended_uses' (did you mean 'intended_use'?)"
    assert {path: path.read_bytes() for path in (folder / ATTACHED).iterdir()} == before
    linear(packed.folder / "model.onnx", shift=0.3)
    assert packed.refused(Package(**PACKAGED, card="lisence = 'x'")).message.startswith("card:1: unknown key")


def test_signing_again_without_anything_new_keeps_every_byte(packed: Desk) -> None:
    folder = bundle_of(packed)
    packed.run(Sign(subject="tiny"), Evidence)
    first = {path.name: path.read_bytes() for path in (folder / ATTACHED).iterdir()}
    found = find_bundle("tiny", packed.workspace())
    attaching.renew(found, packed.workspace())
    assert {path.name: path.read_bytes() for path in (folder / ATTACHED).iterdir()} == first


def test_what_lies_in_the_registry_has_the_card_with_the_verdict(desk: Desk, tmp_path: Path) -> None:
    made = desk.release(0.02)
    registry = desk.workspace().registry
    version = registry.alias("tiny", "champion")
    assert version is not None
    fetched = registry.fetch("tiny", version, tmp_path / "fetched")
    text = (fetched / CARD).read_text()
    assert "It passes: policy release" in text
    assert "| accuracy |" in text
    assert failed(desk, str(fetched)) == []
    assert failed(desk, made) == []


def test_a_promotion_signs_for_nothing_that_a_hand_has_changed(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    made = desk.proven(0.02)
    folder = desk.bundle_folder(made)
    (folder / ORIGIN).write_text((folder / ORIGIN).read_text().replace("tester", "nobody"))
    assert desk.command("promote", made) == 0
    assert "is left as it is: attached/origin.json has other bytes" in capsys.readouterr().err
    assert failed(desk, made) == ["attached_faults"]


def test_a_rollback_rewrites_nothing(desk: Desk) -> None:
    former = next(name for name, _, _ in desk.workspace().bundles.all() if name != desk.champion())
    before = {path: path.stat().st_mtime_ns for path in desk.bundle_folder(former).rglob("*")}
    desk.run(Rollback(name="tiny", why="a drill"), Release)
    assert {path: path.stat().st_mtime_ns for path in desk.bundle_folder(former).rglob("*")} == before


@pytest.mark.parametrize("writes", range(6))
def test_stopped_between_two_writes_it_is_not_covered_and_never_wrong(packed: Desk, monkeypatch: pytest.MonkeyPatch, writes: int) -> None:
    """The process ends after so many writes; trust in the code stays, and signing again mends it."""
    workspace = packed.workspace()
    found = find_bundle("tiny", workspace)
    left = iter(range(writes))

    def stopping(name: str, target: Any) -> None:
        whole = getattr(target, name)

        def write(*arguments: Any, **options: Any) -> None:
            if next(left, None) is None:
                raise KeyboardInterrupt
            whole(*arguments, **options)

        monkeypatch.setattr(target, name, write)

    stopping("write_text", workspace)
    stopping("sign", workspace.signer)
    with pytest.raises(KeyboardInterrupt):
        attaching.attach(found, workspace, words='ethics = "none known"')
    assert failed(packed) == ["attached_faults"]
    assert "is not covered: there is no signature" in findings(packed)["attached_faults"].reason
    packed.run(Sign(subject="tiny"), Evidence)
    assert failed(packed) == []


def test_packaging_again_renews_what_is_attached_and_keeps_the_words(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    made = desk.package(0.4, card='contact = "ann@lab"')
    monkeypatch.setenv("MLPROD_ACTOR", "somebody else")
    assert desk.package(0.4) == made
    text = (desk.bundle_folder(made) / CARD).read_text()
    assert "somebody else" in text
    assert "ann@&#8288;lab" in text
    assert failed(desk, made) == []


def test_a_fetched_bundle_keeps_what_was_said_of_who_made_it(desk: Desk) -> None:
    made = desk.champion()
    before = (desk.bundle_folder(made) / ORIGIN).read_bytes()
    workspace = desk.workspace()
    version = workspace.registry.alias("tiny", "champion")
    assert version is not None
    fetched = workspace.registry.fetch("tiny", version, workspace.scratch / "fetched")
    workspace.bundles.remove(made)
    workspace.bundles.add(
        fetched, msgspec.json.decode((fetched / MANIFEST).read_bytes(), type=Bundle), workspace.machine.origin(notebook="", run="")
    )
    assert (desk.bundle_folder(made) / ORIGIN).read_bytes() == before
    assert failed(desk) == []


def test_keygen_makes_a_key_once_and_shows_the_line_that_others_write(there: Desk) -> None:
    listing = there.run(Keygen(), Listing)
    shown = dict(zip(cells(listing, ""), cells(listing, "value"), strict=True))
    path = there.folder / ".mlprod" / "key.pem"
    made = path.read_bytes()
    assert shown["private key"] == str(path)
    assert shown["others trust it by"] == f'trusted_keys = ["{shown["public key"]}"]'
    assert there.run(Keygen(), Listing) == listing
    assert path.read_bytes() == made
    assert "PRIVATE" not in str(listing)
    path.chmod(0o644)
    assert "chmod 600" in there.run(Keygen(), Listing).note
