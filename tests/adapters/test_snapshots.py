"""Snapshots of frames, arrays and files: equal data are equal whatever held them, other data are not, and nothing is larger than it need be."""

import datetime
import decimal
import io
import math
import threading
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_mlprod.adapters.data_files import DataFiles
from jupyter_mlprod.adapters.snapshots import Snapshots
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.fingerprint import BLOCK_ROWS
from jupyter_mlprod.core.record import canonical
from jupyter_mlprod.core.reference import sampled_rows
from jupyter_mlprod.core.snapshot import PROBABILITIES, SUFFIX, ColumnFacts, Snapshot, redacted
from jupyter_mlprod.workspace import no_progress

SNAPSHOTS = Snapshots(DataFiles().read, no_progress)
QUICK = settings(max_examples=40, deadline=None, derandomize=True)
NAMES = ["plain", "", " two  words", 'a,b\n"c"', "null/x", "../../etc", "<script>", "\u202eevil", "x" * 3000]


def column(values: Any) -> ColumnFacts:
    """The facts of one column."""
    return SNAPSHOTS.of_live(pa.table({"c": values}) if isinstance(values, pa.Array | pa.ChunkedArray) else {"c": values}).columns[0]


def through_parquet(frame: Any, folder: Path) -> Snapshot:
    frame.to_parquet(folder / "t.parquet", row_group_size=1000, index=False)
    return SNAPSHOTS.of_file(str(folder / "t.parquet"))


def through_csv(frame: Any, folder: Path) -> Snapshot:
    frame.to_csv(folder / "t.csv", index=False)
    return SNAPSHOTS.of_file(str(folder / "t.csv"))


@QUICK
@given(values=st.lists(st.one_of(st.none(), st.integers(-(2**53), 2**53)), min_size=1, max_size=30))
def test_whole_numbers_are_the_same_in_every_container(values: list[int | None]) -> None:
    floats = np.array([math.nan if value is None else float(value) for value in values])
    facts = [
        column(pa.array(values, pa.int64())),
        column(pa.array(values, pa.float64())),
        column(pa.chunked_array([pa.array(values[:3], pa.int64()), pa.array(values[3:], pa.int64())])),
        column(pd.Series(values, dtype="Int64")),
        column(pd.Series(values, dtype=object)),
        column(pd.Series(floats)),
        column(floats),
        column(floats.astype(">f8")),
        column(np.repeat(floats, 2)[::2]),
        column(np.ma.MaskedArray([value or 0 for value in values], mask=[value is None for value in values])),
    ]
    assert all(one == facts[0] for one in facts), [one.type for one in facts]


@QUICK
@given(values=st.lists(st.one_of(st.none(), st.text(st.characters(exclude_categories=["Cs"]), max_size=5)), min_size=1, max_size=30))
def test_strings_are_the_same_in_every_container(values: list[str | None]) -> None:
    facts = [
        column(pa.array(values, pa.string())),
        column(pa.array(values, pa.large_string())),
        column(pa.array(values, pa.string_view())),
        column(pa.array(values, pa.string()).dictionary_encode()),
        column(pd.Series(values, dtype=object)),
        column(pd.Series(values, dtype="str")),
        column(pd.Series(values, dtype=object).astype("category")),
        column(np.array(values, dtype=object)),
    ]
    assert all(one == facts[0] for one in facts), [one.type for one in facts]


@QUICK
@given(
    values=st.lists(
        st.one_of(st.none(), st.datetimes(datetime.datetime(1700, 1, 1), datetime.datetime(2200, 1, 1))), min_size=1, max_size=20
    )
)
def test_times_are_the_same_in_every_unit_that_holds_them(values: list[datetime.datetime | None]) -> None:
    facts = [
        column(pa.array(values, pa.timestamp("us"))),
        column(pa.array(values, pa.timestamp("ns"))),
        column(pd.Series(values, dtype="datetime64[us]")),
        column(np.array(values, dtype="datetime64[ns]")),
    ]
    assert all(one == facts[0] for one in facts)


@QUICK
@given(values=st.lists(st.floats(allow_nan=False, width=64), min_size=1, max_size=20), place=st.integers(0, 19), by=st.floats(-10, 10))
def test_one_changed_number_is_another_fingerprint(values: list[float], place: int, by: float) -> None:
    changed = list(values)
    changed[place % len(values)] += by
    same = all(a == b for a, b in zip(values, changed, strict=True))
    assert (column(np.array(values)).fingerprint == column(np.array(changed)).fingerprint) == same


