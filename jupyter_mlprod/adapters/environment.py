"""Locks with hashes, and environments made from them: port `Locks`, on whatever `Installer` there is.

An index is asked for hashes only, and only about packages that came from one: what was installed from a folder, a file or a repository
would else be replaced by whatever has its name on the index. The URLs of files are kept only while nobody has configured an index of
their own, because a lock that names a private mirror would neither work elsewhere nor be anybody else's business. What is remembered is
remembered by the package and not by the lock, so that one more import in a notebook asks an index for one package.
"""

import hashlib
import importlib.metadata
import json
import platform
import re
import sys
import tempfile
import time
import uuid
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec
import numpy as np

from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.indexes import is_remote
from jupyter_mlprod.core.lock import (
    LOCK_VERSION,
    WHEELS,
    Hashes,
    Lock,
    LockedFile,
    LockedPackage,
    LockTool,
    PackageTool,
    Pin,
    Place,
    Source,
    file_fault,
    install_texts,
    lock_text,
    normalized,
    read_lock,
)
from jupyter_mlprod.core.ports import Installer
from jupyter_mlprod.core.rebuild import HEAVY, Rebuilt
from jupyter_mlprod.core.wheel import DISTRIBUTION, own_wheel

LOCK_LIMIT_S = 20.0
REPLAY_LIMIT_S = 300.0
AGAIN_AFTER_S = 600.0
"""How long nobody is asked again for what had no file, or for what there was no answer about."""
LATELY = f"(asked less than {AGAIN_AFTER_S // 60:.0f} minutes ago)"
FORMAT = 2
"""Part of the name of the cache's folder: raise it when what lies there changes."""
REPLAY = "jupyter_mlprod.fronts.replay"
REPLAYED = "replayed.json"
ANSWERS = "answers.npz"
SEED = ("pip", "setuptools")
"""What ``python -m venv`` installs of its own accord."""
CUDA_RUNTIMES = ("nvidia-cuda-runtime", "nvidia-cuda-runtime-cu13", "nvidia-cuda-runtime-cu12")
DRIVER = Path("/proc/driver/nvidia/version")
KEPT = ("HOME", "LANG", "LC_ALL", "PATH", "SYSTEMROOT")
"""What the replay's environment keeps of ours; ``-I`` keeps Python's own variables out besides."""


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """What `fronts/replay.py` says besides the answers."""

    digest: str
    importable: tuple[str, ...]


