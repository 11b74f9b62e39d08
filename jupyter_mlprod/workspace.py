"""The composition root: finds the workspace, reads its settings once, and builds each adapter when a verb first asks for it.

`Workspace.run(request)` is the only way in. What changes a decision is policy and stands in ``mlprod.toml``; what a setting changes is
only where things are and how long they may take.
"""

import contextlib
import datetime
import importlib
import os
import shutil
import tomllib
import uuid
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from jupyter_mlprod.core.combine import Combine, demand_single, shares
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.evidence import TakenBy
from jupyter_mlprod.core.policy import EXECUTION, Policy
from jupyter_mlprod.core.ports import Progress
from jupyter_mlprod.core.record import Record
from jupyter_mlprod.core.requests.base import Request
from jupyter_mlprod.core.resolve import check_trust, find_bundle
from jupyter_mlprod.core.settings import read_document
from jupyter_mlprod.core.subject import MODEL_URI, names_file, parse_model_uri

if TYPE_CHECKING:
    from jupyter_mlprod.adapters.arrivals import DiskArrivals
    from jupyter_mlprod.adapters.data_files import DataFiles
    from jupyter_mlprod.adapters.disk_store import DiskBundles, DiskRecords
    from jupyter_mlprod.adapters.ed25519_signer import Ed25519Signer
    from jupyter_mlprod.adapters.environment import Environments
    from jupyter_mlprod.adapters.ledger_sql import SqlLedger
    from jupyter_mlprod.adapters.machine import Machine
    from jupyter_mlprod.adapters.mlflow_registry import MlflowRegistry
    from jupyter_mlprod.adapters.onnx_graphs import OnnxGraphs
    from jupyter_mlprod.adapters.onnx_runtime import OnnxRuntime, OnnxRuntimes
    from jupyter_mlprod.adapters.package_facts import PackageFacts
    from jupyter_mlprod.adapters.papermill_runner import PapermillRunner
    from jupyter_mlprod.adapters.scan_child import ScanChild
    from jupyter_mlprod.adapters.snapshots import Snapshots
    from jupyter_mlprod.adapters.torch_module import TorchModules
    from jupyter_mlprod.core.answer import Ends
    from jupyter_mlprod.core.raw import Array, Raw
    from jupyter_mlprod.core.requests import Load

SETTINGS_FILE = "mlprod.toml"
STORE = ".mlprod"
ADOPTED = "adopted"
"""The parameter of the training under which a model of another tool is named."""
RUN_VARIABLE = "MLPROD_RUN"
NOTEBOOK_VARIABLE = "JPY_SESSION_NAME"
"""Jupyter's servers tell a kernel its notebook by this; so does the runner."""
EXTRAS = {
    "google",
    "ipykernel",
    "jupyter_client",
    "mlflow",
    "nbclient",
    "nbformat",
    "onnx",
    "onnx_ir",
    "onnxruntime",
    "PIL",
    "onnxscript",
    "pandas",
    "papermill",
    "pyarrow",
    "safetensors",
    "torch",
    "yaml",
}
"""Top-level modules that the extras ``[cpu]`` and ``[gpu]`` bring."""


def root_of_run(run_folder: Path) -> Path:
    """The runner's workspace, in which a run's folder lies."""
    if not run_folder.is_dir() or len(run_folder.parents) < 3 or run_folder.parents[1].name != STORE:
        raise MlprodError(
            Code.NO_WORKSPACE, f"{RUN_VARIABLE} names no run of this machine: {str(run_folder)[:200]}", hint=f"unset {RUN_VARIABLE}"
        )
    return run_folder.parents[2]


