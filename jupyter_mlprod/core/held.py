"""What several verbs decide alike before they hold data against a contract: of which view the data are, and what is read of a file.

Data with a column that no request has, such as the target, are of the training view. Serving data are asked for their age now, training
data are not: they are of the past, and were fresh when they were used.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from jupyter_mlprod.core.conformance import Violation
from jupyter_mlprod.core.contract import Contract, View, fields_of
from jupyter_mlprod.core.demands import types_read
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.ports import Ports
from jupyter_mlprod.core.raw import Raw
from jupyter_mlprod.core.snapshot import SUFFIX
from jupyter_mlprod.core.subject import names_file

STREAMED = (".parquet",)
"""Files whose columns say themselves what they hold, and are held against the contract as they are, without the detour of pandas."""
MOST_TOLD = 10


def view_of(contract: Contract, names: Iterable[str]) -> View:
    """The view that data with such columns are of."""
    return "training" if {field.name for field in contract.training_only} & set(names) else "serving"


def source_of(contract: Contract, path: str, raw: Raw) -> Path | Raw:
    """What is held against the contract: the file, or the rows that were read of it."""
    file = Path(path)
    return file if contract.is_table and file.suffix in STREAMED else raw


def broken_by_training(contract: Contract, data: str, ports: Ports) -> Iterator[str]:
    """What training data break of the training view, a line each; they tell places and numbers of rows, and no value.

    Parameters
    ----------
    data : of a table, a file, or what stands for a live value of the notebook, which is looked at where it is
    """
    if not contract.is_table:
        return
    live = ports.live_data.get(data)
    source: Any = live
    if live is None and names_file(data) and not data.endswith(SUFFIX):
        source = source_of(contract, data, ports.data.read(data, types=types_read(contract)))
    if source is None:
        return
    try:
        found = ports.frames.check(contract, source, view="training", now=None).violations
    except MlprodError as error:
        if error.code is not Code.BAD_DATA:
            raise
        yield f"data: not held against the contract: {error.message}"
        return
    yield from (f"data: {one.what}{_why(one, contract)}" for one in found[:MOST_TOLD])
    if len(found) > MOST_TOLD:
        yield f"data: and {len(found) - MOST_TOLD:,} more"


def _why(broken: Violation, contract: Contract) -> str:
    """Of nulls that nobody has said anything of, what forbids them."""
    field = next((one for one in fields_of(contract, "training") if one.name == broken.field), None)
    inferred = broken.check == "null" and field is not None and "nullable" not in (field.declared or ())
    return " (the example has no null there; nullable = true allows it)" if inferred else ""
