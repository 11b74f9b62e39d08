"""The panel beside a portrait: what is ticked reaches the contract through the verb, and a refusal is one line in it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from IPython.core.interactiveshell import InteractiveShell

from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.portrait import Portrait
from jupyter_mlprod.fronts import display
from jupyter_mlprod.fronts.panel import HERE, WIDGET, Panel
from jupyter_mlprod.fronts.words import split_words
from tests.fronts.conftest import Kernel, write_notebook
from tests.fronts.records import EVIL, PORTRAIT, poisoned
from tests.project import mlprod

DATA = "import numpy as np; ages = {'age': np.append(np.arange(97) % 17, [200, 300, 400]), 'site': ['l', 'r'] * 50}"


class Asked:
    """What accepts, as a kernel would."""

    def __init__(self, refusal: MlprodError | None = None) -> None:
        self.settings: list[dict[str, str]] = []
        self.refusal = refusal
        self.drawn: list[Portrait] = []

    def __call__(self, settings: Mapping[str, str]) -> Portrait:
        self.settings.append(dict(settings))
        if self.refusal:
            raise self.refusal
        return msgspec.structs.replace(PORTRAIT, suggestions=())


def send(panel: Panel, content: Any) -> None:
    """A message of the page."""
    panel._handle_custom_msg(content, [])


def test_what_is_ticked_is_accepted_and_is_no_longer_suggested() -> None:
    asked = Asked()
    panel = Panel(PORTRAIT, target="contract.toml", accept=asked, drawn=asked.drawn.append)
    assert panel.suggestions == [{"id": "inputs.radius.range", "sentence": "97 % of rows within 0 and 16"}]  # a remark cannot be accepted
    panel.ticked = ["inputs.radius.range"]
    assert panel.toml == "[inputs.radius]\n# 97 %\nhigh = 16"
    send(panel, {"accept": ["inputs.radius.range"]})
    assert asked.settings == [{"inputs.radius.high": "16"}]
    assert (panel.message, panel.failed, panel.busy) == ("declared in contract.toml: inputs.radius.range", False, False)
    assert (panel.suggestions, panel.ticked, panel.toml) == ([], [], "")
    assert asked.drawn == [panel.portrait]


def test_a_refusal_is_one_line_and_changes_nothing() -> None:
    asked = Asked(MlprodError(Code.BAD_CONTRACT, f"line 3: {EVIL}\nand line 4", hint="mend it"))
    panel = Panel(PORTRAIT, target="contract.toml", accept=asked, drawn=asked.drawn.append)
    before = (panel.portrait, panel.suggestions)
    send(panel, {"accept": ["inputs.radius.range"]})
    assert panel.failed
    assert panel.message.startswith("bad-contract: line 3")
    assert not set(panel.message) & set("\n\x1b\u202e")
    assert (panel.portrait, panel.suggestions, asked.drawn) == (*before, [])


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"accept": []},
        {"accept": ["age.no"]},
        {"accept": ["inputs.radius.integers"]},
        {"accept": [5, None]},
        {"accept": 5},
        "accept",
        None,
    ],
)
def test_what_was_not_suggested_cannot_be_accepted(content: Any) -> None:
    asked = Asked()
    panel = Panel(PORTRAIT, target="contract.toml", accept=asked, drawn=asked.drawn.append)
    send(panel, content)
    assert asked.settings == []
    assert (panel.message, panel.failed) == ("nothing is ticked", True)


def test_a_hostile_suggestion_is_text_in_the_panel() -> None:
    portrait = poisoned(PORTRAIT)
    assert isinstance(portrait, Portrait)
    panel = Panel(portrait, target=EVIL, accept=Asked(), drawn=lambda _other: None)
    shown = json.dumps([panel.suggestions, panel.target], ensure_ascii=False)
    assert not set(shown) & set("\x1b\u202e\x00\u2028\x9b\r")


def note_of(about: str, key: str, value: str) -> str:
    one = msgspec.structs.replace(PORTRAIT.suggestions[0], toml="[inputs.x]\nunit = 1", settings={key: value})
    text = display.as_text(msgspec.structs.replace(PORTRAIT, about=about, suggestions=(one,)))
    return next(line for line in text.splitlines() if line.startswith("declare ")).partition(": ")[2]


@pytest.mark.parametrize(
    ("key", "value"),
    [("inputs.x.low", "0"), ('inputs."a name".low', "-1.5"), ("inputs.x.unit", '"it is"'), ("inputs.x.categories", '["a b", "c"]')],
)
def test_the_command_that_declares_says_what_was_suggested(key: str, value: str) -> None:
    said = note_of("a folder/my.toml", key, value)
    assert split_words(said.removeprefix("%mlprod ")) == ["contract", "edit", "a folder/my.toml", "--set", key, value]


@pytest.mark.parametrize("value", ['["it\'s ] \\" x"]', "{ values = [1] }", '"$HOME"'])
def test_what_no_line_can_say_is_to_be_pasted(value: str) -> None:
    assert note_of("my.toml", "inputs.x.expected", value) == "paste its TOML into my.toml"


@pytest.mark.parametrize("about", ["tiny@champion", "the notebook's cell"])
def test_a_contract_that_is_no_file_names_none(about: str) -> None:
    assert note_of(about, "inputs.x.low", "0") == "paste its TOML into the contract"


def test_the_script_is_small_and_fetches_nothing() -> None:
    text = (HERE / "panel.js").read_text()
    assert len(text.encode()) < 20_000
    assert not any(word in text for word in ("http:", "https:", "import(", "fetch(", "eval("))
    assert "innerHTML" not in text


def test_a_shell_that_nothing_listens_to_shows_the_table_alone(shell: InteractiveShell) -> None:
    shell.run_cell(DATA, store_history=False)  # type: ignore[no-untyped-call]
    shell.run_line_magic("mlprod", "contract infer ages --out contract.toml")
    portrait = shell.run_line_magic("mlprod", "contract show contract.toml --data ages")
    assert shell.display_formatter is not None
    data, _ = shell.display_formatter.format(portrait)  # type: ignore[no-untyped-call]
    assert set(data) == {"text/html", "text/plain"}


def test_a_kernel_shows_the_table_as_static_html_and_the_panel_apart(kernel: Kernel) -> None:
    kernel.run(DATA)
    kernel.run("%mlprod contract infer ages --out ages.toml")
    shown, panel = kernel.run("%mlprod contract show ages.toml --data ages").results
    assert set(shown) == {"text/html", "text/plain"}
    assert set(panel) == {WIDGET, "text/plain"}  # apart, so that what is made of the notebook shows the table
    assert "0 … 400" in shown["text/html"]
    assert "<script" not in shown["text/html"]
    (of_bundle,) = kernel.run("%mlprod contract show tiny --data x.npy").results
    assert set(of_bundle) == {"text/html", "text/plain"}  # the contract of a bundle never changes


def test_a_gate_run_stores_the_table_alone(tmp_path: Path) -> None:
    cells = [
        "%load_ext jupyter_mlprod",
        DATA,
        "%mlprod contract infer ages --out contract.toml",
        "%mlprod contract show contract.toml --data ages",
    ]
    write_notebook(tmp_path / "ages.ipynb", cells)
    mlprod("gate", "ages.ipynb", "--policy", "execution", "-o", "executed", cwd=tmp_path)
    (executed,) = (tmp_path / "executed").glob("*.ipynb")
    notebook = json.loads(executed.read_text())
    assert set(notebook["cells"][-1]["outputs"][0]["data"]) == {"text/html", "text/plain"}
    assert "widgets" not in notebook["metadata"]


def accepting(settings: str) -> str:
    return f"made = get_ipython().magics_manager.registry['MlprodMagics'].offered.accept({settings}); print([one.id for one in made.suggestions])"


def test_accepting_changes_the_file_and_shows_the_data_against_it(kernel: Kernel) -> None:
    kernel.run(DATA)
    kernel.run("%mlprod contract infer ages --out accepted.toml")
    kernel.run("%mlprod contract show accepted.toml --data ages")
    ran = kernel.run(accepting("{'inputs.age.low': '0', 'inputs.age.high': '16'}"))
    assert ran.out.strip().endswith("['inputs.site.categories']")
    assert "high = 16" in kernel.run("print(open('accepted.toml').read())").out
    assert "above 16 in 3 of 100 rows" in kernel.run("made").results[0]["text/plain"]


def test_accepting_changes_the_kept_cell_that_later_verbs_take(kernel: Kernel) -> None:
    kernel.run(DATA)
    assert kernel.run("%%mlprod contract\n[inputs.age]\ntype = 'int'  # years\n[inputs.site]\ntype = 'string'\n").status == "ok"
    kernel.run("%mlprod contract show --data ages")
    kernel.run(accepting("{'inputs.age.high': '16'}"))
    text = kernel.run("print(get_ipython().magics_manager.registry['MlprodMagics'].contract)").out
    assert "high = 16" in text
    assert "# years" in text
    assert "at most 16" in kernel.run("%mlprod contract show --data ages").results[0]["text/plain"]
    refused = kernel.run(accepting("{'inputs.age.high': '-5', 'inputs.age.low': '3'}"))
    assert refused.status == "error"
    assert "high = 16" in kernel.run("print(get_ipython().magics_manager.registry['MlprodMagics'].contract)").out


def test_live_rows_beside_a_contract_are_not_left_on_disk(kernel: Kernel) -> None:
    kernel.run(DATA)
    kernel.run("%mlprod contract infer ages --out left.toml")
    before = kernel.run("import os; print(sorted(name for name in os.listdir('.mlprod/scratch/live') if name.endswith('.npz')))").out
    kernel.run("%mlprod contract show left.toml --data ages")
    assert kernel.run("print(sorted(name for name in os.listdir('.mlprod/scratch/live') if name.endswith('.npz')))").out == before
