"""Data files that are cut off, changed in a few bytes, or made to run code or fill the memory: ``bad-data`` in one line."""

import os
import pickle
import random
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from jupyter_mlprod.adapters.data_files import DataFiles
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.raw import Raw
from tests.verbs.tiny import Desk

ROWS = np.arange(60.0).reshape(20, 3)
MUTANTS = 150


class Bomb:
    """Unpickling this leaves a file behind."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("unpickled",)


def good_file(path: Path) -> None:
    """A file of the kind that the suffix says."""
    table = pd.DataFrame({"a": ROWS[:, 0], "b": ["x", None] * 10, "c": range(20)})
    match path.suffix:
        case ".npy":
            np.save(path, ROWS)
        case ".npz":
            np.savez_compressed(path, a=ROWS, b=ROWS[:, 0])
        case ".csv":
            table.to_csv(path, index=False)
        case ".parquet":
            table.to_parquet(path, index=False)


def read(path: str | Path) -> Raw | MlprodError:
    """What a file holds, or the refusal; anything else that is raised fails the test."""
    try:
        return DataFiles().read(str(path))
    except MlprodError as refusal:
        error = refusal
    assert error.code is Code.BAD_DATA
    assert "\n" not in error.message
    assert len(error.message) < 400 + len(str(path))
    return error


def refused(path: str | Path) -> MlprodError:
    error = read(path)
    assert isinstance(error, MlprodError), error
    return error


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", ["rows.npy", "rows.npz", "rows.csv", "rows.parquet"])
def test_a_file_that_was_cut_off_or_changed_anywhere_is_read_or_refused_and_never_crashes(name: str) -> None:
    good_file(Path(name))
    data = Path(name).read_bytes()
    chance = random.Random(0)
    for number in range(MUTANTS):
        mutant = bytearray(data)
        if number % 3 == 0:
            del mutant[chance.randrange(len(mutant)) :]
        else:
            reach = len(mutant) if number % 2 else min(len(mutant), 150)
            for _ in range(chance.choice([1, 2, 8])):
                mutant[chance.randrange(reach)] = chance.randrange(256)
        Path(f"mutant{Path(name).suffix}").write_bytes(mutant)
        read(f"mutant{Path(name).suffix}")


@pytest.mark.parametrize("name", ["rows.npy", "rows.npz", "rows.parquet"])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_half_a_file_is_refused(name: str, share: float) -> None:
    good_file(Path(name))
    data = Path(name).read_bytes()
    Path(name).write_bytes(data[: int(len(data) * share)])
    refused(name)


@pytest.mark.parametrize("name", ["objects.npy", "objects.npz", "struct.npy", "pickle.npy", "pickle.npz", "pickle.csv", "pickle.parquet"])
def test_objects_and_pickles_are_refused_and_not_unpickled(name: str) -> None:
    match name:
        case "objects.npy":
            np.save(name, np.array([Bomb()]), allow_pickle=True)
        case "objects.npz":
            np.savez(name, allow_pickle=True, a=np.array([Bomb(), None]))
        case "struct.npy":
            np.save(name, np.array([(1.0, Bomb())], dtype=[("a", "f8"), ("o", "O")]), allow_pickle=True)
        case _:
            Path(name).write_bytes(pickle.dumps(Bomb(), 0 if name.endswith("csv") else 4))
    read(name) if name.endswith("csv") else refused(name)
    assert not Path("unpickled").exists()


def test_a_header_that_promises_terabytes_is_refused_at_once() -> None:
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }".ljust(117) + b"\n"
    Path("huge.npy").write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", 118) + header)
    refused("huge.npy")
    with zipfile.ZipFile("huge.npz", "w") as archive:
        archive.write("huge.npy", "a.npy")
    refused("huge.npz")


@pytest.mark.parametrize("nested", ["[" * 5000, "{'descr': " + "(" * 3000, "{'descr': '<f8', 'shape': " + "9" * 5000])
def test_a_header_that_is_no_literal_is_refused(nested: str) -> None:
    header = nested.encode() + b"\n"
    Path("odd.npy").write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header)
    refused("odd.npy")


@pytest.mark.parametrize(("real", "named"), [("rows.npz", "rows.npy"), ("rows.npy", "rows.npz"), ("rows.npy", "rows.parquet")])
def test_a_file_of_another_kind_than_its_name_says_is_refused(real: str, named: str) -> None:
    good_file(Path(real))
    Path(real).rename(f"other{Path(named).suffix}")
    refused(f"other{Path(named).suffix}")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (b"", "No columns"),
        (b"a,b\n1,2,3\n4,5,6\n", "more values than the head has names"),
        (b"a,b\n1,2\n4,5,6\n", "Expected 2 fields in line 3, saw 3"),
        (b"a\n\xff\xfe\n", "can't decode"),
        (b'a,b\n"never closed\n', "EOF inside string"),
    ],
)
def test_a_table_that_would_be_misread_is_refused(text: bytes, what: str) -> None:
    Path("odd.csv").write_bytes(text)
    assert what in refused("odd.csv").message


@pytest.mark.parametrize("path", ["absent.npy", ".", "x" * 5000 + ".npy", "a\x00b.npy", "/dev/zero", "rows.pkl", "rows.NPY", "", "~/x.npy"])
def test_a_path_that_is_no_data_file_is_refused(path: str) -> None:
    Path("rows.pkl").write_bytes(b"")
    assert "name a file that ends in .npy, .npz, .csv, .parquet" in refused(path).hint


def test_nested_and_other_values_of_a_parquet_file_break_the_contract_and_nothing_else(desk: Desk) -> None:
    table = {"a": [[1], [2]], "b": [{"k": 1}, {"k": 2}], "c": pd.to_datetime(["2020", "2021"]), "d": [b"x", b"y"]}
    pd.DataFrame(table).to_parquet("odd.parquet", index=False)
    assert desk.command("predict", "tiny", "odd.parquet") == 2
    assert desk.command("check", "tiny", "--data", "odd.parquet") == 1
    for name in ("a", "c", "d"):
        assert desk.command("evaluate", "tiny", "--data", "x.npy", "--target", "odd.parquet", "--slices", name) == 2


def test_an_archive_that_names_files_outside_is_only_read(tmp_path: Path) -> None:
    good_file(Path("rows.npy"))
    with zipfile.ZipFile("odd.npz", "w") as archive:
        archive.write("rows.npy", "../../outside.npy")
        archive.write("rows.npy", "/outside.npy")
    found = read("odd.npz")
    assert isinstance(found, dict)
    assert not (tmp_path.parent / "outside.npy").exists()
