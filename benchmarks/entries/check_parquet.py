"""Holding a Parquet file of ten million rows against a contract in constant memory, beside polars' own streaming engine on a select.

Each run is a fresh process, whose peak is its own. A peak that is higher than that of a file of a million rows, by more than the peaks of
two runs of one file differ, is a fault.
"""

import os
import sys
import tempfile
from functools import partial
from pathlib import Path

import msgspec

from benchmarks.harness import Entry, Sample, Series, Side, command, interleaved

ROOT = Path(__file__).parents[2]
CHILD = Path(__file__).with_name("check_parquet_child.py")
FEW, MANY = 1_000_000, 10_000_000
NOISE_BYTES = 40_000_000


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What a child says of its run."""

    sample: Sample
    peak_bytes: int


def measure(counted: int) -> tuple[Series, ...]:
    """Two files in a folder of their own, each read by processes that end."""
    with tempfile.TemporaryDirectory() as name:
        few, many = Path(name) / "few.parquet", Path(name) / "many.parquet"
        for path, rows in ((few, FEW), (many, MANY)):
            _child("write", path, str(rows))
        least = min(_run("ours", few).peak_bytes for _ in range(2))
        sides = (
            Side(name="ours, 1,000,000 rows", take=lambda: _run("ours", few).sample),
            Side(name="ours, 10,000,000 rows", take=partial(_held, many, least)),
            Side(name="polars, streaming", take=lambda: _run("select", many).sample, peer=True),
        )
        return interleaved(sides, counted=counted)


def _child(*arguments: str | Path) -> str:
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH", "")])])
    return command([sys.executable, "-P", CHILD, *arguments], environ={**os.environ, "PYTHONPATH": path})[1]


def _run(what: str, path: Path) -> Told:
    return msgspec.json.decode(_child(what, path), type=Told)


def _held(path: Path, least: int) -> Sample:
    told = _run("ours", path)
    if told.peak_bytes <= least + NOISE_BYTES:
        return told.sample
    fault = f"the peak is {told.peak_bytes / 1e6:.0f} MB, and {least / 1e6:.0f} MB for a tenth of the rows"
    return msgspec.structs.replace(told.sample, faults=(fault,))


CHECK_PARQUET = Entry(
    name="check-parquet",
    what="a Parquet file of 10,000,000 x 20 against a contract, in the memory that 1,000,000 rows take, beside polars' streaming engine",
    bar_s=None,
    clock="cpu",
    counted=3,
    packages=("polars", "pyarrow"),
    measure=measure,
)
