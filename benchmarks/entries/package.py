"""From a live torch module to a registered bundle, beside what ``mlflow.pytorch.log_model`` does by default.

Both run in one child process: what they log and warn about stays there, and so does what they import.
"""

import os
import sys
import tempfile
from pathlib import Path

import msgspec

from benchmarks.harness import Entry, Series, command

ROOT = Path(__file__).parents[2]
CHILD = Path(__file__).with_name("package_child.py")
OFFLINE = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_DISABLE_AGENT_HINT": "true", "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}


def measure(counted: int) -> tuple[Series, ...]:
    """Both sides, in a folder of their own and without the settings of whoever runs this."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("MLPROD_", "MLFLOW_"))}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command([sys.executable, "-P", CHILD, folder, str(counted)], environ={**kept, **OFFLINE, "PYTHONPATH": str(ROOT)}, folder=folder)
        return msgspec.json.decode((folder / "series.json").read_bytes(), type=tuple[Series, ...])


PACKAGE = Entry(
    name="package",
    what="capture, package, prove and register a CNN of 89,930 parameters, beside mlflow.pytorch.log_model with its defaults",
    bar_s=3.0,
    clock="wall",
    counted=3,
    packages=("torch", "onnxruntime", "mlflow"),
    measure=measure,
)
