"""An affine scaler of scikit-learn by its numbers: what answers requests need not have scikit-learn.

`core.assets` puts the source of `FittedScaler` beside those numbers in a bundle, so this class stands on its own: it names nothing but
these three modules.
"""

import json
import pathlib
from typing import Any

import numpy
import numpy.typing

from jupyter_mlprod.core.errors import Code, MlprodError

STEPS = {
    "StandardScaler": (("subtract", "mean_", "with_mean"), ("divide", "scale_", "with_std")),
    "MinMaxScaler": (("multiply", "scale_", ""), ("add", "min_", "")),
    "MaxAbsScaler": (("divide", "scale_", ""),),
    "RobustScaler": (("subtract", "center_", "with_centering"), ("divide", "scale_", "with_scaling")),
}
"""Kind → numpy's function, the fitted numbers that it takes, and the switch that turns it on."""


class FittedScaler:
    """A fitted scaler: ``transform``, ``inverse_transform``, and its numbers under their names in scikit-learn."""

    apply = {"add": numpy.add, "subtract": numpy.subtract, "multiply": numpy.multiply, "divide": numpy.divide}

    def __init__(self, file: "pathlib.Path") -> None:
        kept = json.loads(file.read_text("utf-8"))
        for name, values in kept["numbers"].items():
            setattr(self, name, numpy.array(values, dtype=numpy.float64))
        self.steps, self.clip, self.width, self.casts = kept["steps"], kept["clip"], kept["width"], kept["casts"]

    def transform(self, rows: "numpy.typing.NDArray[Any]") -> "numpy.typing.NDArray[Any]":
        """(n, width) to the same, scaled; float16 and float32 keep their type, as in scikit-learn."""
        scaled = self._own(rows)
        for step, name in self.steps:
            numbers = getattr(self, name)
            self.apply[step](scaled, numbers.astype(scaled.dtype) if self.casts else numbers, out=scaled, casting="same_kind")
        return scaled if self.clip is None else numpy.clip(scaled, *self.clip, out=scaled)

    def inverse_transform(self, rows: "numpy.typing.NDArray[Any]") -> "numpy.typing.NDArray[Any]":
        """(n, width) back to the scale before."""
        inverse = {"add": "subtract", "subtract": "add", "multiply": "divide", "divide": "multiply"}
        found = self._own(rows)
        for step, name in reversed(self.steps):
            self.apply[inverse[step]](found, getattr(self, name), out=found, casting="same_kind")
        return found

    def _own(self, rows: "numpy.typing.NDArray[Any]") -> "numpy.typing.NDArray[Any]":
        given = numpy.asarray(rows)
        own = numpy.array(given, dtype=given.dtype if given.dtype in ("f2", "f4", "f8") else "f8")
        if own.ndim != 2 or own.shape[1] != self.width:
            raise ValueError(f"rows have shape {own.shape}, the scaler was fitted on {self.width} columns")
        return own


def is_scaler(value: Any) -> bool:
    return type(value).__module__.startswith("sklearn.preprocessing") and type(value).__name__ in STEPS


def numbers_of(scaler: Any, name: str, *, code: Code) -> bytes:
    """The JSON that `FittedScaler` reads.

    Raises
    ------
    MlprodError : of the code, when the scaler has not been fitted.
    """
    kind = type(scaler).__name__
    if not hasattr(scaler, "n_features_in_"):
        raise MlprodError(code, f"{name!r} is a {kind} that has not been fitted", hint=f"call {name}.fit(…) before packaging")
    steps = [(apply, numbers) for apply, numbers, switch in STEPS[kind] if not switch or getattr(scaler, switch)]
    fitted = {key: value for key, value in vars(scaler).items() if key.endswith("_") and getattr(value, "dtype", None) is not None}
    numbers = {key: value.tolist() for key, value in sorted(fitted.items()) if value.dtype.kind in "fiu"}
    clip = getattr(scaler, "feature_range", (-1.0, 1.0)) if getattr(scaler, "clip", False) else None
    casts = kind == "StandardScaler"  # which alone brings its numbers to the type of the rows before it computes
    kept = {"steps": steps, "clip": clip, "width": int(scaler.n_features_in_), "casts": casts, "numbers": numbers}
    return json.dumps(kept).encode()
