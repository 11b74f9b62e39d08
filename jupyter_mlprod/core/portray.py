"""Taking a portrait: the pictures that stand beside a contract's rules.

The bins span the data without its farthest hundredths, and the declared limits where they are near: a limit that lies farther from the
data than the data are wide would squeeze them into one bar.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from jupyter_mlprod.core.arrays import nulls, plain_values
from jupyter_mlprod.core.batch import named_inputs, row_count
from jupyter_mlprod.core.conformance import Conformance, Violation
from jupyter_mlprod.core.contract import Column, Contract, Input, Tensor, Text, View, is_personal
from jupyter_mlprod.core.expression import microseconds
from jupyter_mlprod.core.portrait import BINS, Bars, FieldPortrait, Portrait, Proposed, Shares, Side
from jupyter_mlprod.core.raw import Array, Raw
from jupyter_mlprod.core.record import digest
from jupyter_mlprod.core.reference import HELD_BY, LONGEST, SAMPLED_VALUES, sampled_rows
from jupyter_mlprod.core.suggest import as_toml, suggestions
from jupyter_mlprod.core.suggest_personal import is_withheld, personal_proposal, seen_of
from jupyter_mlprod.core.toml_line import dotted, inline
from jupyter_mlprod.core.values import moment, state_of

MOST_NAMED = 12
"""Values of a column that a picture names."""
TAIL = 0.01

Floats = NDArray[np.float64]


def portray(contract: Contract, raw: Raw, *, about: str, held: Conformance, view: View = "serving") -> Portrait:
    """A contract beside data.

    Parameters
    ----------
    raw : (rows, ...) array, or a mapping of name to (rows, ...) array; the target and outputs may be among them, and are then pictured
    about : the bundle or file whose contract it is
    held : what holding all of the data against the view has come to
    """
    named = named_inputs(contract, raw)
    n = row_count(named)
    fields = tuple(_field(side, field, named, held.violations, held.tolerated) for side, field in _sides(contract))
    known = {one.field.name for one in fields}
    return Portrait(
        about=about,
        contract=digest(contract),
        rows=n,
        sampled=len(sampled_rows(n, width=1)),
        checks=held.checks,
        fields=fields,
        rules=dict(contract.rules or {}),
        violations=tuple(one for one in held.violations if one.check == "rule" or one.field not in known),
        suggestions=tuple(
            Proposed(
                id=one.id,
                field=contract.target.name if one.section == ("target",) and contract.target else one.section[-1],
                sentence=one.sentence,
                share=one.share,
                toml=as_toml(one) if one.values else "",
                settings={dotted((*one.section, key)): inline(value) for key, value in one.values.items()},
            )
            for one in suggestions(contract, raw)
        ),
        view=view,
    )


def _sides(contract: Contract) -> Iterator[tuple[Side, Input]]:
    yield from (("in", field) for field in contract.inputs)
    yield from (("target" if field is contract.target else "training", field) for field in contract.training_only)
    yield from (("out", field) for field in contract.outputs)


def _field(side: Side, field: Input, named: Mapping[str, Array], broken: tuple[Any, ...], tolerated: tuple[Any, ...]) -> FieldPortrait:
    def mine(found: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(one for one in found if one.field == field.name and one.check != "rule" and side != "out")

    array = named.get(field.name)
    if array is None or array.ndim == 0:
        return FieldPortrait(side=side, field=field, withheld=is_personal(field), violations=mine(broken), tolerated=mine(tolerated))
    sample = array[sampled_rows(len(array), width=max(1, array[:1].size))]
    values = _values(field, sample)
    withheld = _is_withheld(field, values)
    told = _without_values if withheld and not is_personal(field) else tuple  # of what is declared personal the check tells no value
    return FieldPortrait(
        side=side,
        field=field,
        nulls=int(nulls(array).sum()) if array.ndim == 1 else int(np.isnan(array).sum()) if array.dtype.kind == "f" else 0,
        picture=None if withheld else _picture(field, sample, values),
        withheld=withheld,
        violations=told(mine(broken)),
        tolerated=told(mine(tolerated)),
    )


def _without_values(found: tuple[Violation, ...]) -> tuple[Violation, ...]:
    """Violations whose examples are places alone, as a check tells them of what was declared personal."""
    return tuple(msgspec.structs.replace(one, examples=tuple(text.partition(": ")[0] for text in one.examples)) for one in found)


def _values(field: Input, sample: Array) -> list[Any]:
    """Of a column or a text, the values of its type."""
    if isinstance(field, Tensor) or sample.ndim != 1:
        return []
    kind = "string" if isinstance(field, Text) else field.type
    return [value for value in plain_values(sample) if not state_of(kind, value)]


def _is_withheld(field: Input, values: list[Any]) -> bool:
    kind = field.type if isinstance(field, Column) else "string" if isinstance(field, Text) else "tensor"
    guess = personal_proposal(field.name, seen_of(kind, values), kind=kind)
    if isinstance(field, Column):
        return is_withheld(field, guess)
    return is_personal(field) or (guess is not None and not field.pii)


def _picture(field: Input, sample: Array, values: list[Any]) -> Bars | Shares | None:
    if isinstance(field, Tensor):
        return _of_tensor(field, sample)
    if isinstance(field, Text):
        return _bars(np.array([len(text) for text in values], np.float64), None, field.longest, of="characters")
    match field.type:
        case "float" | "int":
            return _bars(np.array(values, np.float64), field.low, field.high, of="values")
        case "time" | "time_utc":
            seconds = np.array([microseconds(moment(value)) / 1e6 for value in values], np.float64)
            return _bars(seconds, None, None, of="seconds")
        case "bool":
            return _shares(Counter("true" if value else "false" for value in values), ("false", "true"), closed=False)
        case _:
            counts = Counter(values)
            said = sum(n for _, n in counts.most_common(MOST_NAMED) if n >= HELD_BY)
            if field.categories or (said > len(values) / 2 and not (field.shortest or field.longest)):
                return _shares(counts, field.categories, closed=bool(field.categories))
            lengths = np.array([len(text) for text in values], np.float64)
            return _bars(lengths, field.shortest or None, field.longest or None, of="characters")


def _of_tensor(field: Tensor, sample: Array) -> Bars | None:
    if sample.dtype.kind not in "fiub":
        return None
    flat = sample.reshape(-1)
    step = max(1, -(-flat.size // SAMPLED_VALUES)) | 1  # odd, so that it is no multiple of most widths
    return _bars(flat[::step].astype(np.float64), field.low, field.high, of="values")


def _bars(values: Floats, low: float | None, high: float | None, *, of: Any) -> Bars | None:
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    start, stop = _view(values, low, high)
    width = (stop - start) / BINS if stop > start else 1.0
    places = np.clip((values / width - start / width).astype(np.int64, copy=False), 0, BINS - 1)
    beyond = np.zeros(len(values), bool)
    if low is not None:
        beyond |= values < low
    if high is not None:
        beyond |= values > high
    return Bars(
        of=of,
        start=start,
        stop=stop,
        counts=tuple(np.bincount(places, minlength=BINS).tolist()),
        outside=tuple(np.bincount(places[beyond], minlength=BINS).tolist()),
        low=float(values.min()),
        high=float(values.max()),
    )


def _view(values: Floats, low: float | None, high: float | None) -> tuple[float, float]:
    """From where to where the bins go."""
    ordered = np.sort(values)
    first, last = float(ordered[int(TAIL * len(ordered))]), float(ordered[int((1 - TAIL) * (len(ordered) - 1))])
    span = last - first or max(abs(first), 1.0) / 2
    if not np.isfinite(span):
        return first, last
    near_low = low is not None and first - span <= low
    near_high = high is not None and high <= last + span
    start = min(first, float(low)) if near_low and low is not None else first
    stop = max(last, float(high)) if near_high and high is not None else last
    beyond = float(ordered[0]) < start, float(ordered[-1]) > stop
    edge = (stop - start or span) / BINS
    return start - edge * beyond[0], stop + edge * (beyond[1] or stop == start)


def _shares(counts: Counter[str], known: tuple[str, ...], *, closed: bool) -> Shares:
    """The declared values first, then others by their number; one that few rows hold, or that is long, is not named."""
    total, declared = sum(counts.values()), frozenset(known)
    unknown = [(value, n) for value, n in counts.most_common() if value not in declared and n >= HELD_BY and len(value) <= LONGEST]
    first = sorted(known, key=lambda value: -counts[value])[:MOST_NAMED]
    named = [*((value, counts[value], False) for value in first), *((value, n, closed) for value, n in unknown[: MOST_NAMED - len(first)])]
    others = total - sum(n for _, n, _ in named)
    outside = sum(n for value, n in counts.items() if value not in declared) if closed else 0
    return Shares(
        values=tuple(value for value, _, _ in named),
        counts=tuple(n for _, n, _ in named),
        outside=tuple(n if out else 0 for _, n, out in named),
        others=others,
        others_outside=outside - sum(n for _, n, out in named if out),
        distinct=len(counts),
    )
