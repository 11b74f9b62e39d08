"""``sign``: vouch for a bundle with this workspace's key, and renew what is attached to it. Nothing of the bundle is run.

A bundle from elsewhere is taken into this workspace's store and signed there: what was verified is what is signed. The digests are
verified first, and a file in ``attached/`` that mlprod did not put there is refused, since a signature would cover it. What cannot be
told in card and SBOM is refused before anything is taken in.
"""

from jupyter_mlprod.core.attach import attach, documents_of, faults_of_attached
from jupyter_mlprod.core.bundle import SIGNATURE
from jupyter_mlprod.core.checked import count, joined
from jupyter_mlprod.core.document import toml_text
from jupyter_mlprod.core.dossier import gather
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.evidence import Evidence
from jupyter_mlprod.core.lock import training_lock
from jupyter_mlprod.core.ports import Ports
from jupyter_mlprod.core.requests.sign import Sign
from jupyter_mlprod.core.resolve import find_bundle, keep
from jupyter_mlprod.core.statement import ATTACHED_FILES, attached_files, signers


def run(request: Sign, ports: Ports) -> Evidence:
    """Sign both statements; what was found afterwards, and why it was done, is kept as evidence."""
    words = toml_text(request.card, name="card", code=Code.BAD_REQUEST)
    found = find_bundle(request.subject, ports)
    strange = [path for path in attached_files(found.folder) if path not in ATTACHED_FILES]
    if strange:
        hint = f"look at {strange[0]} in {request.subject} and remove it"
        raise MlprodError(Code.BUNDLE_BROKEN, f"{joined(strange)}: mlprod does not attach such a file, so it is not signed", hint=hint)
    training_lock(found.folder)  # nothing else reads it here, and what is no lock is not signed as one
    arrived = found.folder
    if found.place:
        documents_of(gather(found, ports, words=words))
    found = keep(found, ports)
    attach(found, ports, words=words, arrived=arrived if arrived != found.folder else None)
    fault = ports.signer.signature_fault(found.folder, found.bundle.name, found.digest)
    faults = faults_of_attached(found, ports)
    files = len(attached_files(found.folder))
    by = signers(ports.signer.signed(found.folder / SIGNATURE))
    evidence = Evidence(
        kind="integrity",
        subject=found.digest,
        taken_at=ports.now(),
        taken_by=ports.taken_by,
        measures=(
            count("digest_mismatches", 0, n=len(found.bundle.files) + 1),
            count("signature_faults", int(bool(fault)), n=1, note=fault or by),
            count("attached_faults", len(faults), n=files, note=joined(list(faults))),
        ),
        context={"why": request.why} if request.why else {},
    )
    ports.records.put(evidence)
    return evidence
