"""The panel in a real browser: JupyterLab runs a notebook, a suggestion is ticked and accepted, and what is saved is static."""

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fronts.conftest import write_notebook

NEEDED = "MLPROD_NEEDS_BROWSER" in os.environ
"""Set where the absence of a browser is a failure and no reason to skip."""
CHROMIUM = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), "")
PATIENCE_S = 90
IDLE = "() => window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
"""Before that a command to run asks which kernel is meant."""
CELLS = (
    "%load_ext jupyter_mlprod",
    "import numpy as np; ages = {'age': np.append(np.arange(97) % 17, [200, 300, 400]), 'site': ['l', 'r'] * 50}",
    "%mlprod contract infer ages --out contract.toml",
    "%mlprod contract show contract.toml --data ages",
)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM and not NEEDED, reason="no Chromium on the path"),
]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A folder, and the address of a JupyterLab that serves it to whoever holds the token."""
    folder, own = tmp_path_factory.mktemp("lab"), tmp_path_factory.mktemp("jupyter")
    write_notebook(folder / "contract.ipynb", CELLS)
    port, token = _free_port(), secrets.token_hex(16)
    options = {"ServerApp.ip": "127.0.0.1", "ServerApp.port": port, "ServerApp.token": token, "ServerApp.open_browser": "False",
               "ServerApp.root_dir": folder, "ServerApp.allow_root": "True", "LabApp.expose_app_in_browser": "True",
               "LabApp.check_for_updates_class": "jupyterlab.NeverCheckForUpdate", "LabApp.news_url": "None"}  # fmt: skip
    environ = {**os.environ, "JUPYTER_CONFIG_DIR": str(own / "config"), "JUPYTER_DATA_DIR": str(own / "data"),
               "JUPYTER_RUNTIME_DIR": str(own / "runtime"), "IPYTHONDIR": str(own / "ipython")}  # fmt: skip
    command = [sys.executable, "-m", "jupyterlab", *(f"--{name}={value}" for name, value in options.items())]
    with (
        (own / "log").open("wb") as log,
        subprocess.Popen(command, cwd=folder, env=environ, stdout=log, stderr=subprocess.STDOUT) as server,
    ):
        try:
            _answering(f"http://127.0.0.1:{port}/api/status?token={token}", server, own / "log")
            yield folder, f"http://127.0.0.1:{port}/lab/tree/contract.ipynb?token={token}"
        finally:
            server.terminate()


def _answering(url: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end and server.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    pytest.fail(f"JupyterLab did not start: {log.read_text()[-2000:]}")


@pytest.fixture(scope="module")
def page(lab: tuple[Path, str]) -> Iterator[Any]:
    """The notebook, all of its cells run, in a browser."""
    playwright = pytest.importorskip("playwright.sync_api") if not NEEDED else __import__("playwright.sync_api").sync_api
    with playwright.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        context = browser.new_context(viewport={"width": 1400, "height": 1100})
        found = context.new_page()
        found.set_default_timeout(PATIENCE_S * 1000)
        found.goto(lab[1])
        found.wait_for_selector(".jp-Notebook .jp-CodeCell")
        found.wait_for_function(IDLE)
        found.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells'); }")
        found.wait_for_selector(".mlprod-panel form")
        yield found
        browser.close()


def test_a_suggestion_is_ticked_with_the_keyboard_and_accepted_into_the_file(page: Any, lab: tuple[Path, str]) -> None:
    file = lab[0] / "contract.toml"
    assert "\nlow = 0" not in file.read_text()
    assert page.get_by_role("button", name="Accept").is_disabled()
    page.get_by_role("checkbox", name="inputs.age.range").focus()
    page.keyboard.press("Space")
    page.wait_for_selector(".mlprod-panel pre:has-text('high = 16')")
    page.get_by_role("button", name="Accept").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(".mlprod-status:has-text('declared in contract.toml: inputs.age.range')")
    text = file.read_text()
    assert "\nlow = 0\nhigh = 16\n" in text
    assert "# suggestion inputs.site.categories" in text  # a person's file keeps all else
    page.wait_for_selector(".mlprod td:has-text('0 … 16')")
    assert page.get_by_role("checkbox", name="inputs.age.range").count() == 0
    assert page.locator(".mlprod svg").count() == 2


def test_a_refusal_is_shown_as_one_line_and_the_file_stays(page: Any, lab: tuple[Path, str]) -> None:
    file = lab[0] / "contract.toml"
    good = file.read_text()
    file.write_text(good + "\n[inputs.age\n")
    page.get_by_role("checkbox", name="inputs.site.categories").check()
    page.get_by_role("button", name="Accept").click()
    status = page.wait_for_selector(".mlprod-status.mlprod-failed")
    assert "bad-contract" in status.inner_text()
    assert "Traceback" not in page.inner_text(".jp-Notebook")
    assert file.read_text() == good + "\n[inputs.age\n"
    file.write_text(good)


def test_what_is_saved_is_static(page: Any, lab: tuple[Path, str]) -> None:
    page.evaluate("() => { window.jupyterapp.commands.execute('docmanager:save'); }")
    end = time.monotonic() + PATIENCE_S
    output: Any = {}
    while time.monotonic() < end and not output:
        cells = json.loads((lab[0] / "contract.ipynb").read_text())["cells"]
        output = next((one["data"] for one in cells[3]["outputs"] if "data" in one), {})
        time.sleep(0.1)
    shown = "".join(output["text/html"])
    assert "0 … 16" in shown  # as it was after the suggestion was accepted
    assert "<script" not in shown
    assert "contract of contract.toml" in "".join(output["text/plain"])
