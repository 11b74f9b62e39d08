"""Several models in one graph answer what their own answers come to, and members that do not fit are told by name."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from jupyter_mlprod.core.answer import Ends
from jupyter_mlprod.core.bundle import GRAPH, Bundle, Ensemble
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.record import digest
from jupyter_mlprod.core.requests import Package
from tests.fronts.conftest import shell
from tests.verbs.tiny import PACKAGED, Desk, bare_desk, graph

__all__ = ["bare_desk", "shell"]
WEIGHTS = {name: np.random.default_rng(seed).normal(size=(3, 3)) for seed, name in enumerate("abc")}
CLASSES = {**PACKAGED, "preprocess": "", "labels": "one,two,three", "example": "x8.npy"}
X = np.random.default_rng(0).normal(size=(8, 3))


def softmax(scores: Any) -> Any:
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def linear(name: str, *, opset: int = 17, width: int = 3, probabilities: bool = False, branch: bool = False) -> str:
    """A file with one layer: logits, or probabilities; with a branch, the weights are used in a subgraph."""
    last = "logits" if probabilities else "scores"
    nodes = [helper.make_node("MatMul", ["x", "w"], [last])]
    if branch:
        inner = helper.make_graph(
            [helper.make_node("MatMul", ["x", "w"], ["y"])], "inner", [], [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
        )
        nodes = [helper.make_node("If", ["yes"], [last], then_branch=inner, else_branch=inner)]
    if probabilities:
        nodes.append(helper.make_node("Softmax", [last], ["scores"], axis=-1))
    made = graph(nodes, outputs=width, weights={"w": WEIGHTS[name][:, :width]})
    made.opset_import[0].version = opset
    if branch:
        made.graph.initializer.append(numpy_helper.from_array(np.array(True), "yes"))
    onnx.save(made, f"{name}.onnx")
    return f"{name}.onnx"


def answers(desk: Desk, bundle: Bundle, raw: Any = X) -> dict[str, Any]:
    return desk.workspace().runtimes.open(desk.bundle_folder(digest(bundle)), bundle, threads=1).answer(raw)


MEMBERS = [X.astype(np.float32) @ WEIGHTS[name] for name in "abc"]


@pytest.mark.parametrize(
    ("options", "shares", "wanted"),
    [
        ({}, (1 / 3, 1 / 3, 1 / 3), sum(softmax(member) for member in MEMBERS) / 3),
        ({"combine": "vote"}, (1 / 3, 1 / 3, 1 / 3), sum(np.eye(3)[member.argmax(axis=1)] for member in MEMBERS) / 3),
        (
            {"combine": "weighted", "weights": (2, 1, 5)},
            (0.25, 0.125, 0.625),
            sum(share * softmax(member) for share, member in zip((0.25, 0.125, 0.625), MEMBERS, strict=True)),
        ),
    ],
)
def test_classes_are_combined_as_probabilities_whatever_each_member_answers(
    bare_desk: Desk, options: dict[str, Any], shares: tuple[float, ...], wanted: Any
) -> None:
    np.save("x8.npy", X)
    members = ",".join([linear("a"), linear("b", opset=18, probabilities=True), linear("c", branch=True)])
    bundle = bare_desk.run(Package(**{**CLASSES, "model": members, **options}), Bundle)
    assert bundle.ensemble == Ensemble(combine=options.get("combine", "mean"), weights=shares)
    assert bundle.scores == "probabilities"
    found = answers(bare_desk, bundle)
    np.testing.assert_allclose(found["probabilities"], wanted, atol=1e-6)
    assert list(found["label"]) == [("one", "two", "three")[index] for index in wanted.argmax(axis=1)]
    assert not onnx.load(bare_desk.bundle_folder(digest(bundle)) / GRAPH).functions


@pytest.mark.parametrize("combine", ["mean", "vote"])
def test_a_single_score_is_that_of_the_second_class(bare_desk: Desk, combine: str) -> None:
    np.save("x8.npy", X)
    members = ",".join(linear(name, width=1) for name in "abc")
    bundle = bare_desk.run(Package(**{**CLASSES, "model": members, "labels": "no,yes", "combine": combine}), Bundle)
    logits = np.stack([member[:, :1] for member in MEMBERS])
    wanted = (logits > 0).mean(axis=0) if combine == "vote" else (1 / (1 + np.exp(-logits))).mean(axis=0)
    found = answers(bare_desk, bundle)
    np.testing.assert_allclose(found["probabilities"], wanted, atol=1e-6)
    assert list(found["label"]) == ["yes" if share > 0.5 else "no" for share in wanted[:, 0]]


def test_values_are_averaged_and_cannot_be_voted_on(bare_desk: Desk) -> None:
    np.save("x8.npy", X)
    request = {**CLASSES, "model": f"{linear('a')},{linear('b')}", "labels": ""}
    bundle = bare_desk.run(Package(**request, combine="weighted", weights=(1, 3)), Bundle)
    assert bundle.scores == "values"
    np.testing.assert_allclose(answers(bare_desk, bundle)["scores"], 0.25 * MEMBERS[0] + 0.75 * MEMBERS[1], atol=1e-5)
    assert "cannot be voted on" in bare_desk.refused(Package(**request, combine="vote")).message


def test_scores_that_are_said_to_be_logits_become_probabilities_without_labels_too(bare_desk: Desk) -> None:
    np.save("x8.npy", X)
    bundle = bare_desk.run(Package(**{**CLASSES, "model": f"{linear('a')},{linear('b')}", "labels": "", "scores": "logits"}), Bundle)
    assert bundle.scores == "probabilities"
    np.testing.assert_allclose(answers(bare_desk, bundle)["probabilities"], (softmax(MEMBERS[0]) + softmax(MEMBERS[1])) / 2, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"weights": (1, 1)}, "--weights has no use with --combine mean"),
        ({"combine": "weighted"}, "--weights has 0 for 2 models"),
        ({"combine": "weighted", "weights": (1, 2, 3)}, "--weights has 3 for 2 models"),
        ({"combine": "weighted", "weights": (1, -2)}, "the weight -2 is no share"),
        ({"combine": "weighted", "weights": (1, float("nan"))}, "the weight nan is no share"),
        ({"combine": "weighted", "weights": (0, 0)}, "the weights sum to 0"),
        ({"model": "a.onnx", "combine": "vote"}, "for several models; there is one"),
        ({"model": "a.onnx,"}, "an empty name among several"),
        ({"model": "a.onnx,absent.onnx"}, "member 2 (absent.onnx): no model file"),
        (
            {"model": "a.onnx,narrow.onnx", "labels": ""},
            "member 2 (narrow.onnx) answers 'scores' in shape (1, 2), member 1 (a.onnx) in (1, 3)",
        ),
        ({"model": "a.onnx,other.onnx"}, "member 2 (other.onnx) takes z (FLOAT); member 1 (a.onnx) takes x (FLOAT)"),
    ],
)
def test_members_and_weights_that_do_not_fit_are_refused_and_nothing_is_left(bare_desk: Desk, change: dict[str, Any], said: str) -> None:
    np.save("x8.npy", X)
    linear("a")
    linear("b")
    onnx.save(graph([helper.make_node("MatMul", ["x", "w"], ["scores"])], weights={"w": np.ones((3, 2))}), "narrow.onnx")
    other = graph([helper.make_node("MatMul", ["z", "w"], ["scores"])], outputs=3, weights={"w": np.ones((3, 3))})
    other.graph.input[0].name = "z"
    onnx.save(other, "other.onnx")
    refusal = bare_desk.refused(Package(**{**CLASSES, "model": "a.onnx,b.onnx", **change}))
    assert refusal.code in (Code.BAD_REQUEST, Code.BAD_MODEL)
    assert said in refusal.message
    assert not list((bare_desk.folder / ".mlprod").rglob("capture.json"))


def test_weights_of_a_large_ensemble_lie_beside_its_graph(bare_desk: Desk) -> None:
    from jupyter_mlprod.adapters.ensemble_capture import EnsembleCapture
    from jupyter_mlprod.core.combine import Combine

    models = bare_desk.workspace().models
    folder = models.folder
    nets = [nn.Linear(3, 200), nn.Linear(3, 200)]
    made = [(str(index), models.capture(net, X, Ends(), shapes={})) for index, net in enumerate(nets)]
    capture = EnsembleCapture(folder, limit=1000).join(made, Ends(), combine=Combine())
    np.save("x8.npy", X)
    bundle = bare_desk.run(Package(model=str(capture), name="large", example="x8.npy"), Bundle)
    assert bundle.holds("model.onnx.data")
    wanted = sum(net(torch.from_numpy(X).float()).detach().numpy() for net in nets) / 2
    np.testing.assert_allclose(answers(bare_desk, bundle)["output"], wanted, atol=1e-5)


def test_a_list_of_the_notebooks_modules_is_one_bundle(shell: Any) -> None:
    torch.manual_seed(0)
    nets = [nn.Linear(3, 2) for _ in range(3)]
    shell.user_ns.update(net1=nets[0], net2=nets[1], net3=nets[2], rows=X, double=lambda out: out)
    Path("half.py").write_text("def half(outputs):\n    return {'half': outputs['probabilities'] / 2}\n")
    shell.run_cell(
        "from pathlib import Path\nmade = %mlprod package [net1, net2, net3] --name trio --example rows --labels l,r"
    ).raise_error()
    bundle = shell.user_ns["made"]
    assert bundle.ensemble == Ensemble(combine="mean", weights=(1 / 3, 1 / 3, 1 / 3))
    shell.run_cell(
        "w = %mlprod package [net1, net2] --name duo --example rows --combine weighted --weights 0.3,0.7 --postprocess half.py:half --scores logits"
    ).raise_error()
    assert shell.user_ns["w"].ensemble == Ensemble(combine="weighted", weights=(0.3, 0.7))
    assert [field.name for field in shell.user_ns["w"].contract.outputs] == ["half"]


def test_a_member_that_is_no_model_is_named(bare_desk: Desk) -> None:
    with pytest.raises(MlprodError, match=r"member 2 \(int\): a int is no torch module"):
        bare_desk.workspace().models.capture([nn.Linear(3, 2), 7], X, Ends(), shapes={})
