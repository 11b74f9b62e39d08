"""What a forged bundle says of itself in ``attached/``, and folders without end: no trace, no signature for it, and nothing taken in."""

import base64
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from jupyter_mlprod.core.bundle import ATTACHED, ORIGIN, REQUIREMENTS, SBOM, SIGNATURE
from jupyter_mlprod.core.evidence import Evidence
from jupyter_mlprod.core.listing import Listing
from jupyter_mlprod.core.requests import Gc, List, Show, Sign, Verify
from jupyter_mlprod.core.resolve import find_bundle
from jupyter_mlprod.core.verdict import Verdict
from tests.attacks.forged import forged
from tests.verbs.test_sign import trusting
from tests.verbs.tiny import Desk, cells, furnish, measure_of

pytestmark = pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")
DEPTH = 1200


@pytest.fixture
def there(tmp_path: Path) -> Desk:
    """A workspace that has never seen a bundle."""
    folder = tmp_path / "there"
    folder.mkdir()
    furnish(folder)
    return Desk(folder)


def claiming(**origin: object) -> Callable[[Path], object]:
    """A change of what is said of who made a bundle."""
    return lambda folder: (folder / ORIGIN).write_text(json.dumps(json.loads((folder / ORIGIN).read_text()) | origin))


def nested(folder: Path) -> None:
    """Folders in folders, deeper than a walk that recurses can go."""
    here = os.open(folder, os.O_RDONLY)
    for _ in range(DEPTH):
        os.mkdir("d", dir_fd=here)
        inner = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)


def flattened(folder: Path) -> None:
    """Remove such folders, which rmtree cannot."""
    while (folder / "d").exists():
        inner = folder / "d" / "d"
        if inner.exists():
            inner.rename(folder / "next")
        (folder / "d").rmdir()
        if (folder / "next").exists():
            (folder / "next").rename(folder / "d")


# One line, and nothing taken in.

REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "a pin without a name": (lambda folder: (folder / REQUIREMENTS).write_text("==1.0\n"), "'==1.0' is not NAME==VERSION"),
    "an origin that is no text": (lambda folder: (folder / ORIGIN).write_bytes(b'{"actor": "\xff"}'), "origin.json is not UTF-8"),
    "words that are no TOML": (lambda folder: (folder / ATTACHED / "card.toml").write_text("ethics = "), "card"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_told_is_refused_before_it_is_taken_in(
    desk: Desk, there: Desk, kind: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    change, reason = REFUSED[kind]
    sent = forged(desk, change)
    monkeypatch.chdir(there.folder)
    assert there.command("sign", str(sent)) == 2
    said = capsys.readouterr().err
    assert reason in said
    assert "Traceback" not in said
    assert there.workspace().bundles.all() == ()
    assert there.command("verify", str(sent)) == 1, "it is looked at all the same"


@pytest.mark.parametrize("text", [b'{"actor": "\xff"}', b'{"actor": "\\ud800"}', b"[" * 100_000, b"{}", b""], ids=ascii)
def test_one_unreadable_origin_in_the_store_hides_no_bundle(desk: Desk, text: bytes) -> None:
    champion = desk.champion()
    (desk.bundle_folder(champion) / ORIGIN).write_bytes(text)
    assert "unknown (not signed)" in cells(desk.run(List(), Listing), "by")
    for request in (Show(subject="tiny"), Verify(subject=champion), Gc()):
        desk.workspace().run(request)
    assert desk.command("show", "tiny", "--lineage") in (0, 2)


@pytest.mark.parametrize(
    "time", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+00:00", "yesterday", "٢٠٢٦"]
)
def test_a_time_outside_the_calendar_is_left_out_and_signing_goes_on(desk: Desk, there: Desk, time: str) -> None:
    sent = forged(desk, claiming(created_at=time, training={"requirements": ["==1.0", "", "x==", "-e .==1"]}))
    for _ in range(2):
        there.run(Sign(subject=str(sent)), Evidence)
    ((name, _, origin),) = there.workspace().bundles.all()
    assert origin.created_at == time, "it stands there as it was claimed"
    told = json.loads((there.bundle_folder(name) / SBOM).read_text())["metadata"]
    assert told.get("timestamp", "") in ("", "0001-01-01T00:00:00Z")


@pytest.mark.parametrize("place", ["golden", ATTACHED])
def test_folders_without_end_are_one_line_wherever_the_bundle_lies(desk: Desk, place: str, capsys: pytest.CaptureFixture[str]) -> None:
    sent, home = forged(desk, bool), desk.bundle_folder(desk.champion())
    nested(sent / place)
    nested(home / place)
    try:
        for subject in (str(sent), "tiny"):
            for verb in ("show", "sign", "scan"):
                assert desk.command(verb, subject) == 2, verb
                assert "a path of more than 500 characters" in capsys.readouterr().err
        assert desk.command("verify", str(sent)) == 2
        assert desk.command("verify", "tiny") == 1
        assert not list((desk.folder / ".mlprod" / "scratch").glob("unpacked/*"))
        assert desk.command("list") == 0
    finally:
        flattened(sent / place)
        flattened(home / place)


# Whose word is signed, and whose signatures stay.


def enveloped(folder: Path, keyid: str, **predicate: object) -> None:
    """The first statement with another predicate and a signature that is none."""
    envelope = json.loads((folder / SIGNATURE).read_text())
    statement = json.loads(base64.b64decode(envelope["payload"])) | ({"predicate": predicate} if predicate else {})
    envelope["payload"] = base64.b64encode(json.dumps(statement).encode()).decode()
    envelope["signatures"] = [{"sig": "AAAA", "keyid": keyid}]
    (folder / SIGNATURE).write_text(json.dumps(envelope))


@pytest.mark.parametrize("keyid", ["anybody", "own key", ""])
def test_a_provenance_that_no_trusted_key_has_signed_is_never_signed_for(
    desk: Desk, there: Desk, keyid: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sent = desk.folder / "sent"
    shutil.copytree(desk.bundle_folder(desk.champion()), sent)
    own = there.workspace().signer.key().id
    enveloped(sent, own if keyid == "own key" else keyid, builder="a famous one")
    monkeypatch.chdir(there.folder)
    assert there.command("sign", str(sent)) == 0
    assert "a first statement that no trusted key has signed is not kept" in capsys.readouterr().err
    signed = there.workspace().signer.signed(there.bundle_folder(desk.champion()) / SIGNATURE)
    assert b"famous" not in signed.statement
    assert [(one.key, one.standing) for one in signed.by] == [(own, "own")]
    assert there.command("sign", "tiny") == 0
    assert "is not kept" not in capsys.readouterr().err


def test_a_signature_that_nobody_could_check_is_not_called_one(desk: Desk) -> None:
    folder = desk.bundle_folder(desk.champion())
    envelope = json.loads((folder / SIGNATURE).read_text())
    envelope["signatures"] += [{"sig": "AAAA", "keyid": "anybody"}]
    (folder / SIGNATURE).write_text(json.dumps(envelope))
    own = desk.workspace().signer.key().id[:12]
    (reason,) = [f.reason for f in desk.run(Verify(subject="tiny"), Verdict).findings if f.rule.measure == "signature_faults"]
    assert reason == f"signed by {own} (this workspace); not checked, for want of the key: 'anybody'"
    enveloped(folder, "anybody")
    (reason,) = [f.reason for f in desk.run(Verify(subject="tiny"), Verdict).findings if f.rule.measure == "signature_faults"]
    assert "signed by" not in reason
    assert "no key that this workspace trusts has signed it; it names 'anybody'" in reason


def test_the_signature_of_a_trusted_key_comes_over_when_the_bundle_is_here_already(desk: Desk, there: Desk) -> None:
    made = desk.champion()
    sent = desk.bundle_folder(made)
    there.run(Sign(subject=str(sent)), Evidence)
    own, other = (each.workspace().signer.key().id for each in (there, desk))
    trusting(there, desk)
    evidence = there.run(Sign(subject=str(sent)), Evidence)
    assert measure_of(evidence, "signature_faults").note == f"signed by {other[:12]} (trusted), {own[:12]} (this workspace)"
    found = find_bundle(made, there.workspace())
    assert there.workspace().signer.signed(found.folder / SIGNATURE).statement == desk.workspace().signer.signed(sent / SIGNATURE).statement
    assert desk.workspace().signer.signature_fault(found.folder, "tiny", made) == "", "and whoever made it still finds his own"
    again = there.run(Sign(subject=made), Evidence)
    assert measure_of(again, "signature_faults").note == measure_of(evidence, "signature_faults").note


def test_trusted_signatures_over_two_statements_cannot_both_stay_and_that_is_told(
    desk: Desk, there: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = desk.champion()
    third = Desk(tmp_path / "third")
    third.folder.mkdir()
    furnish(third.folder)
    third.run(Sign(subject=str(forged(desk, claiming(actor="somebody else")))), Evidence)
    (there.folder / "mlprod.toml").write_text(
        f"[settings]\ntrusted_keys = {json.dumps([one.workspace().signer.key().public for one in (desk, third)])}\n"
    )
    there.run(Sign(subject=str(desk.bundle_folder(made))), Evidence)
    monkeypatch.chdir(there.folder)
    assert there.command("sign", str(third.bundle_folder(made))) == 0
    lost = third.workspace().signer.key().id[:12]
    assert f"the signature of {lost} is over another first statement and is not kept" in capsys.readouterr().err


# Which bundle a bare name means.


def test_a_claimed_time_decides_nothing(bare_desk: Desk, desk: Desk) -> None:
    sent = forged(desk, claiming(created_at="9999-01-01T00:00:00+00:00"))
    home = Desk(sent.parent.parent / "home")
    home.folder.mkdir()
    furnish(home.folder)
    taken = home.run(Sign(subject=str(sent)), Evidence).subject
    older = desk.package(0.5)
    home.run(Sign(subject=str(desk.bundle_folder(older))), Evidence)
    assert [name for name, _, _ in home.workspace().bundles.all()] == [taken, older]
    assert find_bundle("tiny", home.workspace()).digest == older
    assert cells(home.run(List(), Listing), "digest")[0] == older[:19]
    assert cells(home.run(Gc(), Listing), "what") == [taken[:19]]


def test_packaging_again_makes_a_bundle_the_newest(bare_desk: Desk) -> None:
    first, second = bare_desk.package(0.0), bare_desk.package(0.5)
    assert find_bundle("tiny", bare_desk.workspace()).digest == second
    assert bare_desk.package(0.0) == first
    assert find_bundle("tiny", bare_desk.workspace()).digest == first
