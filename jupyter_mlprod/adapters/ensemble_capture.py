"""Several captures as one: the members' graphs side by side in one graph, over the same inputs, and nodes that combine what they answer.

The reference answers are not the joined graph's: they are the members' own answers, combined in numpy in double precision, so that a
fault in the joining is a failing parity. Of classes, only each member's first output is combined, as probabilities; of values, all are.
"""

import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper, version_converter

from jupyter_mlprod.core.answer import Ends, final_outputs
from jupyter_mlprod.core.bundle import Ensemble
from jupyter_mlprod.core.capture import GRAPH_FILE, REFERENCE_FILE, Capture, read_capture, write_capture
from jupyter_mlprod.core.combine import Combine, shares
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.graph import MESSAGE_LIMIT, packed, prefixed
from jupyter_mlprod.core.infer import kind_of_scores
from jupyter_mlprod.core.raw import Array
from jupyter_mlprod.core.scores import Floats, probabilities

PROBABILITIES = "probabilities"


class Member:
    """One member: how a message calls it, its capture, its graph, and its answers by key."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.capture = read_capture(folder)
        self.model = onnx.load(str(folder / GRAPH_FILE))
        with np.load(folder / REFERENCE_FILE, allow_pickle=False) as stored:
            self.reference: dict[str, Array] = {key: stored[key] for key in stored.files}

    @property
    def inputs(self) -> list[Any]:
        """What the graph is given; old graphs list their weights beside it."""
        weights = {tensor.name for tensor in self.model.graph.initializer}
        return [entry for entry in self.model.graph.input if entry.name not in weights]

    @property
    def tried(self) -> list[str]:
        """The keys of its answers, the whole example's last."""
        return list(dict.fromkeys(key.partition("/")[0] for key in self.reference))

    def answer(self, trial: str, place: int) -> Array:
        """Its output at a place, at a trial."""
        return self.reference[f"{trial}/{self.capture.outputs[place]}"]


class EnsembleCapture:
    """Joins captures that were made on the same example, without postprocessing."""

    def __init__(self, folder: Path, *, limit: int = MESSAGE_LIMIT) -> None:
        self.folder = folder
        self.limit = limit

    def join(self, captures: Sequence[tuple[str, Path]], ends: Ends, *, combine: Combine) -> Path:
        """One capture out of several.

        Parameters
        ----------
        captures : how a message calls each member, and its folder
        ends : the postprocessing in it gets the combined outputs

        Raises
        ------
        MlprodError : ``bad-model`` naming the member that differs from the first, ``bad-request`` for weights that do not fit.
        """
        members = [Member(name, folder) for name, folder in captures]
        weights = shares(combine, len(members))
        first = members[0]
        further = [trial for trial in first.capture.further if all(trial in member.capture.further for member in members)]
        tried = [key for key in first.tried if key not in {trial.key for trial in first.capture.further if trial not in further}]
        kinds = [kind_of_scores(combine.scores, member.answer(tried[-1], 0), labelled=combine.labelled) for member in members]
        values = kinds[0] == "values"
        if values and combine.how == "vote":
            raise MlprodError(Code.BAD_REQUEST, "values cannot be voted on", hint="--labels, or --combine mean")
        names = first.capture.outputs if values else (PROBABILITIES,)
        for member in members[1:]:
            _demand_alike(member, first, tried=(*tried[len(further) :], *tried[: len(further)]), outputs=len(names) if values else 0)
        answers = {trial: _answers(members, trial, kinds, weights, how=combine.how, names=names) for trial in tried}
        final = {trial: final_outputs(ends, named, tell=True) for trial, named in answers.items()}
        reference = {f"{trial}/{name}": array for trial, named in final.items() for name, array in named.items()}
        graph, data = packed(_joined(members, kinds, weights, how=combine.how, names=names, last=tried[-1]), limit=self.limit)
        capture = Capture(
            original="ensemble",
            versions={key: value for member in members for key, value in member.capture.versions.items()},
            inputs=first.capture.inputs,
            outputs=tuple(final[tried[-1]]),
            shapes=first.capture.shapes,
            further=tuple(further),
            refused=tuple(dict.fromkeys(trial for member in members for trial in member.capture.refused)),
            ensemble=Ensemble(combine=combine.how, weights=weights),
        )
        return write_capture(self.folder / uuid.uuid4().hex[:12], capture, graph=graph, reference=reference, data=data)


