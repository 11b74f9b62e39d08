"""``package``: a model, what stands before and behind it, labels and contract become a bundle.

The bundle is staged, made to answer, and held against the original; only a bundle that agrees is given its digest and kept. It is kept
with its lock, documents and signatures or not at all: they are written while it is still staged.
"""

import ast
import shutil
import uuid
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import get_args

import msgspec

from jupyter_mlprod.core import bundle as layout
from jupyter_mlprod.core.attach import attach
from jupyter_mlprod.core.bundle import CODE, GRAPH, GRAPH_DATA, REQUIREMENTS, Bundle
from jupyter_mlprod.core.capture import GRAPH_FILE, REFERENCE_FILE, Capture, own_capture, read_capture
from jupyter_mlprod.core.combine import combine_of, combined_scores
from jupyter_mlprod.core.contract import ColumnType
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.evidence import Evidence
from jupyter_mlprod.core.held import broken_by_training
from jupyter_mlprod.core.infer import infer_contract, infer_scores
from jupyter_mlprod.core.lock import attach_locks
from jupyter_mlprod.core.mlmodel import MLMODEL, PYTHON_ENV, mlmodel_text, python_env_text
from jupyter_mlprod.core.parts import Parts, acts_in, read_parts
from jupyter_mlprod.core.ports import Ports
from jupyter_mlprod.core.private import CAPTURES, private_folder
from jupyter_mlprod.core.promises import promise_faults
from jupyter_mlprod.core.proof import brought_back, opened, prove
from jupyter_mlprod.core.raw import Array, rows
from jupyter_mlprod.core.record import canonical, digest
from jupyter_mlprod.core.requests.package import Package
from jupyter_mlprod.core.resolve import Found
from jupyter_mlprod.core.snapshot import Snapshot, redacted, values_named
from jupyter_mlprod.core.subject import check_name


