"""The two ends of an answer: from the raw batch to what the graph takes, and from what it gives to label and confidence.

Packaging and serving both go through here, so that neither can prepare or decide differently from the other.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import numpy as np

from jupyter_mlprod.core.arrays import served
from jupyter_mlprod.core.bundle import Bundle, Normalization
from jupyter_mlprod.core.cast import cast
from jupyter_mlprod.core.contract import Column, Contract, Input
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.raw import Array, Raw
from jupyter_mlprod.core.scores import Floats, Ints, probabilities, tempered

LABEL = "label"
CONFIDENCE = "confidence"
PROBABILITY_SLACK = 1e-3
"""How far outside 0 to 1 a probability may lie: half precision rounds."""
COLUMN_TYPES = {"float": np.float64, "int": np.int64, "bool": np.bool_}


class Ends(msgspec.Struct, frozen=True, kw_only=True):
    """What stands before and behind the graph; a function that is None is not there."""

    preprocess: Callable[[Any], Any] | None = None
    postprocess: Callable[[Any], Any] | None = None
    normalization: Mapping[str, Normalization] = {}


def graph_inputs(ends: Ends, raw: Raw, names: list[str], *, tell: bool) -> dict[str, Array]:
    """What the graph takes, from the raw serving view: preprocessing, which gets texts as a list of str, then normalization.

    Parameters
    ----------
    names : inputs of the graph
    tell : whether an exception's own words may be told; they may quote a value of the data

    Raises
    ------
    MlprodError : ``preprocess`` when the function fails or its result does not fit the graph, ``bad-request`` when the normalization
        does not.
    """
    inputs = prepared_inputs(preprocessed(ends, raw, tell=tell), names)
    for name, normalization in ends.normalization.items():
        if name in inputs:
            inputs[name] = _normalized(name, inputs[name], normalization)
    return inputs


def preprocessed(ends: Ends, raw: Raw, *, tell: bool) -> Any:
    """What the preprocessing makes of the raw serving view; it gets a copy, texts as a list of str, columns as `served` has them."""
    if isinstance(raw, Mapping):
        raw = {name: served(array) for name, array in raw.items()}
    return raw if ends.preprocess is None else called(ends.preprocess, _own_copy(raw), tell=tell)


def _own_copy(raw: Raw) -> Any:
    """What a function may change without changing the rows that others will see; texts as a list of str."""
    if isinstance(raw, Mapping):
        return {name: array.copy() for name, array in raw.items()}
    return [str(text) for text in raw] if raw.ndim == 1 and raw.dtype.kind in "UO" else raw.copy()


def _normalized(name: str, array: Array, by: Normalization) -> Array:
    """Computed in float32, as torch would; a statistic a channel applies to axis 1."""
    channels = array.shape[1] if array.ndim > 1 else 1
    if len(by.mean) not in (1, channels):
        what = f"--normalize has {len(by.mean)} statistics for {name!r}, which is prepared with shape {array.shape}"
        raise MlprodError(Code.BAD_REQUEST, what, hint=f"give one, or one for each index of axis 1, here {channels}")
    shape = (1, -1) + (1,) * (array.ndim - 2) if len(by.mean) > 1 else (1,)
    mean, std = np.asarray(by.mean, np.float32).reshape(shape), np.asarray(by.std, np.float32).reshape(shape)
    normalized: Array = (cast(name, array, np.float32, tell=False).astype(np.float32) - mean) / std
    return normalized


def final_outputs(ends: Ends, outputs: dict[str, Array], *, tell: bool) -> dict[str, Array]:
    """The outputs of the contract, from what the graph gave.

    Raises
    ------
    MlprodError : ``postprocess`` when the function fails or returns no mapping of name to array.
    """
    if ends.postprocess is None:
        return outputs
    result = called(ends.postprocess, _own_copy(outputs), tell=tell, code=Code.POSTPROCESS)
    if not isinstance(result, Mapping):
        result = {"output": result}
    return {str(name): np.asarray(array) for name, array in result.items()}


def scores_of(bundle: Bundle, outputs: Mapping[str, Array]) -> Array:
    """The first output in the contract's order."""
    return outputs[bundle.contract.outputs[0].name]


def class_probabilities(bundle: Bundle, outputs: Mapping[str, Array]) -> Floats:
    """(batch, classes) float64."""
    found = probabilities(scores_of(bundle, outputs).astype(np.float64), are=bundle.scores)
    return tempered(found, bundle.operating_point.temperature) if bundle.operating_point else found


def decide(bundle: Bundle, outputs: Mapping[str, Array]) -> dict[str, Array]:
    """Outputs, led by ``label`` and ``confidence`` when the bundle has labels.

    ``confidence`` is the probability of the label; of the most probable one where the operating point answers none of them.
    """
    if not bundle.labels:
        return dict(outputs)
    probability = class_probabilities(bundle, outputs)
    chosen = decided(bundle, probability)
    otherwise = bundle.operating_point.otherwise if bundle.operating_point else ""
    labels = np.array([*bundle.labels, otherwise])[chosen]  # the last one is that of an index of -1
    shown = np.where(chosen < 0, probability.argmax(axis=1), chosen)
    return {LABEL: labels, CONFIDENCE: probability[np.arange(len(shown)), shown].astype(np.float32), **outputs}


