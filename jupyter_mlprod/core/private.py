"""Private: what waits in the workspace's scratch folder (rows, answers, code of a notebook) is for its owner alone to read.

A file system without rights (FAT, some network shares) has none to take away, so its refusal is no error.
"""

import contextlib
from pathlib import Path

from jupyter_mlprod.core.errors import Code, MlprodError

CAPTURES = "captures"
"""Folder of the scratch folder in which captures are made."""
LIVE = "live"
"""Folder of the scratch folder in which a magic leaves what it took from the notebook."""


def private_folder(folder: Path) -> Path:
    """A folder that nobody else may look into, made with its parents when it is not there.

    Raises
    ------
    MlprodError : ``disk``.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        what = f"{folder} could not be made: {error.strerror or error}"
        raise MlprodError(Code.DISK, what, hint="free space or rights, then run it again") from error
    with contextlib.suppress(PermissionError):
        folder.chmod(0o700)
    return folder


def private_files(place: Path) -> Path:
    """Take the rights of others from a file, or from a folder and every file in it."""
    for path in (place, *place.rglob("*")):
        with contextlib.suppress(PermissionError):
            path.chmod(0o700 if path.is_dir() else 0o600)
    return place
