"""Lock: the pins of a bundle's ``requirements.txt``, and the same pins with the hashes of their files as ``pylock.toml`` (PEP 751).

What training had is locked in the same way beside it, for whoever trains again; nothing here installs that. All are read as foreign text
before any installer sees them, and an installer is only ever given lines that were written here, from names, versions and hashes that
were understood: no option, URL or path of a bundle reaches it. A package without a hash stands in a lock without files, which PEP 751
does not allow, so that an installer refuses it and does not quietly leave it out.
"""

import os
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import msgspec

from jupyter_mlprod.core.bundle import LOCK, ORIGIN, REQUIREMENTS, TRAINING_LOCK
from jupyter_mlprod.core.document import toml_value
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.ports import Ports
from jupyter_mlprod.core.resolve import origin_of, text_in

MOST_PACKAGES = 2000
LOCK_VERSION = "1.0"
PIN = re.compile(r"([A-Za-z0-9](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9])?)==([A-Za-z0-9][A-Za-z0-9._+!-]{0,126})")
FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]{0,254}")
WHEELS = "wheels"
"""Folder beside the lock where a file is looked for that no public index has."""

PYTORCH = ("torch", "torchaudio", "torchvision")
PYTORCH_LABEL = re.compile(r"cpu|xpu|cu\d{2,3}|rocm[\d.]+")

Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9]([a-z0-9-]{0,126}[a-z0-9])?(?!\n)$")]
Version = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+!-]{0,126}(?!\n)$")]
Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}(?!\n)$")]
Fact = Annotated[str, msgspec.Meta(max_length=1000)]


