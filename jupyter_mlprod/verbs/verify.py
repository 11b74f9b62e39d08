"""``verify``: is this bundle what it says, signed by whom we trust, and is the registry where the ledger says? Nothing of it is run.

With ``--rebuild`` it is also asked to answer as it did, in an environment made from its lock. That runs its code and whatever packages
it pins, so it needs a trusted signature or a reason, also where the bundle has no code of its own; and since the hashes of these packages
lie in ``attached/``, it needs the second statement as well as the first.
"""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from jupyter_mlprod.core.attach import faults_of_attached
from jupyter_mlprod.core.bundle import GOLDEN_ANSWERS, LOCK, REQUIREMENTS, SIGNATURE, Bundle
from jupyter_mlprod.core.checked import count, joined
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.evidence import Evidence, Measure
from jupyter_mlprod.core.lock import bundle_lock
from jupyter_mlprod.core.policy import INTEGRITY, REBUILD, parity_limit
from jupyter_mlprod.core.ports import Ports
from jupyter_mlprod.core.rebuild import rebuild_measures
from jupyter_mlprod.core.record import digest
from jupyter_mlprod.core.release import chain_breaks, holder
from jupyter_mlprod.core.requests.verify import Verify
from jupyter_mlprod.core.resolve import Found, demand_trust, locate, place_of
from jupyter_mlprod.core.statement import attached_files, signers
from jupyter_mlprod.core.verdict import Verdict, combine, judge


def run(request: Verify, ports: Ports) -> Verdict:
    """Measure integrity, and the rebuilt environment where that is asked for; judge each by its built-in policy."""
    if request.trust and not request.rebuild:
        raise MlprodError(Code.BAD_REQUEST, "--trust is for --rebuild; without it nothing of the bundle is run")
    folder = locate(request.subject, ports)
    bundle, faults = ports.bundles.faults(folder)
    if bundle is None:
        raise MlprodError(Code.BUNDLE_BROKEN, "; ".join(faults))
    name = digest(bundle)
    found = Found(bundle=bundle, digest=name, folder=folder, place=place_of(request.subject))
    rebuilds = request.rebuild and not faults  # what was tampered with is told, and not run
    if rebuilds:
        demand_trust(
            found,
            ports,
            trust=request.trust,
            why="pins packages that --rebuild would install and run,",
            where=f"{REQUIREMENTS} and {LOCK}",
            attached=faults_of_attached(found, ports),
        )
    measures = (
        count("digest_mismatches", len(faults), n=len(bundle.files) + 1, note=joined(list(faults))),
        *_signatures(found, ports),
        *_ledger(bundle, ports),
    )
    evidence = Evidence(kind="integrity", subject=name, taken_at=ports.now(), taken_by=ports.taken_by, measures=measures)
    ports.records.put(evidence)
    verdict = judge(INTEGRITY, [evidence], subject=name, now=ports.now())
    if rebuilds:
        rebuilt = judge(REBUILD, [_rebuilt(bundle, folder, ports)], subject=name, now=ports.now())
        verdict = combine([verdict, rebuilt], subject=name, now=ports.now())
    verdict = msgspec.structs.replace(verdict, about=bundle.name)
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
        count("signature_faults", int(bool(fault)), n=1, note=fault or by),
        count("attached_faults", len(faults), n=n, note=mend),
    )


def _rebuilt(bundle: Bundle, folder: Path, ports: Ports) -> Evidence:
    """What the bundle's lock comes to as an environment, and its golden answers there."""
    lock = bundle_lock(folder)
    golden = ports.data.read(str(folder / GOLDEN_ANSWERS))
    assert isinstance(golden, Mapping)
    name = digest(bundle)
    if lock.unhashed:
        ports.tell(f"without a hash: {joined([str(package.pin) for package in lock.unhashed])}")
    rebuilt = ports.locks.rebuild(lock, folder, name)
    evidence = Evidence(
        kind="environment",
        subject=name,
        taken_at=ports.now(),
        taken_by=ports.taken_by,
        measures=rebuild_measures(bundle, lock, rebuilt, golden, limit=parity_limit(ports.policies)),
        context=ports.machine.context(),
    )
    ports.records.put(evidence)
    return evidence


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
