"""The form that code-like strings have in common, as a pattern anchored at both ends.

A form is made of digits, capitals, small letters and the marks between them, never of a letter or digit itself, so that a pattern tells
nothing of anybody.
"""

import itertools
import re
from collections.abc import Iterable

from jupyter_mlprod.core.pattern import pattern_fault

LONGEST_CODE = 40
MOST_FORMS = 3
SPECIAL = re.compile(r"[.^$*+?{}\[\]\\|()]")
"""What a pattern reads otherwise, in Python and in ECMA 262, which takes no other escape."""

CLASSES = {"9": "[0-9]", "A": "[A-Z]", "a": "[a-z]"}

Run = tuple[str, int]


def form_of(texts: Iterable[str]) -> str:
    r"""A pattern that all texts match, or nothing where they are no codes: each holds a digit, and there are few forms.

    >>> form_of(["AB-1234", "XY-77"])
    '^[A-Z]{2}-[0-9]{2,4}$'
    """
    forms: dict[tuple[str, ...], list[list[int]]] = {}
    for value in texts:
        if not value or len(value) > LONGEST_CODE or not value.isascii() or not value.isprintable():
            return ""
        runs = _runs(value)
        if not any(kind == "9" for kind, _ in runs):
            return ""
        sizes = forms.setdefault(tuple(kind for kind, _ in runs), [[n, n] for _, n in runs])
        for extent, (_, n) in zip(sizes, runs, strict=True):
            extent[0], extent[1] = min(extent[0], n), max(extent[1], n)
        if len(forms) > MOST_FORMS:
            return ""
    if not forms or any(len(kinds) == 1 for kinds in forms):  # nothing but digits says little
        return ""
    written = sorted("".join(_written(kind, *extent) for kind, extent in zip(kinds, sizes, strict=True)) for kinds, sizes in forms.items())
    pattern = f"^{written[0]}$" if len(written) == 1 else f"^(?:{'|'.join(written)})$"
    return "" if pattern_fault(pattern) else pattern


def _runs(value: str) -> list[Run]:
    return [(kind, len(list(run))) for kind, run in itertools.groupby(map(_class, value))]


def _class(character: str) -> str:
    return "9" if character.isdigit() else "A" if character.isupper() else "a" if character.islower() else f" {character}"


def _written(kind: str, least: int, most: int) -> str:
    one = CLASSES.get(kind) or SPECIAL.sub(r"\\\g<0>", kind[1:])
    if least == most:
        return one if most == 1 else f"{one}{{{most}}}"
    return f"{one}{{{least},{most}}}"
