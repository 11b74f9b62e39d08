"""What it costs to record an environment from inside the process, beside ``pip freeze``, which is a process of its own.

Ours are taken in one child that has imported torch, MLflow and ONNX Runtime, as the kernel of a training notebook has.
"""

import sys
from functools import partial
from pathlib import Path

import msgspec

from benchmarks.harness import Entry, Sample, Series, Side, command, command_side, interleaved

CHILD = Path(__file__).with_name("environment_child.py")
ROOT = Path(__file__).parents[2]


def measure(counted: int) -> tuple[Series, ...]:
    """The closure of what answering needs, and of what the process has imported, each in a fresh process."""
    sides = (
        *(Side(name=name, take=partial(_record, which)) for name, which in (("for answering", "answering"), ("for training", "training"))),
        command_side("pip freeze", [sys.executable, "-m", "pip", "freeze"], peer=True),
    )
    return interleaved(sides, counted=counted)


def _record(which: str) -> Sample:
    """One recording, as timed in the child itself."""
    _, told = command([sys.executable, CHILD, which], folder=ROOT)
    return msgspec.json.decode(told, type=Sample)


ENVIRONMENT = Entry(
    name="environment",
    what="name==version of what answering needs, and of what a training process has imported, beside pip freeze",
    bar_s=0.5,
    clock="wall",
    counted=3,
    packages=("torch", "mlflow", "onnxruntime", "pip"),
    measure=measure,
)