def test_one_changed_value_is_another_fingerprint_in_every_kind_of_column() -> None:
    pairs: list[tuple[Any, Any]] = [
        (np.array([1, 2, 3]), np.array([1, 2, 4])),
        (np.array([1, 2, 3]), np.array([1, 3, 2])),
        (np.array([2**53, 2**53 + 1]), np.array([2**53, 2**53])),
        (np.array([2**63 - 1]), np.array([2**63], dtype=np.uint64)),
        (np.array(["a", "bc"]), np.array(["ab", "c"])),
        (pa.array(["", None]), pa.array([None, ""])),
        (pa.array([True, None]), pa.array([True, False])),
        (pa.array([b"1"]), pa.array([b"2"])),
        (pa.array([1, 2], pa.timestamp("ns")), pa.array([1, 3], pa.timestamp("ns"))),
        (pa.array([[1], [2]]), pa.array([[1, 2], []])),
        (np.zeros((2, 2)), np.array([[0.0, 0.0], [0.0, 1.0]])),
        (np.zeros((2, 2)), np.zeros((2, 2), dtype=np.float32)),
        (np.zeros((2, 6)), np.zeros((2, 2, 3))),
        (pd.Series([1, "a"], dtype=object), pd.Series(["1", "a"], dtype=object)),
        (np.array([1.0, 0.0]), np.array([True, False])),
    ]
    for first, second in pairs:
        assert column(first).fingerprint != column(second).fingerprint, (first, second)


def test_nan_none_nat_and_null_are_one_and_zero_has_no_sign() -> None:
    payload = np.array([0x7FF8000000000001, 0x3FF0000000000000], dtype=np.uint64).view(np.float64)
    assert column(payload) == column(np.array([np.nan, 1.0])) == column(pa.array([None, 1.0])) == column(pa.array([math.nan, 1.0]))
    assert column(np.array([-0.0, 1.5])) == column(np.array([0.0, 1.5]))
    assert column(np.array([[-0.0, np.nan]])) == column(np.array([[0.0, payload[0]]]))
    nothing = [
        np.full(3, np.nan),
        pa.array([None] * 3, pa.string()),
        pa.nulls(3),
        np.array(["NaT"] * 3, "datetime64[ns]"),
        pd.Series([pd.NA] * 3),
    ]
    assert {(one.type, one.nulls, one.fingerprint) for one in map(column, nothing)} == {("null", 3, column(pa.nulls(3)).fingerprint)}


def frame_of(rows: int) -> Any:
    rng = np.random.default_rng(3)
    return pd.DataFrame(
        {
            "float": rng.normal(size=rows),
            "holes": np.where(rng.random(rows) < 0.1, np.nan, rng.integers(0, 9, rows)),
            "int": rng.integers(-5, 5, rows).astype(np.int16),
            "big": rng.integers(2**60, 2**61, rows),
            "bool": rng.random(rows) < 0.5,
            "color": pd.Series(rng.choice(["red", "green", "blue"], rows)).where(pd.Series(rng.random(rows)) < 0.9),
            "text": [f'row {i}, "quoted"\nand ü' for i in range(rows)],
        }
    )


@pytest.mark.parametrize("rows", [1, 37, BLOCK_ROWS, BLOCK_ROWS + 1])
def test_a_files_snapshot_is_that_of_the_frame_it_was_written_from(rows: int, tmp_path: Path) -> None:
    frame = frame_of(rows)
    live = SNAPSHOTS.of_live(frame)
    assert through_parquet(frame, tmp_path) == live
    assert through_csv(frame, tmp_path) == live
    assert SNAPSHOTS.of_live(pa.Table.from_pandas(frame, preserve_index=False)) == live
    assert SNAPSHOTS.of_live({name: frame[name].to_numpy() for name in frame}) == live


