"""A magic's line as words.

Blanks inside brackets or quotes do not split, so ``X[:8, 0]`` and ``"too slow"`` are one word each. There are no escapes: a backslash is
a backslash, as Windows paths want it, and a word with both kinds of quotes must be an expression.
"""

from jupyter_mlprod.core.errors import Code, MlprodError

OPEN = {"(": ")", "[": "]", "{": "}"}


def split_words(line: str) -> list[str]:
    """Words of a line; a word that is quoted as a whole loses its quotes, quotes inside an expression stay.

    Raises
    ------
    MlprodError : ``bad-request`` when a quote or bracket is not closed.

    Examples
    --------
    >>> split_words('check digits --data table[["a", "b"]] --why "too slow"')
    ['check', 'digits', '--data', 'table[["a", "b"]]', '--why', 'too slow']
    """
    words: list[str] = []
    word, quote, closing = "", "", list[str]()
    for character in line:
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        elif character in OPEN:
            closing.append(OPEN[character])
        elif closing and character == closing[-1]:
            closing.pop()
        elif character.isspace() and not closing:
            words, word = ([*words, word] if word else words), ""
            continue
        word += character
    if quote or closing:
        raise MlprodError(Code.BAD_REQUEST, f"{quote or closing[-1]} is not closed in {line.strip()[:80]!r}")
    return [_unquoted(part) for part in ([*words, word] if word else words)]


def _unquoted(word: str) -> str:
    """The word without the quotes around the whole of it, or around the whole value of an ``--option=value``."""
    option, equals, value = word.partition("=")
    if equals and option.startswith("-"):
        return f"{option}={_unquoted(value)}"
    whole = len(word) > 1 and word[0] in "\"'" and word.endswith(word[0]) and word[0] not in word[1:-1]
    return word[1:-1] if whole else word
