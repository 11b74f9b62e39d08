"""What two preprocessings made of the same rows is the same, or it is said where it is not."""

import numpy as np

from jupyter_mlprod.core.checked import Checked
from jupyter_mlprod.core.preprocess_parity import preprocess_parity
from jupyter_mlprod.core.raw import Array


def compared(ours: dict[str, Array], wanted: dict[str, Array], **options: object) -> Checked:
    given = {"rows": len(next(iter(wanted.values()))), "tolerance": 1e-6, "tell": True, **options}
    return preprocess_parity(ours, wanted, **given)  # type: ignore[arg-type]


def test_equal_preparations_are_equal_nan_and_rounding_included() -> None:
    x = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    x[3, 1] = np.nan
    found = compared({"x": x}, {"x": x.astype(np.float64) * (1 + 1e-8)})
    assert (found.violations, found.checks) == ((), 3)
    assert [one.name for one in found.measures] == ["preprocess_max_abs_diff"]


def test_rows_that_differ_are_counted_and_shown_with_feature_and_both_values() -> None:
    x = np.zeros((20, 3))
    y = x.copy()
    y[7, 2], y[9, 0] = 0.5, np.nan
    (violation,) = compared({"x": x}, {"x": y}, features=("age", "income", "visits")).violations
    assert violation.what == "'x' is prepared differently in 2 of 20 rows, first at row 7"
    assert violation.examples == (
        "row 7, 'visits': 0 by the bundle, 0.5 by the notebook",
        "row 9, 'age': 0 by the bundle, nan by the notebook",
    )
    assert compared({"x": x}, {"x": y}).violations[0].examples[0] == "row 7 at 2: 0 by the bundle, 0.5 by the notebook"


def test_no_number_made_of_personal_data_is_told() -> None:
    found = compared({"x": np.full((4, 2), 31.25)}, {"x": np.full((4, 2), 62.5)}, tell=False)
    assert found.measures == (), "the largest difference is a number as well"
    (violation,) = found.violations
    assert "31" not in str(violation)
    assert "62" not in str(violation)
    assert violation.examples[0] == "row 0 at 0: withheld, made of personal data"


def test_other_shapes_and_names_are_findings() -> None:
    found = compared({"x": np.zeros((4, 1, 8, 8))}, {"x": np.zeros((4, 8, 8, 1))})
    assert found.violations[0].what == "'x' is prepared with shape (4, 8, 8, 1) by the notebook, and (4, 1, 8, 8) by the bundle"
    found = compared({"ids": np.zeros((4, 2))}, {"tokens": np.zeros((4, 2))})
    assert found.violations[0].what == "the notebook prepared 'tokens', the bundle prepares 'ids'"


def test_the_tolerance_is_in_units_of_the_columns_greatest_value() -> None:
    x = np.tile([1.0, 1e6], (5, 1))
    assert not compared({"x": x}, {"x": x + np.array([0, 0.5])}, tolerance=1e-6).violations
    assert compared({"x": x}, {"x": x + np.array([0.5, 0])}, tolerance=1e-6).violations


def test_texts_are_compared_by_equality() -> None:
    one, two = np.array([["a"], ["b"]]), np.array([["a"], ["c"]])
    assert compared({"x": one}, {"x": two}).violations[0].rows == 1
    assert compared({"x": one}, {"x": one}).violations == ()


def test_an_infinite_difference_is_a_finding_and_no_measure() -> None:
    found = compared({"x": np.array([[np.inf]])}, {"x": np.array([[1.0]])})
    assert found.violations[0].rows == 1
    assert found.measures == ()
