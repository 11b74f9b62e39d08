"""Where rows come from: live objects, which stay where they are, and files, which are read in pieces.

A .csv holds texts alone, so each column is read as what the contract says it is; a text that is no such value stays a text. Everything else
says itself what its values are.
"""

import contextlib
import csv
import tokenize
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl

from jupyter_mlprod.adapters.frames.columns import Column, column_of, part_of
from jupyter_mlprod.core.contract import ColumnType
from jupyter_mlprod.core.demands import FLOAT_EXACT
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.raw import Raw, with_nulls
from jupyter_mlprod.core.text_values import TRUTH, value_of

HEAD_ROWS = 1 << 12
"""The first piece of what is in memory: most of what is broken shows there, and is then counted at once."""
BATCH_ROWS = 1 << 17
"""A piece of a Parquet file."""
BROKEN = (
    EOFError,
    KeyError,
    MemoryError,
    NotImplementedError,
    OSError,
    OverflowError,
    SyntaxError,
    TypeError,
    ValueError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
    csv.Error,
    pl.exceptions.PolarsError,
    pl.exceptions.PanicException,
)
"""What polars and numpy raise on files that are truncated or none of their kind."""
QUOTING = (SyntaxError, tokenize.TokenError, pl.exceptions.PolarsError, pl.exceptions.PanicException)
"""Those in whose words polars and Python's parser repeat what they could not read."""
NOT_READ = (AttributeError, NotImplementedError, OverflowError, RuntimeError, TypeError, ValueError, pl.exceptions.PolarsError)
"""What numpy, torch, pandas and polars raise for live objects that are no rows."""
PIECE_BYTES = 8_000_000
"""Of a .csv, about as many as polars reads for a piece; for the length of a bar."""
NULLS = [
    "", " ", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA", "NULL", "NaN",
    "None", "n/a", "nan", "null",
]  # fmt: skip
"""Those of `pandas.read_csv`."""

Piece = tuple[int, dict[str, Column]]
"""How many rows, and their columns."""


class Source(msgspec.Struct, kw_only=True):
    """Rows in pieces.

    Attributes
    ----------
    names : of all columns
    lengths : by name, where columns may differ
    rows : how many; None where only the last piece tells
    count : of pieces, about
    pieces : the named columns piece by piece, as often as it is called
    whole : the columns, where they are in memory
    """

    names: tuple[str, ...]
    lengths: Mapping[str, int]
    rows: int | None
    pieces: Callable[[Sequence[str]], Iterator[Piece]]
    whole: Mapping[str, Column] | None = None
    count: int = 2


def opened(value: Any, *, types: Mapping[str, ColumnType], head_rows: int = HEAD_ROWS, batch_rows: int = BATCH_ROWS) -> Source:
    """A file or a live object.

    Parameters
    ----------
    types : what the contract says of the columns that it knows; no other is looked at, and what has no names is the first of them

    Raises
    ------
    MlprodError : ``bad-data`` in one line.
    """
    if isinstance(value, Path):
        return _of_file(value, types, head_rows, batch_rows)
    if isinstance(value, pl.LazyFrame):
        return _of_lazy(value)
    try:
        return _of_live(value, types, head_rows)
    except NOT_READ as error:
        raise MlprodError(Code.BAD_DATA, f"a {type(value).__name__} cannot be read as rows: {one_line(error)}") from None


def one_line(error: BaseException) -> str:
    """The beginning of what an error says; of one that may quote the data its type alone."""
    if isinstance(error, QUOTING):
        return type(error).__name__
    return " ".join(str(error).split())[:200]


def _of_live(value: Any, types: Mapping[str, ColumnType], head_rows: int) -> Source:
    if isinstance(value, Mapping):
        return _in_memory(value, value.values(), types, head_rows=head_rows)
    if isinstance(value, pl.DataFrame):
        return _in_memory(value.columns, value.get_columns(), types, head_rows=head_rows, rows=value.height)
    if hasattr(value, "iloc") and hasattr(value, "columns"):
        return _in_memory(value.columns, (value.iloc[:, i] for i in range(value.shape[1])), types, head_rows=head_rows, rows=len(value))
    if hasattr(value, "column_names") and hasattr(value, "num_rows"):
        return _in_memory(value.column_names, value.columns, types, head_rows=head_rows, rows=value.num_rows)
    return _in_memory([next(iter(types))], [value], types, head_rows=head_rows)


