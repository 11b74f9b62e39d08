"""Quality of data: nulls, repeated rows, constant columns, outliers, blank and broken images.

These are measured and not judged, because what is much depends on the data: a project that minds says so in its policy. What is broken
whatever anybody thinks, an image that cannot be decoded, is a check that can break.
"""

from collections.abc import Collection, Mapping, Sequence

import msgspec
import numpy as np

from jupyter_mlprod.core.arrays import nulls
from jupyter_mlprod.core.checked import Checked, count
from jupyter_mlprod.core.column_values import Hashes, Mask, combined, first_alike, hashes, numbers, row_hashes
from jupyter_mlprod.core.conformance import MOST_EXAMPLES, Violation
from jupyter_mlprod.core.contract import Column, Input, Tensor
from jupyter_mlprod.core.evidence import Measure
from jupyter_mlprod.core.quality import measure
from jupyter_mlprod.core.raw import Array
from jupyter_mlprod.core.snapshot import PROBABILITIES, Snapshot
from jupyter_mlprod.core.uncertainty import wilson

FAR = 5.0
"""In interquartile ranges from the median: beyond 5, a normal distribution has one value in 60 billion."""
MOST_NAMED = 20
SIGNATURES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"RIFF")
"""How images begin: PNG, JPEG, GIF, BMP, TIFF of either order, WebP."""
Quartiles = tuple[float, float, float]


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """What one image came to.

    Attributes
    ----------
    name : of the file; empty for a value of a column
    hash : of its bytes; empty for a null
    fault : why it cannot be decoded
    blank : all of its pixels are the same
    """

    name: str
    hash: bytes
    fault: str = ""
    blank: bool = False


def table_quality(fields: Sequence[Input], named: Mapping[str, Array], snapshot: Snapshot | None, *, hidden: Collection[str]) -> Checked:
    """Columns and texts; (n,) arrays by name, n > 0, all of one length.

    Parameters
    ----------
    snapshot : of the bundle's training data, whose quartiles say what an outlier is; else those of the data do
    hidden : columns of whose values nothing is told
    """
    columns = [field for field in fields if field.name in named and named[field.name].ndim == 1]
    measures: list[Measure] = []
    for field in columns:
        array = named[field.name]
        measures.append(_ratio("null_ratio", nulls(array), {"column": field.name}))
        if isinstance(field, Column) and field.type in ("float", "int"):
            measures += _outliers(field.name, array, snapshot, told=field.name not in hidden)
    if columns:
        same: list[str] = []
        measures.append(_repeated(combined(_noted(field.name, named[field.name], same) for field in columns)))
        measures.append(_constant(same, n=len(columns)))
    return Checked(kind="quality", checks=0, measures=tuple(measures))


def tensor_quality(fields: Sequence[Input], named: Mapping[str, Array]) -> Checked:
    """Tensors: repeated rows, rows of a single value, rows with what is not finite."""
    tensors = [field.name for field in fields if isinstance(field, Tensor) and field.name in named and named[field.name].ndim > 1]
    measures: list[Measure] = []
    for name in tensors:
        flat = named[name].reshape(len(named[name]), -1)
        if flat.shape[1] > 1:
            blank = np.asarray((flat == flat[:, :1]).all(axis=1))
            measures.append(count("constant_rows", int(blank.sum()), n=len(blank), note=_at_rows(blank), where={"input": name}))
        if flat.dtype.kind == "f":
            measures.append(_ratio("nonfinite_ratio", np.asarray(~np.isfinite(flat).all(axis=1)), {"input": name}))
    if tensors and len({len(named[name]) for name in tensors}) == 1:
        measures.append(_repeated(row_hashes(named, tensors)))
    return Checked(kind="quality", checks=0, measures=tuple(measures))


