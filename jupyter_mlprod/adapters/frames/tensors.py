"""Tensors against a contract: arrays of any library as numpy's own, where they are, and held against the demands by `core/tensors.py`."""

import datetime
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jupyter_mlprod.adapters.frames.columns import array_of
from jupyter_mlprod.adapters.frames.source import NOT_READ, one_line, reading
from jupyter_mlprod.core.batch import BatchChecker
from jupyter_mlprod.core.conformance import Conformance
from jupyter_mlprod.core.contract import Contract, View
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.raw import Array, Raw, object_array


def check_tensors(contract: Contract, source: Any, *, view: View, now: datetime.datetime | None) -> Conformance:
    """Hold tensors against a view; an .npy file stays on disk, and is read as it is looked at."""
    return BatchChecker(contract, view, clock=now is not None).check(_raw(source), now=now)


def _raw(source: Any) -> Raw:
    if isinstance(source, Path):
        with reading(source):
            if source.suffix == ".npy":
                return np.asarray(np.lib.format.open_memmap(source, mode="r"))
        raise MlprodError(Code.BAD_DATA, f"{source} holds no tensor", hint="name an .npy or .npz file")
    try:
        return {str(name): _array(value) for name, value in source.items()} if isinstance(source, Mapping) else _array(source)
    except NOT_READ as error:
        raise MlprodError(Code.BAD_DATA, f"a {type(source).__name__} cannot be read as rows: {one_line(error)}") from None


def _array(value: Any) -> Array:
    """An array; rows of different lengths are an array of objects, which fits no type."""
    array = array_of(value)
    if array is not None:
        return array
    try:
        return np.asarray(value)
    except ValueError:
        return object_array(list(value))
