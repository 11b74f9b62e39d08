"""Ports: what a verb may ask of the world. Every outside system stands behind one of these; `workspace.py` chooses who answers.

A port has at most five methods, and the fakes in `adapters/memory.py` keep each of them honest in the tests.
"""

import datetime
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

import msgspec

from jupyter_mlprod.core.bundle import Bundle, Origin, Training
from jupyter_mlprod.core.combine import Combine
from jupyter_mlprod.core.contract import ColumnType, Contract, View
from jupyter_mlprod.core.evidence import TakenBy
from jupyter_mlprod.core.policy import Policy
from jupyter_mlprod.core.record import Record
from jupyter_mlprod.core.release import Release
from jupyter_mlprod.core.scan_look import Look
from jupyter_mlprod.core.snapshot import Snapshot
from jupyter_mlprod.core.statement import Key, Signed

if TYPE_CHECKING:
    from jupyter_mlprod.core.admission import Admitted
    from jupyter_mlprod.core.answer import Ends
    from jupyter_mlprod.core.conformance import Conformance
    from jupyter_mlprod.core.data_quality import Picture
    from jupyter_mlprod.core.lock import Lock, Pin
    from jupyter_mlprod.core.raw import Array, Raw
    from jupyter_mlprod.core.rebuild import Rebuilt

R = TypeVar("R", bound=Record)
CellStatus = Literal["completed", "failed", "skipped", "pending"]


class Records(Protocol):
    """Where records are kept. Inside a gate run every record written is also listed in the run's journal, else that is empty."""

    def put(self, record: Record) -> str: ...
    def get(self, digest: str) -> Record: ...
    def about(self, kind: type[R], subject: str) -> tuple[R, ...]: ...
    def matching(self, prefix: str) -> tuple[str, ...]: ...
    def journaled(self) -> tuple[str, ...]: ...


class Bundles(Protocol):
    """Where bundle folders are kept, by digest; ``all`` gives them in the order in which they came here. What ``finish`` puts into a new
    one is there before anybody can see it.
    """

    def add(self, folder: Path, bundle: Bundle, origin: Origin, *, finish: Callable[[Path, Bundle], None] | None = None) -> Bundle: ...
    def path(self, digest: str) -> Path: ...
    def all(self) -> tuple[tuple[str, Bundle, Origin], ...]: ...
    def faults(self, folder: Path) -> tuple[Bundle | None, tuple[str, ...]]: ...
    def remove(self, digest: str) -> int: ...


class Arrivals(Protocol):
    """Bundles from elsewhere, a folder or an archive: ``admit`` copies one to where nobody else writes, ``leave`` removes the copies."""

    def admit(self, path: Path) -> Path: ...
    def leave(self) -> None: ...


class Ledger(Protocol):
    """The append-only list of alias moves; ``append`` is a compare-and-set on the last entry of a name, and ``edited``
    counts entries that are no longer what was appended."""

    def append(self, entry: Release, *, after: int) -> Release: ...
    def entries(self, name: str | None = None) -> tuple[Release, ...]: ...
    def edited(self, name: str) -> int: ...


class Registry(Protocol):
    """The model registry that other tools see."""

    def register(self, name: str, folder: Path, digest: str) -> int: ...
    def set_alias(self, name: str, alias: str, version: int) -> None: ...
    def alias(self, name: str, alias: str) -> int | None: ...
    def digest_of(self, name: str, version: int) -> str: ...
    def fetch(self, name: str, version: int, into: Path) -> Path: ...


class Runs(Protocol):
    """The tracking store; None when it does not tell of a run, or not in time."""

    def training(self, run: str) -> Training | None: ...


class Outputs(Protocol):
    """Whatever gives the contract's outputs to raw rows."""

    def outputs(self, raw: "Raw") -> dict[str, "Array"]: ...


class Runtime(Protocol):
    """A loaded bundle. ``answer`` takes arrays or JSON, keeps to the contract and decides, ``outputs`` does neither; ``graph`` runs the
    model alone. With ``now`` ages are judged, too; what measures a bundle gives none, since past data would be stale. Rows that have been
    admitted are not judged again.
    """

    def answer(self, raw: "Raw | bytes | Admitted", *, now: datetime.datetime | None = None) -> dict[str, "Array"]: ...
    def outputs(self, raw: "Raw") -> dict[str, "Array"]: ...
    def prepare(self, raw: "Raw") -> dict[str, "Array"]: ...
    def graph(self, prepared: Mapping[str, "Array"]) -> dict[str, "Array"]: ...


