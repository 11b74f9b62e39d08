"""``list``: the bundles of the workspace, the one that came last first."""

from jupyter_mlprod.core.attach import faults_of_attached
from jupyter_mlprod.core.listing import Cell, Listing
from jupyter_mlprod.core.policy import RELEASE_POLICY
from jupyter_mlprod.core.ports import Ports
from jupyter_mlprod.core.record import short
from jupyter_mlprod.core.release import holder
from jupyter_mlprod.core.requests.list import List
from jupyter_mlprod.core.resolve import Found, known_name
from jupyter_mlprod.core.verdict import Verdict

CLAIMED = " (not signed)"


def run(request: List, ports: Ports) -> Listing:
    """One row a bundle: name, digest, version, aliases, newest verdict of its release policy, when and by whom it was packaged."""
    if request.name:
        known_name(request.name, ports)
    found = [item for item in ports.bundles.all() if request.name in ("", item[1].name)]
    rows: list[tuple[Cell, ...]] = []
    claims = False
    for name, bundle, origin in reversed(found):
        entries = ports.ledger.entries(bundle.name)
        aliases = [
            alias for alias in sorted({entry.alias for entry in entries}) if (held := holder(entries, alias)) and held.bundle == name
        ]
        version = next((entry.version for entry in entries if entry.bundle == name), None)
        verdicts = [
            verdict for verdict in ports.records.about(Verdict, name) if verdict.scope == "release" and verdict.policy == RELEASE_POLICY
        ]
        newest = max(verdicts, key=lambda verdict: verdict.decided_at, default=None)
        covered = not faults_of_attached(Found(bundle=bundle, digest=name, folder=ports.bundles.path(name)), ports)
        claims |= not covered
        by = origin.actor if covered else f"{origin.actor}{CLAIMED}"
        outcome = newest.outcome if newest else ""
        rows.append((bundle.name, short(name), version, ", ".join(aliases), outcome, origin.created_at[:19], by))
    columns = ("name", "digest", "version", "alias", "verdict", "packaged", "by")
    return Listing(
        title="bundles",
        columns=columns,
        rows=tuple(rows),
        total=len(rows),
        note=_note(claims=claims) if rows else "nothing packaged yet: %mlprod package, or mlprod package FILE",
    )


def _note(*, claims: bool) -> str:
    return f"{CLAIMED.strip()}: no trusted key covers who packaged it and when; mlprod verify tells why" if claims else ""
