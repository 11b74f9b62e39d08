"""A .csv is checked, answered and measured as the contract declares it, and comes to what the same rows of another file come to."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from jupyter_mlprod.core.bundle import Bundle
from jupyter_mlprod.core.evidence import Evidence
from jupyter_mlprod.core.listing import Listing
from jupyter_mlprod.core.requests import Check, Evaluate, Package, Predict
from tests.project import SETTINGS
from tests.verbs.tiny import Desk, linear, measure_of

N = 60
PREPARE = """
import numpy as np


def prepare(batch):
    year = batch["seen"].astype("M8[Y]").astype(int)
    return np.column_stack([batch["income"], [int(zip[0]) for zip in batch["zip"]], year - 56.0]).astype(np.float32)
"""
CONTRACT = """
[inputs.zip]
pattern = "^[0-9]{5}$"

[inputs.seen]
type = "time_utc"
"""


@pytest.fixture
def rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Columns that say less in a .csv than they are: codes that begin with 0, and times."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    table = {
        "income": rng.uniform(-9, 9, N),
        "zip": [f"0{code}" for code in rng.integers(1000, 1009, N)],
        "seen": pd.date_range("2026-01-01T12:00:00Z", periods=N, freq="h"),
        "label": rng.choice(["stays", "goes"], N),
    }
    pd.DataFrame(table).to_parquet("rows.parquet")
    pd.DataFrame(table).to_csv("rows.csv", index=False)
    return table


@pytest.fixture
def shop(rows: dict[str, Any]) -> Desk:
    linear(Path("model.onnx"), shift=0.0)
    Path("prepare.py").write_text(PREPARE)
    Path("mlprod.toml").write_text(SETTINGS)
    pd.DataFrame(rows).drop(columns="label").head(8).to_parquet("example.parquet")
    desk = Desk(Path())
    package = Package(
        model="model.onnx", name="shop", example="example.parquet", preprocess="prepare.py:prepare", labels="stays,goes", contract=CONTRACT
    )
    desk.run(package, Bundle)
    return desk


def test_a_csv_breaks_what_the_same_rows_of_a_parquet_file_break(shop: Desk) -> None:
    csv, parquet = (shop.run(Check(subject="shop", data=name, view="serving"), Evidence) for name in ("rows.csv", "rows.parquet"))
    assert measure_of(csv, "violations").value == 0
    assert csv.measures == parquet.measures


def test_a_csv_is_answered_as_the_same_rows_of_a_parquet_file(shop: Desk) -> None:
    csv, parquet = (shop.run(Predict(subject="shop", data=name), Listing) for name in ("rows.csv", "rows.parquet"))
    assert (csv.rows, csv.total) == (parquet.rows, N)


def test_a_csv_is_measured_as_the_same_rows_of_a_parquet_file(shop: Desk) -> None:
    csv, parquet = (
        shop.run(Evaluate(subject="shop", data=name, target="label"), Evidence).measures for name in ("rows.csv", "rows.parquet")
    )
    assert csv == parquet
