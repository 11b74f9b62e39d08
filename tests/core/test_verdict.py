"""`judge` cannot be fooled, and what it says does not depend on the order of what it is told."""

import datetime
import math
from collections.abc import Sequence

import msgspec
import pytest

from jupyter_mlprod.core.evidence import Evidence, Kind, Measure, TakenBy
from jupyter_mlprod.core.listing import Listing
from jupyter_mlprod.core.policy import Policy, Rule
from jupyter_mlprod.core.record import digest
from jupyter_mlprod.core.verdict import CLOCK_SKEW, EXIT_STATUS, WORSE, Outcome, Verdict, combine, exit_status, judge, rows_to_settle, worst

NOW = datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.UTC)
SUBJECT, OTHER = "sha256:" + "0" * 64, "sha256:" + "1" * 64
HOUR, DAY = 3600.0, 86400.0
ACCURATE = Rule(measure="accuracy", at_least=0.9)


def measured(
    value: float,
    *,
    name: str = "accuracy",
    low: float | None = None,
    high: float | None = None,
    n: int = 100,
    unit: str = "1",
    where: dict[str, str] | None = None,
) -> Measure:
    return Measure(name=name, value=value, low=low, high=high, n=n, unit=unit, where=where or {})


def taken(
    *measures: Measure,
    ago_s: float = 60,
    by: TakenBy = "runner",
    subject: str = SUBJECT,
    kind: Kind = "quality",
    champion: str = "",
) -> Evidence:
    at, context = NOW - datetime.timedelta(seconds=ago_s), {"champion": champion} if champion else {}
    return Evidence(kind=kind, subject=subject, taken_at=at, taken_by=by, measures=measures, context=context)


def judged(rules: Sequence[Rule], evidence: Sequence[Evidence]) -> Verdict:
    return judge(Policy(name="release", rules=tuple(rules)), evidence, subject=SUBJECT, now=NOW)


def forged(field: str, value: float) -> Measure:
    """A measure as only memory corruption or a hostile process could make it."""
    measure = measured(0.95, low=0.93, high=0.97)
    msgspec.structs.force_setattr(measure, field, value)
    return measure


def in_slice(value: float, name: str, *, n: int = 100, unit: str = "1") -> Measure:
    return measured(value, where={"slice": name}, n=n, unit=unit)


def test_a_measure_that_keeps_the_limit_passes() -> None:
    assert judged([ACCURATE], [taken(measured(0.95, low=0.9, high=0.97))]).outcome == "pass"
    assert judged([Rule(measure="p99", at_most=20, unit="ms")], [taken(measured(20, name="p99", unit="ms"))]).outcome == "pass"


def test_a_measure_that_breaks_the_limit_fails() -> None:
    assert judged([ACCURATE], [taken(measured(0.85, low=0.8, high=0.89))]).outcome == "fail"
    assert judged([Rule(measure="p99", at_most=20, unit="ms")], [taken(measured(21, name="p99", unit="ms"))]).outcome == "fail"


@pytest.mark.parametrize(
    "evidence",
    [
        pytest.param([], id="no evidence"),
        pytest.param([taken()], id="a record without measures"),
        pytest.param([taken(measured(0.95, name="recall"))], id="another measure"),
        pytest.param([taken(in_slice(0.95, "site=1"))], id="only a slice of it"),
        pytest.param([taken(measured(0.95), ago_s=30 * DAY + 1)], id="stale"),
        pytest.param([taken(measured(0.95), ago_s=-CLOCK_SKEW.total_seconds() - 1)], id="from the future"),
        pytest.param([taken(measured(0.95), subject=OTHER)], id="another subject"),
        pytest.param([taken(measured(0.95, n=0))], id="zero rows"),
        pytest.param([taken(measured(95, unit="%"))], id="another unit"),
        pytest.param([taken(forged("n", -1))], id="less than zero rows"),
        *(pytest.param([taken(forged(f, x))], id=f"{f} is {x}") for f in ("value", "low", "high") for x in (math.nan, math.inf, -math.inf)),
        pytest.param([msgspec.structs.replace(taken(measured(0.95)), taken_at=NOW.replace(tzinfo=None))], id="a time without a zone"),
    ],
)
def test_evidence_that_says_nothing_is_missing(evidence: list[Evidence]) -> None:
    verdict = judged([ACCURATE], evidence)
    assert verdict.outcome == "missing"
    assert verdict.findings[0].measured is None
    assert verdict.findings[0].reason


def test_an_empty_policy_never_passes() -> None:
    assert judged([], [taken(measured(1.0))]).outcome == "missing"


def test_the_word_of_the_notebook_never_passes_where_the_runner_is_demanded() -> None:
    rule = msgspec.structs.replace(ACCURATE, taken_by="runner")
    assert judged([rule], [taken(measured(1.0), by="notebook")]).outcome == "missing"
    assert judged([rule], [taken(measured(1.0), by="notebook"), taken(measured(0.5), ago_s=DAY)]).outcome == "fail"
    assert judged([ACCURATE], [taken(measured(1.0), by="notebook")]).outcome == "pass"


