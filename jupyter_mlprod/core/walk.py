"""Everything under a folder that may be anybody's, in one order and without following a link.

It does not recurse and it refuses what is nested deeper than a bundle's path may be long: Python's own walks end in a RecursionError there.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.manifest import LONGEST_PATH


def walked(folder: Path) -> Iterator[Path]:
    """Every file, folder and link, a folder before what is in it.

    Raises
    ------
    MlprodError : ``bundle-broken`` when a folder cannot be read, or a path in it has more than 500 characters.
    """
    longest = len(str(folder)) + 1 + LONGEST_PATH
    left = _entries(folder)
    while left:
        entry = left.pop()
        if len(entry.path) > longest:
            beginning = entry.path[len(str(folder)) + 1 :][:40]
            raise _broken(f"a path of more than {LONGEST_PATH} characters, {beginning!r}… in {folder}")
        path = Path(entry.path)
        yield path
        if entry.is_dir(follow_symlinks=False):
            left += _entries(path)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """What lies in one folder, the first one last."""
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda entry: entry.name, reverse=True)
    except OSError as error:
        raise _broken(f"{folder} cannot be read: {error.strerror or error}") from None


def _broken(what: str) -> MlprodError:
    return MlprodError(Code.BUNDLE_BROKEN, what, hint="fetch it again from where it came")
