"""A graph is one path through a module: what takes another one at a size that the example does not show is refused, or told."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from jupyter_mlprod import load
from jupyter_mlprod.core.answer import Ends
from jupyter_mlprod.core.bundle import Bundle
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.execute import load_function
from jupyter_mlprod.core.raw import Raw
from jupyter_mlprod.core.requests import Package
from jupyter_mlprod.workspace import open_workspace
from tests.adapters import sized
from tests.adapters.test_torch_capture import PAD, ROWS, TEXTS
from tests.verbs.tiny import Desk, bare_desk

__all__ = ["bare_desk"]
IDS = np.random.default_rng(0).integers(1, 50, (5, 6))
FREE: dict[str, tuple[int | str, ...]] = {"ids": ("batch", "sequence")}
CONTRACT = '[inputs.ids]\nshape = ["batch", "sequence"]\n'


def told(desk: Desk, module: nn.Module, example: Raw, contract: str = "", **options: Any) -> list[str]:
    """What packaging a live module tells beside the record."""
    lines: list[str] = []
    workspace = open_workspace(desk.folder, tell=lines.append)
    workspace.data.write(example, desk.folder / "example.npy")
    code, _, name = str(options.get("preprocess", "")).partition(":")
    ends = Ends(preprocess=load_function(Path(code), name) if code else None)
    folder = workspace.models.capture(module, example, ends, shapes=FREE if contract else {})
    workspace.run(Package(model=str(folder), name="made", example="example.npy", contract=contract, **options))
    return [line for line in lines if line.startswith("at ")]


def refusal(desk: Desk, module: nn.Module, example: Raw, contract: str = "", **options: Any) -> MlprodError:
    with pytest.raises(MlprodError) as caught:
        told(desk, module, example, contract, **options)
    assert "\n" not in caught.value.message
    assert not list((desk.folder / ".mlprod" / "bundles").glob("*"))
    return caught.value


@pytest.mark.parametrize(
    ("module", "example", "contract", "said"),
    [
        (sized.Truncates(), IDS, CONTRACT, ("'sequence' of its input 'ids' above 16", "if ids.shape[1] > 16:  # the line that is told")),
        (sized.LargeBatch(), ROWS, "", ("'batch' of its input 'x' above 100", "return x * 2 if x.shape[0] <= 100")),
    ],
    ids=["sequence", "batch"],
)
def test_a_branch_beyond_the_examples_size_is_refused_with_dimension_bound_and_line(
    bare_desk: Desk, module: nn.Module, example: Raw, contract: str, said: tuple[str, str]
) -> None:
    found = refusal(bare_desk, module, example, contract)
    assert found.code is Code.BAD_MODEL
    assert f"forward takes another path for {said[0]}, at sized.py:" in found.message
    assert said[1] in found.message


def test_a_bound_that_the_preprocessing_keeps_is_no_fault(bare_desk: Desk) -> None:
    (bare_desk.folder / "keep.py").write_text("def keep(ids):\n    assert ids.shape[1] <= 16\n    return ids\n")
    assert told(bare_desk, sized.Truncates(), IDS, CONTRACT, preprocess="keep.py:keep") == [
        "at sequence 17 neither the model nor the bundle answers"
    ]


def test_a_tokenizer_that_truncates_is_believed_and_one_that_does_not_is_tried_with_longer_texts(bare_desk: Desk) -> None:
    (bare_desk.folder / "all.py").write_text(PAD)
    (bare_desk.folder / "some.py").write_text(PAD.replace("prepare(texts):\n", "prepare(texts):\n    texts = [t[:16] for t in texts]\n"))
    texts = np.array([text[:12] for text in TEXTS])
    found = refusal(bare_desk, sized.TruncatesTexts(), texts, preprocess="all.py:prepare")
    assert "'input_ids_1' of its input 'input_ids' above 16, at sized.py" in found.message
    assert told(bare_desk, sized.TruncatesTexts(), texts, preprocess="some.py:prepare") == []


def test_networks_that_end_at_a_size_are_packaged_and_it_is_told_where_they_do(bare_desk: Desk) -> None:
    assert told(bare_desk, sized.Table(), IDS, CONTRACT) == ["at sequence 12 neither the model nor the bundle answers"]
    assert told(bare_desk, sized.Convolution(), IDS, CONTRACT) == [
        "at sequence 1 neither the model nor the bundle answers",
        "at sequence 2 neither the model nor the bundle answers",
    ]


def test_a_size_that_the_model_alone_refuses_is_told(bare_desk: Desk) -> None:
    (line,) = told(bare_desk, sized.Asserts(), IDS, CONTRACT)
    assert line.startswith("at sequence 17 the bundle answers and the model does not")


@pytest.mark.parametrize(
    ("module", "place"),
    [
        (sized.Unseen(0, 10), "at batch 10"),
        (sized.Unseen(1, 12), "at batch 3, sequence 12"),
        (sized.Single(), "at batch 3, sequence 1"),
    ],
    ids=["rows", "places", "one place"],
)
def test_parity_is_taken_beyond_the_example_where_tracing_sees_no_branch(bare_desk: Desk, module: nn.Module, place: str) -> None:
    found = refusal(bare_desk, module, IDS, CONTRACT)
    assert found.code is Code.PARITY
    assert place in found.message


def test_a_program_ends_where_its_ranges_do(bare_desk: Desk) -> None:
    free = torch.export.Dim.AUTO
    rows = (torch.from_numpy(IDS),)
    torch.export.save(torch.export.export(sized.Truncates(), rows, dynamic_shapes=({0: free, 1: free},)), "net.pt2")
    np.save("example.npy", IDS)
    lines: list[str] = []
    request = Package(model="net.pt2", name="made", example="example.npy", contract=CONTRACT)
    open_workspace(bare_desk.folder, tell=lines.append).run(request)
    (line,) = (line for line in lines if line.startswith("at "))
    assert line.startswith("at sequence 17 the bundle answers and the model does not")


def test_numpy_of_which_torch_has_the_same_function_is_exported(bare_desk: Desk) -> None:
    assert told(bare_desk, sized.Sine(), ROWS) == []
    workspace = bare_desk.workspace()
    ((name, bundle, _),) = workspace.bundles.all()
    rows = np.linspace(-9, 9, 60, dtype=np.float32).reshape(20, 3)
    found = workspace.runtimes.open(bare_desk.bundle_folder(name), bundle, threads=1).outputs(rows)
    np.testing.assert_allclose(found["output"].astype(np.float64), np.sin(rows) * 2, atol=1e-5)


def test_a_class_that_is_masked_out_agrees_and_is_never_answered(bare_desk: Desk) -> None:
    assert told(bare_desk, sized.Masked(), ROWS, labels="a,b,c") == []
    assert set(load("made").answer(ROWS)["label"]) <= {"a", "b"}


def test_a_model_that_answers_no_numbers_is_told_so_and_where(bare_desk: Desk) -> None:
    found = refusal(bare_desk, sized.Root(), ROWS)
    assert found.code is Code.PARITY
    assert "'output' is nan at (0, 0), and so in 8 of 8 rows" in found.message


def test_an_operator_that_is_used_as_onnx_has_it_not_is_named_and_no_line_of_a_library(bare_desk: Desk) -> None:
    found = refusal(bare_desk, sized.Histogram(), ROWS)
    assert "the operator aten.histc has no form in ONNX as it is used" in found.message
    assert "core.py" not in found.message


def test_a_type_that_onnx_runtime_does_not_compute_in_is_named(bare_desk: Desk) -> None:
    found = refusal(bare_desk, sized.Brain(), ROWS)
    assert found.code is Code.BAD_MODEL
    assert "computes in bfloat16" in found.message
    assert "float()" in found.hint


def test_an_ensemble_is_proven_where_all_its_members_answer(bare_desk: Desk) -> None:
    workspace = bare_desk.workspace()
    workspace.data.write(IDS, bare_desk.folder / "example.npy")
    folder = workspace.models.capture([sized.Table(), sized.Unseen(0, 99)], IDS, Ends(), shapes=FREE)
    bundle = workspace.run(Package(model=str(folder), name="two", example="example.npy", contract=CONTRACT))
    assert isinstance(bundle, Bundle)
    assert bundle.contract.outputs[0].shape == ("batch", "sequence")
