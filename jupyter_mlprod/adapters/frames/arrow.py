"""Arrow's part: columns that polars takes over without a copy, and Parquet files in pieces.

pyarrow reads Parquet here and not polars, which is twice as fast and holds whole row groups, several at once: one that was written by a
careless program may be the whole file.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from jupyter_mlprod.adapters.frames.columns import Column, of_objects
from jupyter_mlprod.core.raw import Array

PAGE_BYTES = 1 << 16
"""Read of a column at once; without it pyarrow holds whole row groups."""
NOT_HELD = (OverflowError, TypeError, UnicodeEncodeError, pa.ArrowException, pl.exceptions.PolarsError, pl.exceptions.PanicException)
"""What Arrow and polars raise for types and values that they do not have."""


def of_arrow(value: Any) -> Column:
    """An array of Arrow; what polars has no type for, as objects."""
    if "decimal256" in str(value.type) or isinstance(value.type, pa.BaseExtensionType):
        return list(value.to_pylist())
    try:
        series = pl.from_arrow(value)
    except NOT_HELD:
        if pa.types.is_timestamp(value.type) and value.type.tz != "UTC":  # a zone that nobody knows
            return of_arrow(value.cast(pa.timestamp(value.type.unit, "UTC")))
        return list(value.to_pylist())
    assert isinstance(series, pl.Series)
    return series.to_list() if series.dtype == pl.Object else series


def of_pandas(value: Any) -> Column:
    """A Series or array of pandas that Arrow can hold as it is; else as objects."""
    zone = getattr(value.dtype, "tz", None)
    if zone is not None:
        moments = value.array if hasattr(value, "array") else value
        naive = moments.tz_convert("UTC").tz_localize(None).to_numpy()
        return of_arrow(pa.array(naive, type=pa.timestamp(value.dtype.unit, str(zone))))
    try:
        found = pa.array(value)
    except NOT_HELD:
        return of_objects(list(value))
    return of_objects(list(value)) if isinstance(found.type, pa.BaseExtensionType) else of_arrow(found)


def of_array(array: Array) -> pl.Series:
    """Numbers or times of numpy."""
    series = pl.from_arrow(pa.array(array))
    assert isinstance(series, pl.Series)
    return series


class ParquetPieces:
    """A Parquet file; what pandas kept as the index of its rows is no column."""

    def __init__(self, file: Path) -> None:
        self.file = file
        opened = self._opened()
        index = (opened.schema_arrow.pandas_metadata or {}).get("index_columns", [])
        inside = {entry for entry in index if isinstance(entry, str)}
        self.names: list[str] = [name for name in opened.schema_arrow.names if name not in inside]
        self.rows: int = opened.metadata.num_rows

    def _opened(self) -> Any:
        return pq.ParquetFile(self.file, pre_buffer=False, buffer_size=PAGE_BYTES)

    def batches(self, names: Sequence[str], *, rows: int) -> Iterator[tuple[int, dict[str, Column]]]:
        """The rows in pieces: how many, and their columns."""
        for batch in self._opened().iter_batches(batch_size=rows, columns=list(names)):
            if batch.num_rows:
                yield batch.num_rows, {name: of_arrow(column) for name, column in zip(batch.schema.names, batch.columns, strict=True)}