def image_quality(pictures: Sequence[Picture], *, column: str = "", told: bool) -> Checked:
    """Images of a folder or of a column of bytes: each must be decoded.

    Parameters
    ----------
    told : whether the names of files may be told, which of personal images they may not
    """
    broken = [row for row, one in enumerate(pictures) if one.fault]
    violations = []
    if broken:
        who = f"column {column!r}" if column else "the folder"
        what = f"{who} holds images that cannot be decoded in {len(broken):,} of {len(pictures):,} rows, first at row {broken[0]:,}"
        examples = tuple(_example(row, pictures[row], told=told) for row in broken[:MOST_EXAMPLES])
        violations.append(Violation(field=column, check="decode", rows=len(broken), what=what, kind="quality", examples=examples))
    blank = np.array([one.blank for one in pictures], bool)
    seen = np.array([int.from_bytes(one.hash[:8], "little") for one in pictures if one.hash], np.uint64)
    where = {"input": column} if column else {}
    measures = [count("constant_rows", int(blank.sum()), n=len(blank), note=_at_rows(blank), where=where)]
    if not column:
        measures.append(_repeated(seen))
    return Checked(kind="quality", checks=1, violations=tuple(violations), measures=tuple(measures))


def _example(row: int, one: Picture, *, told: bool) -> str:
    name = f" {one.name!r}" if told and one.name else ""
    return f"row {row:,}{name}: {one.fault}"


def _ratio(name: str, found: Mask, where: dict[str, str], *, note: str = "") -> Measure:
    hit = int(found.sum())
    shares = wilson(hit, len(found))
    return msgspec.structs.replace(measure(name, shares, n=len(found), method="wilson", where=where), note=note)


def _outliers(name: str, array: Array, snapshot: Snapshot | None, *, told: bool) -> list[Measure]:
    """Nothing where half of the values are the same, or none is a number: there is no width to be outside of."""
    values = numbers(array)
    values = values[np.isfinite(values)]
    kept = _kept_quartiles(name, snapshot)
    given = kept or (tuple(map(float, np.quantile(values, [0.25, 0.5, 0.75]))) if len(values) else (0.0, 0.0, 0.0))
    width = given[2] - given[0]
    if not len(values) or not width > 0 or not np.isfinite(width):
        return []
    low, high = given[1] - FAR * width, given[1] + FAR * width
    of = "the bundle's training data" if kept else "the data at hand"
    limits = f"outside {low:.4g} to {high:.4g}, " if told else ""
    note = f"{limits}{FAR:g} interquartile ranges from the median of {of}"
    return [_ratio("outlier_ratio", (values < low) | (values > high), {"column": name}, note=note)]


def _kept_quartiles(name: str, snapshot: Snapshot | None) -> Quartiles | None:
    """Those of a column in the snapshot, where it has them."""
    column = next((one for one in snapshot.columns if one.name == name), None) if snapshot else None
    quantiles = column.channels[0].quantiles if column and len(column.channels) == 1 else ()
    if len(quantiles) != len(PROBABILITIES):
        return None
    at = dict(zip(PROBABILITIES, quantiles, strict=True))
    return at[0.25], at[0.5], at[0.75]


def _repeated(rows: Hashes) -> Measure:
    """Rows that are equal to an earlier one, and the first of them."""
    first = first_alike(rows)
    again = np.flatnonzero(first != np.arange(len(first)))
    pairs = ", ".join(f"row {row:,} is row {first[row]:,}" for row in again[:MOST_EXAMPLES].tolist())
    return count("duplicate_rows", len(again), n=len(first), note=pairs)


def _noted(name: str, array: Array, same: list[str]) -> Hashes:
    """The hashes of a column, whose name is noted where all of them are the same; of a single row nothing can be said."""
    own = hashes(array)
    if len(own) > 1 and bool((own == own[0]).all()):
        same.append(name)
    return own


def _constant(same: Sequence[str], *, n: int) -> Measure:
    """Columns that say the same in every row, null included."""
    more = f" and {len(same) - MOST_NAMED} more" if len(same) > MOST_NAMED else ""
    return count("constant_columns", len(same), n=n, note=", ".join(same[:MOST_NAMED]) + more)


def _at_rows(found: Mask) -> str:
    rows = np.flatnonzero(found)[:MOST_EXAMPLES].tolist()
    return f"first at {', '.join(f'row {row:,}' for row in rows)}" if rows else ""


def holds_images(array: Array) -> list[bytes | None]:
    """The values of a column of bytes of which one begins as an image does, null for what is none; empty for any other column."""
    if array.dtype.kind not in "OS" or array.ndim != 1:
        return []
    values = [value if isinstance(value, bytes) else None for value in array.tolist()]
    return values if any(value is not None and value.startswith(SIGNATURES) for value in values) else []
