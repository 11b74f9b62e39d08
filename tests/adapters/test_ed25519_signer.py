"""The signer: what it vouches for, and that no envelope, however made, gets further than a refusal."""

import base64
import errno
import hashlib
import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from jupyter_mlprod.adapters.ed25519_signer import Ed25519Signer, pre_authentication
from jupyter_mlprod.core.bundle import SIGNATURE
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.statement import SignedBy, bundle_statement

DIGEST = "sha256:" + "ab" * 32
PAYLOAD_TYPE = "application/vnd.in-toto+json"
CHILD = """
import sys
from pathlib import Path
from jupyter_mlprod.adapters.ed25519_signer import Ed25519Signer
print("ready", flush=True)
sys.stdin.readline()
print(Ed25519Signer(Path(sys.argv[1]), ()).key().public)
"""


@pytest.fixture
def key_path(tmp_path: Path) -> Path:
    return tmp_path / "store" / "key.pem"


@pytest.fixture
def signer(key_path: Path) -> Ed25519Signer:
    return Ed25519Signer(key_path, ())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "bundle").mkdir()
    return tmp_path / "bundle"


def statement(**changes: Any) -> dict[str, Any]:
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "digits", "digest": {"sha256": "ab" * 32}}],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {},
        **changes,
    }


def private_key(signer: Ed25519Signer) -> Ed25519PrivateKey:
    signer.key()
    key = load_pem_private_key(signer.key_path.read_bytes(), None)
    assert isinstance(key, Ed25519PrivateKey)
    return key


def envelope(signer: Ed25519Signer, said: Any, *, payload_type: str = PAYLOAD_TYPE, **changes: Any) -> dict[str, Any]:
    """An envelope that is rightly signed by this signer's key, whatever it says."""
    payload = said if isinstance(said, bytes) else json.dumps(said).encode()
    key = private_key(signer)
    signed = b"DSSEv1 %d %b %d %b" % (len(payload_type), payload_type.encode(), len(payload), payload)
    mark = {
        "keyid": hashlib.sha256(key.public_key().public_bytes_raw()).hexdigest(),
        "sig": base64.b64encode(key.sign(signed)).decode(),
    }
    return {"payloadType": payload_type, "payload": base64.b64encode(payload).decode(), "signatures": [mark], **changes}


def sign(signer: Ed25519Signer, folder: Path, digest: str) -> None:
    """Sign as `attach` does."""
    signer.sign(folder / SIGNATURE, bundle_statement("digits", digest, {}))


def put(folder: Path, content: Any) -> None:
    (folder / SIGNATURE).parent.mkdir(exist_ok=True)
    (folder / SIGNATURE).write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())


def test_what_was_signed_has_no_fault(signer: Ed25519Signer, folder: Path) -> None:
    sign(signer, folder, DIGEST)
    assert signer.signature_fault(folder, "digits", DIGEST) == ""


def test_the_signature_is_a_dsse_envelope_over_an_in_toto_statement(signer: Ed25519Signer, folder: Path) -> None:
    sign(signer, folder, DIGEST)
    written = json.loads((folder / SIGNATURE).read_text())
    assert json.loads(base64.b64decode(written["payload"])) == statement()
    assert written == envelope(signer, base64.b64decode(written["payload"]))
    assert [path.name for path in (folder / SIGNATURE).parent.iterdir()] == ["statement.dsse.json"]


def test_the_signed_bytes_are_those_of_the_dsse_specification() -> None:
    assert pre_authentication("http://example.com/HelloWorld", b"hello world") == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


def test_signing_twice_writes_the_same_bytes(signer: Ed25519Signer, folder: Path) -> None:
    sign(signer, folder, DIGEST)
    before = (folder / SIGNATURE).read_bytes()
    sign(signer, folder, DIGEST)
    assert (folder / SIGNATURE).read_bytes() == before


def test_the_own_key_is_made_by_the_first_signing_and_kept(key_path: Path, folder: Path) -> None:
    sign(Ed25519Signer(key_path, ()), folder, DIGEST)
    made = key_path.read_bytes()
    sign(Ed25519Signer(key_path, ()), folder, DIGEST)
    assert key_path.read_bytes() == made
    assert stat.S_IMODE(key_path.stat().st_mode) == 0o600
    assert list(key_path.parent.iterdir()) == [key_path]


def test_checking_makes_no_key(key_path: Path, tmp_path: Path, folder: Path) -> None:
    sign(Ed25519Signer(tmp_path / "other.pem", ()), folder, DIGEST)
    assert "no key that this workspace trusts has signed it" in Ed25519Signer(key_path, ()).signature_fault(folder, "digits", DIGEST)
    assert not key_path.parent.exists()


