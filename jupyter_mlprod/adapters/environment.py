"""Locks with hashes, and environments made from them: port `Locks`, on whatever `Installer` there is.

An index is asked for hashes only, and only about packages that came from one: what was installed from a folder, a file or a repository
would else be replaced by whatever has its name on the index. The URLs of files are kept only while nobody has configured an index of
their own, because a lock that names a private mirror would neither work elsewhere nor be anybody else's business.
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
FORMAT = 1
"""Part of the name of a cached lock: raise it when the text of a lock changes."""
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


class Environments:
    """Port `Locks`.

    Parameters
    ----------
    cache : folder of locks that were made before
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

    def lock(self, pins: Sequence[Pin]) -> Lock:
        """Pins with their hashes, in at most 20 seconds; from the cache when the same was locked before.

        What has no hash is named in the warnings of the lock, with the reason.
        """
        wanted, place, tool = tuple(pins), _place(), self.installer.tool() if self.hashes else ""
        sources = {pin.name: _source(pin) for pin in wanted}
        key = hashlib.sha256(msgspec.json.encode((FORMAT, wanted, place, sources, tool))).hexdigest()
        cached = self.cache / f"{key}.toml"
        if self.hashes and (known := _cached(cached, wanted)) is not None:
            return known
        asked = [pin for pin in wanted if not sources[pin.name].source]
        found, why = self._hashed_or_why(asked)
        missing = [] if why else [f"{pin} is on no index that was asked, so it has no hash" for pin in asked if pin.name not in found]
        origins = [warning for pin in wanted if (warning := _origin_warning(pin, sources[pin.name]))]
        lock = Lock(
            lock_version=LOCK_VERSION,
            created_by="mlprod",
            requires_python=f"=={sys.version_info.major}.{sys.version_info.minor}.*",
            packages=tuple(_with_source(found.get(pin.name), pin, sources[pin.name]) for pin in wanted),
            tool=LockTool(
                mlprod=msgspec.structs.replace(place, hashed_by=tool if found else "", warnings=(*origins, *missing, *filter(None, (why,))))
            ),
        )
        text = lock_text(lock)
        if found and not missing and not why:
            _keep(cached, text)
        return read_lock(text, wanted)

    def _hashed_or_why(self, pins: Sequence[Pin]) -> tuple[dict[str, LockedPackage], str]:
        """What has hashes, by name; or why nothing has."""
        if not self.hashes:
            return {}, "no package has a hash: the setting lock is 'pins', so no index was asked"
        try:
            return self._hashed(pins, deadline=time.monotonic() + LOCK_LIMIT_S), ""
        except MlprodError as away:
            if away.code is not Code.INDEX:
                raise
            return {}, f"no package has a hash: {away.message}"

    def _hashed(self, pins: Sequence[Pin], *, deadline: float) -> dict[str, LockedPackage]:
        """What the indexes know of these pins, by name; halved until what they do not know stands alone."""
        if not pins:
            return {}
        document = self.installer.compiled(pins, deadline=deadline)
        if document is not None:
            keep_urls = self.installer.only_default_index()
            packages = [_locked(entry, keep_urls=keep_urls) for entry in document.get("packages", ())]
            return {package.name: package for package in packages if package.pin in pins and package.files}
        if len(pins) == 1:
            return {}
        half = len(pins) // 2
        return self._hashed(pins[:half], deadline=deadline) | self._hashed(pins[half:], deadline=deadline)

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


def _with_source(found: LockedPackage | None, pin: Pin, source: Source) -> LockedPackage:
    package = found or LockedPackage(name=pin.name, version=pin.version)
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
    """A file with its sha256, unless it lies on this machine only."""
    url, sha256 = entry.get("url", ""), entry.get("hashes", {}).get("sha256")
    if not is_remote(url) or sha256 is None:
        return None
    name = unquote(urlsplit(url).path.rsplit("/", 1)[-1])
    kept = keep_urls and url.startswith("https://")
    return LockedFile(
        name=name,
        hashes=Hashes(sha256=sha256),
        url=url if kept else "",
        path="" if kept else f"{WHEELS}/{name}",
        size=entry.get("size", 0),
    )


def _cached(path: Path, pins: tuple[Pin, ...]) -> Lock | None:
    """A lock made before; one that somebody spoiled is made again."""
    try:
        return read_lock(path.read_text("utf-8"), pins)
    except (OSError, UnicodeDecodeError, MlprodError):
        return None


def _keep(path: Path, text: str) -> None:
    """Put a lock into the cache, whole or not at all. A cache that cannot be written costs time only."""
    temporary = path.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text, "utf-8")
        temporary.replace(path)
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