def _demand_alike(member: Member, first: Member, *, tried: Sequence[str], outputs: int) -> None:
    """Refuse a member with other inputs, or other shapes of the outputs that are combined; none counted means the first alone."""

    def inputs(of: Member) -> dict[str, int]:
        return {entry.name: entry.type.tensor_type.elem_type for entry in of.inputs}

    if inputs(member) != inputs(first):
        shown = [", ".join(f"{name} ({TensorProto.DataType.Name(kind)})" for name, kind in inputs(m).items()) for m in (member, first)]
        raise MlprodError(
            Code.BAD_MODEL, f"{member.name} takes {shown[0]}; {first.name} takes {shown[1]}", hint="members share their inputs"
        )
    if outputs and len(member.capture.outputs) != outputs:
        what = f"{member.name} has {len(member.capture.outputs)} outputs, {first.name} has {outputs}"
        raise MlprodError(Code.BAD_MODEL, what, hint="members share their outputs")
    for place in range(outputs or 1):
        for trial in tried:
            own, other = member.answer(trial, place).shape, first.answer(trial, place).shape
            if own != other:
                what = f"{member.name} answers {member.capture.outputs[place]!r} in shape {own}, {first.name} in {other}, at batch {trial}"
                raise MlprodError(Code.BAD_MODEL, what, hint="members share the shape of their outputs")


def _answers(
    members: Sequence[Member], trial: str, kinds: Sequence[str], weights: Sequence[float], *, how: str, names: Sequence[str]
) -> dict[str, Array]:
    """What the members answer together at a trial, in the graph's precision."""
    own = {name: [member.answer(trial, place) for member in members] for place, name in enumerate(names)}
    return {name: _combined(parts, kinds, weights, how=how).astype(np.float32) for name, parts in own.items()}


def _combined(answers: Sequence[Array], kinds: Sequence[str], weights: Sequence[float], *, how: str) -> Floats:
    """The members' answers as one, in double precision."""
    total = np.zeros(())
    for answer, kind, weight in zip(answers, kinds, weights, strict=True):
        part = answer.astype(np.float64) if kind == "values" else _classes(answer, kind)
        if how == "vote":
            part = (part > 0.5).astype(np.float64) if _single(part) else np.eye(part.shape[1])[part.argmax(axis=1)]
        total = total + weight * part
    return total


def _classes(answer: Array, kind: str) -> Floats:
    """(n, classes) probabilities; of a single score the second class's, in the score's own shape."""
    found = probabilities(answer.astype(np.float64), are=kind)
    return found[:, 1].reshape(answer.shape) if _single(answer) else found


def _single(array: Array) -> bool:
    return array.size == len(array)


def _joined(members: Sequence[Member], kinds: Sequence[str], weights: Sequence[float], *, how: str, names: Sequence[str], last: str) -> Any:
    """The members' graphs, prefixed and over the same inputs, with the nodes that combine their outputs."""
    versions = _opsets(members)
    body = onnx.GraphProto(name="ensemble", input=members[0].inputs)
    model = onnx.ModelProto(ir_version=max(member.model.ir_version for member in members), graph=body)
    terms: dict[str, list[str]] = {name: [] for name in names}
    for index, (member, kind, weight) in enumerate(zip(members, kinds, weights, strict=True)):
        prefix = f"member{index}/"
        inner = _taken_in(member, prefix, model, opset=versions[""])
        for place, name in enumerate(names):
            term = _Term(prefix + name, model.graph)
            term.cast(inner.graph.output[place].name, inner.graph.output[place].type.tensor_type.elem_type)
            if kind != "values":
                term.classes(member.answer(last, 0), kind)
            if how == "vote":
                term.vote(member.answer(last, 0))
            terms[name].append(term.weighed(weight))
    for name, added in terms.items():
        model.graph.node.append(helper.make_node("Sum", added, [name]))
        model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    model.opset_import.extend(helper.make_opsetid(domain, version) for domain, version in sorted(versions.items()))
    return model


