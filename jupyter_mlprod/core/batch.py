"""One batch against a contract, as a request brings it: columns and texts go to `rows.py`, tensors to `tensors.py`.

Whole data sets are held against the same plan by the frames adapter.
"""

import datetime
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import msgspec
import numpy as np
from msgspec import UNSET

from jupyter_mlprod.core.conformance import ALL_ROWS, MOST_EXAMPLES, Conformance, Found, Violation, conformance, row_faults
from jupyter_mlprod.core.contract import Contract, View, fields_of, is_personal
from jupyter_mlprod.core.contract_faults import contract_faults
from jupyter_mlprod.core.demands import Demand, Plan, plan_of
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.lookalike import Looks
from jupyter_mlprod.core.raw import Array, Raw
from jupyter_mlprod.core.rows import Broken, RowChecker
from jupyter_mlprod.core.tensors import BrokenRows, TensorChecker


def readied(contract: Contract, view: View = "serving", *, clock: bool) -> Plan:
    """The plan of a contract that may have come from anywhere.

    Raises
    ------
    MlprodError : ``bad-contract`` with all of its faults.
    """
    faults = contract_faults(contract)
    if faults:
        raise MlprodError(Code.BAD_CONTRACT, "\n".join(faults), hint="mend contract.toml, and package again")
    return plan_of(contract, view, clock=clock)


class BatchChecker:
    """A view of a contract made ready for batches; made once.

    Parameters
    ----------
    clock : whether there is a now to hold ages against; without it, age is demanded only where the rows say when they were used

    Raises
    ------
    MlprodError : ``bad-contract``.
    """

    def __init__(self, contract: Contract, view: View = "serving", *, clock: bool) -> None:
        self.contract = contract
        self.plan = readied(contract, view, clock=clock)
        self.rows = RowChecker(self.plan)
        self.tensors = TensorChecker(self.plan.tensors)
        # the category that a personal value looks like tells what it is
        self.looks = {one.column.name: Looks(one.column.categories) for one in self.plan.columns if not is_personal(one.column)}
        self.fields = fields_of(contract, view)

    def check(self, raw: Raw, *, now: datetime.datetime | None = None, request: bool = False) -> Conformance:
        """Hold a raw batch against the view.

        Parameters
        ----------
        raw : (batch, ...) array, or a mapping of input name to (batch, ...) array; object arrays may hold None as null
        now : aware, for a checker with a clock
        request : whether the limits of a request count for the number of rows, or those of a data set
        """
        named = named_inputs(self.contract, raw)
        n = row_count(named)
        found = [*row_faults(n, self.plan.rows, request=request), *odd_lengths(lengths_of(named), self.plan)]
        checks = 1
        if self.plan.tensors:
            asked, broken = self.tensors.check(named)
            checks += asked + 1
            found += [*(found_in_tensor(one, n) for one in broken), *unknown_tensors(self.plan, named)]
        elif not any(one.demand.field == LENGTHS for one in found):
            checks += self.rows.checks(named)
            found += map(self.found, self.rows.broken(named, rows=n, now=now))
        return conformance(checks=checks, rows=n, found=found, fields=self.fields)

    def found(self, broken: Broken) -> Found:
        """What there is to tell of rows that break a demand on a column or a rule."""
        demand, rows = broken.demand, broken.rows
        if demand.check in ALL_ROWS:
            return Found(demand=demand, rows=len(rows))
        looks = self.looks.get(demand.field) if demand.check == "category" else None
        note = looks.alike(Counter(broken.values)) if looks else ""
        first, values = rows[:MOST_EXAMPLES], broken.values[:MOST_EXAMPLES]
        return Found(demand=demand, rows=len(rows), first=first, values=values, tells=broken.tells, note=note)


def check_batch(contract: Contract, raw: Raw, *, view: View = "serving", now: datetime.datetime | None = None) -> Conformance:
    """Hold a raw batch against a view once; see `BatchChecker.check`."""
    return BatchChecker(contract, view, clock=now is not None).check(raw, now=now)


def demand(contract: Contract, raw: Raw, *, name: str, now: datetime.datetime | None = None) -> None:
    """Refuse a batch that breaks the contract, or that has no rows; how many rows there are is no request's and no data set's.

    Raises
    ------
    MlprodError : ``contract-violation`` naming every field that breaks it.
    """
    unlimited = msgspec.structs.replace(contract, rows=UNSET)
    result = BatchChecker(unlimited, clock=now is not None).check(raw, now=now, request=True)
    if result.violations:
        raise MlprodError(Code.CONTRACT, f"{told_of(result.violations)} (contract of {name})", hint="mlprod check shows every violation")


MOST_TOLD = 20
"""Violations that a refusal tells; of more it says how many."""


def told_of(violations: Sequence[Violation]) -> str:
    """The sentences of violations, as one line."""
    more = len(violations) - MOST_TOLD
    return "; ".join([*(one.what for one in violations[:MOST_TOLD]), *([f"and {more:,} more"] if more > 0 else [])])


def named_inputs(contract: Contract, raw: Raw) -> Mapping[str, Array]:
    """A batch by name; one array is the one input, and one value of a column one row."""
    named = raw if isinstance(raw, Mapping) else {contract.inputs[0].name: raw}
    return named if not contract.is_table else {name: np.atleast_1d(array) for name, array in named.items()}


def row_count(named: Mapping[str, Array]) -> int:
    """The rows of the longest input; 0 where none has any."""
    return max(lengths_of(named).values(), default=0)


LENGTHS = "*"
"""The field of the demand that all inputs have as many rows."""


def lengths_of(named: Mapping[str, Array]) -> dict[str, int]:
    """Rows by name, of what has rows."""
    return {name: len(array) for name, array in named.items() if np.ndim(array)}


def odd_lengths(lengths: Mapping[str, int], plan: Plan) -> Iterator[Found]:
    """That the inputs of a contract have not all as many rows; ``lengths`` by name, of others as well."""
    known = {one.column.name for one in plan.columns} | {one.tensor.name for one in plan.tensors}
    found = sorted({length for name, length in lengths.items() if name in known})
    if len(found) > 1:
        what = f"the inputs differ in rows: {', '.join(map(str, found))}"
        yield Found(demand=Demand(field=LENGTHS, check="rows", what=what), rows=found[-1])


def unknown_tensors(plan: Plan, named: Mapping[str, Array]) -> Iterator[Found]:
    """Tensors that the contract does not name; a table may have columns besides."""
    names = {one.tensor.name for one in plan.tensors}
    extra = [name for name in named if name not in names]
    if extra:
        listed = ", ".join(repr(name[:80]) for name in extra[:3])
        verb = " and others are" if len(extra) > 3 else " is" if len(extra) == 1 else " are"
        what = f"{listed}{verb} no input of the contract ({', '.join(sorted(names))})"
        yield Found(demand=Demand(field=extra[0][:80], check="unknown", what=what), rows=0)


def found_in_tensor(broken: BrokenRows, n: int) -> Found:
    """What there is to tell of a tensor."""
    demand = msgspec.structs.replace(broken.demand, what=broken.what or broken.demand.what)
    if broken.bad is None:
        return Found(demand=demand, rows=n)
    rows = np.flatnonzero(broken.bad)
    first = tuple(map(int, rows[:MOST_EXAMPLES]))
    values, places = tuple(value for _, value in broken.places), tuple(place for place, _ in broken.places)
    return Found(demand=demand, rows=len(rows), first=first, values=values, places=places)
