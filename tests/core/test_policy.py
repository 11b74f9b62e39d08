"""Policies as they stand in mlprod.toml: every fault is told at once, and the base rules cannot be left out."""

import msgspec
import pytest

from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.policy import (
    BASE,
    BY_KIND,
    EXECUTION,
    INTEGRITY,
    Policy,
    Rule,
    parity_limit,
    read_policies,
    self_reported,
    with_base,
)


def refused(text: str) -> list[str]:
    """The lines of the refusal, without the file's name."""
    with pytest.raises(MlprodError) as caught:
        read_policies(text, name="mlprod.toml")
    assert caught.value.code is Code.BAD_SETTINGS
    lines = caught.value.message.splitlines()
    assert all(line.startswith("mlprod.toml:") for line in lines)
    return [line.removeprefix("mlprod.toml:") for line in lines]


def one_rule(*lines: str) -> str:
    return "\n".join(["[[policy.release]]", 'measure = "accuracy"', *lines])


def test_a_policy_is_read_with_its_rules_in_order() -> None:
    text = """
[[policy.release]]
measure = "accuracy"
at_least = 0.95
max_age = "7d"
where = { slice = "*" }

[[policy.release]]
measure = "p99"
at_most = 20
unit = "ms"
taken_by = "runner"

[[policy.nightly]]
measure = "accuracy"
at_least = 1
"""
    policies = read_policies(text, name="mlprod.toml")
    assert list(policies) == ["release", "nightly"]
    first, second = policies["release"].rules[:2]
    assert first == Rule(measure="accuracy", at_least=0.95, max_age="7d", where={"slice": "*"})
    assert second == Rule(measure="p99", at_most=20.0, unit="ms", taken_by="runner")
    assert (first.reads, first.limit, first.max_age_s) == ("accuracy", 0.95, 7 * 86400)


def test_every_policy_holds_the_base_rules_even_an_empty_one() -> None:
    policies = read_policies("[policy]\nempty = []\n" + one_rule("at_least = 1"), name="mlprod.toml")
    assert policies["empty"].rules == BASE
    assert policies["release"].rules[1:] == BASE


def test_base_rules_that_decide_safety_demand_the_runner() -> None:
    assert {rule.measure for rule in BASE} >= {"digest_mismatches", "pickle_files", "violations", "parity_max_abs_diff"}
    assert {rule.taken_by for rule in BASE} == {"runner"}
    assert all(rule.at_most is not None and rule.at_least is None for rule in BASE)


def test_an_own_rule_replaces_the_base_rule_at_the_same_place_only() -> None:
    own = Rule(measure="violations", at_most=5, unit="count")
    elsewhere = Rule(measure="parity_max_abs_diff", at_most=1, where={"batch": "1"})
    rules = with_base((own, elsewhere))
    kept = [rule for rule in rules if rule.measure == "violations"]
    assert kept == [msgspec.structs.replace(own, taken_by="runner")], "the limit is the project's, who must have measured is not"
    assert [rule for rule in rules if rule.measure == "parity_max_abs_diff"] == [
        elsewhere,
        *(rule for rule in BASE if rule.measure == "parity_max_abs_diff"),
    ]
    assert len(rules) == 2 + len(BASE) - 1


def test_a_relative_rule_replaces_no_base_rule() -> None:
    relative = Rule(measure="violations", at_most=0, unit="count", relative=True)
    assert with_base((relative,)) == (relative, *BASE)


def test_every_fault_is_reported_at_once_with_its_line_and_a_suggestion() -> None:
    text = """\
[[policy.release]]
measure = "accuracy"
at_lest = 0.9

[[policy.release]]
mesure = "p99"
at_most = "20"

[[policy.nightly]]
measure = "accuracy"
at_least = 1
taken_by = "runer"
max_age = "3 weeks"
where = { slice = 3 }
"""
    assert sorted(int(line.split(":")[0]) for line in refused(text)) == [3, 5, 6, 7, 12, 13, 14]
    found = "\n".join(refused(text))
    for expected in (
        "3: unknown key 'at_lest' (did you mean 'at_least'?)",
        "6: unknown key 'mesure' (did you mean 'measure'?)",
        "5: 'measure' is missing",
        "7: at_most: Expected `float`, got `str`",
        "(did you mean 'runner'?)",
        "13: max_age:",
        "14: slice: Expected `str`, got `int`",
    ):
        assert expected in found


