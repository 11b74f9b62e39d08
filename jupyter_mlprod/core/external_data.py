"""External data: in which files a graph looks for its weights, read off the bytes of the graph without onnx and without computing.

An ONNX file can name any file of the machine as its weights, and whoever loads it reads that file. A bundle's graph may name one place
alone, so this is looked at wherever a bundle is verified. Only the heads of fields are read, whatever a tensor weighs. What is no plain
protobuf is a fault, since another reader could see something else in it. Encoding: protobuf.dev/programming-guides/encoding.
"""

import mmap
import re
from collections.abc import Iterator
from pathlib import Path

from jupyter_mlprod.core.bundle import GRAPH, GRAPH_DATA

HOLDS: dict[str, dict[int, str]] = {
    "ModelProto": {7: "GraphProto", 20: "TrainingInfoProto", 25: "FunctionProto"},
    "TrainingInfoProto": {1: "GraphProto", 2: "GraphProto"},
    "GraphProto": {1: "NodeProto", 5: "TensorProto", 15: "SparseTensorProto"},
    "FunctionProto": {7: "NodeProto", 11: "AttributeProto"},
    "NodeProto": {5: "AttributeProto"},
    "AttributeProto": {
        5: "TensorProto", 6: "GraphProto", 10: "TensorProto", 11: "GraphProto", 22: "SparseTensorProto", 23: "SparseTensorProto",
    },
    "SparseTensorProto": {1: "TensorProto", 2: "TensorProto"},
    "TensorProto": {13: "StringStringEntryProto"},
}  # fmt: skip
"""Message → number of a field → message in it: every way from a model to the places that its tensors name (onnx.proto)."""

KEY, VALUE = 1, 2
LOCATION = b"location"
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
FIXED = {FIXED64: 8, FIXED32: 4}
MOST_VARINT_BYTES = 10


def _tags(wire_type: int) -> bytes:
    """The one-byte tags of a wire type, as a class of a regular expression."""
    return b"[" + b"".join(re.escape(bytes([number << 3 | wire_type])) for number in range(1, 16)) + b"]"


NUMBERS = re.compile(b"(?:%b[\\x80-\\xff]{0,9}[\\x00-\\x7f]|%b.{8}|%b.{4})*+" % (_tags(VARINT), _tags(FIXED64), _tags(FIXED32)), re.DOTALL)
"""A run of fields that are numbers: the nodes of a forest are millions of them in a row."""

Data = bytes | mmap.mmap


def place_fault(file: Path, *, beside: bool) -> str:
    """Why a bundle's graph may not be loaded for the sake of where its weights lie; empty when it may.

    Parameters
    ----------
    beside : whether the manifest lists ``model.onnx.data``
    """
    try:
        named = locations(_data(file))
    except ValueError as error:
        return f"{GRAPH} cannot be read as a graph: {error}"
    odd = sorted(named - ({GRAPH_DATA.encode()} if beside else set()))
    if not odd:
        return ""
    shown = ascii(odd[0][:100].decode("utf-8", "backslashreplace"))
    return f"{GRAPH} looks for weights in {shown}, and a bundle has them in the graph or in a listed {GRAPH_DATA}"


def _data(file: Path) -> Data:
    """The file, mapped, since only a small part of a large one is looked at; read, where a file system maps none."""
    with file.open("rb") as stream:
        try:
            return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError):  # the latter for an empty file
            return stream.read()


def locations(data: Data) -> set[bytes]:
    """Every place that a tensor of the model names, also in graphs within nodes.

    Raises
    ------
    ValueError : when the bytes are no protobuf.
    """
    found: set[bytes] = set()
    left = [("ModelProto", 0, len(data))]
    while left:
        kind, start, end = left.pop()
        parts = _parts(data, start, end)
        if kind in HOLDS:
            left += [(HOLDS[kind][number], at, stop) for number, at, stop in parts if number in HOLDS[kind]]
        else:
            texts = [(number, bytes(data[at:stop])) for number, at, stop in parts]
            if (KEY, LOCATION) in texts:
                found |= {text for number, text in texts if number == VALUE} or {b""}
    return found


def _parts(data: Data, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Number, beginning and end of each field of a message that is text, bytes or a message."""
    while at < end:
        numbers = NUMBERS.match(data, at, end)
        assert numbers is not None  # none at all match too
        at = numbers.end()
        if at == end:
            return
        tag, at = _varint(data, at, end)
        number, wire_type = tag >> 3, tag & 7
        size = FIXED.get(wire_type, 0)
        if wire_type == VARINT:
            _, at = _varint(data, at, end)
        elif wire_type == BYTES:
            size, at = _varint(data, at, end)
        elif not size:
            raise ValueError(f"a field of wire type {wire_type} at byte {at}")
        if not 0 < number < 1 << 29 or size > end - at:
            raise ValueError(f"field {number} at byte {at} is not as long as it says, or has no such number")
        if wire_type == BYTES:
            yield number, at, at + size
        at += size


def _varint(data: Data, at: int, end: int) -> tuple[int, int]:
    """A number, and where what follows it begins."""
    value = 0
    for place in range(MOST_VARINT_BYTES):
        if at + place >= end:
            break
        value |= (data[at + place] & 0x7F) << 7 * place
        if data[at + place] < 0x80:
            return value, at + place + 1
    raise ValueError(f"a number at byte {at} does not end")
