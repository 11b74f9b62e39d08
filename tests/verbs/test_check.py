"""``check``: every kind of fault is found and named, nothing that was asked for is silently left out, and no personal value is told."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from jupyter_mlprod.core.bundle import Bundle
from jupyter_mlprod.core.errors import Code
from jupyter_mlprod.core.evidence import Evidence, Measure
from jupyter_mlprod.core.policy import BY_KIND
from jupyter_mlprod.core.raw import object_array
from jupyter_mlprod.core.requests import Check, Gate, Package
from jupyter_mlprod.core.verdict import Verdict, exit_status, judge
from jupyter_mlprod.fronts import display
from tests.project import SETTINGS
from tests.verbs.tiny import Desk, linear, measure_of

N = 200
PREPARE = """
import numpy as np


def prepare(batch):
    return np.column_stack([batch["age"] / 100.0, batch["income"], batch["site"] == "north"]).astype(np.float32)
"""
CONTRACT = """
rules.grown = "income == 0 or age >= 14"

[inputs.age]
low = 0
high = 120
unit = "years"

[inputs.site]
categories = ["north", "south"]

[inputs.name]
pii = "name"

[inputs.salary]
pii = "salary"

[inputs.seen]
max_age = "2d"

[target]
name = "churn"
type = "int"

[freshness]
event_time = "seen"
as_of = "asked"
"""


def table(n: int = N, *, seed: int = 0) -> dict[str, Any]:
    """Rows that break nothing; each draw has others."""
    rng = np.random.default_rng(seed)
    day = np.datetime64("2026-01-01", "us") + rng.integers(0, 86_400 * 10**6, n)
    return {
        "age": rng.uniform(18, 90, n),
        "income": rng.uniform(0, 9, n),
        "site": object_array(list(rng.choice(["north", "south"], n))),
        "name": object_array([f"Zebulon Quixote {seed} {i}" for i in range(n)]),
        "salary": rng.uniform(70_000, 80_000, n).round(2),
        "seen": day,
        "asked": day + np.timedelta64(1, "h"),
        "customer": np.arange(n) + 5_000,
        "churn": (rng.random(n) < 0.5).astype(np.int64),
    }


def written(columns: Mapping[str, Any], name: str = "rows.parquet") -> str:
    pd.DataFrame(dict(columns)).to_parquet(name)
    return name


def prepared(columns: Mapping[str, Any], name: str = "prepared.npy") -> str:
    space: dict[str, Any] = {}
    exec(PREPARE, space)
    np.save(name, space["prepare"](columns))
    return name


@pytest.fixture(scope="module")
def made_shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the bundle ``shop``, which takes a table."""
    folder = tmp_path_factory.mktemp("shop")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        linear(folder / "model.onnx", shift=0.0)
        (folder / "prepare.py").write_text(PREPARE)
        (folder / "mlprod.toml").write_text(SETTINGS)
        columns = {name: array for name, array in table().items() if name not in ("customer", "churn")}
        written({name: array[:8] for name, array in columns.items()}, "example.parquet")
        request = Package(
            model="model.onnx", name="shop", example="example.parquet", preprocess="prepare.py:prepare", labels="stays,goes",
            contract=CONTRACT,
        )  # fmt: skip
        Desk(folder).run(request, Bundle)
    return folder