class Answer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an index said of a pin: its files, or none when the index does not have it; ``why`` there was no answer, else empty."""

    package: LockedPackage
    why: str = ""


class Environments:
    """Port `Locks`.

    Parameters
    ----------
    cache : folder of what indexes have said before
    hashes : ask an index; else a lock holds pins alone
    environ : the environment variables of this process
    tell : shown as work goes on
    """

    def __init__(self, cache: Path, installer: Installer, *, hashes: bool, environ: Mapping[str, str], tell: Callable[[str], None]) -> None:
        self.cache = cache
        self.installer = installer
        self.hashes = hashes
        self.environ = environ
        self.tell = tell

    def lock(self, wanted: Sequence[Sequence[Pin]]) -> tuple[Lock, ...]:
        """A lock for each set of pins, in at most 20 seconds for all; an index is asked for what it has not told before.

        What has no hash is named in the warnings of the lock, with the reason.
        """
        place, tool = _place(), self.installer.tool() if self.hashes else ""
        sources = {pin: _source(pin) for pins in wanted for pin in pins}
        answers = self._answers(_groups(wanted, sources), place, tool)
        return tuple(_lock(tuple(pins), place, tool=tool, sources=sources, answers=answers) for pins in wanted)

    def _answers(self, groups: Sequence[Sequence[Pin]], place: Place, tool: str) -> dict[Pin, Answer]:
        """What is to be said of each pin: what the cache remembers, what an index says, or why there is no answer."""
        pins = [pin for group in groups for pin in group]
        if not self.hashes:
            return _unanswered(pins, "the setting lock is 'pins', so no index was asked")
        try:
            public = self.installer.only_default_index()
        except MlprodError as unreadable:
            if unreadable.code is not Code.INDEX:
                raise
            return _unanswered(pins, unreadable.message)
        folder = self.cache / hashlib.sha256(msgspec.json.encode((FORMAT, place, tool, public))).hexdigest()
        known = {pin: answer for pin in pins if (answer := _remembered(folder, pin)) is not None}
        new = self._asked([[pin for pin in group if pin not in known] for group in groups], public=public)
        _remember(folder, new)
        return known | new

    def _asked(self, groups: Sequence[Sequence[Pin]], *, public: bool) -> dict[Pin, Answer]:
        """What the indexes say. After one that gave no answer nothing more is asked, so that nobody waits for it twice."""
        answers: dict[Pin, Answer] = {}
        deadline = time.monotonic() + LOCK_LIMIT_S
        try:
            for group in groups:
                self._ask([pin for pin in group if pin not in answers], answers, public=public, deadline=deadline)
        except MlprodError as away:
            if away.code is not Code.INDEX:
                raise
            answers |= _unanswered([pin for group in groups for pin in group if pin not in answers], away.message)
        return answers

    def _ask(self, pins: Sequence[Pin], answers: dict[Pin, Answer], *, public: bool, deadline: float) -> None:
        """Add what the indexes know of these pins; halved until what they do not know stands alone."""
        if not pins:
            return
        document = self.installer.compiled(pins, deadline=deadline)
        if document is None and len(pins) > 1:
            half = len(pins) // 2
            self._ask(pins[:half], answers, public=public, deadline=deadline)
            self._ask(pins[half:], answers, public=public, deadline=deadline)
            return
        found = {
            package.pin: package for entry in (document or {}).get("packages", ()) if (package := _locked(entry, keep_urls=public)).files
        }
        answers |= {pin: Answer(package=found.get(pin) or _bare(pin)) for pin in pins}

    def rebuild(self, lock: Lock, folder: Path, digest: str) -> Rebuilt:
        """Make an environment of the lock in a temporary folder, answer the golden samples there, and remove it.

        Raises
        ------
        MlprodError : ``not-rebuilt`` when this machine or interpreter is another than the lock is for, or a package is on no index;
            ``index-away`` when nothing could be fetched.
        """
        own = _own(lock)
        texts = install_texts(lock, beside=DISTRIBUTION if own else "")
        with tempfile.TemporaryDirectory(prefix="mlprod-rebuild-") as name:
            home = Path(name)
            self.tell(f"installing {len(lock.packages)} packages of the lock into a fresh environment")
            wheels = [own_wheel(home)] if own else []
            python, refusal = self.installer.environment(home, texts, wheels)
            if refusal:
                return Rebuilt(installed=_installed(home / "env"), refusal=refusal)
            self.tell("answering the golden samples there")
            return self._replayed(python, folder, home / "replayed", digest=digest)

    def _replayed(self, python: Path, folder: Path, out: Path, *, digest: str) -> Rebuilt:
        """What is installed there, and what a child there answers. The child sees nothing of this environment."""
        out.mkdir()
        clean = {name: self.environ[name] for name in KEPT if name in self.environ}
        command = [str(python), "-I", "-m", REPLAY, str(folder.resolve()), str(out), *HEAVY]
        ended = self.installer.run(command, folder=out, environ=clean, deadline=time.monotonic() + REPLAY_LIMIT_S)
        installed = _installed(out.parent / "env")
        if ended is None or ended.status != 0:
            return Rebuilt(installed=installed, fault=f"no answer: {ended.said if ended else 'it took too long'}")
        try:
            told = msgspec.json.decode((out / REPLAYED).read_bytes(), type=Replayed)
            with np.load(out / ANSWERS, allow_pickle=False) as arrays:
                answers = {name: arrays[name] for name in arrays.files}
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            return Rebuilt(installed=installed, fault=f"the answers cannot be read: {error}")
        if told.digest != digest:
            return Rebuilt(installed=installed, importable=told.importable, fault="the bundle was changed meanwhile")
        return Rebuilt(installed=installed, importable=told.importable, answers=answers)


def _groups(wanted: Sequence[Sequence[Pin]], sources: Mapping[Pin, Source]) -> list[list[Pin]]:
    """The pins that an index is asked for together, what matters most first; none that came from no index.

    The sets stay apart, since what is hard to find in a later one must not cost the first its hashes. What PyTorch's own index has comes
    last and by itself: when one index of several is away, uv gives no answer at all.
    """
    asked = [[pin for pin in pins if not sources[pin].source] for pins in wanted]
    usual = [[pin for pin in pins if not pin.pytorch_label] for pins in asked]
    return [*usual, list(dict.fromkeys(pin for pins in asked for pin in pins if pin.pytorch_label))]


def _lock(pins: tuple[Pin, ...], place: Place, *, tool: str, sources: Mapping[Pin, Source], answers: Mapping[Pin, Answer]) -> Lock:
    packages = tuple(_with_source(answers[pin].package if pin in answers else _bare(pin), sources[pin]) for pin in pins)
    hashed_by = tool if any(package.files for package in packages) else ""
    origins = [warning for pin in pins if (warning := _origin_warning(pin, sources[pin]))]
    gaps = _gaps(packages, answers)
    lock = Lock(
        lock_version=LOCK_VERSION,
        created_by="mlprod",
        requires_python=f"=={sys.version_info.major}.{sys.version_info.minor}.*",
        packages=packages,
        tool=LockTool(mlprod=msgspec.structs.replace(place, hashed_by=hashed_by, warnings=(*origins, *gaps))),
    )
    return read_lock(lock_text(lock), pins)


def _gaps(packages: Sequence[LockedPackage], answers: Mapping[Pin, Answer]) -> list[str]:
    """Why packages that came from an index have no hash: a line for each that no index has, and one for all of which nobody answered."""
    reasons: dict[str, list[Pin]] = {}
    for package in packages:
        if package.pin in answers and not package.files:
            reasons.setdefault(answers[package.pin].why, []).append(package.pin)
    absent = [f"{pin} is on no index that was asked, so it has no hash" for pin in reasons.pop("", ())]
    if not absent and len(reasons) == 1 and not any(package.files for package in packages):
        return [f"no package has a hash: {why}" for why in reasons]
    return [*absent, *(f"{_these(pins)} no hash: {why}" for why, pins in reasons.items())]


def _these(pins: Sequence[Pin]) -> str:
    return f"{pins[0]} has" if len(pins) == 1 else f"{pins[0]} and {len(pins) - 1} more have"


def _place() -> Place:
    """What hashes of today are good for: interpreter, system, C library, GPU."""
    found = re.search(r"Kernel Module[^0-9]*([\d.]+)", DRIVER.read_text()) if DRIVER.is_file() else None
    return Place(
        python=platform.python_version(),
        platform=platform.platform(),
        machine=platform.machine(),
        libc=" ".join(filter(None, platform.libc_ver())),
        cuda=next((version for name in CUDA_RUNTIMES if (version := _version(name))), ""),
        driver=found[1] if found else "",
    )


def _version(name: str) -> str:
    """The installed version, or the empty string."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _source(pin: Pin) -> Source:
    """Where the installed package of this version came from (PEP 610), as far as it is no default index."""
    if _version(pin.name) != pin.version:
        return Source()
    direct = importlib.metadata.distribution(pin.name).read_text("direct_url.json")
    if direct is None:
        known = f"PyTorch's own, whl/{pin.pytorch_label}" if pin.pytorch_label else "unknown"
        return Source(index=known if pin.label else "")
    record = json.loads(direct)
    if record.get("dir_info", {}).get("editable"):
        return Source(source="editable")
    if "vcs_info" in record:
        return Source(source="vcs")
    return Source(source="url" if is_remote(record.get("url", "")) else "file")


