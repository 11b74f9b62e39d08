"""Records and bundles as files under ``.mlprod/``.

Both are content-addressed, so a reader recomputes the digest and a writer can never overwrite anything but its own equal. Everything is
written to a temporary name and renamed: a crash leaves either nothing or the whole.
"""

import contextlib
import hashlib
import json
import os
import re
import shutil
import time
import uuid
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import msgspec

from jupyter_mlprod.core.bundle import (
    ATTACHED,
    ATTACHED_SIGNATURE,
    GRAPH,
    GRAPH_DATA,
    MANIFEST,
    MLFLOW_WRITES,
    ORIGIN,
    Bundle,
    BundleFile,
    Origin,
)
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.external_data import place_fault
from jupyter_mlprod.core.manifest import MAX_MANIFEST_BYTES, parse_manifest
from jupyter_mlprod.core.nouns import read_record
from jupyter_mlprod.core.record import DIGEST_PREFIX, Record, canonical, digest, digest_bytes, short
from jupyter_mlprod.core.resolve import origin_of
from jupyter_mlprod.core.walk import walked

R = TypeVar("R", bound=Record)
NO_SUBJECT = "none"
LONGEST_SUBJECT = 200
DIGEST_NAME = re.compile(r"[0-9a-f]{64}")
MLFLOW_NOTE = re.compile(rb"model_name: [^\x00-\x1f\x7f]{1,500}\n(model_version: '?[0-9]{1,18}'?\n)?")
"""What MLflow 3.17 writes into the folder of a registered version that it loads: two lines of YAML, which are matched and never parsed."""

MOST_NOTE_BYTES = 1_000
WORTH_A_THREAD_BYTES = 1_000_000
HASHERS = 8


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that a reader sees the old or the new one, never half.

    Raises
    ------
    MlprodError : ``disk`` when the disk is full or the folder may not be written.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(data)
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise disk_error(path, error) from error


def disk_error(path: Path, error: OSError) -> MlprodError:
    return MlprodError(Code.DISK, f"{path} could not be written: {error.strerror or error}", hint="free space or rights, then run it again")


class DiskRecords:
    """Port `Records`. A record lies at ``records/<schema>/<subject>/<digest>.json``."""

    def __init__(self, folder: Path, *, journal: Path | None) -> None:
        self.folder = folder
        self.journal = journal

    def put(self, record: Record) -> str:
        data = canonical(record)
        name = digest_bytes(data)
        subject = str(getattr(record, "subject", "") or NO_SUBJECT)
        path = self._shelf(type(record)) / _place(subject) / f"{_hex(name)}.json"
        if not path.exists():
            write_whole(path, data)
        if self.journal is not None:
            self._note(name, record)
        return name

    def _note(self, name: str, record: Record) -> None:
        """List the record in the run's journal: one line, one write, so that lines of two processes do not mix."""
        assert self.journal is not None
        line = json.dumps({"digest": name, "schema": _schema(type(record))}) + "\n"
        try:
            with self.journal.open("a") as journal:
                journal.write(line)
        except OSError as error:
            raise disk_error(self.journal, error) from error

    def get(self, digest: str) -> Record:
        found = next(iter(self.folder.glob(f"*/*/{_hex(digest)}.json")), None)
        if found is None:
            raise MlprodError(Code.UNKNOWN_SUBJECT, f"no record {digest} in this workspace", hint="mlprod list")
        return read_record(found.read_bytes(), digest=digest)

    def about(self, kind: type[R], subject: str) -> tuple[R, ...]:
        paths = sorted((self._shelf(kind) / _place(subject)).glob("*.json"))
        records = (read_record(path.read_bytes(), digest=DIGEST_PREFIX + path.stem) for path in paths if not path.name.startswith("."))
        return tuple(record for record in records if isinstance(record, kind))

    def matching(self, prefix: str) -> tuple[str, ...]:
        return tuple(sorted(DIGEST_PREFIX + path.stem for path in self.folder.glob(f"*/*/{_hex(prefix)}*.json")))

    def journaled(self) -> tuple[str, ...]:
        if self.journal is None or not self.journal.is_file():
            return ()
        return tuple(json.loads(line)["digest"] for line in self.journal.read_text().splitlines())

    def _shelf(self, kind: type[Record]) -> Path:
        return self.folder / _schema(kind).replace("/", "-")


def _schema(kind: type[Record]) -> str:
    return str(kind.__struct_config__.tag)


