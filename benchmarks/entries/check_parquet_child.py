"""The child of the entry ``check-parquet``: writes a file, or reads it once and tells the time and the peak of its memory."""

import sys
from pathlib import Path

import msgspec
import numpy as np
import polars as pl

from benchmarks.entries.check_parquet import Told
from benchmarks.entries.check_table_child import CONTRACT, select, table
from benchmarks.harness import timed
from benchmarks.peak import resident
from jupyter_mlprod.adapters.frames import Frames
from jupyter_mlprod.workspace import no_progress

PIECE = 250_000


def write(path: Path, rows: int) -> None:
    """A file of the table's columns, in row groups as a careful program writes them."""
    import pyarrow.parquet as pq

    rng = np.random.default_rng(7)
    first = table(rng, PIECE).to_arrow()
    with pq.ParquetWriter(path, first.schema) as writer:
        for _ in range(rows // PIECE):
            writer.write_table(table(rng, PIECE).to_arrow())


def check(path: Path) -> None:
    result = Frames(no_progress).check(CONTRACT, path, view="serving", now=None)
    assert not result.violations
    assert result.rows


def main(what: str, path: Path) -> None:
    """Run one side once."""
    frame = pl.scan_parquet(path)
    sample = timed(lambda: check(path) if what == "ours" else frame.select(select()).collect(engine="streaming"))
    sys.stdout.write(msgspec.json.encode(Told(sample=sample, peak_bytes=resident("VmHWM"))).decode())


if __name__ == "__main__":
    write(Path(sys.argv[2]), int(sys.argv[3])) if sys.argv[1] == "write" else main(sys.argv[1], Path(sys.argv[2]))
