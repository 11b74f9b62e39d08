"""The reference profile of a column does not depend on where the column was cut, and no block is too odd to be described."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_mlprod.core.raw import Array
from jupyter_mlprod.core.reference import facts, number_part, string_part, tensor_part
from jupyter_mlprod.core.snapshot import Numbers

QUICK = settings(max_examples=100, deadline=None, derandomize=True)
NUMBERS = st.one_of(st.floats(-1e6, 1e6), st.sampled_from([math.nan, math.inf, -math.inf, -0.0, 0.1, 1e300, 2.0**53]))
CUTS = st.lists(st.integers(0, 40), max_size=4)
NONE = np.arange(0)


def cut(values: Array, cuts: list[int]) -> list[Array]:
    return [part for part in np.split(values, sorted(cuts)) if len(part)]


def described(values: Array, cuts: list[int]) -> tuple[int, Numbers | None]:
    """Nulls, and the profile of all rows, of a column that was cut into blocks."""
    found = facts("c", [number_part(block, np.arange(len(block))) for block in cut(values, cuts)])
    return found.nulls, found.channels[0] if found.channels else None


@QUICK
@given(values=st.lists(NUMBERS, min_size=1, max_size=40), cuts=CUTS)
def test_a_column_cut_anywhere_has_the_profile_of_the_whole(values: list[float], cuts: list[int]) -> None:
    array = np.array(values)
    finite = array[np.isfinite(array)]
    nulls, numbers = described(array, cuts)
    assert nulls == np.isnan(array).sum()
    if numbers is None:
        assert nulls == len(array)
        return
    assert numbers.infinite == np.isinf(array).sum()
    assert (numbers.low, numbers.high) == ((finite.min(), finite.max()) if len(finite) else (None, None))
    with np.errstate(over="ignore"):
        mean, std = (finite.mean(), finite.std()) if len(finite) else (None, None)
    assert (numbers.mean is None) == (mean is None)
    if mean is not None and std is not None:
        scale = float(np.abs(finite).max())
        assert numbers.mean == pytest.approx(mean, rel=1e-8, abs=1e-12 * scale)
        if math.isfinite(std):
            assert numbers.std == pytest.approx(std, rel=1e-8, abs=1e-12 * scale)
        else:
            assert numbers.std is None
    whole = described(array, [])[1]
    assert whole is not None
    assert (whole.quantiles, whole.edges, whole.counts) == (numbers.quantiles, numbers.edges, numbers.counts)


@QUICK
@given(value=st.floats(-1e12, 1e12), rows=st.integers(1, 40), cuts=CUTS)
def test_what_never_changes_deviates_by_nothing_wherever_it_is_cut(value: float, rows: int, cuts: list[int]) -> None:
    _, numbers = described(np.full(rows, value), cuts)
    assert numbers is not None
    assert numbers.std == 0.0


@QUICK
@given(values=st.lists(st.sampled_from("abcde"), min_size=1, max_size=40), cuts=CUTS)
def test_strings_are_counted_alike_wherever_they_are_cut(values: list[str], cuts: list[int]) -> None:
    found = [
        facts("c", [string_part("string", b"", rows=len(block), nulls=0, sample=counted(block)) for block in cut(np.array(values), places)])
        for places in ([], cuts)
    ]
    assert found[0].categories == found[1].categories


def counted(block: Array) -> dict[str, int]:
    names, counts = np.unique(block, return_counts=True)
    return dict(zip(names.tolist(), counts.tolist(), strict=True))


@pytest.mark.parametrize("shape", [(3, 4), (3, 2, 5, 5), (3, 5, 5, 2), (3, 4, 5), (3, 300)])
def test_a_block_of_which_no_row_is_sampled_is_described(shape: tuple[int, ...]) -> None:
    block = np.arange(np.prod(shape)).reshape(shape)
    found = facts("c", [tensor_part(block, NONE), tensor_part(block, np.arange(3))], shape=shape[1:], dtype="int64")
    assert min(one.low for one in found.channels if one.low is not None) == 0
    assert sum(sum(one.counts) for one in found.channels) == block.size


def test_the_sample_of_a_picture_does_not_keep_the_picture() -> None:
    part = tensor_part(np.zeros((4, 3, 100, 100), dtype=np.uint8), np.arange(4))
    assert part.sample.base is None
    assert part.sample.shape == (3, math.ceil(4 * 100 * 100 / 15))
