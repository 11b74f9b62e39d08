"""Labels, thresholds, normalization and operating point are data of the bundle: proven, applied, evaluated and shown."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import pytest
from onnx import helper

from jupyter_mlprod import load
from jupyter_mlprod.core import proof, remeasure
from jupyter_mlprod.core.bundle import Bundle
from jupyter_mlprod.core.errors import Code
from jupyter_mlprod.core.evidence import Evidence, Measure
from jupyter_mlprod.core.listing import Listing
from jupyter_mlprod.core.raw import with_nulls
from jupyter_mlprod.core.requests import Evaluate, List, Package, Predict, Show, Verify
from jupyter_mlprod.core.verdict import Verdict
from jupyter_mlprod.fronts import display
from tests.verbs.tiny import PACKAGED, Desk, cells, graph, linear, measure_of

POINT = 'temperature = 2.0\notherwise = "ask"\n[thresholds]\nleft = 0.8\nright = 0.8\n'
UNPREPARED = {**PACKAGED, "preprocess": ""}


def package(desk: Desk, **options: Any) -> Bundle:
    linear(desk.folder / "model.onnx", shift=0.0)
    return desk.run(Package(**{**PACKAGED, **options}), Bundle)


def test_an_operating_point_is_applied_evaluated_and_shown(bare_desk: Desk) -> None:
    made = package(bare_desk, operating_point=POINT)
    x, y = np.load("x.npy"), np.load("y.npy")
    answers = load("tiny").answer(x)
    asked = answers["label"] == "ask"
    assert 0 < asked.sum() < len(x)
    assert (answers["confidence"][~asked] >= np.float32(0.8)).all()
    assert (answers["confidence"][asked] < np.float32(0.8)).all()
    quality = bare_desk.run(Evaluate(subject="tiny", data="x.npy", target="y.npy"), Evidence)
    assert measure_of(quality, "coverage").value == pytest.approx(1 - asked.mean())
    right = answers["label"] == np.array(["left", "right"])[y]
    assert measure_of(quality, "accuracy").value == pytest.approx(right.mean())
    assert "temperature 2, left from 0.8, right from 0.8, otherwise ask" in display.as_text(bare_desk.run(Show(subject="tiny"), Bundle))
    assert made.operating_point


def test_normalization_stands_before_the_graph_and_in_the_original_alike(bare_desk: Desk) -> None:
    made = package(bare_desk, preprocess="", normalize="[x]\nmean = [1.0]\nstd = [4.0]\n")
    x = np.load("x.npy")
    found = load("tiny").answer(x)["scores"]
    np.testing.assert_allclose(found[:, 0] - found[:, 1], 2 * (x[:, 0] - 1) / 4, atol=1e-5)
    assert "x: mean 1, std 4" in display.as_text(made)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"operating_point": "temperature = 0"}, "above 0"),
        ({"operating_point": "temperature = -1"}, "above 0"),
        ({"operating_point": "[thresholds]\nnobody = 0.5"}, "no label 'nobody'"),
        ({"operating_point": "[thresholds]\nleft = 1.5"}, "at most 1"),
        ({"operating_point": "[thresholds]\nleft = 0.5", "labels": ""}, "decides between labels, and there are none"),
        ({"operating_point": "temperature = 2", "labels": ""}, "decides between labels, and there are none"),
        ({"operating_point": 'otherwise = "ask"'}, "needs a threshold for every label"),
        ({"operating_point": 'otherwise = "left"\n[thresholds]\nleft = 0.5\nright = 0.5'}, "is no label"),
        ({"operating_point": "temprature = 1"}, "did you mean 'temperature'"),
        ({"operating_point": "nothing.toml"}, "no file 'nothing.toml'"),
        ({"normalize": "[y]\nmean = [0]\nstd = [1]"}, "the model takes x"),
        ({"normalize": "[x]\nmean = [0]\nstd = [0]"}, "above 0"),
        ({"normalize": "[x]\nmean = [0, 1]\nstd = [1]"}, "2 means and 1"),
        ({"normalize": "[x]\nmean = [nan]\nstd = [1]"}, "finite"),
        ({"normalize": "[x]\nmean = [0]"}, "'std' is missing"),
        ({"assets": ("nothing.json",)}, "no file 'nothing.json'"),
        ({"assets": ("x.npy", "sub/x.npy")}, "two files would be code/x.npy"),
        ({"assets": ("sub/preprocess.py",)}, "two files would be code/preprocess.py"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line_before_any_work(bare_desk: Desk, options: dict[str, Any], words: str) -> None:
    linear(bare_desk.folder / "model.onnx", shift=0.0)
    Path("sub").mkdir()
    for name in ("x.npy", "preprocess.py"):
        (Path("sub") / name).touch()
    refusal = bare_desk.refused(Package(**{**PACKAGED, **options}))
    assert refusal.code is Code.BAD_REQUEST
    assert words in refusal.message
    assert "\n" not in refusal.message
    assert not bare_desk.workspace().bundles.all()


def test_a_postprocessing_is_proven_carried_and_applied(bare_desk: Desk) -> None:
    Path("post.py").write_text("def gap(outputs):\n    return {'gap': outputs['scores'][:, :1] - outputs['scores'][:, 1:]}\n")
    made = package(bare_desk, preprocess="", postprocess="post.py:gap", labels="right,left")
    assert [output.name for output in made.contract.outputs] == ["gap"]
    x = np.load("x.npy")
    answers = load("tiny").answer(x)
    np.testing.assert_allclose(answers["gap"][:, 0], 2 * x[:, 0], atol=1e-5)
    assert (answers["label"] == np.where(x[:, 0] > 0, "left", "right")).all()
    assert made.functions == ("gap",)


def test_a_postprocessing_that_drops_a_row_is_refused(bare_desk: Desk) -> None:
    Path("post.py").write_text("def short(outputs):\n    return outputs['scores'][1:]\n")
    linear(bare_desk.folder / "model.onnx", shift=0.0)
    assert "one answer a row" in bare_desk.refused(Package(**{**PACKAGED, "postprocess": "post.py:short"})).message


def test_personal_columns_do_not_lie_in_the_golden_samples(bare_desk: Desk) -> None:
    rng = np.random.default_rng(1)
    names = np.array([f"Person {index}" for index in range(8)])
    bare_desk.workspace().data.write({"name": names, "a": rng.normal(size=8), "b": rng.uniform(18, 90, size=8)}, Path("people.npz"))
    Path("table.py").write_text(
        "import numpy as np\n\n\ndef prepare(batch):\n"
        "    return np.column_stack([batch['a'], batch['b'], [len(name) for name in batch['name']]]).astype(np.float32)\n"
    )
    contract = '[inputs.name]\npii = "name"\n[inputs.b]\npii = "age"\nlow = 18\nhigh = 100\n'
    made = package(bare_desk, example="people.npz", preprocess="table.py:prepare", contract=contract)
    assert made.contract.personal == ("name", "b")
    folder = next(path for path in (bare_desk.folder / ".mlprod" / "bundles").iterdir())
    held = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert "Person".encode("utf-32-le") not in held
    assert b"Person" not in held
    with np.load(folder / "golden" / "inputs.npz") as golden:
        found = with_nulls({name: golden[name] for name in golden.files})
    assert found["name"].tolist()[:2] == ["1 name", "2 name"]
    assert all(18 <= age <= 100 for age in found["b"].tolist())
    text = display.as_text(made)
    assert "the rows of the example: a" in text
    assert "name, b made up, being personal" in text


def test_a_preprocessing_that_does_not_take_what_is_made_up_says_what_to_declare(bare_desk: Desk) -> None:
    bare_desk.workspace().data.write({"code": np.array([f"0{index}" for index in range(8)])}, Path("codes.npz"))
    Path("table.py").write_text(
        "import numpy as np\n\n\ndef prepare(batch):\n    return np.array([[int(c), 0, 0] for c in batch['code']])\n"
    )
    linear(bare_desk.folder / "model.onnx", shift=0.0)
    options = {"example": "codes.npz", "preprocess": "table.py:prepare", "contract": '[inputs.code]\npii = "id"\n'}
    refusal = bare_desk.refused(Package(**{**PACKAGED, **options}))
    assert "made up in place of personal data (code)" in refusal.message
    assert "categories" in refusal.hint


def test_a_row_whose_scores_are_not_finite_is_refused_and_not_labeled(bare_desk: Desk) -> None:
    nodes = [helper.make_node("Gemm", ["x", "w"], ["sums"]), helper.make_node("Log", ["sums"], ["scores"])]
    onnx.save(graph(nodes, weights={"w": [[1, 1], [0, 1], [0, 0]]}), "model.onnx")
    np.save("x.npy", np.arange(1, 13, dtype=np.float32).reshape(4, 3))
    np.save("odd.npy", np.array([[1, 1, 1], [-9, 1, 1]], np.float32))
    bare_desk.run(Package(model="model.onnx", name="odd", example="x.npy", labels="a,b"), Bundle)
    refusal = bare_desk.refused(Predict(subject="odd", data="odd.npy"))
    assert (refusal.code, refusal.code.status) == (Code.NO_ANSWER, 2)
    assert "not finite in 1 of 2 rows, first in row 1" in refusal.message


def test_the_tolerance_is_what_the_release_policy_says(bare_desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model is made to differ by five ten-thousandths: more than is allowed by default, less than the project says."""
    linear(bare_desk.folder / "model.onnx", shift=0.0)
    measured = remeasure.parity_measures
    monkeypatch.setattr(proof, "parity_measures", lambda *args, **more: off(measured(*args, **more)))
    request = Package(model="model.onnx", name="off", example="x.npy", labels="left,right")
    assert "parity_max_abs_diff is 0.0005 at batch" in bare_desk.refused(request).message
    with (bare_desk.folder / "mlprod.toml").open("a") as settings:
        settings.write('\n[[policy.release]]\nmeasure = "parity_max_abs_diff"\nat_most = 1e-3\nwhere = { batch = "*" }\n')
    assert bare_desk.run(request, Bundle).name == "off"


