"""Whole data sets of every kind are read as they are, and whatever is wrong with them is a finding or one clear line."""

import datetime
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from jupyter_mlprod.adapters.frames import Frames
from jupyter_mlprod.core.batch import check_batch
from jupyter_mlprod.core.conformance import Conformance
from jupyter_mlprod.core.contract import Column, Contract, Expected, Freshness, Tensor, Text
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.raw import object_array
from jupyter_mlprod.workspace import no_progress

OUTPUTS = (Tensor(name="score", dtype="float32", shape=("batch",)),)
FRAMES = Frames(no_progress, head_rows=2, batch_rows=3)
NOW = datetime.datetime(2026, 5, 4, tzinfo=datetime.UTC)


def table(*columns: Column, **said: Any) -> Contract:
    return Contract(inputs=columns, outputs=OUTPUTS, **said)


def checked(contract: Contract, source: Any, *, now: datetime.datetime | None = None) -> Conformance:
    return FRAMES.check(contract, source, view="serving", now=now)


def told(contract: Contract, source: Any) -> list[tuple[str, str, int]]:
    return [(one.field, one.check, one.rows) for one in checked(contract, source).violations]


def refused(contract: Contract, source: Any) -> str:
    """The line of a refusal; empty where there was none."""
    try:
        checked(contract, source)
    except MlprodError as error:
        return f"{error.code.value}: {error.message}"
    return ""


AGE = table(Column(name="age", type="float", low=0, high=120), Column(name="sex", type="string", categories=("f", "m")))


@pytest.mark.parametrize(
    "source",
    [
        pd.DataFrame({"age": [1.0, 200, None, 4], "sex": ["f", "x", None, "m"]}),
        pd.DataFrame({"age": pd.array([1, 200, None, 4], dtype="Int64"), "sex": pd.Categorical(["f", "x", None, "m"])}),
        pd.DataFrame({"age": pd.array([1, 200, None, 4], dtype="float64[pyarrow]"), "sex": pd.Series(["f", "x", None, "m"], dtype=object)}),
        pl.DataFrame({"age": [1, 200, None, 4], "sex": ["f", "x", None, "m"]}),
        pl.DataFrame({"age": [1.0, 200, None, 4], "sex": pl.Series(["f", "x", None, "m"], dtype=pl.Categorical)}),
        pl.LazyFrame({"age": pl.Series([1, 200, None, 4], dtype=pl.Float32), "sex": ["f", "x", None, "m"]}),
        pa.table({"age": pa.array([1, 200, None, 4], pa.float16()), "sex": pa.array(["f", "x", None, "m"]).dictionary_encode()}),
        {"age": np.array([1, 200, np.nan, 4], ">f4"), "sex": np.array(["f", "x", None, "m"], object)},
        {"age": torch.tensor([[1, 0], [200, 0], [torch.nan, 0], [4, 0]], requires_grad=True)[:, 0], "sex": ["f", "x", None, "m"]},
        {"age": torch.tensor([1, 200, torch.nan, 4], dtype=torch.bfloat16), "sex": pd.Series(["f", "x", None, "m"])},
        {"age": np.ma.masked_array([1.0, 200, 7, 4], [False, False, True, False]), "sex": ("f", "x", None, "m")},
        {"age": [1, 200, None, 4.0], "sex": pa.array(["f", "x", None, "m"], pa.large_string())},
    ],
    ids=lambda source: type(source).__module__.split(".")[0],
)  # fmt: skip
def test_every_library_holds_the_same_rows(source: Any) -> None:
    assert told(AGE, source) == [("age", "null", 1), ("age", "high", 1), ("sex", "null", 1), ("sex", "category", 1)]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA GPU")
def test_a_tensor_on_the_gpu_is_read_as_one_of_the_cpu() -> None:
    ages = torch.tensor([1.0, 200, 4], device="cuda")
    assert told(AGE, {"age": ages, "sex": ["f", "m", "m"]}) == [("age", "high", 1)]


def test_a_file_says_what_its_frame_says(tmp_path: Path) -> None:
    frame = pl.DataFrame({"age": [1.0, 200, None, 4, 130], "sex": ["f", "x", None, "m", "y"], "more": [1, 2, 3, 4, 5]})
    frame.write_parquet(tmp_path / "rows.parquet", row_group_size=2)
    frame.write_csv(tmp_path / "rows.csv")
    wanted = checked(AGE, frame)
    assert wanted.violations
    assert checked(AGE, tmp_path / "rows.parquet") == wanted
    assert checked(AGE, tmp_path / "rows.csv") == wanted


