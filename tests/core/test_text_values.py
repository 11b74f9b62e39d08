"""A text of a .csv is what the contract says, and both readers of such files read it alike."""

from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_mlprod.adapters.frames.source import as_declared
from jupyter_mlprod.core.text_values import value_of

TEXTS = (
    "1", "+1", "-0", " 1 ", "01", "1.", ".5", "1e3", "1E-3", "1e400", "inf", "-inf", "Infinity", "1_000", "1,5", "0x1", "e5", ".", "",
    "9007199254740993", "9007199254740992", "-9223372036854775809", "9" * 30, "1.0", "\u0661", "true", "TRUE", "yes", "a", "2026-01-01",
)  # fmt: skip


@pytest.mark.parametrize("kind", ["float", "int", "bool", "string", "time", "time_utc"])
@given(texts=st.lists(st.one_of(st.none(), st.sampled_from(TEXTS)), max_size=4))
def test_a_column_is_read_as_its_texts_are_one_by_one(kind: Any, texts: list[str | None]) -> None:
    read = as_declared(pl.Series(texts, dtype=pl.String), kind)
    expected = [value_of(text, kind) for text in texts]
    assert list(read) == expected
    assert [type(value) for value in read] == [type(value) for value in expected]
