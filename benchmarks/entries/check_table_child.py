"""The child of the entries ``check-table`` and ``check-pandera``: makes the table, then lets the sides take turns.

Every side is first seen to find what is bad, since a peer that checks nothing is quick: Pandera checks the values of a DataFrame, and of a
LazyFrame none.
"""

import contextlib
import statistics
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl

from benchmarks.harness import Series, Side, interleaved, timed
from benchmarks.peak import peak_bytes
from jupyter_mlprod.adapters.frames import Frames
from jupyter_mlprod.core.contract import Column, Contract, Tensor
from jupyter_mlprod.workspace import no_progress

ROWS = 1_000_000
CATEGORIES = tuple(f"category {i}" for i in range(8))
FLOATS, INTS, TEXTS = [f"f{i}" for i in range(12)], [f"i{i}" for i in range(4)], [f"s{i}" for i in range(4)]
CONTRACT = Contract(
    inputs=(
        *(Column(name=name, type="float", low=0.0, high=1.0) for name in FLOATS),
        *(Column(name=name, type="int", low=0, high=1000) for name in INTS),
        *(Column(name=name, type="string", categories=CATEGORIES) for name in TEXTS),
    ),
    outputs=(Tensor(name="score", dtype="float32", shape=("batch",)),),
)
AGAINST_SELECT, AGAINST_SELF, AGAINST_PANDERA = 1.3, 2.0, 0.5
MOST_BYTES = 20_000_000


def table(rng: np.random.Generator, rows: int) -> pl.DataFrame:
    """Rows that keep the contract."""
    return pl.DataFrame(
        {
            **{name: rng.uniform(0, 1, rows) for name in FLOATS},
            **{name: rng.integers(0, 1000, rows) for name in INTS},
            **{name: np.array(CATEGORIES)[rng.integers(0, len(CATEGORIES), rows)] for name in TEXTS},
        }
    )


def spoilt(frame: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """One value in ten of every column is bad."""
    bad: dict[str, Any] = {**dict.fromkeys(FLOATS, 5.0), **dict.fromkeys(INTS, 5000), **dict.fromkeys(TEXTS, "none of them")}
    return frame.with_columns(
        pl.when(pl.Series(rng.uniform(0, 1, frame.height) < 0.1)).then(pl.lit(value)).otherwise(pl.col(name)).alias(name)
        for name, value in bad.items()
    )


def select() -> list[pl.Expr]:
    """What a person writes who wants all counts in one query."""
    limits = {**dict.fromkeys(FLOATS, (0.0, 1.0)), **dict.fromkeys(INTS, (0, 1000))}
    nulls = [pl.col(name).null_count().alias(f"{name} null") for name in (*FLOATS, *INTS, *TEXTS)]
    ranges = [(~pl.col(name).is_between(low, high)).sum().alias(f"{name} range") for name, (low, high) in limits.items()]
    return [*nulls, *ranges, *((~pl.col(name).is_in(CATEGORIES)).sum().alias(f"{name} category") for name in TEXTS)]


def pandera_check() -> Callable[[pl.DataFrame], Any]:
    """The same demands as a schema of Pandera, all faults at once."""
    import pandera.polars as pa

    columns = {
        **{name: pa.Column(pl.Float64, pa.Check.in_range(0.0, 1.0)) for name in FLOATS},
        **{name: pa.Column(pl.Int64, pa.Check.in_range(0, 1000)) for name in INTS},
        **{name: pa.Column(pl.String, pa.Check.isin(CATEGORIES)) for name in TEXTS},
    }
    schema = pa.DataFrameSchema(columns)

    def check(frame: pl.DataFrame) -> int:
        try:
            schema.validate(frame, lazy=True)
        except pa.errors.SchemaErrors as error:
            return len(error.schema_errors)
        return 0

    return check


def main(told: Path, counted: int, peer: str) -> None:
    """Measure, and leave the series in ``told``."""
    rng = np.random.default_rng(7)
    clean = table(rng, ROWS)
    frames = Frames(no_progress)

    def ours(frame: pl.DataFrame) -> int:
        return len(frames.check(CONTRACT, frame, view="serving", now=None).violations)

    faults = [] if ours(clean) == 0 and ours(spoilt(clean.head(10_000), rng)) == 20 else ["it does not find what is bad"]
    extra = peak_bytes(lambda: ours(clean))
    faults += [f"it takes {extra / 1e6:.0f} MB beside the table"] if extra > MOST_BYTES else []
    sides = [Side(name="ours, clean", take=lambda: timed(lambda: ours(clean)))]
    if peer == "select":
        dirty = spoilt(clean, rng)
        sides += [Side(name="ours, 10 % bad", take=lambda: timed(lambda: ours(dirty)))]
        sides += [Side(name="one polars select", take=lambda: timed(lambda: clean.select(select())), peer=True)]
    else:
        check = pandera_check()
        faults += [] if check(clean) == 0 and check(spoilt(clean.head(10_000), rng)) == 20 else ["Pandera does not find what is bad"]
        sides += [Side(name="Pandera, lazy", take=lambda: timed(lambda: check(clean)), peer=True)]
    series = interleaved(sides, counted=counted)
    faults += against(series, peer)
    print(f"{extra / 1e6:.1f} MB beside the table")  # noqa: T201  for who runs the child by itself
    told.write_bytes(msgspec.json.encode((with_faults(series[0], faults), *series[1:])))


def against(series: Sequence[Series], peer: str) -> list[str]:
    """The ratios that are missed, of CPU time."""
    medians = [statistics.median(sample.cpu_s for sample in one.samples) for one in series]
    clean, other = medians[0], medians[-1]
    if peer == "pandera":
        return [f"{clean / other:.2f} times Pandera's time"] if clean > AGAINST_PANDERA * other else []
    found = [f"{clean / other:.2f} times the select"] if clean > AGAINST_SELECT * other else []
    return [*found, *([f"{medians[1] / clean:.2f} times the clean time with bad rows"] if medians[1] > AGAINST_SELF * clean else [])]


def with_faults(series: Series, faults: Sequence[str]) -> Series:
    """What is wrong with a side as a whole, told with its first sample."""
    first, *rest = series.samples
    samples = (msgspec.structs.replace(first, faults=tuple(faults)), *rest)
    return msgspec.structs.replace(series, samples=samples)


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