class Runtimes(Protocol):
    """What opens a bundle folder for answering. ``replay`` lets a process that has seen no notebook answer the golden samples, and tells
    what went wrong there, or nothing."""

    def open(self, folder: Path, bundle: Bundle, *, threads: int) -> Runtime: ...
    def replay(self, folder: Path, bundle: Bundle) -> str: ...
    def cold_start_ms(self, folder: Path) -> float: ...
    def context(self) -> dict[str, str]: ...


class GraphEnd(msgspec.Struct, frozen=True, kw_only=True):
    """An input or output of a graph: ONNX's name of its type, and its shape, in which a text is a size that may vary."""

    name: str
    dtype: str
    shape: tuple[int | str, ...] | None


class Graphs(Protocol):
    """Graph files, read and written without computing: what one takes and gives, a copy with metadata, what ONNX's checker says."""

    def ends(self, file: Path) -> tuple[tuple[GraphEnd, ...], tuple[GraphEnd, ...]]: ...
    def copy(self, file: Path, out: Path, *, data: str, metadata: dict[str, str]) -> None: ...
    def fault(self, file: Path) -> str: ...
    def computes_in_bfloat16(self, file: Path) -> bool: ...


class Models(Protocol):
    """What turns a model into a *capture*: a folder with the graph and the original's answers on the example.

    ``shapes`` are declared by name of an input: a name in it is a dimension that may vary. Several models become one as ``combine`` says.
    """

    def capture(
        self, source: Any, example: "Raw", ends: "Ends", *, shapes: Mapping[str, tuple[int | str, ...]], combine: Combine | None = None
    ) -> Path: ...


class Modules(Protocol):
    """Trainable modules: written down beside a capture (or told why that cannot be), brought back from a bundle, and asked by name."""

    def describe(self, module: Any, capture: Path) -> str: ...
    def restore(self, folder: Path, bundle: Bundle) -> Any: ...
    def answer(self, module: Any, prepared: Mapping[str, "Array"]) -> dict[str, "Array"]: ...


class Data(Protocol):
    """Data files: arrays and tables, read and written; ``sample`` gives no more rows than memory has room for, and how many there are.

    ``types`` say what the columns of a file hold that says nothing of it itself.
    """

    def read(self, path: str, *, types: Mapping[str, ColumnType] | None = None) -> "Raw": ...
    def sample(self, path: str, *, types: Mapping[str, ColumnType] | None = None) -> "tuple[Raw, int]": ...
    def write(self, raw: "Raw", path: Path) -> Path: ...
    def from_live(self, value: Any) -> "Raw": ...


class Frames(Protocol):
    """Whole data sets held against a contract: frames, arrays and files of any size."""

    def check(self, contract: Contract, source: Any, *, view: View, now: datetime.datetime | None) -> "Conformance": ...


class TomlEditing(Protocol):
    """What changes TOML that a person wrote and keeps all else of it; a path whose value is None is taken out."""

    def changed(self, text: str, values: Mapping[tuple[str, ...], Any]) -> str: ...


class Signatures(Protocol):
    """What reads the signature of an MLflow model folder, as its ``MLmodel`` holds it, without loading the model."""

    def signature(self, folder: Path) -> Any: ...


class Snapshots(Protocol):
    """What describes data without keeping it: a file or folder, or a live value of the notebook."""

    def of_file(self, path: str) -> Snapshot: ...
    def of_live(self, value: Any) -> Snapshot: ...


class Images(Protocol):
    """What decodes images, to see that they can be: the files of a folder, or bytes in a column, of which a null is None."""

    def of_folder(self, folder: Path) -> "tuple[Picture, ...]": ...
    def of_bytes(self, values: Sequence[bytes | None]) -> "tuple[Picture, ...]": ...


class CellRun(msgspec.Struct, frozen=True, kw_only=True):
    """How one code cell of a run ended; ``records`` are the digests that it wrote."""

    index: int
    status: CellStatus
    error: str = ""
    records: tuple[str, ...] = ()


class NotebookRun(msgspec.Struct, frozen=True, kw_only=True):
    """A finished run: the executed notebook and its code cells in order."""

    output: str
    cells: tuple[CellRun, ...]


class Runner(Protocol):
    """What re-executes a notebook in a fresh kernel."""

    def run(self, notebook: Path, *, parameters: Mapping[str, Any], output: Path, run_folder: Path, cell_timeout_s: int) -> NotebookRun: ...


