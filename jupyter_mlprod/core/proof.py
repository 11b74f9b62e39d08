"""What is shown of a staged bundle before it is kept: it answers like the original, in any batch, and in a process that knows nothing."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np

from jupyter_mlprod.core import bundle as layout
from jupyter_mlprod.core.arrays import nulls
from jupyter_mlprod.core.batch import demand
from jupyter_mlprod.core.bundle import GRAPH, MODULE, Bundle, Training
from jupyter_mlprod.core.capture import Capture
from jupyter_mlprod.core.contract import Contract
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.evidence import Evidence
from jupyter_mlprod.core.original import LIKELY, difference
from jupyter_mlprod.core.personal import at_rest
from jupyter_mlprod.core.policy import parity as parity_policy
from jupyter_mlprod.core.policy import parity_limit
from jupyter_mlprod.core.ports import Ports, Runtime
from jupyter_mlprod.core.raw import Array, Raw
from jupyter_mlprod.core.remeasure import parity_measures
from jupyter_mlprod.core.trial import are_numbers, shapes_of, taken
from jupyter_mlprod.core.verdict import judge


def prove(
    bundle: Bundle, runtime: Runtime, ports: Ports, *, staging: Path, example: Raw, reference: Mapping[str, Array], capture: Capture
) -> Evidence:
    """Hold the staged bundle against the original, and give it its golden samples; the evidence has no subject yet."""
    limit = parity_limit(ports.policies)
    measures = parity_measures(bundle, runtime, example, reference, per_batch=True, more=capture.further, limit=limit)
    golden, answers = _golden(bundle, runtime, example)
    ports.data.write(golden if isinstance(golden, Mapping) else {bundle.contract.inputs[0].name: golden}, staging / layout.GOLDEN_INPUTS)
    ports.data.write(answers, staging / layout.GOLDEN_ANSWERS)
    parity = Evidence(
        kind="parity", subject="", taken_at=ports.now(), taken_by=ports.taken_by, measures=measures,
        context={**ports.runtimes.context(), **ports.machine.context()},
    )  # fmt: skip
    _demand_parity(parity, ports, what="the bundle answers differently from the model", reference=reference, example=example)
    for line in _refused_sizes(runtime, example, capture, contract=bundle.contract):
        ports.tell(line)
    alone = msgspec.structs.replace(parity, measures=parity_measures(bundle, runtime, golden, answers, per_batch=False, limit=limit))
    _demand_parity(alone, ports, what="the bundle answers a row differently with other rows beside it", reference=answers, example=golden)
    _demand_replay(bundle, ports, staging=staging)
    return parity


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


def opened(bundle: Bundle, ports: Ports, *, staging: Path) -> Runtime:
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


def _demand_parity(parity: Evidence, ports: Ports, *, what: str, reference: Mapping[str, Array], example: Raw) -> None:
    verdict = judge(parity_policy(ports.policies), [parity], subject="", now=ports.now())
    if verdict.outcome == "pass":
        return
    worst = next(finding for finding in verdict.findings if finding.outcome != "pass")
    found = f"{worst.rule.measure} is {worst.measured.value:g} at batch {worst.measured.where['batch']}" if worst.measured else worst.reason
    if odd := _undefined(reference):
        hint = _empty(example) or "look for a logarithm or a root of what is negative, and for 0 / 0"
        raise MlprodError(Code.PARITY, f"the model's own answers are no numbers, so they agree with nothing: {odd}", hint=hint)
    hint = "is the model in eval mode, free of randomness, and the preprocessing free of state and of statistics of the batch?"
    raise MlprodError(Code.PARITY, f"{what}: {found}, allowed is {worst.rule.limit:g}", hint=hint)


def _empty(example: Raw) -> str:
    """Where the example has no value, which is the likely reason of an answer that is no number."""
    for name, array in (example if isinstance(example, Mapping) else {"": example}).items():
        gone = nulls(array).reshape(len(array), -1).any(axis=1)
        if gone.any():
            where = f"in {name!r} in row {int(gone.argmax())}" if name else f"in row {int(gone.argmax())}"
            return f"the example has no value {where}: fill it in --preprocess, or leave such rows out"
    return ""


def _undefined(reference: Mapping[str, Array]) -> str:
    """The first answer that is no number, and where it stands; empty when all are."""
    for key, array in reversed(list(reference.items())):
        broken = np.isnan(array)
        if broken.any():
            place = tuple(int(axis) for axis in np.argwhere(broken)[0])
            hit = int(broken.reshape(len(broken), -1).any(axis=1).sum())
            return f"{key.rpartition('/')[2]!r} is {array[place]} at {place}, and so in {hit} of {len(array)} rows"
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


def brought_back(capture: Capture, bundle: Bundle, runtime: Runtime, ports: Ports, *, staging: Path) -> Training:
    """The training, with the reason when the module cannot be brought back; then it is not in the bundle.

    Bringing it back in this process will do, since a module comes back in a namespace of its own, which knows nothing of the notebook.
    """
    fault = capture.training.untrainable
    if (staging / MODULE).is_dir():
        try:
            module = ports.modules.restore(staging, bundle)
            different = difference(module, bundle, runtime, ports, folder=staging)
            fault = f"made again from its source it answers differently ({different}); {LIKELY}" if different else ""
        except MlprodError as error:
            fault = error.message
        if fault:
            shutil.rmtree(staging / MODULE)
    if fault and capture.original == "torch":
        ports.tell(f"the module cannot be brought back: {fault}")
    return msgspec.structs.replace(capture.training, untrainable=fault)
