"""Quality is measured with intervals, and what is broken breaks."""

import numpy as np
import pytest

from jupyter_mlprod.core.checked import Checked
from jupyter_mlprod.core.contract import Column, Tensor
from jupyter_mlprod.core.data_quality import Picture, holds_images, image_quality, table_quality, tensor_quality
from jupyter_mlprod.core.evidence import Measure
from jupyter_mlprod.core.raw import Array, object_array
from jupyter_mlprod.core.snapshot import PROBABILITIES, ColumnFacts, Numbers, Snapshot

AGE, SITE, FLAG = Column(name="age", type="float"), Column(name="site", type="string"), Column(name="flag", type="bool")


def the(part: Checked, name: str, **where: str) -> Measure:
    (found,) = [one for one in part.measures if one.name == name and one.where == where]
    return found


def table() -> dict[str, Array]:
    age = np.arange(100.0)
    age[:4] = np.nan
    age[99] = 9000.0
    return {"age": age, "site": object_array(["x"] * 100), "flag": np.arange(100) % 2 == 0}


def snapshot(quartiles: tuple[float, float, float]) -> Snapshot:
    at = dict(zip((0.25, 0.5, 0.75), quartiles, strict=True))
    quantiles = tuple(at.get(p, 0.0) for p in PROBABILITIES)
    facts = Numbers(low=0, high=1, mean=0, std=1, infinite=0, quantiles=quantiles, edges=(), counts=(1,))
    column = ColumnFacts(name="age", type="float", nulls=0, channels=(facts,))
    return Snapshot(kind="table", rows=9, sampled=9, columns=(column,))


def test_nulls_constants_and_outliers_are_measured_and_break_nothing() -> None:
    found = table_quality((AGE, SITE, FLAG), table(), None, hidden=())
    nulls = the(found, "null_ratio", column="age")
    assert (nulls.value, nulls.n, nulls.method) == (0.04, 100, "wilson")
    assert nulls.low is not None
    assert nulls.low > 0.01
    outliers = the(found, "outlier_ratio", column="age")
    assert (outliers.value, outliers.n) == (1 / 96, 96)
    assert outliers.note.endswith("of the data at hand")
    assert (the(found, "constant_columns").value, the(found, "constant_columns").note) == (1, "site")
    assert found.violations == ()
    assert found.checks == 0


def test_outliers_are_those_of_the_training_data_where_the_bundle_knows_it() -> None:
    found = the(table_quality((AGE,), table(), snapshot((1.0, 2.0, 3.0)), hidden=()), "outlier_ratio", column="age")
    assert found.value == 87 / 96
    assert found.note == "outside -8 to 12, 5 interquartile ranges from the median of the bundle's training data"


def test_of_a_personal_column_no_limits_are_told() -> None:
    found = the(table_quality((AGE,), table(), None, hidden=("age",)), "outlier_ratio", column="age")
    assert found.note == "5 interquartile ranges from the median of the data at hand"


@pytest.mark.parametrize("values", [np.zeros(9), np.full(9, np.nan), np.full(9, np.inf), object_array(["a"] * 9)])
def test_where_there_is_no_width_there_are_no_outliers(values: Array) -> None:
    assert not [one for one in table_quality((AGE,), {"age": values}, None, hidden=()).measures if one.name == "outlier_ratio"]


def test_duplicate_rows_are_told_with_their_first() -> None:
    rows = {"age": np.array([1.0, 2, 1, np.nan, np.nan, 2]), "site": object_array(["a", "b", "a", None, None, "a"])}
    found = the(table_quality((AGE, SITE), rows, None, hidden=()), "duplicate_rows")
    assert (found.value, found.n, found.note) == (2, 6, "row 2 is row 0, row 4 is row 3")


def test_blank_repeated_and_infinite_images_are_found_in_tensors() -> None:
    images = np.random.default_rng(0).random((6, 1, 4, 4), np.float32)
    images[1] = images[4]
    images[2], images[3, 0, 1, 1] = 0.5, np.nan
    found = tensor_quality((Tensor(name="x", dtype="float32", shape=("batch", 1, 4, 4)),), {"x": images})
    assert (the(found, "constant_rows", input="x").value, the(found, "constant_rows", input="x").note) == (1, "first at row 2")
    assert (the(found, "nonfinite_ratio", input="x").value, the(found, "nonfinite_ratio", input="x").n) == (1 / 6, 6)
    assert the(found, "duplicate_rows").note == "row 4 is row 1"


def test_an_image_that_cannot_be_decoded_breaks_a_check_and_is_named() -> None:
    seen = (Picture(name="a.png", hash=b"1" * 32), Picture(name="ada/b.png", hash=b"2" * 32, fault="is no image"))
    (violation,) = image_quality(seen, told=True).violations
    assert violation.what == "the folder holds images that cannot be decoded in 1 of 2 rows, first at row 1"
    assert violation.examples == ("row 1 'ada/b.png': is no image",)
    assert (violation.kind, violation.check, violation.rows) == ("quality", "decode", 1)
    assert "ada" not in str(image_quality(seen, told=False))


def test_only_bytes_that_begin_as_images_are_taken_for_some() -> None:
    assert holds_images(object_array([b"\x89PNG", None, b"torn"])) == [b"\x89PNG", None, b"torn"]
    assert holds_images(object_array([b"\0\1", b"\2"])) == []
    assert holds_images(np.array([1.0])) == []
