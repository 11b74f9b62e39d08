"""Snapshot: what the training data was, without the data: rows, and of each column its type, fingerprint and reference profile.

It says what the values are, and not how a file or a library stored them: whole numbers are ``int`` whatever the width, NaN and null are
one, so equal data give equal snapshots. What drift will be measured against is kept here, because the data will not be.
"""

from collections.abc import Iterable
from typing import Literal

import msgspec

from jupyter_mlprod.core.record import Record

SUFFIX = ".snapshot.json"
"""The end of a file that holds a snapshot, taken where live data is."""

PROBABILITIES = (0.001, 0.01, 0.05, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 0.95, 0.99, 0.999)
"""Those of `Numbers.quantiles`."""

BINS = 64
"""Bins of a histogram between its tails; the edges of one with no more of them are the values of the column themselves."""

Kind = Literal["array", "images", "table", "text"]
ColumnKind = Literal["int", "float", "bool", "string", "time", "time_utc", "duration", "object", "null", "tensor", "image"]


class Numbers(msgspec.Struct, frozen=True, kw_only=True):
    """The distribution of numbers; seconds (since 1970) for times and durations.

    Attributes
    ----------
    low, high, mean, std : over all finite values; absent when there is none, or when it is no finite number
    quantiles : of the sampled rows, at `PROBABILITIES`
    edges, counts : the histogram of the sampled rows; ``counts`` has one more than ``edges``: below the first edge, from each edge
        to the next, and from the last edge on
    """

    low: float | None
    high: float | None
    mean: float | None
    std: float | None
    infinite: int
    quantiles: tuple[float, ...]
    edges: tuple[float, ...]
    counts: tuple[int, ...]


class Categories(msgspec.Struct, frozen=True, kw_only=True):
    """The values of strings and truth values, among the sampled rows.

    Attributes
    ----------
    counts : the most frequent values; one that few rows hold is not named
    others : rows whose value is not named
    distinct : how many values there are
    shortest, longest : lengths in characters, over all rows; 0 for truth values
    """

    counts: dict[str, int]
    others: int
    distinct: int
    shortest: int = 0
    longest: int = 0


class ColumnFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One column, or one array.

    Attributes
    ----------
    nulls : null rows; for a tensor, values that are NaN; for images, files that cannot be decoded
    fingerprint : sha256 over the values in their order; empty when withheld
    shape : of one row of a tensor
    dtype : of a tensor
    channels : the distribution of the numbers, or one for each channel of a tensor or image
    withheld : the contract says that these are personal data, so that nothing is said of the values
    """

    name: str
    type: ColumnKind
    nulls: int
    fingerprint: str = ""
    shape: tuple[int, ...] = ()
    dtype: str = ""
    channels: tuple[Numbers, ...] = ()
    categories: Categories | None = None
    withheld: bool = False


class Snapshot(Record, frozen=True, kw_only=True, tag="snapshot/1"):
    """Facts about data. ``sampled`` is the number of rows that quantiles, histograms and categories are of; the rest is of all rows."""

    kind: Kind
    rows: int
    sampled: int
    columns: tuple[ColumnFacts, ...]


def redacted(snapshot: Snapshot, personal: Iterable[str]) -> Snapshot:
    """The snapshot without anything that says what a personal value is: name, type, rows and nulls remain.

    The fingerprint goes, too: that of a column of few values is found by trying. A name that is no column, such as the one input of
    a model of images, is taken to mean all of them, because withholding too much harms nobody. Of a folder of images everything is
    withheld, since the folders that are its classes may be called after the people in them.
    """
    names = set(personal)
    known = {column.name for column in snapshot.columns}
    hidden = known if names - known or (names and snapshot.kind == "images") else names
    return msgspec.structs.replace(
        snapshot, columns=tuple(_bare(column) if column.name in hidden else column for column in snapshot.columns)
    )


def values_named(snapshot: Snapshot) -> int:
    """How many values of the data it states as they are: names of categories; extremes, quantiles and few values of numbers."""
    named = sum(len(column.categories.counts) for column in snapshot.columns if column.categories)
    return named + sum(len(_numbers(one)) for column in snapshot.columns for one in column.channels)


def _numbers(one: Numbers) -> set[float]:
    edges = one.edges if len(one.edges) <= BINS else ()
    return {*one.quantiles, *edges, *(value for value in (one.low, one.high) if value is not None)}


def _bare(column: ColumnFacts) -> ColumnFacts:
    return ColumnFacts(name=column.name, type=column.type, nulls=column.nulls, shape=column.shape, dtype=column.dtype, withheld=True)
