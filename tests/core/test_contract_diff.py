"""A difference breaks callers where something that kept the first contract does not keep the second."""

import json
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from jupyter_mlprod.core.admission import Admission
from jupyter_mlprod.core.batch import check_batch
from jupyter_mlprod.core.contract import Column, Contract, Freshness, Rows, Tensor
from jupyter_mlprod.core.contract_diff import contract_diff
from jupyter_mlprod.core.contract_toml import read_contract
from jupyter_mlprod.core.errors import MlprodError
from tests.core.contracts import contracts

AGE = Column(name="age", type="int", low=0.0, high=120.0)
SITE = Column(name="site", type="string", categories=("a", "b"))
IMAGE = Tensor(name="image", dtype="float32", shape=("batch", 3, "h", "w"))
SCORES = Tensor(name="scores", dtype="float32", shape=("batch", 2), low=0.0, high=1.0)
BASE = Contract(inputs=(AGE, SITE), outputs=(SCORES,))


def changed(field: Any, **members: Any) -> Contract:
    new = msgspec.structs.replace(field, **members)
    inputs = tuple(new if one is field else one for one in BASE.inputs)
    return msgspec.structs.replace(BASE, inputs=inputs)


def seen(first: Contract, second: Contract) -> list[tuple[str, str, str]]:
    return [(one.field, one.what, one.breaks) for one in contract_diff(first, second)]


@given(contracts())
@settings(max_examples=50, deadline=None)
def test_a_contract_does_not_differ_from_itself(contract: Contract) -> None:
    assert contract_diff(contract, contract) == ()


@pytest.mark.parametrize(
    ("second", "what", "breaks"),
    [
        (changed(AGE, low=1.0), "low", "maybe"),
        (changed(AGE, low=-1.0), "low", "no"),
        (changed(AGE, low=None), "low", "no"),
        (changed(AGE, high=100.0), "high", "maybe"),
        (changed(AGE, high=None), "high", "no"),
        (changed(AGE, type="float"), "type", "maybe"),
        (changed(AGE, type="string", low=None, high=None), "type", "yes"),
        (changed(AGE, nullable=True), "nullable", "no"),
        (changed(AGE, unique=True), "unique", "maybe"),
        (changed(AGE, unit="years"), "unit", "no"),
        (changed(AGE, pii="none"), "pii", "no"),
        (changed(AGE, mostly=0.9), "mostly", "no"),
        (changed(AGE, max_age="3d"), "max_age", "maybe"),
        (changed(SITE, categories=("a",)), "categories", "maybe"),
        (changed(SITE, categories=("a", "b", "c")), "categories", "no"),
        (changed(SITE, categories=()), "categories", "no"),
        (changed(SITE, categories=("a",), unknown_category="pass"), "categories", "no"),
        (changed(SITE, pattern="^a"), "pattern", "maybe"),
        (changed(SITE, longest=9), "longest", "maybe"),
        (msgspec.structs.replace(BASE, rules={"r": "age > 1"}), "rule", "maybe"),
        (msgspec.structs.replace(BASE, rows=Rows(per_request=9)), "per_request", "maybe"),
        (msgspec.structs.replace(BASE, rows=Rows(at_least=9)), "at_least", "no"),
        (msgspec.structs.replace(BASE, freshness=Freshness(event_time="t")), "", "maybe"),
        (msgspec.structs.replace(BASE, target=Column(name="ill", type="bool")), "training", "no"),
        (msgspec.structs.replace(BASE, outputs=()), "output", "yes"),
        (msgspec.structs.replace(BASE, outputs=(msgspec.structs.replace(SCORES, high=2.0),)), "high", "maybe"),
        (msgspec.structs.replace(BASE, outputs=(msgspec.structs.replace(SCORES, high=0.5),)), "high", "no"),
        (msgspec.structs.replace(BASE, outputs=(msgspec.structs.replace(SCORES, dtype="float64"),)), "dtype", "yes"),
        (msgspec.structs.replace(BASE, inputs=(AGE,)), "input", "no"),
        (msgspec.structs.replace(BASE, inputs=(AGE, SITE, Column(name="new", type="int"))), "input", "yes"),
        (
            msgspec.structs.replace(BASE, inputs=(AGE, SITE, Column(name="new", type="int", default=1, on_violation="impute"))),
            "input",
            "no",
        ),
    ],
)
def test_each_difference_says_whether_callers_break(second: Contract, what: str, breaks: str) -> None:
    assert (what, breaks) in {(one[1], one[2]) for one in seen(BASE, second)}


