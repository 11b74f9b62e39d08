"""What is suggested is kept by the data it comes from, can be pasted as it stands, and never tells a personal value."""

import tomllib
from typing import Any

import msgspec
import numpy as np
import pytest

from jupyter_mlprod.core.batch import check_batch
from jupyter_mlprod.core.contract import Column, Contract, Freshness, Tensor, Text
from jupyter_mlprod.core.contract_change import key_path
from jupyter_mlprod.core.contract_edit import ContractEdit, edited
from jupyter_mlprod.core.pattern import pattern_fault
from jupyter_mlprod.core.plain import clean
from jupyter_mlprod.core.raw import Array, Raw
from jupyter_mlprod.core.suggest import Suggestion, as_comment, as_toml, suggestions
from jupyter_mlprod.core.suggest_forms import form_of
from jupyter_mlprod.core.suggest_personal import by_name

RNG = np.random.default_rng(0)


def objects(*values: object) -> Array:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def of_column(column: Column, values: Array, **besides: Array) -> dict[str, Suggestion]:
    return by_id(Contract(inputs=(column,), outputs=()), {column.name: values, **besides})


def by_id(contract: Contract, raw: Raw) -> dict[str, Suggestion]:
    """By the field and what it is about; that ids are of the whole section is a claim of its own."""
    return {f"{one.section[-1]}.{one.id.rpartition('.')[2]}": one for one in suggestions(contract, raw)}


def declared(contract: Contract, found: list[Suggestion]) -> Contract:
    """The contract with suggestions pasted, as a person does it."""
    document: dict[str, Any] = {}
    for one in found:
        section = document
        for part in one.section:
            section = section.setdefault(part, {})
        section.update(tomllib.loads(as_toml(one)) and _keys(tomllib.loads(as_toml(one)), one.section))
    made, faults = edited(contract, msgspec.convert(document, ContractEdit))
    assert faults == ()
    return made


def _keys(document: dict[str, Any], section: tuple[str, ...]) -> dict[str, Any]:
    for part in section:
        document = document[part]
    return document


def test_whole_numbers_get_the_limits_that_they_have() -> None:
    found = of_column(Column(name="ink", type="int"), RNG.integers(0, 17, size=1797))["ink.range"]
    assert found.values == {"low": 0, "high": 16}
    assert found.sentence == "all of 1,797 rows lie within 0 … 16"
    assert found.share == 1.0


def test_a_few_far_values_are_left_outside_and_said_to_be() -> None:
    values = np.concatenate([RNG.integers(0, 17, size=1000), np.full(10, 9_999)])
    found = of_column(Column(name="ink", type="int"), values)["ink.range"]
    assert found.values == {"low": 0, "high": 16, "mostly": 0.99}
    assert found.sentence == "99 % of 1,010 rows lie within 0 … 16"


def test_a_long_tail_gets_a_lower_limit_alone() -> None:
    values = np.exp(RNG.normal(0, 2, size=2000))
    assert of_column(Column(name="income", type="float"), values)["income.low"].values == {"low": 0}


def test_floats_are_rounded_outward_and_not_across_zero() -> None:
    values = np.linspace(0.0123, 39.8, 500)
    assert of_column(Column(name="x", type="float"), values)["x.range"].values == {"low": 0, "high": 40}


def test_whole_numbers_in_floats_are_remarked_and_nothing_is_declared_that_they_would_break() -> None:
    found = of_column(Column(name="x", type="float", nullable=True), np.array([1.0, 2.0, 3.0, np.nan] * 20))
    assert found["x.integers"].values == {}


def test_numbers_that_never_repeat_are_a_key_and_get_no_limits() -> None:
    found = of_column(Column(name="row", type="int"), np.arange(500))
    assert set(found) == {"row.unique"}


def test_few_strings_that_many_rows_share_are_categories() -> None:
    found = of_column(Column(name="site", type="string"), objects(*["b", "a"] * 200))
    assert found["site.categories"].values == {"categories": ["a", "b"]}
    assert found["site.expected"].values == {"expected": {"values": ["a", "b"], "shares": [0.5, 0.5]}}


