"""Packaging, checking, evaluating, predicting and profiling: what a bundle is, and what it refuses."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from jupyter_mlprod.core.bundle import Bundle
from jupyter_mlprod.core.contract import Column, Tensor
from jupyter_mlprod.core.errors import Code
from jupyter_mlprod.core.evidence import Evidence
from jupyter_mlprod.core.listing import Listing
from jupyter_mlprod.core.record import digest
from jupyter_mlprod.core.requests import Check, Evaluate, Gate, Package, Predict, Profile
from jupyter_mlprod.core.verdict import Verdict, exit_status
from tests.verbs.tiny import PACKAGE_WORDS, PACKAGED, Desk, furnish, graph, linear, measure_of

TABLE = """
import numpy as np


def prepare(batch):
    side = np.array([0.0 if s is None else float(s == 'high') for s in batch['side']])
    return np.column_stack([batch['a'], batch['b'], side]).astype(np.float32)
"""


def test_the_same_thing_packaged_again_elsewhere_has_the_same_digest(bare_desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> None:
    first = bare_desk.package(0.5)
    assert bare_desk.package(0.5) == first
    far = tmp_path_factory.mktemp("far")
    furnish(far)
    linear(far / "model.onnx", shift=0.5)
    subprocess.run([sys.executable, "-m", "jupyter_mlprod", *PACKAGE_WORDS], cwd=far, check=True, capture_output=True, timeout=120)
    (other,) = [name for name, _, _ in Desk(far).workspace().bundles.all()]
    assert other == first


def test_a_bundle_holds_what_is_needed_and_no_pickle(bare_desk: Desk) -> None:
    made = bare_desk.package(0.5)
    folder = bare_desk.bundle_folder(made)
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {
        "bundle.json",
        "MLmodel",
        "model.onnx",
        "requirements.txt",
        "code/preprocess.py",
        "golden/inputs.npz",
        "golden/answers.npz",
    } < files
    assert "attached/statement.dsse.json" in files
    pins = (folder / "requirements.txt").read_text()
    assert "numpy==" in pins
    assert "onnxruntime" in pins


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"labels": "one,two,three"}, Code.BAD_REQUEST),
        ({"name": "../x"}, Code.BAD_REQUEST),
        ({"model": "weights.pt2"}, Code.BAD_MODEL),
        ({"model": "absent.onnx"}, Code.BAD_MODEL),
        ({"model": "no_such_module:net"}, Code.BAD_MODEL),
        ({"example": "absent.npy"}, Code.BAD_DATA),
        ({"example": "one.npy"}, Code.BAD_DATA),
        ({"preprocess": "prepare.py:absent"}, Code.PREPROCESS),
        ({"preprocess": "torchy.py:prepare"}, Code.PREPROCESS),
        ({"contract": "[inputs.input]\nlow = 5\nhihg = 9\nunit = 3"}, Code.BAD_CONTRACT),
        ({"contract": "[inputs.input]\nhigh = 0"}, Code.BAD_CONTRACT),
    ],
)
def test_what_cannot_be_packaged_is_refused_and_leaves_nothing(bare_desk: Desk, change: dict[str, str], code: Code) -> None:
    linear(bare_desk.folder / "model.onnx", shift=0.0)
    np.save(bare_desk.folder / "one.npy", np.zeros((1, 3)))
    (bare_desk.folder / "torchy.py").write_text("import torch\n\n\ndef prepare(batch):\n    return torch.tensor(batch)\n")
    (bare_desk.folder / "weights.pt2").write_bytes(b"PK")
    assert bare_desk.refused(Package(**{**PACKAGED, **change})).code is code
    assert not [path for path in bare_desk.files() if "bundles/" in path or "staging" in path]


def test_all_faults_of_a_contract_are_told_at_once_with_their_lines(bare_desk: Desk) -> None:
    linear(bare_desk.folder / "model.onnx", shift=0.0)
    refusal = bare_desk.refused(Package(**{**PACKAGED, "contract": "[inputs.input]\nlow = 'x'\nhihg = 9\n"}))
    assert "contract:2:" in refusal.message
    assert "contract:3:" in refusal.message
    assert "did you mean 'high'?" in refusal.message


def test_a_model_that_answers_differently_each_time_is_not_kept(bare_desk: Desk) -> None:
    node = helper.make_node("RandomNormalLike", ["x"], ["scores"], dtype=1, scale=5.0)
    onnx.save(graph([node], outputs=3), str(bare_desk.folder / "model.onnx"))
    refusal = bare_desk.refused(Package(model="model.onnx", name="dice", example="x8.npy", labels="a,b,c"))
    assert refusal.code is Code.PARITY
    assert refusal.code.status == 1
    assert not [path for path in bare_desk.files() if "bundles/" in path or "staging" in path]


def test_a_table_keeps_its_columns_types_and_nulls(bare_desk: Desk) -> None:
    (bare_desk.folder / "table.py").write_text(TABLE)
    side = np.array(["low", "high", None, "low"], dtype=object)
    table = {"a": np.array([0.5, 1.5, -0.5, 2.5]), "b": np.array([1, 2, 3, 4]), "side": side}
    bare_desk.workspace().data.write(table, bare_desk.folder / "table.npz")
    linear(bare_desk.folder / "model.onnx", shift=0.0)
    request = Package(model="model.onnx", name="table", example="table.npz", preprocess="table.py:prepare", labels="left,right")
    bundle = bare_desk.run(request, Bundle)
    fields = [field for field in bundle.contract.inputs if isinstance(field, Column)]
    assert [(f.name, f.type, f.nullable) for f in fields] == [("a", "float", False), ("b", "int", False), ("side", "string", True)]
    assert bare_desk.run(Gate(subjects=(digest(bundle),)), Verdict).outcome == "missing", (
        "parity and contract hold, quality was not measured"
    )
    bad = {**table, "b": np.array([1.5, 2, 3, 4]), "a": np.array([np.nan, 1, 2, 3])}
    bare_desk.workspace().data.write(bad, bare_desk.folder / "bad.npz")
    evidence = bare_desk.run(Check(subject="table", data="bad.npz"), Evidence)
    assert measure_of(evidence, "violations").value == 2


def test_violations_name_field_rows_and_limit_but_no_value(bare_desk: Desk) -> None:
    bare_desk.package(0.0, contract="[inputs.point]\nhigh = 10\nunit = 'cm'")
    data = np.zeros((5, 3))
    data[3] = 424242.0
    np.save(bare_desk.folder / "far.npy", data)
    evidence = bare_desk.run(Check(subject="tiny", data="far.npy"), Evidence)
    note = measure_of(evidence, "violations").note
    assert "input 'point' is above 10 cm in 1 of 5 rows, first at row 3" in note
    assert "424242" not in note
    assert exit_status(evidence) == 1
    refusal = bare_desk.refused(Predict(subject="tiny", data="far.npy", out="answers.csv"))
    assert refusal.code is Code.CONTRACT
    assert "424242" not in str(refusal)
    assert not (bare_desk.folder / "answers.csv").exists()


def test_a_check_of_zero_rows_never_passes(bare_desk: Desk) -> None:
    bare_desk.package(0.0)
    np.save(bare_desk.folder / "none.npy", np.zeros((0, 3)))
    assert exit_status(bare_desk.run(Check(subject="tiny", data="none.npy"), Evidence)) == 3


def test_a_target_may_be_labels_and_a_slice_a_file(bare_desk: Desk) -> None:
    bare_desk.package(0.0)
    np.save(bare_desk.folder / "words.npy", np.where(np.load("y.npy") == 1, "right", "left"))
    by_index = bare_desk.run(Evaluate(subject="tiny", data="x.npy", target="y.npy", slices="side.npy"), Evidence)
    by_label = bare_desk.run(Evaluate(subject="tiny", data="x.npy", target="words.npy", slices="side.npy"), Evidence)
    assert by_index.measures == by_label.measures
    assert measure_of(by_index, "accuracy", slice="side=low").n + measure_of(by_index, "accuracy", slice="side=high").n == 400
    np.save(bare_desk.folder / "odd.npy", np.full(400, 7))
    assert bare_desk.refused(Evaluate(subject="tiny", data="x.npy", target="odd.npy")).code is Code.BAD_DATA
    assert bare_desk.refused(Evaluate(subject="tiny", data="x.npy", target="x8.npy")).code is Code.BAD_DATA


def test_too_few_calls_leave_a_percentile_unmeasured(bare_desk: Desk) -> None:
    bare_desk.package(0.0)
    evidence = bare_desk.run(Profile(subject="tiny", batches=(1,), budget_s=1e-6), Evidence)
    names = {measure.name for measure in evidence.measures}
    assert "latency_p50" in names
    assert "latency_p99" not in names


@pytest.mark.parametrize("suffix", ["csv", "parquet", "npz"])
def test_answers_are_written_whole(bare_desk: Desk, suffix: str) -> None:
    bare_desk.package(0.0)
    shown = bare_desk.run(Predict(subject="tiny", data="x.npy", out=f"answers.{suffix}"), Listing)
    assert shown.total == 400
    answers = bare_desk.workspace().data.read(f"answers.{suffix}")
    assert isinstance(answers, dict)
    assert set(answers["label"]) == {"left", "right"}
    assert not list(Path().glob(".*tmp*"))


def test_a_tensor_contract_is_read_off_the_example(bare_desk: Desk) -> None:
    made = bare_desk.package(0.0, contract="[inputs.point]\nlow = -100")
    (bundle,) = [bundle for name, bundle, _ in bare_desk.workspace().bundles.all() if name == made]
    assert bundle.contract.inputs == (Tensor(name="point", dtype="float64", shape=("batch", 3), low=-100.0, declared=("low",)),)
