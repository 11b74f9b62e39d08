"""A bundle applies its contract to every request: it refuses, asks, imputes or passes, and says so in the answer."""

import datetime
import decimal
import json
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from jupyter_mlprod.core.bundle import GOLDEN_INPUTS, Bundle
from jupyter_mlprod.core.contract import Column, Contract
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.evidence import Evidence
from jupyter_mlprod.core.listing import Listing
from jupyter_mlprod.core.mlmodel import mlmodel_text
from jupyter_mlprod.core.record import digest
from jupyter_mlprod.core.requests import Evaluate, Package, Predict, Profile
from jupyter_mlprod.model import Model, open_model
from tests.verbs.tiny import Desk, WarmRuntimes, furnish, linear

PREPARE = '''
import numpy as np


def prepare(batch):
    """Age against 40, whether the site is b, and the hour of the day; a null age counts as 41."""
    age = np.where(np.isnan(batch["age"].astype(float)), 41, batch["age"])
    hour = (batch["seen"] - batch["seen"].astype("M8[D]")) / np.timedelta64(1, "h")
    return np.column_stack([age - 40, batch["site"] == "b", np.nan_to_num(hour)]).astype(np.float32)
'''
CONTRACT = """
on_violation = "refuse"
rules.minor = "age >= 3 or site == 'b'"

[inputs.age]
low = 0
high = 120
unit = "years"
on_violation = "impute"
default = 50

[inputs.site]
categories = ["a", "b"]
unknown_category = "pass"

[inputs.weight]
low = 1
high = 300
unit = "kg"
on_violation = "ask"

[inputs.seen]
max_age = "2h"
event_time = "seen"

[outputs.scores]
finite = true
low = -1000
"""
N = 300


