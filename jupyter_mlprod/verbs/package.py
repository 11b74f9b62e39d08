"""``package``: a model, what stands before and behind it, labels and contract become a bundle.

The bundle is staged, made to answer, and held against the original; only a bundle that agrees is given its digest and kept.
"""

import ast
import shutil
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from jupyter_mlprod.core import bundle as layout
from jupyter_mlprod.core.answer import Ends
from jupyter_mlprod.core.attach import attach
from jupyter_mlprod.core.bundle import CODE, GRAPH, GRAPH_DATA, MODULE, REQUIREMENTS, Bundle, Normalization, OperatingPoint, Training
from jupyter_mlprod.core.capture import CAPTURE_FILE, GRAPH_FILE, REFERENCE_FILE, read_capture
from jupyter_mlprod.core.combine import combine_of, combined_scores
from jupyter_mlprod.core.conformance import demand
from jupyter_mlprod.core.contract import ContractEdit
from jupyter_mlprod.core.document import decode_toml, toml_text
from jupyter_mlprod.core.dossier import read_words
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.evidence import Evidence
from jupyter_mlprod.core.infer import infer_contract, infer_scores
from jupyter_mlprod.core.lock import attach_lock
from jupyter_mlprod.core.manifest import path_fault
from jupyter_mlprod.core.mlmodel import MLMODEL, mlmodel_text, python_env_text
from jupyter_mlprod.core.personal import at_rest
from jupyter_mlprod.core.policy import EVERY_BATCH, Policy, Rule
from jupyter_mlprod.core.ports import Ports, Runtime
from jupyter_mlprod.core.raw import Array, Raw, rows
from jupyter_mlprod.core.record import canonical, digest
from jupyter_mlprod.core.remeasure import parity_measures
from jupyter_mlprod.core.requests.package import Package
from jupyter_mlprod.core.resolve import Found
from jupyter_mlprod.core.snapshot import Snapshot, redacted
from jupyter_mlprod.core.source import check_imports, load_function
from jupyter_mlprod.core.subject import check_name, names_file
from jupyter_mlprod.core.verdict import judge

T = TypeVar("T")
PARITY = Policy(
    name="parity",
    rules=(
        Rule(measure="parity_max_abs_diff", at_most=1e-4, where=EVERY_BATCH),
        Rule(measure="parity_argmax_mismatches", at_most=0.0, unit="count", where=EVERY_BATCH),
    ),
)


class Function(msgspec.Struct, frozen=True, kw_only=True):
    """``FILE.py:NAME``, read; both empty when there is none."""

    name: str = ""
    text: str = ""


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """What a bundle is made of besides the model, read and checked before any work."""

    example: Raw
    labels: tuple[str, ...]
    preprocess: Function
    postprocess: Function
    assets: tuple[Path, ...]
    ends: Ends
    edit: ContractEdit
    point: OperatingPoint | None
    words: str
    snapshot: Snapshot | None


def run(request: Package, ports: Ports) -> Bundle:
    """Package, prove parity, sign, keep."""
    check_name(request.name, what="name")
    ports.signer.key()  # one that cannot be had is told before the work
    parts = _parts(request, ports)
    folder = _capture(request, parts, ports)
    try:
        return _from_capture(request, parts, ports, folder=folder)
    finally:
        if folder.resolve().is_relative_to(ports.scratch.resolve()):
            shutil.rmtree(folder, ignore_errors=True)


def _parts(request: Package, ports: Ports) -> Parts:
    example = ports.data.read(request.example)
    if rows(example) < 2:
        raise MlprodError(Code.BAD_DATA, f"the example has {rows(example)} rows; two or more are needed to let the batch size vary")
    preprocess, before = _function(request.preprocess, Code.PREPROCESS)
    postprocess, behind = _function(request.postprocess, Code.POSTPROCESS)
    labels = _labels(request.labels)
    normalization = _document(request.normalize, dict[str, Normalization], name="normalize")
    return Parts(
        example=example,
        labels=labels,
        preprocess=preprocess,
        postprocess=postprocess,
        assets=_assets(request.assets),
        ends=Ends(preprocess=before, postprocess=behind, normalization=_normalization(normalization)),
        edit=_document(request.contract, ContractEdit, name="contract", code=Code.BAD_CONTRACT),
        point=_operating_point(request.operating_point, labels),
        words=_words(request.card),
        snapshot=ports.snapshots.of_file(request.data) if request.data else None,
    )