@contextlib.contextmanager
def naming_the_extra(what: str) -> Iterator[None]:
    """Turn the absence of a package of the extras into the line that installs it; any other missing module stays an error of its own."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").split(".")[0]
        if package not in EXTRAS:
            raise
        raise MlprodError(Code.MISSING_EXTRA, f"{what} needs {package}", hint="pip install 'jupyter-mlprod[cpu]', or [gpu]") from error


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
        return Captures(self.scratch / "captures", self)

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


class Captures:
    """Port `Models`: chooses who captures, by what the model is; several models are captured one by one, then joined.

    What this process knows of the training is added.

    The digests of the notebook's executed cells are the workspace's; the front that has a shell sets them there.
    """

    def __init__(self, folder: Path, workspace: "Workspace") -> None:
        self.folder = folder
        self.workspace = workspace

    def capture(
        self, source: Any, example: "Raw", ends: "Ends", *, shapes: Mapping[str, tuple[int | str, ...]], combine: Combine | None = None
    ) -> Path:
        from jupyter_mlprod.adapters.machine import imported_requirements
        from jupyter_mlprod.adapters.training import training_here
        from jupyter_mlprod.core.capture import add_training

        members = members_of(source)
        with naming_the_extra("packaging a model"):
            if len(members) == 1:
                demand_single(combine)
                folder = self._single(members[0], example, ends, shapes)
            else:
                combine = combine or Combine()
                shares(combine, len(members))
                folder = self._joined(members, example, ends, shapes, combine)
        return add_training(folder, training_here(self.workspace.cells, requirements=imported_requirements()))

    def _single(self, source: Any, example: "Raw", ends: "Ends", shapes: Mapping[str, tuple[int | str, ...]]) -> Path:
        from jupyter_mlprod.core.bundle import Training
        from jupyter_mlprod.core.capture import add_training

        if isinstance(source, str) and source.startswith(MODEL_URI):
            return self._registered(source, example, ends, shapes)
        if isinstance(source, str) and names_file(f"{source}/MLmodel"):
            return self._logged(Path(source), source, example, ends, shapes)
        if isinstance(source, str) and source.endswith(".onnx"):
            from jupyter_mlprod.adapters.onnx_capture import OnnxCapture

            made = OnnxCapture(self.folder).capture(source, example, ends, shapes=shapes)
            return add_training(made, Training(untrainable="an .onnx file holds a graph, and no module"))
        if isinstance(source, str) and source.endswith(".pt2"):
            from jupyter_mlprod.adapters.pt2_capture import Pt2Capture

            made = Pt2Capture(self.folder).capture(source, example, ends, shapes=shapes)
            return add_training(made, Training(untrainable="a .pt2 file holds a program, and no module"))
        from jupyter_mlprod.adapters.torch_capture import TorchCapture, imported, inner_of

        live = inner_of(imported(source) if isinstance(source, str) else source)
        made = TorchCapture(self.folder).capture(live, example, ends, shapes=shapes)
        return add_training(made, Training(untrainable=self.workspace.modules.describe(live, made)))

    def _registered(self, uri: str, example: "Raw", ends: "Ends", shapes: Mapping[str, tuple[int | str, ...]]) -> Path:
        """A version of the registry, brought here for as long as its capture takes."""
        subject = parse_model_uri(uri)
        registry = self.workspace.registry
        version = registry.alias(subject.name, subject.rest) if subject.kind == "alias" else int(subject.rest)
        if version is None:
            raise MlprodError(Code.UNKNOWN_SUBJECT, f"the registry's {subject.name} has no alias {subject.rest!r}", hint="mlprod list")
        into = self.folder / f"fetched-{uuid.uuid4().hex[:12]}"
        try:
            folder = registry.fetch(subject.name, version, into)
            return self._logged(folder, f"{MODEL_URI}{subject.name}/{version}", example, ends, shapes)
        finally:
            shutil.rmtree(into, ignore_errors=True)

    def _logged(self, folder: Path, name: str, example: "Raw", ends: "Ends", shapes: Mapping[str, tuple[int | str, ...]]) -> Path:
        """A model that another tool logged to MLflow; what is known of where it comes from is noted."""
        from jupyter_mlprod.adapters.mlflow_model import read_logged
        from jupyter_mlprod.core.bundle import Training
        from jupyter_mlprod.core.capture import add_training

        logged = read_logged(folder, name)
        made = self._single(str(logged.file), example, ends, shapes)
        return add_training(made, Training(mlflow_run=logged.run, parameters={ADOPTED: name}))

    def _joined(
        self, members: Sequence[Any], example: "Raw", ends: "Ends", shapes: Mapping[str, tuple[int | str, ...]], combine: Combine
    ) -> Path:
        """The members' own captures are not kept; what stands behind the model gets what they answer together."""
        from jupyter_mlprod.adapters.ensemble_capture import EnsembleCapture
        from jupyter_mlprod.core.bundle import Training
        from jupyter_mlprod.core.capture import add_training

        before = msgspec.structs.replace(ends, postprocess=None)
        made: list[tuple[str, Path]] = []
        try:
            for number, member in enumerate(members, start=1):
                name = f"member {number} ({member if isinstance(member, str) else type(member).__name__})"
                try:
                    made.append((name, self._single(member, example, before, shapes)))
                except MlprodError as error:
                    raise MlprodError(error.code, f"{name}: {error.message}", hint=error.hint) from error
            whole = EnsembleCapture(self.folder).join(made, ends, combine=combine)
            return add_training(whole, Training(untrainable="an ensemble holds its members' graphs, and no module"))
        finally:
            for _, folder in made:
                shutil.rmtree(folder, ignore_errors=True)