def _with_source(package: LockedPackage, source: Source) -> LockedPackage:
    return package if source == Source() else msgspec.structs.replace(package, tool=PackageTool(mlprod=source))


def _origin_warning(pin: Pin, source: Source) -> str:
    if source.source:
        own = "; it can be put together from a running installation" if pin.name == DISTRIBUTION else ", so nobody else can"
        return f"{pin} was installed as {source.source} and not from an index{own}"
    return f"{pin} is a local version; its index: {source.index}" if source.index else ""


def _locked(entry: Mapping[str, Any], *, keep_urls: bool) -> LockedPackage:
    """A package of uv's or pip's lock; a source archive counts only where there is no wheel, since it would be built."""
    wheels = tuple(file for wheel in entry.get("wheels", ()) if (file := _file(wheel, keep_urls=keep_urls)))
    sdist = _file(entry["sdist"], keep_urls=keep_urls) if "sdist" in entry and not wheels else None
    return LockedPackage(name=entry["name"], version=entry["version"], wheels=wheels, sdist=sdist)


def _file(entry: Mapping[str, Any], *, keep_urls: bool) -> LockedFile | None:
    """A file with its sha256, unless it lies on this machine only, or has a name that no lock may hold."""
    url, sha256 = entry.get("url", ""), entry.get("hashes", {}).get("sha256")
    if not is_remote(url) or sha256 is None:
        return None
    name = unquote(urlsplit(url).path.rsplit("/", 1)[-1])
    kept = keep_urls and url.startswith("https://")
    file = LockedFile(
        name=name,
        hashes=Hashes(sha256=sha256),
        url=url if kept else "",
        path="" if kept else f"{WHEELS}/{name}",
        size=entry.get("size", 0),
    )
    return None if file_fault(file) else file


