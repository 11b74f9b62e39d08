"""What `judge` promises for every policy and every heap of evidence, drawn at random from a small world with many collisions."""

import datetime
import math
from random import Random

import msgspec
from hypothesis import assume, given
from hypothesis import strategies as st

from jupyter_mlprod.core.evidence import Evidence, Measure
from jupyter_mlprod.core.policy import Policy, Rule
from jupyter_mlprod.core.record import digest
from jupyter_mlprod.core.uncertainty import wilson
from jupyter_mlprod.core.verdict import CLOCK_SKEW, WORSE, Finding, Outcome, judge, rows_to_settle, worst

NOW = datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.UTC)
SUBJECT, OTHER = "sha256:" + "0" * 64, "sha256:" + "1" * 64
NUMBERS = st.sampled_from([-1.0, -0.5, 0.0, 0.25, 0.5, 1.0])
HOUR, DAY = 3600, 86400


@st.composite
def limits(draw: st.DrawFn) -> tuple[float | None, float | None]:
    limit = draw(NUMBERS)
    return (limit, None) if draw(st.booleans()) else (None, limit)


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    at_least, at_most = draw(limits())
    return Rule(
        measure=draw(st.sampled_from(["accuracy", "error"])),
        at_least=at_least,
        at_most=at_most,
        unit=draw(st.sampled_from(["1", "1", "ms"])),
        where=draw(st.sampled_from([{}, {"slice": "*"}, {"slice": "a"}])),
        relative=draw(st.booleans()),
        max_age=draw(st.sampled_from(["1h", "30d"])),
        taken_by=draw(st.sampled_from(["any", "runner"])),
    )


@st.composite
def measures(draw: st.DrawFn) -> Measure:
    if draw(st.integers(0, 4)) == 0:
        return Measure(name="champions", value=draw(st.sampled_from([0.0, 1.0])), n=1, unit="count")
    value = draw(NUMBERS)
    width = draw(st.sampled_from([None, 0.0, 0.3]))
    measure = Measure(
        name=draw(st.sampled_from(["accuracy", "accuracy_delta", "error", "error_delta", "champions"])),
        value=value,
        low=None if width is None else value - width,
        high=None if width is None else value + width,
        n=draw(st.sampled_from([0, 1, 100])),
        unit=draw(st.sampled_from(["1", "1", "ms", "count"])),
        where=draw(st.sampled_from([{}, {"slice": "a"}, {"slice": "b"}])),
        note=draw(st.sampled_from(["", "noted"])),
    )
    if draw(st.integers(0, 9)) == 0:
        msgspec.structs.force_setattr(measure, draw(st.sampled_from(["value", "low", "high"])), draw(st.sampled_from([math.nan, math.inf])))
    return measure


@st.composite
def evidence(draw: st.DrawFn) -> Evidence:
    ago_s = draw(st.sampled_from([-HOUR, 0, 60, 60, 2 * HOUR, 40 * DAY]))
    return Evidence(
        kind="quality",
        subject=draw(st.sampled_from([SUBJECT, SUBJECT, SUBJECT, OTHER])),
        taken_at=NOW - datetime.timedelta(seconds=ago_s),
        taken_by=draw(st.sampled_from(["notebook", "runner"])),
        measures=tuple(draw(st.lists(measures(), max_size=5))),
        context=draw(st.sampled_from([{}, {"champion": OTHER}, {"champion": SUBJECT}])),
    )


POLICIES = st.lists(rules(), min_size=1, max_size=4).map(lambda drawn: Policy(name="release", rules=tuple(drawn)))
HEAPS = st.lists(evidence(), max_size=6)


def rank(outcome: Outcome) -> int:
    return WORSE.index(outcome)


@given(POLICIES, HEAPS, st.randoms(use_true_random=False))
def test_the_order_and_repetition_of_evidence_never_matter(policy: Policy, heap: list[Evidence], random: Random) -> None:
    shuffled = [*heap, *heap[:2]]
    random.shuffle(shuffled)
    first, second = (judge(policy, records, subject=SUBJECT, now=NOW) for records in (heap, shuffled))
    assert first == second
    assert digest(first) == digest(second)


@given(POLICIES, HEAPS, rules())
def test_adding_a_rule_never_improves_the_outcome(policy: Policy, heap: list[Evidence], rule: Rule) -> None:
    more = Policy(name="release", rules=(*policy.rules, rule))
    before, after = (judge(p, heap, subject=SUBJECT, now=NOW) for p in (policy, more))
    assert rank(after.outcome) >= rank(before.outcome)


