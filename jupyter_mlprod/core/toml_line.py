"""TOML on single lines: keys, section headers, comments and values, as ``contract.toml`` is written.

`document.toml_value` puts each item of an array on a line of its own; here a value is one line, because a suggestion is accepted by taking
the mark of a comment away from it.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from jupyter_mlprod.core.plain import clean

BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def key_text(key: str) -> str:
    """A key, in quotes where it has to be."""
    return key if BARE_KEY.fullmatch(key) else text(key)


def dotted(path: Sequence[str]) -> str:
    """``inputs."a name".low``."""
    return ".".join(map(key_text, path))


def section_text(path: Sequence[str]) -> str:
    """The header of a table."""
    return f"[{dotted(path)}]"


def comment(sentence: str) -> str:
    """A comment on one line, whatever the sentence holds."""
    return f"# {clean(sentence)}"


def text(value: str) -> str:
    """A basic string. Half a surrogate pair, which TOML has not, is written as the replacement character.

    What ends a line or turns it around is escaped, so that a value stays on its line wherever lines are told apart, and is shown as it is.

    >>> text('a "b"'), text("a\\u2028b")
    ('"a \\\\"b\\\\""', '"a\\\\u2028b"')
    """
    whole = value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    written = json.dumps(whole, ensure_ascii=False)
    return written if clean(written) == written else "".join(map(_visible, written))


def _visible(character: str) -> str:
    if clean(character) == character:
        return character
    return f"\\u{ord(character):04x}" if ord(character) <= 0xFFFF else f"\\U{ord(character):08x}"


def inline(value: Any) -> str:
    """A value on one line.

    Raises
    ------
    TypeError : for a type that TOML does not have.
    """
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return text(value)
        case float() if not math.isfinite(value):
            return "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf")
        case int() | float():
            return repr(value)
        case Mapping():
            return "{ " + ", ".join(f"{key_text(key)} = {inline(item)}" for key, item in value.items()) + " }"
        case list() | tuple():
            return "[" + ", ".join(map(inline, value)) + "]"
    raise TypeError(type(value).__name__)
