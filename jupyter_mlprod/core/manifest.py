"""Reading ``bundle.json``, whether it lies in a folder or in an archive, and which file names a bundle may have.

A name must be one that every file system takes and keeps apart from the others, so that a bundle that is good on one machine cannot be
another one elsewhere. That also keeps markup, line breaks and characters that turn text around out of whatever lists the files. What
MLflow would act on is held against what mlprod writes, here and not in the file, since the manifest has the file's digest.
"""

import itertools
import unicodedata
from collections.abc import Sequence

from jupyter_mlprod.core.bundle import ATTACHED, GRAPH, GRAPH_DATA, MANIFEST, MLFLOW_WRITES, Bundle
from jupyter_mlprod.core.mlmodel import MLMODEL, PYTHON_ENV, written
from jupyter_mlprod.core.record import canonical
from jupyter_mlprod.core.strict_json import strict_record
from jupyter_mlprod.core.subject import NAME, NAME_RULE

MAX_MANIFEST_BYTES = 16_000_000
MOST_FILES = 10_000
LONGEST_PATH = 500
LONGEST_PART_BYTES = 200
FORBIDDEN = frozenset('\\:*?"<>|')
"""What Windows takes in no file name; the colon also begins a drive or a stream."""

RESERVED = frozenset({MANIFEST, ATTACHED, MLFLOW_WRITES})
"""First parts of a path that are not the manifest's to list."""


def parse_manifest(data: bytes) -> tuple[Bundle | None, list[str]]:
    """The manifest, and what is wrong with it; None when nothing could be made of it."""
    if len(data) > MAX_MANIFEST_BYTES:
        return None, [f"{MANIFEST} is larger than {MAX_MANIFEST_BYTES:,} bytes"]
    try:
        bundle = strict_record(data, Bundle)
    except ValueError as error:
        return None, [f"{MANIFEST} cannot be read: {error}"]
    if not NAME.fullmatch(bundle.name):
        return None, [f"{MANIFEST} says that the bundle is named {bundle.name[:80]!r}; a name may hold {NAME_RULE}"]
    paths = [entry.path for entry in bundle.files]
    fault = paths_fault(paths) or next(filter(None, map(_place_fault, paths)), "")
    if fault:
        return None, [f"{MANIFEST} names a file that a bundle cannot hold: {fault}"]
    return bundle, [*([] if canonical(bundle) == data else [f"{MANIFEST} is not in canonical form"]), *_foreign(bundle)]


def paths_fault(paths: Sequence[str]) -> str:
    """Why files of these names cannot lie in one folder on every system; empty when they can."""
    if len(paths) > MOST_FILES:
        return f"there are {len(paths):,} files; at most {MOST_FILES:,} are expected"
    spelled: dict[str, str] = {}
    files: set[str] = set()
    for path in paths:
        if fault := path_fault(path):
            return fault
        parts = path.split("/")
        for place in ("/".join(parts[:end]) for end in range(1, len(parts) + 1)):
            if (known := spelled.setdefault(_key(place), place)) != place:
                return f"{known!r} and {place!r} differ in case or spelling alone"
        if path in files:
            return f"{path!r} is there twice"
        files.add(path)
    both = {parent for path in paths for parent in itertools.accumulate(path.split("/")[:-1], "{}/{}".format)} & files
    return f"{min(both)!r} is a file and a folder" if both else ""


def path_fault(path: str) -> str:
    """Why this is no path of a file in a bundle; empty when it is one."""
    if len(path) > LONGEST_PATH:
        return f"a path of {len(path):,} characters, {path[:40]!r}…"
    if path.startswith("/"):
        return f"{path!r} is absolute"
    if odd := next((letter for letter in path if letter in FORBIDDEN or not letter.isprintable()), ""):
        return f"{path!r} holds {odd!r}"
    if unicodedata.normalize("NFC", path) != path:
        return f"{path!r} is not in Unicode's composed form"
    for part in path.split("/"):
        if part in ("", ".", ".."):
            return f"{path!r} has {part!r} as a part"
        if part != part.strip() or part.endswith("."):
            return f"{path!r} has a part with a blank at an end or a dot at its end"
        if len(part.encode()) > LONGEST_PART_BYTES:
            return f"{path!r} has a part of more than {LONGEST_PART_BYTES} bytes"
    return ""


def _place_fault(path: str) -> str:
    """Why a manifest may not list a path that is good in itself; empty when it may."""
    first = path.split("/")[0]
    known = SPELLED.get(_key(first), first)
    if known in RESERVED:
        return f"{path!r} has no place in it"
    return "" if known == first else f"{path!r} differs from {known!r} in case or spelling alone"


def _foreign(bundle: Bundle) -> list[str]:
    """The files that MLflow would act on and that mlprod has not written for this contract."""
    ours = written(bundle.contract)
    return [
        f"{entry.path} is not what mlprod writes for this contract, and MLflow would run what it names"
        for entry in bundle.files
        if entry.path in ours and entry.sha256 not in ours[entry.path]
    ]


def _key(path: str) -> str:
    """What file systems that ignore case or composition go by."""
    return unicodedata.normalize("NFKC", path).casefold()


SPELLED = {_key(name): name for name in (*RESERVED, GRAPH, GRAPH_DATA, MLMODEL, PYTHON_ENV)}
"""Names that mean something in a bundle, by what a file system that ignores case takes them for."""