@given(POLICIES, HEAPS)
def test_the_outcome_is_the_worst_of_one_finding_per_rule(policy: Policy, heap: list[Evidence]) -> None:
    verdict = judge(policy, heap, subject=SUBJECT, now=NOW)
    assert tuple(finding.rule for finding in verdict.findings) == policy.rules
    assert verdict.outcome == worst(finding.outcome for finding in verdict.findings)
    assert verdict.policy_digest == digest(policy)
    assert verdict.evidence == tuple(sorted({digest(record) for record in heap if record.subject == SUBJECT}))


def counts(rule: Rule, record: Evidence, measure: Measure) -> bool:
    """The demands on evidence, written once more and as plainly as possible."""
    age_s = (NOW - record.taken_at).total_seconds()
    bounds = [bound for bound in (measure.value, measure.low, measure.high) if bound is not None]
    return (
        record.subject == SUBJECT
        and (rule.taken_by == "any" or record.taken_by == "runner")
        and -CLOCK_SKEW.total_seconds() <= age_s <= rule.max_age_s
        and measure.unit == rule.unit
        and measure.n > 0
        and all(math.isfinite(bound) for bound in bounds)
    )


def assert_rests_on(finding: Finding, heap: list[Evidence]) -> None:
    rule, measure = finding.rule, finding.measured
    assert measure is not None
    records = [record for record in heap if digest(record) == finding.evidence]
    assert any(counts(rule, record, measure) and measure in record.measures for record in records)
    low, high = (measure.value if bound is None else bound for bound in (measure.low, measure.high))
    assert low >= rule.limit if rule.at_least is not None else high <= rule.limit


@given(POLICIES, HEAPS)
def test_a_pass_always_rests_on_admissible_evidence_clear_of_the_limit(policy: Policy, heap: list[Evidence]) -> None:
    for finding in judge(policy, heap, subject=SUBJECT, now=NOW).findings:
        if finding.outcome != "pass":
            continue
        if finding.measured is not None:
            assert_rests_on(finding, heap)
            continue
        assert finding.rule.relative
        champions = Rule(measure="champions", unit="count", max_age="1h", taken_by=finding.rule.taken_by)
        said = [(m, record) for record in heap for m in record.measures if m.name == "champions" and counts(champions, record, m)]
        itself = any(m.value and record.context.get("champion") == SUBJECT for m, record in said)
        compared = any(m.name == finding.rule.reads for record in heap if record.subject == SUBJECT for m in record.measures)
        assert itself or (any(m.value == 0 for m, _ in said) and not compared)


@given(rules(), st.lists(measures(), min_size=1, max_size=8))
def test_a_wildcard_is_as_bad_as_the_worst_of_its_places(rule: Rule, drawn: list[Measure]) -> None:
    heap = [Evidence(kind="quality", subject=SUBJECT, taken_at=NOW, taken_by="runner", measures=tuple(drawn))]
    places = {measure.where["slice"] for measure in drawn if measure.name == rule.reads and measure.where}

    def outcome(place: str) -> Outcome:
        one = msgspec.structs.replace(rule, where={"slice": place})
        return judge(Policy(name="p", rules=(one,)), heap, subject=SUBJECT, now=NOW).outcome

    if places:
        assert outcome("*") == worst(outcome(place) for place in places)


@given(POLICIES, HEAPS)
def test_evidence_about_another_subject_changes_nothing(policy: Policy, heap: list[Evidence]) -> None:
    elsewhere = [msgspec.structs.replace(record, subject=OTHER) for record in heap]
    assert judge(policy, [*heap, *elsewhere], subject=SUBJECT, now=NOW) == judge(policy, heap, subject=SUBJECT, now=NOW)


@given(st.sampled_from([50, 100, 200]), st.floats(0.5, 1), st.floats(0.02, 0.98))
def test_the_rows_to_settle_really_settle_and_a_tenth_fewer_do_not(n: int, share: float, place: float) -> None:
    right = round(n * share)
    value, low, high = wilson(right, n)
    limit = low + place * (high - low)
    assume(abs(value - limit) > 1e-3)
    settle = rows_to_settle(Measure(name="accuracy", value=value, low=low, high=high, n=n, unit="1", method="wilson"), limit)

    def clear(rows: int) -> bool:
        _, below, above = wilson(rows * right // n, rows)
        return below >= limit if value > limit else above < limit

    times = settle / n
    assert clear(n * math.ceil(times + 1e-9))
    if math.floor(0.9 * times) >= 1:
        assert not clear(n * math.floor(0.9 * times))
