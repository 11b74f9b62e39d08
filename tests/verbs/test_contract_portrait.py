"""``contract show --data``: the contract of a file, beside rows of another; what is personal stays where it is."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from jupyter_mlprod.core.conformance import Conformance
from jupyter_mlprod.core.contract_toml import read_contract
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.portrait import Portrait
from jupyter_mlprod.core.record import digest
from jupyter_mlprod.core.requests import Contract
from jupyter_mlprod.fronts import cli, display
from jupyter_mlprod.workspace import Workspace, open_workspace

CONTRACT = """
rules.order = "low <= high"

[inputs.age]
type = "int"
high = 120

[inputs.contact]
type = "string"

[inputs.low]
type = "float"

[inputs.high]
type = "float"
"""


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.chdir(tmp_path)
    rows = {
        "age": [40] * 98 + [130, 131],
        "contact": [f"ada{i}@lovelace.net" for i in range(100)],
        "low": np.arange(100.0),
        "high": np.full(100, 97.5),
    }
    pd.DataFrame(rows).to_parquet("rows.parquet")
    Path("contract.toml").write_text(CONTRACT)
    return open_workspace()


def shown(desk: Workspace) -> Portrait:
    made = desk.run(Contract(action="show", subject="contract.toml", data="rows.parquet"))
    assert isinstance(made, Portrait)
    return made


def test_a_file_is_shown_beside_rows_with_the_findings_of_the_check(desk: Workspace) -> None:
    portrait, contract = shown(desk), read_contract(CONTRACT, name="contract.toml").contract
    found: Conformance = desk.frames.check(contract, Path("rows.parquet"), view="serving", now=desk.now())
    assert (portrait.about, portrait.contract, portrait.rows, portrait.checks) == ("contract.toml", digest(contract), 100, found.checks)
    assert (*(one for field in portrait.fields for one in field.violations), *portrait.violations) == found.violations
    assert [(one.field, one.rows) for one in found.violations] == [("age", 2), ("order", 2)]


BOXES = """
target = { name = "ill", type = "bool" }
freshness = { event_time = "seen" }

[inputs.age]
type = "int"
expected = { edges = [50], shares = [0.5, 0.5] }

[inputs.seen]
type = "time_utc"
max_age = "1h"
"""


def training_rows(path: str, ages: list[int]) -> None:
    seen = pd.to_datetime(["2020-01-01T00:00:00Z"] * len(ages))
    pd.DataFrame({"age": ages, "seen": seen, "ill": [True, False] * (len(ages) // 2)}).to_parquet(path)


def test_a_distribution_that_is_broken_is_told_as_the_check_tells_it(desk: Workspace) -> None:
    Path("boxes.toml").write_text(BOXES)
    training_rows("boxes.parquet", [10] * 100)
    portrait = desk.run(Contract(action="show", subject="boxes.toml", data="boxes.parquet"))
    assert isinstance(portrait, Portrait)
    assert [(one.field.name, found.check) for one in portrait.fields for found in one.violations] == [("age", "distribution")]
    assert "1 broken" in display.as_text(portrait).splitlines()[0]


def test_rows_with_the_target_are_of_the_training_view_and_are_asked_for_no_age(desk: Workspace) -> None:
    Path("boxes.toml").write_text(BOXES)
    training_rows("boxes.parquet", [10, 90] * 50)
    portrait = desk.run(Contract(action="show", subject="boxes.toml", data="boxes.parquet"))
    assert isinstance(portrait, Portrait)
    assert (portrait.view, portrait.broken) == ("training", 0)
    assert "on 100 rows (training view), none broken" in display.as_text(portrait)
    pd.read_parquet("boxes.parquet").drop(columns="ill").to_parquet("asked.parquet")
    asked = desk.run(Contract(action="show", subject="boxes.toml", data="asked.parquet"))
    assert isinstance(asked, Portrait)
    assert (asked.view, [found.check for one in asked.fields for found in one.violations]) == ("serving", ["stale"])


def test_the_command_line_tells_the_same_record_and_nothing_personal(desk: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("contract", "show", "contract.toml", "--data", "rows.parquet")
    assert cli.main(words) == 0
    text = capsys.readouterr().out
    assert cli.main((*words, "--json")) == 0
    line = capsys.readouterr().out
    assert json.loads(line) == json.loads(display.as_json(shown(desk)))
    assert "130" in text
    assert "inputs.contact.pii" in text  # that it seems personal is suggested
    assert "lovelace" not in text + line


@pytest.mark.parametrize(
    ("fields", "code", "says"),
    [
        ({"action": "show", "to": "toml"}, Code.BAD_REQUEST, "contract show --data takes no --to and no --out"),
        ({"action": "show", "out": "other.json"}, Code.BAD_REQUEST, "contract show --data takes no --to and no --out"),
        ({"action": "edit", "set": {"inputs.age.low": "0"}}, Code.BAD_REQUEST, "contract edit takes no --data"),
        ({"action": "show", "data": "absent.parquet"}, Code.BAD_DATA, "no data file"),
    ],
)
def test_a_request_that_cannot_be_meant_is_refused(fields: dict[str, Any], code: Code, says: str, desk: Workspace) -> None:
    with pytest.raises(MlprodError) as refused:
        desk.run(Contract(**{"subject": "contract.toml", "data": "rows.parquet", **fields}))
    assert refused.value.code is code
    assert says in refused.value.message
