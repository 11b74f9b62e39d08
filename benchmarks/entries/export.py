"""Networks of the size that people train: captured, packaged and proven at batches 1, 3 and 8, beside the bare export.

What was promised is the proof and not a time, so that only a batch without a proof misses. One entry a network, since a ratio over both
would be that of the slower. The largest difference that was found stands in the name of the measured side.
"""

import os
import sys
import tempfile
from pathlib import Path

import msgspec

from benchmarks.harness import Entry, Series, command

ROOT = Path(__file__).parents[2]
CHILD = Path(__file__).with_name("export_child.py")


def measure(network: str, counted: int) -> tuple[Series, ...]:
    """Both sides in one child process, in a folder of their own and without the settings of whoever runs this."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("MLPROD_")}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environ = {**kept, "PYTHONPATH": str(ROOT)}
        command([sys.executable, "-P", CHILD, folder, network, str(counted)], environ=environ, folder=folder)
        return msgspec.json.decode((folder / "series.json").read_bytes(), type=tuple[Series, ...])


EXPORT_RESIDUAL = Entry(
    name="export-residual",
    what="capture, package and prove at batches 1, 3 and 8 a residual network of ResNet-18's size, beside torch.onnx.export",
    bar_s=None,
    clock="wall",
    counted=3,
    packages=("torch", "onnxscript", "onnxruntime"),
    measure=lambda counted: measure("residual", counted),
)
EXPORT_ENCODER = Entry(
    name="export-encoder",
    what="capture, package and prove at batches 1, 3 and 8 and two lengths a transformer encoder of 6 layers, beside torch.onnx.export",
    bar_s=None,
    clock="wall",
    counted=3,
    packages=("torch", "onnxscript", "onnxruntime"),
    measure=lambda counted: measure("encoder", counted),
)
