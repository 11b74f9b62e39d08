"""What a magic leaves on the disk is for its owner alone, and personal rows are not left at all."""

import stat
from pathlib import Path

import numpy as np
import pytest
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell

from jupyter_mlprod.core.answer import Ends
from jupyter_mlprod.core.bundle import Bundle
from jupyter_mlprod.core.private import private_folder
from jupyter_mlprod.core.record import digest
from jupyter_mlprod.workspace import open_workspace
from tests.verbs.tiny import furnish, linear

ROWS = np.random.default_rng(5).normal(size=(8, 3))
PERSONAL = '[inputs.input]\npii = "vitals"\n'
WORDS = "package model.onnx --name tiny --example rows --preprocess prepare.py:prepare --contract contract --data rows"


@pytest.fixture
def notebook(shell: InteractiveShell) -> InteractiveShell:
    """A notebook with rows, in a workspace whose scratch folder an older version has left open to all."""
    furnish(Path.cwd())
    linear(Path("model.onnx"), shift=0.0)
    shell.user_ns |= {"rows": ROWS, "contract": PERSONAL}
    Path(".mlprod/scratch").mkdir(parents=True)
    Path(".mlprod/scratch").chmod(0o755)
    return shell


def holding() -> list[str]:
    """The files below the workspace's store that hold a row as it is."""
    return [str(path) for path in sorted(Path(".mlprod").rglob("*")) if path.is_file() and ROWS[0].tobytes() in path.read_bytes()]


def open_to_others() -> list[str]:
    paths = [Path(".mlprod/scratch"), *(path for path in Path(".mlprod/scratch").rglob("*") if path.is_file())]
    return [str(path) for path in paths if stat.S_IMODE(path.stat().st_mode) & 0o077]


def test_personal_rows_are_gone_when_the_bundle_is_made_and_when_it_is_refused(notebook: InteractiveShell) -> None:
    made = notebook.run_line_magic("mlprod", f"{WORDS} --labels left,right")
    assert isinstance(made, Bundle)
    assert holding() == []
    with pytest.raises(UsageError, match="labels"):
        notebook.run_line_magic("mlprod", f"{WORDS} --labels left,right,middle")
    assert holding() == []
    notebook.user_ns["net"] = 7
    with pytest.raises(UsageError, match="no torch module"):
        notebook.run_line_magic("mlprod", WORDS.replace("model.onnx", "net"))
    assert holding() == []
    again = notebook.run_line_magic("mlprod", f"{WORDS} --labels left,right")
    assert digest(again) == digest(made)


def test_other_rows_wait_in_files_that_nobody_else_may_read(notebook: InteractiveShell) -> None:
    notebook.user_ns["contract"] = "[inputs.input]\nhigh = 99\n"
    notebook.run_line_magic("mlprod", f"{WORDS} --labels left,right")
    notebook.run_line_magic("mlprod", "check tiny --data rows[2:]")
    assert [path.partition("/scratch/")[1] for path in holding()] == ["", "/scratch/"], "the golden samples, and the example"
    assert len(list(Path(".mlprod/scratch/live").rglob("*.np*"))) == 1, "the rows that were checked are gone"
    assert open_to_others() == []


def test_a_capture_is_for_its_owner_alone(notebook: InteractiveShell) -> None:
    del notebook
    capture = open_workspace(Path.cwd()).models.capture("model.onnx", ROWS.astype(np.float32), Ends(), shapes={})
    assert stat.S_IMODE(capture.stat().st_mode) == 0o700
    assert open_to_others() == []


def test_a_file_system_without_rights_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "chmod", refused)
    assert private_folder(tmp_path / "made" / "here").is_dir()


def test_rows_that_were_checked_against_a_bundle_with_personal_data_are_gone(notebook: InteractiveShell) -> None:
    notebook.run_line_magic("mlprod", f"{WORDS} --labels left,right")
    notebook.run_line_magic("mlprod", "check tiny --data rows")
    assert holding() == []
    with pytest.raises(UsageError):
        notebook.run_line_magic("mlprod", "check tiny --data rows --target y")
    assert holding() == []
    assert not list(Path(".mlprod/scratch/live").rglob("*.np*"))
