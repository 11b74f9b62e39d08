"""Images of Pillow as a raw batch: (rows, height, width) or (rows, height, width, channels), as their pixels are.

Nothing is converted on the way: a palette or an alpha channel that is dropped in silence is how training and serving come to differ.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.raw import Array

PIXELS = ("L", "RGB", "RGBA", "I", "F", "I;16")
"""Modes whose numbers are the levels of gray or of red, green and blue."""
TOLD = 3


def is_image(value: Any) -> bool:
    """Whether a value is an image of Pillow."""
    return all(hasattr(value, name) for name in ("mode", "size", "getbands", "convert"))


def images(found: Sequence[Any], called: str) -> Array:
    """(rows, ...) pixels of images that are alike.

    Raises
    ------
    MlprodError : ``bad-data`` naming the rows of another size or mode, or that cannot be decoded.
    """
    for row, image in enumerate(found):
        if image.mode not in PIXELS:
            what = f"{called}: the image of row {row:,} has mode {image.mode}, whose numbers are no levels of color"
            raise MlprodError(Code.BAD_DATA, what, hint='give it with .convert("RGB"), or "L" for gray')
    likes = [(image.mode, image.size) for image in found]
    others = [row for row, like in enumerate(likes) if like != likes[0]]
    if others:
        listed = ", ".join(f"row {row:,} is {_said(found[row])}" for row in others[:TOLD])
        more = f" and {len(others) - TOLD:,} more" if len(others) > TOLD else ""
        raise MlprodError(
            Code.BAD_DATA, f"{called}: images differ: row 0 is {_said(found[0])}, {listed}{more}", hint="resize and convert them alike"
        )
    return np.stack([_pixels(image, row, called) for row, image in enumerate(found)])


def _said(image: Any) -> str:
    return f"{image.mode} of {image.size[0]}×{image.size[1]}"


def _pixels(image: Any, row: int, called: str) -> Array:
    try:
        array = np.asarray(image)
    except (OSError, SyntaxError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise MlprodError(Code.BAD_DATA, f"{called}: the image of row {row:,} cannot be decoded: {reason}") from None
    return array.astype(array.dtype.newbyteorder("="), copy=False)
