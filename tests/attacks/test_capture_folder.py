"""A folder that poses as a capture: its answers, its classes and what its links lead to must get neither a signature nor a place in a bundle."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from jupyter_mlprod.core.answer import Ends
from jupyter_mlprod.core.bundle import CLASSES, GRAPH_DATA, ORIGIN, STRUCTURE, Bundle
from jupyter_mlprod.core.capture import GRAPH_FILE, REFERENCE_FILE, own_capture
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.record import digest
from jupyter_mlprod.core.requests import Package
from tests.verbs.tiny import Desk, linear

SECRET = b"a line of somebody's private key"
LOGGED = "flavors: {onnx: {data: theirs.onnx}, python_function: {}}\nrun_id: abc\n"


def made_capture(desk: Desk) -> Path:
    """A capture as a magic leaves it for the verb."""
    linear(desk.folder / "model.onnx", shift=0.0)
    x = np.load("x8.npy").astype(np.float32)
    np.save("x32.npy", x)
    return desk.workspace().models.capture("model.onnx", x, Ends(), shapes={})


@pytest.fixture
def gift(bare_desk: Desk) -> Path:
    """A capture from elsewhere: its answers are of another model, its classes are hostile, its weights lead to a secret."""
    folder = bare_desk.folder / "gift"
    made_capture(bare_desk).rename(folder)
    (bare_desk.folder / "secret.txt").write_bytes(SECRET)
    (folder / GRAPH_DATA).symlink_to(bare_desk.folder / "secret.txt")
    (folder / "module").mkdir()
    (folder / CLASSES).write_text("open('executed', 'w')\n")
    (folder / STRUCTURE).write_text("{}")
    linear(folder / GRAPH_FILE, shift=5.0)
    return folder


def package(model: str) -> Package:
    return Package(model=model, name="gift", example="x32.npy")


def left(desk: Desk) -> list[str]:
    """What a refused gift must not leave."""
    return [path for path in desk.files() if path.startswith((".mlprod/bundles/", ".mlprod/scratch/staging", ".mlprod/scratch/captures/"))]


def test_a_gift_with_an_mlmodel_is_a_model_of_mlflow_and_its_capture_is_not_looked_at(bare_desk: Desk, gift: Path) -> None:
    (gift / "MLmodel").write_text(LOGGED)
    shutil.copy("model.onnx", gift / "theirs.onnx")
    bundle = bare_desk.run(package("gift"), Bundle)
    folder = bare_desk.bundle_folder(digest(bundle))
    assert not [entry.path for entry in bundle.files if entry.path.startswith("module/") or entry.path == GRAPH_DATA]
    assert not [path for path in folder.rglob("*") if path.is_file() and SECRET in path.read_bytes()]
    assert b'"adopted":"gift"' in (folder / ORIGIN).read_bytes()
    graph = bare_desk.workspace().runtimes.open(folder, bundle, threads=1)
    assert graph.outputs(np.zeros((2, 3), np.float32))["scores"].tolist() == [[0, 0], [0, 0]], "it is the model that MLmodel names"
    assert bare_desk.command("load", "gift") == 2
    assert not Path("executed").exists()


def test_a_gift_whose_mlmodel_names_no_model_is_refused(bare_desk: Desk, gift: Path) -> None:
    (gift / "MLmodel").write_text(LOGGED)
    refusal = bare_desk.refused(package("gift"))
    assert refusal.code is Code.BAD_MODEL
    assert left(bare_desk) == []


def named(desk: Desk, gift: Path) -> str:
    del desk, gift
    return "gift"


def linked(desk: Desk, gift: Path) -> str:
    """By a link among the captures."""
    place = desk.workspace().scratch / "captures" / "mine"
    place.symlink_to(gift)
    return str(place)


def folder_linked(desk: Desk, gift: Path) -> str:
    """By a folder of captures that is a link."""
    captures = desk.workspace().scratch / "captures"
    captures.rmdir()
    captures.symlink_to(gift.parent)
    return str(captures / "gift")


def beyond(desk: Desk, gift: Path) -> str:
    """By a path that begins among the captures."""
    return f"{desk.workspace().scratch / 'captures'}/../../../{gift.name}"


def deeper(desk: Desk, gift: Path) -> str:
    """In a folder of a capture."""
    inside = made_capture(desk) / "module"
    gift.rename(inside)
    return str(inside)


@pytest.mark.parametrize("way", [named, linked, folder_linked, beyond, deeper])
def test_a_capture_that_this_workspace_has_not_made_is_refused_in_one_line(
    bare_desk: Desk, gift: Path, way: Callable[[Desk, Path], str]
) -> None:
    refusal = bare_desk.refused(package(way(bare_desk, gift)))
    assert refusal.code is Code.BAD_MODEL
    assert "a capture that this workspace has not made" in refusal.message
    assert len(refusal.message.splitlines()) == 1
    assert not list((bare_desk.folder / ".mlprod" / "bundles").glob("*"))
    assert not Path("executed").exists()


@pytest.mark.parametrize("harm", ["link", "hard link", "extra file", "module is a link", "link in module", "folder", "pipe"])
def test_a_capture_of_ours_with_a_link_or_a_strange_file_is_refused_before_anything_is_copied(bare_desk: Desk, harm: str) -> None:
    secret, folder = bare_desk.folder / "secret.txt", made_capture(bare_desk)
    secret.write_bytes(SECRET)
    match harm:
        case "link":
            (folder / GRAPH_DATA).symlink_to(secret)
        case "hard link":
            (folder / GRAPH_DATA).hardlink_to(secret)
        case "extra file":
            (folder / "more.py").write_text("open('executed', 'w')")
        case "module is a link":
            (folder / "module").symlink_to(bare_desk.folder)
        case "link in module":
            (folder / "module").mkdir()
            (folder / CLASSES).symlink_to(secret)
        case "folder":
            (folder / GRAPH_DATA).mkdir()
        case _:
            (folder / REFERENCE_FILE).unlink()
            os.mkfifo(folder / REFERENCE_FILE)
    with pytest.raises(MlprodError) as refusal:
        own_capture(str(folder), folder.parent)
    assert refusal.value.code is Code.BAD_MODEL
    assert "is a link, or nothing that a capture holds" in refusal.value.message
    assert bare_desk.refused(package(str(folder))).message == refusal.value.message
    assert not list((bare_desk.folder / ".mlprod" / "bundles").glob("*"))


def test_a_capture_of_ours_is_packaged_as_the_model_itself(bare_desk: Desk) -> None:
    capture = made_capture(bare_desk)
    (bare_desk.folder / "sub").mkdir()
    written = f"sub/../{capture.relative_to(bare_desk.folder)}"
    assert bare_desk.run(package(written), Bundle) == bare_desk.run(package("model.onnx"), Bundle)
    assert not capture.exists()


@pytest.mark.parametrize("text", ["", "x" * 5000, "a\0b", "model.onnx", ".", "/"])
def test_a_text_that_names_no_capture_is_none(tmp_path: Path, text: str) -> None:
    assert own_capture(text, tmp_path) is None
