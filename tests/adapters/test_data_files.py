"""Texts at rest: what is written is read back, in little room, and a file whose texts do not fit together is refused."""

import contextlib
import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jupyter_mlprod.adapters.data_files import SAMPLED_VALUES, DataFiles
from jupyter_mlprod.adapters.frames import Frames
from jupyter_mlprod.adapters.frames.source import opened
from jupyter_mlprod.core.batch import check_batch
from jupyter_mlprod.core.contract import Column, ColumnType, Contract, Text
from jupyter_mlprod.core.demands import types_read
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.mixed import MIXED
from jupyter_mlprod.core.npy import ENDS, UTF8
from jupyter_mlprod.core.raw import NULL, object_array, raw_digest
from jupyter_mlprod.workspace import no_progress

FILES = DataFiles()
LONG = ["", "b", "ü🙂 ", "half \ud800", "end\0", "x" * 1_000_000, *["y"] * 500]


@pytest.mark.parametrize("texts", [LONG, ["a", None, "", None], ["a"], [None, None]])
def test_texts_without_a_name_come_back_as_they_were(texts: list[Any], tmp_path: Path) -> None:
    given = FILES.from_live(texts) if any(texts) else object_array(texts)
    path = FILES.write(given, tmp_path / "texts.npz")
    found = FILES.read(str(path))
    assert isinstance(found, np.ndarray)
    assert found.tolist() == texts
    assert raw_digest(found) == raw_digest(object_array(texts))
    assert path.stat().st_size < 1_100_000


def test_a_column_with_one_very_long_text_takes_little_room(tmp_path: Path) -> None:
    table = {"text": object_array([*LONG, None]), "n": np.arange(len(LONG) + 1)}
    path = FILES.write(table, tmp_path / "table.npz")
    found = FILES.read(str(path))
    assert isinstance(found, dict)
    assert found["text"].tolist() == [*LONG, None]
    assert path.stat().st_size < 1_100_000


def test_short_strings_are_stored_as_numpy_has_them(tmp_path: Path) -> None:
    path = FILES.write({"a": object_array(["x", None]), "b": np.array(["yy", "z"])}, tmp_path / "table.npz")
    with np.load(path) as archive:
        assert archive.files == ["a", f"{NULL}a", "b"]
        assert archive["b"].dtype == "<U2"


def test_equal_texts_have_equal_digests_however_they_are_held() -> None:
    digests = {raw_digest(array) for array in (np.array(["a", "bc"]), object_array(["a", "bc"]), FILES.from_live(["a", "bc"]))}
    assert len(digests) == 1


DATA = np.frombuffer(b"abc", np.uint8)


@pytest.mark.parametrize(
    "arrays",
    [
        {UTF8: DATA},
        {UTF8: DATA, ENDS: np.array([2, 1, 3])},
        {UTF8: DATA, ENDS: np.array([1, 2])},
        {UTF8: DATA, ENDS: np.array([-1, 3])},
        {UTF8: DATA, ENDS: np.array([1, 4])},
        {UTF8: DATA, ENDS: np.array([[3]])},
        {UTF8: DATA.astype(float), ENDS: np.array([3])},
        {UTF8: np.frombuffer(b"\xff\xfe\xfd", np.uint8), ENDS: np.array([3])},
        {UTF8: DATA, ENDS: np.array([1, 3]), NULL: np.array([True])},
        {UTF8: DATA, ENDS: np.array(["3"])},
    ],
)
def test_texts_that_do_not_fit_together_are_refused(arrays: dict[str, Any], tmp_path: Path) -> None:
    np.savez(tmp_path / "texts.npz", **arrays)
    with pytest.raises(MlprodError) as refused:
        FILES.read(str(tmp_path / "texts.npz"))
    assert refused.value.code is Code.BAD_DATA


@pytest.mark.parametrize("values", [["a", 1], ("a", True), ["a", 1.5, None], ["a", "b", 2**70, float("inf"), "half \ud800"]])
def test_strings_among_which_is_something_else_stay_what_they_were(values: Any, tmp_path: Path) -> None:
    found = FILES.read(str(FILES.write(FILES.from_live(values), tmp_path / "texts.npz")))
    assert isinstance(found, np.ndarray)
    assert found.tolist() == list(values)
    assert list(map(type, found.tolist())) == list(map(type, values))


