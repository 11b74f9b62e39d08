"""Plain text: what is left of a name or a note once nothing in it can act on whoever shows it."""

import unicodedata

LINE_ENDS = "\n\r\t\v\f\x85\u2028\u2029"


def clean(text: str) -> str:
    """Text without control and direction characters, which could redraw a terminal or turn a name around; on one line."""
    return "".join(" " if character in LINE_ENDS else character for character in text if character in LINE_ENDS or _harmless(character))


def _harmless(character: str) -> bool:
    return unicodedata.category(character) not in ("Cc", "Cf", "Cs")
