"""Every form says the same as the contract where it can speak at all, and tells what it cannot say."""

import datetime
import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from mlflow.models import ModelSignature

from jupyter_mlprod.core.admission import Admission
from jupyter_mlprod.core.batch import check_batch
from jupyter_mlprod.core.contract import Column, Contract, Expected, Freshness, Rows, Tensor, Text
from jupyter_mlprod.core.contract_faults import contract_faults
from jupyter_mlprod.core.errors import MlprodError
from jupyter_mlprod.core.form_json_schema import AWARE, json_schema
from jupyter_mlprod.core.form_mlflow import contract_of_signature, mlflow_signature
from jupyter_mlprod.core.form_pandera import pandera_source
from jupyter_mlprod.core.raw import Array
from tests.core.contracts import contracts

TABLE = Contract(
    inputs=(
        Column(name="age", type="int", low=0.0, high=120.0, unit="years"),
        Column(name="weight", type="float", nullable=True, mostly=0.9, high=400.0),
        Column(name="site", type="string", categories=("a", "b"), unknown_category="pass", nullable=True),
        Column(name="code", type="string", pattern="^[A-Z]{2}[0-9]$", unique=True, pii="none", longest=3),
        Column(name="ok", type="bool", expected=Expected(shares=(0.5,), values=("true",))),
        Column(name="seen", type="time_utc", max_age="3d"),
    ),
    outputs=(Tensor(name="scores", dtype="float32", shape=("batch", 2)),),
    target=Column(name="ill", type="bool"),
    rules={"old": "age > 1"},
    rows=Rows(per_request=9),
    freshness=Freshness(event_time="seen"),
)


def objects(*values: object) -> Array:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


# JSON Schema.


def valid(schema: dict[str, Any], record: object) -> bool:
    return bool(jsonschema.Draft202012Validator(schema).is_valid(record))


@given(contracts())
@settings(max_examples=100, deadline=None)
def test_the_schema_is_one_of_the_draft(contract: Contract) -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema(contract)[0])


VALUES = [None, True, False, 0, 1, -3, 7.5, 1e-9, 2**63, -(2**63), "", "a", "AB1", "AB1\n", "x" * 1001, "漢", "1", 3.25]


@given(contracts(), st.data())
@settings(max_examples=300, deadline=None)
def test_the_schema_and_the_contract_agree_on_every_record(contract: Contract, data: st.DataObject) -> None:
    """But for what the schema tells that it cannot say: 1.0 as an integer, integers beyond 2^53 as floats, and times, which JSON has not."""
    assume(contract.is_table and not contract_faults(contract))
    columns = [field for field in contract.inputs if isinstance(field, Column)]
    assume(not any(column.type in ("time", "time_utc") for column in columns))
    record = {column.name: data.draw(st.sampled_from(VALUES)) for column in columns}
    assume(not any(column.type == "float" and abs(_number(record[column.name])) > 2**53 for column in columns))
    if data.draw(st.booleans()):
        record.pop(columns[0].name)
    result = check_batch(contract, {name: objects(value) for name, value in record.items()}) if record else None
    broken = result is None or any(violation.check not in ("rule", "rows") for violation in result.violations + result.tolerated)
    assert valid(json_schema(contract)[0], record) is not broken


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0.0


def test_the_schema_keeps_what_only_mlprod_reads_as_annotations() -> None:
    properties = json_schema(TABLE)[0]["properties"]
    assert properties["age"] == {"type": "integer", "minimum": 0, "maximum": 120, "x-unit": "years"}
    assert properties["site"] == {"type": ["string", "null"], "enum": ["a", "b", None], "x-unknown-category": "pass"}
    assert properties["seen"] == {"type": "string", "pattern": AWARE, "x-type": "moment with a zone", "x-max-age": "3d"}


