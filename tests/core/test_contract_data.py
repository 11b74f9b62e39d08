"""Data show names, types and nulls; what has no type in a contract is left out and told, and no value is."""

import datetime
import decimal

import numpy as np
import pytest

from jupyter_mlprod.core.batch import check_batch
from jupyter_mlprod.core.contract import Column, Tensor, Text
from jupyter_mlprod.core.contract_data import contract_of_data, framed
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.mixed import odd
from jupyter_mlprod.core.raw import Array, Raw

UTC = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def objects(*values: object) -> Array:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


@pytest.mark.parametrize(
    ("values", "column"),
    [
        (np.array([1.5, np.nan]), Column(name="x", type="float", nullable=True)),
        (np.array([1, 2], np.uint8), Column(name="x", type="int")),
        (np.array([True, False]), Column(name="x", type="bool")),
        (np.array(["a", "b"]), Column(name="x", type="string")),
        (objects("a", None), Column(name="x", type="string", nullable=True)),
        (objects(1, 2.5), Column(name="x", type="float")),
        (objects(True, None), Column(name="x", type="bool", nullable=True)),
        (np.array(["2026-01-01", "NaT"], "M8[ns]"), Column(name="x", type="time", nullable=True)),
        (objects(UTC, UTC), Column(name="x", type="time_utc")),
        (objects(datetime.date(2026, 1, 1)), Column(name="x", type="time")),
    ],
)
def test_the_type_of_a_column_is_that_of_all_its_values(values: Array, column: Column) -> None:
    contract = contract_of_data({"x": values}).contract
    assert contract.inputs == (column,)
    assert check_batch(contract, {"x": values}).violations == ()


FRAME: dict[str, Array] = {"age": np.array([1, 2]), "ill": np.array([True, False]), "vector": np.zeros((2, 3))}


def test_a_column_of_lists_does_not_make_tensors_of_a_frame() -> None:
    read = contract_of_data(framed(FRAME, target="ill"), target="ill")
    assert [one.name for one in read.contract.inputs] == ["age"]
    assert read.left_out == ("column 'vector' is left out: it holds lists",)


def test_a_frame_of_lists_alone_is_tensors() -> None:
    vectors = {name: array for name, array in FRAME.items() if name != "age"}
    assert contract_of_data(framed(vectors, target="ill"), target="ill").contract.inputs == (
        Tensor(name="vector", dtype="float64", shape=("batch", 3)),
    )


@pytest.mark.parametrize(("value", "said"), [([1], "lists"), ({"a": 1}, "dicts"), (decimal.Decimal(1), "values of type Decimal")])
def test_values_that_no_column_holds_are_told_as_what_they_are(value: object, said: str) -> None:
    read = contract_of_data({"x": np.array([1]), "odd": objects(odd(value))})
    assert read.left_out == (f"column 'odd' is left out: it holds {said}",)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (objects("secret", 1), "column 'x' is left out: it holds a mixture of int, string"),
        (objects(UTC, UTC.replace(tzinfo=None)), "column 'x' is left out: it holds a mixture of time, time_utc"),
        (objects(None, None), "column 'x' is left out: it holds nothing but nulls"),
        (objects([1], [2]), "column 'x' is left out: it holds lists"),
        (np.array([1j, 2j]), "column 'x' is left out: it holds dtype complex128, which a column of a contract does not have"),
    ],
)
def test_what_has_no_type_is_left_out_and_told_without_its_values(values: Array, why: str) -> None:
    read = contract_of_data({"x": values, "y": np.arange(len(values))})
    assert read.left_out == (why,)
    assert [field.name for field in read.contract.inputs] == ["y"]


def test_arrays_of_more_axes_are_tensors_and_one_array_of_strings_is_a_text() -> None:
    image = np.zeros((2, 3, 8, 8), np.uint8)
    assert contract_of_data({"image": image, "age": np.zeros(2)}).contract.inputs == (
        Tensor(name="image", dtype="uint8", shape=("batch", 3, 8, 8)),
        Tensor(name="age", dtype="float64", shape=("batch",)),
    )
    assert contract_of_data(objects("a", "b")).contract.inputs == (Text(name="text"),)


def test_the_target_is_of_the_training_view_alone() -> None:
    contract = contract_of_data({"x": np.arange(3), "ill": np.array([True, False, True])}, target="ill").contract
    assert contract.target == Column(name="ill", type="bool")
    assert [field.name for field in contract.inputs] == ["x"]


@pytest.mark.parametrize(
    ("raw", "target", "code", "what"),
    [
        ({}, "", Code.BAD_DATA, "the data have no rows"),
        ({"x": np.array([])}, "", Code.BAD_DATA, "the data have no rows"),
        ({"x": np.arange(3), "y": np.arange(2)}, "", Code.BAD_DATA, "the columns differ in rows: 2, 3"),
        ({"age": np.arange(3)}, "agee", Code.BAD_REQUEST, "--target 'agee' is no column of the data (did you mean 'age'?)"),
        ({"age": np.arange(3)}, "age", Code.BAD_DATA, "the data have no column besides the target"),
        (np.zeros((3, 2)), "y", Code.BAD_REQUEST, "--target 'y' names a column, and the data are one array"),
        ({"x": objects(1, "a")}, "", Code.BAD_DATA, "column 'x' is left out: it holds a mixture"),
        (np.zeros(3, complex), "", Code.BAD_DATA, "'input' has dtype complex128"),
    ],
)
def test_data_that_show_nothing_are_refused(raw: Raw, target: str, code: Code, what: str) -> None:
    with pytest.raises(MlprodError) as error:
        contract_of_data(raw, target=target)
    assert error.value.code is code
    assert error.value.message.startswith(what)
