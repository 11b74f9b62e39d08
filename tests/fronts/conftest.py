"""IPython with the extension loaded: in this process, and as a real kernel."""

import atexit
import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from jupyter_client.manager import start_new_kernel
from traitlets.config import Config


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[InteractiveShell]:
    """A shell of this process in an empty folder, the extension loaded."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.chdir(tmp_path)
    InteractiveShell.clear_instance()
    found = InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
    found.run_line_magic("load_ext", "jupyter_mlprod")
    try:
        yield found
    finally:
        found.run_line_magic("unload_ext", "jupyter_mlprod")
        InteractiveShell.clear_instance()
        atexit.unregister(found.atexit_operations)  # which keeps the shell, and collects garbage, once for each of hundreds


def write_notebook(path: Path, cells: Sequence[str]) -> None:
    """A notebook of code cells that have not run."""
    code: list[dict[str, Any]] = [
        {"cell_type": "code", "id": f"c{i}", "metadata": {}, "source": cell, "outputs": [], "execution_count": None}
        for i, cell in enumerate(cells)
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    path.write_text(json.dumps({"cells": code, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}))


class Ran:
    """What a cell came to: status of the reply, standard output and error, and each result by its mime types."""

    def __init__(self, status: str, streams: dict[str, str], results: list[dict[str, str]], errors: list[str]) -> None:
        self.status = status
        self.out = streams.get("stdout", "")
        self.err = streams.get("stderr", "")
        self.results = results
        self.errors = errors


class Kernel:
    """A kernel and what a front end asks of it."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def run(self, code: str) -> Ran:
        streams: dict[str, str] = {}
        results: list[dict[str, str]] = []
        errors: list[str] = []

        def heard(message: dict[str, Any]) -> None:
            content = message["content"]
            if message["msg_type"] == "stream":
                streams[content["name"]] = streams.get(content["name"], "") + content["text"]
            elif message["msg_type"] in ("execute_result", "display_data"):
                results.append(content["data"])
            elif message["msg_type"] == "error":
                errors.append(content["ename"])

        reply = self.client.execute_interactive(code, timeout=120, output_hook=heard)
        return Ran(reply["content"]["status"], streams, results, errors)

    def complete(self, code: str) -> tuple[str, list[str]]:
        """The text that would be replaced, and by what."""
        content = self.client.complete(code, cursor_pos=len(code), reply=True, timeout=60)["content"]
        assert content["status"] == "ok"
        return code[content["cursor_start"] : content["cursor_end"]], content["matches"]


@pytest.fixture(scope="session")
def kernel(made_workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """A real kernel in a copy of the made workspace, the extension loaded."""
    folder = tmp_path_factory.mktemp("kernel") / "made"
    shutil.copytree(made_workspace, folder)
    manager, client = start_new_kernel(cwd=str(folder))
    found = Kernel(client)
    try:
        assert found.run("%load_ext jupyter_mlprod").status == "ok"
        yield found
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
