"""Every byte of a bundle is covered: a file, link or folder that nobody signed for is a failure, wherever it lies and whatever its name."""

import os
from pathlib import Path

import onnx
import pytest

from jupyter_mlprod.adapters.disk_store import DiskBundles
from jupyter_mlprod.core.bundle import ATTACHED, GRAPH, MLFLOW_WRITES, Bundle, Origin
from jupyter_mlprod.core.contract import Contract, Tensor
from jupyter_mlprod.core.errors import Code
from jupyter_mlprod.core.record import digest
from jupyter_mlprod.core.requests import Predict, Sign, Verify
from jupyter_mlprod.core.verdict import Verdict, exit_status
from tests.verbs.tiny import Desk

pytestmark = pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")
BIG = 1_500_000
"""Above the size from which files are hashed at the same time."""


class Kept:
    """A bundle of a few files, kept in a store."""

    def __init__(self, folder: Path) -> None:
        staged = folder / "staged"
        graph = onnx.ModelProto(doc_string="x" * BIG).SerializeToString()
        for path, data in ((GRAPH, graph), ("golden/inputs.npz", bytes(BIG)), ("code/preprocess.py", bytes(10))):
            (staged / path).parent.mkdir(parents=True, exist_ok=True)
            (staged / path).write_bytes(data)
        tensor = Tensor(name="x", dtype="float32", shape=("batch", 1))
        self.store = DiskBundles(folder / "bundles")
        bundle = Bundle(name="tiny", contract=Contract(inputs=(tensor,), outputs=(tensor,)), scores="values")
        kept = self.store.add(staged, bundle, Origin(created_at="", actor="", python="", platform=""))
        self.folder = self.store.path(digest(kept))

    def faults(self) -> tuple[str, ...]:
        return self.store.faults(self.folder)[1]


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    made = Kept(tmp_path)
    assert made.faults() == ()
    return made


@pytest.mark.parametrize(
    "place",
    [
        "notes.txt", ".git/hooks/post-checkout", ".gitignore", ".hidden", "golden/extra.npz", "code/__pycache__/preprocess.pyc",
        "code/sitecustomize.py", "Attached/origin.json", "attached.txt", "Bundle.json", "registered_model_meta.txt",
        "golden/registered_model_meta", "a/b/c/d", " ", "new\nline", "\u202etxt.exe",
    ],
    ids=ascii,
)  # fmt: skip
def test_an_extra_file_is_a_fault_wherever_it_lies(kept: Kept, place: str) -> None:
    (kept.folder / place).parent.mkdir(parents=True, exist_ok=True)
    (kept.folder / place).write_text("x")
    assert kept.faults() == (f"{place} is not in the manifest",)


@pytest.mark.parametrize("place", ["empty", ".git/hooks", "golden/more"])
def test_an_empty_folder_is_a_fault_too(kept: Kept, place: str) -> None:
    (kept.folder / place).mkdir(parents=True)
    assert kept.faults() == (f"the folder {place} is not in the manifest",)


@pytest.mark.parametrize("path", [GRAPH, "golden/inputs.npz", "code/preprocess.py"])
def test_a_flipped_bit_is_found_in_large_and_small_files(kept: Kept, path: str) -> None:
    data = bytearray((kept.folder / path).read_bytes())
    data[-1] ^= 1
    (kept.folder / path).write_bytes(data)
    assert kept.faults() == (f"{path} has other bytes than the manifest says",)


@pytest.mark.parametrize("kind", ["link to a file", "link to a folder", "dangling link", "pipe"])
def test_what_is_no_regular_file_is_a_fault(kept: Kept, tmp_path: Path, kind: str) -> None:
    path = kept.folder / "more"
    match kind:
        case "link to a file":
            path.symlink_to(kept.folder / GRAPH)
        case "link to a folder":
            path.symlink_to(tmp_path, target_is_directory=True)
        case "dangling link":
            path.symlink_to(tmp_path / "nowhere")
        case "pipe":
            os.mkfifo(path)
    assert kept.faults() == ("more is not in the manifest",)