def table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    seen = pd.date_range("2026-01-01", periods=N, freq="h", tz="Europe/Berlin")
    return pd.DataFrame(
        {
            "age": rng.integers(20, 60, N), "site": rng.choice(["a", "b"], N), "weight": rng.uniform(40, 90, N), "seen": seen,
            "born": pd.date_range("1980-01-01", periods=N),
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def packaged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder, and the digest of the bundle ``visits`` in it."""
    folder = tmp_path_factory.mktemp("visits")
    furnish(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return folder, package(Desk(folder))


def package(desk: Desk, *, contract: str = CONTRACT, **options: Any) -> str:
    Path("visits.py").write_text(PREPARE)
    frame = table()
    frame.to_parquet("table.parquet")
    frame.head(8).to_parquet("example.parquet")
    frame.assign(ill=frame.age > 30).to_parquet("data.parquet")
    linear(desk.folder / "model.onnx", shift=0.0)
    request = Package(
        model="model.onnx", name="visits", example="example.parquet", preprocess="visits.py:prepare", labels="right,left",
        contract=contract, data="data.parquet", **options,
    )  # fmt: skip
    return digest(desk.run(request, Bundle))


@pytest.fixture
def desk(packaged: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.chdir(packaged[0])
    return Desk(packaged[0])


@pytest.fixture
def model(packaged: tuple[Path, str], desk: Desk) -> Model:
    return open_model(desk.bundle_folder(packaged[1]))


def row(**changed: Any) -> dict[str, Any]:
    seen = datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=5)
    return {"age": 30, "site": "a", "weight": 70.0, "seen": seen, "born": datetime.datetime(1990, 1, 1)} | changed


def sent(*rows: dict[str, Any]) -> bytes:
    return json.dumps(rows, default=lambda value: value.isoformat()).encode()


def refused(model: Model, values: Any) -> MlprodError:
    with pytest.raises(MlprodError) as refusal:
        model.answer(values)
    return refusal.value


def test_times_keep_their_types_and_whether_they_have_a_zone(desk: Desk, model: Model, packaged: tuple[Path, str]) -> None:
    kinds = {field.name: field.type for field in model.bundle.contract.inputs if isinstance(field, Column)}
    assert kinds == {"age": "int", "site": "string", "weight": "float", "seen": "time_utc", "born": "time"}
    golden = desk.workspace().data.read(str(desk.bundle_folder(packaged[1]) / GOLDEN_INPUTS))
    assert isinstance(golden, dict)
    assert golden["born"].dtype.kind == "M"
    assert golden["seen"][0] == datetime.datetime(2025, 12, 31, 23, tzinfo=datetime.UTC)


def test_records_json_and_a_table_are_answered_alike(model: Model) -> None:
    rows = [row(), row(age=50, site="b"), row(age=41)]
    live, read = model.answer(rows), model.answer(sent(*rows))
    frame = model.answer(pd.DataFrame(rows))
    columns = model.answer({name: [one[name] for one in rows] for name in rows[0]})
    assert live["label"].tolist() == ["left", "right", "right"]
    for other in (read, frame, columns):
        for name, answer in live.items():
            np.testing.assert_array_equal(other[name], answer)
    assert model.answer(row())["label"].tolist() == ["left"]
    assert model.answer(sent(row())[1:-1])["label"].tolist() == ["left"]


def test_a_row_of_a_frame_and_json_as_text_are_answered_as_the_record(model: Model) -> None:
    frame = pd.DataFrame([row(), row(age=50)])
    assert model.answer(frame.iloc[1])["label"].tolist() == ["right"]
    assert model.answer(sent(row()).decode())["label"].tolist() == ["left"]
    assert model.answer(row(weight=np.float32(70)))["label"].tolist() == ["left"]


@pytest.mark.parametrize(
    "value", [pd.NA, decimal.Decimal("70.5"), [70.0, 71.0], b"70", uuid.UUID(int=0)], ids=lambda one: type(one).__name__
)
@pytest.mark.parametrize("many", [False, True], ids=["record", "list"])
def test_a_value_that_a_column_does_not_hold_is_told_by_the_name_of_that_column(model: Model, value: Any, many: bool) -> None:
    record = row(born=value)
    error = refused(model, [record] if many else record)
    assert error.code is Code.CONTRACT
    assert error.message.startswith("column 'born' ")
    assert "; " not in error.message
    assert "mlprod contract show visits" in error.hint


@pytest.mark.parametrize("value", ["no JSON", 5, object(), ["a", [1]]], ids=["text", "number", "object", "mixture"])
def test_what_is_no_rows_at_all_is_one_line_that_says_what_can_be_given(model: Model, value: Any) -> None:
    error = refused(model, value)
    assert error.code is Code.BAD_DATA
    assert "\n" not in error.message
    assert "record" in error.hint


def test_what_is_imputed_and_what_has_passed_is_marked(model: Model) -> None:
    gone = row()
    del gone["age"]
    answers = model.answer([row(), gone, row(age=None), row(age=500, site="c")])
    assert answers["imputed"].tolist() == ["", "age", "age", "age"]
    assert answers["passed"].tolist() == ["", "", "", "site"]
    assert answers["label"].tolist() == ["left", "right", "right", "right"]
    assert model.answer(sent(gone))["imputed"].tolist() == ["age"]


def test_what_is_asked_for_is_named_with_what_is_wanted(model: Model) -> None:
    error = refused(model, [row(weight=None)])
    assert error.code is Code.MORE_NEEDED
    assert "'weight' is null" in error.message
    assert error.hint == "send 'weight' (float, from 1, to 300 kg)"


def test_a_refusal_names_all_that_is_wrong(model: Model) -> None:
    error = refused(model, sent(row(weight=0.5, site=None, seen=datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)), {}))
    assert error.code is Code.CONTRACT
    for words in ("'site' is null", "'site' is missing in 1 of 2 rows", "'seen' is missing", "is older than 2h", "'born' is missing"):
        assert words in error.message


def test_rules_are_held_against_what_is_answered(model: Model) -> None:
    assert "rule 'minor' is broken" in refused(model, [row(age=2)]).message
    assert model.answer([row(age=-2)])["imputed"].tolist() == ["age"]


def test_a_time_without_a_zone_is_no_moment(model: Model) -> None:
    assert "'seen' holds values that are no times with a zone" in refused(model, [row(seen=datetime.datetime(2026, 1, 1))]).message


def test_what_requests_have_broken_is_counted(model: Model) -> None:
    model.answer([row(age=500), row(site="c")])
    refused(model, [row(weight=0.5)])
    assert model.runtime.admission.counts == {"age:high": 1, "site:category": 1, "weight:low": 1}  # type: ignore[attr-defined]


def test_predict_tells_how_many_rows_are_marked_and_in_which_fields(desk: Desk, packaged: tuple[Path, str]) -> None:
    now = datetime.datetime.now(datetime.UTC)
    frame = table().assign(seen=now)
    frame.loc[[3, 280], "age"] = 500
    frame.loc[5, "site"] = "c"
    frame.to_parquet("now.parquet")
    shown = desk.run(Predict(subject=packaged[1], data="now.parquet", out="answers.parquet"), Listing)
    assert shown.note == "all in answers.parquet; 2 of 300 rows imputed (age); 1 of 300 rows passed (site)"
    answers = pd.read_parquet("answers.parquet")
    assert np.flatnonzero(answers.imputed == "age").tolist() == [3, 280]
    error = desk.refused(Predict(subject=packaged[1], data="table.parquet"))
    assert "column 'seen' is older than 2h, or of unknown age, in 300 of 300 rows" in error.message


def test_evaluate_takes_past_data_and_treats_rows_as_answers_would(desk: Desk, packaged: tuple[Path, str]) -> None:
    frame = table().assign(target=lambda one: np.where(one.age >= 40, "right", "left"))
    frame.loc[3, "age"] = 500
    frame.to_parquet("labelled.parquet")
    evidence = desk.run(Evaluate(subject=packaged[1], data="labelled.parquet", target="target"), Evidence)
    (accuracy,) = [one for one in evidence.measures if one.name == "accuracy" and not one.where]
    assert accuracy.n == N
    frame.loc[4, "weight"] = np.nan
    frame.to_parquet("lacking.parquet")
    assert desk.refused(Evaluate(subject=packaged[1], data="lacking.parquet", target="target")).code is Code.MORE_NEEDED


def test_an_answer_that_breaks_what_is_promised_does_not_go_out(desk: Desk) -> None:
    made = package(desk, contract=CONTRACT.replace("low = -1000", "low = -25"))
    model = open_model(desk.bundle_folder(made))
    assert model.answer([row(age=60)])["label"].tolist() == ["right"]
    error = refused(model, [row(), row(age=90)])
    assert error.code is Code.NO_ANSWER
    assert "output 'scores' is below -25 in 1 of 2 rows, first at row 1" in error.message


@pytest.mark.parametrize(
    ("added", "words"),
    [
        ('labels = ["left", "right"]', "labels are left, right, and those of the bundle right, left"),
        ("sum_to = 1", "sum_to is said of probabilities, and the scores are logits"),
        ("high = -500", "the model's own answers to the example break the contract"),
    ],
)
def test_a_promise_that_the_bundle_contradicts_is_refused_when_it_is_made(desk: Desk, added: str, words: str) -> None:
    with pytest.raises(MlprodError) as refusal:
        package(desk, contract=CONTRACT + added + "\n")
    assert refusal.value.code is Code.BAD_CONTRACT
    assert words in refusal.value.message


def test_a_target_and_a_column_of_the_data_get_their_types_from_the_data(desk: Desk) -> None:
    made = package(desk, contract=CONTRACT + '\n[target]\nname = "ill"\n')
    contract: Contract = open_model(desk.bundle_folder(made)).bundle.contract
    assert [(column.name, column.type) for column in contract.training_only] == [("ill", "bool")]


def test_mlflow_is_told_what_a_request_may_leave_out(model: Model) -> None:
    signature = json.loads(json.loads(mlmodel_text(model.bundle.contract))["signature"]["inputs"])
    assert [(one["name"], one["type"], one["required"]) for one in signature] == [
        ("age", "long", False), ("site", "string", True), ("weight", "double", True), ("seen", "datetime", True), ("born", "datetime", True),
    ]  # fmt: skip


def test_personal_times_are_made_up(desk: Desk) -> None:
    made = package(desk, contract=CONTRACT + '\n[inputs.born]\npii = "birthday"\n')
    golden = desk.workspace().data.read(str(desk.bundle_folder(made) / GOLDEN_INPUTS))
    assert isinstance(golden, dict)
    assert golden["born"].astype("M8[D]").astype(str)[:2].tolist() == ["2000-01-01", "2000-01-02"]


def test_a_profile_leaves_out_the_batches_that_no_request_has(desk: Desk) -> None:
    made = package(desk, contract=CONTRACT + "\n[rows]\nper_request = 2\nat_least = 1000\n\n[inputs.born]\nunique = true\n")
    workspace = desk.workspace()
    workspace.__dict__["runtimes"] = WarmRuntimes()
    evidence = workspace.run(Profile(subject=made, budget_s=0.1, batches=(1, 8)))
    assert isinstance(evidence, Evidence)
    assert {one.where["batch"] for one in evidence.measures if "batch" in one.where} == {"1"}
    assert "at most 2 rows" in desk.refused(Profile(subject=made, batches=(8,))).message


def test_predict_tolerates_of_the_whole_file_what_mostly_allows_and_marks_those_rows(packaged: tuple[Path, str], desk: Desk) -> None:
    tolerant = (
        CONTRACT.replace('on_violation = "impute"\ndefault = 50', "mostly = 0.9")
        .replace('on_violation = "ask"', "")
        .replace('max_age = "2h"\nevent_time = "seen"', "")
        .replace('unknown_category = "pass"', "")
    )
    made = package(desk, contract=tolerant)
    frame = table()
    frame.loc[:29, "age"] = 500
    frame.to_parquet("first.parquet")
    shown = desk.run(Predict(subject=made, data="first.parquet", out="answers.parquet"), Listing)
    assert shown.note == "all in answers.parquet; 30 of 300 rows passed (age)"
    assert np.flatnonzero(pd.read_parquet("answers.parquet").passed == "age").tolist() == list(range(30))
    frame.loc[30, "age"] = 500
    frame.to_parquet("more.parquet")
    assert "is above 120 years in 31 of 300 rows" in desk.refused(Predict(subject=made, data="more.parquet")).message
