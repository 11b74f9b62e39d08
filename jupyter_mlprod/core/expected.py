"""Whether the values of a column are distributed as its contract expects: the one demand on a data set that no request can break.

The distance is that of total variation between the shares seen and those expected. So few rows can lie far off by chance alone, so an
allowance for their number is taken off before the limit is applied: what is told as broken is beyond it with 95 % confidence.
"""

import math
from collections.abc import Mapping, Sequence

from msgspec import UNSET

from jupyter_mlprod.core.conformance import Found
from jupyter_mlprod.core.contract import Action, Column, Expected
from jupyter_mlprod.core.demands import demand_on

CONFIDENCE = 0.95


def classes(expected: Expected) -> int:
    """How many there are; of texts, all values that are not named are one more."""
    return len(expected.shares) + (1 if expected.values else 0)


def counted(values: Mapping[str, int], expected: Expected) -> list[int]:
    """Rows in each class of texts, out of the rows of each value."""
    named = [values.get(value, 0) for value in expected.values]
    return [*named, sum(values.values()) - sum(named)]


def distance(counts: Sequence[int], expected: Expected) -> float:
    """Total variation distance of the counts from the expected shares, from 0 to 1.

    Examples
    --------
    >>> distance([8, 2], Expected(shares=(0.5, 0.5), edges=(0.0,)))
    0.3
    """
    shares = [*expected.shares, *([1 - math.fsum(expected.shares)] if expected.values else [])]
    n = sum(counts)
    return round(math.fsum(abs(count / n - share) for count, share in zip(counts, shares, strict=True)) / 2, 12)


def allowance(n: int, k: int) -> float:
    """How far n rows in k classes lie from their own distribution at most, at 95 % confidence.

    That the total variation distance is at least e has a probability of at most ``2**k * exp(-2 * n * e**2)``: the inequality of
    Bretagnolle, Huber and Carol (van der Vaart and Wellner, Weak Convergence and Empirical Processes, A.6.6).
    """
    return math.sqrt((k * math.log(2) - math.log(1 - CONFIDENCE)) / (2 * n))


def distribution_fault(column: Column, counts: Sequence[int], default: Action, *, rows: int) -> Found | None:
    """What is told where the distribution is too far off; nothing where a column expects none or has no values.

    Parameters
    ----------
    counts : values in each class, null and wrong ones left out
    """
    n = sum(counts)
    if column.expected is UNSET or not n:
        return None
    far, allowed = distance(counts, column.expected), allowance(n, classes(column.expected))
    if far - allowed <= column.expected.at_most:
        return None
    what = (
        f"column {column.name!r} lies {far:.3g} from its expected distribution; {column.expected.at_most:g} is the limit, and "
        f"{allowed:.3g} are allowed for {n:,} values"
    )
    return Found(demand=demand_on(column, "distribution", what, default), rows=rows)
