"""Features are compared row by row, by key; what could not be compared is told, and nothing joined is a failure."""

import datetime
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_mlprod.core.checked import Checked, sentence
from jupyter_mlprod.core.contract import Column, Input
from jupyter_mlprod.core.evidence import Measure
from jupyter_mlprod.core.raw import object_array
from jupyter_mlprod.core.skew import skew

INCOME, SITE = Column(name="income", type="float"), Column(name="site", type="string")
SEEN = Column(name="seen", type="time_utc")
N = 200


def offline() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {
        "customer": np.arange(N) + 1000,
        "income": rng.uniform(1, 50, N),
        "age": rng.uniform(18, 90, N),
        "site": object_array([("north", "south", None)[i % 3] for i in range(N)]),
    }


def compared(online: Mapping[str, Any], *columns: Column, key: Input | str = "customer", tolerance: float = 1e-6) -> Checked:
    return skew(columns or (INCOME, SITE), offline(), online, keys=[key], tolerance=tolerance)


def measures(part: Checked, name: str) -> dict[str, Measure]:
    return {next(iter(one.where.values())): one for one in part.measures if one.name == name}


def test_equal_values_in_another_order_and_type_are_equal() -> None:
    order = np.random.default_rng(1).permutation(N)
    online = {name: array[order] for name, array in offline().items()}
    online["customer"], online["income"] = online["customer"].astype(float), online["income"].astype(np.float32)
    found = compared(online)
    assert (found.violations, found.checks) == ((), 3)
    ratio = measures(found, "skew_ratio")["income"]
    assert (ratio.value, ratio.n, ratio.low, ratio.method) == (0, N, 0, "wilson")
    assert [one.value for one in measures(found, "skew_unmatched").values()] == [0, 0]


def test_a_feature_in_another_unit_is_named_with_the_reason_and_both_values() -> None:
    online = offline()
    online["income"] = online["income"] * 1000
    (violation,) = compared(online).violations
    assert violation.what == "feature 'income' differs online in 200 of 200 joined rows: online is 1,000 × offline in all of them"
    assert violation.examples[0] == f"row 0, key 1000: {offline()['income'][0]:.6g} offline, {1000 * offline()['income'][0]:.6g} online"
    assert (violation.kind, violation.check, violation.field, violation.rows) == ("skew", "skew", "income", N)


def test_a_few_rows_that_differ_are_found_and_counted() -> None:
    online = offline()
    online["income"][[3, 77]] += 1
    online["site"][5] = "NORTH"
    online["site"][6] = None
    found = compared(online)
    assert [(one.field, one.rows) for one in found.violations] == [("income", 2), ("site", 2)]
    assert measures(found, "skew_ratio")["income"].value == 2 / N


def test_swapped_columns_are_recognized() -> None:
    online = offline()
    online["income"], online["age"] = online["age"], online["income"]
    found = compared(online, INCOME, Column(name="age", type="float"))
    assert [one.what.split(": ")[1] for one in found.violations] == [
        "online holds what 'age' is offline in all of them",
        "online holds what 'income' is offline in all of them",
    ]


def test_a_column_that_holds_two_values_is_not_explained_by_another_that_agrees_by_chance() -> None:
    given = {"key": np.arange(N), "a": np.arange(N) % 2, "b": np.arange(N) % 2}
    columns = [Column(name=name, type="int") for name in "ab"]
    (found,) = skew(columns, given, {**given, "a": 1 - given["a"], "b": given["b"]}, keys=["key"], tolerance=0).violations
    assert "holds what" not in found.what
    (found,) = skew(
        columns, {**given, "b": 1 - given["b"]}, {**given, "a": 1 - given["a"], "b": 1 - given["b"]}, keys=["key"], tolerance=0
    ).violations
    assert "holds what" not in found.what


