"""Live data of every library as rows: the values it held, the same findings as the file made of it, and one line where it has no rows."""

import datetime
import decimal
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from jupyter_mlprod.adapters.data_files import DataFiles
from jupyter_mlprod.core.batch import check_batch
from jupyter_mlprod.core.contract import Column, Contract, Tensor, Text
from jupyter_mlprod.core.contract_edit import ContractEdit
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.infer import infer_contract
from jupyter_mlprod.core.raw import raw_digest, rows

FILES = DataFiles()
NOON = datetime.datetime(2026, 1, 1, 12)
NOON_UTC = NOON.replace(tzinfo=datetime.UTC)
RECORDS: list[dict[str, Any]] = [
    {"n": 1, "x": 1.5, "ok": True, "s": "a", "t": NOON, "z": NOON_UTC},
    {"n": None, "x": None, "ok": None, "s": None, "t": None, "z": None},
    {"n": 2**60, "x": 2.5, "ok": False, "s": "b", "t": NOON, "z": NOON_UTC},
]
COLUMNS = {name: [record[name] for record in RECORDS] for name in RECORDS[0]}
ARROW = pa.table(COLUMNS)
CONTRACT = Contract(
    inputs=(
        Column(name="n", type="int", nullable=True),
        Column(name="x", type="float", nullable=True),
        Column(name="ok", type="bool", nullable=True),
        Column(name="s", type="string", nullable=True, categories=("a", "b")),
        Column(name="t", type="time", nullable=True),
        Column(name="z", type="time_utc", nullable=True),
    ),
    outputs=(),
)


def nullable_frame() -> Any:
    """pandas' own nullable types, and a category."""
    frame = pd.DataFrame(COLUMNS).astype({"n": "object"})
    return frame.assign(
        n=pd.array(COLUMNS["n"], "Int64"),
        x=pd.array(COLUMNS["x"], "Float64"),
        ok=pd.array(COLUMNS["ok"], "boolean"),
        s=pd.Categorical(COLUMNS["s"]),
    )


TABLES: dict[str, Callable[[], Any]] = {
    "mapping of lists": lambda: COLUMNS,
    "records": lambda: RECORDS,
    "records that lack keys": lambda: [{key: value for key, value in record.items() if value is not None} for record in RECORDS],
    "pandas": nullable_frame,
    "pandas of objects": lambda: pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in COLUMNS.items()}),
    "pandas on Arrow": lambda: ARROW.to_pandas(types_mapper=pd.ArrowDtype),
    "polars": lambda: pl.DataFrame(COLUMNS),
    "polars with categories": lambda: pl.DataFrame(COLUMNS).with_columns(pl.col("s").cast(pl.Categorical)),
    "polars with an enumeration": lambda: pl.DataFrame(COLUMNS).with_columns(pl.col("s").cast(pl.Enum(["a", "b"]))),
    "arrow": lambda: ARROW,
    "arrow batch": lambda: ARROW.to_batches()[0],
    "arrow dictionary": lambda: ARROW.set_column(3, "s", ARROW["s"].dictionary_encode()),
    "arrow in chunks": lambda: pa.concat_tables([ARROW.slice(0, 1), ARROW.slice(1, 2)]),
    "mapping of series": lambda: {name: pl.Series(values) for name, values in COLUMNS.items()},
    "mapping of arrow columns": lambda: {name: ARROW[name] for name in COLUMNS},
}  # fmt: skip


def values_of(raw: Any) -> dict[str, list[Any]]:
    """The values of a batch, null as None and times as datetimes."""
    return {name: [None if value != value else value for value in (array.astype("M8[us]") if array.dtype.kind == "M" else array).tolist()] for name, array in raw.items()}  # fmt: skip


@pytest.mark.parametrize("kind", TABLES)
def test_a_table_of_any_library_holds_the_values_it_held(kind: str) -> None:
    assert values_of(FILES.from_live(TABLES[kind]())) == COLUMNS


