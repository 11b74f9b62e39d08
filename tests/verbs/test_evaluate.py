"""Quality on labeled rows: what the target may be, what is refused, and what the paired difference to the champion says."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from jupyter_mlprod.core.bundle import SIGNATURE, Bundle
from jupyter_mlprod.core.errors import Code
from jupyter_mlprod.core.evidence import Evidence
from jupyter_mlprod.core.record import digest
from jupyter_mlprod.core.requests import Evaluate, Gate, Package, Sign
from jupyter_mlprod.core.verdict import Verdict
from tests.verbs.tiny import PACKAGED, SECOND, Desk, graph, linear, measure_of


def evaluate(subject: str, *, data: str = "x.npy", target: str = "y.npy", slices: str = "", trust: str = "") -> Evaluate:
    return Evaluate(subject=subject, data=data, target=target, slices=slices, trust=trust)


def package(desk: Desk, **change: str) -> str:
    """Digest of a bundle of the file ``model.onnx`` as it lies there."""
    return digest(desk.run(Package(**{**PACKAGED, **change}), Bundle))


def two_columns(path: Path) -> None:
    """A graph that gives the first two columns."""
    onnx.save(graph([helper.make_node("MatMul", ["x", "w"], ["scores"])], weights={"w": [[1, 0], [0, 1], [0, 0]]}), str(path))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"target": "short.npy"}, "400 rows of data and 10 of target"),
        ({"target": "wide.npy"}, "has shape (400, 1), one value a row is needed"),
        ({"target": "odd.npy"}, "1 of 400 target values are no class of tiny, first at row 7"),
        ({"target": "up.npy"}, "1 of 400 target values are no class of tiny, first at row 7"),
        ({"target": "several.npz"}, "holds 2 arrays, one is needed"),
        ({"target": "absent"}, "'absent' is neither a file nor a column of the data"),
        ({"slices": "site"}, "'site' is neither a file nor a column of the data"),
        ({"slices": "short.npy"}, "slice column 'short' has 10 rows, the data has 400"),
        ({"slices": "unique.npy"}, "more than 50 values"),
        ({"data": "none.npy", "target": "nothing.npy"}, "0 rows of data and 0 of target"),
    ],
)
def test_a_target_or_slice_that_does_not_fit_is_refused_by_row_and_reason(desk: Desk, change: dict[str, str], said: str) -> None:
    y = np.load("y.npy")
    words = np.array(["left", "right"])[y]
    np.save("short.npy", y[:10])
    np.save("wide.npy", y[:, None])
    np.save("odd.npy", np.where(np.arange(400) == 7, 2, y))
    np.save("up.npy", np.where(np.arange(400) == 7, "up", words))
    np.savez("several.npz", a=y, b=y)
    np.save("unique.npy", np.arange(400))
    np.save("none.npy", np.zeros((0, 3)))
    np.save("nothing.npy", y[:0])
    refusal = desk.refused(evaluate("tiny", **change))
    assert refusal.code is Code.BAD_DATA
    assert said in refusal.message
    if "no class" in said:
        assert refusal.hint == "give an index below 2 or one of left, right"


def test_numbers_that_are_labels_are_read_as_labels_and_not_as_places(bare_desk: Desk) -> None:
    bare_desk.package(0.0, labels="1,0")
    np.save("swapped.npy", 1 - np.load("y.npy"))
    evidence = bare_desk.run(evaluate("tiny", target="swapped.npy"), Evidence)
    assert measure_of(evidence, "accuracy").value == 1.0


def test_a_column_of_a_table_may_be_target_and_slice_and_need_not_be_in_the_contract(bare_desk: Desk) -> None:
    x, y = np.load("x.npy"), np.load("y.npy")
    lines = [f"{a},{b},{c},{'right' if t else 'left'},{'s1' if b < 0 else 's2'}" for (a, b, c), t in zip(x, y, strict=True)]
    Path("rows.csv").write_text("\n".join(["a,b,c,truth,site", *lines]))
    Path("example.csv").write_text("\n".join(["a,b,c", *(line.rsplit(",", 2)[0] for line in lines[:8])]))
    linear(bare_desk.folder / "model.onnx", shift=0.0)
    package(bare_desk, example="example.csv", preprocess="")
    evidence = bare_desk.run(evaluate("tiny", data="rows.csv", target="truth", slices="site"), Evidence)
    assert measure_of(evidence, "accuracy").value == 1.0
    counts = [measure_of(evidence, "accuracy", slice=f"site={site}").n for site in ("s1", "s2")]
    assert counts == [int((x[:, 1] < 0).sum()), int((x[:, 1] >= 0).sum())]
    refusal = bare_desk.refused(evaluate("tiny", data="rows.csv", target="thruth"))
    assert "the data has a, b, c, truth, site" in refusal.message


def test_no_slice_writes_personal_data_into_evidence_and_card(bare_desk: Desk) -> None:
    """Whether it is an input, a column of the training data alone, or its values under another name."""
    x = np.load("x.npy")
    who, mail = np.where(x[:, 1] < 0, "Ann Smith", "Bob Jones"), np.where(x[:, 2] < 0, "ann@mail.example", "bob@mail.example")
    write = bare_desk.workspace().data.write
    write({"a": x[:, 0], "name": who, "mail": mail}, Path("rows.npz"))
    write({"a": x[:8, 0], "name": who[:8]}, Path("example.npz"))
    write({"people": who}, Path("people.npz"))
    write({"band": np.where(x[:, 0] < 0, "low", "high")}, Path("bands.npz"))
    Path("table.py").write_text(
        "import numpy as np\n\n\ndef prepare(batch):\n"
        "    return np.column_stack([batch['a'], batch['a'], [len(name) for name in batch['name']]]).astype(np.float32)\n"
    )
    linear(bare_desk.folder / "model.onnx", shift=0.0)
    contract = '[inputs.name]\npii = "name"\n[data.mail]\npii = "email"\n'
    package(bare_desk, example="example.npz", preprocess="table.py:prepare", data="rows.npz", contract=contract)
    for slices in ("name", "mail", "people.npz"):
        refusal = bare_desk.refused(evaluate("tiny", data="rows.npz", slices=slices))
        assert refusal.code is Code.BAD_REQUEST
        assert "is personal data for tiny" in refusal.message
        assert "groups made of it in the notebook" in refusal.hint
    bare_desk.run(evaluate("tiny", data="rows.npz", slices="bands.npz"), Evidence)
    bare_desk.run(Sign(subject="tiny"), Evidence)
    kept = b"".join(path.read_bytes() for path in (bare_desk.folder / ".mlprod").rglob("*") if path.is_file())
    assert b"Ann" not in kept
    assert b"mail.example" not in kept
    assert b"band=low" in kept


def test_a_bundle_without_labels_is_measured_in_the_unit_of_its_target(bare_desk: Desk) -> None:
    onnx.save(graph([helper.make_node("MatMul", ["x", "w"], ["scores"])], outputs=1, weights={"w": [[1], [0], [0]]}), "model.onnx")
    package(bare_desk, labels="")
    x = np.load("x.npy")
    np.save("half.npy", x[:, 0] / 2 + np.where(x[:, 1] < 0, 0.25, -0.25))
    evidence = bare_desk.run(evaluate("tiny", target="half.npy", slices="side.npy"), Evidence)
    assert measure_of(evidence, "mean_absolute_error").value == pytest.approx(0.25, abs=1e-6)
    assert measure_of(evidence, "mean_squared_error").value == pytest.approx(0.0625, abs=1e-6)
    assert measure_of(evidence, "mean_absolute_error", slice="side=low").value == pytest.approx(0.25, abs=1e-6)
    np.save("words.npy", np.where(x[:, 0] < 0, "a", "b"))
    assert bare_desk.refused(evaluate("tiny", target="words.npy")).code is Code.BAD_DATA


def test_several_values_a_row_are_not_measured_by_the_first_alone(bare_desk: Desk) -> None:
    two_columns(bare_desk.folder / "model.onnx")
    package(bare_desk, labels="")
    np.save("first.npy", np.load("x.npy")[:, 0] / 2)
    assert "gives 2 values a row" in bare_desk.refused(evaluate("tiny", target="first.npy")).message


def test_answers_that_are_not_finite_are_no_quality(bare_desk: Desk) -> None:
    onnx.save(graph([helper.make_node("Log", ["x"], ["log"]), helper.make_node("MatMul", ["log", "w"], ["scores"])],
                    weights={"w": [[1, 0], [0, 1], [0, 0]]}), "model.onnx")  # fmt: skip
    np.save("positive.npy", np.abs(np.load("x8.npy")) + 1)
    made = package(bare_desk, example="positive.npy")
    refusal = bare_desk.refused(evaluate(made))
    assert refusal.code is Code.NO_ANSWER
    assert "are not finite" in refusal.message
    assert bare_desk.workspace().records.about(Evidence, made)[0].kind == "parity"


def test_a_row_is_named_by_its_place_in_the_whole_data(desk: Desk) -> None:
    x = np.load("x.npy")
    x[300, 1] = np.nan
    np.save("bad.npy", x)
    refusal = desk.refused(evaluate("tiny", data="bad.npy"))
    assert refusal.code is Code.CONTRACT
    assert "in 1 of 400 rows, first at row 300" in refusal.message


def test_the_champion_itself_differs_by_nothing(desk: Desk) -> None:
    delta = measure_of(desk.run(evaluate("tiny"), Evidence), "accuracy_delta")
    assert (delta.value, delta.low, delta.high) == (0.0, None, None)


def test_without_a_champion_no_difference_is_measured(bare_desk: Desk) -> None:
    evidence = bare_desk.run(evaluate(bare_desk.package(0.0)), Evidence)
    assert "accuracy_delta" not in {measure.name for measure in evidence.measures}
    assert "champion" not in evidence.context


def test_a_worse_model_is_told_by_its_difference_and_blocked(desk: Desk) -> None:
    worse = desk.package(1.0)
    evidence = desk.run(evaluate(worse), Evidence)
    delta = measure_of(evidence, "accuracy_delta")
    wrong = np.mean(np.load("x.npy")[:, 0] < 0) - np.mean(np.load("x.npy")[:, 0] < -1.0)
    assert delta.value == pytest.approx(-wrong, abs=0.02)
    assert delta.low is not None
    assert delta.high is not None
    assert delta.low < delta.value < delta.high < 0
    assert evidence.context["champion"] == desk.champion()
    verdict = desk.run(Gate(subjects=(worse,)), Verdict)
    assert verdict.outcome == "fail"
    assert {f.rule.reads for f in verdict.findings if f.outcome == "fail"} == {"accuracy", "accuracy_delta"}


def test_labels_in_another_order_are_compared_by_name(desk: Desk) -> None:
    weights = {"w": [[-1, 1], [0, 0], [0, 0]], "b": [0, SECOND]}
    onnx.save(graph([helper.make_node("Gemm", ["x", "w", "b"], ["scores"])], weights=weights), "model.onnx")
    other = package(desk, labels="right,left")
    np.save("words.npy", np.array(["left", "right"])[np.load("y.npy")])
    assert measure_of(desk.run(evaluate(other, target="words.npy"), Evidence), "accuracy_delta").value == 0.0


@pytest.mark.parametrize("reason", ["its contract refuses the rows", "it has no labels"])
def test_a_champion_that_cannot_be_asked_leaves_the_relative_rule_missing(bare_desk: Desk, reason: str) -> None:
    settings = Path("mlprod.toml").read_text()
    Path("mlprod.toml").write_text("[[policy.release]]\nmeasure = 'violations'\nat_most = 0\nunit = 'count'\n")
    if reason == "it has no labels":
        two_columns(bare_desk.folder / "model.onnx")
        narrow = package(bare_desk, labels="")
    else:
        narrow = bare_desk.package(0.0, contract="[inputs.input]\nlow = -2.5\nhigh = 2.5")
    assert bare_desk.command("gate", narrow, "--promote", "champion") == 0
    Path("mlprod.toml").write_text(settings)
    successor = bare_desk.package(0.01)
    evidence = bare_desk.run(evaluate(successor), Evidence)
    assert evidence.context["champion_refused"]
    verdict = bare_desk.run(Gate(subjects=(successor,)), Verdict)
    assert verdict.outcome == "missing"
    assert {f.rule.reads for f in verdict.findings if f.outcome == "missing"} == {"accuracy_delta"}


def test_the_champions_code_runs_only_when_its_signature_is_trusted(desk: Desk) -> None:
    successor = desk.package(0.02)
    (desk.bundle_folder(desk.champion()) / SIGNATURE).unlink()
    refusal = desk.refused(evaluate(successor, trust="I trust the successor, not the champion"))
    assert refusal.code is Code.NOT_TRUSTED
