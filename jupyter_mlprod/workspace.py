"""The composition root: finds the workspace, reads its settings once, and builds each adapter when a verb first asks for it.

`Workspace.run(request)` is the only way in. What changes a decision is policy and stands in ``mlprod.toml``; what a setting changes is
only where things are and how long they may take.
"""

import datetime
import importlib
import os
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.evidence import TakenBy
from jupyter_mlprod.core.extras import naming_the_extra
from jupyter_mlprod.core.policy import EXECUTION, Policy
from jupyter_mlprod.core.ports import Progress
from jupyter_mlprod.core.private import CAPTURES
from jupyter_mlprod.core.record import Record
from jupyter_mlprod.core.requests.base import Request
from jupyter_mlprod.core.settings import read_document

if TYPE_CHECKING:
    from jupyter_mlprod.adapters.arrivals import DiskArrivals
    from jupyter_mlprod.adapters.data_files import DataFiles
    from jupyter_mlprod.adapters.disk_store import DiskBundles, DiskRecords
    from jupyter_mlprod.adapters.ed25519_signer import Ed25519Signer
    from jupyter_mlprod.adapters.environment import Environments
    from jupyter_mlprod.adapters.frames import Frames
    from jupyter_mlprod.adapters.image_files import ImageFiles
    from jupyter_mlprod.adapters.ledger_sql import SqlLedger
    from jupyter_mlprod.adapters.machine import Machine
    from jupyter_mlprod.adapters.mlflow_model import Signatures
    from jupyter_mlprod.adapters.mlflow_registry import MlflowRegistry
    from jupyter_mlprod.adapters.onnx_graphs import OnnxGraphs
    from jupyter_mlprod.adapters.onnx_runtime import OnnxRuntime, OnnxRuntimes
    from jupyter_mlprod.adapters.package_facts import PackageFacts
    from jupyter_mlprod.adapters.papermill_runner import PapermillRunner
    from jupyter_mlprod.adapters.scan_child import ScanChild
    from jupyter_mlprod.adapters.snapshots import Snapshots
    from jupyter_mlprod.adapters.toml_editor import TomlEditor
    from jupyter_mlprod.adapters.torch_module import TorchModules
    from jupyter_mlprod.captures import Captures
    from jupyter_mlprod.core.bundle import Training
    from jupyter_mlprod.core.raw import Raw
    from jupyter_mlprod.core.requests import Load

SETTINGS_FILE = "mlprod.toml"
STORE = ".mlprod"
RUN_VARIABLE = "MLPROD_RUN"
NOTEBOOK_VARIABLE = "JPY_SESSION_NAME"
"""Jupyter's servers tell a kernel its notebook by this; so does the runner."""


def root_of_run(run_folder: Path) -> Path:
    """The runner's workspace, in which a run's folder lies."""
    if not run_folder.is_dir() or len(run_folder.parents) < 3 or run_folder.parents[1].name != STORE:
        raise MlprodError(
            Code.NO_WORKSPACE, f"{RUN_VARIABLE} names no run of this machine: {str(run_folder)[:200]}", hint=f"unset {RUN_VARIABLE}"
        )
    return run_folder.parents[2]


def find_root(start: Path) -> Path:
    """The nearest folder, upwards, that holds mlprod.toml, [tool.mlprod] or .mlprod/; else ``start`` itself."""
    for folder in (start, *start.parents):
        if (folder / SETTINGS_FILE).is_file() or (folder / STORE).is_dir() or _settings_text(folder / "pyproject.toml"):
            return folder
    return start


def _settings_text(pyproject: Path) -> str:
    """The ``[tool.mlprod]`` part of a pyproject.toml as text with its line numbers kept, or the empty string."""
    if not pyproject.is_file():
        return ""
    text = pyproject.read_text("utf-8")
    try:
        found = "mlprod" in tomllib.loads(text).get("tool", {})
    except tomllib.TOMLDecodeError:
        return ""
    if not found:
        return ""
    kept, inside = [], False
    for line in text.splitlines():
        if line.lstrip().startswith("["):
            inside = "tool.mlprod" in line
        kept.append(line.replace("tool.mlprod.", "", 1).replace("[tool.mlprod]", "") if inside else "")
    return "\n".join(kept)


def no_progress(_what: str, items: Sequence[Any]) -> Iterator[Any]:
    """No bar: for callers that show none."""
    return iter(items)


def no_telling(_line: str) -> None:
    """Nothing is told beside the record."""


