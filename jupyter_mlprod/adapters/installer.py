"""uv, or pip where there is no uv, as child processes: port `Installer`.

uv comes first because it knows the hashes in a second where pip fetches every file. Neither is ever given a line, option or URL of a
bundle, only what `core/lock.py` wrote. What the two say is shown to a person and decides nothing: their exit status does.
"""

import configparser
import importlib
import importlib.metadata
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from packaging.version import Version

from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.indexes import has_own_index, pip_files, pip_options, uv_environ
from jupyter_mlprod.core.lock import Pin
from jupyter_mlprod.core.ports import Ended

INSTALL_LIMIT_S = 900.0
PROBE_LIMIT_S = 60.0
NO_SOLUTION = 1
"""uv's exit status when the index answered and does not have it; 2 when it did not answer."""
PIP_LOCKS = Version("25.1")
CALM = {"UV_HTTP_RETRIES": "1", "UV_PYTHON_DOWNLOADS": "never", "PIP_RETRIES": "1", "NO_COLOR": "1"}
"""One quick retry, since whoever is offline should not wait for it; and no interpreter is fetched."""
LEFT_OUT = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
"""Through these an installer would find this environment's packages and call them installed."""

TEMPORARY = ("TMPDIR", "TMP", "TEMP")
"""Where a killed child leaves its half-made files: in the folder that is removed after it."""


