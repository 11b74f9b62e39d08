"""Suggestions for a tensor or a text: limits, the layout of images, probabilities among outputs, the length of texts.

Which of red and blue comes first cannot be seen in pixels, so the order of channels is a remark and never a value.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from jupyter_mlprod.core.arrays import plain_values
from jupyter_mlprod.core.contract import Column, Tensor, Text, is_personal
from jupyter_mlprod.core.raw import Array
from jupyter_mlprod.core.reference import sampled_rows
from jupyter_mlprod.core.suggest_columns import LENGTHS, rounded
from jupyter_mlprod.core.suggest_personal import is_withheld, personal_proposal
from jupyter_mlprod.core.suggestion import FEWEST_ROWS, Proposal, Seen, number
from jupyter_mlprod.core.tensors import COLOR_CHANNELS, SUM_SLACK

MOST_VALUES = 1 << 24
"""Limits of a larger tensor are those of a sample of its rows."""


def of_input_tensor(tensor: Tensor, array: Array) -> Iterator[Proposal]:
    """What the values of an input would let a person declare."""
    if array.dtype.kind not in "fiu" or not array.size:
        return
    guess = personal_proposal(tensor.name, (), kind="tensor")
    if guess is not None:
        yield guess
    yield from _image(array)
    values, seen = _sampled(array)
    if array.dtype.kind == "f" and values.size < values_of(seen, array):
        gone = 1 - values.size / values_of(seen, array)
        yield Proposal(what="finite", values={}, sentence=f"NaN or infinity in {seen.words}: finite = false would let it pass", share=gone)
    withheld = is_personal(tensor) or (guess is not None and not tensor.pii)
    if not withheld and len(array) >= FEWEST_ROWS and values.size and not _is_whole_type(array):
        yield from _limits(values, seen, whole=array.dtype.kind in "iu")


def values_of(seen: Seen, array: Array) -> int:
    """How many values were looked at."""
    return seen.looked_at * (array.size // len(array))


def _sampled(array: Array) -> tuple[Any, Seen]:
    """The finite values, of all rows where there are not too many."""
    picked = sampled_rows(len(array), width=array.size // len(array)) if array.size > MOST_VALUES else None
    chosen = array if picked is None else array[picked]
    flat = chosen.reshape(-1)
    finite = flat[np.isfinite(flat)] if array.dtype.kind == "f" else flat
    return finite, Seen(rows=len(array), looked_at=len(chosen))


def _is_whole_type(array: Array) -> bool:
    """Bytes use all of their range, so that a limit would say nothing."""
    return array.dtype == np.uint8 and int(array.max()) > 200


def _limits(values: Any, seen: Seen, *, whole: bool) -> Iterator[Proposal]:
    least, most = float(values.min()), float(values.max())
    if least == most:
        yield Proposal(what="constant", values={}, sentence=f"every value of {seen.words} is {number(least)}")
        return
    low, high = rounded(least, most, whole=whole)
    for edge in (1, 255):
        if least >= 0 and 0.5 * edge <= most <= edge:
            low, high = 0, edge
    sentence = f"all values of {seen.words} lie within {number(low)} … {number(high)}"
    yield Proposal(what="range", values={"low": low, "high": high}, sentence=sentence)


def _image(array: Array) -> Iterator[Proposal]:
    if array.ndim != 4 or array.dtype.kind not in "fu":
        return
    first, last = (array.shape[axis] in COLOR_CHANNELS for axis in (1, 3))
    if first == last:
        return
    axis, layout = (1, "NCHW") if first else (3, "NHWC")
    yield Proposal(what="layout", values={"layout": layout}, sentence=f"images of {array.shape[axis]} channels, which stand on axis {axis}")
    if array.shape[axis] == 3:
        yield Proposal(what="channels", values={}, sentence='whether red or blue comes first cannot be seen: say channels = "RGB" or "BGR"')


def of_output_tensor(array: Array) -> Iterator[Proposal]:
    """What the values of an output would let a person declare: probabilities, else limits."""
    if array.dtype.kind not in "fiu" or not array.size or len(array) < FEWEST_ROWS:
        return
    values, seen = _sampled(array)
    if array.ndim == 2 and array.shape[1] > 1 and array.dtype.kind == "f" and values.size == values_of(seen, array):
        sums = values.reshape(seen.looked_at, -1).astype(np.float64).sum(axis=1)
        if values.min() >= 0 and (np.abs(sums - 1) <= SUM_SLACK).all():
            sentence = f"all of {seen.words} sum to 1, within 0 … 1"
            yield Proposal(what="probabilities", values={"sum_to": 1, "low": 0, "high": 1}, sentence=sentence)
            return
    if values.size:
        yield from _limits(values, seen, whole=array.dtype.kind in "iu")


def of_text(field: Text, array: Array) -> Iterator[Proposal]:
    """What the texts would let a person declare."""
    if array.ndim != 1 or not len(array):
        return
    picked = sampled_rows(len(array), width=1)
    texts = [value for value in plain_values(array[picked]) if isinstance(value, str)]
    guess = personal_proposal(field.name, texts, kind="string")
    if guess is not None:
        yield guess
    column = Column(name=field.name, type="string", pii=field.pii)
    if texts and len(array) >= FEWEST_ROWS and not is_withheld(column, guess):
        most = max(map(len, texts))
        longest = next((length for length in LENGTHS if length >= most), most)
        seen = Seen(rows=len(array), looked_at=len(picked))
        yield Proposal(what="length", values={"longest": longest}, sentence=f"no text of {seen.words} is longer than {most:,} characters")
