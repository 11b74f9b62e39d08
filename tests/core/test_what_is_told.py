"""What a finding tells of personal data: nothing, whichever field and whichever back end it comes from."""

import datetime
import functools
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from jupyter_mlprod.adapters.frames import Frames
from jupyter_mlprod.core.batch import check_batch
from jupyter_mlprod.core.conformance import Conformance, shape_of
from jupyter_mlprod.core.contract import Column, Contract, Tensor
from jupyter_mlprod.core.errors import MlprodError
from jupyter_mlprod.core.raw import object_array
from jupyter_mlprod.workspace import no_progress

OUTPUTS = (Tensor(name="score", dtype="float32", shape=("batch",)),)
NOW = datetime.datetime(2026, 5, 4, 12, tzinfo=datetime.UTC)


def both(contract: Contract, **columns: list[Any]) -> Conformance:
    """What the two back ends agree on."""
    frames = Frames(no_progress).check(contract, columns, view="serving", now=NOW)
    assert check_batch(contract, {name: object_array(values) for name, values in columns.items()}, now=NOW) == frames
    return frames


@pytest.mark.parametrize(("personal", "told"), [("visit", "row 0: personal, withheld"), ("none", "row 0: 2020-01-02 03:04:00+00:00")])
def test_a_personal_event_time_is_not_told_of_the_value_that_is_too_old(personal: str, told: str) -> None:
    pressure = Column(name="pressure", type="float", max_age="1h", event_time="visit")
    contract = Contract(inputs=(pressure, Column(name="visit", type="time_utc", pii=personal)), outputs=OUTPUTS)
    seen = datetime.datetime(2020, 1, 2, 3, 4, tzinfo=datetime.UTC)
    (stale,) = both(contract, pressure=[1.0], visit=[seen]).violations
    assert (stale.field, stale.check, stale.examples) == ("pressure", "stale", (told,))


def test_a_personal_value_does_not_hide_the_event_time_that_is_not() -> None:
    pressure = Column(name="pressure", type="float", max_age="1h", event_time="visit", pii="health")
    contract = Contract(inputs=(pressure, Column(name="visit", type="time_utc")), outputs=OUTPUTS)
    seen = datetime.datetime(2020, 1, 2, 3, 4, tzinfo=datetime.UTC)
    (stale,) = both(contract, pressure=[1.0], visit=[seen]).violations
    assert stale.examples == ("row 0: 2020-01-02 03:04:00+00:00",)


@pytest.mark.parametrize(("personal", "told"), [("health", False), ("none", True)])
def test_which_category_a_personal_value_looks_like_is_not_told(personal: str, told: bool) -> None:
    diagnosis = Column(name="diagnosis", type="string", categories=("HIV positive", "healthy"), pii=personal)
    (found,) = both(Contract(inputs=(diagnosis,), outputs=OUTPUTS), diagnosis=["hiv positive"]).violations
    assert ("HIV" in found.what) is told


@pytest.mark.parametrize(
    ("text", "shape"),
    [("Ada 1815", "Xxx 9999"), ("प्रिया", "xxxxxx"), ("น้ำ", "xxx"), ("½ Ⅷ ٣", "9 9 9"), ("e\u0301-x", "xx-x")],
)
def test_of_the_shape_of_a_text_no_letter_mark_or_number_is_left(text: str, shape: str) -> None:
    assert shape_of(text) == shape


def test_an_error_does_not_repeat_what_could_not_be_read(tmp_path: Path) -> None:
    said = [("float", "Ada Lovelace"), ("int", "Ada Lovelace"), ("time", "Ada Lovelace"), ("date", "Ada Lovelace")]
    contract = Contract(inputs=(Column(name="f", type="float"),), outputs=OUTPUTS)
    sources: list[Any] = []
    for tag, value in said:
        arrays: dict[str, Any] = {"json/f": np.array([json.dumps({tag: value})])}
        np.savez(tmp_path / f"{tag}.npz", **arrays)
        sources.append(tmp_path / f"{tag}.npz")
    (tmp_path / "open.csv").write_text('f\n1\n"Ada Lovelace\n2\n')
    names = pl.LazyFrame({"f": ["Ada Lovelace"]})
    sources += [tmp_path / "open.csv", names.with_columns(pl.col("f").map_elements(functools.partial(float), return_dtype=pl.Float64))]
    for source in sources:
        try:
            found = str(Frames(no_progress).check(contract, source, view="serving"))
        except MlprodError as error:
            found = str(error)
        assert "Ada" not in found
