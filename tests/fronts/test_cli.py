"""The command line as a shell sees it: what is on which stream, with which exit status."""

import contextlib
import errno
import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest

from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.requests import REQUESTS
from jupyter_mlprod.fronts import call, cli
from tests.project import mlprod

PROGRAM = [sys.executable, "-m", "jupyter_mlprod"]
CLEAN = {key: value for key, value in os.environ.items() if not key.startswith(("MLPROD_", "NO_COLOR", "TERM"))}


@pytest.mark.parametrize("words", [["list"], ["show", "tiny"], ["history", "tiny"], ["scan", "tiny"], ["compare", "tiny:1", "tiny:2"]])
def test_json_is_exactly_one_record_on_standard_output(words: list[str], made_workspace: Path) -> None:
    done = mlprod(*words, "--json", cwd=made_workspace)
    assert done.stdout.count("\n") == 1
    assert set(json.loads(done.stdout)) >= {"schema", "digest"}
    assert done.stderr == ""


def test_a_table_is_printed_without_json(made_workspace: Path) -> None:
    done = mlprod("list", cwd=made_workspace)
    assert done.stdout.splitlines()[1].split()[:3] == ["name", "digest", "version"]
    assert done.stderr == ""


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["help"]])
def test_help_names_every_verb(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(words) == 0
    shown = capsys.readouterr().out
    assert all(f"  {verb} " in shown for verb in REQUESTS)
    assert "--json" in shown


def test_nothing_at_all_shows_the_help_as_a_bad_request(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 2
    assert capsys.readouterr().out.startswith("usage: mlprod VERB")


@pytest.mark.parametrize("verb", REQUESTS)
def test_every_verb_has_help_that_names_its_options(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([verb, "--help"]) == 0
    shown = capsys.readouterr().out
    for option in call.options_of(REQUESTS[verb]):
        assert (option.metavar if option.positional else option.written) in shown
        assert option.help.split()[0] in shown
    assert cli.main(["help", verb]) == 0
    assert capsys.readouterr().out == shown


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"mlprod {version('jupyter-mlprod')}\n"


@pytest.mark.parametrize(
    ("words", "says", "hint"),
    [
        (["pakage"], "no verb 'pakage' (did you mean 'package'?)", "mlprod --help"),
        (["pakage", "--help"], "no verb 'pakage' (did you mean 'package'?)", "mlprod --help"),
        (["--jsn"], "no verb '--jsn'", "mlprod --help"),
        (["check", "tiny", "--dta", "x.npy"], "mlprod check has no option --dta (did you mean '--data'?)", "mlprod check --help"),
        (["check", "tiny", "--dta=x.npy"], "mlprod check has no option --dta (did you mean '--data'?)", "mlprod check --help"),
        (["check", "tiny", "more", "--data", "x.npy"], "mlprod check has no place for 'more'", "mlprod check --help"),
        (["check", "--data", "x.npy"], "mlprod check needs SUBJECT", "mlprod check --help"),
        (["check", "tiny", "--data"], "mlprod check: argument --data: expected one argument", "mlprod check --help"),
        (["package", "m:o", "--name", "n", "--example", "x", "--scores", "odds"], "invalid choice: 'odds'", "mlprod package --help"),
        (["profile", "tiny", "--threads", "many"], "Expected `int`, got `str`", "mlprod profile --help"),
        (["profile", "tiny", "--threads", "0"], "`int` >= 1", "mlprod profile --help"),
        (["gate", "a.ipynb", "-p", "epochs"], "expected 2 arguments", "mlprod gate --help"),
    ],
)
def test_a_bad_request_says_what_and_what_next_on_standard_error(
    words: list[str], says: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(words) == 2
    told = capsys.readouterr()
    first, second = told.err.splitlines()
    assert first.startswith("bad-request: ")
    assert says in first
    assert second == f"hint: {hint}"
    assert told.out == ""


@pytest.mark.parametrize(
    "words",
    [
        ["tiny", "x.npy", "--threads", "2", "--out", "o.csv"],
        ["--threads", "2", "tiny", "--out", "o.csv", "x.npy"],
        ["tiny", "--threads", "2", "x.npy", "o.csv"],
        ["--subject", "tiny", "--data=x.npy", "--out", "o.csv", "--threads=2"],
    ],
)
def test_words_may_stand_in_any_order(words: list[str]) -> None:
    assert call.parse("predict", words) == REQUESTS["predict"](subject="tiny", data="x.npy", out="o.csv", threads=2)


def test_many_subjects_may_stand_around_options() -> None:
    request = call.parse("gate", ["a.ipynb", "--policy", "execution", "b.ipynb", "-p", "n", "1", "-p", "m", "2"])
    assert request == REQUESTS["gate"](subjects=("a.ipynb", "b.ipynb"), policy="execution", parameters={"n": "1", "m": "2"})


@pytest.mark.parametrize("code", Code)
def test_every_code_ends_with_its_status(code: Code, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def refuse(words: list[str], *, as_json: bool) -> int:
        raise MlprodError(code, "what\nand \x1b[31mmore", hint="do this")

    monkeypatch.setattr(cli, "_run", refuse)
    assert cli.main(["list"]) == code.status
    assert code.status in (1, 2, 3, 4)
    told = capsys.readouterr()
    assert told.err == f"{code.label}: what\n  and [31mmore\nhint: do this\n"
    assert told.out == ""


def ending_in(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> int:
    def end(words: list[str], *, as_json: bool) -> int:
        raise error

    monkeypatch.setattr(cli, "_run", end)
    return cli.main(["list"])


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EIO, errno.EMFILE])
def test_a_failing_disk_that_nobody_named_ends_in_one_line_and_4(
    number: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ending_in(OSError(number, os.strerror(number), "/data/x"), monkeypatch) == 4
    assert capsys.readouterr().err.splitlines()[0] == f"disk: /data/x: {os.strerror(number)}"


@pytest.mark.parametrize(
    "bug", [ZeroDivisionError(), KeyError("x"), OSError("could not get source code"), ConnectionResetError(104, "reset")]
)
def test_a_bug_keeps_its_trace(bug: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(type(bug)):
        ending_in(bug, monkeypatch)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("words", [["list"], ["--help"]])
def test_a_full_disk_under_standard_output_ends_in_one_line_and_4(words: list[str], made_workspace: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([*PROGRAM, *words], cwd=made_workspace, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert (done.returncode, done.stderr.splitlines()[0]) == (4, "disk: No space left on device")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("words", [["list"], ["--help"], ["list", "--json"]])
def test_a_reader_who_has_gone_gets_no_trace(words: list[str], made_workspace: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run([*PROGRAM, *words], cwd=made_workspace, stdout=write, stderr=subprocess.PIPE, text=True, timeout=60)
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (141, "")


def files_of(folder: Path) -> set[Path]:
    return {path for part in ("records", "scratch") for path in (folder / ".mlprod" / part).rglob("*")}


SAY_WHEN = """
import gc, sys
from importlib import abc
from pathlib import Path

class Watch(abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name in ("numpy", "onnxruntime.capi._pybind_state"):
            Path(f"reached-{name}").touch()

def measuring(disable=gc.disable):
    disable()
    if sys._getframe(1).f_globals["__name__"].endswith("verbs.profile"):
        Path("reached-measuring").touch()

gc.disable = measuring
sys.meta_path.insert(0, Watch())
"""
"""Put where Python looks first, it touches a file when something is about to be imported, or is being timed."""


@pytest.mark.parametrize("moment", ["numpy", "onnxruntime.capi._pybind_state", "measuring"])
def test_ctrl_c_cancels_a_profile_and_leaves_no_record(moment: str, workspace_copy: Callable[[str], Path]) -> None:
    folder = workspace_copy("cancelled")
    (folder / "sitecustomize.py").write_text(SAY_WHEN)
    before = files_of(folder)
    words = ["profile", "tiny", "--budget-s", "300"]
    environ = {**CLEAN, "PYTHONPATH": str(folder)}
    with subprocess.Popen([*PROGRAM, *words], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ) as child:
        end = time.monotonic() + 60
        while not (folder / f"reached-{moment}").exists():
            assert child.poll() is None
            assert time.monotonic() < end
            time.sleep(0.002)
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=60)
    assert (child.returncode, out, err) == (130, "", "cancelled\n")
    assert files_of(folder) == before


def test_an_extension_module_that_was_interrupted_counts_as_cancelled(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    error = ImportError("initialization failed")
    error.__cause__ = KeyboardInterrupt()
    assert ending_in(error, monkeypatch) == 130
    assert capsys.readouterr().err == "cancelled\n"


def on_a_terminal(words: list[str], *, cwd: Path, environ: dict[str, str], typed: str = "") -> tuple[int, str]:
    """Exit status, and what a terminal was sent."""
    mine, theirs = pty.openpty()
    try:
        child = subprocess.Popen([*PROGRAM, *words], cwd=cwd, stdin=theirs, stdout=theirs, stderr=theirs, env={**CLEAN, **environ})
    finally:
        os.close(theirs)
    with child, os.fdopen(mine, "rb+", buffering=0) as terminal:
        terminal.write(typed.encode())
        shown = b""
        with contextlib.suppress(OSError):  # how Linux says that nobody holds the other end any more
            while piece := terminal.read(4096):
                shown += piece
        return child.wait(60), shown.decode()


@pytest.fixture(scope="module")
def verdict(made_workspace: Path) -> str:
    """Digest of a stored verdict."""
    history = json.loads(mlprod("history", "tiny", "--json", cwd=made_workspace).stdout)
    return str(history["rows"][-1][-1])


@pytest.mark.parametrize(
    ("environ", "colored"),
    [
        ({"TERM": "xterm"}, True),
        ({"TERM": "xterm", "NO_COLOR": ""}, True),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False),
        ({"TERM": "dumb"}, False),
    ],
)
def test_colors_only_on_a_terminal_that_wants_them(environ: dict[str, str], colored: bool, made_workspace: Path, verdict: str) -> None:
    status, shown = on_a_terminal(["show", verdict], cwd=made_workspace, environ=environ)
    assert status == 0
    assert "✓ pass" in shown
    assert ("\x1b[32m" in shown) is colored


def test_no_colors_in_a_pipe(made_workspace: Path, verdict: str) -> None:
    assert "\x1b" not in mlprod("show", verdict, cwd=made_workspace, environ={"TERM": "xterm"}).stdout


def test_a_terminal_that_cannot_write_a_sign_gets_its_number(made_workspace: Path, verdict: str) -> None:
    done = mlprod("show", verdict, cwd=made_workspace, environ={"PYTHONIOENCODING": "ascii"})
    assert "\\u2713 pass" in done.stdout
    assert "\\u2265 0.8" in done.stdout


def test_init_asks_on_a_terminal_and_enter_keeps_the_default(tmp_path: Path) -> None:
    status, shown = on_a_terminal(["init"], cwd=tmp_path, environ={}, typed="sorting mail\n\n\n\n\n0.75\n")
    assert status == 0, shown
    written = (tmp_path / "mlprod.toml").read_text()
    assert "sorting mail" in written
    assert "0.75" in written


def test_the_end_of_the_input_cancels_what_is_asked(tmp_path: Path) -> None:
    status, shown = on_a_terminal(["init"], cwd=tmp_path, environ={}, typed="\x04")
    assert status == 130
    assert shown.endswith("cancelled\r\n")
    assert not (tmp_path / "mlprod.toml").exists()