def test_what_the_schema_cannot_say_is_told_in_a_line_each() -> None:
    told = "\n".join(json_schema(TABLE)[1])
    for part in ("rule 'old'", "freshness", "code: unique", "weight: mostly", "ok: the expected", "rows", "outputs", "2^53", "1.0"):
        assert part in told


def test_what_is_answered_although_the_schema_refuses_it_is_told() -> None:
    weight = Column(name="weight", type="float", on_violation="impute", default=75.0)
    site = Column(name="site", type="string", categories=("north",), unknown_category="pass")
    kept = Column(name="age", type="int", on_violation="ask")
    _, unsaid = json_schema(Contract(inputs=(weight, site, kept), outputs=()))
    told = [line for line in unsaid if "answered all the same" in line]
    assert [line.partition(":")[0] for line in told] == ["weight", "site"]


def test_a_tensor_is_nested_arrays_of_its_sizes() -> None:
    contract = Contract(inputs=(Tensor(name="x", dtype="uint8", shape=("batch", 2, "n"), high=9.0),), outputs=())
    schema, unsaid = json_schema(contract)
    assert valid(schema, {"x": [[1, 2, 3], [4, 5, 9]]})
    assert valid(schema, {"x": [[], []]})
    for record in ({"x": [[1]]}, {"x": [[10], [1]]}, {"x": [[-1], [1]]}, {"x": [[0.5], [1]]}, {}, {"x": [[1], [1]], "y": 0}):
        assert not valid(schema, record)
    assert any("dimensions of the same name" in line for line in unsaid)


def test_a_text_is_a_string() -> None:
    schema = json_schema(Contract(inputs=(Text(name="text", longest=3),), outputs=()))[0]
    assert valid(schema, {"text": "abc"})
    assert not valid(schema, {"text": "abcd"})


# MLflow.


@given(contracts())
@settings(max_examples=100, deadline=None)
def test_mlflow_reads_the_signature_and_gives_it_back(contract: Contract) -> None:
    signature, _ = mlflow_signature(contract)
    read = ModelSignature.from_dict(signature)
    back = contract_of_signature(read.to_dict(), name="model").contract
    assert len(back.inputs) == len(contract.inputs)
    for one, two in zip(contract.inputs, back.inputs, strict=True):
        assert type(one) is type(two)
        if isinstance(one, Column) and isinstance(two, Column):
            assert two.name == one.name
            assert two.type == {"time_utc": "time"}.get(one.type, one.type)
        if isinstance(one, Tensor) and isinstance(two, Tensor):
            assert two.dtype == one.dtype
            assert [size for size in two.shape if isinstance(size, int)] == [size for size in one.shape if isinstance(size, int)]


def test_what_a_signature_cannot_say_is_told_by_field() -> None:
    told = mlflow_signature(TABLE)[1]
    assert "age: a signature has no low, high, unit" in told
    assert "site: a signature has no categories, unknown_category, nullable" in told
    assert "rule 'old': a signature has no rules" in told
    assert any("time zones" in line for line in told)
    assert any("training view" in line for line in told)


def test_a_signature_of_mlflow_becomes_a_contract_and_its_parameters_are_told() -> None:
    signature = {
        "inputs": json.dumps(
            [
                {"type": "double", "name": "x", "required": True},
                {"type": "string", "name": "site", "required": False},
                {"type": "datetime", "name": "seen", "required": True},
                {"type": "array", "items": {"type": "long"}, "name": "many", "required": True},
            ]
        ),
        "outputs": json.dumps([{"type": "long"}, {"type": "string", "name": "why"}]),
        "params": json.dumps([{"name": "temperature", "type": "float", "default": 1.0, "shape": None}]),
    }
    read = contract_of_signature(signature, name="model")
    assert read.contract.inputs == (
        Column(name="x", type="float"), Column(name="site", type="string", nullable=True), Column(name="seen", type="time"),
    )  # fmt: skip
    assert read.contract.outputs == (Tensor(name="output0", dtype="int64", shape=("batch",)),)
    told = "\n".join(read.left_out)
    for part in ("site may be left out", "many is left out: a contract has no array", "output why is left out", "temperature"):
        assert part in told


