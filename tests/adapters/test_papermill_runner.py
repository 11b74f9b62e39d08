"""The runner and its engine, with real kernels: a cell is completed only when it is true, and a failure is never lost."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from jupyter_mlprod.adapters.papermill_runner import PapermillRunner
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.ports import NotebookRun

Cell = str | tuple[str, str]
"""Source, or source and tag."""

JOURNAL = (
    "import json, os, pathlib\ndef note(digest):\n    with open(pathlib.Path(os.environ['MLPROD_RUN'], 'records.jsonl'), 'a') as file:"
)
JOURNAL += "\n        file.write(json.dumps({'digest': digest, 'schema': 'evidence/1'}) + '\\n')"
THIRD = "open('third-ran', 'w').close()"


class Desk:
    """A folder with a notebook in it, and what a run of it left."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.notebook = folder / "input {a}.ipynb"
        self.output = folder / "output.ipynb"
        self.run_folder = folder / "run"
        self.run_folder.mkdir()
        self.progress: list[tuple[int, int, str]] = []

    def write(self, *cells: Cell, kernel: str = "python3") -> None:
        pairs = [(cell, "") if isinstance(cell, str) else cell for cell in cells]
        document = {
            "cells": [_cell(*pair) for pair in pairs],
            "metadata": {"kernelspec": {"name": kernel}},
            "nbformat": 4,
            "nbformat_minor": 4,
        }
        self.notebook.write_text(json.dumps(document))

    def run(self, *, parameters: Mapping[str, Any] | None = None, cell_timeout_s: int = 60) -> NotebookRun:
        runner = PapermillRunner(lambda *step: self.progress.append(step))
        given = parameters or {}
        return runner.run(self.notebook, parameters=given, output=self.output, run_folder=self.run_folder, cell_timeout_s=cell_timeout_s)

    def statuses_on_disk(self) -> list[str]:
        return [cell["metadata"]["papermill"]["status"] for cell in self.cells_on_disk()]

    def cells_on_disk(self) -> list[dict[str, Any]]:
        cells: list[dict[str, Any]] = json.loads(self.output.read_bytes().decode("utf-8"))["cells"]
        return cells


def _cell(source: str, tag: str) -> dict[str, Any]:
    if tag == "markdown":
        return {"cell_type": "markdown", "metadata": {}, "source": source}
    metadata = {"tags": [tag]} if tag else {}
    return {"cell_type": "code", "execution_count": None, "metadata": metadata, "outputs": [], "source": source}


def statuses(run: NotebookRun) -> list[str]:
    return [cell.status for cell in run.cells]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> tuple[Desk, NotebookRun, bool]:
    """One run of a notebook with nothing wrong, which several claims look at."""
    desk = Desk(tmp_path_factory.mktemp("good"))
    desk.write(
        ("# Title", "markdown"),
        ("alpha: float = 0.5\nwords = []\nkeep = 'default'", "parameters"),
        "assert (alpha, words, keep) == (0.25, ['é', 1, None, True, {'k': -1.5}], 'default'), (alpha, words, keep)",
        JOURNAL + "\nnote('sha256:aa')\nnote('sha256:bb')",
        "   \n",
        "!true\nprint(os.environ['MLPROD_RUN'], os.environ['OMP_NUM_THREADS'], os.getcwd(), sep='|')",
        "note('sha256:cc')",
    )
    (desk.run_folder / "records.jsonl").write_text('{"digest": "sha256:of-another-run", "schema": "evidence/1"}\n')
    before = dict(os.environ), Path.cwd()
    run = desk.run(parameters={"alpha": 0.25, "words": ["é", 1, None, True, {"k": -1.5}]})
    return desk, run, (dict(os.environ), Path.cwd()) == before


def test_a_good_notebook_is_completed_in_every_cell(good: tuple[Desk, NotebookRun, bool]) -> None:
    desk, run, _ = good
    assert run.output == str(desk.output)
    assert statuses(run) == ["completed"] * 5
    assert {cell.error for cell in run.cells} == {""}
    assert set(desk.statuses_on_disk()) == {"completed"}


