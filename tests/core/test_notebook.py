"""The notebook under release: a digest that only code changes, parameters whose types are held, hostile files that are refused."""

import json
from typing import Any

import pytest

from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.notebook import Notebook, read_notebook, typed_parameters
from jupyter_mlprod.core.record import digest

Cell = dict[str, Any]


def code(source: Any, *tags: str) -> Cell:
    return {"cell_type": "code", "source": source, "metadata": {"tags": list(tags)}, "outputs": [], "execution_count": None}


def markdown(source: str) -> Cell:
    return {"cell_type": "markdown", "source": source, "metadata": {}}


def text_of(*cells: Any, **document: Any) -> str:
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": list(cells)} | document)


def read(*cells: Any, **document: Any) -> Notebook:
    return read_notebook(text_of(*cells, **document), name="train.ipynb")


def refused(text: str) -> str:
    with pytest.raises(MlprodError) as caught:
        read_notebook(text, name="train.ipynb")
    assert caught.value.code is Code.BAD_NOTEBOOK
    assert "train.ipynb" in caught.value.message
    return caught.value.message


PLAIN = (code("x = 1"), code("y = x + 1", "gate"))


def test_the_digest_is_blind_to_what_a_run_or_an_editor_changes() -> None:
    executed = {**code("x = 1"), "outputs": [{"output_type": "stream", "text": "1"}], "execution_count": 7, "id": "ab12"}
    executed["metadata"] = {"tags": [], "collapsed": True, "execution": {"iopub.execute_input": "2026"}}
    edited = read(markdown("# Title"), executed, markdown("text"), code("  \n"), {**PLAIN[1], "source": ["y = ", "x + 1"]})
    assert digest(edited) == digest(read(*PLAIN))


@pytest.mark.parametrize(
    "cells",
    [
        pytest.param((code("x = 2"), PLAIN[1]), id="other code"),
        pytest.param((PLAIN[1], PLAIN[0]), id="other order"),
        pytest.param((code("x = 1", "gate"), PLAIN[1]), id="one more tag"),
        pytest.param((PLAIN[0], code("y = x + 1")), id="one tag less"),
        pytest.param((*PLAIN, code("z = 3")), id="one more cell"),
        pytest.param(PLAIN[:1], id="one cell less"),
        pytest.param((code("x = 1\ny = x + 1", "gate"),), id="cells joined"),
        pytest.param((code("x = 1 "), PLAIN[1]), id="white space in code"),
    ],
)
def test_the_digest_changes_with_code_order_and_tags(cells: tuple[Cell, ...]) -> None:
    assert digest(read(*cells)) != digest(read(*PLAIN))


def test_the_order_of_tags_is_not_part_of_the_digest() -> None:
    assert digest(read(code("x", "a", "b"))) == digest(read(code("x", "b", "a")))


def test_the_kernel_is_read_from_the_metadata() -> None:
    assert read(*PLAIN, metadata={"kernelspec": {"name": "julia"}}).kernel == "julia"
    assert read(*PLAIN).kernel == "python3"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param('{"nbformat": 4, "cells": [', id="cut off"),
        pytest.param("[" * 100_000, id="nested 100,000 deep"),
        pytest.param('{"cells": ' + "[" * 100_000 + "]" * 100_000 + "}", id="cells nested 100,000 deep"),
        pytest.param('{"nbformat": ' + "9" * 5_000 + "}", id="a number of 5,000 digits"),
        pytest.param("[]", id="a list"),
        pytest.param("null", id="null"),
        pytest.param(text_of(*PLAIN, nbformat=3), id="version 3"),
        pytest.param(text_of(*PLAIN, nbformat="4"), id="version as text"),
        pytest.param(json.dumps({"nbformat": 4}), id="no cells"),
        pytest.param(text_of(*PLAIN, cells={"0": PLAIN[0]}), id="cells are an object"),
        pytest.param(text_of("x = 1"), id="a cell that is text"),
        pytest.param(text_of(), id="no cell at all"),
        pytest.param(text_of(markdown("x = 1")), id="no code cell"),
        pytest.param(text_of(code(" \n"), code([])), id="empty code cells"),
        pytest.param(text_of(code(None)), id="a cell without source"),
        pytest.param(text_of(code("a = 1", "parameters"), code("b = 1", "parameters")), id="two parameter cells"),
        pytest.param(text_of(code("a = ", "parameters")), id="parameters that do not parse"),
        pytest.param(text_of(code("a = " + "(" * 100_000, "parameters")), id="parentheses 100,000 deep"),
        pytest.param(text_of(code("a = " + "-" * 100_000 + "1", "parameters")), id="signs 100,000 deep"),
        pytest.param(text_of(code("a = " + "1+" * 100_000 + "1", "parameters")), id="a sum of 100,000"),
        pytest.param(text_of(code("a = '\ud800'", "parameters")), id="a lone surrogate in the parameters"),
        pytest.param(text_of(code("a = 1\0", "parameters")), id="a null byte"),
    ],
)
def test_what_is_no_notebook_to_run_is_refused_and_never_crashes(text: str) -> None:
    refused(text)


