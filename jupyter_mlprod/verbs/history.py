"""``history``: what held an alias when, who moved it, why, and on which verdict; read from the ledger."""

from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.listing import Listing
from jupyter_mlprod.core.ports import Ports
from jupyter_mlprod.core.record import short
from jupyter_mlprod.core.release import chain_breaks
from jupyter_mlprod.core.requests.history import History


def run(request: History, ports: Ports) -> Listing:
    """One row a move, oldest first."""
    entries = ports.ledger.entries(request.name)
    if not entries and request.name not in {bundle.name for _, bundle, _ in ports.bundles.all()}:
        raise MlprodError(Code.UNKNOWN_SUBJECT, f"nothing is known as {request.name!r}", hint="mlprod list")
    shown = [entry for entry in entries if request.alias in ("", entry.alias)]
    breaks = chain_breaks(entries)
    return Listing(
        title=f"history of {request.name}",
        columns=("at", "alias", "action", "version", "bundle", "before", "by", "why", "verdict"),
        rows=tuple(
            (
                f"{entry.at:%Y-%m-%d %H:%M:%S}", entry.alias, entry.action, entry.version, short(entry.bundle),
                short(entry.previous), entry.actor, entry.why, short(entry.verdict),
            )
            for entry in shown
        ),
        total=len(shown),
        note=f"the ledger's chain is broken in {breaks} places: mlprod verify {request.name}" if breaks else "",
    )  # fmt: skip
