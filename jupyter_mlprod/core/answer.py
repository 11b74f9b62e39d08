"""The two ends of an answer: from the raw batch to what the graph takes, and from its outputs to label and confidence.

Packaging and serving both go through here, so that neither can prepare or decide differently from the other.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from jupyter_mlprod.core.bundle import Bundle
from jupyter_mlprod.core.contract import Column, Contract, Tensor
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.quality import Floats, probabilities
from jupyter_mlprod.core.raw import Array, Raw

LABEL = "label"
CONFIDENCE = "confidence"
COLUMN_TYPES = {"float": np.float64, "int": np.int64, "bool": np.bool_}


def scores_of(bundle: Bundle, outputs: Mapping[str, Array]) -> Array:
    """The first output in the contract's order."""
    return outputs[bundle.contract.outputs[0].name]


def class_probabilities(bundle: Bundle, outputs: Mapping[str, Array]) -> Floats:
    """(batch, classes) float64."""
    return probabilities(scores_of(bundle, outputs).astype(np.float64), are=bundle.scores)


def decide(bundle: Bundle, outputs: Mapping[str, Array]) -> dict[str, Array]:
    """Outputs, led by ``label`` and ``confidence`` when the bundle has labels."""
    if not bundle.labels:
        return dict(outputs)
    probability = class_probabilities(bundle, outputs)
    best = probability.argmax(axis=1)
    return {LABEL: np.array(bundle.labels)[best], CONFIDENCE: probability[np.arange(len(best)), best].astype(np.float32), **outputs}


def serving_view(contract: Contract, raw: Raw) -> Raw:
    """The raw batch as the preprocessing gets it: the contract's columns in its order and types, or one array for a single tensor."""
    named = raw if isinstance(raw, Mapping) else {contract.inputs[0].name: raw}
    if not contract.is_table:
        arrays = {field.name: named[field.name] for field in contract.inputs}
        return next(iter(arrays.values())) if len(arrays) == 1 else arrays
    return {field.name: _cast(field, named[field.name]) for field in contract.inputs}


def _cast(field: Tensor | Column, array: Array) -> Array:
    kind = COLUMN_TYPES.get(field.type) if isinstance(field, Column) else None
    if kind is None or (kind is not np.float64 and array.dtype.kind == "f"):
        return array
    return array.astype(kind, copy=False)


def preprocessed(function: Callable[[Any], Any], raw: Raw, *, tell: bool) -> Any:
    """What a preprocessing makes of a raw batch.

    Parameters
    ----------
    tell : whether the exception's own words may be told; they may quote a value of the data

    Raises
    ------
    MlprodError : ``preprocess`` with the type of what the function raised, and the line.
    """
    try:
        return function(raw)
    except (Exception, SystemExit) as error:
        name = getattr(function, "__name__", "the preprocessing")
        trace = error.__traceback__.tb_next if error.__traceback__ else None
        line = f" in line {trace.tb_lineno}" if trace else ""
        words = f": {' '.join(str(error).split())[:300]}" if tell else ""
        raise MlprodError(Code.PREPROCESS, f"{name}() raised {type(error).__name__}{line}{words}", hint="try it on these rows") from error


def prepared_inputs(prepared: Array | Mapping[str, Array], names: list[str]) -> dict[str, Array]:
    """Name what a preprocessing returned; without one, a table's columns are stacked side by side.

    Raises
    ------
    MlprodError : ``preprocess`` when the names do not fit the graph's inputs.
    """
    if not isinstance(prepared, Mapping):
        return {names[0]: np.asarray(prepared)}
    if set(names) <= set(prepared):
        return {name: np.asarray(prepared[name]) for name in names}
    if len(names) == 1:
        return {names[0]: np.column_stack([np.asarray(column, dtype=np.float64) for column in prepared.values()])}
    raise MlprodError(Code.PREPROCESS, f"the model takes {', '.join(names)}, the preprocessing gave {', '.join(map(str, prepared))[:200]}")
