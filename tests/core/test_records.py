"""JSON against a contract: the generated decoder and the look at each value say the same, and what is no JSON is told in a line."""

import datetime
import decimal
import json
import uuid
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_mlprod.core.contract import Column, Contract, Freshness, Rows, Tensor
from jupyter_mlprod.core.demands import plan_of
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.mixed import type_name
from jupyter_mlprod.core.records import (
    LARGEST_BYTES,
    MOST_LITERALS,
    MOST_ROWS,
    REFUSED,
    RecordDecoder,
    Records,
    as_records,
    columns_of,
    more_rows_than,
    raw_records,
)
from jupyter_mlprod.core.rows import RowChecker

NOW = datetime.datetime(2026, 6, 1, 12, tzinfo=datetime.UTC)
OUTPUTS = (Tensor(name="scores", dtype="float32", shape=("batch", 2)),)
MANY = tuple(f"c{index}" for index in range(MOST_LITERALS + 1))
CONTRACT = Contract(
    inputs=(
        Column(name="age", type="int", low=0, high=120),
        Column(name="weight in kg", type="float", low=0.5, high=400, nullable=True),
        Column(name="free", type="float"),
        Column(name="smoker", type="bool"),
        Column(name="site", type="string", categories=("a", "b", "toolong"), longest=3),
        Column(name="code", type="string", categories=MANY, nullable=True),
        Column(name="id", type="string", pattern="^[A-Z]{2}[0-9]+$", shortest=3, longest=8, unique=True),
        Column(name="seen", type="time_utc", max_age="2h"),
        Column(name="born", type="time", nullable=True),
    ),
    outputs=OUTPUTS,
    rules={"grown": "age >= 18 or free < 1", "long": "length(id) < 8"},
    freshness=Freshness(event_time="seen"),
)
DECODER = RecordDecoder(plan_of(CONTRACT, clock=True))
FINE: dict[str, Any] = {
    "age": 41, "weight in kg": 70.5, "free": 0.25, "smoker": False, "site": "a", "code": "c7", "id": "AB12",
    "seen": "2026-06-01T11:00:00+00:00", "born": "1985-02-03",
}  # fmt: skip


def sent(*rows: Any) -> bytes:
    return json.dumps(rows[0] if len(rows) == 1 else rows).encode()


def told(read: Records) -> set[tuple[str, str, tuple[int, ...]]]:
    return {(one.demand.field, one.demand.check, one.rows) for one in read.broken}


def decoded(data: bytes) -> set[tuple[str, str, tuple[int, ...]]]:
    return told(DECODER.decode(data, now=NOW))


def refused(data: bytes) -> str:
    with pytest.raises(MlprodError) as refusal:
        DECODER.decode(data, now=NOW)
    assert refusal.value.code is Code.BAD_DATA
    assert "\n" not in refusal.value.message
    return refusal.value.message


ODD = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=5),
    st.sampled_from([2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, 2**63, -0.0, 5.0, "a", "toolong", "c3", "AB12", "AB1\n", "2026-06-01"]),
    st.lists(st.integers(), max_size=2), st.dictionaries(st.text(max_size=2), st.none(), max_size=1),
)  # fmt: skip
TIMES = st.sampled_from(
    [
        "2026-06-01T11:00:00Z", "2026-06-01T11:00:00", "2026-06-01 11:00:00.123456789+02:00", "2026-06-01", "20260601", "2026-06-01T24:00:00Z",
        "2026-06-01T08:00:00Z", "2026-06-01T12:04:00Z", "2026-06-01T12:06:00Z", "0001-01-01T00:00:00+05:00", "noon", "",
    ]
)  # fmt: skip
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "age": st.integers(-1, 121), "weight in kg": st.floats(0, 401), "free": st.floats(allow_nan=False, allow_infinity=False),
    "smoker": st.booleans(), "site": st.sampled_from(["a", "b", "c", "toolong"]), "code": st.sampled_from([*MANY[:2], "d"]),
    "id": st.sampled_from(["AB12", "AB13", "A1", "AB123456", "ab12", "ABC"]), "seen": TIMES, "born": TIMES,
}  # fmt: skip


