"""``export``: a bundle in a form that other tools take.

Every form is laid out beside its place under another name and renamed when it is whole, so that whatever interrupts it leaves nothing.
What a form cannot hold is named by what the bundle has, since an answer without its preprocessing is another answer.
"""

import contextlib
import importlib.metadata
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from jupyter_mlprod.core import docker, triton
from jupyter_mlprod.core.archive import SUFFIX, write_archive
from jupyter_mlprod.core.attach import faults_of_attached
from jupyter_mlprod.core.bundle import ATTACHED, CODE, GOLDEN_INPUTS, GRAPH, GRAPH_DATA, MANIFEST, REQUIREMENTS, Bundle
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.listing import Listing
from jupyter_mlprod.core.lock import bundle_lock, read_pins
from jupyter_mlprod.core.manifest import paths_fault
from jupyter_mlprod.core.ports import Ports
from jupyter_mlprod.core.record import DIGEST_PREFIX, digest_bytes, short
from jupyter_mlprod.core.requests.export import Export
from jupyter_mlprod.core.resolve import Found, find_bundle, origin_of, text_in
from jupyter_mlprod.core.walk import walked
from jupyter_mlprod.core.wheel import own_wheel

WHOLE = "the whole bundle"
BESIDE = "evidence, verdicts and history stay in the workspace"


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """What a form holds (path in it → what that is) and a line on what it does not."""

    what: dict[str, str]
    note: str


def run(request: Export, ports: Ports) -> Listing:
    """Verify, lay out, rename."""
    found = find_bundle(request.subject, ports)
    form, suffix = FORMS[request.to]
    out = _target(request, found, suffix=suffix)
    with _staged(out) as staged:
        made = form(found, staged, ports)
        sizes = {path: path.stat().st_size for path in sorted(staged.parent.rglob("*")) if path.is_file()}
        rows = tuple((path.relative_to(staged.parent).as_posix(), _what(path, staged, made), size) for path, size in sizes.items())
    ports.tell(f"wrote {out}")
    title = f"{found.bundle.name} {short(found.digest)} as {request.to}"
    return Listing(title=title, columns=("path", "what", "bytes"), rows=rows, total=len(rows), note=made.note)


def _target(request: Export, found: Found, *, suffix: str) -> Path:
    """Where it is written: nothing may be there, and the folder around it must be."""
    sha256 = found.digest.removeprefix(DIGEST_PREFIX)
    out = Path(request.out or f"{found.bundle.name}-{sha256[:12]}{suffix}")
    if not out.name or not request.out.isprintable():
        raise MlprodError(Code.BAD_REQUEST, f"{request.out[:120]!r} is no path to write to")
    if request.to == "mlprod" and out.suffix != SUFFIX:
        raise MlprodError(Code.BAD_REQUEST, f"an archive's name ends in {SUFFIX}, {out.name[:120]!r} does not", hint=f"--out NAME{SUFFIX}")
    if not os.path.isdir(out.parent):  # noqa: PTH112  Path.is_dir raises on a name that is too long
        raise MlprodError(Code.BAD_REQUEST, f"there is no folder {str(out.parent)[:200]!r} to write to")
    _check_free(out)
    return out


def _check_free(path: Path) -> None:
    if os.path.lexists(path):
        raise MlprodError(Code.BAD_REQUEST, f"{path} is there already, and is not overwritten", hint="move it away, or say --out PATH")


@contextlib.contextmanager
def _staged(out: Path) -> Iterator[Path]:
    """A path of the same name in a folder beside it; what lies in that folder at the end is moved to its place."""
    staging = out.with_name(f".export-{uuid.uuid4().hex[:12]}.tmp")
    moved: list[Path] = []
    try:
        staging.mkdir()
        yield staging / out.name
        for path in sorted(staging.iterdir(), key=lambda path: path.name == out.name):
            _check_free(out.with_name(path.name))
            moved.append(out.with_name(path.name))
            path.rename(moved[-1])
        moved.clear()
    except OSError as error:
        raise MlprodError(Code.DISK, f"{out} could not be written: {error.strerror or error}", hint="free space or rights") from error
    finally:
        for path in moved:
            path.unlink(missing_ok=True)
        shutil.rmtree(staging, ignore_errors=True)