def off(measures: tuple[Measure, ...]) -> tuple[Measure, ...]:
    return tuple(msgspec.structs.replace(m, value=5e-4) if m.name == "parity_max_abs_diff" else m for m in measures)


def test_a_gap_in_the_example_is_named_where_the_model_answers_no_number(bare_desk: Desk) -> None:
    linear(bare_desk.folder / "model.onnx", shift=0.0)
    x = np.load("x.npy")
    x[2, 1] = np.nan
    np.savez("gap.npz", **{name: x[:, column] for column, name in enumerate("abc")})
    refusal = bare_desk.refused(Package(model="model.onnx", name="gap", example="gap.npz", labels="left,right"))
    assert refusal.code is Code.PARITY
    assert "'scores' is nan at (2, 0)" in refusal.message
    assert refusal.hint == "the example has no value in 'b' in row 2: fill it in --preprocess, or leave such rows out"


def test_what_a_scan_will_hold_against_a_function_is_told_when_it_is_packaged(bare_desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    linear(bare_desk.folder / "model.onnx", shift=0.0)
    Path("acts.py").write_text("import numpy as np\n\n\ndef prepare(batch):\n    np.savetxt('here', batch[:0])\n    return batch\n")
    words = ["package", "model.onnx", "--name", "acts", "--example", "x.npy", "--labels", "left,right", "--preprocess", "acts.py:prepare"]
    bare_desk.command(*words)
    assert "scan: code/preprocess.py line 5: " in capsys.readouterr().err


def test_an_integrity_check_is_no_verdict_on_a_release(bare_desk: Desk) -> None:
    package(bare_desk)
    assert bare_desk.run(Verify(subject="tiny"), Verdict).scope == "release"
    assert cells(bare_desk.run(List(), Listing), "verdict") == [""]
