"""A suggestion, and what the sentences of suggestions have in common: how many rows, and whether all of them were looked at."""

import math
from typing import Any

import msgspec

FEWEST_ROWS = 20
"""Of fewer rows no limit, length or set of values is suggested: they say what happened to be there."""


class Suggestion(msgspec.Struct, frozen=True, kw_only=True):
    """What could be declared.

    Attributes
    ----------
    id : its section and what it is about, as TOML writes a path, such as ``inputs.age.range``; no two are alike
    section : where in ``contract.toml`` it stands, such as ``("inputs", "age")``
    values : key → value as TOML takes it; empty for a remark, which has nothing to declare
    sentence : what was seen, for a person
    share : of the rows that were looked at, how many keep it, from 0 to 1
    """

    id: str
    section: tuple[str, ...]
    values: dict[str, Any]
    sentence: str
    share: float


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """A suggestion before it is known of which field it is."""

    what: str
    values: dict[str, Any]
    sentence: str
    share: float = 1.0


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """How many rows there are, and how many of them were looked at."""

    rows: int
    looked_at: int

    @property
    def words(self) -> str:
        """``1,797 rows``, or ``100,000 sampled of 1,000,000 rows``."""
        sampled = self.looked_at < self.rows
        return f"{self.looked_at:,} sampled of {self.rows:,} rows" if sampled else f"{self.rows:,} rows"


def percent(share: float) -> str:
    """Rounded down, so that what is not all of them never reads as 100 %.

    >>> percent(0.99996), percent(1.0), percent(0.97)
    ('99.9 %', '100 %', '97 %')
    """
    return f"{math.floor(round(share * 1000, 6)) / 10:g} %"


def floored(share: float) -> float:
    """A share rounded down to thousandths, as ``mostly`` of data that keep it exactly."""
    return math.floor(round(share * 1000, 6)) / 1000


def number(value: float) -> str:
    """A limit as a sentence tells it."""
    return f"{int(value):,}" if float(value).is_integer() and abs(value) < 1e15 else f"{value:.6g}"
