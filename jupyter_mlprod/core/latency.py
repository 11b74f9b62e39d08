"""Latency statistics: percentiles with distribution-free intervals, and how many samples they need."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr

from jupyter_mlprod.core.errors import Code, MlprodError


def enough(q: float) -> int:
    """The least n for which a percentile may be stated: with 99 % confidence at least two samples lie beyond it.

    Examples
    --------
    >>> enough(0.5), enough(0.9), enough(0.99)
    (11, 64, 662)
    """
    n = 2
    while bdtr(1, n, 1 - q) > 0.01:
        n += 1
    return n


def percentile(samples_ms: NDArray[np.float64], q: float) -> tuple[float, float, float]:
    """Latency percentile with a distribution-free 95 % interval from binomial order statistics (David and Nagaraja 2003, 7.1).

    Parameters
    ----------
    samples_ms : (n,) float64, wall time of each call in ms
    q : float in (0, 1); 0.99 for p99

    Raises
    ------
    MlprodError : ``too-few-samples`` when n is too small for the tail to have been observed (662 for p99).
    """
    n = len(samples_ms)
    need = enough(q)
    if n < need:
        raise MlprodError(Code.TOO_FEW, f"p{100 * q:g} needs {need} samples, got {n}", hint="raise --budget-s")
    ordered = np.sort(samples_ms)
    below = bdtr(np.arange(n), n, q)
    low = max(int(np.searchsorted(below, 0.025, side="right")) - 1, 0)
    high = min(int(np.searchsorted(below, 0.975)), n - 1)
    value = float(ordered[min(int(n * q), n - 1)])
    return value, float(ordered[low]), float(ordered[high])
