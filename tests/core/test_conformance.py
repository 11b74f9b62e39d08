"""Every way a batch can break its contract is found, several at once, at the right row, and no value of the data is told."""

import typing
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_mlprod.core.arrays import nulls
from jupyter_mlprod.core.batch import check_batch
from jupyter_mlprod.core.conformance import Conformance
from jupyter_mlprod.core.contract import Column, ColumnType, Contract, Tensor
from jupyter_mlprod.core.raw import Array, Raw

OUTPUTS = (Tensor(name="scores", dtype="float32", shape=("batch", 3)),)
PIXELS = Tensor(name="image", dtype="float32", shape=("batch", 2), low=0, high=1)


def tensors(*inputs: Tensor) -> Contract:
    return Contract(inputs=inputs, outputs=OUTPUTS)


def table(*inputs: Column) -> Contract:
    return Contract(inputs=inputs, outputs=OUTPUTS)


def found(contract: Contract, raw: Raw) -> set[tuple[str, str, int]]:
    return {(violation.field, violation.check, violation.rows) for violation in check_batch(contract, raw).violations}


def objects(*values: Any) -> Array:
    array = np.empty(len(values), dtype=object)
    for index, value in enumerate(values):
        array[index] = value
    return array


def test_a_good_batch_keeps_the_contract_and_says_how_much_was_checked() -> None:
    image = np.array([[0, 1], [0.5, 0.5]], np.float32)
    assert check_batch(tensors(PIXELS), image) == Conformance(checks=8, rows=2, violations=())
    assert check_batch(tensors(PIXELS), {"image": image}) == check_batch(tensors(PIXELS), image)


def test_zero_rows_break_a_demand() -> None:
    for contract, raw in (
        (tensors(PIXELS), np.zeros((0, 2), np.float32)),
        (table(Column(name="c", type="float", low=0)), {"c": np.zeros(0)}),
        (table(Column(name="c", type="string", categories=("a",))), {"c": objects()}),
    ):
        result = check_batch(contract, raw)
        assert (result.rows, [violation.what for violation in result.violations]) == (0, ["the data have no rows"])


@pytest.mark.parametrize(
    ("array", "violation"),
    [
        (np.array([[0, np.nan], [0, 0]], np.float32), ("image", "finite", 1)),
        (np.array([[0, 0], [0, -0.5]], np.float32), ("image", "low", 1)),
        (np.array([[2, 2], [0, 3]], np.float32), ("image", "high", 2)),
        (np.zeros((2, 3), np.float32), ("image", "shape", 2)),
        (np.zeros(2, np.float32), ("image", "shape", 2)),
        (np.zeros((2, 2, 1), np.float32), ("image", "shape", 2)),
        (np.array(0, np.float32), ("image", "shape", 0)),
        (np.zeros((2, 2), bool), ("image", "dtype", 2)),
        (np.zeros((2, 2), complex), ("image", "dtype", 2)),
        (np.array([["0", "1"]]), ("image", "dtype", 1)),
        (np.array([[0.5, None]], object), ("image", "dtype", 1)),
        (np.array([["2026", "2026"]], "M8[Y]"), ("image", "dtype", 1)),
        (np.array([[1e300, 0.0]]), ("image", "dtype", 1)),
    ],
)
def test_each_fault_of_a_tensor_is_found(array: Array, violation: tuple[str, str, int]) -> None:
    assert violation in found(tensors(PIXELS), array)


@pytest.mark.parametrize("bad", [np.inf, -np.inf])
def test_infinity_breaks_finiteness_and_the_range(bad: float) -> None:
    assert {check for _, check, _ in found(tensors(PIXELS), np.array([[bad, 0]], np.float32))} == {"finite", "high" if bad > 0 else "low"}


def test_several_faults_are_found_at_once() -> None:
    array = np.array([[np.nan, 0], [-1, 0], [2, 0], [5, -5]], np.float32)
    assert found(tensors(PIXELS), array) == {("image", "finite", 1), ("image", "low", 2), ("image", "high", 2)}


@pytest.mark.parametrize(
    ("dtype", "values", "fits"),
    [
        ("int8", [127, -128], True),
        ("int8", [128, 0], False),
        ("uint8", [0, -1], False),
        ("int64", [2**63 - 1, 0], True),
        ("int64", np.array([2**63, 0], np.uint64), False),
        ("uint64", [-(2**63), 0], False),
        ("int32", [2**31, 0], False),
        ("float16", [70_000, 0], False),
        ("float32", [2**62, 0], True),
        ("float32", [1e39, 0.0], False),
        ("float32", [0.1, 0.2], True),
    ],
)
def test_numbers_that_a_cast_would_change_beyond_rounding_do_not_fit(dtype: str, values: Any, fits: bool) -> None:
    spec = Tensor(name="x", dtype=dtype, shape=("batch",))
    assert found(tensors(spec), np.asarray(values)) == (set() if fits else {("x", "dtype", 1)})


