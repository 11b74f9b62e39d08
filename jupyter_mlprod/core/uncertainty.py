"""Intervals for proportions, means, calibration and paired differences; 95 % throughout.

`scipy.special` and not `scipy.stats`: the same functions at a fifth of the import time.
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

Z = 1.959963984540054
Interval = tuple[float, float, float]
"""value, low, high."""


def wilson(successes: int, n: int) -> Interval:
    """A proportion with its Wilson score interval (Wilson 1927; Brown, Cai and DasGupta 2001).

    Parameters
    ----------
    successes, n : 0 <= successes <= n, n > 0

    Examples
    --------
    >>> [round(x, 3) for x in wilson(95, 100)]
    [0.95, 0.888, 0.978]
    """
    if not 0 <= successes <= n or n == 0:
        raise ValueError(f"{successes} successes of {n}")
    p = successes / n
    center = (p + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z * math.sqrt(p * (1 - p) / n + Z * Z / (4 * n * n)) / (1 + Z * Z / n)
    return p, min(p, max(0.0, center - half)), max(p, min(1.0, center + half))


def mean(values: NDArray[np.float64], *, least: float = -math.inf) -> Interval:
    """A mean with Student's t interval, which does not go below the least that a value can be; (n,) with n >= 2."""
    n = len(values)
    if n < 2:
        raise ValueError(f"a mean of {n} values has no interval")
    value = float(values.mean())
    half = float(stdtrit(n - 1, 0.975)) * float(values.std(ddof=1)) / math.sqrt(n)
    return value, max(value - half, least), value + half


def paired_delta(new_right: NDArray[np.bool_], old_right: NDArray[np.bool_]) -> Interval:
    """Difference of two proportions on the same rows, new minus old.

    The adjusted Wald interval of Bonett and Price (2012), which adds one to each discordant count and keeps its coverage when
    few rows differ.

    Parameters
    ----------
    new_right, old_right : (n,) bool, whether each bundle answered the row rightly
    """
    n = len(new_right)
    if n == 0 or n != len(old_right):
        raise ValueError(f"paired answers of {n} and {len(old_right)} rows")
    gained = int(np.sum(new_right & ~old_right))
    lost = int(np.sum(~new_right & old_right))
    p_gained, p_lost = (gained + 1) / (n + 2), (lost + 1) / (n + 2)
    half = Z * math.sqrt((p_gained + p_lost - (p_gained - p_lost) ** 2) / (n + 2))
    value = (gained - lost) / n
    center = p_gained - p_lost
    return value, min(value, center - half), max(value, center + half)


def calibration_error(confidence: NDArray[np.float64], right: NDArray[np.bool_], *, bins: int = 15, resamples: int = 1000) -> Interval:
    """Expected calibration error over equal-width bins (Naeini et al. 2015), percentile bootstrap with a fixed seed.

    A bootstrap of this error leans upward, so the interval is widened to hold the value itself.

    Parameters
    ----------
    confidence : (n,) in [0, 1], probability given to the answer
    right : (n,) bool
    """
    n = len(confidence)
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    gap = right.astype(float) - confidence
    value = float(np.abs(np.bincount(place, gap, bins)).sum() / n)
    rng = np.random.default_rng(0)
    draws = np.empty(resamples)
    for index in range(resamples):
        rows = rng.integers(0, n, n)
        draws[index] = np.abs(np.bincount(place[rows], gap[rows], bins)).sum() / n
    low, high = np.quantile(draws, [0.025, 0.975])
    return value, min(value, float(low)), max(value, float(high))
