"""Verdict and `judge`: the only place where anything is decided.

`judge` is pure: the same policy, evidence, subject and time give the same verdict, whatever the order of the evidence. It never
subtracts two measures; a rule relative to the champion reads a difference that was measured by pairing both bundles.
"""

import datetime
import math
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from jupyter_mlprod.core.evidence import Evidence, Measure, TakenBy
from jupyter_mlprod.core.policy import ANY, Policy, Rule, built_in
from jupyter_mlprod.core.record import Record, digest

Outcome = Literal["pass", "inconclusive", "missing", "fail"]
WORSE: tuple[Outcome, ...] = ("pass", "inconclusive", "missing", "fail")
EXIT_STATUS: dict[Outcome, int] = {"pass": 0, "fail": 1, "missing": 3, "inconclusive": 3}
CLOCK_SKEW = datetime.timedelta(minutes=5)
Z = 1.959963984540054
"""Of a two-sided 95 % interval; numpy, which `uncertainty` imports, is not wanted here."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What one rule came to.

    Attributes
    ----------
    measured : the measure that decided, if there was one
    taken_by, evidence : who took it, and the digest of its record
    reason : one sentence for a person
    settle_n : about how many rows or samples would settle an inconclusive rule; 0 when that is not the question
    """

    subject: str
    rule: Rule
    outcome: Outcome
    reason: str
    measured: Measure | None = None
    taken_by: TakenBy | None = None
    evidence: str = ""
    settle_n: int = 0


class Verdict(Record, frozen=True, kw_only=True, tag="verdict/1"):
    """One outcome and one finding per rule.

    Attributes
    ----------
    about : how people call the subject: name of the notebook or bundle
    scope : ``release`` allows a promotion; ``notebook`` was reached by the notebook about itself and allows none
    policy_digest : digest of the policy that was applied, so that a changed policy makes an old verdict void
    evidence : digests of the records that were looked at, sorted
    parts : digests of the verdicts that were combined into this one
    """

    policy: str
    policy_digest: str
    subject: str
    outcome: Outcome
    findings: tuple[Finding, ...]
    decided_at: datetime.datetime
    about: str = ""
    scope: Literal["release", "notebook"] = "release"
    evidence: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """fail > missing > inconclusive > pass; nothing at all is missing."""
    return max(outcomes, key=WORSE.index, default="missing")


def judge(policy: Policy, evidence: Sequence[Evidence], *, subject: str, now: datetime.datetime) -> Verdict:
    """Hold evidence about one subject against a policy.

    Parameters
    ----------
    policy : the rules; a policy without rules is *missing*, since nothing was demanded
    evidence : any records, in any order; those about another subject are not looked at
    subject : digest of the bundle or notebook
    now : aware UTC time; evidence older than a rule allows, or from the future, is not looked at

    Examples
    --------
    >>> import datetime
    >>> judge(Policy(name="p", rules=()), [], subject="sha256:00", now=datetime.datetime.now(datetime.UTC)).outcome
    'missing'
    """
    about = [record for record in evidence if record.subject == subject]
    findings = tuple(_finding(rule, about, subject=subject, now=now) for rule in policy.rules)
    return Verdict(
        policy=policy.name,
        policy_digest=digest(policy),
        subject=subject,
        outcome=worst(finding.outcome for finding in findings),
        findings=findings,
        decided_at=now,
        evidence=tuple(sorted({digest(record) for record in about})),
    )


def combine(verdicts: Sequence[Verdict], *, subject: str, about: str = "", now: datetime.datetime) -> Verdict:
    """Several verdicts as one about ``subject``: all findings, the worst outcome."""
    policies = [verdict for verdict in verdicts if verdict.policy != "execution"] or list(verdicts)
    return Verdict(
        policy=policies[0].policy,
        policy_digest=policies[0].policy_digest,
        subject=subject,
        outcome=worst(verdict.outcome for verdict in verdicts),
        findings=tuple(finding for verdict in verdicts for finding in verdict.findings),
        decided_at=now,
        about=about,
        scope="notebook" if any(verdict.scope == "notebook" for verdict in verdicts) else "release",
        evidence=tuple(sorted({item for verdict in verdicts for item in verdict.evidence})),
        parts=tuple(sorted(digest(verdict) for verdict in verdicts)),
    )


