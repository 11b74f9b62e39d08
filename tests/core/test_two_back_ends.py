"""The two back ends and the oracle agree on every row: what breaks which demand, how many rows, the first of them, and what is told."""

import datetime
import math
import tempfile
from collections.abc import Container
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET, UnsetType

from jupyter_mlprod.adapters.frames import Frames
from jupyter_mlprod.core.batch import BatchChecker
from jupyter_mlprod.core.conformance import Conformance
from jupyter_mlprod.core.contract import Column, Contract, Expected, Freshness, Rows, Tensor, View, fields_of
from jupyter_mlprod.core.contract_faults import contract_faults
from jupyter_mlprod.core.demands import plan_of
from jupyter_mlprod.core.raw import object_array
from jupyter_mlprod.core.rows import RowChecker
from jupyter_mlprod.workspace import no_progress
from tests.core.oracle import broken_rows, far_off

OUTPUTS = (Tensor(name="score", dtype="float32", shape=("batch",)),)
NOW = datetime.datetime(2026, 5, 4, 12, tzinfo=datetime.UTC)
ZONE = datetime.timezone(datetime.timedelta(hours=5, minutes=30))
TINY = Frames(no_progress, head_rows=2, batch_rows=3)
WHOLE = Frames(no_progress)

FLOATS = [0.0, -0.0, 0.5, -1.5, 1e308, -1e308, 5e-324, math.inf, -math.inf, 2.0**53, 2.0**53 + 2, 3.0]
INTS = [0, 1, -1, 3, 2**53 - 1, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 2**64, 2**70]
STRINGS = [
    "",
    "a",
    "A",
    " a",
    "b",
    "\u0430bc",
    "\u0410",
    "\uff21",
    "ab12",
    "12",
    "\ud800",
    "a\udfff",
    "\U0001f600",
    "a\x00b",
    "x" * 1001,
    "a\u200b",
    "ß",
    "B",
]
TIMES = [
    datetime.datetime(2026, 5, 4, 11), datetime.datetime(2026, 5, 4, 12, 5), datetime.datetime(2026, 5, 4, 12, 5, 0, 1),
    datetime.datetime(1969, 12, 31, 23, 59, 59, 999999), datetime.datetime(2026, 5, 4), datetime.datetime(2026, 5, 4, fold=1),
    datetime.datetime(2027, 1, 1), datetime.datetime(1, 1, 1),
]  # fmt: skip
BERLIN = ZoneInfo("Europe/Berlin")
TWICE = [datetime.datetime(2025, 10, 26, 2, 30, tzinfo=BERLIN, fold=fold) for fold in (0, 1)]
"""What a clock shows twice when summer ends."""
MOMENTS = [*(time.replace(tzinfo=zone) for time in TIMES[:-1] for zone in (datetime.UTC, ZONE)), *TWICE, TWICE[1].astimezone(datetime.UTC)]
DATES = [datetime.date(2026, 5, 4), datetime.date(1900, 1, 1)]
GONE = [None, math.nan]
OF_TYPE: dict[str, list[Any]] = {
    "float": [*FLOATS, *INTS], "int": INTS, "bool": [True, False], "string": STRINGS, "time": [*TIMES, *DATES], "time_utc": MOMENTS,
}  # fmt: skip
ANYTHING = [*FLOATS, *INTS, *STRINGS, *TIMES, *MOMENTS, *DATES, True, False, b"a", [1], {"a": 1}, 1j, datetime.timedelta(1), (1, "a")]

