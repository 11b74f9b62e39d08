"""Portraits: what stands beside a rule is how the data lie, the violations are those of the check, and nothing personal is told."""

import datetime
from typing import Any

import msgspec
import numpy as np
import pytest

from jupyter_mlprod.core.batch import check_batch
from jupyter_mlprod.core.contract import Column, Contract, Input, Tensor, Text
from jupyter_mlprod.core.portrait import BINS, Bars, FieldPortrait, Portrait, Shares
from jupyter_mlprod.core.portray import portray as portray_held
from jupyter_mlprod.core.raw import Raw, object_array
from jupyter_mlprod.core.record import canonical, digest

GENERATOR = np.random.default_rng(0)
AGES = np.concatenate([GENERATOR.integers(1, 90, 990), [-5, 200, *[130] * 8]])


def portray(contract: Contract, raw: Raw, *, about: str) -> Portrait:
    """With what a check of the batch has come to."""
    return portray_held(contract, raw, about=about, held=check_batch(contract, raw))


def of(field: Input, values: Any) -> FieldPortrait:
    raw: Raw = values if isinstance(field, Tensor | Text) else {field.name: values}
    return portray(Contract(inputs=(field,), outputs=()), raw, about="tiny").fields[0]


def bars(field: Input, values: Any) -> Bars:
    picture = of(field, values).picture
    assert isinstance(picture, Bars)
    assert len(picture.counts) == len(picture.outside) == BINS
    return picture


def shares(field: Input, values: Any) -> Shares:
    picture = of(field, values).picture
    assert isinstance(picture, Shares)
    return picture


@pytest.mark.parametrize(
    "values", [AGES, AGES.astype(float), object_array([*AGES.tolist(), None]), object_array([*AGES.tolist(), "12", True])]
)
def test_every_number_is_in_one_bin_and_those_outside_of_the_limits_are_marked(values: Any) -> None:
    picture = bars(Column(name="age", type="float", low=0, high=120), values)
    assert sum(picture.counts) == len(AGES)
    assert sum(picture.outside) == 10
    assert all(out <= n for out, n in zip(picture.outside, picture.counts, strict=True))
    assert (picture.low, picture.high) == (-5, 200)
    assert picture.start <= 0
    assert 120 <= picture.stop < 150  # the 200 is in the last bin, and costs no room


def test_what_is_marked_is_what_the_check_finds() -> None:
    field = Column(name="age", type="int", low=0, high=120)
    found = check_batch(Contract(inputs=(field,), outputs=()), {"age": AGES})
    assert of(field, AGES).violations == found.violations
    assert sum(bars(field, AGES).outside) == sum(one.rows for one in found.violations)


def test_a_limit_far_from_the_data_does_not_squeeze_them() -> None:
    picture = bars(Column(name="age", type="float", low=-1e9, high=1e9), AGES.astype(float))
    assert picture.start > -100
    assert picture.stop < 300


@pytest.mark.parametrize("values", [[5.0], [5.0] * 30, [0.0], [1e308, -1e308], [5e-324, 0.0], [np.inf, 1.0], [1e-300] * 3])
def test_odd_numbers_have_a_picture(values: list[float]) -> None:
    picture = bars(Column(name="x", type="float"), np.array(values))
    assert sum(picture.counts) == np.isfinite(values).sum()
    assert np.isfinite([picture.start, picture.stop]).all()


@pytest.mark.parametrize("values", [[np.nan], [np.inf], []])
def test_no_number_has_no_picture(values: list[float]) -> None:
    assert of(Column(name="x", type="float"), np.array(values, float)).picture is None


def test_categories_are_named_and_unknown_ones_only_when_many_rows_hold_them() -> None:
    values = object_array(["left"] * 50 + ["right"] * 30 + ["top"] * 6 + ["secret"] + [None])
    picture = shares(Column(name="site", type="string", categories=("left", "right", "none")), values)
    assert dict(zip(picture.values, picture.counts, strict=True)) == {"left": 50, "right": 30, "none": 0, "top": 6}
    assert (picture.outside, picture.others, picture.others_outside, picture.distinct) == ((0, 0, 0, 6), 1, 1, 4)


def test_a_million_categories_are_counted_and_twelve_are_named() -> None:
    names = [f"c{i}" for i in range(200_000)]
    picture = shares(Column(name="code", type="string", categories=tuple(names)), object_array(names))
    assert len(picture.values) == 12
    assert sum(picture.counts) + picture.others == 100_000
    assert picture.others_outside == 0


def test_texts_that_differ_are_shown_by_their_length() -> None:
    texts = object_array([f"sentence {i}" for i in range(100)])
    for field in (Column(name="note", type="string", longest=10), Text(name="text", longest=10)):
        picture = bars(field, texts)
        assert (picture.of, picture.low, picture.high, sum(picture.outside)) == ("characters", 10, 11, 90)


