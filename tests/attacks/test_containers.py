"""What lies behind an array's end, behind a damaged packer's mark, or in a second stream is looked at; numbers that begin like a mark are not."""

import gzip
import io
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from jupyter_mlprod.core.scan_file import look_into
from jupyter_mlprod.core.scan_look import Notes
from tests.attacks.hostile import SYSTEM, Opens, zipped
from tests.attacks.state_dicts import saved

RNG = np.random.default_rng(0)


def hostile(data: bytes) -> str:
    notes = Notes()
    look_into(io.BytesIO(data), notes, name="golden/file")
    return "; ".join(str(spot) for spot in notes.spots if spot.kind == "hostile")


def npy(*arrays: Any) -> bytes:
    buffer = io.BytesIO()
    for array in arrays:
        np.save(buffer, np.asarray(array), allow_pickle=True)
    return buffer.getvalue()


PLAIN = [
    np.zeros((3, 4), np.float32), np.array(7.0), np.zeros((0, 3)), np.array(["a", "bcd"]), np.array([b"a", b"bcd"]),
    np.array(["2026-01-01"], "M8[ns]"), np.zeros(2, "V7"), np.zeros(2, ">i4"), np.zeros(3, bool), np.zeros(2, np.complex64),
    np.zeros(2, [("a", "<f4"), ("b", "<U3", (2,)), (("title", "c"), "|u1")]), np.zeros(2, np.dtype([("a", "u1"), ("b", "f8")], align=True)),
    np.zeros(2, [("point", [("x", "<f8"), ("y", "<f8")])]), np.asfortranarray(np.zeros((2, 3))),
]  # fmt: skip


@pytest.mark.parametrize("array", PLAIN, ids=str)
def test_an_array_ends_where_numpy_says(array: np.ndarray[Any, Any]) -> None:
    assert hostile(npy(array)) == ""
    assert hostile(npy(array, *PLAIN)) == ""
    assert "runs os.system" in hostile(npy(array) + SYSTEM)
    assert "1 bytes behind its end" in hostile(npy(array) + b"\0")


@given(st.sampled_from("?bBhHiIlLefdFD"), st.lists(st.integers(0, 5), max_size=4))
def test_any_type_and_shape_ends_where_numpy_says(kind: str, shape: list[int]) -> None:
    data = npy(np.zeros(shape, kind))
    assert hostile(data) == ""
    assert hostile(data + SYSTEM[:1]) != ""


@pytest.mark.parametrize("coat", [lambda data: data, gzip.compress, zlib.compress, lambda data: zipped(("a.npy", data))])
@pytest.mark.parametrize("second", [npy([Opens()]), SYSTEM, npy([1.0], [Opens()]), b"anything"])
def test_a_second_stream_behind_an_array_is_told(coat: Callable[[bytes], bytes], second: bytes) -> None:
    assert hostile(coat(npy([1.0, 2.0]) + second))


def test_a_shape_that_reads_nothing_or_everything_is_told() -> None:
    assert "header cannot be read" in hostile(npy([1.0] * 10).replace(b"(10,)", b"(-1,)") + SYSTEM)
    assert "bytes short" in hostile(npy([1.0] * 10)[:-8])


def test_a_zip_that_lies_in_an_array_is_looked_into() -> None:
    assert "runs os.system" in hostile(npy(np.frombuffer(zipped(("data.pkl", SYSTEM)), np.uint8)))


# Marks of two bytes.

MARKS = [b"\x1f\x8b", b"\x1f\x9d", b"\x1f\x9d\x90", b"\x78\x9c", b"\x78\x01", b"\x1f\x8b\x08\x00"]


@pytest.mark.parametrize("mark", MARKS)
def test_a_state_dict_whose_numbers_begin_like_a_packer_is_clean(mark: bytes) -> None:
    for _ in range(20):
        values = np.frombuffer(mark + RNG.integers(0, 256, 4096 - len(mark), np.uint8).tobytes(), np.float32).copy()
        data = saved({"weight": torch.from_numpy(values)}, as_zip=True)
        torch.load(io.BytesIO(data), weights_only=True)
        assert hostile(data) == ""


@pytest.mark.parametrize("mark", [MARKS[0], *MARKS[3:5]])
def test_raw_numbers_that_begin_like_a_packer_are_clean(mark: bytes) -> None:
    assert [hostile(mark + RNG.integers(0, 256, 5000, np.uint8).tobytes()) for _ in range(50)] == [""] * 50


def test_what_is_packed_is_still_looked_into_outside_of_storages() -> None:
    net = zipped(("m/data.pkl", b"\x80\x02N."), ("m/other", gzip.compress(SYSTEM)), ("m/data/x", gzip.compress(SYSTEM)))
    assert hostile(net).count("runs os.system") == 2
    assert "packed by compress" in hostile(b"\x1f\x9d\x90" + b"\0" * 40)


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
def test_what_a_packer_gives_before_it_breaks_is_looked_at(pack: Callable[[bytes], bytes]) -> None:
    packed = pack(SYSTEM + bytes(RNG.integers(0, 256, 20_000, np.uint8)))
    for broken in (packed[:-3], packed[:-4] + b"abcd", packed[:9000] + b"\xff" * 50, pack(SYSTEM)[:-2] + b"xx", pack(b"") + pack(SYSTEM)):
        assert "runs os.system" in hostile(broken), len(broken)


def test_text_that_begins_like_bzip2_is_text() -> None:
    assert hostile(b"BZhou, Ltd.\n") == ""


def test_a_zip_around_a_broken_zip_is_told() -> None:
    assert hostile(zipped(("a", zipped(("b", b"x" * 100), kind=zipfile.ZIP_STORED)[:-30])))