RULES = (
    "f > 0.5", "f + i >= 0 or s == 'a'", "not (f < i)", "f / i < 2", "f - f == 0", "f * f >= 0", "is_null(f) or is_null(s)",
    "length(s) <= 2 and b == True", "s in ['a', 'b']", "s not in ['a']", "i in [1, -1, 3]", "abs(i) > 1", "min(f, i) <= max(f, i)",
    "t - t2 < 3600", "t <= t2", "u == u", "b != False", "1 > 2", "-i < 0", "f != i", "t < t2 and (b == True or f > 0)",
    "0 < f <= 3 < i", "col('f') <= i != 3", "col('s') == 'a' or col('b') == True", "t <= t2 <= t", "f < i in [1, 3]",
)  # fmt: skip
FRESH: list[Freshness | UnsetType] = [
    UNSET, Freshness(event_time="t"), Freshness(event_time="t", as_of="t2"), Freshness(event_time="u"),
]  # fmt: skip
LIMITS: list[Rows | UnsetType] = [UNSET, Rows(at_least=3), Rows(at_most=2)]
NAMES = {"f": "float", "i": "int", "s": "string", "b": "bool", "t": "time", "t2": "time", "u": "time_utc"}


EXPECTED = {
    "float": [Expected(edges=(0.5,), shares=(1.0, 0.0), at_most=0.0), Expected(edges=(-1.0, 2.5), shares=(0.0, 0.0, 1.0))],
    "int": [Expected(edges=(0.0, 1e15), shares=(0.0, 1.0, 0.0))],
    "string": [Expected(values=("a", "b"), shares=(1.0, 0.0)), Expected(values=("z",), shares=(1.0,), at_most=0.0)],
    "bool": [Expected(values=("true", "false"), shares=(1.0, 0.0), at_most=0.0)],
}
"""So far off that few rows show it."""


def values_of(kind: str, *, mixed: bool) -> st.SearchStrategy[Any]:
    """Mostly values of the type, now and then null, and in a mixed column anything at all."""
    own = st.sampled_from(OF_TYPE[kind])
    return st.one_of(own, own, own, st.sampled_from(GONE), *([st.sampled_from(ANYTHING)] if mixed else []))


@st.composite
def columns(draw: st.DrawFn, name: str, kind: Any) -> Column:
    said: dict[str, Any] = {"nullable": draw(st.booleans())}
    if kind in ("float", "int") and draw(st.booleans()):
        low, high = sorted(draw(st.tuples(*[st.sampled_from([-2.5, 0.0, 0.5, 1.0, 2.0**53, 1e19 if kind == "float" else 9e18])] * 2)))
        said |= {"low": low} if draw(st.booleans()) else {}
        said |= {"high": max(high, 1.0) if kind == "int" and low == high else high} if draw(st.booleans()) else {}
    if kind == "string":
        said |= (
            {"categories": draw(st.sampled_from([("a", "A"), ("A", "ab12"), tuple(map(str, range(20)))]))} if draw(st.booleans()) else {}
        )
        said |= {"pattern": draw(st.sampled_from(["^[a-z]+$", "[0-9]", "a"]))} if draw(st.booleans()) else {}
        said |= {"shortest": draw(st.integers(0, 2))} if draw(st.booleans()) else {}
        said |= {"longest": draw(st.integers(2, 4))} if draw(st.booleans()) else {}
        said |= {"pii": draw(st.sampled_from(["none", "name"]))} if draw(st.booleans()) else {}
    said |= {"expected": draw(st.sampled_from(EXPECTED[kind]))} if kind in EXPECTED and draw(st.booleans()) else {}
    said |= {"unique": True} if draw(st.booleans()) else {}
    said |= {"mostly": draw(st.sampled_from([0.5, 0.8, 1.0]))} if draw(st.booleans()) else {}
    said |= {"on_violation": "pass"} if draw(st.booleans()) else {}
    if kind != "time_utc" and name in ("f", "s", "b") and draw(st.booleans()):
        said |= {"max_age": draw(st.sampled_from(["1h", "300s", "2d"])), "event_time": draw(st.sampled_from(["t", "u"]))}
    return Column(name=name, type=kind, **said)


