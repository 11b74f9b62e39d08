"""The quick answer about a tensor is that of the close look, for every type and every limit."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_mlprod.core.contract import Contract, Tensor
from jupyter_mlprod.core.demands import plan_of
from jupyter_mlprod.core.tensors import TensorChecker, _check, check_tensors

DTYPES = ("float16", "float32", "float64", "int8", "int64", "uint8", "bool")
LIMITS = st.sampled_from([None, -np.inf, -1e300, -70000.0, -3.0, -1e-45, -0.0, 0.0, 1e-45, 0.1, 1.0, 3.0, 255.0, 70000.0, 1e300])
NUMBERS = st.sampled_from([-np.inf, -70000.0, -3.0, -1e-45, -0.0, 0.0, 1e-45, 0.1, 1.0, 3.0, 65504.0, np.inf, np.nan, -np.nan])


def plans(*tensors: Tensor) -> Any:
    return plan_of(Contract(inputs=tensors, outputs=()), clock=False).tensors


@settings(max_examples=1500, derandomize=True, deadline=None)
@given(st.sampled_from(DTYPES), LIMITS, LIMITS, st.booleans(), st.lists(NUMBERS, min_size=1, max_size=4), st.sampled_from(DTYPES))
def test_the_quick_answer_is_that_of_the_close_look(
    dtype: str, low: float | None, high: float | None, finite: bool, numbers: list[float], given_dtype: str
) -> None:
    low, high = (None if limit is not None and np.isinf(limit) else limit for limit in (low, high))
    if dtype == "bool":
        low = high = None
    elif not dtype.startswith("float"):  # a limit that integers of that width cannot hold is no limit of theirs
        low, high = (limit if limit is not None and abs(limit) < 100 else None for limit in (low, high))
    (plan,) = plans(Tensor(name="x", dtype=dtype, shape=("batch", 2), low=low, high=high, finite=finite))
    with np.errstate(all="ignore"):
        column = np.array(numbers, np.float64)
        whole = column if given_dtype.startswith("float") else np.nan_to_num(column, posinf=9, neginf=-9)
        array = np.stack([whole, whole[::-1]], axis=1).astype(given_dtype)
    found = TensorChecker((plan,)).check({"x": array})
    close = list(_check(plan, array, {}))
    assert found[0] == len(close)
    assert [(one.demand, one.bad is None or one.bad.tolist()) for one in found[1]] == [
        (one.demand, one.bad is None or one.bad.tolist()) for one in close if one is not None
    ]


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 3, 2), np.float32)[::2, :, ::-1],
        np.asfortranarray(np.ones((2, 3, 2), np.float32)),
        np.ones((2, 3, 2), ">f4"),
        np.broadcast_to(np.float32(0.5), (2, 3, 2)),
    ],
    ids=["strided", "fortran", "big-endian", "broadcast"],
)
def test_how_a_tensor_lies_in_memory_changes_nothing(array: Any) -> None:
    (plan,) = plans(Tensor(name="x", dtype="float32", shape=("batch", 3, 2), low=0, high=1))
    assert check_tensors((plan,), {"x": array}) == (6, [])
    worse = array.copy()
    worse[1, 2, 0] = np.nan
    (one,) = check_tensors((plan,), {"x": worse})[1]
    assert (one.demand.check, one.places[0][0]) == ("finite", (2, 0))


def test_a_named_dimension_is_equal_wherever_it_appears() -> None:
    both = plans(*(Tensor(name=name, dtype="float32", shape=("batch", "time")) for name in "ab"))
    one, two = np.zeros((2, 5), np.float32), np.zeros((2, 6), np.float32)
    assert check_tensors(both, {"a": one, "b": one})[1] == []
    assert [broken.demand.field for broken in check_tensors(both, {"a": one, "b": two})[1]] == ["b"]


def test_channels_are_counted_on_their_axis() -> None:
    (plan,) = plans(Tensor(name="x", dtype="uint8", shape=("batch", "h", "w", "c"), layout="NHWC"))
    assert check_tensors((plan,), {"x": np.zeros((1, 8, 8, 3), np.uint8)}) == (4, [])
    assert [one.demand.check for one in check_tensors((plan,), {"x": np.zeros((1, 3, 8, 8), np.uint8)})[1]] == ["layout"]


@pytest.mark.parametrize(
    ("numbers", "rows"),
    [
        (np.array([2**53, -(2**53), 0]), []), (np.array([2**53 + 1, 0, -(2**53) - 1]), [0, 2]), (np.array([1, 2**64 - 1], np.uint64), [1]),
        (np.array([2**31 - 1, 0], np.int32), []),
    ],
    ids=["exact", "beyond", "unsigned", "narrow"],
)  # fmt: skip
def test_integers_that_float64_rounds_do_not_fit_it(numbers: Any, rows: list[int]) -> None:
    found = TensorChecker(plans(Tensor(name="x", dtype="float64", shape=("batch",)))).check({"x": numbers})[1]
    assert [(one.demand.check, np.flatnonzero(one.bad).tolist()) for one in found if one.bad is not None] == (
        [("dtype", rows)] if rows else []
    )
    assert len(found) == bool(rows)


def test_integers_too_large_for_half_precision_do_not_fit() -> None:
    (one,) = TensorChecker(plans(Tensor(name="x", dtype="float16", shape=("batch",)))).check({"x": np.array([65504, 65520])})[1]
    assert one.bad is not None
    assert one.bad.tolist() == [False, True]