def test_what_pandas_kept_as_index_is_no_column(tmp_path: Path) -> None:
    pd.DataFrame({"age": [1.0], "sex": ["f"]}, index=pd.Index(["a"], name="key")).to_parquet(tmp_path / "rows.parquet")
    contract = table(Column(name="key", type="string"))
    assert told(contract, tmp_path / "rows.parquet") == [("key", "present", 1)]
    assert checked(AGE, tmp_path / "rows.parquet").violations == ()


def test_the_texts_of_a_csv_are_read_as_what_the_contract_says(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text('zip,n,ok,at\n007,1,true,2026-01-02\n"0,8",9223372036854775808,False,2026-01-02T03:04:05\nNA,1.5,yes,soon\n')
    contract = table(
        Column(name="zip", type="string", categories=("007", "0,8")), Column(name="n", type="int"), Column(name="ok", type="bool"),
        Column(name="at", type="time"),
    )  # fmt: skip
    found = [("zip", "null", 1), ("n", "type", 1), ("n", "exact", 1), ("ok", "type", 1), ("at", "type", 1)]
    assert told(contract, path) == found


def test_a_zone_is_neither_lost_nor_invented(tmp_path: Path) -> None:
    naive, aware = table(Column(name="at", type="time")), table(Column(name="at", type="time_utc"))
    moments = pd.DataFrame({"at": pd.to_datetime(["2026-01-02", None]).tz_localize("Europe/Berlin")})
    times = pl.DataFrame({"at": [datetime.date(2026, 1, 2), None]})
    mixed = {"at": [datetime.datetime(2026, 1, 2), datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)]}
    moments.to_parquet(tmp_path / "rows.parquet")
    for source in (moments, tmp_path / "rows.parquet"):
        assert told(naive, source) == [("at", "null", 1), ("at", "type", 1)]
        assert told(aware, source) == [("at", "null", 1)]
    assert told(naive, times) == [("at", "null", 1)]
    assert told(aware, times) == [("at", "null", 1), ("at", "type", 1)]
    assert told(naive, mixed) == told(aware, mixed) == [("at", "type", 1)]


ODD = [
    pl.Series([1, 2], dtype=pl.Decimal(10, 2)), pl.Series([[1], [2]]), pl.Series([{"a": 1}, {"a": 2}]), pl.Series([b"a", b"b"]),
    pl.Series([datetime.timedelta(1)] * 2), pl.Series([datetime.time(1)] * 2), pl.Series([object()] * 2, dtype=pl.Object),
    pd.Series(pd.period_range("2020", periods=2)), pd.Series(pd.interval_range(0, 2)), pa.array([1, 2], pa.decimal256(50, 2)),
    pa.array([[("a", 1)], []], pa.map_(pa.string(), pa.int64())), np.zeros((2, 3)), np.array([1j, 2]), np.array([(1, 2.0)] * 2, "i4,f8"),
    [[1], [1, 2]], [{"a"}, 1j],
]  # fmt: skip


@pytest.mark.parametrize("column", ODD, ids=lambda column: str(getattr(column, "dtype", getattr(column, "type", "list")))[:20])
@pytest.mark.parametrize("kind", ["float", "int", "bool", "string", "time", "time_utc"])
def test_what_is_no_value_of_any_column_is_of_a_wrong_type(column: Any, kind: Any) -> None:
    contract = table(Column(name="c", type=kind, unique=True))
    assert told(contract, {"c": column}) == [("c", "type", 2)]


def test_integers_beyond_what_a_type_holds_are_told() -> None:
    contract = table(Column(name="f", type="float"), Column(name="i", type="int"))
    values: Any
    for values in (pl.Series([2**53 + 1, 1], dtype=pl.Int64), [2**53 + 1, 1]):
        assert told(contract, {"f": values, "i": values}) == [("f", "exact", 1)]
    for values in (np.array([2**63, 1], np.uint64), pl.Series([2**100, 1], dtype=pl.Int128), [2**63, 1], [2**100, 1]):
        assert told(contract, {"f": values, "i": values}) == [("f", "exact", 1), ("i", "exact", 1)]


def test_a_category_in_other_letters_is_told_apart_and_pointed_at() -> None:
    contract = table(Column(name="c", type="string", categories=("A", "B"), pii="none"))
    values = ["A", "\u0410", "a", " B", "\uff22", "C"]
    (violation,) = checked(contract, {"c": values}).violations
    assert violation.what == (
        "column 'c' is none of its 2 categories in 5 of 6 rows, first at row 1; 2 rows look like category 'A' and are written differently; "
        "2 rows look like category 'B' and are written differently"
    )
    assert check_batch(contract, {"c": object_array(values)}).violations == (violation,)


def test_a_million_categories_are_one_finding() -> None:
    contract = table(Column(name="c", type="string", categories=("a", "b"), pattern="^[ab]$"))
    values = pl.DataFrame({"c": np.arange(1_000_000)}).select(pl.col("c").cast(pl.String))
    assert told(contract, values) == [("c", "category", 1_000_000), ("c", "pattern", 1_000_000)]


