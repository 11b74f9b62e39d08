"""Describing a million rows: types, fingerprints and the reference profile, beside what pandas needs for hashes and ``describe``.

Both data sets and the peer are in one child process, because they take gigabytes. The bar is the issue's, one second of elapsed time for a
GB-class table of a million rows, and each form is held against it: other work on the machine stretches it, and the load is told.
"""

import os
import sys
import tempfile
from pathlib import Path

import msgspec

from benchmarks.harness import Entry, Series, command

ROOT = Path(__file__).parents[2]
CHILD = Path(__file__).with_name("snapshot_child.py")


def measure(counted: int) -> tuple[Series, ...]:
    """All sides, in a folder of their own."""
    with tempfile.TemporaryDirectory() as name:
        told = Path(name) / "series.json"
        command([sys.executable, "-P", CHILD, told, str(counted)], environ={**os.environ, "PYTHONPATH": str(ROOT)})
        return msgspec.json.decode(told.read_bytes(), type=tuple[Series, ...])


SNAPSHOT = Entry(
    name="snapshot",
    what="snapshot of 1,000,000 x 120 (72 float, 24 int, 24 string) and of a 1 GB array, beside pandas' hashes and describe of the table",
    bar_s=1.0,
    clock="wall",
    counted=5,
    packages=("numpy", "pandas", "pyarrow"),
    measure=measure,
)