@st.composite
def records(draw: st.DrawFn) -> dict[str, Any]:
    """A record that is fine but for a few of its values, some of which may be missing."""
    row = dict(FINE)
    for name in draw(st.lists(st.sampled_from(list(FINE)), max_size=3, unique=True)):
        choice = draw(st.sampled_from(["own", "odd", "gone"]))
        if choice == "gone":
            del row[name]
        else:
            row[name] = draw(VALUES[name] if choice == "own" else ODD)
    return row | draw(st.sampled_from([{}, {"more": 1}]))


def revived(name: str, value: Any) -> Any:
    if name in ("seen", "born") and isinstance(value, str):
        try:
            return datetime.datetime.fromisoformat(value)
        except ValueError:
            return value
    return value


@settings(max_examples=400, derandomize=True, deadline=None)
@given(st.lists(records(), min_size=1, max_size=4))
def test_the_decoder_and_the_look_at_each_value_agree(rows: list[dict[str, Any]]) -> None:
    live = [{name: revived(name, value) for name, value in row.items()} for row in rows]
    columns = columns_of(live, list(FINE))
    wanted = RowChecker(DECODER.checker.plan).broken(columns, rows=len(rows), now=NOW)
    read = DECODER.decode(sent(*rows), now=NOW)
    assert told(read) == told(Records(rows=len(rows), columns={}, broken=tuple(wanted)))
    assert read.columns == columns


@settings(max_examples=300, derandomize=True, deadline=None)
@given(st.sampled_from(list(FINE)), ODD)
def test_a_value_that_the_fast_path_takes_breaks_nothing(name: str, value: Any) -> None:
    row = FINE | {name: value}
    try:
        DECODER.checked(sent(row))
    except REFUSED:
        return
    columns = {column: [revived(column, one)] for column, one in row.items()}
    left = {"unique", "rule", "stale", "future", "type", "category"}  # of times and of more categories than the decoder knows
    assert {one.demand.check for one in DECODER.checker.broken(columns, rows=1, now=NOW)} <= left


def test_a_fine_request_is_read_and_breaks_nothing() -> None:
    read = DECODER.decode(sent(FINE), now=NOW)
    assert (read.rows, read.broken) == (1, ())
    assert read.columns["seen"] == [datetime.datetime(2026, 6, 1, 11, tzinfo=datetime.UTC)]
    DECODER.checked(sent(FINE))
    assert decoded(b" \n" + sent(FINE | {"id": "AB13"}, FINE)) == set()


def test_everything_that_is_wrong_is_told_at_once() -> None:
    second = {name: value for name, value in FINE.items() if name != "site"} | {"age": 130, "seen": "2026-06-01T09:00:00Z", "id": "AB9"}
    assert decoded(sent(FINE, second, FINE | {"free": "no", "smoker": None})) == {
        ("age", "high", (1,)), ("site", "present", (1,)), ("free", "type", (2,)), ("smoker", "null", (2,)), ("id", "unique", (2,)),
        ("seen", "stale", (1,)),
    }  # fmt: skip


def test_a_key_that_only_some_rows_have_is_missing_in_the_others() -> None:
    read = DECODER.decode(sent(FINE, {**{k: v for k, v in FINE.items() if k != "age"}, "id": "AB13"}), now=NOW)
    (one,) = read.broken
    assert (one.demand.what, one.rows) == ("column 'age' is missing in 1 of 2 rows, first at row 1", (1,))


def test_a_key_that_no_row_has_is_missing_as_a_whole() -> None:
    (one,) = DECODER.decode(sent({k: v for k, v in FINE.items() if k != "smoker"}), now=NOW).broken
    assert (one.demand.what, one.rows) == ("column 'smoker' is missing", (0,))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no JSON"), (b"{", "no JSON"), (b"5", "is no record, but a number"), (b'[{}, "x"]', "row 1 of the request is no record"),
        (b'{"age": NaN}', "NaN is no value of JSON"), (b'{"age": -Infinity}', "no value of JSON"), (b'{"free": 1e999}', "too large a number"),
        (b'{"age": 1, "age": 999}', "there twice"), (b"[" * 100_000, "nested more than 200 deep"), (b'{"more":' * 300 + b"1" + b"}" * 300, "nested"),
        (b'{"age": ' + b"9" * 5000 + b"}", "no JSON"), (b'{"site": "\xff"}', "no JSON"), (b" " * (LARGEST_BYTES + 1), "are read"),
    ],
    ids=range(13),
)  # fmt: skip
def test_what_is_no_request_is_told_in_one_line(data: bytes, words: str) -> None:
    assert words in refused(data)


