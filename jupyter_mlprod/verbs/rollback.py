"""``rollback``: the alias goes back to the release that held it before.

That release was proven when it was promoted, so no new verdict is asked.
"""

from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.ports import Ports
from jupyter_mlprod.core.promotion import follow, move_alias
from jupyter_mlprod.core.release import Release, former, holder
from jupyter_mlprod.core.requests.rollback import Rollback
from jupyter_mlprod.core.resolve import known_name
from jupyter_mlprod.core.subject import check_name


def run(request: Rollback, ports: Ports) -> Release:
    """Restore the former release."""
    check_name(request.name, what="name")
    if not request.why.strip():
        raise MlprodError(Code.BAD_REQUEST, "a rollback needs a reason", hint="--why 'what went wrong'")
    if ports.run_folder:
        raise MlprodError(Code.BAD_REQUEST, "a notebook inside a gate run cannot roll back", hint=f"mlprod rollback {request.name}")
    entries = ports.ledger.entries(request.name)
    held = holder(entries, request.alias)
    if held is not None and held.action == "rollback" and ports.registry.alias(request.name, request.alias) != held.version:
        follow(request.name, request.alias, ports)  # a rollback that broke off after the ledger had moved: finish it, do not go back twice
        ports.tell(f"{request.name}@{request.alias} had been rolled back to version {held.version} already; the registry follows now")
        return held
    before = former(entries, request.alias)
    if before is None:
        known_name(request.name, ports)
        promoted = any(entry.alias == request.alias for entry in entries)
        what = f"{request.name}@{request.alias} has " + ("no former release" if promoted else "never been promoted")
        raise MlprodError(Code.NOTHING_BEFORE, what, hint=f"mlprod history {request.name}")
    return move_alias(
        entries, request.alias, before.bundle, ports, name=request.name, action="rollback", verdict=before.verdict, why=request.why
    )
