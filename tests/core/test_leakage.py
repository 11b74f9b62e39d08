"""What a model must not learn from is found, and what is only a good feature or a small data set is not called leakage."""

import numpy as np
import pytest

from jupyter_mlprod.core.checked import Checked
from jupyter_mlprod.core.contract import Column
from jupyter_mlprod.core.leakage import id_leaks, label_leaks, shared_rows, time_overlap
from jupyter_mlprod.core.raw import Array, object_array

RNG = np.random.default_rng(0)
N = 200
LABEL = (RNG.random(N) < 0.5).astype(np.int64)
NOISE = RNG.normal(size=N)


def told(part: Checked) -> list[str]:
    return [one.what for one in part.violations]


def leaks(kind: str, feature: Array, target: Array = LABEL, *, name: str = "x") -> list[str]:
    column = Column(name=name, type=kind)  # type: ignore[arg-type]
    return told(label_leaks([column], "churn", {name: feature, "churn": target}))


@pytest.mark.parametrize(
    ("kind", "feature", "why"),
    [
        ("int", LABEL, "equals the target 'churn' in all rows"),
        ("float", LABEL.astype(float), "equals the target 'churn' in all rows"),
        ("string", np.where(LABEL == 1, "yes", "no"), "tells the target 'churn': each of its 2 values goes with one label alone"),
        (
            "string",
            np.where(LABEL == 1, np.where(NOISE > 0, "a", "b"), "c"),
            "tells the target 'churn': each of its 3 values goes with one label alone",
        ),
        ("float", LABEL * 10 + NOISE, "separates the target 'churn' (area under the ROC curve 1.0000)"),
        ("float", -LABEL * 10 + NOISE, "separates the target 'churn' (area under the ROC curve 1.0000)"),
    ],
)
def test_the_label_among_the_features_is_found(kind: str, feature: Array, why: str) -> None:
    assert leaks(kind, feature) == [f"feature 'x' {why}"]


@pytest.mark.parametrize(
    ("kind", "feature"),
    [
        ("float", NOISE),
        ("float", LABEL + NOISE),
        ("int", np.arange(N)),
        ("string", np.array([f"u{i}" for i in range(N)])),
        ("string", np.where((LABEL == 1) ^ (NOISE > 2), "yes", "no")),
        ("float", np.where(np.arange(N) < 180, np.nan, LABEL)),
        ("float", np.zeros(N)),
        ("string", object_array([None] * N)),
    ],
)
def test_features_that_only_help_are_not_the_label(kind: str, feature: Array) -> None:
    assert leaks(kind, feature) == []


def test_few_rows_prove_nothing_and_a_constant_target_neither() -> None:
    assert leaks("float", NOISE[:40] + 10 * LABEL[:40], LABEL[:40]) == []
    assert leaks("float", NOISE, np.ones(N)) == []


def test_noise_is_no_label_however_rare_a_class_is() -> None:
    for rare in (1, 2, 5):
        target = np.r_[np.ones(rare), np.zeros(60 - rare)]
        for seed in range(60):
            noise = np.random.default_rng(seed).normal(size=60)
            assert leaks("float", noise, target) == []
            assert leaks("int", np.arange(60) == seed, np.arange(60) == seed) == [], "one row of 60 is the same by chance"
    shuffled = np.random.default_rng(1)
    assert not [1 for _ in range(300) if leaks("float", shuffled.normal(size=60), shuffled.permutation(np.arange(60) % 6 == 0))]


def test_a_label_of_classes_as_rare_as_chance_is_not_told_apart_and_a_large_one_is() -> None:
    classes = np.r_[np.zeros(58), 1, 2]
    assert leaks("float", np.arange(60.0), classes) == []
    assert leaks("int", np.r_[np.ones(5), np.zeros(195)], np.r_[np.ones(5), np.zeros(195)]) == [
        "feature 'x' equals the target 'churn' in all rows"
    ]


