"""What a contract promises of outputs holds of every answer, and is not promised where the bundle contradicts it."""

from typing import Any

import numpy as np
import pytest

from jupyter_mlprod.core.contract import Column, Contract, Tensor
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.promises import Promises, promise_faults

ANSWERS = {"p": np.array([[0.25, 0.75], [0.5, 0.5]], np.float32)}


def contract(*, column: dict[str, Any] | None = None, **output: Any) -> Contract:
    named = output.pop("name", "p")
    return Contract(
        inputs=(Column(name="age", type="int", **(column or {})),),
        outputs=(Tensor(name=named, dtype="float32", shape=("batch", 2), **output),),
    )


def faults(of: Contract, *, labels: tuple[str, ...] = ("a", "b"), scores: str = "probabilities", answers: Any = None) -> tuple[str, ...]:
    return promise_faults(of, labels=labels, scores=scores, answers=answers or ANSWERS)


def test_every_promise_that_an_answer_breaks_is_told_with_its_rows() -> None:
    promises = Promises(contract(low=0, high=1, sum_to=1))
    promises.demand(ANSWERS, name="n")
    with pytest.raises(MlprodError) as refusal:
        promises.demand({"p": np.array([[0.5, 0.5], [-0.5, 1.5], [0.5, 0.7]], np.float32)}, name="n")
    assert refusal.value.code is Code.NO_ANSWER
    assert refusal.value.message == (
        "output 'p' is below 0 in 1 of 3 rows, first at row 1; output 'p' is above 1 in 1 of 3 rows, first at row 1; "
        "output 'p' does not sum to 1 in 1 of 3 rows, first at row 2 (contract of n)"
    )


def test_nan_does_not_go_out_where_a_person_has_said_so() -> None:
    answer = {"p": np.array([[np.nan, 1], [0, 1]], np.float32)}
    assert Promises(contract(finite=True, declared=("finite",))).broken(answer) == [
        "output 'p' holds NaN or infinity in 1 of 2 rows, first at row 0"
    ]
    assert Promises(contract()).broken(answer) == []
    assert Promises(contract(finite=False, declared=("finite",))).broken(answer) == []
    assert len(Promises(contract(sum_to=1)).broken(answer)) == 1


@pytest.mark.parametrize("limits", [{"low": 0}, {"high": 1}, {"low": 0, "high": 1, "declared": ("low", "high")}])
def test_nan_keeps_no_limit(limits: dict[str, Any]) -> None:
    answer = {"p": np.array([[0, 1], [np.nan, 0.5]], np.float32)}
    assert Promises(contract(**limits)).broken(answer) == ["output 'p' holds NaN, which is within no limits in 1 of 2 rows, first at row 1"]
    assert Promises(contract(**limits)).broken(ANSWERS) == []
    assert Promises(contract(**limits)).broken({"p": np.array([np.nan, 0.5])}) == [
        "output 'p' holds NaN, which is within no limits in 1 of 2 rows, first at row 0"
    ]


def test_nan_goes_out_beside_limits_only_where_a_person_has_said_so() -> None:
    answer = {"p": np.array([[0, np.nan]], np.float32)}
    assert Promises(contract(low=0, finite=False, declared=("finite",))).broken(answer) == []
    assert Promises(contract(low=0, finite=True, declared=("finite",))).broken(answer) == [
        "output 'p' holds NaN or infinity in 1 of 1 rows, first at row 0"
    ]


def test_labels_are_those_of_the_bundle() -> None:
    assert faults(contract(labels=("a", "b"))) == ()
    assert "labels are b, a, and those of the bundle a, b" in faults(contract(labels=("b", "a")))[0]
    assert "none: --labels" in faults(contract(labels=("a", "b")), labels=())[0]


def test_logits_sum_to_nothing() -> None:
    assert faults(contract(sum_to=1), scores="logits") == ("[outputs.p] sum_to is said of probabilities, and the scores are logits",)
    assert faults(contract(sum_to=1)) == ()


def test_the_answers_to_the_example_keep_the_contract() -> None:
    assert "own answers to the example break the contract: output 'p' is above 0.6" in faults(contract(high=0.6))[0]


@pytest.mark.parametrize("name", ["imputed", "passed"])
def test_an_output_does_not_stand_where_answers_are_marked(name: str) -> None:
    answers = {name: ANSWERS["p"]}
    marking = contract(name=name, column={"on_violation": "impute", "default": 3})
    assert "which is where answers are marked" in faults(marking, answers=answers)[0]
    assert faults(contract(name=name), answers=answers) == ()