def test_a_repeated_value_is_found_across_the_pieces_of_a_file(tmp_path: Path) -> None:
    frame = pl.DataFrame({"s": ["a", "b", None, "c", "d", "b", None, "a"], "f": [0.0, 1, 2, 3, 4, 5, -0.0, 7]})
    frame.write_parquet(tmp_path / "rows.parquet", row_group_size=2)
    contract = table(Column(name="s", type="string", unique=True, nullable=True, pii="none"), Column(name="f", type="float", unique=True))
    result = checked(contract, tmp_path / "rows.parquet")
    assert [one.examples for one in result.violations] == [("row 5: 'b'", "row 7: 'a'"), ("row 6: -0",)]
    assert checked(contract, frame) == result


@pytest.mark.parametrize(
    "source", [{}, pl.DataFrame(), pd.DataFrame(), pa.table({}), pl.DataFrame({"age": [], "sex": []}), {"age": [], "sex": []}]
)
def test_data_without_rows_break_a_demand(source: Any) -> None:
    result = checked(AGE, source)
    assert result.rows == 0
    assert result.violations[0].what == "the data have no rows"


def test_row_groups_without_rows_are_passed_over(tmp_path: Path) -> None:
    rows = pa.table({"age": [1.0, 200.0], "sex": ["f", "m"]})
    with pq.ParquetWriter(tmp_path / "rows.parquet", rows.schema) as writer:
        for part in (rows.slice(0, 0), rows, rows.slice(0, 0)):
            writer.write_table(part)
    assert told(AGE, tmp_path / "rows.parquet") == [("age", "high", 1)]
    pq.write_table(rows.slice(0, 0), tmp_path / "none.parquet")
    assert told(AGE, tmp_path / "none.parquet") == [("", "rows", 0)]


def test_a_file_without_a_column_of_the_contract_still_has_rows(tmp_path: Path) -> None:
    frame = pl.DataFrame({"other": [1, 2, 3, 4]})
    frame.write_parquet(tmp_path / "rows.parquet")
    frame.write_csv(tmp_path / "rows.csv")
    for source in (frame, frame.lazy(), tmp_path / "rows.parquet", tmp_path / "rows.csv", {"other": [1, 2, 3, 4]}):
        assert told(AGE, source) == [("age", "present", 4), ("sex", "present", 4)]


def test_columns_of_different_lengths_are_one_finding() -> None:
    result = checked(AGE, {"age": [1.0], "sex": ["f", "m"]})
    assert result == check_batch(AGE, {"age": np.array([1.0]), "sex": np.array(["f", "m"])})
    assert [one.what for one in result.violations] == ["the inputs differ in rows: 1, 2"]


