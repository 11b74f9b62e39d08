"""Tables and arrays as blocks, in memory or out of a file in pieces, and the snapshot of what the blocks say.

A .csv file is read twice, because what a column is can only be told when its last value has been seen. Memory stays that of a few blocks:
they are described by all cores while the next ones are read.
"""

import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pc_csv
import pyarrow.parquet as pq

from jupyter_mlprod.adapters.snapshots.columns import Column, dtype_of, part_of, rows_of_block, slice_of, width_of
from jupyter_mlprod.core import reference
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.fingerprint import BLOCK_ROWS
from jupyter_mlprod.core.ports import Progress
from jupyter_mlprod.core.raw import Array
from jupyter_mlprod.core.reference import Index, Part
from jupyter_mlprod.core.snapshot import ColumnFacts, Kind, Snapshot

BLOCKS = 4
"""In one task: each costs a change of threads, which takes as long as the hash of a small block."""
WAITING = 8
"""Tasks that are in work or wait for it; the cores never wait for the reader, which never runs far ahead."""
TASK_ROWS = BLOCKS * BLOCK_ROWS
"""Of a file that is read in pieces."""
PAGE_BYTES = 1 << 16
"""Read of a Parquet column at once; without it pyarrow holds whole row groups, which may be the whole file."""
CSV_BLOCK_BYTES = 8_000_000
NULLS = [
    "", " ", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA", "NULL", "NaN",
    "None", "n/a", "nan", "null",
]  # fmt: skip
"""Those of `pandas.read_csv`."""
TRUE, FALSE = ["True", "TRUE", "true"], ["False", "FALSE", "false"]

Task = tuple[str, int, Column]
"""Column, first row, rows of a few blocks."""


class Source(msgspec.Struct, kw_only=True):
    """Rows to be described: ``columns`` name each with shape and type of a tensor's row; ``tasks`` yields the rows, once."""

    kind: Kind
    rows: int
    width: int
    columns: Mapping[str, tuple[tuple[int, ...], str]]
    tasks: Iterator[Task]
    count: int