@pytest.mark.parametrize(
    ("members", "what", "breaks"),
    [
        ({"dtype": "float64"}, "dtype", "no"),
        ({"dtype": "float16"}, "dtype", "maybe"),
        ({"dtype": "uint8"}, "dtype", "yes"),
        ({"shape": ("batch", 1, "h", "w")}, "shape", "yes"),
        ({"shape": ("batch", 3, 8, 8)}, "shape", "maybe"),
        ({"shape": ("batch", "c", "h", "w")}, "shape", "no"),
        ({"shape": ("batch", 3, "h", "h")}, "shape", "maybe"),
        ({"shape": ("batch", 3)}, "shape", "yes"),
        ({"finite": False}, "finite", "no"),
        ({"layout": "NCHW"}, "layout", "maybe"),
        ({"name": "picture"}, "input", "yes"),
    ],
)
def test_tensors_break_by_type_and_shape(members: dict[str, Any], what: str, breaks: str) -> None:
    first = Contract(inputs=(IMAGE,), outputs=())
    second = Contract(inputs=(msgspec.structs.replace(IMAGE, **members),), outputs=())
    assert (what, breaks) in {(one[1], one[2]) for one in seen(first, second)}


def test_a_limit_of_zero_is_a_limit() -> None:
    first = Contract(inputs=(Column(name="x", type="float"),), outputs=())
    second = Contract(inputs=(Column(name="x", type="float", low=0.0),), outputs=())
    assert seen(first, second) == [("x", "low", "maybe")]


KINDS: Any = st.sampled_from(["float", "int", "string", "bool"])


@st.composite
def small(draw: st.DrawFn) -> Column:
    """A column out of few possibilities, so that two of them are often near each other."""
    kind = draw(KINDS)
    said: dict[str, Any] = {"nullable": draw(st.booleans())}
    if kind in ("float", "int"):
        said |= {"low": draw(st.sampled_from([None, 0.0, 1.0])), "high": draw(st.sampled_from([None, 1.0, 2.0]))}
    if kind == "string":
        said["categories"] = draw(st.sampled_from([(), ("a",), ("a", "b")]))
        said["pattern"] = draw(st.sampled_from([UNSET, "^a"]))
        said["longest"] = draw(st.sampled_from([UNSET, 1, 2]))
    said["unique"] = draw(st.sampled_from([UNSET, True]))
    return Column(name="x", type=kind, **said)


VALUES = st.lists(st.sampled_from([None, 0, 1, 2, 0.5, 1.0, 2**60, True, "a", "b", "ab", "", float("nan")]), min_size=1, max_size=3)


@given(small(), small(), VALUES)
@settings(max_examples=2_000, deadline=None)
def test_no_means_that_rows_which_keep_the_first_keep_the_second_and_yes_that_none_do(one: Column, two: Column, values: list[Any]) -> None:
    first, second = (Contract(inputs=(column,), outputs=()) for column in (one, two))
    array = np.empty(len(values), dtype=object)
    array[:] = values
    if check_batch(first, {"x": array}).violations:
        return
    breaks = {difference.breaks for difference in contract_diff(first, second)}
    if breaks <= {"no"}:
        assert not check_batch(second, {"x": array}).violations
    if "yes" in breaks and not all(value is None or value != value for value in values):
        assert check_batch(second, {"x": array}).violations


def of_toml(text: str) -> Contract:
    return read_contract(text, name="t").contract


ANY, MM = "[inputs.x]\ndtype = 'float32'\nshape = %s\n", "[inputs.y]\ndtype = 'float32'\nshape = %s\n"


@pytest.mark.parametrize(
    ("first", "second", "what", "breaks"),
    [
        ("mostly = 0.5", "", "mostly", "maybe"),
        ("mostly = 0.5", "mostly = 0.9", "mostly", "maybe"),
        ("mostly = 0.9", "mostly = 0.5", "mostly", "no"),
        ("", "on_violation = 'refuse'", "on_violation", "no"),
        ("on_violation = 'pass'", "on_violation = 'ask'", "on_violation", "maybe"),
        ("on_violation = 'impute'\ndefault = 1", "on_violation = 'pass'", "on_violation", "maybe"),
        ("nullable = true\ntype = 'int'", "nullable = true\ntype = 'string'", "type", "maybe"),
        ("type = 'int'", "type = 'string'", "type", "yes"),
        ("type = 'string'", "type = 'time'", "type", "maybe"),
        ("type = 'time_utc'", "type = 'string'", "type", "maybe"),
        ("type = 'time_utc'", "type = 'time'", "type", "yes"),
        ("type = 'int'", "type = 'string'\non_violation = 'impute'\ndefault = 'a'", "type", "maybe"),
    ],
)
def test_a_column_breaks_callers_by_what_a_request_meets(first: str, second: str, what: str, breaks: str) -> None:
    one, two = (of_toml("[inputs.x]\n" + ("" if "type" in text else "type = 'int'\n") + text) for text in (first, second))
    assert (what, breaks) in {(row.what, row.breaks) for row in contract_diff(one, two)}


