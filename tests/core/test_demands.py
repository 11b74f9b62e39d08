"""What the words of a contract mean where it is easy to mean something else; both back ends say the same."""

import datetime
import decimal
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pandas as pd
import polars as pl
import pytest

from jupyter_mlprod.adapters.frames import Frames
from jupyter_mlprod.core.batch import check_batch
from jupyter_mlprod.core.contract import Column, Contract, Freshness, Tensor, Text, View
from jupyter_mlprod.core.contract_faults import contract_faults
from jupyter_mlprod.core.raw import object_array
from jupyter_mlprod.workspace import no_progress

OUTPUTS = (Tensor(name="score", dtype="float32", shape=("batch",)),)
NOW = datetime.datetime(2026, 5, 4, 12, tzinfo=datetime.UTC)
BERLIN = ZoneInfo("Europe/Berlin")


def table(*columns: Column, **said: Any) -> Contract:
    return Contract(inputs=columns, outputs=OUTPUTS, **said)


def broken(contract: Contract, *, view: View = "serving", **columns: list[Any]) -> list[tuple[str, str, int]]:
    """What both back ends find."""
    frames = Frames(no_progress).check(contract, columns, view=view, now=NOW)
    raw = {name: object_array(values) for name, values in columns.items()}
    assert check_batch(contract, raw, view=view, now=NOW) == frames
    return [(one.field, one.check, one.rows) for one in frames.violations]


def test_two_moments_that_a_clock_shows_alike_are_two() -> None:
    twice = [datetime.datetime(2025, 10, 26, 2, 30, tzinfo=BERLIN, fold=fold) for fold in (0, 1)]
    contract = table(Column(name="t", type="time_utc", unique=True))
    assert broken(contract, t=twice) == []
    assert broken(contract, t=[twice[1], twice[1].astimezone(datetime.UTC)]) == [("t", "unique", 1)]


def test_a_date_is_its_midnight_among_times_that_are_unique() -> None:
    contract = table(Column(name="t", type="time", unique=True))
    assert broken(contract, t=[datetime.date(2026, 1, 1), datetime.datetime(2026, 1, 1)]) == [("t", "unique", 1)]


@pytest.mark.parametrize(
    "value",
    [decimal.Decimal("sNaN"), decimal.Decimal("NaN"), complex("nan"), pl.Series([1.0]), pl.Series([1.0, 2.0]), pd.DataFrame({"a": [1, 2]})],
    ids=lambda value: type(value).__name__,
)
def test_an_object_is_no_null_whatever_it_says_of_itself(value: Any) -> None:
    assert broken(table(Column(name="c", type="float", nullable=True)), c=[value, 1.0]) == [("c", "type", 1)]


def test_a_tensor_in_a_cell_is_no_null() -> None:
    torch = pytest.importorskip("torch")
    assert broken(table(Column(name="c", type="float", nullable=True)), c=[torch.tensor([1.0, 2.0]), 1.0]) == [("c", "type", 1)]


@pytest.mark.parametrize("null", [None, float("nan"), pd.NaT, pd.NA], ids=str)
def test_what_is_null_is_null_in_a_column_of_any_type(null: Any) -> None:
    assert broken(table(Column(name="c", type="bool")), c=[null, True]) == [("c", "null", 1)]


LOAD, SEEN = Column(name="load", type="float", max_age="2h"), Column(name="seen", type="time")
FRESH = Freshness(event_time="seen", as_of="used")


def test_a_time_without_a_zone_must_have_a_moment_of_use_in_every_request() -> None:
    used = Column(name="used", type="time")
    assert contract_faults(table(LOAD, SEEN, used, freshness=FRESH)) == ()
    for contract in (
        table(LOAD, SEEN, freshness=Freshness(event_time="seen")),
        table(LOAD, SEEN, freshness=FRESH, training=(used,)),
        table(LOAD, SEEN, msgspec.structs.replace(used, nullable=True), freshness=FRESH),
    ):
        (fault,) = contract_faults(contract)
        assert fault.startswith("[inputs.load] event_time 'seen' has no time zone")


def test_what_only_training_data_has_is_held_against_what_only_training_data_has() -> None:
    only = {"target": msgspec.structs.replace(LOAD, name="ill"), "training": (Column(name="used", type="time"),)}
    assert contract_faults(table(SEEN, freshness=FRESH, **only)) == ()


def test_a_time_without_a_zone_is_never_held_against_a_clock() -> None:
    ahead = [datetime.datetime(2026, 5, 4, 14)]
    assert broken(table(SEEN, freshness=Freshness(event_time="seen")), seen=ahead) == []
    used = Column(name="used", type="time", nullable=True)
    contract = table(SEEN, used, freshness=FRESH)
    assert broken(contract, seen=ahead, used=[None]) == []
    assert broken(contract, seen=ahead, used=[datetime.datetime(2026, 5, 4, 13)]) == [("seen", "future", 1)]
    moments = [moment.replace(tzinfo=datetime.UTC) for moment in ahead]
    aware = table(Column(name="seen", type="time_utc"), freshness=Freshness(event_time="seen"))
    assert broken(aware, seen=moments) == [("seen", "future", 1)]


IMPOSSIBLE: list[tuple[dict[str, Any], str]] = [
    ({"type": "int", "low": float("inf"), "default": 1, "on_violation": "impute"}, "low is inf"),
    ({"type": "int", "low": float("nan"), "default": 1, "on_violation": "impute"}, "low is nan"),
    ({"type": "int", "low": 0.2, "high": 0.8}, "no integer of 64 bits lies within low and high"),
    ({"type": "int", "low": 1e19}, "no integer of 64 bits lies within low and high"),
    ({"type": "string", "longest": 10**30}, "a length is beyond 1,000,000,000 characters, which no text has"),
    ({"type": "string", "shortest": 10**30}, "a length is beyond 1,000,000,000 characters, which no text has"),
]


@pytest.mark.parametrize(("said", "fault"), IMPOSSIBLE)
def test_a_limit_that_nothing_keeps_is_a_fault_and_no_crash(said: dict[str, Any], fault: str) -> None:
    assert contract_faults(table(Column(name="c", **said))) == (f"[inputs.c] {fault}",)


@pytest.mark.parametrize("longest", [0, 10**30])
def test_a_length_that_no_text_has_is_a_fault(longest: int) -> None:
    (fault,) = contract_faults(Contract(inputs=(Text(name="t", longest=longest),), outputs=OUTPUTS))
    assert fault == f"[inputs.t] longest is {longest}; it lies within 1 and 1,000,000,000"


def test_a_view_of_nothing_is_a_fault() -> None:
    alone = Column(name="c", type="float", view="serving")
    (fault,) = contract_faults(table(alone))
    assert fault.startswith("every input is of the serving view alone")
    assert contract_faults(table(alone, target=Column(name="y", type="int"))) == ()
