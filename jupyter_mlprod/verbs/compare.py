"""``compare``: the newest evidence of two bundles side by side.

Two intervals stand beside each other; a difference is measured by ``evaluate``, never computed here.
"""

from jupyter_mlprod.core.evidence import Evidence, Measure
from jupyter_mlprod.core.listing import Cell, Listing
from jupyter_mlprod.core.ports import Ports
from jupyter_mlprod.core.record import short
from jupyter_mlprod.core.requests.compare import Compare
from jupyter_mlprod.core.resolve import find_bundle

Place = tuple[str, str]


def run(request: Compare, ports: Ports) -> Listing:
    """One row a measure that either bundle has."""
    first, second = find_bundle(request.first, ports), find_bundle(request.second, ports)
    one, two = (_newest(ports.records.about(Evidence, found.digest)) for found in (first, second))
    rows: list[tuple[Cell, ...]] = []
    for place in sorted(one.keys() | two.keys()):
        a, b = one.get(place), two.get(place)
        unit = next(measure.unit for measure in (a, b) if measure is not None)
        rows.append((place[0], place[1], unit, *_cells(a), *_cells(b)))
    same = "; it is the same bundle" if first.digest == second.digest else ""
    columns = ("measure", "where", "unit", "first", "low", "high", "second", "low ", "high ")
    title = f"{first.bundle.name} {short(first.digest)} and {second.bundle.name} {short(second.digest)}{same}"
    return Listing(
        title=title,
        columns=columns,
        rows=tuple(rows),
        total=len(rows),
        note="" if rows else "neither has evidence yet: evaluate or profile them",
    )


def _newest(evidence: tuple[Evidence, ...]) -> dict[Place, Measure]:
    found: dict[Place, Measure] = {}
    for record in sorted(evidence, key=lambda item: item.taken_at):
        for measure in record.measures:
            found[(measure.name, ", ".join(f"{key}={value}" for key, value in sorted(measure.where.items())))] = measure
    return found


def _cells(measure: Measure | None) -> tuple[Cell, Cell, Cell]:
    return (None, None, None) if measure is None else (measure.value, measure.low, measure.high)