def test_a_policy_for_all_fields_is_that_of_each() -> None:
    lenient = "on_violation = 'pass'\n[inputs.x]\ntype = 'int'\nhigh = 9\n"
    assert seen(of_toml(lenient), of_toml(lenient + "on_violation = 'refuse'")) == [("x", "on_violation", "maybe")]
    assert seen(of_toml(lenient + "on_violation = 'refuse'"), of_toml(lenient)) == [("x", "on_violation", "no")]
    assert seen(of_toml(lenient), of_toml(lenient.replace("pass", "refuse"))) == [("requests", "on_violation", "maybe")]


@pytest.mark.parametrize(
    ("first", "second", "breaks"),
    [
        (("['batch', 2]", "['batch', 3]"), ("['batch', 'n']", "['batch', 'n']"), "yes"),
        (("['batch', 2]", "['batch', 2]"), ("['batch', 'n']", "['batch', 'n']"), "no"),
        (("['batch', 'a']", "['batch', 'b']"), ("['batch', 'n']", "['batch', 'n']"), "maybe"),
        (("['batch', 'a']", "['batch', 'a']"), ("['batch', 'n']", "['batch', 'n']"), "no"),
        (("['batch', 'n']", "['batch', 2]"), ("['batch', 'n']", "['batch', 'n']"), "maybe"),
        (("['batch', 'a']", "['batch', 3]"), ("['batch', 'batch']", "['batch', 3]"), "maybe"),
    ],
)
def test_a_size_of_one_name_is_equal_in_all_inputs(first: tuple[str, str], second: tuple[str, str], breaks: str) -> None:
    one, two = (of_toml(ANY % shapes[0] + MM % shapes[1]) for shapes in (first, second))
    assert {row.breaks for row in contract_diff(one, two)} == {breaks}


SECTIONS = ("", "on_violation = 'pass'\n")
TYPES = {
    "int": ("low = 0", "high = 1", "unique = true"), "string": ("categories = ['a']", "categories = ['a', 'b']", "pattern = '^a'", "longest = 1"),
    "time": (), "time_utc": (), "bool": (),
}  # fmt: skip
DEFAULTS = {"int": "1", "string": "'a'", "bool": "true"}


@st.composite
def document(draw: st.DrawFn) -> str:
    """A contract of two columns with all that decides what becomes of a request."""
    parts = [draw(st.sampled_from(SECTIONS))]
    for name in ("x", "y"):
        kind = draw(st.sampled_from(list(TYPES)))
        keys = [f"[inputs.{name}]", f"type = '{kind}'", f"nullable = {draw(st.sampled_from(['true', 'false']))}"]
        keys += {key.split()[0]: key for key in TYPES[kind] if draw(st.booleans())}.values()
        keys += [f"mostly = {share}" for share in [draw(st.sampled_from([0, 0.5, 0.9]))] if share]
        actions = ["", "refuse", "ask", "pass", *(["impute"] if kind in DEFAULTS else [])]
        keys += [f"on_violation = '{action}'" for action in [draw(st.sampled_from(actions))] if action]
        keys += [f"unknown_category = '{action}'" for action in [draw(st.sampled_from(actions))] if action and "categories" in str(keys)]
        keys += [f"default = {DEFAULTS[kind]}"] if "'impute'" in str(keys) else []
        parts.append("\n".join(keys))
    return "\n".join(parts)


SENT = st.sampled_from([None, 0, 1, 2, 2**60, True, "a", "b", "ab", "2026-01-01T00:00:00", "2026-01-01T00:00:00Z"])
REQUESTS = st.lists(st.fixed_dictionaries({"x": SENT}, optional={"y": SENT}), min_size=1, max_size=3)


def is_admitted(contract: Contract, request: list[dict[str, Any]]) -> bool:
    try:
        Admission(contract).admit(json.dumps(request).encode(), name="n")
    except MlprodError:
        return False
    return True


@given(document(), document(), REQUESTS)
@settings(max_examples=1_500, deadline=None)
def test_no_means_that_an_answered_request_stays_one_and_yes_that_none_does(one: str, two: str, request: list[dict[str, Any]]) -> None:
    try:
        first, second = of_toml(one), of_toml(two)
    except MlprodError:
        assume(False)
    if not is_admitted(first, request):
        return
    breaks = {difference.breaks for difference in contract_diff(first, second)}
    if breaks <= {"no"}:
        assert is_admitted(second, request)
    if "yes" in breaks:
        assert not is_admitted(second, request)
