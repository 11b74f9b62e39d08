"""``history``: what held an alias when, who moved it, why, and on which verdict; read from the ledger."""

from jupyter_mlprod.core.document import did_you_mean
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.listing import Listing
from jupyter_mlprod.core.ports import Ports
from jupyter_mlprod.core.record import short
from jupyter_mlprod.core.release import chain_breaks
from jupyter_mlprod.core.requests.history import History
from jupyter_mlprod.core.resolve import known_name


def run(request: History, ports: Ports) -> Listing:
    """One row a move, oldest first."""
    entries = ports.ledger.entries(request.name)
    if not entries:
        known_name(request.name, ports)
    aliases = sorted({entry.alias for entry in entries})
    if entries and request.alias and request.alias not in aliases:
        what = f"{request.name} has never had the alias {request.alias!r}{did_you_mean(request.alias, aliases)}"
        raise MlprodError(Code.UNKNOWN_SUBJECT, what, hint=f"mlprod history {request.name}")
    shown = [entry for entry in entries if request.alias in ("", entry.alias)]
    breaks = max(chain_breaks(entries), ports.ledger.edited(request.name))
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
