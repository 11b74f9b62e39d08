"""Suggestions for one column of a table: nulls, limits, categories, forms, lengths, repetition, age, distribution, and what seems personal.

A limit that a new row would soon break is worth nothing, so limits are rounded outward, a few far values are left outside with ``mostly``,
and a column of the long-tailed kind gets a lower limit alone.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jupyter_mlprod.core.arrays import nulls, plain_values
from jupyter_mlprod.core.contract import Column, Contract
from jupyter_mlprod.core.expression import microseconds
from jupyter_mlprod.core.raw import Array
from jupyter_mlprod.core.reference import HELD_BY, LONGEST, NAMED, sampled_rows
from jupyter_mlprod.core.suggest_forms import form_of
from jupyter_mlprod.core.suggest_personal import form_of_a_value, is_withheld, personal_proposal, seen_of
from jupyter_mlprod.core.suggestion import FEWEST_ROWS, Proposal, Seen, floored, number, percent
from jupyter_mlprod.core.values import moment, state_of

Floats = NDArray[np.float64]

FEW = 0.03
"""Up to this share of values may lie outside of suggested limits, or be none of the categories."""
FAR = 3.0
"""How many interquartile ranges beyond the quartiles a value is far (Tukey's outer fences)."""
FEWEST_FOR_SHARES = 200
BINS = (0.2, 0.4, 0.6, 0.8)
LENGTHS = (8, 10, 16, 20, 32, 50, 64, 100, 128, 200, 255, 500, 1_000, 2_000, 5_000, 10_000)


def of_column(column: Column, array: Array, contract: Contract, named: Mapping[str, Array]) -> Iterator[Proposal]:
    """What the values of a column would let a person declare, what matters most first."""
    if array.ndim != 1 or not len(array):
        return
    picked = sampled_rows(len(array), width=1)
    seen = Seen(rows=len(array), looked_at=len(picked))
    present = [value for value in plain_values(array[picked]) if not state_of(column.type, value)]
    texts = [value for value in present if isinstance(value, str)]
    guess = personal_proposal(column.name, seen_of(column.type, present), kind=column.type)
    if guess is not None:
        yield guess
    yield from _nulls(column, array)
    if is_withheld(column, guess) or len(array) < FEWEST_ROWS or not present:
        return
    if column.type in ("float", "int"):
        yield from _of_numbers(column, array, seen)
    elif column.type == "string":
        yield from _of_texts(texts, seen)
    elif column.type == "bool":
        yield from _shares(Counter("true" if value else "false" for value in present), len(present), seen)
    else:
        yield from _age(column, contract, named)


def _nulls(column: Column, array: Array) -> Iterator[Proposal]:
    gone = int(nulls(array).sum())
    if gone and not column.nullable:
        share = gone / len(array)
        yield Proposal(
            what="nullable", values={"nullable": True}, sentence=f"{gone:,} of {len(array):,} rows are null ({percent(share)})", share=1.0
        )
    elif not gone and column.nullable:
        yield Proposal(what="nullable", values={"nullable": False}, sentence=f"none of {len(array):,} rows is null")


def _of_numbers(column: Column, array: Array, seen: Seen) -> Iterator[Proposal]:
    values = _finite(column, array)
    if len(values) < FEWEST_ROWS:
        return
    whole = bool((np.floor(values) == values).all())
    if column.type == "float" and whole and len(np.unique(values[:1000])) > 2:
        yield Proposal(
            what="integers",
            values={},
            sentence=f"all of {len(array):,} rows are whole numbers kept as floats: cast them, and declare type int, to refuse fractions",
        )
    if column.type == "int" and len(np.unique(values)) == len(values):
        yield Proposal(what="unique", values={"unique": True}, sentence=f"no value repeats in {len(array):,} rows")
        return
    yield from limits(values, rows=len(array), whole=whole, mostly=True)
    yield from _bins(values, seen)


def _finite(column: Column, array: Array) -> Floats:
    """All finite numbers of a column as float64; of objects those that are of its type."""
    if array.dtype.kind in "fiu":
        floats: Floats = array.astype(np.float64)
    else:
        kept = [float(value) for value in plain_values(array) if not state_of(column.type, value)]
        floats = np.array(kept, dtype=np.float64)
    return floats[np.isfinite(floats)]


def limits(values: Floats, *, rows: int, whole: bool, mostly: bool) -> Iterator[Proposal]:
    """Limits of numbers: of all of them, or, where a few are far from the others and ``mostly`` can say so, of the others."""
    least, most = float(values.min()), float(values.max())
    if least == most:
        yield Proposal(what="constant", values={}, sentence=f"all of {rows:,} rows are {number(least)}: the column says nothing")
        return
    first, third = (float(quantile) for quantile in np.quantile(values, (0.25, 0.75)))
    reach = FAR * (third - first)
    near = values[(values >= first - reach) & (values <= third + reach)]
    share = len(near) / len(values)
    if reach > 0 and share < 1 - FEW and least >= 0:
        yield Proposal(what="low", values={"low": 0}, sentence=f"none of {rows:,} rows is negative, and some are large")
    elif reach > 0 and mostly and 1 - FEW <= share < 1:
        low, high = rounded(float(near.min()), float(near.max()), whole=whole)
        yield _range(low, high, rows=rows, share=float(((values >= low) & (values <= high)).mean()))
    else:
        low, high = rounded(least, most, whole=whole)
        yield _range(low, high, rows=rows, share=1.0)


def _range(low: float, high: float, *, rows: int, share: float) -> Proposal:
    told = "" if share < 1 else "all of "
    sentence = f"{told or percent(share) + ' of '}{rows:,} rows lie within {number(low)} … {number(high)}"
    values: dict[str, Any] = {"low": low, "high": high}
    return Proposal(what="range", values=values if share >= 1 else {**values, "mostly": floored(share)}, sentence=sentence, share=share)


def rounded(low: float, high: float, *, whole: bool) -> tuple[float, float]:
    """Limits rounded outward to a hundredth of their distance's power of ten; never across zero, and integers of a small range as they are.

    >>> rounded(0.0123, 39.8, whole=False), rounded(0, 16, whole=True), rounded(3, 987_654, whole=True)
    ((0, 40), (0, 16), (0, 990000))
    """
    with np.errstate(over="ignore"):
        distance = high - low
    if not math.isfinite(distance) or distance <= 0:
        return low, high
    if whole and distance <= 100:
        return int(low), int(high)
    power = math.floor(math.log10(distance)) - 1
    below, above = _snapped(low, power, math.floor), _snapped(high, power, math.ceil)
    return (below if low < 0 else max(below, 0)), (above if high > 0 else min(above, 0))


def _snapped(value: float, power: int, snap: Callable[[float], int]) -> float:
    if power >= 0:
        step: int = 10**power
        return snap(value / step) * step
    scaled = snap(round(value * 10**-power, 9))
    result = round(scaled / 10**-power, -power)
    return int(result) if float(result).is_integer() else result


def _bins(values: Floats, seen: Seen) -> Iterator[Proposal]:
    """The share of numbers between the quintiles."""
    if len(values) < FEWEST_FOR_SHARES:
        return
    edges = sorted({float(f"{edge:.4g}") for edge in np.quantile(values, BINS)})
    counts = np.diff(np.searchsorted(np.sort(values), edges, side="left"), prepend=0, append=len(values))
    shares = [round(int(count) / len(values), 4) for count in counts]
    shares[-1] = round(1 - sum(shares[:-1]), 4)
    if min(shares) >= 0:
        expected = {"edges": edges, "shares": shares}
        yield Proposal(
            what="expected", values={"expected": expected}, sentence=f"the distribution of {seen.rows:,} rows, in {len(shares)} parts"
        )


def _shares(counts: Counter[str], present: int, seen: Seen) -> Iterator[Proposal]:
    if present < FEWEST_FOR_SHARES:
        return
    named = {value: math.floor(count / present * 1e4) / 1e4 for value, count in sorted(counts.items())}
    expected = {"values": list(named), "shares": list(named.values())}
    yield Proposal(what="expected", values={"expected": expected}, sentence=f"the shares of {len(named)} values among {seen.words}")


def _of_texts(texts: Sequence[str], seen: Seen) -> Iterator[Proposal]:
    """Categories, else the form of codes, else a length; and whether any repeats."""
    counts = Counter(texts)
    if len(counts) == len(texts) and seen.looked_at == seen.rows and len(texts) >= FEWEST_ROWS:
        yield Proposal(what="unique", values={"unique": True}, sentence=f"no value repeats in {seen.words}")
    categories = [value for value, n in counts.most_common(NAMED) if n >= HELD_BY and len(value) <= LONGEST]
    held = sum(counts[value] for value in categories) / len(texts)
    if categories and held >= 1 - FEW and len(texts) >= FEWEST_ROWS:
        yield from _categories(sorted(categories), held, seen)
        yield from _shares(Counter({value: counts[value] for value in categories}), len(texts), seen)
        return
    form = form_of(counts)
    if form and not any(map(form_of_a_value, counts)):
        yield Proposal(what="pattern", values={"pattern": form}, sentence=f"all values of {seen.words} have one form")
        return
    most = max(map(len, texts))
    longest = next((length for length in LENGTHS if length >= most), most)
    yield Proposal(what="length", values={"longest": longest}, sentence=f"no value of {seen.words} is longer than {most:,} characters")


def _categories(categories: list[str], held: float, seen: Seen) -> Iterator[Proposal]:
    values: dict[str, Any] = {"categories": categories}
    told = "" if held < 1 else "all of "
    sentence = f"{told or percent(held) + ' of '}{seen.words} hold one of {len(categories)} values, each of them {HELD_BY} rows or more"
    yield Proposal(what="categories", values=values if held >= 1 else {**values, "mostly": floored(held)}, sentence=sentence, share=held)


def _age(column: Column, contract: Contract, named: Mapping[str, Array]) -> Iterator[Proposal]:
    """How old the rows are when they are used, where the contract says by which columns that is seen."""
    given = contract.freshness
    if not given or not given.as_of or column.name != given.event_time or given.as_of not in named:
        return
    events, uses = plain_values(named[given.event_time]), plain_values(named[given.as_of])
    kind = column.type
    ages = [
        (microseconds(moment(use)) - microseconds(moment(event))) / 1e6
        for event, use in zip(events, uses, strict=False)
        if not state_of(kind, event) and not state_of(kind, use)
    ]
    if ages and max(ages) > 0:
        unit, size = next((u, s) for u, s in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)) if max(ages) >= s or s == 1)
        age = f"{math.ceil(max(ages) / size)}{unit}"
        yield Proposal(what="age", values={"max_age": age}, sentence=f"none of {len(ages):,} rows was older than {age} when it was used")