@pytest.fixture
def shop(made_shop: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.chdir(made_shop)
    return Desk(made_shop)


def checked(desk: Desk, columns: Mapping[str, Any] | None = None, **options: Any) -> Evidence:
    return desk.run(Check(subject="shop", data=written(table() if columns is None else columns), **options), Evidence)


def broken(evidence: Evidence) -> list[tuple[str, str, str]]:
    """(kind, check, field) of every broken check."""
    return [(m.where["kind"], m.where["check"], m.where["field"]) for m in evidence.measures if m.name == "broken"]


def sentences(evidence: Evidence) -> list[str]:
    return [measure.note for measure in evidence.measures if measure.name == "broken"]


def changed(**columns: Any) -> dict[str, Any]:
    return {**table(), **columns}


def at(name: str, rows: list[int], value: Any) -> dict[str, Any]:
    columns = table()
    columns[name][rows] = value
    return columns


# What is right passes, and says how much was looked at.


def test_sound_rows_pass_every_kind_and_the_number_of_checks_is_told(shop: Desk) -> None:
    columns = table()
    evidence = checked(
        shop, columns, prepared=prepared(columns), online=written(columns, "online.parquet"), key="customer",
        validation=written({**table(seed=1), "seen": table()["seen"] + np.timedelta64(30, "D")}, "validation.parquet"),
    )  # fmt: skip
    assert broken(evidence) == []
    kinds = {m.where["kind"]: m.n for m in evidence.measures if m.name == "violations" and m.where}
    assert list(kinds) == ["schema", "freshness", "parity", "skew", "leakage"]
    whole = measure_of(evidence, "violations")
    assert (whole.value, whole.n) == (0, sum(kinds.values()))
    assert measure_of(evidence, "rows").note.startswith(f"{whole.n} checks ran on 200 rows: ")
    assert exit_status(evidence) == 0


# What is wrong is found, and its kind is named.


@pytest.mark.parametrize(
    ("columns", "found", "said"),
    [
        (at("age", [3, 7], 130.0), ("schema", "high", "age"), "row 3: 130; row 7: 130"),
        (at("site", [5], "nörth"), ("schema", "category", "site"), "first at row 5 (row 5: 'xxxxx')"),
        (at("age", [2], np.nan), ("schema", "null", "age"), "in 1 of 200 rows, first at row 2"),
        (at("age", [4], 2.0), ("schema", "rule", "grown"), "rule 'grown' is broken"),
        (changed(age=object_array(["x"] * N)), ("schema", "type", "age"), "values that are no numbers"),
        ({k: v for k, v in table().items() if k != "age"}, ("schema", "present", "age"), "column 'age' is missing"),
        (changed(asked=table()["seen"] + np.timedelta64(3, "D")), ("freshness", "stale", "seen"), "older than 2d"),
        (changed(asked=table()["seen"] - np.timedelta64(1, "h")), ("freshness", "future", "seen"), "lies after 'asked'"),
        (changed(income=table()["churn"] * 5.0 + 1), ("leakage", "label", "income"), "tells the target 'churn'"),
    ],
)
def test_each_fault_is_found_under_its_kind(shop: Desk, columns: dict[str, Any], found: tuple[str, str, str], said: str) -> None:
    evidence = checked(shop, columns)
    assert found in broken(evidence)
    assert any(said in sentence for sentence in sentences(evidence)), sentences(evidence)
    assert measure_of(evidence, "violations", kind=found[0]).value >= 1
    assert exit_status(evidence) == 1


def test_the_verdict_names_the_kind(shop: Desk) -> None:
    evidence = checked(shop, at("age", [3], 130.0))
    verdict = judge(BY_KIND["contract"], [evidence], subject=evidence.subject, now=evidence.taken_at)
    places = [finding.measured.where for finding in verdict.findings if finding.measured is not None]
    assert places == [{}, {"kind": "schema"}]
    assert all("column 'age' is above 120 years in 1 of 200 rows, first at row 3" in finding.reason for finding in verdict.findings)


def test_another_preprocessing_is_a_finding_of_parity(shop: Desk) -> None:
    columns = table()
    name = prepared(columns)
    array = np.load(name)
    array[11, 1] += 1
    np.save(name, array)
    evidence = checked(shop, columns, prepared=name)
    assert broken(evidence) == [("parity", "prepared", "x")]
    assert sentences(evidence) == [
        "'x' is prepared differently in 1 of 200 rows, first at row 11 (row 11 at 1: withheld, made of personal data)"
    ]
    assert not [m for m in evidence.measures if m.name == "preprocess_max_abs_diff"], "a number that was made of personal data"


def test_a_feature_that_was_logged_in_another_unit_is_a_finding_of_skew(shop: Desk) -> None:
    columns = table()
    online = written({**columns, "income": columns["income"] * 1000}, "online.parquet")
    evidence = checked(shop, columns, online=online, key="customer")
    assert broken(evidence) == [("skew", "skew", "income")]
    assert "online is 1,000 × offline in all of them" in sentences(evidence)[0]
    assert "key 5000" in sentences(evidence)[0]
    assert measure_of(evidence, "skew_ratio", feature="income").value == 1
    assert measure_of(evidence, "skew_ratio", feature="age").value == 0


def test_rows_in_both_splits_and_time_travel_are_findings_of_leakage(shop: Desk) -> None:
    columns = table()
    other = table(seed=1)
    both = {name: np.concatenate([array[:3], other[name]]) for name, array in columns.items()}
    evidence = checked(shop, columns, validation=written(both, "validation.parquet"))
    assert broken(evidence) == [("leakage", "shared", ""), ("leakage", "overlap", "seen")]
    assert "3 of 203 rows of the validation are among the data (row 0 is row 0 of the data; " in sentences(evidence)[0]
    assert measure_of(evidence, "shared_rows").value == 3
    assert measure_of(evidence, "time_overlap_rows").value > 100


def test_the_label_may_be_named_when_the_contract_has_none(shop: Desk) -> None:
    columns = changed(other=table()["age"] > 50)
    assert ("leakage", "label", "age") in broken(checked(shop, columns, target="other"))


def test_leakage_is_judged_only_where_something_was_compared(shop: Desk) -> None:
    unlabeled = {name: array for name, array in table().items() if name != "churn"}

    def kinds(evidence: Evidence) -> list[str]:
        return [m.where["kind"] for m in evidence.measures if m.name == "violations" and m.where]

    assert kinds(checked(shop, unlabeled)) == ["schema", "freshness", "quality"]
    assert kinds(checked(shop, {name: array[:1] for name, array in unlabeled.items()})) == ["schema", "freshness"]
    assert kinds(checked(shop)) == ["schema", "freshness", "leakage"]


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({name: array[:49] for name, array in table().items()}, "the target 'churn' has a value in 49 rows, and 50 are needed"),
        ({**table(), "churn": np.full(N, np.nan)}, "the target 'churn' has a value in 0 rows"),
    ],
)
def test_a_target_that_was_asked_for_and_cannot_be_compared_is_a_broken_check(shop: Desk, columns: dict[str, Any], said: str) -> None:
    evidence = checked(shop, columns, target="churn")
    assert broken(evidence) == [("leakage", "run", "")]
    assert sentences(evidence)[0].startswith(said)
    assert exit_status(evidence) == 1


