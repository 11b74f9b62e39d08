"""Admission: what a runtime does with a request before anything is computed.

A demand that is broken has the action that the contract declares: the request is refused, or refused as one that lacks something, which
is named; the value is replaced by the declared default, or goes through as it is, and both are marked. Values come first, then ages and
rules, which are about what will be answered, and so about the defaults too; a default has no age. A refusal tells all that is wrong at
once, and outweighs what is asked for. ``mostly`` allows as many rows of a request as of a data set; those go through, and count as
passed.
"""

import datetime
import threading
from collections.abc import Iterable, Iterator, Mapping

import msgspec
import numpy as np

from jupyter_mlprod.core.arrays import plain_values
from jupyter_mlprod.core.batch import (
    BatchChecker,
    found_in_tensor,
    lengths_of,
    named_inputs,
    odd_lengths,
    row_count,
    told_of,
    unknown_tensors,
)
from jupyter_mlprod.core.conformance import Found, allowed, conformance, row_faults
from jupyter_mlprod.core.contract import Column, Contract, Input, Scalar, Tensor
from jupyter_mlprod.core.demands import Demand, Plan
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.raw import Array, Raw, object_array, part
from jupyter_mlprod.core.records import LARGEST_BYTES, REFUSED, RecordDecoder, column_array

IMPUTED, PASSED = "imputed", "passed"
"""The answers that say of each row which of its fields are not the request's own, and which break the contract."""
CATEGORIES_TOLD = 5


LARGEST_CHUNK = 256


def chunk_of(contract: Contract) -> int:
    """How many rows of a data set are answered at once: no more than a request may have."""
    limits = contract.rows
    return min(LARGEST_CHUNK, limits.per_request or LARGEST_CHUNK) if limits else LARGEST_CHUNK


class Admitted(msgspec.Struct, frozen=True, kw_only=True):
    """Rows that are answered.

    Attributes
    ----------
    imputed, passed : field or rule → its rows, ascending
    """

    raw: Raw
    rows: int
    imputed: dict[str, tuple[int, ...]] = {}
    passed: dict[str, tuple[int, ...]] = {}

    def marks(self) -> dict[str, Array]:
        """``imputed`` and ``passed``, each (rows,) strings: names joined by commas, empty where there is nothing."""
        return {IMPUTED: _joined(self.imputed, self.rows), PASSED: _joined(self.passed, self.rows)}

    def chunks(self, size: int) -> "Iterator[Admitted]":
        """These rows in order, so many at a time."""
        imputed, passed = _by_chunk(self.imputed, size), _by_chunk(self.passed, size)
        for index, start in enumerate(range(0, self.rows, size)):
            raw, n = part(self.raw, start, start + size), min(size, self.rows - start)
            yield Admitted(raw=raw, rows=n, imputed=imputed.get(index, {}), passed=passed.get(index, {}))