def exit_status(record: Record) -> int:
    """The exit status that a finished verb's record asks for: a verdict's outcome; evidence by the built-in policy of its kind."""
    if isinstance(record, Evidence) and (policy := built_in(record.kind, record.context)):
        record = judge(policy, [record], subject=record.subject, now=record.taken_at)
    return EXIT_STATUS[record.outcome] if isinstance(record, Verdict) else 0


Seen = tuple[Evidence, Measure]
FIRST_RELEASE = "first release: there is no champion to compare with, the absolute rules decide"
IS_CHAMPION = "this bundle is the champion itself"


def _finding(rule: Rule, about: Sequence[Evidence], *, subject: str, now: datetime.datetime) -> Finding:
    """The finding of one rule: the newest usable measure at each place, and of several places the worst.

    A place whose only admissible measures are void (zero rows, wrong unit, not finite) is missing, whatever the other places say.
    """
    named = [(record, measure) for record in about for measure in record.measures if measure.name == rule.reads]
    if rule.relative:
        champion = _champion(rule, about, now=now)
        if champion == subject or (champion == "" and not named):
            return Finding(subject=subject, rule=rule, outcome="pass", reason=IS_CHAMPION if champion else FIRST_RELEASE)
        named = [seen for seen in named if champion is None or seen[0].context.get("champion", "") == champion]
    placed = [seen for seen in named if _at(rule.where, seen[1].where)]
    usable = [seen for seen in placed if not _unusable(rule, *seen, now=now)]
    confessed = _confessions(rule, placed, subject=subject, now=now)
    if not usable and not confessed:
        return Finding(subject=subject, rule=rule, outcome="missing", reason=_why_missing(rule, named, placed, now=now))
    places = _places(usable)
    found = confessed + [_compare(rule, seen, subject=subject) for place in places for seen in _newest(usable, place)]
    void = [seen for seen in placed if seen[1].where not in places and not _inadmissible(rule, seen[0], now=now)]
    if void:
        found.append(Finding(subject=subject, rule=rule, outcome="missing", reason=_why_missing(rule, void, void, now=now)))
    result = max(found, key=lambda f: (WORSE.index(f.outcome), _shortfall(f), f.evidence, str(f.measured)))
    total = len(places) + len(_places(void))
    return msgspec.structs.replace(result, reason=f"{result.reason} (worst of {total} places)".strip()) if total > 1 else result


def _confessions(rule: Rule, placed: list[Seen], *, subject: str, now: datetime.datetime) -> list[Finding]:
    """Where the runner's word is demanded, the notebook's still counts against itself: its newest measures that break the rule."""
    if rule.taken_by != "runner":
        return []
    lenient = msgspec.structs.replace(rule, taken_by="any")
    own = [seen for seen in placed if seen[0].taken_by == "notebook" and not _unusable(lenient, *seen, now=now)]
    found = [_compare(rule, seen, subject=subject) for place in _places(own) for seen in _newest(own, place)]
    return [finding for finding in found if finding.outcome == "fail"]


def _at(wanted: dict[str, str], where: dict[str, str]) -> bool:
    return wanted.keys() == where.keys() and all(value in (ANY, where[key]) for key, value in wanted.items())


def _unusable(rule: Rule, record: Evidence, measure: Measure, *, now: datetime.datetime) -> str:
    """Why a measure does not count, or the empty string."""
    if why := _inadmissible(rule, record, now=now):
        return why
    if measure.unit != rule.unit:
        return f"measured in {measure.unit!r}, the rule says {rule.unit!r}"
    if measure.n < 1:
        return "zero rows or checks stand behind it"
    numbers = (measure.value, *(bound for bound in (measure.low, measure.high) if bound is not None))
    if not all(math.isfinite(x) for x in numbers):
        return "not a finite number"
    return ""