def source_of(table: bool, columns: Mapping[str, Column]) -> Source:
    """Columns in memory."""
    rows = len(next(iter(columns.values()), ()))
    steps = {name: BLOCKS * rows_of_block(column) for name, column in columns.items()}
    return Source(
        kind="table" if table else "text" if _is_text(next(iter(columns.values()))) else "array",
        rows=rows,
        width=sum(map(width_of, columns.values())),
        columns={name: dtype_of(column) for name, column in columns.items()},
        tasks=((n, at, slice_of(columns[n], at, step)) for n, step in steps.items() for at in range(0, rows, step)),
        count=sum(-(-rows // step) for step in steps.values()),
    )


def _is_text(column: Column) -> bool:
    kind = getattr(column, "type", None)
    return kind is not None and (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def npy_file(file: Path) -> Array:
    """An array that stays in its file until its blocks are read."""
    return np.asarray(np.lib.format.open_memmap(file, mode="r"))


def parquet_file(file: Path) -> Source:
    """A Parquet file; what pandas kept as the index of its rows is no column, as it is none when pandas reads the file."""
    opened = pq.ParquetFile(file, pre_buffer=False, buffer_size=PAGE_BYTES)
    index = (opened.schema_arrow.pandas_metadata or {}).get("index_columns", [])
    names = [name for name in opened.schema_arrow.names if name not in [entry for entry in index if isinstance(entry, str)]]
    _refuse_twins(file, names)
    return _streamed([[name] for name in names], opened.metadata.num_rows, [_column_of(opened, name) for name in names])


def _column_of(opened: Any, name: str) -> Iterator[Any]:
    """One column alone, which is still near when it is hashed, and without threads of pyarrow, which would take the hashing ones' cores."""
    for batch in opened.iter_batches(batch_size=TASK_ROWS, columns=[name], use_threads=False):
        yield pa.Table.from_batches([batch])


def csv_file(file: Path, progress: Progress) -> Source:
    """A CSV file: the first reading finds the types and the number of rows, the second is the source."""
    names = pc_csv.open_csv(file, read_options=_pieces()).schema.names
    _refuse_twins(file, names)
    rows, found = 0, {name: [pa.int64(), pa.float64(), pa.bool_()] for name in names}
    for piece in _counted("read", _texts(file, names), file, progress):
        rows += len(piece)
        found = {name: [kind for kind in kinds if _holds(piece[name], kind)] for name, kinds in found.items()}
    kinds = {name: next(iter(left), pa.string()) for name, left in found.items()}
    tables = (pa.table({name: _cast(piece[name], kinds[name]) for name in names}) for piece in _texts(file, names))
    return _streamed([names], rows, [tables])


def _refuse_twins(file: Path, names: list[str]) -> None:
    if len(set(names)) < len(names):
        raise MlprodError(Code.BAD_DATA, f"{file}: two columns have the same name")


def _pieces() -> Any:
    return pc_csv.ReadOptions(block_size=CSV_BLOCK_BYTES)


def _counted(what: str, pieces: Iterator[Any], file: Path, progress: Progress) -> Iterator[Any]:
    """The pieces of a file with a bar, whose length is that of the file."""
    for piece in (next(pieces, None) for _ in progress(what, range(file.stat().st_size // CSV_BLOCK_BYTES + 1))):
        if piece is not None:
            yield piece
    yield from pieces


def _texts(file: Path, names: list[str]) -> Iterator[Any]:
    """A CSV file in pieces, every value as it is written."""
    options = pc_csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()), null_values=NULLS, strings_can_be_null=True, quoted_strings_can_be_null=True
    )
    with pc_csv.open_csv(
        file, read_options=_pieces(), parse_options=pc_csv.ParseOptions(newlines_in_values=True), convert_options=options
    ) as reader:
        for batch in reader:
            if len(batch):
                yield batch


def _holds(texts: Any, kind: Any) -> bool:
    """Whether every text reads as this type."""
    if pa.types.is_boolean(kind):
        return bool(pc.all(pc.is_in(texts.drop_null(), pa.array(TRUE + FALSE))).as_py() is not False)
    try:
        texts.cast(kind)
    except pa.ArrowInvalid:
        return False
    return True


def _cast(texts: Any, kind: Any) -> Any:
    if not pa.types.is_boolean(kind):
        return texts.cast(kind)
    return pc.if_else(texts.is_valid(), pc.is_in(texts, pa.array(TRUE)), pa.scalar(None, pa.bool_()))


def _streamed(groups: list[list[str]], rows: int, streams: list[Iterator[Any]]) -> Source:
    """Groups of columns, each as tables of any lengths."""
    names = [name for group in groups for name in group]
    pieces = ((group, at, piece) for group, stream in zip(groups, streams, strict=True) for at, piece in _regular(stream))
    return Source(
        kind="table",
        rows=rows,
        width=len(names),
        columns=dict.fromkeys(names, ((), "")),
        tasks=((name, at, piece[name]) for group, at, piece in pieces for name in group),
        count=-(-rows // TASK_ROWS) * len(names),
    )


def _regular(tables: Iterable[Any]) -> Iterator[tuple[int, Any]]:
    """The same rows in pieces of `TASK_ROWS`, and the place of each."""
    held: list[Any] = []
    start = have = 0
    for table in tables:
        held.append(table)
        have += len(table)
        while have >= TASK_ROWS:
            whole = pa.concat_tables(held)
            yield start, whole.slice(0, TASK_ROWS)
            start, have = start + TASK_ROWS, have - TASK_ROWS
            held = [whole.slice(TASK_ROWS)]
    if have:
        yield start, pa.concat_tables(held)


def snapshot_of(source: Source, progress: Progress) -> Snapshot:
    """Every block once, on all cores, and what they say put together in their order.

    Raises
    ------
    MlprodError : ``bad-data`` when there is no column, or one cannot be described.
    """
    if not source.columns:
        raise MlprodError(Code.BAD_DATA, "the data has no column")
    picked = reference.sampled_rows(source.rows, width=source.width)
    parts: dict[str, list[Part]] = {name: [] for name in source.columns}
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        for name, found in _described(source, picked, pool, progress):
            parts[name] += found
        if any(sum(part.rows for part in column) != source.rows for column in parts.values()):
            raise MlprodError(
                Code.BAD_DATA, f"the data no longer have the {source.rows:,} rows that they began with", hint="repeat it when nobody writes"
            )
        columns = pool.map(lambda item: _facts(item[0], parts[item[0]], item[1]), source.columns.items())
        return Snapshot(kind=source.kind, rows=source.rows, sampled=len(picked), columns=tuple(columns))
    finally:
        pool.shutdown(cancel_futures=True)


def _described(source: Source, picked: Index, pool: Executor, progress: Progress) -> Iterator[tuple[str, list[Part]]]:
    """What each task's blocks say of its column, in their order."""
    waiting: deque[tuple[str, Future[list[Part]]]] = deque()
    for _, task in zip(progress("snapshot", range(source.count)), source.tasks, strict=False):
        waiting.append((task[0], pool.submit(_parts, task, picked)))
        if len(waiting) == WAITING:
            name, parts = waiting.popleft()
            yield name, parts.result()
    yield from ((name, parts.result()) for name, parts in waiting)


def _parts(task: Task, picked: Index) -> list[Part]:
    name, start, rows = task
    step, parts = rows_of_block(rows), []
    for at in range(0, len(rows), step):
        block = slice_of(rows, at, step)
        first, last = np.searchsorted(picked, [start + at, start + at + len(block)])
        parts.append(part_of(name, block, picked[first:last] - start - at))
    return parts


def _facts(name: str, parts: list[Part], tensor: tuple[tuple[int, ...], str]) -> ColumnFacts:
    return reference.facts(name, parts, shape=tensor[0], dtype=tensor[1])
