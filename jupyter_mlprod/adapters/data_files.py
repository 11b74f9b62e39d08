"""Data files and live data as raw batches: .npy, .npz, .csv, .parquet; numpy, pandas, polars, torch, lists.

A table is a mapping of column to array. A null string is None in an object array; on disk it is an empty string with a mask beside it
(``null/<column>``), because nothing here is ever pickled. Times without a zone are datetime64; those with one are datetimes in an object
array, and on disk their UTC (``utc/<column>``). Texts that come without a name are written as an archive with one nameless column, and
read as what they were. How a live value is read is said in `core/live_values.py`, and how values of several types are written in
`core/mixed.py`.
"""

import datetime
import io
import tokenize
import uuid
import warnings
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jupyter_mlprod.core.arrays import nulls, timed
from jupyter_mlprod.core.contract import ColumnType
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.live_values import column_of, of_arrow, one_line, raw_of
from jupyter_mlprod.core.mixed import MIXED, as_json
from jupyter_mlprod.core.npy import ENDS, UTF8
from jupyter_mlprod.core.raw import NULL, UTC, Array, Raw, as_bytes, object_array, rows, with_nulls
from jupyter_mlprod.core.reference import one_of_each
from jupyter_mlprod.core.subject import names_file
from jupyter_mlprod.core.text_values import value_of

