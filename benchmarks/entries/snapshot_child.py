"""The child of the entry ``snapshot``: makes the data, then lets the sides take turns.

The peer hashes and describes the same table; it has no histogram, no quantiles but the quartiles, and its hashes are not cryptographic.
"""

import sys
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd

from benchmarks.harness import Side, interleaved, timed
from jupyter_mlprod.adapters.data_files import DataFiles
from jupyter_mlprod.adapters.snapshots import Snapshots
from jupyter_mlprod.workspace import no_progress

ROWS = 1_000_000


def main(told: Path, counted: int) -> None:
    """Measure, and leave the series in ``told``."""
    rng = np.random.default_rng(7)
    floats = {f"f{i}": rng.normal(size=ROWS) for i in range(72)}
    ints = {f"i{i}": rng.integers(0, 1000, ROWS) for i in range(24)}
    strings = {f"s{i}": pd.array(rng.choice(["red", "green", "blue", "violet"], ROWS), dtype="str") for i in range(24)}
    table = pd.DataFrame({**floats, **ints, **strings})
    table.to_parquet(told.with_name("table.parquet"))
    array = rng.normal(size=(ROWS, 128))
    snapshots = Snapshots(DataFiles().read, no_progress)
    sides = (
        Side(name="frame of 1.1 GB", take=lambda: timed(lambda: snapshots.of_live(table))),
        Side(name="the same as .parquet", take=lambda: timed(lambda: snapshots.of_file(str(told.with_name("table.parquet"))))),
        Side(name="array of 1 GB", take=lambda: timed(lambda: snapshots.of_live(array))),
        Side(
            name="pandas hash and describe",
            take=lambda: timed(lambda: (pd.util.hash_pandas_object(table), table.describe(include="all"))),
            peer=True,
        ),
    )
    told.write_bytes(msgspec.json.encode(interleaved(sides, counted=counted)))


main(Path(sys.argv[1]), int(sys.argv[2]))
