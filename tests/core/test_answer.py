"""The two ends of an answer: normalization, postprocessing, and the label at an operating point."""

import datetime

import msgspec
import numpy as np
import pytest

from jupyter_mlprod.core.answer import Ends, decide, decided, demand_scores, final_outputs, graph_inputs, serving_view
from jupyter_mlprod.core.bundle import Bundle, Normalization, OperatingPoint, Scores
from jupyter_mlprod.core.contract import Column, ColumnType, Contract, Tensor
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.infer import kind_of_scores
from jupyter_mlprod.core.raw import object_array
from jupyter_mlprod.core.scores import tempered

CONTRACT = Contract(
    inputs=(Tensor(name="x", dtype="float32", shape=("batch", 3)),), outputs=(Tensor(name="p", dtype="float32", shape=("batch", 3)),)
)
PROBABILITY = np.array([[0.5, 0.3, 0.2], [0.1, 0.6, 0.3], [0.35, 0.33, 0.32]])


def bundle(point: OperatingPoint | None = None) -> Bundle:
    made = Bundle(name="n", contract=CONTRACT, scores="probabilities", labels=("a", "b", "c"))
    return made if point is None else Bundle(**{**{f: getattr(made, f) for f in made.__struct_fields__}, "operating_point": point})


def answers(point: OperatingPoint | None = None) -> tuple[list[str], list[float]]:
    found = decide(bundle(point), {"p": PROBABILITY})
    return found["label"].tolist(), [round(float(value), 4) for value in found["confidence"].tolist()]


def test_without_an_operating_point_the_most_probable_label_is_answered() -> None:
    assert answers() == (["a", "b", "a"], [0.5, 0.6, 0.35])


def test_a_label_that_reaches_its_threshold_is_answered_before_any_without_one() -> None:
    assert answers(OperatingPoint(thresholds={"c": 0.3})) == (["a", "c", "c"], [0.5, 0.3, 0.32])


def test_of_two_labels_that_reach_theirs_the_one_that_exceeds_it_more_is_answered() -> None:
    assert answers(OperatingPoint(thresholds={"b": 0.3, "c": 0.1}))[0] == ["c", "c", "c"]


def test_where_no_threshold_is_reached_the_other_word_is_answered_with_the_highest_confidence() -> None:
    point = OperatingPoint(thresholds={"a": 0.5, "b": 0.5, "c": 0.5}, otherwise="unsure")
    assert answers(point) == (["a", "b", "unsure"], [0.5, 0.6, 0.35])
    assert decided(bundle(point), PROBABILITY).tolist() == [0, 1, -1]


def test_without_another_word_the_most_probable_label_is_answered() -> None:
    assert answers(OperatingPoint(thresholds={"a": 0.5, "b": 0.5, "c": 0.5}))[0] == ["a", "b", "a"]


def test_a_temperature_divides_the_logits() -> None:
    logits = np.log(PROBABILITY)
    cooled = np.exp(logits / 2)
    np.testing.assert_allclose(tempered(PROBABILITY, 2.0), cooled / cooled.sum(axis=1, keepdims=True))
    assert tempered(PROBABILITY, 1.0) is PROBABILITY
    assert answers(OperatingPoint(temperature=2.0))[0] == answers()[0]


def test_a_temperature_takes_probabilities_of_zero_and_one() -> None:
    found = tempered(np.array([[0.0, 1.0], [1.0, 0.0]]), 3.0)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found.sum(axis=1), 1)


@pytest.mark.parametrize("mean", [(2.0,), (1.0, 2.0, 3.0)])
def test_normalization_is_for_the_whole_or_for_each_channel(mean: tuple[float, ...]) -> None:
    images = np.arange(24, dtype=np.float64).reshape(2, 3, 2, 2)
    ends = Ends(normalization={"x": Normalization(mean=mean, std=tuple(2.0 for _ in mean))})
    found = graph_inputs(ends, images, ["x"], tell=True)["x"].astype(np.float64)
    wanted = (images - np.asarray(mean).reshape(1, -1, 1, 1)) / 2
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    assert graph_inputs(ends, images, ["x"], tell=True)["x"].dtype == np.float32


@pytest.mark.parametrize(
    ("statistics", "shape"), [(3, (2, 1, 5, 5)), (4, (2, 3, 5, 5)), (2, (2,))], ids=["one channel", "three channels", "no channel"]
)
def test_statistics_for_another_number_of_channels_are_refused(statistics: int, shape: tuple[int, ...]) -> None:
    ends = Ends(normalization={"x": Normalization(mean=(1.0,) * statistics, std=(2.0,) * statistics)})
    with pytest.raises(MlprodError) as refusal:
        graph_inputs(ends, np.ones(shape), ["x"], tell=True)
    assert refusal.value.code is Code.BAD_REQUEST
    assert f"--normalize has {statistics} statistics for 'x', which is prepared with shape {shape}" in refusal.value.message


@pytest.mark.parametrize("normalization", [{}, {"x": Normalization(mean=(1.0,), std=(2.0,))}], ids=["as it is", "normalized"])
def test_texts_where_numbers_are_needed_are_refused_by_name(normalization: dict[str, Normalization]) -> None:
    ends = Ends(normalization=normalization)
    raw = np.array([["a"]]) if normalization else {"age": np.array([3.0]), "city": np.array(["Rome"])}
    with pytest.raises(MlprodError) as refusal:
        graph_inputs(ends, raw, ["x"], tell=True)
    assert refusal.value.code is Code.PREPROCESS
    assert ("'x'" if normalization else "'city'") in refusal.value.message
    assert "Rome" not in refusal.value.message


