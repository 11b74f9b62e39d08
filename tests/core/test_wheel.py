"""The wheel of the running installation: the same bytes each time, and what it records of itself is so."""

import base64
import csv
import hashlib
import importlib.metadata
import zipfile
from pathlib import Path

from packaging.utils import parse_wheel_filename

from jupyter_mlprod.core.wheel import PACKAGE_FOLDER, own_wheel


def test_the_same_installation_gives_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first, second = own_wheel(tmp_path / "a"), own_wheel(tmp_path / "b")
    assert first.name == second.name
    assert first.read_bytes() == second.read_bytes()


def test_its_name_says_package_version_and_that_it_runs_everywhere(tmp_path: Path) -> None:
    name, version, _, tags = parse_wheel_filename(own_wheel(tmp_path).name)
    assert (name, str(version)) == ("jupyter-mlprod", importlib.metadata.version("jupyter-mlprod"))
    assert {str(tag) for tag in tags} == {"py3-none-any"}


def test_it_holds_every_module_and_nothing_that_the_interpreter_left(tmp_path: Path) -> None:
    with zipfile.ZipFile(own_wheel(tmp_path)) as archive:
        names = archive.namelist()
        assert archive.read("jupyter_mlprod/core/wheel.py") == (PACKAGE_FOLDER / "core" / "wheel.py").read_bytes()
    modules = {f"jupyter_mlprod/{path.relative_to(PACKAGE_FOLDER).as_posix()}" for path in PACKAGE_FOLDER.rglob("*.py")}
    assert modules <= set(names)
    assert not [name for name in names if "__pycache__" in name or name.endswith((".pyc", ".pth")) or "direct_url" in name]


def test_its_record_gives_size_and_sha256_of_every_entry(tmp_path: Path) -> None:
    with zipfile.ZipFile(own_wheel(tmp_path)) as archive:
        (record,) = [name for name in archive.namelist() if name.endswith("/RECORD")]
        rows = {row[0]: row[1:] for row in csv.reader(archive.read(record).decode().splitlines())}
        assert rows.keys() == set(archive.namelist())
        for name in rows.keys() - {record}:
            hashed = base64.urlsafe_b64encode(hashlib.sha256(archive.read(name)).digest()).rstrip(b"=").decode()
            assert rows[name] == [f"sha256={hashed}", str(archive.getinfo(name).file_size)]
