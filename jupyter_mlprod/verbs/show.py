"""``show``: a bundle, where it comes from, or any record by its digest. Nothing of a bundle is run."""

from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.lineage import lineage
from jupyter_mlprod.core.lock import training_lock
from jupyter_mlprod.core.ports import Ports
from jupyter_mlprod.core.record import Record
from jupyter_mlprod.core.requests.show import Show
from jupyter_mlprod.core.resolve import find_bundle, origin_of, snapshot_of
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
    if not request.lineage:
        return found.bundle
    origin = origin_of(found.folder)
    return lineage(found.bundle, origin, snapshot_of(found), lock=training_lock(found.folder) if origin else None)