@st.composite
def contracts(draw: st.DrawFn) -> Contract:
    """Every facet, rules and ages; one without faults."""
    fields = [draw(columns(name, kind)) for name, kind in NAMES.items()]
    rules = draw(st.lists(st.sampled_from(RULES), max_size=4, unique=True))
    fresh = draw(st.sampled_from(FRESH))
    limits = draw(st.sampled_from(LIMITS))
    contract = Contract(
        inputs=tuple(fields[1:]),
        outputs=OUTPUTS,
        target=fields[0],
        rules={f"rule {n}": text for n, text in enumerate(rules)} or UNSET,
        freshness=fresh,
        rows=limits,
    )
    if contract_faults(contract):  # a max_age on an event time that this draw does not allow
        plain = tuple(
            Column(**{**{k: getattr(one, k) for k in one.__struct_fields__}, "max_age": UNSET, "event_time": UNSET}) for one in fields
        )
        contract = Contract(inputs=plain[1:], outputs=OUTPUTS, target=plain[0], rules=contract.rules, freshness=fresh, rows=contract.rows)
    assert contract_faults(contract) == ()
    return contract


@st.composite
def tables(draw: st.DrawFn, *, mixed: bool) -> dict[str, list[Any]]:
    rows = draw(st.integers(0, 9))
    present = [name for name in NAMES if draw(st.integers(0, 9))]
    return {name: draw(st.lists(values_of(NAMES[name], mixed=mixed), min_size=rows, max_size=rows)) for name in present}


def from_rows(contract: Contract, data: dict[str, list[Any]], *, view: View, now: datetime.datetime | None) -> dict[Any, list[int]]:
    checker = RowChecker(plan_of(contract, view, clock=now is not None))
    rows = max(map(len, data.values()), default=0)
    return {(one.demand.field, one.demand.check): list(one.rows) for one in checker.broken(data, rows=rows, now=now) if one.rows}


def from_batch(contract: Contract, data: dict[str, list[Any]], *, view: View, now: datetime.datetime | None) -> Conformance:
    raw = {name: object_array(values) for name, values in data.items()}
    return BatchChecker(contract, view, clock=now is not None).check(raw, now=now)


def told(result: Conformance) -> dict[tuple[str, str], int]:
    """(field, check) → rows of what is broken or tolerated."""
    found = (*result.violations, *result.tolerated)
    assert len({(one.field, one.check) for one in found}) == len(found)
    return {(one.field, one.check): one.rows for one in found if one.check != "rows" and one.rows}


def as_request(found: Conformance, contract: Contract, data: Container[str], view: View) -> tuple[Conformance, set[str]]:
    """What a whole data set came to without its distributions, which no request has; and which of these are too far off."""
    expecting = [one for one in fields_of(contract, view) if isinstance(one, Column) and one.expected and one.name in data]
    rest = tuple(one for one in found.violations if one.check != "distribution")
    far = {one.field for one in found.violations if one.check == "distribution"}
    return msgspec.structs.replace(found, checks=found.checks - len(expecting), violations=rest), far


@settings(max_examples=1000)
@given(contract=contracts(), data=tables(mixed=True), view=st.sampled_from(["serving", "training"]), now=st.sampled_from([None, NOW]))
def test_the_oracle_and_both_back_ends_agree_on_objects_of_any_type(
    contract: Contract, data: dict[str, list[Any]], view: View, now: datetime.datetime | None
) -> None:
    expected = broken_rows(contract, data, view=view, now=now)
    assert from_rows(contract, data, view=view, now=now) == expected
    requests = from_batch(contract, data, view=view, now=now)
    assert told(requests) == {key: len(rows) for key, rows in expected.items()}
    for frames in (WHOLE, TINY):
        found, far = as_request(frames.check(contract, data, view=view, now=now), contract, data, view)
        assert found == requests
        assert far == far_off(contract, data, view=view)


def held(kind: str, values: list[Any]) -> list[Any]:
    """Only what a column of polars can hold."""

    def fits(value: Any) -> bool:
        if value is None:
            return True
        match kind:
            case "float":
                return isinstance(value, float)
            case "int":
                return isinstance(value, int) and -(2**63) <= value < 2**63
            case "string":
                return (isinstance(value, str) and value.isprintable()) or value in ("a\x00b", "a\u200b")
            case "time":
                return isinstance(value, datetime.datetime) and value.tzinfo is None and value.year > 1
            case "time_utc":
                return isinstance(value, datetime.datetime) and value.tzinfo is not None
        return isinstance(value, bool)

    return [value if fits(value) else None for value in values]