class Installer:
    """Port `Installer`."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ

    def tool(self) -> str:
        """What would ask an index: ``uv``, a pip that can lock, or the empty string."""
        if _uv():
            return "uv"
        version = importlib.metadata.version("pip") if importlib.util.find_spec("pip") else ""
        return f"pip {version}" if version and Version(version) >= PIP_LOCKS else ""

    def only_default_index(self) -> bool:
        """Whether every file that an index names is one that everybody can fetch there."""
        return not has_own_index(self._pip(), self.environ) and not _uv_configured(self.environ)

    def compiled(self, pins: Sequence[Pin], *, deadline: float) -> Mapping[str, Any] | None:
        """uv's or pip's own lock of the pins, folders and ``file:`` indexes left aside.

        Raises
        ------
        MlprodError : ``index-away`` when no index answered before the deadline (of ``time.monotonic``), or nothing here can ask one.
        """
        if not self.tool():
            raise MlprodError(Code.INDEX, "neither uv nor a pip that can lock (25.1 or newer) is installed", hint="pip install uv")
        uv = _uv()
        with tempfile.TemporaryDirectory(prefix="mlprod-lock-") as name:
            folder = Path(name)
            (folder / "requirements.in").write_text("".join(f"{pin}\n" for pin in pins))
            out = folder / "pylock.toml"
            command = [sys.executable, "-m", "pip", "lock", "--quiet", "--no-deps", "-r", "requirements.in", "-o", str(out)]
            if uv:
                command = [uv, "pip", "compile", "--quiet", "--no-deps", "--generate-hashes", "--format", "pylock.toml"]
                command += [*_torch_backend(pins), "--python", sys.executable, "--output-file", str(out), "requirements.in"]
            ended = self.run(command, folder=folder, environ=self._environ(remote_only=True), deadline=deadline)
            if ended is None or (ended.status != 0 and not self._answers(ended, sys.executable, folder, uv=uv, deadline=deadline)):
                raise MlprodError(Code.INDEX, f"{self.tool()} got no answer from the package index")
            return tomllib.loads(out.read_text("utf-8")) if ended.status == 0 else None

    def environment(self, home: Path, requirements: Sequence[str], wheels: Sequence[Path]) -> tuple[Path, str]:
        """A new environment under ``home`` with what the requirement texts pin, each text all with hashes or all without, and wheels.

        Returns
        -------
        its interpreter, and what the installer said when it refused, else the empty string

        Raises
        ------
        MlprodError : ``index-away``, or ``not-rebuilt`` when there can be no environment at all.
        """
        uv, deadline = _uv(), time.monotonic() + INSTALL_LIMIT_S
        environ = self._environ(remote_only=False)
        base = [uv, "venv", "--quiet", "--no-project", "--python", sys.executable] if uv else [sys.executable, "-m", "venv"]
        made = self.run([*base, str(home / "env")], folder=home, environ=environ, deadline=deadline)
        if made is None or made.status != 0:
            raise MlprodError(Code.NOT_REBUILT, f"no environment could be made: {made.said if made else 'it took too long'}")
        python = home / "env" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        install = [uv, "pip", "install", "--python", str(python)] if uv else [str(python), "-m", "pip", "install"]
        for step in (*_requirement_steps(home, requirements), *([str(wheel)] for wheel in wheels)):
            ended = self.run([*install, "--quiet", "--no-deps", *step], folder=home, environ=environ, deadline=deadline)
            if ended is None or (ended.status != 0 and not self._answers(ended, str(python), home, uv=uv, deadline=deadline)):
                what = ended.said if ended else f"it took more than {INSTALL_LIMIT_S:.0f} s"
                raise MlprodError(Code.INDEX, f"the packages could not be fetched: {what}", hint="try again when the package index answers")
            if ended.status != 0:
                return python, ended.said
        return python, ""

    def run(self, command: Sequence[str], *, folder: Path, environ: Mapping[str, str], deadline: float) -> Ended | None:
        """Run a command to its end; None when the deadline came first. It and its children are gone afterwards, also when cancelled."""
        with subprocess.Popen(  # noqa: S603  our own command lines, without a shell
            command,
            cwd=folder,
            env={**environ, **dict.fromkeys(TEMPORARY, str(folder))},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
            errors="replace",
        ) as child:
            try:
                said, _ = child.communicate(timeout=max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                return None
            finally:
                if child.poll() is None:
                    _kill(child)
        return Ended(status=child.returncode, said=" ".join(said.split())[-600:])

    def _answers(self, ended: Ended, python: str, home: Path, *, uv: str, deadline: float) -> bool:
        """Whether an installer that failed had an index to ask: uv says so by its status, pip is asked for what every index has."""
        if uv:
            return ended.status == NO_SOLUTION
        probe = [python, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(home / "probe"), "packaging"]
        deadline = min(deadline, time.monotonic() + PROBE_LIMIT_S)
        asked = self.run(probe, folder=home, environ=self._environ(remote_only=False), deadline=deadline)
        return asked is not None and asked.status == 0

    def _environ(self, *, remote_only: bool) -> dict[str, str]:
        kept = {name: value for name, value in self.environ.items() if name not in LEFT_OUT}
        return {**CALM, **kept, **uv_environ(self._pip(), self.environ, remote_only=remote_only)}

    def _pip(self) -> dict[str, str]:
        files = pip_files(self.environ, home=Path.home(), prefix=Path(sys.prefix))
        try:
            return pip_options([file.read_text("utf-8") for file in files if file.is_file()], self.environ)
        except (configparser.Error, OSError, UnicodeDecodeError) as error:
            raise MlprodError(Code.INDEX, f"pip's configuration cannot be read: {' '.join(str(error).split())[:200]}") from None


def _requirement_steps(home: Path, requirements: Sequence[str]) -> list[list[str]]:
    """The arguments that install each text of requirements; a text with hashes takes nothing without."""
    steps = []
    for index, text in enumerate(filter(None, requirements)):
        path = home / f"requirements-{index}.txt"
        path.write_text(text)
        steps.append([*(["--require-hashes"] if "--hash=" in text else []), "-r", str(path)])
    return steps


def _torch_backend(pins: Sequence[Pin]) -> list[str]:
    """uv's name for PyTorch's own index, when one of its local labels is pinned."""
    labels = {pin.pytorch_label for pin in pins if pin.pytorch_label}
    return ["--torch-backend", *labels] if len(labels) == 1 else []


def _kill(child: "subprocess.Popen[str]") -> None:
    """The whole group: an installer has children of its own."""
    if hasattr(os, "killpg"):
        os.killpg(child.pid, signal.SIGKILL)
    else:
        child.kill()


def _uv() -> str:
    """uv's binary from the path or the installed package, or the empty string."""
    return shutil.which("uv") or (str(importlib.import_module("uv").find_uv_bin()) if importlib.util.find_spec("uv") else "")


def _uv_configured(environ: Mapping[str, str]) -> bool:
    """Whether uv has a configuration of its own, which may name an index."""
    personal = environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    shared = (environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":")
    folders = (personal, *shared, "/etc")
    return bool(environ.get("UV_CONFIG_FILE")) or any((Path(folder) / "uv" / "uv.toml").is_file() for folder in folders if folder)
