"""Data files and live data as raw batches: .npy, .npz, .csv, .parquet; numpy, pandas, polars, torch, lists.

A table is a mapping of column to array. A null string is None in an object array; on disk it is an empty string with a mask beside it
(``null/<column>``), because nothing here is ever pickled. Times without a zone are datetime64; those with one are datetimes in an object
array, and on disk their UTC (``utc/<column>``). Texts that come without a name are written as an archive with one nameless
column, and read as what they were.
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

from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.npy import ENDS, UTF8
from jupyter_mlprod.core.raw import NULL, UTC, Array, Raw, as_bytes, object_array, with_nulls
from jupyter_mlprod.core.subject import names_file
from jupyter_mlprod.core.values import is_null, nulls, timed

KINDS = (".npy", ".npz", ".csv", ".parquet")
TABLES = (".npz", ".csv", ".parquet")
NAMELESS = ""
MOST_PADDED_BYTES = 1 << 24
"""Up to this size strings are stored as numpy's own, each in the room of the longest, which every reader of .npz knows."""
BROKEN = (
    EOFError, KeyError, MemoryError, OSError, RuntimeError, TypeError, ValueError, tokenize.TokenError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""What numpy, pandas and pyarrow were seen to raise on files with a few bytes changed."""


class DataFiles:
    """Port `Data`."""

    def read(self, path: str) -> Raw:
        """Read a data file.

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
                return _read_table(file)
        except BROKEN as error:
            raise MlprodError(Code.BAD_DATA, f"{path} cannot be read: {_one_line(error)}") from None
        raise MlprodError(Code.BAD_DATA, f"{path} is of no known kind", hint=f"name a file that ends in {', '.join(KINDS)}")

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
        MlprodError : ``bad-data`` naming the type that cannot be read as rows.
        """
        if isinstance(value, Mapping):
            return {str(name): _array(column) for name, column in value.items()}
        if hasattr(value, "columns") and hasattr(value, "to_dict"):
            return {str(name): _column(value[name]) for name in value.columns}
        return _array(value)


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


def _read_table(file: Path) -> Raw:
    import pandas as pd

    if file.suffix == ".parquet":
        frame = pd.read_parquet(file)
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            try:
                frame = pd.read_csv(file, index_col=False)  # else a line with one value too many shifts every column
            except pd.errors.ParserWarning:
                raise ValueError("a line has more values than the head has names") from None
    return {str(name): _column(frame[name]) for name in frame.columns}


def _column(series: Any) -> Array:
    """A column of pandas or polars; strings and nullable types become object arrays with None."""
    if getattr(getattr(series, "dtype", None), "time_zone", None):  # polars gives numpy the moments without it
        return object_array(series.to_list())
    values = np.asarray(series.to_numpy())
    if values.dtype.kind not in "OTU":
        return values
    missing = series.isna() if hasattr(series, "isna") else series.is_null()
    result = np.array([None if gone else value for gone, value in zip(missing, values.tolist(), strict=True)], dtype=object)
    present = [value for value in result if value is not None]
    if present and all(isinstance(value, bool | int | float) and not isinstance(value, str) for value in present):
        return _plain(result, present)
    return result


def _plain(values: Array, present: list[Any]) -> Array:
    """An object column of numbers as numbers: nullable integers become floats with NaN."""
    if len(present) == len(values):
        return np.array(list(values))
    return np.array([np.nan if value is None else float(value) for value in values])


def _array(value: Any) -> Array:
    if hasattr(value, "detach") and hasattr(value, "cpu"):
        value = value.detach().cpu().numpy()
    elif hasattr(value, "to_numpy"):
        return _texts(_column(value))
    if isinstance(value, list | tuple) and any(isinstance(item, str) for item in value):
        return _texts(object_array(value))
    try:
        array = np.asarray(value)
    except (ValueError, TypeError) as error:
        raise MlprodError(Code.BAD_DATA, f"a {type(value).__name__} is not rows of equal length: {_one_line(error)}") from None
    if array.ndim == 1 and _are_times(array):
        return array
    if array.ndim == 0 or (array.dtype.kind == "O" and any(x is not None and not isinstance(x, str) for x in array.ravel())):
        raise MlprodError(
            Code.BAD_DATA, f"a {type(value).__name__} cannot be read as rows", hint="give an array, a table, or a mapping of columns"
        )
    return array


def _are_times(array: Array) -> bool:
    """Whether an object array holds times and nulls, and a time."""
    if array.dtype.kind != "O":
        return False
    present = [value for value in array if not is_null(value)]
    return bool(present) and all(isinstance(value, datetime.date) for value in present)


def _texts(array: Array) -> Array:
    """Strings and nulls as an array of objects; numpy would turn numbers among them into strings, and pad each to the longest."""
    if array.dtype.kind == "O":
        odd = next((row for row, value in enumerate(array) if not isinstance(value, str) and value is not None), None)
        if odd is not None:
            what = f"row {odd} is no string ({type(array[odd]).__name__}), and others are"
            raise MlprodError(Code.BAD_DATA, what, hint="give one string a row, or None")
    return array


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
        if array.ndim == 1 and _are_times(array):
            zoned = next(value for value, null in zip(array, gone, strict=True) if not null)
            aware = isinstance(zoned, datetime.datetime) and zoned.tzinfo is not None
            stored[UTC + name if aware else name] = timed(array)
            continue
        strings = object_array(["" if null else str(value) for null, value in zip(gone, array.tolist(), strict=True)])
        if name == NAMELESS or _padded_bytes(strings) > MOST_PADDED_BYTES:
            stored[UTF8 + name], stored[ENDS + name] = as_bytes(strings)
        else:
            stored[name] = array if array.dtype.kind == "U" else strings.astype("U")
        if array.dtype.kind == "O" and (name != NAMELESS or gone.any()):
            stored[NULL + name] = gone
    return stored


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


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