def run(request: Package, ports: Ports) -> Bundle:
    """Package, prove parity, sign, keep."""
    check_name(request.name, what="name")
    ports.signer.key()  # one that cannot be had is told before the work
    parts = read_parts(request, ports)
    folder = _capture(request, parts, ports)
    try:
        for line in acts_in(parts):
            ports.tell(line)
        return _from_capture(request, parts, ports, folder=folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _from_capture(request: Package, parts: Parts, ports: Ports, *, folder: Path) -> Bundle:
    capture = read_capture(folder)
    unknown = sorted(set(parts.ends.normalization) - set(capture.inputs))
    if unknown:
        raise MlprodError(Code.BAD_REQUEST, f"--normalize names {unknown[0]!r}; the model takes {', '.join(capture.inputs)}")
    reference = ports.data.read(str(folder / REFERENCE_FILE))
    assert isinstance(reference, Mapping)
    bundle = _described(request, parts, capture, reference)
    if parts.snapshot is not None and parts.snapshot.kind == "table":
        for line in broken_by_training(bundle.contract, request.data, ports):
            ports.tell(line)
    snapshot = redacted(parts.snapshot, parts.edit.personal) if parts.snapshot else None
    if snapshot:
        bundle = msgspec.structs.replace(bundle, snapshot=digest(snapshot), snapshot_values=values_named(snapshot))
    origin = ports.machine.origin(notebook=request.notebook, run=Path(ports.run_folder).name)
    staging = private_folder(ports.scratch) / f"staging-{uuid.uuid4().hex[:12]}"
    try:
        _stage(bundle, parts, ports, folder=folder, staging=staging)
        if snapshot:
            _write_text(staging / layout.SNAPSHOT, canonical(snapshot).decode())
        runtime = opened(bundle, ports, staging=staging)
        parity = prove(bundle, runtime, ports, staging=staging, example=parts.example, reference=reference, capture=capture)
        training = brought_back(capture, bundle, runtime, ports, staging=staging)
        finish = partial(_finish, ports=ports, words=parts.words, snapshot=snapshot, parity=parity)
        kept = ports.bundles.add(staging, bundle, msgspec.structs.replace(origin, training=training), finish=finish)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    ports.session[kept.name] = digest(kept)
    return kept


def _described(request: Package, parts: Parts, capture: Capture, reference: Mapping[str, Array]) -> Bundle:
    """The bundle before it has files: what the parts say, and what the original's answers show."""
    example = parts.example
    contract = infer_contract(example, capture.outputs, reference, edit=parts.edit, types=_types(parts.snapshot))
    answers = {output: reference[f"{rows(example)}/{output}"] for output in capture.outputs}
    asked = combined_scores(request.scores, labelled=bool(parts.labels)) if capture.ensemble else request.scores
    scores = infer_scores(asked, parts.labels, answers[capture.outputs[0]])
    faults = promise_faults(contract, labels=parts.labels, scores=scores, answers=answers)
    if faults:
        raise MlprodError(Code.BAD_CONTRACT, "\n".join(faults))
    return Bundle(
        name=request.name,
        contract=contract,
        scores=scores,
        labels=parts.labels,
        preprocess=parts.preprocess.name,
        postprocess=parts.postprocess.name or msgspec.UNSET,
        normalization=dict(parts.ends.normalization) or msgspec.UNSET,
        operating_point=parts.point or msgspec.UNSET,
        ensemble=capture.ensemble or msgspec.UNSET,
    )


def _types(snapshot: Snapshot | None) -> dict[str, ColumnType]:
    """The types of the training data's columns, of those that a contract can name."""
    columns = snapshot.columns if snapshot else ()
    return {column.name: kind for column in columns for kind in get_args(ColumnType) if kind == column.type}


def _finish(folder: Path, whole: Bundle, *, ports: Ports, words: str, snapshot: Snapshot | None, parity: Evidence) -> None:
    """Attach lock, documents and signatures, and put the records that a bundle at hand has; the documents tell the evidence."""
    attach_locks(folder, ports)
    if snapshot is not None:
        ports.records.put(snapshot)
    ports.records.put(msgspec.structs.replace(parity, subject=digest(whole)))
    attach(Found(bundle=whole, digest=digest(whole), folder=folder), ports, words=words)
    ports.records.put(whole)


def _stage(bundle: Bundle, parts: Parts, ports: Ports, *, folder: Path, staging: Path) -> None:
    """Lay the bundle's files out, all but the golden samples and the manifest."""
    try:
        staging.mkdir(parents=True)
        shutil.copyfile(folder / GRAPH_FILE, staging / GRAPH)
        for path in (GRAPH_DATA, layout.STRUCTURE, layout.WEIGHTS, layout.CLASSES):
            if (folder / path).exists():
                (staging / path).parent.mkdir(exist_ok=True)
                shutil.copyfile(folder / path, staging / path)
        pins = ports.machine.requirements(_modules(parts.preprocess.text + "\n" + parts.postprocess.text))
        _write_text(staging / REQUIREMENTS, "".join(f"{pin}\n" for pin in pins))
        _write_text(staging / MLMODEL, mlmodel_text(bundle.contract))
        _write_text(staging / PYTHON_ENV, python_env_text(requirements=REQUIREMENTS))
        for function, path in ((parts.preprocess, layout.PREPROCESS), (parts.postprocess, layout.POSTPROCESS)):
            if function.text:
                _write_text(staging / path, function.text)
        for asset in parts.assets:
            (staging / CODE).mkdir(exist_ok=True)
            shutil.copyfile(asset, staging / CODE / asset.name)
    except OSError as error:
        raise MlprodError(Code.DISK, f"the bundle could not be staged in {staging}: {error.strerror or error}") from error


def _write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


def _modules(code: str) -> tuple[str, ...]:
    """The top-level modules that a source imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return tuple(sorted(found))


def _capture(request: Package, parts: Parts, ports: Ports) -> Path:
    """The capture that a magic has made already, or a new one from a file or an import path."""
    made = own_capture(request.model, ports.scratch / CAPTURES)
    if made is not None:
        return made
    if request.model.endswith((".pt", ".pth", ".pkl")):
        what = f"{Path(request.model).name}: loading it runs code that the file brings along"
        raise MlprodError(Code.BAD_MODEL, what, hint="load it yourself and package the module, or export .onnx")
    shapes = {name: field.shape for name, field in parts.edit.inputs.items() if field.shape is not None}
    combine = combine_of(how=request.combine, weights=request.weights, scores=request.scores, labelled=bool(parts.labels))
    return ports.models.capture(request.model, parts.example, parts.ends, shapes=shapes, combine=combine)
