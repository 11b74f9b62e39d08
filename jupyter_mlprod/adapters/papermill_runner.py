"""Re-executes a notebook in a fresh kernel through papermill and tells how each of its own code cells ended.

The engine is named, not imported: papermill finds it by its entry point, and what belongs to one run (environment, output, hooks)
travels as engine options, so nothing in this process is changed for it: not ``os.environ``, not the working directory.
"""

import importlib
import importlib.util
import json
import logging
import os
import re
import sys
import types
import unicodedata
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.notebook import read_notebook, source_of, tags_of
from jupyter_mlprod.core.ports import CellRun, CellStatus, NotebookRun

OnCell = Callable[[int, int, str], None]

SINGLE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
"""One thread each, unless set: another number of threads trains other weights."""
START_TIMEOUT_S = 60
ERROR_LENGTH = 300
ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")


class PapermillRunner:
    """The port ``Runner``.

    Parameters
    ----------
    on_cell : called with (cells done, cells in all, first line of the cell) as each code cell starts, and once at the end
    """

    def __init__(self, on_cell: OnCell = lambda _done, _total, _line: None) -> None:
        self._on_cell = on_cell

    def run(self, notebook: Path, *, parameters: Mapping[str, Any], output: Path, run_folder: Path, cell_timeout_s: int) -> NotebookRun:
        """Run every code cell in order until one does not end well; that is told in the result, not raised.

        Parameters
        ----------
        parameters : values of the types that the notebook declares; ints, floats, strings, bools, None, lists and dicts of these
        output : where the executed notebook is written, whole, also after a failure
        run_folder : the kernel finds it in ``MLPROD_RUN`` and lists its records in the file records.jsonl there
        cell_timeout_s : seconds that a cell may take, 0 for no limit

        Raises
        ------
        MlprodError : ``kernel-not-started``, ``disk`` when the output cannot be written, ``bad-notebook``, ``bad-record``
        KeyboardInterrupt : after the kernel was shut down and the partial notebook written
        """
        source, kernel, language = _source(notebook)
        watch = _Watch(run_folder / "records.jsonl", self._on_cell)
        with warnings.catch_warnings():
            # papermill's, nbformat's and traitlets' own deprecations: whoever runs a gate can do nothing about them.
            warnings.simplefilter("ignore")
            papermill = _papermill()
            error = None
            try:
                papermill.execute_notebook(
                    str(notebook.absolute()).replace("{", "{{").replace("}", "}}"),  # papermill formats paths with the parameters
                    None,
                    parameters=dict(parameters),
                    engine_name="mlprod",
                    kernel_name=kernel,
                    language=language,
                    progress_bar=False,
                    report_mode=False,
                    log_output=False,
                    start_timeout=START_TIMEOUT_S,
                    execution_timeout=cell_timeout_s,
                    save_to=str(output.absolute()),
                    kernel_env=_kernel_env(run_folder, notebook.name),
                    resources={"metadata": {"path": str(notebook.absolute().parent)}},
                    on_notebook_start=watch.start,
                    on_cell_start=watch.cell,
                )
            except papermill.exceptions.PapermillExecutionError as failure:
                error = failure
            except papermill.exceptions.PapermillException as fault:
                raise MlprodError(Code.BAD_NOTEBOOK, f"{notebook.name}: {fault}") from fault
        watch.finish()
        failed = (error.cell_index, _one_line(f"{error.ename}: {error.evalue}")) if error is not None else (None, "")
        return NotebookRun(output=str(output), cells=_cell_runs(source, watch, failed=failed, injected=bool(parameters)))


class _Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the run's journal."""

    digest: str
    schema: str


class _Watch:
    """Follows a run through nbclient's hooks: which cell is on, and which records it lists in the journal."""

    def __init__(self, journal: Path, on_cell: OnCell) -> None:
        self.cells: Sequence[Any] = ()
        self.records: dict[int, list[str]] = {}
        self._journal = journal
        self._offset = journal.stat().st_size if journal.exists() else 0
        self._on_cell = on_cell
        self._current = -1
        self._done = 0
        self._total = 0

    def start(self, *, notebook: Any) -> None:
        self.cells = tuple(notebook.cells)
        self._total = sum(map(_is_code, self.cells))

    def cell(self, *, cell: Any, cell_index: int) -> None:
        if not _is_code(cell):
            return
        self._collect()
        self._on_cell(self._done, self._total, cell.source.strip().split("\n")[0])
        self._current = cell_index
        self._done += 1

    def finish(self) -> None:
        self._collect()
        self._on_cell(self._done, self._total, "")

    def _collect(self) -> None:
        """Attribute the new lines to the cell that ran last; a line without an end is still being written."""
        if not self._journal.exists():
            return
        with self._journal.open("rb") as file:
            file.seek(self._offset)
            lines = file.read().splitlines(keepends=True)
        for line in lines:
            if not line.endswith(b"\n"):
                break
            try:
                entry = msgspec.json.decode(line, type=_Entry)
            except msgspec.DecodeError as error:
                raise MlprodError(Code.BAD_RECORD, f"{self._journal}: byte {self._offset} starts no journal entry: {error}") from error
            self._offset += len(line)
            self.records.setdefault(self._current, []).append(entry.digest)


