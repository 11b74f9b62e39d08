"""What a process knows of a training, and what a repository says of its state; neither runs anything that it was not asked for."""

import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import mlflow
import pytest
import torch

from jupyter_mlprod.adapters.machine import Machine, git_dirty
from jupyter_mlprod.adapters.training import training_here
from jupyter_mlprod.core import tracking
from jupyter_mlprod.core.bundle import Training
from jupyter_mlprod.core.capture import CAPTURE_FILE, Capture, add_training, write_capture


def git(folder: Path, *words: str) -> None:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false")
    subprocess.run(["git", "-C", str(folder), *identity, *words], check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "train.py").write_text("a = 1\n")
    (folder / "kept.txt").write_text("kept\n")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "first")
    return folder


def test_a_clean_tree_is_not_dirty_even_when_its_files_were_touched(repository: Path) -> None:
    assert git_dirty(repository) == ""
    (repository / "train.py").touch()
    (repository / "train.py").write_text("a = 1\n")
    assert git_dirty(repository) == ""


def test_each_way_of_being_dirty_is_another_digest_and_the_same_way_the_same(repository: Path) -> None:
    found = []
    (repository / "train.py").write_text("a = 2\n")
    found.append(git_dirty(repository))
    assert git_dirty(repository) == found[0]
    (repository / "train.py").write_text("a = 3\n")
    found.append(git_dirty(repository))
    git(repository, "add", "train.py")
    found.append(git_dirty(repository))
    (repository / "new file.py").write_text("b")
    found.append(git_dirty(repository))
    (repository / "new file.py").write_text("c")
    found.append(git_dirty(repository))
    (repository / "kept.txt").unlink()
    found.append(git_dirty(repository))
    assert len(set(found)) == 6
    assert all(one.startswith("sha256:") for one in found)


def test_the_store_and_what_git_ignores_make_nothing_dirty(repository: Path) -> None:
    (repository / ".mlprod" / "bundles").mkdir(parents=True)
    (repository / ".mlprod" / "bundles" / "x").write_text("x")
    (repository / ".git" / "info" / "exclude").write_text("*.log\n")
    (repository / "a.log").write_text("x")
    assert git_dirty(repository) == ""


