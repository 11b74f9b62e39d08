"""``promote``: an alias for a bundle that has been proven.

Inside a gate run nothing moves: the wish is recorded, and the gate carries it out after the whole notebook has passed.
"""

from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.ports import Ports
from jupyter_mlprod.core.promotion import check_comparison, move_alias, passing_verdict, release_policy
from jupyter_mlprod.core.record import digest, short
from jupyter_mlprod.core.release import Release
from jupyter_mlprod.core.requests.promote import Promote
from jupyter_mlprod.core.resolve import find_bundle, keep
from jupyter_mlprod.core.subject import check_name


def run(request: Promote, ports: Ports) -> Release:
    """Move the alias, or ask for it inside a gate run."""
    check_name(request.to, what="alias")
    found = find_bundle(request.subject, ports)
    name = found.bundle.name
    if ports.run_folder:
        if found.digest not in ports.records.journaled():
            what = f"{name} {short(found.digest)} was not made in this gate run, so the run cannot promote it"
            raise MlprodError(Code.NOT_PROVEN, what, hint=f"mlprod promote {request.subject} --to {request.to}, outside")
        asked = Release(
            name=name, alias=request.to, bundle=found.digest, state="asked", action="promote",
            actor=ports.machine.origin(notebook="", run="").actor, at=ports.now(), why=request.why, verdict="",
        )  # fmt: skip
        ports.records.put(asked)
        return asked
    verdict = passing_verdict(found.digest, ports)
    entries = check_comparison(verdict, release_policy(ports), ports, name=name, bundle=found.digest)
    keep(found, ports)
    return move_alias(entries, request.to, found.digest, ports, name=name, action="promote", verdict=digest(verdict), why=request.why)
