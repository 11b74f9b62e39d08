"""A live value as a raw batch, whatever library made it: pandas, polars, Arrow, numpy, torch, Pillow, lists and records.

None of these is imported: a value is asked what it can do. Values of several types in one column are kept as they are, so that the check
names their rows; only what has no rows is refused. A null is NaN among floats, NaT among times, and None elsewhere: an integer beside a
null stays an integer.
"""

import datetime
import itertools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from jupyter_mlprod.core.demands import FLOAT_EXACT
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.live_images import images, is_image
from jupyter_mlprod.core.mixed import Odd, odd
from jupyter_mlprod.core.raw import Array, Raw, object_array
from jupyter_mlprod.core.values import NO_VALUE

NONE = type(None)
KEPT = (bool, int, float, str, bytes, datetime.datetime, datetime.date, NONE, Odd)
NUMBERS = "fiub"
AS_ROWS = "give an array, a table, a mapping of columns, or records"


def raw_of(value: Any) -> Raw:
    """A value of the notebook as a raw batch.

    Returns
    -------
    A mapping of (rows,) or (rows, ...) arrays for a table, a mapping or a list of records; else one (rows, ...) array.

    Raises
    ------
    MlprodError : ``bad-data`` naming the type, the column or the rows that cannot be read.
    """
    if isinstance(value, Mapping):
        return {str(name): array_of(column, str(name)) for name, column in value.items()}
    if hasattr(value, "collect") and hasattr(value, "lazy"):
        raise MlprodError(Code.BAD_DATA, f"a {type(value).__name__} has not been computed", hint="give it with .collect()")
    if hasattr(value, "column_names") and hasattr(value, "to_pylist"):
        return _table(value.column_names, map(_of_arrow, value.columns))
    if hasattr(value, "get_columns") and hasattr(value, "to_arrow"):
        return _table(value.columns, map(_of_polars, value.get_columns()))
    if hasattr(value, "columns") and hasattr(value, "iloc"):
        return _table(value.columns, (_of_pandas(value.iloc[:, i]) for i in range(len(value.columns))))
    if isinstance(value, list | tuple) and any(isinstance(row, Mapping) for row in value):
        return _records(value)
    array: Any = array_of(value)
    return array if array.dtype.names is None else {name: _native(array[name]) for name in array.dtype.names}


def of_arrow(table: Any) -> dict[str, Array]:
    """A table of Arrow as a mapping of columns."""
    return _table(table.column_names, map(_of_arrow, table.columns))


def array_of(value: Any, name: str = "") -> Array:
    """One column, or one tensor.

    Parameters
    ----------
    name : of the column, to be named in a refusal; empty for data that is one array
    """
    called = f"column {name[:80]!r}" if name else f"a {type(value).__name__}"
    if is_image(value):
        return images([value], called)
    if hasattr(value, "detach") and hasattr(value, "cpu"):
        value = _of_torch(value, called)
    elif hasattr(value, "to_pylist") and hasattr(value, "null_count"):
        value = _of_arrow(value)
    elif hasattr(value, "to_list") and hasattr(value, "to_arrow"):
        value = _of_polars(value)
    elif hasattr(value, "iloc"):
        value = _of_pandas(value)
    elif isinstance(value, list | tuple):
        value = _of_list(value, called, named=bool(name))
    try:
        array = value if isinstance(value, np.ma.MaskedArray) else np.asarray(value)
    except (ValueError, TypeError) as error:
        raise MlprodError(Code.BAD_DATA, f"{called} is not rows of equal length: {one_line(error)}") from None
    if array.ndim == 0 or (array.ndim > 1 and array.dtype.kind == "O" and not _is_numbers(array)):
        raise MlprodError(Code.BAD_DATA, f"{called} cannot be read as rows", hint=AS_ROWS)
    return _native(array)


