"""Contract: what inputs and outputs may look like.

An input is a tensor, a table column or a text. The *serving* view is the inputs; the *training* view adds the target and the columns that
only training data has, and lacks those that only a request has. A shape holds integers and names: a name is a dimension that may vary
between requests but is equal wherever it appears. What each declaration demands of a row is said in `demands.py`; a member that was added
since the first bundles is left out when it is unset, so that their digests stay what they were.
"""

from typing import Literal, get_args

import msgspec
from msgspec import UNSET, UnsetType

from jupyter_mlprod.core.duration import Duration
from jupyter_mlprod.core.record import Record

Dtype = Literal[
    "float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool",
]  # fmt: skip
DTYPES: tuple[str, ...] = get_args(Dtype)
ColumnType = Literal["float", "int", "bool", "string", "time", "time_utc"]
"""``time`` has no zone, ``time_utc`` is a moment whatever zone it was written in."""

View = Literal["serving", "training"]
Action = Literal["refuse", "ask", "impute", "pass"]
"""What happens to a request that breaks a demand: it is refused; refused as one that lacks something, which is named; answered with the
declared default in that place, and marked; answered as it is, and counted."""

Scalar = bool | int | float | str
NOT_PERSONAL = "none"
"""The class of personal data by which a person says that a column holds none, so that its values may be told in a finding."""


class Tensor(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="tensor", forbid_unknown_fields=True):
    """One tensor, of which the batch is axis 0.

    Attributes
    ----------
    low, high : inclusive, in ``unit``
    pii : which personal data it shows, such as ``face``
    layout : what the axes of an image are, so that channels first is not taken for channels last
    channels : the channels of an image in their order, a letter each, such as ``RGB``; as many as the axis C of the layout
    sum_to : of an output: what the values of a row sum to, within `SUM_SLACK`; 1 for probabilities
    labels : of an output: the classes that its last axis stands for
    declared : the names of what a person declared; the rest was read off an example
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...]
    low: float | None = None
    high: float | None = None
    finite: bool = True
    unit: str = ""
    pii: str | UnsetType = UNSET
    layout: Literal["NCHW", "NHWC"] | UnsetType = UNSET
    channels: str | UnsetType = UNSET
    sum_to: float | UnsetType = UNSET
    labels: tuple[str, ...] | UnsetType = UNSET
    on_violation: Action | UnsetType = UNSET
    declared: tuple[str, ...] | UnsetType = UNSET

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise ValueError(f"tensor {self.name!r} has dtype {self.dtype!r}; one of {', '.join(DTYPES)} is expected")


class Expected(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The distribution that a column of data is expected to have, and how far from it is too far.

    Attributes
    ----------
    values : of strings and truth values, written as text; ``shares`` holds the share of each, the rest is other values
    edges : of numbers, ascending; ``shares`` has one more: below the first edge, from each edge to the next, and from the last edge on
    at_most : total variation distance, from 0 (equal) to 1 (nothing in common); the allowance for the number of rows comes on top
    """

    shares: tuple[float, ...]
    values: tuple[str, ...] = ()
    edges: tuple[float, ...] = ()
    at_most: float = 0.1


