"""A raw batch: what a request holds before any preprocessing. One array, or a mapping of names to arrays of equal length."""

import hashlib
import json
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

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


def with_nulls(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Arrays as stored, with their null masks applied: a masked value becomes None in an object array."""
    columns: dict[str, Array] = {}
    for name, array in arrays.items():
        if name.startswith(NULL):
            continue
        column = array
        if NULL + name in arrays:
            gone = arrays[NULL + name].astype(bool)
            column = np.array([None if null else value for null, value in zip(gone, array.tolist(), strict=True)], dtype=object)
        columns[name] = column
    return columns