def test_indices_are_those_of_the_input_although_a_cell_was_injected(good: tuple[Desk, NotebookRun, bool]) -> None:
    desk, run, _ = good
    assert [cell.index for cell in run.cells] == [1, 2, 3, 5, 6]
    assert len(desk.cells_on_disk()) == 8


def test_records_belong_to_the_cell_that_wrote_them(good: tuple[Desk, NotebookRun, bool]) -> None:
    _, run, _ = good
    assert {cell.index: cell.records for cell in run.cells if cell.records} == {3: ("sha256:aa", "sha256:bb"), 6: ("sha256:cc",)}


def test_the_kernel_knows_the_run_and_this_process_is_unchanged(good: tuple[Desk, NotebookRun, bool]) -> None:
    desk, _, unchanged = good
    told = "".join(desk.cells_on_disk()[6]["outputs"][0]["text"])
    assert told.strip() == f"{desk.run_folder}|{os.environ.get('OMP_NUM_THREADS', '1')}|{desk.folder}"
    assert unchanged
    assert "MLPROD_RUN" not in os.environ


def test_progress_names_each_cell_and_ends_with_all_done(good: tuple[Desk, NotebookRun, bool]) -> None:
    desk, _, _ = good
    assert desk.progress[0] == (0, 6, "alpha: float = 0.5")
    assert desk.progress[-2:] == [(5, 6, "note('sha256:cc')"), (6, 6, "")]


def test_only_the_whole_output_is_left_in_the_folder(good: tuple[Desk, NotebookRun, bool]) -> None:
    desk, _, _ = good
    assert {path.name for path in desk.folder.iterdir()} == {desk.notebook.name, "output.ipynb", "run"}


@pytest.mark.parametrize(
    ("source", "error"),
    [
        pytest.param("import sys; sys.exit(0)", "SystemExit: 0", id="sys.exit(0)"),
        pytest.param("1/0", "ZeroDivisionError: division by zero", id="exception"),
        pytest.param("def f(:", "SyntaxError", id="syntax error"),
        pytest.param("import os; os._exit(0)", "DeadKernel: the kernel died (exit status 0)", id="os._exit"),
        pytest.param("import os; os.kill(os.getpid(), 9)", "DeadKernel: the kernel died (signal 9", id="kill -9"),
        pytest.param("input()", "StdinNotImplementedError", id="input()"),
        pytest.param("exit()", "EarlyExit", id="exit()"),
        pytest.param("!false\n!true", "CalledProcessError: Command 'false'", id="shell command"),
        pytest.param("x = !false", "CalledProcessError: Command 'false'", id="captured shell command"),
        pytest.param("%%capture\n1/0", "ZeroDivisionError", id="nested cell"),
        pytest.param("open('bad.py', 'w').write('1/0')\n%run bad.py", "ZeroDivisionError", id="%run"),
        pytest.param("import threading\nt = threading.Thread(target=lambda: 1/0); t.start(); t.join()", "ZeroDivisionError", id="thread"),
        pytest.param(
            "import asyncio\nasync def f(): 1/0\nheld = asyncio.create_task(f())\nawait asyncio.sleep(0.1)",
            "ZeroDivisionError: division by zero (in the asyncio task f)",
            id="asyncio task",
        ),
        pytest.param(
            "import time\nwhile not time.sleep(0.001):\n    print('x' * 100_000)",
            "OutputOverCap: output over the cap of 10 MB",
            id="output over the cap",
        ),
    ],
)
def test_a_cell_that_does_not_end_well_fails_and_later_cells_never_ran(desk: Desk, source: str, error: str) -> None:
    desk.write("x = 1", source, THIRD)
    run = desk.run()
    assert statuses(run) == desk.statuses_on_disk() == ["completed", "failed", "pending"]
    assert run.cells[1].error.startswith(error)
    assert "error" in {output["output_type"] for output in desk.cells_on_disk()[1]["outputs"]}
    assert not (desk.folder / "third-ran").exists()


def test_a_cell_over_its_time_is_interrupted_and_failed(desk: Desk) -> None:
    desk.write("import time", "time.sleep(60)", THIRD)
    run = desk.run(cell_timeout_s=1)
    assert statuses(run) == desk.statuses_on_disk() == ["completed", "failed", "pending"]
    assert run.cells[1].error == "CellTimeout: still running after 1 s"
    assert "KeyboardInterrupt" in {output.get("ename") for output in desk.cells_on_disk()[1]["outputs"]}


