"""What stands at rest for personal data keeps the contract and comes from no person."""

import datetime

import numpy as np
import pytest

from jupyter_mlprod.core.batch import check_batch
from jupyter_mlprod.core.contract import Column, Contract, Freshness, Input, Tensor, Text
from jupyter_mlprod.core.personal import at_rest
from jupyter_mlprod.core.raw import Array, object_array

OUT = (Tensor(name="p", dtype="float32", shape=("batch", 2)),)


def contract(*inputs: Input) -> Contract:
    return Contract(inputs=inputs, outputs=OUT)


CASES: list[tuple[Input, Array]] = [
    (Column(name="c", type="string", pii="name"), np.array(["Ann", "Bo"], dtype=object)),
    (Column(name="c", type="string", pii="name", nullable=True), np.array([None, "Bo"], dtype=object)),
    (Column(name="c", type="string", pii="sex", categories=("f", "m")), np.array(["f", "f"])),
    (Column(name="c", type="float", pii="income", low=1e4, high=9e4), np.array([31415.9, 27182.8])),
    (Column(name="c", type="float", pii="income", high=-5), np.array([-31415.9, -27182.8])),
    (Column(name="c", type="int", pii="age", low=18, high=19), np.array([18, 19])),
    (Column(name="c", type="bool", pii="smoker"), np.array([True, True])),
]


@pytest.mark.parametrize(("field", "values"), CASES, ids=lambda item: getattr(item, "pii", ""))
def test_a_personal_column_is_made_up_within_the_contract(field: Column, values: Array) -> None:
    other = Column(name="kept", type="float")
    raw: dict[str, Array] = {"c": values, "kept": np.array([1.5, 2.5])}
    found = at_rest(contract(field, other), raw)
    assert isinstance(found, dict)
    assert found["kept"] is raw["kept"]
    assert not check_batch(contract(field, other), found).violations
    changed = at_rest(contract(field, other), {**raw, "c": values[::-1]})
    assert isinstance(changed, dict)
    assert found["c"].tolist() == changed["c"].tolist()  # nothing of the real values is in it


@pytest.mark.parametrize("dtype", ["float32", "uint8", "bool"])
def test_a_personal_picture_is_noise_between_its_limits(dtype: str) -> None:
    high = None if dtype == "bool" else 255
    field = Tensor(name="face", dtype=dtype, shape=("batch", 4, 4), low=None if high is None else 0, high=high, pii="face")
    raw: Array = (np.arange(48).reshape(3, 4, 4) % 2).astype(dtype)
    found = at_rest(contract(field), raw)
    assert isinstance(found, np.ndarray)
    assert (found.shape, found.dtype) == (raw.shape, raw.dtype)
    assert not check_batch(contract(field), found).violations
    assert not np.array_equal(found, raw)


def test_a_personal_text_is_short_enough() -> None:
    field = Text(name="text", longest=4, pii="message")
    found = at_rest(contract(field), np.array(["I am Ann Smith"[:4], "Bo"]))
    assert isinstance(found, np.ndarray)
    assert found.tolist() == ["1 me", "2 me"]


def test_what_is_not_personal_stays_as_it_is() -> None:
    raw = np.ones((2, 3))
    assert at_rest(contract(Tensor(name="x", dtype="float64", shape=("batch", 3))), raw) is raw


@pytest.mark.parametrize("personal", [("seen",), ("used",), ("seen", "used")], ids=", ".join)
def test_a_personal_time_is_made_up_as_old_as_the_contract_allows(personal: tuple[str, ...]) -> None:
    times = [Column(name=name, type="time_utc", pii="visit" if name in personal else "none") for name in ("seen", "used")]
    load = Column(name="load", type="float", max_age="1h")
    fresh = Contract(inputs=(load, *times), outputs=OUT, freshness=Freshness(event_time="seen", as_of="used"))
    asked = [datetime.datetime(2026, 5, 4, hour, tzinfo=datetime.UTC) for hour in (9, 15)]
    raw: dict[str, Array] = {
        "load": np.array([1.0, 2.0]),
        "seen": object_array([moment - datetime.timedelta(minutes=7) for moment in asked]),
        "used": object_array(asked),
    }
    found = at_rest(fresh, raw)
    assert isinstance(found, dict)
    assert not check_batch(fresh, found).violations
    for name in personal:
        assert not set(found[name].tolist()) & set(raw[name].tolist())
