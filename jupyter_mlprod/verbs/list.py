"""``list``: the bundles of the workspace, newest first."""

from jupyter_mlprod.core.listing import Listing
from jupyter_mlprod.core.ports import Ports
from jupyter_mlprod.core.record import short
from jupyter_mlprod.core.release import holder
from jupyter_mlprod.core.requests.list import List
from jupyter_mlprod.core.resolve import known_name
from jupyter_mlprod.core.verdict import Verdict


def run(request: List, ports: Ports) -> Listing:
    """One row a bundle: name, digest, version, aliases, newest verdict, when and by whom it was packaged."""
    if request.name:
        known_name(request.name, ports)
    found = [item for item in ports.bundles.all() if request.name in ("", item[1].name)]
    rows = []
    for name, bundle, origin in sorted(found, key=lambda item: item[2].created_at, reverse=True):
        entries = ports.ledger.entries(bundle.name)
        aliases = [
            alias for alias in sorted({entry.alias for entry in entries}) if (held := holder(entries, alias)) and held.bundle == name
        ]
        version = next((entry.version for entry in entries if entry.bundle == name), None)
        verdicts = [verdict for verdict in ports.records.about(Verdict, name) if verdict.scope == "release"]
        newest = max(verdicts, key=lambda verdict: verdict.decided_at, default=None)
        rows.append(
            (bundle.name, short(name), version, ", ".join(aliases), newest.outcome if newest else "", origin.created_at[:19], origin.actor)
        )
    columns = ("name", "digest", "version", "alias", "verdict", "packaged", "by")
    return Listing(
        title="bundles",
        columns=columns,
        rows=tuple(rows),
        total=len(rows),
        note="" if rows else "nothing packaged yet: %mlprod package, or mlprod package FILE",
    )
