"""Does this batch keep the contract? Vectorised checks of the serving view; every violation is found at once.

A check is one demand on one field (type, shape, null, range, category). The number of checks that ran is part of the result, so
that nothing checked never reads as nothing wrong. Values of the data are never put into a message.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from jupyter_mlprod.core.contract import Column, Contract, Input, Tensor, Text
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.raw import Array, Raw

KINDS = {"float": "fiu", "int": "iu", "bool": "b", "string": "UO"}


class Violation(msgspec.Struct, frozen=True, kw_only=True):
    """One broken demand: which field, which check, how many rows, and the sentence a person reads."""

    field: str
    check: str
    rows: int
    what: str


class Conformance(msgspec.Struct, frozen=True, kw_only=True):
    """How many checks ran on how many rows, and what they found."""

    checks: int
    rows: int
    violations: tuple[Violation, ...]


def check_batch(contract: Contract, raw: Raw) -> Conformance:
    """Hold a raw batch against the serving view.

    Parameters
    ----------
    raw : (batch, ...) array, or a mapping of input name to (batch, ...) array; object arrays may hold None as null
    """
    named = _named(contract, raw)
    found: list[Violation] = []
    checks = 0
    names = {field.name for field in contract.inputs}
    extra = [name for name in named if name not in names]
    if not contract.is_table and not contract.is_text and extra:
        checks += 1
        found.append(
            Violation(
                field=extra[0][:80], check="unknown", rows=0, what=f"{_shown(extra)} no input of the contract ({', '.join(sorted(names))})"
            )
        )
    dims: dict[str, int] = {}
    for field in contract.inputs:
        if field.name not in named:
            checks += 1
            found.append(Violation(field=field.name, check="present", rows=0, what=f"{_kind(field)} {field.name!r} is missing"))
            continue
        for violation in _check_field(field, named[field.name], dims):
            checks += 1
            if violation is not None:
                found.append(violation)
    lengths = {len(named[field.name]) for field in contract.inputs if field.name in named and np.ndim(named[field.name])}
    if len(lengths) > 1:
        checks += 1
        found.append(Violation(field="", check="rows", rows=0, what=f"the inputs differ in rows: {', '.join(map(str, sorted(lengths)))}"))
    return Conformance(checks=checks, rows=max(lengths, default=0), violations=tuple(found))


def _check_field(field: Input, array: Array, dims: dict[str, int]) -> Iterator[Violation | None]:
    match field:
        case Tensor():
            return _check_tensor(field, array, dims)
        case Column():
            return _check_column(field, array)
        case Text():
            return _check_text(field, array)


def demand(contract: Contract, raw: Raw, *, name: str) -> None:
    """Refuse a batch that breaks the contract, or that has no rows.

    Raises
    ------
    MlprodError : ``contract-violation`` naming every field that breaks it.
    """
    result = check_batch(contract, raw)
    if result.violations or not result.rows:
        what = "; ".join(violation.what for violation in result.violations[:5]) or "the batch has no rows"
        raise MlprodError(Code.CONTRACT, f"{what} (contract of {name})", hint="mlprod check shows every violation")


def _named(contract: Contract, raw: Raw) -> Mapping[str, Array]:
    if isinstance(raw, Mapping):
        return raw
    return {contract.inputs[0].name: raw}


def _shown(names: list[str]) -> str:
    listed = ", ".join(repr(name[:80]) for name in names[:3])
    return f"{listed}{' and others are' if len(names) > 3 else ' is' if len(names) == 1 else ' are'}"


def _kind(field: Input) -> str:
    return "column" if isinstance(field, Column) else "input"


def _check_tensor(spec: Tensor, array: Array, dims: dict[str, int]) -> Iterator[Violation | None]:
    """Demands on one tensor, in the order in which a later one makes sense only after the earlier."""
    wanted = np.dtype(spec.dtype)
    if (
        array.dtype.kind not in "fiub"
        or (wanted.kind != "f" and array.dtype.kind == "f")
        or (wanted.kind == "b") != (array.dtype.kind == "b")
    ):
        yield Violation(
            field=spec.name,
            check="dtype",
            rows=len(array) if array.ndim else 0,
            what=f"input {spec.name!r} has dtype {array.dtype}, contract says {spec.dtype}",
        )
        return
    yield None
    if not _fits(spec.shape, array.shape, dims):
        shape = ", ".join(map(str, spec.shape))
        yield Violation(
            field=spec.name,
            check="shape",
            rows=len(array) if array.ndim else 0,
            what=f"input {spec.name!r} has shape {array.shape}, contract says ({shape})",
        )
        return
    yield None
    flat: Any = array.reshape(len(array) if array.ndim else 1, -1) if array.size else array.reshape(len(array), 0)
    if wanted.kind in "fiu" and not np.can_cast(array.dtype, wanted):
        least, most = _extent(wanted)
        bad = (np.isfinite(flat) & ((flat < least) | (flat > most))).any(axis=1)
        yield _rows(spec.name, "dtype", bad, f"input {spec.name!r} does not fit {spec.dtype}")
    if spec.finite and array.dtype.kind == "f":
        yield _rows(spec.name, "finite", ~np.isfinite(flat).all(axis=1), f"input {spec.name!r} holds NaN or infinity")
    yield from _range_checks(spec, flat, f"input {spec.name!r}")


def _extent(kind: np.dtype[Any]) -> tuple[float, float]:
    """The least and the greatest number of a type; beyond them a cast wraps round or becomes infinite."""
    info = np.finfo(kind) if kind.kind == "f" else np.iinfo(kind)
    return (float(info.min), float(info.max)) if kind.kind == "f" else (int(info.min), int(info.max))


def _fits(spec: tuple[int | str, ...], shape: tuple[int, ...], dims: dict[str, int]) -> bool:
    if len(spec) != len(shape):
        return False
    return all(size == (dims.setdefault(want, size) if isinstance(want, str) else want) for want, size in zip(spec, shape, strict=True))


def _check_column(spec: Column, array: Array) -> Iterator[Violation | None]:
    if array.ndim != 1:
        yield Violation(
            field=spec.name,
            check="shape",
            rows=len(array) if array.ndim else 0,
            what=f"column {spec.name!r} has shape {array.shape}, contract says one value a row",
        )
        return
    yield None
    null = nulls(array)
    wrong = np.zeros(len(array), dtype=bool)
    if spec.type == "string" and array.dtype.kind == "O":
        wrong = np.array([not gone and not isinstance(value, str) for value, gone in zip(array, null, strict=True)], dtype=bool)
        yield _rows(spec.name, "type", wrong, f"column {spec.name!r} holds values that are no strings")
    elif array.dtype.kind not in KINDS[spec.type] or (array.dtype.kind == "O" and spec.type != "string"):
        yield Violation(
            field=spec.name, check="type", rows=len(array), what=f"column {spec.name!r} has dtype {array.dtype}, contract says {spec.type}"
        )
        return
    else:
        yield None
    if not spec.nullable:
        yield _rows(spec.name, "null", null, f"column {spec.name!r} is null")
    if spec.categories:
        allowed = set(spec.categories)
        other = [not skip and str(value) not in allowed for value, skip in zip(array, null | wrong, strict=True)]
        yield _rows(spec.name, "category", np.array(other, bool), f"column {spec.name!r} is none of its {len(allowed)} categories")
    if spec.type in ("float", "int"):
        if array.dtype.kind == "f":
            yield _rows(spec.name, "finite", np.isinf(array), f"column {spec.name!r} is infinite")
        yield from _range_checks(spec, array[:, None], f"column {spec.name!r}")


def _check_text(spec: Text, array: Array) -> Iterator[Violation | None]:
    if array.ndim != 1 or array.dtype.kind not in "UO":
        what = f"input {spec.name!r} has dtype {array.dtype} and shape {array.shape}, contract says one text a row"
        yield Violation(field=spec.name, check="type", rows=len(array) if array.ndim else 0, what=what)
        return
    strings = np.array([isinstance(value, str) for value in array], dtype=bool)
    yield _rows(spec.name, "type", ~strings, f"input {spec.name!r} is no text")
    broken = [isinstance(value, str) and not _is_unicode(value) for value in array]
    yield _rows(spec.name, "unicode", np.array(broken, bool), f"input {spec.name!r} holds half of a surrogate pair, which is no character")
    if spec.longest is not None:
        longer = [isinstance(value, str) and len(value) > spec.longest for value in array]
        yield _rows(spec.name, "longest", np.array(longer, bool), f"input {spec.name!r} is longer than {spec.longest:,} characters")


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _range_checks(spec: Tensor | Column, flat: Any, what: str) -> Iterator[Violation | None]:
    unit = f" {spec.unit}" if spec.unit else ""
    with np.errstate(over="ignore"):  # a limit that float16 cannot hold becomes infinity
        low = None if spec.low is None else (flat < spec.low).any(axis=1)
        high = None if spec.high is None else (flat > spec.high).any(axis=1)
    if low is not None:
        yield _rows(spec.name, "low", low, f"{what} is below {spec.low:g}{unit}")
    if high is not None:
        yield _rows(spec.name, "high", high, f"{what} is above {spec.high:g}{unit}")


def nulls(array: Array) -> NDArray[np.bool_]:
    """(n,) bool: NaN in floats; None, NaN, NaT or pandas.NA in object arrays."""
    if array.dtype.kind == "f":
        return np.isnan(array)
    if array.dtype.kind == "O":
        return np.array([_is_null(value) for value in array], dtype=bool)
    return np.zeros(len(array), dtype=bool)


def _is_null(value: object) -> bool:
    try:
        return value is None or bool(value != value)
    except TypeError:  # pandas.NA does not say whether it equals itself
        return True
    except ValueError:  # an array inside an object array
        return False


def _rows(field: str, check: str, bad: NDArray[np.bool_], what: str) -> Violation | None:
    rows = int(bad.sum())
    if not rows:
        return None
    first = int(np.flatnonzero(bad)[0])
    return Violation(field=field, check=check, rows=rows, what=f"{what} in {rows:,} of {len(bad):,} rows, first at row {first}")
