"""Patterns that could keep a service busy are refused, and those that people write for their data are not."""

import re

import pytest

from jupyter_mlprod.core.pattern import LONGEST_MATCHED, matches, pattern_fault
from jupyter_mlprod.core.pattern_steps import takes_long

USEFUL = (
    (r"^[\w.+-]+@[\w-]+\.[\w.-]+$", "ada@example.org"),
    (r"^[\w.+-]+@[\w.-]+\.[a-z]{2,}$", "ada@mail.example.org"),
    (r"[^@\s]+@[^@\s]+\.[^@\s]+", "ada@example.org"),
    (r"(?i)^[a-z]+-[0-9]+$", "Ab-12"),
    (r"^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?Z?)?$", "2026-05-04T12:00:00.5Z"),
    (r"^([01][0-9]|2[0-3]):[0-5][0-9]$", "23:59"),
    (r"^[A-Z][0-9]{2}(\.[0-9]{1,4})?$", "E11.9"),
    (r"^[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}$", "DE89370400440532013000"),
    (r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", "00000000-0000-0000-0000-000000000000"),
    (r"^(\d{1,3}\.){3}\d{1,3}$", "192.168.0.1"),
    (r"^(?:\+49|0)[1-9][0-9 /-]{3,15}$", "+4930 123-456"),
    (r"^https?://[^\s/]+(/\S*)?$", "https://example.org/a"),
    (r"^[A-Z][a-z]+( [A-Z][a-z]+){0,5}$", "Ada Byron King"),
    (r"^[-+]?[0-9]*\.?[0-9]+([eE][-+]?[0-9]+)?$", "-1.5e-3"),
    (r"^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$", "1.2.3-rc.1+5"),
    (r"^(?:[A-Z]{2}-[0-9]{2,4}|[0-9]{3}/[0-9]+)$", "AB-123"),
    (r"^(red|green|blue)$", "green"),
    (r"foo.*bar", "a foo and a bar"),
    (r"\bfoo\b", "a foo."),
)
ENDLESS = (
    r"a*a*b", r"a*a*a*b", r"(?i)a*A*b", r"^.*.*.*=$", r"^\s*\w*\s*\w*\s*$", r"^[a-z]*[a-z0-9]*[a-z0-9.]*[a-z0-9.-]*@x$",
    r"((a|a){10}){10}b", r"((a{0,10}){0,10}){0,10}b", r"(((a?){10}){10}){10}b", r"(a|a){10}(a|a){10}(a|a){10}b",
    r"^(a?){0,10}(a?){0,10}(a?){0,10}$", r"(a|b|ab){10}c", r"(a?b?)*c", r"^(a?a?)*c$", r"(a+)+", r"(a|ab)*c", r"(a)\1", r"(?=a*)b",
    r"(((((a{10}){10}){10}){10}){10}){10}", r"(?s)^.*.*.*\n$", r"(?m)^a*a*b", r"(?i)^[k-l]*\u212a*k*x",
)  # fmt: skip


@pytest.mark.parametrize(("pattern", "text"), USEFUL)
def test_what_people_write_for_their_data_can_be_used(pattern: str, text: str) -> None:
    assert pattern_fault(pattern) == ""
    assert matches(re.compile(pattern), text)


@pytest.mark.parametrize("pattern", ENDLESS)
def test_what_could_take_for_ever_is_refused(pattern: str) -> None:
    assert pattern_fault(pattern).endswith("which can take for ever")


@pytest.mark.parametrize(("pattern", "apart"), [("^[a-z]*[0-9]*[A-Z]*!", True), ("^[a-z]*[0-9]*[a-z]*!", False), (r"^\w*\s*\w*!", False)])
def test_repetitions_share_a_text_only_where_one_can_begin_with_what_the_other_repeats(pattern: str, apart: bool) -> None:
    assert takes_long(pattern, longest=10_000) is not apart


def test_a_search_that_may_begin_anywhere_takes_longer_than_one_that_begins_at_the_beginning() -> None:
    assert not takes_long("^a*a*b", longest=1_000)
    assert takes_long("a*a*b", longest=1_000)
    assert takes_long("(?m)^a*a*b", longest=1_000)


def test_a_text_that_is_too_long_matches_nothing() -> None:
    assert [matches(re.compile("a"), "a" * n) for n in (LONGEST_MATCHED, LONGEST_MATCHED + 1)] == [True, False]