def _opsets(members: Sequence[Member]) -> dict[str, int]:
    """The newest version of each set of operators; of ONNX's own, older members are converted to it."""
    found: dict[str, int] = {}
    for member in members:
        for entry in member.model.opset_import:
            domain = "" if entry.domain == "ai.onnx" else entry.domain
            if domain and found.get(domain, entry.version) != entry.version:
                what = f"{member.name} uses version {entry.version} of the operators {domain!r}, a member before it {found[domain]}"
                raise MlprodError(Code.BAD_MODEL, what, hint="export the members with the same tools")
            found[domain] = max(entry.version, found.get(domain, 0))
    return found


def _taken_in(member: Member, prefix: str, into: Any, *, opset: int) -> Any:
    """Put a member's graph beside what is there; its inputs are the shared ones, its names begin with the prefix."""
    names = [entry.name for entry in member.inputs]
    model = member.model
    if any(entry.domain in ("", "ai.onnx") and entry.version != opset for entry in model.opset_import):
        try:
            model = version_converter.convert_version(model, opset)
        except (RuntimeError, ValueError) as error:
            what = f"{member.name} cannot be brought to opset {opset}: {' '.join(str(error).split())[:200]}"
            raise MlprodError(Code.BAD_MODEL, what, hint=f"export it with opset {opset}") from error
    prefixed(model, prefix)
    into.graph.node.extend(helper.make_node("Identity", [name], [prefix + name]) for name in names)
    into.graph.node.extend(model.graph.node)
    into.graph.initializer.extend(model.graph.initializer)
    into.graph.sparse_initializer.extend(model.graph.sparse_initializer)
    into.functions.extend(model.functions)
    return model


class _Term:
    """The nodes behind one output of one member; each step continues from the value before it."""

    def __init__(self, name: str, graph: Any) -> None:
        self.name = name
        self.graph = graph
        self.value = ""
        self.steps = 0

    def cast(self, value: str, kind: int) -> None:
        self.value = value
        if kind != TensorProto.FLOAT:
            self._then("Cast", to=TensorProto.FLOAT)

    def classes(self, answer: Array, kind: str) -> None:
        """Class probabilities, as `core.quality.probabilities` reads them."""
        if answer.ndim > 2 and not _single(answer):
            self._then("Flatten", axis=1)
        if kind == "logits":
            self._then("Sigmoid") if _single(answer) else self._then("Softmax", axis=-1)

    def vote(self, answer: Array) -> None:
        """1 for the most probable class, 0 for the others; the first of equal ones."""
        if _single(answer):
            self._then("Greater", self._constant("half", np.float32(0.5)))
            self._then("Cast", to=TensorProto.FLOAT)
            return
        depth = self._constant("classes", np.int64(answer[0].size))
        self._then("ArgMax", axis=1, keepdims=0)
        self._then("OneHot", depth, self._constant("marks", np.array([0, 1], np.float32)), axis=-1)

    def weighed(self, weight: float) -> str:
        self._then("Mul", self._constant("share", np.float32(weight)))
        return self.value

    def _then(self, operator: str, *others: str, **attributes: Any) -> None:
        self.steps += 1
        result = f"{self.name}/{self.steps}"
        self.graph.node.append(helper.make_node(operator, [self.value, *others], [result], **attributes))
        self.value = result

    def _constant(self, name: str, value: Any) -> str:
        full = f"{self.name}/{name}"
        self.graph.initializer.append(numpy_helper.from_array(np.asarray(value), full))
        return full