@pytest.mark.parametrize(
    ("signature", "what"),
    [
        (None, "model has no signature"),
        ([], "model has no signature"),
        ({"inputs": "["}, "model: inputs of its signature cannot be read"),
        ({"inputs": "3"}, "model: inputs of its signature cannot be read"),
        ({"inputs": "[1]"}, "model: inputs of its signature cannot be read"),
        ({"inputs": "[" * 100_000}, "model: inputs of its signature cannot be read"),
        ({"inputs": "[]"}, "model: its signature has no inputs"),
        ({}, "model: its signature has no inputs"),
        ({"inputs": '[{"type": "tensor", "tensor-spec": {"dtype": "object", "shape": [-1]}}]'}, "model: its signature has no inputs"),
        ({"inputs": '[{"type": "tensor", "tensor-spec": 3}]'}, "model: its signature has no inputs"),
        ({"inputs": '[{"type": "long", "name": "x"}, {"type": "long", "name": "x"}]'}, "model: a contract has inputs"),
    ],
)
def test_a_forged_signature_is_refused_in_one_clear_line(signature: Any, what: str) -> None:
    with pytest.raises(MlprodError) as error:
        contract_of_signature(signature, name="model")
    assert error.value.message.startswith(what)


# Pandera.

FRAME: dict[str, Array] = {
    "age": np.array([1, 50]), "weight": np.array([70.0, np.nan]), "site": objects("a", None), "code": objects("AB1", "AB2"),
    "ok": np.array([True, False]),
}  # fmt: skip


def executed(source: str, folder: Path) -> dict[str, Any]:
    file = folder / "schemas.py"
    file.write_text(source, "utf-8")
    defined: dict[str, Any] = {}
    exec(compile(source, str(file), "exec"), defined)
    return defined


@pytest.mark.parametrize(
    ("column", "values", "kept"),
    [
        ("age", np.array([0, 120]), True),
        ("age", np.array([0, 121]), False),
        ("age", np.array([0.0, 1.0]), False),
        ("age", objects(1, None), False),
        ("age", objects(1, "x"), False),
        ("age", np.array([True, False]), False),
        ("weight", np.array([1, 2]), True),
        ("weight", np.array([np.inf, 1.0]), False),
        ("weight", objects(None, None), True),
        ("weight", objects("1", 2.0), False),
        ("weight", objects(2**60, 2.0), False),
        ("site", objects("a", "c"), False),
        ("site", objects("a", 3), False),
        ("code", objects("AB1", "AB1"), False),
        ("code", objects("AB1", "ab2"), False),
        ("code", objects("AB1", "\ud800"), False),
        ("code", objects("AB1", "AB2\n"), False),
        ("ok", objects(True, 1), False),
        ("ok", np.array([True, True]), True),
    ],
)
def test_pandera_and_the_contract_say_the_same_of_a_frame(tmp_path: Path, column: str, values: Array, kept: bool) -> None:
    pandera = pytest.importorskip("pandera.pandas")
    pandas = pytest.importorskip("pandas")
    inputs = tuple(
        Column(name=field.name, type=field.type, nullable=field.nullable, low=field.low, high=field.high, categories=field.categories,
               pattern=field.pattern, unique=field.unique, longest=field.longest)
        for field in TABLE.inputs if isinstance(field, Column) and field.name != "seen"
    )  # fmt: skip
    contract = Contract(inputs=inputs, outputs=())
    schema = executed(pandera_source(contract, digest="d")[0], tmp_path)["serving"]
    raw = {**FRAME, column: values}
    frame = pandas.DataFrame({name: pandas.Series(array, dtype=object if array.dtype == object else None) for name, array in raw.items()})
    assert bool(check_batch(contract, raw).violations) is not kept
    if kept:
        schema.validate(frame, lazy=True)
    else:
        with pytest.raises(pandera.errors.SchemaErrors):
            schema.validate(frame, lazy=True)


