"""What is known about packages: the licenses of the installed ones, and advisories from a source that somebody named.

A source is a folder or file of OSV records (https://ossf.github.io/osv-schema/), or the address of a package index's JSON interface,
of which ``ADDRESS/NAME/VERSION/json`` is asked. Nothing is asked of anybody who was not named, and a package that could not be looked up
is told as such.
"""

import http.client
import importlib.metadata
import json
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import InvalidVersion, Version

from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.ports import Advisories

TIMEOUT_S = 10.0
MOST_BYTES = 20_000_000
CLASSIFIER = re.compile(r"License :: (?:OSI Approved :: )?(.+)")
LONGEST_LICENSE = 100
MARKS = ("introduced", "fixed", "last_affected")
NO_SOURCE = "no advisory source was named: --advisories, or advisories in mlprod.toml"


class PackageFacts:
    """Port `Packages`; ``source`` is what the settings name."""

    def __init__(self, source: str = "") -> None:
        self.source = source

    def license(self, name: str) -> str:
        """The SPDX expression of an installed package, else its classifiers, else its short free text; empty when none says anything."""
        try:
            about: Any = importlib.metadata.metadata(name)  # a message of the email package, which the typeshed does not say
        except (importlib.metadata.PackageNotFoundError, ValueError):
            return ""
        if expression := str(about.get("License-Expression") or ""):
            return expression
        found = [
            match[1] for text in about.get_all("Classifier") or () if (match := CLASSIFIER.fullmatch(text)) and match[1] != "OSI Approved"
        ]
        free = (about.get("License") or "").strip()
        short = free if len(free) <= LONGEST_LICENSE and "\n" not in free and free.upper() not in ("UNKNOWN", "NONE", "LICENSE") else ""
        return " AND ".join(found) or short

    def advisories(self, pins: Mapping[str, str], *, source: str = "") -> Advisories:
        """What a source knows against these versions.

        Raises
        ------
        MlprodError : ``bad-request`` when the source is neither an address nor a folder or file.
        """
        named = source or self.source
        if not named:
            return Advisories(unscanned=tuple(pins), why=NO_SOURCE)
        if named.startswith(("http://", "https://")):
            return _from_index(named, pins)
        path = Path(named)
        if not path.exists():
            raise MlprodError(
                Code.BAD_REQUEST, f"--advisories {named[:200]!r} is no folder, file or http address", hint="name a folder of OSV JSON files"
            )
        return _from_files(path, pins)


def _from_files(path: Path, pins: Mapping[str, str]) -> Advisories:
    """Every record of the files against every pin; a file that cannot be read may be about any of them, so then only finds are known."""
    files = sorted(path.rglob("*.json")) if path.is_dir() else [path]
    versions = {canonicalize_name(name): (name, _version(pin)) for name, pin in pins.items()}
    read = 0
    found: dict[str, str] = {}
    unread: list[str] = []
    unclear: dict[str, str] = {name: f"{name} has no version that can be compared" for name, version in versions.values() if not version}
    for file in files:
        try:
            records = _records(json.loads(file.read_bytes()))
        except (OSError, ValueError, RecursionError) as error:
            unread.append(f"{file.name} ({str(error)[:60]})")
            continue
        read += len(records)
        for record in records:
            for name, version, affected in _about(record, versions):
                answer = _is_affected(affected, version)
                told = f"{name} {version}: {_id(record)}"
                if answer:
                    found[told] = name
                elif answer is None:
                    unclear[name] = f"{told} names no versions that can be compared"
    why = [f"{path} holds no advisory of PyPI"] if not read else []
    why += [f"{len(unread)} of {len(files)} files of {path} cannot be read, such as {unread[0]}"] if unread else []
    unknown = pins if unread or not read else unclear
    unscanned = tuple(name for name in pins if name in unknown and name not in found.values())
    return Advisories(found=tuple(sorted(found)), unscanned=unscanned, why="; ".join([*why, *unclear.values()]))


def _records(document: Any) -> list[dict[str, Any]]:
    """The records of a file that are about PyPI.

    Raises
    ------
    ValueError : one of them is no OSV record, so that nobody knows what it says.
    """
    records = document if isinstance(document, list) else [document]
    if not all(isinstance(record, dict) and "id" in record and isinstance(record.get("affected", []), list) for record in records):
        raise ValueError("no OSV record")
    return [record for record in records if any(_is_pypi(affected) for affected in _dicts(record.get("affected")))]