def test_a_float_is_no_int_and_an_int_no_bool() -> None:
    for dtype, array in (("int64", np.zeros(2)), ("bool", np.zeros(2, int)), ("int64", np.zeros(2, bool))):
        assert found(tensors(Tensor(name="x", dtype=dtype, shape=("batch",))), array) == {("x", "dtype", 2)}


def test_a_limit_beyond_the_type_is_no_fault() -> None:
    spec = Tensor(name="x", dtype="float16", shape=("batch",), low=-1e6, high=1e6)
    assert found(tensors(spec), np.array([60_000, -60_000], np.float16)) == set()


@given(st.integers(1, 4), st.sampled_from(["<f4", ">f4", "<f8", ">f8"]), st.sampled_from("CF"), st.integers(1, 3))
def test_layout_and_byte_order_change_nothing(rows: int, dtype: str, order: Any, step: int) -> None:
    plain = np.linspace(-1, 2, rows * 2, dtype=np.float32).reshape(rows, 2)
    spread = np.zeros((rows * step, 2 * step), dtype, order=order)
    spread[::step, ::step] = plain
    assert check_batch(tensors(PIXELS), spread[::step, ::step]).violations == check_batch(tensors(PIXELS), plain).violations


A, B = (Tensor(name=name, dtype="float32", shape=("batch", "length")) for name in "ab")


def test_a_named_dimension_is_equal_wherever_it_appears() -> None:
    def pair(*shapes: tuple[int, int]) -> dict[str, Array]:
        return {name: np.zeros(shape, np.float32) for name, shape in zip("ab", shapes, strict=True)}

    assert found(tensors(A, B), pair((2, 7), (2, 7))) == set()
    assert found(tensors(A, B), pair((2, 7), (2, 8))) == {("b", "shape", 2)}
    assert found(tensors(A, B), pair((2, 7), (3, 7))) == {("b", "shape", 3), ("*", "rows", 3)}


def test_missing_and_unknown_inputs_are_found() -> None:
    zeros = np.zeros((2, 7), np.float32)
    assert found(tensors(A, B), {"a": zeros}) == {("b", "present", 2)}
    assert found(tensors(A, B), zeros) == {("b", "present", 2)}
    assert found(tensors(A, B), {"a": zeros, "b": zeros, "c": zeros}) == {("c", "unknown", 0)}
    assert check_batch(tensors(A, B), {"c": zeros}).checks == 4


def test_columns_beyond_the_contract_are_let_through_and_unequal_lengths_are_not() -> None:
    contract = table(Column(name="a", type="float"), Column(name="b", type="float"))
    assert found(contract, {"a": np.zeros(2), "b": np.zeros(2), "c": np.zeros(5)}) == set()
    assert found(contract, {"a": np.zeros(2), "b": np.zeros(3)}) == {("*", "rows", 3)}


@pytest.mark.parametrize(
    ("kind", "array", "checks"),
    [
        ("float", np.array([1.0, 2.0]), set()),
        ("float", np.array([1, 2]), set()),
        ("float", np.array([1.0, np.nan]), {("c", "null", 1)}),
        ("float", np.array([np.inf, np.nan]), {("c", "finite", 1), ("c", "null", 1)}),
        ("float", objects(1.0, None), {("c", "null", 1)}),
        ("float", np.array(["1.0"]), {("c", "type", 1)}),
        ("float", np.zeros((2, 1)), {("c", "type", 2)}),
        ("float", np.array(1.0), set()),
        ("float", np.array([2**53 + 1, 2**53, -(2**60)]), {("c", "exact", 2)}),
        ("int", np.array([1.0]), {("c", "type", 1)}),
        ("int", objects(2**80, np.int8(1), True), {("c", "exact", 1), ("c", "type", 1)}),
        ("bool", np.array([True]), set()),
        ("bool", np.array([1]), {("c", "type", 1)}),
        ("string", np.array(["a", ""]), set()),
        ("string", objects("a", None, 3, float("nan"), b"b", ["c"]), {("c", "type", 3), ("c", "null", 2)}),
        ("string", objects("a", np.zeros(2), np.zeros(0)), {("c", "type", 2)}),
        ("string", np.array([b"a"]), {("c", "type", 1)}),
        ("string", np.array([1, 2]), {("c", "type", 2)}),
    ],
)
def test_each_fault_of_a_column_is_found(kind: ColumnType, array: Array, checks: set[tuple[str, str, int]]) -> None:
    assert found(table(Column(name="c", type=kind)), {"c": array}) == checks


