"""Values that are no category, and look like one: written in other letters, another case, or with blanks and invisible characters.

A of Cyrillic and A of Latin are one to whoever reads a report and two to every comparison. The map of letters is small on purpose:
Cyrillic and Greek, which keyboards bring, and not the thousands of the Unicode consortium's list, most of which nobody types by mistake.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from functools import cached_property

MOST_DISTINCT = 10_000
"""Where a column has more values that are no category, it is another column, and none of them is looked at."""
MOST_TOLD = 3

LIKE = {
    "A": "\u0410\u0391", "B": "\u0412\u0392", "C": "\u0421", "E": "\u0415\u0395", "H": "\u041d\u0397", "I": "\u0406\u0399",
    "J": "\u0408", "K": "\u041a\u039a", "M": "\u041c\u039c", "N": "\u039d", "O": "\u041e\u039f", "P": "\u0420\u03a1", "S": "\u0405",
    "T": "\u0422\u03a4", "X": "\u0425\u03a7", "Y": "\u0423\u04ae\u03a5", "Z": "\u0396", "a": "\u0430\u03b1", "c": "\u0441\u03f2",
    "d": "\u0501", "e": "\u0435", "h": "\u04bb", "i": "\u0456\u03b9", "j": "\u0458", "o": "\u043e\u03bf", "p": "\u0440\u03c1",
    "q": "\u051b", "s": "\u0455", "v": "\u0475\u03bd", "w": "\u051d", "x": "\u0445", "y": "\u0443",
}  # fmt: skip
"""The letters of Cyrillic and Greek that look like one of Latin."""
CONFUSABLE = str.maketrans({letter: latin for latin, letters in LIKE.items() for letter in letters})


def looks_of(text: str) -> tuple[str, str]:
    """What a text looks like: without regard to case, width, blanks around it and invisible characters; and the same in Latin letters.

    >>> looks_of(" \\uff21da ")
    ('ada', 'ada')
    """
    seen = "".join(c for c in unicodedata.normalize("NFKC", text) if unicodedata.category(c) != "Cf").strip()
    return seen.casefold(), seen.translate(CONFUSABLE).casefold()


class Looks:
    """What some categories look like, made when the first value that is none of them is asked about.

    Examples
    --------
    >>> Looks(("A",)).alike({"a ": 2, "b": 1})
    "; 2 rows look like category 'A' and are written differently"
    """

    def __init__(self, categories: Sequence[str]) -> None:
        self.categories = categories

    @cached_property
    def known(self) -> dict[str, int]:
        """The number of the first category of each look."""
        known: dict[str, int] = {}
        for number, category in enumerate(self.categories):
            for look in looks_of(category):
                known.setdefault(look, number)
        return known

    def alike(self, bad: Mapping[str, int]) -> str:
        """What a sentence about values that are no category goes on with; empty when none looks like one.

        Parameters
        ----------
        bad : value → rows that have it
        """
        if not bad or len(bad) > MOST_DISTINCT:
            return ""
        rows: dict[int, int] = {}
        for value, count in bad.items():
            for number in [self.known[look] for look in looks_of(value) if look in self.known][:1]:
                rows[number] = rows.get(number, 0) + count
        return "".join(_told(self.categories[number], rows[number]) for number in sorted(rows)[:MOST_TOLD])


def _told(name: str, rows: int) -> str:
    if rows == 1:
        return f"; 1 row looks like category {name!r} and is written differently"
    return f"; {rows:,} rows look like category {name!r} and are written differently"