def _hex(name: str) -> str:
    return name.removeprefix(DIGEST_PREFIX)


def _place(subject: str) -> str:
    """The folder of a subject's records; several subjects at once would be longer than a file name may be."""
    return _hex(subject) if len(subject) <= LONGEST_SUBJECT else _hex(digest_bytes(subject.encode()))


class DiskBundles:
    """Port `Bundles`. A bundle is the folder ``bundles/<digest>``.

    When a bundle came here is the time of its manifest file, which is set whenever it is added; what its origin claims orders nothing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, folder: Path, bundle: Bundle, origin: Origin, *, finish: Callable[[Path, Bundle], None] | None = None) -> Bundle:
        """Write the manifest into a staged folder and move it to its digest; a bundle that is there already keeps its files.

        A folder that brings its own origin, such as one that was fetched, keeps what was said there of who made it. ``finish`` attaches
        the rest before the move, so that whoever is stopped leaves no bundle that is not whole; to one that is there, in its place.
        """
        try:
            files = tuple(_entries(folder, [path for path in _files(folder, walked(folder)) if path != MANIFEST]))
            whole = msgspec.structs.replace(bundle, files=files)
            own_origin = None if (folder / ORIGIN).is_file() else msgspec.json.encode(origin)
            write_whole(folder / MANIFEST, canonical(whole))
            home = self.folder / _hex(digest(whole))
            if not self._is_kept(home):
                _finish(folder, whole, own_origin, finish)
                _arrives(folder)
                if self._moved(folder, home):
                    return whole
            _finish(home, whole, own_origin, finish)
            _arrives(home)
            shutil.rmtree(folder)
        except OSError as error:
            raise disk_error(folder, error) from error
        return whole

    def _is_kept(self, home: Path) -> bool:
        return home.exists() and not self.faults(home)[1]

    def _moved(self, folder: Path, home: Path) -> bool:
        """Move a whole bundle to its digest, in place of a damaged one; False when another process has kept it in the meantime."""
        if self._is_kept(home):
            return False
        if home.exists():
            shutil.rmtree(home)
        home.parent.mkdir(parents=True, exist_ok=True)
        try:
            folder.rename(home)
        except OSError:
            if not self._is_kept(home):
                raise
            return False
        return True

    def path(self, digest: str) -> Path:
        folder = self.folder / _hex(digest)
        if not folder.is_dir():
            raise MlprodError(Code.UNKNOWN_SUBJECT, f"the bundle {digest} is not in this workspace", hint="mlprod list")
        return folder

    def all(self) -> tuple[tuple[str, Bundle, Origin], ...]:
        """Every bundle, in the order in which they came here."""
        found = []
        for manifest in sorted(self.folder.glob(f"*/{MANIFEST}")):
            bundle, _ = _manifest(manifest.parent)
            if bundle is not None:
                found.append((manifest.stat().st_mtime_ns, DIGEST_PREFIX + manifest.parent.name, bundle, _origin(manifest.parent)))
        return tuple(item[1:] for item in sorted(found, key=lambda item: item[:2]))

    def faults(self, folder: Path) -> tuple[Bundle | None, tuple[str, ...]]:
        """The manifest, and every way in which the folder differs from it."""
        bundle, faults = _manifest(folder)
        if bundle is None:
            return None, tuple(faults)
        if DIGEST_NAME.fullmatch(folder.name) and _hex(digest(bundle)) != folder.name:
            faults.append(f"{MANIFEST} is that of {short(digest(bundle))}, a bundle other than the folder's name says")
        try:
            paths = tuple(walked(folder))
        except MlprodError as error:
            return bundle, (*faults, error.message)
        named = {entry.path: entry for entry in bundle.files}
        present = set(_files(folder, paths))
        faults += [f"{path} is missing" for path in named if path not in present]
        faults += [f"{path} is not in the manifest" for path in sorted(present - named.keys() - {MANIFEST})]
        found = _entries(folder, sorted(present & named.keys()))
        faults += [_differs(entry) for entry in found if entry != named[entry.path]]
        if named.get(GRAPH) in found and (fault := place_fault(folder / GRAPH, beside=GRAPH_DATA in named)):
            faults.append(fault)
        return bundle, (*faults, *_beside(folder, paths, named))

    def remove(self, digest: str) -> int:
        folder = self.path(digest)
        freed = sum(path.stat().st_size for path in walked(folder) if path.is_file())
        shutil.rmtree(folder)
        return freed


def _finish(folder: Path, whole: Bundle, origin: bytes | None, finish: Callable[[Path, Bundle], None] | None) -> None:
    """Attach to a bundle folder: who made it, when it does not bring that along, and what else ``finish`` has to say."""
    if origin is not None:
        # What covered attached/ until now does not cover the new origin.
        (folder / ATTACHED_SIGNATURE).unlink(missing_ok=True)
        write_whole(folder / ORIGIN, origin)
    if finish is not None:
        finish(folder, whole)


def _arrives(folder: Path) -> None:
    """Now is when a bundle came here, whatever it says of itself; `DiskBundles.all` goes by it."""
    arrived = time.time_ns()
    os.utime(folder / MANIFEST, ns=(arrived, arrived))


def _files(folder: Path, paths: Iterable[Path]) -> list[str]:
    """Those of a folder's paths that the digest must cover, links included; ``attached/`` and MLflow's own file are outside."""
    found = []
    for path in sorted(paths):
        relative = path.relative_to(folder).as_posix()
        if relative.split("/")[0] == ATTACHED or relative == MLFLOW_WRITES or (path.is_dir() and not path.is_symlink()):
            continue
        found.append(relative)
    return found


def _beside(folder: Path, paths: Iterable[Path], named: Collection[str]) -> list[str]:
    """What no list of files shows: an empty folder, ``attached`` when it leads elsewhere, a note of MLflow's that it has not written."""
    faults = []
    holding = {parent.as_posix() for path in named for parent in Path(path).parents}
    for path in sorted(path for path in paths if path.is_dir() and not path.is_symlink()):
        relative = path.relative_to(folder).as_posix()
        if relative not in holding and relative.split("/")[0] != ATTACHED and not any(path.iterdir()):
            faults.append(f"the folder {relative} is not in the manifest")
    if (folder / ATTACHED).is_symlink() or ((folder / ATTACHED).exists() and not (folder / ATTACHED).is_dir()):
        faults.append(f"{ATTACHED} is no folder")
    note = folder / MLFLOW_WRITES
    if note.is_symlink() or (note.exists() and not _is_mlflow_note(note)):
        faults.append(f"{MLFLOW_WRITES} is not what MLflow writes")
    return faults


