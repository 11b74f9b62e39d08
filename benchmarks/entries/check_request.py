"""One request held against its contract: a record of 20 fields as JSON, beside bare decoding and pydantic, and the tensor of one image.

The two bars on records are ratios to peers in the same run, and those on tensors are times, beside numpy's least and greatest of the same
image. The record that is held to its bar goes through `RecordDecoder.one`, which is what a runtime calls for a JSON request: bytes in, a
struct of checked values out. What follows until there are arrays for a preprocessing has no bar, and stands in sides of its own. Each
sample is the mean of many calls, since one takes less than a clock can tell, in CPU time: nothing here waits, and other work on the machine
would count otherwise.
"""

import json
import random
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Literal

import msgspec
import numpy as np

from benchmarks.harness import Entry, MeasureError, Sample, Series, Side, interleaved
from jupyter_mlprod.core.admission import Admission
from jupyter_mlprod.core.contract import Column, Contract, Tensor
from jupyter_mlprod.core.demands import plan_of
from jupyter_mlprod.core.tensors import Form, TensorChecker

KINDS = ("alpha", "beta", "gamma", "delta")
FLOATS = [Column(name=f"value_{index}", type="float", low=-10, high=10, nullable=index % 3 == 0) for index in range(12)]
INTS = [Column(name=f"count_{index}", type="int", low=0, high=1000) for index in range(4)]
TEXTS = [Column(name=f"kind_{index}", type="string", categories=KINDS) for index in range(4)]
COLUMNS = (*FLOATS, *INTS, *TEXTS)
TABLE = Contract(inputs=COLUMNS, outputs=())
IMAGE = Contract(inputs=(Tensor(name="image", dtype="float32", shape=("batch", 3, 224, 224), low=-3, high=3),), outputs=())
BRIGHT = Contract(inputs=(Tensor(name="image", dtype="float32", shape=("batch", 3, 224, 224), low=0, high=3),), outputs=())

RECORD, BARE, PYDANTIC = "record to a struct, checked", "msgspec, decoded alone", "pydantic, model_validate_json"
LISTED, ARRAYS = "list of one record to lists, checked; no bar", "record to arrays, checked; no bar"
FORM, VALUES, EXTENT = "tensor, dtype and shape", "image, finite and range", "numpy, min and max of the image"
SIGNED = "image from 0 with -0.0, finite and range"
MOST_OVER_BARE, MOST_OVER_PYDANTIC, MOST_FORM_S, MOST_VALUES_S = 1.2, 0.5, 1e-6, 15e-6


def measure(counted: int) -> tuple[Series, ...]:
    """All sides in this process, and what misses its bar as a fault of ours."""
    data = _record()
    image = np.random.default_rng(0).normal(size=(1, 3, 224, 224)).clip(-3, 3).astype(np.float32)
    bright = np.abs(image)
    bright[0, 0, 0, 0] = -0.0
    form, tensors = Form(IMAGE.inputs[0]), TensorChecker(plan_of(IMAGE, clock=False).tensors)  # type: ignore[arg-type]
    from_zero = TensorChecker(plan_of(BRIGHT, clock=False).tensors)
    admission = Admission(TABLE)
    records = admission.records
    assert records is not None
    bare, pydantic = msgspec.json.Decoder(_bare()).decode, _pydantic()
    records.one(data)
    if not form.fits(image) or tensors.check({"image": image})[1] or from_zero.check({"image": bright})[1]:
        raise MeasureError("what is measured breaks the contract")
    named = {"image": image}
    sides = (
        _side(RECORD, records.one, data, calls=20_000),
        _side(LISTED, records.decode, b"[" + data + b"]", calls=5_000),
        _side(ARRAYS, partial(admission.admit, name="bench"), data, calls=5_000),
        _side(PYDANTIC, pydantic, data, calls=5_000),
        _side(FORM, form.fits, image, calls=20_000),
        _side(VALUES, tensors.check, named, calls=1_000),
        _side(SIGNED, from_zero.check, {"image": bright}, calls=1_000),
        _side(EXTENT, lambda array: (array.min(), array.max()), image, calls=1_000),
        _side(BARE, bare, data, calls=20_000, peer=True),
    )
    return _with_faults(interleaved(sides, counted=counted))


def _side(name: str, function: Callable[[Any], Any], argument: Any, *, calls: int, peer: bool = False) -> Side:
    """A side whose sample is the mean of many calls."""

    def take() -> Sample:
        cpu, wall = time.process_time(), time.perf_counter()
        for _ in range(calls):
            function(argument)
        return Sample(wall_s=(time.perf_counter() - wall) / calls, cpu_s=(time.process_time() - cpu) / calls)

    return Side(name=name, take=take, peer=peer)


def _record() -> bytes:
    rng = random.Random(0)  # noqa: S311  numbers to decode
    values: dict[str, Any] = {column.name: rng.uniform(-10, 10) for column in FLOATS}
    values |= {column.name: rng.randrange(1000) for column in INTS} | {column.name: rng.choice(KINDS) for column in TEXTS}
    return json.dumps(values).encode()


def _bare() -> type[msgspec.Struct]:
    kinds: dict[str, Any] = {"float": float, "int": int, "string": str}
    return msgspec.defstruct("Bare", [(one.name, kinds[one.type] | None if one.nullable else kinds[one.type]) for one in COLUMNS])


def _pydantic() -> Callable[[bytes], Any]:
    from pydantic import ConfigDict, Field, create_model

    kinds: dict[str, Any] = {
        "float": Annotated[float, Field(ge=-10, le=10, allow_inf_nan=False)],
        "int": Annotated[int, Field(ge=0, le=1000)],
        "string": Literal[KINDS],
    }
    fields: dict[str, Any] = {one.name: (kinds[one.type] | None if one.nullable else kinds[one.type], ...) for one in COLUMNS}
    validate: Callable[[bytes], Any] = create_model("Row", __config__=ConfigDict(strict=True), **fields).model_validate_json
    return validate


def _with_faults(series: tuple[Series, ...]) -> tuple[Series, ...]:
    """The series, with what misses its bar told on the samples of the side that does."""
    median = {one.name: statistics.median(sample.cpu_s for sample in one.samples) for one in series}
    faults: dict[str, list[str]] = {RECORD: [], FORM: [], VALUES: [], SIGNED: []}
    for peer, most in ((BARE, MOST_OVER_BARE), (PYDANTIC, MOST_OVER_PYDANTIC)):
        ratio = median[RECORD] / median[peer]
        if ratio > most:
            faults[RECORD].append(f"takes {ratio:.2f} times as long as {peer}, at most {most} is allowed")
    for name, most in ((FORM, MOST_FORM_S), (VALUES, MOST_VALUES_S), (SIGNED, MOST_VALUES_S)):
        if median[name] > most:
            faults[name].append(f"takes {1e6 * median[name]:.2f} µs, at most {1e6 * most:g} is allowed")
    return tuple(
        msgspec.structs.replace(
            one, samples=tuple(msgspec.structs.replace(sample, faults=tuple(faults.get(one.name, ()))) for sample in one.samples)
        )
        for one in series
    )


CHECK_REQUEST = Entry(
    name="check-request",
    what="a JSON record of 20 fields to a struct of checked values, at most 1.2 times bare decoding and half of pydantic; to arrays, "
    "no bar; an image's form in 1 µs, its values in 15 µs, also where a limit is 0 and -0.0 stands there",
    bar_s=None,
    clock="cpu",
    counted=15,
    packages=("msgspec", "numpy", "pydantic"),
    measure=measure,
)
