"""``package``: a model, what stands before and behind it, labels and contract become a bundle.

The bundle is staged, made to answer, and held against the original; only a bundle that agrees is given its digest and kept.
"""

import ast
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np

from jupyter_mlprod.core import bundle as layout
from jupyter_mlprod.core.attach import attach
from jupyter_mlprod.core.bundle import CODE, GRAPH, GRAPH_DATA, MODULE, REQUIREMENTS, Bundle
from jupyter_mlprod.core.capture import CAPTURE_FILE, GRAPH_FILE, REFERENCE_FILE, Capture, read_capture
from jupyter_mlprod.core.combine import combine_of, combined_scores
from jupyter_mlprod.core.conformance import demand
from jupyter_mlprod.core.contract import Contract
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.evidence import Evidence
from jupyter_mlprod.core.infer import infer_contract, infer_scores
from jupyter_mlprod.core.lock import attach_lock
from jupyter_mlprod.core.mlmodel import MLMODEL, mlmodel_text, python_env_text
from jupyter_mlprod.core.parts import Parts, read_parts
from jupyter_mlprod.core.personal import at_rest
from jupyter_mlprod.core.policy import EVERY_BATCH, Policy, Rule
from jupyter_mlprod.core.ports import Ports, Runtime
from jupyter_mlprod.core.raw import Array, Raw, rows
from jupyter_mlprod.core.record import canonical, digest
from jupyter_mlprod.core.remeasure import parity_measures
from jupyter_mlprod.core.requests.package import Package
from jupyter_mlprod.core.resolve import Found
from jupyter_mlprod.core.snapshot import redacted
from jupyter_mlprod.core.subject import check_name, names_file
from jupyter_mlprod.core.trial import are_numbers, shapes_of, taken
from jupyter_mlprod.core.verdict import judge

PARITY = Policy(
    name="parity",
    rules=(
        Rule(measure="parity_max_abs_diff", at_most=1e-4, where=EVERY_BATCH),
        Rule(measure="parity_argmax_mismatches", at_most=0.0, unit="count", where=EVERY_BATCH),
    ),
)


def run(request: Package, ports: Ports) -> Bundle:
    """Package, prove parity, sign, keep."""
    check_name(request.name, what="name")
    ports.signer.key()  # one that cannot be had is told before the work
    parts = read_parts(request, ports)
    folder = _capture(request, parts, ports)
    try:
        return _from_capture(request, parts, ports, folder=folder)
    finally:
        if folder.resolve().is_relative_to(ports.scratch.resolve()):
            shutil.rmtree(folder, ignore_errors=True)


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
        kept = _prove_and_keep(request, ports, bundle, staging=staging, example=example, reference=reference, capture=capture)
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
    request: Package, ports: Ports, bundle: Bundle, *, staging: Path, example: Raw, reference: Mapping[str, Array], capture: Capture
) -> Bundle:
    runtime = _opened(bundle, ports, staging=staging)
    measures = parity_measures(bundle, runtime, example, reference, per_batch=True, more=capture.further)
    golden, answers = _golden(bundle, runtime, example)
    ports.data.write(golden if isinstance(golden, Mapping) else {bundle.contract.inputs[0].name: golden}, staging / layout.GOLDEN_INPUTS)
    ports.data.write(answers, staging / layout.GOLDEN_ANSWERS)
    parity = Evidence(
        kind="parity", subject="", taken_at=ports.now(), taken_by=ports.taken_by, measures=measures,
        context={**ports.runtimes.context(), **ports.machine.context()},
    )  # fmt: skip
    _demand_parity(parity, ports, what="the bundle answers differently from the model", reference=reference)
    for line in _refused_sizes(runtime, example, capture, contract=bundle.contract):
        ports.tell(line)
    alone = msgspec.structs.replace(parity, measures=parity_measures(bundle, runtime, golden, answers, per_batch=False))
    _demand_parity(alone, ports, what="the bundle answers a row differently with other rows beside it", reference=answers)
    _demand_replay(bundle, ports, staging=staging)
    origin = msgspec.structs.replace(
        ports.machine.origin(notebook=request.notebook, run=Path(ports.run_folder).name), training=capture.training
    )
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


def _opened(bundle: Bundle, ports: Ports, *, staging: Path) -> Runtime:
    """The staged bundle's runtime. Its refusal names an operator alone, where the operator's type is what it lacks."""
    try:
        return ports.runtimes.open(staging, bundle, threads=1)
    except MlprodError as error:
        if error.code is not Code.BAD_MODEL or not ports.graphs.computes_in_bfloat16(staging / GRAPH):
            raise
        what = f"the model computes in bfloat16, which ONNX Runtime does not on a CPU: {error.message}"
        raise MlprodError(Code.BAD_MODEL, what, hint="package it in float32: module.float()") from None


def _refused_sizes(runtime: Runtime, example: Raw, capture: Capture, *, contract: Contract) -> list[str]:
    """What is to be told of sizes beyond the example at which the model does not answer, and whether its bundle does."""
    lines = []
    for trial in capture.refused:
        place = f"{trial.dimension} {trial.size}" if trial.dimension else f"batch {trial.batch}"
        try:
            answers = are_numbers(runtime.outputs(taken(trial, example, shapes_of(contract))))
        except MlprodError:
            answers = False
        alone = "the bundle answers and the model does not: let --preprocess refuse what the model does not take"
        lines.append(f"at {place} {alone if answers else 'neither the model nor the bundle answers'}")
    return lines


def _demand_parity(parity: Evidence, ports: Ports, *, what: str, reference: Mapping[str, Array]) -> None:
    verdict = judge(PARITY, [parity], subject="", now=ports.now())
    if verdict.outcome == "pass":
        return
    worst = next(finding for finding in verdict.findings if finding.outcome != "pass")
    found = f"{worst.rule.measure} is {worst.measured.value:g} at batch {worst.measured.where['batch']}" if worst.measured else worst.reason
    if worst.measured is None and (odd := _not_finite(reference)):
        hint = "answer a large number in place of infinity, such as -1e9 for a class that is masked out"
        raise MlprodError(Code.PARITY, f"the model's own answers are not finite, so they agree with nothing: {odd}", hint=hint)
    hint = "is the model in eval mode, free of randomness, and the preprocessing free of state and of statistics of the batch?"
    raise MlprodError(Code.PARITY, f"{what}: {found}, allowed is {worst.rule.limit:g}", hint=hint)


def _not_finite(reference: Mapping[str, Array]) -> str:
    """The first answer that is no number, and where it stands; empty when all are."""
    for key, array in reversed(list(reference.items())):
        broken = ~np.isfinite(array)
        if broken.any():
            place = tuple(int(axis) for axis in np.argwhere(broken)[0])
            hit = int(broken.reshape(len(broken), -1).any(axis=1).sum())
            return f"{key.rpartition('/')[2]!r} is {array[place]} at {place}, and not finite in {hit} of {len(array)} rows"
    return ""


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