def _bare(pin: Pin) -> LockedPackage:
    return LockedPackage(name=pin.name, version=pin.version)


def _unanswered(pins: Sequence[Pin], why: str) -> dict[Pin, Answer]:
    return {pin: Answer(package=_bare(pin), why=why) for pin in pins}


def _remembered(folder: Path, pin: Pin) -> Answer | None:
    """What was said of a pin before; one that somebody spoiled is asked for again, and so is, after a while, what had no file."""
    path = folder / f"{pin}.json"
    try:
        told = msgspec.json.decode(path.read_bytes(), type=Answer)
        age_s = time.time() - path.stat().st_mtime
    except (OSError, ValueError):  # msgspec's errors are ValueErrors
        return None
    if told.package.pin != pin or any(file_fault(file) for file in told.package.files):
        return None
    if told.package.files:
        return told
    return msgspec.structs.replace(told, why=told.why and f"{told.why} {LATELY}") if 0 <= age_s < AGAIN_AFTER_S else None


def _remember(folder: Path, answers: Mapping[Pin, Answer]) -> None:
    """Put answers into the cache, each whole or not at all. A cache that cannot be written costs time only."""
    try:
        for pin, answer in answers.items():
            folder.mkdir(parents=True, exist_ok=True)
            temporary = folder / f".{uuid.uuid4().hex}.tmp"
            temporary.write_bytes(msgspec.json.encode(answer))
            temporary.replace(folder / f"{pin}.json")
    except OSError:
        return


def _own(lock: Lock) -> bool:
    """Whether this package is put in from the running installation.

    Raises
    ------
    MlprodError : ``not-rebuilt`` naming what keeps this machine from making the environment.
    """
    here, there = _place(), lock.place
    if there.python and _kind(here) != _kind(there):
        what = f"the lock is for {_kind(there)}, this is {_kind(here)}"
        raise MlprodError(Code.NOT_REBUILT, what, hint="run it with that Python, on such a machine")
    own = next((package for package in lock.unhashed if package.name == DISTRIBUTION), None)
    if own is not None and own.version != _version(DISTRIBUTION):
        what = f"{own.pin} is on no index, and this is {_version(DISTRIBUTION)}"
        raise MlprodError(Code.NOT_REBUILT, what, hint=f"install mlprod {own.version} here, or package again")
    return own is not None


def _kind(place: Place) -> str:
    """What decides which files of a package fit."""
    system = place.platform.partition("-")[0]
    return f"Python {'.'.join(place.python.split('.')[:2])} on {system} {place.machine}"


def _installed(env: Path) -> dict[str, str]:
    """What lies in an environment, read from outside; without what ``python -m venv`` puts there."""
    places = [str(path) for path in (*env.glob("lib/*/site-packages"), *env.glob("Lib/site-packages"))]
    found = {normalized(dist.name): dist.version for dist in importlib.metadata.distributions(path=places)}
    return {name: version for name, version in found.items() if name not in SEED}
