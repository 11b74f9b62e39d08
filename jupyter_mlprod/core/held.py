"""What several verbs decide alike before they hold data against a contract: of which view the data are, and what is read of a file.

Data with a column that no request has, such as the target, are of the training view. Serving data are asked for their age now, training
data are not: they are of the past, and were fresh when they were used.
"""

from collections.abc import Iterable
from pathlib import Path

from jupyter_mlprod.core.contract import Contract, View
from jupyter_mlprod.core.raw import Raw

STREAMED = (".parquet",)
"""Files whose columns say themselves what they hold, and are held against the contract as they are, without the detour of pandas."""


def view_of(contract: Contract, names: Iterable[str]) -> View:
    """The view that data with such columns are of."""
    return "training" if {field.name for field in contract.training_only} & set(names) else "serving"


def source_of(path: str, raw: Raw) -> Path | Raw:
    """What is held against the contract: the file, or the rows that were read of it."""
    file = Path(path)
    return file if file.suffix in STREAMED else raw
