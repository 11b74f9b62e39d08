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
    files = sorted(path.rglob("*.json")) if path.is_dir() else [path]
    versions = {canonicalize_name(name): (name, _version(pin)) for name, pin in pins.items()}
    found: list[str] = []
    broken = 0
    read = 0
    for file in files:
        try:
            document = json.loads(file.read_bytes())
        except (OSError, ValueError, RecursionError):
            broken += 1
            continue
        for record in document if isinstance(document, list) else [document]:
            read += isinstance(record, dict) and "affected" in record
            found += _against(record, versions)
    unscanned = [name for name, version in versions.values() if version is None] if read else list(pins)
    why = [] if read else [f"{path} holds no OSV record"]
    why += [f"{broken} files of {path} are no JSON"] if broken else []
    why += [f"no version that can be compared: {', '.join(unscanned)}"] if read and unscanned else []
    return Advisories(found=tuple(sorted(set(found))), unscanned=tuple(unscanned), why="; ".join(why))


def _against(record: Any, versions: Mapping[NormalizedName, tuple[str, Version | None]]) -> Iterator[str]:
    """The pins that one OSV record is about."""
    if not isinstance(record, dict) or record.get("withdrawn"):
        return
    for affected in _dicts(record.get("affected")):
        package = affected.get("package")
        if not isinstance(package, dict) or package.get("ecosystem") != "PyPI":
            continue
        name, version = versions.get(canonicalize_name(str(package.get("name", ""))), ("", None))
        if version is not None and _is_affected(affected, version):
            yield f"{name} {version}: {str(record.get('id', 'advisory without an id'))[:60]}"


def _is_affected(affected: Mapping[str, Any], version: Version) -> bool:
    listed = affected.get("versions")
    if isinstance(listed, list) and any(_version(str(text)) == version for text in listed):
        return True
    return any(_in_range(_dicts(span.get("events")), version) for span in _dicts(affected.get("ranges")) if span.get("type") == "ECOSYSTEM")


def _in_range(events: list[dict[str, Any]], version: Version) -> bool:
    """The OSV algorithm: in the order of versions, ``introduced`` opens, ``fixed`` closes before it and ``last_affected`` behind it."""
    marks = [
        (mark, kind)
        for event in events
        for kind, text in event.items()
        if (mark := _version("0" if text == "0" else str(text))) is not None
    ]
    inside = False
    for mark, kind in sorted(marks):
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
        found += [f"{name} {version}: {str(item.get('id', 'advisory without an id'))[:60]}" for item in told if not item.get("withdrawn")]
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