def test_a_thread_that_fails_after_the_last_cell_fails_it(desk: Desk) -> None:
    desk.write("import threading, time\ndef late():\n    time.sleep(0.5)\n    1/0\nthreading.Thread(target=late).start()")
    assert statuses(desk.run()) == desk.statuses_on_disk() == ["failed"]


def test_a_task_that_outlives_the_last_cell_fails_it(desk: Desk) -> None:
    desk.write("import asyncio\nasync def endless():\n    await asyncio.Event().wait()\nheld = asyncio.create_task(endless())")
    run = desk.run()
    assert statuses(run) == ["failed"]
    assert run.cells[0].error.startswith("StillRunning: the asyncio task endless")


def test_tags_and_handled_errors_are_respected(desk: Desk) -> None:
    handled = "import asyncio\nasync def f(): 1/0\ntry:\n    await asyncio.create_task(f())\nexcept ZeroDivisionError:\n    pass"
    pool = "from concurrent.futures import ThreadPoolExecutor\npool = ThreadPoolExecutor(1)\npool.submit(print, 1).result()"
    local = "def shout(word):\n    out = !echo $word\n    return out[0]\nassert shout('hi') == 'hi'\n!false || true"
    desk.write(("1/0", "raises-exception"), ("assert False", "skip-execution"), handled, pool, local)
    run = desk.run()
    assert statuses(run) == desk.statuses_on_disk() == ["completed", "skipped", "completed", "completed", "completed"]
    assert desk.cells_on_disk()[0]["outputs"][0]["ename"] == "ZeroDivisionError"


def test_a_failing_injected_cell_is_told_as_the_parameters_cell(desk: Desk) -> None:
    desk.write("x = 1", ("rate = 1", "parameters"), THIRD)
    run = desk.run(parameters={"1 rate": 2})
    assert [(cell.index, cell.status) for cell in run.cells] == [(0, "completed"), (1, "failed"), (2, "pending")]
    assert run.cells[1].error.startswith("SyntaxError")


@pytest.mark.parametrize(
    ("hostile", "told"),
    [
        pytest.param(r"\x1b[31mred\x1b[0m\x00 ]]> \n\u202eé", "ValueError: red ]]> éyyy", id="control characters"),
        pytest.param(r"\ud800 \udc80 ]]>", ("ValueError", "UnicodeEncodeError"), id="lone surrogates, on which ipykernel itself stumbles"),
    ],
)
def test_hostile_text_becomes_one_clean_line_and_a_readable_notebook(desk: Desk, hostile: str, told: str | tuple[str, ...]) -> None:
    desk.write(("a lone \ud800 surrogate", "markdown"), f"raise ValueError('{hostile}' + 'y' * 999)", THIRD)
    run = desk.run()
    assert statuses(run) == desk.statuses_on_disk()[1:] == ["failed", "pending"]
    error = run.cells[0].error
    assert error.startswith(told)
    assert error.isprintable()
    assert len(error) <= 300


def test_a_journal_that_cannot_be_read_is_an_error(desk: Desk) -> None:
    desk.write("open('run/records.jsonl', 'w').write('no json\\n')", "2")
    with pytest.raises(MlprodError) as caught:
        desk.run()
    assert caught.value.code is Code.BAD_RECORD
    assert desk.statuses_on_disk()[1] != "completed"


def test_an_unknown_kernel_is_an_infrastructure_error_with_a_hint(desk: Desk) -> None:
    desk.write("1", kernel="no-such-kernel")
    with pytest.raises(MlprodError) as caught:
        desk.run()
    assert caught.value.code is Code.KERNEL
    assert "ipykernel install" in caught.value.hint
    assert desk.statuses_on_disk() == ["pending"]