def test_a_hostile_repository_runs_nothing(repository: Path, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    script = tmp_path / "evil.sh"
    script.write_text(f"#!/bin/sh\ntouch {mark}\ncat\n")
    script.chmod(0o755)
    for name in ("core.fsmonitor", "filter.evil.clean", "filter.evil.smudge", "filter.evil.process", "diff.evil.textconv", "diff.external",
                 "diff.evil.command", "core.pager", "core.sshCommand", "alias.diff-files"):  # fmt: skip
        git(repository, "config", name, str(script))
    hooks = repository / ".git" / "hooks"
    for hook in ("post-index-change", "pre-commit", "fsmonitor-watchman"):
        (hooks / hook).write_text(script.read_text())
        (hooks / hook).chmod(0o755)
    (repository / ".gitattributes").write_text("* filter=evil diff=evil\n")
    (repository / "train.py").write_text("a = 2\n")
    assert git_dirty(repository).startswith("sha256:")
    assert Machine(repository, actor="a").origin(notebook="", run="").git_commit
    assert not mark.exists()


def test_links_and_pipes_in_the_tree_are_not_followed(repository: Path, tmp_path: Path) -> None:
    import os

    (repository / "link").symlink_to("/dev/zero")
    os.mkfifo(repository / "pipe")
    assert git_dirty(repository).startswith("sha256:")


def test_outside_of_a_repository_and_without_git_there_is_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert git_dirty(tmp_path) == ""
    monkeypatch.setenv("PATH", "")
    origin = Machine(tmp_path, actor="a").origin(notebook="", run="")
    assert (origin.git_commit, origin.git_dirty) == ("", "")


def test_the_origin_names_the_notebook_and_the_digest_of_its_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import json

    cell: dict[str, Any] = {"cell_type": "code", "source": "a = 1", "metadata": {}, "outputs": [], "execution_count": None}
    text = json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    (tmp_path / "train.ipynb").write_text(text)
    machine = Machine(tmp_path, actor="a", notebook="train.ipynb")
    assert machine.origin(notebook="", run="").notebook_digest == "", "the kernel does not stand in that folder"
    monkeypatch.chdir(tmp_path)
    here = machine.origin(notebook="", run="")
    assert here.notebook == "train.ipynb"
    assert here.notebook_digest.startswith("sha256:")
    assert machine.origin(notebook=str(tmp_path / "train.ipynb"), run="").notebook_digest == here.notebook_digest
    assert machine.origin(notebook=str(tmp_path / "train.ipynb"), run="").notebook == "train.ipynb"
    (tmp_path / "train.ipynb").write_text("{")
    assert machine.origin(notebook="", run="").notebook_digest == ""


@pytest.mark.filterwarnings(
    "ignore::DeprecationWarning:sqlalchemy.*", "ignore:unclosed database:ResourceWarning", "ignore::DeprecationWarning:mlflow.*"
)
def test_the_active_run_its_parameters_and_metrics_are_told(tmp_path: Path) -> None:
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path / 'mlflow.db'}")
    try:
        with mlflow.start_run() as run:
            mlflow.log_param("epochs", 3)
            mlflow.log_metric("loss", 0.5)
            mlflow.log_metric("bad", float("nan"))
            found = training_here((), requirements=())
        assert (found.mlflow_run, found.parameters, found.metrics) == (run.info.run_id, {"epochs": "3"}, {"loss": 0.5})
        assert training_here((), requirements=()).mlflow_run == ""
    finally:
        mlflow.set_tracking_uri(before)


def _store(answer: Any) -> Any:
    """A library with an active run, whose store answers so."""
    run = types.SimpleNamespace(info=types.SimpleNamespace(run_id="abc"))
    return types.SimpleNamespace(active_run=lambda: run, MlflowClient=lambda: types.SimpleNamespace(get_run=answer))


def test_a_store_that_fails_or_is_silent_costs_the_details_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    def fails(_name: str) -> None:
        raise RuntimeError("the store is away")

    release = threading.Event()
    monkeypatch.setattr(tracking, "STORE_WAIT_S", 0.05)
    for answer in (fails, lambda _name: release.wait(60)):
        monkeypatch.setitem(sys.modules, "mlflow", _store(answer))
        found = training_here((), requirements=())
        assert (found.mlflow_run, found.parameters, found.metrics) == ("abc", {}, {})
    release.set()


def test_mlflow_and_torch_are_never_imported_to_ask_them() -> None:
    script = (
        "import sys; from jupyter_mlprod.adapters.training import training_here; found = training_here(('c',), requirements=()); "
        "assert found.cells == ('c',) and not found.seeds and not found.mlflow_run, found; "
        "assert not {'torch', 'mlflow', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, env={"PATH": "/usr/bin:/bin"})


def test_seeds_that_can_be_read_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PL_GLOBAL_SEED", "7")
    monkeypatch.setenv("PYTHONHASHSEED", "random")
    torch.manual_seed(42)
    assert training_here((), requirements=()).seeds == {"lightning": 7, "torch": 42}


def test_what_the_capturer_has_said_stays(tmp_path: Path) -> None:
    import msgspec

    said = Capture(original="torch", versions={}, inputs=("x",), outputs=("y",), training=Training(untrainable="a hook"))
    folder = write_capture(tmp_path / "capture", said, graph=b"", reference={})
    add_training(folder, Training(cells=("c",), untrainable=""))
    read = msgspec.json.decode((folder / CAPTURE_FILE).read_bytes(), type=Capture)
    assert read.training == Training(cells=("c",), untrainable="a hook")