def test_an_id_among_the_features_is_found(bare_desk: Desk) -> None:
    linear(bare_desk.folder / "model.onnx", shift=0.0)
    columns = {"user_id": np.arange(60), "a": np.random.default_rng(0).normal(size=60), "b": np.zeros(60)}
    (bare_desk.folder / "stack.py").write_text(
        "import numpy as np\n\n\ndef prepare(batch):\n    return np.column_stack(list(batch.values())).astype(np.float32)\n"
    )
    request = Package(model="model.onnx", name="shop", example=written(columns), preprocess="stack.py:prepare", labels="a,b")
    bare_desk.run(request, Bundle)
    evidence = checked(bare_desk, columns)
    assert broken(evidence) == [("leakage", "id", "user_id")]
    assert measure_of(evidence, "constant_columns").note == "b"


@pytest.fixture
def pictures(bare_desk: Desk) -> Desk:
    """The bundle ``tiny`` of images of 3 × 1 pixels, and a folder of three images."""
    np.save("x8.npy", np.random.default_rng(0).normal(size=(8, 3, 1)))
    Path("prepare.py").write_text(
        "import numpy as np\n\n\ndef prepare(batch):\n    return batch.reshape(len(batch), 3).astype(np.float32)\n"
    )
    bare_desk.package(0.0)
    Path("images").mkdir()
    for index in range(3):
        Image.fromarray(np.random.default_rng(index).integers(0, 255, (8, 8), np.uint8)).save(f"images/{index}.png")
    return bare_desk


def test_images_that_cannot_be_decoded_are_findings_of_quality(pictures: Desk) -> None:
    assert exit_status(pictures.run(Check(subject="tiny", data="images"), Evidence)) == 0
    Path("images/1.png").write_bytes(Path("images/1.png").read_bytes()[:60])
    evidence = pictures.run(Check(subject="tiny", data="images"), Evidence)
    assert broken(evidence) == [("quality", "decode", "")]
    assert "first at row 1 (row 1 '1.png': " in sentences(evidence)[0]
    assert exit_status(evidence) == 1
    assert measure_of(evidence, "violations").value == 1


