"""One file, whatever it is: what the child process runs on each path, and the only place that knows all the scans.

What a file is, is told by its bytes; its name decides only that text is Python (``.py``) or a notebook (``.ipynb``).
"""

import codecs
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from jupyter_mlprod.core.errors import MlprodError
from jupyter_mlprod.core.pinned import ChangedError, Pinned
from jupyter_mlprod.core.scan_code import MOST_BYTES, note_code
from jupyter_mlprod.core.scan_container import CHUNK, Walk
from jupyter_mlprod.core.scan_look import Look, Notes
from jupyter_mlprod.core.scan_notebook import note_notebook
from jupyter_mlprod.core.scan_onnx import LARGEST, onnx_texts
from jupyter_mlprod.core.scan_text import MARKED, note_text

NOTEBOOK = ".ipynb"
CODE = (".py", ".pyw", ".pyi")
MOST_NOTEBOOK_BYTES = 500_000_000
HEAD = 8192
PARQUET_HEAD = b"PAR1"
ONNX_HEAD = b"\x08"
"""The tag of the version of the format, which writers put first."""


Tables = Callable[[BinaryIO], Iterator[str] | None]
"""Reads the texts of a Parquet file, or says by None that it holds some that it cannot read."""


def look_at(path: str, begun: Callable[[Look], object] = lambda _: None, tables: Tables = lambda _: None) -> Look:
    """Look at a file; what stops the looking is told in ``unread``.

    Parameters
    ----------
    tables : how Parquet is read, for which the standard library has nothing
    begun : is told which bytes are looked at, before the look that may end whoever looks
    """
    notes = Notes()
    try:
        with Path(path).open("rb", buffering=0) as file:
            pinned = Pinned(file)
            begun(Look(path=path, digest=pinned.digest, size=pinned.size))
            stream = pinned.buffered()
            if path.endswith(NOTEBOOK):
                note_notebook(stream.read(MOST_NOTEBOOK_BYTES), notes)
            else:
                look_into(stream, notes, name=path, tables=tables)
    except OSError as error:
        return Look(path=path, unread=error.strerror or str(error))
    except ChangedError:
        return Look(path=path, unread="it changed while it was looked at")
    except MlprodError as refusal:
        return Look(path=path, unread=refusal.message)
    return notes.look(path, digest=pinned.digest, size=pinned.size)


def look_into(stream: BinaryIO, notes: Notes, *, name: str, tables: Tables = lambda _: None) -> None:
    """Look at bytes that can be read from any place."""
    size = stream.seek(0, io.SEEK_END)

    def leaf(inner: BinaryIO, place: str) -> bool:
        return _leaf(inner, notes, name=place or name, place=place, tables=tables)

    Walk(notes, leaf).into(stream, size)


def _leaf(stream: BinaryIO, notes: Notes, *, name: str, place: str, tables: Tables) -> bool:
    """Look at text, Python, a graph, or a table; in other bytes only for what has a mark of its own, and that is told by False."""
    stream.seek(0)
    head = stream.read(HEAD)
    encoding = _encoding(head)
    if name.endswith(CODE):
        stream.seek(0)
        note_code(stream.read(MOST_BYTES + 1), notes, place=place)
    if encoding:
        stream.seek(0)
        note_text(_decoded(stream, encoding), notes, place=place)
        return True
    texts: Iterator[str] | None = None
    if head.startswith(ONNX_HEAD):
        texts = _graph(stream)
    elif head.startswith(PARQUET_HEAD):
        stream.seek(0)
        texts = tables(stream)
    if texts is not None:
        note_text((f"{text}\n" for text in texts), notes, place=place)
        return True
    stream.seek(0)
    note_text(_decoded(stream, "latin-1"), notes, place=place, rules=MARKED)
    return False


def _graph(stream: BinaryIO) -> Iterator[str] | None:
    stream.seek(0)
    data = stream.read(LARGEST + 1)
    texts = onnx_texts(data) if len(data) <= LARGEST else None
    return None if texts is None else iter(texts)


def _encoding(head: bytes) -> str:
    """What bytes that are text are decoded by; empty for other bytes."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return "" if any(byte < 9 or 13 < byte < 27 for byte in head) else "latin-1"
    return "" if b"\0" in head else "utf-8"


def _decoded(stream: BinaryIO, encoding: str) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    while data := stream.read(CHUNK):
        yield decoder.decode(data)
    yield decoder.decode(b"", True)
