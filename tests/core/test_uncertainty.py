"""Intervals cover what they claim to cover, by simulation with fixed seeds, and always hold their own value."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_mlprod.core.uncertainty import Interval, calibration_error, mean, paired_delta, wilson

SIMULATIONS = 2000


def assert_ordered(interval: Interval) -> None:
    value, low, high = interval
    assert all(math.isfinite(x) for x in interval)
    assert low <= value <= high


def wilson_coverage(n: int, p: float) -> float:
    counts = np.bincount(np.random.default_rng(n).binomial(n, p, SIMULATIONS))
    hits = 0
    for successes in np.flatnonzero(counts):
        _, low, high = wilson(int(successes), n)
        hits += int(counts[successes]) * (low <= p <= high)
    return hits / SIMULATIONS


@pytest.mark.parametrize("n", [50, 1000])
def test_wilson_covers_on_average_over_proportions(n: int) -> None:
    coverage = [wilson_coverage(n, p) for p in (0.5, 0.9, 0.99)]
    assert np.mean(coverage) >= 0.93
    assert min(coverage) >= 0.89  # it dips at single proportions (Brown, Cai and DasGupta 2001, figure 5)


@given(st.integers(1, 10**9).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_its_value_and_stays_a_proportion(drawn: tuple[int, int]) -> None:
    successes, n = drawn
    assert_ordered(wilson(successes, n))
    _, low, high = wilson(successes, n)
    assert 0 <= low < high <= 1


@given(st.integers(1, 10**6).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_mirrors(drawn: tuple[int, int]) -> None:
    successes, n = drawn
    value, low, high = wilson(successes, n)
    assert wilson(n - successes, n) == pytest.approx((1 - value, 1 - high, 1 - low), abs=1e-12)


@pytest.mark.parametrize("n", [1, 10, 10_000])
def test_all_right_is_certain_of_nothing(n: int) -> None:
    value, low, high = wilson(n, n)
    assert (value, high) == (1.0, 1.0)
    assert low == pytest.approx(n / (n + 1.959963984540054**2))


@pytest.mark.parametrize(("successes", "n"), [(0, 0), (-1, 10), (11, 10), (1, -1)])
def test_wilson_of_impossible_counts_is_refused(successes: int, n: int) -> None:
    with pytest.raises(ValueError, match="successes of"):
        wilson(successes, n)


def test_the_mean_covers() -> None:
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(SIMULATIONS):
        _, low, high = mean(rng.normal(5.0, 2.0, 8))
        hits += low <= 5.0 <= high
    assert 0.935 <= hits / SIMULATIONS <= 0.965


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30))
def test_the_mean_holds_its_value(values: list[float]) -> None:
    assert_ordered(mean(np.array(values)))


@pytest.mark.parametrize("values", [[], [1.0]])
def test_a_mean_of_fewer_than_two_is_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match="no interval"):
        mean(np.array(values))


@pytest.mark.parametrize("n", [50, 500])
@pytest.mark.parametrize(("gained", "lost"), [(0.02, 0.02), (0.1, 0.05), (0.0, 0.05), (0.3, 0.1)])
def test_the_paired_difference_covers(n: int, gained: float, lost: float) -> None:
    rng = np.random.default_rng(2)
    hits = 0
    for _ in range(SIMULATIONS // 2):
        draw = rng.random(n)
        new_only, old_only, both = draw < gained, (draw >= gained) & (draw < gained + lost), draw > 0.6
        _, low, high = paired_delta(new_only | both, old_only | both)
        hits += low <= gained - lost <= high
    assert hits / (SIMULATIONS // 2) >= 0.935


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_the_paired_difference_holds_its_value_and_turns_round_with_the_bundles(answers: list[tuple[bool, bool]]) -> None:
    new, old = np.array(answers, dtype=bool).T
    value, low, high = paired_delta(new, old)
    assert_ordered((value, low, high))
    assert value == pytest.approx(new.mean() - old.mean())
    assert paired_delta(old, new) == pytest.approx((-value, -high, -low))


def test_equal_answers_leave_doubt_that_shrinks_with_rows() -> None:
    widths = []
    for n in (10, 100, 1000):
        same = np.ones(n, dtype=bool)
        value, low, high = paired_delta(same, same)
        assert value == 0
        assert low < 0 < high
        widths.append(high - low)
    assert widths == sorted(widths, reverse=True)


@pytest.mark.parametrize(("n", "m"), [(0, 0), (3, 4)])
def test_answers_that_do_not_pair_are_refused(n: int, m: int) -> None:
    with pytest.raises(ValueError, match="paired answers"):
        paired_delta(np.ones(n, dtype=bool), np.ones(m, dtype=bool))


def test_calibration_error_by_hand() -> None:
    confidence = np.array([0.95, 0.95, 0.95, 0.95, 0.55, 0.55])
    right = np.array([True, True, True, False, True, False])
    value, low, high = calibration_error(confidence, right)
    assert value == pytest.approx((4 * (0.95 - 0.75) + 2 * (0.55 - 0.5)) / 6)
    assert_ordered((value, low, high))


def test_calibration_error_is_repeatable_and_zero_only_for_perfect_confidence() -> None:
    sure, right = np.ones(50), np.ones(50, dtype=bool)
    assert calibration_error(sure, right) == (0.0, 0.0, 0.0)
    doubtful = np.full(50, 0.7)
    assert calibration_error(doubtful, right) == calibration_error(doubtful, right)
    assert calibration_error(doubtful, right)[0] == pytest.approx(0.3)


def test_a_calibrated_answer_has_a_small_calibration_error() -> None:
    rng = np.random.default_rng(3)
    confidence = rng.uniform(0.5, 1.0, 4000)
    value, low, high = calibration_error(confidence, rng.random(4000) < confidence)
    assert low <= value <= high
    assert value < 0.03
    assert calibration_error(np.clip(confidence + 0.2, 0, 1), rng.random(4000) < confidence)[1] > 0.1


def test_the_interval_of_what_is_never_negative_ends_at_zero() -> None:
    value, low, high = mean(np.array([0.0, 0.0, 0.0, 1.0]), least=0)
    assert (value, low) == (0.25, 0.0)
    assert high == mean(np.array([0.0, 0.0, 0.0, 1.0]))[2]