def test_strings_and_lists_are_no_rows_of_one_kind() -> None:
    with pytest.raises(MlprodError, match="row 1 is a list, and row 0 a str"):
        FILES.from_live(["a", ["b"]])


MIXED_TEXTS = [
    "[",
    "[1]",
    "{}",
    '{"int": 5}',
    '{"int": "x"}',
    '{"time": "soon"}',
    '{"date": "2020"}',
    '{"module": "os"}',
    "[" * 100_000,
    "9" * 5_000,
    '{"float": "x"}',
    "nul",
]


def save(path: Path, values: Any) -> None:
    """A column of several types, as somebody else may write it."""
    arrays: dict[str, Any] = {f"{MIXED}a": values}
    np.savez(path, **arrays)


@pytest.mark.parametrize("text", MIXED_TEXTS)
def test_a_value_that_says_no_type_is_refused(text: str, tmp_path: Path) -> None:
    save(tmp_path / "odd.npz", np.array([text]))
    with pytest.raises(MlprodError) as refused:
        FILES.read(str(tmp_path / "odd.npz"))
    assert refused.value.code is Code.BAD_DATA


def test_values_of_several_types_are_texts_or_refused(tmp_path: Path) -> None:
    save(tmp_path / "odd.npz", np.arange(3))
    with pytest.raises(MlprodError, match="no texts"):
        FILES.read(str(tmp_path / "odd.npz"))


UTC_NOON = datetime.datetime(2026, 6, 1, 12, tzinfo=datetime.UTC)


def stored(column: Any, folder: Path) -> Any:
    """A live column, written and read again."""
    raw = FILES.from_live({"a": column, "n": np.arange(len(column))})
    read = FILES.read(str(FILES.write(raw, folder / "golden.npz")))
    assert isinstance(read, dict)
    return read["a"]


def test_times_with_a_zone_and_without_stay_apart_in_an_archive(tmp_path: Path) -> None:
    berlin = pd.Series(pd.to_datetime([UTC_NOON, None])).dt.tz_convert("Europe/Berlin")
    assert stored(berlin, tmp_path).tolist() == [UTC_NOON, None]
    naive = pd.Series([datetime.datetime(2026, 6, 1, 12), None])
    assert stored(naive, tmp_path).dtype.kind == "M"
    assert stored(naive, tmp_path).astype("M8[us]").tolist() == [datetime.datetime(2026, 6, 1, 12), None]


def test_times_of_a_list_and_of_polars_are_those_of_pandas(tmp_path: Path) -> None:
    import polars as pl

    for column in ([UTC_NOON, None], pl.Series([UTC_NOON, None]), pl.Series([UTC_NOON, None]).dt.convert_time_zone("Asia/Tokyo")):
        assert stored(column, tmp_path).tolist() == [UTC_NOON, None]
    assert stored([datetime.date(2026, 6, 1)], tmp_path).astype("M8[us]").tolist() == [datetime.datetime(2026, 6, 1)]


def test_integers_some_of_which_are_null_stay_integers(tmp_path: Path) -> None:
    import polars as pl

    for column in (pd.Series([2**60 + 1, None], dtype="Int64"), pl.Series([2**60 + 1, None])):
        assert FILES.from_live({"a": column})["a"].tolist() == [2**60 + 1, None]  # type: ignore[call-overload]
        assert stored(column, tmp_path).tolist() == [2**60 + 1, None]


@pytest.mark.parametrize("moments", [np.array([1, 2]), np.array([["2026-01-01"]], "M8[us]"), np.array(["60000-01-01"], "M8[us]")])
def test_moments_that_are_none_are_refused(moments: Any, tmp_path: Path) -> None:
    np.savez(tmp_path / "moments.npz", **{"utc/a": moments})
    with pytest.raises(MlprodError) as refused:
        FILES.read(str(tmp_path / "moments.npz"))
    assert refused.value.code is Code.BAD_DATA


