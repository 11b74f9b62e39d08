"""One column, or one array, of whatever library, as something that can be cut into blocks; and what one block says.

A column is a numpy array of numbers, an Arrow column, or, where neither can hold its values, a list of texts that spell them.
"""

import datetime
import decimal
import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jupyter_mlprod.core import fingerprint
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.reference import Index, Part, moment_part, number_part, string_part, tensor_part

Column = Any
"""A numpy array, a pyarrow Array or ChunkedArray, or a list of str and None; pyarrow has no types to name."""

NOT_ARROW = (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError, UnicodeEncodeError)
TICKS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
TENSOR_KINDS = "iufb"


def columns_of(value: Any) -> tuple[bool, dict[str, Column]]:
    """Whether a live value is a table, and its columns.

    Raises
    ------
    MlprodError : ``bad-data`` naming the column and what it holds.
    """
    if hasattr(value, "to_arrow"):  # polars
        value = value.to_arrow()
    if isinstance(value, pa.Table | pa.RecordBatch):
        return True, _named(value.column_names, value.columns)
    if isinstance(value, pa.Array | pa.ChunkedArray):
        return False, {"": value}
    if hasattr(value, "iloc") and hasattr(value, "columns"):
        return True, _named(value.columns, (_of_pandas(str(name), value.iloc[:, i]) for i, name in enumerate(value.columns)))
    if hasattr(value, "iloc"):
        return False, {"": _of_pandas("", value)}
    if isinstance(value, Mapping):
        return True, _named(value, (_of_array(str(name), _plain(column)) for name, column in value.items()))
    return False, {"": _of_array("", _plain(value))}


def _named(names: Iterable[Any], columns: Iterable[Column]) -> dict[str, Column]:
    texts = [str(name) for name in names]
    twice = next((name for name in texts if texts.count(name) > 1), None) if len(set(texts)) < len(texts) else None
    if twice is not None:
        raise MlprodError(Code.BAD_DATA, f"two columns are named {twice[:80]!r}", hint="give each column a name of its own")
    found = dict(zip(texts, columns, strict=True))
    lengths = {name: len(column) for name, column in found.items()}
    if len(set(lengths.values())) > 1:
        raise MlprodError(Code.BAD_DATA, f"the columns differ in rows: {', '.join(map(str, sorted(set(lengths.values()))[:5]))}")
    return found


def _plain(value: Any) -> Any:
    """An array out of a tensor, a list or an array; frames inside a mapping stay what they are."""
    if hasattr(value, "detach") and hasattr(value, "cpu"):
        value = value.detach().cpu()
        return (value.float() if str(value.dtype) == "torch.bfloat16" else value).numpy()
    if hasattr(value, "iloc") or isinstance(value, pa.Array | pa.ChunkedArray):
        return value
    if isinstance(value, np.ma.MaskedArray) and value.ndim == 1:
        return pa.array(value.data, mask=np.ma.getmaskarray(value))
    try:
        return np.asarray(value)
    except (ValueError, TypeError) as error:
        raise MlprodError(
            Code.BAD_DATA, f"a {type(value).__name__} is not rows of equal length: {' '.join(str(error).split())[:200]}"
        ) from None


def _of_pandas(name: str, series: Any) -> Column:
    kind = getattr(series.dtype, "kind", "O")
    if isinstance(series.dtype, np.dtype) and kind not in "OMm":
        return _of_array(name, series.to_numpy())
    try:
        found = pa.array(series, from_pandas=True)
    except NOT_ARROW:
        return _spelled(name, series.tolist())
    return _spelled(name, series.tolist()) if kind == "O" and pa.types.is_binary(found.type) else found


