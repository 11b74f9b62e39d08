"""The texts of an ONNX graph: names, doc strings, metadata, string tensors, read off protobuf's wire format.

The fields are those of onnx.proto, as a table here, so that nobody who scans needs the library, and so that the numbers of tensors are
passed over and everything else is read. A field that the table does not know is read as text if it is some.
"""

from collections.abc import Iterator

LARGEST = 1 << 30
DEEPEST = 50
VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
NUMBERS = "numbers"
TEXT = "text"
Fields = dict[int, str]

MESSAGES: dict[str, Fields] = {
    "model": {7: "graph", 8: "opset", 14: "entry", 20: "training", 25: "function"},
    "graph": {1: "node", 5: "tensor", 11: "value", 12: "value", 13: "value", 14: "annotation", 15: "sparse", 16: "entry"},
    "node": {5: "attribute", 9: "entry"},
    "attribute": {
        5: "tensor", 6: "graph", 7: NUMBERS, 8: NUMBERS, 10: "tensor", 11: "graph", 14: "type", 15: "type", 22: "sparse", 23: "sparse",
    },
    "tensor": {1: NUMBERS, 4: NUMBERS, 5: NUMBERS, 7: NUMBERS, 9: NUMBERS, 10: NUMBERS, 11: NUMBERS, 13: "entry", 16: "entry"},
    "sparse": {1: "tensor", 2: "tensor", 3: NUMBERS},
    "value": {2: "type", 4: "entry"},
    "type": {1: "tensor type", 4: "inner", 5: "map", 8: "tensor type", 9: "inner"},
    "tensor type": {2: "shape"},
    "shape": {1: "dimension"},
    "dimension": {},
    "inner": {1: "type"},
    "map": {2: "type"},
    "entry": {},
    "opset": {},
    "annotation": {2: "entry"},
    "training": {1: "graph", 2: "graph", 3: "entry", 4: "entry"},
    "function": {7: "node", 9: "opset", 11: "attribute", 12: "value", 14: "entry"},
}  # fmt: skip
"""Message → its fields that hold a message or numbers; any other field of bytes is text."""


def onnx_texts(data: bytes) -> list[str] | None:
    """Every text of a model, or None when the bytes are no ONNX model."""
    try:
        top = {number: kind for number, kind, _, _ in _fields(data, 0, len(data))}
        if top.get(1) != VARINT or top.get(7) != LENGTH:
            return None
        return list(_texts(data, 0, len(data), "model", 0))
    except ValueError:
        return None


def _texts(data: bytes, start: int, end: int, message: str, depth: int) -> Iterator[str]:
    if depth > DEEPEST:
        raise ValueError("it is nested too deep")
    known, told = MESSAGES[message], []
    for number, kind, first, last in _fields(data, start, end):
        inner = known.get(number, TEXT)
        if kind != LENGTH or inner == NUMBERS:
            continue
        if inner != TEXT:
            yield from _texts(data, first, last, inner, depth + 1)
        else:
            told.append(data[first:last].decode("utf-8", "replace"))
    if message == "entry" and len(told) == 2:
        yield f'{told[0]}: "{told[1]}"'  # what is assigned to a name is seen as assigned
    else:
        yield from told


def _fields(data: bytes, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Number, wire type, and where the content lies, of each field of a message; what is no message is a ValueError."""
    at = start
    while at < end:
        tag, at = _varint(data, at, end)
        number, kind = tag >> 3, tag & 7
        first = at
        if kind == VARINT:
            _, at = _varint(data, at, end)
        elif kind == LENGTH:
            length, first = _varint(data, at, end)
            at = first + length
        elif kind in (FIXED64, FIXED32):
            at += 8 if kind == FIXED64 else 4
        else:
            raise ValueError(f"wire type {kind}")
        if at > end or number == 0:
            raise ValueError("a field ends behind its message")
        yield number, kind, first, at


def _varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while at < end and shift < 70:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
    raise ValueError("a number without end")
