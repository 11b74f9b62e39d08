"""How many steps the matching of a pattern can take: a bound that holds for every text, found on the tree of the pattern alone.

A matcher that goes back tries what follows once for each way in which something matched before it. So the bound is made from the end of a
pattern to its beginning: what follows a repetition counts once for each of its lengths, but only once where it cannot begin with what is
repeated, because then it fails at its first character everywhere but at the end of the run. Of the characters beyond ASCII no two kinds are
told apart, which can only make the bound larger.
"""

import re
from collections.abc import Container
from re import _constants, _parser  # type: ignore[attr-defined]  # the parser that `re` itself uses; the only tree of a pattern there is
from typing import Any

import msgspec

MOST_STEPS = 10_000_000
"""Of 25,000 random patterns within the bound, each on 14 texts made to keep it busy, none took longer than 40 ms."""
MOST_NODES = 20_000
"""How often parts of a pattern are looked at: short repetitions are written out."""
WRITTEN_OUT = 10
"""Up to so many repetitions of more than a single character; what is repeated more often must be simple."""

BEYOND = 1 << 128
"""All characters beyond ASCII; a set of characters is a number with a bit for each one of ASCII."""
EVERY = (BEYOND << 1) - 1
CATEGORIES = {
    _constants.CATEGORY_DIGIT: r"\d", _constants.CATEGORY_NOT_DIGIT: r"\D", _constants.CATEGORY_SPACE: r"\s",
    _constants.CATEGORY_NOT_SPACE: r"\S", _constants.CATEGORY_WORD: r"\w", _constants.CATEGORY_NOT_WORD: r"\W",
}  # fmt: skip
REPEATS = {_constants.MAX_REPEAT, _constants.MIN_REPEAT, _constants.POSSESSIVE_REPEAT}
CHARACTERS = {_constants.LITERAL, _constants.NOT_LITERAL, _constants.IN, _constants.ANY}
BEGINNINGS = {_constants.AT_BEGINNING, _constants.AT_BEGINNING_STRING}
ENDS = {_constants.AT_END, _constants.AT_END_STRING}
LETTERS = sum(1 << code for code in range(128) if chr(code).isalpha())
FLAGS = {flag: re.compile(rf"\(\?[a-zA-Z-]*{flag}") for flag in "ims"}
"""Where a flag is said for any part of a pattern, it is taken to be said for the whole."""


class _Rest(msgspec.Struct, frozen=True):
    """What follows a place of a pattern.

    Attributes
    ----------
    steps : at most so many until it has failed
    first : the characters that it can begin with
    miss : steps until it has failed at another character
    fails : whether it can fail at all
    """

    steps: int
    first: int
    miss: int
    fails: bool


class _TooManyError(Exception):
    """The bound is beyond `MOST_STEPS`."""


def takes_long(pattern: str, *, longest: int) -> bool:
    """Whether a search for a pattern in a text of ``longest`` characters could take more than `MOST_STEPS`.

    >>> takes_long("a*b", longest=1000), takes_long("a*a*b", longest=1000)
    (False, True)
    """
    tree = _parser.parse(pattern)
    flags = {flag for flag, said in FLAGS.items() if said.search(pattern)}
    try:
        found = _Bound(longest, flags=flags).sequence(tree, _Rest(0, 0, 0, fails=False))
    except _TooManyError:
        return True
    anchored = "m" not in flags and len(tree) > 0 and tree[0] in [(_constants.AT, one) for one in BEGINNINGS]
    return found.steps * (1 if anchored else longest) > MOST_STEPS