def test_a_trusted_key_vouches_without_an_own_key(key_path: Path, tmp_path: Path, folder: Path) -> None:
    other = Ed25519Signer(tmp_path / "other.pem", ())
    sign(other, folder, DIGEST)
    assert Ed25519Signer(key_path, (other.key().public,)).signature_fault(folder, "digits", DIGEST) == ""
    assert not key_path.parent.exists()


def test_two_processes_that_find_no_key_end_with_the_same_one(key_path: Path) -> None:
    arguments = [sys.executable, "-c", CHILD, str(key_path)]
    children = [subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    printed = {child.communicate("go\n", timeout=60)[0].strip() for child in children}
    assert printed == {Ed25519Signer(key_path, ()).key().public}
    assert list(key_path.parent.iterdir()) == [key_path]


def test_a_key_that_another_process_made_in_the_meantime_is_not_replaced(key_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    winner = Ed25519Signer(key_path, ())
    link = os.link

    def late(source: Path, target: Path) -> None:
        monkeypatch.setattr(os, "link", link)
        winner.key()
        link(source, target)

    monkeypatch.setattr(os, "link", late)
    assert Ed25519Signer(key_path, ()).key().public == winner.key().public


def test_a_file_system_without_hard_links_gets_a_key_too(key_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_source: Path, _target: Path) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    assert Ed25519Signer(key_path, ()).key().public == Ed25519Signer(key_path, ()).key().public
    assert list(key_path.parent.iterdir()) == [key_path]


def test_a_bundle_without_a_signature_has_a_fault(signer: Ed25519Signer, folder: Path) -> None:
    assert signer.signature_fault(folder, "digits", DIGEST) == "there is no signature"


def test_a_changed_payload_is_a_wrong_signature(signer: Ed25519Signer, folder: Path) -> None:
    good = envelope(signer, statement())
    put(folder, {**good, "payload": base64.b64encode(json.dumps(statement(predicate={"more": 1})).encode()).decode()})
    assert "signature is wrong" in signer.signature_fault(folder, "digits", DIGEST)


def test_a_stranger_who_names_a_trusted_key_is_not_believed(signer: Ed25519Signer, tmp_path: Path, folder: Path) -> None:
    made = envelope(Ed25519Signer(tmp_path / "eve.pem", ()), statement())
    made["signatures"][0]["keyid"] = envelope(signer, statement())["signatures"][0]["keyid"]
    put(folder, made)
    assert "signature is wrong" in signer.signature_fault(folder, "digits", DIGEST)


def test_the_key_id_decides_nothing(signer: Ed25519Signer, folder: Path) -> None:
    made = envelope(signer, statement())
    del made["signatures"][0]["keyid"]
    put(folder, made)
    assert signer.signature_fault(folder, "digits", DIGEST) == ""


def test_url_safe_base64_is_read_as_well(signer: Ed25519Signer, folder: Path) -> None:
    made = envelope(signer, statement(predicate={"text": "~~~???>>>"}))
    made["signatures"][0]["sig"] = made["signatures"][0]["sig"].replace("+", "-").replace("/", "_")
    put(folder, {**made, "payload": made["payload"].replace("+", "-").replace("/", "_")})
    assert signer.signature_fault(folder, "digits", DIGEST) == ""


def test_a_signature_among_others_is_found_and_twice_the_same_is_no_fault(signer: Ed25519Signer, tmp_path: Path, folder: Path) -> None:
    made = envelope(signer, statement())
    stranger = envelope(Ed25519Signer(tmp_path / "eve.pem", ()), statement())
    put(folder, {**made, "signatures": stranger["signatures"] + made["signatures"] * 2})
    assert signer.signature_fault(folder, "digits", DIGEST) == ""


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        (statement(subject=[]), "0 subjects"),
        (statement(subject=statement()["subject"] * 2), "2 subjects"),
        (statement(subject=[{"name": "faces", "digest": {"sha256": "ab" * 32}}]), "for the name 'faces', not 'digits'"),
        (statement(subject=[{"name": "digits", "digest": {"sha256": "cd" * 32}}]), "for another digest"),
        (statement(subject=[{"name": "digits", "digest": {"sha256": "AB" * 32}}]), "for another digest"),
        (statement(subject=[{"name": "digits", "digest": {"sha1": "ab" * 32}}]), "for another digest"),
        (statement(subject=[{"name": "digits", "digest": {"sha256": "ab" * 32, "md5": "00"}}]), "for another digest"),
        (statement(subject=[{"name": "digits", "digest": {}}]), "for another digest"),
        (statement(subject=[{"name": "digits", "digest": "ab" * 32}]), "cannot be read"),
        (statement(subject="digits"), "cannot be read"),
        (statement(_type="https://in-toto.io/Statement/v0.1"), "of another kind"),
        (statement(predicateType="https://jupyter-mlprod/attached/v1"), "of another kind"),
        ({key: value for key, value in statement().items() if key != "_type"}, "cannot be read"),
        ({key: value for key, value in statement().items() if key != "predicateType"}, "cannot be read"),
        ([statement()], "cannot be read"),
        (b"", "cannot be read"),
        (b"\xff\xfe", "cannot be read"),
        (b'{"predicate": ' + b"[" * 100_000, "cannot be read"),
    ],
)
def test_a_rightly_signed_statement_that_says_something_else_vouches_for_nothing(
    signer: Ed25519Signer, folder: Path, said: Any, fault: str
) -> None:
    put(folder, envelope(signer, said))
    assert fault in signer.signature_fault(folder, "digits", DIGEST)