def _of_array(name: str, array: Any) -> Column:
    if not isinstance(array, np.ndarray):
        return _of_pandas(name, array) if hasattr(array, "iloc") else array
    if array.ndim == 0:
        raise MlprodError(
            Code.BAD_DATA, f"{_called(name)} is one value and no rows", hint="give an array, a table, or a mapping of columns"
        )
    kind = array.dtype.kind
    if kind in TENSOR_KINDS and array.dtype.itemsize <= 8 and 0 not in array.shape[1:]:
        return pa.array(array) if kind == "b" and array.ndim == 1 else array
    if array.ndim > 1 or kind not in "UOTSMm":
        raise MlprodError(Code.BAD_DATA, f"{_called(name)} has dtype {array.dtype} and shape {array.shape}, which no snapshot describes")
    if kind in "Mm" and np.datetime_data(array.dtype)[0] not in TICKS:
        array = array.astype(f"{kind}8[s]")
    try:
        found = pa.array(array.astype(object) if kind == "T" else array, from_pandas=True)
    except NOT_ARROW:
        return _spelled(name, array.tolist())
    return _spelled(name, array.tolist()) if kind == "O" and pa.types.is_binary(found.type) else found


def _called(name: str) -> str:
    return f"column {name[:80]!r}" if name else "the data"


def _spelled(name: str, values: Iterable[Any]) -> list[str | None]:
    try:
        return [None if _is_null(value) else _spelling(value) for value in values]
    except (TypeError, RecursionError) as error:
        reason = str(error) if isinstance(error, TypeError) else "values nested too deep"
        raise MlprodError(
            Code.BAD_DATA, f"{_called(name)} holds {reason}", hint="leave the column out, or turn it into numbers or strings"
        ) from None


def _spelling(value: Any) -> str:
    """One text a value, different for different values: 1 and "1" are two, 1 and 1.0 are one."""
    if isinstance(value, np.ndarray | np.generic):
        return _spelling(value.tolist())
    if isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    if isinstance(value, int | float):
        return str(int(value)) if isinstance(value, float) and value.is_integer() else repr(value)
    if isinstance(value, bytes):
        return f"bytes {value.hex()}"
    if isinstance(value, decimal.Decimal):
        return f"decimal {value.normalize()}"
    if isinstance(value, datetime.date | datetime.time):
        return f"time {value.isoformat()}"
    if isinstance(value, datetime.timedelta):
        return f"duration {value}"
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_spelling, value))}]"
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{_spelling(key)}:{_spelling(item)}" for key, item in value.items()) + "}"
    raise TypeError(f"a {type(value).__name__}")


def _is_null(value: Any) -> bool:
    return value is None or type(value).__name__ in ("NAType", "NaTType") or (isinstance(value, float) and value != value)


def width_of(column: Column) -> int:
    """Values in a row."""
    return int(np.prod(column.shape[1:])) if isinstance(column, np.ndarray) else 1


def rows_of_block(column: Column) -> int:
    """How many rows a block of the column has."""
    if isinstance(column, np.ndarray) and column.ndim > 1:
        return fingerprint.block_rows(column.dtype.itemsize * width_of(column))
    return fingerprint.BLOCK_ROWS


def part_of(name: str, block: Column, index: Index) -> Part:
    """What a block says; ``index`` are the sampled rows in it."""
    if isinstance(block, np.ndarray):
        return number_part(block, index) if block.ndim == 1 else tensor_part(block, index)
    if isinstance(block, list):
        gone = sum(text is None for text in block)
        return string_part("object", fingerprint.spelled(block), rows=len(block), nulls=gone, sample={})
    whole = block.combine_chunks() if isinstance(block, pa.ChunkedArray) else block
    if isinstance(whole, pa.ChunkedArray):
        whole = pa.concat_arrays(whole.chunks)
    return _arrow_part(name, whole, index)


def _arrow_part(name: str, block: Any, index: Index) -> Part:
    kind = block.type
    if pa.types.is_dictionary(kind):
        return _arrow_part(name, block.dictionary_decode(), index)
    if pa.types.is_null(kind):
        return string_part("null", b"", rows=len(block), nulls=len(block), sample={})
    if pa.types.is_float16(kind):
        return _arrow_part(name, block.cast(pa.float32()), index)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return number_part(_filled(block, 0), index, gone=_gone(block))
    if pa.types.is_boolean(kind):
        return _truth(block, index)
    if pa.types.is_temporal(kind) and not pa.types.is_interval(kind):
        return _moments(block, index)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return _strings(block.cast(pa.large_string()), index)
    return part_of(name, _spelled(name, block.to_pylist()), index)


