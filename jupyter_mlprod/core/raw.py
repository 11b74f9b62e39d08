"""A raw batch: what a request holds before any preprocessing. One array, or a mapping of names to arrays of equal length."""

import datetime
import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from jupyter_mlprod.core.mixed import MIXED, from_json
from jupyter_mlprod.core.npy import ENDS, UTF8

Array = NDArray[np.generic]
Raw = Array | Mapping[str, Array]


def rows(raw: Raw) -> int:
    """How many rows a batch has; 0 for an empty mapping or a scalar."""
    first = next(iter(raw.values()), None) if isinstance(raw, Mapping) else raw
    return 0 if first is None or first.ndim == 0 else len(first)


def part(raw: Raw, start: int, stop: int) -> Raw:
    """Rows ``start`` to ``stop``."""
    if isinstance(raw, Mapping):
        return {name: array[start:stop] for name, array in raw.items()}
    return raw[start:stop]


def repeated(raw: Raw, n: int) -> Raw:
    """A batch of ``n`` rows, repeating the given ones in order."""
    index = np.arange(n) % rows(raw)
    if isinstance(raw, Mapping):
        return {name: array[index] for name, array in raw.items()}
    return raw[index]


def raw_digest(raw: Raw) -> str:
    """sha256 over names, types, shapes and values, equal for equal data whatever file held it."""
    hasher = hashlib.sha256()
    named = raw if isinstance(raw, Mapping) else {"": raw}
    for name, array in named.items():
        values = np.ascontiguousarray(array)
        if values.dtype.kind in "OU":
            body = json.dumps(values.tolist(), default=str).encode("utf-8", "surrogatepass")
            kind = "text"
        else:
            body, kind = values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes(), values.dtype.newbyteorder("<").str
        hasher.update(f"{name}\0{kind}\0{array.shape}\0{len(body)}\0".encode())
        hasher.update(body)
    return f"sha256:{hasher.hexdigest()}"


NULL = "null/"
"""An array of this prefix is the null mask of the column it names, because files here hold no pickled None."""
UTC = "utc/"
"""An array of this prefix is a column of moments with a zone, in UTC, because numpy's times have none."""


def as_bytes(texts: Array) -> tuple[Array, Array]:
    """(bytes,) uint8 and (n,) int64 of strings; half a surrogate pair is kept, so that a check can find it."""
    encoded = [text.encode("utf-8", "surrogatepass") for text in texts.tolist()]
    ends = np.cumsum([len(text) for text in encoded], dtype=np.int64)
    return np.frombuffer(b"".join(encoded), np.uint8), ends


def _as_texts(data: Array, ends: Array) -> Array:
    """The strings of `as_bytes`, or a ValueError when the ends are none of these bytes."""
    if data.dtype != np.uint8 or ends.dtype.kind not in "iu" or data.ndim != 1 or ends.ndim != 1:
        raise ValueError("the texts are no bytes, or their ends no numbers")
    stops = ends.astype(np.int64)
    if (np.diff(stops) < 0).any():
        raise ValueError("the ends of the texts are out of order")
    if len(stops) and (stops[0] < 0 or stops[-1] != len(data)):
        raise ValueError("the texts end elsewhere than their bytes")
    whole, starts = data.tobytes(), [0, *stops.tolist()]
    texts = [whole[start:stop].decode("utf-8", "surrogatepass") for start, stop in itertools.pairwise(starts)]
    return object_array(texts)


def _as_moments(stored: Array) -> Array:
    """(n,) datetimes with the zone UTC, None for NaT, or a ValueError when they are no times."""
    if stored.dtype.kind != "M" or stored.ndim != 1:
        raise ValueError("the moments are no times")
    values = stored.astype("M8[us]").tolist()
    if any(isinstance(value, int) for value in values):
        raise ValueError("a moment lies outside the years 1 to 9999")
    return object_array([None if value is None else value.replace(tzinfo=datetime.UTC) for value in values])


def object_array(values: Sequence[object]) -> Array:
    """(n,) object array, whatever the values are."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def with_nulls(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Arrays as stored, texts put together, moments given their zone, values of several types read, and null masks applied: a masked value
    is None in an object array.

    Raises
    ------
    ValueError : texts that do not fit together, or that are no values.
    """
    columns: dict[str, Array] = {}
    for stored, array in arrays.items():
        if stored.startswith((NULL, ENDS)):
            continue
        if stored.startswith(UTC):
            columns[stored.removeprefix(UTC)] = _as_moments(array)
            continue
        name = stored.removeprefix(UTF8)
        if stored.startswith(UTF8) and ENDS + name not in arrays:
            raise ValueError("texts without their ends")
        column = _as_texts(array, arrays[ENDS + name]) if stored.startswith(UTF8) else array
        if NULL + name in arrays:
            gone = arrays[NULL + name].astype(bool)
            column = object_array([None if null else value for null, value in zip(gone, column.tolist(), strict=True)])
        columns[name.removeprefix(MIXED)] = _as_values(column) if name.startswith(MIXED) else column
    return columns


def _as_values(texts: Array) -> Array:
    if texts.ndim != 1 or texts.dtype.kind not in "OU":
        raise ValueError("values of several types are no texts")
    return object_array([from_json(text) for text in texts.tolist()])
