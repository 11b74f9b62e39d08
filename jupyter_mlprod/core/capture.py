"""A capture: a folder with a model's graph and the original's answers on the example, taken where the live model is.

    graph.onnx      the graph, weights inside (or beside it in model.onnx.data, when they are too large for one message)
    reference.npz   "<trial>/<output>": what the original answered at each trial (core/trial.py), postprocessing included
    capture.json    what the original was, and where it comes from
    module/         what brings the trainable module back, if it can be; laid out as in the bundle

It is the only thing that `package` reads of a model, so a live module, a file and an import path are packaged alike.
"""

import os
import shutil
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec
import numpy as np

from jupyter_mlprod.core.bundle import CLASSES, GRAPH_DATA, MODULE, STRUCTURE, WEIGHTS, Ensemble, Training
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.mlmodel import MLMODEL
from jupyter_mlprod.core.raw import Array
from jupyter_mlprod.core.subject import names_file
from jupyter_mlprod.core.trial import Trial

GRAPH_FILE = "graph.onnx"
REFERENCE_FILE = "reference.npz"
CAPTURE_FILE = "capture.json"
FILES = (GRAPH_FILE, GRAPH_DATA, REFERENCE_FILE, CAPTURE_FILE, MODULE, STRUCTURE, WEIGHTS, CLASSES)
"""All that a capture may hold; ``module/`` is a folder."""


class Capture(msgspec.Struct, frozen=True, kw_only=True):
    """What the original was: ``torch`` or ``onnx``, the versions at work, its inputs and outputs in order.

    Attributes
    ----------
    shapes : input of the graph → its shape, with a name for each dimension that may vary
    further : trials beyond the example at which the original answered
    refused : those, and sizes that it was traced to end at, where it did not
    """

    original: str
    versions: dict[str, str]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    shapes: dict[str, tuple[int | str, ...]] = {}
    further: tuple[Trial, ...] = ()
    refused: tuple[Trial, ...] = ()
    ensemble: Ensemble | None = None
    training: Training = Training()


def own_capture(model: str, captures: Path) -> Path | None:
    """The folder that a text names, if it is a capture of this workspace; None when it names something else.

    What a capture says is believed: parity is proven against its answers, and its classes are signed. So it is one only where this
    workspace makes captures, reached by no link, and with nothing in it that a capture does not have. ``MLmodel`` makes any other folder
    a model of MLflow, of which only the model is read.

    Raises
    ------
    MlprodError : ``bad-model`` for a capture from elsewhere, and for one that holds a link or a strange file.
    """
    if not names_file(f"{model}/{CAPTURE_FILE}"):
        return None
    folder = Path(model)
    linked = any(path.is_symlink() for path in (captures.parent, captures, folder))
    if linked or folder.resolve().parent != captures.resolve():
        if names_file(f"{model}/{MLMODEL}"):
            return None
        what = f"{model[:200]} is a capture that this workspace has not made, and what it says of its model cannot be proven"
        raise MlprodError(Code.BAD_MODEL, what, hint="package the model itself, or take over a folder with MLmodel")
    for path in sorted(folder.rglob("*")):
        name, status = path.relative_to(folder).as_posix(), path.lstat()
        fits = stat.S_ISDIR(status.st_mode) if name == MODULE else _is_plain(status)
        if name not in FILES or not fits:
            what = f"{folder}: {name[:200]!r} is a link, or nothing that a capture holds"
            raise MlprodError(Code.BAD_MODEL, what, hint="package the model again")
    return folder


def _is_plain(status: os.stat_result) -> bool:
    """Whether it is a file that has no other name."""
    return stat.S_ISREG(status.st_mode) and status.st_nlink == 1


def read_capture(folder: Path) -> Capture:
    """What a capture says of itself.

    Raises
    ------
    MlprodError : ``bad-model`` when the folder is no capture.
    """
    try:
        return msgspec.json.decode((folder / CAPTURE_FILE).read_bytes(), type=Capture)
    except (OSError, msgspec.DecodeError, RecursionError) as error:
        raise MlprodError(Code.BAD_MODEL, f"{folder} holds no capture of a model: {error}") from None


def add_training(folder: Path, training: Training) -> Path:
    """Say in a capture where its model comes from; what has been said already stays, so whoever knows best speaks first.

    Raises
    ------
    MlprodError : ``bad-model``, ``disk``.
    """
    capture = read_capture(folder)
    said = {name: value for name in Training.__struct_fields__ if (value := getattr(capture.training, name))}
    whole = msgspec.structs.replace(capture, training=msgspec.structs.replace(training, **said))
    file = folder / CAPTURE_FILE
    try:
        file.write_bytes(msgspec.json.encode(whole))
    except OSError as error:
        raise MlprodError(Code.DISK, f"{file} could not be written: {error.strerror or error}", hint="free space or rights") from error
    return folder


def write_capture(folder: Path, capture: Capture, *, graph: bytes, reference: Mapping[str, Array], data: Iterable[bytes] = ()) -> Path:
    """Write a capture to a new folder, whole or not at all.

    Parameters
    ----------
    data : what the file beside the graph holds, piece by piece; no piece when the weights are inside the graph

    Raises
    ------
    MlprodError : ``bad-model`` when an answer is no array of numbers, ``disk`` when it cannot be written.
    """
    for name, array in reference.items():
        if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiub":
            kind = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
            raise MlprodError(
                Code.BAD_MODEL,
                f"output {name.partition('/')[2]!r} is {kind}; outputs are tensors of numbers",
                hint="export the model without that output",
            )
    try:
        folder.mkdir(parents=True)
        (folder / GRAPH_FILE).write_bytes(graph)
        _write_data(folder / GRAPH_DATA, data)
        np.savez(folder / REFERENCE_FILE, allow_pickle=False, **reference)
        (folder / CAPTURE_FILE).write_bytes(msgspec.json.encode(capture))
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise MlprodError(Code.DISK, f"{folder} could not be written: {error.strerror or error}", hint="free space or rights") from error
    return folder


def _write_data(file: Path, pieces: Iterable[bytes]) -> None:
    """The file beside the graph, if there is a piece of it."""
    pieces = iter(pieces)
    first = next(pieces, None)
    if first is not None:
        with file.open("wb") as opened:
            opened.write(first)
            opened.writelines(pieces)