def _onnx(found: Found, out: Path, ports: Ports) -> Made:
    data = f"{out.name}.data"
    metadata = {"mlprod.name": found.bundle.name, "mlprod.digest": found.digest}
    if found.bundle.labels:
        metadata["mlprod.labels"] = json.dumps(found.bundle.labels)
    ports.graphs.copy(found.folder / GRAPH, out, data=data, metadata=metadata)
    if found.bundle.holds(GRAPH_DATA):
        shutil.copyfile(found.folder / GRAPH_DATA, out.with_name(data))
    if fault := ports.graphs.fault(out):
        raise MlprodError(Code.BAD_MODEL, f"ONNX's own checker refuses the graph: {fault}")
    labels = "; labels stand in its metadata only" if found.bundle.labels else ""
    return Made(what={"": "graph", data: "weights"}, note=f"without {_left_out(found.bundle, labels=False)}{labels}")


def _triton(found: Found, out: Path, ports: Ports) -> Made:
    name = found.bundle.name
    inputs, outputs = ports.graphs.ends(found.folder / GRAPH)
    labeled = triton.labeled_output(found.bundle, outputs)
    _write(out / name / triton.CONFIG, triton.config_text(name, found.digest, inputs, outputs, labeled=labeled))
    graph = out / name / triton.GRAPH_PLACE
    graph.parent.mkdir()
    shutil.copyfile(found.folder / GRAPH, graph)
    if found.bundle.holds(GRAPH_DATA):
        shutil.copyfile(found.folder / GRAPH_DATA, graph.with_name(GRAPH_DATA))
    if labeled:
        _write(out / name / triton.LABELS, "".join(f"{label}\n" for label in found.bundle.labels))
    what = {triton.CONFIG: "configuration", GRAPH: "graph", GRAPH_DATA: "weights", triton.LABELS: f"labels of {labeled}"}
    return Made(what=what, note=f"without {_left_out(found.bundle, labels=not labeled)}")


def _left_out(bundle: Bundle, *, labels: bool) -> str:
    """What answering needs beyond the graph, by what this bundle has of it."""
    parts = [
        f"preprocessing {bundle.preprocess}()" if bundle.preprocess else "",
        f"postprocessing {bundle.postprocess}()" if bundle.postprocess else "",
        f"normalization of {', '.join(bundle.normalization)}" if bundle.normalization else "",
        "operating point" if bundle.operating_point else "",
        "labels" if bundle.labels and labels else "",
        "contract",
        "golden samples" if bundle.holds(GOLDEN_INPUTS) else "",
    ]
    return ", ".join(filter(None, parts))


def _mlflow(found: Found, out: Path, ports: Ports) -> Made:
    read_pins(text_in(found.folder, REQUIREMENTS))  # MLflow gives this file to pip as it is
    _copy(found, out)
    remarks = [
        WHOLE, BESIDE, "to load it, jupyter-mlprod must be installed",
        "" if _is_trusted(found, ports) else f"no trusted key signed it, and MLflow asks for none: read {CODE}/ before it is loaded",
    ]  # fmt: skip
    return Made(what={}, note="; ".join(filter(None, remarks)))


def _mlprod(found: Found, out: Path, ports: Ports) -> Made:  # noqa: ARG001
    with out.open("xb") as stream:
        write_archive(stream, found.folder, _files(found))
    return Made(what={"": "archive"}, note=f"{WHOLE}; {BESIDE}; its path is a subject: mlprod verify {out.name}")


