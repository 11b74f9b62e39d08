"""``verify``: is this bundle what it says, signed by whom we trust, and is the registry where the ledger says? Nothing of it is run."""

import msgspec

from jupyter_mlprod.core.attach import faults_of_attached
from jupyter_mlprod.core.bundle import SIGNATURE, Bundle
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.evidence import Evidence, Measure
from jupyter_mlprod.core.policy import INTEGRITY
from jupyter_mlprod.core.ports import Ports
from jupyter_mlprod.core.record import digest
from jupyter_mlprod.core.release import chain_breaks, holder
from jupyter_mlprod.core.remeasure import count, joined
from jupyter_mlprod.core.requests.verify import Verify
from jupyter_mlprod.core.resolve import Found, locate
from jupyter_mlprod.core.statement import attached_files, signers
from jupyter_mlprod.core.verdict import Verdict, judge


def run(request: Verify, ports: Ports) -> Verdict:
    """Measure integrity and judge it by the built-in policy ``integrity``."""
    folder = locate(request.subject, ports)
    bundle, faults = ports.bundles.faults(folder)
    if bundle is None:
        raise MlprodError(Code.BUNDLE_BROKEN, "; ".join(faults))
    name = digest(bundle)
    measures = (
        count("digest_mismatches", len(faults), n=len(bundle.files) + 1, note=joined(list(faults))),
        *_signatures(Found(bundle=bundle, digest=name, folder=folder), ports),
        *_ledger(bundle, ports),
    )
    evidence = Evidence(kind="integrity", subject=name, taken_at=ports.now(), taken_by=ports.taken_by, measures=measures)
    ports.records.put(evidence)
    verdict = msgspec.structs.replace(judge(INTEGRITY, [evidence], subject=name, now=ports.now()), about=bundle.name)
    ports.records.put(verdict)
    return verdict


def _signatures(found: Found, ports: Ports) -> tuple[Measure, Measure]:
    """Whether a trusted key vouches for the bundle, and for what is attached to it; and who has signed."""
    fault = ports.signer.signature_fault(found.folder, found.bundle.name, found.digest)
    by = signers(ports.signer.signed(found.folder / SIGNATURE))
    faults = list(faults_of_attached(found, ports))
    n = max(1, len(faults), len(attached_files(found.folder)))
    mend = f"{joined(faults)}; mlprod sign covers what is attached, once you have looked at it" if faults else ""
    return (
        count("signature_faults", int(bool(fault)), n=1, note=fault or f"signed by {by}"),
        count("attached_faults", len(faults), n=n, note=mend),
    )


def _ledger(bundle: Bundle, ports: Ports) -> tuple[Measure, Measure]:
    """Breaks of the chain, and aliases that stand elsewhere than the ledger says; the registry is asked only when there are aliases."""
    entries = ports.ledger.entries(bundle.name)
    astray = []
    aliases = sorted({entry.alias for entry in entries})
    for alias in aliases:
        held, actual = holder(entries, alias), ports.registry.alias(bundle.name, alias)
        if held is not None and held.version != actual:
            mend = f"mlprod promote {bundle.name}@{alias} --to {alias} sets it right"
            astray.append(f"{alias} is version {actual} in the registry, the ledger says {held.version}: {mend}")
    return (
        count("ledger_breaks", max(chain_breaks(entries), ports.ledger.edited(bundle.name)), n=len(entries) + 1),
        count("alias_mismatches", len(astray), n=len(aliases) + 1, note=joined(astray)),
    )
