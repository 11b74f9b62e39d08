"""``%%mlprod preprocess``: the cell runs as any cell, and its text is what travels."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import tokenizers
import tokenizers.models
import tokenizers.pre_tokenizers
import tokenizers.trainers
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from onnx import helper

from jupyter_mlprod.core.bundle import Bundle
from tests.verbs.tiny import graph

CELL = """import numpy as np


def halved(batch):
    return batch / SCALE  # a comment that travels


def prepare(batch):
    return halved(batch).astype(np.float32)
"""


@pytest.fixture
def desk(shell: InteractiveShell) -> InteractiveShell:
    """A shell in a folder with a model that gives back the first two of its three columns."""
    weights = {"w": [[1, 0], [0, 1], [0, 0]]}
    onnx.save(graph([helper.make_node("MatMul", ["x", "w"], ["scores"])], weights=weights), "model.onnx")
    shell.user_ns["X"] = np.arange(24.0).reshape(8, 3)
    return shell


def cell(shell: InteractiveShell, line: str, text: str) -> None:
    shell.run_cell_magic("mlprod", line, text)  # type: ignore[no-untyped-call]


def package(shell: InteractiveShell, options: str = "") -> tuple[Bundle, str]:
    """The bundle, and the preprocessing in it."""
    made: Any = shell.run_line_magic("mlprod", f"package model.onnx --name tiny --example X {options}")
    assert isinstance(made, Bundle)
    return made, "".join(file.read_text() for file in Path(".mlprod/bundles").glob("*/code/preprocess.py"))


def refused(shell: InteractiveShell, line: str, text: str) -> str:
    with pytest.raises(UsageError) as error:
        cell(shell, line, text)
    message = str(error.value)
    assert "\n" not in message
    return message


def test_the_cell_runs_and_its_very_text_travels_without_being_named(desk: InteractiveShell) -> None:
    desk.user_ns["SCALE"] = 2.0
    cell(desk, "preprocess", CELL)
    assert desk.user_ns["prepare"](desk.user_ns["X"]).dtype == np.float32
    bundle, text = package(desk)
    assert bundle.preprocess == "prepare"
    assert text == f"SCALE = 2.0\n\n\n{CELL}"


@pytest.mark.parametrize("word", ["prepare", "halved"])
def test_a_function_that_is_named_wins_over_the_cell_and_that_of_the_cell_is_the_cell(word: str, desk: InteractiveShell) -> None:
    desk.user_ns["SCALE"] = 2.0
    cell(desk, "preprocess", CELL)
    desk.run_cell("def halved(batch):\n    return (batch / 2.0)").raise_error()  # type: ignore[no-untyped-call]
    bundle, text = package(desk, f"--preprocess {word}")
    assert bundle.preprocess == word
    assert ("a comment that travels" in text) is (word == "prepare")


def test_an_option_given_as_nothing_is_nothing(desk: InteractiveShell) -> None:
    desk.user_ns["SCALE"] = 2.0
    cell(desk, "preprocess", CELL)
    bundle, text = package(desk, '--preprocess ""')
    assert (bundle.preprocess, text) == ("", "")


def test_the_name_on_the_line_chooses_the_function(desk: InteractiveShell) -> None:
    cell(desk, "preprocess half", "def half(batch):\n    return batch / 2\n\n\ndef other(batch):\n    return batch\n")
    assert package(desk)[0].preprocess == "half"


def test_a_postprocessing_cell_is_kept_beside_a_preprocessing_cell(desk: InteractiveShell) -> None:
    cell(desk, "preprocess", "def before(batch):\n    return batch / 2\n")
    cell(desk, "postprocess", "def behind(outputs):\n    return {'double': outputs['scores'] * 2}\n")
    bundle, _ = package(desk)
    assert bundle.functions == ("before", "behind")
    assert [output.name for output in bundle.contract.outputs] == ["double"]


@pytest.mark.parametrize(
    ("line", "text", "says"),
    [
        ("preprocess", CELL, "preprocess: the cell uses 'SCALE', which it does not define"),
        ("postprocess", CELL, "postprocess: the cell uses 'SCALE'"),
        ("preprocess", "%time x = 1\ndef prepare(x): return x", "does not parse"),
        ("preprocess", "x = 1", "the cell defines no function"),
        ("preprocess nope", "def prepare(x): return x", "the cell defines no function 'nope'"),
        ("preprocess x", "x = 1\ndef prepare(x): return x", "'x' is a int"),
        ("preprocess", "import torch\ndef prepare(x): return torch.tensor(x)", "imports torch"),
        ("preprocess", "def prepare(x): return lock.acquire()", "the cell uses 'lock', a lock that cannot be written down"),
        ("preprocess", "def prepare(x): return x\n1 / 0", "the cell did not run to its end"),
        ("process", "def prepare(x): return x", "takes preprocess or postprocess"),
        ("", "def prepare(x): return x", "takes preprocess or postprocess"),
        ("preprocess a b", "def a(x): return x", "takes preprocess or postprocess"),
    ],
)
def test_a_cell_that_could_not_travel_is_refused_and_not_kept(
    line: str, text: str, says: str, desk: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.user_ns["lock"] = __import__("threading").Lock()
    assert says in refused(desk, line, text)
    bundle, _ = package(desk)
    assert not bundle.has_code


def word_level() -> Any:
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel(unk_token="[UNK]"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    made.train_from_iterator(["a b c d"], tokenizers.trainers.WordLevelTrainer(special_tokens=["[UNK]"], show_progress=False))
    made.enable_padding(length=3)
    made.enable_truncation(3)
    return made


def test_a_tokenizer_that_both_functions_use_is_carried_once_beside_files_that_were_given(desk: InteractiveShell) -> None:
    Path("notes.txt").write_text("given")
    desk.user_ns.update(tokenizer=word_level(), texts=["a b", "c", "d d d d"])
    cell(
        desk,
        "preprocess",
        "import numpy as np\ndef before(texts): return np.array([e.ids for e in tokenizer.encode_batch(texts)], np.float32)\n",
    )
    cell(desk, "postprocess", "def behind(outputs):\n    outputs['scores'] += tokenizer.get_vocab_size()\n    return outputs\n")
    made: Any = desk.run_line_magic("mlprod", "package model.onnx --name tiny --example texts --assets notes.txt")
    code = {entry.path for entry in made.files if entry.path.startswith("code/")}
    assert code == {"code/preprocess.py", "code/postprocess.py", "code/tokenizer.json", "code/notes.txt"}
    (folder,) = Path(".mlprod/bundles").iterdir()
    assert str(Path.cwd()) not in (folder / "code" / "preprocess.py").read_text()