def test_half_a_surrogate_pair_is_a_finding() -> None:
    data = sent(FINE | {"id": "AB1"}).replace(b'"AB1"', b'"AB1\\ud800"')
    assert ("id", "unicode", (0,)) in decoded(data)


def test_an_integer_beyond_what_float64_holds_is_told_and_not_rounded() -> None:
    assert decoded(sent(FINE | {"free": 2**53 + 1})) >= {("free", "exact", (0,))}
    assert decoded(sent(FINE | {"free": 2**53})) == set()
    assert decoded(sent(FINE | {"age": 41.0})) == {("age", "type", (0,))}


def test_a_time_without_a_zone_is_no_moment() -> None:
    assert ("seen", "type", (0,)) in decoded(sent(FINE | {"seen": "2026-06-01T11:00:00"}))
    assert ("born", "type", (0,)) in decoded(sent(FINE | {"born": "1985-02-03T00:00:00Z"}))


def test_an_empty_list_has_no_rows() -> None:
    assert DECODER.decode(b"[]", now=NOW).rows == 0


def test_live_records_are_told_from_columns() -> None:
    assert as_records([{"age": 1}, {}]) == [{"age": 1}, {}]
    assert as_records({"age": 1, "site": None}) == [{"age": 1, "site": None}]
    assert as_records({"age": [1, 2]}) is None
    assert as_records([]) is None
    assert as_records([1, 2]) is None


@pytest.mark.parametrize(
    "value",
    [pd.NA, decimal.Decimal(3), datetime.timedelta(1), uuid.UUID(int=0), np.float32(2), b"x"],
    ids=lambda value: type(value).__name__,
)
def test_one_record_may_hold_any_single_value(value: Any) -> None:
    assert as_records({"age": 1, "site": value}) == [{"age": 1, "site": value}]


def test_a_list_beside_single_values_is_a_value_of_the_record() -> None:
    record = {"age": [1, 2], "site": "a"}
    assert as_records(record) == [record]
    assert type_name(raw_records([record], CONTRACT)["age"][0]) == "list"


def test_a_row_of_a_frame_is_a_record_and_a_column_of_it_is_none() -> None:
    frame = pd.DataFrame({"age": [40, 41], "site": ["a", "b"]})
    assert as_records(frame.iloc[1], ["age", "site"]) == [{"age": 41, "site": "b"}]
    assert as_records(frame["site"], ["age", "site"]) is None


def test_what_pandas_has_for_null_is_null_in_a_record_and_what_no_column_holds_is_its_type() -> None:
    raw = raw_records([{"age": pd.NA, "site": decimal.Decimal(3)}, {"age": np.int64(2)}], CONTRACT)
    assert raw["age"].tolist() == [None, 2]
    assert type_name(raw["site"][0]) == "Decimal"


def test_records_that_have_nothing_still_have_rows() -> None:
    raw = raw_records([{}, {}], CONTRACT)
    assert [len(array) for array in raw.values()] == [2]


@pytest.mark.parametrize("name", ['size "in"', "a\\b", "a\tb", "a\nb", "é", "", "f0", "\ud800"])
def test_a_column_of_any_name_is_read_and_held_against_the_contract(name: str) -> None:
    contract = Contract(inputs=(Column(name=name, type="float", low=0), Column(name="y", type="int")), outputs=OUTPUTS)
    decoder = RecordDecoder(plan_of(contract, clock=True))
    fine, low = {name: 0.5, "y": 3}, {name: -0.5, "y": 3}
    assert decoder.decode(sent(fine)) == Records(rows=1, columns={name: [0.5], "y": [3]})
    assert decoder.decode(sent(fine, fine)) == Records(rows=2, columns={name: [0.5, 0.5], "y": [3, 3]})
    assert told(decoder.decode(sent(low))) == {(name, "low", (0,))}


def at_a_glance(decoder: RecordDecoder, data: bytes) -> Any:
    try:
        return decoder.one(data)
    except REFUSED:
        return None


