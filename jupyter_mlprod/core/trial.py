"""Trials: the parts of an example at which a model and its bundle both answer.

One row, three and all of them; and for each dimension that is declared to vary, three rows cut to half of it, since a graph can be right
at one size and wrong at every other. Beyond the example lie the further trials, made by repeating what is there: twice the rows, twice the
dimension, one place of it. A model need not answer those. A trial's key is how both a reference answer and a measure's place name it.
"""

from collections.abc import Callable, Mapping

import msgspec
import numpy as np

from jupyter_mlprod.core.contract import Contract, Tensor
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.raw import Array, Raw, object_array, repeated, rows

Shapes = Mapping[str, tuple[int | str, ...]]
Axes = dict[str, list[tuple[str, int]]]
Answers = Mapping[str, Array]
BATCH = "batch"
MOST_BYTES = 256 << 20
"""Of the rows that are made for a size beyond the example."""
ADDED = 2
"""Places that a tokenizer adds to a text: one before and one behind it."""
TEXTS = "texts"
"""The dimension of a batch of texts: how often each stands one after the other."""


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """The first ``batch`` rows; with a dimension, its first ``size`` places. What there are too few of is repeated."""

    batch: int
    dimension: str = ""
    size: int = 0

    @property
    def key(self) -> str:
        return f"{self.batch}, {self.dimension} {self.size}" if self.dimension else str(self.batch)


def batch_sizes(n: int) -> tuple[int, ...]:
    """The batches that parity is taken at: 1, 3 and all rows."""
    return tuple(sorted({1, min(3, n), n}))