def members_of(source: Any) -> tuple[Any, ...]:
    """The models of a list, or of words with commas between them; one model is its own only member."""
    if isinstance(source, str) and "," in source and not names_file(source):
        source = [word.strip() for word in source.split(",")]
    members = tuple(source) if isinstance(source, list | tuple) else (source,)
    if not members or any(isinstance(member, str) and not member for member in members):
        raise MlprodError(Code.BAD_MODEL, "there is no model, or an empty name among several")
    return members


def open_model(folder: Path) -> "Model":
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
    return Model(OnnxRuntimes().open(folder, bundle, threads=1))


def raw_of(value: Any) -> "Raw":
    """A live value (array, table, mapping) as a raw batch."""
    from jupyter_mlprod.adapters.data_files import DataFiles

    return DataFiles().from_live(value)


class Model:
    """A bundle that answers live values."""

    def __init__(self, runtime: "OnnxRuntime") -> None:
        self.runtime = runtime
        self.bundle = runtime.bundle

    def answer(self, values: Any) -> "dict[str, Array]":
        """Rows to ``label``, ``confidence`` and the outputs, each (batch, ...).

        Parameters
        ----------
        values : an array, tensor, table, mapping of columns or list; of a text model a list or column of str, or a table of one column

        Raises
        ------
        MlprodError : ``bad-data`` for what cannot be read as rows, ``contract-violation``, ``preprocess``, ``postprocess``.
        """
        raw = raw_of(values)
        if self.bundle.contract.is_text and isinstance(raw, Mapping) and len(raw) == 1:
            raw = next(iter(raw.values()))
        return self.runtime.answer(raw)


def load_module(subject: str, *, trust: str = "") -> Any:
    """The trainable module of a bundle, on the CPU and in eval mode: ``load_module("digits@champion").train()``.

    Raises
    ------
    MlprodError : ``unknown-subject``, ``bundle-broken``, ``not-trusted``, ``bad-model`` when the bundle holds none, or ``parity``.
    """
    from jupyter_mlprod.core.requests import Load

    return open_workspace().module(Load(subject=subject, trust=trust))


def load(subject: str, *, trust: str = "") -> Model:
    """A bundle by subject, to answer in this process: ``load("digits@champion").answer(rows)``.

    Raises
    ------
    MlprodError : ``unknown-subject``, ``bundle-broken`` or ``not-trusted``.
    """
    workspace = open_workspace()
    try:
        found = find_bundle(subject, workspace)
        check_trust(found, workspace, trust=trust)
        with naming_the_extra("answering"):
            runtime = workspace.runtimes.open(found.folder, found.bundle, threads=1)
    except BaseException:
        workspace.arrivals.leave()
        raise
    weakref.finalize(runtime, workspace.arrivals.leave)  # its code may read its files whenever it answers
    return Model(runtime)