def test_nulls_are_let_through_where_the_contract_allows_them() -> None:
    number = Column(name="c", type="float", nullable=True, low=0, high=1)
    text = Column(name="c", type="string", nullable=True, categories=("a", "b"))
    assert found(table(number), {"c": np.array([np.nan, 0.5, 7.0])}) == {("c", "high", 1)}
    assert found(table(text), {"c": objects(None, "a", "z", float("nan"))}) == {("c", "category", 1)}
    assert found(table(text), {"c": objects(None, None)}) == set()


def test_a_missing_value_of_pandas_is_null() -> None:
    pandas = pytest.importorskip("pandas")
    assert nulls(objects("a", pandas.NA, pandas.NaT, None, float("nan"), "")).tolist() == [False, True, True, True, True, False]


@pytest.mark.parametrize("value", ["c", "A", "a ", "a\0", ""])
def test_a_string_outside_the_categories_is_found(value: str) -> None:
    assert found(table(Column(name="c", type="string", categories=("a", "b"))), {"c": objects("a", value)}) == {("c", "category", 1)}


def test_one_long_string_among_many_costs_no_more_memory_than_itself() -> None:
    values = objects(*["a"] * 20_000, "x" * 10_000_000)  # as a numpy string array this is 800 GB
    assert found(table(Column(name="c", type="string", categories=("a",))), {"c": values}) == {("c", "category", 1)}


@pytest.mark.parametrize(
    ("kind", "values", "row"),
    [
        ("float", np.array([np.nan, np.nan, 0.5, 9.0]), 3),
        ("string", objects(None, "a", 3, "b"), 2),
        ("string", objects(None, 3, None, "z"), 3),
    ],
)
def test_the_first_row_named_is_a_row_of_the_batch_and_not_of_what_is_left_without_nulls(kind: ColumnType, values: Array, row: int) -> None:
    limits: dict[str, Any] = {"high": 1} if kind == "float" else {"categories": ("a", "b")}
    column = Column(name="c", type=kind, nullable=True, **limits)
    whats = [violation.what for violation in check_batch(table(column), {"c": values}).violations]
    assert any(what.endswith(f"in 1 of 4 rows, first at row {row}") for what in whats)


@pytest.mark.parametrize("kind", ["int8", "int64", "uint64"])
def test_integers_are_held_against_limits_of_any_size(kind: str) -> None:
    column = Column(name="c", type="int", low=-1e3, high=1e25)
    info = np.iinfo(kind)
    low = {("c", "low", 1)} if info.min < -1e3 else set()
    beyond = {("c", "exact", 1)} if info.max > 2**63 else set()
    assert found(table(column), {"c": np.array([info.min, info.max], kind)}) == low | beyond


SECRETS = ("4242424242", "hunter2", "424242.25")


@pytest.mark.parametrize("kind", ["float", "int", "bool", "string"])
def test_no_value_of_the_data_is_ever_told(kind: ColumnType) -> None:
    limits: dict[str, Any] = {"string": {"categories": ("a",)}, "bool": {}}.get(kind, {"low": 0, "high": 1})
    column = Column(name="c", type=kind, **limits)
    batches: list[Array] = [
        np.array([424242.25, -424242.25, np.inf]),
        np.array([4242424242]),
        np.array(["hunter2"]),
        objects("hunter2", None, 4242424242, 424242.25, ["hunter2"]),
    ]
    whats = [v.what for batch in batches for v in check_batch(table(column), {"c": batch, "hunter2": batch}).violations]
    whats += [v.what for batch in batches for v in check_batch(tensors(PIXELS), batch).violations]
    assert whats
    assert not [what for what in whats for secret in SECRETS if secret in what]


@given(st.lists(st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3), st.binary(max_size=3)), max_size=5))
def test_mixed_columns_never_crash_or_warn(values: list[object]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for kind in typing.get_args(ColumnType):
            result = check_batch(table(Column(name="c", type=kind)), {"c": objects(*values)})
            assert result.rows == len(values)
            assert all(0 <= violation.rows <= len(values) for violation in result.violations)
