"""What can be measured of a bundle without its notebook: parity with the golden samples, contract; `scan_measures` holds the rest.

`package`, `check` and `gate` take these measures by the same functions; who called decides whether they count as the
notebook's word or as the runner's.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from jupyter_mlprod.core.answer import class_probabilities, decided
from jupyter_mlprod.core.bundle import Bundle
from jupyter_mlprod.core.conformance import Conformance, check_batch
from jupyter_mlprod.core.contract import Contract
from jupyter_mlprod.core.evidence import Measure
from jupyter_mlprod.core.ports import Outputs
from jupyter_mlprod.core.raw import Array, Raw, part, rows
from jupyter_mlprod.core.scores import Floats
from jupyter_mlprod.core.trial import Trial, batch_sizes, shapes_of, taken, trials

PARITY_ATOL = 1e-4
MAX_NOTES = 5


def count(name: str, found: int, *, n: int, note: str = "", where: dict[str, str] | None = None) -> Measure:
    """A number of faults out of ``n`` checks."""
    return Measure(name=name, value=float(found), unit="count", n=n, note=note, where=where or {})


def joined(notes: list[str]) -> str:
    """The first few notes, and how many more there are."""
    more = f"; and {len(notes) - MAX_NOTES} more" if len(notes) > MAX_NOTES else ""
    return "; ".join(notes[:MAX_NOTES]) + more


def contract_measures(contract: Contract, raw: Raw) -> tuple[Measure, ...]:
    """How many demands of the contract the rows break. Zero rows count as zero checks, which never pass; a missing input fails."""
    result: Conformance = check_batch(contract, raw)
    astray = any(violation.check in ("present", "unknown") for violation in result.violations)  # of whatever rows there are, none is seen
    n = result.checks if result.rows or astray else 0
    broken = [violation.what for violation in result.violations]
    return (
        count("violations", len(broken), n=n, note=joined(broken)),
        count("rows", result.rows, n=result.rows, note=f"{result.checks} checks ran on {result.rows:,} rows"),
    )


Answers = Mapping[str, Array]


def parity_measures(
    bundle: Bundle, runtime: Outputs, raw: Raw, reference: Answers, *, per_batch: bool, more: Sequence[Trial] = ()
) -> tuple[Measure, ...]:
    """Largest difference and differing arg-max between reference answers and the runtime's, at each batch size or trial.

    Parameters
    ----------
    raw : (n, ...) rows
    reference : output name → (n, ...), which the rows must give in batches of any size; with ``per_batch``, ``<trial>/<output>`` →
        (batch, ...), answers of the original at that trial
    more : further trials that the reference holds, with ``per_batch``
    """
    measures: list[Measure] = []
    n, shapes = rows(raw), shapes_of(bundle.contract)
    if per_batch:
        for trial in (*more, *trials(raw, shapes)):
            answered = runtime.outputs(taken(trial, raw, shapes))
            pairs = [(answered, {name: reference[f"{trial.key}/{name}"] for name in answered})]
            measures += _parity_at(bundle, pairs, where={"batch": trial.key})
        return tuple(measures)
    for batch in batch_sizes(n):
        pairs = []
        for start in range(0, n, batch):
            answered = runtime.outputs(part(raw, start, start + batch))
            pairs.append((answered, {name: reference[name][start : start + batch] for name in answered}))
        measures += _parity_at(bundle, [(one, _trimmed(bundle, two, to=one)) for one, two in pairs], where={"batch": str(batch)})
    return tuple(measures)


def _trimmed(bundle: Bundle, wanted: Answers, *, to: Answers) -> Answers:
    """Answers without what a row has only beside longer ones, in the dimensions that the contract lets vary."""
    free = {
        field.name: [axis for axis, size in enumerate(field.shape) if axis and isinstance(size, str)] for field in bundle.contract.outputs
    }
    trimmed = {}
    for name, array in wanted.items():
        sizes = [to[name].shape[axis] if axis in free.get(name, ()) and axis < to[name].ndim else None for axis in range(array.ndim)]
        trimmed[name] = array[tuple(slice(size) for size in sizes)]
    return trimmed


def _parity_at(bundle: Bundle, pairs: Sequence[tuple[Answers, Answers]], *, where: dict[str, str]) -> tuple[Measure, ...]:
    """Both measures at one place, from pieces of it. A row that is not finite on either side, or whose two answers have different shapes,
    counts as a differing answer, never as no answer.

    An output with values above 1 is measured in units of its greatest: float32 has seven digits, whatever the user's unit is.
    """
    broken = np.concatenate([_broken(ours, theirs) for ours, theirs in pairs])
    n = len(broken)
    starts = np.cumsum([0, *(len(next(iter(theirs.values()))) for _, theirs in pairs)])
    gaps, differ = np.zeros(n), np.zeros(n, dtype=bool)
    units = {name: max(1.0, *(_greatest(theirs[name], ours[name]) for ours, theirs in pairs)) for name in pairs[0][0]}
    for start, stop, (ours, theirs) in zip(starts[:-1], starts[1:], pairs, strict=True):
        fine = ~broken[start:stop]
        if not fine.any():
            continue
        for name, unit in units.items():
            gap = np.abs(_flat(ours[name])[fine] - _flat(theirs[name])[fine]).max(axis=1, initial=0.0) / unit
            gaps[start:stop][fine] = np.maximum(gaps[start:stop][fine], gap)
        if bundle.labels:
            differ[start:stop] = _classes_differ(bundle, ours, theirs)
    if not bundle.labels:
        differ = gaps > PARITY_ATOL
    note = "some are not finite, or have another shape" if broken.any() else ""
    mismatches = count("parity_argmax_mismatches", int((differ | broken).sum()), n=n, where=where, note=note)
    if broken.all():
        return (mismatches,)
    return (Measure(name="parity_max_abs_diff", value=float(gaps.max()), unit="1", n=n, where=where), mismatches)


def _classes_differ(bundle: Bundle, ours: Answers, theirs: Answers) -> NDArray[np.bool_]:
    """The rows whose most probable class differs, or the label that the operating point answers."""
    one, two = class_probabilities(bundle, ours), class_probabilities(bundle, theirs)
    return np.asarray((one.argmax(axis=1) != two.argmax(axis=1)) | (decided(bundle, one) != decided(bundle, two)))


def _broken(ours: Answers, theirs: Answers) -> NDArray[np.bool_]:
    """The rows whose answers cannot be compared."""
    broken = np.zeros(len(next(iter(theirs.values()))), dtype=bool)
    for name, array in ours.items():
        if array.shape != theirs[name].shape or not array.size:
            broken[:] = True
        else:
            broken |= ~(np.isfinite(_flat(array)) & np.isfinite(_flat(theirs[name]))).all(axis=1)
    return broken


def _greatest(theirs: Array, ours: Array) -> float:
    """The greatest value of the reference among the rows that can be compared."""
    if theirs.shape != ours.shape or not theirs.size:
        return 0.0
    fine = (np.isfinite(_flat(theirs)) & np.isfinite(_flat(ours))).all(axis=1)
    return float(np.abs(_flat(theirs)[fine]).max(initial=0.0))


def _flat(array: Array) -> Floats:
    return np.asarray(array, np.float64).reshape(len(array), -1)