def test_the_pandera_module_is_the_same_each_time_and_has_a_schema_a_view(tmp_path: Path) -> None:
    pytest.importorskip("pandera.pandas")
    pandas = pytest.importorskip("pandas")
    source, unsaid = pandera_source(TABLE, digest="d")
    assert source == pandera_source(TABLE, digest="d")[0]
    defined = executed(source, tmp_path)
    assert list(defined["training"].columns) == [*defined["serving"].columns, "ill"]
    seen = pandas.Series([datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)] * 2, dtype=object)
    frame = pandas.DataFrame({**{name: pandas.Series(array, dtype=object) for name, array in FRAME.items()}, "seen": seen})
    frame["weight"] = pandas.Series([70.0, 500.0])
    with pytest.warns(UserWarning, match="at most 400"):
        defined["serving"].validate(frame, lazy=True)
    told = "\n".join(unsaid)
    for part in ("rule 'old'", "weight: what 0.9", "ok: the expected", "freshness", "rows", "site", "code", "outputs"):
        assert part in told


def test_a_hostile_name_stays_a_text_in_the_source(tmp_path: Path) -> None:
    pytest.importorskip("pandera.pandas")
    name = 'x\'): 1}\nimport os\n\u2028"""'
    source = pandera_source(Contract(inputs=(Column(name=name, type="string", unit=name, categories=(name,)),), outputs=()), digest="d")[0]
    assert list(executed(source, tmp_path)["serving"].columns) == [name]


def test_pandera_is_for_tables_alone() -> None:
    with pytest.raises(MlprodError, match="Pandera is for tables"):
        pandera_source(Contract(inputs=(Text(name="text"),), outputs=()), digest="d")


DAYS = ["2026-01-01", "20260101", "2026-W01-1", "2026W01", "2026-13-01", "2026-01-32", "2026-99-99", "26-01-01", "hello"]
CLOCKS = [
    "T00:00",
    " 00:00",
    "T00",
    "T0000",
    "T23:59:59.123456",
    "T00:00:00.1234567",
    "T00:00:00,5",
    "x12:30",
    "T99:99",
    "T25:00",
    "T00:60",
    "T0:0",
    "",
]
ZONES = ["", "Z", "z", "+02:00", "+0200", "-02", "+02:00:30", "+25:00", "+2", "UTC"]


@pytest.mark.parametrize("kind", ["time", "time_utc"])
def test_the_schema_takes_the_same_times_as_a_request(kind: Any) -> None:
    contract = Contract(inputs=(Column(name="t", type=kind),), outputs=())
    schema, unsaid = json_schema(contract)
    admission, validator = Admission(contract), jsonschema.Draft202012Validator(schema)
    taken = 0
    for text in (day + clock + zone for day in DAYS for clock in CLOCKS for zone in ZONES):
        try:
            admission.admit(json.dumps([{"t": text}]).encode(), name="n")
        except MlprodError:
            admitted = False
        else:
            admitted = True
        assert validator.is_valid({"t": text}) == admitted, text
        taken += admitted
    assert taken > 20
    assert validator.is_valid({"t": "2026-02-30T00:00" + ("Z" if kind == "time_utc" else "")})
    assert "JSON Schema knows no calendar, and takes 30 February and 24:00: t" in unsaid


def test_an_integer_of_32_bits_is_told_to_become_one_of_64() -> None:
    columns = json.dumps([{"type": "integer", "name": "x", "required": True}, {"type": "long", "name": "y", "required": True}])
    read = contract_of_signature({"inputs": columns, "outputs": None, "params": None}, name="m")
    assert read.left_out == ("x is an integer of 32 bits there; here it is int, of 64, so that low and high have to say more",)