def test_a_label_is_found_though_the_feature_has_nulls() -> None:
    holes = np.where(RNG.random(N) < 0.6, np.nan, LABEL)
    (told_,) = leaks("float", holes)
    assert told_ == f"feature 'x' equals the target 'churn' in all {int((~np.isnan(holes)).sum())} rows that have it"
    (told_,) = leaks("float", np.where(LABEL == 1, NOISE, np.nan))
    assert told_ == "feature 'x' tells the target 'churn' by where it is null (area under the ROC curve 1.0000)"
    assert leaks("float", np.where(NOISE > 0, NOISE, np.nan)) == []


def test_many_classes_in_few_rows_and_a_copy_with_one_mistake_are_found() -> None:
    classes = np.random.default_rng(3).integers(0, 10, 150)
    assert leaks("string", np.array([f"c{7 * one % 10}" for one in classes]), classes) == [
        "feature 'x' tells the target 'churn': each of its 10 values goes with one label alone"
    ]
    label = np.arange(2000) % 2
    wrong = np.where(np.arange(2000) == 4, 1 - label, label)
    for kind, feature in (("bool", wrong == 1), ("int", wrong), ("string", np.where(wrong == 1, "yes", "no"))):
        assert leaks(kind, feature, label) == ["feature 'x' separates the target 'churn' (area under the ROC curve 0.9995)"]


def test_a_check_counts_only_where_values_were_compared() -> None:
    columns = [Column(name="x", type="float"), Column(name="absent", type="float")]
    data = {"x": NOISE, "churn": LABEL}
    assert label_leaks(columns, "churn", data).checks == 1
    few = {name: array[:49] for name, array in data.items()}
    constant = {**data, "churn": np.zeros(N)}
    unknown = {**data, "churn": np.full(N, np.nan)}
    for given, why in (
        (few, "has a value in 49 rows, and 50 are needed"),
        (unknown, "has a value in 0 rows, and 50 are needed"),
        (constant, "has the same value in all rows"),
    ):
        assert label_leaks(columns, "churn", given).checks == 0
        part = label_leaks(columns, "churn", given, asked=True)
        assert (part.checks, told(part)) == (1, [f"the target 'churn' {why} to look for it among the features"])
    named = [Column(name="is_churn", type="float")]
    assert label_leaks(named, "churn", {"is_churn": NOISE[:3], "churn": LABEL[:3]}).checks == 1
    assert id_leaks([Column(name="n", type="int")], {"n": np.arange(40)}).checks == 0


def test_a_number_to_be_foretold_is_found_in_its_own_order() -> None:
    price = RNG.uniform(1, 9, N)
    assert leaks("float", np.log(price), price) == ["feature 'x' is in the very order of the target 'churn'"]
    assert leaks("float", -price * 100, price) == ["feature 'x' is in the very order of the target 'churn'"]
    assert leaks("float", price + NOISE * 1e-2, price) == []


def test_classes_that_lie_apart_are_found() -> None:
    species = np.arange(N) % 3
    assert leaks("float", species * 10 + NOISE, species) == ["feature 'x' separates the 3 classes of the target 'churn'"]
    assert leaks("float", species * 2 + NOISE, species) == []


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("churn_encoded", True), ("is_churn", True), ("ChurnLabel", True), ("CHURN", True),
        ("churn_risk_of_region", False), ("churned", False), ("label", False), ("x", False),
    ],
)  # fmt: skip
def test_a_name_after_the_target_is_found(name: str, found: bool) -> None:
    assert bool(leaks("float", NOISE, name=name)) is found


def test_a_target_that_is_a_feature_is_found() -> None:
    assert told(label_leaks([Column(name="churn", type="int")], "churn", {"churn": LABEL})) == ["feature 'churn' is the target itself"]


