"""A bundle that somebody has changed and written a valid manifest around: every digest of it holds, and no key has signed it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec

from jupyter_mlprod.core.bundle import ATTACHED, MANIFEST, Bundle, BundleFile
from jupyter_mlprod.core.record import canonical, digest_bytes
from tests.verbs.tiny import Desk

Change = Callable[[Path], object]


def forged(desk: Desk, change: Change) -> Path:
    """The champion's folder after a change, its manifest made anew."""
    sent = desk.folder / "sent"
    shutil.copytree(desk.bundle_folder(desk.champion()), sent)
    change(sent)
    bundle = msgspec.json.decode((sent / MANIFEST).read_bytes(), type=Bundle)
    paths = {path.relative_to(sent).as_posix(): path.read_bytes() for path in sorted(sent.rglob("*")) if path.is_file()}
    files = tuple(
        BundleFile(path=path, bytes=len(data), sha256=digest_bytes(data))
        for path, data in paths.items()
        if path != MANIFEST and path.split("/")[0] != ATTACHED
    )
    (sent / MANIFEST).write_bytes(canonical(msgspec.structs.replace(bundle, files=files)))
    return sent