@pytest.mark.parametrize(("low", "high"), [(0.89, 0.97), (0.8999, 0.9001), (0.0, 1.0)])
def test_an_interval_across_the_limit_is_inconclusive(low: float, high: float) -> None:
    verdict = judged([ACCURATE], [taken(measured(0.9, low=low, high=high))])
    assert verdict.outcome == "inconclusive"
    assert judged([Rule(measure="accuracy", at_most=0.9)], [taken(measured(0.9, low=low, high=high))]).outcome == "inconclusive"


def test_the_newest_measure_wins() -> None:
    good, bad = measured(0.95), measured(0.5)
    assert judged([ACCURATE], [taken(good, ago_s=10), taken(bad, ago_s=20)]).outcome == "pass"
    assert judged([ACCURATE], [taken(good, ago_s=20), taken(bad, ago_s=10)]).outcome == "fail"


def test_of_measures_of_the_same_instant_the_worst_counts() -> None:
    assert judged([ACCURATE], [taken(measured(0.95)), taken(measured(0.5))]).outcome == "fail"


EVERY_SLICE = msgspec.structs.replace(ACCURATE, where={"slice": "*"})


def test_a_wildcard_takes_the_worst_place_and_names_it() -> None:
    finding = judged([EVERY_SLICE], [taken(in_slice(0.99, "a"), in_slice(0.6, "b"), in_slice(0.7, "c"))]).findings[0]
    assert finding.outcome == "fail"
    assert finding.measured is not None
    assert finding.measured.where == {"slice": "b"}


@pytest.mark.parametrize("void", [in_slice(1.0, "b", n=0), in_slice(95.0, "b", unit="%")])
def test_a_wildcard_never_passes_over_a_place_that_was_not_really_measured(void: Measure) -> None:
    assert judged([EVERY_SLICE], [taken(in_slice(0.99, "a"), void)]).outcome == "missing"
    assert judged([EVERY_SLICE], [taken(in_slice(0.5, "a"), void)]).outcome == "fail"
    assert judged([EVERY_SLICE], [taken(in_slice(0.99, "a"), void), taken(in_slice(0.95, "b"), ago_s=DAY)]).outcome == "pass"


def test_places_that_read_alike_are_judged_apart() -> None:
    rule = msgspec.structs.replace(ACCURATE, where={"a": "*", "b": "*"})
    alike = [measured(0.5, where={"a": "1, b=2", "b": "3"}), measured(0.99, where={"a": "1", "b": "2, b=3"})]
    assert judged([rule], [taken(*alike)]).outcome == judged([rule], [taken(*reversed(alike))]).outcome == "fail"


NO_WORSE = Rule(measure="accuracy", at_least=-0.01, relative=True)
NO_CHAMPION = measured(0, name="champions", unit="count", n=1)
ONE_CHAMPION = msgspec.structs.replace(NO_CHAMPION, value=1.0)
BETTER = measured(0.02, name="accuracy_delta", low=0.0, high=0.04)


def test_a_relative_rule_reads_the_paired_difference() -> None:
    assert judged([NO_WORSE], [taken(measured(0.1), BETTER)]).outcome == "pass"
    assert judged([NO_WORSE], [taken(ONE_CHAMPION, champion=OTHER), taken(BETTER, champion=OTHER)]).outcome == "pass"
    assert judged([NO_WORSE], [taken(measured(0.99), measured(-0.2, name="accuracy_delta", low=-0.3, high=-0.1))]).outcome == "fail"


def test_a_relative_rule_passes_without_a_champion_only_on_fresh_word_that_there_is_none() -> None:
    assert judged([NO_WORSE], [taken(NO_CHAMPION, kind="release")]).outcome == "pass"


def test_the_champion_is_no_worse_than_itself() -> None:
    assert judged([NO_WORSE], [taken(ONE_CHAMPION, champion=SUBJECT)]).outcome == "pass"


