"""The child of the entry ``environment``: a process that has imported what training imports records it, once and cold."""

import json
import sys
import time
from pathlib import Path

import mlflow  # noqa: F401  here to be imported
import onnxruntime  # noqa: F401
import torch  # noqa: F401

from jupyter_mlprod.adapters.machine import Machine, training_requirements

EXPECTED = {"answering": {"numpy", "onnxruntime"}, "training": {"torch", "mlflow", "numpy", "sympy"}}


def main(which: str) -> None:
    """Time one recording, and say as a fault what it did not find."""
    machine = Machine(Path(), actor="benchmarks")
    cpu, wall = time.process_time(), time.perf_counter()
    pins = machine.requirements(("numpy", "scipy")) if which == "answering" else training_requirements()
    wall_s, cpu_s = time.perf_counter() - wall, time.process_time() - cpu
    missing = EXPECTED[which] - {pin.split("==")[0] for pin in pins}
    sys.stdout.write(json.dumps({"wall_s": wall_s, "cpu_s": cpu_s, "faults": [f"{name} is missing" for name in sorted(missing)]}))


main(sys.argv[1])