@pytest.mark.parametrize("odd", [[1], "x", 3, None, {"tags": "gate"}, {"tags": [1, None]}, {"kernelspec": "python3"}, {"kernelspec": [1]}])
def test_metadata_of_an_odd_shape_is_read_as_none(odd: Any) -> None:
    notebook = read({**PLAIN[0], "metadata": odd}, PLAIN[1], metadata=odd)
    assert len(notebook.cells) == 2
    assert notebook.kernel == "python3"


def test_lone_surrogates_in_code_survive() -> None:
    first, second = read(code("x = '\ud800'")), read(code("x = '\ud801'"))
    assert digest(first) != digest(second)


PARAMETERS = """\
epochs = 3
rate = 0.1
fast: bool = False
name = "digits"
sizes: list[int] = [1, 2]
options = {"a": 1}
nothing = None
folder = Path("x")
undecided: float
import os
"""


@pytest.fixture(scope="module")
def notebook() -> Notebook:
    return read(code(PARAMETERS, "parameters"), code("train(epochs)"))


def test_parameters_are_read_with_type_and_default_and_nothing_runs(notebook: Notebook) -> None:
    assert [(p.name, p.type, p.default) for p in notebook.parameters] == [
        ("epochs", "int", "3"),
        ("rate", "float", "0.1"),
        ("fast", "bool", "False"),
        ("name", "str", "'digits'"),
        ("sizes", "list", "[1, 2]"),
        ("options", "dict", "{'a': 1}"),
        ("nothing", "NoneType", "None"),
        ("folder", "", "Path('x')"),
    ]


@pytest.mark.parametrize("default", ["-1", "1 + 0j", "{1: [2]}", "{[]: 1}", "f()", "x.y[0]", "lambda: 0", "'\\ud800'"])
def test_any_expression_may_be_a_default(default: str) -> None:
    assert read(code(f"value = {default}", "parameters")).parameters[0].name == "value"


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("epochs", "7", 7),
        ("epochs", "-7", -7),
        ("rate", "0.5", 0.5),
        ("rate", "1", 1.0),
        ("rate", "1e-3", 0.001),
        ("fast", "true", True),
        ("fast", "True", True),
        ("fast", "False", False),
        ("name", "7", "7"),
        ("name", "true", "true"),
        ("name", "", ""),
        ("name", "NaN", "NaN"),
        ("sizes", "[3, 4]", [3, 4]),
        ("options", '{"b": [1]}', {"b": [1]}),
        ("nothing", "3", 3),
        ("nothing", "some text", "some text"),
        ("folder", "data/x", "data/x"),
    ],
)
def test_a_parameter_takes_the_type_that_the_notebook_declares(notebook: Notebook, name: str, text: str, value: object) -> None:
    typed = typed_parameters(notebook, {name: text})[name]
    assert typed == value
    assert type(typed) is type(value)


@pytest.mark.parametrize("quoted", ["'int'", '"int"'])
def test_a_quoted_annotation_counts(quoted: str) -> None:
    assert read(code(f"x: {quoted} = 1", "parameters")).parameters[0].type == "int"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(("epochs", text) for text in ("1.0", "1.5", "true", "True", "three", "", "[1]", "null", "NaN", '"3"', "0x10")),
        *(
            ("rate", text)
            for text in ("NaN", "Infinity", "-Infinity", "nan", "inf", "1e999", "-1e999", "1" + "0" * 400, "true", "null", "x")
        ),
        *(("fast", text) for text in ("1", "0", "yes", "TRUE", '"true"', "null")),
        *(("sizes", text) for text in ("3", "{}", '"[]"', "[NaN]", "[1e999]", "[1", "[" * 100_000, "9" * 5_000)),
        *(("options", text) for text in ("[]", "3", '{"a": Infinity}', "{a: 1}")),
        ("nothing", "NaN"),
        ("nothing", "[" * 100_000),
    ],
)
def test_a_value_of_another_type_is_refused(notebook: Notebook, name: str, text: str) -> None:
    with pytest.raises(MlprodError) as caught:
        typed_parameters(notebook, {name: text})
    assert caught.value.code is Code.BAD_PARAMETER
    assert repr(name) in caught.value.message


def test_several_faults_are_told_at_once_and_a_misspelt_name_with_a_suggestion(notebook: Notebook) -> None:
    with pytest.raises(MlprodError) as caught:
        typed_parameters(notebook, {"epoch": "3", "rate": "fast", "sizes": "[1]", "zzz": "1"})
    message = caught.value.message
    assert "'epoch': did you mean 'epochs'?" in message
    assert "parameter 'rate' is float (default 0.1), got 'fast'" in message
    assert "no parameter 'zzz'; it has epochs, rate" in message
    assert "sizes'" not in message


def test_a_notebook_without_a_parameters_cell_takes_none() -> None:
    assert typed_parameters(read(*PLAIN), {}) == {}
    with pytest.raises(MlprodError, match="no cell tagged 'parameters'"):
        typed_parameters(read(*PLAIN), {"epochs": "3"})
