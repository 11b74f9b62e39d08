"""A wheel of this very package, made out of the running installation: for an environment that no index could give it to.

It is put together from the package's folder and the installed metadata and not built, so that an editable installation works too,
no build tool is asked for, and the same files give the same bytes: entries are sorted, dated 1980 and stored without compression.
"""

import base64
import hashlib
import importlib.metadata
import zipfile
from pathlib import Path, PurePosixPath

DISTRIBUTION = "jupyter-mlprod"
PACKAGE_FOLDER = Path(__file__).parents[1]
WHEEL = "Wheel-Version: 1.0\nGenerator: jupyter-mlprod\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
CARRIED = ("METADATA", "entry_points.txt")
LICENSES = "licenses"
EPOCH = (1980, 1, 1, 0, 0, 0)


def own_wheel(folder: Path) -> Path:
    """Write ``jupyter_mlprod-<version>-py3-none-any.whl`` into an existing folder.

    Returns
    -------
    Path of the wheel; the same installation gives the same bytes.

    Raises
    ------
    importlib.metadata.PackageNotFoundError : this code runs without being installed.
    OSError : the folder cannot be written.
    """
    found = importlib.metadata.distribution(DISTRIBUTION)
    stem = f"{DISTRIBUTION.replace('-', '_')}-{found.version}"
    files = {**_code(), **_metadata(found, info=f"{stem}.dist-info")}
    files[f"{stem}.dist-info/RECORD"] = _record(files, info=f"{stem}.dist-info")
    path = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, data in sorted(files.items(), key=lambda item: (".dist-info/" in item[0], item[0])):
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.create_system = 3
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, data)
    return path


def _code() -> dict[str, bytes]:
    """The package's files, without what the interpreter and editors leave there."""
    found = {}
    for path in sorted(PACKAGE_FOLDER.rglob("*")):
        inside = path.relative_to(PACKAGE_FOLDER)
        left = path.suffix == ".pyc" or any(part == "__pycache__" or part.startswith(".") for part in inside.parts)
        if path.is_file() and not left:
            found[f"{PACKAGE_FOLDER.name}/{inside.as_posix()}"] = path.read_bytes()
    return found


def _metadata(found: importlib.metadata.Distribution, *, info: str) -> dict[str, bytes]:
    files = {f"{info}/WHEEL": WHEEL.encode()}
    for name in CARRIED:
        text = found.read_text(name)
        if text is not None:
            files[f"{info}/{name}"] = text.encode()
    for path in found.files or ():
        inside = PurePosixPath(path)
        if LICENSES in inside.parts and inside.parts[0].endswith(".dist-info"):
            files[f"{info}/{'/'.join(inside.parts[1:])}"] = path.read_binary()
    return files


def _record(files: dict[str, bytes], *, info: str) -> bytes:
    lines = []
    for name, data in sorted(files.items()):
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        lines.append(f"{name},sha256={digest},{len(data)}\n")
    return "".join([*lines, f"{info}/RECORD,,\n"]).encode()
