"""Quality measures against numbers worked out by hand."""

import numpy as np
import pytest

from jupyter_mlprod.core.evidence import Measure
from jupyter_mlprod.core.quality import classification, regression, reliability, slices
from jupyter_mlprod.core.scores import probabilities

PROBABILITY = np.array([[0.9, 0.1, 0.0], [0.2, 0.7, 0.1], [0.3, 0.3, 0.4], [0.6, 0.3, 0.1], [0.1, 0.1, 0.8], [0.5, 0.4, 0.1]])
TARGET = np.array([0, 1, 2, 1, 2, 0])
ANSWER = PROBABILITY.argmax(axis=1)
SITE = np.array(["a", "a", "b", "b", "b", "b"])


def by_place(measures: tuple[Measure, ...]) -> dict[tuple[str, str], Measure]:
    found = {(m.name, ",".join(f"{k}={v}" for k, v in m.where.items())): m for m in measures}
    assert len(found) == len(measures)
    return found


def test_classification_measures_the_whole_every_class_and_every_slice() -> None:
    found = by_place(classification(PROBABILITY, ANSWER, TARGET, labels=("x", "y", "z"), groups={"site": SITE}))
    expected = {
        ("accuracy", ""): (5 / 6, 6),
        ("recall", "class=x"): (1.0, 2),
        ("recall", "class=y"): (0.5, 2),
        ("recall", "class=z"): (1.0, 2),
        ("accuracy", "slice=site=a"): (1.0, 2),
        ("accuracy", "slice=site=b"): (0.75, 4),
        ("log_loss", ""): (float(-np.log([0.9, 0.7, 0.4, 0.3, 0.8, 0.5]).mean()), 6),
    }
    for key, (value, n) in expected.items():
        assert found[key].value == pytest.approx(value)
        assert found[key].n == n
    assert found["brier_score", ""].value == pytest.approx(((PROBABILITY - np.eye(3)[TARGET]) ** 2).sum(axis=1).mean())
    assert ("calibration_error", "") in found


def test_every_quality_measure_has_an_interval_and_says_by_which_method() -> None:
    for measure in classification(PROBABILITY, ANSWER, TARGET, labels=("x", "y", "z"), groups={"site": SITE}):
        assert measure.low is not None
        assert measure.high is not None
        assert measure.method in ("wilson", "student-t", "bootstrap")
        assert measure.unit == "1"


def test_a_class_without_rows_has_no_recall() -> None:
    found = by_place(classification(PROBABILITY[:2], ANSWER[:2], TARGET[:2], labels=("x", "y", "z"), groups={}))
    assert ("recall", "class=z") not in found


def test_one_row_is_measured_without_the_means_that_need_two() -> None:
    names = {measure.name for measure in classification(PROBABILITY[:1], ANSWER[:1], TARGET[:1], labels=("x", "y", "z"), groups={})}
    assert names == {"accuracy", "calibration_error", "recall"}


def test_a_wrong_answer_given_with_certainty_has_a_finite_loss() -> None:
    certain = np.array([[1.0, 0.0], [1.0, 0.0]])
    found = by_place(classification(certain, certain.argmax(axis=1), np.array([0, 1]), labels=("x", "y"), groups={}))
    assert np.isfinite(found["log_loss", ""].value)


def test_logits_become_probabilities_without_overflow() -> None:
    scores = np.array([[1e4, -1e4, 0.0], [1.0, 2.0, 3.0]], dtype=np.float32)
    result = probabilities(scores.astype(np.float64), are="logits")
    assert result.sum(axis=1) == pytest.approx([1.0, 1.0])
    assert result[0] == pytest.approx([1.0, 0.0, 0.0])
    assert result[1] == pytest.approx(np.exp([1, 2, 3]) / np.exp([1, 2, 3]).sum())


@pytest.mark.parametrize("shape", [(4,), (4, 1)])
def test_one_score_is_that_of_the_second_class(shape: tuple[int, ...]) -> None:
    logits = np.array([-1e4, 0.0, 1e4, np.log(3)]).reshape(shape)
    assert probabilities(logits, are="logits")[:, 1] == pytest.approx([0.0, 0.5, 1.0, 0.75])
    shares = np.array([0.0, 0.5, 1.0, 0.75]).reshape(shape)
    assert probabilities(shares, are="probabilities").tolist() == [[1.0, 0.0], [0.5, 0.5], [0.0, 1.0], [0.25, 0.75]]


def test_regression_measures_the_whole_and_slices_of_two_rows_or_more() -> None:
    predicted, target = np.array([1.0, 2.0, 3.0, 10.0]), np.array([1.0, 3.0, 5.0, 6.0])
    found = by_place(regression(predicted, target, groups={"site": np.array(["a", "b", "b", "b"])}))
    assert found["mean_absolute_error", ""].value == pytest.approx(7 / 4)
    assert found["mean_squared_error", ""].value == pytest.approx(21 / 4)
    assert found["mean_absolute_error", "slice=site=b"].value == pytest.approx(7 / 3)
    assert ("mean_absolute_error", "slice=site=a") not in found


def test_slices_come_in_a_fixed_order_and_share_out_the_rows() -> None:
    groups = {"site": np.array(["b", "a", "b"]), "device": np.array(["x", "x", "y"])}
    found = slices(groups)
    assert [(column, value) for column, value, _ in found] == [("device", "x"), ("device", "y"), ("site", "a"), ("site", "b")]
    assert np.sum([rows for column, _, rows in found if column == "site"], axis=0).tolist() == [1, 1, 1]


def test_reliability_has_one_point_for_every_bin_with_rows_and_counts_every_row() -> None:
    points = reliability(PROBABILITY, TARGET)
    assert sum(point.n for point in points) == len(TARGET)
    assert [point.where["confidence"] for point in points] == sorted(point.where["confidence"] for point in points)
    sure = reliability(np.array([[1.0, 0.0]]), np.array([0]))
    assert [(point.where["confidence"], point.value) for point in sure] == [("0.9-1.0", 1.0)]


def test_a_row_answered_by_no_label_is_wrong_and_not_covered() -> None:
    abstaining = np.where(np.arange(len(ANSWER)) == 0, -1, TARGET)
    found = by_place(classification(PROBABILITY, abstaining, TARGET, labels=("x", "y", "z"), groups={}))
    share = (len(TARGET) - 1) / len(TARGET)
    assert found["accuracy", ""].value == pytest.approx(share)
    assert found["coverage", ""].value == pytest.approx(share)
    assert "coverage" not in {m.name for m in classification(PROBABILITY, ANSWER, TARGET, labels=("x", "y", "z"), groups={})}
