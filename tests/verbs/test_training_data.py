"""Training data are held against the contract when a model is packaged, and what breaks it is told; the bundle is kept all the same."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from jupyter_mlprod.core.bundle import Bundle
from jupyter_mlprod.core.requests import Package
from jupyter_mlprod.core.snapshot import SUFFIX
from jupyter_mlprod.fronts.live import Live
from jupyter_mlprod.workspace import open_workspace
from tests.verbs.tiny import PACKAGED, Desk, linear

CONTRACT = """
[inputs.a]
low = -1
high = 1

[inputs.mail]
pii = "email"
longest = 20

[target]
name = "ill"
type = "bool"
"""
TABLE = {**PACKAGED, "example": "example.npz", "preprocess": "table.py:prepare"}


def columns(**changed: Any) -> dict[str, Any]:
    return {"a": np.linspace(-1, 1, 40), "mail": np.array(["ann@mail.example"] * 40), "ill": np.arange(40) % 2 == 0, **changed}


@pytest.fixture
def table(bare_desk: Desk) -> Desk:
    bare_desk.workspace().data.write({name: columns()[name][:8] for name in ("a", "mail")}, Path("example.npz"))
    text = "import numpy as np\n\n\ndef prepare(batch):\n    return np.column_stack([batch['a']] * 3).astype(np.float32)\n"
    Path("table.py").write_text(text)
    linear(Path("model.onnx"), shift=0.0)
    return bare_desk


def told(data: str = "rows.parquet", **options: Any) -> list[str]:
    lines: list[str] = []
    made = open_workspace(taken_by="runner", tell=lines.append).run(Package(**{**TABLE, "data": data, "contract": CONTRACT, **options}))
    assert isinstance(made, Bundle)
    return [line for line in lines if line.startswith("data: ")]


BROKEN = columns(a=np.append(np.linspace(-1, 1, 38), [5, 7]), mail=np.array([*["ann@mail.example"] * 39, "bob@post.example.and.more"]))
SAID = [
    "data: column 'a' is above 1 in 2 of 40 rows, first at row 38",
    "data: column 'mail' is longer than 20 characters in 1 of 40 rows, first at row 39",
]


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".npz"])
def test_training_data_that_break_the_contract_are_told_without_a_value(table: Desk, suffix: str) -> None:
    table.workspace().data.write(BROKEN, Path(f"rows{suffix}"))
    assert told(f"rows{suffix}") == SAID


def test_training_data_that_keep_the_contract_are_not_mentioned(table: Desk) -> None:
    table.workspace().data.write(columns(), Path("rows.parquet"))
    assert told() == []


def test_nulls_that_the_example_did_not_show_are_told_with_what_allows_them(table: Desk) -> None:
    table.workspace().data.write(columns(a=np.append(np.zeros(39), np.nan)), Path("rows.parquet"))
    said = "data: column 'a' is null in 1 of 40 rows, first at row 39"
    assert told(contract="") == [f"{said} (the example has no null there; nullable = true allows it)"]
    assert told(contract="[inputs.a]\nnullable = false") == [said]
    assert told(contract="[inputs.a]\nnullable = true") == []


def test_ten_are_told_and_the_others_counted(table: Desk) -> None:
    table.workspace().data.write(columns(), Path("rows.parquet"))
    rules = "".join(f'r{index} = "a < 0.{index}"\n' for index in range(12))
    lines = told(contract=f"[rules]\n{rules}")
    assert len(lines) == 11
    assert lines[-1] == "data: and 2 more"


@pytest.mark.parametrize("made", [pd.DataFrame, pl.DataFrame, dict], ids=lambda made: made.__module__)
def test_a_live_frame_is_held_where_it_is_and_nothing_of_it_is_written(table: Desk, made: Any) -> None:
    lines: list[str] = []
    workspace = open_workspace(taken_by="notebook", tell=lines.append)
    live = Live({"frame": made(BROKEN), "declared": CONTRACT}, workspace)
    values: dict[str, Any] = {**TABLE, "data": "frame", "contract": "declared"}
    live.capture("package", values)
    assert values["data"].endswith(SUFFIX)
    workspace.run(Package(**{**values, "labels": "left,right"}))
    live.forget()
    assert [line for line in lines if line.startswith("data: ")] == SAID
    assert workspace.live_data == {}
    held = b"".join(path.read_bytes() for path in (table.folder / ".mlprod").rglob("*") if path.is_file())
    assert b"bob@post" not in held


def test_arrays_are_described_alone(bare_desk: Desk) -> None:
    linear(Path("model.onnx"), shift=0.0)
    assert told("x.npy", example="x8.npy", preprocess="prepare.py:prepare", contract="[inputs.input]\nlow = -9\nhigh = 9") == []