class Column(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="column", forbid_unknown_fields=True):
    """One table column.

    Attributes
    ----------
    low, high : of numbers, inclusive, in ``unit``
    categories : of strings, the values that are known
    pii : the class of personal data that it holds, such as ``name`` or ``email``; its values are kept out of what lies at rest and out of
        findings; ``none`` says that it holds none
    pattern : of strings, a regular expression that is found in each (Python's; ``^`` and ``$`` make it the whole)
    shortest, longest : of strings, in characters
    unique : no two rows have the same value
    mostly : the share of rows of a data set that must keep the demands on its values; 1 where unset
    max_age : how old a value may be when it is used
    event_time : the column that says when this one was measured; that of the contract where unset
    view : ``serving`` for what a request has and training data has not
    on_violation : what happens to a request whose value breaks a demand; that of the contract where unset
    unknown_category : the same for a value that is none of ``categories``
    default : what stands in for a value, with ``impute``
    expected : the distribution in a data set
    declared : the names of what a person declared; the rest was read off an example
    """

    name: str
    type: ColumnType
    nullable: bool = False
    low: float | None = None
    high: float | None = None
    categories: tuple[str, ...] = ()
    unit: str = ""
    pii: str | UnsetType = UNSET
    pattern: str | UnsetType = UNSET
    shortest: int | UnsetType = UNSET
    longest: int | UnsetType = UNSET
    unique: bool | UnsetType = UNSET
    mostly: float | UnsetType = UNSET
    max_age: Duration | UnsetType = UNSET
    event_time: str | UnsetType = UNSET
    view: Literal["serving"] | UnsetType = UNSET
    on_violation: Action | UnsetType = UNSET
    unknown_category: Action | UnsetType = UNSET
    default: Scalar | UnsetType = UNSET
    expected: Expected | UnsetType = UNSET
    declared: tuple[str, ...] | UnsetType = UNSET


class Text(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="text", forbid_unknown_fields=True):
    """One string a row, of at most ``longest`` characters."""

    name: str
    longest: int | None = None
    pii: str | UnsetType = UNSET
    on_violation: Action | UnsetType = UNSET
    declared: tuple[str, ...] | UnsetType = UNSET


Input = Tensor | Column | Text


class Rows(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many rows a data set has, and how many one request may have."""

    at_least: int | None = None
    at_most: int | None = None
    per_request: int | None = None


class Freshness(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When features were measured, and when they are used.

    Attributes
    ----------
    event_time : the column that says when the features of a row were measured
    as_of : the column that says when they were, or are to be, used; without one that is now, and past data is not asked for its age
    """

    event_time: str
    as_of: str = ""


class Contract(Record, frozen=True, kw_only=True, tag="contract/1"):
    """Inputs (tensors, columns of a table, or one text, never mixed), outputs, and what the training view has besides.

    Attributes
    ----------
    outputs : empty in a contract that was read off data alone
    training : columns that only training data has
    rules : name → expression over the columns of a row, as `expression.py` reads it
    on_violation : what happens to a request that breaks a demand, where a field says nothing else
    """

    inputs: tuple[Input, ...]
    outputs: tuple[Tensor, ...]
    target: Column | None = None
    training: tuple[Column, ...] | UnsetType = UNSET
    rules: dict[str, str] | UnsetType = UNSET
    rows: Rows | UnsetType = UNSET
    freshness: Freshness | UnsetType = UNSET
    on_violation: Action | UnsetType = UNSET

    def __post_init__(self) -> None:
        names = [field.name for field in (*self.inputs, *self.training_only)]
        if not self.inputs or len(set(names)) < len(names):
            raise ValueError(f"a contract has inputs, and fields of different names: {names[:20]}")

    @property
    def is_text(self) -> bool:
        return any(isinstance(field, Text) for field in self.inputs)

    @property
    def is_table(self) -> bool:
        return any(isinstance(field, Column) for field in self.inputs)

    @property
    def training_only(self) -> tuple[Column, ...]:
        """The target and the other columns that a request does not have."""
        return ((self.target,) if self.target else ()) + (self.training or ())

    @property
    def personal(self) -> tuple[str, ...]:
        """The inputs that hold personal data."""
        return tuple(field.name for field in self.inputs if is_personal(field))


def is_personal(field: Input) -> bool:
    """Whether a field was declared to hold personal data."""
    return bool(field.pii) and field.pii != NOT_PERSONAL


def fields_of(contract: Contract, view: View) -> tuple[Input, ...]:
    """The fields of a view."""
    if view == "serving":
        return contract.inputs
    kept = (field for field in contract.inputs if not (isinstance(field, Column) and field.view == "serving"))
    return (*kept, *contract.training_only)
