"""Policy: the rules that a release must satisfy, under version control in ``mlprod.toml``.

    [[policy.release]]
    measure = "accuracy"
    at_least = 0.95

Every policy of a project also holds :data:`BASE`, the rules that make a bundle safe to run at all and that mlprod's own process
must have measured; a rule of the project's with the same measure and place replaces the base rule.
"""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from jupyter_mlprod.core.document import decode_toml, line_numbers, line_of
from jupyter_mlprod.core.duration import Duration, seconds
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.record import Record

ANY = "*"


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One demand on one measure.

    Attributes
    ----------
    at_least, at_most : the limit, inclusive, in ``unit``; exactly one of them
    where : the place the measure must name, key by key; ``*`` stands for every value, and the worst one counts
    relative : read the measure's paired difference to the champion (``accuracy_delta``) instead of the measure
    max_age : how old the evidence may be: a number and s, m, h or d
    taken_by : ``runner`` refuses what the notebook says of itself
    """

    measure: str
    at_least: float | None = None
    at_most: float | None = None
    unit: str = "1"
    where: dict[str, str] = {}
    relative: bool = False
    max_age: Duration = "30d"
    taken_by: Literal["any", "runner"] = "any"

    @property
    def reads(self) -> str:
        return f"{self.measure}_delta" if self.relative else self.measure

    @property
    def limit(self) -> float:
        return self.at_least if self.at_least is not None else self.at_most if self.at_most is not None else 0.0

    @property
    def max_age_s(self) -> float:
        return seconds(self.max_age)


class Policy(Record, frozen=True, kw_only=True, tag="policy/1"):
    """A name and its rules."""

    name: str
    rules: tuple[Rule, ...]


def _none_of(measure: str, *, where: dict[str, str] | None = None, by_runner: bool = True) -> Rule:
    return Rule(measure=measure, at_most=0.0, unit="count", where=where or {}, taken_by="runner" if by_runner else "any")


def _none_of_all(*measures: str) -> tuple[Rule, ...]:
    return tuple(_none_of(measure, by_runner=False) for measure in measures)


PAIRED = ("accuracy",)
"""Measures whose difference to the champion is measured, by pairing both bundles on the same rows."""

EVERY_BATCH = {"batch": ANY}
PARITY_LIMIT = 1e-4
"""How far answers may differ, where the project says nothing else."""

BASE: tuple[Rule, ...] = (
    _none_of("digest_mismatches"),
    _none_of("pickle_files"),
    _none_of("hostile_code"),
    _none_of("secrets"),
    _none_of("violations"),
    Rule(measure="parity_max_abs_diff", at_most=PARITY_LIMIT, where=EVERY_BATCH, taken_by="runner"),
    _none_of("parity_argmax_mismatches", where=EVERY_BATCH),
)

RELEASE_POLICY = "release"
"""What a promotion is judged by."""

EXECUTION = Policy(name="execution", rules=(_none_of("cells_not_ok"),))
INTEGRITY = Policy(
    name="integrity",
    rules=_none_of_all("digest_mismatches", "signature_faults", "attached_faults", "ledger_breaks", "alias_mismatches"),
)
REBUILD = Policy(name="rebuild", rules=tuple(_none_of(m, by_runner=False) for m in ("packages_differing", "rebuild_mismatches")))
"""What an environment made from a bundle's lock must come to; a package without a hash is told and decides nothing."""

BY_KIND: dict[str, Policy] = {
    "contract": Policy(
        name="contract", rules=(_none_of("violations", by_runner=False), _none_of("violations", where={"kind": ANY}, by_runner=False))
    ),
    "contract of a folder": Policy(name="contract of a folder", rules=(_none_of("violations", where={"kind": ANY}, by_runner=False),)),
    "scan": Policy(name="scan", rules=_none_of_all("digest_mismatches", "pickle_files", "hostile_code", "secrets")),
    "scan of a file": Policy(name="scan of a file", rules=_none_of_all("hostile_pickles", "hostile_code", "secrets")),
    "scan of a notebook": Policy(name="scan of a notebook", rules=_none_of_all("secrets")),
    "environment": Policy(name="environment", rules=(_none_of("problems", where={"check": ANY}, by_runner=False),)),
}
"""What a single check, scan or doctor is judged by when nobody named a policy: it decides that verb's exit status."""