def _in_memory(
    names: Iterable[Any], columns: Iterable[Any], types: Mapping[str, ColumnType], *, head_rows: int, rows: int | None = None
) -> Source:
    texts = _different(list(map(str, names)))
    given = dict(zip(texts, columns, strict=True))
    whole = {name: column_of(column) for name, column in given.items() if name in types}
    lengths = {name: len(whole[name]) if name in whole else _length(column) for name, column in given.items()}
    n = max(lengths.values(), default=0) if rows is None else rows

    def pieces(wanted: Sequence[str]) -> Iterator[Piece]:
        for start, stop in ((0, min(head_rows, n)), (head_rows, n)):
            if start < stop:
                yield stop - start, {name: part_of(whole[name], start, stop) for name in wanted}

    return Source(names=tuple(texts), lengths=lengths, rows=n, pieces=pieces, whole=whole)


def _length(column: Any) -> int:
    return 1 if isinstance(column, str) or not hasattr(column, "__len__") or getattr(column, "shape", None) == () else len(column)


def _different(names: list[str]) -> list[str]:
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise MlprodError(Code.BAD_DATA, f"two columns are named {twice[:80]!r}", hint="give each column a name of its own")
    return names


def _of_file(file: Path, types: Mapping[str, ColumnType], head_rows: int, batch_rows: int) -> Source:
    with reading(file):
        if file.suffix == ".parquet":
            return _of_parquet(file, batch_rows)
        if file.suffix == ".csv":
            return _of_csv(file, types)
        if file.suffix == ".npy":
            return _of_live(np.lib.format.open_memmap(file, mode="r"), types, head_rows)
        if file.suffix == ".npz":
            return _of_live(npz_columns(file), types, head_rows)
    raise MlprodError(Code.BAD_DATA, f"{file} is of no known kind", hint="name a file that ends in .parquet, .csv, .npy or .npz")


@contextlib.contextmanager
def reading(file: Path | str) -> Iterator[None]:
    """A file that turns out to be truncated or none of its kind is told in one line; any error of a query may quote its data."""
    try:
        yield
    except BROKEN as error:
        why = one_line(error) if isinstance(file, Path) else type(error).__name__
        raise MlprodError(Code.BAD_DATA, f"{file} cannot be read: {why}") from None


def npz_columns(file: Path) -> Raw:
    """The arrays of an archive, as they were written beside their nulls and texts."""
    with file.open("rb") as stream:
        archive = np.load(stream, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise ValueError("it is no archive of arrays")
        columns = with_nulls({name: archive[name] for name in archive.files})
    return columns[""] if list(columns) == [""] else columns


def _of_parquet(file: Path, batch_rows: int) -> Source:
    from jupyter_mlprod.adapters.frames.arrow import ParquetPieces

    opened = ParquetPieces(file)
    names = _different(opened.names)

    def pieces(wanted: Sequence[str]) -> Iterator[Piece]:
        with reading(file):
            yield from opened.batches(wanted, rows=batch_rows)

    return Source(
        names=tuple(names), lengths=dict.fromkeys(names, opened.rows), rows=opened.rows, pieces=pieces, count=-(-opened.rows // batch_rows)
    )


def _of_lazy(frame: pl.LazyFrame) -> Source:
    with reading("the LazyFrame"):
        names = tuple(frame.collect_schema().names())

    def pieces(wanted: Sequence[str]) -> Iterator[Piece]:
        with reading("the LazyFrame"):
            for batch in frame.select(wanted or names[:1]).collect_batches(maintain_order=True):
                if batch.height:
                    yield batch.height, {name: column_of(batch[name]) for name in wanted}

    return Source(names=names, lengths=dict.fromkeys(names, 0), rows=None, pieces=pieces)


def _of_csv(file: Path, types: Mapping[str, ColumnType]) -> Source:
    with file.open(encoding="utf-8-sig", newline="") as stream:
        names = _different(next(csv.reader(stream), []))
    if not names:
        raise ValueError("it has no head")
    frame = pl.scan_csv(file, infer_schema=False, null_values=NULLS)

    def pieces(wanted: Sequence[str]) -> Iterator[Piece]:
        with reading(file):
            for batch in frame.select(wanted or names[:1]).collect_batches(maintain_order=True):
                if batch.height:
                    yield batch.height, {name: as_declared(batch[name], types[name]) for name in wanted}

    return Source(
        names=tuple(names), lengths=dict.fromkeys(names, 0), rows=None, pieces=pieces, count=file.stat().st_size // PIECE_BYTES + 1
    )


def as_declared(texts: pl.Series, kind: ColumnType) -> Column:
    """Texts as values of a type; what is none stays a text."""
    match kind:
        case "string":
            return texts
        case "float" | "int":
            read = texts.str.strip_chars().cast(pl.Float64 if kind == "float" else pl.Int64, strict=False)
        case "bool":
            read = texts.replace_strict(TRUTH, default=None, return_dtype=pl.Boolean)
        case "time" | "time_utc":
            return [value_of(text, kind) for text in texts]
    rounded = kind == "float" and bool((read.abs() >= FLOAT_EXACT).any())
    if read.null_count() == texts.null_count() and not rounded:
        return read
    return [value_of(text, kind) for text in texts]
