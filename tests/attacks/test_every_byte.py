"""Every byte of a bundle is covered: a file, link or folder that nobody signed for is a failure, wherever it lies and whatever its name."""

import os
from pathlib import Path

import pytest

from jupyter_mlprod.core.bundle import ATTACHED, GRAPH, MLFLOW_WRITES
from jupyter_mlprod.core.errors import Code
from jupyter_mlprod.core.requests import Predict, Sign, Verify
from jupyter_mlprod.core.verdict import Verdict
from tests.verbs.tiny import Desk

pytestmark = pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")


def failed(desk: Desk) -> dict[str, str]:
    verdict = desk.run(Verify(subject="tiny"), Verdict)
    return {finding.rule.measure: finding.reason for finding in verdict.findings if finding.outcome == "fail"}


@pytest.mark.parametrize(
    "place",
    [
        "notes.txt", ".git/hooks/post-checkout", ".gitignore", ".hidden", "golden/extra.npz", "code/__pycache__/preprocess.pyc",
        "code/sitecustomize.py", "Attached/origin.json", "attached.txt", "Bundle.json", "registered_model_meta.txt",
        "golden/registered_model_meta", "a/b/c/d", " ", "new\nline", "\u202etxt.exe",
    ],
    ids=ascii,
)  # fmt: skip
def test_an_extra_file_is_a_failure_wherever_it_lies(desk: Desk, place: str) -> None:
    path = desk.bundle_folder(desk.champion()) / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")
    assert list(failed(desk)) == ["digest_mismatches"]
    assert desk.refused(Predict(subject="tiny", data="x.npy")).code is Code.BUNDLE_BROKEN
    assert desk.refused(Sign(subject="tiny")).code is Code.BUNDLE_BROKEN


@pytest.mark.parametrize("place", ["empty", ".git/hooks", "golden/more"])
def test_an_empty_folder_is_a_failure_too(desk: Desk, place: str) -> None:
    (desk.bundle_folder(desk.champion()) / place).mkdir(parents=True)
    assert failed(desk) == {"digest_mismatches": f"the folder {place} is not in the manifest"}


@pytest.mark.parametrize("kind", ["link to a file", "link to a folder", "dangling link", "pipe"])
def test_what_is_no_regular_file_is_a_failure(desk: Desk, tmp_path: Path, kind: str) -> None:
    path = desk.bundle_folder(desk.champion()) / "more"
    match kind:
        case "link to a file":
            path.symlink_to(desk.folder / "x.npy")
        case "link to a folder":
            path.symlink_to(tmp_path, target_is_directory=True)
        case "dangling link":
            path.symlink_to(tmp_path / "nowhere")
        case "pipe":
            os.mkfifo(path)
    assert list(failed(desk)) == ["digest_mismatches"]


def test_a_graph_behind_a_link_is_a_failure_though_its_bytes_are_right(desk: Desk, tmp_path: Path) -> None:
    graph = desk.bundle_folder(desk.champion()) / GRAPH
    graph.rename(tmp_path / "graph")
    graph.symlink_to(tmp_path / "graph")
    assert list(failed(desk)) == ["digest_mismatches"]


def test_attached_that_leads_elsewhere_is_refused_and_nothing_is_written_there(desk: Desk, tmp_path: Path) -> None:
    folder = desk.bundle_folder(desk.champion())
    (folder / ATTACHED).rename(tmp_path / "elsewhere")
    before = {path.name: path.read_bytes() for path in (tmp_path / "elsewhere").iterdir()}
    (folder / ATTACHED).symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    assert failed(desk)["digest_mismatches"] == "attached is no folder"
    assert desk.refused(Sign(subject="tiny")).code is Code.BUNDLE_BROKEN
    assert {path.name: path.read_bytes() for path in (tmp_path / "elsewhere").iterdir()} == before


@pytest.mark.parametrize(
    "text",
    [
        b"", b"x", b"model_name: tiny\nmodel_version: 1\nmore: 2\n", b"model_name: !!python/object:os.system\n- x\n",
        b"model_name: tiny\n" + b"#" * 2000, b"model_name: " + b"t" * 2000 + b"\n", b"model_name: a\x00b\n", b"\x80\x04.",
        b"model_name: tiny\nmodel_version: '1'\n\n", b"model_version: '1'\n", b"&a [*a]\n",
    ],
    ids=lambda text: ascii(text)[:30],
)  # fmt: skip
def test_the_note_of_mlflow_is_ignored_only_when_it_is_what_mlflow_writes(desk: Desk, text: bytes) -> None:
    (desk.bundle_folder(desk.champion()) / MLFLOW_WRITES).write_bytes(text)
    assert failed(desk) == {"digest_mismatches": f"{MLFLOW_WRITES} is not what MLflow writes"}


def test_the_note_of_mlflow_is_no_link(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "note").write_text("model_name: tiny\nmodel_version: '1'\n")
    (desk.bundle_folder(desk.champion()) / MLFLOW_WRITES).symlink_to(tmp_path / "note")
    assert list(failed(desk)) == ["digest_mismatches"]


def test_what_mlflow_really_writes_on_loading_is_ignored(desk: Desk) -> None:
    from mlflow.store.artifact.models_artifact_repo import ModelsArtifactRepository

    folder = desk.bundle_folder(desk.champion())
    for name, version in (("tiny", "2"), ("a model: of 'mine'", 12)):
        repository = object.__new__(ModelsArtifactRepository)
        repository.model_name, repository.model_version = name, version
        repository._add_registered_model_meta_file(str(folder))  # type: ignore[no-untyped-call]
        assert failed(desk) == {}, (folder / MLFLOW_WRITES).read_text()
