"""A percentile is stated only when its tail has been observed, with an interval that covers."""

from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.latency import enough, percentile


@pytest.mark.parametrize(("q", "n"), [(0.5, 11), (0.9, 64), (0.99, 662)])
def test_the_samples_that_are_enough(q: float, n: int) -> None:
    assert enough(q) == n
    at_most_one_beyond = [q**k + k * (1 - q) * q ** (k - 1) for k in (n, n - 1)]
    assert at_most_one_beyond[0] <= 0.01 < at_most_one_beyond[1]


@pytest.mark.parametrize("q", [0.5, 0.9, 0.99])
def test_one_sample_too_few_is_refused(q: float) -> None:
    samples = np.random.default_rng(0).exponential(size=enough(q))
    percentile(samples, q)
    for short in (samples[:-1], samples[:0]):
        with pytest.raises(MlprodError, match=f"needs {enough(q)} samples, got {len(short)}") as caught:
            percentile(short, q)
        assert caught.value.code is Code.TOO_FEW
        assert caught.value.code.status == 3


@pytest.mark.parametrize("n", [662, 1500])
@pytest.mark.parametrize("q", [0.5, 0.9, 0.99])
def test_a_percentile_covers_whatever_the_distribution(q: float, n: int) -> None:
    rng = np.random.default_rng(7)
    truth = float(np.exp(NormalDist().inv_cdf(q)))
    runs = 800
    hits = 0
    for _ in range(runs):
        _, low, high = percentile(rng.lognormal(size=n), q)
        hits += low <= truth <= high
    assert hits / runs >= 0.94


@pytest.mark.parametrize("q", [0.5, 0.9])
def test_the_least_number_of_samples_covers_too(q: float) -> None:
    rng = np.random.default_rng(8)
    truth = -float(np.log(1 - q))
    hits = 0
    for _ in range(800):
        _, low, high = percentile(rng.exponential(size=enough(q)), q)
        hits += low <= truth <= high
    assert hits / 800 >= 0.94


@given(st.lists(st.floats(0, 1e6), min_size=64, max_size=300), st.sampled_from([0.5, 0.75, 0.9]))
def test_a_percentile_is_a_sample_inside_its_interval_in_any_order_of_calls(drawn: list[float], q: float) -> None:
    samples = np.array(drawn)
    value, low, high = percentile(samples, q)
    assert low <= value <= high
    assert {value, low, high} <= set(drawn)
    assert percentile(np.flip(samples), q) == (value, low, high)


def test_equal_samples_have_an_interval_of_no_width() -> None:
    assert percentile(np.full(700, 2.5), 0.99) == (2.5, 2.5, 2.5)


def test_one_slow_call_in_a_hundred_shows_in_p99_and_not_in_p50() -> None:
    samples = np.where(np.arange(2000) % 50 == 0, 100.0, 1.0)
    assert percentile(samples, 0.5) == (1.0, 1.0, 1.0)
    assert percentile(samples, 0.99)[0] == 100.0