def _inadmissible(rule: Rule, record: Evidence, *, now: datetime.datetime) -> str:
    """Why a whole record does not count, or the empty string."""
    if rule.taken_by == "runner" and record.taken_by != "runner":
        return "only the notebook's own word; the rule asks for the runner's"
    if record.taken_at.utcoffset() is None:
        return "dated without a time zone"
    if record.taken_at > now + CLOCK_SKEW:
        return f"dated in the future ({record.taken_at:%Y-%m-%d %H:%M})"
    if (now - record.taken_at).total_seconds() > rule.max_age_s:
        return f"older than {rule.max_age} ({record.taken_at:%Y-%m-%d %H:%M})"
    return ""


def _why_missing(rule: Rule, named: list[Seen], placed: list[Seen], *, now: datetime.datetime) -> str:
    if placed:
        return f"{rule.reads}: {'; '.join(sorted({_unusable(rule, *seen, now=now) for seen in placed}))}"
    if named:
        places = sorted({_place(measure.where) for _, measure in named})
        return f"{rule.reads} was measured, but not at {_place(rule.where)}; only at {', '.join(places[:6])}"
    return f"{rule.reads} was not measured"


def _place(where: dict[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(where.items())) or "the whole"


def _champion(relative: Rule, about: Sequence[Evidence], *, now: datetime.datetime) -> str | None:
    """Digest of today's champion by the newest word on it, empty when there is none, None when nobody has said which."""
    rule = Rule(measure="champions", at_most=0.0, unit="count", max_age="1h", taken_by=relative.taken_by)
    counts = [
        (record, m) for record in about for m in record.measures if m.name == rule.measure and not _unusable(rule, record, m, now=now)
    ]
    said = {(record.context.get("champion") or None) if measure.value else "" for record, measure in _newest(counts, {})}
    return said.pop() if len(said) == 1 else None


def _places(seen: list[Seen]) -> list[dict[str, str]]:
    return list({tuple(sorted(measure.where.items())): measure.where for _, measure in seen}.values())


def _newest(seen: list[Seen], place: dict[str, str]) -> list[Seen]:
    """The measures at one place that carry its newest time; several when they were taken at the same instant."""
    here = [item for item in seen if item[1].where == place]
    latest = max((record.taken_at for record, _ in here), default=None)
    return [item for item in here if item[0].taken_at == latest]


def _compare(rule: Rule, seen: Seen, *, subject: str) -> Finding:
    record, measure = seen
    low = measure.low if measure.low is not None else measure.value
    high = measure.high if measure.high is not None else measure.value
    at_least = rule.at_least is not None
    holds = low >= rule.limit if at_least else high <= rule.limit
    broken = high < rule.limit if at_least else low > rule.limit
    outcome: Outcome = "pass" if holds else "fail" if broken else "inconclusive"
    reason = "" if measure.note == "" else measure.note
    settle = 0
    if outcome == "inconclusive":
        settle = rows_to_settle(measure, rule.limit)
        ask = f"about {settle:,} of them would settle it" if settle else "no number of them settles a value on the limit"
        reason = f"the limit lies inside the interval of n={measure.n:,}; {ask}"
    return Finding(
        subject=subject,
        rule=rule,
        outcome=outcome,
        reason=reason,
        measured=measure,
        taken_by=record.taken_by,
        evidence=digest(record),
        settle_n=settle,
    )


def _shortfall(finding: Finding) -> float:
    """How far a measure lies on the wrong side of its limit; picks the worst of several places."""
    if finding.measured is None:
        return 0.0
    gap = finding.measured.value - finding.rule.limit
    return -gap if finding.rule.at_least is not None else gap


def rows_to_settle(measure: Measure, limit: float) -> int:
    """About how many rows bring the interval clear of ``limit`` at the present value.

    A Wilson interval is clear when the score test rejects the limit, which is solved for n; the width of any other falls with the root
    of n. Zero when the value stands on the limit, or so near that 10^12 rows would not do.
    """
    bound = measure.low if measure.value > limit else measure.high
    gap = abs(measure.value - limit)
    if bound is None or gap == 0:
        return 0
    if measure.method == "wilson" and 0 < limit < 1:
        root = Z * math.sqrt(limit * (1 - limit)) / gap
    else:
        root = math.sqrt(measure.n) * abs(measure.value - bound) / gap
    return max(measure.n + 1, math.ceil(root**2)) if root < 1e6 else 0