KINDS = (".npy", ".npz", ".csv", ".parquet")
TABLES = (".npz", ".csv", ".parquet")
NAMELESS = ""
SAMPLED_VALUES = 20_000_000
FEWEST_SAMPLED = 10_000
PIECE_ROWS = 1 << 16
MOST_PADDED_BYTES = 1 << 24
"""Up to this size strings are stored as numpy's own, each in the room of the longest, which every reader of .npz knows."""
BROKEN = (
    EOFError, KeyError, MemoryError, OSError, OverflowError, RuntimeError, SyntaxError, TypeError, ValueError,
    tokenize.TokenError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""What numpy, pandas and pyarrow were seen to raise on files with a few bytes changed."""


class DataFiles:
    """Port `Data`."""

    def read(self, path: str, *, types: Mapping[str, ColumnType] | None = None) -> Raw:
        """Read a data file.

        Parameters
        ----------
        types : what the contract says of the columns that it knows: those of a .csv, which holds texts alone, are read as that, and a text
            that is no such value stays a text; what other columns hold is guessed

        Raises
        ------
        MlprodError : ``bad-data`` when it is missing, truncated, pickled or of an unknown kind.
        """
        file = Path(path)
        if not names_file(path):
            raise MlprodError(Code.BAD_DATA, f"no data file {path!r}", hint=f"name a file that ends in {', '.join(KINDS)}")
        try:
            if file.suffix == ".npy":
                return _read_npy(file)
            if file.suffix == ".npz":
                return _read_npz(file)
            if file.suffix in (".csv", ".parquet"):
                return _read_table(file, types or {})
        except BROKEN as error:
            raise MlprodError(Code.BAD_DATA, f"{path} cannot be read: {one_line(error)}") from None
        raise MlprodError(Code.BAD_DATA, f"{path} is of no known kind", hint=f"name a file that ends in {', '.join(KINDS)}")

    def sample(self, path: str, *, types: Mapping[str, ColumnType] | None = None) -> tuple[Raw, int]:
        """A file, and how many rows it has; of a .parquet file with more than `SAMPLED_VALUES` values a sample, always the same rows.

        Parameters
        ----------
        types : as those of `read`

        Raises
        ------
        MlprodError : ``bad-data``, as `read`.
        """
        file = Path(path)
        if file.suffix == ".parquet" and names_file(path):
            try:
                sampled = _sampled(file)
            except BROKEN as error:
                raise MlprodError(Code.BAD_DATA, f"{path} cannot be read: {one_line(error)}") from None
            if sampled is not None:
                return sampled
        raw = self.read(path, types=types)
        return raw, rows(raw)

    def write(self, raw: Raw, path: Path) -> Path:
        """Write a batch whole or not at all; the suffix chooses the format.

        Raises
        ------
        MlprodError : ``bad-data`` when the suffix is none that can hold the batch, ``disk``.
        """
        kinds = TABLES if isinstance(raw, Mapping) else KINDS
        if path.suffix not in kinds:
            raise MlprodError(
                Code.BAD_DATA, f"{path} is of no kind that can be written", hint=f"name a file that ends in {', '.join(kinds)}"
            )
        temporary = path.with_name(f".{uuid.uuid4().hex[:8]}{path.suffix}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(raw, temporary)
            temporary.replace(path)
        except OSError as error:
            raise MlprodError(Code.DISK, f"{path} could not be written: {error.strerror or error}") from error
        finally:
            if temporary.exists():
                temporary.unlink()
        return path

    def from_live(self, value: Any) -> Raw:
        """A value of the notebook as a raw batch.

        Raises
        ------
        MlprodError : ``bad-data`` naming the type, the column or the rows that cannot be read.
        """
        return raw_of(value)


def _read_npy(file: Path) -> Array:
    with file.open("rb") as stream:
        return np.asarray(np.lib.format.read_array(stream, allow_pickle=False))


def _read_npz(file: Path) -> Raw:
    with file.open("rb") as stream:  # which np.load would leave open when it fails
        archive = np.load(stream, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise ValueError("it is no archive of arrays")
        arrays = {name: archive[name] for name in archive.files}
    columns = with_nulls(arrays)
    return columns[NAMELESS] if list(columns) == [NAMELESS] else columns


def _sampled(file: Path) -> tuple[Raw, int] | None:
    """Rows taken piece by piece, or None where the whole may be read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(file) as opened:
        n = opened.metadata.num_rows
        wanted = max(FEWEST_SAMPLED, SAMPLED_VALUES // max(1, opened.metadata.num_columns))
        if n <= wanted:
            return None
        index, start, kept = one_of_each(n, wanted), 0, []
        for batch in opened.iter_batches(batch_size=PIECE_ROWS):
            first, last = np.searchsorted(index, (start, start + len(batch)))
            kept.append(batch.take(pa.array(index[first:last] - start)))
            start += len(batch)
    return _of_table(pa.Table.from_batches(kept)), n


def _of_table(table: Any) -> Raw:
    """Columns of an Arrow table, without those that pandas kept its labels in."""
    labels = [name for name in (table.schema.pandas_metadata or {}).get("index_columns", ()) if isinstance(name, str)]
    return of_arrow(table.drop_columns([name for name in labels if name in table.column_names]))


def _read_table(file: Path, types: Mapping[str, ColumnType]) -> Raw:
    if file.suffix == ".parquet":
        import pyarrow.parquet as pq

        return _of_table(pq.read_table(file))
    import pandas as pd

    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        try:
            # index_col, because else a line with one value too many shifts every column
            frame = pd.read_csv(file, index_col=False, low_memory=False, dtype=dict.fromkeys(types, "string"))
        except pd.errors.ParserWarning:
            raise ValueError("a line has more values than the head has names") from None
    raw = raw_of(frame)
    if not types or not isinstance(raw, Mapping):
        return raw
    return {name: _as_declared(array, types[name]) if name in types else array for name, array in raw.items()}


def _as_declared(texts: Array, kind: ColumnType) -> Array:
    return column_of([value_of(text, kind) for text in texts.tolist()])


def _write(raw: Raw, path: Path) -> None:
    nameless = NAMELESS if path.suffix == ".npz" and not isinstance(raw, Mapping) and raw.dtype.kind in "OTU" else "array"
    named = raw if isinstance(raw, Mapping) else {nameless: raw}
    if path.suffix == ".npy":
        np.save(path, named["array"], allow_pickle=False)
    elif path.suffix == ".npz":
        _write_npz(_storable(named), path)
    else:
        _write_table(named, path)


def _storable(named: Mapping[str, Array]) -> dict[str, Array]:
    stored: dict[str, Array] = {}
    for name, array in named.items():
        if array.dtype.kind not in "OTU":
            stored[name] = array
            continue
        gone = nulls(array)
        if array.dtype.kind == "O" and not _is_texts(array):
            stored |= _of_objects(name, array, gone)
            continue
        strings = object_array(["" if null else str(value) for null, value in zip(gone, array.tolist(), strict=True)])
        stored |= _of_texts(name, array if array.dtype.kind == "U" else strings)
        if array.dtype.kind == "O" and (name != NAMELESS or gone.any()):
            stored[NULL + name] = gone
    return stored


def _is_texts(array: Array) -> bool:
    return all(value is None or isinstance(value, str) for value in array)


def _of_texts(name: str, texts: Array) -> dict[str, Array]:
    if name == NAMELESS or _padded_bytes(texts) > MOST_PADDED_BYTES:
        whole, ends = as_bytes(texts)
        return {UTF8 + name: whole, ENDS + name: ends}
    return {name: texts if texts.dtype.kind == "U" else texts.astype("U")}


def _of_objects(name: str, array: Array, gone: NDArray[np.bool_]) -> dict[str, Array]:
    """Integers or truth values beside nulls as themselves and a mask, times as such; all else as values of several types."""
    zones = {
        isinstance(value, datetime.datetime) and value.tzinfo is not None for value in array[~gone] if isinstance(value, datetime.date)
    }
    times = timed(array) if len(zones) == 1 else array
    if times.dtype.kind == "M":
        return {UTC + name if zones == {True} else name: times}
    there = column_of([value for value, null in zip(array.tolist(), gone, strict=True) if not null])
    if there.dtype.kind not in "ib" or not len(there):
        return _of_texts(MIXED + name, object_array([as_json(value) for value in array.tolist()]))
    filled = np.zeros(len(array), there.dtype)
    filled[~gone] = there
    return {name: filled, NULL + name: gone}


def _padded_bytes(strings: Array) -> int:
    return 4 * len(strings) * max(map(len, strings), default=0)


def _write_npz(named: Mapping[str, Array], path: Path) -> None:
    """An .npz whose bytes depend on the arrays alone: numpy's own writer takes names as keywords, so some names would be refused."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, array in named.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, np.ascontiguousarray(array), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), buffer.getvalue())


def _write_table(named: Mapping[str, Array], path: Path) -> None:
    import pandas as pd

    flat: dict[str, Array] = {}
    for name, array in named.items():
        wide = array.reshape(len(array), -1)
        flat.update({name: wide[:, 0]} if array.ndim == 1 else {f"{name}_{i}": wide[:, i] for i in range(wide.shape[1])})
    frame = pd.DataFrame(flat)
    frame.to_csv(path, index=False) if path.suffix == ".csv" else frame.to_parquet(path, index=False)