def _cell_runs(source: list[dict[str, Any]], watch: _Watch, *, failed: tuple[int | None, str], injected: bool) -> tuple[CellRun, ...]:
    """The executed cells under the indices of the input; papermill's injected one appears only when it failed."""
    runs: dict[int, CellRun] = {}
    for place, (cell, index) in enumerate(zip(watch.cells, _input_indices(source, injected=injected), strict=True)):
        if not _is_code(cell):
            continue
        status: CellStatus = msgspec.convert(cell.metadata.papermill["status"], CellStatus)
        if (index < 0 or index in runs) and status != "failed":
            continue
        error = failed[1] if place == failed[0] else ""
        runs[index] = CellRun(index=index, status=status, error=error, records=tuple(watch.records.get(place, ())))
    return tuple(runs.values())


def _input_indices(source: list[dict[str, Any]], *, injected: bool) -> list[int]:
    """For each cell that papermill runs, where it stands in the input; the injected one counts as the parameters cell, else as -1."""
    indices = [index for index, cell in enumerate(source) if "papermill-error-cell-tag" not in tags_of(cell)]
    if injected and not any("injected-parameters" in tags_of(cell) for cell in source):
        parameters = next((place for place, index in enumerate(indices) if "parameters" in tags_of(source[index])), -1)
        indices.insert(parameters + 1, indices[parameters] if parameters >= 0 else -1)
    return indices


def _source(notebook: Path) -> tuple[list[dict[str, Any]], str, str]:
    """The input's cells, the name of its kernel and its language."""
    try:
        text = notebook.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise MlprodError(Code.BAD_NOTEBOOK, f"{notebook} cannot be read: {error}") from error
    kernel = read_notebook(text, name=notebook.name).kernel
    document = json.loads(text)
    for index, cell in enumerate(document["cells"]):
        if cell.get("cell_type") not in ("code", "markdown", "raw") or not isinstance(cell.get("metadata"), dict) or "source" not in cell:
            message = f"{notebook.name}: cell {index} lacks its type, metadata or source"
            raise MlprodError(Code.BAD_NOTEBOOK, message, hint="open and save it in JupyterLab")
    metadata = document.get("metadata") or {}
    language = (metadata.get("language_info") or {}).get("name") or (metadata.get("kernelspec") or {}).get("language") or "python"
    return document["cells"], kernel, str(language)


def _is_code(cell: Any) -> bool:
    return bool(cell["cell_type"] == "code" and source_of(cell).strip())


def _kernel_env(run_folder: Path, notebook: str) -> dict[str, str]:
    threads = {name: "1" for name in SINGLE_THREAD if name not in os.environ}
    # Without it the debugger warns about frozen modules on the stderr of every kernel.
    return {**threads, "PYDEVD_DISABLE_FILE_VALIDATION": "1", "MLPROD_RUN": str(run_folder.absolute()), "JPY_SESSION_NAME": notebook}


def _one_line(text: str) -> str:
    shown = "".join(" " if c.isspace() else c for c in ESCAPES.sub("", text) if c.isspace() or unicodedata.category(c)[0] != "C")
    return " ".join(shown.split())[:ERROR_LENGTH]


def _papermill() -> Any:
    """Import papermill without the 1.3 CPU seconds of ``rfc3987_syntax``, and keep its log from printing itself to stderr."""
    name = "rfc3987_syntax"
    if name not in sys.modules and "papermill" not in sys.modules and importlib.util.find_spec(name) is not None:
        sys.modules[name] = _Lazy(name)
    log = logging.getLogger("papermill")
    if not log.handlers:
        log.addHandler(logging.NullHandler())
    return importlib.import_module("papermill")


class _Lazy(types.ModuleType):
    """Stands in for a module until its function is called; jsonschema asks for this one only to check an ``iri``."""

    def is_valid_syntax(self, rule: str, value: str) -> bool:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return bool(importlib.import_module(self.__name__).is_valid_syntax(rule, value))
