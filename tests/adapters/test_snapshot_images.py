"""Folders of images as snapshots: what is in them is described, and what a hostile one holds is refused or counted."""

import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from jupyter_mlprod.adapters.data_files import DataFiles
from jupyter_mlprod.adapters.snapshots import Snapshots
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.snapshot import ColumnFacts, Snapshot, redacted
from jupyter_mlprod.workspace import no_progress


def taken(folder: Path) -> Snapshot:
    return Snapshots(DataFiles().read, no_progress).of_file(str(folder))


def facts(folder: Path) -> dict[str, ColumnFacts]:
    return {column.name: column for column in taken(folder).columns}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six images: red ones in a/, gray ones in b/."""
    root = tmp_path / "images"
    for name in ("a", "b"):
        (root / name).mkdir(parents=True)
    for i in range(3):
        Image.new("RGB", (8, 6), (200, 10 * i, 0)).save(root / "a" / f"{i}.png")
        Image.new("L", (5, 5), 40).save(root / "b" / f"{i}.jpg")
    return root


def png(width: int, height: int) -> bytes:
    """A small file that says it is a large image."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")


def test_a_folder_is_described_by_size_mode_class_and_color(folder: Path) -> None:
    snapshot, found = taken(folder), facts(folder)
    assert (snapshot.kind, snapshot.rows, found["image"].nulls) == ("images", 6, 0)
    assert found["width"].channels[0].counts == (0, 3, 3)
    assert found["class"].categories is not None
    assert (found["class"].nulls, found["class"].categories.counts) == (0, {"a": 3, "b": 3})
    assert found["mode"].categories is not None
    assert found["mode"].categories.counts == {"L": 3, "RGB": 3}
    red, green, blue = found["image"].channels
    pixels = [200] * 144 + [40] * 75
    assert red.mean == pytest.approx(np.mean(pixels), rel=1e-8)
    assert red.std == pytest.approx(np.std(pixels), rel=1e-8)
    assert (red.low, red.high, green.high, blue.low) == (40, 200, 40, 0)


def test_the_fingerprint_covers_bytes_and_paths_and_neither_place_nor_hidden_files(folder: Path) -> None:
    before = taken(folder)
    moved = folder.rename(folder.with_name("elsewhere"))
    (moved / ".DS_Store").write_text("x")
    (moved / ".ipynb_checkpoints").mkdir()
    (moved / ".ipynb_checkpoints" / "0.png").write_bytes(b"x")
    assert taken(moved) == before
    (moved / "a" / "0.png").rename(moved / "a" / "9.png")
    renamed = taken(moved)
    assert renamed.columns[0].fingerprint != before.columns[0].fingerprint
    (moved / "labels.csv").write_text("a,b\n")
    assert taken(moved).columns[0].fingerprint != renamed.columns[0].fingerprint
    assert taken(moved).rows == 6


def test_files_that_cannot_be_decoded_are_counted(folder: Path) -> None:
    whole = (folder / "a" / "0.png").read_bytes()
    (folder / "a" / "0.png").write_bytes(whole[: len(whole) // 2])
    (folder / "b" / "0.jpg").write_bytes((folder / "b" / "0.jpg").read_bytes()[:-200])
    (folder / "b" / "empty.jpg").write_bytes(b"")
    (folder / "b" / "text.png").write_text("no image")
    found = facts(folder)
    assert (found["image"].nulls, found["width"].nulls, found["mode"].nulls, found["class"].nulls) == (4, 4, 4, 0)


def test_a_link_to_a_file_is_that_file(folder: Path, tmp_path: Path) -> None:
    before = taken(folder)
    (folder / "a" / "0.png").rename(tmp_path / "kept.png")
    (folder / "a" / "0.png").symlink_to(tmp_path / "kept.png")
    assert taken(folder) == before


def _bomb(folder: Path) -> None:
    (folder / "bomb.png").write_bytes(png(60_000, 60_000))


def _large(folder: Path) -> None:
    """Above what Pillow warns of, and still read."""
    (folder / "large.png").write_bytes(png(10_000, 10_000))


def _loop(folder: Path) -> None:
    (folder / "again").symlink_to(folder)


def _dangling(folder: Path) -> None:
    (folder / "gone.png").symlink_to(folder / "nothing.png")


def _pipe(folder: Path) -> None:
    os.mkfifo(folder / "pipe.png")


def _emptied(folder: Path) -> None:
    for file in folder.rglob("*.*"):
        file.unlink()


def _broken(folder: Path) -> None:
    for file in folder.rglob("*.*"):
        file.write_bytes(b"\x89PNG")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_bomb, "more pixels than Pillow allows"),
        (_loop, "is a link to a folder"),
        (_dangling, "is a link to nothing"),
        (_pipe, "no regular file"),
        (_emptied, "holds no image"),
        (_broken, "none of the 6 images"),
    ],
)
def test_a_folder_that_cannot_be_described_is_refused_in_one_line(spoil: Any, words: str, folder: Path) -> None:
    spoil(folder)
    with pytest.raises(MlprodError) as refusal:
        taken(folder)
    assert refusal.value.code is Code.BAD_DATA
    assert words in refusal.value.message
    assert "\n" not in refusal.value.message


def test_a_large_image_whose_pixels_are_missing_is_counted_and_warns_nobody(folder: Path) -> None:
    _large(folder)
    assert facts(folder)["image"].nulls == 1


def test_personal_images_say_how_many_they_are(folder: Path) -> None:
    bare = redacted(taken(folder), ["input"])
    assert bare.rows == 6
    assert all(column.withheld and not column.fingerprint and not column.channels for column in bare.columns)
