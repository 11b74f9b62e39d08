"""How far two answers to the same rows are apart: the one measure of parity, replay and rebuild."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from jupyter_mlprod.core.raw import Array
from jupyter_mlprod.core.scores import Floats

Answers = Mapping[str, Array]
"""Output name → (n, ...)."""
Units = dict[int, Floats]
"""Axis → what a difference is measured in at each of its places; axis 0 with one place where an answer is one number."""


def broken_rows(ours: Answers, theirs: Answers) -> NDArray[np.bool_]:
    """The rows whose answers cannot be compared."""
    broken = np.zeros(len(next(iter(theirs.values()))), dtype=bool)
    for name, array in ours.items():
        if array.shape != theirs[name].shape or not array.size:
            broken[:] = True
        else:
            one, two = _flat(array), _flat(theirs[name])
            broken |= ~((np.isfinite(one) & np.isfinite(two)) | (one == two)).all(axis=1)
    return broken


def units_of(arrays: Sequence[Array]) -> Units:
    """By axis what a difference is measured in at each of its places: the greatest value there, or 1 where that is less.

    float32 has seven digits, whatever the unit of an answer is. Different places of the second axis, which are the columns of a table or
    the channels of a picture, are different quantities, and so are those of the third of sequences.
    """
    axes = {0: (), 1: (), 2: (1,), 3: (1, 2)}.get(arrays[0].ndim, (1,))
    units = {axis: np.ones(max(array.shape[axis] for array in arrays)) for axis in axes}
    for axis, unit in units.items():
        for array in arrays:
            places = np.abs(np.moveaxis(np.asarray(array, np.float64), axis, 0)).reshape(array.shape[axis], -1)
            highest = np.where(np.isfinite(places), places, 0.0).max(axis=1, initial=0.0)
            unit[: len(highest)] = np.maximum(unit[: len(highest)], highest)
    if not axes:
        units[0] = np.maximum(1.0, np.max([np.abs(array[np.isfinite(array)]).max(initial=0.0) for array in arrays], keepdims=True))
    return units


def row_gaps(ours: Array, theirs: Array, units: Units) -> Floats:
    """(n,) greatest difference of each row, in those units; infinite where it cannot be told."""
    one, two = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    unit = np.full((1,) * one.ndim, np.inf)
    for axis, places in units.items():
        shape = [1] * one.ndim
        shape[axis] = -1
        unit = np.minimum(unit, places[: one.shape[axis] if axis else 1].reshape(shape))
    with np.errstate(invalid="ignore"):  # an infinity less itself
        gap = np.where(one == two, 0.0, np.abs(one - two)) / unit
    return np.asarray(np.where(np.isnan(gap), np.inf, gap).reshape(len(one), -1).max(axis=1, initial=0.0))


def _flat(array: Array) -> Floats:
    return np.asarray(array, np.float64).reshape(len(array), -1)
