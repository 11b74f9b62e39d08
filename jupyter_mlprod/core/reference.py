"""The reference profile: the distribution of each column, which drift will be measured against. Taken block by block, merged in order.

Counts, extremes, mean and deviation are of all rows. What needs an order or a table of values (quantiles, histogram, categories) is of a
sample of rows that depends on their number alone: one of each stretch of equal length, so that no rhythm of the data is followed.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from jupyter_mlprod.core import fingerprint
from jupyter_mlprod.core.raw import Array
from jupyter_mlprod.core.snapshot import BINS, PROBABILITIES, Categories, ColumnFacts, ColumnKind, Numbers

SAMPLED_ROWS = 100_000
SAMPLED_VALUES = 2_000_000
FEWEST_ROWS = 1_000
NAMED = 50
"""At most so many categories are named,"""
HELD_BY = 5
"""each held by so many rows of the sample, so that a name or a number plate is not among them,"""
LONGEST = 100
"""and no longer than so many characters."""
MOST_CHANNELS = 256
COLORS = 16

Index = NDArray[np.int64]


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """What one block says of one column; moments are (channels,) arrays over its finite values.

    Attributes
    ----------
    sample : (channels, n) float64 of numbers, or how many sampled rows hold each string
    whole : whether every number is a whole one
    """

    kind: str
    hash: bytes
    rows: int
    nulls: int
    sample: Any = ()
    whole: bool = False
    infinite: Any = 0
    counted: Any = 0
    low: Any = math.inf
    high: Any = -math.inf
    mean: Any = 0.0
    squares: Any = 0.0
    shortest: int = 0
    longest: int = 0


def sampled_rows(rows: int, *, width: int) -> Index:
    """The rows of the sample, ascending; all of them when there are few.

    Parameters
    ----------
    width : values in a row: the more, the fewer rows
    """
    wanted = min(SAMPLED_ROWS, max(FEWEST_ROWS, SAMPLED_VALUES // max(1, width)))
    if rows <= wanted:
        return np.arange(rows, dtype=np.int64)
    return one_of_each(rows, wanted)


def one_of_each(rows: int, stretches: int) -> Index:
    """One row of each of so many stretches of equal length, ascending; always the same ones."""
    edges = np.arange(stretches + 1, dtype=np.int64) * rows // stretches
    within = _mixed(np.arange(stretches, dtype=np.uint64)) % np.diff(edges).astype(np.uint64)
    return edges[:-1] + within.astype(np.int64)


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """splitmix64: numbers that look drawn, the same on every machine and in every version of numpy."""
    mixed = (values + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def number_part(values: Array, picked: Index, *, gone: NDArray[np.bool_] | None = None) -> Part:
    """A block of a column of numbers."""
    floats, block = fingerprint.numbers(values, gone)
    whole = values.dtype.kind in "iu" or (_are_whole(floats[:64]) and _are_whole(floats))
    return _measured("number", block, floats[None, None, :], sample=floats[picked][None, :], rows=len(values), whole=whole)


def _are_whole(floats: NDArray[np.float64]) -> bool:
    finite = floats[np.isfinite(floats)]
    return bool((np.floor(finite) == finite).all())


def moment_part(kind: str, block: bytes, seconds: NDArray[np.float64], picked: Index) -> Part:
    """A block of times or durations, in seconds; hashed by who read them."""
    return _measured(kind, block, seconds[None, None, :], sample=seconds[picked][None, :], rows=len(seconds))


def tensor_part(values: Array, picked: Index) -> Part:
    """A block of a tensor; a large row gives every so-manieth of its values to the sample."""
    chosen = _by_channel(values[picked])
    step = -(-values[:1].size // (SAMPLED_VALUES // FEWEST_ROWS)) | 1  # odd, so that it is no multiple of most widths
    sample = np.moveaxis(chosen, 1, 0).reshape(chosen.shape[1], -1)[:, ::step].astype(np.float64)  # a copy: a view would keep all
    view = _by_channel(np.asarray(values, dtype=np.float64))
    return _measured("tensor", fingerprint.tensor(values), view, sample=sample, rows=len(values))


def _by_channel(values: Any) -> Any:
    """(outer, channels, inner): features of a matrix, colors of images, else one channel for all."""
    shape = values.shape
    if len(shape) == 2 and shape[1] <= MOST_CHANNELS:
        return values.reshape(shape[0], shape[1], 1)
    if len(shape) == 4 and shape[1] <= COLORS:
        return values.reshape(shape[0], shape[1], shape[2] * shape[3])  # -1 is refused where no row is sampled
    if len(shape) == 4 and shape[3] <= COLORS:
        return values.reshape(-1, shape[3], 1)
    return values.reshape(1, 1, -1)


def _measured(kind: str, block: bytes, view: NDArray[np.float64], *, sample: Any, rows: int, whole: bool = False) -> Part:
    """The moments of (outer, channels, inner) numbers; a mask is made only where there is something to mask."""
    outer, channels, inner = view.shape
    counted, nulls, infinite = np.full(channels, outer * inner), 0, np.zeros(channels, dtype=np.int64)
    shown, finite = view, None
    with np.errstate(over="ignore", invalid="ignore"):
        total = view.sum(axis=(0, 2))
        if not np.isfinite(total).all():
            finite = np.isfinite(view)
            counted, nulls = finite.sum(axis=(0, 2)), int(np.count_nonzero(np.isnan(view)))
            infinite = infinite if nulls + counted.sum() == view.size else np.isinf(view).sum(axis=(0, 2))
            total = np.where(finite, view, 0.0).sum(axis=(0, 2))
            shown = np.where(finite, view, np.nan)
        mean = total / np.maximum(counted, 1)
        gap = shown - mean[None, :, None]
        gap = gap if finite is None else np.where(finite, gap, 0.0)
        squares = np.einsum("oci,oci->c", gap, gap)
        low = np.fmin.reduce(shown, axis=(0, 2), initial=math.inf)  # passes NaN over, and along an axis is faster than minimum
        high = np.fmax.reduce(shown, axis=(0, 2), initial=-math.inf)
    return Part(
        kind=kind, hash=block, rows=rows, nulls=nulls, sample=sample, whole=whole, infinite=infinite,
        counted=counted, low=low, high=high, mean=mean, squares=squares,
    )  # fmt: skip


def string_part(kind: str, block: bytes, *, rows: int, nulls: int, sample: Mapping[str, int], lengths: tuple[int, int] = (0, 0)) -> Part:
    """A block of strings, truth values or objects; ``sample`` counts those of the sampled rows that are not null."""
    return Part(kind=kind, hash=block, rows=rows, nulls=nulls, sample=sample, shortest=lengths[0], longest=lengths[1])


def facts(name: str, parts: Sequence[Part], *, shape: tuple[int, ...] = (), dtype: str = "") -> ColumnFacts:
    """One column out of its blocks, in order."""
    rows, nulls = sum(part.rows for part in parts), sum(part.nulls for part in parts)
    kinds = {part.kind for part in parts}
    if not kinds - {"null"} or (nulls == rows and kinds != {"tensor"}):
        return ColumnFacts(name=name, type="null", nulls=rows, fingerprint=fingerprint.joined("null", rows, ()))
    kind = parts[0].kind
    numeric = kind in ("number", "time", "time_utc", "duration", "tensor")
    return ColumnFacts(
        name=name,
        type=_kind(kind, whole=all(part.whole for part in parts)),
        nulls=nulls,
        fingerprint=fingerprint.joined(f"{kind}{dtype}{shape or ''}", rows, (part.hash for part in parts)),
        shape=shape,
        dtype=dtype,
        channels=_channels(parts) if numeric else (),
        categories=_categories(parts) if kind in ("string", "bool") else None,
    )


def _kind(kind: str, *, whole: bool) -> ColumnKind:
    found: Any = kind if kind != "number" else ("int" if whole else "float")
    return found  # type: ignore[no-any-return]


def _channels(parts: Sequence[Part]) -> tuple[Numbers, ...]:
    low, high = np.min([part.low for part in parts], axis=0), np.max([part.high for part in parts], axis=0)
    counts, means = np.array([part.counted for part in parts]), np.array([part.mean for part in parts])
    counted = counts.sum(axis=0)
    shares = counts / np.maximum(counted, 1)
    with np.errstate(over="ignore", invalid="ignore"):  # the moments of the blocks joined: within them, and between them
        mean = means[0] + ((means - means[0]) * shares).sum(axis=0)
        apart = np.where(counts > 0, means - mean, 0.0)
        squares = np.sum([part.squares for part in parts], axis=0) + (np.square(apart) * counts).sum(axis=0)
        deviation = np.where(low == high, 0.0, np.sqrt(squares / np.maximum(counted, 1)))
    infinite = sum((part.infinite for part in parts), np.zeros(mean.shape, dtype=np.int64))
    samples = np.concatenate([part.sample for part in parts], axis=1)
    return tuple(
        numbers_of(
            samples[i], low=_told(low[i]), high=_told(high[i]), infinite=int(infinite[i]),
            mean=_rounded(mean[i]) if counted[i] else None, std=_rounded(deviation[i]) if counted[i] else None,
        )
        for i in range(len(mean))
    )  # fmt: skip


def numbers_of(
    sample: NDArray[np.float64], *, low: float | None, high: float | None, mean: float | None, std: float | None, infinite: int
) -> Numbers:
    """Quantiles and histogram of a sample beside what is known of all rows."""
    values = np.sort(sample[np.isfinite(sample)])
    places = [max(0, math.ceil(p * len(values)) - 1) for p in PROBABILITIES] if len(values) else []
    quantiles = tuple(float(values[place]) for place in places)
    edges = _edges(values)
    counts: Any = np.diff(np.searchsorted(values, edges, side="left"), prepend=0, append=len(values)) if len(edges) else ()
    return Numbers(
        low=low, high=high, mean=mean, std=std, infinite=infinite, quantiles=quantiles,
        edges=tuple(map(float, edges)), counts=tuple(map(int, counts)),
    )  # fmt: skip


def _edges(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The values themselves when they are few; else equal widths between the quantiles 0.01 and 0.99, so that an outlier costs nothing."""
    if not len(values):
        return values
    distinct = np.unique(values[:: max(1, len(values) // 1000)])
    if len(distinct) <= BINS:
        distinct = np.unique(values)
    if len(distinct) <= BINS:
        return distinct
    first, last = values[int(0.01 * len(values))], values[int(0.99 * len(values))]
    if not first < last:
        first, last = values[0], values[-1]
    with np.errstate(over="ignore"):
        edges = first + (last / BINS - first / BINS) * np.arange(BINS + 1)
    return np.unique(edges[np.isfinite(edges)])


def _categories(parts: Sequence[Part]) -> Categories:
    seen: Counter[str] = Counter()
    for part in parts:
        seen.update(part.sample)
    frequent = sorted(seen.items(), key=lambda item: (-item[1], item[0]))[:NAMED]
    counts = {value: n for value, n in frequent if len(value) <= LONGEST and (n >= HELD_BY or parts[0].kind == "bool")}
    full = [part for part in parts if part.rows > part.nulls]
    return Categories(
        counts=counts,
        others=sum(seen.values()) - sum(counts.values()),
        distinct=len(seen),
        shortest=min(part.shortest for part in full),
        longest=max(part.longest for part in full),
    )


def _told(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _rounded(value: float) -> float | None:
    """Nine digits: the last ones of a sum differ between processors."""
    return float(f"{value:.9g}") if math.isfinite(value) else None