def _from_capture(request: Package, parts: Parts, ports: Ports, *, folder: Path) -> Bundle:
    capture = read_capture(folder)
    if capture.training.untrainable and capture.original == "torch":
        ports.tell(f"the module cannot be brought back: {capture.training.untrainable}")
    unknown = sorted(set(parts.ends.normalization) - set(capture.inputs))
    if unknown:
        raise MlprodError(Code.BAD_REQUEST, f"--normalize names {unknown[0]!r}; the model takes {', '.join(capture.inputs)}")
    reference = ports.data.read(str(folder / REFERENCE_FILE))
    assert isinstance(reference, Mapping)
    example = parts.example
    contract = infer_contract(example, capture.outputs, reference, edit=parts.edit)
    snapshot = redacted(parts.snapshot, contract.personal) if parts.snapshot else None
    bundle = Bundle(
        name=request.name,
        contract=contract,
        scores=infer_scores(
            combined_scores(request.scores) if capture.ensemble else request.scores,
            parts.labels,
            reference[f"{rows(example)}/{capture.outputs[0]}"],
        ),
        labels=parts.labels,
        preprocess=parts.preprocess.name,
        snapshot=digest(snapshot) if snapshot else "",
        postprocess=parts.postprocess.name or msgspec.UNSET,
        normalization=dict(parts.ends.normalization) or msgspec.UNSET,
        operating_point=parts.point or msgspec.UNSET,
        ensemble=capture.ensemble or msgspec.UNSET,
    )
    staging = ports.scratch / f"staging-{uuid.uuid4().hex[:12]}"
    try:
        _stage(bundle, parts, ports, folder=folder, staging=staging)
        if snapshot:
            _write_text(staging / layout.SNAPSHOT, canonical(snapshot).decode())
            ports.records.put(snapshot)
        kept = _prove_and_keep(request, ports, bundle, staging=staging, example=example, reference=reference, training=capture.training)
        name = digest(kept)
        attach_lock(ports.bundles.path(name), ports)
        attach(Found(bundle=kept, digest=name, folder=ports.bundles.path(name)), ports, words=parts.words)
        return kept
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _stage(bundle: Bundle, parts: Parts, ports: Ports, *, folder: Path, staging: Path) -> None:
    """Lay the bundle's files out, all but the golden samples and the manifest."""
    try:
        staging.mkdir(parents=True)
        shutil.copyfile(folder / GRAPH_FILE, staging / GRAPH)
        if (folder / GRAPH_DATA).exists():
            shutil.copyfile(folder / GRAPH_DATA, staging / GRAPH_DATA)
        if (folder / MODULE).is_dir():
            shutil.copytree(folder / MODULE, staging / MODULE)
        pins = ports.machine.requirements(_modules(parts.preprocess.text + "\n" + parts.postprocess.text))
        _write_text(staging / REQUIREMENTS, "".join(f"{pin}\n" for pin in pins))
        _write_text(staging / MLMODEL, mlmodel_text(bundle.contract))
        _write_text(staging / "python_env.yaml", python_env_text(requirements=REQUIREMENTS))
        for function, path in ((parts.preprocess, layout.PREPROCESS), (parts.postprocess, layout.POSTPROCESS)):
            if function.text:
                _write_text(staging / path, function.text)
        for asset in parts.assets:
            (staging / CODE).mkdir(exist_ok=True)
            shutil.copyfile(asset, staging / CODE / asset.name)
    except OSError as error:
        raise MlprodError(Code.DISK, f"the bundle could not be staged in {staging}: {error.strerror or error}") from error