def test_a_value_that_few_rows_hold_is_never_named() -> None:
    values = objects(*["left", "right"] * 250, "Ada Lovelace", "Ada Lovelace")
    found = of_column(Column(name="side", type="string"), values)
    assert found["side.categories"].values == {"categories": ["left", "right"], "mostly": 0.996}
    assert "Lovelace" not in repr(found)


@pytest.mark.parametrize(
    ("texts", "form"),
    [
        (["AB-1234", "XY-77"], "^[A-Z]{2}-[0-9]{2,4}$"),
        (["2024-01-02", "1999-12-31"], "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"),
        (["A1", "1A"], "^(?:[0-9][A-Z]|[A-Z][0-9])$"),
        (["Ada", "Bob"], ""),
        (["12", "34"], ""),
        (["a1", "a" * 50 + "1"], ""),
        (["ß1"], ""),
        (["a.1", "b.2"], r"^[a-z]\.[0-9]$"),
    ],
)
def test_codes_have_a_form_and_words_have_none(texts: list[str], form: str) -> None:
    found = form_of(texts)
    assert found == form
    assert pattern_fault(found) == ""


def test_codes_get_a_pattern() -> None:
    values = objects(*[f"SN-{i % 400:04d}" for i in range(1000)])
    assert of_column(Column(name="serial", type="string"), values)["serial.pattern"].values["pattern"].startswith("^[A-Z]{2}")


def test_other_strings_get_a_length_alone() -> None:
    values = objects(*[f"word {chr(97 + i % 26) * (i % 37)}" for i in range(1000)])
    found = of_column(Column(name="remark", type="string"), values)
    assert found["remark.length"].values == {"longest": 50}


def test_what_looks_personal_is_proposed_as_such_and_none_of_its_values_is_told() -> None:
    values = objects(*[f"person{i}@mail{i % 3}.com" for i in range(300)])
    found = of_column(Column(name="contact", type="string"), values)
    assert set(found) == {"contact.pii"}
    assert found["contact.pii"].values == {"pii": "email"}
    assert "mail0" not in repr(found)
    assert "300 of 300 values" in found["contact.pii"].sentence


def test_the_name_of_a_column_is_enough_to_withhold_its_values() -> None:
    found = of_column(Column(name="patient_id", type="int"), np.arange(300) % 40)
    assert set(found) == {"patient_id.pii"}


MAILS = [
    "jane.doe@corp-mail.org",
    "jane@example.com",
    "ring jane.doe@corp-mail.org, please",
    "jörg@müller.de",
    "mail a@example.org or b@c.org",
]


@pytest.mark.parametrize("mail", [*MAILS, "DE89 3704 0044 0532 0130 00", "ring +49 30 1234567.", "4111 1111 1111 1111", "at 8.8.8.8."])
@pytest.mark.parametrize("before", [600, 99_000])
def test_a_value_of_personal_form_is_not_named_wherever_it_stands_and_however_few_hold_it(mail: str, before: int) -> None:
    found = of_column(Column(name="ref", type="string"), objects(*["none"] * before, *[mail] * 100))
    assert set(found) == {"ref.pii"}
    assert mail not in repr(found)


def test_personal_values_are_no_form_of_codes() -> None:
    values = objects(*[f"A{i % 900:05d}" for i in range(10_000)], *[f"b{i}@mail.com" for i in range(3)])
    assert set(of_column(Column(name="code", type="string"), values)) == {"code.length"}


@pytest.mark.parametrize(
    "name", ["doctor", "who", "referring physician", "nurse_on_duty", "created_by", "Owner2", "users", "customer", "operator", "author"]
)
def test_a_column_of_people_by_its_name_gets_no_categories(name: str) -> None:
    assert set(of_column(Column(name=name, type="string"), objects(*["Ada", "Bob"] * 100))) == {f"{name}.pii"}


@pytest.mark.parametrize("name", ["customer_segment", "patient sex", "owner_type", "user_agent", "by_hand", "whole"])
def test_a_column_about_a_person_that_says_something_else_is_read(name: str) -> None:
    assert f"{name}.categories" in of_column(Column(name=name, type="string"), objects(*["Ada", "Bob"] * 100))


