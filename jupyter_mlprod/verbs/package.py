"""``package``: a model, its preprocessing, labels and contract become a bundle.

The bundle is staged, made to answer, and held against the original; only a bundle that agrees is given its digest and kept.
"""

import ast
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np

from jupyter_mlprod.core.bundle import GOLDEN_ANSWERS, GOLDEN_INPUTS, GRAPH, PREPROCESS, REQUIREMENTS, Bundle, Scores
from jupyter_mlprod.core.capture import CAPTURE_FILE, GRAPH_FILE, REFERENCE_FILE, Capture
from jupyter_mlprod.core.conformance import check_batch, nulls
from jupyter_mlprod.core.contract import DTYPES, Column, ColumnType, Contract, ContractEdit, Tensor, edited
from jupyter_mlprod.core.document import decode_toml
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.evidence import Evidence
from jupyter_mlprod.core.mlmodel import MLMODEL, mlmodel_text, python_env_text
from jupyter_mlprod.core.policy import EVERY_BATCH, Policy, Rule
from jupyter_mlprod.core.ports import Ports
from jupyter_mlprod.core.raw import Array, Raw, raw_digest, rows
from jupyter_mlprod.core.record import digest
from jupyter_mlprod.core.remeasure import parity_measures
from jupyter_mlprod.core.requests.package import Package
from jupyter_mlprod.core.source import check_imports, load_function
from jupyter_mlprod.core.subject import check_name, names_file
from jupyter_mlprod.core.verdict import judge

TENSOR = "input"
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
    ports.signer.public_key()  # a key that cannot be had is told before the work
    example = ports.data.read(request.example)
    if rows(example) < 2:
        raise MlprodError(Code.BAD_DATA, f"the example has {rows(example)} rows; two or more are needed to let the batch size vary")
    code, function = _preprocess(request.preprocess)
    labels = _labels(request.labels)
    folder = _capture(request, example, ports, code=code, function=function)
    try:
        return _from_capture(request, ports, folder=folder, example=example, labels=labels, code=code, function=function)
    finally:
        if folder.resolve().is_relative_to(ports.scratch.resolve()):
            shutil.rmtree(folder, ignore_errors=True)


def _from_capture(
    request: Package, ports: Ports, *, folder: Path, example: Raw, labels: tuple[str, ...], code: str, function: str
) -> Bundle:
    try:
        capture = msgspec.json.decode((folder / CAPTURE_FILE).read_bytes(), type=Capture)
    except (OSError, msgspec.DecodeError, RecursionError) as error:
        raise MlprodError(Code.BAD_MODEL, f"{folder} holds no capture of a model: {error}") from None
    reference = ports.data.read(str(folder / REFERENCE_FILE))
    assert isinstance(reference, Mapping)
    contract = _contract(request, example, capture, reference)
    bundle = Bundle(
        name=request.name,
        contract=contract,
        scores=_scores(request, labels, reference[f"{rows(example)}/{capture.outputs[0]}"]),
        labels=labels,
        preprocess=function,
        snapshot=raw_digest(ports.data.read(request.data)) if request.data else "",
    )
    staging = ports.scratch / f"staging-{uuid.uuid4().hex[:12]}"
    try:
        return _prove_and_keep(
            request, ports, bundle, staging=staging, graph=folder / GRAPH_FILE, code=code, example=example, reference=reference
        )
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _prove_and_keep(
    request: Package, ports: Ports, bundle: Bundle, *, staging: Path, graph: Path, code: str, example: Raw, reference: Mapping[str, Array]
) -> Bundle:
    named = example if isinstance(example, Mapping) else {bundle.contract.inputs[0].name: example}
    try:
        staging.mkdir(parents=True)
        shutil.copyfile(graph, staging / GRAPH)
        pins = ports.machine.requirements(_modules(code))
        _write_text(staging / REQUIREMENTS, "".join(f"{pin}\n" for pin in pins))
        _write_text(staging / MLMODEL, mlmodel_text(bundle.contract))
        _write_text(staging / "python_env.yaml", python_env_text(requirements=REQUIREMENTS))
        if code:
            _write_text(staging / PREPROCESS, code)
    except OSError as error:
        raise MlprodError(Code.DISK, f"the bundle could not be staged in {staging}: {error.strerror or error}") from error
    runtime = ports.runtimes.open(staging, bundle, threads=1)
    measures = parity_measures(bundle, runtime, example, reference, per_batch=True)
    golden = runtime.graph(runtime.prepare(example))
    ports.data.write(named, staging / GOLDEN_INPUTS)
    ports.data.write(golden, staging / GOLDEN_ANSWERS)
    parity = Evidence(
        kind="parity", subject="", taken_at=ports.now(), taken_by=ports.taken_by, measures=measures,
        context={**ports.runtimes.context(), **ports.machine.context()},
    )  # fmt: skip
    _demand_parity(parity, ports, what="the bundle answers differently from the model")
    alone = msgspec.structs.replace(parity, measures=parity_measures(bundle, runtime, example, golden, per_batch=False))
    _demand_parity(alone, ports, what="the bundle answers a row differently with other rows beside it")
    origin = ports.machine.origin(notebook=request.notebook, run=Path(ports.run_folder).name)
    kept = ports.bundles.add(staging, bundle, origin)
    name = digest(kept)
    ports.signer.sign(ports.bundles.path(name), kept.name, name)
    ports.records.put(kept)
    ports.records.put(msgspec.structs.replace(parity, subject=name))
    ports.session[kept.name] = name
    return kept


