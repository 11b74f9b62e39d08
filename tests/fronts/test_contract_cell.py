"""``%%mlprod contract`` keeps TOML that is right; ``%mlprod contract`` takes data of the notebook, and leaves none of it behind."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from onnx import helper

from jupyter_mlprod.core.bundle import Bundle
from jupyter_mlprod.core.contract import Column, Contract, Tensor
from jupyter_mlprod.core.listing import Listing
from jupyter_mlprod.core.record import digest
from tests.verbs.tiny import graph

GOOD = "[inputs.x]\nlow = 0\nhigh = 99\nunit = 'mm'\n"
WHOLE = "[inputs.age]\ntype = 'int'\nlow = 0\n"


@pytest.fixture
def desk(shell: InteractiveShell) -> InteractiveShell:
    weights = {"w": [[1, 0], [0, 1], [0, 0]]}
    onnx.save(graph([helper.make_node("MatMul", ["x", "w"], ["scores"])], weights=weights), "model.onnx")
    shell.user_ns["X"] = np.arange(24, dtype=np.float32).reshape(8, 3)
    shell.user_ns["frame"] = pd.DataFrame({"age": np.arange(40) % 7, "who": [f"p{i}@post.com" for i in range(40)]})
    return shell


def keep(shell: InteractiveShell, text: str) -> None:
    shell.run_cell_magic("mlprod", "contract", text)  # type: ignore[no-untyped-call]


def run(shell: InteractiveShell, line: str) -> Any:
    return shell.run_line_magic("mlprod", line)


def refused(shell: InteractiveShell, text: str) -> list[str]:
    with pytest.raises(UsageError) as error:
        keep(shell, text)
    assert type(error.value) is UsageError
    return str(error.value).splitlines()


def limits(bundle: Any) -> tuple[Any, ...]:
    assert isinstance(bundle, Bundle)
    found = bundle.contract.inputs[0]
    assert isinstance(found, Tensor)
    return found.name, found.low, found.high, found.unit


def test_the_kept_contract_is_that_of_a_package_that_names_none(desk: InteractiveShell) -> None:
    keep(desk, GOOD)
    assert limits(run(desk, "package model.onnx --name tiny --example X")) == ("x", 0, 99, "mm")
    assert limits(run(desk, 'package model.onnx --name tiny --example X --contract ""')) == ("input", None, None, "")
    Path("other.toml").write_text("[inputs.y]\nlow = -1\n")
    assert limits(run(desk, "package model.onnx --name tiny --example X --contract other.toml")) == ("y", -1, None, "")


def test_a_package_tells_that_it_takes_the_cell_and_a_fault_names_its_line(
    desk: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(desk, GOOD)
    run(desk, "package model.onnx --name tiny --example X")
    assert 'contract: that of the %%mlprod contract cell; --contract "" takes none' in capsys.readouterr().out
    run(desk, 'package model.onnx --name tiny --example X --contract ""')
    assert "contract cell" not in capsys.readouterr().out
    keep(desk, "# mine\n[inputs.x]\nlow = 0\ncategories = ['a']\n")
    with pytest.raises(UsageError, match=r"%%mlprod contract cell:4: \[inputs\.x\] categories"):
        run(desk, "package model.onnx --name tiny --example X")


@pytest.mark.parametrize("blank", ["\n", " \n\t\n"])
def test_a_blank_cell_is_no_contract(desk: InteractiveShell, blank: str) -> None:
    keep(desk, GOOD)
    assert refused(desk, blank)[0].startswith("bad-request: the cell is blank, and the former contract stays")
    assert limits(run(desk, "package model.onnx --name tiny --example X")) == ("x", 0, 99, "mm")


def test_a_bad_cell_is_told_with_its_lines_and_the_former_contract_stays(desk: InteractiveShell) -> None:
    keep(desk, GOOD)
    assert refused(desk, "[inputs.x]\nlow = 'a'\nhihg = 1") == [
        "bad-contract: cell:3: unknown key 'hihg' (did you mean 'high'?)",
        "cell:2: low: Expected `float`, got `str`, got 'a'",
    ]
    assert refused(desk, "[inputs.x]\ntype = 'int'\nlow = 9\nhigh = 1")[0].startswith(
        "bad-contract: cell:3: [inputs.x] low 9 is above high 1"
    )
    assert refused(desk, "not toml")[0].startswith("bad-contract: cell: ")
    assert limits(run(desk, "package model.onnx --name tiny --example X")) == ("x", 0, 99, "mm")


def test_the_kept_contract_is_shown_and_compared_where_a_subject_is_missing(desk: InteractiveShell) -> None:
    keep(desk, WHOLE)
    shown = run(desk, "contract show")
    assert isinstance(shown, Contract)
    assert shown.inputs == (Column(name="age", type="int", low=0.0, declared=("low", "type")),)
    Path("other.toml").write_text("[inputs.age]\ntype = 'int'\nlow = 1\n")
    compared = run(desk, "contract diff other.toml")
    assert isinstance(compared, Listing)
    assert compared.rows == (("age", "low", "1", "0", "no"),)


def test_without_a_kept_contract_a_subject_is_asked_for(desk: InteractiveShell) -> None:
    with pytest.raises(UsageError, match="contract show needs a bundle"):
        run(desk, "contract show")


def test_data_of_the_notebook_are_inferred_from_and_not_left_behind(desk: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    found = run(desk, "contract infer frame --target age --out contract.toml")
    assert isinstance(found, Contract)
    assert [field.name for field in found.inputs] == ["who"]
    assert found.target == Column(name="age", type="int")
    text = Path("contract.toml").read_text()
    assert text.startswith("# Inferred from live data, 40 rows")
    assert '# pii = "email"' in text
    assert "post.com" not in text + capsys.readouterr().out
    assert not list(Path(".mlprod").rglob("*.npz"))
    with pytest.raises(UsageError, match="is there already"):
        run(desk, "contract infer frame --out contract.toml")
    assert not list(Path(".mlprod").rglob("*.npz"))


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_a_column_of_lists_in_a_frame_is_left_out_by_name(desk: InteractiveShell, capsys: pytest.CaptureFixture[str], kind: str) -> None:
    made = f"import {kind}; f = {kind}.DataFrame({{'age': [1, 2], 'site': ['a', 'b'], 'v': [[1.0, 2.0], [3.0, 4.0]]}})"
    desk.run_cell(made, store_history=False)  # type: ignore[no-untyped-call]
    contract = run(desk, "contract infer f")
    assert [(one.name, one.type) for one in contract.inputs] == [("age", "int"), ("site", "string")]
    assert "column 'v' is left out: it holds lists" in capsys.readouterr().out
    desk.run_cell("f.to_parquet('f.parquet') if hasattr(f, 'iloc') else f.write_parquet('f.parquet')", store_history=False)  # type: ignore[no-untyped-call]
    assert run(desk, "contract infer f.parquet") == contract


def test_a_name_of_the_notebook_is_no_subject_of_another_action(desk: InteractiveShell) -> None:
    with pytest.raises(UsageError, match="frame"):
        run(desk, "contract show frame")


def test_an_edit_takes_values_as_words_of_the_line(desk: InteractiveShell) -> None:
    Path("contract.toml").write_text(WHOLE)
    shown = run(desk, "contract edit contract.toml --set inputs.age.unit years --set inputs.age.high 120")
    assert shown.rows == (("inputs.age.unit", "", '"years"'), ("inputs.age.high", "", "120"))


def test_the_kinds_of_cells_complete(desk: InteractiveShell) -> None:
    def completed(text: str) -> list[str]:
        with provisionalcompleter():
            return [one.text for one in desk.Completer.completions(text, len(text))]

    assert "contract" in completed("%%mlprod con")
    assert {"infer", "show", "diff", "edit"} <= set(completed("%mlprod contract "))
    Path("contract.toml").write_text(WHOLE)
    assert "contract.toml" in completed("%mlprod contract show con")
    assert "frame" in completed("%mlprod contract infer fr")


def test_a_contract_that_was_written_packages_the_same_bundle_again(desk: InteractiveShell) -> None:
    first = run(desk, "package model.onnx --name tiny --example X")
    run(desk, "contract show tiny --to toml --out contract.toml")
    assert digest(run(desk, "package model.onnx --name tiny --example X --contract contract.toml")) == digest(first)


@pytest.mark.parametrize(("key", "value", "what"), [("dtype", "int8", "dtype is int8"), ("shape", '["batch", 3]', "shape is (batch, 3)")])
def test_an_output_that_the_model_does_not_give_is_refused(desk: InteractiveShell, key: str, value: str, what: str) -> None:
    run(desk, "package model.onnx --name tiny --example X")
    run(desk, "contract show tiny --to toml --out contract.toml")
    run(desk, f"contract edit contract.toml --set outputs.scores.{key} '{value}'")
    with pytest.raises(UsageError, match=f"{re.escape(what)}.*, and the model answers"):
        run(desk, "package model.onnx --name tiny --example X --contract contract.toml")


def test_a_semicolon_that_silences_a_cell_is_no_part_of_a_name(desk: InteractiveShell) -> None:
    run(desk, "contract infer frame --out silent.toml;")
    assert [path.name for path in Path().glob("silent*")] == ["silent.toml"]