def trials(raw: Raw, shapes: Shapes) -> tuple[Trial, ...]:
    """The trials of an example, the whole of it last.

    Parameters
    ----------
    shapes : declared by name of an input; a name behind the first place is a dimension that may vary

    Raises
    ------
    MlprodError : ``bad-contract`` when the example does not have the shapes.
    """
    n = rows(raw)
    cuts = [Trial(batch=min(3, n), dimension=dimension, size=size // 2) for dimension, size in varying_sizes(raw, shapes).items()]
    return (*cuts, *(Trial(batch=batch) for batch in batch_sizes(n)))


def further(raw: Raw, shapes: Shapes) -> tuple[Trial, ...]:
    """Trials at sizes that the example does not have, which show a branch on a size that tracing has not seen."""
    n = rows(raw)
    few = min(3, n)
    found = [Trial(batch=2 * n)]
    for dimension, size in varying_sizes(raw, shapes).items():
        found += [Trial(batch=few, dimension=dimension, size=other) for other in (1, 2 * size) if other != size // 2]
    return (*found, Trial(batch=few, dimension=TEXTS, size=2)) if is_texts(raw) else tuple(found)


def ask_further(raw: Raw, shapes: Shapes, answer: Callable[[Trial], Answers]) -> tuple[dict[Trial, Answers], tuple[Trial, ...]]:
    """What a model answers at the further trials, and those at which it refuses to, or answers what is no number."""
    answers: dict[Trial, Answers] = {}
    refused = []
    for trial in further(raw, shapes):
        try:
            found = answer(trial)
        except MlprodError:
            refused.append(trial)
            continue
        if are_numbers(found):
            answers[trial] = found
        else:
            refused.append(trial)
    return answers, tuple(refused)


def are_numbers(answers: Answers) -> bool:
    """Whether no value of any answer is undefined; a class may be ruled out by an infinity."""
    return all(not bool(np.isnan(array).any()) for array in answers.values() if array.dtype.kind == "f")


def beyond(dimension: str, size: int, raw: Raw, shapes: Shapes, *, seen: int) -> Trial | None:
    """The trial at which a prepared dimension has a size that the example does not show, or None where no rows can be made for it.

    Parameters
    ----------
    dimension : the batch, one that is declared to vary, or one that the preprocessing makes of texts
    seen : the least size that the dimension had, of which a tokenizer may have added ``ADDED`` places itself
    """
    if dimension == BATCH:
        trial = Trial(batch=size)
    elif dimension in varying_sizes(raw, shapes):
        trial = Trial(batch=1, dimension=dimension, size=size)
    elif is_texts(raw) and size > seen:
        trial = Trial(batch=1, dimension=TEXTS, size=-(-size // max(1, seen - ADDED)))
    else:
        return None
    repeats = trial.batch / rows(raw) * max(1.0, trial.size / varying_sizes(raw, shapes).get(trial.dimension, 1))
    named = raw.values() if isinstance(raw, Mapping) else (raw,)
    return trial if trial.batch and repeats * sum(array.nbytes for array in named) <= MOST_BYTES else None


def taken(trial: Trial, raw: Raw, shapes: Shapes) -> Raw:
    """The rows of a trial."""
    piece = repeated(raw, trial.batch)
    if not trial.dimension:
        return piece
    if trial.dimension == TEXTS:
        return object_array([" ".join([str(text)] * trial.size) for text in np.asarray(piece)])
    made = dict(_named(piece, shapes))
    for name, axis in varying(raw, shapes)[trial.dimension]:
        made[name] = np.take(made[name], np.arange(trial.size) % made[name].shape[axis], axis=axis)
    return made if isinstance(piece, Mapping) else next(iter(made.values()))


def is_texts(raw: Raw) -> bool:
    """Whether a batch is one text a row."""
    return not isinstance(raw, Mapping) and raw.ndim == 1 and raw.dtype.kind in "UO"


def size_or_name(name: str, axis: int, found: Mapping[Trial, int], sizes: Mapping[str, int]) -> int | str:
    """The size of an axis: a number when all trials agree, else the dimension that it follows, else a name of its own.

    Parameters
    ----------
    found : the axis's size at each trial
    sizes : the whole example's size of each dimension that may vary
    """
    if len(set(found.values())) == 1:
        return next(iter(found.values()))
    for dimension, whole in sizes.items():
        if all(size == (trial.size if trial.dimension == dimension else whole) for trial, size in found.items()):
            return dimension
    return f"{name}_{axis}"


def shapes_of(contract: Contract) -> dict[str, tuple[int | str, ...]]:
    """The shapes that a contract declares."""
    return {field.name: field.shape for field in contract.inputs if isinstance(field, Tensor)}


def varying_sizes(raw: Raw, shapes: Shapes) -> dict[str, int]:
    """The example's size of each dimension that may vary."""
    return _sizes(_named(raw, shapes), varying(raw, shapes))


def varying(raw: Raw, shapes: Shapes) -> Axes:
    """Where each dimension that may vary stands: name → (input, axis).

    Raises
    ------
    MlprodError : ``bad-contract``.
    """
    found: Axes = {}
    for name, array in _named(raw, shapes).items():
        shape = shapes.get(name, ())
        if shape and len(shape) != array.ndim:
            what = f"[inputs.{name}] shape ({', '.join(map(str, shape))}) does not fit the example's {array.shape}"
            raise MlprodError(Code.BAD_CONTRACT, what)
        for axis, size in enumerate(shape):
            if axis and isinstance(size, str):
                if not size.isidentifier() or size == shape[0]:
                    what = f"[inputs.{name}] shape: {size!r} cannot name a dimension besides the batch"
                    raise MlprodError(Code.BAD_CONTRACT, what, hint="letters, digits and _, and another name than the batch's")
                found.setdefault(size, []).append((name, axis))
    _sizes(_named(raw, shapes), found)
    return found


def _sizes(named: Mapping[str, Array], axes: Axes) -> dict[str, int]:
    """The example's size of each dimension; half of it must be a size too."""
    sizes = {}
    for dimension, places in axes.items():
        found = {named[name].shape[axis] for name, axis in places}
        if len(found) > 1 or min(found) < 2:
            listed = " and ".join(map(str, sorted(found)))
            raise MlprodError(
                Code.BAD_CONTRACT,
                f"the example has the size {listed} where the contract says {dimension!r}",
                hint="a dimension that varies has one size, 2 or more, in the example",
            )
        sizes[dimension] = found.pop()
    return sizes


def _named(raw: Raw, shapes: Shapes) -> Mapping[str, Array]:
    """The arrays by name; one array alone has the only name that is declared."""
    if isinstance(raw, Mapping):
        return raw
    return {next(iter(shapes)) if len(shapes) == 1 else "": raw}