def open_workspace(
    start: Path | str = ".",
    *,
    taken_by: TakenBy = "notebook",
    progress: Progress = no_progress,
    tell: Callable[[str], None] = no_telling,
) -> "Workspace":
    """The workspace around a folder.

    Parameters
    ----------
    start : folder to look from, upwards; inside a gate run the workspace is the runner's, wherever the kernel stands
    taken_by : whose word the evidence is; ``runner`` only for a process that runs no user code of its own accord
    progress, tell : who shows bars, and who shows lines beside the record

    Raises
    ------
    MlprodError : ``no-workspace`` or ``bad-settings``, with every fault of mlprod.toml at once.
    """
    folder = Path(start).resolve()
    if not folder.is_dir():
        raise MlprodError(Code.NO_WORKSPACE, f"{folder} is no folder")
    run_folder = os.environ.get(RUN_VARIABLE, "")
    return Workspace(
        root_of_run(Path(run_folder)) if run_folder else find_root(folder),
        environ=os.environ,
        taken_by=taken_by,
        progress=progress,
        tell=tell,
    )


class Workspace:
    """A root folder, its settings and policies, and the ports of everything outside."""

    def __init__(
        self,
        root: Path,
        *,
        environ: Mapping[str, str],
        taken_by: TakenBy,
        progress: Progress = no_progress,
        tell: Callable[[str], None] = no_telling,
    ) -> None:
        self.root = root
        self.taken_by: TakenBy = taken_by
        self.progress = progress
        self.tell = tell
        self.environ = environ
        self.run_folder = environ.get(RUN_VARIABLE, "")
        self.notebook = Path(environ.get(NOTEBOOK_VARIABLE, "")).name
        self.session: dict[str, str] = {}
        self.live_data: dict[str, Any] = {}
        self.cells: tuple[str, ...] = ()
        text = self._document_text()
        self.settings, policies = read_document(text, name=SETTINGS_FILE, environ=environ)
        self.policies: Mapping[str, Policy] = {**policies, EXECUTION.name: EXECUTION}

    def run(self, request: Request) -> Record:
        """Carry out a request: the one door.

        Raises
        ------
        MlprodError : what was wrong, with its code and exit status.
        """
        name = str(request.__struct_config__.tag)
        verb = importlib.import_module(f"jupyter_mlprod.verbs.{name}")
        try:
            with naming_the_extra(name):
                record: Record = verb.run(request, self)
        finally:
            self.arrivals.leave()
        return record

    def module(self, request: "Load") -> Any:
        """The live module that `load` brings back, which no record can hold.

        Raises
        ------
        MlprodError : as ``run(request)``.
        """
        from jupyter_mlprod.verbs.load import bring_back

        with naming_the_extra("load"):
            return bring_back(request, self)[1]

    def _document_text(self) -> str:
        own = self.root / SETTINGS_FILE
        if not own.is_file():
            return _settings_text(self.root / "pyproject.toml")
        try:
            return own.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise MlprodError(Code.BAD_SETTINGS, f"{own} cannot be read: {error}") from None

    @property
    def store(self) -> Path:
        return self.root / STORE

    @property
    def tracking_uri(self) -> str:
        return self.settings.tracking_uri or f"sqlite:///{self.store / 'mlflow.db'}"

    @cached_property
    def records(self) -> "DiskRecords":
        from jupyter_mlprod.adapters.disk_store import DiskRecords

        return DiskRecords(self.store / "records", journal=Path(self.run_folder) / "records.jsonl" if self.run_folder else None)

    @cached_property
    def bundles(self) -> "DiskBundles":
        from jupyter_mlprod.adapters.disk_store import DiskBundles

        return DiskBundles(self.store / "bundles")

    @cached_property
    def arrivals(self) -> "DiskArrivals":
        from jupyter_mlprod.adapters.arrivals import DiskArrivals

        return DiskArrivals(self.scratch / "unpacked", own=self.store / "bundles")

    @cached_property
    def ledger(self) -> "SqlLedger":
        from jupyter_mlprod.adapters.ledger_sql import SqlLedger

        return SqlLedger(self.store / "ledger.db")

    @cached_property
    def registry(self) -> "MlflowRegistry":
        from jupyter_mlprod.adapters.mlflow_registry import MlflowRegistry

        return MlflowRegistry(self.tracking_uri)

    @property
    def runs(self) -> "MlflowRegistry":
        return self.registry

    @cached_property
    def runtimes(self) -> "OnnxRuntimes":
        from jupyter_mlprod.adapters.onnx_runtime import OnnxRuntimes

        return OnnxRuntimes()

    @cached_property
    def graphs(self) -> "OnnxGraphs":
        from jupyter_mlprod.adapters.onnx_graphs import OnnxGraphs

        return OnnxGraphs()

    @cached_property
    def data(self) -> "DataFiles":
        from jupyter_mlprod.adapters.data_files import DataFiles

        return DataFiles()

    @cached_property
    def images(self) -> "ImageFiles":
        with naming_the_extra("decoding images"):
            from jupyter_mlprod.adapters.image_files import ImageFiles

        return ImageFiles(self.progress)

    @cached_property
    def frames(self) -> "Frames":
        with naming_the_extra("checking data"):
            from jupyter_mlprod.adapters.frames import Frames

        return Frames(self.progress)

    @cached_property
    def toml(self) -> "TomlEditor":
        with naming_the_extra("editing contract.toml"):
            from jupyter_mlprod.adapters.toml_editor import TomlEditor

        return TomlEditor()

    @cached_property
    def signatures(self) -> "Signatures":
        with naming_the_extra("reading an MLflow model"):
            from jupyter_mlprod.adapters.mlflow_model import Signatures

        return Signatures()

    @cached_property
    def snapshots(self) -> "Snapshots":
        with naming_the_extra("describing data"):
            from jupyter_mlprod.adapters.snapshots import Snapshots

        return Snapshots(self.data.read, self.progress)

    @cached_property
    def runner(self) -> "PapermillRunner":
        from jupyter_mlprod.adapters.papermill_runner import PapermillRunner

        return PapermillRunner(on_cell=self._tell_cell)

    def _tell_cell(self, done: int, total: int, source: str) -> None:
        if source:
            self.tell(f"[{done + 1}/{total}] {source[:100]}")

    @cached_property
    def signer(self) -> "Ed25519Signer":
        from jupyter_mlprod.adapters.ed25519_signer import Ed25519Signer

        return Ed25519Signer(self.store / "key.pem", self.trusted_keys)

    @property
    def trusted_keys(self) -> tuple[str, ...]:
        """Public keys of others whose bundles may run their code here."""
        return self.settings.trusted_keys

    @cached_property
    def machine(self) -> "Machine":
        from jupyter_mlprod.adapters.machine import Machine

        return Machine(self.root, actor=self.settings.actor, notebook=self.notebook)

    @cached_property
    def locks(self) -> "Environments":
        from jupyter_mlprod.adapters.environment import Environments
        from jupyter_mlprod.adapters.installer import Installer

        cache = Path(self.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mlprod" / "locks"
        return Environments(cache, Installer(self.environ), hashes=self.settings.lock == "hashes", environ=self.environ, tell=self.tell)

    @cached_property
    def inspector(self) -> "ScanChild":
        from jupyter_mlprod.adapters.scan_child import ScanChild

        return ScanChild()

    @cached_property
    def packages(self) -> "PackageFacts":
        from jupyter_mlprod.adapters.package_facts import PackageFacts

        return PackageFacts(self.settings.advisories)

    @cached_property
    def models(self) -> "Captures":
        from jupyter_mlprod.captures import Captures

        return Captures(self.scratch / CAPTURES, self, self._training)

    def _training(self) -> "Training":
        from jupyter_mlprod.adapters.machine import training_requirements
        from jupyter_mlprod.adapters.training import training_here

        return training_here(self.cells, requirements=training_requirements())

    @cached_property
    def modules(self) -> "TorchModules":
        from jupyter_mlprod.adapters.torch_capture import answered
        from jupyter_mlprod.adapters.torch_module import TorchModules

        return TorchModules(answered)

    @property
    def scratch(self) -> Path:
        return self.store / "scratch"

    def now(self) -> datetime.datetime:
        return datetime.datetime.now(datetime.UTC)

    def write_text(self, path: Path, text: str) -> None:
        """A file of the user's, whole or not at all."""
        self.write_bytes(path, text.encode())

    def write_bytes(self, path: Path, data: bytes) -> None:
        """The same for what is no text."""
        from jupyter_mlprod.adapters.disk_store import write_whole

        write_whole(path, data)


def open_runtime(folder: Path) -> "OnnxRuntime":
    """A bundle folder as something that answers, its digests verified; whoever calls this has decided to trust its code.

    Raises
    ------
    MlprodError : ``bundle-broken``.
    """
    from jupyter_mlprod.adapters.disk_store import DiskBundles
    from jupyter_mlprod.adapters.onnx_runtime import OnnxRuntimes

    bundle, faults = DiskBundles(folder.parent).faults(folder)
    if bundle is None or faults:
        raise MlprodError(Code.BUNDLE_BROKEN, f"{folder}: {'; '.join(faults[:5])}")
    return OnnxRuntimes().open(folder, bundle, threads=1)


def raw_of(value: Any) -> "Raw":
    """A live value (array, table, mapping) as a raw batch."""
    from jupyter_mlprod.adapters.data_files import DataFiles

    return DataFiles().from_live(value)
