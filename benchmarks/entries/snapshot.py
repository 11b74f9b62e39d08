"""Describing a million rows: types, fingerprints and the reference profile, beside what pandas needs for hashes and ``describe``.

Both data sets and the peer are in one child process, because they take gigabytes. The bar is one second on two cores, so two
of CPU time, which other work on the machine does not stretch as it does elapsed time.
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
    what="snapshot of 1,000,000 x 20 (12 float, 4 int, 4 string) and of a 1 GB array, beside hash_pandas_object and describe of the table",
    bar_s=2.0,
    clock="cpu",
    counted=3,
    packages=("numpy", "pandas", "pyarrow"),
    measure=measure,
)
