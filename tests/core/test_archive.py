"""The archive's form where a size no longer fits in 32 bits: sparse files stand for weights of five gigabytes."""

import zipfile
from pathlib import Path

import pytest

from jupyter_mlprod.core.archive import LARGE, Member, content, directory, local_header, places, read_members
from jupyter_mlprod.core.manifest import path_fault, paths_fault

LARGE_WEIGHTS = 5_000_000_000


def sparse(path: Path, members: list[Member]) -> None:
    """An archive of these sizes with nothing but holes in it."""
    with path.open("wb") as file:
        for member, place in zip(members, places(members), strict=True):
            file.seek(place)
            file.write(local_header(member))
        file.seek(member.bytes, 1)
        file.write(directory(members))


@pytest.mark.parametrize("size", [0, 1, LARGE - 1, LARGE, LARGE + 1, LARGE_WEIGHTS])
def test_large_files_are_told_as_zip_tools_expect_it(tmp_path: Path, size: int) -> None:
    members = [Member(path=path, bytes=length, crc=0) for path, length in (("bundle.json", 0), ("model.onnx.data", size), ("z", 0))]
    sparse(tmp_path / "large.mlprod", members)
    with zipfile.ZipFile(tmp_path / "large.mlprod") as archive:
        assert [(entry.filename, entry.file_size) for entry in archive.infolist()] == [(member.path, member.bytes) for member in members]
        assert [entry.header_offset for entry in archive.infolist()] == places(members)
        assert archive.read("z") == b""
    with (tmp_path / "large.mlprod").open("rb") as stream:
        assert list(read_members(stream, name="large")) == members
        assert b"".join(content(stream, members[2], places(members)[2], name="large")) == b""


@pytest.mark.parametrize("path", ["model.onnx", "code/a b.json", "code/größe.txt", "code/.hidden", "a/b/c/d", "code/日本.json"])
def test_ordinary_names_are_good(path: str) -> None:
    assert path_fault(path) == ""


def test_names_are_judged_together_as_well() -> None:
    assert paths_fault(["code/a", "code/b", "golden/a"]) == ""
    assert "differ in case" in paths_fault(["code/straße", "code/STRASSE"])
    assert "is a file and a folder" in paths_fault(["code", "code/a"])
    assert "is a file and a folder" in paths_fault(["code/a", "code"])