class Pin(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """A package by its normalized name, and the one version."""

    name: Name
    version: Version

    def __str__(self) -> str:
        return f"{self.name}=={self.version}"

    @property
    def label(self) -> str:
        """The local part of the version, as in ``2.13.0+cpu``; no public index holds such a version."""
        return self.version.partition("+")[2]

    @property
    def pytorch_label(self) -> str:
        """The label, when it is one that PyTorch's own index builds for."""
        return self.label if self.name in PYTORCH and PYTORCH_LABEL.fullmatch(self.label) else ""


class Hashes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The one hash that is taken."""

    sha256: Sha256


class LockedFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A wheel or source archive; ``url`` when a public index has it, else the ``path`` beside the lock where it is looked for."""

    name: str
    hashes: Hashes
    url: str = ""
    path: str = ""
    size: int = 0


class Source(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a package came from, when that is not the default index: ``editable``, ``file``, ``vcs`` or ``url``; its index if known."""

    source: Fact = ""
    index: Fact = ""


class PackageTool(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    mlprod: Source = Source()


class LockedPackage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A pin and its files; without files it is not hashed."""

    name: Name
    version: Version
    wheels: tuple[LockedFile, ...] = ()
    sdist: LockedFile | None = None
    tool: PackageTool = PackageTool()

    @property
    def pin(self) -> Pin:
        return Pin(name=self.name, version=self.version)

    @property
    def files(self) -> tuple[LockedFile, ...]:
        return self.wheels if self.sdist is None else (*self.wheels, self.sdist)


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """What the packages were locked for, and what a reader should know.

    Attributes
    ----------
    libc, cuda, driver : name and version, empty where there is none
    hashed_by : the tool that asked the index, empty when none was asked
    """

    python: Fact = ""
    platform: Fact = ""
    machine: Fact = ""
    libc: Fact = ""
    cuda: Fact = ""
    driver: Fact = ""
    hashed_by: Fact = ""
    warnings: tuple[Fact, ...] = ()


class LockTool(msgspec.Struct, frozen=True, kw_only=True):
    mlprod: Place = Place()


class Lock(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, rename="kebab"):
    """A ``pylock.toml`` as written here."""

    lock_version: str
    created_by: str
    requires_python: str = ""
    packages: tuple[LockedPackage, ...] = ()
    tool: LockTool = LockTool()

    @property
    def place(self) -> Place:
        return self.tool.mlprod

    @property
    def unhashed(self) -> tuple[LockedPackage, ...]:
        return tuple(package for package in self.packages if not package.files)


def normalized(name: str) -> str:
    """The name of a package as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_pins(text: str, *, source: str = REQUIREMENTS) -> tuple[Pin, ...]:
    """The pins of a ``requirements.txt``, or of another list of them, sorted.

    Raises
    ------
    MlprodError : ``bundle-broken`` for any line that is not ``name==version``, for a package named twice, and for too many of them.
    """
    lines = text.removesuffix("\n").split("\n", MOST_PACKAGES) if text else []
    if len(lines) > MOST_PACKAGES:
        raise _refuse(f"{source} has more than {MOST_PACKAGES:,} lines")
    pins: dict[str, Pin] = {}
    for number, line in enumerate(lines, start=1):
        found = PIN.fullmatch(line)
        if found is None:
            raise _refuse(f"{source}:{number}: {line[:80]!r} is not NAME==VERSION")
        pin = Pin(name=normalized(found[1]), version=found[2])
        if pin.name in pins:
            raise _refuse(f"{source}:{number}: {pin.name} is named a second time")
        pins[pin.name] = pin
    return tuple(sorted(pins.values()))


def read_lock(text: str, pins: tuple[Pin, ...], *, path: str = LOCK, source: str = REQUIREMENTS) -> Lock:
    """A lock that pins exactly what is pinned elsewhere.

    Parameters
    ----------
    path, source : the lock's own file in the bundle, and the one that the pins are from

    Raises
    ------
    MlprodError : ``bundle-broken`` naming what is odd: no TOML, a file that is neither on https nor beside the lock, another version.
    """
    try:
        lock = msgspec.convert(tomllib.loads(text), Lock)
    except (ValueError, RecursionError) as error:  # msgspec's errors and TOML's are ValueErrors
        raise _refuse(f"{path}: {str(error)[:200]}") from None
    if lock.lock_version != LOCK_VERSION:
        raise _refuse(f"{path}: lock-version is {lock.lock_version[:20]!r}, known is {LOCK_VERSION}")
    faults = [fault for package in lock.packages for file in package.files if (fault := file_fault(file))]
    faults += _differences(lock, pins, source)
    if faults:
        raise _refuse("\n".join(f"{path}: {fault}" for fault in faults[:5]))
    return lock


def file_fault(file: LockedFile) -> str:
    """Why a file may not stand in a lock; empty when it may."""
    if not FILE_NAME.fullmatch(file.name):
        return f"{file.name[:80]!r} is no file name"
    if file.path and not file.url and file.path == f"{WHEELS}/{file.name}":
        return ""
    host = file.url.removeprefix("https://").split("/")[0]
    if file.path or not file.url.startswith("https://") or not host or "@" in host or not file.url.isprintable():
        return f"{file.name} has the place {(file.url or file.path)[:80]!r}, which is neither https nor {WHEELS}/{file.name}"
    return ""


def _differences(lock: Lock, pins: tuple[Pin, ...], source: str) -> list[str]:
    locked = sorted(package.pin for package in lock.packages)
    if len(locked) > MOST_PACKAGES or len({pin.name for pin in locked}) < len(locked):
        return [f"{len(locked):,} packages, some of them twice or more than {MOST_PACKAGES:,}"]
    return [
        *(f"{pin} is not in {source}" for pin in locked if pin not in pins),
        *(f"{pin} of {source} is missing" for pin in pins if pin not in locked),
    ]


def lock_text(lock: Lock) -> str:
    """The lock as TOML; the same lock gives the same text."""
    document = msgspec.to_builtins(lock)
    packages = document.pop("packages", ())
    place = document.pop("tool", {}).get("mlprod", {})
    lines = [f"{key} = {toml_value(value)}" for key, value in document.items()]
    for package in packages:
        lines += ["", "[[packages]]", *(f"{key} = {toml_value(value)}" for key, value in package.items())]
    lines += ["", "[tool.mlprod]", *(f"{key} = {toml_value(value)}" for key, value in place.items())]
    return "\n".join(lines) + "\n"


def install_texts(lock: Lock, *, beside: str = "") -> tuple[str, str]:
    """What ``pip install --no-deps -r`` is given: a text of pins with hashes, and one of pins that have none; no URL or path is in them.

    Parameters
    ----------
    beside : name of a package that is put in from elsewhere, and is in neither

    Raises
    ------
    MlprodError : ``not-rebuilt`` when a package came from no index, since what has its name on one may be another package.
    """
    packages = [package for package in lock.packages if package.name != beside]
    lost = [f"{package.pin} ({source})" for package in packages if not package.files and (source := package.tool.mlprod.source)]
    if lost:
        what = f"installed from no index, so it cannot be had again: {', '.join(lost[:5])}"
        raise MlprodError(Code.NOT_REBUILT, what, hint="install it from an index, and package again")
    hashed = [package for package in packages if package.files]
    return (
        "".join(" ".join([str(one.pin), *(f"--hash=sha256:{file.hashes.sha256}" for file in one.files)]) + "\n" for one in hashed),
        "".join(f"{package.pin}\n" for package in packages if not package.files),
    )


def pins_alone(lock: Lock) -> Lock:
    """The lock without its files, for a system that they do not fit."""
    packages = tuple(msgspec.structs.replace(package, wheels=(), sdist=None) for package in lock.packages)
    return msgspec.structs.replace(lock, packages=packages)


def bundle_lock(folder: Path) -> Lock:
    """The lock of a bundle folder, held against its pins; one without hashes for a bundle that has none.

    Raises
    ------
    MlprodError : ``bundle-broken``.
    """
    pins = read_pins(text_in(folder, REQUIREMENTS))
    if not pins:
        raise _refuse(f"{REQUIREMENTS} is missing or pins nothing")
    if os.path.lexists(folder / LOCK):
        return read_lock(text_in(folder, LOCK), pins)
    packages = tuple(LockedPackage(name=pin.name, version=pin.version) for pin in pins)
    return Lock(lock_version=LOCK_VERSION, created_by="mlprod", packages=packages)


def training_lock(folder: Path) -> Lock | None:
    """The lock of what training had, held against the origin's pins; None for a bundle that has none.

    Raises
    ------
    MlprodError : ``bundle-broken``.
    """
    if not os.path.lexists(folder / TRAINING_LOCK):
        return None
    pins, _ = _training_pins(folder)
    return read_lock(text_in(folder, TRAINING_LOCK), pins, path=TRAINING_LOCK, source=ORIGIN)


def _training_pins(folder: Path) -> tuple[tuple[Pin, ...], list[str]]:
    """The origin's pins, and what of them is none: an old installation may have any text as its version."""
    origin = origin_of(folder)
    said = origin.training.requirements if origin else ()
    pins = read_pins("".join(f"{text}\n" for text in said if PIN.fullmatch(text)), source=ORIGIN)
    return pins, [text for text in said if not PIN.fullmatch(text)]


def attach_locks(folder: Path, ports: Ports) -> None:
    """Write the locks of a bundle folder beside it, outside the digest, and tell their warnings; no training, no lock of it.

    A lock that is there already and has hashes for more stays: they are not lost because an index is away today.
    """
    trained, odd = _training_pins(folder)
    wanted = {LOCK: read_pins(text_in(folder, REQUIREMENTS)), **({TRAINING_LOCK: trained} if trained else {})}
    warnings = [f"{text[:80]!r} of the training is not NAME==VERSION, so it is not in {TRAINING_LOCK}" for text in odd]
    for path, lock in zip(wanted, ports.locks.lock(tuple(wanted.values())), strict=True):
        if _fewer_hashes(lock, folder, bundle_lock if path == LOCK else training_lock):
            continue
        warnings += lock.place.warnings
        ports.write_text(folder / path, lock_text(lock))
    for warning in dict.fromkeys(warnings):
        ports.tell(f"lock: {warning}")


def _fewer_hashes(lock: Lock, folder: Path, read: Callable[[Path], Lock | None]) -> bool:
    """Whether the lock that is there already has hashes for more; one that cannot be read has none."""
    try:
        old = read(folder)
    except MlprodError:
        return False
    return old is not None and len(old.unhashed) < len(lock.unhashed)


def _refuse(what: str) -> MlprodError:
    return MlprodError(Code.BUNDLE_BROKEN, what, hint="nothing was installed or written; package it again, or fetch it from where it came")