def _prove_and_keep(
    request: Package, ports: Ports, bundle: Bundle, *, staging: Path, example: Raw, reference: Mapping[str, Array], training: Training
) -> Bundle:
    runtime = ports.runtimes.open(staging, bundle, threads=1)
    measures = parity_measures(bundle, runtime, example, reference, per_batch=True)
    golden, answers = _golden(bundle, runtime, example)
    ports.data.write(golden if isinstance(golden, Mapping) else {bundle.contract.inputs[0].name: golden}, staging / layout.GOLDEN_INPUTS)
    ports.data.write(answers, staging / layout.GOLDEN_ANSWERS)
    parity = Evidence(
        kind="parity", subject="", taken_at=ports.now(), taken_by=ports.taken_by, measures=measures,
        context={**ports.runtimes.context(), **ports.machine.context()},
    )  # fmt: skip
    _demand_parity(parity, ports, what="the bundle answers differently from the model")
    alone = msgspec.structs.replace(parity, measures=parity_measures(bundle, runtime, golden, answers, per_batch=False))
    _demand_parity(alone, ports, what="the bundle answers a row differently with other rows beside it")
    _demand_replay(bundle, ports, staging=staging)
    origin = msgspec.structs.replace(ports.machine.origin(notebook=request.notebook, run=Path(ports.run_folder).name), training=training)
    kept = ports.bundles.add(staging, bundle, origin)
    name = digest(kept)
    ports.records.put(kept)
    ports.records.put(msgspec.structs.replace(parity, subject=name))
    ports.session[kept.name] = name
    return kept


def _golden(bundle: Bundle, runtime: Runtime, example: Raw) -> tuple[Raw, dict[str, Array]]:
    """The golden samples and what the bundle answers to them: the example, without the personal data in it."""
    golden = at_rest(bundle.contract, example)
    personal = ", ".join(bundle.contract.personal)
    try:
        demand(bundle.contract, golden, name=bundle.name)
        return golden, runtime.outputs(golden)
    except MlprodError as error:
        if not personal:
            raise
        what = f"values made up in place of personal data ({personal}) are not taken: {error.message}"
        raise MlprodError(error.code, what, hint="declare low and high, or categories, so that what is made up makes sense") from None


def _demand_parity(parity: Evidence, ports: Ports, *, what: str) -> None:
    verdict = judge(PARITY, [parity], subject="", now=ports.now())
    if verdict.outcome == "pass":
        return
    worst = next(finding for finding in verdict.findings if finding.outcome != "pass")
    found = f"{worst.rule.measure} is {worst.measured.value:g} at batch {worst.measured.where['batch']}" if worst.measured else worst.reason
    hint = "is the model in eval mode, free of randomness, and the preprocessing free of state and of statistics of the batch?"
    raise MlprodError(Code.PARITY, f"{what}: {found}, allowed is {worst.rule.limit:g}", hint=hint)


def _demand_replay(bundle: Bundle, ports: Ports, *, staging: Path) -> None:
    """Code of a notebook may lean on what only its kernel has, so it must answer the golden samples in a process that never saw it."""
    fault = ports.runtimes.replay(staging, bundle) if bundle.has_code else ""
    if fault:
        raise MlprodError(
            Code.PREPROCESS,
            f"a fresh process that never saw the notebook does not answer alike: {fault}",
            hint="leave nothing to the kernel, to its folder, to its environment or to hash() of strings",
        )


def _write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


def _text(value: str) -> str:
    """The text itself, or the text of the file that it names."""
    return _read_text(value) if names_file(value) else value


def _read_text(path: str) -> str:
    try:
        return Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise MlprodError(Code.BAD_REQUEST, f"{path} cannot be read: {reason}") from None


def _document(value: str, kind: type[T], *, name: str, code: Code = Code.BAD_REQUEST) -> T:
    """A TOML text, or the file that it names, as ``kind``."""
    if value.endswith(".toml") and not names_file(value):
        raise MlprodError(code, f"there is no file {value!r}")
    return decode_toml(_text(value), kind, name=name, code=code)


def _words(value: str) -> str:
    """What a person says for the model card, known to be readable."""
    text = toml_text(value, name="card", code=Code.BAD_REQUEST)
    read_words(text)
    return text


