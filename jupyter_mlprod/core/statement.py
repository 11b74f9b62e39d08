"""Statements: what a key says of a bundle, in-toto Statement v1, and what makes one vouch for the bundle at hand.

The first names the bundle and its digest, and so every byte that the manifest lists; trust in a bundle's code rests on it alone. It is
judged by its subject: the predicate tells where the bundle comes from, and none of it is believed on the way to running anything. The
second names the files in ``attached/``, the first statement's among them; what is installed by the lock there needs both.
Specification: github.com/in-toto/attestation (spec/v1/statement.md).
"""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from jupyter_mlprod.core.bundle import (
    ATTACHED,
    ATTACHED_SIGNATURE,
    CARD,
    CARD_HTML,
    CARD_WORDS,
    LOCK,
    ORIGIN,
    SBOM,
    SIGNATURE,
    TRAINING_LOCK,
)
from jupyter_mlprod.core.record import DIGEST_PREFIX, short

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PROVENANCE_TYPE = "https://slsa.dev/provenance/v1"
PLAIN_TYPE = "https://jupyter-mlprod/bundle/v1"
"""Of the first statements that were made without provenance."""

ATTACHED_TYPE = "https://jupyter-mlprod/attached/v1"
ATTACHED_FILES = (ORIGIN, LOCK, TRAINING_LOCK, SBOM, CARD_WORDS, CARD, CARD_HTML, SIGNATURE)
"""All that may lie in ``attached/`` beside the second statement: a file that somebody added is never signed for."""

DIGEST = re.compile(rf"{DIGEST_PREFIX}([0-9a-f]{{64}})")
UNLIKE_AN_ID = re.compile(r"[^0-9A-Za-z]")
Standing = Literal["own", "trusted", "unknown"]
STANDINGS: dict[Standing, str] = {"own": "this workspace", "trusted": "trusted"}
"""How those are called whose signature was checked."""


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """What a statement is about."""

    name: str
    digest: dict[str, str]


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """In-toto Statement v1."""

    type_: str = msgspec.field(name="_type")
    subject: tuple[Subject, ...]
    predicate_type: str = msgspec.field(name="predicateType")
    predicate: dict[str, Any] = {}


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """The workspace's own key: its public half (base64), its id (sha256, hex), where it lies, and what is wrong with that."""

    public: str
    id: str
    path: str
    fault: str = ""


class SignedBy(msgspec.Struct, frozen=True, kw_only=True):
    """A signature of an envelope. With the standing ``unknown`` nobody has checked it, and the key is what the envelope claims."""

    key: str
    standing: Standing


class Signed(msgspec.Struct, frozen=True, kw_only=True):
    """An envelope, read: the signed bytes, who signed them, and why no trusted key did; the fault is empty when one did."""

    statement: bytes = b""
    by: tuple[SignedBy, ...] = ()
    fault: str = ""


def bundle_statement(name: str, digest: str, provenance: Mapping[str, Any]) -> bytes:
    """The first statement."""
    subject = Subject(name=name, digest={"sha256": digest.removeprefix(DIGEST_PREFIX)})
    return _encoded((subject,), PROVENANCE_TYPE, dict(provenance))


def attached_statement(folder: Path, name: str, digest: str) -> bytes:
    """The second statement, over the known files that lie in ``attached/`` now."""
    subjects = tuple(Subject(name=path, digest={"sha256": _sha256(folder / path)}) for path in ATTACHED_FILES if _regular(folder / path))
    return _encoded(subjects, ATTACHED_TYPE, {"bundle": {"name": name, "digest": digest}})


def _encoded(subject: tuple[Subject, ...], kind: str, predicate: dict[str, Any]) -> bytes:
    return msgspec.json.encode(Statement(type_=STATEMENT_TYPE, subject=subject, predicate_type=kind, predicate=predicate))


def bundle_fault(statement: bytes, name: str, digest: str) -> str:
    """Why a statement is not the first one of this name and digest; empty when it is."""
    read = _read(statement, (PROVENANCE_TYPE, PLAIN_TYPE))
    if isinstance(read, str):
        return read
    if len(read.subject) != 1:
        return f"the signed statement has {len(read.subject)} subjects; exactly one is expected"
    (subject,) = read.subject
    if subject.name != name:
        return f"the signature is for the name {subject.name[:80]!r}, not {name!r}"
    found = DIGEST.fullmatch(digest)
    if found is None or subject.digest != {"sha256": found[1]}:
        return f"the signature is for another digest ({str(subject.digest)[:100]}), not {short(digest)}"
    return ""


def attached_files(folder: Path) -> tuple[str, ...]:
    """Everything in ``attached/`` but the second statement; a folder there is one thing too many, whatever it holds."""
    return tuple(
        sorted(path for entry in (folder / ATTACHED).glob("*") if (path := entry.relative_to(folder).as_posix()) != ATTACHED_SIGNATURE)
    )


def attached_faults(signed: Signed, folder: Path, name: str, digest: str) -> tuple[str, ...]:
    """Every way in which ``attached/`` differs from what the second statement covers; all of it, when no trusted key covers anything."""
    present = attached_files(folder)
    fault = signed.fault
    covered: dict[str, dict[str, str]] = {}
    if not fault:
        read = _read(signed.statement, (ATTACHED_TYPE,))
        if isinstance(read, str):
            fault = read
        elif read.predicate.get("bundle") != {"name": name, "digest": digest}:
            fault = "the second statement is about another bundle"
        else:
            covered = {subject.name: subject.digest for subject in read.subject}
    if fault:
        return tuple(f"{path} is not covered: {fault}" for path in present) or (fault,)
    faults = [f"{path} is missing" for path in sorted(covered.keys() - set(present))]
    for path in present:
        if path not in covered:
            faults.append(f"{path} is not covered by the second statement")
        elif not _regular(folder / path) or covered[path] != {"sha256": _sha256(folder / path)}:
            faults.append(f"{path} has other bytes than the second statement says")
    return tuple(faults)


def signers(signed: Signed) -> str:
    """Who signed, in words, and what could not be checked; empty when there is neither."""
    proven = ", ".join(f"{one.key[:12]} ({STANDINGS[one.standing]})" for one in signed.by if one.standing in STANDINGS)
    claimed = claims(signed)
    return "; ".join(filter(None, [proven and f"signed by {proven}", claimed and f"not checked, for want of the key: {claimed}"]))


def claims(signed: Signed) -> str:
    """The names that stand at signatures which no key known here verifies."""
    return ", ".join(repr(UNLIKE_AN_ID.sub("?", one.key[:12])) for one in signed.by if one.standing == "unknown")


def _read(statement: bytes, kinds: tuple[str, ...]) -> Statement | str:
    """A statement of one of these kinds, or why it is none."""
    try:
        read = msgspec.json.decode(statement, type=Statement)
    except (ValueError, RecursionError) as error:
        return f"the signed statement cannot be read: {error}"
    if read.type_ != STATEMENT_TYPE or read.predicate_type not in kinds:
        return f"the signed statement is of another kind: {read.type_[:80]!r}, {read.predicate_type[:80]!r}"
    return read


def _regular(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