def demand_scores(bundle: Bundle, outputs: Mapping[str, Array]) -> None:
    """Refuse to name a label for scores that are none. A single class may be ruled out by a logit of minus infinity.

    Raises
    ------
    MlprodError : ``no-answer`` with the number of such rows, and the first.
    """
    if not bundle.labels:
        return
    scores = scores_of(bundle, outputs).astype(np.float64)
    scores = scores.reshape(len(scores), -1)
    if bundle.scores == "probabilities":
        broken = ~((scores >= -PROBABILITY_SLACK) & (scores <= 1 + PROBABILITY_SLACK)).all(axis=1)
        found, hint = "no probabilities", "if they are logits, package the model with --scores logits"
    else:
        broken = ~np.isfinite(scores.max(axis=1))
        found, hint = "not finite", "look at what the model makes of that row"
    if broken.any():
        first = int(broken.argmax())
        what = f"the scores of {bundle.name} are {found} in {int(broken.sum())} of {len(scores)} rows, first in row {first}"
        raise MlprodError(Code.NO_ANSWER, f"{what}: {', '.join(f'{score:g}' for score in scores[first][:5])}", hint=hint)


def decided(bundle: Bundle, probability: Floats) -> Ints:
    """(n,) index of the label that is answered, -1 for none of them.

    Without an operating point the most probable label. With one: of the labels that reach their threshold the one that exceeds it by the
    greatest factor; else the most probable of those without a threshold; else ``otherwise``.
    """
    point = bundle.operating_point
    if not point or not point.thresholds:
        return np.asarray(probability.argmax(axis=1))
    limits = np.array([point.thresholds.get(label, np.inf) for label in bundle.labels])
    reached, free = probability >= limits, np.isinf(limits)
    factor = np.where(reached, probability / limits, -1.0)
    fallback = np.where(free, probability, -1.0).argmax(axis=1) if free.any() else probability.argmax(axis=1)
    if point.otherwise:
        fallback = np.full(len(probability), -1)
    return np.asarray(np.where(reached.any(axis=1), factor.argmax(axis=1), fallback))


def serving_view(contract: Contract, raw: Raw) -> Raw:
    """The raw batch without what the contract does not name: columns in its order and types, or one array for one tensor or text."""
    named = raw if isinstance(raw, Mapping) else {contract.inputs[0].name: raw}
    if not contract.is_table:
        arrays = {field.name: named[field.name] for field in contract.inputs}
        return next(iter(arrays.values())) if len(arrays) == 1 else arrays
    return {field.name: _cast(field, named[field.name]) for field in contract.inputs}


def _cast(field: Input, array: Array) -> Array:
    """A column in its type; a null among numbers makes them float."""
    if not isinstance(field, Column) or field.type == "string":
        return array
    array = served(array)
    kind = COLUMN_TYPES.get(field.type)
    if kind is None:  # a time; what shows none is null, all of it
        return array if array.dtype.kind == "M" else np.full(len(array), np.datetime64("NaT", "us"))
    if kind is not np.float64 and array.dtype.kind == "f":
        return array
    return array.astype(np.float64 if array.dtype.kind == "O" else kind, copy=False)  # objects are null, all of them


def called(function: Callable[[Any], Any], value: Any, *, tell: bool, code: Code = Code.PREPROCESS) -> Any:
    """What a user's function makes of a batch.

    Raises
    ------
    MlprodError : of the code, with the type of what the function raised, and the line.
    """
    try:
        return function(value)
    except (Exception, SystemExit) as error:
        name = getattr(function, "__name__", f"the {code.label}ing")
        trace = error.__traceback__.tb_next if error.__traceback__ else None
        line = f" in line {trace.tb_lineno}" if trace else ""
        words = f": {' '.join(str(error).split())[:300]}" if tell else ""
        raise MlprodError(code, f"{name}() raised {type(error).__name__}{line}{words}", hint="try it on these rows") from error


def prepared_inputs(prepared: Any, names: list[str]) -> dict[str, Array]:
    """Name what a preprocessing returned; without one, a table's columns are stacked side by side, but for its times.

    Raises
    ------
    MlprodError : ``preprocess`` when the names do not fit the graph's inputs.
    """
    if not isinstance(prepared, Mapping):
        return {names[0]: np.asarray(prepared)}
    if set(names) <= set(prepared):
        return {name: np.asarray(prepared[name]) for name in names}
    if len(names) == 1:
        kept = {str(name): np.asarray(column) for name, column in prepared.items()}
        columns = [cast(name, column, np.float64, tell=False) for name, column in kept.items() if column.dtype.kind != "M"]
        return {names[0]: np.column_stack(columns)}
    raise MlprodError(Code.PREPROCESS, f"the model takes {', '.join(names)}, the preprocessing gave {', '.join(map(str, prepared))[:200]}")