def test_numbers_that_were_logged_as_text_or_as_truth_values_are_called_so() -> None:
    given = {"key": np.arange(N), "x": np.arange(N) % 2}
    for kind in ("int", "float"):
        column = Column(name="x", type=kind)
        for online, said in (
            (object_array([f"{one}.0" for one in given["x"]]), "it is text online"),
            (given["x"] == 1, "it is a truth value online"),
            (object_array([bool(one) for one in given["x"]]), "it is a truth value online"),
            (object_array([None] * N), "it is null online"),
        ):
            (found,) = skew([column], given, {**given, "x": online}, keys=["key"], tolerance=0).violations
            assert (found.rows, found.what.split(": ")[1]) == (N, said)


def test_the_tolerance_is_of_what_varies_and_not_of_how_large_the_numbers_are() -> None:
    seconds = 1_767_225_600 + np.random.default_rng(2).uniform(0, 86_400, N)
    given = {"key": np.arange(N), "x": seconds}
    column = Column(name="x", type="float")

    def apart(online: Any) -> int:
        return sum(one.rows for one in skew([column], given, {**given, "x": online}, keys=["key"], tolerance=1e-6).violations)

    assert apart(seconds - 20 * 60) == N
    assert apart(seconds - 1) == N
    assert apart(seconds + 1e-3) == 0
    given["x"] = np.exp(np.random.default_rng(3).normal(size=N) * 4)
    assert apart(given["x"].astype(np.float32)) == 0, "the same numbers, as far as float32 can say them"
    assert apart(np.array([float(str(one)) for one in given["x"].astype(np.float32)])) == 0
    assert apart(given["x"] * (1 + 1e-5)) > 0


def test_few_joined_rows_do_not_speak_for_the_others() -> None:
    one = {name: array[:1] for name, array in offline().items()}
    assert [(v.check, v.what) for v in compared(one).violations] == [
        ("joined", "only 1 of 200 rows of the data were joined with the 1 that were logged online")
    ]
    repeated = offline()
    repeated["customer"][1:] = 7
    assert [v.check for v in compared(repeated).violations] == ["joined"]
    assert compared({name: array[:20] for name, array in offline().items()}).violations == ()


def test_a_key_whose_name_speaks_of_a_person_is_not_told() -> None:
    given = {**offline(), "phone": np.arange(N) + 4_915_112_345_000}
    online = {**given, "income": given["income"] + 1}
    for key, shown in (
        ("phone", False),
        (Column(name="phone", type="int"), False),
        (Column(name="phone", type="int", pii="none"), True),
    ):
        assert ("49151" in str(skew((INCOME,), given, online, keys=[key], tolerance=0))) is shown


def test_case_blanks_and_nulls_are_recognized() -> None:
    online = offline()
    online["site"] = object_array([text and f"{text.upper()} " for text in online["site"]])
    online["income"] = np.full(N, np.nan)
    reasons = {one.field: one.what.split(": ")[1] for one in compared(online).violations}
    assert reasons == {"site": "the texts are equal but for case and blanks at their ends", "income": "it is null online"}


def test_times_off_by_a_day_or_without_a_zone_are_recognized() -> None:
    times = [datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(minutes=7 * i) for i in range(N)]
    given = {**offline(), "seen": object_array(times)}
    day = object_array([time + datetime.timedelta(days=1) for time in times])
    naive = object_array([time.replace(tzinfo=None) for time in times])
    for online, said in (
        (day, "online is 1 day later than offline in all of them"),
        (naive, "the times are equal, but only one side has a zone"),
    ):
        (violation,) = skew((SEEN,), given, {**given, "seen": online}, keys=["customer"], tolerance=0).violations
        assert violation.what.endswith(said)
    assert not skew((SEEN,), given, given, keys=["customer"], tolerance=0).violations


def test_rows_without_a_partner_and_repeated_keys_are_told_and_not_compared() -> None:
    online = {name: array[:150] for name, array in offline().items()}
    online["customer"][1] = online["customer"][0]
    online["income"][:2] = -1
    found = compared(online)
    assert found.violations == ()
    told = measures(found, "skew_unmatched")
    assert (told["offline"].value, told["offline"].n, told["offline"].note) == (52, 200, "")
    assert (told["online"].value, told["online"].note) == (2, "2 rows have a key that is there more than once, 0 have none")