@pytest.mark.parametrize("limits", [(), ("at_least = 0.9", "at_most = 1.0")])
def test_a_rule_needs_exactly_one_limit(limits: tuple[str, ...]) -> None:
    assert refused(one_rule(*limits)) == ["1: rule on 'accuracy' needs exactly one of at_least and at_most"]


@pytest.mark.parametrize("limit", ["nan", "inf", "-inf"])
@pytest.mark.parametrize("side", ["at_least", "at_most"])
def test_a_limit_that_is_no_number_is_refused(limit: str, side: str) -> None:
    assert refused(one_rule(f"{side} = {limit}")) == [f"1: rule on 'accuracy' has the limit {limit}"]


def test_faults_of_meaning_are_reported_at_once_each_at_its_rule() -> None:
    text = "\n\n".join([one_rule("at_least = nan"), one_rule(), one_rule("at_most = inf", "at_least = 0")])
    assert [line.split(":")[0] for line in refused(text)] == ["1", "5", "8"]


def test_a_relative_rule_without_an_absolute_one_is_refused() -> None:
    relative = one_rule("at_least = -0.01", "relative = true")
    assert "add an absolute rule on 'accuracy'" in refused(relative)[0]
    assert read_policies(f"{relative}\n{one_rule('at_least = 0.9')}", name="mlprod.toml")["release"].rules[0].reads == "accuracy_delta"


def test_an_absolute_rule_of_another_policy_does_not_help_a_relative_one() -> None:
    text = one_rule("at_least = 0", "relative = true") + '\n[[policy.other]]\nmeasure = "accuracy"\nat_least = 0.9'
    assert len(refused(text)) == 1


@pytest.mark.parametrize("age", ['"3 days"', '"1w"', '"-1d"', '"d"', '""', '"1.5h"', '"9999999d"', '"30d\\n"', "30", "true"])
def test_a_duration_that_is_none_is_refused(age: str) -> None:
    assert refused(one_rule("at_least = 1", f"max_age = {age}"))[0].startswith("4: max_age")


@pytest.mark.parametrize(("age", "seconds"), [("90s", 90), ("15m", 900), ("2h", 7200), ("999999d", 999_999 * 86400)])
def test_a_duration_is_a_number_and_a_unit(age: str, seconds: float) -> None:
    assert Rule(measure="accuracy", at_least=1, max_age=age).max_age_s == seconds


@pytest.mark.parametrize("value", ["true", '"0.9"', "[0.9]", "2024-01-01"])
def test_a_limit_of_another_type_is_refused(value: str) -> None:
    assert refused(one_rule(f"at_least = {value}"))[0].startswith("3: at_least: Expected `float`")


def test_a_single_table_where_rules_are_expected_is_refused() -> None:
    assert refused('[policy.release]\nmeasure = "accuracy"')[0].startswith("1: release: Expected `array`")


def test_what_a_notebook_applies_to_itself_demands_nothing_of_the_runner() -> None:
    policy = Policy(name="release", rules=(Rule(measure="accuracy", at_least=0.9), *BASE))
    own = self_reported(policy)
    assert {rule.taken_by for rule in own.rules} == {"any"}
    assert [rule.measure for rule in own.rules] == [rule.measure for rule in policy.rules]


def test_built_in_policies_demand_something() -> None:
    assert all(policy.rules for policy in (EXECUTION, INTEGRITY, *BY_KIND.values()))
    assert EXECUTION.rules[0].taken_by == "runner"


def test_how_near_a_bundle_must_be_is_what_the_release_policy_says_at_every_batch() -> None:
    assert parity_limit({}) == 1e-4
    text = '[[policy.{}]]\nmeasure = "parity_max_abs_diff"\nat_most = 0.01\nwhere = {{ batch = "{}" }}\n'
    assert parity_limit(read_policies(text.format("release", "*"), name="mlprod.toml")) == 0.01
    assert parity_limit(read_policies(text.format("release", "1"), name="mlprod.toml")) == 1e-4
    assert parity_limit(read_policies(text.format("other", "*"), name="mlprod.toml")) == 1e-4