def column_of(values: Sequence[Any]) -> Array:
    """Values as a column: an array of numbers where they are all numbers, else of objects; lists of one shape become a tensor."""
    kinds = set(map(type, values))
    if not kinds <= set(KEPT):
        if values and all(issubclass(kind, list | tuple | np.ndarray) for kind in kinds):
            tensor = _tensor(values)
            if tensor is not None:
                return tensor
        values = [kept(value) for value in values]
        kinds = set(map(type, values))
    some = kinds - {NONE}
    if some == {int} and NONE not in kinds:
        return _integers(values)
    if some == {float} or (some == {int, float} and _are_exact(values)):
        return np.array([np.nan if value is None else value for value in values], np.float64)
    if some == {bool} and NONE not in kinds:
        return np.array(values, bool)
    if some == {datetime.datetime} and all(value is None or value.tzinfo is None for value in values):
        return np.array(values, "M8[us]")
    if some == {datetime.date}:
        return np.array(values, "M8[D]")
    return object_array(values)


def _are_exact(values: Sequence[Any]) -> bool:
    return all(not isinstance(value, int) or -FLOAT_EXACT <= value <= FLOAT_EXACT for value in values)


def _integers(values: Sequence[int]) -> Array:
    try:
        return np.array(values, np.int64)
    except OverflowError:
        return object_array(values)


def _tensor(values: Sequence[Any]) -> Array | None:
    """Lists of numbers as one array, where they have one shape."""
    try:
        array = np.asarray(list(values))
    except (ValueError, TypeError):
        return None
    return array if array.dtype.kind in NUMBERS and array.ndim > 1 else None


def kept(value: Any) -> Any:
    """A value as one of Python's own, or as what is said of one that no column holds."""
    if isinstance(value, np.datetime64):
        value = value.astype("M8[us]").item()
    elif isinstance(value, np.generic):
        value = value.item()
    elif isinstance(value, datetime.datetime) and hasattr(value, "to_pydatetime"):
        value = value.to_pydatetime(warn=False)
    if type(value).__name__ in NO_VALUE:
        return None
    for base in (int, float, str):
        if isinstance(value, base) and type(value) not in KEPT:
            return base(value)
    return value if isinstance(value, KEPT) else odd(value)


def _table(names: Iterable[Any], columns: Iterable[Array]) -> dict[str, Array]:
    texts = list(map(str, names))
    twice = next((name for name, count in Counter(texts).items() if count > 1), None)
    if twice is not None:
        raise MlprodError(Code.BAD_DATA, f"two columns are named {twice[:80]!r}", hint="give each column a name of its own")
    return dict(zip(texts, columns, strict=True))


def _records(rows: Sequence[Any]) -> dict[str, Array]:
    """A list of records: a column for each key that any of them has, null where one lacks it."""
    other = next((i for i, row in enumerate(rows) if not isinstance(row, Mapping)), None)
    if other is not None:
        what = f"row {other:,} is a {type(rows[other]).__name__}, and others are records"
        raise MlprodError(Code.BAD_DATA, what, hint="give one mapping of column to value a row")
    names = dict.fromkeys(itertools.chain.from_iterable(rows))
    return _table(names, (column_of([row.get(name) for row in rows]) for name in names))


def _of_list(values: Sequence[Any], called: str, *, named: bool) -> Any:
    """A list of images, of tensors, or of rows; one of plain values as a column, in which a list is a value of a wrong type."""
    if values and all(map(is_image, values)):
        return images(values, called)
    if any(hasattr(value, "detach") for value in values):
        values = [_of_torch(value, called) if hasattr(value, "detach") else value for value in values]
    nested = [isinstance(value, list | tuple | np.ndarray) for value in values]
    if not any(nested) or (named and not all(nested)):
        return column_of(values)
    if not all(nested):
        row = nested.index(not nested[0])
        kinds = f"a {type(values[row]).__name__}, and row 0 a {type(values[0]).__name__}"
        raise MlprodError(Code.BAD_DATA, f"{called} is not rows of equal length: row {row:,} is {kinds}", hint=AS_ROWS)
    lengths = [len(value) if isinstance(value, list | tuple) or value.ndim else 0 for value in values]
    row = next((i for i, length in enumerate(lengths) if length != lengths[0]), 0)
    if row:
        what = f"{called} is not rows of equal length: row {row:,} has {lengths[row]:,} values, and row 0 has {lengths[0]:,}"
        raise MlprodError(Code.BAD_DATA, what, hint="pad the rows, or cut them")
    return values