def test_normalization_follows_the_preprocessing() -> None:
    ends = Ends(preprocess=lambda batch: batch * 10, normalization={"x": Normalization(mean=(10.0,), std=(1.0,))})
    np.testing.assert_allclose(graph_inputs(ends, np.ones((2, 1)), ["x"], tell=True)["x"].astype(np.float64), 0)


def test_texts_reach_the_preprocessing_as_a_list_of_strings() -> None:
    seen: list[object] = []

    def prepare(batch: list[str]) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
        seen.append(batch)
        return np.array([[len(text)] for text in batch])

    assert graph_inputs(Ends(preprocess=prepare), np.array(["one", "three"]), ["x"], tell=True)["x"].tolist() == [[3], [5]]
    assert seen == [["one", "three"]]
    assert isinstance(seen[0], list)


def test_a_postprocessing_makes_the_outputs() -> None:
    ends = Ends(postprocess=lambda outputs: {"double": outputs["p"] * 2})
    assert final_outputs(ends, {"p": np.ones((2, 1))}, tell=True)["double"].tolist() == [[2], [2]]
    assert list(final_outputs(Ends(postprocess=lambda outputs: outputs["p"]), {"p": np.ones(2)}, tell=True)) == ["output"]


def test_a_postprocessing_that_fails_tells_no_value_of_the_data() -> None:
    def post(outputs: object) -> object:
        raise ValueError("secret 42")

    with pytest.raises(MlprodError) as caught:
        final_outputs(Ends(postprocess=post), {"p": np.ones(2)}, tell=False)
    assert caught.value.code is Code.POSTPROCESS
    assert "42" not in str(caught.value)


NAN, INF = float("nan"), float("inf")


def scored(are: Scores, scores: list[list[float]]) -> None:
    one = Tensor(name="x", dtype="float32", shape=("batch", len(scores[0])))
    contract = Contract(inputs=(one,), outputs=(msgspec.structs.replace(one, name="scores"),))
    labels = ("no", "yes") if len(scores[0]) == 1 else tuple("abc"[: len(scores[0])])
    demand_scores(Bundle(name="b", contract=contract, scores=are, labels=labels), {"scores": np.array(scores, np.float32)})


@pytest.mark.parametrize(
    ("are", "scores"),
    [
        ("logits", [[0.1, NAN]]),
        ("logits", [[0.1, 0.2], [INF, 0.0]]),
        ("logits", [[-INF, -INF]]),
        ("logits", [[NAN]]),
        ("probabilities", [[0.5, NAN]]),
        ("probabilities", [[3.0]]),
        ("probabilities", [[-4.0]]),
    ],
)
def test_scores_that_are_none_get_no_label(are: Scores, scores: list[list[float]]) -> None:
    with pytest.raises(MlprodError, match=f"in 1 of {len(scores)} rows, first in row {len(scores) - 1}") as refusal:
        scored(are, scores)
    assert refusal.value.code is Code.NO_ANSWER


def test_a_class_that_is_ruled_out_and_rounding_are_answered() -> None:
    scored("logits", [[0.1, -INF]])
    scored("probabilities", [[1.0005, 0.0]])


def test_one_score_within_0_and_1_may_be_either_and_is_asked_for() -> None:
    either = np.array([[0.2], [0.7]])
    with pytest.raises(MlprodError, match="probabilities look so, and logits may") as refusal:
        kind_of_scores("auto", either, labelled=True)
    assert refusal.value.hint == "--scores probabilities, or --scores logits"
    assert kind_of_scores("auto", either * 9, labelled=True) == "logits"
    assert kind_of_scores("logits", either, labelled=True) == "logits"
    assert kind_of_scores("auto", either, labelled=False) == "values"


def test_labels_for_values_are_a_contradiction() -> None:
    with pytest.raises(MlprodError, match="--scores values says that there are no classes"):
        kind_of_scores("values", np.zeros((2, 2)), labelled=True)


MOMENT = datetime.datetime(2026, 6, 1, 14, tzinfo=datetime.timezone(datetime.timedelta(hours=2)))


def test_a_column_comes_to_the_preprocessing_in_the_type_of_the_contract() -> None:
    kinds: dict[str, ColumnType] = {
        "n": "int",
        "m": "int",
        "x": "float",
        "b": "bool",
        "none": "float",
        "t": "time",
        "u": "time_utc",
        "gone": "time",
    }
    contract = Contract(inputs=tuple(Column(name=name, type=kind, nullable=True) for name, kind in kinds.items()), outputs=CONTRACT.outputs)
    columns: dict[str, list[object]] = {
        "n": [1, 2], "m": [1, None], "x": [1, None], "b": [True, False], "none": [None, None], "t": [datetime.date(2026, 6, 1), None],
        "u": [MOMENT, None], "gone": [None, None],
    }  # fmt: skip
    view = serving_view(contract, {name: object_array(values) for name, values in columns.items()})
    assert isinstance(view, dict)
    assert {name: array.dtype.name for name, array in view.items()} == {
        "n": "int64", "m": "float64", "x": "float64", "b": "bool", "none": "float64", "t": "datetime64[us]", "u": "datetime64[us]",
        "gone": "datetime64[us]",
    }  # fmt: skip
    assert view["u"].tolist() == [datetime.datetime(2026, 6, 1, 12), None]
    assert np.isnan(view["m"].astype(float)).tolist() == [False, True]


def test_times_are_not_stacked_into_the_input_of_a_graph() -> None:
    raw = {
        "a": np.array([1, 2]),
        "seen": object_array([MOMENT, None]),
        "at": np.array(["2026-01-01", "NaT"], "M8[ns]"),
        "b": np.array([3, 4]),
    }
    assert graph_inputs(Ends(), raw, ["x"], tell=False)["x"].tolist() == [[1, 3], [2, 4]]
