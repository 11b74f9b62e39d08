"""What an .onnx file says of its inputs is looked at before it is asked, and what it is given is what was prepared."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from jupyter_mlprod.core.bundle import Bundle
from jupyter_mlprod.core.errors import Code
from jupyter_mlprod.core.requests import Package
from tests.verbs.tiny import Desk, bare_desk

__all__ = ["bare_desk"]


def saved(path: Path, nodes: list[Any], inputs: list[Any], *, kind: int = TensorProto.FLOAT) -> None:
    """A graph of one output ``y``."""
    out = helper.make_tensor_value_info("y", kind, ["batch", 4] if inputs else [2, 2])
    body = helper.make_graph(nodes, "g", inputs, [out])
    onnx.save(helper.make_model(body, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), str(path))


def counted(path: Path, kind: int) -> None:
    """A graph that answers its input as floats."""
    cast = helper.make_node("Cast", ["x"], ["y"], to=TensorProto.FLOAT)
    saved(path, [cast], [helper.make_tensor_value_info("x", kind, ["batch", 4])])


def package(example: Any) -> Package:
    np.save("example.npy", example)
    return Package(model="net.onnx", name="net", example="example.npy")


def test_an_input_of_strings_is_refused_by_name(bare_desk: Desk) -> None:
    nodes = [helper.make_node("Identity", ["x"], ["y"])]
    saved(Path("net.onnx"), nodes, [helper.make_tensor_value_info("x", TensorProto.STRING, ["batch", 4])], kind=TensorProto.STRING)
    refusal = bare_desk.refused(package(np.full((4, 4), "ab")))
    assert refusal.code is Code.BAD_MODEL
    assert "net.onnx takes 'x' as tensor(string)" in refusal.message


def test_a_graph_without_an_input_has_nothing_to_answer_to(bare_desk: Desk) -> None:
    saved(Path("net.onnx"), [helper.make_node("Constant", [], ["y"], value=numpy_helper.from_array(np.zeros((2, 2), np.float32)))], [])
    refusal = bare_desk.refused(package(np.ones((4, 4))))
    assert refusal.code is Code.BAD_MODEL
    assert "net.onnx takes no input" in refusal.message


def test_texts_for_a_graph_of_numbers_are_refused(bare_desk: Desk) -> None:
    counted(Path("net.onnx"), TensorProto.FLOAT)
    refusal = bare_desk.refused(package(np.full((4, 4), "ab")))
    assert refusal.code is Code.PREPROCESS
    assert "'x' is prepared as <U2, and a graph takes numbers" in refusal.message


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        (TensorProto.UINT8, 300, "300"),
        (TensorProto.UINT8, 1.75, "1.75"),
        (TensorProto.INT32, 2**40 + 7, str(2**40 + 7)),
        (TensorProto.UINT32, -1, "-1"),
    ],
)
def test_a_number_that_the_graph_cannot_hold_is_refused_when_packaged(bare_desk: Desk, kind: int, value: float, said: str) -> None:
    counted(Path("net.onnx"), kind)
    refusal = bare_desk.refused(package(np.full((4, 4), value)))
    assert refusal.code is Code.PREPROCESS
    assert f"'x' is prepared as {said} at (0, 0)" in refusal.message


@pytest.mark.parametrize("kind", [TensorProto.UINT8, TensorProto.UINT16, TensorProto.UINT32, TensorProto.UINT64])
def test_a_number_that_the_graph_cannot_hold_is_refused_when_asked(bare_desk: Desk, kind: int) -> None:
    counted(Path("net.onnx"), kind)
    bare_desk.run(package(np.full((4, 4), 7)), Bundle)
    np.save("rows.npy", np.full((4, 4), 7))
    assert bare_desk.command("predict", "net", "--data", "rows.npy") == 0
    np.save("rows.npy", np.full((4, 4), -1))
    assert bare_desk.command("predict", "net", "--data", "rows.npy") == 2


class Octets(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.float()


def test_a_program_of_bytes_is_given_no_number_that_is_no_byte(bare_desk: Desk) -> None:
    program = torch.export.export(
        Octets(), (torch.ones(4, 4, dtype=torch.uint8),), dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=64)},)
    )
    torch.export.save(program, "net.pt2")
    np.save("example.npy", np.full((4, 4), 300))
    refusal = bare_desk.refused(Package(model="net.pt2", name="net", example="example.npy"))
    assert refusal.code is Code.PREPROCESS
    assert "'x' is prepared as 300 at (0, 0), which the graph's uint8 cannot hold" in refusal.message