def _of_torch(tensor: Any, called: str) -> Array:
    """A tensor of any device and layout in memory."""
    try:
        plain = tensor.detach().cpu()
        if hasattr(plain, "resolve_conj"):
            plain = plain.resolve_conj().resolve_neg()
        return np.asarray(plain.numpy())
    except (TypeError, RuntimeError, ValueError) as error:
        reason = f"has dtype {tensor.dtype}, which numpy has not" if "ScalarType" in str(error) else one_line(error)
        hint = "give it with .to_dense()" if "sparse" in str(getattr(tensor, "layout", "")).lower() else "give it with .float()"
        raise MlprodError(Code.BAD_DATA, f"{called} {reason}", hint=hint) from None


def _of_polars(series: Any) -> Array:
    """Through Arrow, but for what Arrow does not have."""
    if str(series.dtype) in ("Object", "Int128", "UInt128"):
        return column_of(series.to_list())
    return _of_arrow(series.to_arrow())


def _of_arrow(column: Any) -> Array:
    kind = str(column.type)
    if kind.startswith("dictionary"):
        return _of_arrow(column.cast(column.type.value_type))
    if kind in ("float", "double", "halffloat") or (kind.removeprefix("u").startswith("int") and not column.null_count):
        return np.asarray(column.to_numpy(zero_copy_only=False))
    if (kind.startswith("timestamp") and "tz=" not in kind) or kind.startswith(("date32", "date64", "duration")):
        return np.asarray(column.to_numpy(zero_copy_only=False))
    return column_of(column.to_pylist())


def _of_pandas(series: Any) -> Array:
    """Columns of numpy's own types as they are; of all others the values, nulls told by pandas."""
    if isinstance(series.dtype, np.dtype) and series.dtype.kind != "O":
        return _native(np.asarray(series.to_numpy()))
    gone, values = series.isna().to_numpy(), series.astype(object).tolist()
    return column_of([None if null else value for null, value in zip(gone, values, strict=True)] if gone.any() else values)


def _is_numbers(array: Array) -> bool:
    return all(isinstance(value, int | float | np.number) for value in array.ravel().tolist())


def _native(array: Any) -> Array:
    """An array in this machine's byte order, masked values as nulls, objects as a column."""
    if isinstance(array, np.ma.MaskedArray):
        array = _unmasked(array)
    if array.dtype.kind == "O":
        return column_of(array.tolist()) if array.ndim == 1 else np.asarray(array, np.float64)
    if array.dtype.kind == "T":
        return column_of(array.astype(object).tolist())
    if array.dtype.kind == "M" and np.datetime_data(array.dtype)[0] == "generic":
        return np.asarray(array.astype("M8[us]"))
    return np.asarray(array.astype(array.dtype.newbyteorder("="), copy=False))


def _unmasked(array: Any) -> Any:
    if not np.ma.is_masked(array):
        return array.data
    if array.dtype.kind == "f":
        return array.filled(np.nan)
    if array.ndim == 1:
        return object_array(array.tolist())
    what = f"an array of shape {array.shape} and dtype {array.dtype} has masked values, for which its type has no null"
    raise MlprodError(Code.BAD_DATA, what, hint="give it with .filled(…), or as floats")


def one_line(error: Exception) -> str:
    """The reason of a library, cut."""
    return " ".join(str(error).split())[:200]