SCANNED = "scanned"
"""Key of the context that says what was looked at: by a scan a ``file`` or ``notebook``, if not a bundle; by a check a ``folder``, if not
rows."""


def parity_limit(policies: Mapping[str, Policy]) -> float:
    """How far a bundle's answers may be from the original's: what the project's release policy says of parity at every batch."""
    own = policies[RELEASE_POLICY].rules if RELEASE_POLICY in policies else ()
    found = (rule.at_most for rule in (*own, *BASE) if rule.measure == "parity_max_abs_diff" and rule.where == EVERY_BATCH)
    return next(limit for limit in found if limit is not None)


def parity(policies: Mapping[str, Policy]) -> Policy:
    """What a bundle is judged by before it is kept; nothing makes up for an answer that decides otherwise."""
    near = Rule(measure="parity_max_abs_diff", at_most=parity_limit(policies), where=EVERY_BATCH)
    return Policy(name="parity", rules=(near, _none_of("parity_argmax_mismatches", where=EVERY_BATCH, by_runner=False)))


def built_in(kind: str, context: Mapping[str, str]) -> Policy | None:
    """The built-in policy for evidence of a kind, if there is one."""
    return BY_KIND.get(f"{kind} of a {context[SCANNED]}" if SCANNED in context else kind)


class PolicyDocument(msgspec.Struct, frozen=True, kw_only=True):
    """The part of ``mlprod.toml`` that holds policies; ``[settings]`` is read in `settings.py`."""

    settings: dict[str, Any] = {}
    policy: dict[str, tuple[Rule, ...]] = {}


def read_policies(text: str, *, name: str) -> dict[str, Policy]:
    """The policies of a TOML text, each with :data:`BASE` under it.

    Raises
    ------
    MlprodError : ``bad-settings`` with every fault and its line.
    """
    document = decode_toml(text, PolicyDocument, name=name, code=Code.BAD_SETTINGS)
    lines = line_numbers(text)
    faults = [
        f"{name}:{line_of(('policy', policy, index), lines)}: {what}"
        for policy, rules in document.policy.items()
        for index, rule in enumerate(rules)
        for what in _faults(rule, rules)
    ]
    if faults:
        raise MlprodError(Code.BAD_SETTINGS, "\n".join(faults))
    return {policy: Policy(name=policy, rules=with_base(rules)) for policy, rules in document.policy.items()}


def _faults(rule: Rule, rules: tuple[Rule, ...]) -> list[str]:
    faults = []
    if (rule.at_least is None) == (rule.at_most is None):
        faults.append(f"rule on {rule.measure!r} needs exactly one of at_least and at_most")
    if rule.limit != rule.limit or rule.limit in (float("inf"), float("-inf")):
        faults.append(f"rule on {rule.measure!r} has the limit {rule.limit}")
    if rule.relative and (rule.measure not in PAIRED or rule.where):
        faults.append(
            f"rule on {rule.measure!r} cannot be relative: only {', '.join(PAIRED)} of the whole is measured against the champion"
        )
    elif rule.relative and not any(other.measure == rule.measure and not other.relative for other in rules):
        what = f"rule on {rule.measure!r} is relative to the champion, but a first release has none"
        faults.append(f"{what}: add an absolute rule on {rule.measure!r} too")
    return faults


def with_base(rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
    """The rules and the base rules under them. One that replaces a base rule may move its limit, never who must have measured."""
    base = {_key(rule): rule for rule in BASE}
    own = tuple(msgspec.structs.replace(rule, taken_by=base[_key(rule)].taken_by) if _key(rule) in base else rule for rule in rules)
    replaced = {_key(rule) for rule in own}
    return own + tuple(rule for key, rule in base.items() if key not in replaced)


def _key(rule: Rule) -> tuple[str, tuple[tuple[str, str], ...]]:
    return rule.reads, tuple(sorted(rule.where.items()))


def self_reported(policy: Policy) -> Policy:
    """The policy as a notebook may apply it to itself: nothing is demanded of the runner, who comes after it."""
    return msgspec.structs.replace(policy, rules=tuple(msgspec.structs.replace(rule, taken_by="any") for rule in policy.rules))
