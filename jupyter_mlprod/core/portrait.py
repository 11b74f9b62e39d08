"""Portrait: a contract beside data, field by field: what is declared, how the data lie in it, what breaks it, and what could be declared.

It is what a person looks at before confirming a declaration; it measures nothing for a verdict, which the Evidence of a check does. Of a
field that is personal, or seems to be and was not said not to be, it holds counts of nulls and no picture.
"""

from typing import Literal

import msgspec

from jupyter_mlprod.core.conformance import Violation
from jupyter_mlprod.core.contract import Input, View
from jupyter_mlprod.core.record import Record

BINS = 24
CELL = "the notebook's cell"
"""What a portrait is about when the contract is that of a ``%%mlprod contract`` cell."""

Side = Literal["in", "target", "training", "out"]


class Bars(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="bars"):
    """How numbers lie, of the sampled rows: in `BINS` bins of equal width, of which the first and the last hold what lies beyond, too.

    Attributes
    ----------
    of : what is counted: the values, seconds since 1970 of times, or the characters of texts
    start, stop : of the bins; a declared limit is within them unless it is far from the data
    counts : (bins,) values in each
    outside : (bins,) how many of them lie outside the declared limits
    low, high : of all that were looked at
    """

    of: Literal["values", "seconds", "characters"]
    start: float
    stop: float
    counts: tuple[int, ...]
    outside: tuple[int, ...]
    low: float
    high: float


class Shares(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="shares"):
    """How often the values of strings and truth values occur among the sampled rows: the declared ones, and others that many rows hold.

    Attributes
    ----------
    outside : (values,) how many rows of each break the declared categories
    others : rows whose value is not named; ``others_outside`` of them break the categories
    """

    values: tuple[str, ...]
    counts: tuple[int, ...]
    outside: tuple[int, ...]
    others: int
    others_outside: int
    distinct: int


class FieldPortrait(msgspec.Struct, frozen=True, kw_only=True):
    """One field.

    Attributes
    ----------
    nulls : of all rows; None where the data lack the field
    picture : nothing where it is withheld, where no value is of the field's type, or where the data lack the field
    withheld : that the values are or seem personal
    tolerated : what ``mostly`` allows
    """

    side: Side
    field: Input
    nulls: int | None = None
    picture: Bars | Shares | None = None
    withheld: bool = False
    violations: tuple[Violation, ...] = ()
    tolerated: tuple[Violation, ...] = ()


class Proposed(msgspec.Struct, frozen=True, kw_only=True):
    """A suggestion.

    Attributes
    ----------
    id : its section and what it is about, as TOML writes a path, such as ``inputs.age.range``; no two are alike
    sentence : what was seen, for a person
    share : of the rows that were looked at, how many keep it
    toml : what declares it; empty for a remark
    settings : the same as keys and values of `contract edit --set`
    """

    id: str
    field: str
    sentence: str
    share: float
    toml: str = ""
    settings: dict[str, str] = {}


class Portrait(Record, frozen=True, kw_only=True, tag="portrait/1"):
    """A contract beside data.

    Attributes
    ----------
    about : the bundle, or the file, whose contract it is
    contract : its digest
    rows : of the data; ``sampled`` of them are in the pictures
    view : against which the data were held
    checks : how many ran
    violations : of rules and of the rows as a whole; those of a field stand there
    """

    about: str
    contract: str
    rows: int
    sampled: int
    checks: int
    fields: tuple[FieldPortrait, ...]
    rules: dict[str, str] = {}
    violations: tuple[Violation, ...] = ()
    suggestions: tuple[Proposed, ...] = ()
    view: View = "serving"

    @property
    def broken(self) -> int:
        """How many demands are broken."""
        return len(self.violations) + sum(len(field.violations) for field in self.fields)
