"""Tab completion as IPython and a kernel do it: the right words at each place, and Python's own everywhere else."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell

from jupyter_mlprod.core.requests import REQUESTS
from jupyter_mlprod.fronts import call
from jupyter_mlprod.fronts.complete import candidates
from tests.fronts.conftest import Kernel
from tests.test_architecture import imported_by


def offered(shell: InteractiveShell, text: str) -> tuple[str, list[str]]:
    """What IPython's completer would replace before the cursor at the end of the text, and by what; both of its ways must agree."""
    with provisionalcompleter():
        found = list(shell.Completer.completions(text, len(text)))
    starts = {completion.start for completion in found}
    assert len(starts) <= 1, "front ends replace one stretch of text"
    words = [completion.text for completion in found]
    if "\n" not in text:
        with pytest.warns(PendingDeprecationWarning, match="Completer.complete"):
            assert set(words) >= set(shell.complete("", text, len(text))[1])
    return text[min(starts, default=len(text)) :], words


LINES = {
    "%mlprod ": ("", [*REQUESTS]),
    "%mlprod pack": ("pack", ["package"]),
    "  %mlprod pro": ("pro", ["profile", "promote"]),
    "x = %mlprod pack": ("pack", ["package"]),
    "records['a'], y = %mlprod pack": ("pack", ["package"]),
    "%mlprod package --da": ("--da", ["--data"]),
    "%mlprod package net --name n --da": ("--da", ["--data"]),
    "%mlprod package net --data X --da": ("--da", []),
    "%mlprod package net --scores ": ("", ["auto", "logits", "probabilities", "values"]),
    "%mlprod package net --scores lo": ("lo", ["logits"]),
    "%mlprod package net --scores=lo": ("lo", ["logits"]),
    "%mlprod init --consumer ": ("", ["batch", "person", "service"]),
    "%mlprod gc --de": ("--de", ["--delete"]),
    "%mlprod gc ": ("", ["--delete", "--help"]),
    "%mlprod package net \\\n    --na": ("--na", ["--name"]),
    "y = 1\n%mlprod pack": ("pack", ["package"]),
}


@pytest.mark.parametrize("text", LINES)
def test_words_are_offered_where_they_may_stand(text: str, shell: InteractiveShell) -> None:
    fragment, words = LINES[text]
    if words:
        assert offered(shell, text) == (fragment, words)
    else:
        assert not set(offered(shell, text)[1]) & {"--data"}


@pytest.mark.parametrize("verb", REQUESTS)
def test_after_two_dashes_come_all_options_of_the_verb(verb: str, shell: InteractiveShell) -> None:
    fragment, words = offered(shell, f"%mlprod {verb} --")
    assert fragment == "--"
    assert words == [option.written for option in call.options_of(REQUESTS[verb]) if not option.positional] + ["--help"]


def test_what_is_offered_is_understood() -> None:
    for verb, kind in REQUESTS.items():
        offers = [word for word in candidates(f"{verb} --", {})[1] if word.startswith("--")]
        assert all(word in call.parser_of(verb).format_help() for word in offers), kind


def test_each_kind_of_option_is_offered_the_variables_that_fit(shell: InteractiveShell) -> None:
    class Net:
        def __call__(self) -> None: ...

    def prepare(batch: Any) -> Any:
        return batch

    shell.user_ns.update(X=np.zeros(3), rows=[1], text="a,b", n=3, net=Net(), prepare=prepare, Net=Net, np=np, here=Path("x"), _hidden=[1])
    assert offered(shell, "%mlprod package ")[1][:1] == ["net"]
    assert offered(shell, "%mlprod package net --preprocess ")[1] == ["prepare", "ipython/"]
    assert offered(shell, "%mlprod package net --data ")[1] == ["X", "here", "rows", "text", "ipython/"]
    assert offered(shell, "%mlprod package net --labels ")[1] == ["X", "here", "rows", "text"]
    assert offered(shell, "%mlprod package net --contract ")[1] == ["text", "ipython/"]
    assert offered(shell, "%mlprod evaluate tiny --data X --slices rows,te") == ("te", ["text"])


