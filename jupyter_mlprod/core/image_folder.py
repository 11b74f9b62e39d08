"""A folder of images: which files are its images, and what a decoder raises on one that is broken.

Hidden files are no part of the data; a link that leads to a folder, or nowhere, is refused, since following it could leave the folder or
never end.
"""

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from jupyter_mlprod.core.errors import Code, MlprodError

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, KeyError, IndexError, TypeError, OverflowError, struct.error, zlib.error)
"""What Pillow raises on files that are broken; UnidentifiedImageError is an OSError."""


def files_in(folder: Path) -> Iterator[Path]:
    """Every file that is not hidden, in the order of their paths; a link to a file is that file.

    Raises
    ------
    MlprodError : ``bad-data`` for a link that leads nowhere or to a folder, and for what is no regular file.
    """
    for entry in sorted(folder.iterdir(), key=lambda path: os.fsencode(path.name)):
        if entry.name.startswith("."):
            continue
        if entry.is_symlink() and not entry.is_file():
            leads = "a folder" if entry.is_dir() else "nothing that can be read"
            raise MlprodError(Code.BAD_DATA, f"{str(entry)[:200]!r} is a link to {leads}", hint="put the files there, or remove the link")
        if entry.is_dir():
            yield from files_in(entry)
        elif entry.is_file():
            yield entry
        else:
            raise MlprodError(Code.BAD_DATA, f"{str(entry)[:200]!r} is no regular file", hint="remove it from the folder")


def images_of(folder: Path, files: list[Path]) -> list[Path]:
    """Those files of a folder that are images by their name.

    Raises
    ------
    MlprodError : ``bad-data`` when there is none.
    """
    images = [file for file in files if file.suffix.lower() in SUFFIXES]
    if not images:
        raise MlprodError(
            Code.BAD_DATA, f"{folder} holds no image", hint=f"images end in {', '.join(SUFFIXES)}; other data is named by file"
        )
    return images
