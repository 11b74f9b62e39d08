"""Evidence: one measurement record about one subject. All measurement is this type; only ``kind`` differs.

Each record says who took it: ``notebook`` (a process that also runs the user's code) or ``runner`` (a process of mlprod's own).
"""

import datetime
import math
from typing import Literal

import msgspec

from jupyter_mlprod.core.record import Record

Kind = Literal["contract", "environment", "execution", "integrity", "latency", "parity", "quality", "release", "scan"]
TakenBy = Literal["notebook", "runner"]


class Measure(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One number with its uncertainty.

    Attributes
    ----------
    value : finite float, in ``unit`` ("1" for a ratio, "count", "ms", "rows/s", "MB")
    low, high : 95 % interval by ``method``, both None when the value is exact
    n : rows, calls or checks behind the value; zero never passes a rule
    where : what it is about, such as {"slice": "site=3"} or {"batch": "1", "device": "cpu"}
    note : what a person should read beside it
    """

    name: str
    value: float
    unit: str
    n: int
    low: float | None = None
    high: float | None = None
    where: dict[str, str] = {}
    method: str = "exact"
    note: str = ""

    def __post_init__(self) -> None:
        numbers = [x for x in (self.value, self.low, self.high) if x is not None]
        if not all(math.isfinite(x) for x in numbers):
            raise ValueError(f"measure {self.name!r} is not finite: value={self.value}, low={self.low}, high={self.high}")
        if (self.low is None) != (self.high is None):
            raise ValueError(f"measure {self.name!r} has half an interval: low={self.low}, high={self.high}")
        if self.low is not None and self.high is not None and not self.low <= self.value <= self.high:
            raise ValueError(f"measure {self.name!r}: value {self.value} lies outside its interval [{self.low}, {self.high}]")
        if self.n < 0:
            raise ValueError(f"measure {self.name!r}: n is {self.n}")


class Evidence(Record, frozen=True, kw_only=True, tag="evidence/1"):
    """What was measured about one subject, when, by whom, on what.

    Attributes
    ----------
    subject : digest of the bundle or notebook that was measured
    taken_at : aware UTC time
    context : facts a reader needs to repeat it: data digest, machine, library versions, threads
    """

    kind: Kind
    subject: str
    taken_at: datetime.datetime
    taken_by: TakenBy
    measures: tuple[Measure, ...]
    context: dict[str, str] = {}
