"""A folder of images as a snapshot: one row a file, in the order of their paths, which the fingerprint covers with the files' bytes.

Hidden files are no part of the data. Every file's head is read; pixels are decoded of a sample, because all of them would take hours.
"""

import hashlib
import io
import os
import warnings
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

from jupyter_mlprod.adapters.snapshots.tables import snapshot_of, source_of
from jupyter_mlprod.core import reference
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.fingerprint import joined
from jupyter_mlprod.core.image_folder import UNREADABLE, files_in, images_of
from jupyter_mlprod.core.ports import Progress
from jupyter_mlprod.core.snapshot import ColumnFacts, Numbers, Snapshot

DECODED = 500
"""Files of the sample whose pixels are read."""
EIGHT_BIT = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "LAB")
"""Modes that turn into RGB without loss of levels."""
BATCH = 64
NAMED = 1000
"""Classes that are named."""

Levels = NDArray[np.int64]


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """One file: its hash, and what its head says; ``levels`` counts (3, 256) pixels by color and level when they were decoded."""

    hash: bytes
    width: int | None = None
    height: int | None = None
    mode: str | None = None
    levels: Levels | None = None


def images_in(folder: Path, progress: Progress) -> Snapshot:
    """The snapshot of a folder.

    Raises
    ------
    MlprodError : ``bad-data`` when it holds no image that can be decoded, a link that leads nowhere or to a folder, or an image that
        unpacks to more than Pillow allows.
    """
    files = list(files_in(folder))
    images = images_of(folder, files)
    decoded = {images[i] for i in _spread(len(images))}
    seen: list[Seen] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in progress("read images", range(0, len(images), BATCH)):
            seen += pool.map(partial(_seen, decoded=decoded), images[start : start + BATCH])
    if all(one.mode is None for one in seen):
        raise MlprodError(Code.BAD_DATA, f"none of the {len(images)} images in {folder} can be decoded")
    table = {
        "width": pa.array([one.width for one in seen], pa.int64()),
        "height": pa.array([one.height for one in seen], pa.int64()),
        "mode": pa.array([one.mode for one in seen], pa.string()),
        "class": pa.array([file.relative_to(folder).parts[0] if file.parent != folder else None for file in images], pa.string()),
    }
    beside = snapshot_of(source_of(True, table), progress)
    counted = tuple(_counted(column, table[column.name]) for column in beside.columns)
    names = [file.relative_to(folder).as_posix().encode("utf-8", "surrogateescape") for file in files]
    hashes = dict(zip(images, (one.hash for one in seen), strict=True))
    blocks = (hashlib.sha256(name).digest() + (hashes.get(file) or _hash(file)) for name, file in zip(names, files, strict=True))
    pixels = ColumnFacts(
        name="image",
        type="image",
        nulls=sum(one.mode is None for one in seen),
        fingerprint=joined("images", len(images), blocks),
        channels=_colors([one.levels for one in seen if one.levels is not None]),
    )
    return Snapshot(kind="images", rows=len(images), sampled=beside.sampled, columns=(pixels, *counted))


def _counted(column: ColumnFacts, values: Any) -> ColumnFacts:
    """Classes and modes are names that somebody gave, and not data: each is named with its number of files."""
    if column.categories is None:
        return column
    counts = Counter(values.drop_null().to_pylist()).most_common()
    named = dict(sorted(counts[:NAMED], key=lambda item: (-item[1], item[0])))
    others = sum(n for _, n in counts[NAMED:])
    return msgspec.structs.replace(
        column, categories=msgspec.structs.replace(column.categories, counts=named, others=others, distinct=len(counts))
    )


def _spread(count: int) -> list[int]:
    """The places of the decoded files among all."""
    places = reference.sampled_rows(count, width=reference.SAMPLED_VALUES)
    return [int(places[i * len(places) // DECODED]) for i in range(DECODED)] if len(places) > DECODED else places.tolist()


def _hash(file: Path) -> bytes:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()


def _seen(file: Path, *, decoded: set[Path]) -> Seen:
    data = file.read_bytes()
    hashed = hashlib.sha256(data).digest()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            Image.open(io.BytesIO(data)).verify()
            image = Image.open(io.BytesIO(data))
            levels = _levels(image) if file in decoded and image.mode in EIGHT_BIT else None
    except Image.DecompressionBombError:
        raise MlprodError(
            Code.BAD_DATA, f"{str(file)[:200]!r} would unpack to more pixels than Pillow allows", hint="remove it, or store it smaller"
        ) from None
    except UNREADABLE:
        return Seen(hash=hashed)
    return Seen(hash=hashed, width=image.width, height=image.height, mode=image.mode, levels=levels)


def _levels(image: Any) -> Levels:
    return np.asarray(image.convert("RGB").histogram(), dtype=np.int64).reshape(3, 256)


def _colors(levels: list[Levels]) -> tuple[Numbers, ...]:
    """Red, green and blue over all decoded pixels; gray images count in each."""
    if not levels:
        return ()
    return tuple(_color(counts) for counts in np.sum(levels, axis=0))


def _color(counts: Levels) -> Numbers:
    """A distribution over 256 levels, exact for the pixels that were decoded; its sample keeps the proportions."""
    values, total = np.arange(256, dtype=np.float64), int(counts.sum())
    present = np.flatnonzero(counts)
    mean = float(values @ counts) / total
    std = float(np.sqrt(np.square(values - mean) @ counts / total))
    at = np.searchsorted(np.cumsum(counts), (np.arange(100_000) + 0.5) / 100_000 * total)
    return reference.numbers_of(
        values[at], low=float(present[0]), high=float(present[-1]), mean=float(f"{mean:.9g}"), std=float(f"{std:.9g}"), infinite=0
    )