def test_files_of_the_kind_that_is_wanted_are_offered_with_their_folders(shell: InteractiveShell, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("x.npy", "x.txt", "prep.py", "net.onnx", "a.ipynb", ".hidden.npy", "sub/y.csv", "sub/z.py"):
        (tmp_path / name).touch()
    assert offered(shell, "%mlprod check tiny --data x") == ("x", ["x.npy"])
    assert offered(shell, "%mlprod check tiny --data su") == ("su", ["sub/"])
    assert offered(shell, "%mlprod check tiny --data sub/") == ("sub/", ["sub/y.csv"])
    assert offered(shell, "%mlprod check tiny --data ./sub/y") == ("./sub/y", ["./sub/y.csv"])
    assert offered(shell, "%mlprod package net --preprocess pr") == ("pr", ["prep.py"])
    assert offered(shell, "%mlprod package ne") == ("ne", ["net.onnx"])
    assert offered(shell, "%mlprod gate a") == ("a", ["a.ipynb"])
    assert offered(shell, "%mlprod gate a.ipynb a") == ("a", ["a.ipynb"])
    assert offered(shell, f"%mlprod check tiny --data {tmp_path}/sub/") == (f"{tmp_path}/sub/", [f"{tmp_path}/sub/y.csv"])


def test_bundles_aliases_and_policies_of_the_workspace_are_offered(
    shell: InteractiveShell, made_workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(made_workspace)
    assert offered(shell, "%mlprod check ti") == ("ti", ["tiny", "tiny@champion"])
    assert offered(shell, "%mlprod check tiny@ch") == ("tiny@ch", ["tiny@champion"])
    assert offered(shell, "%mlprod compare tiny ti") == ("ti", ["tiny", "tiny@champion"])
    assert offered(shell, "%mlprod gate tiny --policy ") == ("", ["execution", "release"])
    options = offered(shell, "%mlprod check tiny ")[1]
    assert (options[0], options[-1]) == ("--data", "--help")
    assert {"--view", "--prepared", "--online", "--key", "--validation", "--target", "--tolerance", "--trust"} < set(options)


@pytest.mark.parametrize(
    "text", ["%mlprod", "%ml", "%mlprd pack", "mlprod pack", "# %mlprod pack", "'%mlprod pack", "%%mlprod pack", "a == %x"]
)
def test_our_words_stay_off_other_lines(text: str, shell: InteractiveShell) -> None:
    assert "package" not in offered(shell, text)[1]


def test_python_lines_keep_their_own_completion(shell: InteractiveShell) -> None:
    shell.user_ns.update(mlprod_variable=3, table={"a": 1}, X=np.zeros(3))
    assert "mlprod_variable" in offered(shell, "mlprod_v")[1]
    assert "bit_length" in offered(shell, "mlprod_variable.bit_")[1]
    assert any("shape" in word for word in offered(shell, "y = X.sha")[1])
    assert "%mlprod" in offered(shell, "%mlpro")[1]
    assert offered(shell, "import js")[1].count("json") == 1


def test_an_attribute_of_a_variable_is_pythons_own(shell: InteractiveShell) -> None:
    shell.user_ns["X"] = np.zeros(3)
    assert any("shape" in word for word in offered(shell, "%mlprod check tiny --data X.sha")[1])


@pytest.mark.parametrize(
    "text", ["%mlprod chek ", "%mlprod check 'a b", "%mlprod check [", "%mlprod check a=", "%mlprod \\\n", "%mlprod check --data ~/../\0"]
)
def test_half_a_line_never_raises(text: str, shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    offered(shell, text)
    assert capsys.readouterr().err == ""


def spoil_settings(folder: Path) -> None:
    (folder / "mlprod.toml").write_text("[[[")


def spoil_ledger(folder: Path) -> None:
    (folder / ".mlprod" / "ledger.db").write_bytes(b"nothing like a database " * 100)


def spoil_manifests(folder: Path) -> None:
    for manifest in (folder / ".mlprod" / "bundles").glob("*/bundle.json"):
        manifest.write_text("{")


def remove_folder(folder: Path) -> None:
    folder.rename(folder.with_name("gone"))


@pytest.mark.parametrize("spoil", [spoil_settings, spoil_ledger, spoil_manifests, remove_folder])
def test_a_broken_workspace_offers_less_and_says_nothing(
    spoil: Callable[[Path], None],
    shell: InteractiveShell,
    workspace_copy: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = workspace_copy("broken")
    monkeypatch.chdir(folder)
    spoil(folder)
    assert "--data" in offered(shell, "%mlprod check tiny --da")[1]
    assert "--data" in offered(shell, "%mlprod check ")[1]
    assert capsys.readouterr().err == ""


def test_completing_imports_nothing_heavy(made_workspace: Path) -> None:
    lines = ["%mlprod check ", "%mlprod check tiny --data ", "%mlprod gate tiny --policy ", "%mlprod package "]
    code = (
        "from IPython.core.interactiveshell import InteractiveShell as S\n"
        f"import os; s = S.instance(); s.run_line_magic('load_ext', 'jupyter_mlprod'); os.chdir({str(made_workspace)!r})\n"
        f"found = [s.complete('', line, len(line))[1] for line in {lines!r}]\n"
        "assert 'tiny@champion' in found[0] and 'x.npy' in found[1] and 'release' in found[2], found"
    )
    assert imported_by(code) == set()


def test_a_real_kernel_completes(kernel: Kernel) -> None:
    kernel.run("X_of_mine = [1.0]; mlprod_variable = 3")
    assert kernel.complete("%mlprod pack") == ("pack", ["package"])
    assert kernel.complete("r = %mlprod check tiny@") == ("tiny@", ["tiny@champion"])
    assert kernel.complete("%mlprod check tiny --data X_of") == ("X_of", ["X_of_mine"])
    assert kernel.complete("%mlprod check tiny --data=x") == ("x", ["x.npy"])
    assert "bit_length" in [word.rpartition(".")[2] for word in kernel.complete("mlprod_variable.bit_")[1]]


def test_no_completion_is_left_after_unloading() -> None:
    code = (
        "from IPython.core.interactiveshell import InteractiveShell as S\n"
        "s = S.instance(); s.run_line_magic('load_ext', 'jupyter_mlprod'); s.run_line_magic('unload_ext', 'jupyter_mlprod')\n"
        "assert s.Completer.custom_matchers == [] and 'package' not in s.complete('', '%mlprod pack', 12)[1]"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
