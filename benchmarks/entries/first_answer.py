"""From the start of a fresh process to its first answer: a bundle by ``load``, beside MLflow's loader on two of its own formats.

A side that finds torch or mlflow imported in our process afterwards misses the bar at any speed.
"""

import os
import sys
import tempfile
from functools import partial
from pathlib import Path

from benchmarks.harness import Entry, Sample, Series, Side, command, interleaved

ROOT = Path(__file__).parents[2]
SETUP = Path(__file__).with_name("first_answer_setup.py")
OURS = """
import sys
import numpy as np
from jupyter_mlprod import load
answers = load("digits").answer(np.load("row.npy"))
assert len(answers["label"]) == 1
print(",".join(name for name in ("torch", "mlflow", "onnx", "pandas") if name in sys.modules))
"""
PEER = """
import numpy as np
import mlflow
answers = mlflow.pyfunc.load_model({folder!r}).predict(np.load("prepared.npy"))
print("")
"""


def measure(counted: int) -> tuple[Series, ...]:
    """All sides in a folder that one child has furnished with the bundle and MLflow's models."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("MLPROD_", "MLFLOW_"))}
    environ = {**kept, "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_DISABLE_AGENT_HINT": "true", "PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command([sys.executable, "-P", SETUP, folder], environ=environ, folder=folder)
        answered = partial(_answered, environ=environ, folder=folder)
        sides = (
            Side(name="bundle, jupyter_mlprod.load", take=partial(answered, OURS)),
            Side(name="mlflow.pyfunc.load_model, onnx flavor", take=partial(answered, PEER.format(folder="onnx")), peer=True),
        )
        return interleaved(sides, counted=counted)


def _answered(code: str, *, environ: dict[str, str], folder: Path) -> Sample:
    sample, told = command([sys.executable, "-P", "-c", code], environ=environ, folder=folder)
    heavy = told.strip()
    return Sample(wall_s=sample.wall_s, cpu_s=sample.cpu_s, faults=(f"imported {heavy}",) if heavy else ())


FIRST_ANSWER = Entry(
    name="first-answer",
    what="start of a fresh process to the first answer of a packaged CNN, without torch and mlflow, beside mlflow.pyfunc on the same graph",
    bar_s=0.5,
    clock="wall",
    counted=5,
    packages=("onnxruntime", "mlflow", "numpy"),
    measure=measure,
)