def test_sound_images_say_nothing_of_the_contract_and_clear_no_broken_check(pictures: Desk) -> None:
    np.save("broken.npy", np.full((4, 3, 1), np.nan))
    assert exit_status(pictures.run(Check(subject="tiny", data="broken.npy"), Evidence)) == 1
    Path("images/notes.jpg2").write_text("no image by its name")
    evidence = pictures.run(Check(subject="tiny", data="images"), Evidence)
    assert [m.where for m in evidence.measures if m.name == "violations"] == [{"kind": "quality"}]
    assert evidence.context["files that are no images by their names"] == "1"
    verdict = pictures.run(Gate(subjects=("tiny",)), Verdict)
    assert [f.outcome for f in verdict.findings if f.rule.measure == "violations"] == ["fail"]


def test_a_folder_of_images_is_refused_for_a_bundle_that_takes_none(shop: Desk) -> None:
    Path("photos").mkdir(exist_ok=True)
    Image.fromarray(np.zeros((8, 8), np.uint8)).save("photos/one.png")
    assert shop.refused(Check(subject="shop", data="photos")).message == "photos is a folder of images, and shop takes none"


def test_a_column_of_bytes_that_begins_as_images_is_decoded(shop: Desk) -> None:
    Image.fromarray(np.zeros((64, 64), np.uint8)).save("one.png")
    whole = Path("one.png").read_bytes()
    evidence = checked(shop, changed(photo=object_array([whole] * (N - 1) + [whole[:60]])))
    assert broken(evidence) == [("quality", "decode", "photo")]
    assert measure_of(evidence, "constant_rows", input="photo").value == N - 1


# What was asked for and could not be done is never silent.


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"prepared": "short.npy"}, "parity"),
        ({"prepared": "rows.parquet"}, "parity"),
        ({"online": "elsewhere.parquet", "key": "customer"}, "skew"),
        ({"online": "none.parquet", "key": "customer"}, "skew"),
        ({"validation": "none.parquet"}, "leakage"),
    ],
)
def test_a_kind_that_cannot_run_is_a_broken_check(shop: Desk, options: dict[str, str], kind: str) -> None:
    columns = table()
    np.save("short.npy", np.zeros((7, 3), np.float32))
    written({**columns, "customer": columns["customer"] + 10_000}, "elsewhere.parquet")
    written({name: array[:0] for name, array in columns.items()}, "none.parquet")
    evidence = checked(shop, columns, **options)
    assert measure_of(evidence, "violations", kind=kind).value == 1
    assert exit_status(evidence) == 1


def test_rows_that_break_the_contract_are_not_prepared_and_that_is_a_finding(shop: Desk) -> None:
    evidence = checked(shop, at("age", [3], np.nan), prepared=prepared(table()))
    assert broken(evidence) == [("schema", "null", "age"), ("parity", "run", "")]


def test_no_rows_break_every_kind_that_was_asked_for(shop: Desk) -> None:
    none = {name: array[:0] for name, array in table().items()}
    evidence = checked(
        shop, none, prepared=prepared(table()), online=written(table(), "online.parquet"), key="customer",
        validation=written(table(), "validation.parquet"),
    )  # fmt: skip
    assert {kind for kind, check, _ in broken(evidence) if check == "run"} == {"parity", "skew", "leakage"}
    assert ("schema", "rows", "") in broken(evidence)
    assert exit_status(evidence) == 1


def test_a_rule_on_a_kind_that_did_not_run_is_missing(shop: Desk) -> None:
    evidence = checked(shop)
    assert not [m for m in evidence.measures if m.where == {"kind": "skew"}]


