"""A desk for tests of verbs: a folder with tiny ONNX models that are packaged in a third of a second, and the one door to its workspace."""

import shutil
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from jupyter_mlprod.adapters.onnx_runtime import OnnxRuntimes
from jupyter_mlprod.core.bundle import Bundle
from jupyter_mlprod.core.errors import MlprodError
from jupyter_mlprod.core.evidence import Evidence, Measure, TakenBy
from jupyter_mlprod.core.listing import Listing
from jupyter_mlprod.core.record import Record, digest
from jupyter_mlprod.core.release import Release, holder
from jupyter_mlprod.core.requests import Evaluate, Gate, Package, Promote, Request
from jupyter_mlprod.core.verdict import Verdict
from jupyter_mlprod.fronts import cli
from jupyter_mlprod.workspace import Workspace, open_workspace
from tests.project import PREPARE, SETTINGS

R = TypeVar("R", bound=Record)
FIRST, SECOND = 0.0, 0.01
"""Shifts of the two models that the desk has released: version 1, and version 2, the champion."""


def graph(nodes: list[Any], *, width: int = 3, outputs: int = 2, weights: dict[str, Any] | None = None) -> Any:
    """An ONNX model from ``x`` (batch, width) to ``scores`` (batch, outputs)."""
    body = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", width])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", outputs])],
        [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in (weights or {}).items()],
    )
    return helper.make_model(body, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)


def linear(path: Path, *, shift: float) -> None:
    """Two classes: ``right`` (1) when the first column is below the shift, and 100 is the worst model there is."""
    weights = {"w": [[1, -1], [0, 0], [0, 0]], "b": [shift, 0]}
    onnx.save(graph([helper.make_node("Gemm", ["x", "w", "b"], ["scores"])], weights=weights), str(path))


class Desk:
    """A folder, and what a user does in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def workspace(self, *, taken_by: TakenBy = "runner") -> Workspace:
        return open_workspace(self.folder, taken_by=taken_by)

    def run(self, request: Request, kind: type[R], *, taken_by: TakenBy = "runner") -> R:
        """Carry a request out in a workspace opened anew, as each command does."""
        record = self.workspace(taken_by=taken_by).run(request)
        assert isinstance(record, kind)
        return record

    def refused(self, request: Request) -> MlprodError:
        """How a request is refused."""
        with pytest.raises(MlprodError) as refusal:
            self.workspace().run(request)
        return refusal.value

    def command(self, *words: str) -> int:
        """Exit status of a command line, in this process."""
        return cli.main(words)

    def package(self, shift: float, **options: Any) -> str:
        """Digest of a new bundle ``tiny``."""
        linear(self.folder / "model.onnx", shift=shift)
        return digest(self.run(Package(**{**PACKAGED, **options}), Bundle))

    def proven(self, shift: float, **options: Any) -> str:
        """Digest of a new bundle ``tiny`` that has been evaluated and has passed its gate."""
        made = self.package(shift, **options)
        self.run(Evaluate(subject=made, data="x.npy", target="y.npy"), Evidence)
        assert self.run(Gate(subjects=(made,)), Verdict).outcome == "pass"
        return made

    def release(self, shift: float, **options: Any) -> str:
        """Digest of a new champion."""
        made = self.proven(shift, **options)
        self.run(Promote(subject=made, why=f"shift {shift}"), Release)
        return made

    def champion(self, name: str = "tiny") -> str:
        """Digest of the champion, and the registry must say so too."""
        workspace = self.workspace()
        held = holder(workspace.ledger.entries(name), "champion")
        assert held is not None
        assert workspace.registry.alias(name, "champion") == held.version
        return held.bundle

    def bundle_folder(self, subject: str) -> Path:
        return self.workspace().bundles.path(subject)

    def files(self) -> set[str]:
        """Every file and folder of the store, by path."""
        return {path.relative_to(self.folder).as_posix() for path in (self.folder / ".mlprod").rglob("*")}


class WarmRuntimes(OnnxRuntimes):
    """Everything but the six processes of a cold start."""

    def cold_start_ms(self, folder: Path) -> float:
        return 1.0


PACKAGED: dict[str, Any] = {
    "model": "model.onnx", "name": "tiny", "example": "x8.npy", "preprocess": "prepare.py:prepare", "labels": "left,right",
}  # fmt: skip
PACKAGE_WORDS = [
    "package", PACKAGED["model"], *(word for name, value in PACKAGED.items() if name != "model" for word in (f"--{name}", value)),
]  # fmt: skip
"""The same on the command line."""


def furnish(folder: Path) -> None:
    """Data, preprocessing and settings."""
    (folder / "prepare.py").write_text(PREPARE)
    (folder / "mlprod.toml").write_text(SETTINGS)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 3))
    np.save(folder / "x.npy", x)
    np.save(folder / "x8.npy", x[:8])
    np.save(folder / "y.npy", (x[:, 0] < 0).astype(np.int64))
    np.save(folder / "side.npy", np.where(x[:, 1] < 0, "low", "high"))


@pytest.fixture(scope="session")
def made_desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which ``tiny`` has been released twice."""
    folder = tmp_path_factory.mktemp("desk")
    furnish(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for shift in (FIRST, SECOND):
            Desk(folder).release(shift)
    return folder


@pytest.fixture
def desk(made_desk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A copy of the made desk, with the working folder in it."""
    folder = tmp_path / "desk"
    shutil.copytree(made_desk, folder)
    monkeypatch.chdir(folder)
    return Desk(folder)


@pytest.fixture
def bare_desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A furnished folder in which nothing has been packaged yet."""
    furnish(tmp_path)
    monkeypatch.chdir(tmp_path)
    return Desk(tmp_path)


def measure_of(evidence: Evidence, name: str, **where: str) -> Measure:
    """The one measure of this name and place."""
    (found,) = [measure for measure in evidence.measures if measure.name == name and measure.where == where]
    return found


def cells(listing: Listing, column: str) -> list[Any]:
    """One column of a listing."""
    index = listing.columns.index(column)
    return [cast("Any", row[index]) for row in listing.rows]
