"""What goes into a graph is the number that was prepared, or nothing goes in."""

from typing import Any

import numpy as np
import pytest

from jupyter_mlprod.core.cast import cast
from jupyter_mlprod.core.errors import Code, MlprodError


@pytest.mark.parametrize(
    ("values", "to"),
    [
        ([300], "uint8"),
        ([-1], "uint8"),
        ([1.75], "uint8"),
        ([2**40 + 7], "int32"),
        ([0.5], "int64"),
        ([np.nan], "int64"),
        ([np.inf], "int32"),
        ([1e19], "int64"),
        (np.array([2**63], np.uint64), "int64"),
        ([2], "bool"),
        ([0.5], "bool"),
        ([1e300], "float32"),
        ([70000], "float16"),
        (["7"], "float32"),
        (["7"], "int64"),
        (np.array(["a", None], object), "float32"),
    ],
    ids=str,
)
def test_a_cast_that_makes_another_number_is_refused_by_name(values: Any, to: str) -> None:
    for tell in (True, False):
        with pytest.raises(MlprodError) as refusal:
            cast("x", np.asarray(values), to, tell=tell)
        assert refusal.value.code is Code.PREPROCESS
        assert "'x'" in refusal.value.message
        assert "\n" not in refusal.value.message


def test_the_value_is_told_only_where_it_may_be() -> None:
    rows = np.array([[1, 2], [3, 300]])
    with pytest.raises(MlprodError, match=r"'x' is prepared as 300 at \(1, 1\), which the graph's uint8"):
        cast("x", rows, np.uint8, tell=True)
    with pytest.raises(MlprodError) as refusal:
        cast("x", rows, np.uint8, tell=False)
    assert "300" not in refusal.value.message
    assert "(1, 1)" in refusal.value.message


@pytest.mark.parametrize(
    ("values", "to", "wanted"),
    [
        ([1.0, 255.0], "uint8", [1, 255]),
        ([True, False], "int64", [1, 0]),
        ([1, 0], "bool", [True, False]),
        ([0.1], "float32", np.array([0.1], np.float32)),
        ([np.inf, -np.inf], "float32", [np.inf, -np.inf]),
        (np.array([1, 2.5], object), "float32", [1, 2.5]),
        ([2**24 + 1], "float32", [2**24]),
    ],
    ids=str,
)
def test_the_same_number_in_another_type_is_let_through(values: Any, to: str, wanted: Any) -> None:
    made = cast("x", np.asarray(values), to, tell=True)
    assert made.dtype == np.dtype(to)
    np.testing.assert_array_equal(made, wanted)


def test_a_null_among_numbers_is_a_float_that_is_none_and_no_integer() -> None:
    nulls = np.array([1.0, None], object)
    assert np.isnan(cast("x", nulls, np.float32, tell=True).astype(np.float64)[1])
    with pytest.raises(MlprodError):
        cast("x", nulls, np.int64, tell=True)
