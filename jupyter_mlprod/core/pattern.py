"""Patterns of a contract: Python's regular expressions, without those whose time grows beyond all measure.

A request must not be able to stop the service by a text that a pattern takes for ever to refuse. What makes that possible is a repetition
of something that is itself repeated or has alternatives, so it is refused; and a text of more than `LONGEST_MATCHED` characters matches
no pattern.
"""

import re
from re import _constants, _parser  # type: ignore[attr-defined]  # the parser that `re` itself uses; the only tree of a pattern there is
from typing import Any

LONGEST_PATTERN = 1_000
LONGEST_MATCHED = 1_000
MANY = 10
"""From so many repetitions on, what is repeated must be simple."""
REPEATS = {_constants.MAX_REPEAT, _constants.MIN_REPEAT, _constants.POSSESSIVE_REPEAT}
REFUSED = {
    _constants.GROUPREF: "a back reference",
    _constants.GROUPREF_EXISTS: "a conditional group",
    _constants.ASSERT: "a look-around",
    _constants.ASSERT_NOT: "a look-around",
}


def pattern_fault(text: str) -> str:
    """What is wrong with a pattern; empty when it can be used.

    >>> pattern_fault(r"^[A-Z]{2}[0-9]{6}$")
    ''
    >>> pattern_fault("(a+)+")
    'repeats what is itself repeated, which can take for ever'
    """
    if len(text) > LONGEST_PATTERN:
        return f"is longer than {LONGEST_PATTERN:,} characters"
    try:
        re.compile(text)
        tree = _parser.parse(text)
    except (re.error, OverflowError, RecursionError) as error:
        return f"is no regular expression: {error}"
    return _fault(tree, repeated=False)


def _fault(tree: Any, *, repeated: bool) -> str:
    for op, argument in tree:
        if op in REFUSED:
            return f"holds {REFUSED[op]}, which can take for ever"
        if op in REPEATS:
            _, most, body = argument
            if repeated and most > 1:
                return "repeats what is itself repeated, which can take for ever"
            parts = [(body, repeated or most > MANY)]
        elif op is _constants.BRANCH:
            if repeated:
                return "repeats alternatives, which can take for ever"
            parts = [(branch, repeated) for branch in argument[1]]
        elif op is _constants.SUBPATTERN:
            parts = [(argument[-1], repeated)]
        else:
            parts = [(argument, repeated)] if op is _constants.ATOMIC_GROUP else []
        for part, inside in parts:
            if fault := _fault(part, repeated=inside):
                return fault
    return ""


def matches(pattern: re.Pattern[str], text: str) -> bool:
    """Whether a pattern is found in a text."""
    return len(text) <= LONGEST_MATCHED and pattern.search(text) is not None