@pytest.mark.parametrize("kind", TABLES)
def test_a_table_keeps_its_contract_live_and_as_a_file(kind: str, tmp_path: Path) -> None:
    raw = FILES.from_live(TABLES[kind]())
    found = check_batch(CONTRACT, raw)
    assert found.violations == ()
    assert found.rows == 3
    assert check_batch(CONTRACT, FILES.read(str(FILES.write(raw, tmp_path / "rows.npz")))) == found


def test_a_parquet_file_holds_what_the_table_held(tmp_path: Path) -> None:
    pq.write_table(ARROW, tmp_path / "rows.parquet")
    assert values_of(FILES.read(str(tmp_path / "rows.parquet"))) == COLUMNS


def test_the_index_of_a_frame_is_no_column_of_its_file(tmp_path: Path) -> None:
    pd.DataFrame({"a": [1, 2]}, index=[5, 7]).to_parquet(tmp_path / "rows.parquet")
    raw = FILES.read(str(tmp_path / "rows.parquet"))
    assert isinstance(raw, dict)
    assert list(raw) == ["a"]


ODD = [1, 2**70, -(2**5000), 1.5, float("inf"), float("nan"), -0.0, True, "12", "half \ud800", None, NOON, NOON_UTC, NOON.date(), b"bytes",
       decimal.Decimal("1.5"), [1, 2], {"k": 1}, 1 + 2j, np.float32(2.5), np.int8(3), np.datetime64("2026-01-01"), np.arange(3), pd.NA, pd.NaT,
       pd.Timestamp("2026-01-01", tz="UTC"), object(), datetime.time(1), datetime.timedelta(1)]  # fmt: skip
KINDS = ("float", "int", "bool", "string", "time", "time_utc")


@pytest.mark.parametrize("kind", KINDS)
def test_a_column_of_mixed_values_breaks_the_same_demands_live_and_as_a_file(kind: Any, tmp_path: Path) -> None:
    contract = Contract(inputs=(Column(name="v", type=kind, unique=True, pii="none"),), outputs=())
    for number, live in enumerate([{"v": ODD}, pd.DataFrame({"v": pd.Series(ODD, dtype=object)}), [{"v": value} for value in ODD]]):
        raw = FILES.from_live(live)
        found = check_batch(contract, raw)
        assert found.rows == len(ODD)
        assert {one.check for one in found.violations} >= {"null", "type"}
        stored = FILES.read(str(FILES.write(raw, tmp_path / f"{number}.npz")))
        assert check_batch(contract, stored) == found
        assert raw_digest(stored) == raw_digest(raw)


def test_the_finding_on_a_mixed_column_names_its_rows_and_types() -> None:
    raw = FILES.from_live(pd.DataFrame({"age": pd.Series([40, "forty", 41, b"42", [43]], dtype=object)}))
    (broken,) = check_batch(Contract(inputs=(Column(name="age", type="int"),), outputs=()), raw).violations
    assert broken.what == "column 'age' holds values that are no integers in 3 of 5 rows, first at row 1"
    assert broken.examples == ("row 1: str", "row 3: bytes", "row 4: list")


def test_truth_values_among_numbers_stay_truth_values() -> None:
    for live in ({"v": [True, 2]}, pd.DataFrame({"v": pd.Series([True, 2], dtype=object)}), [{"v": True}, {"v": 2}]):
        (broken,) = check_batch(Contract(inputs=(Column(name="v", type="int"),), outputs=()), FILES.from_live(live)).violations
        assert (broken.check, broken.rows, broken.examples) == ("type", 1, ("row 0: bool",))


