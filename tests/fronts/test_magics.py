"""``%mlprod`` as a notebook has it: help, results, refusals, and an extension that leaves nothing behind."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell

import jupyter_mlprod
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.listing import Listing
from jupyter_mlprod.core.nouns import NOUNS
from jupyter_mlprod.core.record import digest_bytes
from jupyter_mlprod.core.requests import REQUESTS
from jupyter_mlprod.fronts import magics
from jupyter_mlprod.fronts.complete import VerbHelp
from jupyter_mlprod.fronts.magics import executed_cells
from tests.fronts.conftest import Kernel
from tests.fronts.records import RECORDS


def parts_of(shell: InteractiveShell) -> dict[str, Any]:
    """Everything of a shell that an extension could leave something in."""
    assert shell.display_formatter is not None
    assert shell.Completer is not None
    formatters = shell.display_formatter.formatters.items()
    return {
        "line": sorted(shell.magics_manager.magics["line"]),
        "cell": sorted(shell.magics_manager.magics["cell"]),
        "registry": sorted(shell.magics_manager.registry),
        "configurables": len(shell.configurables),
        "matchers": list(shell.Completer.custom_matchers),
        "tokens": list(shell.input_transformer_manager.token_transformers),
        "cleanup": list(shell.input_transformer_manager.cleanup_transforms),
        "deferred": {kind: sorted(formatter.deferred_printers) for kind, formatter in formatters},
        "printers": {kind: sorted(map(str, formatter.type_printers)) for kind, formatter in formatters},
        "names": sorted(name for name in shell.user_ns if not name.startswith("_")),
    }


def test_loading_twice_is_loading_once_and_unloading_leaves_nothing(shell: InteractiveShell) -> None:
    shell.run_line_magic("unload_ext", "jupyter_mlprod")
    bare = parts_of(shell)
    shell.run_line_magic("load_ext", "jupyter_mlprod")
    loaded = parts_of(shell)
    assert {key for key in bare if bare[key] != loaded[key]} == {
        "line",
        "cell",
        "registry",
        "configurables",
        "matchers",
        "tokens",
        "deferred",
    }
    shell.run_line_magic("load_ext", "jupyter_mlprod")
    jupyter_mlprod.load_ipython_extension(shell)
    assert parts_of(shell) == loaded
    for record in RECORDS.values():  # a record that was shown moves its formatter from the deferred to the known
        shell.display_formatter.format(record)  # type: ignore[union-attr]
    shell.run_line_magic("unload_ext", "jupyter_mlprod")
    assert parts_of(shell) == bare
    jupyter_mlprod.unload_ipython_extension(shell)
    assert parts_of(shell) == bare


def test_reloading_works_and_stays_single(shell: InteractiveShell) -> None:
    loaded = {key: value for key, value in parts_of(shell).items() if key != "matchers"}
    shell.run_line_magic("reload_ext", "jupyter_mlprod")
    assert {key: value for key, value in parts_of(shell).items() if key != "matchers"} == loaded
    assert len(shell.Completer.custom_matchers) == 1
    assert isinstance(shell.run_line_magic("mlprod", "list"), Listing)


def test_the_magic_knows_every_noun() -> None:
    assert set(magics.NOUNS) == {f"{noun.__module__.rpartition('.')[2]}.{noun.__name__}" for noun in NOUNS}


@pytest.mark.parametrize("noun", RECORDS)
def test_every_record_is_shown_as_html_and_as_readable_text(noun: str, shell: InteractiveShell) -> None:
    assert shell.display_formatter is not None
    shown, _ = shell.display_formatter.format(RECORDS[noun])  # type: ignore[no-untyped-call]
    assert set(shown) == {"text/html", "text/plain"}
    assert shown["text/html"].startswith('<div class="mlprod"')
    assert "\n" in shown["text/plain"]
    for text in shown.values():
        assert "object at 0x" not in text
        assert "Traceback" not in text


def test_a_bare_verb_shows_its_record_and_an_assigned_one_shows_nothing(kernel: Kernel) -> None:
    bare = kernel.run("%mlprod list")
    assert (bare.status, bare.out, bare.err, bare.errors) == ("ok", "", "", [])
    (shown,) = bare.results
    assert set(shown) == {"text/html", "text/plain"}
    assert shown["text/plain"].splitlines()[1].split()[:2] == ["name", "digest"]
    assert "<table" in shown["text/html"]
    kept = kernel.run("r = %mlprod list")
    assert (kept.status, kept.out, kept.err, kept.results) == ("ok", "", "", [])
    assert kernel.run("print(type(r).__name__, r.total)").out == "Listing 2\n"
    assert kernel.run("[r]").results[0]["text/plain"].startswith("[bundles\nname")


@pytest.mark.parametrize(
    ("cell", "first", "says"),
    [
        ("%mlprod package?", "usage: %mlprod package", "a torch module of the notebook"),
        ("%mlprod package ?", "usage: %mlprod package", "a torch module of the notebook"),
        ("%mlprod package??", "usage: %mlprod package", "a torch module of the notebook"),
        ("%mlprod package --help", "usage: %mlprod package", "a torch module of the notebook"),
        ("%mlprod package net -h", "usage: %mlprod package", "a torch module of the notebook"),
        ("%mlprod help package", "usage: %mlprod package", "a torch module of the notebook"),
        ("%mlprod package net \\\n --name n?", "usage: %mlprod package", "a torch module of the notebook"),
        ("x = 1\n%mlprod list?", "usage: %mlprod list", "List the bundles"),
        ("if True:\n    %mlprod list?", "usage: %mlprod list", "List the bundles"),
        ("%mlprod?", "usage: %mlprod VERB", "rollback"),
        ("%mlprod", "usage: %mlprod VERB", "rollback"),
        ("%mlprod --help", "usage: %mlprod VERB", "rollback"),
    ],
)
def test_help_is_shown_for_what_is_asked(cell: str, first: str, says: str, kernel: Kernel) -> None:
    ran = kernel.run(cell)
    assert (ran.status, ran.err, ran.results) == ("ok", "", [])
    assert ran.out.startswith(first)
    assert says in ran.out


def transformed(shell: InteractiveShell, cell: str) -> str:
    return str(shell.transform_cell(cell))  # type: ignore[no-untyped-call]


def test_a_question_about_anything_else_is_ipythons_own(shell: InteractiveShell) -> None:
    for cell in ("list?", "%matplotlib?", "x = 1\nlen?"):
        assert "pinfo" in transformed(shell, cell)
    for cell in ("x = '''\n%mlprod package?\n'''", "%%bash\n%mlprod package?", "# %mlprod package?"):
        assert "--help" not in transformed(shell, cell)
    assert "--help" not in transformed(shell, "%mlprod promote tiny --why 'ready?'")
    shell.run_line_magic("unload_ext", "jupyter_mlprod")
    assert VerbHelp not in shell.input_transformer_manager.token_transformers
    assert "pinfo" in transformed(shell, "%mlprod package?")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("chek tiny", "bad-request: no verb 'chek' (did you mean 'check'?) (hint: %mlprod --help)"),
        ("chek?", "bad-request: no verb 'chek' (did you mean 'check'?) (hint: %mlprod --help)"),
        ("check tiny --dta x", "bad-request: %mlprod check has no option --dta (did you mean '--data'?) (hint: %mlprod check --help)"),
        ("check tiny", "bad-request: %mlprod check needs --data (hint: %mlprod check --help)"),
        ("check nothing --data x.npy", "unknown-subject: nothing is known as 'nothing'"),
        ("check tiny --data nowhere", "NameError: name 'nowhere' is not defined"),
        ("check tiny --data X[", "bad-request: ] is not closed in 'check tiny --data X['"),
        ("profile tiny --threads 0", "bad-request: %mlprod profile: Expected `int` >= 1"),
    ],
)
def test_a_refusal_is_one_line_and_no_trace(line: str, says: str, kernel: Kernel) -> None:
    ran = kernel.run(f"%mlprod {line}")
    assert ran.status == "error"
    assert ran.err.startswith("UsageError: ")
    assert ran.err.count("\n") == 1
    assert says in ran.err
    assert (ran.out, ran.results, ran.errors) == ("", [], [])


def test_a_refusal_is_ipythons_own_error_and_shows_no_escape(shell: InteractiveShell) -> None:
    with pytest.raises(UsageError) as refused:
        shell.run_line_magic("mlprod", "check \x1b[31mred --data x")
    assert type(refused.value) is UsageError
    assert "\x1b" not in str(refused.value)


def test_a_failing_disk_is_a_refusal_and_a_bug_is_a_trace(shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail_with(error: Exception) -> None:
        def end(*_: object) -> None:
            raise error

        monkeypatch.setattr(magics.MlprodMagics, "_run", end)

    fail_with(OSError(28, "No space left on device", "/x"))
    with pytest.raises(UsageError, match="disk: /x: No space left on device"):
        shell.run_line_magic("mlprod", "list")
    fail_with(KeyError("bug"))
    with pytest.raises(KeyError):
        shell.run_line_magic("mlprod", "list")


def test_several_faults_are_several_lines_each_clean() -> None:
    error = MlprodError(Code.BAD_SETTINGS, "mlprod.toml:1: a\x1b[2J\nmlprod.toml:2: b", hint="edit it")
    assert magics.one_line(error) == "bad-settings: mlprod.toml:1: a[2J\nmlprod.toml:2: b (hint: edit it)"


def test_a_variable_and_an_expansion_reach_the_verb(kernel: Kernel) -> None:
    kernel.run("import numpy as np\nmine = np.zeros((4, 3)); subject = 'tiny'")
    by_name = kernel.run("r = %mlprod check {subject} --data mine[:2]\nprint(r.measures[0].name, r.measures[0].value)")
    assert by_name.out == "violations 0.0\n"
    in_function = kernel.run("def ask(rows):\n    return get_ipython().run_line_magic('mlprod', 'check tiny --data rows')\nask(mine[:3])")
    assert in_function.results[0]["text/plain"].startswith("contract of sha256:")


def test_the_notebooks_names_stay_as_they_were(kernel: Kernel) -> None:
    names = "print(sorted(n for n in globals() if not n.startswith('_')))"
    kernel.run("mine = [[1.0, 2.0, 3.0]]")
    before = kernel.run(names).out
    assert kernel.run("%mlprod check tiny --data (other:=mine)").status == "ok"
    assert kernel.run(names).out == before


def test_the_workspace_is_looked_for_where_the_kernel_stands(
    shell: InteractiveShell, workspace_copy: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shell.run_line_magic("mlprod", "list").total == 0
    monkeypatch.chdir(workspace_copy("moved"))
    assert shell.run_line_magic("mlprod", "list").total == 2


def test_inside_a_gate_run_a_verdict_that_is_not_pass_stops_the_notebook(
    shell: InteractiveShell, workspace_copy: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = workspace_copy("run")
    monkeypatch.chdir(folder)
    run_folder = folder / ".mlprod" / "runs" / "now"
    run_folder.mkdir(parents=True)
    monkeypatch.setenv("MLPROD_RUN", str(run_folder))
    with pytest.raises(UsageError, match="the verdict is missing, so the notebook stops here"):
        shell.run_line_magic("mlprod", "gate tiny")
    assert "missing  tiny sha256:" in capsys.readouterr().out


def test_every_verb_answers_a_question_mark(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    for verb in REQUESTS:
        assert shell.run_cell(f"%mlprod {verb}?").success  # type: ignore[no-untyped-call]
        assert capsys.readouterr().out.startswith(f"usage: %mlprod {verb}")


def test_the_executed_cells_are_digests_in_the_order_of_execution(shell: InteractiveShell) -> None:
    before = len(executed_cells(shell))
    run: Any = shell.run_cell
    run("a = 1", store_history=True)
    run("%config", store_history=True)
    run("b = 2", store_history=False)
    assert executed_cells(shell)[before:] == (digest_bytes(b"a = 1"), digest_bytes(b"%config"))
    assert executed_cells(None) == ()
