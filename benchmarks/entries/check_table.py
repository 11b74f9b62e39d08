"""Holding a million rows against a contract, beside a single hand-written select of polars, and beside Pandera on the same frame.

The bars are ratios, so each that is missed is a fault: 1.3 times the select, twice the own time with 10 % bad rows in every column, half of
Pandera's time, and 20 MB beside the table. Pandera is no dependency: install it where the benchmark runs.
"""

import importlib.util
import os
import sys
import tempfile
from functools import partial
from pathlib import Path

import msgspec

from benchmarks.harness import Entry, MeasureError, Series, command, command_side, interleaved

ROOT = Path(__file__).parents[2]
CHILD = Path(__file__).with_name("check_table_child.py")


def measure(counted: int, *, peer: str) -> tuple[Series, ...]:
    """Both sides in one child process, which holds the table."""
    if peer == "pandera" and importlib.util.find_spec("pandera") is None:
        raise MeasureError("pandera is not installed")
    with tempfile.TemporaryDirectory() as name:
        told = Path(name) / "series.json"
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH", "")])])
        command([sys.executable, "-P", CHILD, told, str(counted), peer], environ={**os.environ, "PYTHONPATH": path})
        return msgspec.json.decode(told.read_bytes(), type=tuple[Series, ...])


def measure_import(counted: int) -> tuple[Series, ...]:
    """Whole processes that import the one or the other, and nothing else."""
    if importlib.util.find_spec("pandera") is None:
        raise MeasureError("pandera is not installed")
    sides = (
        command_side("import of the checker", [sys.executable, "-c", "import jupyter_mlprod.adapters.frames"]),
        command_side("import pandera.polars", [sys.executable, "-c", "import pandera.polars"], peer=True),
    )
    return interleaved(sides, counted=counted)


CHECK_TABLE = Entry(
    name="check-table",
    what="1,000,000 x 20 (12 float, 4 int, 4 string) against a contract, clean and with 10 % bad rows, beside one polars select",
    bar_s=None,
    clock="cpu",
    counted=9,
    packages=("polars", "numpy"),
    measure=partial(measure, peer="select"),
)
CHECK_PANDERA = Entry(
    name="check-pandera",
    what="the same table, at least twice as fast as Pandera on polars with lazy=True",
    bar_s=None,
    clock="cpu",
    counted=9,
    packages=("polars", "numpy", "pandera"),
    measure=partial(measure, peer="pandera"),
)
CHECK_IMPORT = Entry(
    name="check-import",
    what="a process that imports the checker of data sets, polars included, beside one that imports pandera.polars",
    bar_s=0.3,
    clock="cpu",
    counted=7,
    packages=("polars", "pandera"),
    measure=measure_import,
)