def test_a_file_of_many_values_is_sampled_and_always_alike(tmp_path: Path) -> None:
    n = SAMPLED_VALUES + 1_000_000
    path = str(tmp_path / "many.parquet")
    pq.write_table(pa.table({"row": pa.array(np.arange(n, dtype=np.int32))}), path)
    (sampled, whole), (again, _) = DataFiles().sample(path), DataFiles().sample(path)
    assert isinstance(sampled, dict)
    assert isinstance(again, dict)
    assert whole == n
    assert len(sampled["row"]) == SAMPLED_VALUES
    assert (np.diff(sampled["row"]) > 0).all()
    assert np.array_equal(sampled["row"], again["row"])


def test_a_file_of_few_values_is_its_own_sample(tmp_path: Path) -> None:
    path = str(tmp_path / "few.parquet")
    pq.write_table(pa.table({"row": pa.array([3, 1, 2])}), path)
    sampled, whole = DataFiles().sample(path)
    assert isinstance(sampled, dict)
    assert (sampled["row"].tolist(), whole) == ([3, 1, 2], 3)


TYPED: dict[str, ColumnType] = {
    "zip": "string", "at": "time", "seen": "time_utc", "f": "float", "i": "int", "b": "bool", "absent": "float",
}  # fmt: skip
ROWS_OF_TEXTS = """zip,at,seen,f,i,b,other
01234,2026-01-01T00:00:00,2026-01-01T00:00:00Z,9007199254740993,9223372036854775808,true,01
,2026-01-02,2026-01-01 02:00:00+02:00,1,3,False,2
x,soon,,1e400,2.5,1,3
"""


def test_a_csv_is_read_as_the_contract_declares_it(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(ROWS_OF_TEXTS)
    read = FILES.read(str(tmp_path / "rows.csv"), types=TYPED)
    assert isinstance(read, dict)
    assert list(read) == ["zip", "at", "seen", "f", "i", "b", "other"]
    midnight = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    assert read["zip"].tolist() == ["01234", None, "x"]
    assert read["at"].tolist() == [datetime.datetime(2026, 1, 1), datetime.datetime(2026, 1, 2), "soon"]
    assert read["seen"].tolist() == [midnight, midnight, None]
    assert read["f"].tolist() == [2**53 + 1, 1.0, float("inf")]
    assert read["i"].tolist() == [2**63, 3, "2.5"]
    assert read["b"].tolist() == [True, False, "1"]
    assert read["other"].tolist() == [1, 2, 3]
    sampled, n = FILES.sample(str(tmp_path / "rows.csv"), types=TYPED)
    assert isinstance(sampled, dict)
    assert (n, sampled["zip"].tolist()) == (3, read["zip"].tolist())


def test_a_csv_that_is_held_in_pieces_and_one_that_is_read_break_the_same_demands(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(ROWS_OF_TEXTS)
    contract = Contract(inputs=tuple(Column(name=name, type=kind) for name, kind in TYPED.items()), outputs=())
    read = FILES.read(str(tmp_path / "rows.csv"), types=types_read(contract))
    assert Frames(no_progress).check(contract, tmp_path / "rows.csv", view="serving") == check_batch(contract, read)


def test_the_texts_of_a_text_model_stay_texts_in_a_csv(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("text\n12\n007\n")
    contract = Contract(inputs=(Text(name="text"),), outputs=())
    assert check_batch(contract, FILES.read(str(tmp_path / "rows.csv"), types=types_read(contract))).violations == ()


def test_a_changed_byte_in_the_head_of_an_array_is_one_line(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(3.0))
    whole = (tmp_path / "a.npy").read_bytes()
    for at in range(10, 70):
        for byte in b"\"'\0({\\,\n":
            (tmp_path / "a.npy").write_bytes(whole[:at] + bytes([byte]) + whole[at + 1 :])
            for read in (lambda: FILES.read(str(tmp_path / "a.npy")), lambda: opened(tmp_path / "a.npy", types={"a": "float"})):
                with contextlib.suppress(MlprodError):
                    read()
