"""A model file that names other files as its weights, or is no model: refused in one line before a byte of those files is read."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from jupyter_mlprod.core.bundle import GRAPH, Bundle
from jupyter_mlprod.core.errors import Code
from jupyter_mlprod.core.record import digest
from jupyter_mlprod.core.requests import Package
from tests.verbs.tiny import PACKAGED, Desk, graph

SECRET = b"a line of somebody's key" * 4


def external(name: str, location: str, *, shape: tuple[int, ...] = (3, 2), entries: Mapping[str, str] | None = None) -> Any:
    """A tensor whose bytes lie elsewhere."""
    tensor = onnx.TensorProto(name=name, data_type=TensorProto.FLOAT, dims=shape, data_location=TensorProto.EXTERNAL)
    for key, value in {"location": location, **(entries or {})}.items():
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    return tensor


def model(weights: Any, *, place: str = "initializer") -> Any:
    """A model of which one tensor is ``weights``, at one of the places that a tensor can have."""
    made = graph([helper.make_node("MatMul", ["x", "w"], ["scores"])], weights={} if place == "initializer" else {"w": np.ones((3, 2))})
    match place:
        case "initializer":
            made.graph.initializer.append(weights)
        case "sparse":
            indices = numpy_helper.from_array(np.arange(6, dtype=np.int64), "at")
            made.graph.sparse_initializer.append(onnx.SparseTensorProto(values=weights, indices=indices, dims=(3, 2)))
        case "attribute":
            made.graph.node.append(helper.make_node("Constant", [], ["unused"], value=weights))
        case "subgraph":
            branch = helper.make_graph(
                [], "branch", [], [helper.make_tensor_value_info(weights.name, TensorProto.FLOAT, (3, 2))], [weights]
            )
            inner = helper.make_graph(
                [helper.make_node("If", ["yes"], ["deep"], then_branch=branch, else_branch=branch)],
                "inner",
                [],
                [helper.make_tensor_value_info("deep", TensorProto.FLOAT, (3, 2))],
            )
            made.graph.initializer.append(numpy_helper.from_array(np.array(True), "yes"))
            made.graph.node.append(helper.make_node("If", ["yes"], ["unused"], then_branch=inner, else_branch=inner))
        case "function":
            body = [helper.make_node("Constant", [], ["y"], value=weights)]
            made.functions.append(helper.make_function("own", "F", [], ["y"], body, [helper.make_opsetid("", 17)]))
            made.opset_import.append(helper.make_opsetid("own", 1))
            made.graph.node.append(helper.make_node("F", [], ["unused"], domain="own"))
    return made


def write(made: Any) -> None:
    Path("model.onnx").write_bytes(made.SerializeToString())


def refused(desk: Desk) -> str:
    """The one line of the refusal; nothing is left of the attempt, and nothing of the secret is anywhere."""
    refusal = desk.refused(Package(**PACKAGED))
    assert refusal.code is Code.BAD_MODEL
    assert "\n" not in refusal.message
    stored = [path for path in (desk.folder / ".mlprod").rglob("*") if path.is_file()]
    assert not [path for path in stored if SECRET[:24] in path.read_bytes()]
    assert not [path for path in stored if path.name == "graph.onnx" or path.name == GRAPH]
    return refusal.message


@pytest.fixture
def secret(bare_desk: Desk) -> Path:
    """A file outside the model's folder that its user can read."""
    outside = bare_desk.folder.parent / f"{bare_desk.folder.name}-outside"
    outside.mkdir()
    (outside / "secret").write_bytes(SECRET)
    return outside / "secret"


@pytest.mark.parametrize("place", ["initializer", "sparse", "attribute", "subgraph", "function"])
def test_weights_above_the_folder_are_refused_wherever_the_tensor_stands(bare_desk: Desk, secret: Path, place: str) -> None:
    tensor = external(
        "w" if place == "initializer" else "v", f"../{secret.parent.name}/secret", shape=(6,) if place == "sparse" else (3, 2)
    )
    write(model(tensor, place=place))
    assert "it leads out of the model's folder" in refused(bare_desk)


@pytest.mark.parametrize("location", ["{secret}", "a/../../{name}/secret", "C:\\keys", "C:keys", "..\\keys", "/etc/hostname", "", "a\0b"])
def test_a_location_that_is_no_path_inside_the_folder_is_refused(bare_desk: Desk, secret: Path, location: str) -> None:
    write(model(external("w", location.format(secret=secret, name=secret.parent.name))))
    assert "'w' lie in" in refused(bare_desk)


