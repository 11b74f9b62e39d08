"""Pickles in every coat are found, nothing is ever unpickled, and what only looks like one is let through."""

import io
import os
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jupyter_mlprod.core.evidence import Evidence
from jupyter_mlprod.core.requests import Scan
from jupyter_mlprod.core.scan_file import look_into
from jupyter_mlprod.core.scan_look import Notes
from jupyter_mlprod.core.verdict import exit_status
from tests.verbs.tiny import Desk, measure_of


class Bomb:
    """Unpickling this leaves a file behind."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.mkdir, ("unpickled",)


def file(write: Callable[[io.BytesIO], object]) -> bytes:
    buffer = io.BytesIO()
    write(buffer)
    return buffer.getvalue()


def holds_pickle(data: bytes) -> bool:
    """Whether a file of a bundle with these bytes would count as a pickle."""
    notes = Notes()
    look_into(io.BytesIO(data), notes, name="golden/file")
    return bool(notes.counts.get("pickle") or notes.counts.get("hostile"))


def zipped(data: bytes, *, name: str = "archive/data.pkl", kind: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", kind) as archive:
        archive.writestr(name, data)
    return buffer.getvalue()


BOMB = pickle.dumps(Bomb(), 2)
WIDE = [(f"column_{index:03}", "<f8") for index in range(40)]
PICKLES: dict[str, bytes] = {
    **{f"protocol {protocol}": pickle.dumps({"a": Bomb()}, protocol) for protocol in range(6)},
    **{f"plain values, protocol {protocol}": pickle.dumps([1, "two", None], protocol) for protocol in range(6)},
    "array of objects": file(lambda f: np.save(f, np.array([Bomb()]), allow_pickle=True)),
    "array of objects behind a long header": file(lambda f: np.save(f, np.zeros(1, [*WIDE, ("o", "O")]), allow_pickle=True)),
    "npz of objects": file(lambda f: np.savez(f, a=np.array([Bomb()]), allow_pickle=True)),
    "zip": zipped(BOMB),
    "zip, deflated": zipped(BOMB, kind=zipfile.ZIP_DEFLATED),
    "zip, without a telling name": zipped(BOMB, name="weights"),
    "zip in a zip": zipped(zipped(BOMB)),
    "zip behind a script": b"#!/bin/sh\nexit\n" + zipped(BOMB),
    "zip that cannot be read": zipped(b"x" * 100)[:-30],
    "zip with a broken entry": zipped(b"x" * 1000, kind=zipfile.ZIP_DEFLATED).replace(b"PK\x01\x02", b"PK\x01\x02", 1)[:60] + b"\0" * 50,
    "no stop": b"cos\nmkdir\n(S'unpickled'\ntR",
    "no stop, by inst": b"(S'unpickled'\nios\nmkdir\n",
    "no stop, by obj": b"(cos\nmkdir\nS'unpickled'\no",
    "bytes after the stop": pickle.dumps(Bomb(), 0) + b"\xff" * 100,
    "array whose header cannot be read": b"\x93NUMPY\x01\x00\x10\x00" + b"{'descr': [[[[[[",
}
NO_PICKLES: dict[str, bytes] = {
    "empty": b"",
    "code": b"import numpy as np\n\n\ndef prepare(batch):\n    return batch\n",
    "code that begins with from": b"from numpy import (\n    asarray,\n)\n",
    "class": b"class A:\n    x = 1\n",
    "constant": b"N = 1\n",
    "docstring": b'"""A text."""\n',
    "requirements": b"numpy==2.0\nonnxruntime==1.26\n",
    "json": b'{"a": [1, 2]}',
    "text in brackets": b"(hello)\n",
    "text in brackets, two lines": b"(in a text,\nthere is more)\n.",
    "number": b"0.5\n",
    "table": b"1,2\n3,4\n",
    "array": file(lambda f: np.save(f, np.zeros((3, 3)))),
    "array whose values look like the type": file(lambda f: np.save(f, np.frombuffer(b"'O' |O " * 20, np.uint8))),
    "array of strings that look like it": file(lambda f: np.save(f, np.array(["|O", "'O'"]))),
    "columns with such names": file(lambda f: np.save(f, np.zeros(2, [("|O", "f4"), ("'O'", "f4")]))),
    "npz": file(lambda f: np.savez(f, a=np.arange(9), b=np.array(["x"]))),
    "graph": b"\x08\x0a:\x1a\x0a\x04Gemm",
}


@pytest.mark.parametrize("kind", PICKLES)
def test_a_pickle_is_told_and_not_unpickled(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert holds_pickle(PICKLES[kind])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", NO_PICKLES)
def test_what_is_none_is_not_taken_for_one(kind: str) -> None:
    assert not holds_pickle(NO_PICKLES[kind])


def test_random_numbers_are_hardly_ever_taken_for_a_pickle() -> None:
    rng = np.random.default_rng(0)
    arrays = [rng.integers(0, 256, 100, dtype=np.uint8) for _ in range(3000)]
    assert not any(holds_pickle(file(lambda f, array=array: np.save(f, array))) for array in arrays)  # type: ignore[misc]


@pytest.mark.parametrize("kind", ["protocol 0", "protocol 4", "array of objects behind a long header", "zip behind a script"])
def test_scan_names_the_file_that_holds_it_and_fails(desk: Desk, kind: str) -> None:
    shutil.rmtree(desk.bundle_folder(desk.champion()) / "attached")
    (desk.bundle_folder(desk.champion()) / "golden" / "notes.txt").write_bytes(PICKLES[kind])
    evidence = desk.run(Scan(subject="tiny"), Evidence)
    assert measure_of(evidence, "pickle_files").note == "golden/notes.txt"
    assert exit_status(evidence) == 1
    assert not Path("unpickled").exists()