def test_numbers_of_cards_are_no_limits() -> None:
    cards = np.array([4111111111111111] * 40)
    for values in (cards, cards.astype(np.float64)):
        found = of_column(Column(name="ref", type="int" if values.dtype.kind == "i" else "float"), values)
        assert set(found) == {"ref.pii"}
        assert "4111" not in repr(found)


def test_a_person_who_says_none_is_believed() -> None:
    found = of_column(Column(name="street", type="string", pii="none", declared=("pii",)), objects(*["A", "B"] * 100))
    assert "street.categories" in found
    assert "street.pii" not in found


@pytest.mark.parametrize(
    ("name", "kind"),
    [("e_mail", "email"), ("homePhone", "phone"), ("Date of Birth", "birth date"), ("filename", ""), ("radius", ""), ("userName", "name")],
)
def test_names_speak_of_people_by_whole_words(name: str, kind: str) -> None:
    assert by_name(name) == kind


def test_nulls_are_told_by_how_many() -> None:
    found = of_column(Column(name="x", type="float"), np.array([1.0, np.nan] * 50))
    assert found["x.nullable"].values == {"nullable": True}
    assert found["x.nullable"].sentence == "50 of 100 rows are null (50 %)"
    assert of_column(Column(name="x", type="float", nullable=True), np.ones(50))["x.nullable"].values == {"nullable": False}


def test_nothing_is_suggested_that_is_declared_already() -> None:
    column = Column(name="ink", type="int", low=0, high=20, declared=("high", "low"))
    assert "ink.range" not in of_column(column, RNG.integers(0, 17, size=500))
    assert "site.categories" not in of_column(Column(name="site", type="string", categories=("a", "b")), objects(*["a", "b"] * 200))


def test_few_rows_say_nothing() -> None:
    assert of_column(Column(name="x", type="float"), np.arange(5.0)) == {}
    assert of_column(Column(name="x", type="float"), np.array([])) == {}


def test_a_sample_is_said_to_be_one_and_is_the_same_each_time() -> None:
    values = objects(*["a", "b"] * 150_000)
    found = of_column(Column(name="site", type="string"), values)
    assert "100,000 sampled of 300,000 rows" in found["site.categories"].sentence
    assert found == of_column(Column(name="site", type="string"), values)


def test_an_age_is_suggested_where_the_contract_says_when_rows_are_used() -> None:
    events = np.datetime64("2026-01-01T00:00", "us") + np.arange(100) * np.timedelta64(1, "h")
    inputs = (Column(name="measured", type="time"), Column(name="used", type="time"))
    contract = Contract(inputs=inputs, outputs=(), freshness=Freshness(event_time="measured", as_of="used"))
    found = by_id(contract, {"measured": events, "used": events + np.timedelta64(25, "h")})
    assert found["measured.age"].values == {"max_age": "2d"}


def test_images_get_a_layout_and_the_order_of_colors_stays_a_question() -> None:
    contract = Contract(inputs=(Tensor(name="image", dtype="uint8", shape=("batch", 3, 32, 32)),), outputs=())
    found = by_id(contract, RNG.integers(0, 256, size=(30, 3, 32, 32)).astype(np.uint8))
    assert found["image.layout"].values == {"layout": "NCHW"}
    assert found["image.channels"].values == {}
    assert "image.range" not in found
    last = Contract(inputs=(Tensor(name="image", dtype="float32", shape=("batch", 32, 32, 3)),), outputs=())
    shown = by_id(last, RNG.random(size=(30, 32, 32, 3)).astype(np.float32))
    assert shown["image.layout"].values == {"layout": "NHWC"}
    assert shown["image.range"].values == {"low": 0, "high": 1}


def test_an_image_of_three_by_three_is_ambiguous_and_gets_none() -> None:
    contract = Contract(inputs=(Tensor(name="image", dtype="float32", shape=("batch", 3, 8, 3)),), outputs=())
    assert "image.layout" not in by_id(contract, RNG.random(size=(30, 3, 8, 3)))


