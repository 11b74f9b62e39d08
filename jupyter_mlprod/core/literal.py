"""A value as a Python expression that gives it back exactly; what has no such expression gives None.

Types are held exactly: a subclass has a repr of its own, and state that the expression would lose.
"""

import math
import pathlib
import re
from typing import Any

MAX_ELEMENTS = 10_000
"""Of a container or an array; a larger one becomes a file beside the code."""
DECIMAL_BITS, MAX_BITS = 10_000, 1_000_000
"""Python writes and reads no more than 4300 decimal digits of an int; of hexadecimal ones, any number."""
PLAIN = (bool, int, str, bytes, type(None))
CONTAINERS = (list, tuple, set, frozenset, dict)


def literal(value: Any, imports: set[str]) -> str | None:
    """A value that holds no other as an expression, or None; modules that the expression names are added to ``imports``."""
    if type(value) is int and value.bit_length() > DECIMAL_BITS:
        return hex(value) if value.bit_length() <= MAX_BITS else None
    if type(value) in PLAIN:
        return repr(value)
    if type(value) is float:
        return repr(value) if math.isfinite(value) else f"float({str(value)!r})"
    if type(value) is re.Pattern:
        imports.add("import re")
        return f"re.compile({value.pattern!r}, {value.flags})"
    if isinstance(value, pathlib.PurePath):
        imports.add("import pathlib")
        return f"pathlib.Path({str(value)!r})"
    if type(value).__module__ == "numpy" and hasattr(value, "dtype"):
        return _array(value, imports)
    return None


def container(kind: type, texts: list[str]) -> str:
    """The expression of a container from those of its items; of a dict, keys and values in turn."""
    if kind is dict:
        return "{" + ", ".join(f"{key}: {item}" for key, item in zip(texts[::2], texts[1::2], strict=True)) + "}"
    if kind is tuple:
        return "(" + "".join(f"{text}, " for text in texts) + ")"
    if kind is list:
        return f"[{', '.join(texts)}]"
    return f"{kind.__name__}([{', '.join(sorted(texts))}])"


def items_of(value: Any) -> list[Any]:
    """What a container holds; of a dict, keys and values in turn."""
    return [item for pair in value.items() for item in pair] if isinstance(value, dict) else list(value)


def is_large(value: Any) -> bool:
    """Whether a container holds more than ``MAX_ELEMENTS``, containers inside it counted with what they hold."""
    left, todo = MAX_ELEMENTS, [value]
    while todo:
        held = todo.pop()
        left -= len(held)
        if left < 0:
            return True
        todo += [item for item in items_of(held) if type(item) in CONTAINERS]
    return False


def _array(value: Any, imports: set[str]) -> str | None:
    """An array, or a scalar of numpy's, which is taken out of an array of no dimensions."""
    array = type(value).__name__ == "ndarray"
    if not has_exact_type(value) or value.size > MAX_ELEMENTS or not (array or value.shape == ()):
        return None
    imports.add("import numpy")
    if value.size == 0:
        return f"numpy.empty({value.shape}, dtype={value.dtype.str!r})"
    return f"numpy.array({_nested(value.tolist())}, dtype={value.dtype.str!r})" + ("" if array else "[()]")


def has_exact_type(array: Any) -> bool:
    """Numbers, booleans and strings of numpy whose text is exact; long doubles have none."""
    return array.dtype.kind in "fiubU" and array.dtype.char != "g"


def _nested(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_nested, value))}]"
    return repr(value) if not isinstance(value, float) or math.isfinite(value) else f"float({str(value)!r})"
