"""A workspace with two tiny models that were packaged, gated and promoted, made once and copied for each use."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.project import PACKAGE, make_files, mlprod

__all__ = ["PACKAGE", "mlprod"]


@pytest.fixture(scope="session", autouse=True)
def no_index() -> Iterator[None]:
    """No package index is asked, but by the tests of locks themselves."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLPROD_LOCK", "pins")
        yield


@pytest.fixture(scope="session")
def made_workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``tiny`` packaged, gated and promoted twice: version 1 is the former champion, version 2 the champion."""
    folder = tmp_path_factory.mktemp("made")
    make_files(folder)
    for model in ("first", "second"):
        mlprod("package", f"tiny_models:{model}", *PACKAGE, cwd=folder)
        subject = json.loads(mlprod("list", "--json", cwd=folder).stdout)["rows"][0][1]
        mlprod("evaluate", subject, "--data", "x.npy", "--target", "y.npy", cwd=folder)
        mlprod("gate", subject, "--promote", "champion", cwd=folder)
    return folder


@pytest.fixture
def workspace_copy(made_workspace: Path, tmp_path: Path) -> Callable[[str], Path]:
    """A copy of the made workspace under a name."""

    def copy(name: str) -> Path:
        target = tmp_path / name
        shutil.copytree(made_workspace, target)
        return target

    return copy
