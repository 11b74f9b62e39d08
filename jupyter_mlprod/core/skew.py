"""Skew: features of the data against those that were logged online, joined by key, row by row.

Distributions are not compared: two columns may have the same one and be the wrong way round for every customer. A key that is not in
both, or more than once on a side, says nothing about its rows; how many there are is told, and too few rows joined are a broken check.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from jupyter_mlprod.core.arrays import plain_values
from jupyter_mlprod.core.checked import Checked, count, not_run
from jupyter_mlprod.core.column_values import NO_MOMENT, NULL, Hashes, Mask, hashes, moments, numbers, row_hashes
from jupyter_mlprod.core.conformance import MOST_EXAMPLES, Violation, allowed, told
from jupyter_mlprod.core.contract import NOT_PERSONAL, Column, Input, is_personal
from jupyter_mlprod.core.demands import Demand
from jupyter_mlprod.core.evidence import Measure
from jupyter_mlprod.core.quality import measure
from jupyter_mlprod.core.raw import Array
from jupyter_mlprod.core.scores import Floats, Ints
from jupyter_mlprod.core.suggest_personal import by_name
from jupyter_mlprod.core.uncertainty import wilson
from jupyter_mlprod.core.unit_mixups import number_mixup, percent, time_mixup

ALIKE = 0.9
"""Share of the rows that differ that must be explained before an explanation is said."""
LEAST_VALUES = 5
"""Different values that must be swapped: of fewer, two columns agree by chance."""
LEAST_JOINED = 10
LEAST_SHARE = 0.5
"""Rows that must be joined, all of the data if they are fewer; and the share of the smaller side, else the key is the wrong one."""
DOUBLE = 1e-14
"""Relative: what two ways of writing the same number, or of adding up, leave of float64."""


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """One feature in the joined rows, (joined,) arrays."""

    column: Column
    offline: Array
    online: Array


class Joined(msgspec.Struct, frozen=True, kw_only=True):
    """Rows with the same key on both sides, (joined,) indexes; and of each side how many rows are in neither."""

    offline: Ints
    online: Ints
    unmatched: tuple[Measure, ...]


def skew(
    features: Sequence[Column],
    offline: Mapping[str, Array],
    online: Mapping[str, Array],
    *,
    keys: Sequence[Input | str],
    tolerance: float,
) -> Checked:
    """Compare each feature where the keys are the same.

    Parameters
    ----------
    features : the columns to compare; a key among them is not compared
    offline, online : column → (rows,) values
    keys : a column of the contract, or the name of another one; each is on both sides
    tolerance : of two numbers, as a part of the column's interquartile range
    """
    names = [key if isinstance(key, str) else key.name for key in keys]
    joined = _joined(row_keys(offline, names), row_keys(online, names))
    if not len(joined.offline):
        types = ", ".join(f"{name!r} is {offline[name].dtype} in the data and {online[name].dtype} online" for name in names)
        failed = not_run("skew", f"no row of the data has its key among the rows that were logged online ({types})")
        return msgspec.structs.replace(failed, measures=joined.unmatched)
    compared = [column for column in features if column.name not in names and column.name in offline]
    missing = [column.name for column in compared if column.name not in online]
    sides = [len(side[names[0]]) for side in (offline, online)]
    broken = _too_few(len(joined.offline), *sides)
    broken += [
        Violation(field=name, check="present", rows=len(joined.offline), what=f"feature {name!r} was not logged online", kind="skew")
        for name in missing
    ]
    tolerated: list[Violation] = []
    measures: list[Measure] = list(joined.unmatched)
    pairs = [
        Pair(column=column, offline=offline[column.name][joined.offline], online=online[column.name][joined.online])
        for column in compared
        if column.name not in missing
    ]
    for pair in pairs:
        apart = differing(pair, tolerance=tolerance)
        shares = wilson(int(apart.sum()), len(apart))
        measures.append(measure("skew_ratio", shares, n=len(apart), method="wilson", where={"feature": pair.column.name}))
        if apart.any():
            violation = _violation(pair, apart, pairs, joined, [_key_texts(key, offline, joined) for key in keys], tolerance=tolerance)
            demand = Demand(field=pair.column.name, check="skew", what="", mostly=pair.column.mostly or 1.0)
            (tolerated if violation.rows <= allowed(demand, len(apart)) else broken).append(violation)
    return Checked(kind="skew", checks=1 + len(compared), violations=tuple(broken), tolerated=tuple(tolerated), measures=tuple(measures))


def _too_few(rows: int, offline: int, online: int) -> list[Violation]:
    """A finding where the rows that were joined are too few to speak for the others."""
    if rows >= LEAST_SHARE * min(offline, online) and rows >= min(LEAST_JOINED, offline):
        return []
    what = f"only {rows:,} of {offline:,} rows of the data were joined with the {online:,} that were logged online"
    return [Violation(field="", check="joined", rows=rows, what=what, kind="skew")]


def row_keys(named: Mapping[str, Array], names: Sequence[str]) -> Hashes:
    """(rows,) hash of the key of each row, 0 where a part of it is null."""
    gone = np.zeros(len(named[names[0]]), bool)
    for name in names:
        gone |= hashes(named[name]) == NULL
    return np.where(gone, NULL, row_hashes(named, names))


def _joined(offline: Hashes, online: Hashes) -> Joined:
    once = [_once(side) for side in (offline, online)]
    _, first, second = np.intersect1d(offline[once[0]], online[once[1]], assume_unique=True, return_indices=True)
    order = np.argsort(once[0][first])
    ours, theirs = once[0][first][order], once[1][second][order]
    told = []
    for name, side, kept in (("offline", offline, once[0]), ("online", online, once[1])):
        null, twice = int((side == NULL).sum()), len(side) - len(kept) - int((side == NULL).sum())
        note = f"{twice:,} rows have a key that is there more than once, {null:,} have none" if twice or null else ""
        told.append(count("skew_unmatched", len(side) - len(ours), n=len(side), note=note, where={"side": name}))
    return Joined(offline=ours, online=theirs, unmatched=tuple(told))


def _once(keys: Hashes) -> Ints:
    """The rows whose key no other row has."""
    _, first, many = np.unique(keys, return_index=True, return_counts=True)
    rows = np.sort(first[many == 1])
    return np.asarray(rows[keys[rows] != NULL])


def differing(pair: Pair, *, tolerance: float) -> Mask:
    """(joined,) whether the two say something else; null is the same as null alone."""
    one, two = hashes(pair.offline), hashes(pair.online)
    unlike: Mask = one != two
    if pair.column.type == "float":
        ours, theirs = numbers(pair.offline), numbers(pair.online)
        numeric = unlike & np.isfinite(ours) & np.isfinite(theirs)
        unlike[numeric] = ~_near(ours[numeric], theirs[numeric], tolerance * _spread(ours))
    if pair.column.type in ("int", "float"):
        unlike |= _truths(pair.offline) != _truths(pair.online)
    return unlike


def _truths(array: Array) -> Mask:
    """(n,) which values are truth values, which are no numbers."""
    if array.dtype.kind != "O":
        return np.full(len(array), array.dtype.kind == "b")
    return np.array([isinstance(value, bool) for value in plain_values(array)], bool)


def _spread(values: Floats) -> float:
    """Interquartile range of a column, or, where half of it is one value, of its different values."""
    finite = values[np.isfinite(values)]
    for one in (finite, np.unique(finite)):
        low, high = np.quantile(one, [0.25, 0.75]) if len(one) else (0.0, 0.0)
        if high > low:
            return float(high - low)
    return 0.0


def _near(one: Floats, two: Floats, slack: float) -> Mask:
    """(n,) apart by the slack, or by the precision of what they are written in."""
    precision = max(_precision(one), _precision(two))
    return np.asarray(np.abs(one - two) <= np.maximum(slack, precision * np.maximum(np.abs(one), np.abs(two))))


def _precision(values: Floats) -> float:
    """Relative precision: that of float32 where each value is one, as it is or in its shortest decimal form."""
    with np.errstate(over="ignore", under="ignore"):
        short = values.astype(np.float32)
    same = (short == values) | (short.astype(str).astype(np.float64) == values)
    whole = (values == np.round(values)).all()
    return DOUBLE if whole or not same.all() else float(np.finfo(np.float32).eps)


def _violation(
    pair: Pair, apart: Mask, pairs: Sequence[Pair], joined: Joined, keys: Sequence[Sequence[str]], *, tolerance: float
) -> Violation:
    rows = np.flatnonzero(apart)
    what = f"feature {pair.column.name!r} differs online in {len(rows):,} of {len(apart):,} joined rows"
    reason = _reason(pair, apart, pairs, tolerance=tolerance)
    ours, theirs = plain_values(pair.offline[rows[:MOST_EXAMPLES]]), plain_values(pair.online[rows[:MOST_EXAMPLES]])
    examples = []
    for place, one, two in zip(rows.tolist(), ours, theirs, strict=False):
        said = [text for texts in keys if (text := texts[place])]
        at = f"row {joined.offline[place]:,}" + (f", key {', '.join(said)}" if said else "")
        examples.append(f"{at}: {_both(pair.column, one, two)}")
    return Violation(
        field=pair.column.name,
        check="skew",
        rows=len(rows),
        what=f"{what}: {reason}" if reason else what,
        kind="skew",
        examples=tuple(examples),
    )


def _both(column: Column, one: Any, two: Any) -> str:
    if is_personal(column):
        return "personal, withheld"
    return f"{told(column, one)} offline, {told(column, two)} online"


def _key_texts(key: Input | str, offline: Mapping[str, Array], joined: Joined) -> Sequence[str]:
    """(joined,) the key where it may be told: a number or a time whose name speaks of no person and that nobody called personal, or
    what somebody said is not personal."""
    name = key if isinstance(key, str) else key.name
    values = plain_values(offline[name][joined.offline])
    if by_name(name) and (isinstance(key, str) or key.pii != NOT_PERSONAL):
        return [""] * len(values)
    if isinstance(key, str):
        return ["" if isinstance(value, str | bytes) else str(value)[:40] for value in values]
    if is_personal(key):
        return [""] * len(values)
    return ["" if isinstance(value, str | bytes) and key.pii != NOT_PERSONAL else told(key, value) for value in values]


def _reason(pair: Pair, apart: Mask, pairs: Sequence[Pair], *, tolerance: float) -> str:
    """What explains nine of ten of the rows that differ, if something plain does."""
    if is_personal(pair.column):
        return ""
    one, two = pair.offline[apart], pair.online[apart]
    match pair.column.type:
        case "float" | "int":
            return _number_reason(pair, apart, pairs, tolerance=tolerance)
        case "time" | "time_utc":
            before, after = moments(one), moments(two)
            there = (before != NO_MOMENT) & (after != NO_MOMENT)
            if (there & (before == after)).mean() >= ALIKE:
                return "the times are equal, but only one side has a zone"
            return time_mixup(before[there], after[there]) if there.mean() >= ALIKE else ""
        case "string":
            texts = [(a, b) for a, b in zip(plain_values(one), plain_values(two), strict=True) if isinstance(a, str) and isinstance(b, str)]
            alike = sum(a.strip().casefold() == b.strip().casefold() for a, b in texts)
            return "the texts are equal but for case and blanks at their ends" if texts and alike >= ALIKE * len(one) else ""
        case _:
            return ""


def _number_reason(pair: Pair, apart: Mask, pairs: Sequence[Pair], *, tolerance: float) -> str:
    truths = _truths(pair.online[apart])
    if truths.mean() >= ALIKE:
        return "it is a truth value online"
    ours, theirs = numbers(pair.offline[apart]), numbers(pair.online[apart])
    there = np.isfinite(ours) & np.isfinite(theirs)
    if there.mean() < ALIKE:
        gone = np.isfinite(ours) & np.asarray(hashes(pair.online[apart]) == NULL)
        texts = np.isfinite(ours) & np.array([isinstance(value, str) for value in plain_values(pair.online[apart])], bool)
        return "it is null online" if gone.mean() >= ALIKE else "it is text online" if texts.mean() >= ALIKE else ""
    for other in pairs:
        if other.column.name != pair.column.name and other.column.type == pair.column.type and not is_personal(other.column):
            swapped = _near(numbers(other.offline[apart]), theirs, tolerance * _spread(numbers(other.offline)))
            if len(np.unique(theirs[swapped])) >= LEAST_VALUES and swapped.mean() >= ALIKE:
                return f"online holds what {other.column.name!r} is offline in {percent(swapped)}"
    return number_mixup(ours[there], theirs[there])
