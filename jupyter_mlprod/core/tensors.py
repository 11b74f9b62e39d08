"""Tensors against a contract, whole batches and single requests alike: vectorised, and quick to say that all is well.

A tensor is compared in its own type. What stands after *dtype* and *shape* makes sense only where both hold, so it is asked only then;
how many demands were asked is part of the answer. That all is well is asked first, by code made once for a contract: the limits of floats
are compared by their bits, because the bits of floats of one sign ascend as the floats do, and integers need no look at NaN.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from jupyter_mlprod.core.conformance import MOST_EXAMPLES
from jupyter_mlprod.core.contract import Tensor
from jupyter_mlprod.core.demands import FLOAT_EXACT, Check, Demand, TensorPlan
from jupyter_mlprod.core.raw import Array

SUM_SLACK = 1e-3
"""How far the sum of a row may be off: half precision rounds."""
COLOR_CHANNELS = (1, 3, 4)
VALUES: tuple[Check, ...] = ("finite", "low", "high", "sum")
"""The demands on single values, or on those of a row."""
PART_VALUES = 1 << 22
"""Of which a mask is made at once."""

Mask = NDArray[np.bool_]


class BrokenRows(msgspec.Struct, frozen=True, kw_only=True):
    """A demand on a tensor that is broken.

    Attributes
    ----------
    bad : (rows,) the rows that break it; None where the tensor as a whole does
    places : of the first three rows, where in the row the first such value stands, and that value
    what : a sentence about the tensor as a whole
    """

    demand: Demand
    bad: Mask | None
    places: tuple[tuple[tuple[int, ...], Any], ...] = ()
    what: str = ""


class TensorChecker:
    """The tensors of a plan, made ready; made once for a contract."""

    def __init__(self, plans: tuple[TensorPlan, ...]) -> None:
        self.plans = plans
        self.ready = [(plan, Form(plan.tensor), fine_values(plan.tensor)) for plan in plans]

    def check(self, named: Mapping[str, Array]) -> tuple[int, list[BrokenRows]]:
        """How many demands were asked, and which are broken; a named dimension is equal wherever it appears."""
        dims: dict[str, int] = {}
        checks, broken = 0, []
        for plan, form, fine in self.ready:
            array = named.get(plan.tensor.name)
            if array is None:
                checks += 1
                broken.append(BrokenRows(demand=plan.demands["present"], bad=None, what=plan.demands["present"].what))
            elif form.fits(array) and form.agrees(array, dims) and fine(array):
                checks += len(plan.demands)
            else:
                for found in _check(plan, array, dims):
                    checks += 1
                    if found is not None:
                        broken.append(found)
        return checks, broken


class Form:
    """Type and shape of a tensor, to be asked in one go."""

    def __init__(self, tensor: Tensor) -> None:
        self.dtype = np.dtype(tensor.dtype)
        self.rank = len(tensor.shape)
        self.tail = tensor.shape[1:]
        self.fixed = all(isinstance(size, int) for size in self.tail)
        self.sizes = [(axis, size) for axis, size in enumerate(tensor.shape) if isinstance(size, int)]
        self.names = [(axis, name) for axis, name in enumerate(tensor.shape) if isinstance(name, str)]
        self.layout = tensor if tensor.layout else None

    def fits(self, array: Array) -> bool:
        """Whether type and number of axes are those, and all sizes that have no name; False too for a type that can be cast."""
        shape = array.shape
        if array.dtype is not self.dtype or len(shape) != self.rank:
            return False
        if self.fixed:  # axis 0 has a name
            return shape[1:] == self.tail
        return all(shape[axis] == size for axis, size in self.sizes)

    def agrees(self, array: Array, dims: dict[str, int]) -> bool:
        """Whether the sizes that have a name are what that name stands for so far, and the channels those of the layout."""
        shape = array.shape
        for axis, name in self.names:
            if dims.setdefault(name, shape[axis]) != shape[axis]:
                return False
        return self.layout is None or _channels_fit(self.layout, shape)


def check_tensors(plans: tuple[TensorPlan, ...], named: Mapping[str, Array]) -> tuple[int, list[BrokenRows]]:
    """Hold tensors against a plan once; see `TensorChecker.check`."""
    return TensorChecker(plans).check(named)


def fine_values(tensor: Tensor) -> Callable[[Array], bool]:
    """What says whether all demands on the values of a tensor of this type surely hold; False where a closer look is needed to know."""
    kind = np.dtype(tensor.dtype)
    limited = tensor.low is not None or tensor.high is not None
    if kind.kind != "f" or not tensor.finite or not limited or tensor.sum_to is not msgspec.UNSET:
        return lambda array: surely_fine(tensor, array)
    most = np.finfo(kind)
    with np.errstate(over="ignore"):  # a limit that the type cannot hold is beyond all finite values
        low = max(most.min, most.min if tensor.low is None else kind.type(tensor.low))
        high = min(most.max, most.max if tensor.high is None else kind.type(tensor.high))
    if low > 0 or high < 0:
        return lambda array: surely_fine(tensor, array)
    plain, signed = np.dtype(f"u{kind.itemsize}"), np.dtype(f"i{kind.itemsize}")
    top = int(np.array(high + 0.0, kind).view(plain))
    bottom = int(np.array(-abs(low), kind).view(plain))  # of a limit of 0 the bits of -0.0, which is 0

    def fine(array: Array) -> bool:
        if not array.size:
            return False
        greatest = array.view(plain).max()
        within = greatest <= top or (greatest <= bottom and array.view(signed).max() <= top)
        return bool(within) or surely_fine(tensor, array)

    return fine


def surely_fine(tensor: Tensor, array: Array) -> bool:
    """Whether all demands on values hold: one pass for the limits, which NaN and infinity break too, or one product without limits."""
    floats = array.dtype.kind == "f"
    if not array.size or (floats and tensor.sum_to is not msgspec.UNSET):
        return False
    if tensor.low is None and tensor.high is None:
        if not (floats and tensor.finite):
            return True
        flat = array.reshape(-1)
        with np.errstate(over="ignore", invalid="ignore"):
            return math.isfinite(float(np.dot(flat, flat)))
    least, most = array.min(), array.max()
    if floats and tensor.finite and not (math.isfinite(least) and math.isfinite(most)):
        return False
    with np.errstate(over="ignore"):  # a limit that float16 cannot hold becomes infinity
        return bool((tensor.low is None or least >= tensor.low) and (tensor.high is None or most <= tensor.high))


def _check(plan: TensorPlan, array: Array, dims: dict[str, int]) -> Iterator[BrokenRows | None]:
    """Demands on one tensor, in the order in which a later one makes sense only after the earlier."""
    tensor, demands = plan.tensor, plan.demands
    yield None  # it is present
    wanted = np.dtype(tensor.dtype)
    if not _kinds_fit(array.dtype, wanted):
        what = f"{_word(demands['dtype'])} has dtype {array.dtype}, contract says {tensor.dtype}"
        yield BrokenRows(demand=demands["dtype"], bad=None, what=what)
        return
    narrower = wanted.kind in "fiu" and array.dtype != wanted and not _holds(array.dtype, wanted)
    if not narrower:
        yield None
    if not _fits(tensor.shape, array.shape, dims):
        what = f"{_word(demands['shape'])} has shape {array.shape}, contract says ({', '.join(map(str, tensor.shape))})"
        yield BrokenRows(demand=demands["shape"], bad=None, what=what)
        return
    yield None
    if "layout" in demands:
        yield None if _channels_fit(tensor, array.shape) else BrokenRows(demand=demands["layout"], bad=None, what=demands["layout"].what)
    asked = [check for check in VALUES if check in demands]
    if not narrower and surely_fine(tensor, array):
        yield from (None for _ in asked)
        return
    flat: Any = array.reshape(len(array), math.prod(array.shape[1:]))
    if narrower:
        least, most = _extent(wanted, of=array.dtype)
        yield _broken(demands["dtype"], array, flat, lambda part: np.isfinite(part) & ((part < least) | (part > most)))
    for check in asked:
        yield _broken(demands[check], array, flat, partial(_bad_values, tensor, check))


def broken_values(plan: TensorPlan, array: Array) -> Iterator[BrokenRows]:
    """The demands on values that a tensor breaks, whatever its type and shape."""
    asked = [check for check in VALUES if check in plan.demands]
    if not asked or array.dtype.kind not in "fiub" or surely_fine(plan.tensor, array):
        return
    flat = array.reshape(len(array), math.prod(array.shape[1:]))
    for check in asked:
        found = _broken(plan.demands[check], array, flat, partial(_bad_values, plan.tensor, check))
        if found is not None:
            yield found


def _bad_values(tensor: Tensor, check: str, flat: Any) -> Mask:
    """(rows, values) or, for a sum, (rows, 1)."""
    with np.errstate(over="ignore", invalid="ignore"):
        match check:
            case "finite":
                return np.asarray(~np.isfinite(flat)) if flat.dtype.kind == "f" else np.zeros(flat.shape, bool)
            case "low":
                return np.asarray(flat < tensor.low)
            case "high":
                return np.asarray(flat > tensor.high)
            case _:
                off = np.abs(flat.astype(np.float64).sum(axis=1, keepdims=True) - float(tensor.sum_to or 0.0))
                return np.asarray(~(off <= SUM_SLACK))


def _broken(demand: Demand, array: Array, flat: Any, bad_in: Callable[[Any], Mask]) -> BrokenRows | None:
    """``bad_in`` is asked of a part of the rows after the other, so that what lies in a file needs no memory of its size."""
    step = max(1, PART_VALUES // max(1, flat.shape[1]))
    parts = [bad_in(flat[at : at + step]).any(axis=1) for at in range(0, len(flat), step)]
    rows: Mask = np.concatenate(parts) if parts else np.zeros(0, bool)
    if not rows.any():
        return None
    places: list[tuple[tuple[int, ...], Any]] = []
    for row in np.flatnonzero(rows)[:MOST_EXAMPLES]:
        bad = bad_in(flat[row : row + 1])
        if bad.shape[1] == 1 and array[row].size != 1:
            places.append(((), float(array[row].astype(np.float64).sum())))
        else:
            index = np.unravel_index(int(bad[0].argmax()), array.shape[1:])
            places.append((tuple(map(int, index)), array[row][index].item()))
    return BrokenRows(demand=demand, bad=rows, places=tuple(places))


def _word(demand: Demand) -> str:
    return demand.what.partition(" does not ")[0]


def _kinds_fit(given: np.dtype[Any], wanted: np.dtype[Any]) -> bool:
    """Whether a cast could keep every value: no fraction to an integer, no truth value to or from a number."""
    return given.kind in "fiub" and not (wanted.kind != "f" and given.kind == "f") and (wanted.kind == "b") == (given.kind == "b")


def _holds(given: np.dtype[Any], wanted: np.dtype[Any]) -> bool:
    """Whether every number of a type is one of another; numpy says so of integers of 64 bits and float64, which has those to 2^53."""
    return np.can_cast(given, wanted) and not (wanted == np.float64 and given.kind in "iu" and given.itemsize == 8)


def _extent(kind: np.dtype[Any], *, of: np.dtype[Any]) -> tuple[float, float]:
    """The least and the greatest number of a type; beyond them a cast wraps round, becomes infinite, or rounds integers in float64."""
    if kind.kind != "f":
        return int(np.iinfo(kind).min), int(np.iinfo(kind).max)
    most = FLOAT_EXACT if kind == np.float64 and of.kind in "iu" else float(np.finfo(kind).max)
    return -most, most


def _fits(wanted: tuple[int | str, ...], shape: tuple[int, ...], dims: dict[str, int]) -> bool:
    if len(wanted) != len(shape):
        return False
    return all(size == (dims.setdefault(want, size) if isinstance(want, str) else want) for want, size in zip(wanted, shape, strict=True))


def _channels_fit(tensor: Tensor, shape: tuple[int, ...]) -> bool:
    size = shape[str(tensor.layout).index("C")]
    return size == len(tensor.channels) if tensor.channels else size in COLOR_CHANNELS
