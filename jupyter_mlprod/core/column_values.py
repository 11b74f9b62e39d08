"""Columns of a batch as numbers to calculate with: hashes of values, numbers with NaN for null, moments in microseconds.

Values are compared by 64-bit hashes: of ten million rows two different ones have the same with a chance of 3 in a million. They are those
of this process (Python salts them) and never written down. 1, 1.0 and the number 1 among objects are one value up to 2^53; a time with a
zone is none without one; a text is no number.
"""

import datetime
import hashlib
import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jupyter_mlprod.core.arrays import nulls, plain_values
from jupyter_mlprod.core.expression import microseconds
from jupyter_mlprod.core.raw import Array
from jupyter_mlprod.core.scores import Floats, Ints
from jupyter_mlprod.core.values import is_null, moment

Hashes = NDArray[np.uint64]
Mask = NDArray[np.bool_]
NULL = np.uint64(0)
NUMBERS, WHOLE, TIMES, TIMES_UTC, TEXTS, OTHERS, ROWS = (np.uint64(tag) for tag in range(1, 8))
EXACT = 2**53
NO_MOMENT = np.iinfo(np.int64).min


def hashes(array: Array) -> Hashes:
    """(n,) hash of each value, 0 for null; of an array of more axes one for each row."""
    if array.ndim > 1:
        return _of_rows(array)
    match array.dtype.kind:
        case "f" | "b":
            return np.where(nulls(array), NULL, _numbered(array.astype(np.float64)))
        case "i" | "u":
            exact = np.less_equal(array, EXACT) & np.greater_equal(array, -EXACT if array.dtype.kind == "i" else 0)
            whole = _mixed(array.astype(np.uint64), WHOLE)
            return np.where(exact, _numbered(array.astype(np.float64)), whole)
        case "M":
            return np.where(np.isnat(array), NULL, _mixed(array.astype("M8[us]").view(np.int64).view(np.uint64), TIMES))
        case _:
            return _of_objects(plain_values(array))


def row_hashes(named: Mapping[str, Array], columns: Sequence[str]) -> Hashes:
    """(n,) hash of each row over the columns, in their order."""
    return combined(hashes(named[name]) for name in columns)


def combined(columns: Iterable[Hashes]) -> Hashes:
    """(n,) hash of each row, of the hashes of its columns in their order; there is at least one."""
    own = iter(columns)
    whole = _mixed(next(own), ROWS)
    for column in own:
        whole = _mixed(whole * np.uint64(3) + column, ROWS)
    return whole


def first_alike(rows: Hashes) -> Ints:
    """(n,) for each row the first row that is equal to it, which is itself where there is no earlier one."""
    _, first, inverse = np.unique(rows, return_index=True, return_inverse=True)
    return np.asarray(first[inverse])


def numbers(array: Array) -> Floats:
    """(n,) float64; NaN for null and for what is no number."""
    if array.dtype.kind in "fiub":
        return array.astype(np.float64)
    if array.dtype.kind != "O":
        return np.full(len(array), np.nan)
    return np.array([float(value) if is_number(value) else np.nan for value in plain_values(array)], np.float64)


def is_number(value: Any) -> bool:
    """Whether a plain value is a number that float64 can hold; a truth value is none."""
    return (isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**1000) or isinstance(value, float)


def moments(array: Array) -> Ints:
    """(n,) microseconds since 1970, of times with a zone in UTC; `NO_MOMENT` for null and for what is no time."""
    if array.dtype.kind == "M":
        return np.where(np.isnat(array), NO_MOMENT, array.astype("M8[us]").view(np.int64))
    found = [_moment(value) for value in plain_values(array)] if array.dtype.kind == "O" else [NO_MOMENT] * len(array)
    return np.array(found, np.int64)


def _moment(value: Any) -> int:
    if is_null(value) or not isinstance(value, datetime.date):
        return int(NO_MOMENT)
    return int(microseconds(moment(value)))


def _numbered(array: Floats) -> Hashes:
    return _mixed((array + 0).view(np.uint64), NUMBERS)  # -0.0 + 0 is 0.0


def _mixed(values: Hashes, tag: np.uint64 | Hashes) -> Hashes:
    """The finalizer of splitmix64 (Steele, Lea and Flood 2014)."""
    with np.errstate(over="ignore"):
        z = values + tag * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return np.asarray(z ^ (z >> np.uint64(31)))


def _of_objects(values: Sequence[Any]) -> Hashes:
    if set(map(type, values)) <= {str, type(None)}:  # by far the commonest, and ten times as fast
        texts = np.fromiter((0 if value is None else hash(value) for value in values), np.int64, count=len(values))
        gone = np.fromiter((value is None for value in values), np.bool_, count=len(values))
        return np.where(gone, NULL, _mixed(texts.view(np.uint64), TEXTS))
    found = [_bits(value) for value in values]
    bits = np.array([one for one, _ in found], np.uint64)
    tags = np.array([tag for _, tag in found], np.uint64)
    return np.where(tags == NULL, NULL, _mixed(bits, tags))


def _bits(value: Any) -> tuple[int, np.uint64]:
    """64 bits of a plain value, and the tag of what it is."""
    if is_null(value):
        return 0, NULL
    if isinstance(value, str):
        return hash(value) % 2**64, TEXTS  # that of bytes is the same
    if isinstance(value, float) or (isinstance(value, int) and abs(value) <= EXACT):
        return int.from_bytes(struct.pack("<d", value + 0.0), "little"), NUMBERS
    if isinstance(value, int):
        return value % 2**64, WHOLE
    if isinstance(value, datetime.date):
        aware = isinstance(value, datetime.datetime) and value.tzinfo is not None
        return _moment(value) % 2**64, TIMES_UTC if aware else TIMES
    try:
        return hash(value) % 2**64, OTHERS
    except TypeError:  # a list or an array among the objects
        return hash(repr(value)) % 2**64, OTHERS


def _of_rows(array: Array) -> Hashes:
    """A hash of the bytes of each row; -0.0 is made 0.0 before."""
    even: Array = np.add(array, 0, dtype=array.dtype) if array.dtype.kind == "f" else array
    found = [hashlib.blake2b(np.ascontiguousarray(row).tobytes(), digest_size=8).digest() for row in even]
    return np.frombuffer(b"".join(found), np.uint64).copy()
