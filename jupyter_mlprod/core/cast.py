"""Numbers on their way into a graph: of its type, or refused.

A cast in numpy never complains: 300 becomes 44 in an uint8, 1.75 becomes 1, and what was asked is no longer what is answered. Only the
rounding of float32 is what a model expects of its inputs.
"""

import numpy as np
from numpy.typing import DTypeLike

from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.raw import Array


def cast(name: str, array: Array, to: DTypeLike, *, tell: bool) -> Array:
    """An array as a graph takes it.

    Parameters
    ----------
    name : of the input
    array : prepared numbers; None among objects is not a number
    tell : whether the value may be told that does not fit

    Raises
    ------
    MlprodError : ``preprocess`` for texts, and where an integer would change, a fraction would be dropped, or a number would become
        infinite.
    """
    kind = np.dtype(to)
    if array.dtype == kind:
        return np.ascontiguousarray(array)
    numbers = _numbers(name, array)
    with np.errstate(invalid="ignore", over="ignore"):
        made: Array = np.ascontiguousarray(numbers, dtype=kind)
    other = np.isinf(made) & np.isfinite(numbers) if kind.kind == "f" else np.asarray(made != numbers)
    if other.any():
        place = tuple(int(axis) for axis in np.argwhere(other)[0])
        value = f"is prepared as {numbers[place]} at {place}" if tell else f"has a value at {place}"
        what = f"{name!r} {value}, which the graph's {kind} cannot hold; the cast would make another number of it"
        raise MlprodError(Code.PREPROCESS, what, hint="give numbers of that type, or let --preprocess round, scale or refuse them")
    return made


def _numbers(name: str, array: Array) -> Array:
    """The array, objects in it as the numbers that they are."""
    if array.dtype.kind in "fiub":
        return array
    try:
        if array.dtype.kind == "O":
            return np.asarray(array, np.float64)
    except (TypeError, ValueError):
        pass
    what = f"{name!r} is prepared as {array.dtype}, and a graph takes numbers"
    raise MlprodError(Code.PREPROCESS, what, hint="let --preprocess turn it into numbers")
