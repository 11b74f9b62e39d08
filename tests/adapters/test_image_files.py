"""Images are decoded whole: what merely begins as one is found."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jupyter_mlprod.adapters.image_files import ImageFiles, picture
from jupyter_mlprod.core.data_quality import Picture
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.workspace import no_progress

FILES = ImageFiles(no_progress)


def encoded(kind: str, *, blank: bool = False) -> bytes:
    pixels = np.zeros((32, 32, 3), np.uint8) if blank else np.random.default_rng(0).integers(0, 255, (32, 32, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind)
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF"])
def test_whole_images_are_fine_and_halves_are_not(kind: str) -> None:
    whole = encoded(kind)
    assert picture(whole).fault == ""
    assert picture(whole).blank is False
    assert picture(whole[: len(whole) // 2]).fault != ""


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "PNG", "WEBP"])
def test_every_frame_is_decoded_and_not_the_first_alone(kind: str) -> None:
    rng = np.random.default_rng(0)
    frames = [Image.fromarray(rng.integers(0, 255, (64, 64), np.uint8)) for _ in range(4)]
    stream = io.BytesIO()
    frames[0].save(stream, kind, save_all=True, append_images=frames[1:])
    whole = stream.getvalue()
    assert picture(whole) == Picture(name="", hash=picture(whole).hash)
    for share in (0.4, 0.5, 0.6, 0.8):
        cut = whole[: int(len(whole) * share)]
        assert picture(cut).fault != ""
        if kind == "GIF":
            assert picture(cut + bytes(len(whole) - len(cut))).fault != ""


def test_what_only_another_program_could_open_is_not_handed_to_it() -> None:
    assert picture(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EOF\n").fault == "is no image"


@pytest.mark.parametrize(("data", "fault"), [(b"", "is empty"), (b"no image", "is no image"), (b"\x89PNG\r\n\x1a\n", "is no image")])
def test_what_is_no_image_is_said(data: bytes, fault: str) -> None:
    assert picture(data).fault == fault


def test_no_fault_names_an_object_of_this_process() -> None:
    whole = encoded("PNG")
    for cut in range(0, len(whole), 97):
        assert "0x" not in picture(whole[:cut]).fault


def test_an_image_of_one_color_is_blank() -> None:
    assert picture(encoded("PNG", blank=True)).blank


def test_an_image_that_unpacks_to_too_much_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert picture(encoded("PNG")).fault == "would unpack to more pixels than Pillow allows"


def test_a_folder_is_read_in_the_order_of_its_paths(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "torn.png").write_bytes(encoded("PNG")[:300])
    (tmp_path / "a.jpg").write_bytes(encoded("JPEG"))
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / ".hidden.png").write_bytes(b"")
    assert [(one.name, bool(one.fault)) for one in FILES.of_folder(tmp_path)] == [("a.jpg", False), ("b/torn.png", True)]


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MlprodError) as refused:
        FILES.of_folder(tmp_path)
    assert refused.value.code is Code.BAD_DATA


def test_of_a_column_nulls_are_neither_images_nor_faults() -> None:
    found = FILES.of_bytes([None, encoded("PNG"), b"torn"])
    assert found[0] == Picture(name="", hash=b"")
    assert [bool(one.fault) for one in found] == [False, False, True]
