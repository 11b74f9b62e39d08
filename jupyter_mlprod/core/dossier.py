"""Dossier: all that the records say about one bundle, collected once; card, SBOM and provenance are functions of it.

It holds the newest evidence of each kind and the newest release verdict, and no time of its own: as long as no record is added, the
documents that are made of it keep their bytes.
"""

import datetime
from pathlib import Path

import msgspec

from jupyter_mlprod.core.bundle import CARD_WORDS, REQUIREMENTS, SNAPSHOT, Bundle, Origin
from jupyter_mlprod.core.document import decode_toml
from jupyter_mlprod.core.errors import Code
from jupyter_mlprod.core.evidence import Evidence, Kind
from jupyter_mlprod.core.lock import LockedPackage, bundle_lock
from jupyter_mlprod.core.ports import Ports
from jupyter_mlprod.core.record import digest
from jupyter_mlprod.core.release import Release
from jupyter_mlprod.core.resolve import Found, origin_of, text_in
from jupyter_mlprod.core.strict_json import strict_record
from jupyter_mlprod.core.verdict import Verdict

TOLD: tuple[Kind, ...] = ("quality", "latency", "parity", "scan")
"""The kinds of evidence that are told; a check of the signatures is about the documents themselves."""


class Words(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What only a person can say of a model (sections of Model Cards, Mitchell et al. 2019); the TOML document of ``--card``."""

    intended_use: str = ""
    out_of_scope: str = ""
    factors: str = ""
    limitations: str = ""
    ethics: str = ""
    license: str = ""
    data_license: str = ""
    contact: str = ""


class SnapshotSize(msgspec.Struct, frozen=True, kw_only=True):
    """The part of ``snapshot.json`` that a card tells."""

    rows: int | None = None


class Dossier(msgspec.Struct, frozen=True, kw_only=True):
    """What is known about a bundle.

    Attributes
    ----------
    requirements : ``name==version`` of what answering needs
    locked : those of them that the lock has hashes for
    snapshot_rows : rows of the training data, None when nobody counted them
    evidence : kind → the newest record of it, of the kinds in :data:`TOLD`
    verdict : the newest release verdict, if there is one
    releases : the moves of the ledger that gave this bundle an alias, oldest first
    as_of : time of the newest thing in it; empty when the origin has none
    """

    bundle: Bundle
    digest: str
    origin: Origin | None
    words: Words
    requirements: tuple[str, ...]
    locked: tuple[LockedPackage, ...]
    snapshot_rows: int | None
    evidence: dict[Kind, Evidence]
    verdict: Verdict | None
    releases: tuple[Release, ...]
    as_of: str


def read_words(text: str) -> Words:
    """The words of a person, from TOML.

    Raises
    ------
    MlprodError : ``bad-request`` with every unknown key.
    """
    return decode_toml(text, Words, name="card", code=Code.BAD_REQUEST)


def words_in(folder: Path) -> Words:
    """What was said for the card of a bundle; all of it empty when nothing was.

    Raises
    ------
    MlprodError : ``bad-request`` for words that are none, ``bundle-broken`` for a file that cannot be read.
    """
    return read_words(text_in(folder, CARD_WORDS))


def gather(found: Found, ports: Ports, *, words: str = "") -> Dossier:
    """Collect what there is. Nothing is measured.

    Parameters
    ----------
    words : TOML of what a person says now; empty for what was said before

    Raises
    ------
    MlprodError : ``bad-request`` for words that are none, ``bundle-broken`` for an attached file that cannot be read.
    """
    newest: dict[Kind, Evidence] = {}
    for record in sorted(ports.records.about(Evidence, found.digest), key=lambda record: (record.taken_at, digest(record))):
        if record.kind in TOLD:
            newest[record.kind] = record
    verdicts = [verdict for verdict in ports.records.about(Verdict, found.digest) if verdict.scope == "release"]
    verdicts = [verdict for verdict in verdicts if verdict.policy in ports.policies]
    verdict = max(verdicts, key=lambda verdict: (verdict.decided_at, digest(verdict)), default=None)
    releases = tuple(entry for entry in ports.ledger.entries(found.bundle.name) if entry.bundle == found.digest)
    origin = origin_of(found.folder)
    packages = bundle_lock(found.folder).packages if found.bundle.holds(REQUIREMENTS) else ()
    times = [record.taken_at for record in newest.values()] + [entry.at for entry in releases] + ([verdict.decided_at] if verdict else [])
    return Dossier(
        bundle=found.bundle,
        digest=found.digest,
        origin=origin,
        words=read_words(words) if words else words_in(found.folder),
        requirements=tuple(str(package.pin) for package in packages),
        locked=tuple(package for package in packages if package.files),
        snapshot_rows=_rows(found.folder / SNAPSHOT) if found.bundle.holds(SNAPSHOT) else None,
        evidence=newest,
        verdict=verdict,
        releases=releases,
        as_of=_latest(origin, times),
    )


def time_of(text: str) -> datetime.datetime | None:
    """A recorded time, in UTC; None for what is none, or lies outside the years that there are."""
    try:
        read = datetime.datetime.fromisoformat(text)
        return read.astimezone(datetime.UTC) if read.tzinfo else None
    except (ValueError, OverflowError):
        return None


def stamp(time: datetime.datetime) -> str:
    """A time as CycloneDX and SLSA want it: RFC 3339, in UTC, to the second, the year in four digits."""
    return time.astimezone(datetime.UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def _latest(origin: Origin | None, times: list[datetime.datetime]) -> str:
    made = time_of(origin.created_at) if origin else None
    known = [*times, made] if made else times
    return stamp(max(known)) if known else ""


def _rows(path: Path) -> int | None:
    try:
        return strict_record(path.read_bytes(), SnapshotSize).rows
    except (OSError, ValueError):
        return None
