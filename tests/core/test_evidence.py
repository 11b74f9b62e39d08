"""A measure is a finite number inside its interval, wherever it comes from."""

import datetime
import math

import msgspec
import pytest

from jupyter_mlprod.core.evidence import Evidence, Measure


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("field", ["value", "low", "high"])
def test_what_is_not_finite_is_no_measure(field: str, bad: float) -> None:
    good = Measure(name="accuracy", value=0.5, low=0.4, high=0.6, unit="1", n=10)
    with pytest.raises(ValueError, match="'accuracy' is not finite"):
        msgspec.structs.replace(good, **{field: bad})


@pytest.mark.parametrize(("low", "high"), [(0.4, None), (None, 0.6)])
def test_half_an_interval_is_refused(low: float | None, high: float | None) -> None:
    with pytest.raises(ValueError, match="half an interval"):
        Measure(name="accuracy", value=0.5, unit="1", n=10, low=low, high=high)


@pytest.mark.parametrize(("low", "high"), [(0.6, 0.7), (0.3, 0.4), (0.6, 0.4)])
def test_a_value_outside_its_interval_is_refused(low: float, high: float) -> None:
    with pytest.raises(ValueError, match="outside its interval"):
        Measure(name="accuracy", value=0.5, unit="1", n=10, low=low, high=high)


def test_a_negative_count_is_refused_and_zero_is_kept_to_be_judged() -> None:
    with pytest.raises(ValueError, match="n is -1"):
        Measure(name="accuracy", value=0.5, unit="1", n=-1)
    assert Measure(name="accuracy", value=0.5, unit="1", n=0).n == 0


@pytest.mark.parametrize(
    "fields",
    ['"value": 0.5, "low": 0.6, "high": 0.7', '"value": 1e999', '"value": NaN', '"value": null', '"value": "0.5"', '"value": 0.5, "x": 1'],
)
def test_a_stored_measure_is_held_to_the_same_rules(fields: str) -> None:
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(f'{{"name": "accuracy", "unit": "1", "n": 10, {fields}}}', type=Measure)


def test_evidence_reads_back_as_it_was_written() -> None:
    measure = Measure(name="p99", value=1.5, low=1.25, high=2.0, unit="ms", n=700, where={"batch": "1"}, method="order statistics")
    at = datetime.datetime(2026, 1, 1, 12, 30, tzinfo=datetime.UTC)
    evidence = Evidence(kind="latency", subject="sha256:00", taken_at=at, taken_by="runner", measures=(measure,), context={"cpu": "x"})
    assert msgspec.json.decode(msgspec.json.encode(evidence), type=Evidence) == evidence


@pytest.mark.parametrize("field", [b'"latency"', b'"runner"'])
def test_an_unknown_kind_or_taker_is_refused(field: bytes) -> None:
    at = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    text = msgspec.json.encode(Evidence(kind="latency", subject="s", taken_at=at, taken_by="runner", measures=()))
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(text.replace(field, b'"other"'), type=Evidence)
