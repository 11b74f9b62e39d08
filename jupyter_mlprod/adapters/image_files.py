"""Images of a folder or of a column of bytes behind the port `Images`: each is decoded whole, by Pillow.

A head that can be read proves nothing: half of a JPEG opens, and stops in the middle of its pixels; of an animation or of several pages
the first may be whole and the rest gone. Only the kinds that are looked for are opened, so that none hands its bytes to another program.
"""

import hashlib
import io
import os
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import msgspec
from PIL import Image, ImageSequence, UnidentifiedImageError

from jupyter_mlprod.core.data_quality import Picture
from jupyter_mlprod.core.image_folder import UNREADABLE, files_in, images_of
from jupyter_mlprod.core.ports import Progress

BATCH = 64
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP")
GIF_END = b";"
T = TypeVar("T")


class ImageFiles:
    """Port `Images`."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress

    def of_folder(self, folder: Path) -> tuple[Picture, ...]:
        """Every image of a folder, in the order of their paths.

        Raises
        ------
        MlprodError : ``bad-data`` when it holds none, or a link that leads nowhere or to a folder.
        """
        images = images_of(folder, list(files_in(folder)))

        def seen(file: Path) -> Picture:
            name = file.relative_to(folder).as_posix()
            try:
                data = file.read_bytes()
            except OSError as error:
                return Picture(name=name, hash=b"", fault=f"cannot be read: {error.strerror}")
            return msgspec.structs.replace(picture(data), name=name)

        return self._all(seen, images)

    def of_bytes(self, values: Sequence[bytes | None]) -> tuple[Picture, ...]:
        """Every value of a column, (n,); a null is no image, and no fault."""
        return self._all(lambda value: Picture(name="", hash=b"") if value is None else picture(value), values)

    def _all(self, seen: Callable[[T], Picture], items: Sequence[T]) -> tuple[Picture, ...]:
        found: list[Picture] = []
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for start in self.progress("decode images", range(0, len(items), BATCH)):
                found += pool.map(seen, items[start : start + BATCH])
        return tuple(found)


def picture(data: bytes) -> Picture:
    """What the bytes of an image come to."""
    hashed = hashlib.sha256(data).digest()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                blanks = [_blank(frame) for frame in ImageSequence.Iterator(image)]
                cut = image.format == "GIF" and not data.rstrip(b"\0").endswith(GIF_END)  # its frames are only counted up to a cut
    except Image.DecompressionBombError:
        return Picture(name="", hash=hashed, fault="would unpack to more pixels than Pillow allows")
    except UNREADABLE as error:
        return Picture(name="", hash=hashed, fault="is empty" if not data else _why(error))
    return Picture(name="", hash=hashed, fault="stops before its end") if cut else Picture(name="", hash=hashed, blank=all(blanks))


def _blank(frame: Image.Image) -> bool:
    """Whether all pixels of a frame, which is decoded for it, are the same."""
    extent = frame.getextrema()
    bands = extent if isinstance(extent[0], tuple) else (extent,)
    return all(low == high for low, high in bands)


def _why(error: Exception) -> str:
    """Pillow's reason without the object that it names."""
    text = " ".join(str(error).split())
    return "is no image" if isinstance(error, UnidentifiedImageError) else f"cannot be decoded: {text[:80] or type(error).__name__}"
