"""The reason why two columns differ is named where there is a plain one, and never made up."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_mlprod.core.unit_mixups import number_mixup, time_mixup

RNG = np.random.default_rng(0)
VALUES = RNG.uniform(-20, 40, 200)
DAY = 86_400_000_000


@pytest.mark.parametrize(
    ("online", "said"),
    [
        (VALUES * 1000, "online is 1,000 × offline in all of them"),
        (VALUES / 1000, "online is offline / 1,000 in all of them"),
        (VALUES * 0.3048, "online is 0.3048 × offline in all of them (feet and meters)"),
        (VALUES / 0.3048, "online is offline / 0.3048 in all of them (feet and meters)"),
        (VALUES * 100, "online is 100 × offline in all of them (a share and percent)"),
        (-VALUES, "online is offline with the other sign in all of them"),
        (VALUES * 7.25, "online is 7.25 × offline in all of them"),
        (VALUES + 273.15, "online is offline + 273.15 in all of them (Celsius and kelvin)"),
        (VALUES - 273.15, "online is offline - 273.15 in all of them (Celsius and kelvin)"),
        (VALUES * 1.8 + 32, "online is 1.8 × offline + 32 in all of them (Celsius and Fahrenheit)"),
        ((VALUES - 32) / 1.8, "online is 0.5556 × offline - 17.78 in all of them (Fahrenheit and Celsius)"),
    ],
)
def test_another_unit_is_recognized(online: np.ndarray, said: str) -> None:
    assert number_mixup(VALUES, online) == said


def test_nine_of_ten_rows_are_enough_and_are_counted() -> None:
    online = VALUES * 1000
    online[:4] = 1.0
    assert number_mixup(VALUES, online) == "online is 1,000 × offline in 98 % of them"
    online[:60] = 1.0
    assert number_mixup(VALUES, online) == ""


@pytest.mark.parametrize(
    ("offline", "online"),
    [
        (VALUES, RNG.permutation(VALUES)),
        (VALUES, VALUES + RNG.normal(size=200)),
        (VALUES, VALUES * (1 + 1e-5)),
        (np.full(50, 3.0), np.full(50, 3000.0)),
        (np.zeros(50), np.arange(50.0)),
        (VALUES[:4], VALUES[:4] * 1000),
        (VALUES[:0], VALUES[:0]),
    ],
)
def test_noise_constants_and_few_rows_have_no_reason(offline: np.ndarray, online: np.ndarray) -> None:
    assert number_mixup(offline, online) == ""


@given(st.lists(st.floats(-1e300, 1e300), min_size=5, max_size=30), st.integers(0, 2**32))
def test_no_numbers_fail(values: list[float], seed: int) -> None:
    offline = np.array(values)
    number_mixup(offline, np.random.default_rng(seed).permutation(offline))


@pytest.mark.parametrize(
    ("shift", "said"),
    [
        (DAY, "online is 1 day later than offline in all of them"),
        (-2 * DAY, "online is 2 days earlier than offline in all of them"),
        (3600 * 10**6, "online is 1 hour later than offline in all of them"),
        (1_500_000, "online is 1.5 seconds later than offline in all of them"),
        (0, ""),
    ],
)
def test_a_shift_of_time_is_recognized(shift: int, said: str) -> None:
    times = np.arange(20, dtype=np.int64) * 10**9
    assert time_mixup(times, times + shift) == said
