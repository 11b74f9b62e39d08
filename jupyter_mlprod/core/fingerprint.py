"""Fingerprints of values: equal for equal values in equal order, whatever file or library held them.

A column is cut into blocks of `BLOCK_ROWS`; the fingerprint is the sha256 of the blocks' sha256, so that a file can be read in pieces,
and two cores can share one array. Numbers are hashed as float64, because a CSV file knows no widths; an integer that float64 cannot
hold is hashed beside it.
"""

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jupyter_mlprod.core.raw import Array
from jupyter_mlprod.core.record import DIGEST_PREFIX

BLOCK_ROWS = 32_768
BLOCK_BYTES = 1 << 19
"""Of a tensor: what a core keeps near."""
EXACT = 2**53
"""Below it float64 holds every integer."""

Floats = NDArray[np.float64]


def block_rows(row_bytes: int) -> int:
    """Rows of a block of a tensor whose rows have this size; it depends on nothing else, so that the fingerprint does not either."""
    return min(BLOCK_ROWS, max(1, BLOCK_BYTES // max(1, row_bytes)))


def joined(kind: str, rows: int, blocks: Iterable[bytes]) -> str:
    """``sha256:…`` of a column out of its blocks."""
    hasher = hashlib.sha256(f"{kind}\0{rows}\0".encode())
    for block in blocks:
        hasher.update(block)
    return DIGEST_PREFIX + hasher.hexdigest()


def hashed(*parts: Any) -> bytes:
    """sha256 over buffers, each led by its size."""
    hasher = hashlib.sha256()
    for part in parts:
        view = memoryview(part)
        hasher.update(view.nbytes.to_bytes(8, "little"))
        if view.nbytes:
            hasher.update(view.cast("B"))
    return hasher.digest()


def numbers(values: Array, gone: NDArray[np.bool_] | None = None) -> tuple[Floats, bytes]:
    """Numbers as float64, and their block's hash.

    Parameters
    ----------
    values : (n,) of a float or integer type
    gone : (n,) what is null besides NaN

    Returns
    -------
    floats : (n,) every null is the same NaN, and there is no negative zero
    """
    floats = np.add(values, 0.0, dtype=np.float64)  # -0.0 + 0.0 is 0.0
    null = np.isnan(floats) if values.dtype.kind == "f" else np.zeros(len(values), dtype=bool)
    if gone is not None:
        null |= gone
    if null.any():
        floats[null] = np.nan
    return floats, hashed(floats.astype("<f8", copy=False), *_beside(values, floats))


def _beside(values: Array, floats: Floats) -> tuple[Array, ...]:
    """Positions and values of the integers that float64 does not hold; nothing, for nearly all data."""
    if values.dtype.kind == "f" or values.dtype.itemsize < 8 or _within(values, EXACT):
        return ()
    limit = float(2 ** (63 if values.dtype.kind == "i" else 64))
    fits = np.abs(floats) < limit
    back = np.where(fits, floats, 0.0).astype(values.dtype)
    odd = ~np.isnan(floats) & (~fits | (back != values))
    return (np.flatnonzero(odd).astype("<u4"), values[odd].astype(values.dtype.newbyteorder("<"))) if odd.any() else ()


def _within(values: Array, limit: int) -> bool:
    return bool(-limit < values.min(initial=0) and values.max(initial=0) < limit)


def strings(lengths: NDArray[np.int32], body: Any) -> bytes:
    """Hash of a block of strings: (n,) lengths in bytes, -1 for null, and their UTF-8 one after another."""
    return hashed(lengths.astype("<i4", copy=False), body)


def spelled(texts: Iterable[str | None]) -> bytes:
    """`strings` for strings of Python."""
    bodies = [None if text is None else text.encode("utf-8", "surrogatepass") for text in texts]
    lengths = np.array([-1 if body is None else len(body) for body in bodies], dtype=np.int32)
    return strings(lengths, b"".join(body for body in bodies if body is not None))


def tensor(values: Array) -> bytes:
    """Hash of a block of a tensor, in its own type: every NaN is the same, and there is no negative zero."""
    plain = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
    if plain.dtype.kind == "f":
        plain = np.add(plain, plain.dtype.type(0))
        gone = np.isnan(plain)
        if gone.any():
            plain[gone] = np.nan
    return hashed(plain)
