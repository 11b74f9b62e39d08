"""Which searches for leakage are made of some data, and as which kind each counts.

A policy that asks for leakage asks whether the label or a second split was compared. So ids that were looked for alone, and not found,
count as a check of quality; one that was found is a finding of leakage whatever else ran.
"""

from collections.abc import Mapping

import msgspec

from jupyter_mlprod.core.checked import Checked
from jupyter_mlprod.core.contract import Column, Contract
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.leakage import id_leaks, label_leaks, shared_rows, time_overlap
from jupyter_mlprod.core.raw import Array, rows


def leak_search(contract: Contract, named: Mapping[str, Array], *, target: str, other: Mapping[str, Array] | None) -> list[Checked]:
    """The ids, the label where the data have it, and the second split where there is one.

    Parameters
    ----------
    target : the label's column as somebody named it, else empty for that of the contract
    other : the rows of the second split

    Raises
    ------
    MlprodError : ``bad-data`` for a target that is no column, and for a second split without what the data have.
    """
    features = [field for field in contract.inputs if isinstance(field, Column)]
    flat = {name: array for name, array in named.items() if array.ndim == 1}
    if target and target not in flat:
        have = ", ".join(list(named)[:10])
        raise MlprodError(Code.BAD_DATA, f"the target {target[:80]!r} is no column of the data, which has {have}")
    ids, compared = id_leaks(features, flat), []
    label = target or (contract.target.name if contract.target else "")
    if label in flat:
        compared.append(label_leaks(features, label, flat, asked=bool(target)))
    if other is not None:
        compared += _splits(contract, named, other)
    if not ids.violations and not any(part.checks for part in compared):
        ids = msgspec.structs.replace(ids, kind="quality")
    return [ids, *compared]


def _splits(contract: Contract, named: Mapping[str, Array], other: Mapping[str, Array]) -> list[Checked]:
    """The data against the validation, by all inputs of the contract that the data have."""
    features = [field for field in contract.inputs if field.name in named]
    missing = [field.name for field in features if field.name not in other]
    if missing or not features:
        raise MlprodError(
            Code.BAD_DATA, f"--validation has no {missing[0][:80]!r}, which the data have" if missing else "the data have no input"
        )
    same_length(other, "--validation")
    parts = [shared_rows(features, named, other)]
    event = contract.freshness.event_time if contract.freshness else ""
    if event in named and rows(other):
        if event not in other:
            raise MlprodError(Code.BAD_DATA, f"--validation has no {event[:80]!r}, by which the contract tells the time")
        parts.append(time_overlap(event, named, other))
    return parts


def same_length(named: Mapping[str, Array], what: str) -> None:
    """Refuse columns that differ in rows.

    Raises
    ------
    MlprodError : ``bad-data``.
    """
    lengths = sorted({len(array) for array in named.values()})
    if len(lengths) > 1:
        raise MlprodError(Code.BAD_DATA, f"the columns of {what} differ in rows: {', '.join(map(str, lengths[:5]))}")
