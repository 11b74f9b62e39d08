"""What can be measured of a bundle without its notebook: parity with the golden samples, contract; `scan_measures` holds the rest.

`package`, `check` and `gate` take these measures by the same functions; who called decides whether they count as the
notebook's word or as the runner's.
"""

from collections.abc import Mapping

import numpy as np

from jupyter_mlprod.core.answer import class_probabilities
from jupyter_mlprod.core.bundle import Bundle
from jupyter_mlprod.core.conformance import Conformance, check_batch
from jupyter_mlprod.core.contract import Contract
from jupyter_mlprod.core.evidence import Measure
from jupyter_mlprod.core.ports import Outputs
from jupyter_mlprod.core.raw import Array, Raw, part, rows

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


def batch_sizes(n: int) -> tuple[int, ...]:
    """The batches that parity is taken at: 1, 3 and all rows."""
    return tuple(sorted({1, min(3, n), n}))


def parity_measures(bundle: Bundle, runtime: Outputs, raw: Raw, reference: Mapping[str, Array], *, per_batch: bool) -> tuple[Measure, ...]:
    """Largest difference and differing arg-max between reference answers and the runtime's, at each batch size.

    Parameters
    ----------
    raw : (n, ...) rows
    reference : output name → (n, ...); with ``per_batch``, ``<batch>/<output>`` → (batch, ...), answers of the original at that batch
    """
    measures: list[Measure] = []
    n = rows(raw)
    for batch in batch_sizes(n):
        answered = _answers(runtime, raw, batch=batch, upto=batch if per_batch else n)
        wanted = {name: reference[f"{batch}/{name}"] if per_batch else reference[name] for name in answered}
        measures += _parity_at(bundle, answered, wanted, where={"batch": str(batch)})
    return tuple(measures)


def _parity_at(bundle: Bundle, answered: dict[str, Array], wanted: dict[str, Array], *, where: dict[str, str]) -> tuple[Measure, ...]:
    """Both measures at one batch size. A row that is not finite on either side counts as a differing answer, never as no answer.

    An output with values above 1 is measured in units of its greatest: float32 has seven digits, whatever the user's unit is.
    """
    n = len(next(iter(answered.values())))
    flat = [
        (np.asarray(answered[name], np.float64).reshape(n, -1), np.asarray(wanted[name], np.float64).reshape(n, -1)) for name in answered
    ]
    broken = np.zeros(n, dtype=bool)
    for ours, theirs in flat:
        broken |= ~(np.isfinite(ours) & np.isfinite(theirs)).all(axis=1)
    gaps = np.zeros(n)
    for ours, theirs in flat:
        unit = max(1.0, float(np.abs(theirs[~broken]).max(initial=0.0)))
        gaps[~broken] = np.maximum(gaps[~broken], np.abs(ours[~broken] - theirs[~broken]).max(axis=1, initial=0.0) / unit)
    differ = gaps > PARITY_ATOL
    if bundle.labels:
        differ = class_probabilities(bundle, answered).argmax(axis=1) != class_probabilities(bundle, wanted).argmax(axis=1)
    mismatches = count(
        "parity_argmax_mismatches", int((differ | broken).sum()), n=n, where=where, note="some are not finite" if broken.any() else ""
    )
    if broken.all():
        return (mismatches,)
    return (Measure(name="parity_max_abs_diff", value=float(gaps.max()), unit="1", n=n, where=where), mismatches)


def _answers(runtime: Outputs, raw: Raw, *, batch: int, upto: int) -> dict[str, Array]:
    pieces = [runtime.outputs(part(raw, start, start + batch)) for start in range(0, upto, batch)]
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
