"""From a subject as written to the bundle that is meant, and what may be read and run of it.

A bare name means, in this order: the bundle that this kernel has packaged, the champion, the local bundle that came here last, whatever
time a bundle claims. The ledger answers for aliases and versions; the registry is asked only for what the ledger does not know.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from jupyter_mlprod.core.bundle import CODE, ORIGIN, SNAPSHOT, Bundle, Origin
from jupyter_mlprod.core.document import did_you_mean
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.evidence import Evidence, Measure
from jupyter_mlprod.core.ports import Ports
from jupyter_mlprod.core.record import digest, short
from jupyter_mlprod.core.release import CHAMPION, holder
from jupyter_mlprod.core.snapshot import Snapshot
from jupyter_mlprod.core.strict_json import strict_record
from jupyter_mlprod.core.subject import Subject, parse_subject

MOST_TEXT_BYTES = 8_000_000


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A bundle at hand: its record, its digest, and the folder, whose digests have been verified.

    ``place`` is where a person finds its files, when the folder is a private copy of it.
    """

    bundle: Bundle
    digest: str
    folder: Path
    place: str = ""


def find_bundle(text: str, ports: Ports) -> Found:
    """Resolve and verify.

    Raises
    ------
    MlprodError : ``unknown-subject`` with the nearest thing that exists, or ``bundle-broken``.
    """
    folder = locate(text, ports)
    bundle, faults = ports.bundles.faults(folder)
    if bundle is None or faults:
        raise MlprodError(Code.BUNDLE_BROKEN, f"{text}: {'; '.join(faults[:5])}", hint="package it again, or fetch it from where it came")
    return Found(bundle=bundle, digest=digest(bundle), folder=folder, place=place_of(text))


def place_of(text: str) -> str:
    """Where a person finds the files of a subject that is a path."""
    return text if parse_subject(text).kind == "path" else ""


def locate(text: str, ports: Ports) -> Path:
    """The folder of a subject, its digests not yet verified; what lies elsewhere is copied first, so that nobody can change it any more."""
    subject = parse_subject(text)
    if subject.kind == "path":
        return ports.arrivals.admit(Path(subject.name))
    return ports.bundles.path(_digest_of(subject, ports) or _fetched(subject, ports))


def keep(found: Found, ports: Ports) -> Found:
    """The same bundle in this workspace's own store, where it can be released from; one from elsewhere is added to it."""
    if not found.folder.is_relative_to(ports.scratch):
        return found
    if found.digest not in {name for name, _, _ in ports.bundles.all()} or ports.bundles.faults(ports.bundles.path(found.digest))[1]:
        ports.bundles.add(found.folder, found.bundle, origin_of(found.folder) or ports.machine.origin(notebook="", run=""))
    return msgspec.structs.replace(found, folder=ports.bundles.path(found.digest))


