"""Whether tensors and arrays lie apart in memory: two that share an element would come back as two, and be trained apart.

Where they lie is told by addresses alone, so that memory of any device is compared and none is read. Columns of one table overlap in
extent and share no element: only then is it looked at element by element.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from jupyter_mlprod.core.source_class import UnwritableError

MOST_WORK = 1_000_000
"""Steps of the exact answer, which is rarely long to find; what takes longer counts as shared."""


class Extent(msgspec.Struct, frozen=True, kw_only=True):
    """Where the elements of a tensor or an array lie.

    Attributes
    ----------
    owner : the value itself, which is held so that nothing else takes its place
    start : address of its first element
    width : bytes of an element
    shape, steps : of each dimension, its size and how many bytes lie between two of its elements
    """

    path: str
    owner: Any
    device: str
    start: int
    width: int
    shape: tuple[int, ...]
    steps: tuple[int, ...]

    @property
    def first(self) -> int:
        """The lowest address; a step may be negative."""
        return self.start + sum(min(0, (size - 1) * step) for size, step in zip(self.shape, self.steps, strict=True))

    @property
    def end(self) -> int:
        """The address behind the highest one."""
        return self.start + self.width + sum(max(0, (size - 1) * step) for size, step in zip(self.shape, self.steps, strict=True))


def demand_apart(extents: Sequence[Extent]) -> None:
    """Refuse two that share an element.

    Raises
    ------
    UnwritableError : naming both, the later one first.
    """
    order = {id(extent): number for number, extent in enumerate(extents)}
    open_ones: list[Extent] = []
    for extent in sorted((one for one in extents if 0 not in one.shape), key=lambda one: (one.device, one.first)):
        open_ones = [one for one in open_ones if one.device == extent.device and one.end > extent.first]
        for other in open_ones:
            if _share(other, extent):
                early, late = sorted((other, extent), key=lambda one: order[id(one)])
                raise UnwritableError(
                    f"{late.path} shares its memory with {early.path} without being the same tensor, and would come apart"
                )
        open_ones.append(extent)


def _share(one: Extent, two: Extent) -> bool:
    """Whether an element of both lies in the same place, asked of views of nothing: only their addresses count."""
    low = min(one.first, two.first)
    blank = np.empty(max(one.end, two.end) - low, dtype=np.uint8)  # takes no memory before it is written to
    first, second = (np.ndarray((*at.shape, at.width), np.uint8, blank, offset=at.start - low, strides=(*at.steps, 1)) for at in (one, two))
    try:
        return np.shares_memory(first, second, max_work=MOST_WORK)  # type: ignore[arg-type]  # numpy takes any number
    except (np.exceptions.TooHardError, MemoryError):
        return True
