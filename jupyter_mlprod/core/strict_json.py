"""JSON that has one reading only: what a manifest, a notebook and a snapshot from elsewhere are read by.

Two readers may differ over a key that is there twice, over NaN and over a number too large for a float: the one that scans would look
at another document than the one that runs. Such a document is refused here, although Python's own reader takes it.
"""

import json
import math
from collections import Counter
from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec

Kind = TypeVar("Kind")

DEEPEST = 200
"""Lists and objects inside one another; a notebook's deepest outputs have some thirty."""


def strict_json(data: bytes | str) -> Any:
    """The document.

    Parameters
    ----------
    data : UTF-8 when bytes

    Raises
    ------
    ValueError : no JSON; a key twice in one object; NaN, an infinity or a number too large for a float; nested more than 200 deep.

    Examples
    --------
    >>> strict_json('{"rows": [1, 2.5]}')
    {'rows': [1, 2.5]}
    """
    text = data.decode("utf-8") if isinstance(data, bytes) else data
    try:
        document = json.loads(text, object_pairs_hook=_once, parse_constant=_no_number, parse_float=_finite)
    except RecursionError:
        raise ValueError(f"it is nested more than {DEEPEST} deep") from None
    level, depth = [document], 0
    while level := [inner for outer in level for inner in _inside(outer) if isinstance(inner, dict | list)]:
        depth += 1
        if depth >= DEEPEST:
            raise ValueError(f"it is nested more than {DEEPEST} deep")
    return document


def strict_record(data: bytes, kind: type[Kind]) -> Kind:
    """A document as the type that it must be of; whatever is wrong with it is a ValueError."""
    strict_json(data)
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(str(error)) from None


def _inside(outer: Any) -> Iterable[Any]:
    return outer.values() if isinstance(outer, dict) else outer if isinstance(outer, list) else ()


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        ((twice, _),) = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"the key {twice[:80]!r} is there twice in one object")
    return found


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no value of JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:40]} is too large a number")
    return value