@pytest.mark.parametrize(
    "evidence",
    [
        pytest.param([taken(measured(1.0))], id="nobody looked for a champion"),
        pytest.param([taken(NO_CHAMPION, ago_s=2 * HOUR)], id="looked too long ago"),
        pytest.param([taken(NO_CHAMPION, ago_s=-2 * HOUR)], id="looked in the future"),
        pytest.param([taken(NO_CHAMPION, subject=OTHER)], id="looked for another subject"),
        pytest.param([taken(msgspec.structs.replace(NO_CHAMPION, n=0))], id="looked at nothing"),
        pytest.param([taken(ONE_CHAMPION)], id="there is a champion without a name"),
        pytest.param([taken(ONE_CHAMPION, champion=OTHER)], id="there is a champion"),
        pytest.param([taken(ONE_CHAMPION, champion=OTHER), taken(BETTER, champion="sha256:22")], id="compared with a former champion"),
        pytest.param([taken(ONE_CHAMPION, champion=OTHER), taken(BETTER)], id="compared with nobody in particular"),
        pytest.param([taken(ONE_CHAMPION, champion=SUBJECT, ago_s=2 * HOUR)], id="was the champion itself too long ago"),
        pytest.param([taken(msgspec.structs.replace(NO_CHAMPION, where={"alias": "x"}))], id="counted somewhere else"),
        pytest.param([taken(NO_CHAMPION), taken(ONE_CHAMPION, champion=OTHER, ago_s=5)], id="one came since"),
        pytest.param([taken(NO_CHAMPION), taken(measured(0.1, name="accuracy_delta"), ago_s=40 * DAY)], id="the difference is stale"),
        pytest.param([taken(NO_CHAMPION), taken(measured(0.1, name="accuracy_delta", n=0))], id="the difference is of zero rows"),
    ],
)
def test_a_relative_rule_is_missing_when_a_champion_may_exist(evidence: list[Evidence]) -> None:
    assert judged([NO_WORSE], evidence).outcome == "missing"


def test_a_relative_rule_for_the_runner_does_not_believe_the_notebook_that_there_is_no_champion() -> None:
    rule = msgspec.structs.replace(NO_WORSE, taken_by="runner")
    assert judged([rule], [taken(NO_CHAMPION, by="notebook")]).outcome == "missing"
    assert judged([rule], [taken(NO_CHAMPION, by="runner")]).outcome == "pass"


def test_rows_to_settle_of_other_intervals_grow_with_the_square_of_their_width() -> None:
    assert rows_to_settle(measured(11.0, low=7.0, high=15.0, n=100), 10.0) == 1600
    assert rows_to_settle(measured(11.0, low=10.0, high=15.0, n=100), 10.0) == 101


@pytest.mark.parametrize(("value", "limit"), [(0.5, 0.5), (0.5, 0.5 + 1e-16), (0.0, 5e-324), (1e-300, 0.0)])
def test_a_value_on_the_limit_is_settled_by_no_number_of_rows(value: float, limit: float) -> None:
    measure = measured(value, low=-1.0, high=1.0)
    assert rows_to_settle(measure, limit) == 0
    assert rows_to_settle(msgspec.structs.replace(measure, method="wilson"), limit) == 0


def test_of_several_outcomes_the_worst_stands() -> None:
    assert WORSE == ("pass", "inconclusive", "missing", "fail")
    assert worst(["pass", "inconclusive"]) == "inconclusive"
    assert worst(["inconclusive", "missing", "pass"]) == "missing"
    assert worst(["missing", "fail", "inconclusive"]) == "fail"
    assert worst([]) == "missing"


def test_combined_verdicts_keep_every_finding_and_the_worst_outcome() -> None:
    bad, good = judged([ACCURATE], [taken(measured(0.5))]), judged([ACCURATE], [taken(measured(0.95))])
    ran = msgspec.structs.replace(good, policy="execution", policy_digest="sha256:ee")
    both = combine([ran, good, bad], subject=OTHER, now=NOW)
    assert (both.outcome, both.policy, both.subject, both.scope) == ("fail", "release", OTHER, "release")
    assert len(both.findings) == 3
    assert set(both.parts) == {digest(ran), digest(good), digest(bad)}
    assert set(both.evidence) == {*good.evidence, *bad.evidence}


def test_a_combined_verdict_is_of_the_notebook_when_one_part_is() -> None:
    good = judged([ACCURATE], [taken(measured(0.95))])
    assert combine([good, msgspec.structs.replace(good, scope="notebook")], subject=SUBJECT, now=NOW).scope == "notebook"


def test_exit_status_follows_the_outcome() -> None:
    expected: dict[Outcome, int] = {"pass": 0, "fail": 1, "missing": 3, "inconclusive": 3}
    assert expected == EXIT_STATUS
    for outcome, status in expected.items():
        assert exit_status(msgspec.structs.replace(judged([], []), outcome=outcome)) == status


@pytest.mark.parametrize(("value", "n", "status"), [(0, 4, 0), (2, 4, 1), (0, 0, 3)])
def test_a_check_alone_exits_by_its_violations(value: float, n: int, status: int) -> None:
    whole = measured(value, name="violations", unit="count", n=n)
    of_kind = msgspec.structs.replace(whole, where={"kind": "schema"})
    assert exit_status(taken(whole, of_kind, kind="contract", by="notebook")) == status


def test_a_check_that_says_of_no_kind_that_it_ran_is_missing() -> None:
    assert exit_status(taken(measured(0, name="violations", unit="count", n=4), kind="contract", by="notebook")) == 3


def test_what_decides_nothing_exits_0() -> None:
    assert exit_status(Listing(title="t", columns=(), rows=(), total=0)) == 0
    assert exit_status(taken(measured(0.1), kind="latency")) == 0