PLAIN = Contract(inputs=tuple(one for one in CONTRACT.inputs if one.name not in ("code", "seen", "born")), outputs=OUTPUTS)


def test_one_record_is_checked_at_a_glance_where_the_decoder_says_all() -> None:
    decoder = RecordDecoder(plan_of(PLAIN, clock=True))
    row = at_a_glance(decoder, sent(FINE))
    assert row is not None
    arrays = decoder.arrays(row)
    assert {name: (array.dtype.kind, array.tolist()) for name, array in arrays.items()} == {
        "age": ("i", [41]), "weight in kg": ("f", [70.5]), "free": ("f", [0.25]), "smoker": ("b", [False]), "site": ("O", ["a"]),
        "id": ("O", ["AB12"]),
    }  # fmt: skip
    null = at_a_glance(decoder, sent(FINE | {"weight in kg": None}))
    assert null is not None
    assert decoder.arrays(null)["weight in kg"].tolist() == [None]
    assert at_a_glance(decoder, sent(FINE, FINE)) is None


@settings(max_examples=300, derandomize=True, deadline=None)
@given(records())
def test_what_is_taken_at_a_glance_breaks_nothing(row: dict[str, Any]) -> None:
    decoder = RecordDecoder(plan_of(PLAIN, clock=True))
    taken = at_a_glance(decoder, sent(row))
    wanted = decoder.checker.broken(columns_of([row], decoder.names), rows=1, now=NOW)
    assert taken is None or not wanted
    if taken is not None:
        assert {name: array.tolist() for name, array in decoder.arrays(taken).items()} == {name: [row[name]] for name in decoder.names}


@pytest.mark.parametrize(
    "contract",
    [
        CONTRACT,
        msgspec.structs.replace(PLAIN, rules={"grown": "age >= 18"}),
        Contract(inputs=(*PLAIN.inputs, Column(name="code", type="string", categories=MANY)), outputs=OUTPUTS),
        Contract(inputs=(*PLAIN.inputs, Column(name="born", type="time")), outputs=OUTPUTS),
    ],
    ids=["all", "rule", "many categories", "time"],
)  # fmt: skip
def test_no_record_is_taken_at_a_glance_where_the_contract_demands_what_the_decoder_cannot_say(contract: Contract) -> None:
    decoder = RecordDecoder(plan_of(contract, clock=True))
    assert at_a_glance(decoder, sent(FINE)) is None
    assert told(decoder.decode(sent(FINE), now=NOW)) == set()


@pytest.mark.parametrize(
    ("data", "most", "more"),
    [
        (b"[{},{},{}]", 2, True), (b" [ {} , 5\n, [] ]", 2, True), (b'[{"a":1,"b":{}},{}]', 2, False), (b"[]", 1, False), (b"[{}, ]", 1, False),
        (b'{"a":{},"b":{}}', 1, False), (b"", 1, False), (b"[{},{}", 1, True), (b"[nonsense,{},{}]", 1, False), (b"[" * 10_000, 1, False),
        (b'["\xff",1,2]', 1, False), (b"\xff", 1, False),
    ],
    ids=range(12),
)  # fmt: skip
def test_rows_are_counted_no_further_than_it_takes(data: bytes, most: int, more: bool) -> None:
    assert more_rows_than(data, most) is more


@pytest.mark.parametrize("row", [b"{}", b"5", b'{"y":3}', b'{"more":1}'])
@pytest.mark.parametrize(("rows", "most"), [(Rows(per_request=2), 2), (Rows(), MOST_ROWS)])
def test_what_has_too_many_rows_is_not_read(row: bytes, rows: Rows, most: int) -> None:
    contract = Contract(inputs=(Column(name="y", type="int"),), outputs=OUTPUTS, rows=rows)
    decoder = RecordDecoder(plan_of(contract, clock=True))
    read = decoder.decode(b"[" + b",".join([row] * (most + 1)) + b"]")
    assert read == Records(
        rows=most + 1, columns={}, over=f"the request has more than {most:,} rows, at most {most:,} are answered at once"
    )
    assert decoder.decode(b"[" + b",".join([b'{"y":3,"z":{}}'] * 2) + b"]").rows == 2
