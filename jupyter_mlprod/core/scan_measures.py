"""The measures of a scan: what was found in a bundle's files, in one file, or in a notebook. `scan` and `gate` take them here.

Whatever is found is counted over all of a subject, and in a bundle once more for each file that holds some, so that nothing is lost in
a remark that is too long. A bundle may hold no pickle at all; a file may, as long as it asks for tensors only.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from jupyter_mlprod.core.bundle import REQUIREMENTS, Bundle
from jupyter_mlprod.core.checked import count, joined
from jupyter_mlprod.core.dossier import words_in
from jupyter_mlprod.core.errors import MlprodError
from jupyter_mlprod.core.evidence import Measure
from jupyter_mlprod.core.licenses import is_copyleft
from jupyter_mlprod.core.ports import Packages, Ports
from jupyter_mlprod.core.scan_look import Look, SpotKind
from jupyter_mlprod.core.walk import walked

Found = dict[str, list[str]]
"""Place → what was found there."""


def scan_measures(folder: Path, bundle: Bundle, faults: tuple[str, ...], ports: Ports, *, advisories: str = "") -> tuple[Measure, ...]:
    """Digests, pickle, code, secrets and personal data of a bundle's files, also of those that the digest does not reach; licenses
    and known vulnerabilities of what it needs."""
    present = [path for path in sorted(walked(folder)) if path.is_file() and not path.is_symlink()]
    looks = _named(ports, present, folder)
    n = len(present)
    gone = sum(bool(look.unread) for look in looks)
    unread = [look.path for look in looks if look.unread or look.unread_parts]
    held = [look.path for look in looks if look.counts.get("pickle") or look.counts.get("hostile")]
    return (
        count("digest_mismatches", len(faults), n=len(bundle.files) + 1, note=joined(list(faults))),
        count("pickle_files", len(held), n=n, note=joined(held)),
        *_each(count("hostile_pickles", _total(looks, "hostile"), n=n), _found(looks, "hostile")),
        *_each(count("hostile_code", _total(looks, "code"), n=n), _found(looks, "code")),
        *_each(count("secrets", _total(looks, "secret"), n=n - gone), _found(looks, "secret")),
        *_each(count("personal_data", _total(looks, "personal"), n=n - len(unread)), _found(looks, "personal")),
        count("files_unread", len(unread), n=n, note=joined(unread)),
        *_licenses(_pins(folder / REQUIREMENTS), folder, ports.packages),
        *_advisories(_pins(folder / REQUIREMENTS), ports.packages, source=advisories),
    )


def file_measures(look: Look) -> tuple[Measure, ...]:
    """Of one file, whatever it is."""
    unread = int(bool(look.unread_parts))
    pickles = _found([look], "pickle", by_file=False)
    return (
        count("pickle_files", int(bool(pickles)), n=1, note=_all(pickles) if not look.counts.get("hostile") else ""),
        _told(count("hostile_pickles", _total([look], "hostile"), n=1), _found([look], "hostile", by_file=False)),
        _told(count("hostile_code", _total([look], "code"), n=1), _found([look], "code", by_file=False)),
        _told(_secrets(look), _found([look], "secret", by_file=False)),
        _told(count("personal_data", _total([look], "personal"), n=1 - unread), _found([look], "personal", by_file=False)),
        count("files_unread", unread, n=1, note=joined([place for place in look.unread_parts if place])),
    )


def notebook_measures(look: Look) -> tuple[Measure, ...]:
    """Of one notebook, by cell; what its cells do is told, and judged by nobody."""
    return (
        *_each(count("code_findings", _total([look], "code"), n=look.parts), _by_cell(look, "code"), key="cell"),
        *_each(_secrets(look), _by_cell(look, "secret"), key="cell"),
        *_each(_personal(look), _by_cell(look, "personal"), key="cell"),
    )


def _secrets(look: Look) -> Measure:
    passed_over = f"{look.images} picture{'s were' if look.images > 1 else ' was'} not looked into" if look.images else ""
    return count("secrets", _total([look], "secret"), n=look.parts, note=passed_over)


def _personal(look: Look) -> Measure:
    return count("personal_data", _total([look], "personal"), n=look.parts)


def _named(ports: Ports, paths: Sequence[Path], folder: Path) -> list[Look]:
    """What each file holds, under its path in the bundle; a file that cannot be read is not known to be clean."""
    found = ports.inspector.look(paths)
    looks = [next(found) for _ in ports.progress("scan", paths)]
    named = [msgspec.structs.replace(look, path=path.relative_to(folder).as_posix()) for path, look in zip(paths, looks, strict=True)]
    return [msgspec.structs.replace(look, counts={"hostile": 1, **look.counts}) if look.unread else look for look in named]


def _total(looks: Iterable[Look], kind: SpotKind) -> int:
    return sum(look.counts.get(kind, 0) for look in looks)


def _found(looks: Iterable[Look], kind: SpotKind, *, by_file: bool = True) -> Found:
    found: Found = {}
    for look in looks:
        if look.unread and kind == "hostile":
            found[look.path] = [f"cannot be read: {look.unread}"]
        for spot in look.spots:
            if spot.kind == kind:
                found.setdefault(look.path if by_file else "", []).append(str(spot))
    return found


def _by_cell(look: Look, kind: SpotKind) -> Found:
    found: Found = {}
    for spot in look.spots:
        if spot.kind == kind:
            found.setdefault(spot.place, []).append(f"line {spot.line}: {spot.what}" if spot.line else spot.what)
    return found


def _all(found: Found) -> str:
    """``code/preprocess.py line 3: what``, and so on."""
    return joined([_at(place, what) for place, items in found.items() for what in items])


def _at(place: str, what: str) -> str:
    return f"{place} {what}".strip() if what.startswith("line ") or not place else f"{place}: {what}"


def _told(whole: Measure, found: Found) -> Measure:
    """The whole with its first findings in the remark."""
    return msgspec.structs.replace(whole, note="; ".join(filter(None, [_all(found), whole.note])))


def _each(whole: Measure, found: Found, *, key: str = "file") -> tuple[Measure, ...]:
    """The whole, and a measure for each place that holds something."""
    places = [
        msgspec.structs.replace(whole, value=float(len(items)), n=1, note="; ".join(items), where={key: place.removeprefix(f"{key} ")})
        for place, items in found.items()
    ]
    return (_told(whole, found), *places)


def _licenses(pins: dict[str, str], folder: Path, packages: Packages) -> tuple[Measure, ...]:
    """Of the packages that a bundle names, as they declare it, and of its training data, as the words for its card say it."""
    names = {name: packages.license(name) for name in pins}
    unknown = [name for name, text in names.items() if not text]
    copyleft = [f"{name} ({text[:60]})" for name, text in names.items() if is_copyleft(text)]
    stated, what = _data_license(folder)
    return (
        count("licenses_unknown", len(unknown), n=len(pins), note=joined(unknown), where={"of": "dependencies"}),
        count("licenses_unknown", int(not stated), n=1, note=what, where={"of": "data"}),
        count("licenses_copyleft", len(copyleft), n=len(pins), note=joined(copyleft)),
    )


def _data_license(folder: Path) -> tuple[str, str]:
    """The license of the training data, and what is told of it; words that cannot be read say nothing, and are told as such."""
    try:
        stated = words_in(folder).data_license.strip()
    except MlprodError as error:
        return "", f"the license of the training data is not known: {error.message}"
    return stated, f"{stated[:60]}, as said for the card" if stated else "the license of the training data is not provided"


def _advisories(pins: dict[str, str], packages: Packages, *, source: str) -> tuple[Measure, ...]:
    """With nothing looked up there is no count of vulnerabilities at all: nothing scanned is not nothing found."""
    known = packages.advisories(pins, source=source)
    looked_up = len(pins) - len(known.unscanned)
    return (
        count("packages_unscanned", len(known.unscanned), n=len(pins), note=known.why),
        *([count("vulnerabilities", len(known.found), n=looked_up, note=joined(list(known.found)))] if looked_up else []),
    )


def _pins(requirements: Path) -> dict[str, str]:
    """``name==version`` lines as name → version; a line of another form has no version that could be looked up."""
    try:
        lines = requirements.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    parts = (line.split("#")[0].split(";")[0].strip().partition("==") for line in lines)
    return {name.strip(): version.strip() for name, _, version in parts if name.strip() and not name.startswith("-")}