def test_a_csv_file_snapshot_is_that_of_the_frame_pandas_reads(tmp_path: Path) -> None:
    text = 'a,b,c,d,e,f\n1,0.1,True,x,,007\n,1e5,False,NA,,8\n3,inf,,"",,9\n'
    (tmp_path / "t.csv").write_text(text)
    read = SNAPSHOTS.of_file(str(tmp_path / "t.csv"))
    assert read == SNAPSHOTS.of_live(pd.read_csv(io.StringIO(text)))
    assert [one.type for one in read.columns] == ["int", "float", "bool", "string", "null", "int"]


def test_a_csv_column_is_what_its_last_value_says(tmp_path: Path) -> None:
    lines = "\n".join(["a,b,c", *["1,1,true"] * 60_000, "1.5,x,maybe"])
    (tmp_path / "t.csv").write_text(lines)
    assert [one.type for one in SNAPSHOTS.of_file(str(tmp_path / "t.csv")).columns] == ["float", "string", "string"]


def test_what_pandas_keeps_as_index_is_no_column(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": [1, 2], "b": [3, 4]}).set_index("a")
    frame.to_parquet(tmp_path / "t.parquet")
    assert SNAPSHOTS.of_file(str(tmp_path / "t.parquet")) == SNAPSHOTS.of_live(frame)


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_an_arrays_file_is_the_array(suffix: str, tmp_path: Path) -> None:
    array = np.random.default_rng(0).normal(size=(70, 3, 8, 8)).astype(np.float32)
    path = DataFiles().write(array if suffix == ".npy" else {"x": array, "y": np.arange(70)}, tmp_path / f"a{suffix}")
    assert SNAPSHOTS.of_file(str(path)) == SNAPSHOTS.of_live(array if suffix == ".npy" else {"x": array, "y": np.arange(70)})


def test_a_tensor_is_the_array_it_shows_and_colors_are_its_channels() -> None:
    import torch

    tensor = torch.randn(20, 3, 8, 8, generator=torch.Generator().manual_seed(0), requires_grad=True)
    snapshot = SNAPSHOTS.of_live(tensor)
    assert snapshot == SNAPSHOTS.of_live(tensor.detach().numpy())
    (facts,) = snapshot.columns
    assert (snapshot.kind, snapshot.rows, facts.shape, facts.dtype, len(facts.channels)) == ("array", 20, (3, 8, 8), "float32", 3)
    green = tensor.detach().numpy()[:, 1].astype(np.float64)
    assert facts.channels[1].mean == pytest.approx(green.mean(), rel=1e-8)
    assert facts.channels[1].std == pytest.approx(green.std(), rel=1e-8)
    assert sum(facts.channels[1].counts) == green.size


def test_bfloat16_and_the_floats_that_hold_it_are_one() -> None:
    import torch

    tensor = torch.arange(6).reshape(2, 3).to(torch.bfloat16)
    assert SNAPSHOTS.of_live(tensor) == SNAPSHOTS.of_live(tensor.float().numpy())


def test_the_profile_is_that_of_numpy() -> None:
    values = np.random.default_rng(1).lognormal(size=90_000)
    values[[5, 7]] = np.inf, np.nan
    finite = np.sort(values[np.isfinite(values)])
    (numbers,) = column(values).channels
    assert (numbers.low, numbers.high, numbers.infinite) == (finite[0], finite[-1], 1)
    assert numbers.mean == pytest.approx(finite.mean(), rel=1e-8)
    assert numbers.std == pytest.approx(finite.std(), rel=1e-8)
    assert numbers.quantiles == tuple(np.quantile(finite, PROBABILITIES, method="inverted_cdf"))
    assert sum(numbers.counts) == len(finite)
    inner, _ = np.histogram(finite[finite < numbers.edges[-1]], numbers.edges)
    np.testing.assert_array_equal(numbers.counts[1:-1], inner)


ROWS = 2 * BLOCK_ROWS + 77
RNG = np.random.default_rng(5)
SHAPES_OF_DATA: dict[str, Any] = {
    "skewed": RNG.lognormal(0, 4, ROWS),
    "constant": np.full(ROWS, 0.1),
    "far from zero": 1e6 + RNG.normal(size=ROWS),
    "mostly NaN": np.where(RNG.random(ROWS) < 0.97, np.nan, RNG.normal(size=ROWS)),
    "NaN for a block": np.where(np.arange(ROWS) < BLOCK_ROWS + 5, np.nan, RNG.normal(size=ROWS)),
    "infinite": np.where(RNG.random(ROWS) < 0.1, np.inf, np.where(RNG.random(ROWS) < 0.1, -np.inf, RNG.normal(size=ROWS))),
    "whole": RNG.integers(-1000, 1000, ROWS),
    "small": RNG.integers(-100, 100, ROWS).astype(np.int8),
    "beyond 2**53": RNG.integers(2**60, 2**61, ROWS),
}


@pytest.mark.parametrize("kind", SHAPES_OF_DATA)
def test_moments_extremes_and_quantiles_are_those_of_numpy_over_several_blocks(kind: str) -> None:
    values = SHAPES_OF_DATA[kind]
    facts = column(values)
    floats = values.astype(np.float64)
    finite = floats[np.isfinite(floats)]
    (numbers,) = facts.channels
    assert (facts.nulls, numbers.infinite) == (np.isnan(floats).sum(), np.isinf(floats).sum())
    assert (numbers.low, numbers.high) == (finite.min(), finite.max())
    assert numbers.mean == pytest.approx(finite.mean(), rel=1e-8, abs=1e-12)
    assert numbers.std == pytest.approx(finite.std(), rel=1e-8, abs=1e-12)
    assert numbers.quantiles == tuple(np.quantile(finite, PROBABILITIES, method="inverted_cdf"))
    assert sum(numbers.counts) == len(finite)
    (as_matrix,) = column(values[:, None]).channels
    assert as_matrix == numbers


def test_a_constant_column_deviates_by_nothing() -> None:
    assert [one.std for one in column(np.full((ROWS, 2), 0.1)).channels] == [0.0, 0.0]


def test_many_categories_are_counted_as_pandas_counts_them() -> None:
    values = pd.Series(RNG.choice([f"c{i}" for i in range(300)] + ["ü" * 120, ""], ROWS)).where(pd.Series(RNG.random(ROWS)) < 0.8)
    facts = column(values)
    found = facts.categories
    assert found is not None
    counted = values.value_counts()
    ranked = sorted(counted.items(), key=lambda item: (-item[1], str(item[0])))[:50]
    assert found.counts == {name: n for name, n in ranked if len(str(name)) <= 100}
    assert (facts.nulls, found.distinct) == (values.isna().sum(), 302)
    assert found.others == counted.sum() - sum(found.counts.values())
    assert (found.shortest, found.longest) == (0, 120)


@QUICK
@given(values=st.lists(st.one_of(st.none(), st.text(st.characters(exclude_categories=["Cs"]))), min_size=1, max_size=9))
def test_the_shortest_and_longest_string_are_measured_in_characters(values: list[str | None]) -> None:
    lengths = [len(value) for value in values if value is not None]
    for column_of in (values, ["outside", *values, "outside"]):  # a slice does not start where its buffer does
        held = pa.array(column_of, pa.string()).slice(0 if column_of is values else 1, len(values))
        found = column(held).categories
        assert (found is None) == (not lengths)
        assert found is None or (found.shortest, found.longest) == (min(lengths), max(lengths))


def test_few_values_are_counted_one_by_one() -> None:
    (numbers,) = column(np.array([3, 1, 1, 7, 3, 1])).channels
    assert (numbers.edges, numbers.counts) == ((1.0, 3.0, 7.0), (0, 3, 2, 1))


def test_numbers_at_the_end_of_float64_are_described_and_stay_valid_json() -> None:
    huge = column(np.array([1e308, -1e308, 1.7e308, np.inf]))
    assert huge.channels[0].std is None
    assert msgspec_round_trip(SNAPSHOTS.of_live({"c": np.array([1e308, -1e308, np.inf, np.nan])}))


def msgspec_round_trip(snapshot: Snapshot) -> bool:
    import msgspec

    return msgspec.json.decode(canonical(snapshot), type=Snapshot) == snapshot


def test_a_rare_value_is_not_named() -> None:
    found = column(np.array(["ann@example.com", *["left"] * 5, *["right"] * 6])).categories
    assert found is not None
    assert (found.counts, found.others, found.distinct, found.longest) == ({"right": 6, "left": 5}, 1, 3, 15)


def test_a_million_different_strings_are_a_small_profile() -> None:
    values = pa.array(np.arange(1_000_000)).cast(pa.string())
    snapshot = SNAPSHOTS.of_live(pa.table({"id": values}))
    found = snapshot.columns[0].categories
    assert found is not None
    assert (found.counts, found.others, found.distinct) == ({}, 100_000, 100_000)
    assert snapshot.sampled == 100_000
    assert len(canonical(snapshot)) < 1000


def test_the_sample_is_spread_follows_no_rhythm_and_depends_on_the_number_of_rows_alone() -> None:
    picked = sampled_rows(1_000_000, width=20)
    assert len(picked) == 100_000
    assert (np.diff(picked) > 0).all()
    np.testing.assert_array_equal(picked // 10, np.arange(100_000))
    assert np.bincount(picked % 10, minlength=10).min() > 9_500
    np.testing.assert_array_equal(sampled_rows(50, width=20), np.arange(50))


@pytest.mark.parametrize("empty", [pd.DataFrame({"a": []}), pa.table({"a": pa.array([], pa.string())}), {"a": np.zeros(0)}])
def test_no_rows_are_described_as_none(empty: Any) -> None:
    snapshot = SNAPSHOTS.of_live(empty)
    assert (snapshot.kind, snapshot.rows, snapshot.columns[0].type) == ("table", 0, "null")


def test_a_file_without_rows_is_described_as_none(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n")
    snapshot = SNAPSHOTS.of_file(str(tmp_path / "t.csv"))
    assert (snapshot.rows, [one.name for one in snapshot.columns]) == (0, ["a", "b"])
    assert snapshot == through_parquet(pd.DataFrame({"a": [], "b": []}), tmp_path)


def test_hostile_names_of_columns_stay_names(tmp_path: Path) -> None:
    frame = pd.DataFrame({name: [1.0, 2.0] for name in NAMES if name})
    assert [one.name for one in SNAPSHOTS.of_live(frame).columns] == [name for name in NAMES if name]
    assert through_parquet(frame, tmp_path) == SNAPSHOTS.of_live(frame)


def test_columns_of_mixed_values_are_objects_without_a_profile(tmp_path: Path) -> None:
    values = [1, "1", 1.5, None, True, b"x", decimal.Decimal("1.10"), datetime.date(2020, 1, 1), [1, 2], {"a": None}]
    facts = column(pd.Series(values, dtype=object))
    assert (facts.type, facts.nulls, facts.channels, facts.categories) == ("object", 1, (), None)
    lists = pa.table({"c": pa.array([[1.0, 2.0], None])})
    pq.write_table(lists, tmp_path / "t.parquet")
    assert SNAPSHOTS.of_file(str(tmp_path / "t.parquet")) == SNAPSHOTS.of_live(pd.DataFrame({"c": [np.array([1.0, 2.0]), None]}))


def test_personal_columns_say_type_rows_and_nulls_and_nothing_else() -> None:
    snapshot = SNAPSHOTS.of_live({"age": np.array([31.0, np.nan]), "site": np.array(["left", "right"])})
    bare = redacted(snapshot, ["age"])
    assert bare.columns[0] == ColumnFacts(name="age", type="int", nulls=1, withheld=True)
    assert bare.columns[1] == snapshot.columns[1]
    assert b"31" not in canonical(bare)
    assert all(one.withheld for one in redacted(snapshot, ["photo"]).columns), "a name that is no column hides all"
    assert redacted(snapshot, []) == snapshot


class Odd:
    """Nothing that a column could hold."""


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (3.0, "one value and no rows"),
        (np.zeros(3, dtype=complex), "complex128"),
        ({"a": np.zeros(3), "b": np.zeros(4)}, "differ in rows: 3, 4"),
        ({1: np.zeros(3), "1": np.zeros(3)}, "two columns are named '1'"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "two columns are named 'a'"),
        (pd.DataFrame({"a": [Odd()]}), "column 'a' holds a Odd"),
        ([[1], [1, 2]], "rows of equal length"),
        ({}, "no column"),
        (np.zeros((4, 0)), "shape (4, 0)"),
    ],
)
def test_what_cannot_be_described_is_refused_in_one_line(value: Any, words: str) -> None:
    with pytest.raises(MlprodError) as refusal:
        SNAPSHOTS.of_live(value)
    assert refusal.value.code is Code.BAD_DATA
    assert words in refusal.value.message
    assert "\n" not in refusal.value.message


def _cut(make: Callable[[Path], None]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        make(path)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    return write


def _zip_of_text(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", "no array")


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("t.parquet", _cut(lambda path: frame_of(100).to_parquet(path))),
        ("t.parquet", lambda path: path.write_bytes(b"")),
        ("t.npy", _cut(lambda path: np.save(path, np.zeros(1000)))),
        ("t.parquet", lambda path: pq.write_table(pa.Table.from_arrays([pa.array([1])] * 2, names=["a", "a"]), path)),
        ("o.npy", lambda path: np.save(path, np.array([{}], dtype=object), allow_pickle=True)),
        ("t.npz", _zip_of_text),
        ("t.csv", lambda path: path.write_text("a,b\n1,2\n3\n")),
        ("t.csv", lambda path: path.write_text("a,a\n1,2\n")),
        ("t.csv", lambda path: path.write_bytes(b"")),
        ("t.csv", lambda path: path.write_bytes(b"a\n\xff\xfe\n")),
        (f"t{SUFFIX}", lambda path: path.write_text('{"schema":"snapshot/1"}')),
        (f"t{SUFFIX}", lambda path: path.write_text("[" * 100_000)),
        ("t.txt", lambda path: path.write_text("a")),
    ],
)
def test_a_broken_file_is_refused_in_one_line(name: str, write: Callable[[Path], Any], tmp_path: Path) -> None:
    write(tmp_path / name)
    with pytest.raises(MlprodError) as refusal:
        SNAPSHOTS.of_file(str(tmp_path / name))
    assert refusal.value.code is Code.BAD_DATA
    assert "\n" not in refusal.value.message


def test_a_snapshot_that_is_cancelled_ends_at_once_and_leaves_no_thread() -> None:
    def cancelled(_what: str, items: Any) -> Any:
        yield items[0]
        raise KeyboardInterrupt

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        Snapshots(DataFiles().read, cancelled).of_live(np.zeros((70, 100_000)))
    assert threading.active_count() == before


def test_columns_of_a_file_that_are_read_one_by_one_are_those_of_the_table(tmp_path: Path) -> None:
    """A name with a dot is also the path of a field in a nested column."""
    nested = {"a": pa.array([{"b": 1, "c": 2}, {"b": 3, "c": None}]), **{f"x{i}": [i, 1.5] for i in range(9)}, "a.b": [5, 6]}
    table = pa.table(nested)
    pq.write_table(table, tmp_path / "t.parquet")
    read = SNAPSHOTS.of_file(str(tmp_path / "t.parquet"))
    assert read == SNAPSHOTS.of_live(table)
    assert [one.name for one in read.columns] == list(nested)


def test_a_file_that_loses_rows_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a\n1\n2\n3\n")

    def progress(what: str, items: Any) -> Any:
        if what == "snapshot":
            path.write_text("a\n1\n2\n")
        yield from items

    with pytest.raises(MlprodError, match="no longer have the 3 rows") as refusal:
        Snapshots(DataFiles().read, progress).of_file(str(path))
    assert refusal.value.code is Code.BAD_DATA


@pytest.mark.parametrize(
    "array", [np.zeros((1_000_000, 16)), np.zeros((1500, 3, 80, 80), dtype=np.uint8)], ids=["128 MB of rows", "29 MB of pictures"]
)
def test_an_array_is_described_where_it_is(array: Any) -> None:
    tracemalloc.start()
    try:
        SNAPSHOTS.of_live(array)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 64_000_000


@pytest.mark.parametrize("row_groups", [1, 160])
def test_a_file_larger_than_a_block_is_read_in_pieces(row_groups: int, tmp_path: Path) -> None:
    """The parts of a Parquet file that are held at once are a block of rows, not the file."""
    seen: list[int] = []

    def progress(_what: str, items: Any) -> Any:
        for item in items:
            seen.append(pa.total_allocated_bytes())
            yield item

    rows = 160 * BLOCK_ROWS
    table = pa.table({"a": np.arange(rows) / 7, "b": np.arange(rows)})
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=rows // row_groups, use_dictionary=False)
    del table
    before = pa.total_allocated_bytes()
    assert Snapshots(DataFiles().read, progress).of_file(str(tmp_path / "t.parquet")).rows == rows
    assert max(seen) - before < 40_000_000, "the columns take 84 MB"