def _gone(block: Any) -> Any:
    return block.is_null().to_numpy(zero_copy_only=False) if block.null_count else None


def _filled(block: Any, value: Any) -> Any:
    return (pc.fill_null(block, value) if block.null_count else block).to_numpy(zero_copy_only=False)


def _truth(block: Any, index: Index) -> Part:
    values = _filled(block.cast(pa.uint8()), 2)
    false, true, _ = np.bincount(values[index], minlength=3).tolist()
    sample = {text: count for text, count in (("false", false), ("true", true)) if count}
    return string_part("bool", fingerprint.hashed(values), rows=len(block), nulls=block.null_count, sample=sample)


def _moments(block: Any, index: Index) -> Part:
    """Times as seconds and nanoseconds, whatever the unit was; an aware time is that of UTC."""
    if pa.types.is_date(block.type):
        block = block.cast(pa.timestamp("s" if pa.types.is_date32(block.type) else "ms"))
    ticks = TICKS[block.type.unit]
    words = block.cast(pa.int32()).cast(pa.int64()) if pa.types.is_time32(block.type) else block.cast(pa.int64())
    gone, values = _gone(block), _filled(words, 0)
    seconds, rest = values // ticks, (values % ticks * (10**9 // ticks)).astype("<i4")
    if gone is not None:
        seconds, rest = np.where(gone, 0, seconds), np.where(gone, -1, rest).astype("<i4")
    floats = seconds + rest / 1e9
    if gone is not None:
        floats[gone] = np.nan
    kind = "duration" if not pa.types.is_timestamp(block.type) else "time_utc" if block.type.tz else "time"
    return moment_part(kind, fingerprint.hashed(seconds.astype("<i8"), rest), floats, index)


def _strings(block: Any, index: Index) -> Part:
    gone = _gone(block)
    filled = pc.fill_null(block, "") if gone is not None else block
    _, offsets, body = filled.buffers()
    ends = np.frombuffer(offsets, dtype="<i8", count=len(filled) + 1, offset=8 * filled.offset)
    lengths = np.diff(ends).astype(np.int32)
    if gone is not None:
        lengths[gone] = -1
    data = memoryview(body)[ends[0] : ends[-1]] if body is not None else b""
    seen = pc.value_counts(block.take(pa.array(index)).drop_null())
    return string_part(
        "string",
        fingerprint.strings(lengths, data),
        rows=len(block),
        nulls=block.null_count,
        sample=dict(zip(seen.field("values").to_pylist(), seen.field("counts").to_pylist(), strict=True)),
        lengths=_extent(block, lengths, data),
    )


def _extent(block: Any, lengths: Any, data: Any) -> tuple[int, int]:
    """The shortest and the longest string in characters, which of ASCII are its bytes; counting them takes longer than all the rest."""
    if np.frombuffer(data, dtype=np.int8).min(initial=0) < 0:
        extent = pc.min_max(pc.utf8_length(block)).as_py()
        return extent["min"] or 0, extent["max"] or 0
    there = lengths[lengths >= 0] if block.null_count else lengths
    return (int(there.min()), int(there.max())) if len(there) else (0, 0)


def slice_of(column: Column, start: int, rows: int) -> Column:
    """Rows of a column, without a copy."""
    return column[start : start + rows] if isinstance(column, np.ndarray | list) else column.slice(start, rows)


def dtype_of(column: Column) -> tuple[tuple[int, ...], str]:
    """Shape of a row and type of a tensor; nothing for a plain column."""
    if isinstance(column, np.ndarray) and column.ndim > 1:
        return column.shape[1:], column.dtype.newbyteorder("=").name
    return (), ""
