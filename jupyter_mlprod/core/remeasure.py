"""What can be measured of a bundle without its notebook: parity with the golden samples, contract; `scan_measures` holds the rest.

`package`, `check` and `gate` take these measures by the same functions; who called decides whether they count as the
notebook's word or as the runner's.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from jupyter_mlprod.core.answer import class_probabilities, decided
from jupyter_mlprod.core.batch import check_batch, readied
from jupyter_mlprod.core.bundle import Bundle
from jupyter_mlprod.core.checked import by_kind, count, measures_of
from jupyter_mlprod.core.contract import Contract
from jupyter_mlprod.core.difference import Answers, broken_rows, row_gaps, units_of
from jupyter_mlprod.core.evidence import Measure
from jupyter_mlprod.core.policy import PARITY_LIMIT
from jupyter_mlprod.core.ports import Outputs
from jupyter_mlprod.core.raw import Array, Raw, part, rows
from jupyter_mlprod.core.trial import Trial, batch_sizes, shapes_of, taken, trials


def contract_measures(contract: Contract, raw: Raw) -> tuple[Measure, ...]:
    """How many demands of the contract the rows break. Data without rows break one; how old they are is not asked."""
    result = check_batch(contract, raw)
    return measures_of(by_kind(result, readied(contract, clock=False)), rows=result.rows)


Pairs = Sequence[tuple[Answers, Answers]]
"""Our answers and those wanted, piece by piece."""


def parity_measures(
    bundle: Bundle,
    runtime: Outputs,
    raw: Raw,
    reference: Answers,
    *,
    per_batch: bool,
    more: Sequence[Trial] = (),
    limit: float = PARITY_LIMIT,
) -> tuple[Measure, ...]:
    """Largest difference and differing arg-max between reference answers and the runtime's, at each batch size or trial.

    Parameters
    ----------
    raw : (n, ...) rows
    reference : output name → (n, ...), which the rows must give in batches of any size; with ``per_batch``, ``<trial>/<output>`` →
        (batch, ...), answers of the original at that trial
    limit : of a bundle without labels, from where on an answer counts as another
    more : further trials that the reference holds, with ``per_batch``
    """
    measures: list[Measure] = []
    n, shapes = rows(raw), shapes_of(bundle.contract)
    if per_batch:
        for trial in (*more, *trials(raw, shapes)):
            answered = runtime.outputs(taken(trial, raw, shapes))
            pairs = [(answered, {name: reference[f"{trial.key}/{name}"] for name in answered})]
            measures += _parity_at(bundle, pairs, where={"batch": trial.key}, limit=limit)
        return tuple(measures)
    for batch in batch_sizes(n):
        pairs = []
        for start in range(0, n, batch):
            answered = runtime.outputs(part(raw, start, start + batch))
            pairs.append((answered, {name: reference[name][start : start + batch] for name in answered}))
        measures += _parity_at(bundle, pairs if batch == n else _trimmed(bundle, pairs), where={"batch": str(batch)}, limit=limit)
    return tuple(measures)


def _trimmed(bundle: Bundle, pairs: Pairs) -> Pairs:
    """Wanted answers without what a row has only beside longer ones, in the dimensions that the contract lets vary.

    The longest row is as long by itself, so where no part of the rows is answered at the full size, nothing is cut and all of them differ.
    """
    free = {
        field.name: {axis for axis, size in enumerate(field.shape) if axis and isinstance(size, str)} for field in bundle.contract.outputs
    }
    for name, axes in free.items():
        for axis in axes:
            if max(ours[name].shape[axis] for ours, _ in pairs) != pairs[0][1][name].shape[axis]:
                return pairs
    return [(ours, {name: _cut(array, ours[name], free.get(name, set())) for name, array in wanted.items()}) for ours, wanted in pairs]


def _cut(array: Array, to: Array, axes: set[int]) -> Array:
    return array[tuple(slice(size) if axis in axes else slice(None) for axis, size in enumerate(to.shape))]


def _parity_at(bundle: Bundle, pairs: Pairs, *, where: dict[str, str], limit: float) -> tuple[Measure, ...]:
    """Both measures at one place, from pieces of it. A row that is not finite on either side, or whose two answers have different shapes,
    counts as a differing answer, never as no answer; an infinity that is one on both sides is the same answer.
    """
    broken = np.concatenate([broken_rows(ours, theirs) for ours, theirs in pairs])
    n = len(broken)
    starts = np.cumsum([0, *(len(next(iter(theirs.values()))) for _, theirs in pairs)])
    gaps, differ = np.zeros(n), np.zeros(n, dtype=bool)
    units = {name: units_of([theirs[name] for _, theirs in pairs]) for name in pairs[0][0]}
    for start, stop, (ours, theirs) in zip(starts[:-1], starts[1:], pairs, strict=True):
        fine = ~broken[start:stop]
        if not fine.any():
            continue
        for name, unit in units.items():
            gap = row_gaps(ours[name][fine], theirs[name][fine], unit)
            gaps[start:stop][fine] = np.maximum(gaps[start:stop][fine], gap)
        if bundle.labels:
            differ[start:stop] = _classes_differ(bundle, ours, theirs)
    if not bundle.labels:
        differ = gaps > limit
    note = "some are not finite, or have another shape" if broken.any() else ""
    mismatches = count("parity_argmax_mismatches", int((differ | broken).sum()), n=n, where=where, note=note)
    if broken.all():
        return (mismatches,)
    return (Measure(name="parity_max_abs_diff", value=float(gaps.max()), unit="1", n=n, where=where), mismatches)


def _classes_differ(bundle: Bundle, ours: Answers, theirs: Answers) -> NDArray[np.bool_]:
    """The rows whose most probable class differs, or the label that the operating point answers."""
    one, two = class_probabilities(bundle, ours), class_probabilities(bundle, theirs)
    return np.asarray((one.argmax(axis=1) != two.argmax(axis=1)) | (decided(bundle, one) != decided(bundle, two)))