@pytest.mark.parametrize("name", ["rows.parquet", "rows.csv", "rows.npy", "rows.txt"])
@pytest.mark.parametrize(
    "content", [b"", b"PAR1", b"\x00\xff\xfe,\n1,2,3\n", b"a,a\n1,2\n", b"PAR1" + bytes(100) + b"PAR1", b"a,b\n\xff,1\n2\n3,4,5\n"]
)
def test_what_is_no_data_file_is_one_line(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    contract = table(Column(name="a", type="string"))
    if name == "rows.csv" and content.startswith(b"PAR1"):  # a head without rows
        assert told(contract, tmp_path / name) == [("", "rows", 0), ("a", "present", 0)]
        return
    with pytest.raises(MlprodError) as error:
        checked(contract, tmp_path / name)
    assert error.value.code == Code.BAD_DATA
    assert "\n" not in error.value.message


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    for name in ("rows.parquet", "rows.csv", "rows.npy"):
        with pytest.raises(MlprodError, match="bad-data") as error:
            checked(AGE, tmp_path / name)
        assert "\n" not in error.value.message


def test_a_truncated_parquet_file_is_one_line_or_a_finding(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pl.DataFrame({"age": np.arange(200.0), "sex": ["f", "m"] * 100}).write_parquet(path, row_group_size=50)
    whole = path.read_bytes()
    generator = np.random.default_rng(4)
    told_in_a_line = 0
    for _ in range(150):
        broken = bytearray(whole)
        if generator.random() < 0.3:
            broken = broken[: generator.integers(len(broken))]
        else:
            broken[generator.integers(len(broken))] ^= 1 << int(generator.integers(8))
        path.write_bytes(broken)
        refusal = refused(AGE, path)
        told_in_a_line += bool(refusal)
        assert refusal == "" or refusal.startswith("bad-data")
        assert "\n" not in refusal
    assert told_in_a_line > 40


@pytest.mark.parametrize(
    "source", [pd.DataFrame([[1, 2]], columns=["age", "age"]), pa.table([[1.0], [2.0]], names=["age", "age"]), {1: [1], "1": [1]}]
)
def test_two_columns_of_one_name_are_one_line(source: Any) -> None:
    with pytest.raises(MlprodError, match=re.escape("two columns are named")):
        checked(AGE, source)


def test_what_is_no_rows_at_all_is_one_line_or_a_finding() -> None:
    for source in (5, None, "text", object(), torch.ones(2, device="meta")):
        refusal = refused(AGE, source)
        assert refusal.startswith("bad-data") or checked(AGE, source).violations
        assert "\n" not in refusal


def test_a_text_may_come_alone() -> None:
    contract = Contract(inputs=(Text(name="review", longest=3),), outputs=OUTPUTS)
    for source in (
        ["abc", "abcd"],
        np.array(["abc", "abcd"]),
        pd.Series(["abc", "abcd"]),
        {"review": ["abc", "abcd"]},
        pl.Series(["abc", "abcd"]),
    ):
        assert told(contract, source) == [("review", "longest", 1)]


IMAGE = Contract(inputs=(Tensor(name="image", dtype="float32", shape=("batch", 2), low=0, high=1),), outputs=OUTPUTS)


def test_tensors_are_held_against_the_demands_on_tensors(tmp_path: Path) -> None:
    pixels = np.array([[0, 1], [0.5, 2], [np.nan, 0]], np.float32)
    np.save(tmp_path / "rows.npy", pixels)
    wanted = check_batch(IMAGE, pixels)
    strided = torch.tensor(pixels.T.copy(), requires_grad=True).T
    for source in (
        pixels,
        pixels.astype(">f4"),
        strided,
        {"image": strided},
        pixels.tolist(),
        np.asfortranarray(pixels),
        tmp_path / "rows.npy",
    ):
        assert [(one.check, one.rows) for one in checked(IMAGE, source).violations] == [("finite", 1), ("high", 1)]
    assert checked(IMAGE, pixels) == checked(IMAGE, tmp_path / "rows.npy") == wanted


def test_ragged_rows_are_a_finding() -> None:
    assert [one[:2] for one in told(IMAGE, [[1.0, 2.0], [1.0]])] == [("image", "dtype")]


def test_a_distribution_is_far_only_beyond_its_allowance() -> None:
    numbers = table(Column(name="f", type="float", expected=Expected(shares=(0.5, 0.5), edges=(0.0,), at_most=0.1)))
    texts = table(Column(name="f", type="string", expected=Expected(shares=(0.5, 0.3), values=("a", "b"), at_most=0.1)))
    truths = table(Column(name="f", type="bool", expected=Expected(shares=(0.5, 0.5), values=("true", "false"), at_most=0.1)))
    few, many = 10, 2000
    for contract, usual, other in ((numbers, -1.0, 0.0), (texts, "a", "c"), (truths, True, False)):
        assert told(contract, {"f": [usual] * few}) == []
        assert told(contract, {"f": [usual, other] * (many // 2)}) == ([("f", "distribution", many)] if contract is texts else [])
        (violation,) = checked(contract, {"f": [usual] * many}).violations
        assert (violation.check, violation.rows, violation.examples) == ("distribution", many, ())
        assert re.fullmatch(
            r"column 'f' lies 0\.5 from its expected distribution; 0\.1 is the limit, and 0\.0\d+ are allowed for 2,000 values",
            violation.what,
        )
        assert checked(contract, {"f": [usual] * few}).checks == check_batch(contract, {"f": object_array([usual])}).checks + 1


def test_ages_and_rules_hold_across_pieces(tmp_path: Path) -> None:
    frame = pl.DataFrame({
        "at": [datetime.datetime(2026, 5, day, tzinfo=datetime.UTC) for day in (3, 1, 4, 2, 5)], "a": [1.0, 2, 3, 4, 5], "b": [1.0, 1, 3, 5, 6],
    })  # fmt: skip
    frame.write_parquet(tmp_path / "rows.parquet")
    contract = table(
        Column(name="at", type="time_utc"), Column(name="a", type="float", max_age="1d"), Column(name="b", type="float"),
        rules={"order": "a <= b"}, freshness=Freshness(event_time="at"),
    )  # fmt: skip
    result = checked(contract, tmp_path / "rows.parquet", now=NOW)
    assert [(one.field, one.check, one.examples) for one in result.violations] == [
        ("a", "stale", ("row 1: 2026-05-01 00:00:00+00:00", "row 3: 2026-05-02 00:00:00+00:00")),
        ("at", "future", ("row 4: 2026-05-05 00:00:00+00:00",)),
        ("order", "rule", ("row 1",)),
    ]
    assert checked(contract, frame, now=NOW) == result
