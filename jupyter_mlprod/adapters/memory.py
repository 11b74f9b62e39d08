"""Fakes of the ports that hold dicts, for tests of verbs: they refuse with the codes of the real adapters.

They are checked by the same contract tests as the adapters they stand for (`tests/adapters`), so a verb that passes on a fake has not
been promised anything that the real one does not keep. Records are stored as bytes, since a fake that hands back the object it was
given would hide a field that does not survive its JSON.
"""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from jupyter_mlprod.core.bundle import ATTACHED
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.lock import Pin
from jupyter_mlprod.core.ports import Ended
from jupyter_mlprod.core.record import canonical, digest
from jupyter_mlprod.core.release import Release


class MemoryLedger:
    """Port `Ledger`."""

    def __init__(self) -> None:
        self.rows: list[bytes] = []

    def append(self, entry: Release, *, after: int) -> Release:
        mine = self.entries(entry.name)
        seq = mine[-1].seq if mine else 0
        if seq != after:
            who = f"{mine[-1].actor} moved {entry.name} at {mine[-1].at}" if mine else f"the ledger holds no entry of {entry.name}"
            raise MlprodError(Code.LEDGER_MOVED, f"{who}; this request was made after entry {after}", hint=f"mlprod history {entry.name}")
        filled = msgspec.structs.replace(entry, seq=seq + 1, chain=digest(mine[-1]) if mine else "")
        self.rows.append(canonical(filled))
        return filled

    def entries(self, name: str | None = None) -> tuple[Release, ...]:
        decoded = (msgspec.json.decode(row, type=Release) for row in self.rows)
        return tuple(entry for entry in decoded if name in (None, entry.name))

    def edited(self, name: str) -> int:  # noqa: ARG002  nobody reaches what is held here
        return 0


class MemoryRegistry:
    """Port `Registry`. ``versions[name]`` lists (digest, files by path) from version 1."""

    def __init__(self) -> None:
        self.versions: dict[str, list[tuple[str, dict[str, bytes]]]] = {}
        self.aliases: dict[tuple[str, str], int] = {}

    def register(self, name: str, folder: Path, digest: str) -> int:
        files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        known = self.versions.setdefault(name, [])
        for version, (stored, kept) in enumerate(known, start=1):
            if stored != digest:
                continue
            if _covered(kept) != _covered(files):
                raise MlprodError(Code.REGISTRY, f"version {version} of {name} holds other bytes than {folder}", hint="mlprod doctor")
            return version
        known.append((digest, files))
        return len(known)

    def set_alias(self, name: str, alias: str, version: int) -> None:
        self._at(name, version)
        self.aliases[name, alias] = version

    def alias(self, name: str, alias: str) -> int | None:
        return self.aliases.get((name, alias))

    def digest_of(self, name: str, version: int) -> str:
        return self._at(name, version)[0]

    def fetch(self, name: str, version: int, into: Path) -> Path:
        _, files = self._at(name, version)
        into.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f"{name}-{version}-", dir=into))
        for path, data in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)
        return folder

    def _at(self, name: str, version: int) -> tuple[str, dict[str, bytes]]:
        known = self.versions.get(name, [])
        if not 1 <= version <= len(known):
            raise MlprodError(Code.UNKNOWN_SUBJECT, f"{name} has no version {version} in the registry", hint=f"mlprod history {name}")
        return known[version - 1]


class MemoryInstaller:
    """Port `Installer`, which installs nothing. ``index`` maps ``name==version`` to the entry of a lock; without it no index answers."""

    def __init__(self, index: Mapping[str, Mapping[str, Any]] | None, *, own_index: bool = False) -> None:
        self.index = index
        self.own_index = own_index
        self.asked: list[tuple[str, ...]] = []

    def tool(self) -> str:
        return "memory"

    def only_default_index(self) -> bool:
        return not self.own_index

    def compiled(self, pins: Sequence[Pin], *, deadline: float) -> Mapping[str, Any] | None:  # noqa: ARG002  nothing here takes time
        self.asked.append(tuple(map(str, pins)))
        if self.index is None:
            raise MlprodError(Code.INDEX, "memory got no answer from the package index")
        if any(str(pin) not in self.index for pin in pins):
            return None
        return {"packages": [{"name": pin.name, "version": pin.version, **self.index[str(pin)]} for pin in pins]}

    def environment(self, home: Path, requirements: Sequence[str], wheels: Sequence[Path]) -> tuple[Path, str]:  # noqa: ARG002
        return home / "env" / "bin" / "python", "memory installs nothing"

    def run(self, command: Sequence[str], *, folder: Path, environ: Mapping[str, str], deadline: float) -> Ended | None:  # noqa: ARG002
        return Ended(status=127, said=f"there is no environment to run {command[0]} in")


def _covered(files: dict[str, bytes]) -> dict[str, bytes]:
    """The files that the bundle's digest covers."""
    return {path: data for path, data in files.items() if path.split("/")[0] != ATTACHED}