def test_a_key_that_no_record_of_a_batch_has_is_missing_and_one_that_some_lack_is_null() -> None:
    contract = Contract(inputs=(Column(name="a", type="int"), Column(name="b", type="int")), outputs=())
    some = check_batch(contract, FILES.from_live([{"a": 1, "b": 2}, {"a": 1}])).violations
    none = check_batch(contract, FILES.from_live([{"a": 1}, {"a": 1}])).violations
    assert [(one.field, one.check, one.rows) for one in some] == [("b", "null", 1)]
    assert [(one.field, one.check) for one in none] == [("b", "present")]


def test_an_integer_column_with_nulls_is_packaged_as_one() -> None:
    raw = FILES.from_live(pl.DataFrame({"n": [1, None], "ok": [None, True], "s": ["a", None], "x": [1.5, None]}))
    answers = {"1/y": np.zeros((1, 2), np.float32), "2/y": np.zeros((2, 2), np.float32)}
    contract = infer_contract(raw, ("y",), answers, edit=ContractEdit())
    assert [(f.name, f.type, f.nullable) for f in contract.inputs if isinstance(f, Column)] == [
        ("n", "int", True), ("ok", "bool", True), ("s", "string", True), ("x", "float", True),
    ]  # fmt: skip


BASE = np.arange(24, dtype=np.float32).reshape(4, 2, 3)
ARRAYS: dict[str, Callable[[], Any]] = {
    "numpy": lambda: BASE,
    "big endian": lambda: BASE.astype(">f4"),
    "not contiguous": lambda: np.repeat(BASE, 2, axis=2)[:, :, ::2],
    "fortran order": lambda: np.asfortranarray(BASE),
    "masked without a mask": lambda: np.ma.masked_array(BASE),
    "nested lists": lambda: BASE.astype(np.float32),
    "torch": lambda: torch.from_numpy(BASE.copy()),
    "torch with a gradient": lambda: torch.from_numpy(BASE.copy()).requires_grad_(),
    "torch, not contiguous": lambda: torch.from_numpy(BASE.transpose(2, 1, 0).copy()).permute(2, 1, 0),
    "torch, conjugated": lambda: torch.complex(torch.from_numpy(BASE.copy()), torch.zeros(BASE.shape)).conj().real,
    "torch, negative view": lambda: torch.complex(torch.zeros(BASE.shape), -torch.from_numpy(BASE.copy())).conj().imag,
    "list of arrays": lambda: list(BASE),
    "list of tensors": lambda: list(torch.from_numpy(BASE.copy()).requires_grad_()),
}
TENSOR = Contract(inputs=(Tensor(name="input", dtype="float32", shape=("batch", 2, 3), low=0, high=20),), outputs=())


@pytest.mark.parametrize("kind", ARRAYS)
def test_a_tensor_of_any_library_and_layout_has_the_same_rows_and_findings(kind: str, tmp_path: Path) -> None:
    raw = FILES.from_live(ARRAYS[kind]())
    assert isinstance(raw, np.ndarray)
    assert raw.dtype == np.dtype("float32")
    assert raw.dtype.isnative
    np.testing.assert_array_equal(raw, BASE)
    found = check_batch(TENSOR, raw)
    assert [(one.check, one.rows, one.examples) for one in found.violations] == [("high", 1, ("row 3 at (1, 0): 21",))]
    assert check_batch(TENSOR, FILES.read(str(FILES.write(raw, tmp_path / "rows.npy")))) == found


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU")
def test_a_tensor_on_a_gpu_is_read_from_it() -> None:
    raw = FILES.from_live(torch.from_numpy(BASE.copy()).cuda().requires_grad_())
    np.testing.assert_array_equal(raw, BASE)