def text_in(folder: Path, path: str) -> str:
    """A text file of a bundle's folder, which may be anybody's; empty for one that is not there.

    Raises
    ------
    MlprodError : ``bundle-broken`` when it is no regular file, is larger than 8 MB, or no UTF-8.
    """
    place = folder / path
    if not os.path.lexists(place):
        return ""
    if place.is_symlink() or not place.is_file():
        raise _unreadable(f"{place} is no regular file")
    try:
        with place.open("rb") as stream:
            data = stream.read(MOST_TEXT_BYTES + 1)
    except OSError as error:
        raise _unreadable(f"{place} cannot be read: {error.strerror or error}") from None
    if len(data) > MOST_TEXT_BYTES:
        raise _unreadable(f"{place} is larger than {MOST_TEXT_BYTES:,} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise _unreadable(f"{place} is not UTF-8") from None


def _unreadable(what: str) -> MlprodError:
    return MlprodError(Code.BUNDLE_BROKEN, what, hint="remove it, or fetch the bundle anew from where it came")


def origin_of(folder: Path) -> Origin | None:
    """What a bundle's folder says of who made it, if it says anything.

    Raises
    ------
    MlprodError : ``bundle-broken``, as for every text in it.
    """
    text = text_in(folder, ORIGIN)
    try:
        return msgspec.json.decode(text, type=Origin)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None


def snapshot_of(found: Found) -> Snapshot | None:
    """What a bundle says of its training data; None when none was named.

    Raises
    ------
    MlprodError : ``bundle-broken`` when the file is no snapshot.
    """
    if not found.bundle.holds(SNAPSHOT):
        return None
    try:
        return strict_record((found.folder / SNAPSHOT).read_bytes(), Snapshot)
    except ValueError as error:
        raise MlprodError(Code.BUNDLE_BROKEN, f"{SNAPSHOT} is no snapshot: {error}") from None


def _digest_of(subject: Subject, ports: Ports) -> str | None:
    if subject.kind == "digest":
        return _by_prefix(subject.name, ports)
    entries = ports.ledger.entries(subject.name)
    if subject.kind == "alias":
        held = holder(entries, subject.rest)
        return held.bundle if held else None
    if subject.kind == "version":
        return next((entry.bundle for entry in entries if entry.version == int(subject.rest)), None)
    if subject.name in ports.session:
        return ports.session[subject.name]
    champion = holder(entries, CHAMPION)
    if champion:
        return champion.bundle
    local = [found for found, bundle, _ in ports.bundles.all() if bundle.name == subject.name]
    if local:
        return local[-1]
    raise _unknown(subject, ports)


def _by_prefix(prefix: str, ports: Ports) -> str:
    matches = [found for found, _, _ in ports.bundles.all() if found.startswith(prefix)]
    if len(matches) == 1:
        return matches[0]
    what = f"{prefix} is the beginning of {len(matches)} bundles" if matches else f"no bundle {prefix} in this workspace"
    raise MlprodError(Code.UNKNOWN_SUBJECT, what, hint="mlprod list")


def _fetched(subject: Subject, ports: Ports) -> str:
    """The digest of an alias or version that only the registry knows, after bringing its bundle here."""
    version = int(subject.rest) if subject.kind == "version" else ports.registry.alias(subject.name, subject.rest)
    if version is None:
        raise _unknown(subject, ports)
    wanted = ports.registry.digest_of(subject.name, version)
    if wanted in {found for found, _, _ in ports.bundles.all()}:
        return wanted
    folder = ports.registry.fetch(subject.name, version, ports.scratch / "fetched")
    bundle, faults = ports.bundles.faults(folder)
    if bundle is None or faults or digest(bundle) != wanted:
        raise MlprodError(Code.BUNDLE_BROKEN, f"the registry's {subject.name}:{version} is not {short(wanted)}: {'; '.join(faults[:5])}")
    ports.bundles.add(folder, bundle, ports.machine.origin(notebook="", run=""))
    return wanted


def _unknown(subject: Subject, ports: Ports) -> MlprodError:
    names = _names(ports)
    if subject.kind == "alias" and subject.name in names:
        aliases = sorted({entry.alias for entry in ports.ledger.entries(subject.name)})
        known = did_you_mean(subject.rest, aliases) or ", it has none yet"
        return MlprodError(Code.UNKNOWN_SUBJECT, f"{subject.name} has no alias {subject.rest!r}{known}", hint="mlprod list")
    known = did_you_mean(subject.name, names[:20]) if names else "; this workspace has no bundle yet"
    return MlprodError(Code.UNKNOWN_SUBJECT, f"nothing is known as {subject.name!r}{known}", hint="mlprod list")


def known_name(name: str, ports: Ports) -> None:
    """Refuse a name that no bundle here has, saying which there are.

    Raises
    ------
    MlprodError : ``unknown-subject``.
    """
    if name not in _names(ports):
        raise _unknown(Subject(kind="name", name=name), ports)


def _names(ports: Ports) -> list[str]:
    return sorted({bundle.name for _, bundle, _ in ports.bundles.all()} | {entry.name for entry in ports.ledger.entries()})


def check_trust(found: Found, ports: Ports, *, trust: str) -> None:
    """Refuse to run the code of a bundle that no trusted key has signed, unless a reason was given; the reason is recorded.

    Raises
    ------
    MlprodError : ``not-trusted``.
    """
    if found.bundle.has_code:
        held = ", ".join(f"{name}()" for name in found.bundle.functions)
        demand_trust(found, ports, trust=trust, why=f"holds {held}", where=f"{CODE}/")


def demand_trust(found: Found, ports: Ports, *, trust: str, why: str, where: str, attached: Sequence[str] = ()) -> None:
    """Refuse unless a trusted key has signed or a reason was given, ``why`` saying what of the bundle would be run from ``where``.

    Parameters
    ----------
    attached : the faults of ``attached/``, where what is run depends on a file in it, which the first statement does not cover

    Raises
    ------
    MlprodError : ``not-trusted``.
    """
    fault = ports.signer.signature_fault(found.folder, found.bundle.name, found.digest)
    if not fault and not attached:
        return
    if not trust:
        mend = "add the signer's key to trusted_keys in mlprod.toml" if fault else "if it is right, cover it by mlprod sign"
        raise MlprodError(
            Code.NOT_TRUSTED,
            f"{found.bundle.name}@{short(found.digest)} {why} and {fault or attached[0]}",
            hint=f"read {where} in {found.place or found.folder} and say --trust 'why', or {mend}",
        )
    measures = [Measure(name="signature_faults", value=float(bool(fault)), unit="count", n=1, note=fault)]
    if attached:
        measures.append(
            Measure(name="attached_faults", value=float(len(attached)), unit="count", n=len(attached), note="; ".join(attached[:5]))
        )
    ports.records.put(
        Evidence(
            kind="integrity",
            subject=found.digest,
            taken_at=ports.now(),
            taken_by=ports.taken_by,
            measures=tuple(measures),
            context={"trust": trust},
        )
    )
