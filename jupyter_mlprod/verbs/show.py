"""``show``: a bundle, or any record by its digest. Nothing of a bundle is run."""

from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.ports import Ports
from jupyter_mlprod.core.record import Record
from jupyter_mlprod.core.requests.show import Show
from jupyter_mlprod.core.resolve import find_bundle
from jupyter_mlprod.core.subject import parse_subject


def run(request: Show, ports: Ports) -> Record:
    """The record that the subject names."""
    if parse_subject(request.subject).kind == "digest":
        matches = ports.records.matching(request.subject)
        if len(matches) > 1:
            raise MlprodError(
                Code.UNKNOWN_SUBJECT, f"{request.subject} is the beginning of {len(matches)} records", hint="write more digits"
            )
        if matches:
            return ports.records.get(matches[0])
    return find_bundle(request.subject, ports).bundle
