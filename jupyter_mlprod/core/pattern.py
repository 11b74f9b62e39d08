"""Patterns of a contract: Python's regular expressions, without those whose time grows beyond all measure.

A request must not be able to stop the service by a text that a pattern takes for ever to refuse. What makes that possible is a repetition
of something that is itself repeated or has alternatives, so it is refused; and so are repetitions one after the other that could share a
text in too many ways (`pattern_steps.py`). A text of more than `LONGEST_MATCHED` characters matches no pattern.
"""

import re
from re import _constants, _parser  # type: ignore[attr-defined]  # the parser that `re` itself uses; the only tree of a pattern there is
from typing import Any

from jupyter_mlprod.core.pattern_steps import REPEATS, WRITTEN_OUT, takes_long

LONGEST_PATTERN = 1_000
LONGEST_MATCHED = 1_000
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
    if fault := _fault(tree, repeated=False):
        return fault
    return "can match in too many ways, which can take for ever" if takes_long(text, longest=LONGEST_MATCHED) else ""


def _fault(tree: Any, *, repeated: bool) -> str:
    for op, argument in tree:
        if op in REFUSED:
            return f"holds {REFUSED[op]}, which can take for ever"
        if op in REPEATS:
            least, most, body = argument
            if repeated and (most > 1 or least < most):
                return "repeats what is itself repeated, which can take for ever"
            parts = [(body, repeated or most > WRITTEN_OUT)]
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
