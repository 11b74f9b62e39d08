"""``contract show --data``: the contract of a file, beside rows of another; what is personal stays where it is."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from jupyter_mlprod.core.batch import check_batch
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
    found: Conformance = check_batch(contract, desk.data.read("rows.parquet"))
    assert (portrait.about, portrait.contract, portrait.rows, portrait.checks) == ("contract.toml", digest(contract), 100, found.checks)
    assert (*(one for field in portrait.fields for one in field.violations), *portrait.violations) == found.violations
    assert [(one.field, one.rows) for one in found.violations] == [("age", 2), ("order", 2)]


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