def test_times_are_seconds_whatever_their_zone() -> None:
    noon = datetime.datetime(2026, 1, 1, 12)
    plain = bars(Column(name="t", type="time"), np.array([noon] * 3, "M8[us]"))
    aware = bars(Column(name="t", type="time_utc"), object_array([noon.replace(tzinfo=datetime.UTC)] * 3))
    assert plain == aware
    assert plain.low == noon.replace(tzinfo=datetime.UTC).timestamp()


def test_a_tensor_has_one_picture_of_its_values() -> None:
    images = GENERATOR.random((50, 1, 8, 8)).astype(np.float32)
    images[3, 0, 2, 2] = 1.5
    images[4, 0, 0, 0] = np.nan
    found = of(Tensor(name="image", dtype="float32", shape=("batch", 1, 8, 8), low=0, high=1), images)
    assert isinstance(found.picture, Bars)
    assert (sum(found.picture.counts), sum(found.picture.outside), found.nulls) == (50 * 64 - 1, 1, 1)
    assert {one.check for one in found.violations} == {"finite", "high"}


PERSONAL: list[tuple[Input, Any]] = [
    (Column(name="note", type="string", pii="name"), object_array(["Ada Lovelace"] * 30)),
    (Column(name="email", type="string"), object_array(["ada@lovelace.net"] * 30)),
    (Column(name="contact", type="string"), object_array(["ada@lovelace.net"] * 30)),
    (Column(name="age", type="int", pii="age"), np.arange(1815, 1845)),
    (Text(name="text", pii="name"), object_array(["Ada Lovelace"] * 30)),
    (Tensor(name="face", dtype="float32", shape=("batch", 4), low=0), np.full((30, 4), 1815, np.float32)),
]


@pytest.mark.parametrize(("field", "values"), PERSONAL, ids=lambda value: getattr(value, "name", ""))
def test_what_is_or_seems_personal_has_no_picture_and_no_value_in_the_record(field: Input, values: Any) -> None:
    raw: Raw = values if isinstance(field, Tensor | Text) else {field.name: values}
    portrait = portray(Contract(inputs=(field,), outputs=()), raw, about="tiny")
    assert portrait.fields[0].withheld
    assert portrait.fields[0].picture is None
    written = canonical(portrait).decode()
    assert not any(word in written for word in ("Ada", "lovelace.net", "1815", "1844", "Lovelace"))


def test_what_was_said_not_to_be_personal_is_shown() -> None:
    assert not of(Column(name="email", type="string", pii="none"), object_array(["ada@lovelace.net"] * 30)).withheld


def test_fields_that_the_data_lack_rules_and_rows_are_told() -> None:
    contract = Contract(
        inputs=(Column(name="a", type="float"), Column(name="b", type="float")),
        outputs=(Tensor(name="scores", dtype="float32", shape=("batch", 2)),),
        target=Column(name="ill", type="bool"),
        rules={"order": "a >= 1"},
    )
    portrait = portray(contract, {"a": np.zeros(3), "ill": np.array([True, False, True])}, about="tiny")
    assert portrait.contract == digest(contract)
    assert [(one.side, one.field.name, one.nulls) for one in portrait.fields] == [
        ("in", "a", 0),
        ("in", "b", None),
        ("target", "ill", 0),
        ("out", "scores", None),
    ]
    assert [one.check for one in portrait.fields[1].violations] == ["present"]
    assert [(one.field, one.check, one.rows) for one in portrait.violations] == [("order", "rule", 3)]
    assert portrait.broken == len(check_batch(contract, {"a": np.zeros(3)}).violations)
    empty = portray(contract, {"a": np.zeros(0)}, about="tiny")
    assert [one.check for one in empty.violations] == ["rows"]


def test_suggestions_come_with_the_settings_that_declare_them() -> None:
    portrait = portray(
        Contract(inputs=(Column(name="age", type="float"),), outputs=()), {"age": np.append(np.arange(100.0) % 17, np.nan)}, about="tiny"
    )
    (nullable,) = [one for one in portrait.suggestions if one.id == "inputs.age.nullable"]
    assert nullable.settings == {"inputs.age.nullable": "true"}
    assert nullable.toml.startswith("[inputs.age]\n# ")
    assert msgspec.json.decode(canonical(portrait), type=Portrait) == portrait


def test_a_value_of_personal_form_withholds_the_picture_and_is_nowhere_in_the_record() -> None:
    values = object_array(["none"] * 600 + ["jane@example.com"] * 100)
    field = Column(name="ref", type="string", categories=("none",))
    portrait = portray(Contract(inputs=(field,), outputs=()), {"ref": values}, about="tiny")
    assert portrait.fields[0].withheld
    assert b"jane" not in canonical(portrait)


def test_numbers_that_seem_personal_by_the_name_of_their_column_are_no_examples() -> None:
    values = np.array([*range(100), 77_777_777])
    portrait = portray(
        Contract(inputs=(Column(name="patient_id", type="int", high=1000),), outputs=()), {"patient_id": values}, about="tiny"
    )
    assert portrait.fields[0].violations[0].examples == ("row 100",)
    assert b"77777777" not in canonical(portrait)