def test_probabilities_among_outputs_are_seen() -> None:
    scores = RNG.random(size=(50, 3))
    contract = Contract(
        inputs=(Tensor(name="x", dtype="float64", shape=("batch", 2)),), outputs=(Tensor(name="p", dtype="float64", shape=("batch", 3)),)
    )
    found = by_id(contract, {"x": RNG.normal(size=(50, 2)), "p": scores / scores.sum(axis=1, keepdims=True)})
    assert found["p.probabilities"].values == {"sum_to": 1, "low": 0, "high": 1}
    assert found["p.probabilities"].section == ("outputs", "p")


def test_texts_get_a_length() -> None:
    contract = Contract(inputs=(Text(name="text"),), outputs=())
    assert by_id(contract, objects(*["hello world"] * 30))["text.length"].values == {"longest": 16}


HOSTILE = (
    objects(1, "a", None, 2.5, True, [1], {"a": 1}, object()) , objects(*[2**80] * 30), np.full(30, np.nan), np.full(30, np.inf),
    np.array([[1.0, 2.0]] * 30), objects(*["\ud800"] * 30), objects(*["x" * 100_000] * 30), np.array([1e308, -1e308] * 20),
)  # fmt: skip


@pytest.mark.parametrize("kind", ["float", "int", "bool", "string", "time", "time_utc"])
@pytest.mark.parametrize("values", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_values_raise_nothing_and_every_suggestion_is_toml(kind: Any, values: Array) -> None:
    for one in of_column(Column(name="x\n[y]\u2028", type=kind), values).values():
        tomllib.loads(as_toml(one))
        assert tomllib.loads("\n".join(as_comment(one))) == {}


def test_all_suggestions_together_are_kept_by_the_data_they_come_from() -> None:
    n = 600
    raw = {
        "age": RNG.integers(18, 90, size=n),
        "weight": np.where(RNG.random(n) < 0.01, 5000.0, RNG.normal(70, 9, size=n)),
        "site": objects(*RNG.choice(["north", "south", "east"], size=n).tolist()),
        "code": objects(*[f"{chr(65 + i % 26)}{i % 300:03d}" for i in range(n)]),
        "ok": RNG.random(n) < 0.5,
        "gone": np.where(RNG.random(n) < 0.2, np.nan, RNG.normal(size=n)),
        "id": np.arange(n),
    }
    kinds: dict[str, Any] = {
        "age": "int",
        "weight": "float",
        "site": "string",
        "code": "string",
        "ok": "bool",
        "gone": "float",
        "id": "int",
    }
    contract = Contract(inputs=tuple(Column(name=name, type=kind) for name, kind in kinds.items()), outputs=())
    found = list(suggestions(contract, raw))
    assert {one.id.removeprefix("inputs.") for one in found} >= {
        "age.range",
        "weight.range",
        "site.categories",
        "code.pattern",
        "gone.nullable",
        "id.unique",
    }
    made = declared(contract, found)
    assert check_batch(made, raw).violations == ()
    assert {one.id for one in suggestions(made, raw)} <= {one.id for one in found if not one.values}


def test_no_two_suggestions_have_the_same_id() -> None:
    names = ("dup", "dup\u200b", "a.b", "a,b", 'a"b', "a\u2028b", "a: b", " a")
    columns = tuple(Column(name=name, type="int") for name in names)
    label = Column(name="label", type="int")
    contract = Contract(inputs=columns, outputs=(), target=label, training=(msgspec.structs.replace(label, name="inputs"),))
    raw = {name: RNG.integers(0, 17, size=300) for name in (*names, "label", "inputs")}
    ids = [one.id for one in suggestions(contract, raw)]
    assert len(set(ids)) == len(ids)
    assert {"inputs.dup.range", 'inputs."dup\\u200b".range', 'inputs."a\\u002cb".range', "target.range", "data.inputs.range"} <= set(ids)
    for one in suggestions(contract, raw):
        assert key_path(one.id)[:-1] == one.section
        assert clean(one.id) == one.id