def _is_mlflow_note(path: Path) -> bool:
    return path.is_file() and path.stat().st_size <= MOST_NOTE_BYTES and MLFLOW_NOTE.fullmatch(path.read_bytes()) is not None


def _entries(folder: Path, paths: list[str]) -> list[BundleFile]:
    """Each file with its size and digest; large ones are hashed at the same time, since hashing leaves the interpreter's lock."""
    large = [path for path in paths if (folder / path).is_file() and (folder / path).stat().st_size > WORTH_A_THREAD_BYTES]
    if len(large) < 2:
        return [_entry(folder, path) for path in paths]
    with ThreadPoolExecutor(min(HASHERS, os.cpu_count() or 1, len(large))) as pool:
        hashed = dict(zip(large, pool.map(lambda path: _entry(folder, path), large), strict=True))
    return [hashed.get(path) or _entry(folder, path) for path in paths]


def _differs(found: BundleFile) -> str:
    return f"{found.path} {'has other bytes than the manifest says' if found.bytes >= 0 else found.sha256}"


def _entry(folder: Path, path: str) -> BundleFile:
    file = folder / path
    if file.is_symlink() or not file.is_file():
        return BundleFile(path=path, bytes=-1, sha256="is a link, or no regular file")
    with file.open("rb") as stream:
        hashed = hashlib.file_digest(stream, "sha256").hexdigest()
    return BundleFile(path=path, bytes=file.stat().st_size, sha256=DIGEST_PREFIX + hashed)


def _manifest(folder: Path) -> tuple[Bundle | None, list[str]]:
    path = folder / MANIFEST
    if not path.is_file() or path.is_symlink():
        return None, [f"{path} is missing, so this is no bundle"]
    with path.open("rb") as stream:
        return parse_manifest(stream.read(MAX_MANIFEST_BYTES + 1))


def _origin(folder: Path) -> Origin:
    """What is attached of who made a bundle; a listing of many goes on where one of them is unreadable."""
    unknown = Origin(created_at="", actor="unknown", python="", platform="")
    try:
        return origin_of(folder) or unknown
    except MlprodError:
        return unknown