def test_a_kernel_that_dies_at_start_tells_its_last_words(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = desk.folder / "share" / "kernels" / "broken"
    spec.mkdir(parents=True)
    argv = [sys.executable, "-m", "no_such_module", "{connection_file}"]
    (spec / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": "broken", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(desk.folder / "share"))
    desk.write("1", kernel="broken")
    with pytest.raises(MlprodError, match="No module named no_such_module") as caught:
        desk.run()
    assert caught.value.code is Code.KERNEL


def test_an_output_that_cannot_be_written_is_a_disk_error_before_anything_ran(desk: Desk) -> None:
    desk.write(THIRD)
    desk.output = desk.folder / "absent" / "output.ipynb"
    with pytest.raises(MlprodError) as caught:
        desk.run()
    assert caught.value.code is Code.DISK
    assert not (desk.folder / "third-ran").exists()


def test_a_cell_without_source_is_a_bad_notebook(desk: Desk) -> None:
    desk.write("1", "2")
    document = json.loads(desk.notebook.read_text())
    del document["cells"][1]["source"]
    desk.notebook.write_text(json.dumps(document))
    with pytest.raises(MlprodError) as caught:
        desk.run()
    assert caught.value.code is Code.BAD_NOTEBOOK


def test_a_notebook_runs_from_within_a_running_loop(desk: Desk) -> None:
    desk.write("1", "await __import__('asyncio').sleep(0)")

    async def in_a_kernel() -> NotebookRun:
        return desk.run()

    assert statuses(asyncio.run(in_a_kernel())) == ["completed", "completed"]


def test_an_interrupt_leaves_no_kernel_and_a_partial_notebook(desk: Desk) -> None:
    desk.write(
        "import os, time", "print(os.getpid(), file=open('pid', 'w'), flush=True)\nos.rename('pid', 'ready')\ntime.sleep(300)", THIRD
    )
    program = (
        "import pathlib, sys\nfrom jupyter_mlprod.adapters.papermill_runner import PapermillRunner\n"
        "paths = list(map(pathlib.Path, sys.argv[1:]))\n"
        "try:\n    PapermillRunner().run(paths[0], parameters={}, output=paths[1], run_folder=paths[2], cell_timeout_s=0)\n"
        "except KeyboardInterrupt:\n    sys.exit(130)"
    )
    command = [sys.executable, "-c", program, str(desk.notebook), str(desk.output), str(desk.run_folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as child:
        deadline = time.monotonic() + 60
        while not (desk.folder / "ready").exists() and child.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        child.send_signal(signal.SIGINT)
        said, _ = child.communicate(timeout=30)
    assert (child.returncode, said) == (130, "")
    with pytest.raises(ProcessLookupError):
        os.kill(int((desk.folder / "ready").read_text()), 0)
    assert desk.statuses_on_disk() == ["completed", "failed", "pending"]


def test_papermill_on_the_command_line_fails_on_an_early_exit(desk: Desk) -> None:
    desk.write(("1/0", "raises-exception"), "import sys; sys.exit(0)", THIRD)
    assert _papermill(desk) == 1
    assert desk.statuses_on_disk() == ["completed", "failed", "pending"]


def test_papermill_on_the_command_line_passes_what_the_tag_allows(desk: Desk) -> None:
    desk.write(("1/0", "raises-exception"), THIRD)
    assert _papermill(desk) == 0
    assert desk.statuses_on_disk() == ["completed", "completed"]
    assert "ZeroDivisionError" in "".join(desk.cells_on_disk()[0]["outputs"][0]["text"])


def _papermill(desk: Desk) -> int:
    desk.notebook = desk.notebook.rename(desk.folder / "input.ipynb")
    command = [sys.executable, "-m", "papermill", "--engine", "mlprod", "--no-progress-bar", "input.ipynb", "output.ipynb"]
    return subprocess.run(command, cwd=desk.folder, capture_output=True, check=False, timeout=120).returncode


def test_the_import_that_is_put_off_still_checks_an_iri() -> None:
    program = (
        "import sys\nfrom jupyter_mlprod.adapters import papermill_runner as runner\nrunner._papermill()\n"
        "import jsonschema\nassert 'rfc3987_syntax.syntax_helpers' not in sys.modules\ncheck = jsonschema.FormatChecker().conforms\n"
        "assert check('http://x/é', 'iri') and not check('a b', 'iri')\nassert 'rfc3987_syntax.syntax_helpers' in sys.modules"
    )
    pytest.importorskip("rfc3987_syntax")
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