DTYPES: dict[str, Any] = {
    "float": pl.Float64, "int": pl.Int64, "bool": pl.Boolean, "string": pl.String, "time": pl.Datetime("us"), "time_utc": pl.Datetime("us", "UTC"),
}  # fmt: skip


@settings(max_examples=250)
@given(
    contract=contracts(), data=tables(mixed=False), kinds=st.permutations(list(NAMES.values())), same=st.integers(0, 3),
    now=st.sampled_from([None, NOW]),
)  # fmt: skip
def test_pandas_polars_arrow_and_parquet_say_what_the_requests_back_end_says(
    contract: Contract, data: dict[str, list[Any]], kinds: list[str], same: int, now: datetime.datetime | None
) -> None:
    """With columns of the contract's types, and now and then with columns of quite another one."""
    of = {name: kind if same else other for (name, kind), other in zip(NAMES.items(), kinds, strict=True)}
    frame = pl.DataFrame({name: pl.Series(held(of[name], values), dtype=DTYPES[of[name]]) for name, values in data.items()})
    requests = from_batch(contract, {name: frame[name].to_list() for name in frame.columns}, view="training", now=now)
    far = far_off(contract, {name: frame[name].to_list() for name in frame.columns}, view="training")

    def agrees(found: Conformance) -> bool:
        return as_request(found, contract, data, "training") == (requests, far)

    for one in (frame, frame.lazy(), frame.to_arrow(), {name: frame[name] for name in frame.columns}):
        assert agrees(TINY.check(contract, one, view="training", now=now))
    assert agrees(WHOLE.check(contract, frame.to_pandas(use_pyarrow_extension_array=True), view="training", now=now))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.parquet"
        frame.write_parquet(path, row_group_size=4)
        assert agrees(TINY.check(contract, path, view="training", now=now))


NUMPY = [
    np.array([0.1, 2, math.nan, -0.0, math.inf], np.float32), np.array([2**53, 2**53 + 1, 0, 2**64 - 1, 1], np.uint64),
    np.array([1, 0, 3, -1, 127], np.int8), np.array([True, False, True, True, False]), np.array(["a", "b", "A", "", "a"]),
    np.array(["2026-05-04T11", "NaT", "1900", "2027", "2026-05-04T11"], "M8[ns]"), np.array([1, 2, 3, 4, "NaT"], "m8[ns]"),
    np.array([0.5, 2, 0.5, 3, 1], ">f8"), np.arange(10, dtype=np.int32)[::2], np.array([1j, 2, 3, math.nan, 4]), np.ones((5, 2)),
    np.array([b"a", b"b", b"", b"c", b"d"]), np.array([9999, 1, -90000, 200000, 0], "M8[Y]").astype("M8[s]"),
    np.array([2**62, 1, 2, 3, 4], np.int64), np.array([0.5, 1, 2, 65504, math.nan], np.float16), np.array([1, 2, 3, 4, 5], np.longdouble),
]  # fmt: skip


@pytest.mark.parametrize("array", NUMPY, ids=lambda array: f"{array.dtype}{array.ndim}")
@pytest.mark.parametrize("kind", sorted(OF_TYPE))
def test_arrays_of_any_type_break_a_column_of_any_type_alike(array: np.ndarray[Any, Any], kind: Any) -> None:
    limits: dict[str, Any] = {"low": 0.5, "high": 2} if kind in ("float", "int") else {}
    text: dict[str, Any] = {"categories": ("a", "b"), "longest": 1} if kind == "string" else {}
    contract = Contract(inputs=(Column(name="c", type=kind, unique=True, **limits, **text),), outputs=OUTPUTS)
    requests = BatchChecker(contract, clock=False).check({"c": array})
    assert requests.violations
    for frames in (WHOLE, TINY):
        assert frames.check(contract, {"c": array}, view="serving", now=None) == requests
        assert frames.check(contract, array, view="serving", now=None) == requests
