"""Quality measures of predictions against a target, each with an interval: accuracy, recall per class, slices, calibration, errors."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from jupyter_mlprod.core.evidence import Measure
from jupyter_mlprod.core.scores import Floats, Ints
from jupyter_mlprod.core.uncertainty import Interval, calibration_error, mean, wilson

Groups = Mapping[str, NDArray[np.str_]]


def measure(name: str, interval: Interval, *, n: int, method: str, where: dict[str, str] | None = None, unit: str = "1") -> Measure:
    """A measure from (value, low, high)."""
    value, low, high = interval
    return Measure(name=name, value=value, low=low, high=high, n=n, unit=unit, where=where or {}, method=method)


def classification(probability: Floats, answer: Ints, target: Ints, *, labels: tuple[str, ...], groups: Groups) -> tuple[Measure, ...]:
    """Measures of a classifier. A row that is answered by none of the labels is not right.

    Parameters
    ----------
    probability : (n, classes) float64
    answer : (n,) class index that is answered, -1 for none
    target : (n,) class index
    groups : slice column → (n,) value of each row as text
    """
    n = len(target)
    right = answer == target
    best = probability.argmax(axis=1) == target
    own = np.clip(probability[np.arange(n), target], 1e-15, 1.0)
    brier = ((probability - np.eye(probability.shape[1])[target]) ** 2).sum(axis=1)
    measures = [
        measure("accuracy", wilson(int(right.sum()), n), n=n, method="wilson"),
        measure("calibration_error", calibration_error(probability.max(axis=1), best), n=n, method="bootstrap"),
    ]
    if (answer < 0).any():
        measures.append(measure("coverage", wilson(int((answer >= 0).sum()), n), n=n, method="wilson"))
    if n > 1:
        measures += [
            measure("log_loss", mean(-np.log(own), least=0), n=n, method="student-t"),
            measure("brier_score", mean(brier, least=0), n=n, method="student-t"),
        ]
    for index, label in enumerate(labels):
        rows = target == index
        if rows.any():
            measures.append(
                measure(
                    "recall", wilson(int(right[rows].sum()), int(rows.sum())), n=int(rows.sum()), method="wilson", where={"class": label}
                )
            )
    for column, value, rows in slices(groups):
        k = int(rows.sum())
        measures.append(measure("accuracy", wilson(int(right[rows].sum()), k), n=k, method="wilson", where={"slice": f"{column}={value}"}))
    return tuple(measures)


def regression(predicted: Floats, target: Floats, *, groups: Groups) -> tuple[Measure, ...]:
    """Mean absolute and mean squared error, whole and per slice, in the target's unit; (n,) arrays with n >= 2."""
    error = np.abs(predicted - target)
    n = len(error)
    measures = [
        measure("mean_absolute_error", mean(error, least=0), n=n, method="student-t"),
        measure("mean_squared_error", mean(error**2, least=0), n=n, method="student-t"),
    ]
    for column, value, rows in slices(groups):
        if rows.sum() > 1:
            measures.append(
                measure(
                    "mean_absolute_error",
                    mean(error[rows], least=0),
                    n=int(rows.sum()),
                    method="student-t",
                    where={"slice": f"{column}={value}"},
                )
            )
    return tuple(measures)


def slices(groups: Groups) -> list[tuple[str, str, NDArray[np.bool_]]]:
    """(column, value, rows) of every slice, in a fixed order."""
    return [(column, str(value), values == value) for column, values in sorted(groups.items()) for value in np.unique(values)]


def reliability(probability: Floats, target: Ints, *, bins: int = 10) -> tuple[Measure, ...]:
    """The points of a reliability diagram: accuracy with its interval per confidence bin."""
    confidence = probability.max(axis=1)
    right = probability.argmax(axis=1) == target
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    points = []
    for index in range(bins):
        rows = place == index
        k = int(rows.sum())
        if k:
            where = {"confidence": f"{index / bins:.1f}-{(index + 1) / bins:.1f}"}
            points.append(measure("bin_accuracy", wilson(int(right[rows].sum()), k), n=k, method="wilson", where=where))
    return tuple(points)
