"""``scan``: every byte of a bundle, without running any of it."""

from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.evidence import Evidence
from jupyter_mlprod.core.ports import Ports
from jupyter_mlprod.core.record import digest
from jupyter_mlprod.core.remeasure import scan_measures
from jupyter_mlprod.core.requests.scan import Scan
from jupyter_mlprod.core.resolve import locate


def run(request: Scan, ports: Ports) -> Evidence:
    """Digests as in the manifest, and no pickle. A bundle that was tampered with is a finding here, not an error."""
    folder = locate(request.subject, ports)
    bundle, faults = ports.bundles.faults(folder)
    if bundle is None:
        raise MlprodError(Code.BUNDLE_BROKEN, "; ".join(faults))
    evidence = Evidence(
        kind="scan",
        subject=digest(bundle),
        taken_at=ports.now(),
        taken_by=ports.taken_by,
        measures=scan_measures(folder, bundle, faults),
    )
    ports.records.put(evidence)
    return evidence