# Bad requests and bad input are one line.


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        ({"online": "rows.parquet"}, Code.BAD_REQUEST, "skew needs both --online and --key"),
        ({"key": "customer"}, Code.BAD_REQUEST, "skew needs both --online and --key"),
        ({"online": "rows.parquet", "key": "costumer"}, Code.BAD_DATA, "the key 'costumer' is no column of the data, which has age"),
        ({"online": "keyless.parquet", "key": "customer"}, Code.BAD_DATA, "the key 'customer' is no column of --online"),
        ({"online": "x.npy", "key": "customer"}, Code.BAD_DATA, "--online is one array without names of columns"),
        ({"target": "label"}, Code.BAD_DATA, "the target 'label' is no column of the data"),
        ({"validation": "keyless.parquet"}, Code.BAD_DATA, "--validation has no 'age', which the data have"),
        ({"prepared": "gone.npy"}, Code.BAD_DATA, "no data file 'gone.npy'"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_one_line(shop: Desk, options: dict[str, Any], code: Code, said: str) -> None:
    np.save("x.npy", np.zeros((3, 2)))
    written({"income": table()["income"]}, "keyless.parquet")
    refusal = shop.refused(Check(subject="shop", data=written(table()), **options))
    assert (refusal.code, said in refusal.message) == (code, True), refusal.message


def test_questions_about_columns_are_refused_for_tensors(pictures: Desk) -> None:
    refusal = pictures.refused(Check(subject="tiny", data="x.npy", target="y"))
    assert refusal.message == "--target is about columns of a table, and tiny takes none"
    refusal = pictures.refused(Check(subject="tiny", data="images", prepared="x.npy"))
    assert refusal.message == "images is a folder of images, of which only the quality is checked"


@pytest.mark.parametrize(
    "column",
    [
        object_array([1, "two", None, 3.0] * 50),
        object_array([b"x", 2.0, None, True] * 50),
        np.full(N, np.inf),
        object_array([2**60 + i for i in range(N)]),
        object_array([None] * N),
    ],
)
@pytest.mark.parametrize("name", ["age", "site", "seen"])
def test_odd_columns_are_findings_and_never_a_trace(shop: Desk, name: str, column: Any) -> None:
    columns = changed(**{name: column})
    online, other = "odd.npz", "odd2.npz"
    for file in (online, other):
        shop.workspace().data.write({k: np.asarray(v) for k, v in columns.items()}, Path(file))
    evidence = shop.run(
        Check(subject="shop", data=online, online=other, key="customer", validation=other, prepared=prepared(table())), Evidence
    )
    assert name in {field for _, _, field in broken(evidence)}
    assert exit_status(evidence) == 1


# Code of the bundle, and whose word it is.


def test_no_code_of_a_bundle_runs_without_prepared_and_none_of_a_stranger(shop: Desk, tmp_path: Path) -> None:
    folder = tmp_path / "stranger"
    folder.mkdir()
    source = shop.bundle_folder(shop.workspace().bundles.all()[-1][0])
    (folder / "mlprod.toml").write_text("")
    request = Check(subject=str(source), data=str(Path(written(table())).resolve()))
    stranger = Desk(folder)
    assert broken(stranger.run(request, Evidence)) == []
    asked = Check(subject=request.subject, data=request.data, prepared=str(Path(prepared(table())).resolve()))
    assert stranger.refused(asked).code is Code.NOT_TRUSTED
    trusted = Check(subject=asked.subject, data=asked.data, prepared=asked.prepared, trust="a test")
    assert broken(stranger.run(trusted, Evidence)) == []


def test_preprocessing_of_tensors_is_compared_too(desk: Desk) -> None:
    np.save("same.npy", (np.load("x.npy") / 2).astype(np.float32))
    np.save("other.npy", np.load("x.npy").astype(np.float32))
    assert broken(desk.run(Check(subject="tiny", data="x.npy", prepared="same.npy"), Evidence)) == []
    evidence = desk.run(Check(subject="tiny", data="x.npy", prepared="other.npy"), Evidence)
    (note,) = sentences(evidence)
    assert note.startswith("'x' is prepared differently in 400 of 400 rows, first at row 0 (row 0 at ")
    assert "by the bundle" in note


def test_a_broken_check_blocks_the_gate_until_a_sound_one(shop: Desk) -> None:
    columns = table()
    checked(shop, columns, online=written({**columns, "income": columns["income"] + 1}, "online.parquet"), key="customer")
    subject = shop.workspace().bundles.all()[-1][0]

    def outcome() -> str:
        verdict = shop.run(Gate(subjects=(subject,)), Verdict)
        return next(f"{f.outcome} {f.reason}" for f in verdict.findings if f.rule.measure == "violations")

    assert "differs online" in outcome()
    checked(shop, columns)
    assert outcome() == "pass "


def test_a_policy_may_ask_for_what_a_check_measured_and_for_a_kind(shop: Desk) -> None:
    rules = """
[[policy.release]]
measure = "duplicate_rows"
at_most = 0
unit = "count"

[[policy.release]]
measure = "null_ratio"
at_most = 0.05
where = { column = "*" }

[[policy.release]]
measure = "violations"
at_most = 0
unit = "count"
where = { kind = "skew" }
"""
    Path("mlprod.toml").write_text(SETTINGS + rules)
    subject = shop.workspace().bundles.all()[-1][0]

    def outcomes() -> list[str]:
        verdict = shop.run(Gate(subjects=(subject,)), Verdict)
        wanted = ("duplicate_rows", "null_ratio", "violations")
        return [f.outcome for f in verdict.findings if f.rule.measure in wanted and (f.rule.where or f.rule.measure != "violations")]

    for file in Path(".mlprod/records/evidence-1").rglob("*.json"):
        if '"kind":"contract"' in file.read_text():
            file.unlink()
    checked(shop, table())
    assert outcomes() == ["pass", "pass", "missing"]
    twice = {name: np.concatenate([array, array[:5]]) for name, array in table().items()}
    checked(shop, twice, online=written(table(), "online.parquet"), key="customer")
    assert outcomes() == ["fail", "pass", "pass"]
    Path("mlprod.toml").write_text(SETTINGS)


# What is shown, and what is never shown.


def test_all_violations_are_shown_at_once_in_text_and_html(shop: Desk) -> None:
    columns = at("age", [3], 130.0)
    columns["site"][4], columns["income"][5] = "west", np.nan
    evidence = checked(shop, columns)
    assert len(sentences(evidence)) == 3
    for shown in (display.as_text(evidence), display.as_html(evidence)):
        for sentence in ("column 'age' is above 120 years in 1 of 200 rows, first at row 3 (row 3: 130)", "row 4", "row 5"):
            assert sentence.replace("'", "&#x27;") in shown.replace("'", "&#x27;")
    assert "✗ schema: " in display.as_text(evidence)


def test_measures_that_are_zero_everywhere_are_one_line(shop: Desk) -> None:
    text = display.as_text(checked(shop))
    assert "null_ratio of 7" in text
    assert "column=age" not in text


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 10**6), st.sampled_from(["null", "repeat", "numbers", "leak"]))
def test_no_personal_value_is_ever_in_the_evidence(shop: Desk, seed: int, fault: str) -> None:
    columns = table(60, seed=seed)
    if fault == "null":
        columns["name"][3] = None
        columns["salary"][4] = np.nan
    if fault == "repeat":
        columns = {name: np.concatenate([array, array[:9]]) for name, array in columns.items()}
    if fault == "numbers":
        columns["name"] = object_array([float(pay) for pay in columns["salary"]])
    if fault == "leak":
        columns["salary"] = columns["salary"] + 1_000_000 * columns["churn"]
    online = {**columns, "salary": columns["salary"] * 1000, "name": object_array([f"{name}!" for name in columns["name"]])}
    shop.workspace().data.write({k: np.asarray(v) for k, v in columns.items()}, Path("rows.npz"))
    shop.workspace().data.write({k: np.asarray(v) for k, v in online.items()}, Path("online.npz"))
    evidence = shop.run(Check(subject="shop", data="rows.npz", online="online.npz", key="name", validation="online.npz"), Evidence)
    assert broken(evidence)
    notes = " ".join(f"{measure.note} {measure.where}" for measure in evidence.measures)
    assert "Zebulon" not in display.as_json(evidence)
    assert "Quixote" not in display.as_json(evidence)
    assert not [pay for pay in columns["salary"] if f"{pay:.6g}" in notes or f"{pay:.4g}" in notes]


def test_a_measure_is_exact_or_has_an_interval(shop: Desk) -> None:
    measures: list[Measure] = list(checked(shop).measures)
    assert {measure.method for measure in measures} == {"exact", "wilson"}
    assert json.loads(display.as_json(checked(shop)))["schema"] == "evidence/1"
