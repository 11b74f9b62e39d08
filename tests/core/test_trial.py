"""A trial is a part of the example that keeps the contract, and parity sees whatever differs at one."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import numpy as np
import pytest

from jupyter_mlprod.core.bundle import Bundle, OperatingPoint
from jupyter_mlprod.core.contract import Contract, Tensor
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.raw import Array, Raw
from jupyter_mlprod.core.remeasure import parity_measures
from jupyter_mlprod.core.trial import Trial, ask_further, beyond, further, size_or_name, taken, trials

Answer = Callable[[Array], dict[str, Any]]
TWO = {"ids": ("batch", "sequence"), "mask": ("batch", "sequence"), "picture": ("batch", "height", "width")}
RAW: dict[str, Array] = {"ids": np.zeros((5, 8)), "mask": np.zeros((5, 8)), "picture": np.zeros((5, 6, 6))}


class Answering:
    """A runtime that answers by a function of the one input."""

    def __init__(self, answer: Answer) -> None:
        self.answer_of = answer

    def outputs(self, raw: Raw) -> dict[str, Array]:
        assert not isinstance(raw, Mapping)
        return self.answer_of(raw)

    def answer(self, raw: Raw) -> dict[str, Array]:
        return self.outputs(raw)

    def prepare(self, raw: Raw) -> dict[str, Array]:
        assert not isinstance(raw, Mapping)
        return {"x": raw}

    def graph(self, prepared: Mapping[str, Array]) -> dict[str, Array]:
        return dict(prepared)


def bundle(*, free: bool = True) -> Bundle:
    length: int | str = "length" if free else 8
    contract = Contract(
        inputs=(Tensor(name="x", dtype="float64", shape=("batch", length)),),
        outputs=(Tensor(name="y", dtype="float64", shape=("batch", length)),),
    )
    return Bundle(name="b", contract=contract, scores="values")


def values(x: Array, ours: Answer, theirs: Answer, *, free: bool = True) -> dict[str, tuple[float | None, float]]:
    """Place → (largest difference, differing rows), of ``ours`` against ``theirs`` as the original."""
    shapes: dict[str, tuple[int | str, ...]] = {"x": ("batch", "length" if free else 8)}
    reference = {
        f"{trial.key}/{name}": array for trial in trials(x, shapes) for name, array in theirs(np.asarray(taken(trial, x, shapes))).items()
    }
    found: dict[str, dict[str, float]] = {}
    for measure in parity_measures(bundle(free=free), Answering(ours), x, reference, per_batch=True):
        found.setdefault(measure.where["batch"], {})[measure.name] = measure.value
    return {place: (m.get("parity_max_abs_diff"), m["parity_argmax_mismatches"]) for place, m in found.items()}


def alone(x: Array, answer: Answer, *, free: bool = True) -> dict[str, float]:
    """Place → differing rows, of an answer in parts against the answer to the whole."""
    measures = parity_measures(bundle(free=free), Answering(answer), x, answer(x), per_batch=False)
    return {m.where["batch"]: m.value for m in measures if m.name == "parity_argmax_mismatches"}


X = np.random.default_rng(0).normal(size=(5, 8))


def test_every_dimension_is_cut_by_itself_wherever_it_stands() -> None:
    keys = {trial.key: trial for trial in trials(RAW, TWO)}
    assert list(keys) == ["3, sequence 4", "3, height 3", "3, width 3", "1", "3", "5"]
    cut = taken(keys["3, sequence 4"], RAW, TWO)
    assert isinstance(cut, Mapping)
    assert {name: array.shape for name, array in cut.items()} == {"ids": (3, 4), "mask": (3, 4), "picture": (3, 6, 6)}
    unnamed = taken(Trial(batch=3, dimension="w", size=2), np.zeros((5, 4)), {"any": ("batch", "w")})
    assert not isinstance(unnamed, Mapping)
    assert unnamed.shape == (3, 2)


def test_beyond_the_example_its_rows_and_places_are_repeated() -> None:
    keys = {trial.key: trial for trial in further({**RAW, "ids": np.arange(40).reshape(5, 8)}, TWO)}
    assert list(keys) == ["10", "3, sequence 1", "3, sequence 16", "3, height 1", "3, height 12", "3, width 1", "3, width 12"]
    twice = taken(keys["3, sequence 16"], {**RAW, "ids": np.arange(40).reshape(5, 8)}, TWO)
    assert isinstance(twice, Mapping)
    np.testing.assert_array_equal(twice["ids"][1], [*range(8, 16), *range(8, 16)])
    assert {name: array.shape for name, array in twice.items()} == {"ids": (3, 16), "mask": (3, 16), "picture": (3, 6, 6)}
    rows = taken(keys["10"], RAW, TWO)
    assert isinstance(rows, Mapping)
    assert {len(array) for array in rows.values()} == {10}


def test_a_dimension_of_two_is_tried_at_one_place_once() -> None:
    assert [trial.key for trial in further(np.zeros((4, 2)), {"x": ("batch", "w")})] == ["8", "3, w 4"]


def test_texts_are_made_longer_by_saying_them_twice() -> None:
    texts = np.array(["a cat", "no"])
    rows, longer = further(texts, {})
    assert list(np.asarray(taken(rows, texts, {}))) == ["a cat", "no", "a cat", "no"]
    assert list(np.asarray(taken(longer, texts, {}))) == ["a cat a cat", "no no"]


def test_a_size_for_which_no_rows_can_be_made_is_not_tried() -> None:
    shapes: dict[str, tuple[int | str, ...]] = {"x": ("batch", "w")}
    assert beyond("batch", 101, np.zeros((4, 2)), shapes, seen=1) == Trial(batch=101)
    assert beyond("w", 17, np.zeros((4, 2)), shapes, seen=1) == Trial(batch=1, dimension="w", size=17)
    assert beyond("x_1", 17, np.zeros((4, 2)), {}, seen=2) is None
    assert beyond("batch", 10**9, np.zeros((4, 2)), shapes, seen=1) is None
    assert beyond("x_1", 17, np.array(["a cat"]), {}, seen=6) == Trial(batch=1, dimension="texts", size=5)


def test_what_a_model_refuses_or_answers_with_no_number_is_no_answer() -> None:
    def answer(trial: Trial) -> dict[str, Any]:
        if trial.size == 1:
            raise MlprodError(Code.BAD_MODEL, "too short")
        return {"y": np.full(trial.batch, np.nan if trial.size else 1.0)}

    answers, refused = ask_further(np.zeros((4, 6)), {"x": ("batch", "w")}, answer)
    assert [trial.key for trial in answers] == ["8"]
    assert [trial.key for trial in refused] == ["3, w 1", "3, w 12"]


@pytest.mark.parametrize(
    ("shapes", "said"),
    [
        ({"ids": ("batch", "height"), "picture": ("batch", "height", 6)}, "the size 6 and 8 where the contract says 'height'"),
        ({"ids": ("batch", "a/b")}, "'a/b' cannot name"),
        ({"ids": ("batch", "batch")}, "'batch' cannot name"),
        ({"ids": ("batch",)}, "does not fit the example's (5, 8)"),
    ],
)
def test_shapes_that_the_example_does_not_have_are_refused(shapes: dict[str, tuple[int | str, ...]], said: str) -> None:
    with pytest.raises(MlprodError) as refusal:
        trials(RAW, shapes)
    assert refusal.value.code is Code.BAD_CONTRACT
    assert said in refusal.value.message


def test_a_size_has_the_name_of_the_dimension_that_it_follows_at_every_trial() -> None:
    whole, cut = Trial(batch=5), Trial(batch=3, dimension="length", size=4)
    assert size_or_name("y", 1, {whole: 7, cut: 7}, {"length": 8}) == 7
    assert size_or_name("y", 1, {whole: 8, cut: 4}, {"length": 8}) == "length"
    assert size_or_name("y", 1, {whole: 9, cut: 5}, {"length": 8}) == "y_1"


def test_a_graph_that_is_right_at_one_size_alone_is_told_at_the_other() -> None:
    found = values(X, lambda x: {"y": x * 8}, lambda x: {"y": x * x.shape[1]})
    assert {found[place] for place in ("1", "3", "5")} == {(0.0, 0.0)}
    difference, differing = found["3, length 4"]
    assert (difference or 0.0) > 0.1
    assert differing == 3


def test_an_answer_of_another_shape_is_a_wrong_answer_and_no_crash() -> None:
    found = values(X, lambda x: {"y": x[:, :8]}, lambda x: {"y": np.hstack([x, x])})
    assert found == {place: (None, rows) for place, rows in (("3, length 4", 3), ("1", 1), ("3", 3), ("5", 5))}


def padded(x: Array) -> dict[str, Any]:
    """As many places as the row with the greatest first value needs, as a tokenizer pads to the longest text."""
    return {"y": x[:, : int(np.asarray(x[:, 0], np.float64).max())]}


def test_what_a_row_has_only_beside_longer_rows_is_not_compared_where_the_size_may_vary() -> None:
    lengths = np.column_stack([[2.0, 5.0, 3.0, 2.0, 8.0], X[:, 1:]])
    assert set(alone(lengths, padded).values()) == {0.0}
    assert alone(lengths, padded, free=False) == {"1": 4, "3": 3, "5": 0}


def test_an_answer_without_a_single_value_agrees_with_nothing() -> None:
    assert alone(X, lambda x: {"y": x[:, :0] if len(x) < 5 else x})["1"] == 5


def test_an_answer_on_the_other_side_of_a_threshold_is_another_answer() -> None:
    one = Tensor(name="x", dtype="float64", shape=("batch", 2))
    contract = Contract(inputs=(one,), outputs=(msgspec.structs.replace(one, name="y"),))
    point = OperatingPoint(thresholds={"rare": 0.3}, otherwise="")
    decides = Bundle(name="b", contract=contract, scores="probabilities", labels=("usual", "rare"), operating_point=point)
    x = np.array([[0.70005, 0.29995], [0.9, 0.1]])
    moved = Answering(lambda rows: {"y": np.add(rows, [-0.0001, 0.0001])})
    measures = parity_measures(decides, moved, x, {f"{batch}/y": x[:batch] for batch in (1, 2)}, per_batch=True)
    assert {m.where["batch"]: m.value for m in measures if m.name == "parity_argmax_mismatches"} == {"1": 1, "2": 1}


def columns_of(x: Array, *, off: float) -> dict[str, Any]:
    """A great number and a small one; the small one is off."""
    return {"y": np.column_stack([np.multiply(x[:, 0], 2e5), np.add(x[:, 1], off)])}


@pytest.mark.parametrize(("off", "differing"), [(5.0, 5), (2e-4, 5), (1e-5, 0)])
def test_a_small_quantity_beside_a_great_one_is_compared_in_its_own_unit(off: float, differing: int) -> None:
    x = np.clip(X, -1, 1)
    found = values(x, lambda rows: columns_of(rows, off=off), lambda rows: columns_of(rows, off=0.0), free=False)
    assert found["5"][1] == differing


def test_a_class_that_both_rule_out_is_no_difference_and_one_that_one_rules_out_is() -> None:
    ruled_out = np.where(np.arange(8) == 3, -np.inf, 0.0)
    assert values(X, lambda x: {"y": np.add(x, ruled_out)}, lambda x: {"y": np.add(x, ruled_out)}, free=False)["5"] == (0.0, 0.0)
    assert values(X, lambda x: {"y": np.add(x, ruled_out)}, lambda x: {"y": x}, free=False)["5"] == (None, 5.0)


def test_places_that_are_missing_for_every_row_are_told() -> None:
    measures = parity_measures(bundle(), Answering(lambda x: {"y": x[:, :1]}), X, {"y": X}, per_batch=False)
    assert {m.where["batch"]: m.value for m in measures if m.name == "parity_argmax_mismatches"} == {"1": 5, "3": 5, "5": 5}


def test_the_limit_of_an_answer_without_labels_is_the_one_that_is_given() -> None:
    moved = Answering(lambda x: {"y": np.add(x, 5e-4)})
    for limit, differing in ((1e-4, 5), (1e-3, 0)):
        measures = parity_measures(bundle(free=False), moved, np.clip(X, -1, 1), {"y": np.clip(X, -1, 1)}, per_batch=False, limit=limit)
        assert {m.value for m in measures if m.name == "parity_argmax_mismatches"} == {differing}