def test_a_symbolic_link_is_refused_as_file_and_as_folder(bare_desk: Desk, secret: Path) -> None:
    Path("linked").symlink_to(secret)
    Path("folder").symlink_to(secret.parent)
    for location in ("linked", "folder/secret"):
        write(model(external("w", location)))
        assert "it is a symbolic link" in refused(bare_desk)


def test_a_hard_link_is_refused(bare_desk: Desk, secret: Path) -> None:
    os.link(secret, "innocent.data")
    write(model(external("w", "innocent.data", entries={"length": "24"})))
    assert "it is a hard link" in refused(bare_desk)


def test_a_pipe_is_refused_and_not_waited_for(bare_desk: Desk) -> None:
    os.mkfifo("pipe")
    write(model(external("w", "pipe")))
    assert "it is no plain file" in refused(bare_desk)


@pytest.mark.parametrize(
    "entries",
    [
        {"offset": "8", "length": "24"},
        {"offset": "-1"},
        {"length": "99"},
        {"offset": "1e3"},
        {"length": "٣"},
        {"offset": "9" * 5000},
        {"x": "1"},
    ],
    ids=str,
)
def test_an_entry_that_does_not_fit_its_file_is_refused(bare_desk: Desk, entries: dict[str, str]) -> None:
    Path("weights").write_bytes(np.ones(6, np.float32).tobytes())
    write(model(external("w", "weights", entries=entries)))
    assert "'w' lie in 'weights'" in refused(bare_desk)


def test_two_locations_of_one_tensor_are_refused(bare_desk: Desk, secret: Path) -> None:
    Path("weights").write_bytes(np.ones(6, np.float32).tobytes())
    tensor = external("w", "weights")
    tensor.external_data.add(key="location", value=str(secret))
    write(model(tensor))
    assert "its entry is ambiguous" in refused(bare_desk)


def test_weights_beside_the_model_are_taken_in_and_stand_alone(bare_desk: Desk) -> None:
    weights = np.arange(6, dtype=np.float32).reshape(3, 2)
    Path("data").mkdir()
    Path("data/weights").write_bytes(bytes(16) + weights.tobytes())
    write(model(external("w", "data/weights", entries={"offset": "16", "length": "24"})))
    bundle = bare_desk.run(Package(**{**PACKAGED, "preprocess": ""}), Bundle)
    Path("data/weights").unlink()
    kept = onnx.load(bare_desk.bundle_folder(digest(bundle)) / GRAPH)
    np.testing.assert_array_equal(numpy_helper.to_array(kept.graph.initializer[0]), weights)


@pytest.mark.parametrize("length", [0, 1, 30, -9])
def test_a_truncated_file_is_one_line(bare_desk: Desk, length: int) -> None:
    whole = model(numpy_helper.from_array(np.ones((3, 2), np.float32), "w")).SerializeToString()
    Path("model.onnx").write_bytes(whole[:length])
    assert "model.onnx is no valid ONNX model" in refused(bare_desk)


@pytest.mark.parametrize("nested", [False, True])
def test_two_weights_of_one_name_are_refused(bare_desk: Desk, nested: bool) -> None:
    made = model(numpy_helper.from_array(np.ones((3, 2), np.float32), "w"), place="subgraph" if nested else "initializer")
    body = made.graph.node[-1].attribute[0].g.node[0].attribute[0].g if nested else made.graph
    body.initializer.append(numpy_helper.from_array(np.zeros((3, 2), np.float32), "w"))
    write(made)
    assert "two weights are named 'w'" in refused(bare_desk)


def test_an_operator_of_nobody_is_named(bare_desk: Desk) -> None:
    made = graph([helper.make_node("Fancy", ["x"], ["scores"], domain="com.corp")])
    made.opset_import.append(helper.make_opsetid("com.corp", 1))
    write(made)
    assert "the operator com.corp.Fancy, which ONNX Runtime does not have" in refused(bare_desk)


@pytest.mark.parametrize(("change", "said"), [({"ir_version": 99}, "99"), ({"opset": 999}, "999")])
def test_a_model_from_the_future_is_one_line(bare_desk: Desk, change: dict[str, int], said: str) -> None:
    made = model(numpy_helper.from_array(np.ones((3, 2), np.float32), "w"))
    made.ir_version = change.get("ir_version", made.ir_version)
    made.opset_import[0].version = change.get("opset", made.opset_import[0].version)
    write(made)
    assert said in refused(bare_desk)