def test_a_graph_behind_a_link_is_a_fault_though_its_bytes_are_right(kept: Kept, tmp_path: Path) -> None:
    (kept.folder / GRAPH).rename(tmp_path / "graph")
    (kept.folder / GRAPH).symlink_to(tmp_path / "graph")
    assert kept.faults() == (f"{GRAPH} is a link, or no regular file",)


@pytest.mark.parametrize(
    "text",
    [
        b"", b"x", b"model_name: tiny\nmodel_version: 1\nmore: 2\n", b"model_name: !!python/object:os.system\n- x\n",
        b"model_name: tiny\n" + b"#" * 2000, b"model_name: " + b"t" * 2000 + b"\n", b"model_name: a\x00b\n", b"\x80\x04.",
        b"model_name: tiny\nmodel_version: '1'\n\n", b"model_version: '1'\n", b"&a [*a]\n",
    ],
    ids=lambda text: ascii(text)[:30],
)  # fmt: skip
def test_the_note_of_mlflow_is_ignored_only_when_it_is_what_mlflow_writes(kept: Kept, text: bytes) -> None:
    (kept.folder / MLFLOW_WRITES).write_bytes(text)
    assert kept.faults() == (f"{MLFLOW_WRITES} is not what MLflow writes",)


@pytest.mark.parametrize("kind", ["link", "folder"])
def test_the_note_of_mlflow_is_a_regular_file(kept: Kept, tmp_path: Path, kind: str) -> None:
    if kind == "link":
        (tmp_path / "note").write_text("model_name: tiny\nmodel_version: '1'\n")
        (kept.folder / MLFLOW_WRITES).symlink_to(tmp_path / "note")
    else:
        (kept.folder / MLFLOW_WRITES).mkdir()
    assert f"{MLFLOW_WRITES} is not what MLflow writes" in kept.faults()


def test_what_mlflow_really_writes_on_loading_is_ignored(kept: Kept) -> None:
    from mlflow.store.artifact.models_artifact_repo import ModelsArtifactRepository

    for name, version in (("tiny", "2"), ("a model: of 'mine'", 12)):
        repository = object.__new__(ModelsArtifactRepository)
        repository.model_name, repository.model_version = name, version
        repository._add_registered_model_meta_file(str(kept.folder))  # type: ignore[no-untyped-call]
        assert kept.faults() == (), (kept.folder / MLFLOW_WRITES).read_text()


@pytest.mark.parametrize("instead", ["link", "file"])
def test_attached_that_is_no_folder_is_a_fault(kept: Kept, tmp_path: Path, instead: str) -> None:
    (kept.folder / ATTACHED).rename(tmp_path / "elsewhere")
    if instead == "link":
        (kept.folder / ATTACHED).symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    else:
        (kept.folder / ATTACHED).write_text("x")
    assert kept.faults() == ("attached is no folder",)


def test_a_bundle_with_one_thing_more_neither_verifies_nor_answers_nor_is_signed(desk: Desk, tmp_path: Path) -> None:
    folder = desk.bundle_folder(desk.champion())
    (folder / ATTACHED).rename(tmp_path / "elsewhere")
    before = {path.name: path.read_bytes() for path in (tmp_path / "elsewhere").iterdir()}
    (folder / ATTACHED).symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    assert exit_status(desk.run(Verify(subject="tiny"), Verdict)) == 1
    assert desk.refused(Predict(subject="tiny", data="x.npy")).code is Code.BUNDLE_BROKEN
    assert desk.refused(Sign(subject="tiny")).code is Code.BUNDLE_BROKEN
    assert {path.name: path.read_bytes() for path in (tmp_path / "elsewhere").iterdir()} == before, "nothing was written through the link"