@pytest.mark.parametrize(
    ("name", "kind", "values", "found"),
    [
        ("x", "string", np.array([f"{i:x}" for i in RNG.integers(2**60, size=N)]), True),
        ("x", "int", RNG.permutation(N), True),
        ("x", "int", np.arange(N) * 1_000, True),
        ("x", "int", RNG.integers(2**60, size=N), True),
        ("customer_id", "int", np.cumsum(RNG.integers(1, 10**6, N))[::-1], True),
        ("Unnamed: 0", "int", RNG.permutation(N) * 10**5, True),
        ("x", "string", np.array([f"text number {i}" for i in range(N)]), False),
        ("x", "int", RNG.permutation(N) * 10**5, False),
        ("customer_id", "int", np.arange(N) // 2, False),
        ("customer_id", "int", np.maximum(np.arange(N), 1), True),
        ("customer_id", "float", np.where(np.arange(N) == 3, np.nan, np.arange(N)), True),
        ("customer_id", "float", NOISE, False),
        ("country_id", "int", np.arange(N) % 20, False),
        ("x", "int", np.arange(40), False),
        ("x", "float", np.arange(float(N)), False),
        ("x", "int", np.where(np.arange(N) == 3, np.nan, np.arange(N)), False),
        ("paid", "int", RNG.permutation(N) * 10**5, False),
    ],
)
def test_ids_are_found_and_counts_are_not(name: str, kind: str, values: Array, found: bool) -> None:
    part = id_leaks([Column(name=name, type=kind)], {name: values})  # type: ignore[arg-type]
    assert bool(part.violations) is found


def test_a_column_that_is_declared_unique_names_the_row() -> None:
    (what,) = told(id_leaks([Column(name="x", type="string", unique=True)], {"x": np.array(["a", "b"])}))
    assert (
        what
        == "feature 'x' is declared unique: it names the row, and a model that learns it knows nothing of others; leave it out of the inputs"
    )


@pytest.mark.parametrize("values", [np.arange(N), np.array([f"u{i}" for i in range(N)])])
def test_a_column_that_is_declared_not_to_be_unique_is_no_id(values: Array) -> None:
    kind = "int" if values.dtype.kind == "i" else "string"
    for name in ("elevation", "user_id"):
        part = id_leaks([Column(name=name, type=kind, unique=False)], {name: values})  # type: ignore[arg-type]
        assert (part.violations, part.checks) == ((), 0)


def test_rows_of_the_validation_among_the_data_are_found_by_all_features() -> None:
    columns = [Column(name="a", type="float"), Column(name="b", type="string")]
    train = {"a": np.array([1.0, 2.0, 3.0]), "b": object_array(["x", "y", None]), "label": np.array([1, 0, 1])}
    other = {"a": np.array([1.0, 3.0, 2.0]), "b": object_array(["y", None, "y"]), "label": np.array([0, 0, 0])}
    part = shared_rows(columns, train, other)
    assert told(part) == ["2 of 3 rows of the validation are among the data"]
    assert part.violations[0].examples == ("row 1 is row 2 of the data", "row 2 is row 1 of the data")
    assert [(one.name, one.value, one.n) for one in part.measures] == [("shared_rows", 2, 3)]
    assert shared_rows(columns, train, {"a": np.array([9.0]), "b": object_array(["x"])}).violations == ()


def test_a_validation_without_rows_is_a_failure() -> None:
    columns = [Column(name="a", type="float")]
    assert told(shared_rows(columns, {"a": np.array([1.0])}, {"a": np.array([])})) == ["the validation has no rows"]


def test_validation_rows_from_before_the_latest_training_row_are_time_travel() -> None:
    days = np.array(["2026-01-01", "2026-01-03"], "M8[D]")
    part = time_overlap("seen", {"seen": days}, {"seen": np.array(["2026-01-02", "2026-01-04", "NaT"], "M8[D]")})
    assert told(part) == ["1 of 2 rows of the validation lie before the latest row of the data by 'seen', first at row 0"]
    assert time_overlap("seen", {"seen": days}, {"seen": days + 2}).violations == ()
    assert told(time_overlap("seen", {"seen": days}, {"seen": np.array(["NaT"], "M8[D]")})) == [
        "column 'seen' has no times on one side, so the order of the splits is not known"
    ]
