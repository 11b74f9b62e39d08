"""A contract of columns as the source of a Pandera module, which stands on its own and holds one schema a view.

Pandera tells types by the dtype of a column, and a contract by its values, so types are checks here like all else: a column of integers
is one of floats in both. What ``mostly`` lets pass is a warning there, as Pandera has no share for a built-in check.
"""

from collections.abc import Iterator

from msgspec import UNSET

from jupyter_mlprod.core.contract import Column, Contract, View, fields_of
from jupyter_mlprod.core.demands import FLOAT_EXACT, INT_LEAST, INT_MOST, whole_limits
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.pattern import LONGEST_MATCHED

HEAD = '''"""Written by mlprod from contract {digest}."""

import datetime
import re

import numpy as np
import pandas as pd
import pandera.pandas as pa


def is_bool(value):
    return isinstance(value, (bool, np.bool_))


def is_int(value):
    return isinstance(value, (int, np.integer)) and not is_bool(value) and {least} <= value <= {most}


def is_float(value):
    if isinstance(value, (int, np.integer)) and not is_bool(value):
        return -{exact} <= value <= {exact}
    return isinstance(value, (float, np.floating))


def is_string(value):
    return isinstance(value, str) and not any("\\ud800" <= character <= "\\udfff" for character in value)


def is_time(value):
    return isinstance(value, datetime.date) and getattr(value, "tzinfo", None) is None


def is_time_utc(value):
    return isinstance(value, datetime.datetime) and value.tzinfo is not None


def of_type(test):
    return pa.Check(lambda values: values.map(test).astype(bool), name=test.__name__)


def on(test, rule, name, *, warn=False):
    """A rule about values of the right type; one of another type is told by its type alone."""
    def kept(value):
        return not test(value) or bool(rule(value))

    return pa.Check(lambda values: values.map(kept).astype(bool), name=name, raise_warning=warn)


def unique(values):
    return ~values.duplicated()
'''


def pandera_source(contract: Contract, *, digest: str) -> tuple[str, tuple[str, ...]]:
    """The module's text, the same for the same contract, and one line for each thing that it leaves unsaid.

    Raises
    ------
    MlprodError : ``bad-request`` for a contract of tensors or of a text, which Pandera has none of.
    """
    if not contract.is_table:
        raise MlprodError(
            Code.BAD_REQUEST, "Pandera is for tables, and the inputs of this contract are no columns", hint="--to json-schema"
        )
    views: list[View] = ["serving", "training"] if fields_of(contract, "training") != fields_of(contract, "serving") else ["serving"]
    head = HEAD.format(digest=digest, least=INT_LEAST, most=INT_MOST, exact=FLOAT_EXACT)
    return head + "".join(_schema(contract, view) for view in views), _unsaid(contract)


def _schema(contract: Contract, view: View) -> str:
    columns = [field for field in fields_of(contract, view) if isinstance(field, Column)]
    lines = [line for column in columns for line in _column(column)]
    return "\n\n" + "\n".join([f"{view} = pa.DataFrameSchema(", "    {", *lines, "    },", f'    name="{view}",', ")"]) + "\n"


def _column(column: Column) -> Iterator[str]:
    yield f"        {column.name!r}: pa.Column("
    yield "            checks=["
    yield from (f"                {check}," for check in _checks(column))
    yield "            ],"
    yield f"            nullable={column.nullable},"
    if column.unit:
        yield f"            description={column.unit!r},"
    yield "        ),"


def _checks(column: Column) -> Iterator[str]:
    test = f"is_{column.type}"
    warn = ", warn=True" if column.mostly is not UNSET and column.mostly < 1 else ""
    yield f"of_type({test})"
    for name, rule in _rules(column):
        yield f"on({test}, lambda value: {rule}, {name!r}{warn})"
    if column.unique:
        yield f'pa.Check(unique, name="unique"{", raise_warning=True" if warn else ""})'


def _rules(column: Column) -> Iterator[tuple[str, str]]:
    low, high = whole_limits(column)
    if column.type == "float":
        yield "finite", "np.isfinite(value)"
    if low is not None:
        yield f"at least {column.low:g}", f"value >= {low!r}"
    if high is not None:
        yield f"at most {column.high:g}", f"value <= {high!r}"
    if column.categories:
        yield f"one of {len(column.categories)} categories", f"value in {set_text(column.categories)}"
    if column.pattern:
        found = f"len(value) <= {LONGEST_MATCHED} and re.search({column.pattern!r}, value) is not None"
        yield "pattern", found
    if column.shortest is not UNSET:
        yield f"at least {column.shortest} characters", f"len(value) >= {column.shortest}"
    if column.longest is not UNSET:
        yield f"at most {column.longest} characters", f"len(value) <= {column.longest}"


def set_text(values: tuple[str, ...]) -> str:
    """A set as source, in the order of the contract."""
    return "{" + ", ".join(map(repr, values)) + "}"


def _unsaid(contract: Contract) -> tuple[str, ...]:
    columns = [field for field in (*contract.inputs, *contract.training_only) if isinstance(field, Column)]
    lines = [f"rule {name!r}: the export has no rules between columns" for name in contract.rules or {}]
    lines += [f"{column.name}: what {column.mostly:g} of the rows must keep is a warning there" for column in columns if column.mostly]
    lines += [f"{column.name}: the expected distribution is left out" for column in columns if column.expected]
    lines += ["freshness: ages are left out"] if contract.freshness or any(column.max_age for column in columns) else []
    lines += ["rows: how many there are is left out"] if contract.rows else []
    actions = [column.name for column in columns if column.on_violation or column.unknown_category]
    lines += [f"what happens to a request that breaks it is left out: {', '.join(actions[:5])}"] if actions or contract.on_violation else []
    personal = [column.name for column in columns if column.pii]
    lines += [f"Pandera's reports show values, those of personal data too: {', '.join(personal[:5])}"] if personal else []
    lines += ["outputs: the schemas are of what is asked"] if contract.outputs else []
    return tuple(lines)