def test_null_keys_join_nothing() -> None:
    given, online = offline(), offline()
    given["customer"] = object_array([None] * N)
    online["customer"] = object_array([None] * N)
    found = skew((INCOME,), given, online, keys=["customer"], tolerance=0)
    assert found.violations[0].check == "run"


def test_no_row_joined_is_a_failure_and_says_what_the_keys_are() -> None:
    online = offline()
    online["customer"] = object_array([str(key) for key in online["customer"]])
    (violation,) = compared(online).violations
    assert violation.what.endswith("('customer' is int64 in the data and object online)")
    assert compared({name: array[:0] for name, array in offline().items()}).violations


def test_a_feature_that_was_not_logged_is_a_failure() -> None:
    online = offline()
    del online["income"]
    assert [one.what for one in compared(online).violations] == ["feature 'income' was not logged online"]


def test_mostly_tolerates_and_tells() -> None:
    online = offline()
    online["income"][:2] = 0
    lenient = Column(name="income", type="float", mostly=0.99)
    found = compared(online, lenient)
    assert (found.violations, [one.rows for one in found.tolerated]) == ((), [2])
    online["income"][:3] = 0
    assert len(compared(online, lenient).violations) == 1


def test_integers_are_equal_or_not_whatever_the_tolerance() -> None:
    given = {"key": np.arange(9), "big": np.arange(9) + 2**53 + 1}
    found = skew((Column(name="big", type="int"),), given, {**given, "big": given["big"] + 1}, keys=["key"], tolerance=0.5)
    assert found.violations[0].rows == 9


def test_several_columns_make_one_key() -> None:
    given = {"user": np.repeat([1, 2], 4), "day": np.tile([1, 2, 3, 4], 2), "x": np.arange(8.0)}
    order = np.array([5, 4, 7, 6, 1, 0, 3, 2])
    online = {name: array[order] for name, array in given.items()}
    found = skew((Column(name="x", type="float"),), given, online, keys=["user", "day"], tolerance=0)
    assert found.violations == ()
    assert measures(found, "skew_ratio")["x"].n == 8


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("customer", True),
        (Column(name="customer", type="int"), True),
        (Column(name="customer", type="int", pii="customer number"), False),
    ],
)
def test_keys_are_told_unless_they_are_personal(key: Input | str, shown: bool) -> None:
    online = offline()
    online["income"] = online["income"] + 1
    assert ("key 1000" in str(compared(online, key=key).violations)) is shown


@pytest.mark.parametrize("pii", ["none", "name"])
def test_strings_as_keys_are_told_only_when_somebody_said_that_they_are_not_personal(pii: str) -> None:
    given = {**offline(), "who": object_array([f"ann{i}" for i in range(N)])}
    online = {**given, "income": given["income"] + 1}
    for key in ("who", Column(name="who", type="string", pii=pii)):
        found = skew((INCOME,), given, online, keys=[key], tolerance=0)
        assert ("ann" in str(found)) is (not isinstance(key, str) and pii == "none")


@given(
    st.lists(st.tuples(st.integers(0, 8), st.one_of(st.none(), st.floats(1e6, 9e6).map(lambda x: x + 0.123456))), min_size=1, max_size=12)
)
def test_no_personal_value_is_ever_told(rows: list[tuple[int, float | None]]) -> None:
    given = {"key": np.array([key for key, _ in rows]), "pay": object_array([pay for _, pay in rows])}
    online = {**given, "pay": object_array([None if pay is None else pay * 2 for _, pay in rows])}
    found = skew((Column(name="pay", type="float", nullable=True, pii="salary"),), given, online, keys=["key"], tolerance=0)
    said = " ".join([*(sentence(one) for one in found.violations), *(one.note for one in found.measures)])
    assert not [pay for _, pay in rows if pay is not None and (f"{pay:.6g}" in said or f"{2 * pay:.6g}" in said)]