def _docker(found: Found, out: Path, ports: Ports) -> Made:
    image = _image(found, out, ports)
    texts = docker.texts(image)
    _copy(found, out / docker.BUNDLE)
    for place, text in texts.items():
        _write(out / place, text)
    for path in out.rglob("*"):  # COPY keeps the rights, and whoever answers in the image is another user
        path.chmod(0o755 if path.is_dir() else 0o644)
    what = {
        docker.DOCKERFILE: "build recipe", docker.LOCKED: "versions and hashes", docker.UNHASHED: "versions without hashes",
        docker.SUMS: "files that may be put here", docker.SETTINGS: "keys that the image trusts",
        docker.READ_ME: "how it is built and asked", image.wheel: "this package",
    }  # fmt: skip
    remarks = [
        WHOLE, BESIDE, "the image answers files (mlprod predict), it is no server",
        "" if image.trusted else "no trusted key signed it, so each run must say --trust REASON",
        "" if image.covered else "no trusted key covers the hashes of its lock (mlprod verify tells more)",
        f"{docker.READ_ME} says where the files of an index of your own are looked for" if docker.PLACED in texts else "",
    ]  # fmt: skip
    return Made(what=what, note="; ".join(filter(None, remarks)))


def _image(found: Found, out: Path, ports: Ports) -> docker.Image:
    """What the image is made of, this package's wheel first, which is written into the folder."""
    bundle, folder = found.bundle, found.folder
    lock, origin = bundle_lock(folder), origin_of(folder)
    out.mkdir()
    try:
        wheel = own_wheel(out)
    except importlib.metadata.PackageNotFoundError:
        raise MlprodError(Code.MISSING_EXTRA, "this mlprod is not installed, so no wheel of it can go into the image") from None
    trusted = _is_trusted(found, ports)
    return docker.Image(
        name=bundle.name,
        digest=found.digest,
        python=origin.python if origin and docker.PYTHON.fullmatch(origin.python) else ports.machine.context()["python"],
        wheel=wheel.name,
        sha256=digest_bytes(wheel.read_bytes()).removeprefix(DIGEST_PREFIX),
        lock=lock,
        keys=(*ports.trusted_keys, ports.signer.key().public) if bundle.has_code and trusted else (),
        trusted=trusted,
        covered=not any(package.files for package in lock.packages) or not faults_of_attached(found, ports),
    )


def _is_trusted(found: Found, ports: Ports) -> bool:
    """Whether a trusted key vouches for the bundle's code, or it has none."""
    return not found.bundle.has_code or not ports.signer.signature_fault(found.folder, found.bundle.name, found.digest)


FORMS: dict[str, tuple[Callable[[Found, Path, Ports], Made], str]] = {
    "onnx": (_onnx, ".onnx"),
    "mlflow": (_mlflow, "-mlflow"),
    "triton": (_triton, "-triton"),
    "docker": (_docker, "-docker"),
    "mlprod": (_mlprod, SUFFIX),
}
"""How each form is laid out, and how its default name ends."""


def _files(found: Found) -> list[str]:
    """Every file of a bundle: the manifest, what it lists, and what is attached.

    Raises
    ------
    MlprodError : ``bundle-broken`` when something attached is no file, or is named as no file of a bundle can be.
    """
    everything = walked(found.folder / ATTACHED) if (found.folder / ATTACHED).is_dir() else ()
    attached = [path for path in sorted(everything) if path.is_symlink() or not path.is_dir()]
    odd = next((path for path in attached if path.is_symlink() or not path.is_file()), None)
    if odd is not None:
        raise MlprodError(Code.BUNDLE_BROKEN, f"{odd} is a link, or no regular file")
    paths = [MANIFEST, *(entry.path for entry in found.bundle.files), *(path.relative_to(found.folder).as_posix() for path in attached)]
    if fault := paths_fault(paths):
        raise MlprodError(Code.BUNDLE_BROKEN, f"{found.bundle.name}: {fault}")
    return paths


def _copy(found: Found, out: Path) -> None:
    """The bundle's folder, readable by whoever answers with it."""
    for path in _files(found):
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(found.folder / path, out / path)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


def _what(path: Path, out: Path, made: Made) -> str:
    """What a file of a form is: by its own name, or as part of the bundle."""
    key = "" if path == out else path.name
    inside = docker.BUNDLE in path.relative_to(out.parent).parts[1:-1]
    return "" if inside else made.what.get(key, "")