class Signer(Protocol):
    """The workspace's own key, made on first use, the keys that it trusts, and the envelopes that keys have signed.

    ``sign`` keeps the signatures over the same bytes that are there, and takes over from the envelopes ``also`` those of trusted keys.
    ``signature_fault`` is about a bundle's first statement, on which trust in its code rests.
    """

    def key(self) -> Key: ...
    def sign(self, path: Path, statement: bytes, *, also: Sequence[Path] = ()) -> None: ...
    def signed(self, path: Path) -> Signed: ...
    def signature_fault(self, folder: Path, name: str, digest: str) -> str: ...


class Machine(Protocol):
    """What is installed and where this runs."""

    def requirements(self, modules: Sequence[str]) -> tuple[str, ...]: ...
    def origin(self, *, notebook: str, run: str) -> Origin: ...
    def context(self) -> dict[str, str]: ...
    def problems(self) -> tuple[tuple[str, str, str], ...]: ...


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """How a child process ended, and the end of what it said."""

    status: int
    said: str


class Installer(Protocol):
    """What asks package indexes, and installs: uv or pip. ``compiled`` is None when the indexes do not have all of the pins."""

    def tool(self) -> str: ...
    def only_default_index(self) -> bool: ...
    def compiled(self, pins: "Sequence[Pin]", *, deadline: float) -> Mapping[str, Any] | None: ...
    def environment(self, home: Path, requirements: Sequence[str], wheels: Sequence[Path]) -> tuple[Path, str]: ...
    def run(self, command: Sequence[str], *, folder: Path, environ: Mapping[str, str], deadline: float) -> Ended | None: ...


class Locks(Protocol):
    """Hashes for sets of pins, a lock each and the sets that matter most first, and a fresh environment out of a lock, in which a bundle
    folder replays its golden samples."""

    def lock(self, wanted: "Sequence[Sequence[Pin]]") -> "tuple[Lock, ...]": ...
    def rebuild(self, lock: "Lock", folder: Path, digest: str) -> "Rebuilt": ...


class Inspector(Protocol):
    """What looks into files that nobody vouches for, each by itself and without running any of it."""

    def look(self, paths: Sequence[Path]) -> Iterator[Look]: ...


class Advisories(msgspec.Struct, frozen=True, kw_only=True):
    """What a source knows against some versions: a line a vulnerability, the packages that it could not tell about, and why."""

    found: tuple[str, ...] = ()
    unscanned: tuple[str, ...] = ()
    why: str = ""


class Packages(Protocol):
    """What is known about packages."""

    def license(self, name: str) -> str: ...
    def advisories(self, pins: Mapping[str, str], *, source: str = "") -> Advisories: ...


class Ports(Protocol):
    """Everything a verb may use; built by the workspace, each part when it is first asked for."""

    @property
    def records(self) -> Records: ...
    @property
    def bundles(self) -> Bundles: ...
    @property
    def arrivals(self) -> Arrivals: ...
    @property
    def ledger(self) -> Ledger: ...
    @property
    def registry(self) -> Registry: ...
    @property
    def runs(self) -> Runs: ...
    @property
    def runtimes(self) -> Runtimes: ...
    @property
    def graphs(self) -> Graphs: ...
    @property
    def models(self) -> Models: ...
    @property
    def modules(self) -> Modules: ...
    @property
    def data(self) -> Data: ...
    @property
    def images(self) -> Images: ...
    @property
    def frames(self) -> Frames: ...
    @property
    def toml(self) -> TomlEditing: ...
    @property
    def signatures(self) -> Signatures: ...
    @property
    def snapshots(self) -> Snapshots: ...
    @property
    def runner(self) -> Runner: ...
    @property
    def signer(self) -> Signer: ...
    @property
    def machine(self) -> Machine: ...
    @property
    def locks(self) -> Locks: ...
    @property
    def inspector(self) -> Inspector: ...
    @property
    def packages(self) -> Packages: ...
    @property
    def policies(self) -> Mapping[str, Policy]: ...
    @property
    def trusted_keys(self) -> tuple[str, ...]: ...
    @property
    def root(self) -> Path: ...
    @property
    def scratch(self) -> Path: ...
    @property
    def run_folder(self) -> str: ...
    @property
    def taken_by(self) -> TakenBy: ...
    @property
    def session(self) -> dict[str, str]: ...
    @property
    def live_data(self) -> dict[str, Any]: ...
    @property
    def progress(self) -> "Progress": ...
    def now(self) -> datetime.datetime: ...
    def tell(self, line: str) -> None: ...
    def write_text(self, path: Path, text: str) -> None: ...


Progress = Callable[[str, Sequence[Any]], Iterator[Any]]
"""``progress("profile", items)`` yields the items and shows a bar when they take more than two seconds."""