def _labels(spec: str) -> tuple[str, ...]:
    """Class names, separated by commas or, in a file, by lines too."""
    if not spec:
        return ()
    labels = tuple(label.strip() for label in _text(spec).strip().replace("\n", ",").split(","))
    odd = sorted({label for label in labels if not label or labels.count(label) > 1})
    if odd:
        raise MlprodError(Code.BAD_REQUEST, f"labels must differ from one another and not be empty: {', '.join(map(repr, odd[:5]))}")
    return labels


def _normalization(given: dict[str, Normalization]) -> dict[str, Normalization]:
    for name, by in given.items():
        if len(by.mean) != len(by.std) or not by.mean:
            raise MlprodError(Code.BAD_REQUEST, f"normalize: {name!r} has {len(by.mean)} means and {len(by.std)} standard deviations")
        if not all(0 < std < float("inf") for std in by.std) or not all(abs(mean) < float("inf") for mean in by.mean):
            raise MlprodError(Code.BAD_REQUEST, f"normalize: {name!r} needs finite means and standard deviations above 0")
    return given


def _operating_point(value: str, labels: tuple[str, ...]) -> OperatingPoint | None:
    if not value:
        return None
    point = _document(value, OperatingPoint, name="operating-point")
    unknown = sorted(set(point.thresholds) - set(labels))
    if unknown:
        raise MlprodError(
            Code.BAD_REQUEST, f"operating-point: there is no label {unknown[0]!r}; labels are {', '.join(labels) or 'not given'}"
        )
    if not 0 < point.temperature < float("inf") or not all(0 < limit <= 1 for limit in point.thresholds.values()):
        raise MlprodError(Code.BAD_REQUEST, "operating-point: the temperature is above 0, and a threshold above 0 and at most 1")
    if point.otherwise in labels or (point.otherwise and set(point.thresholds) != set(labels)):
        what = "'otherwise' is no label, and needs a threshold for every label"
        raise MlprodError(Code.BAD_REQUEST, f"operating-point: {what}", hint="a label without a threshold is answered when no other is")
    return point


def _function(spec: str, code: Code) -> tuple[Function, Callable[[Any], Any] | None]:
    """``FILE.py:FUNCTION`` as text and as something to call; nothing for an empty spec."""
    if not spec:
        return Function(), None
    file, colon, name = spec.rpartition(":")
    if not colon or not name.isidentifier() or not names_file(file):
        raise MlprodError(code, f"{spec!r} is no {code.label}ing function", hint="write FILE.py:FUNCTION, or a function of the notebook")
    text = _read_text(file)
    check_imports(text, name, code=code)
    return Function(name=name, text=text), load_function(Path(file), name, code=code)


def _assets(files: tuple[str, ...]) -> tuple[Path, ...]:
    """The files that lie beside the code in the bundle."""
    paths = tuple(Path(file) for file in files)
    missing = next((path for path in paths if not names_file(str(path))), None)
    if missing is not None:
        raise MlprodError(Code.BAD_REQUEST, f"there is no file {str(missing)!r} for --assets")
    odd = next(filter(None, (path_fault(path.name) for path in paths)), "")
    if odd:
        raise MlprodError(Code.BAD_REQUEST, f"--assets: {odd}, and a bundle's file has a name that every system takes", hint="rename it")
    names = [path.name.casefold() for path in paths]
    taken = next((name for name in names if names.count(name) > 1 or f"{CODE}/{name}" in (layout.PREPROCESS, layout.POSTPROCESS)), None)
    if taken:
        raise MlprodError(Code.BAD_REQUEST, f"two files would be {CODE}/{taken} in the bundle", hint="rename one of them")
    return paths


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
    if names_file(f"{request.model}/{CAPTURE_FILE}"):
        return Path(request.model)
    if request.model.endswith((".pt", ".pth", ".pkl")):
        what = f"{Path(request.model).name}: loading it runs code that the file brings along"
        raise MlprodError(Code.BAD_MODEL, what, hint="load it yourself and package the module, or export .onnx")
    shapes = {name: field.shape for name, field in parts.edit.inputs.items() if field.shape is not None}
    combine = combine_of(how=request.combine, weights=request.weights, scores=request.scores, labelled=bool(parts.labels))
    return ports.models.capture(request.model, parts.example, parts.ends, shapes=shapes, combine=combine)