def _is_pypi(affected: Mapping[str, Any]) -> bool:
    package = affected.get("package")
    return isinstance(package, dict) and package.get("ecosystem") == "PyPI"


def _id(record: Mapping[str, Any]) -> str:
    return str(record.get("id", "advisory without an id"))[:60]


def _about(
    record: Mapping[str, Any], versions: Mapping[NormalizedName, tuple[str, Version | None]]
) -> Iterator[tuple[str, Version, dict[str, Any]]]:
    """The pins that one record names, each with what it says of them."""
    for affected in _dicts(record.get("affected")) if not record.get("withdrawn") else ():
        if _is_pypi(affected):
            name, version = versions.get(canonicalize_name(str(affected["package"].get("name", ""))), ("", None))
            if version is not None:
                yield name, version, affected


def _is_affected(affected: Mapping[str, Any], version: Version) -> bool | None:
    """Whether this version is among those that are named; None when that cannot be told."""
    listed = affected.get("versions")
    named = [_version(str(text)) for text in listed] if isinstance(listed, list) else []
    events = [_dicts(span.get("events")) for span in _dicts(affected.get("ranges")) if span.get("type") == "ECOSYSTEM"]
    spans = [_in_range(span, version) for span in events]
    if version in named or True in spans:
        return True
    return None if None in spans or not (named or spans) else False


def _in_range(events: list[dict[str, Any]], version: Version) -> bool | None:
    """The OSV algorithm: in the order of versions, ``introduced`` opens, ``fixed`` closes before it and ``last_affected`` behind it.

    None when a version among them is none.
    """
    marks = [(_version(str(text)), kind) for event in events for kind, text in event.items() if kind in MARKS]
    known = [(mark, kind) for mark, kind in marks if mark is not None]
    if len(known) < len(marks) or not known:
        return None
    inside = False
    for mark, kind in sorted(known):
        if kind == "introduced" and version >= mark:
            inside = True
        elif (kind == "fixed" and version >= mark) or (kind == "last_affected" and version > mark):
            inside = False
    return inside


def _version(text: str) -> Version | None:
    """A version without its local part: an advisory on 2.1 is also about 2.1+cpu."""
    try:
        return Version(Version(text).public)
    except InvalidVersion:
        return None


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _from_index(address: str, pins: Mapping[str, str]) -> Advisories:
    """Ask an index, one package after the other; when it is away, the asking ends there."""
    found: list[str] = []
    unscanned: dict[str, str] = {}
    away = ""
    for name, pin in pins.items():
        version = _version(pin)
        if version is None or away:
            unscanned[name] = away or "its version cannot be compared"
            continue
        try:
            told = _asked(f"{address.rstrip('/')}/{urllib.parse.quote(name)}/{version}/json")
        except urllib.error.HTTPError as error:  # it answered, about this package only
            unscanned[name] = f"{name} {version} is not known there ({error.code})"
            error.close()
            continue
        except (OSError, http.client.HTTPException, ValueError, RecursionError) as error:
            away = f"{urllib.parse.urlsplit(address).hostname} did not answer: {str(error)[:100]}"
            unscanned[name] = away
            continue
        found += [f"{name} {version}: {_id(item)}" for item in told if not item.get("withdrawn")]
    return Advisories(found=tuple(found), unscanned=tuple(unscanned), why="; ".join(dict.fromkeys(unscanned.values())))


class _SameScheme(urllib.request.HTTPRedirectHandler):
    """Follows a redirection to http and https only."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> urllib.request.Request | None:
        if not newurl.startswith(("http://", "https://")):
            raise urllib.error.URLError(f"the answer leads to {newurl[:60]!r}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _asked(address: str) -> list[dict[str, Any]]:
    """The ``vulnerabilities`` that an index tells of one version; an answer without them is none."""
    with urllib.request.build_opener(_SameScheme).open(address, timeout=TIMEOUT_S) as answer:
        document = json.loads(answer.read(MOST_BYTES))
    told = document.get("vulnerabilities") if isinstance(document, dict) else None
    if not isinstance(told, list):
        raise ValueError("it does not tell of vulnerabilities")
    return _dicts(told)
