"""``check``: data against a bundle's contract."""

from jupyter_mlprod.core.evidence import Evidence
from jupyter_mlprod.core.ports import Ports
from jupyter_mlprod.core.raw import raw_digest
from jupyter_mlprod.core.remeasure import contract_measures
from jupyter_mlprod.core.requests.check import Check
from jupyter_mlprod.core.resolve import find_bundle


def run(request: Check, ports: Ports) -> Evidence:
    """Count the demands that the rows break; runs no code of the bundle."""
    found = find_bundle(request.subject, ports)
    raw = ports.data.read(request.data)
    evidence = Evidence(
        kind="contract",
        subject=found.digest,
        taken_at=ports.now(),
        taken_by=ports.taken_by,
        measures=contract_measures(found.bundle.contract, raw),
        context={"data": raw_digest(raw)},
    )
    ports.records.put(evidence)
    return evidence