class _Bound:
    """The bound for texts of one length."""

    def __init__(self, longest: int, *, flags: Container[str]) -> None:
        self.longest = longest
        self.flags = flags
        self.nodes = 0

    def sequence(self, items: Any, rest: _Rest) -> _Rest:
        for op, argument in reversed(list(items)):
            self.nodes += 1
            rest = self._one(op, argument, rest)
            if rest.steps > MOST_STEPS or self.nodes > MOST_NODES:
                raise _TooManyError
        return rest

    def _one(self, op: Any, argument: Any, rest: _Rest) -> _Rest:
        if op in CHARACTERS:
            return _Rest(1 + rest.steps, self._set(op, argument), 1, fails=True)
        if op is _constants.AT:
            first = 1 << ord("\n") if argument in ENDS else rest.first
            return _Rest(1 + rest.steps, first, 1 + rest.miss, fails=True)
        if op is _constants.SUBPATTERN:
            return self.sequence(argument[-1], rest)
        if op is _constants.ATOMIC_GROUP:
            return self.sequence(argument, rest)
        if op is _constants.BRANCH:
            return self._branches([self.sequence(branch, rest) for branch in argument[1]])
        if op in REPEATS:
            least, most, body = argument
            return self._repeated(int(least), int(most), body, rest)
        return _Rest(1 + rest.steps, EVERY, 1 + rest.miss, fails=True)

    def _branches(self, branches: list[_Rest]) -> _Rest:
        """One after the other; where no two begin alike, all but one fail at their first character."""
        first, apart = 0, True
        for one in branches:
            apart = apart and not first & one.first
            first |= one.first
        misses = sum(one.miss for one in branches)
        steps = max(one.steps for one in branches) + misses if apart else sum(one.steps for one in branches)
        return _Rest(1 + steps, first, 1 + misses, fails=all(one.fails for one in branches))

    def _repeated(self, least: int, most: int, body: Any, rest: _Rest) -> _Rest:
        body = _bare(body)
        single = len(body) == 1 and body[0][0] in CHARACTERS
        if not single and most <= WRITTEN_OUT:
            return self._written_out(least, most, body, rest)
        turn = self.sequence(body, _Rest(0, 0, 0, fails=False))
        width = max(1, body.getwidth()[0])
        most, least = min(most, self.longest // width), min(least, self.longest)
        first, miss = (turn.first, turn.miss) if least else (turn.first | rest.first, turn.miss + rest.miss)
        if not rest.fails:
            return _Rest((least + 1) * turn.steps, first, miss, fails=least > 0)
        lengths = max(1, most - least + 1)
        if lengths > 1 and turn.first & rest.first:
            return _Rest(most * turn.steps + lengths * (1 + rest.steps), first, miss, fails=True)
        return _Rest(most * turn.steps + lengths * (1 + rest.miss) + rest.steps, first, miss, fails=True)

    def _written_out(self, least: int, most: int, body: Any, rest: _Rest) -> _Rest:
        found = rest
        for _ in range(most - least):
            found = self._branches([self.sequence(body, found), rest])
        for _ in range(least):
            found = self.sequence(body, found)
        return found

    def _set(self, op: Any, argument: Any) -> int:
        if op is _constants.ANY:
            return EVERY if "s" in self.flags else EVERY & ~(1 << ord("\n"))
        found = _characters(op, argument)
        if "i" in self.flags and found & (LETTERS | BEYOND):  # also beyond ASCII there are letters of which one of ASCII is another case
            found |= LETTERS | BEYOND
        return found


def _bare(body: Any) -> Any:
    """What is repeated, without the group around it."""
    while len(body) == 1 and body[0][0] is _constants.SUBPATTERN:
        body = body[0][1][-1]
    return body


def _characters(op: Any, argument: Any) -> int:
    match op:
        case _constants.LITERAL:
            return _from_to(argument, argument)
        case _constants.NOT_LITERAL:
            return EVERY & ~(_from_to(argument, argument) & ~BEYOND)
        case _constants.RANGE:
            return _from_to(*argument)
        case _constants.CATEGORY:
            matching = re.compile(CATEGORIES[argument])
            return BEYOND | sum(1 << code for code in range(128) if matching.match(chr(code)))
        case _constants.IN:
            inside = 0
            for one, what in argument:
                inside |= 0 if one is _constants.NEGATE else _characters(one, what)
            return EVERY & ~(inside & ~BEYOND) if argument[0][0] is _constants.NEGATE else inside
    return EVERY


def _from_to(first: int, last: int) -> int:
    within = sum(1 << code for code in range(first, min(last, 127) + 1))
    return within | (BEYOND if last > 127 else 0)
