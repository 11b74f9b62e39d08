"""A check says what ran; a kind of which nothing ran says nothing, and what is broken is told whole."""

import numpy as np

from jupyter_mlprod.core.batch import check_batch, readied
from jupyter_mlprod.core.checked import Checked, by_kind, measures_of, not_run, sentence
from jupyter_mlprod.core.conformance import Violation
from jupyter_mlprod.core.contract import Column, Contract, Freshness, Tensor
from jupyter_mlprod.core.remeasure import contract_measures

CONTRACT = Contract(
    inputs=(
        Column(name="age", type="float", low=0, high=120, mostly=0.5),
        Column(name="seen", type="time", max_age="1d"),
        Column(name="asked", type="time"),
    ),
    outputs=(),
    freshness=Freshness(event_time="seen", as_of="asked"),
)
DAYS = np.array(["2026-01-01", "2026-01-05"], "M8[us]")


def test_demands_of_a_contract_are_told_apart_by_kind_and_none_is_lost() -> None:
    result = check_batch(CONTRACT, {"age": np.array([1.0, 200.0]), "seen": DAYS, "asked": DAYS[::-1]})
    schema, freshness = by_kind(result, readied(CONTRACT, clock=False))
    assert schema.checks + freshness.checks == result.checks
    assert (freshness.kind, freshness.checks, [one.check for one in freshness.violations]) == ("freshness", 2, ["stale", "future"])
    assert (schema.violations, [one.check for one in schema.tolerated]) == ((), ["high"])


def test_where_columns_differ_in_rows_no_age_was_asked_for() -> None:
    result = check_batch(CONTRACT, {"age": np.array([1.0]), "seen": DAYS, "asked": DAYS})
    (schema,) = by_kind(result, readied(CONTRACT, clock=False))
    assert (schema.kind, schema.checks, len(schema.violations)) == ("schema", 1, 1)


def test_every_broken_check_is_a_measure_however_many_there_are() -> None:
    many = tuple(
        Violation(field=f"f{i}", check="high", rows=i, what=f"f{i} is high", examples=("row 1: 2", "row 3: 4")) for i in range(1, 40)
    )
    measures = measures_of([Checked(kind="schema", checks=100, violations=many)], rows=50)
    broken = [one for one in measures if one.name == "broken"]
    assert [(one.where["field"], one.value, one.n) for one in broken] == [(f"f{i}", i, 50) for i in range(1, 40)]
    assert broken[0].note == sentence(many[0]) == "f1 is high (row 1: 2; row 3: 4)"
    whole = next(one for one in measures if one.name == "violations" and not one.where)
    assert (whole.value, whole.n) == (39, 100)
    assert whole.note.endswith("f5 is high; and 34 more")


def test_a_kind_of_which_no_check_ran_has_no_violations_to_be_judged() -> None:
    measures = measures_of([Checked(kind="schema", checks=3), Checked(kind="quality", checks=0)], rows=5)
    assert [one.where for one in measures if one.name == "violations"] == [{}, {"kind": "schema"}]
    assert next(one for one in measures if one.name == "rows").note == "3 checks ran on 5 rows: 3 of schema"


def test_sound_quality_alone_says_nothing_of_the_whole_and_a_broken_one_does() -> None:
    sound = measures_of([Checked(kind="quality", checks=1)], rows=5)
    assert [one.where for one in sound if one.name == "violations"] == [{"kind": "quality"}]
    broken = Violation(field="", check="decode", rows=1, what="one is torn", kind="quality")
    torn = measures_of([Checked(kind="quality", checks=1, violations=(broken,))], rows=5)
    assert [(one.value, one.where) for one in torn if one.name == "violations"] == [(1, {}), (1, {"kind": "quality"})]


def test_no_check_at_all_is_no_measurement() -> None:
    (whole,) = [one for one in measures_of([], rows=5) if one.name == "violations"]
    assert whole.n == 0


def test_what_could_not_run_is_one_broken_check() -> None:
    measures = measures_of([not_run("parity", "the data have no rows")], rows=0)
    assert [(one.value, one.n) for one in measures if one.where == {"kind": "parity"}] == [(1, 1)]


def test_golden_samples_are_measured_without_a_clock_and_by_kind() -> None:
    contract = Contract(inputs=(Tensor(name="x", dtype="float32", shape=("batch", 2)),), outputs=())
    measures = contract_measures(contract, np.full((3, 2), np.nan, np.float32))
    assert [(one.value, one.where) for one in measures if one.name == "violations"] == [(1, {}), (1, {"kind": "schema"})]
