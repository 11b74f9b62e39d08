"""The distance from an expected distribution is that of total variation, and chance alone hardly ever passes the allowance."""

import numpy as np
import pytest

from jupyter_mlprod.core.contract import Column, Expected
from jupyter_mlprod.core.expected import allowance, counted, distance, distribution_fault


def test_the_distance_is_half_of_all_differences() -> None:
    halves = Expected(shares=(0.5, 0.5), edges=(0.0,))
    assert distance([5, 5], halves) == 0
    assert distance([10, 0], halves) == 0.5
    assert distance([0, 0, 4], Expected(shares=(0.25, 0.25), values=("a", "b"))) == 0.5
    assert distance([0, 9], Expected(shares=(1.0, 0.0), edges=(0.0,))) == 1


def test_values_that_are_not_named_are_one_class() -> None:
    assert counted({"a": 3, "c": 1, "d": 2}, Expected(shares=(0.5, 0.5), values=("a", "b"))) == [3, 0, 3]


@pytest.mark.parametrize(("n", "k"), [(50, 2), (1000, 5), (1000, 20)])
def test_data_of_the_expected_distribution_pass_the_allowance_in_19_of_20_samples(n: int, k: int) -> None:
    generator = np.random.default_rng(3)
    shares = tuple(generator.dirichlet(np.ones(k)).tolist())
    expected = Expected(shares=shares, edges=tuple(map(float, range(k - 1))))
    beyond = [distance(counts.tolist(), expected) > allowance(n, k) for counts in generator.multinomial(n, shares, size=400)]
    assert sum(beyond) <= 20


def test_the_allowance_shrinks_with_the_root_of_the_rows() -> None:
    assert allowance(400, 3) == pytest.approx(allowance(100, 3) / 2)


def test_a_distance_is_told_with_its_limit_and_its_allowance_only_beyond_both() -> None:
    column = Column(name="c", type="float", expected=Expected(shares=(0.5, 0.5), edges=(0.0,), at_most=0.1))
    assert distribution_fault(column, [0, 0], "refuse", rows=5) is None
    assert distribution_fault(column, [6000, 4000], "refuse", rows=10_000) is None
    found = distribution_fault(column, [7000, 3000], "refuse", rows=10_000)
    assert found is not None
    assert (
        found.demand.what
        == "column 'c' lies 0.2 from its expected distribution; 0.1 is the limit, and 0.0148 are allowed for 10,000 values"
    )
    assert distribution_fault(column, [7, 3], "refuse", rows=10) is None