def test_a_statement_signed_as_another_payload_type_is_refused(signer: Ed25519Signer, folder: Path) -> None:
    put(folder, envelope(signer, statement(), payload_type="text/plain"))
    assert "not an in-toto statement" in signer.signature_fault(folder, "digits", DIGEST)
    put(folder, envelope(signer, statement(), payload_type="text/plain") | {"payloadType": PAYLOAD_TYPE})
    assert "signature is wrong" in signer.signature_fault(folder, "digits", DIGEST)


def test_a_malformed_digest_is_never_vouched_for(signer: Ed25519Signer, folder: Path) -> None:
    for digest in ("", "sha256:", "ab" * 32, "sha512:" + "ab" * 32):
        sign(signer, folder, digest)
        assert signer.signature_fault(folder, "digits", digest) != ""


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"\xff\xfe\x00",
        b"{" * 500_000,
        b'{"signatures": ' + b"[" * 500_000,
        b" " * 1_000_001,
        {"payloadType": PAYLOAD_TYPE, "payload": "e30=", "signatures": []},
        {"payloadType": PAYLOAD_TYPE, "payload": "e30=", "signatures": [{"sig": ""}] * 17},
        {"payloadType": PAYLOAD_TYPE, "payload": "e30=", "signatures": {}},
        {"payloadType": PAYLOAD_TYPE, "payload": "e30=", "signatures": [None]},
        {"payloadType": PAYLOAD_TYPE, "payload": "e30=", "signatures": [{"sig": 1}]},
        {"payloadType": PAYLOAD_TYPE, "payload": "e30=", "signatures": [{"keyid": None, "sig": "AA=="}]},
        {"payloadType": PAYLOAD_TYPE, "payload": "e30=", "signatures": [{"sig": ""}]},
        {"payloadType": PAYLOAD_TYPE, "payload": "e30=", "signatures": [{"sig": "é"}]},
        {"payloadType": PAYLOAD_TYPE, "payload": "e30=", "signatures": [{"sig": base64.b64encode(bytes(64)).decode()}]},
        {"payloadType": PAYLOAD_TYPE, "payload": "e30=", "signatures": [{"sig": base64.b64encode(bytes(32)).decode(), "alg": "none"}]},
        {"payloadType": PAYLOAD_TYPE, "payload": "not base64!", "signatures": [{"sig": "AA=="}]},
        {"payloadType": PAYLOAD_TYPE, "payload": None, "signatures": [{"sig": "AA=="}]},
        {"payloadType": ["x"], "payload": "e30=", "signatures": [{"sig": "AA=="}]},
    ],
    ids=lambda content: repr(content)[:40],
)
def test_a_hostile_envelope_is_a_fault_of_one_printable_line(signer: Ed25519Signer, folder: Path, content: Any) -> None:
    signer.key()
    put(folder, content)
    fault = signer.signature_fault(folder, "digits", DIGEST)
    assert fault
    assert fault.isprintable()


def test_a_key_id_cannot_write_to_the_terminal(signer: Ed25519Signer, folder: Path) -> None:
    put(folder, {"payloadType": PAYLOAD_TYPE, "payload": "e30=", "signatures": [{"keyid": "\x1b[2J\n" * 9, "sig": "AA=="}]})
    assert signer.signature_fault(folder, "digits", DIGEST).isprintable()


def test_a_signature_that_is_no_regular_file_is_none(signer: Ed25519Signer, folder: Path) -> None:
    (folder / SIGNATURE).parent.mkdir()
    os.mkfifo(folder / SIGNATURE)
    assert signer.signature_fault(folder, "digits", DIGEST) == "there is no signature"
    (folder / SIGNATURE).unlink()
    (folder / SIGNATURE).symlink_to("/dev/zero")
    assert signer.signature_fault(folder, "digits", DIGEST) == "there is no signature"


