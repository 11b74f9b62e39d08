"""``show``: a bundle, where it comes from, or any record by its digest. Nothing of a bundle is run."""

from jupyter_mlprod.core.bundle import SNAPSHOT
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.lineage import lineage
from jupyter_mlprod.core.ports import Ports
from jupyter_mlprod.core.record import Record
from jupyter_mlprod.core.requests.show import Show
from jupyter_mlprod.core.resolve import Found, find_bundle, origin_of
from jupyter_mlprod.core.snapshot import Snapshot
from jupyter_mlprod.core.strict_json import strict_record
from jupyter_mlprod.core.subject import parse_subject


def run(request: Show, ports: Ports) -> Record:
    """The record that the subject names, or the lineage of the bundle."""
    if parse_subject(request.subject).kind == "digest" and not request.lineage:
        matches = ports.records.matching(request.subject)
        if len(matches) > 1:
            raise MlprodError(
                Code.UNKNOWN_SUBJECT, f"{request.subject} is the beginning of {len(matches)} records", hint="write more digits"
            )
        if matches:
            return ports.records.get(matches[0])
    found = find_bundle(request.subject, ports)
    return lineage(found.bundle, origin_of(found.folder), _snapshot(found)) if request.lineage else found.bundle


def _snapshot(found: Found) -> Snapshot | None:
    if not found.bundle.holds(SNAPSHOT):
        return None
    try:
        return strict_record((found.folder / SNAPSHOT).read_bytes(), Snapshot)
    except ValueError as error:
        raise MlprodError(Code.BUNDLE_BROKEN, f"{SNAPSHOT} is no snapshot: {error}") from None