def _demand_parity(parity: Evidence, ports: Ports, *, what: str) -> None:
    verdict = judge(PARITY, [parity], subject="", now=ports.now())
    if verdict.outcome == "pass":
        return
    worst = next(finding for finding in verdict.findings if finding.outcome != "pass")
    found = f"{worst.rule.measure} is {worst.measured.value:g} at batch {worst.measured.where['batch']}" if worst.measured else worst.reason
    hint = "is the model in eval mode, free of randomness, and the preprocessing free of state and of statistics of the batch?"
    raise MlprodError(Code.PARITY, f"{what}: {found}, allowed is {worst.rule.limit:g}", hint=hint)


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


def _labels(spec: str) -> tuple[str, ...]:
    """Class names, separated by commas or, in a file, by lines too."""
    if not spec:
        return ()
    labels = tuple(label.strip() for label in _text(spec).strip().replace("\n", ",").split(","))
    odd = sorted({label for label in labels if not label or labels.count(label) > 1})
    if odd:
        raise MlprodError(Code.BAD_REQUEST, f"labels must differ from one another and not be empty: {', '.join(map(repr, odd[:5]))}")
    return labels


def _preprocess(spec: str) -> tuple[str, str]:
    """(source text, function name) of ``FILE.py:FUNCTION``; two empty strings for none."""
    if not spec:
        return "", ""
    file, colon, function = spec.rpartition(":")
    if not colon or not function.isidentifier() or not names_file(file):
        raise MlprodError(
            Code.PREPROCESS, f"{spec!r} is no preprocessing function", hint="write FILE.py:FUNCTION, or a function of the notebook"
        )
    code = _read_text(file)
    check_imports(code, function)
    return code, function


def _modules(code: str) -> tuple[str, ...]:
    """The top-level modules that a source imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return tuple(sorted(found))


def _capture(request: Package, example: Raw, ports: Ports, *, code: str, function: str) -> Path:
    """The capture that a magic has made already, or a new one from a file or an import path."""
    if names_file(f"{request.model}/{CAPTURE_FILE}"):
        return Path(request.model)
    if request.model.endswith((".pt2", ".pt", ".pth", ".pkl")):
        what = f"{Path(request.model).name}: loading it runs code that the file brings along"
        raise MlprodError(Code.BAD_MODEL, what, hint="load it yourself and package the module, or export .onnx")
    return ports.models.capture(request.model, example, load_function(code, function) if function else None)


def _contract(request: Package, example: Raw, capture: Capture, reference: Mapping[str, Array]) -> Contract:
    """Read the contract off the example, lay the declared one over it, and hold the example against the result."""
    named = example if isinstance(example, Mapping) else {TENSOR: example}
    is_table = isinstance(example, Mapping) and all(array.ndim == 1 for array in example.values())
    inputs = tuple(_column(name, array) if is_table else _tensor(name, array) for name, array in named.items())
    for key, array in reference.items():
        batch, _, name = key.partition("/")
        if array.ndim == 0 or len(array) != int(batch):
            raise MlprodError(Code.BAD_MODEL, f"output {name!r} has shape {array.shape} for {batch} rows; outputs hold one answer a row")
    outputs = tuple(_tensor(name, reference[f"{rows(example)}/{name}"]) for name in capture.outputs)
    contract = Contract(inputs=inputs, outputs=outputs)
    if request.contract:
        if request.contract.endswith(".toml") and not names_file(request.contract):
            raise MlprodError(Code.BAD_CONTRACT, f"there is no file {request.contract!r}")
        edit = decode_toml(_text(request.contract), ContractEdit, name="contract", code=Code.BAD_CONTRACT)
        contract, faults = edited(contract, edit)
        if faults:
            raise MlprodError(
                Code.BAD_CONTRACT, "\n".join(faults), hint="[inputs.NAME] takes low, high, finite, nullable, categories, unit"
            )
    broken = check_batch(contract, example).violations
    if broken:
        raise MlprodError(Code.BAD_CONTRACT, f"the example itself breaks the contract: {'; '.join(v.what for v in broken[:5])}")
    return contract


def _tensor(name: str, array: Array) -> Tensor:
    if array.dtype.name not in DTYPES:
        what = f"{name!r} has dtype {array.dtype}; a tensor holds real numbers or booleans"
        raise MlprodError(Code.BAD_DATA, what, hint="strings are columns of a table: one value a row, in a mapping or a DataFrame")
    return Tensor(name=name, dtype=array.dtype.name, shape=("batch", *array.shape[1:]))


def _column(name: str, array: Array) -> Column:
    kinds: dict[str, ColumnType] = {"f": "float", "i": "int", "u": "int", "b": "bool", "U": "string", "O": "string"}
    if array.dtype.kind not in kinds:
        raise MlprodError(Code.BAD_DATA, f"column {name!r} has dtype {array.dtype}; numbers, booleans and strings can be packaged")
    return Column(name=name, type=kinds[array.dtype.kind], nullable=bool(nulls(array).any()))


def _scores(request: Package, labels: tuple[str, ...], first: Array) -> Scores:
    """What the first output holds, and whether the labels fit it."""
    if not labels:
        return "values" if request.scores == "auto" else request.scores
    width = int(np.prod(first.shape[1:])) if first.ndim > 1 else 1
    classes = 2 if width == 1 else width
    if classes != len(labels):
        raise MlprodError(Code.BAD_REQUEST, f"there are {len(labels)} labels, and the model scores {classes} classes")
    if request.scores != "auto":
        return request.scores
    flat = first.astype(np.float64).reshape(len(first), -1)
    bounded = bool((flat >= 0).all() and (flat <= 1).all())
    sums_to_one = width == 1 or bool(np.allclose(flat.sum(axis=1), 1, atol=1e-3))
    return "probabilities" if bounded and sums_to_one else "logits"
