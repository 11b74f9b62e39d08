"""What the checks of one kind came to, and the measures that evidence of all kinds is made of.

Every broken check is a measure of its own, `broken`, with the sentence and its examples as the note: a table of the first few would hide
the rest. `violations` of the whole is what a release is judged by, `violations` of a kind says which kind it was.
"""

from collections.abc import Sequence

import msgspec

from jupyter_mlprod.core.conformance import Conformance, Violation
from jupyter_mlprod.core.demands import Kind, Plan
from jupyter_mlprod.core.evidence import Measure

MOST_NOTES = 5


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """How many checks of a kind ran, what they found, and what was measured beside them without being judged."""

    kind: Kind
    checks: int
    violations: tuple[Violation, ...] = ()
    tolerated: tuple[Violation, ...] = ()
    measures: tuple[Measure, ...] = ()


def count(name: str, found: int, *, n: int, note: str = "", where: dict[str, str] | None = None) -> Measure:
    """A number of faults out of ``n`` checks."""
    return Measure(name=name, value=float(found), unit="count", n=n, note=note, where=where or {})


def joined(notes: Sequence[str]) -> str:
    """The first few notes, and how many more there are."""
    more = f"; and {len(notes) - MOST_NOTES} more" if len(notes) > MOST_NOTES else ""
    return "; ".join(notes[:MOST_NOTES]) + more


def not_run(kind: Kind, why: str, *, rows: int = 0) -> Checked:
    """A kind that was asked for and could not run, which is a broken check and never no check."""
    return Checked(kind=kind, checks=1, violations=(Violation(field="", check="run", rows=rows, what=why, kind=kind),))


def by_kind(result: Conformance, plan: Plan) -> tuple[Checked, ...]:
    """The contract's own two kinds apart; ages are asked for only where the rest of the rows is."""
    ages = len(plan.ages) if result.checks > len(plan.ages) else 0
    parts = []
    kinds: tuple[tuple[Kind, int], ...] = (("schema", result.checks - ages), ("freshness", ages))
    for kind, checks in kinds:
        if checks:
            broken = tuple(one for one in result.violations if one.kind == kind)
            tolerated = tuple(one for one in result.tolerated if one.kind == kind)
            parts.append(Checked(kind=kind, checks=checks, violations=broken, tolerated=tolerated))
    return tuple(parts)


def measures_of(parts: Sequence[Checked], *, rows: int) -> tuple[Measure, ...]:
    """The measures of a check: violations of the whole and of each kind, a measure for every broken check, rows, and what was measured.

    A kind of which no check ran has no `violations`, so that a rule on it is missing and never passed. Neither has the whole where nothing
    but quality was looked at, and nothing was broken: sound images say nothing of the contract.
    """
    ran = [part for part in parts if part.checks]
    kinds = list(dict.fromkeys(part.kind for part in ran))
    broken = [one for part in parts for one in part.violations]
    tolerated = [one for part in parts for one in part.tolerated]
    checks = {kind: sum(part.checks for part in ran if part.kind == kind) for kind in kinds}
    whole = sum(checks.values())
    said = ", ".join(f"{checks[kind]:,} of {kind}" for kind in kinds)
    in_all = count("violations", len(broken), n=whole, note=joined([one.what for one in broken]))
    return (
        *(() if kinds == ["quality"] and not broken else (in_all,)),
        *(_of_kind(kind, checks[kind], [one for one in broken if one.kind == kind]) for kind in kinds),
        *(count("broken", one.rows, n=rows, note=sentence(one), where=_place(one)) for one in broken),
        count("tolerated", len(tolerated), n=whole, note=joined([sentence(one) for one in tolerated])),
        count("rows", rows, n=rows, note=f"{whole:,} checks ran on {rows:,} rows: {said}"),
        *(measure for part in parts for measure in part.measures),
    )


def _of_kind(kind: Kind, checks: int, broken: Sequence[Violation]) -> Measure:
    return count("violations", len(broken), n=checks, note=joined([sentence(one) for one in broken]), where={"kind": kind})


def _place(one: Violation) -> dict[str, str]:
    return {"check": one.check, "field": one.field, "kind": one.kind}


def sentence(one: Violation) -> str:
    """What is broken, and up to three places with what stands there as far as it may be told."""
    return f"{one.what} ({'; '.join(one.examples)})" if one.examples else one.what
