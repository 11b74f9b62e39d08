"""Values are the same when a person would say so, whatever holds them."""

import datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_mlprod.core.column_values import NO_MOMENT, NULL, first_alike, hashes, moments, numbers, row_hashes
from jupyter_mlprod.core.raw import Array, object_array

UTC = datetime.UTC
VALUES = st.one_of(st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(), st.binary(), st.datetimes())


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (np.array([1, 2, 3]), np.array([1.0, 2.0, 3.0])),
        (np.array([1, 2], np.uint8), object_array([1, 2.0])),
        (np.array([0.0]), np.array([-0.0])),
        (np.array([np.nan]), object_array([None])),
        (np.array(["a", "b"]), object_array(["a", "b"])),
        (np.array([2**60 + 1]), object_array([2**60 + 1])),
        (np.array(["2026-01-01T12:00"], "M8[ns]"), np.array(["2026-01-01T12:00"], "M8[s]")),
        (np.array(["2026-01-01T12:00"], "M8[ns]"), object_array([datetime.datetime(2026, 1, 1, 12)])),
        (np.array(["NaT"], "M8[s]"), object_array([None])),
        (np.array([[1.0, -0.0]]), np.array([[1.0, 0.0]])),
    ],
)
def test_what_holds_a_value_does_not_matter(one: Array, two: Array) -> None:
    assert hashes(one).tolist() == hashes(two).tolist()


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (1, "1"),
        (2**53 + 1, 2**53),
        (2**60 + 1, 2**60),
        (datetime.datetime(2026, 1, 1), datetime.datetime(2026, 1, 1, tzinfo=UTC)),
        ("", None),
        (0.0, None),
        (b"a", "a"),
        ([1], [2]),
    ],
)
def test_what_differs_is_not_the_same(one: object, two: object) -> None:
    assert hashes(object_array([one]))[0] != hashes(object_array([two]))[0]


@given(st.lists(VALUES, min_size=1, max_size=20))
def test_no_object_fails_and_null_alone_is_null(values: list[object]) -> None:
    found = hashes(object_array(values))
    assert [one == NULL for one in found] == [value is None or value != value for value in values]
    assert numbers(object_array(values)).shape == moments(object_array(values)).shape == (len(values),)


@given(st.lists(st.tuples(st.sampled_from([0.0, -0.0, 1.5, float("nan")]), st.sampled_from(["a", "b", None])), max_size=30))
def test_rows_are_alike_as_a_slow_search_says(rows: list[tuple[float, str | None]]) -> None:
    named: dict[str, Array] = {"x": np.array([x for x, _ in rows]), "s": object_array([s for _, s in rows])}
    plain = [("null" if x != x else x, s) for x, s in rows]
    assert first_alike(row_hashes(named, ["x", "s"])).tolist() == [plain.index(row) for row in plain]


def test_the_order_of_columns_counts() -> None:
    one, two = np.array([1.0]), np.array([2.0])
    assert row_hashes({"a": one, "b": two}, ["a", "b"])[0] != row_hashes({"a": two, "b": one}, ["a", "b"])[0]


def test_moments_are_microseconds_of_utc() -> None:
    summer = datetime.timezone(datetime.timedelta(hours=2))
    found = moments(object_array([datetime.datetime(1970, 1, 1, 2, tzinfo=summer), datetime.date(1970, 1, 2), None, "1970-01-01"]))
    assert found.tolist() == [0, 86_400_000_000, NO_MOMENT, NO_MOMENT]