def test_a_file_of_another_byte_order_is_read_as_the_numbers_it_holds(tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", BASE.astype(">f4"))
    assert check_batch(TENSOR, FILES.read(str(tmp_path / "rows.npy"))) == check_batch(TENSOR, BASE)


@pytest.mark.parametrize("unit", ["Y", "M", "D", "h", "s", "ms", "us", "ns"])
def test_times_of_any_unit_are_the_same_times(unit: str) -> None:
    contract = Contract(inputs=(Column(name="t", type="time", nullable=True),), outputs=())
    raw = FILES.from_live({"t": np.array(["2026-01-01", "NaT"], f"M8[{unit}]")})
    assert check_batch(contract, raw).violations == ()
    assert values_of(raw) == {"t": [datetime.datetime(2026, 1, 1), None]}


def test_a_masked_value_is_a_null() -> None:
    mask = [False, True]
    raw = FILES.from_live(
        {"n": np.ma.masked_array([1, 2], mask), "x": np.ma.masked_array([1.0, 2.0], mask), "s": np.ma.masked_array(["a", "b"], mask)}
    )
    assert values_of(raw) == {"n": [1, None], "x": [1.0, None], "s": ["a", None]}


def test_a_structured_array_is_a_table() -> None:
    raw = FILES.from_live(np.array([(1, 2.5), (3, 4.5)], dtype=[("n", ">i4"), ("x", "f8")]))
    assert values_of(raw) == {"n": [1, 3], "x": [2.5, 4.5]}


def picture(mode: str, size: tuple[int, int] = (3, 2)) -> Image.Image:
    return Image.new(
        mode, size, 1 if mode in ("L", "I", "F", "P", "1", "I;16") else (1, 2, 3, 4)[: len(Image.new(mode, (1, 1)).getbands())]
    )


@pytest.mark.parametrize(
    ("mode", "shape", "dtype"), [("RGB", (2, 3, 3), "uint8"), ("RGBA", (2, 3, 4), "uint8"), ("L", (2, 3), "uint8"), ("I;16", (2, 3), "uint16"), ("F", (2, 3), "float32")]
)  # fmt: skip
def test_images_are_their_pixels(mode: str, shape: tuple[int, ...], dtype: str, tmp_path: Path) -> None:
    one, several = FILES.from_live(picture(mode)), FILES.from_live([picture(mode), picture(mode)])
    assert isinstance(several, np.ndarray)
    assert (rows(one), several.shape, several.dtype) == (1, (2, *shape), np.dtype(dtype))
    np.testing.assert_array_equal(several[:1], one)
    named = FILES.from_live({"image": [picture(mode)], "age": [40]})
    assert isinstance(named, dict)
    np.testing.assert_array_equal(named["image"], one)
    contract = Contract(inputs=(Tensor(name="input", dtype=dtype, shape=("batch", *shape), low=1, high=4),), outputs=())
    assert check_batch(contract, several).violations == ()
    assert check_batch(contract, FILES.read(str(FILES.write(several, tmp_path / "images.npy")))) == check_batch(contract, several)


def test_the_pixels_of_an_image_file_are_read_when_they_are_asked_for(tmp_path: Path) -> None:
    picture("RGB").save(tmp_path / "image.png")
    opened = Image.open(tmp_path / "image.png")
    np.testing.assert_array_equal(FILES.from_live([opened]), FILES.from_live(picture("RGB")))


def truncated(folder: Path) -> Image.Image:
    Image.effect_noise((64, 64), 50).save(folder / "image.png")
    data = (folder / "image.png").read_bytes()
    return Image.open(io.BytesIO(data[: len(data) // 2]))


REFUSED: dict[str, tuple[Callable[[Path], Any], str]] = {
    "sizes": (lambda _: [picture("L"), *[picture("L", (4, 4))] * 5], "row 0 is L of 3×2, row 1 is L of 4×4, row 2 is L of 4×4, row 3 is L of 4×4 and 2 more"),
    "modes": (lambda _: [picture("RGB"), picture("L")], "row 0 is RGB of 3×2, row 1 is L of 3×2"),
    "palette": (lambda _: [picture("RGB"), picture("P")], "the image of row 1 has mode P"),
    "cmyk": (lambda _: picture("CMYK"), 'give it with .convert("RGB")'),
    "gray with alpha": (lambda _: picture("LA"), "mode LA"),
    "two levels": (lambda _: {"image": [picture("1")]}, "column 'image': the image of row 0 has mode 1"),
    "half a file": (lambda folder: [picture("L", (64, 64)), truncated(folder)], "the image of row 1 cannot be decoded"),
    "ragged": (lambda _: [[1, 2], [3]], "row 1 has 1 values, and row 0 has 2"),
    "ragged deeper": (lambda _: [[[1], [2]], [[1], [2, 3]]], "is not rows of equal length"),
    "ragged column": (lambda _: {"v": [[1, 2], [3]]}, "column 'v' is not rows of equal length"),
    "bfloat16": (lambda _: torch.zeros(2, dtype=torch.bfloat16), "has dtype torch.bfloat16, which numpy has not (hint: give it with .float())"),
    "sparse": (lambda _: torch.zeros(2, 2).to_sparse(), "give it with .to_dense()"),
    "no data": (lambda _: torch.zeros(2, device="meta"), "a Tensor"),
    "masked integers": (lambda _: np.ma.masked_array([[1, 2]], [[True, False]]), "has masked values"),
    "lazy": (lambda _: pl.LazyFrame({"a": [1]}), "give it with .collect()"),
    "one name twice": (lambda _: pd.DataFrame([[1, 2]], columns=["a", "a"]), "two columns are named 'a'"),
    "records and others": (lambda _: [{"a": 1}, 5], "row 1 is a int, and others are records"),
    "a scalar column": (lambda _: {"a": 5}, "column 'a' cannot be read as rows"),
    "objects of two axes": (lambda _: np.array([["a", 1]], dtype=object), "cannot be read as rows"),
    "one object": (lambda _: object(), "a object cannot be read as rows"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_what_has_no_rows_is_refused_in_one_line(kind: str, tmp_path: Path) -> None:
    make, what = REFUSED[kind]
    with pytest.raises(MlprodError) as refusal:
        FILES.from_live(make(tmp_path))
    assert refusal.value.code is Code.BAD_DATA
    assert what in str(refusal.value)
    assert "\n" not in refusal.value.message


EMPTY = [pd.DataFrame({"n": []}), pl.DataFrame({"n": []}), pa.table({"n": pa.array([], pa.int64())}), {"n": []}, {"n": np.zeros(0)}]


@pytest.mark.parametrize("live", EMPTY, ids=lambda live: type(live).__module__)
def test_an_empty_table_of_any_library_breaks_its_contract(live: Any, tmp_path: Path) -> None:
    contract = Contract(inputs=(Column(name="n", type="int"),), outputs=())
    raw = FILES.from_live(live)
    found = check_batch(contract, raw)
    assert [one.check for one in found.violations] == ["rows"]
    assert check_batch(contract, FILES.read(str(FILES.write(raw, tmp_path / "rows.npz")))) == found


def test_texts_of_any_library_keep_the_contract_of_a_text() -> None:
    contract = Contract(inputs=(Text(name="text"),), outputs=())
    for live in (
        ["a", "b"],
        pd.Series(["a", "b"]),
        pl.Series(["a", "b"]),
        pa.array(["a", "b"]),
        np.array(["a", "b"]),
        np.array(["a", "b"], np.dtypes.StringDType()),
    ):
        assert check_batch(contract, FILES.from_live(live)).violations == ()
    (broken,) = check_batch(contract, FILES.from_live(["a", 5])).violations
    assert (broken.check, broken.examples) == ("type", ("row 1: int",))


def test_bytes_are_bytes_live_and_at_rest(tmp_path: Path) -> None:
    frame = pd.DataFrame({"photo": [b"\x89PNG", None, b""]})
    live = DataFiles().from_live(frame)
    assert isinstance(live, dict)
    read = DataFiles().read(str(DataFiles().write(live, tmp_path / "x.npz")))
    assert isinstance(read, dict)
    assert live["photo"].tolist() == read["photo"].tolist() == [b"\x89PNG", None, b""]