@pytest.mark.parametrize("text", ["", "not base64!", base64.b64encode(bytes(31)).decode(), "-----BEGIN PUBLIC KEY-----", "é" * 44])
def test_a_trusted_key_that_is_none_is_a_bad_setting(key_path: Path, text: str) -> None:
    with pytest.raises(MlprodError, match="trusted key") as refused:
        Ed25519Signer(key_path, (text,))
    assert refused.value.code is Code.BAD_SETTINGS


@pytest.mark.parametrize(
    "pem",
    [
        b"",
        b"not a key",
        generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")),
    ],
    ids=["empty", "text", "another algorithm", "encrypted"],
)
def test_an_own_key_that_cannot_be_used_is_said_and_never_overwritten(key_path: Path, folder: Path, pem: bytes) -> None:
    key_path.parent.mkdir()
    key_path.write_bytes(pem)
    with pytest.raises(MlprodError, match="no unencrypted Ed25519 private key") as refused:
        sign(Ed25519Signer(key_path, ()), folder, DIGEST)
    assert refused.value.code is Code.NO_WORKSPACE
    assert key_path.read_bytes() == pem


def test_a_place_that_cannot_be_written_is_a_disk_error(tmp_path: Path, key_path: Path, folder: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MlprodError) as refused:
        sign(Ed25519Signer(tmp_path / "file" / "key.pem", ()), folder, DIGEST)
    assert refused.value.code is Code.DISK
    with pytest.raises(MlprodError) as refused:
        sign(Ed25519Signer(key_path, ()), tmp_path / "file", DIGEST)
    assert refused.value.code is Code.DISK


def test_a_statement_without_provenance_as_they_were_made_at_first_still_vouches(signer: Ed25519Signer, folder: Path) -> None:
    put(folder, envelope(signer, statement(predicateType="https://jupyter-mlprod/bundle/v1")))
    assert signer.signature_fault(folder, "digits", DIGEST) == ""


def test_a_second_signature_over_the_same_statement_stands_beside_the_first(signer: Ed25519Signer, tmp_path: Path, folder: Path) -> None:
    other = Ed25519Signer(tmp_path / "other.pem", ())
    sign(other, folder, DIGEST)
    sign(signer, folder, DIGEST)
    sign(signer, folder, DIGEST)
    by = signer.signed(folder / SIGNATURE).by
    assert by == (SignedBy(key=other.key().id, standing="unknown"), SignedBy(key=signer.key().id, standing="own"))
    assert other.signature_fault(folder, "digits", DIGEST) == ""
    assert signer.signature_fault(folder, "digits", DIGEST) == ""


def test_a_signature_over_another_statement_is_not_carried_over(signer: Ed25519Signer, tmp_path: Path, folder: Path) -> None:
    sign(Ed25519Signer(tmp_path / "other.pem", ()), folder, "sha256:" + "cd" * 32)
    sign(signer, folder, DIGEST)
    assert [one.standing for one in signer.signed(folder / SIGNATURE).by] == ["own"]


def test_only_signatures_of_trusted_keys_come_over_from_another_envelope(tmp_path: Path, key_path: Path, folder: Path) -> None:
    known, stranger = Ed25519Signer(tmp_path / "known.pem", ()), Ed25519Signer(tmp_path / "stranger.pem", ())
    signer = Ed25519Signer(key_path, (known.key().public,))
    first = bundle_statement("digits", DIGEST, {})
    places = [tmp_path / name for name in ("known.json", "stranger.json", "elsewhere.json")]
    known.sign(places[0], first)
    stranger.sign(places[1], first)
    known.sign(places[2], bundle_statement("digits", DIGEST, {"other": True}))
    for _ in range(2):
        signer.sign(folder / SIGNATURE, first, also=places)
    by = signer.signed(folder / SIGNATURE).by
    assert by == (SignedBy(key=known.key().id, standing="trusted"), SignedBy(key=signer.key().id, standing="own"))


def test_a_full_envelope_is_not_signed_and_stays(signer: Ed25519Signer, folder: Path) -> None:
    payload = base64.b64encode(bundle_statement("digits", DIGEST, {})).decode()
    marks = [{"keyid": str(number), "sig": "AA=="} for number in range(16)]
    put(folder, {"payloadType": PAYLOAD_TYPE, "payload": payload, "signatures": marks})
    before = (folder / SIGNATURE).read_bytes()
    with pytest.raises(MlprodError, match="holds 16 signatures already"):
        sign(signer, folder, DIGEST)
    assert (folder / SIGNATURE).read_bytes() == before


@pytest.mark.parametrize(("mode", "fault"), [(0o600, ""), (0o400, ""), (0o644, "mode 644"), (0o620, "mode 620")])
def test_a_key_that_others_may_read_or_change_is_said(signer: Ed25519Signer, mode: int, fault: str) -> None:
    signer.key()
    signer.key_path.chmod(mode)
    assert fault in signer.key().fault
    assert bool(signer.key().fault) == bool(fault)