class Admission:
    """The serving view of a contract, made ready for requests; made once for a runtime.

    Attributes
    ----------
    marking : whether the contract declares that something is imputed, passed or tolerated, so that answers are marked
    counts : "field:check" → rows that broke that demand so far, whatever was done about them; "*" is the request as a whole

    Raises
    ------
    MlprodError : ``bad-contract``.
    """

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self.checker = BatchChecker(contract, clock=True)
        self.marking = marks_answers(self.checker.plan)
        self.defaults = {one.column.name: one.column.default for one in self.checker.plan.columns}
        self.records = RecordDecoder(self.checker.plan, self.checker.rows) if self.defaults else None
        self.counts: dict[str, int] = {}
        self._counting = threading.Lock()

    def admit(self, raw: Raw | bytes, *, name: str, now: datetime.datetime | None = None) -> Admitted:
        """The rows to answer.

        Parameters
        ----------
        raw : (batch, ...) array, a mapping of input name to (batch, ...) array, or JSON: one record or a list of them
        name : of the bundle, for what is told
        now : aware; without it no age is judged of which the rows do not say when they were used

        Raises
        ------
        MlprodError : ``contract-violation`` or ``more-needed``, naming every field; ``bad-data`` for JSON that holds no records.
        """
        if isinstance(raw, bytes):
            return self._admit_json(raw, name=name, now=now)
        named = named_inputs(self.contract, raw)
        return self._counted(raw, *self._judge(named, row_count(named), now=now, request=True), name=name)

    def admit_data(self, raw: Raw, *, name: str, now: datetime.datetime | None = None) -> Admitted:
        """The rows of a whole data set as `admit` would have them, whatever their number; nothing is counted."""
        named = named_inputs(self.contract, raw)
        judged = self._judge(named, row_count(named), now=now, request=False)
        given = named if isinstance(raw, Mapping) else raw
        return self._decided(given, *judged, name=name, hint="mlprod check shows every violation")

    def _admit_json(self, data: bytes, *, name: str, now: datetime.datetime | None) -> Admitted:
        if self.records is None:
            raise MlprodError(Code.BAD_DATA, f"{name} takes tensors, and records are for columns", hint="send arrays")
        if len(data) <= LARGEST_BYTES:
            try:
                row = self.records.one(data)
            except REFUSED:
                pass
            else:
                return Admitted(raw=self.records.arrays(row), rows=1)
        read = self.records.decode(data, now=now)
        if read.over:
            case = _Case(read.rows, text=self.contract.is_text)
            case.take(Found(demand=Demand(field="", check="rows", what=read.over), rows=read.rows), range(read.rows))
            return self._counted({}, {}, case, name=name)
        if not read.broken and not row_faults(read.rows, self.checker.plan.rows, request=True):
            types = self.checker.rows.types
            return Admitted(raw={column: column_array(values, types[column]) for column, values in read.columns.items()}, rows=read.rows)
        named = {column: object_array(values) for column, values in read.columns.items()}
        return self._counted(named, *self._judge(named, read.rows, now=now, request=True), name=name)

    def _counted(self, raw: Raw, named: Mapping[str, Array], case: "_Case", *, name: str) -> Admitted:
        """What is decided of a request, which counts."""
        if case.broken:
            with self._counting:
                for key, count in case.broken.items():
                    self.counts[key] = self.counts.get(key, 0) + count
        hint = f"mend these fields, or see the contract: mlprod contract show {name}"
        return self._decided(raw, named, case, name=name, hint=hint)

    def _decided(self, raw: Raw, named: Mapping[str, Array], case: "_Case", *, name: str, hint: str) -> Admitted:
        """The rows that are answered, or the refusal."""
        if not case.broken:
            return Admitted(raw=raw, rows=case.n)
        case.refuse(self.contract, name=name, fields=self.checker.fields, hint=hint)
        passed = {field: case.passed[field] - case.imputed.get(field, set()) for field in case.passed}
        return Admitted(raw=named if case.imputed else raw, rows=case.n, imputed=_ascending(case.imputed), passed=_ascending(passed))

    def _judge(
        self, named: Mapping[str, Array], n: int, *, now: datetime.datetime | None, request: bool
    ) -> "tuple[Mapping[str, Array], _Case]":
        """The rows as they would be answered, and what is to be said of them."""
        plan, case = self.checker.plan, _Case(n, text=self.contract.is_text)
        for fault in row_faults(n, plan.rows, request=True) if request or not n else ():
            case.take(fault, range(n))
        if case.refused and n:  # too many, and to judge each of them would be the work that the limit spares
            return named, case
        odd = list(odd_lengths(lengths_of(named), plan))
        for fault in odd:
            case.take(fault, range(n))
        if plan.tensors:
            for broken in self.checker.tensors.check(named)[1]:
                bad = range(n) if broken.bad is None else np.flatnonzero(broken.bad).tolist()
                case.take(found_in_tensor(broken, n), bad)
            for fault in unknown_tensors(plan, named):
                case.take(fault, range(n))
        elif not odd:
            named = self._judge_columns(named, case, now=now)
        return named, case

    def _judge_columns(self, named: Mapping[str, Array], case: "_Case", *, now: datetime.datetime | None) -> Mapping[str, Array]:
        rows = self.checker.rows
        for broken in rows.in_columns(named, rows=case.n):
            case.take(self.checker.found(broken), broken.rows)
        named = self._imputed(named, case)
        aged = rows.aged(named, rows=case.n, now=now)
        for broken in aged:
            ageless = case.imputed.get(broken.demand.field, set()) if broken.demand.check == "stale" else set()
            kept = [(row, value) for row, value in zip(broken.rows, broken.values, strict=True) if row not in ageless]
            if kept:
                bad, values = zip(*kept, strict=True)
                case.take(self.checker.found(msgspec.structs.replace(broken, rows=bad, values=values)), bad)
        if aged:
            named = self._imputed(named, case)
        for broken in rows.ruled(named, rows=case.n):
            case.take(self.checker.found(broken), broken.rows)
        return named

    def _imputed(self, named: Mapping[str, Array], case: "_Case") -> Mapping[str, Array]:
        """The columns with the default in the rows that are to be imputed."""
        if not case.imputed:
            return named
        replaced = dict(named)
        for field, rows in case.imputed.items():
            default = self.defaults[field]
            assert not isinstance(default, msgspec.UnsetType)
            replaced[field] = _with_default(named.get(field), default, rows, case.n)
        return replaced


class _Case:
    """A request as it is judged: what is to be told, asked for, imputed and passed."""

    def __init__(self, n: int, *, text: bool) -> None:
        self.n, self.text = n, text
        self.refused: list[Found] = []
        self.asked: list[Found] = []
        self.imputed: dict[str, set[int]] = {}
        self.passed: dict[str, set[int]] = {}
        self.broken: dict[str, int] = {}

    def take(self, found: Found, rows: Iterable[int]) -> None:
        """Do what the contract says of a demand that rows break."""
        demand = found.demand
        bad = set(rows)
        key = f"*:{demand.check}" if demand.check in ("rows", "unknown") else f"{demand.field}:{demand.check}"
        self.broken[key] = self.broken.get(key, 0) + len(bad)
        action = self._action(demand)
        if action == "impute":
            self.imputed.setdefault(demand.field, set()).update(bad)
        elif action == "pass" or found.rows <= allowed(demand, self.n):
            self.passed.setdefault(demand.field, set()).update(bad)
        else:
            (self.asked if action == "ask" else self.refused).append(found)

    def _action(self, demand: Demand) -> str:
        """A text that is null cannot go through, since there is nothing that a model of texts could take for it."""
        return "refuse" if self.text and demand.check == "null" and demand.action == "pass" else demand.action

    def refuse(self, contract: Contract, *, name: str, fields: tuple[Input, ...], hint: str) -> None:
        """Raise what stands in the way of an answer, if anything does; ``hint`` is of a refusal, and of what is asked for its type."""
        if not self.refused and not self.asked:
            return
        told = conformance(checks=1, rows=self.n, found=[*self.refused, *self.asked], fields=fields).violations
        if self.refused:
            raise MlprodError(Code.CONTRACT, f"{told_of(told)} (contract of {name})", hint=hint)
        wanted = "; ".join(_wanted({found.demand.field: found.demand for found in self.asked}, contract))
        raise MlprodError(Code.MORE_NEEDED, f"{told_of(told)} (contract of {name})", hint=f"send {wanted}")


def marks_answers(plan: Plan) -> bool:
    """Whether a contract declares that something is imputed or passed, or that some of the rows may break a demand."""
    return any(demand.action in ("impute", "pass") or demand.mostly < 1 for demand in _demands(plan))


def _demands(plan: Plan) -> Iterator[Demand]:
    for column in plan.columns:
        yield from column.demands.values()
    for tensor in plan.tensors:
        yield from tensor.demands.values()
    yield from (age.demand for age in plan.ages)
    yield from (rule.demand for rule in plan.rules)


def _with_default(array: Array | None, default: Scalar, rows: set[int], n: int) -> Array:
    values = [default] * n if array is None else plain_values(array)
    for row in rows:
        values[row] = default
    return object_array(values)


def _ascending(rows: Mapping[str, set[int]]) -> dict[str, tuple[int, ...]]:
    return {field: tuple(sorted(found)) for field, found in rows.items() if found}


def _by_chunk(fields: Mapping[str, tuple[int, ...]], size: int) -> dict[int, dict[str, tuple[int, ...]]]:
    """Number of a chunk → field → its rows there."""
    chunks: dict[int, dict[str, list[int]]] = {}
    for field, rows in fields.items():
        for row in rows:
            chunks.setdefault(row // size, {}).setdefault(field, []).append(row % size)
    return {index: {field: tuple(rows) for field, rows in found.items()} for index, found in chunks.items()}


def _joined(fields: Mapping[str, tuple[int, ...]], n: int) -> Array:
    names: list[list[str]] = [[] for _ in range(n)]
    for field, rows in fields.items():
        for row in rows:
            names[row].append(field)
    return np.array([",".join(one) for one in names], dtype=np.str_)


def _wanted(asked: Mapping[str, Demand], contract: Contract) -> Iterator[str]:
    """Of each field what the contract asks for; of a rule its sentence has said it."""
    known = {field.name: field for field in contract.inputs}
    for name in asked:
        yield wanted_text(known[name]) if name in known else f"rows that keep rule {name!r}"


def wanted_text(field: Input) -> str:
    """What a field takes, in a few words.

    >>> wanted_text(Column(name="age", type="int", low=0, high=120, unit="years"))
    "'age' (int, from 0, to 120 years)"
    """
    if isinstance(field, Tensor):
        return f"{field.name!r} ({field.dtype} of shape {' x '.join(map(str, field.shape))}{_range(field)})"
    if not isinstance(field, Column):
        return f"{field.name!r} (a string{'' if field.longest is None else f' of at most {field.longest:,} characters'})"
    parts = f"{field.name!r} ({field.type}{_range(field)}"
    if field.categories:
        more = "" if len(field.categories) <= CATEGORIES_TOLD else f" and {len(field.categories) - CATEGORIES_TOLD:,} more"
        parts += f", one of {', '.join(map(repr, field.categories[:CATEGORIES_TOLD]))}{more}"
    if field.pattern:
        parts += f", with {field.pattern!r} in it"
    if field.max_age:
        parts += f", not older than {field.max_age}"
    return f"{parts}{', or null' if field.nullable else ''})"


def _range(field: Tensor | Column) -> str:
    low = "" if field.low is None else f", from {field.low:g}"
    high = "" if field.high is None else f", to {field.high:g}"
    unit = f" {field.unit}" if field.unit and (low or high) else f", in {field.unit}" if field.unit else ""
    return f"{low}{high}{unit}"
